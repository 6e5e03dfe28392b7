//! What a run of a workflow is pinned to: version, graph, trigger and publisher, by the workflow's name.

use crate::entity::workflow;
use crate::file::Summary;
use crate::service;
use crate::view::WorkflowStatus;
use async_trait::async_trait;
use synapscale_core::{Error, Result};
use synapscale_engine::{PinnedWorkflow, WantedWorkflow, WorkflowRef, Workflows};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// The workflows of this domain, for steps that start them.
pub(crate) struct Named;

#[async_trait]
impl Workflows for Named {
    async fn pin(&self, tx: &Tx, wanted: &WantedWorkflow) -> Result<PinnedWorkflow> {
        pin(tx, wanted).await
    }
}

/// Pins a run of the workflow that `wanted` names.
///
/// # Errors
/// `not_found`, `workflow_not_active`, `required` for a trigger that has to be named.
pub(crate) async fn pin(tx: &Tx, wanted: &WantedWorkflow) -> Result<PinnedWorkflow> {
    let row = service::by_name(tx, &wanted.name).await?;
    if row.status != WorkflowStatus::Active.as_str() {
        let message = format!(
            "The workflow is {}. Set its status to active to run it.",
            row.status
        );
        return Err(Error::conflict("workflow_not_active", message));
    }
    pin_row(tx, row, wanted).await
}

async fn pin_row(tx: &Tx, row: workflow::Model, wanted: &WantedWorkflow) -> Result<PinnedWorkflow> {
    let number = wanted.version.unwrap_or(row.version);
    let current = row
        .graph_id
        .zip(service::publisher(&row))
        .filter(|_| number == row.version);
    let workflow = WorkflowRef {
        id: row.id,
        version: number,
        name: row.name,
    };
    // The current version with a named trigger needs nothing but the row at hand.
    if let (Some((graph_id, publisher)), Some(trigger)) = (current, &wanted.trigger) {
        return Ok(PinnedWorkflow {
            workflow,
            graph_id,
            trigger: trigger.clone(),
            publisher,
        });
    }
    let version = service::version_of(tx, row.id, number).await?;
    let summary = version.file.as_object().map(Summary::of);
    let default = summary.as_ref().and_then(Summary::default_trigger);
    let trigger = wanted.trigger.as_deref().or(default).ok_or_else(|| {
        let names = summary
            .as_ref()
            .map(|summary| summary.triggers.join(", "))
            .unwrap_or_default();
        Error::invalid(
            "/trigger",
            "required",
            format!("Name the trigger to begin with, one of: {names}."),
        )
    })?;
    Ok(PinnedWorkflow {
        workflow,
        graph_id: version.graph_id,
        trigger: trigger.to_owned(),
        publisher: crate::view::actor(&version.publisher_kind, version.publisher_id),
    })
}

/// A version of a workflow, deleted or not, for a run that began with `trigger`; the current one if none is named.
///
/// # Errors
/// `not_found`.
pub(crate) async fn version(
    tx: &Tx,
    workflow_id: Uuid,
    number: Option<i64>,
    trigger: &str,
) -> Result<PinnedWorkflow> {
    let row = tx
        .find::<workflow::Entity>()
        .filter(workflow::Column::Id.eq(workflow_id))
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("workflow"))?;
    let version = service::version_of(tx, row.id, number.unwrap_or(row.version)).await?;
    Ok(PinnedWorkflow {
        workflow: WorkflowRef {
            id: row.id,
            version: version.version,
            name: row.name,
        },
        graph_id: version.graph_id,
        trigger: trigger.to_owned(),
        publisher: crate::view::actor(&version.publisher_kind, version.publisher_id),
    })
}
