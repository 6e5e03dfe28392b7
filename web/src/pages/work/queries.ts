import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { usePages } from "@/api/lists";
import type { TaskTree } from "@/api/tasks-cache";
import type { Project, Task } from "@/api/types";
import { ALL, type ProjectsSearch, type TasksSearch } from "./route";

const PAGE = 200;

export function useProjects(filter: ProjectsSearch) {
  return usePages<Project>({
    queryKey: [...keys.projects, filter],
    fetch: (cursor, signal) =>
      take(api.GET("/projects", { params: { query: { ...filter, cursor, limit: 100 } }, signal })),
  });
}

export function useProject(id: string) {
  return useQuery({
    queryKey: keys.project(id),
    queryFn: ({ signal }) => take(api.GET("/projects/{project_id}", { params: { path: { project_id: id } }, signal })),
    enabled: id !== ALL,
  });
}

/** The tasks as a table: filtered and sorted by the server. */
export function useTaskTable(project: string, filter: TasksSearch, enabled: boolean) {
  const { view: _, status, priority, ...rest } = filter;
  const query = {
    ...rest,
    status: status && [status],
    priority: priority && [priority],
    project_id: project === ALL ? undefined : project,
  };
  return usePages<Task>({
    queryKey: keys.tasks(query),
    fetch: (cursor, signal) =>
      take(api.GET("/tasks", { params: { query: { ...query, cursor, limit: PAGE } }, signal })),
    enabled,
  });
}

/**
 * All tasks of a project, for its tree. They come page by page and are shown as they come, so that twenty thousand of
 * them neither keep one waiting nor hold up the page in one piece.
 */
export function useTaskTree(project: string, enabled: boolean) {
  const client = useQueryClient();
  return useQuery({
    queryKey: keys.tree(project),
    queryFn: ({ signal }) => loadTree(client, project, signal),
    enabled,
    // The stream keeps it up to date; loading thousands again would be a waste.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

async function loadTree(client: QueryClient, project: string, signal: AbortSignal): Promise<TaskTree> {
  const key = keys.tree(project);
  const first = client.getQueryData<TaskTree>(key) === undefined;
  const loaded = new Map<string, Task>();
  let cursor: string | undefined;
  do {
    const query = { project_id: project, sort: "created_at", limit: PAGE, cursor };
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
