//! What a burst leaves in the database: journal, run, queue and events, guarded by the lease's epoch.

use crate::engine::{Engine, RUNS};
use crate::run::entity::{approval, queue, run};
use crate::run::events::{RunFinished, RunPaused, RunProgressed, StepProgress};
use crate::run::model::{ApprovalStatus, RunStatus};
use crate::run::state::{Row, RunState, What, error_value};
use crate::run::{journal, limits, nested, signal};
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use synapscale_core::{Error, NewEvent, Result};
use synapscale_store::orm::sea_query::{CaseStatement, Expr, ExprTrait, SimpleExpr};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Keeps a run for the first time, after its first burst.
pub(crate) async fn insert(
    engine: &Engine,
    tx: &Tx,
    state: &mut RunState,
    input: Value,
    leased: bool,
) -> Result<()> {
    finish(engine, tx, state);
    let head = state.head.clone();
    let output = output(tx, state).await?;
    tx.insert::<run::Entity>(run::Model {
        tenant_id: head.tenant.0,
        id: head.id,
        graph_id: head.graph_id,
        workflow_id: head.workflow.as_ref().map(|w| w.id),
        workflow_version: head.workflow.as_ref().map(|w| w.version),
        workflow_name: head.workflow.as_ref().map(|w| w.name.clone()),
        entry: head.graph.node(head.entry).id.clone(),
        status: state.status.as_str().to_owned(),
        input,
        output,
        error: state.error.as_ref().map(error_value),
        response: response(state),
        principal_kind: head.principal.kind.as_str().to_owned(),
        principal_id: head.principal.id,
        behalf_kind: head.on_behalf_of.map(|actor| actor.kind.as_str().to_owned()),
        behalf_id: head.on_behalf_of.map(|actor| actor.id),
        priority: head.priority,
        correlation: head.correlation,
        private_to: head.private_to,
        parent_run_id: head.parent.as_ref().map(|parent| parent.run_id),
        parent_node: head.parent.as_ref().map(|parent| parent.node.clone()),
        parent_path: head.parent.as_ref().map(|parent| parent.path.clone()),
        depth: Some(head.depth),
        work_ms: state.work_ms,
        created_at: head.created_at,
        started_at: state.started_at,
        finished_at: finished_at(state, tx),
    })
    .await?;
    let rows = journal::append(tx, state).await?;
    tell(tx, state, &rows);
    if state.status.is_final() {
        close(engine, tx, state).await?;
        return tell_parent(tx, state).await;
    }
    if state.status == RunStatus::Paused {
        return Ok(());
    }
    let now = tx.now().await?;
    let lease = Duration::from_std(engine.config().lease).unwrap_or(Duration::seconds(30));
    tx.insert::<queue::Entity>(queue::Model {
        tenant_id: head.tenant.0,
        run_id: head.id,
        priority: head.priority,
        ready_at: if state.only_waits() {
            state.wakes_at().unwrap_or(now)
        } else {
            now
        },
        owner: leased.then(|| engine.owner()),
        lease_epoch: i64::from(leased),
        lease_until: leased.then(|| now + lease),
        crashes: 0,
        signals: 0,
        awaits: limits::awaits(state),
        lane: limits::lane(head.priority),
        parked: false,
    })
    .await
}

/// Notes that a run may begin.
pub(crate) async fn admitted(engine: &Engine, tx: &Tx, id: Uuid, epoch: i64) -> Result<()> {
    let update = tx
        .update::<queue::Entity>()
        .col_expr(queue::Column::Awaits, Expr::val(None::<String>))
        .filter(mine(engine, id, epoch));
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(lease_lost()),
    }
}

/// Lets a run go that may not begin yet: until a time, or until somebody gives it a place. Refused when a signal came since
/// they were `counted`, which must not wait with it.
pub(crate) async fn park(
    engine: &Engine,
    tx: &Tx,
    id: Uuid,
    epoch: i64,
    counted: i64,
    awaits: &str,
    until: Option<DateTime<Utc>>,
) -> Result<()> {
    let update = tx
        .update::<queue::Entity>()
        .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
        .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
        .col_expr(queue::Column::Crashes, Expr::val(0))
        .col_expr(queue::Column::Awaits, Expr::val(awaits))
        .col_expr(queue::Column::Parked, Expr::val(until.is_none()));
    let update = match until {
        Some(until) => update.col_expr(queue::Column::ReadyAt, Expr::val(until)),
        None => update,
    };
    let unheard = queue::Column::Signals.eq(counted);
    if tx
        .run_update(update.filter(mine(engine, id, epoch)).filter(unheard))
        .await?
        == 1
    {
        limits::release(engine, tx, tx.ctx().tenant());
        tx.wake(RUNS);
        return Ok(());
    }
    let held = tx.find::<queue::Entity>().filter(mine(engine, id, epoch));
    match held.row(tx).await? {
        Some(_) => {
            Err(Error::unavailable("run_signalled", "The run was told something at this moment.").transient())
        }
        None => Err(lease_lost()),
    }
}

/// The queue's row of a run as this worker holds it.
fn mine(engine: &Engine, id: Uuid, epoch: i64) -> SimpleExpr {
    queue::Column::RunId
        .eq(id)
        .and(queue::Column::Owner.eq(engine.owner()))
        .and(queue::Column::LeaseEpoch.eq(epoch))
}

/// Keeps what a later burst did. Refused when the lease is no longer ours: then nothing of the burst stays.
pub(crate) async fn update(engine: &Engine, tx: &Tx, state: &mut RunState, epoch: i64) -> Result<()> {
    finish(engine, tx, state);
    if state.status.is_final() {
        // Before this run's own row is touched, as a child touches its own before its parent's: nobody waits in a circle.
        close(engine, tx, state).await?;
    }
    release_or_renew(engine, tx, state, epoch).await?;
    if state.status.is_final() {
        tell_parent(tx, state).await?;
    }
    let output = output(tx, state).await?;
    let update = tx
        .update::<run::Entity>()
        .col_expr(run::Column::Status, Expr::val(state.status.as_str()))
        .col_expr(run::Column::Output, Expr::val(output))
        .col_expr(
            run::Column::Error,
            Expr::val(state.error.as_ref().map(error_value)),
        )
        .col_expr(run::Column::Response, Expr::val(response(state)))
        .col_expr(run::Column::WorkMs, Expr::val(state.work_ms))
        .col_expr(run::Column::StartedAt, Expr::val(state.started_at))
        .col_expr(run::Column::FinishedAt, Expr::val(finished_at(state, tx)))
        .filter(run::Column::Id.eq(state.head.id));
    tx.run_update(update).await?;
    let rows = journal::append(tx, state).await?;
    tell(tx, state, &rows);
    Ok(())
}

/// The guard: one statement that hits exactly one row, or the worker is stale.
async fn release_or_renew(engine: &Engine, tx: &Tx, state: &RunState, epoch: i64) -> Result<()> {
    let mine = mine(engine, state.head.id, epoch);
    let hit = if state.status.is_final() || state.status == RunStatus::Paused {
        let gone = tx.delete::<queue::Entity>().filter(mine);
        tx.run_delete(gone).await?
    } else {
        let update = tx.update::<queue::Entity>();
        // A call under way may be what brings the worker down: only when it is over, the worker has survived.
        let update = match state.in_flight.is_empty() {
            true => update.col_expr(queue::Column::Crashes, Expr::val(0)),
            false => update,
        };
        let update = if state.only_waits() {
            // A signal that came meanwhile must not sleep until the wait's own time.
            let wakes = state.wakes_at().unwrap_or_else(|| tx.ctx().clock().now());
            let ready = CaseStatement::new()
                .case(
                    Expr::col(queue::Column::Signals).ne(state.signals_seen),
                    tx.time_in(Duration::zero()),
                )
                .finally(Expr::val(wakes));
            update
                .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
                .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
                .col_expr(queue::Column::ReadyAt, ready.into())
        } else {
            let lease = Duration::from_std(engine.config().lease).unwrap_or(Duration::seconds(30));
            update.col_expr(queue::Column::LeaseUntil, tx.time_in(lease))
        };
        tx.run_update(update.filter(mine)).await?
    };
    if hit != 1 {
        return Err(lease_lost());
    }
    let is_over = state.status.is_final() || state.status == RunStatus::Paused;
    if is_over {
        limits::free(engine, tx, state).await?;
    }
    if is_over || state.only_waits() {
        limits::release(engine, tx, state.head.tenant);
    }
    if state.only_waits() || state.status.is_final() {
        tx.wake(RUNS);
    }
    Ok(())
}

/// Whatever a run that has ended leaves open: questions nobody needs to answer, runs nobody waits for.
async fn close(engine: &Engine, tx: &Tx, state: &RunState) -> Result<()> {
    if state.waits.iter().any(signal::is_approval) {
        withdraw_approvals(tx, state.head.id).await?;
    }
    nested::stop_all(engine, tx, &state.waits).await
}

async fn tell_parent(tx: &Tx, state: &RunState) -> Result<()> {
    match &state.head.parent {
        Some(parent) => nested::tell_parent(tx, state.head.id, Some(parent.run_id), &parent.node).await,
        None => Ok(()),
    }
}

pub(crate) fn lease_lost() -> Error {
    Error::conflict(
        "lease_lost",
        "Another worker took this run over; nothing of this burst was kept.",
    )
}

fn finish(engine: &Engine, tx: &Tx, state: &mut RunState) {
    let next = super::burst::status(state);
    // One that no worker has yet stays queued, unless it has ended or only waits.
    if state.status != RunStatus::Queued || next != RunStatus::Running {
        state.status = next;
    }
    let over = state.status.is_final() || state.status == RunStatus::Paused;
    if over {
        let (live, run_id, status) = (engine.live().clone(), state.head.id, state.status.as_str());
        tx.after_commit(move || live.end(run_id, status));
    }
    let head = &state.head;
    if state.status.is_final() {
        if state.status == RunStatus::Succeeded {
            state.output = Some(state.result());
        }
        let code = state.error.as_ref().map(|error| error.code().to_owned());
        tx.emit(NewEvent::new(
            "run",
            head.id,
            &RunFinished {
                status: state.status,
                code,
            },
        ));
    } else if state.status == RunStatus::Paused {
        let reason = state
            .error
            .as_ref()
            .map(|error| error.message().to_owned())
            .unwrap_or_default();
        tx.emit(NewEvent::new("run", head.id, &RunPaused { reason }));
    }
}

async fn output(tx: &Tx, state: &RunState) -> Result<Option<Value>> {
    match &state.output {
        Some(output) => journal::stow(tx, output).await.map(Some),
        None => Ok(None),
    }
}

fn response(state: &RunState) -> Option<Value> {
    state
        .response
        .as_ref()
        .and_then(|response| serde_json::to_value(response).ok())
        .map(journal::without_nul)
}

fn finished_at(state: &RunState, tx: &Tx) -> Option<DateTime<Utc>> {
    state.status.is_final().then(|| tx.ctx().clock().now())
}

fn tell(tx: &Tx, state: &RunState, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let progress = |row: &Row| StepProgress {
        node: state.node_id(&row.key).to_owned(),
        path: row.key.path.to_string(),
        what: row.what.kind().to_owned(),
        port: match &row.what {
            What::Completed { port, .. } => Some(port.clone()),
            _ => None,
        },
        attempt: row.attempt,
    };
    let steps = rows.iter().map(progress).collect();
    tx.emit(NewEvent::new("run", state.head.id, &RunProgressed { steps }));
}

/// Nobody needs to answer this question any more.
pub(crate) async fn withdraw_approval(tx: &Tx, id: Uuid) -> Result<()> {
    let update = tx
        .update::<approval::Entity>()
        .col_expr(
            approval::Column::Status,
            Expr::val(ApprovalStatus::Cancelled.as_str()),
        )
        .filter(approval::Column::Id.eq(id))
        .filter(approval::Column::Status.eq(ApprovalStatus::Pending.as_str()));
    tx.run_update(update).await.map(|_| ())
}

/// Nobody needs to answer any more.
pub(crate) async fn withdraw_approvals(tx: &Tx, run_id: Uuid) -> Result<()> {
    let update = tx
        .update::<approval::Entity>()
        .col_expr(
            approval::Column::Status,
            Expr::val(ApprovalStatus::Cancelled.as_str()),
        )
        .filter(approval::Column::RunId.eq(run_id))
        .filter(approval::Column::Status.eq(ApprovalStatus::Pending.as_str()));
    tx.run_update(update).await.map(|_| ())
}
