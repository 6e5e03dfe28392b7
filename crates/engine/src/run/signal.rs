//! What reaches a run from outside of its worker: decisions and cancellation; and what time brings.

use crate::engine::{Engine, RUNS};
use crate::run::burst;
use crate::run::drive::Arrival;
use crate::run::entity::{approval, queue, run, signal, slot};
use crate::run::events::ApprovalDecided;
use crate::run::model::{ApprovalStatus, ApprovalView, RunStatus, RunView};
use crate::run::state::{RunState, Wait, What, Why};
use crate::run::views;
use crate::run::{limits, nested, persist};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_core::{Ctx, Error, ErrorKind, NewEvent, Result, TenantId, new_id};
use synapscale_store::orm::sea_query::{Expr, ExprTrait};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

pub(crate) const CANCEL: &str = "cancel";
const DECISION: &str = "decision";
pub(crate) const CHILD: &str = "child";
/// How often a signal may find its run being paused or resumed in the very moment that it comes.
const MEETINGS: usize = 5;

pub(crate) fn is_approval(wait: &Wait) -> bool {
    matches!(wait.why, Why::Approval(_))
}

impl Engine {
    /// Asks a run to end. It ends at its next commit, which is at once for a run that waits.
    ///
    /// # Errors
    /// `not_found`, or `run_finished` for a run that has ended.
    pub async fn cancel(&self, tx: &Tx, run_id: Uuid, reason: &str) -> Result<RunView> {
        let view = self.run(tx, run_id).await?;
        if view.status.is_final() {
            return Err(Error::conflict("run_finished", "This run has ended already."));
        }
        if view.status == RunStatus::Paused {
            if !nested::end_paused(self, tx, run_id).await? {
                return Err(Error::conflict("run_finished", "This run has ended already."));
            }
            return self.run(tx, run_id).await;
        }
        send(tx, run_id, "", CANCEL, json!({ "reason": reason })).await?;
        Ok(view)
    }

    /// Takes a person's decision.
    ///
    /// # Errors
    /// `not_found`; `approval_decided` when somebody was faster or the deadline passed.
    pub async fn decide(
        &self,
        tx: &Tx,
        approval_id: Uuid,
        approve: bool,
        comment: Option<String>,
    ) -> Result<ApprovalView> {
        // Else an agent would start a workflow that approves what the agent asks.
        if tx.ctx().origin().run.is_some() {
            let words = "An approval is a person's word: no step of a run decides one.";
            return Err(Error::new(ErrorKind::Forbidden, "forbidden", words));
        }
        let row = self.visible_approval(tx, approval_id).await?;
        let now = tx.ctx().clock().now();
        let status = if approve {
            ApprovalStatus::Approved
        } else {
            ApprovalStatus::Rejected
        };
        let by = tx.ctx().principal().unwrap_or(tx.ctx().actor());
        let update = tx
            .update::<approval::Entity>()
            .col_expr(approval::Column::Status, Expr::val(status.as_str()))
            .col_expr(approval::Column::DecidedByKind, Expr::val(by.kind.as_str()))
            .col_expr(approval::Column::DecidedById, Expr::val(by.id))
            .col_expr(approval::Column::DecidedAt, Expr::val(now))
            .col_expr(approval::Column::Comment, Expr::val(comment.clone()))
            .filter(approval::Column::Id.eq(approval_id))
            .filter(approval::Column::Status.eq(ApprovalStatus::Pending.as_str()))
            .filter(approval::Column::Deadline.gt(now));
        if tx.run_update(update).await? != 1 {
            return Err(Error::conflict(
                "approval_decided",
                "This has been decided already, or its deadline has passed.",
            ));
        }
        let payload = json!({ "approval": approval_id, "status": status.as_str(), "comment": comment, "by": by, "at": now });
        send(tx, row.run_id, &row.node, DECISION, payload).await?;
        let decision = status.as_str().to_owned();
        tx.emit(NewEvent::new(
            "approval",
            approval_id,
            &ApprovalDecided {
                run_id: row.run_id,
                decision,
            },
        ));
        views::approval(self.visible_approval(tx, approval_id).await?)
    }
}

/// Leaves a signal for a run that has not ended and makes it ready.
async fn send(tx: &Tx, run_id: Uuid, node: &str, kind: &str, payload: Value) -> Result<()> {
    match leave(tx, run_id, node, kind, payload).await? {
        true => Ok(()),
        false => Err(Error::conflict(
            "run_finished",
            "The run does not wait for this any more.",
        )),
    }
}

/// Leaves a signal for a run; for one that is paused until it is resumed. False when the run has ended.
pub(crate) async fn leave(tx: &Tx, run_id: Uuid, node: &str, kind: &str, payload: Value) -> Result<bool> {
    for _ in 0..MEETINGS {
        if reach(tx, run_id, node, kind, payload.clone()).await? {
            return Ok(true);
        }
        // A change that changes nothing: somebody who resumes the run at this moment waits for this transaction and finds
        // the signal, or this one waits for theirs and finds the run resumed. A look alone would miss them.
        let still = tx
            .update::<run::Entity>()
            .col_expr(run::Column::Status, Expr::val(RunStatus::Paused.as_str()))
            .filter(run::Column::Id.eq(run_id))
            .filter(run::Column::Status.eq(RunStatus::Paused.as_str()));
        if tx.run_update(still).await? == 1 {
            keep(tx, run_id, node, kind, payload).await?;
            return Ok(true);
        }
        let row = tx.find::<run::Entity>().filter(run::Column::Id.eq(run_id));
        let gone = |row: run::Model| RunStatus::parse(&row.status).is_final();
        if row.row(tx).await?.is_none_or(gone) {
            return Ok(false);
        }
    }
    Err(Error::unavailable(
        "run_unsettled",
        "The run is paused and resumed at this moment. Try again.",
    )
    .transient())
}

/// Leaves a signal for a run that is queued, at work or waiting, and makes it ready; false when it is not. The counter
/// keeps a worker that is about to let go from missing it.
pub(crate) async fn reach(tx: &Tx, run_id: Uuid, node: &str, kind: &str, payload: Value) -> Result<bool> {
    let update = tx
        .update::<queue::Entity>()
        .col_expr(queue::Column::Signals, Expr::col(queue::Column::Signals).add(1))
        .col_expr(queue::Column::ReadyAt, tx.time_in(chrono::Duration::zero()))
        .col_expr(queue::Column::Parked, Expr::val(false))
        .filter(queue::Column::RunId.eq(run_id));
    if tx.run_update(update).await? != 1 {
        return Ok(false);
    }
    keep(tx, run_id, node, kind, payload).await?;
    tx.wake(RUNS);
    Ok(true)
}

async fn keep(tx: &Tx, run_id: Uuid, node: &str, kind: &str, payload: Value) -> Result<()> {
    tx.insert::<signal::Entity>(signal::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        run_id,
        node: node.to_owned(),
        kind: kind.to_owned(),
        payload,
        at: tx.ctx().clock().now(),
    })
    .await
}

/// Whether signals came since the run was last looked at.
pub(crate) async fn waiting(engine: &Engine, state: &RunState) -> Result<bool> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(state.head.tenant);
    let (id, seen) = (state.head.id, state.signals_seen);
    let row = engine
        .store()
        .read(&ctx, |tx| async move {
            tx.find::<queue::Entity>()
                .filter(queue::Column::RunId.eq(id))
                .row(&tx)
                .await
        })
        .await?;
    Ok(row.is_none_or(|row| row.signals != seen))
}

/// Gives the lease back, for another worker or a later start.
pub(crate) async fn give_back(engine: &Engine, state: &RunState, epoch: i64) -> Result<()> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(state.head.tenant);
    let (id, owner) = (state.head.id, engine.owner());
    engine
        .store()
        .write(&ctx, |tx| async move {
            let update = tx
                .update::<queue::Entity>()
                .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
                .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
                .col_expr(queue::Column::ReadyAt, tx.time_in(chrono::Duration::zero()))
                .filter(queue::Column::RunId.eq(id))
                .filter(queue::Column::Owner.eq(owner))
                .filter(queue::Column::LeaseEpoch.eq(epoch));
            if tx.run_update(update).await? != 1 {
                return Err(persist::lease_lost());
            }
            tx.wake(RUNS);
            limits::release(engine, &tx, tx.ctx().tenant());
            Ok(())
        })
        .await
}

/// Gives up a run that failed here: it is taken again after the time of a lease, and the failure counts as a crash.
pub(crate) async fn let_go(engine: &Engine, tenant: TenantId, id: Uuid, epoch: i64) -> Result<()> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(tenant);
    let owner = engine.owner();
    let later = chrono::Duration::from_std(engine.config().lease).unwrap_or(chrono::Duration::seconds(30));
    engine
        .store()
        .write(&ctx, |tx| async move {
            let update = tx
                .update::<queue::Entity>()
                .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
                .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
                .col_expr(queue::Column::Crashes, Expr::col(queue::Column::Crashes).add(1))
                .col_expr(queue::Column::ReadyAt, tx.time_in(later))
                .filter(queue::Column::RunId.eq(id))
                .filter(queue::Column::Owner.eq(owner))
                .filter(queue::Column::LeaseEpoch.eq(epoch));
            if tx.run_update(update).await? != 1 {
                return Err(persist::lease_lost());
            }
            limits::release(engine, &tx, tx.ctx().tenant());
            Ok(())
        })
        .await
}

/// Pauses a run that cannot even be loaded, by its row alone.
pub(crate) async fn set_aside(
    engine: &Engine,
    tenant: TenantId,
    id: Uuid,
    epoch: i64,
    why: &Error,
) -> Result<()> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(tenant);
    let (owner, error) = (engine.owner(), crate::run::state::error_value(why));
    let reason = why.message().to_owned();
    engine
        .store()
        .write(&ctx, |tx| {
            let (error, reason) = (error.clone(), reason.clone());
            async move {
                let gone = tx
                    .delete::<queue::Entity>()
                    .filter(queue::Column::RunId.eq(id))
                    .filter(queue::Column::Owner.eq(owner))
                    .filter(queue::Column::LeaseEpoch.eq(epoch));
                if tx.run_delete(gone).await? != 1 {
                    return Err(persist::lease_lost());
                }
                // Which limit it was counted by cannot be told: whoever looks at all that wait finds the place.
                let places = tx.delete::<slot::Entity>().filter(slot::Column::RunId.eq(id));
                tx.run_delete(places).await?;
                let update = tx
                    .update::<run::Entity>()
                    .col_expr(run::Column::Status, Expr::val(RunStatus::Paused.as_str()))
                    .col_expr(run::Column::Error, Expr::val(error))
                    .filter(run::Column::Id.eq(id));
                tx.run_update(update).await?;
                tx.emit(NewEvent::new(
                    "run",
                    id,
                    &crate::run::events::RunPaused { reason },
                ));
                tx.wake(RUNS);
                Ok(())
            }
        })
        .await
}

/// Takes the signals in and removes them, in the burst's transaction.
pub(crate) async fn take_in(
    _engine: &Engine,
    tx: &Tx,
    state: &mut RunState,
    now: DateTime<Utc>,
) -> Result<()> {
    let id = state.head.id;
    // The counter first: a signal that comes between the two reads is seen twice rather than never.
    let counted = tx
        .find::<queue::Entity>()
        .filter(queue::Column::RunId.eq(id))
        .row(tx)
        .await?;
    let signals = tx
        .find::<signal::Entity>()
        .filter(signal::Column::RunId.eq(id))
        .order_by_asc(signal::Column::Id)
        .rows(tx)
        .await?;
    state.signals_seen = counted.map_or(state.signals_seen, |row| row.signals);
    if signals.is_empty() {
        return nested::look(tx, state, now).await;
    }
    let ids: Vec<Uuid> = signals.iter().map(|signal| signal.id).collect();
    for signal in signals {
        match signal.kind.as_str() {
            CANCEL => {
                state.status = RunStatus::Cancelled;
                let reason = signal
                    .payload
                    .get("reason")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                state.error = Some(Error::conflict("cancelled", format!("Cancelled. {reason}")));
                persist::withdraw_approvals(tx, state.head.id).await?;
            }
            DECISION => decided(state, &signal.payload, now),
            // What became of it stands in its own row, which is looked at below.
            CHILD => {}
            other => tracing::warn!(kind = other, "an unknown signal was dropped"),
        }
    }
    let gone = tx
        .delete::<signal::Entity>()
        .filter(signal::Column::Id.is_in(ids));
    tx.run_delete(gone).await?;
    nested::look(tx, state, now).await
}

fn decided(state: &mut RunState, payload: &Value, now: DateTime<Utc>) {
    let id = payload
        .get("approval")
        .and_then(|id| serde_json::from_value::<Uuid>(id.clone()).ok());
    let wait = state
        .waits
        .iter()
        .find(|wait| id.is_some_and(|id| wait.why == Why::Approval(id)))
        .cloned();
    let Some(wait) = wait else { return };
    let port = payload
        .get("status")
        .and_then(Value::as_str)
        .unwrap_or("rejected")
        .to_owned();
    let attempt = state.attempts.get(&wait.key).copied().unwrap_or(1);
    if !state.asks_by_itself(&wait.key) {
        return resolve_unknown(state, &wait, port == "approved", now);
    }
    state.record(
        wait.key,
        attempt,
        What::Completed {
            port,
            output: Arc::new(payload.clone()),
        },
        now,
    );
}

/// Ends the waits whose time has come.
pub(crate) async fn elapse(engine: &Engine, tx: &Tx, state: &mut RunState, now: DateTime<Utc>) -> Result<()> {
    let (over, open): (Vec<_>, Vec<_>) = std::mem::take(&mut state.waits)
        .into_iter()
        .partition(|w| w.until <= now);
    state.waits = open;
    for wait in over {
        let attempt = state.attempts.get(&wait.key).copied().unwrap_or(1);
        let (port, output) = match wait.why {
            Why::Retry => {
                state.ready.push_back(wait.key);
                continue;
            }
            Why::Run(id) => {
                nested::overdue(engine, tx, state, wait, id, now).await?;
                continue;
            }
            Why::Time => ("out", json!({ "waited_until": wait.until })),
            Why::Approval(id) => {
                if !expire(tx, id).await? {
                    // Somebody decided in this very moment: the signal is on its way, and what was decided counts.
                    state.waits.push(wait);
                    continue;
                }
                if !state.asks_by_itself(&wait.key) {
                    resolve_unknown(state, &wait, false, now);
                    continue;
                }
                ("rejected", json!({ "approval": id, "status": "expired" }))
            }
        };
        state.record(
            wait.key,
            attempt,
            What::Completed {
                port: port.to_owned(),
                output: Arc::new(output),
            },
            now,
        );
    }
    Ok(())
}

/// How long a person has to say what to do about a call of which nobody knows the outcome.
const UNKNOWN_HOURS: i64 = 7 * 24;

/// Asks whether a call that a crash cut off is to be made again.
pub(crate) async fn ask_about_unknown(
    tx: &Tx,
    state: &mut RunState,
    arrival: &Arrival,
    now: DateTime<Utc>,
) -> Result<()> {
    if !state.in_flight.contains(&arrival.key) {
        return Ok(());
    }
    let node = state.node_id(&arrival.key).to_owned();
    let title = format!("`{node}` was cut off by a crash. Make the call again?");
    let detail = json!({ "node": node, "attempt": arrival.attempt, "approve": "call again", "reject": "fail the step" });
    let deadline = now + chrono::Duration::hours(UNKNOWN_HOURS);
    let id = burst::ask(tx, state, &arrival.key, title, detail, deadline).await?;
    let what = What::Waiting {
        until: deadline,
        approval: Some(id),
    };
    state.record(arrival.key.clone(), arrival.attempt, what, now);
    Ok(())
}

/// Makes the call again, or lets the step fail.
fn resolve_unknown(state: &mut RunState, wait: &Wait, again: bool, now: DateTime<Utc>) {
    let attempt = state.attempts.get(&wait.key).copied().unwrap_or(1);
    let (words, retry_at) = match again {
        true => ("The call was cut off by a crash and is made again.", Some(now)),
        false => (
            "The call was cut off by a crash and is not to be made again.",
            None,
        ),
    };
    let error = Error::conflict("outcome_unknown", words);
    // Journalled either way: the signal is gone with this commit, and the next burst may be another worker's.
    state.record(wait.key.clone(), attempt, What::Failed { error, retry_at }, now);
}

/// False when it is not pending any more.
async fn expire(tx: &Tx, id: Uuid) -> Result<bool> {
    let update = tx
        .update::<approval::Entity>()
        .col_expr(
            approval::Column::Status,
            Expr::val(ApprovalStatus::Expired.as_str()),
        )
        .filter(approval::Column::Id.eq(id))
        .filter(approval::Column::Status.eq(ApprovalStatus::Pending.as_str()));
    Ok(tx.run_update(update).await? == 1)
}
