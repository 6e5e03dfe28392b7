//! What this domain tells the log.

use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};
use uuid::Uuid;

/// A version of a workflow was applied.
#[derive(Serialize, JsonSchema)]
pub struct WorkflowApplied {
    /// The workflow's name.
    pub name: String,
    /// The new version.
    pub version: i64,
    /// Its graph.
    pub graph_id: Uuid,
}

impl EventPayload for WorkflowApplied {
    const KIND: &'static str = "workflow.applied";
    const ABOUT: &'static str = "A workflow was created, or got a new version; new runs use it.";
}

/// A workflow's own fields changed.
#[derive(Serialize, JsonSchema)]
pub struct WorkflowUpdated {
    /// The workflow's name.
    pub name: String,
}

impl EventPayload for WorkflowUpdated {
    const KIND: &'static str = "workflow.updated";
    const ABOUT: &'static str =
        "Title, description, status or metadata of a workflow changed; its graph did not.";
}

/// A workflow was deleted.
#[derive(Serialize, JsonSchema)]
pub struct WorkflowDeleted {
    /// The workflow's name.
    pub name: String,
    /// The group that a restore would name.
    pub delete_group: Uuid,
}

impl EventPayload for WorkflowDeleted {
    const KIND: &'static str = "workflow.deleted";
    const ABOUT: &'static str =
        "A workflow was deleted and its hooks take no more deliveries; its runs go on.";
}

/// A hook was made.
#[derive(Serialize, JsonSchema)]
pub struct HookCreated {
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
    /// How deliveries prove where they come from.
    pub scheme: String,
}

impl EventPayload for HookCreated {
    const KIND: &'static str = "hook.created";
    const ABOUT: &'static str = "A webhook trigger got its URL and, if its scheme has one, a secret.";
}

/// A hook takes no more deliveries.
#[derive(Serialize, JsonSchema)]
pub struct HookClosed {
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
}

impl EventPayload for HookClosed {
    const KIND: &'static str = "hook.closed";
    const ABOUT: &'static str = "A hook takes no more deliveries: its trigger or its workflow is gone.";
}

/// A hook has another secret.
#[derive(Serialize, JsonSchema)]
pub struct HookSecretRotated {
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
}

impl EventPayload for HookSecretRotated {
    const KIND: &'static str = "hook.secret_rotated";
    const ABOUT: &'static str = "A hook got another secret; the one before may open it for a day more.";
}

/// Every kind declared here.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<WorkflowApplied>(),
        EventKind::of::<WorkflowUpdated>(),
        EventKind::of::<WorkflowDeleted>(),
        EventKind::of::<HookCreated>(),
        EventKind::of::<HookClosed>(),
        EventKind::of::<HookSecretRotated>(),
    ]
}
