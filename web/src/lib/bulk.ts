// One change of many tasks as a patch set: what it asks for, and what it would do, in numbers.
import type { PatchSet, Priority, RowChange, Task, TaskFields, TaskPatch, TaskStatus } from "@/api/types";
import { tagsOf } from "./task-filter";

/** What is to be set; what is absent stays. Null takes away. */
export interface BulkChange {
  status?: TaskStatus;
  priority?: Priority;
  assignee?: string | null;
  due_date?: string | null;
  scheduled_date?: string | null;
  addTags?: string[];
  dropTags?: string[];
  /** Another project, and there below a task or at the top. */
  home?: { project: string; parent: string | null };
  archived?: boolean;
}

export function isEmptyChange(change: BulkChange): boolean {
  return Object.values(change).every((value) => value === undefined || (Array.isArray(value) && value.length === 0));
}

const MOST_TAGS = 50;

function tagsAfter(task: Task, { addTags = [], dropTags = [] }: BulkChange): string[] | undefined {
  const before = tagsOf(task);
  const after = [...new Set([...before.filter((tag) => !dropTags.includes(tag)), ...addTags])].slice(0, MOST_TAGS);
  return after.join("\n") === before.join("\n") ? undefined : after;
}

function bodyOf(task: Task, change: BulkChange): TaskFields {
  const { addTags: _, dropTags: __, home: ___, ...fields } = change;
  const tags = tagsAfter(task, change);
  return Object.fromEntries(
    Object.entries({ ...fields, tags }).filter(([, value]) => value !== undefined),
  ) as TaskFields;
}

/** The set that makes the change; `topmost` are those whose place is moved, for what is below goes with them. */
export function setOf(tasks: readonly Task[], topmost: readonly Task[], change: BulkChange): PatchSet {
  const moved = new Set(topmost.map((task) => task.id));
  const task_patches = tasks.flatMap((task): TaskPatch[] => {
    const body = bodyOf(task, change);
    const home = change.home && moved.has(task.id) ? change.home : undefined;
    if (Object.keys(body).length === 0 && !home) return [];
    const place = home && { project_id: home.project, parent_id: home.parent };
    return [{ op: "update", task_id: task.id, body, ...place }];
  });
  return { task_patches };
}

export function deletionOf(topmost: readonly Task[]): PatchSet {
  return { task_patches: topmost.map((task) => ({ op: "delete", task_id: task.id })) };
}

/** Kept by the server on its own. */
const QUIET = new Set(["updated_at", "revision", "position", "depth", "deleted_at", "delete_group", "blocked"]);

const FIELD_WORDS: Record<string, string> = {
  due_date: "due date",
  scheduled_date: "scheduled date",
  project_id: "project",
  parent_id: "place in the tree",
  archived_at: "archive",
  assignee: "who does it",
};

/** "3 tasks change: status of 3, tags of 2. 1 task is made." */
export function summaryOf(changes: readonly RowChange[]): string {
  const tasks = changes.filter((change) => change.kind === "task");
  const fields = new Map<string, number>();
  for (const change of tasks.filter((each) => each.op === "update")) {
    for (const field of Object.keys(change.diff)) {
      if (!QUIET.has(field)) fields.set(field, (fields.get(field) ?? 0) + 1);
    }
  }
  const said = [...fields]
    .toSorted((a, b) => b[1] - a[1])
    .map(([field, count]) => `${FIELD_WORDS[field] ?? field.replaceAll("_", " ")} of ${count}`);
  const count = (op: RowChange["op"]) => tasks.filter((each) => each.op === op).length;
  const named = (many: number) => `${many} task${many === 1 ? "" : "s"}`;
  const parts = [
    fields.size > 0 && `${named(count("update"))} change${count("update") === 1 ? "s" : ""}: ${said.join(", ")}.`,
    count("create") > 0 &&
      `${named(count("create"))} ${count("create") === 1 ? "is" : "are"} made, as they come again.`,
    count("delete") > 0 && `${named(count("delete"))} ${count("delete") === 1 ? "goes" : "go"} into the trash.`,
  ];
  return parts.filter(Boolean).join(" ") || NOTHING;
}

const NOTHING = "Nothing would change: all of them are so already.";

export function changesNothing(changes: readonly RowChange[]): boolean {
  return summaryOf(changes) === NOTHING;
}
