// What an event of the log means for what is cached: a pure mapping, so that it can be tested by itself.
import type { LogEvent, StepStatus, Task } from "@/api/types";
import { keys } from "../cache";

export interface StepMark {
  node: string;
  path: string;
  status: StepStatus;
  port?: string;
  attempt: number;
}

export type Effect =
  /** Ask again, soon, if it is in sight. */
  | { do: "refresh"; key: readonly unknown[] }
  /** A run that no list has yet. */
  | { do: "new-run"; id: string; workflow: string | null }
  /** A run changed; `status` is known if the event says it. */
  | { do: "run"; id: string; status?: string; at: string }
  | { do: "steps"; run: string; marks: StepMark[]; at: string }
  | { do: "put-task"; task: Task }
  | { do: "patch-task"; id: string; fields: Partial<Task>; revision: number }
  | { do: "drop-task"; id: string }
  /** Whether a task and those that wait for it are blocked is to be asked for: no event says it. */
  | { do: "blocked"; id: string };

const STEP_WORDS: Record<string, StepStatus> = {
  started: "running",
  completed: "succeeded",
  failed: "failed",
  waiting: "waiting",
};

/** Lists that are simply asked for again when something of their noun changes. */
const SIMPLE: Record<string, readonly (readonly unknown[])[]> = {
  workflow: [keys.workflows, ["workflow"], ["versions"], keys.triggers()],
  hook: [keys.hooks()],
  project: [keys.projects, ["project"], keys.trash],
  filter: [keys.filters],
  patch_set: [keys.patches],
  import: [["import"]],
  member: [keys.members],
  user: [keys.members, keys.me],
  key: [keys.apiKeys],
  api_key: [keys.apiKeys],
  workspace: [keys.workspace],
  model_provider: [keys.providers, keys.models],
  model_route: [keys.modelRoutes, keys.models],
};

/** The noun and the id of what the event is about. */
export function subjectOf(event: Pick<LogEvent, "subject">): [noun: string, id: string] {
  const cut = event.subject.indexOf(":");
  return cut < 0 ? [event.subject, ""] : [event.subject.slice(0, cut), event.subject.slice(cut + 1)];
}

export function effectsOf(event: LogEvent): Effect[] {
  const [noun, id] = subjectOf(event);
  if (noun === "run") return runEffects(event, id);
  if (noun === "approval") return approvalEffects(event, id);
  if (noun === "task") return taskEffects(event, id);
  if (noun === "agent") return agentEffects(id);
  if (noun === "conversation" || noun === "message") return talkEffects(event, noun, id);
  return (SIMPLE[noun] ?? []).map((key) => ({ do: "refresh", key }));
}

function data(event: LogEvent): Record<string, unknown> {
  return (event.data ?? {}) as Record<string, unknown>;
}

function runEffects(event: LogEvent, id: string): Effect[] {
  const told = data(event);
  switch (event.kind) {
    case "run.started":
      return [{ do: "new-run", id, workflow: typeof told.workflow === "string" ? told.workflow : null }];
    case "run.progressed": {
      const marks = Array.isArray(told.steps) ? told.steps.map(mark).filter((step) => step !== undefined) : [];
      return [
        { do: "steps", run: id, marks, at: event.at },
        { do: "run", id, at: event.at },
      ];
    }
    case "run.finished":
      return [{ do: "run", id, status: String(told.status), at: event.at }];
    case "run.paused":
      return [{ do: "run", id, status: "paused", at: event.at }];
    default:
      return [{ do: "run", id, at: event.at }];
  }
}

function mark(value: unknown): StepMark | undefined {
  const step = (value ?? {}) as Record<string, unknown>;
  const status = STEP_WORDS[String(step.what)];
  if (!status || typeof step.node !== "string") return undefined;
  return {
    node: step.node,
    path: typeof step.path === "string" ? step.path : "",
    status,
    port: typeof step.port === "string" ? step.port : undefined,
    attempt: typeof step.attempt === "number" ? step.attempt : 1,
  };
}

function approvalEffects(event: LogEvent, id: string): Effect[] {
  const run = data(event).run_id;
  const effects: Effect[] = [
    { do: "refresh", key: keys.approvals() },
    { do: "refresh", key: keys.approval(id) },
  ];
  if (typeof run === "string") effects.push({ do: "run", id: run, at: event.at });
  return effects;
}

function agentEffects(id: string): Effect[] {
  return [keys.agents(), keys.agent(id), keys.agentVersions(id), keys.agentTools(id)].map((key) => ({
    do: "refresh",
    key,
  }));
}

/** A conversation by itself, or one of its messages. */
function talkEffects(event: LogEvent, noun: string, id: string): Effect[] {
  const named = data(event).conversation_id;
  const talk = typeof named === "string" ? named : noun === "conversation" ? id : undefined;
  const effects: Effect[] = [{ do: "refresh", key: keys.conversations() }];
  if (talk) {
    effects.push({ do: "refresh", key: keys.conversation(talk) }, { do: "refresh", key: keys.messages(talk) });
  }
  if (event.kind === "message.finished") effects.push({ do: "refresh", key: keys.agents() });
  return effects;
}

/** Fields that a new task has without having been given them. */
const BLANK_TASK: Partial<Task> = {
  parent_id: null,
  description: null,
  assignee: null,
  due_date: null,
  scheduled_date: null,
  recurrence: null,
  blocked: false,
  archived_at: null,
  estimated_minutes: null,
  actual_minutes: null,
  tags: [],
  metadata: {},
  integration_ids: {},
};

function taskEffects(event: LogEvent, id: string): Effect[] {
  const revision = Number(data(event).revision);
  const fields = afterOf(event);
  const lists: Effect = { do: "refresh", key: keys.tasks() };
  return [{ do: "refresh", key: keys.activity(id) }, ...changed(event, id, revision, fields, lists)];
}

function changed(event: LogEvent, id: string, revision: number, fields: Partial<Task>, lists: Effect): Effect[] {
  const noun = event.kind.split(".")[0];
  if (noun === "comment") return [{ do: "refresh", key: keys.comments(id) }];
  if (noun === "time" || noun === "timer") {
    // The row's sum of minutes is part of the task, and of those above it.
    return [["task-time"], keys.timer, keys.task(id), keys.tasks()].map((key) => ({ do: "refresh", key }));
  }
  switch (event.kind) {
    case "task.created":
      if (!fields.project_id || !fields.title) return [lists, { do: "refresh", key: ["tree"] }];
      return [
        { do: "put-task", task: { ...BLANK_TASK, updated_at: event.at, ...fields, id, revision } as Task },
        lists,
      ];
    case "task.updated": {
      const patch: Effect = { do: "patch-task", id, fields: { updated_at: event.at, ...fields }, revision };
      return blocks(event) ? [patch, { do: "blocked", id }] : [patch];
    }
    case "task.deleted":
      return [
        { do: "drop-task", id },
        { do: "refresh", key: keys.trash },
      ];
    case "task.purged":
      return [{ do: "refresh", key: keys.trash }];
    default:
      return [lists, ...[["tree"], keys.task(id), keys.trash].map((key) => ({ do: "refresh", key }) as const)];
  }
}

const OVER = new Set<unknown>(["done", "cancelled"]);

/** Whether a change of a task may let others go on, or hold them up. */
function blocks(event: LogEvent): boolean {
  const { status, blocked_by } = (event.changes ?? {}) as Record<string, { before?: unknown; after?: unknown }>;
  return blocked_by !== undefined || (status !== undefined && OVER.has(status.before) !== OVER.has(status.after));
}

function afterOf(event: LogEvent): Partial<Task> {
  const changes = (event.changes ?? {}) as Record<string, { after?: unknown }>;
  const { blocked_by: _, ...own } = changes;
  return Object.fromEntries(Object.entries(own).map(([field, change]) => [field, change.after])) as Partial<Task>;
}
