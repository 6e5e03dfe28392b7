//! `approvals.*`: what runs ask of people.

use crate::Flows;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_engine::{ApprovalFilter, ApprovalStatus};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Method, Operation};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(flows: &Flows) -> Vec<Operation> {
    vec![list(flows.clone()), get(flows.clone()), decide(flows.clone())]
}

/// Which approvals to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListApprovals {
    /// Only those in this status.
    #[serde(default)]
    pub status: Option<ApprovalStatus>,
    /// Only those of this run.
    #[serde(default)]
    pub run_id: Option<Uuid>,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list(flows: Flows) -> Operation {
    Operation::read("approvals.list", "List approvals")
        .about("Lists what runs ask of people, the newest first; with status pending, what still waits.")
        .permission("approvals:read")
        .rest(Method::GET, "/approvals")
        .handle(move |tx: Tx, input: Arc<ListApprovals>| {
            let flows = flows.clone();
            async move {
                let filter = ApprovalFilter {
                    status: input.status,
                    run_id: input.run_id,
                    limit: input.limit,
                    cursor: input.cursor.clone(),
                };
                flows.engine()?.approvals(&tx, filter).await
            }
        })
}

/// Which approval.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetApproval {
    /// The approval's id.
    pub approval_id: Uuid,
}

fn get(flows: Flows) -> Operation {
    Operation::read("approvals.get", "Get an approval")
        .about("Gives an approval: what would be done, until when, and what was decided by whom.")
        .permission("approvals:read")
        .rest(Method::GET, "/approvals/{approval_id}")
        .handle(move |tx: Tx, input: Arc<GetApproval>| {
            let flows = flows.clone();
            async move { flows.engine()?.approval(&tx, input.approval_id).await }
        })
}

/// A decision.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideApproval {
    /// The approval's id.
    pub approval_id: Uuid,
    /// Whether the run may go on as it asked.
    pub approve: bool,
    /// Words that go with the decision; the run sees them.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub comment: Option<String>,
}

fn decide(flows: Flows) -> Operation {
    Operation::write("approvals.decide", "Decide an approval")
        .about("Approves or rejects what a run asks. The first decision before the deadline counts.")
        .permission("approvals:decide")
        .rest(Method::POST, "/approvals/{approval_id}/decide")
        .handle(move |tx: Tx, input: Arc<DecideApproval>| {
            let flows = flows.clone();
            async move {
                let comment = input.comment.clone();
                flows
                    .engine()?
                    .decide(&tx, input.approval_id, input.approve, comment)
                    .await
                    .map(Done)
            }
        })
}
