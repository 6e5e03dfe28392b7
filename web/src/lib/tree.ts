// Tasks as rows of a tree: flat, so that only what is in sight has to be drawn.
import type { Task } from "@/api/types";
import { byPlace } from "./position";

export interface TreeRow {
  task: Task;
  level: number;
  children: number;
  open: boolean;
  /** Shown only because something below it fits the filter. */
  context: boolean;
}

export type TaskMap = ReadonlyMap<string, Task>;

/** The tasks of a project that are in sight: neither in the archive, unless that is asked for, nor moved elsewhere. */
export function inSight(tasks: TaskMap, project: string, archive: boolean): TaskMap {
  const hidden = (task: Task) => task.project_id !== project || (!archive && task.archived_at !== null);
  let seen: Map<string, Task> | undefined;
  for (const task of tasks.values()) {
    if (!hidden(task)) continue;
    seen ??= new Map(tasks);
    seen.delete(task.id);
  }
  return seen ?? tasks;
}

/** Children by parent, in the order of their places. Tasks whose parent is not known stand at the top. */
export function childrenOf(tasks: TaskMap): Map<string | null, Task[]> {
  const children = new Map<string | null, Task[]>();
  for (const task of tasks.values()) {
    const parent = task.parent_id && tasks.has(task.parent_id) ? task.parent_id : null;
    const list = children.get(parent);
    if (list) list.push(task);
    else children.set(parent, [task]);
  }
  for (const list of children.values()) if (list.length > 1) list.sort(byPlace);
  return children;
}

/** Every task that fits, and those above it. */
function withAncestors(tasks: TaskMap, fits: (task: Task) => boolean): { keep: Set<string>; hits: Set<string> } {
  const [keep, hits] = [new Set<string>(), new Set<string>()];
  for (const task of tasks.values()) {
    if (!fits(task)) continue;
    hits.add(task.id);
    let current: Task | undefined = task;
    while (current && !keep.has(current.id)) {
      keep.add(current.id);
      current = current.parent_id ? tasks.get(current.parent_id) : undefined;
    }
  }
  return { keep, hits };
}

/** The rows to show. With a filter every branch that leads to a hit is open. */
export function flatten(tasks: TaskMap, closed: ReadonlySet<string>, fits?: (task: Task) => boolean): TreeRow[] {
  const children = childrenOf(tasks);
  const filtered = fits && withAncestors(tasks, fits);
  const rows: TreeRow[] = [];
  const visit = (parent: string | null, level: number) => {
    for (const task of children.get(parent) ?? []) {
      if (filtered && !filtered.keep.has(task.id)) continue;
      const below = children.get(task.id)?.length ?? 0;
      const open = below > 0 && (filtered ? true : !closed.has(task.id));
      rows.push({ task, level, children: below, open, context: filtered ? !filtered.hits.has(task.id) : false });
      if (open) visit(task.id, level + 1);
    }
  };
  visit(null, 0);
  return rows;
}

/** The task that `id` would go under when indented: the one right above it on the same level. */
export function indentTarget(rows: readonly TreeRow[], id: string): string | undefined {
  const index = rows.findIndex((row) => row.task.id === id);
  const level = rows[index]?.level;
  if (level === undefined) return undefined;
  for (let i = index - 1; i >= 0; i--) {
    const row = rows[i];
    if (!row || row.level < level) return undefined;
    if (row.level === level) return row.task.id;
  }
  return undefined;
}

/** Where a task goes: under which parent, beside whom, and the place that this will be. */
export interface Target {
  parent: string | null;
  beside?: { id: string; after: boolean };
}

/** The siblings of a task in their order, as rows show them. */
function siblings(rows: readonly TreeRow[], task: Task): Task[] {
  const at = rows.findIndex((row) => row.task.id === task.id);
  const level = rows[at]?.level;
  if (level === undefined) return [];
  let from = at;
  while (from > 0 && (rows[from - 1]?.level ?? -1) >= level) from--;
  const found: Task[] = [];
  for (let i = from; i < rows.length && (rows[i]?.level ?? -1) >= level; i++) {
    const row = rows[i];
    if (row?.level === level) found.push(row.task);
  }
  return found;
}

/** One up or down among its siblings; undefined at the end. */
export function stepTarget(rows: readonly TreeRow[], task: Task, step: 1 | -1): Target | undefined {
  const all = siblings(rows, task);
  const other = all[all.findIndex((each) => each.id === task.id) + step];
  return other && { parent: other.parent_id, beside: { id: other.id, after: step > 0 } };
}

/** One level up: right after the task that it is part of. */
export function outdentTarget(tasks: TaskMap, task: Task): Target | undefined {
  const parent = task.parent_id ? tasks.get(task.parent_id) : undefined;
  return parent && { parent: parent.parent_id, beside: { id: parent.id, after: true } };
}

export type Drop = "before" | "after" | "into";

/** Where the pointer is within a row says what a drop there means. */
export function dropOf(offset: number, height: number): Drop {
  if (offset < height * 0.3) return "before";
  return offset > height * 0.7 ? "after" : "into";
}

/** What a drop on a task means; undefined if it would go below itself. */
export function dropTarget(tasks: TaskMap, moved: ReadonlySet<string>, on: Task, drop: Drop): Target | undefined {
  let above: Task | undefined = on;
  for (let depth = 0; above && depth < 20; depth++) {
    if (moved.has(above.id)) return undefined;
    above = above.parent_id ? tasks.get(above.parent_id) : undefined;
  }
  if (drop === "into") return { parent: on.id };
  return { parent: on.parent_id, beside: { id: on.id, after: drop === "after" } };
}

/** The places between which a task goes that is put beside another, among the tasks as they are known here. */
export function gapBeside(
  tasks: Iterable<Task>,
  beside: { id: string; after: boolean },
  anchor: Task,
  moved: ReadonlySet<string>,
): [low: string | undefined, high: string | undefined] {
  let next: string | undefined;
  for (const task of tasks) {
    const sibling = task.parent_id === anchor.parent_id && task.project_id === anchor.project_id;
    if (!sibling || task.id === anchor.id || moved.has(task.id)) continue;
    const beyond = beside.after ? task.position > anchor.position : task.position < anchor.position;
    const nearer = next === undefined || (beside.after ? task.position < next : task.position > next);
    if (beyond && nearer) next = task.position;
  }
  return beside.after ? [anchor.position, next] : [next, anchor.position];
}
