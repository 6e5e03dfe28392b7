// Puts effects into the query cache: in place where an event says enough, by asking again where it does not.
import type { InfiniteData, QueryClient, QueryKey } from "@tanstack/react-query";
import type { Page, Run, Step, Task } from "@/api/types";
import { keys } from "../cache";
import { api, take } from "../client";
import { cachedTask, changeTasks, dropTasks, patchTasks, putTasks } from "../tasks-cache";
import type { Effect, StepMark } from "./effects";

/** Lists are asked for again at most this often, however much happens. */
const REFRESH_EVERY_MS = 2_000;
/** Runs that are asked for one by one; above that the newest are asked for together. */
const MAX_SINGLE_RUNS = 8;
/** The largest page of runs that the API gives. */
const MOST_AT_ONCE = 200;

/** Tasks whose dependencies are asked for one by one; above that trees and lists are asked for again. */
const MAX_SINGLE_TASKS = 8;

const FINAL = new Set(["succeeded", "failed", "cancelled"]);

export type RunPages = InfiniteData<Page<Run>, unknown>;

/** Applies one step's news to the steps as cached. */
export function markSteps(steps: Step[], marks: readonly StepMark[], at: string): Step[] {
  const news = new Map(marks.map((mark) => [`${mark.node}\n${mark.path}`, mark]));
  return steps.map((step) => {
    const mark = news.get(`${step.node}\n${step.path}`);
    if (!mark) return step;
    const settled = mark.status === "succeeded" || mark.status === "failed";
    return {
      ...step,
      status: mark.status,
      port: mark.port ?? step.port,
      attempts: Math.max(step.attempts, mark.attempt),
      started_at: step.started_at ?? at,
      finished_at: settled ? at : null,
    };
  });
}

/** Replaces a run in the pages of a list; the same pages if it is not among them. */
export function replaceRun(pages: RunPages, id: string, change: (run: Run) => Run): RunPages {
  if (!pages.pages.some((page) => page.items.some((run) => run.id === id))) return pages;
  const mapped = pages.pages.map((page) => ({
    ...page,
    items: page.items.map((run) => (run.id === id ? change(run) : run)),
  }));
  return { ...pages, pages: mapped };
}

/** Puts the newest state of runs where they stand, and adds none. */
export function renewRuns(pages: RunPages, found: ReadonlyMap<string, Run>): RunPages {
  if (!pages.pages.some((page) => page.items.some((run) => found.has(run.id)))) return pages;
  const mapped = pages.pages.map((page) => ({ ...page, items: page.items.map((run) => found.get(run.id) ?? run) }));
  return { ...pages, pages: mapped };
}

type TaskEffect = Extract<Effect, { do: "put-task" | "patch-task" | "drop-task" }>;

function isOfTask(effect: Effect): effect is TaskEffect {
  return effect.do === "put-task" || effect.do === "patch-task" || effect.do === "drop-task";
}

export class Applier {
  readonly #client: QueryClient;
  readonly #waiting = new Map<string, QueryKey>();
  readonly #runs = new Set<string>();
  readonly #blocked = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last = 0;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  apply(effects: readonly Effect[]) {
    let alike: TaskEffect[] = [];
    for (const effect of effects) {
      if (!isOfTask(effect)) {
        this.#one(effect);
        continue;
      }
      if (alike[0] && alike[0].do !== effect.do) {
        this.#tasks(alike);
        alike = [];
      }
      alike.push(effect);
    }
    this.#tasks(alike);
    if (this.#waiting.size + this.#runs.size + this.#blocked.size > 0) this.#schedule();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#waiting.clear();
    this.#runs.clear();
    this.#blocked.clear();
  }

  /** What follows one another and is alike is done at once: each change of its own would copy whole trees. */
  #tasks(alike: readonly TaskEffect[]) {
    const client = this.#client;
    putTasks(
      client,
      alike.flatMap((effect) => (effect.do === "put-task" ? [effect.task] : [])),
    );
    const news = alike.filter((effect) => effect.do === "patch-task");
    if (news.length > 0 && !patchTasks(client, news)) this.#refresh(keys.tasks());
    const gone = alike.flatMap((effect) => (effect.do === "drop-task" ? [effect.id] : []));
    if (gone.length > 0) dropTasks(client, gone);
  }

  #one(effect: Exclude<Effect, TaskEffect>) {
    const client = this.#client;
    switch (effect.do) {
      case "refresh":
        this.#refresh(effect.key);
        break;
      case "new-run":
        // Lists gather new runs themselves, see `useNews`; short lists such as the home page's are asked for again.
        this.#refresh(["home"]);
        // It may be a trigger's, which then has another turn before it.
        this.#refresh(keys.triggers());
        break;
      case "run":
        this.#refresh(["home"]);
        if (effect.status) this.#runStatus(effect.id, effect.status, effect.at);
        this.#runs.add(effect.id);
        break;
      case "steps":
        client.setQueryData<Step[]>(
          keys.steps(effect.run),
          (steps) => steps && markSteps(steps, effect.marks, effect.at),
        );
        break;
      case "blocked":
        this.#blocked.add(effect.id);
        this.#refresh(["dependencies"]);
        break;
    }
  }

  #runStatus(id: string, status: string, at: string) {
    const change = (run: Run): Run => ({
      ...run,
      status: status as Run["status"],
      finished_at: FINAL.has(status) ? at : run.finished_at,
    });
    this.#client.setQueryData<Run>(keys.run(id), (run) => run && change(run));
    this.#client.setQueriesData<RunPages>({ queryKey: keys.runs() }, (pages) => pages && replaceRun(pages, id, change));
  }

  #refresh(key: QueryKey) {
    this.#waiting.set(JSON.stringify(key), key);
  }

  #schedule() {
    if (this.#timer !== undefined) return;
    const wait = Math.max(50, this.#last + REFRESH_EVERY_MS - Date.now());
    this.#timer = setTimeout(() => this.#flush(), wait);
  }

  #flush() {
    this.#timer = undefined;
    this.#last = Date.now();
    const [waiting, runs, blocked] = [[...this.#waiting.values()], [...this.#runs], [...this.#blocked]];
    this.#waiting.clear();
    this.#runs.clear();
    this.#blocked.clear();
    for (const key of waiting) void this.#client.invalidateQueries({ queryKey: key });
    this.#freshRuns(runs);
    this.#freshBlocked(blocked);
  }

  /** Only those that wait for a task, and it itself, can have become blocked or free. */
  #freshBlocked(ids: string[]) {
    if (ids.length > MAX_SINGLE_TASKS) {
      for (const key of [["tree"], keys.tasks()]) void this.#client.invalidateQueries({ queryKey: key });
    } else for (const id of ids) void this.#fetchBlocked(id);
  }

  async #fetchBlocked(id: string) {
    const ask = (task: string) =>
      take(api.GET("/tasks/{task_id}/dependencies", { params: { path: { task_id: task } } }));
    try {
      const own = await ask(id);
      const known = own.blocks.map((each) => each.task_id).filter((task) => cachedTask(this.#client, task));
      const others = await Promise.all(known.slice(0, MAX_SINGLE_TASKS).map(ask));
      const told = [own, ...others].map(
        ({ task_id, blocked }) => [task_id, (task: Task) => ({ ...task, blocked })] as const,
      );
      changeTasks(this.#client, new Map(told));
    } catch {
      // A task that is gone blocks nobody, and its event says so.
    }
  }

  /** Runs in sight are fetched, for an event does not say whether a run waits or works. */
  #freshRuns(ids: string[]) {
    const listed = new Set(
      this.#client
        .getQueriesData<RunPages>({ queryKey: keys.runs(), type: "active" })
        .flatMap(([, pages]) => pages?.pages.flatMap((page) => page.items.map((run) => run.id)) ?? []),
    );
    const inLists = ids.filter((id) => listed.has(id));
    for (const id of ids) {
      void this.#client.invalidateQueries({ queryKey: keys.run(id) });
      void this.#client.invalidateQueries({ queryKey: keys.steps(id) });
    }
    if (inLists.length > MAX_SINGLE_RUNS) void this.#fetchMany(inLists);
    else for (const id of inLists) void this.#fetchRun(id);
  }

  /** Rows are changed where they stand: to load the lists anew would move them under the reader's eyes. */
  async #fetchMany(ids: string[]) {
    try {
      const newest = await take(api.GET("/runs", { params: { query: { limit: MOST_AT_ONCE } } }));
      const found = new Map(newest.items.map((run) => [run.id, run]));
      this.#client.setQueriesData<RunPages>({ queryKey: keys.runs() }, (pages) => pages && renewRuns(pages, found));
      const left = ids.filter((id) => !found.has(id));
      for (const id of left.slice(0, MAX_SINGLE_RUNS)) void this.#fetchRun(id);
      // The rest is asked for when one comes back to the list; the status of what has ended was told by its event.
      if (left.length > MAX_SINGLE_RUNS)
        void this.#client.invalidateQueries({ queryKey: keys.runs(), refetchType: "none" });
    } catch {
      void this.#client.invalidateQueries({ queryKey: keys.runs(), refetchType: "none" });
    }
  }

  async #fetchRun(id: string) {
    try {
      const run = await take(api.GET("/runs/{run_id}", { params: { path: { run_id: id } } }));
      const brief = { ...run, input: null, output: null };
      this.#client.setQueriesData<RunPages>(
        { queryKey: keys.runs() },
        (pages) => pages && replaceRun(pages, id, () => brief),
      );
    } catch {
      // The list is asked for again anyway when one comes back to it.
    }
  }
}

export type { Task };
