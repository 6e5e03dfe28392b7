import { describe, expect, it } from "vitest";
import { isFilteredBy, localOf, matches, momentOf, namedIn } from "@/lib/event-filter";
import { spanOfId, timeOfId } from "@/lib/uuid-time";
import { event } from "./fixtures";

const ID = "01a1ffcf-2d12-711c-9046-698c86228ba9";

describe("an id", () => {
  it("tells when it was made", () => {
    expect(new Date(timeOfId(ID) ?? 0).toISOString()).toBe("2026-11-21T20:32:10.002Z");
    expect(spanOfId(ID, 1_000)).toEqual({ from: "2026-11-21T20:32:09.002Z", until: "2026-11-21T20:32:11.002Z" });
  });

  it("of another version tells nothing", () => {
    expect([timeOfId("5c8f6a3e-7f3b-4a4e-9b7e-0f4f4b8f4b8f"), spanOfId(""), timeOfId("none")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("a filter of events", () => {
  const one = event("task.updated", "task:1", {
    at: "2026-01-01T12:00:00Z",
    actor: { kind: "agent", id: "robot" },
    on_behalf_of: { kind: "user", id: "ada" },
  });

  it("looks at kind, subject, actor and time", () => {
    expect(matches(one, {})).toBe(true);
    expect(["task.*", "run.*,task.updated", "task.created", "run.*"].map((kinds) => matches(one, { kinds }))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(["robot", "ada", "tom"].map((actor) => matches(one, { actor }))).toEqual([true, true, false]);
    expect([matches(one, { subject: "task:1" }), matches(one, { subject: "task:2" })]).toEqual([true, false]);
    expect([matches(one, { from: one.at }), matches(one, { until: one.at })]).toEqual([true, false]);
  });

  it("is none when only the order is asked for", () => {
    expect([isFilteredBy({ oldest: true }), isFilteredBy({ actor: "ada" })]).toEqual([false, true]);
  });

  it("has moments that stand in a form's field", () => {
    const at = "2026-11-21T20:32:00.000Z";
    expect(momentOf(localOf(at))).toBe(at);
    expect([localOf(undefined), momentOf(""), momentOf("soon")]).toEqual(["", undefined, undefined]);
  });
});

it("the runs and patch sets of a story are named once each", () => {
  const story = [
    event("run.started", "run:1"),
    event("run.finished", "run:1"),
    event("patch_set.applied", "patch_set:2"),
  ];
  expect([namedIn(story, "run"), namedIn(story, "patch_set")]).toEqual([["1"], ["2"]]);
});
