import { describe, expect, it } from "vitest";
import { gapAt, slotAt } from "@/lib/board";
import { deletionOf, isEmptyChange, setOf, summaryOf } from "@/lib/bulk";
import { excerpt, folded, marked } from "@/lib/found-text";
import { countOf, dayLists } from "@/lib/my-day";
import { between, isPlace } from "@/lib/position";
import { inUnit, newRule, ordinal, ruleInWords, withWeekday } from "@/lib/recurrence";
import {
  addressOf,
  apiFilter,
  fitter,
  inWords,
  isAt,
  isFiltered,
  NO_FILTER,
  readFilter,
  sameFilter,
} from "@/lib/task-filter";
import { clock, dayOf, readMinutes } from "@/lib/work-time";
import { wordOf } from "@/ui/Status";
import { task } from "./fixtures";

describe("places", () => {
  it("lie between their neighbours, as the server would choose them", () => {
    expect(between(undefined, undefined)).toBe("5");
    expect(between("5", undefined)).toBe("7");
    expect(between(undefined, "5")).toBe("2");
    expect(between("5", "6")).toBe("55");
    expect(between("2", "21")).toBe("205");
    expect(between("19", "2")).toBe("195");
  });

  it("leave room however often one goes to the same spot", () => {
    let [low, high] = ["5", "6"];
    for (let times = 0; times < 200; times++) {
      const middle = between(low, high);
      expect(isPlace(middle) && low < middle && middle < high, `${low} < ${middle} < ${high}`).toBe(true);
      if (times % 2) low = middle;
      else high = middle;
    }
  });

  it("stand last when two neighbours share one place, or have none", () => {
    expect(between("5", "5") > "5").toBe(true);
    expect(isPlace(between("", ""))).toBe(true);
    expect(isPlace("50")).toBe(false);
  });
});

describe("a filter", () => {
  it("is read from the address, and what cannot be understood is left out", () => {
    const read = readFilter({
      status: "todo,flying,done",
      due: "someday",
      blocked: "true",
      text: 42,
      priority: "high",
    });
    expect(read).toEqual({ ...NO_FILTER, status: "todo,done", blocked: true, text: "42", priority: "high" });
    expect(isFiltered(read)).toBe(true);
    expect(isFiltered(readFilter({ view: "board" }))).toBe(false);
  });

  it("goes to the API and comes back from a saved one", () => {
    const search = readFilter({ status: "todo,blocked", tags: "bug,ui", due: "today", assignee: "Ines" });
    const saved = apiFilter(search, "p");
    expect(saved).toMatchObject({ status: ["todo", "blocked"], tags: ["bug", "ui"], due: "today", project_id: "p" });
    expect("text" in saved).toBe(false);
    expect(sameFilter(addressOf(saved), search)).toBe(true);
  });

  it("is told in words", () => {
    const search = readFilter({ status: "todo,in_progress", priority: "high", due: "this_week", tag: "bug" });
    expect(inWords(search, wordOf)).toBe("to do or in progress, high priority, tagged bug, due this week");
  });

  it("is applied in the browser as by the server", () => {
    const now = new Date(2026, 2, 4, 12, 0);
    const at = (days: number, hour = 12) => new Date(2026, 2, 4 + days, hour).toISOString();
    const due = (date: string | null, status = "todo" as const) => task("t", { due_date: date, status });
    const is = (date: string | null, when: Parameters<typeof isAt>[2]) => isAt(due(date), "due_date", when, now);
    expect([is(at(0, 9), "overdue"), is(at(0, 9), "today"), is(at(1), "tomorrow")]).toEqual([true, true, true]);
    // It is a Wednesday: Monday to Sunday.
    expect([is(at(-2), "this_week"), is(at(4), "this_week"), is(at(5), "this_week")]).toEqual([true, true, false]);
    expect([is(at(6), "next_7_days"), is(at(7), "next_7_days")]).toEqual([true, false]);
    expect([is(null, "none"), is(null, "any"), is(at(9), "any")]).toEqual([true, false, true]);
    expect(isAt(task("t", { due_date: at(-1), status: "done" }), "due_date", "overdue", now)).toBe(false);
    const fits = fitter(readFilter({ tag: "bug", text: "EXPORT" }), now);
    expect(fits?.(task("t", { tags: ["bug"], description: "The export breaks" }))).toBe(true);
    expect(fits?.(task("t", { tags: [], title: "Export" }))).toBe(false);
    expect(fitter(NO_FILTER)).toBeUndefined();
  });
});

describe("what was found", () => {
  const hits = (text: string, query: string) =>
    marked(text, query)
      .filter((part) => part.hit)
      .map((part) => part.text);

  it("is marked without regard to case and accents", () => {
    expect(hits("Café in the Straße", "cafe strasse")).toEqual(["Café", "Straße"]);
    expect(folded("ÉTÉ")).toBe("ete");
  });

  it("is marked as far as the last word was typed", () => {
    expect(hits("Exports that export", "exp")).toEqual(["Exp", "exp"]);
    expect(hits("Exports that export", "export that")).toEqual(["that", "export"]);
    expect(marked("Nothing", "else")).toEqual([{ text: "Nothing", hit: false }]);
  });

  it("is cut out of long texts", () => {
    const long = `${"word ".repeat(60)}needle ${"word ".repeat(60)}`;
    const parts = excerpt(long, "needle") ?? [];
    expect(parts.map((part) => part.text).join("")).toMatch(/^… .*needle.* …$/);
    expect(parts.find((part) => part.hit)?.text).toBe("needle");
    expect(excerpt(long, "pin")).toBeUndefined();
    const set = excerpt("### What\n\n- the **needle** and `hay`", "needle") ?? [];
    expect(set.map((part) => part.text).join("")).toBe("What the needle and hay");
  });
});

describe("time", () => {
  it("is read as people type it", () => {
    expect(["90", "1:30", "1h 30m", "1.5 h", "2h", "45 min", "soon", ""].map(readMinutes)).toEqual([
      90,
      90,
      90,
      90,
      120,
      45,
      undefined,
      undefined,
    ]);
  });

  it("runs", () => {
    expect([7_000, 125_000, 3_765_000].map(clock)).toEqual(["0:07", "2:05", "1:02:45"]);
    expect(dayOf(new Date(2026, 2, 4))).toBe("2026-03-04");
  });
});

describe("a rule", () => {
  it("is told in words", () => {
    const weekly = withWeekday(withWeekday({ ...newRule("week"), every: 2 }, "fri", true), "mon", true);
    expect(ruleInWords(weekly)).toBe("every 2 weeks on Monday and Friday");
    expect(ruleInWords({ ...newRule("month"), month_day: 31, from: "completion" })).toBe(
      "every month on the 31st, from when it is done",
    );
    expect([1, 2, 3, 4, 11, 12, 13, 22].map(ordinal).join(" ")).toBe("1st 2nd 3rd 4th 11th 12th 13th 22nd");
  });

  it("forgets what belongs to another unit", () => {
    const weekly = withWeekday(newRule("week"), "mon", true);
    expect("weekdays" in inUnit(weekly, "day")).toBe(false);
    expect("weekdays" in withWeekday(weekly, "mon", false)).toBe(false);
  });
});

describe("a card", () => {
  const cards = ["2", "4", "6"].map((position) => task(`at ${position}`, { position }));

  it("goes between two others, itself left aside", () => {
    expect(gapAt(cards, [], 1)).toEqual(["2", "4"]);
    expect(gapAt(cards, [], 0)).toEqual([undefined, "2"]);
    expect(gapAt(cards, [], 3)).toEqual(["6", undefined]);
    expect(gapAt(cards, cards.slice(0, 1), 2)).toEqual(["4", "6"]);
    expect(gapAt(cards, cards.slice(1, 2), 1)).toEqual(["2", "6"]);
  });

  it("goes where the pointer is", () => {
    expect([0, 40, 60, 500].map((offset) => slotAt(offset, 100, 3))).toEqual([0, 0, 1, 3]);
  });
});

describe("a change of many", () => {
  const [a, b] = [task("a", { tags: ["wood"] }), task("b", { tags: ["wood", "new"], parent_id: "a" })];

  it("becomes a patch for each that it touches", () => {
    const { task_patches } = setOf([a, b], [a], { status: "done", addTags: ["new"], dropTags: ["wood"] });
    expect(task_patches).toEqual([
      { op: "update", task_id: "a", body: { status: "done", tags: ["new"] } },
      { op: "update", task_id: "b", body: { status: "done", tags: ["new"] } },
    ]);
    expect(setOf([a, b], [a], { addTags: ["wood"] }).task_patches).toEqual([]);
    expect(isEmptyChange({ addTags: [] })).toBe(true);
  });

  it("moves only what is not moved with its parent", () => {
    const { task_patches } = setOf([a, b], [a], { home: { project: "q", parent: null } });
    expect(task_patches).toEqual([{ op: "update", task_id: "a", body: {}, project_id: "q", parent_id: null }]);
    expect(deletionOf([a]).task_patches).toEqual([{ op: "delete", task_id: "a" }]);
  });

  it("is summed up", () => {
    const change = (op: "create" | "update" | "delete", diff: object) => ({
      kind: "task",
      id: "x",
      op,
      revision: 2,
      diff,
    });
    const some = [
      change("update", { status: {}, updated_at: {} }),
      change("update", { status: {}, due_date: {} }),
      change("create", {}),
    ];
    expect(summaryOf(some as never)).toBe(
      "2 tasks change: status of 2, due date of 1. 1 task is made, as they come again.",
    );
    expect(summaryOf([change("delete", {})] as never)).toBe("1 task goes into the trash.");
    expect(summaryOf([])).toMatch(/^Nothing would change/);
  });
});

it("shows each task of a day once, where it presses most", () => {
  const [a, b, c] = [task("a"), task("b"), task("c", { status: "done" })];
  const lists = dayLists({ overdue: [a, c], today: [a, b], scheduled: [b], busy: [a] });
  expect(
    [lists.overdue, lists.today, lists.scheduled, lists.busy].map((list) => list.map((each) => each.id).join()),
  ).toEqual(["a", "b", "", ""]);
  expect(countOf(lists)).toBe(2);
});
