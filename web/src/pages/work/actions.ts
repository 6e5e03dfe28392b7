// Changing tasks: shown at once, sent as a patch set, taken back with the reason when it is refused.
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { type ApiError, asApiError } from "@/api/problem";
import { cachedTask, cachedTasks, changeTasks, dropTasks, putTasks, type TaskTree } from "@/api/tasks-cache";
import type { Dependencies, PatchResult, PatchSet, Task, TaskFields, TaskPatch } from "@/api/types";
import { begun, offerUndo, takeIn } from "@/app/undo";
import { between } from "@/lib/position";
import { gapBeside, type Target } from "@/lib/tree";
import { wordOf } from "@/ui/Status";
import { toastError } from "@/ui/toasts";

export type { TaskFields } from "@/api/types";

/** The server takes no more patches in one set. */
export const MOST_PATCHES = 500;

/** The places that something goes between; either may be open. */
export type Gap = [low: string | undefined, high: string | undefined];

/** The last change of one's own to a task that is still under way. */
const underWay = new Map<string, Promise<unknown>>();

/** Does something with tasks once what was begun with them before is through, so that it comes to the server in order. */
async function inTurn<T>(tasks: readonly Task[], work: (waited: boolean) => Promise<T>): Promise<T> {
  const earlier = tasks.map((task) => underWay.get(task.id)).filter((each) => each !== undefined);
  const done = earlier.length ? Promise.allSettled(earlier).then(() => work(true)) : work(false);
  for (const task of tasks) underWay.set(task.id, done);
  try {
    return await done;
  } finally {
    for (const task of tasks) if (underWay.get(task.id) === done) underWay.delete(task.id);
  }
}

export async function applySet(set: PatchSet): Promise<PatchResult> {
  return take(api.POST("/patches", { body: set }));
}

/** What is shown of a task before the server has said so. */
type Shown = Partial<Task>;

/** The fields of a patch as the row will have them. */
function shownOf(fields: TaskFields): Shown {
  const { archived, ...rest } = fields;
  const away = archived ? new Date().toISOString() : null;
  return { ...(rest as Shown), ...(archived === undefined || archived === null ? {} : { archived_at: away }) };
}

/** Puts fields into what is shown; answers what was shown before. */
function show(client: QueryClient, tasks: readonly Task[], fields: ReadonlyMap<string, Shown>): Task[] {
  const ids = tasks.map((task) => task.id);
  const cached = new Map(cachedTasks(client, ids).map((task) => [task.id, task]));
  const before = tasks.map((task) => cached.get(task.id) ?? task);
  const changes = tasks.map((task) => [task.id, (known: Task) => ({ ...known, ...fields.get(task.id) })] as const);
  changeTasks(client, new Map(changes));
  return before;
}

/** Shows what was there before, unless something newer came meanwhile. */
function takeBack(client: QueryClient, before: readonly Task[]) {
  const changes = before.map((task) => [task.id, (now: Task) => (now.revision > task.revision ? now : task)] as const);
  changeTasks(client, new Map(changes));
  for (const task of before) void client.invalidateQueries({ queryKey: keys.task(task.id) });
}

/** A refused change; one that was too late is shown against the present state and may be made anyway. */
async function refused(client: QueryClient, error: unknown, what: string, again: () => void) {
  const stale = asApiError(error).status === 412;
  if (stale) await client.invalidateQueries({ queryKey: ["tree"] });
  toastError(what, error, stale ? { label: "Make it anyway", run: again } : undefined);
}

/**
 * The present revision of a task, if what changed since it was seen is none of the fields that are to be set: who logs
 * time, or moves it elsewhere, does not stand in the way of who gives it another status.
 */
async function unchanged(task: Task, fields: Shown): Promise<number | undefined> {
  const now = await take(api.GET("/tasks/{task_id}", { params: { path: { task_id: task.id } } }));
  const names = Object.keys(fields) as (keyof Task)[];
  return names.every((name) => JSON.stringify(now[name]) === JSON.stringify(task[name])) ? now.revision : undefined;
}

interface Change {
  tasks: readonly Task[];
  /** The same for all, or each by its task. */
  patches: (task: Task, index: number) => Omit<TaskPatch, "op" | "task_id" | "expected_revision">;
  shown: (task: Task, index: number) => Shown;
  label: string;
  failed: string;
}

/**
 * Changes tasks as one set. It is shown at once, and sent when one's own changes before it are through: held against
 * the revision from before those, it would be refused.
 */
async function change(client: QueryClient, wanted: Change): Promise<boolean> {
  const tasks = wanted.tasks.slice(0, MOST_PATCHES);
  const fields = new Map(tasks.map((task, index) => [task.id, wanted.shown(task, index)]));
  const first = show(client, tasks, fields);
  const sent = inTurn(tasks, async (waited) => {
    const before = waited ? show(client, tasks, fields) : first;
    // Only a single edit is held to what was seen: of many, each is meant whatever else it says.
    const seen = before.length === 1 ? before[0]?.revision : undefined;
    const set = (expected_revision: number | undefined): PatchSet => ({
      task_patches: before.map((task, index) => ({
        ...wanted.patches(task, index),
        op: "update" as const,
        task_id: task.id,
        expected_revision,
      })),
    });
    try {
      const result = await applySet(set(seen)).catch(async (error) => {
        const [task] = before;
        const now = task && asApiError(error).status === 412 ? await unchanged(task, wanted.shown(task, 0)) : undefined;
        if (now === undefined) throw error;
        return applySet(set(now));
      });
      takeIn(client, result);
      offerUndo(client, result, wanted.label);
      return true;
    } catch (error) {
      takeBack(client, before);
      await refused(client, error, wanted.failed, () => void change(client, wanted));
      return false;
    }
  });
  return begun(sent);
}

async function remove(client: QueryClient, tasks: readonly Task[]): Promise<boolean> {
  try {
    const task_patches = topmost(tasks)
      .slice(0, MOST_PATCHES)
      .map((task) => ({ op: "delete" as const, task_id: task.id }));
    const result = await applySet({ task_patches });
    dropTasks(
      client,
      result.changes.map((each) => each.id),
    );
    takeIn(client, result);
    const count = result.changes.length;
    offerUndo(client, result, count === 1 ? `“${tasks[0]?.title}” was deleted` : `${count} tasks were deleted`);
    return true;
  } catch (error) {
    toastError("Nothing was deleted.", error);
    return false;
  }
}

async function create(client: QueryClient, project: string, parent: Task | undefined, body: TaskFields) {
  try {
    const place = parent ? { parent_id: parent.id } : { project_id: project };
    const result = await applySet({ task_patches: [{ op: "create", temp_id: "new", ...place, body }] });
    putTasks(client, result.tasks);
    takeIn(client, result);
    offerUndo(client, result, `“${body.title}” was made`);
    return result.tasks[0];
  } catch (error) {
    toastError("The task was not made.", error);
    return undefined;
  }
}

/** All tasks of a project, as far as they are here. */
function treeOf(client: QueryClient, project: string): Iterable<Task> {
  for (const [, tree] of client.getQueriesData<TaskTree>({ queryKey: keys.tree(project) })) {
    if (tree) return tree.tasks.values();
  }
  return [];
}

/** Puts tasks, in their order, under a parent or beside another; where they will stand is known before the server says so. */
async function move(client: QueryClient, tasks: readonly Task[], { parent, beside }: Target): Promise<boolean> {
  const some = topmost(tasks);
  const anchor = beside && cachedTask(client, beside.id);
  const places: string[] = [];
  if (beside && anchor) {
    const moved = new Set(some.map((task) => task.id));
    let [low, high] = gapBeside(treeOf(client, anchor.project_id), beside, anchor, moved);
    for (const _ of some) {
      const place = between(low, high);
      places.push(place);
      if (beside.after) low = place;
      else high = place;
    }
  }
  // Before a task they are put from the last to the first, each before the one that was put there last.
  const order = beside && !beside.after ? some.toReversed() : some;
  return change(client, {
    tasks: order,
    patches: (_, index) => {
      if (!beside) return { parent_id: parent };
      const next = index === 0 ? beside.id : (order[index - 1]?.id ?? beside.id);
      return beside.after ? { after: next } : { before: next };
    },
    shown: (task, index) => ({
      parent_id: parent,
      // Under another parent it stands last, as if it had been made now.
      position: places[index] ?? (task.parent_id === parent ? task.position : madeNow(index)),
    }),
    label: some.length === 1 ? `“${some[0]?.title}” was moved` : `${some.length} tasks were moved`,
    failed: some.length === 1 ? "The task stays where it was." : "The tasks stay where they were.",
  });
}

/** The place of what is made now, as the server gives it. */
function madeNow(nth: number): string {
  return `${String(Date.now() * 1_000 + nth).padStart(16, "0")}5`;
}

interface Link {
  task: Task;
  other: { task_id: string; title: string; status: Task["status"]; project_id: string };
}

/** Lets a task wait for another, or no more; answers the reason when it is refused. */
async function link(client: QueryClient, { task, other }: Link, on: boolean): Promise<ApiError | undefined> {
  const key = keys.dependencies(task.id);
  const before = client.getQueryData<Dependencies>(key);
  const open = other.status !== "done" && other.status !== "cancelled";
  client.setQueryData<Dependencies>(key, (known) => {
    if (!known) return known;
    const rest = known.blocked_by.filter((each) => each.task_id !== other.task_id);
    return { ...known, blocked_by: on ? [...rest, { ...other, open }] : rest };
  });
  try {
    const links = on ? { add_blocked_by: [other.task_id] } : { remove_blocked_by: [other.task_id] };
    const result = await applySet({ task_patches: [{ op: "update", task_id: task.id, ...links }] });
    takeIn(client, result);
    const what = on ? `waits for “${other.title}”` : `waits for “${other.title}” no more`;
    offerUndo(client, result, `“${task.title}” ${what}`);
    return undefined;
  } catch (error) {
    client.setQueryData(key, before);
    return asApiError(error);
  }
}

/** Puts a task with all below it into the archive, or brings back what was put there with it. */
async function archive(client: QueryClient, task: Task, away: boolean): Promise<boolean> {
  const params = { params: { path: { task_id: task.id } } };
  const [before] = show(client, [task], new Map([[task.id, shownOf({ archived: away })]]));
  try {
    const kept = await take(
      away ? api.POST("/tasks/{task_id}/archive", params) : api.POST("/tasks/{task_id}/unarchive", params),
    );
    takeIn(client, { ...kept, patch_set_id: kept.patch_set_id, tasks: [], projects: [], temp_ids: {} });
    const told = kept.changes.map(({ id, revision, diff }) => {
      const at = (diff as { archived_at?: { after?: string | null } }).archived_at?.after ?? null;
      return [id, (known: Task) => ({ ...known, archived_at: at, revision })] as const;
    });
    changeTasks(client, new Map(told));
    const below = kept.changes.length - 1;
    const rest = below > 0 ? ` with ${below} below it` : "";
    offerUndo(client, kept, `“${task.title}”${rest} ${away ? "is in the archive" : "is back from the archive"}`);
    return true;
  } catch (error) {
    if (before) takeBack(client, [before]);
    toastError(away ? "It was not put into the archive." : "It stays in the archive.", error);
    return false;
  }
}

export function useTaskActions() {
  const client = useQueryClient();
  return useMemo(
    () => ({
      /** Sets fields of one or several tasks. */
      edit: (tasks: readonly Task[], fields: TaskFields, label: string) =>
        change(client, {
          tasks,
          patches: () => ({ body: fields }),
          shown: () => shownOf(fields),
          label,
          failed: "The change was taken back.",
        }),
      create: (project: string, parent: Task | undefined, title: string, fields: TaskFields = {}) =>
        begun(create(client, project, parent, { ...fields, title })),
      remove: (tasks: readonly Task[]) => begun(inTurn(tasks, () => remove(client, tasks))),
      move: (tasks: readonly Task[], target: Target) => move(client, tasks, target),
      /** Among the cards of a column: another status, and a place between two others whosever parts these are. */
      place: (tasks: readonly Task[], status: Task["status"], gap: Gap) => {
        let [low, high] = gap;
        const places = tasks.map(() => {
          low = between(low, high);
          return low;
        });
        const body = (task: Task, index: number) => ({
          ...(task.status === status ? {} : { status }),
          position: places[index] ?? task.position,
        });
        const word = wordOf(status).toLowerCase();
        const moved = tasks.every((task) => task.status === status);
        const what = tasks.length === 1 ? `“${tasks[0]?.title}”` : `${tasks.length} tasks`;
        const verb = tasks.length === 1 ? (moved ? "was" : "is") : moved ? "were" : "are";
        return change(client, {
          tasks,
          patches: (task, index) => ({ body: body(task, index) }),
          shown: body,
          label: `${what} ${verb} ${moved ? "moved" : word}`,
          failed: "The change was taken back.",
        });
      },
      /** To the top of a project, or below one of its tasks. */
      rehome: (tasks: readonly Task[], project_id: string, parent_id: string | null) =>
        change(client, {
          tasks: topmost(tasks),
          patches: () => ({ project_id, parent_id }),
          shown: (_, index) => ({ project_id, parent_id, position: madeNow(index) }),
          label: tasks.length === 1 ? `“${tasks[0]?.title}” was moved` : `${tasks.length} tasks were moved`,
          failed: tasks.length === 1 ? "The task stays where it was." : "The tasks stay where they were.",
        }),
      link: (task: Task, other: Link["other"], on: boolean) => begun(link(client, { task, other }, on)),
      archive: (task: Task, away: boolean) => begun(inTurn([task], () => archive(client, task, away))),
    }),
    [client],
  );
}

/** What is below another chosen task goes with it. */
export function topmost(tasks: readonly Task[]): Task[] {
  const chosen = new Map(tasks.map((task) => [task.id, task]));
  const under = (task: Task): boolean => {
    let parent = task.parent_id;
    for (let depth = 0; parent && depth < 10; depth++) {
      if (chosen.has(parent)) return true;
      parent = chosen.get(parent)?.parent_id ?? null;
    }
    return false;
  };
  return tasks.filter((task) => !under(task));
}
