//! What the outside sees of runs, steps and approvals.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_core::Actor;
use uuid::Uuid;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Accepted; no worker has it yet.
    Queued,
    /// A worker has it.
    Running,
    /// Waits for a time, an answer or a person; holds no memory.
    Waiting,
    /// Stopped until somebody resumes it: retries used up, or it crashed its worker too often.
    Paused,
    /// Ended well.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended by somebody's wish.
    Cancelled,
}

impl RunStatus {
    /// The word in database and events.
    pub fn as_str(self) -> &'static str {
        use RunStatus::*;
        match self {
            Queued => "queued",
            Running => "running",
            Waiting => "waiting",
            Paused => "paused",
            Succeeded => "succeeded",
            Failed => "failed",
            Cancelled => "cancelled",
        }
    }

    /// The status that `word` names; queued for a word that is none.
    pub fn parse(word: &str) -> Self {
        use RunStatus::*;
        [Queued, Running, Waiting, Paused, Succeeded, Failed, Cancelled]
            .into_iter()
            .find(|status| status.as_str() == word)
            .unwrap_or(Queued)
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled
        )
    }
}

/// What a `respond` node answers to whoever started the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Header values by name.
    #[serde(default)]
    pub headers: Value,
    /// The body.
    #[serde(default)]
    pub body: Value,
}

/// Names the workflow that a run belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowRef {
    /// Its id.
    pub id: Uuid,
    /// The version that the run is pinned to.
    pub version: i64,
    /// Its name at that time.
    pub name: String,
}

/// A run to be started.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its id, when the same thing asked for twice must be one run; a new one otherwise.
    pub id: Option<Uuid>,
    /// The immutable graph.
    pub graph_id: Uuid,
    /// The id of the trigger node that starts it.
    pub trigger: String,
    /// What expressions see as `input`.
    pub input: Value,
    /// The workflow, if it is one's.
    pub workflow: Option<WorkflowRef>,
    /// As whom it runs: the publisher, with that person's present permissions.
    pub principal: Actor,
    /// For whom, if somebody else started it: permissions are the intersection.
    pub on_behalf_of: Option<Actor>,
    /// Higher goes first.
    pub priority: i64,
    /// The request or story it belongs to; the run's own id if none.
    pub correlation: Option<Uuid>,
    /// What it is private to, such as a conversation: only who sees that sees the run. What the run is private to whose step
    /// makes this call, unless given.
    pub private_to: Option<Uuid>,
    /// The step that waits for it, if one does.
    pub parent: Option<Parent>,
    /// The run that led to it without waiting for it, such as one whose event it follows. The run whose step makes this
    /// call unless given.
    pub cause: Option<Uuid>,
}

/// The step of a run that started another and waits for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The run.
    pub run_id: Uuid,
    /// The node's id.
    pub node: String,
    /// Its iteration and child.
    pub path: String,
    /// How many runs stand before that run in its chain.
    pub depth: i64,
}

/// A run right after its first burst.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The run's id.
    pub run_id: Uuid,
    /// Where it stands.
    pub status: RunStatus,
    /// The answer, if the first burst reached a `respond` node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
}

/// A run as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub id: Uuid,
    /// The graph it is pinned to.
    pub graph_id: Uuid,
    /// The workflow, if it is one's.
    pub workflow_id: Option<Uuid>,
    /// The workflow's version.
    pub workflow_version: Option<i64>,
    /// The workflow's name at the start.
    pub workflow_name: Option<String>,
    /// The trigger node that started it.
    pub trigger: String,
    /// Where it stands.
    pub status: RunStatus,
    /// What it was given.
    pub input: Value,
    /// What it came to.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<Value>,
    /// What it answered.
    pub response: Option<Response>,
    /// Higher goes first.
    pub priority: i64,
    /// As whom it runs.
    pub actor: Actor,
    /// For whom.
    pub on_behalf_of: Option<Actor>,
    /// The request or story it belongs to.
    pub correlation: Uuid,
    /// The conversation that it belongs to; only who is in it sees the run.
    pub private_to: Option<Uuid>,
    /// The run whose step started it and waits for its end.
    #[serde(default)]
    pub parent_run_id: Option<Uuid>,
    /// The node of that run.
    #[serde(default)]
    pub parent_node: Option<String>,
    /// How many runs stand before it in a chain in which each started the next; 7 at most.
    #[serde(default)]
    pub depth: i64,
    /// Work done so far, in milliseconds; waiting does not count.
    pub work_ms: i64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When a worker first had it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What a queued run waits for, if it is more than a worker with room. Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
}

/// What a run that has not begun waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WaitsFor {
    /// Which limit.
    pub what: WaitsForWhat,
    /// What the limit's key came to, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How many go on at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// How many wait before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ahead: Option<i64>,
    /// Until when, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

/// Which limit a run waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaitsForWhat {
    /// A place among the runs that go on at once: its workflow's `limits.concurrency`.
    Concurrency,
    /// Its time: its workflow's `limits.rate`.
    Rate,
    /// A place among the runs that its workspace may have at work at once.
    Workspace,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Not reached yet.
    Pending,
    /// Started.
    Running,
    /// Waits for a time, a retry or a person.
    Waiting,
    /// Done.
    Succeeded,
    /// Failed for good.
    Failed,
    /// On a branch that was not taken.
    Skipped,
}

/// A step of a run as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// The node's id.
    pub node: String,
    /// The iteration, empty outside of loops; or the child of a step that unfolds, such as `t1.c0`.
    pub path: String,
    /// The node's kind and version; `call`, `ask` or `run` for a child.
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// The port it left by.
    pub port: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// What it came to.
    pub output: Option<Value>,
    /// Why it failed, the last time.
    pub error: Option<Value>,
    /// Its first row in the journal.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was settled.
    pub finished_at: Option<DateTime<Utc>>,
    /// Until when it waits.
    pub wait_until: Option<DateTime<Utc>>,
    /// For a child that is a call: the operation and its input. For one that is a run: workflow, input and `run_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Value>,
}

/// One try of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TryView {
    /// Which one, from 1.
    pub attempt: i64,
    /// How it stands or ended.
    pub status: StepStatus,
    /// The port it left by.
    pub port: Option<String>,
    /// Why it failed.
    pub error: Option<Value>,
    /// Its first row in the journal.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// When the next one was to come.
    pub retry_at: Option<DateTime<Utc>>,
}

/// A step, looked at closely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepDetail {
    /// Where it stands.
    pub step: StepView,
    /// What it was given: of a node its `with` as it was evaluated, of a trigger the run's input, of a child the call's input.
    /// None before it began.
    pub input: Option<Value>,
    /// Why there is no input, when an expression failed.
    pub input_error: Option<Value>,
    /// Its tries, the first one first.
    pub tries: Vec<TryView>,
}

/// What a person decided, or still has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// Nobody decided yet.
    Pending,
    /// Go on.
    Approved,
    /// Do not.
    Rejected,
    /// The deadline passed.
    Expired,
    /// The run ended first.
    Cancelled,
}

impl ApprovalStatus {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        use ApprovalStatus::*;
        match self {
            Pending => "pending",
            Approved => "approved",
            Rejected => "rejected",
            Expired => "expired",
            Cancelled => "cancelled",
        }
    }

    /// The status that `word` names; cancelled for a word that is none.
    pub fn parse(word: &str) -> Self {
        use ApprovalStatus::*;
        [Pending, Approved, Rejected, Expired]
            .into_iter()
            .find(|s| s.as_str() == word)
            .unwrap_or(Cancelled)
    }
}

/// An approval as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalView {
    /// Its id.
    pub id: Uuid,
    /// The run that waits.
    pub run_id: Uuid,
    /// The node that waits.
    pub node: String,
    /// The question.
    pub title: String,
    /// What would be done; a diff, usually.
    pub detail: Value,
    /// What was decided.
    pub status: ApprovalStatus,
    /// By whom.
    pub decided_by: Option<Actor>,
    /// When.
    pub decided_at: Option<DateTime<Utc>>,
    /// With what words.
    pub comment: Option<String>,
    /// Until when an answer counts.
    pub deadline: DateTime<Utc>,
    /// When it was asked.
    pub created_at: DateTime<Utc>,
}

/// Which runs to list.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this workflow.
    pub workflow_id: Option<Uuid>,
    /// In this status.
    pub status: Option<RunStatus>,
    /// Whether only runs are listed that no other run's step started and waits for.
    pub top_level: bool,
    /// Accepted before this time.
    pub before: Option<DateTime<Utc>>,
    /// Accepted at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// At most so many; 50 if none, 200 at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which approvals to list.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// In this status.
    pub status: Option<ApprovalStatus>,
    /// Of this run.
    pub run_id: Option<Uuid>,
    /// At most so many; 50 if none, 200 at most.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}
