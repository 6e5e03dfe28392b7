// The items of a list that a step works through: how far it is, and which come first to the eye.
import type { Step } from "@/api/types";
import { itemOf } from "./agent-steps";

export type ItemGroup = "failed" | "busy" | "done";

export interface Counts {
  /** How many there are in all; at least those that have begun, while the list is not known. */
  total: number;
  failed: number;
  busy: number;
  done: number;
  /** Not begun. */
  left: number;
}

const GROUPS: Partial<Record<Step["status"], ItemGroup>> = { failed: "failed", succeeded: "done" };

export function groupOf(step: Pick<Step, "status">): ItemGroup {
  return GROUPS[step.status] ?? "busy";
}

export function countsOf(items: readonly Step[], total?: number): Counts {
  const counts = { failed: 0, busy: 0, done: 0 };
  for (const item of items) counts[groupOf(item)]++;
  const all = Math.max(total ?? 0, items.length);
  return { ...counts, total: all, left: all - items.length };
}

/** How many items a step has: what its output says, or the list that it was given. */
export function totalOf(output: unknown, input: unknown): number | undefined {
  const { total } = (output ?? {}) as { total?: unknown };
  if (typeof total === "number") return total;
  const { items } = (input ?? {}) as { items?: unknown };
  return Array.isArray(items) ? items.length : undefined;
}

const ORDER: readonly ItemGroup[] = ["failed", "busy", "done"];

/** Those that failed first, then those under way, then the rest; each in the order of the list. */
export function failuresFirst(items: readonly Step[]): Step[] {
  const place = (step: Step) => ORDER.indexOf(groupOf(step));
  return items.toSorted((a, b) => place(a) - place(b) || (itemOf(a.path) ?? 0) - (itemOf(b.path) ?? 0));
}
