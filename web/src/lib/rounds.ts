// Rounds of cycles. A step in one has its round as its path: `3`, or inside of another cycle `2/3`.
import type { Step } from "@/api/types";

const ROUND = /^\d+(?:\/\d+)*(?=$|[./])/;

/** The round that a path such as `3`, `2/3` or `3/i0` belongs to; empty outside of cycles. */
export function roundOf(path: string): string {
  return ROUND.exec(path)?.[0] ?? "";
}

/** Whether a path is a round, and not something inside of a step. */
export function isRound(path: string | undefined): path is string {
  return path !== undefined && path !== "" && roundOf(path) === path;
}

/** The numbers of a round, from the outermost cycle to its own. */
export function roundNumbers(round: string): number[] {
  return round === "" ? [] : round.split("/").map(Number);
}

export interface Level {
  now: number;
  /** How many there were; unknown for a cycle inside of an earlier round of another. */
  most?: number;
}

/** One entry for each cycle around a step: which round is shown, and of how many. */
export function levelsOf(shown: string, last: string): Level[] {
  const [now, most] = [roundNumbers(shown), roundNumbers(last)];
  return now.map((number, level) => {
    const same = now.slice(0, level).every((each, at) => each === most[at]);
    return { now: number, most: same ? most[level] : undefined };
  });
}

/** The round that is reached by another number at one level; cycles inside of it begin at their first, or at their last. */
export function roundAt(shown: string, last: string, level: number, number: number): string {
  const most = roundNumbers(last);
  const outer = [...roundNumbers(shown).slice(0, level), number];
  const isLast = outer.every((each, at) => each === most[at]);
  const inner = roundNumbers(shown)
    .slice(level + 1)
    .map((_, at) => (isLast ? (most[level + 1 + at] ?? 1) : 1));
  return [...outer, ...inner].join("/");
}

/** How often a step's cycle went round, in words for where there is little room. */
export function roundWord(step: Pick<Step, "path">): string | undefined {
  const round = roundOf(step.path);
  return round === "" ? undefined : `round ${round.replaceAll("/", ".")}`;
}
