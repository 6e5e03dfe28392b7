//! Bringing a run back into memory from its rows.

use crate::engine::Engine;
use crate::run::entity::{queue, run};
use crate::run::journal;
use crate::run::model::{Parent, RunStatus, WorkflowRef};
use crate::run::state::{Row, RunHead, RunState};
use std::sync::Arc;
use synapscale_core::{Actor, ActorKind, Error, Result, TenantId};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// The run as its journal tells it, with the signals counted so far. The journal is read a page at a time, and of large
/// outputs only those are fetched that a step may still look at.
pub(crate) async fn load(engine: &Engine, tx: &Tx, run_id: Uuid) -> Result<RunState> {
    read(engine, tx, run_id, |_| ()).await
}

/// As [`load`], with the journal's rows; large outputs of these stay in their blobs.
pub(crate) async fn with_rows(engine: &Engine, tx: &Tx, run_id: Uuid) -> Result<(RunState, Vec<Row>)> {
    let mut rows = Vec::new();
    let state = read(engine, tx, run_id, |page| rows.extend(page)).await?;
    Ok((state, rows))
}

async fn read(engine: &Engine, tx: &Tx, run_id: Uuid, mut seen: impl FnMut(Vec<Row>)) -> Result<RunState> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::Id.eq(run_id))
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("run"))?;
    let signals = tx
        .find::<queue::Entity>()
        .filter(queue::Column::RunId.eq(run_id))
        .row(tx)
        .await?
        .map_or(0, |row| row.signals);
    let graph = engine.graph(tx, row.graph_id).await?;
    let entry = graph
        .index(&row.entry)
        .ok_or_else(|| Error::internal("the run's trigger is not in its graph"))?;
    let input = Arc::new(journal::fetch(tx, row.input.clone()).await?);
    let head = RunHead {
        id: row.id,
        tenant: TenantId(row.tenant_id),
        graph_id: row.graph_id,
        graph,
        entry,
        input,
        workflow: workflow(&row),
        principal: actor(&row.principal_kind, row.principal_id),
        on_behalf_of: row
            .behalf_kind
            .as_deref()
            .zip(row.behalf_id)
            .map(|(kind, id)| actor(kind, id)),
        priority: row.priority,
        correlation: row.correlation,
        private_to: row.private_to,
        parent: parent(&row),
        depth: row.depth.unwrap_or(0),
        created_at: row.created_at,
    };
    let mut state = RunState::new(head);
    let (graph, mut place) = (state.head.graph.clone(), 0);
    while let Some((rows, last)) = journal::page(tx, run_id, &graph, place).await? {
        for row in &rows {
            if state.looks_at_outputs(row) {
                state.bring(tx).await?;
            }
            state.replay(row);
        }
        place = last;
        seen(rows);
    }
    state.bring(tx).await?;
    state.status = RunStatus::parse(&row.status);
    state.response = row.response.and_then(|value| serde_json::from_value(value).ok());
    state.work_ms = row.work_ms;
    state.started_at = row.started_at;
    state.signals_seen = signals;
    Ok(state)
}

/// The step that a row names as the one that waits for it.
fn parent(row: &run::Model) -> Option<Parent> {
    Some(Parent {
        run_id: row.parent_run_id?,
        node: row.parent_node.clone().unwrap_or_default(),
        path: row.parent_path.clone().unwrap_or_default(),
        depth: row.depth.unwrap_or(1) - 1,
    })
}

/// The workflow that a row names.
pub(crate) fn workflow(row: &run::Model) -> Option<WorkflowRef> {
    Some(WorkflowRef {
        id: row.workflow_id?,
        version: row.workflow_version?,
        name: row.workflow_name.clone().unwrap_or_default(),
    })
}

/// The actor that a pair of columns names.
pub(crate) fn actor(kind: &str, id: Uuid) -> Actor {
    Actor {
        kind: ActorKind::parse(kind).unwrap_or(ActorKind::Anonymous),
        id,
    }
}
