// What one did oneself in this tab, newest last: ⌘Z takes it back through the server, ⇧⌘Z does it again.
import type { QueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import { changeTasks, dropTasks, putTasks } from "@/api/tasks-cache";
import type { PatchResult } from "@/api/types";
import { dismiss, toast, toastError } from "@/ui/toasts";

interface Done {
  set: string;
  label: string;
}

const MOST = 100;
const done: Done[] = [];
/** What was undone, each by the set that undid it: undoing that one does it again. */
const undone: Done[] = [];
/** The toast that offers to undo, or do again, a set. */
const shown = new Map<string, number>();
/** One after the other: keys come faster than answers. */
let last: Promise<unknown> = Promise.resolve();

/** What was begun and is not answered yet: ⌘Z means it, too. */
const pending = new Set<Promise<unknown>>();

/** Tells of a change that is under way. */
export function begun<T>(work: Promise<T>): Promise<T> {
  pending.add(work);
  const over = () => pending.delete(work);
  work.then(over, over);
  return work;
}

/** Shows what was done with a way back, and remembers it for ⌘Z. */
export function offerUndo(client: QueryClient, result: { patch_set_id?: string | null }, label: string) {
  const set = result.patch_set_id;
  if (!set) return;
  // What was undone before this cannot be done again on top of it.
  undone.length = 0;
  keep(client, { set, label }, label);
}

function keep(client: QueryClient, entry: Done, text: string) {
  done.push(entry);
  if (done.length > MOST) done.shift();
  const action = { label: "Undo", run: () => void undo(client, entry.set) };
  shown.set(entry.set, toast(text, { action }));
}

export async function undoLast(client: QueryClient) {
  await inTurn(async () => {
    await Promise.allSettled(pending);
    const entry = done.at(-1);
    if (entry) await takeBack(client, entry.set);
    else toast("There is nothing of yours to undo in this tab.");
  });
}

export async function redoLast(client: QueryClient) {
  await inTurn(async () => {
    const entry = undone.at(-1);
    if (entry) await doAgain(client, entry.set);
    else toast("There is nothing of yours to do again in this tab.");
  });
}

/** Undoes a set, and offers to do it again. */
export function undo(client: QueryClient, set: string): Promise<boolean> {
  return inTurn(() => takeBack(client, set));
}

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = last.then(work);
  last = turn.catch(() => {});
  return turn;
}

function takeOut(list: Done[], set: string): Done | undefined {
  const offered = shown.get(set);
  if (offered !== undefined) dismiss(offered);
  shown.delete(set);
  const index = list.findIndex((each) => each.set === set);
  return index < 0 ? undefined : list.splice(index, 1)[0];
}

async function reverse(client: QueryClient, set: string): Promise<string | null | undefined> {
  const path = { patch_set_id: set };
  const result = await take(api.POST("/patches/{patch_set_id}/undo", { params: { path } }));
  takeIn(client, result);
  return result.patch_set_id;
}

async function takeBack(client: QueryClient, set: string): Promise<boolean> {
  const entry = takeOut(done, set);
  try {
    const by = await reverse(client, set);
    if (by) undone.push({ set: by, label: entry?.label ?? "" });
    const action = by ? { label: "Redo", run: () => void inTurn(() => doAgain(client, by)) } : undefined;
    const id = toast(entry ? `Undone: ${entry.label}` : "Undone", { action });
    if (by) shown.set(by, id);
    return true;
  } catch (error) {
    toastError("It could not be undone.", error);
    return false;
  }
}

async function doAgain(client: QueryClient, set: string) {
  const entry = takeOut(undone, set);
  const label = entry?.label ?? "";
  try {
    const again = await reverse(client, set);
    if (again) keep(client, { set: again, label }, label ? `Done again: ${label}` : "Done again");
  } catch (error) {
    toastError("It could not be done again.", error);
  }
}

/** Puts the outcome of a patch set into the cache, before its events come. */
export function takeIn(client: QueryClient, result: PatchResult) {
  const fresh = result.tasks.map(
    (task) => [task.id, (known: typeof task) => (known.revision > task.revision ? known : task)] as const,
  );
  changeTasks(client, new Map(fresh));
  putTasks(client, result.tasks);
  const deleted = result.changes.filter((change) => change.kind === "task" && change.op === "delete");
  const gone = new Set<unknown>(deleted.map((change) => change.id));
  dropTasks(
    client,
    deleted.map((change) => change.id),
  );
  void client.invalidateQueries({ queryKey: keys.tasks() });
  void client.invalidateQueries({ queryKey: keys.patches });
  if (result.projects.length) void client.invalidateQueries({ queryKey: keys.projects });
  // Who waits for whom is told by the row of the one that waits only; a pane may still show what is gone.
  void client.invalidateQueries({ queryKey: ["dependencies"], predicate: ({ queryKey }) => !gone.has(queryKey[1]) });
}
