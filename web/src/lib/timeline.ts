// A run's steps along its time.
import type { Step } from "@/api/types";
import { byPath, isChild } from "./agent-steps";

export interface Bar {
  step: Step;
  /** Parts of the whole, 0 to 1. */
  from: number;
  width: number;
  /** It waits, or waited; nothing works in that time. */
  waits: boolean;
}

/** The narrowest bar that one can still see. */
const MIN_WIDTH = 0.004;

export function bars(steps: readonly Step[], start: string, end: string | null, now = Date.now()): Bar[] {
  const begin = new Date(start).getTime();
  const whole = Math.max(1, (end ? new Date(end).getTime() : now) - begin);
  return steps
    .filter((step) => step.started_at)
    .toSorted((a, b) => String(a.started_at).localeCompare(String(b.started_at)))
    .map((step) => {
      const at = new Date(step.started_at ?? start).getTime() - begin;
      const until =
        (step.finished_at ? new Date(step.finished_at).getTime() : end ? new Date(end).getTime() : now) - begin;
      const from = clamp(at / whole);
      const width = Math.max(MIN_WIDTH, Math.min(1 - from, (until - at) / whole));
      return { step, from: Math.min(from, 1 - MIN_WIDTH), width, waits: isWait(step) };
    });
}

function clamp(value: number): number {
  return Math.max(0, Math.min(1, value));
}

function isWait(step: Step): boolean {
  return step.status === "waiting" || step.kind.startsWith("wait@") || step.kind.startsWith("approval@");
}

export interface TimelineLine {
  bar: Bar;
  /** Something stands inside of it. */
  inside: boolean;
}

/** What an agent did stands behind its step, in the order of its turns, unless it is folded. */
export function unfolded(rows: readonly Bar[], folded: ReadonlySet<string>): TimelineLine[] {
  const children = new Map<string, Bar[]>();
  const heads: Bar[] = [];
  for (const row of rows) {
    const { node } = row.step;
    if (isChild(row.step)) children.set(node, [...(children.get(node) ?? []), row]);
    else heads.push(row);
  }
  // In a loop they stand behind the last iteration.
  const last = new Map(heads.map((bar) => [bar.step.node, bar]));
  return heads.flatMap((bar) => {
    const { node } = bar.step;
    const own = last.get(node) === bar ? (children.get(node) ?? []) : [];
    const shown = folded.has(node) ? [] : own.toSorted((a, b) => byPath(a.step, b.step));
    return [{ bar, inside: own.length > 0 }, ...shown.map((child) => ({ bar: child, inside: false }))];
  });
}
