import { describe, expect, it } from "vitest";
import { ApiError, advice } from "@/api/problem";
import { layout } from "@/graph/layout";
import { failedExpression, manualTriggers, modelOf } from "@/lib/graph-model";
import { jsonLines } from "@/lib/json-lines";
import { nameOf } from "@/lib/keys";
import { curl, httpCall } from "@/lib/operation-call";
import { allows } from "@/lib/permissions";
import { ago, duration, minutes } from "@/lib/time";
import { bars } from "@/lib/timeline";
import { step } from "./fixtures";

describe("a graph", () => {
  const file = {
    nodes: {
      start: { kind: "trigger.manual@1" },
      decide: { kind: "if@1", after: "start" },
      yes: { kind: "operation@1", after: "decide.true", with: { operation: "tasks.create" } },
      end: { kind: "merge@1", after: ["yes", "decide.false", "nobody"] },
    },
  };

  it("has an edge for each predecessor that there is", () => {
    const { edges, nodes } = modelOf(file);
    expect(edges.map((edge) => edge.id)).toEqual([
      "start.out>decide",
      "decide.true>yes",
      "yes.out>end",
      "decide.false>end",
    ]);
    expect(nodes.find((node) => node.id === "yes")?.note).toBe("tasks.create");
    expect(manualTriggers(file)).toEqual(["start"]);
    expect(modelOf(null)).toEqual({ nodes: [], edges: [] });
  });

  it("goes from left to right", () => {
    const places = layout(modelOf(file));
    expect(places.start?.x).toBeLessThan(places.decide?.x ?? 0);
    expect(places.decide?.x).toBeLessThan(places.end?.x ?? 0);
  });
});

describe("an operation as a call", () => {
  it("puts the input where it belongs", () => {
    const get = { rest: { method: "GET", path: "/tasks/{task_id}" } };
    expect(httpCall(get, { task_id: "a/b", tags: ["x", "y"] })).toEqual({
      method: "GET",
      path: "/tasks/a%2Fb?tags=x&tags=y",
    });
    const post = { rest: { method: "POST", path: "/tasks/{task_id}/move" } };
    expect(httpCall(post, { task_id: "t", parent_id: "p" })).toEqual({
      method: "POST",
      path: "/tasks/t/move",
      body: { parent_id: "p" },
    });
    expect(httpCall({ rest: null }, {})).toBeUndefined();
  });

  it("quotes for the shell", () => {
    expect(curl({ method: "POST", path: "/x", body: { a: "it's" } }, "http://h")).toContain("it'\\''s");
  });
});

it("knows what grants cover", () => {
  expect(allows(["tasks:*"], "tasks:write")).toBe(true);
  expect(allows(["*"], "keys:manage")).toBe(true);
  expect(allows(["tasks:read"], "tasks:write")).toBe(false);
});

it("tells times", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  expect(ago("2026-01-01T23:59:58Z", now)).toBe("now");
  expect(ago("2026-01-01T21:00:00Z", now)).toBe("3 hr. ago");
  // Days are counted by midnights of where one is: 35 hours from Saturday night it is Monday.
  const night = new Date(2026, 10, 21, 22);
  expect(ago(new Date(2026, 10, 23, 9), night.getTime())).toBe("in 2 days");
  expect(ago(new Date(2026, 10, 22, 23), night.getTime())).toBe("tomorrow");
  expect(ago(new Date(2026, 10, 20, 20), night.getTime())).toBe("yesterday");
  expect(ago(new Date(2026, 10, 11, 22), night.getTime())).toBe("1 wk. ago");
  expect([0.2, 380, 4200, 59_600, 200_000, 7_500_000].map(duration)).toEqual([
    "< 1 ms",
    "380 ms",
    "4.2 s",
    "1 min",
    "3 min 20 s",
    "2 h 5 min",
  ]);
  expect(minutes(150)).toBe("2 h 30 min");
});

it("names keys", () => {
  const press = (key: string, more = {}) =>
    nameOf({ key, ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...more });
  expect(press("k", { metaKey: true })).toBe("mod+k");
  expect(press("?", { shiftKey: true })).toBe("?");
  expect(press("A", { shiftKey: true })).toBe("shift+a");
  expect(press("ArrowDown")).toBe("down");
});

it("folds JSON", () => {
  const value = { a: { b: { c: 1 } }, list: [] };
  expect(jsonLines(value).map((line) => line.path)).toEqual(["", "/a", "/a/b", "/a/", "/list", "/"]);
  expect(jsonLines(value, new Set(["/a"])).find((line) => line.path === "/a")?.open).toBe(false);
});

it("lays steps along the time of their run", () => {
  const steps = [
    step("late", { started_at: "2026-01-01T00:00:05Z", status: "waiting", kind: "wait@1" }),
    step("first", { started_at: "2026-01-01T00:00:00Z", finished_at: "2026-01-01T00:00:05Z" }),
    step("never"),
  ];
  const rows = bars(steps, "2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z");
  expect(rows.map(({ step: { node }, from, width, waits }) => [node, from, width, waits])).toEqual([
    ["first", 0, 0.5, false],
    ["late", 0.5, 0.5, true],
  ]);
});

it("says of every failure what is safe and what to do", () => {
  for (const [code, status] of [
    ["unreachable", 0],
    ["strange", 500],
    ["odd", 400],
  ] as const) {
    const told = advice(new ApiError({ code, status, title: "T", detail: "D" }));
    expect(told.safe).not.toBe("");
    expect(told.next).not.toBe("");
  }
});

it("finds the expression that failed", () => {
  const file = { nodes: { check: { kind: "set@1", with: { total: "{{ a.b }}" } } } };
  const text = "{{ a.b }}";
  expect(failedExpression(file, { fields: [{ pointer: "/nodes/check/with/total" }] })?.text).toBe(text);
  expect(failedExpression(file, { message: "/nodes/check/with/total: a.b: no such key" })?.text).toBe(text);
  expect(failedExpression(file, { message: "The server answered 500." })).toBeUndefined();
  expect(failedExpression(undefined, null)).toBeUndefined();
});
