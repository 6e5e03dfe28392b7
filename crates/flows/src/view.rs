//! What the API shows of workflows and hooks.

use crate::entity::{hook, version, workflow};
use crate::hooks::verify::Scheme;
use crate::service::publisher;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_core::{Actor, ActorKind};
use synapscale_ops::Revisioned;
use uuid::Uuid;

/// Whether a workflow takes runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    /// No version was applied yet.
    Draft,
    /// Takes runs and deliveries.
    Active,
    /// Takes none for now.
    Paused,
    /// Kept for its history.
    Archived,
}

impl WorkflowStatus {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            WorkflowStatus::Draft => "draft",
            WorkflowStatus::Active => "active",
            WorkflowStatus::Paused => "paused",
            WorkflowStatus::Archived => "archived",
        }
    }

    /// The status that `word` names; draft for a word that is none.
    pub fn parse(word: &str) -> Self {
        use WorkflowStatus::*;
        [Active, Paused, Archived]
            .into_iter()
            .find(|status| status.as_str() == word)
            .unwrap_or(Draft)
    }
}

/// A workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowView {
    /// Its id.
    pub id: Uuid,
    /// Its name: what people and files call it.
    pub name: String,
    /// A line for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Whether it takes runs.
    pub status: WorkflowStatus,
    /// The current version.
    pub version: i64,
    /// How long a run may work, in seconds; waiting does not count.
    pub execution_timeout: i64,
    /// How failed steps are tried again, unless a node says otherwise.
    pub retry_policy: Value,
    /// Whatever its owner keeps with it.
    pub metadata: Value,
    /// The current version's graph.
    pub graph_id: Option<Uuid>,
    /// As whom it runs: whoever applied the current version.
    pub publisher: Option<Actor>,
    /// Raised by each change.
    pub revision: i64,
    /// When it was first applied.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Who applied it first.
    pub created_by: Option<Uuid>,
}

impl From<&workflow::Model> for WorkflowView {
    fn from(row: &workflow::Model) -> Self {
        WorkflowView {
            id: row.id,
            name: row.name.clone(),
            title: row.title.clone(),
            description: row.description.clone(),
            status: WorkflowStatus::parse(&row.status),
            version: row.version,
            execution_timeout: row.execution_timeout,
            retry_policy: row.retry_policy.clone(),
            metadata: row.metadata.clone(),
            graph_id: row.graph_id,
            publisher: publisher(row),
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: row.created_by,
        }
    }
}

impl Revisioned for WorkflowView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

/// A workflow with the file of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowDetail {
    /// The workflow.
    pub workflow: WorkflowView,
    /// The version that `file` is.
    pub version: i64,
    /// The file as it was applied.
    pub file: Value,
}

impl Revisioned for WorkflowDetail {
    fn revision(&self) -> i64 {
        self.workflow.revision
    }
}

/// One version of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// Its number, from 1.
    pub version: i64,
    /// Its graph; two versions with the same content have the same.
    pub graph_id: Uuid,
    /// As whom it runs.
    pub publisher: Actor,
    /// When it was applied.
    pub created_at: DateTime<Utc>,
}

impl From<version::Model> for VersionView {
    fn from(row: version::Model) -> Self {
        VersionView {
            version: row.version,
            graph_id: row.graph_id,
            publisher: actor(&row.publisher_kind, row.publisher_id),
            created_at: row.created_at,
        }
    }
}

/// The actor that two columns name.
pub(crate) fn actor(kind: &str, id: Uuid) -> Actor {
    Actor {
        kind: ActorKind::parse(kind).unwrap_or(ActorKind::Anonymous),
        id,
    }
}

/// A hook as `workflows.apply` tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedHook {
    /// The hook.
    pub id: Uuid,
    /// The trigger node.
    pub node: String,
    /// Where deliveries go, below the server's address. The last part is a secret.
    pub url_path: String,
    /// How deliveries prove where they come from.
    pub scheme: Scheme,
    /// The secret to enter at the provider. Told once, when it is made; not to a step of a run, which would keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// What `workflows.apply` did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedWorkflow {
    /// The workflow as it stands now.
    pub workflow: WorkflowView,
    /// The version that new runs use.
    pub version: i64,
    /// Whether this made a new version; the same content again does not.
    pub changed: bool,
    /// The URLs of its webhook triggers.
    pub hooks: Vec<AppliedHook>,
}

impl Revisioned for AppliedWorkflow {
    fn revision(&self) -> i64 {
        self.workflow.revision
    }
}

/// A hook in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookView {
    /// Its id.
    pub id: Uuid,
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
    /// How deliveries prove where they come from.
    pub scheme: Scheme,
    /// Where deliveries go; null without the permission `hooks:manage`, since the path opens hooks without a scheme.
    pub url_path: Option<String>,
    /// For how many hours a repeated delivery is recognised.
    pub dedupe_hours: i64,
    /// Until when the secret before this one still opens it.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// Whether it takes deliveries.
    pub active: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl HookView {
    /// The view of a row.
    pub(crate) fn of(row: hook::Model, url_path: Option<String>) -> Self {
        HookView {
            id: row.id,
            workflow_id: row.workflow_id,
            node: row.node,
            scheme: crate::hooks::scheme_of(&row.scheme),
            url_path,
            dedupe_hours: row.dedupe_hours,
            previous_secret_until: row.previous_until,
            active: row.active,
            created_at: row.created_at,
        }
    }
}
