import { describe, expect, it } from "vitest";
import type { Run } from "@/api/types";
import { addDone, chunksOf, NOTHING, refusedCount, runsWord } from "@/lib/many";
import { byNewest, fitsHere, mergeParts, type Part, startOf, statusesOf, withStatus } from "@/lib/run-filter";
import { run } from "./fixtures";

const at = (second: number, fields: Partial<Run> = {}) =>
  run(`r${second}`, { created_at: `2026-01-01T00:00:${String(second).padStart(2, "0")}Z`, ...fields });

describe("statuses of a filter", () => {
  it("are kept in one order, and unknown ones are left out", () => {
    expect(statusesOf({ status: "failed,nonsense,queued" })).toEqual(["queued", "failed"]);
    expect(withStatus({ status: "failed" }, "queued")).toBe("queued,failed");
    expect(withStatus({ status: "failed" }, "failed")).toBeUndefined();
  });
});

it("sorts times by what they mean, however many digits they have", () => {
  const times = ["2026-01-01T00:00:05Z", "2026-01-01T00:00:05.5Z", "2026-01-01T00:00:05.123456Z"];
  const runs = times.map((created_at) => run("x", { created_at }));
  expect(runs.toSorted(byNewest).map((each) => each.created_at)).toEqual([times[1], times[2], times[0]]);
});

describe("several statuses together", () => {
  /** The lists of three statuses, in pages of two, merged to their end. */
  function whole(lists: number[][]): { ids: string[]; asks: number } {
    const page = (list: number[], cursor: string | undefined): Part => {
      const from = Number(cursor ?? 0);
      const next = from + 2 < list.length ? String(from + 2) : null;
      return { items: list.slice(from, from + 2).map((second) => at(second)), cursor, next };
    };
    let place: ReturnType<typeof mergeParts> | undefined;
    const ids: string[] = [];
    let asks = 0;
    while (!place?.over) {
      if (++asks > 50) throw new Error("it never ends");
      const parts = lists.map((list, index): Part => {
        const cursor = place?.cursors[index];
        return cursor === null ? { items: [], cursor: undefined, next: null } : page(list, cursor);
      });
      place = mergeParts(parts, place?.last);
      ids.push(...place.items.map(({ id }) => id));
    }
    return { ids, asks };
  }

  it("come once each, the newest first", () => {
    const lists = [
      [59, 40, 39, 3],
      [58, 57, 56, 55, 2, 1],
      [50, 41, 38],
    ];
    const all = lists.flat().toSorted((a, b) => b - a);
    expect(whole(lists).ids).toEqual(all.map((second) => `r${second}`));
    expect(whole([[], [5, 4, 3], []]).ids).toEqual(["r5", "r4", "r3"]);
    expect(whole([[], []]).ids).toEqual([]);
  });

  it("come whatever the lists are", () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    for (let round = 0; round < 200; round++) {
      const lists: number[][] = [[], [], []];
      for (let second = 59; second >= 0; second--) if (random() < 0.4) lists[Math.floor(random() * 3)]?.push(second);
      const all = lists.flat().toSorted((a, b) => b - a);
      expect(whole(lists).ids).toEqual(all.map((second) => `r${second}`));
    }
  });
});

it("what the API does not look at is looked at here", () => {
  const one = at(1, { trigger: "nightly", workflow_name: "import", error: { message: "Out of paper" } });
  expect(fitsHere(one, {})).toBe(true);
  expect(fitsHere(one, { trigger: "start" })).toBe(false);
  expect(["PAPER", "imp", "r1", " "].map((text) => fitsHere(one, { text }))).toEqual([true, true, true, true]);
  expect(fitsHere(one, { text: "ink" })).toBe(false);
  expect(startOf({ since: "1h" }, 3_600_000)).toBe(0);
});

it("what was done to many is summed up, and refusals by their reason", () => {
  expect(chunksOf([1, 2, 3, 4, 5], 2)).toEqual([[1, 2], [3, 4], [5]]);
  expect(chunksOf([], 2)).toEqual([]);
  const refused = { run_id: "b", done: false, error: { code: "x", message: "It has ended." } };
  const once = addDone(NOTHING, [{ run_id: "a", done: true }, refused]);
  const twice = addDone(once, [
    { ...refused, run_id: "c" },
    { run_id: "d", done: false },
  ]);
  expect(twice).toEqual({
    done: 1,
    asked: 4,
    refused: [
      { reason: "It has ended.", count: 2, first: "b" },
      { reason: "It was refused.", count: 1, first: "d" },
    ],
  });
  expect([refusedCount(twice), once.asked, NOTHING.asked]).toEqual([3, 2, 0]);
  expect([runsWord(1), runsWord(1200)]).toEqual(["1 run", "1,200 runs"]);
});
