//! What the engine asks of whoever keeps workflows: a name becomes what a run is pinned to.

use crate::run::model::WorkflowRef;
use async_trait::async_trait;
use synapscale_core::{Actor, Result};
use synapscale_store::Tx;
use uuid::Uuid;

/// Finds workflows. Implemented above the engine, registered with [`crate::Engine::set_workflows`].
#[async_trait]
pub trait Workflows: Send + Sync {
    /// What a new run of a workflow of the transaction's tenant is pinned to.
    ///
    /// # Errors
    /// `not_found`, `workflow_not_active`, or `required` when it has several triggers and none is named.
    async fn pin(&self, tx: &Tx, wanted: &WantedWorkflow) -> Result<PinnedWorkflow>;
}

/// Which workflow is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedWorkflow {
    /// Its name.
    pub name: String,
    /// The version; the current one if none.
    pub version: Option<i64>,
    /// The trigger node to begin with; the only manual one, or else the only one, if none.
    pub trigger: Option<String>,
}

/// What a run of it is pinned to.
#[derive(Clone, Debug, PartialEq)]
pub struct PinnedWorkflow {
    /// The workflow and its version.
    pub workflow: WorkflowRef,
    /// The version's graph.
    pub graph_id: Uuid,
    /// The trigger node to begin with.
    pub trigger: String,
    /// As whom it runs.
    pub publisher: Actor,
}
