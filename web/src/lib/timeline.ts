// A run's steps along its time.
import type { Step } from "@/api/types";

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
