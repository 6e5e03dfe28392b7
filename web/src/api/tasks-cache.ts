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

function mapPages(pages: TaskPages, change: (items: Task[]) => Task[]): TaskPages {
  return { ...pages, pages: pages.pages.map((page) => ({ ...page, items: change(page.items) })) };
}

function has(pages: TaskPages, id: string): boolean {
  return pages.pages.some((page) => page.items.some((task) => task.id === id));
}

/** Changes a task wherever it is cached. */
export function changeTask(client: QueryClient, id: string, change: (task: Task) => Task) {
  client.setQueryData<Task>(keys.task(id), (task) => task && change(task));
  client.setQueriesData<TaskPages>({ queryKey: keys.tasks() }, (pages) =>
    pages && has(pages, id)
      ? mapPages(pages, (items) => items.map((task) => (task.id === id ? change(task) : task)))
      : pages,
  );
  client.setQueriesData<TaskTree>({ queryKey: ["tree"] }, (tree) => {
    const task = tree?.tasks.get(id);
    if (!tree || !task) return tree;
    return { ...tree, tasks: new Map(tree.tasks).set(id, change(task)) };
  });
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

/** Takes what an event says; what is as new already stays. False if the task is not cached. */
export function patchTask(client: QueryClient, id: string, fields: Partial<Task>, revision: number): boolean {
  const known = cachedTask(client, id);
  if (!known) return false;
  changeTask(client, id, (task) => (task.revision >= revision ? task : { ...task, ...fields, revision }));
  return true;
}

/** A task that is new to the trees. */
export function putTask(client: QueryClient, task: Task) {
  client.setQueryData<TaskTree>(keys.tree(task.project_id), (tree) => {
    if (!tree || (tree.tasks.get(task.id)?.revision ?? 0) >= task.revision) return tree;
    return { ...tree, tasks: new Map(tree.tasks).set(task.id, task) };
  });
}

export function dropTask(client: QueryClient, id: string) {
  client.setQueriesData<TaskTree>({ queryKey: ["tree"] }, (tree) => {
    if (!tree?.tasks.has(id)) return tree;
    const tasks = new Map(tree.tasks);
    tasks.delete(id);
    return { ...tree, tasks };
  });
  client.setQueriesData<TaskPages>({ queryKey: keys.tasks() }, (pages) =>
    pages && has(pages, id) ? mapPages(pages, (items) => items.filter((task) => task.id !== id)) : pages,
  );
}
