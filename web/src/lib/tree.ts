// Tasks as rows of a tree: flat, so that only what is in sight has to be drawn.
import type { Task } from "@/api/types";

export interface TreeRow {
  task: Task;
  level: number;
  children: number;
  open: boolean;
  /** Shown only because something below it fits the filter. */
  context: boolean;
}

export type TaskMap = ReadonlyMap<string, Task>;

/** Children by parent, in the order of their making. Tasks whose parent is not known stand at the top. */
export function childrenOf(tasks: TaskMap): Map<string | null, Task[]> {
  const children = new Map<string | null, Task[]>();
  for (const task of tasks.values()) {
    const parent = task.parent_id && tasks.has(task.parent_id) ? task.parent_id : null;
    const list = children.get(parent);
    if (list) list.push(task);
    else children.set(parent, [task]);
  }
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
