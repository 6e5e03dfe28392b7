import { describe, expect, it } from "vitest";
import { flatten, indentTarget } from "@/lib/tree";
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
