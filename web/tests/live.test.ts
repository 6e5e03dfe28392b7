import { QueryClient } from "@tanstack/react-query";
import { describe, expect, it } from "vitest";
import { keys } from "@/api/cache";
import { markSteps, renewRuns, replaceRun } from "@/api/live/apply";
import { effectsOf } from "@/api/live/effects";
import {
  cachedTask,
  cachedTasks,
  changeTask,
  changeTasks,
  dropTasks,
  patchTasks,
  putTasks,
  type TaskTree,
} from "@/api/tasks-cache";
import { mergeNewest } from "@/lib/pages";
import { event, run, step, task } from "./fixtures";

describe("an event's effects", () => {
  it("tell of a new run and its workflow", () => {
    const effects = effectsOf(event("run.started", "run:r", { data: { workflow: "w", trigger: "start" } }));
    expect(effects).toEqual([{ do: "new-run", id: "r", workflow: "w" }]);
  });

  it("mark the steps that moved on, and pass over words not known", () => {
    const steps = [
      { node: "a", path: "", what: "completed", port: "true", attempt: 2 },
      { node: "b", path: "", what: "vanished", attempt: 1 },
    ];
    const [marks] = effectsOf(event("run.progressed", "run:r", { data: { steps } }));
    expect(marks).toMatchObject({
      do: "steps",
      run: "r",
      marks: [{ node: "a", status: "succeeded", port: "true", attempt: 2 }],
    });
  });

  it("give a finished run its status", () => {
    const [effect] = effectsOf(event("run.finished", "run:r", { data: { status: "failed" } }));
    expect(effect).toMatchObject({ do: "run", id: "r", status: "failed" });
  });

  it("reach the run that an approval is of", () => {
    const effects = effectsOf(event("approval.decided", "approval:a", { data: { run_id: "r" } }));
    expect(effects).toContainEqual({ do: "run", id: "r", at: "2026-01-01T00:00:01Z" });
  });

  it("carry a changed task's fields and revision", () => {
    const changes = { title: { before: "A", after: "B" } };
    const [, effect] = effectsOf(event("task.updated", "task:t", { data: { revision: 3 }, changes }));
    expect(effect).toMatchObject({ do: "patch-task", id: "t", revision: 3, fields: { title: "B" } });
  });

  it("make a whole task of a new one", () => {
    const changes = {
      id: { after: "t" },
      project_id: { after: "p" },
      title: { after: "New" },
      status: { after: "todo" },
    };
    const [, effect] = effectsOf(event("task.created", "task:t", { data: { revision: 1 }, changes }));
    expect(effect).toMatchObject({ do: "put-task", task: { id: "t", project_id: "p", title: "New", parent_id: null } });
  });

  it("ask who is blocked when a task ends or its dependencies change, and not otherwise", () => {
    const told = (changes: object) =>
      effectsOf(event("task.updated", "task:t", { data: { revision: 3 }, changes } as never)).map(
        ({ do: what }) => what,
      );
    expect(told({ status: { before: "todo", after: "done" } })).toContain("blocked");
    expect(told({ blocked_by: { before: [], after: ["x"] } })).toContain("blocked");
    expect(told({ status: { before: "todo", after: "in_progress" } })).not.toContain("blocked");
  });

  it("leave trees alone when somebody comments or logs time", () => {
    for (const kind of ["comment.created", "time.logged", "timer.started"]) {
      const touched = effectsOf(event(kind, "task:t")).map((effect) => "key" in effect && effect.key[0]);
      expect(touched).not.toContain("tree");
      expect(touched).toContain("activity");
    }
  });

  it("ask again for simple lists, and ignore what is not known", () => {
    expect(effectsOf(event("member.added", "member:m"))).toEqual([{ do: "refresh", key: keys.members }]);
    expect(effectsOf(event("moon.rose", "moon:1"))).toEqual([]);
  });
});

it("marks steps in place", () => {
  const before = [step("a"), step("b")];
  const after = markSteps(before, [{ node: "a", path: "", status: "succeeded", attempt: 1 }], "2026-01-01T00:00:02Z");
  expect(after[0]).toMatchObject({ status: "succeeded", attempts: 1, finished_at: "2026-01-01T00:00:02Z" });
  expect(after[1]).toBe(before[1]);
});

it("replaces a run only where it is", () => {
  const pages = { pages: [{ items: [run("a"), run("b")] }], pageParams: [undefined] };
  const after = replaceRun(pages, "b", (each) => ({ ...each, status: "failed" }));
  expect(after.pages[0]?.items.map((each) => each.status)).toEqual(["running", "failed"]);
  expect(replaceRun(pages, "z", (each) => each)).toBe(pages);
  const renewed = renewRuns(
    pages,
    new Map([
      ["b", run("b", { status: "paused" })],
      ["new", run("new")],
    ]),
  );
  expect(renewed.pages.flatMap((page) => page.items.map(({ id }) => id))).toEqual(
    pages.pages.flatMap((page) => page.items.map(({ id }) => id)),
  );
  expect(renewed.pages.flatMap((page) => page.items).find(({ id }) => id === "b")?.status).toBe("paused");
  expect(renewRuns(pages, new Map([["z", run("z")]]))).toBe(pages);
});

describe("cached tasks", () => {
  function filled() {
    const client = new QueryClient();
    const tree: TaskTree = { tasks: new Map([["t", task("t", { revision: 2 })]]), complete: true };
    client.setQueryData(keys.tree("p"), tree);
    client.setQueryData(keys.tasks({}), { pages: [{ items: [task("t", { revision: 2 })] }], pageParams: [undefined] });
    client.setQueryData(keys.task("t"), task("t", { revision: 2 }));
    return client;
  }
  const titles = (client: QueryClient) => {
    const pages = client.getQueryData<{ pages: { items: { title: string }[] }[] }>(keys.tasks({}));
    return [
      client.getQueryData<TaskTree>(keys.tree("p"))?.tasks.get("t")?.title,
      pages?.pages[0]?.items[0]?.title,
      cachedTask(client, "t")?.title,
    ];
  };

  it("are found many at a time, the newest of each", () => {
    const client = filled();
    client.setQueryData(keys.tasks({ other: true }), { pages: [{ items: [task("u")] }], pageParams: [undefined] });
    changeTasks(client, new Map([["t", (known) => ({ ...known, revision: 3 })]]));
    expect(cachedTasks(client, ["u", "t", "nowhere"]).map((each) => [each.id, each.revision])).toEqual([
      ["u", 1],
      ["t", 3],
    ]);
  });

  it("change everywhere at once", () => {
    const client = filled();
    changeTask(client, "t", (each) => ({ ...each, title: "New" }));
    expect(titles(client)).toEqual(["New", "New", "New"]);
  });

  it("take a newer revision and leave an older one", () => {
    const client = filled();
    expect(patchTasks(client, [{ id: "t", fields: { title: "Old news" }, revision: 2 }])).toBe(true);
    expect(titles(client)[0]).toBe("Task t");
    patchTasks(client, [
      { id: "t", fields: { title: "Not yet" }, revision: 3 },
      { id: "t", fields: { title: "News" }, revision: 4 },
    ]);
    expect(titles(client)).toEqual(["News", "News", "News"]);
    expect(patchTasks(client, [{ id: "unknown", fields: {}, revision: 1 }])).toBe(false);
  });

  it("stay as they are, trees and lists too, when nothing is new", () => {
    const client = filled();
    const before = [client.getQueryData(keys.tree("p")), client.getQueryData(keys.tasks({}))];
    patchTasks(client, [{ id: "t", fields: { title: "Old news" }, revision: 2 }]);
    expect([client.getQueryData(keys.tree("p")), client.getQueryData(keys.tasks({}))]).toEqual(before);
    expect(client.getQueryData(keys.tree("p"))).toBe(before[0]);
  });

  it("come and go in the tree", () => {
    const client = filled();
    putTasks(client, [task("n")]);
    dropTasks(client, ["t"]);
    expect([...(client.getQueryData<TaskTree>(keys.tree("p"))?.tasks.keys() ?? [])]).toEqual(["n"]);
  });
});

describe("new rows on top", () => {
  const known = { pages: [{ items: ["b", "c"] }, { items: ["d"] }], pageParams: [undefined, "x"] };

  it("join what is loaded when they meet", () => {
    const merged = mergeNewest(known, { items: ["a", "b"], next_cursor: "y" }, (item) => item);
    expect(merged.pages.map((page) => page.items)).toEqual([["a", "b", "c"], ["d"]]);
  });

  it("stand alone when something is missing in between", () => {
    const merged = mergeNewest(known, { items: ["y", "z"], next_cursor: "n" }, (item) => item);
    expect(merged.pages).toEqual([{ items: ["y", "z"], next_cursor: "n" }]);
  });
});
