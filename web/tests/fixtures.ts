import type { LogEvent, Run, Step, Task } from "@/api/types";

export function task(id: string, fields: Partial<Task> = {}): Task {
  return {
    id,
    project_id: "p",
    parent_id: null,
    title: `Task ${id}`,
    description: null,
    status: "todo",
    priority: "medium",
    assignee: null,
    due_date: null,
    scheduled_date: null,
    recurrence: null,
    estimated_minutes: null,
    actual_minutes: null,
    tags: [],
    metadata: {},
    integration_ids: {},
    depth: 0,
    position: "5",
    blocked: false,
    archived_at: null,
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    created_by: "user:u",
    revision: 1,
    ...fields,
  };
}

export function event(kind: string, subject: string, fields: Partial<LogEvent> = {}): LogEvent {
  return {
    cursor: "c",
    id: "e",
    kind,
    version: 1,
    subject,
    actor: { kind: "user", id: "u" },
    channel: "rest",
    changes: {},
    data: {},
    at: "2026-01-01T00:00:01Z",
    correlation: "x",
    ...fields,
  } as LogEvent;
}

export function step(node: string, fields: Partial<Step> = {}): Step {
  return {
    node,
    path: "",
    kind: "set@1",
    status: "pending",
    port: null,
    attempts: 0,
    output: null,
    error: null,
    started_at: null,
    finished_at: null,
    wait_until: null,
    ...fields,
  } as Step;
}

export function run(id: string, fields: Partial<Run> = {}): Run {
  return { id, status: "running", created_at: "2026-01-01T00:00:00Z", finished_at: null, ...fields } as Run;
}
