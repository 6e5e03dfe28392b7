import { describe, expect, it } from "vitest";
import type { RowChange } from "@/api/types";
import { changesOf, fieldChanges, inline, lineDiff, rowDiffs } from "@/lib/diff";

const change: RowChange = {
  kind: "task",
  id: "t",
  op: "update",
  revision: 2,
  diff: {
    updated_at: { before: "a", after: "b" },
    tags: { before: [], after: ["x"] },
    title: { before: "Old", after: "New" },
    description: { before: null, after: "" },
  },
};

describe("rows", () => {
  it("show what was asked for, titles first, without housekeeping", () => {
    const [row] = rowDiffs([change]);
    expect(row?.title).toBe("Old");
    expect(row?.fields.map((field) => field.field)).toEqual(["title", "tags"]);
  });

  it("know a preview by its shape", () => {
    const found = changesOf({ changes: [change], tasks: [{ id: "t", title: "Now" }], projects: [] });
    expect(found?.titles).toEqual({ t: "Now" });
    expect(changesOf({ changes: "all" })).toBeUndefined();
    expect(changesOf(null)).toBeUndefined();
    expect(changesOf({ changes: [{ id: 1 }] })).toBeUndefined();
  });

  it("leave out fields that were and stay empty", () => {
    expect(fieldChanges({ metadata: { before: null, after: {} } })).toEqual([]);
  });
});

describe("lines", () => {
  it("keeps what is the same", () => {
    const lines = lineDiff("a\nb\nc", "a\nx\nc");
    expect(lines.map((line) => `${line.kind[0]}${line.text}`)).toEqual(["sa", "rb", "ax", "sc"]);
  });

  it("gives up on comparing texts that are too long", () => {
    const long = Array.from({ length: 600 }, (_, index) => `line ${index}`).join("\n");
    const lines = lineDiff(long, `${long}\nmore`);
    expect(lines.every((line) => line.kind !== "same")).toBe(true);
  });
});

it("puts a value into one line", () => {
  expect(inline(null)).toBe("empty");
  expect(inline(["a", "b"])).toBe("a, b");
  expect(inline({ a: 1 })).toBe('{"a":1}');
});
