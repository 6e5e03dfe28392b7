// Where a card goes among the others of its column.
import type { Task } from "@/api/types";

type Gap = [low: string | undefined, high: string | undefined];

/** The places that lie before and after the `at`-th card, those that are moved themselves left aside. */
export function gapAt(cards: readonly Task[], moved: readonly Task[], at: number): Gap {
  const own = new Set(moved.map((task) => task.id));
  const before = cards.slice(0, at).findLast((task) => !own.has(task.id));
  const after = cards.slice(at).find((task) => !own.has(task.id));
  return [before?.position || undefined, after?.position || undefined];
}

/** Before which card a drop at so many pixels from the top is. */
export function slotAt(offset: number, cardPx: number, count: number): number {
  return Math.max(0, Math.min(count, Math.round(offset / cardPx)));
}
