import { keepPreviousData, type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import { useMay } from "@/api/session";
import type { TaskTree } from "@/api/tasks-cache";
import type { Activity, Comment, Project, Query, Task, TimeEntry, TrashGroup } from "@/api/types";
import { apiFilter } from "@/lib/task-filter";
import { ALL, type ProjectsSearch, type TasksSearch } from "./route";

const PAGE = 200;
/** Beside a task, where nobody reads hundreds at once. */
const SHORT_PAGE = 30;

export function useProjects(filter: ProjectsSearch) {
  return usePages<Project>({
    queryKey: [...keys.projects, filter],
    fetch: (cursor, signal) =>
      take(api.GET("/projects", { params: { query: { ...filter, cursor, limit: 100 } }, signal })),
  });
}

/** The projects to choose from. */
export function useAllProjects() {
  const may = useMay();
  return useQuery({
    queryKey: [...keys.projects, "palette"],
    queryFn: ({ signal }) => take(api.GET("/projects", { params: { query: { limit: PAGE } }, signal })),
    enabled: may("projects:read"),
  });
}

export function useProject(id: string) {
  return useQuery({
    queryKey: keys.project(id),
    queryFn: ({ signal }) => take(api.GET("/projects/{project_id}", { params: { path: { project_id: id } }, signal })),
    enabled: id !== ALL,
  });
}

/** Tasks filtered and sorted by the server. */
export function useTaskPages(query: Query<"tasks_list">, enabled = true) {
  return usePages<Task>({
    queryKey: keys.tasks(query),
    fetch: (cursor, signal) =>
      take(api.GET("/tasks", { params: { query: { limit: PAGE, ...query, cursor } }, signal })),
    enabled,
  });
}

/** What `tasks.list` is asked for by an address. */
export function listQuery(project: string, filter: TasksSearch): Query<"tasks_list"> {
  const own = apiFilter(filter, project === ALL ? undefined : project);
  return { ...(own as Query<"tasks_list">), sort: filter.sort };
}

/** The tasks right below one, in their order. */
export function useBelow(task: string) {
  return useTaskPages({ parent_id: task, archived: "included", sort: "position", limit: SHORT_PAGE });
}

/**
 * All tasks of a project, for its tree. They come page by page and are shown as they come, so that twenty thousand of
 * them neither keep one waiting nor hold up the page in one piece.
 */
export function useTaskTree(project: string, archive: boolean, enabled: boolean) {
  const client = useQueryClient();
  return useQuery({
    queryKey: [...keys.tree(project), archive ? "all" : "in sight"],
    queryFn: ({ signal, queryKey }) => loadTree(client, queryKey, { project, archive }, signal),
    enabled,
    // The stream keeps it up to date; loading thousands again would be a waste.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

async function loadTree(
  client: QueryClient,
  key: readonly unknown[],
  { project, archive }: { project: string; archive: boolean },
  signal: AbortSignal,
): Promise<TaskTree> {
  const first = client.getQueryData<TaskTree>(key) === undefined;
  const loaded = new Map<string, Task>();
  const archived = archive ? ("included" as const) : undefined;
  let cursor: string | undefined;
  do {
    const query = { project_id: project, archived, sort: "created_at", limit: PAGE, cursor };
    const page = await take(api.GET("/tasks", { params: { query }, signal }));
    for (const task of page.items) loaded.set(task.id, task);
    cursor = page.next_cursor ?? undefined;
    if (first && cursor) client.setQueryData<TaskTree>(key, (now) => ({ tasks: newer(loaded, now), complete: false }));
  } while (cursor);
  return { tasks: newer(loaded, client.getQueryData<TaskTree>(key)), complete: true };
}

/** What events brought while pages were on their way is newer than the pages. */
function newer(loaded: ReadonlyMap<string, Task>, now: TaskTree | undefined): Map<string, Task> {
  const merged = new Map(loaded);
  if (!now) return merged;
  for (const [id, task] of loaded) {
    const known = now.tasks.get(id);
    if (known && known.revision > task.revision) merged.set(id, known);
  }
  return merged;
}

export function useTask(id: string) {
  return useQuery({
    queryKey: keys.task(id),
    queryFn: ({ signal }) => take(api.GET("/tasks/{task_id}", { params: { path: { task_id: id } }, signal })),
  });
}

export function useDependencies(id: string, enabled = true) {
  return useQuery({
    queryKey: keys.dependencies(id),
    queryFn: ({ signal }) =>
      take(api.GET("/tasks/{task_id}/dependencies", { params: { path: { task_id: id } }, signal })),
    enabled,
  });
}

export function useComments(task: string) {
  return usePages<Comment>({
    queryKey: keys.comments(task),
    fetch: (cursor, signal) => {
      const query = { newest_first: true, limit: SHORT_PAGE, cursor };
      return take(api.GET("/tasks/{task_id}/comments", { params: { path: { task_id: task }, query }, signal }));
    },
  });
}

export function useActivity(task: string) {
  return usePages<Activity>({
    queryKey: keys.activity(task),
    fetch: (cursor, signal) => {
      const query = { limit: SHORT_PAGE, cursor };
      return take(api.GET("/tasks/{task_id}/activity", { params: { path: { task_id: task }, query }, signal }));
    },
  });
}

export function useTimeSums(task: string) {
  return useQuery({
    queryKey: keys.taskTime(task),
    queryFn: ({ signal }) => take(api.GET("/tasks/{task_id}/time", { params: { path: { task_id: task } }, signal })),
  });
}

export function useLogged(task: string) {
  return usePages<TimeEntry>({
    queryKey: [...keys.taskTime(task), "entries"],
    fetch: (cursor, signal) => {
      const query = { task_id: task, limit: SHORT_PAGE, cursor };
      return take(api.GET("/time", { params: { query }, signal }));
    },
  });
}

/** Tasks by words, those before shown until the next are there; nothing is asked without a word. */
export function useFound(query: Query<"tasks_search">, enabled = true) {
  return useQuery({
    queryKey: keys.found(query),
    queryFn: ({ signal }) => take(api.GET("/tasks/search", { params: { query }, signal })),
    enabled: enabled && /[\p{L}\p{N}]/u.test(query.query),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });
}

export function useSavedFilters() {
  const may = useMay();
  return useQuery({
    queryKey: keys.filters,
    queryFn: ({ signal }) => take(api.GET("/filters", { params: { query: { limit: PAGE } }, signal })),
    enabled: may("tasks:read"),
  });
}

export function useTrash() {
  return usePages<TrashGroup>({
    queryKey: keys.trash,
    fetch: (cursor, signal) => take(api.GET("/trash", { params: { query: { limit: 50, cursor } }, signal })),
  });
}

/** A value once it has stayed the same for a while. */
export function useLater<T>(value: T, ms: number): T {
  const [later, setLater] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setLater(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return later;
}
