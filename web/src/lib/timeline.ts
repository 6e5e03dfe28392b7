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
  open: boolean;
  /** So many more inside of it are not shown. */
  more?: number;
}

/** With more inside of it than this, a step is folded until it is opened. */
const FEW = 20;
/** The most that are shown inside of a step: the inspector pages through all of them. */
const MOST_INSIDE = 100;

/**
 * What happened inside of a step stands behind it, unless it is folded. `flipped` names the steps that somebody opened or
 * folded by hand.
 */
export function unfolded(rows: readonly Bar[], flipped: ReadonlySet<string>): TimelineLine[] {
  const children = new Map<string, Bar[]>();
  const heads: Bar[] = [];
  for (const row of rows) {
    const { node } = row.step;
    if (!isChild(row.step)) heads.push(row);
    else {
      const own = children.get(node);
      if (own) own.push(row);
      else children.set(node, [row]);
    }
  }
  // In a cycle they stand behind the last round.
  const last = new Map(heads.map((bar) => [bar.step.node, bar]));
  return heads.flatMap((bar) => {
    const { node } = bar.step;
    const own = last.get(node) === bar ? (children.get(node) ?? []) : [];
    const open = own.length <= FEW !== flipped.has(node);
    const shown = open ? own.toSorted((a, b) => byPath(a.step, b.step)).slice(0, MOST_INSIDE) : [];
    const lines: TimelineLine[] = [{ bar, inside: own.length > 0, open }];
    for (const child of shown) lines.push({ bar: child, inside: false, open: false });
    const end = lines.at(-1);
    if (end && open && own.length > shown.length) end.more = own.length - shown.length;
    return lines;
  });
}
