// Changing tasks: shown at once, sent as a patch set, taken back with the reason when it is refused.
import { useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { asApiError } from "@/api/problem";
import { cachedTask, changeTask, dropTask, putTask } from "@/api/tasks-cache";
import type { PatchResult, PatchSet, Task } from "@/api/types";
import { offerUndo, takeIn } from "@/app/undo";
import { toastError } from "@/ui/toasts";

export type TaskFields = NonNullable<NonNullable<PatchSet["task_patches"]>[number]["body"]>;

/** The server takes no more patches in one set. */
const MOST_PATCHES = 500;

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

export function useTaskActions() {
  const client = useQueryClient();
  return useMemo(() => {
    /**
     * Sets fields of one or several tasks. It is shown at once, and sent when one's own changes before it are through:
     * held against the revision from before those, it would be refused.
     */
    async function edit(tasks: readonly Task[], fields: TaskFields, label: string): Promise<boolean> {
      const some = tasks.slice(0, MOST_PATCHES);
      const before = show(some, fields);
      return inTurn(some, (waited) => send(tasks, fields, label, waited ? show(some, fields) : before));
    }

    /** Puts the fields into what is shown; answers what was shown before. */
    function show(tasks: readonly Task[], fields: TaskFields): Task[] {
      const before = tasks.map((task) => cachedTask(client, task.id) ?? task);
      for (const task of tasks) changeTask(client, task.id, (known) => ({ ...known, ...(fields as Partial<Task>) }));
      return before;
    }

    async function send(tasks: readonly Task[], fields: TaskFields, label: string, before: Task[]): Promise<boolean> {
      try {
        // Only a single edit is held to what was seen: of many, each is meant whatever else it says.
        const seen = before.length === 1 ? before[0]?.revision : undefined;
        const task_patches = before.map((task) => ({
          op: "update" as const,
          task_id: task.id,
          body: fields,
          expected_revision: seen,
        }));
        const result = await applySet({ task_patches });
        takeIn(client, result);
        offerUndo(client, result, label);
        return true;
      } catch (error) {
        for (const task of before) changeTask(client, task.id, (now) => (now.revision > task.revision ? now : task));
        for (const task of before) void client.invalidateQueries({ queryKey: keys.task(task.id) });
        await refused(error, "The change was taken back.", () => void edit(tasks, fields, label));
        return false;
      }
    }

    /** A refused change; one that was too late is shown against the present state and may be made anyway. */
    async function refused(error: unknown, what: string, again: () => void) {
      const stale = asApiError(error).status === 412;
      if (stale) await client.invalidateQueries({ queryKey: ["tree"] });
      toastError(what, error, stale ? { label: "Make it anyway", run: again } : undefined);
    }

    async function create(project: string, parent: Task | undefined, title: string): Promise<Task | undefined> {
      try {
        const place = parent ? { parent_id: parent.id } : { project_id: project };
        const result = await applySet({ task_patches: [{ op: "create", temp_id: "new", ...place, body: { title } }] });
        for (const task of result.tasks) putTask(client, task);
        takeIn(client, result);
        offerUndo(client, result, `“${title}” was made`);
        return result.tasks[0];
      } catch (error) {
        toastError("The task was not made.", error);
        return undefined;
      }
    }

    function remove(tasks: readonly Task[]): Promise<boolean> {
      return inTurn(tasks, () => removeNow(tasks));
    }

    async function removeNow(tasks: readonly Task[]): Promise<boolean> {
      try {
        const task_patches = topmost(tasks)
          .slice(0, MOST_PATCHES)
          .map((task) => ({ op: "delete" as const, task_id: task.id }));
        const result = await applySet({ task_patches });
        for (const change of result.changes) dropTask(client, change.id);
        takeIn(client, result);
        const count = result.changes.length;
        offerUndo(client, result, count === 1 ? `“${tasks[0]?.title}” was deleted` : `${count} tasks were deleted`);
        return true;
      } catch (error) {
        toastError("Nothing was deleted.", error);
        return false;
      }
    }

    async function move(task: Task, parent: string | null) {
      const before = task.parent_id;
      changeTask(client, task.id, (known) => ({ ...known, parent_id: parent }));
      return inTurn([task], () => moveNow(task, parent, before));
    }

    async function moveNow(task: Task, parent: string | null, before: Task["parent_id"]) {
      try {
        const patch = { op: "update" as const, task_id: task.id, parent_id: parent };
        const result = await applySet({ task_patches: [patch] });
        takeIn(client, result);
        offerUndo(client, result, `“${task.title}” was moved`);
      } catch (error) {
        changeTask(client, task.id, (known) => ({ ...known, parent_id: before }));
        await refused(error, "The task stays where it was.", () => void move(task, parent));
      }
    }

    return { edit, create, remove, move };
  }, [client]);
}

/** What is below another chosen task goes with it. */
function topmost(tasks: readonly Task[]): Task[] {
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
