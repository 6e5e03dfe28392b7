// The columns of a board: from the whole tree of a project, or page by page where there is no one tree.
import { useMemo } from "react";
import type { Task, TaskStatus } from "@/api/types";
import { byPlace } from "@/lib/position";
import { fitter, TASK_STATUSES } from "@/lib/task-filter";
import { inSight, type TaskMap } from "@/lib/tree";
import { listQuery, useTaskPages, useTaskTree } from "./queries";
import { ALL, type TasksSearch } from "./route";

export interface BoardColumns {
  columns: { status: TaskStatus; tasks: Task[]; more?: { has: boolean; busy: boolean; load: () => void } }[];
  /** All that are known, by which parents are named. */
  tasks: TaskMap;
  loading: boolean;
  error: unknown;
  retry: () => void;
}

const NO_TASKS: TaskMap = new Map();

export function useColumns(project: string, filter: TasksSearch): BoardColumns {
  const whole = project !== ALL && !filter.search;
  const archive = filter.archived !== undefined;
  const tree = useTaskTree(project, archive, whole);
  const paged = usePaged(project, filter, !whole);
  const loaded = tree.data?.tasks ?? NO_TASKS;
  const tasks = useMemo(
    () => (whole ? inSight(loaded, project, archive) : paged.tasks),
    [whole, loaded, project, archive, paged.tasks],
  );
  const groups = useMemo(() => {
    // The server has filtered what comes by pages.
    const fits = whole ? fitter(filter) : undefined;
    const found = new Map<TaskStatus, Task[]>(TASK_STATUSES.map((status) => [status, []]));
    for (const task of tasks.values()) if (!fits || fits(task)) found.get(task.status)?.push(task);
    for (const list of found.values()) list.sort(byPlace);
    return found;
  }, [whole, tasks, filter]);
  const wanted = filter.status?.split(",");
  return {
    columns: TASK_STATUSES.filter((status) => !wanted || wanted.includes(status)).map((status) => ({
      status,
      tasks: groups.get(status) ?? [],
      more: whole ? undefined : paged.more[status],
    })),
    tasks,
    loading: whole ? tree.isPending : paged.loading,
    error: whole ? (tree.data ? null : tree.error) : paged.error,
    retry: () => (whole ? void tree.refetch() : paged.retry()),
  };
}

/** One list for each status. A card that was just dropped stands in its new column before the lists know of it. */
function usePaged(project: string, filter: TasksSearch, enabled: boolean) {
  const of = (status: TaskStatus) => ({ ...listQuery(project, { ...filter, status }), sort: "position" });
  const on = (status: TaskStatus) => enabled && (!filter.status || filter.status.split(",").includes(status));
  const lists = {
    todo: useTaskPages(of("todo"), on("todo")),
    in_progress: useTaskPages(of("in_progress"), on("in_progress")),
    blocked: useTaskPages(of("blocked"), on("blocked")),
    done: useTaskPages(of("done"), on("done")),
    cancelled: useTaskPages(of("cancelled"), on("cancelled")),
  };
  const { todo, in_progress, blocked, done, cancelled } = lists;
  const [first, second, third, fourth, fifth] = TASK_STATUSES.map((status) => lists[status].items);
  const tasks = useMemo(() => {
    const all = [first, second, third, fourth, fifth].flatMap((items) => items ?? []);
    return new Map(all.map((task) => [task.id, task]));
  }, [first, second, third, fourth, fifth]);
  const asked = TASK_STATUSES.filter(on).map((status) => lists[status]);
  return {
    tasks,
    more: {
      todo: todo.more,
      in_progress: in_progress.more,
      blocked: blocked.more,
      done: done.more,
      cancelled: cancelled.more,
    },
    loading: asked.some((list) => list.query.isPending),
    error: asked.find((list) => list.query.error && list.items.length === 0)?.query.error ?? null,
    retry: () => {
      for (const list of asked) void list.query.refetch();
    },
  };
}
