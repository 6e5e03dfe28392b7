// Names for the shapes that the generated client knows only by operation.
import type { operations } from "./schema";

type Ok<K extends keyof operations> = operations[K]["responses"] extends {
  200: { content: { "application/json": infer T } };
}
  ? T
  : operations[K]["responses"] extends { 201: { content: { "application/json": infer T } } }
    ? T
    : never;
type Body<K extends keyof operations> =
  NonNullable<operations[K]["requestBody"]> extends {
    content: { "application/json": infer T };
  }
    ? T
    : never;
export type Query<K extends keyof operations> = NonNullable<operations[K]["parameters"]["query"]>;

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

export type Run = Ok<"runs_get">;
export type RunStatus = Run["status"];
export type Step = Ok<"runs_steps">["steps"][number];
export type StepStatus = Step["status"];
export type Approval = Ok<"approvals_get">;
export type Workflow = Ok<"workflows_list">["items"][number];
export type WorkflowDetail = Ok<"workflows_get">;
export type WorkflowVersion = Ok<"workflows_versions">["items"][number];
export type Schedule = Ok<"triggers_list">["schedules"][number];
export type EventTrigger = Ok<"triggers_list">["events"][number];
export type Consumer = Ok<"consumers_list">["items"][number];
export type DeadLetter = Ok<"dead_letters_list">["items"][number];
export type Hook = Ok<"hooks_list">["items"][number];
export type Project = Ok<"projects_get">;
export type Task = Ok<"tasks_get">;
export type TaskStatus = Task["status"];
export type Priority = Task["priority"];
export type PatchSet = Body<"patches_apply">;
export type PatchResult = Ok<"patches_apply">;
export type TaskFields = NonNullable<NonNullable<PatchSet["task_patches"]>[number]["body"]>;
export type TaskPatch = NonNullable<PatchSet["task_patches"]>[number];
export type Recurrence = NonNullable<Task["recurrence"]>;
export type Comment = Ok<"comments_list">["items"][number];
export type Activity = Ok<"tasks_activity">["items"][number];
export type Dependencies = Ok<"tasks_dependencies">;
export type Dependency = Dependencies["blocked_by"][number];
export type TimeEntry = Ok<"time_list">["items"][number];
export type TimeSums = Ok<"tasks_time">;
export type TrashGroup = Ok<"trash_list">["items"][number];
export type SavedFilter = Ok<"filters_list">["items"][number];
export type TaskFilter = Body<"filters_create">["filter"];
export type Found = Ok<"tasks_search">;
export type RowChange = PatchResult["changes"][number];
export type AppliedSet = Ok<"patches_get">;
export type LogEvent = Ok<"audit_list">["items"][number];
export type Member = Ok<"members_list">["items"][number];
export type Role = Member["role"];
export type Key = Ok<"keys_list">["items"][number];
export type NewKey = Ok<"keys_create">;
export type Me = Ok<"users_me">;
export type Workspace = Ok<"workspaces_get">;
export type OperationInfo = Ok<"ops_list">["operations"][number];
export type NodeKind = Ok<"nodes_list">["items"][number];

/** Somebody or something that acts: a user, a key, an agent, a bot or the system. */
export interface Actor {
  kind: string;
  id: string;
}

/** What the session routes answer. They are no operations, so the OpenAPI file does not describe them. */
export interface Session {
  user: { id: string; email: string; display_name?: string | null };
  workspace: { id: string; name: string; role: string };
  workspaces: { id: string; name: string; role: string }[];
  permissions: string[];
  csrf_token: string;
  expires_at: string;
}

export interface OwnerLink {
  email: string;
  workspace_id: string;
  workspace_name: string;
  password_set: boolean;
}
