// Which tasks are meant: as the address says it, as the API wants it, as the browser applies it, and in words.
import type { Priority, Task, TaskFilter, TaskStatus } from "@/api/types";

export const TASK_STATUSES = [
  "todo",
  "in_progress",
  "blocked",
  "done",
  "cancelled",
] as const satisfies readonly TaskStatus[];
export const PRIORITIES = ["critical", "high", "medium", "low"] as const satisfies readonly Priority[];
export const WHENS = ["overdue", "today", "tomorrow", "this_week", "next_7_days", "any", "none"] as const;
export type When = (typeof WHENS)[number];

/** The words of the address. Lists are written with commas in between. */
export interface FilterSearch {
  status?: string;
  priority?: string;
  assignee?: string;
  unassigned?: boolean;
  tag?: string;
  tags?: string;
  text?: string;
  search?: string;
  archived?: "included" | "only";
  blocked?: boolean;
  due?: When;
  due_before?: string;
  due_after?: string;
  scheduled?: When;
  scheduled_before?: string;
  scheduled_after?: string;
  parent_id?: string;
}

type Raw = Record<string, unknown>;

function text(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function flag(value: unknown): boolean | undefined {
  return value === true || value === "true" ? true : value === false || value === "false" ? false : undefined;
}

function some<T extends string>(value: unknown, known: readonly T[]): string | undefined {
  const named = text(value)?.split(",") ?? [];
  return known.filter((each) => named.includes(each)).join(",") || undefined;
}

function moment(value: unknown): string | undefined {
  const given = text(value);
  return given && !Number.isNaN(Date.parse(given)) ? given : undefined;
}

/** What of an address can be understood. */
export function readFilter(raw: Raw): FilterSearch {
  return {
    status: some(raw.status, TASK_STATUSES),
    priority: some(raw.priority, PRIORITIES),
    assignee: text(raw.assignee),
    unassigned: flag(raw.unassigned),
    tag: text(raw.tag),
    tags: text(raw.tags),
    text: text(raw.text),
    search: text(raw.search),
    archived: raw.archived === "included" || raw.archived === "only" ? raw.archived : undefined,
    blocked: flag(raw.blocked),
    due: WHENS.find((when) => when === raw.due),
    due_before: moment(raw.due_before),
    due_after: moment(raw.due_after),
    scheduled: WHENS.find((when) => when === raw.scheduled),
    scheduled_before: moment(raw.scheduled_before),
    scheduled_after: moment(raw.scheduled_after),
    parent_id: text(raw.parent_id),
  };
}

/** No word of it set: what takes a filter away. */
export const NO_FILTER: FilterSearch = readFilter({});

export function isFiltered(search: FilterSearch): boolean {
  return Object.values(readFilter(search as Raw)).some((value) => value !== undefined);
}

function list<T extends string>(value: string | undefined, known: readonly T[]): T[] | undefined {
  const named = value?.split(",");
  return named && known.filter((each) => named.includes(each));
}

/** How far the clock by which days begin is ahead of UTC, in minutes. */
export function clockOffset(now = new Date()): number {
  return -now.getTimezoneOffset();
}

/** As `tasks.list` and saved filters take it. */
export function apiFilter(search: FilterSearch, project?: string): TaskFilter {
  const { status, priority, tags, ...rest } = readFilter(search as Raw);
  const dated = rest.due !== undefined || rest.scheduled !== undefined;
  const filter = {
    ...rest,
    status: list(status, TASK_STATUSES),
    priority: list(priority, PRIORITIES),
    tags: tags?.split(",").map((tag) => tag.trim()),
    project_id: project,
    utc_offset_minutes: dated ? clockOffset() : undefined,
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as TaskFilter;
}

/** A saved filter as words of the address; its project is a part of the path. */
export function addressOf(filter: TaskFilter): FilterSearch {
  const joined = (value: unknown) => (Array.isArray(value) ? value.join(",") : undefined);
  return readFilter({
    ...(filter as Raw),
    status: joined(filter.status),
    priority: joined(filter.priority),
    tags: joined(filter.tags),
  });
}

export function sameFilter(a: FilterSearch, b: FilterSearch): boolean {
  return JSON.stringify(readFilter(a as Raw)) === JSON.stringify(readFilter(b as Raw));
}

type Test = (task: Task) => boolean;

/** Whether a task fits, for views that have all tasks here. Nothing chosen, no test. Archived ones are told elsewhere. */
export function fitter(search: FilterSearch, now = new Date()): Test | undefined {
  const tests = [...stateTests(search), ...dateTests(search, now)];
  if (tests.length === 0) return undefined;
  return (task) => tests.every((test) => test(task));
}

function stateTests(search: FilterSearch): Test[] {
  const tests: Test[] = [];
  const statuses = list(search.status, TASK_STATUSES);
  const priorities = list(search.priority, PRIORITIES);
  const wanted = [...(search.tag ? [search.tag] : []), ...(search.tags?.split(",").map((tag) => tag.trim()) ?? [])];
  const sought = search.text?.toLowerCase();
  if (statuses) tests.push((task) => statuses.includes(task.status));
  if (priorities) tests.push((task) => priorities.includes(task.priority));
  if (search.assignee) tests.push((task) => task.assignee === search.assignee);
  if (search.unassigned !== undefined) tests.push((task) => (task.assignee === null) === search.unassigned);
  if (search.blocked !== undefined) tests.push((task) => task.blocked === search.blocked);
  if (search.parent_id) tests.push((task) => task.parent_id === search.parent_id);
  if (search.archived === "only") tests.push((task) => task.archived_at !== null);
  if (wanted.length) tests.push((task) => wanted.every((tag) => tagsOf(task).includes(tag)));
  if (sought) {
    tests.push((task) => [task.title, task.description].some((each) => each?.toLowerCase().includes(sought)));
  }
  return tests;
}

function dateTests(search: FilterSearch, now: Date): Test[] {
  const tests: Test[] = [];
  for (const [field, when, before, after] of [
    ["due_date", search.due, search.due_before, search.due_after],
    ["scheduled_date", search.scheduled, search.scheduled_before, search.scheduled_after],
  ] as const) {
    if (when) tests.push((task) => isAt(task, field, when, now));
    if (before) tests.push((task) => task[field] !== null && Date.parse(task[field]) < Date.parse(before));
    if (after) tests.push((task) => task[field] !== null && Date.parse(task[field]) > Date.parse(after));
  }
  return tests;
}

export function tagsOf(task: Task): string[] {
  return Array.isArray(task.tags) ? (task.tags as string[]) : [];
}

export function isOver(task: Pick<Task, "status">): boolean {
  return task.status === "done" || task.status === "cancelled";
}

/** The beginning of the day that is so many days after `now`'s, on this clock. */
function dawn(now: Date, days: number): number {
  return new Date(now.getFullYear(), now.getMonth(), now.getDate() + days).getTime();
}

/** Whether a date of a task is at the time that a word means at `now`. */
export function isAt(task: Task, field: "due_date" | "scheduled_date", when: When, now: Date): boolean {
  const date = task[field];
  if (when === "none" || date === null) return when === "none" && date === null;
  const at = Date.parse(date);
  const within = (from: number, to: number) => at >= dawn(now, from) && at < dawn(now, to);
  const monday = -((now.getDay() + 6) % 7);
  switch (when) {
    case "overdue":
      return at < now.getTime() && !isOver(task);
    case "today":
      return within(0, 1);
    case "tomorrow":
      return within(1, 2);
    case "this_week":
      return within(monday, monday + 7);
    case "next_7_days":
      return within(0, 7);
    default:
      return true;
  }
}

const WHEN_WORDS: Record<When, string> = {
  overdue: "overdue",
  today: "today",
  tomorrow: "tomorrow",
  this_week: "this week",
  next_7_days: "in the next 7 days",
  any: "at any time",
  none: "at no time",
};

/** "Overdue", "In the next 7 days". */
export function wordOfWhen(when: When): string {
  const word = WHEN_WORDS[when];
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** "to do or blocked, due this week, tagged bug": what a filter means, in one line. */
export function inWords(search: FilterSearch, word: (state: string) => string): string {
  const either = (value: string) =>
    value
      .split(",")
      .map((each) => word(each).toLowerCase())
      .join(" or ");
  const parts: (string | undefined)[] = [
    search.status && either(search.status),
    search.priority && `${either(search.priority)} priority`,
    search.assignee && `${search.assignee}'s`,
    search.unassigned !== undefined ? (search.unassigned ? "nobody's" : "somebody's") : undefined,
    ...[search.tag, ...(search.tags?.split(",") ?? [])].filter(Boolean).map((tag) => `tagged ${tag}`),
    search.due && `due ${WHEN_WORDS[search.due]}`,
    search.due_before && `due before ${search.due_before.slice(0, 10)}`,
    search.due_after && `due after ${search.due_after.slice(0, 10)}`,
    search.scheduled && `scheduled ${WHEN_WORDS[search.scheduled]}`,
    search.scheduled_before && `scheduled before ${search.scheduled_before.slice(0, 10)}`,
    search.scheduled_after && `scheduled after ${search.scheduled_after.slice(0, 10)}`,
    search.blocked !== undefined ? (search.blocked ? "waiting for others" : "waiting for none") : undefined,
    search.archived && (search.archived === "only" ? "in the archive" : "with the archive"),
    search.text && `with “${search.text}”`,
    search.search && `with the words ${search.search}`,
    search.parent_id && "below one task",
  ];
  return parts.filter(Boolean).join(", ");
}
