// A task may be cached in a tree, in lists and by itself; a change reaches all of them, or is taken back from all.
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import { keys } from "./cache";
import type { Page, Task } from "./types";

export interface TaskTree {
  tasks: ReadonlyMap<string, Task>;
  /** Whether every page has come. */
  complete: boolean;
}

type TaskPages = InfiniteData<Page<Task>, unknown>;
type Change = (task: Task) => Task;

function mapPages(pages: TaskPages, change: (items: Task[]) => Task[]): TaskPages {
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: change(page.items) })) };
}

/** The same pages if nothing of them changes, so that nothing is drawn again. */
function changedPages(pages: TaskPages, apply: Change): TaskPages {
  const differs = pages.pages.some((page) => page.items.some((task) => apply(task) !== task));
  return differs ? mapPages(pages, (items) => items.map(apply)) : pages;
}

function has(pages: TaskPages, ids: { has: (id: string) => boolean }): boolean {
  return pages.pages.some((page) => page.items.some((task) => ids.has(task.id)));
}

/** Changes tasks wherever they are cached, each list and tree once: many at a time cost no more than one. */
export function changeTasks(client: QueryClient, changes: ReadonlyMap<string, Change>) {
  if (changes.size === 0) return;
  const apply = (task: Task) => changes.get(task.id)?.(task) ?? task;
  for (const id of changes.keys()) client.setQueryData<Task>(keys.task(id), (task) => task && apply(task));
  client.setQueriesData<TaskPages>({ queryKey: keys.tasks() }, (pages) => pages && changedPages(pages, apply));
  client.setQueriesData<TaskTree>({ queryKey: ["tree"] }, (tree) => {
    const changed = [...changes.keys()].flatMap((id) => {
      const task = tree?.tasks.get(id);
      const after = task && apply(task);
      return after && after !== task ? [after] : [];
    });
    if (!tree || changed.length === 0) return tree;
    const tasks = new Map(tree.tasks);
    for (const task of changed) tasks.set(task.id, task);
    return { ...tree, tasks };
  });
}

/** Changes a task wherever it is cached. */
export function changeTask(client: QueryClient, id: string, change: Change) {
  changeTasks(client, new Map([[id, change]]));
}

/** The task as cached anywhere. */
export function cachedTask(client: QueryClient, id: string): Task | undefined {
  const single = client.getQueryData<Task>(keys.task(id));
  if (single) return single;
  for (const [, tree] of client.getQueriesData<TaskTree>({ queryKey: ["tree"] })) {
    const task = tree?.tasks.get(id);
    if (task) return task;
  }
  for (const [, pages] of client.getQueriesData<TaskPages>({ queryKey: keys.tasks() })) {
    const task = pages?.pages.flatMap((page) => page.items).find((item) => item.id === id);
    if (task) return task;
  }
  return undefined;
}

/** Many tasks as cached anywhere, in the order of their ids; lists are looked through once, not for each. */
export function cachedTasks(client: QueryClient, ids: Iterable<string>): Task[] {
  const trees = client.getQueriesData<TaskTree>({ queryKey: ["tree"] }).map(([, tree]) => tree?.tasks);
  const lists = client.getQueriesData<TaskPages>({ queryKey: keys.tasks() }).flatMap(([, pages]) => pages?.pages ?? []);
  const listed = new Map(lists.flatMap((page) => page.items.map((task) => [task.id, task] as const)));
  const found: Task[] = [];
  for (const id of ids) {
    let task = listed.get(id);
    for (const other of [client.getQueryData<Task>(keys.task(id)), ...trees.map((tree) => tree?.get(id))]) {
      if (other && other.revision >= (task?.revision ?? 0)) task = other;
    }
    if (task) found.push(task);
  }
  return found;
}

export interface TaskPatchNews {
  id: string;
  fields: Partial<Task>;
  revision: number;
}

/** Takes what events say; what is as new already stays. False if one of the tasks is not cached. */
export function patchTasks(client: QueryClient, news: readonly TaskPatchNews[]): boolean {
  const changes = new Map<string, Change>();
  for (const { id, fields, revision } of news) {
    const before = changes.get(id);
    changes.set(id, (task) => {
      const now = before ? before(task) : task;
      return now.revision >= revision ? now : { ...now, ...fields, revision };
    });
  }
  const known = cachedTasks(client, changes.keys()).length;
  changeTasks(client, changes);
  return known === changes.size;
}

/** Tasks that may be new to the trees of their projects; what a tree knows newer stays. */
export function putTasks(client: QueryClient, tasks: readonly Task[]) {
  for (const project of new Set(tasks.map((task) => task.project_id))) {
    const own = tasks.filter((task) => task.project_id === project);
    client.setQueriesData<TaskTree>({ queryKey: keys.tree(project) }, (tree) => {
      const fresh = own.filter((task) => (tree?.tasks.get(task.id)?.revision ?? 0) < task.revision);
      if (!tree || fresh.length === 0) return tree;
      const all = new Map(tree.tasks);
      for (const task of fresh) all.set(task.id, task);
      return { ...tree, tasks: all };
    });
  }
}

export function dropTasks(client: QueryClient, ids: readonly string[]) {
  const gone = new Set(ids);
  client.setQueriesData<TaskTree>({ queryKey: ["tree"] }, (tree) => {
    if (!tree || !ids.some((id) => tree.tasks.has(id))) return tree;
    const tasks = new Map(tree.tasks);
    for (const id of gone) tasks.delete(id);
    return { ...tree, tasks };
  });
  client.setQueriesData<TaskPages>({ queryKey: keys.tasks() }, (pages) =>
    pages && has(pages, gone) ? mapPages(pages, (items) => items.filter((task) => !gone.has(task.id))) : pages,
  );
}
