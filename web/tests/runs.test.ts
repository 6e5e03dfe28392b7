import { describe, expect, it } from "vitest";
import { childRunOf, childWord, depthOf, isChild, itemOf } from "@/lib/agent-steps";
import { behind, modelOf } from "@/lib/graph-model";
import { countsOf, failuresFirst, totalOf } from "@/lib/items";
import { isRound, levelsOf, roundAt, roundOf, roundWord } from "@/lib/rounds";
import { step } from "./fixtures";

describe("rounds of a cycle", () => {
  it("are told from what is inside of a step", () => {
    expect(["", "3", "2/3", "3/i0", "2/1/t1.c0", "i0", "t1", "run", "3/run"].map(roundOf)).toEqual([
      "",
      "3",
      "2/3",
      "3",
      "2/1",
      "",
      "",
      "",
      "3",
    ]);
    expect(["", "3", "2/3", "3/i0", undefined].map(isRound)).toEqual([false, true, true, false, false]);
    expect(roundWord(step("a", { path: "2/3" }))).toBe("round 2.3");
    expect(roundWord(step("a"))).toBeUndefined();
  });

  it("are counted where that is known", () => {
    expect(levelsOf("2", "5")).toEqual([{ now: 2, most: 5 }]);
    expect(levelsOf("3/2", "3/4")).toEqual([
      { now: 3, most: 3 },
      { now: 2, most: 4 },
    ]);
    expect(levelsOf("2/2", "3/4")).toEqual([{ now: 2, most: 3 }, { now: 2 }]);
    expect(levelsOf("", "")).toEqual([]);
  });

  it("are stepped through, and those inside begin anew", () => {
    expect(roundAt("3/4", "3/4", 1, 2)).toBe("3/2");
    expect(roundAt("3/4", "3/4", 0, 2)).toBe("2/1");
    expect(roundAt("2/1", "3/4", 0, 3)).toBe("3/4");
    expect(roundAt("4", "5", 0, 5)).toBe("5");
  });
});

describe("items of a list", () => {
  const items = [
    step("each", { path: "i0", status: "succeeded" }),
    step("each", { path: "i10", status: "failed" }),
    step("each", { path: "i2", status: "failed" }),
    step("each", { path: "i3", status: "waiting" }),
    step("each", { path: "i1", status: "succeeded" }),
  ];

  it("are steps inside of a step", () => {
    expect(["i0", "2/i3", "run", "4/run", "i", "items", "runs"].map((path) => isChild({ path }))).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    expect([itemOf("i12"), itemOf("2/i3"), itemOf("t1")]).toEqual([12, 3, undefined]);
    expect(["i0", "2/i3", "2/run"].map(depthOf)).toEqual([1, 1, 1]);
    expect(childWord(step("each", { path: "2/i3" }))).toBe("Item 3");
    expect(childWord(step("sub", { path: "run", call: { workflow: "square", run_id: "r" } }))).toBe("square");
  });

  it("may be runs", () => {
    expect(childRunOf(step("a", { call: { workflow: "w", run_id: "r", input: 1 } }))).toEqual({
      workflow: "w",
      id: "r",
      input: 1,
    });
    expect(childRunOf(step("a", { call: { workflow: "w" } }))).toEqual({ workflow: "w" });
    expect(childRunOf(step("a", { call: { operation: "o" } }))).toBeUndefined();
    expect(childRunOf(step("a"))).toBeUndefined();
  });

  it("are counted, and stand with the failures first", () => {
    expect(countsOf(items, 100)).toEqual({ total: 100, failed: 2, busy: 1, done: 2, left: 95 });
    expect(countsOf(items)).toMatchObject({ total: 5, left: 0 });
    expect(failuresFirst(items).map(({ path }) => path)).toEqual(["i2", "i10", "i3", "i0", "i1"]);
    expect([totalOf({ total: 7 }, { items: [1] }), totalOf(null, { items: [1, 2] }), totalOf(null, null)]).toEqual([
      7,
      2,
      undefined,
    ]);
  });
});

it("a node and what comes behind it, around a cycle too", () => {
  const nodes = {
    start: { kind: "trigger.manual@1" },
    head: { kind: "merge@1", after: ["start", "more.true"] },
    more: { kind: "if@1", after: "head" },
    end: { kind: "set@1", after: "more.false" },
    beside: { kind: "set@1", after: "start" },
  };
  expect([...behind(modelOf({ nodes }), "head")].toSorted()).toEqual(["end", "head", "more"]);
  expect([...behind(modelOf({ nodes }), "end")]).toEqual(["end"]);
});
