// What one did oneself in this tab, newest last: ⌘Z takes it back through the server.
import type { QueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { changeTask, dropTask, putTask } from "@/api/tasks-cache";
import type { PatchResult } from "@/api/types";
import { dismiss, toast, toastError } from "@/ui/toasts";

interface Done {
  set: string;
  label: string;
}

const MOST = 100;
const done: Done[] = [];
/** The toast that offers to undo a set. */
const shown = new Map<string, number>();

/** Shows what was done with a way back, and remembers it for ⌘Z. */
export function offerUndo(client: QueryClient, result: PatchResult, label: string) {
  const set = result.patch_set_id;
  if (!set) return;
  done.push({ set, label });
  if (done.length > MOST) done.shift();
  shown.set(set, toast(label, { action: { label: "Undo", run: () => void undo(client, set) } }));
}

export async function undoLast(client: QueryClient) {
  const last = done.at(-1);
  if (!last) {
    toast("There is nothing of yours to undo in this tab.");
    return;
  }
  await undo(client, last.set);
}

/** Undoes a set, and offers to do it again. */
export async function undo(client: QueryClient, set: string): Promise<boolean> {
  const index = done.findIndex((each) => each.set === set);
  const offered = shown.get(set);
  if (offered !== undefined) dismiss(offered);
  shown.delete(set);
  const [entry] = index >= 0 ? done.splice(index, 1) : [];
  try {
    const path = { patch_set_id: set };
    const result = await take(api.POST("/patches/{patch_set_id}/undo", { params: { path } }));
    takeIn(client, result);
    const again = result.patch_set_id;
    const action = again ? { label: "Redo", run: () => void undo(client, again) } : undefined;
    toast(entry ? `Undone: ${entry.label}` : "Undone", { action });
    return true;
  } catch (error) {
    toastError("It could not be undone.", error);
    return false;
  }
}

/** Puts the outcome of a patch set into the cache, before its events come. */
export function takeIn(client: QueryClient, result: PatchResult) {
  for (const task of result.tasks) {
    changeTask(client, task.id, (known) => (known.revision > task.revision ? known : task));
    putTask(client, task);
  }
  for (const change of result.changes) {
    if (change.kind === "task" && change.op === "delete") dropTask(client, change.id);
  }
  void client.invalidateQueries({ queryKey: keys.tasks() });
  void client.invalidateQueries({ queryKey: keys.patches });
  if (result.projects.length) void client.invalidateQueries({ queryKey: keys.projects });
}
