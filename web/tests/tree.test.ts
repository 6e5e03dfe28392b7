import { describe, expect, it } from "vitest";
import { dropOf, dropTarget, flatten, gapBeside, indentTarget, inSight, outdentTarget, stepTarget } from "@/lib/tree";
import { task } from "./fixtures";

const TASKS = new Map(
  [
    task("a"),
    task("b", { parent_id: "a" }),
    task("c", { parent_id: "b", title: "Deep" }),
    task("d", { parent_id: "a" }),
    task("e"),
    task("lost", { parent_id: "not loaded yet" }),
  ].map((each) => [each.id, each]),
);

const ids = (rows: ReturnType<typeof flatten>) => rows.map((row) => `${"-".repeat(row.level)}${row.task.id}`);

describe("flatten", () => {
  it("puts each below its parent, in the order of their making", () => {
    expect(ids(flatten(TASKS, new Set()))).toEqual(["a", "-b", "--c", "-d", "e", "lost"]);
  });

  it("hides what is below a closed one", () => {
    const rows = flatten(TASKS, new Set(["b"]));
    expect(ids(rows)).toEqual(["a", "-b", "-d", "e", "lost"]);
    expect(rows[1]).toMatchObject({ children: 1, open: false });
  });

  it("keeps what leads to a hit, and opens it", () => {
    const rows = flatten(TASKS, new Set(["a", "b"]), (each) => each.title === "Deep");
    expect(ids(rows)).toEqual(["a", "-b", "--c"]);
    expect(rows.map((row) => row.context)).toEqual([true, true, false]);
  });

  it("is quick with twenty thousand tasks", () => {
    const many = new Map(
      Array.from({ length: 20_000 }, (_, index) => {
        const parent_id = index % 5 ? String(index - (index % 5)) : null;
        return [String(index), task(String(index), { parent_id })] as const;
      }),
    );
    const begun = performance.now();
    expect(flatten(many, new Set())).toHaveLength(20_000);
    expect(performance.now() - begun).toBeLessThan(150);
  });
});

it("indents below the one above on the same level", () => {
  const rows = flatten(TASKS, new Set());
  expect(indentTarget(rows, "d")).toBe("b");
  expect(indentTarget(rows, "e")).toBe("a");
  expect(indentTarget(rows, "b")).toBeUndefined();
  expect(indentTarget(rows, "a")).toBeUndefined();
});

describe("moves", () => {
  const rows = flatten(TASKS, new Set());
  const at = (id: string) => TASKS.get(id) ?? task(id);

  it("go one up or down among the siblings, past what is below them", () => {
    expect(stepTarget(rows, at("b"), 1)).toEqual({ parent: "a", beside: { id: "d", after: true } });
    expect(stepTarget(rows, at("d"), -1)).toEqual({ parent: "a", beside: { id: "b", after: false } });
    expect(stepTarget(rows, at("b"), -1)).toBeUndefined();
    expect(stepTarget(rows, at("c"), 1)).toBeUndefined();
    expect(outdentTarget(TASKS, at("c"))).toEqual({ parent: "a", beside: { id: "b", after: true } });
    expect(outdentTarget(TASKS, at("a"))).toBeUndefined();
  });

  it("by the pointer go before, into or after a row, and never below themselves", () => {
    expect([2, 18, 34].map((offset) => dropOf(offset, 36))).toEqual(["before", "into", "after"]);
    expect(dropTarget(TASKS, new Set(["e"]), at("b"), "into")).toEqual({ parent: "b" });
    expect(dropTarget(TASKS, new Set(["e"]), at("b"), "before")).toEqual({
      parent: "a",
      beside: { id: "b", after: false },
    });
    expect(dropTarget(TASKS, new Set(["a"]), at("c"), "into")).toBeUndefined();
  });

  it("find the gap beside a task", () => {
    const placed = [task("x", { position: "2" }), task("y", { position: "4" }), task("z", { position: "6" })];
    const [, y = task("y")] = placed;
    expect(gapBeside(placed, { id: "y", after: true }, y, new Set())).toEqual(["4", "6"]);
    expect(gapBeside(placed, { id: "y", after: false }, y, new Set(["x"]))).toEqual([undefined, "4"]);
  });
});

it("shows what is in the project and not put away", () => {
  const tasks = new Map(
    [task("a"), task("b", { archived_at: "2026-01-01T00:00:00Z" }), task("c", { project_id: "other" })].map((each) => [
      each.id,
      each,
    ]),
  );
  expect([...inSight(tasks, "p", false).keys()]).toEqual(["a"]);
  expect([...inSight(tasks, "p", true).keys()]).toEqual(["a", "b"]);
  expect(inSight(TASKS, "p", false)).toBe(TASKS);
});

it("keeps the order of places", () => {
  const tasks = new Map(
    [task("a", { position: "7" }), task("b", { position: "31" }), task("c", { position: "" })].map((each) => [
      each.id,
      each,
    ]),
  );
  expect(ids(flatten(tasks, new Set()))).toEqual(["c", "b", "a"]);
});
