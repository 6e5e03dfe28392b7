//! Resuming a paused run: what had failed is tried again, with all its tries, and what had not been reached goes on.

use crate::engine::{Engine, RUNS};
use crate::graph::StepKey;
use crate::run::entity::{queue, run, signal};
use crate::run::events::RunResumed;
use crate::run::model::{RunStatus, RunView};
use crate::run::state::{RunState, What};
use crate::run::{journal, limits, load};
use serde_json::Value;
use synapscale_core::{Error, NewEvent, Result};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

impl Engine {
    /// Lets a paused run go on. It acts as before, with its publisher's present permissions.
    ///
    /// # Errors
    /// `not_found`, `run_not_paused`.
    pub async fn resume(&self, tx: &Tx, run_id: Uuid) -> Result<RunView> {
        let row = self.visible(tx, run_id).await?;
        let not_paused = || Error::conflict("run_not_paused", "Only a paused run can be resumed.");
        if RunStatus::parse(&row.status) != RunStatus::Paused {
            return Err(not_paused());
        }
        let mut state = load::load(self, tx, run_id).await?;
        let now = tx.now().await?;
        let failed: Vec<StepKey> = state.frontier.failed().collect();
        let nodes = failed.iter().map(|key| state.node_id(key).to_owned()).collect();
        for key in failed {
            for step in self.to_try_again(&state, key) {
                if let Some(attempt) = resumption(&state, &step) {
                    state.record(step, attempt, What::Resumed, now);
                }
            }
        }
        // Its time was what it had used up: it has it again.
        let is_out_of_time =
            |error: &Value| error.get("code").and_then(Value::as_str) == Some("execution_timeout");
        let work_ms = match row.error.as_ref().is_some_and(is_out_of_time) {
            true => 0,
            false => row.work_ms,
        };
        let update = tx
            .update::<run::Entity>()
            .col_expr(run::Column::Status, Expr::val(RunStatus::Queued.as_str()))
            .col_expr(run::Column::Error, Expr::val(None::<Value>))
            .col_expr(run::Column::WorkMs, Expr::val(work_ms))
            .filter(run::Column::Id.eq(run_id))
            .filter(run::Column::Status.eq(RunStatus::Paused.as_str()));
        if tx.run_update(update).await? != 1 {
            return Err(not_paused());
        }
        journal::append(tx, &mut state).await?;
        // What was left for it while it was paused: ends of runs it waits for, decisions.
        let signals = tx
            .find::<signal::Entity>()
            .filter(signal::Column::RunId.eq(run_id));
        let signals = i64::try_from(signals.rows(tx).await?.len()).unwrap_or(i64::MAX);
        tx.insert::<queue::Entity>(queue::Model {
            tenant_id: row.tenant_id,
            run_id,
            priority: row.priority,
            ready_at: now,
            owner: None,
            lease_epoch: 0,
            lease_until: None,
            crashes: 0,
            signals,
            awaits: limits::awaits(&state),
            lane: limits::lane(row.priority),
            parked: false,
        })
        .await?;
        tx.emit(NewEvent::new("run", run_id, &RunResumed { nodes }));
        tx.wake(RUNS);
        self.run(tx, run_id).await
    }

    /// A failed step, and of one that unfolds the children that are made again with it.
    fn to_try_again(&self, state: &RunState, key: StepKey) -> Vec<StepKey> {
        let kind = &state.head.graph.node(key.node).kind;
        let mut steps = vec![key.clone()];
        if let Some((kind, children)) = self
            .unfold(&kind.name, kind.version)
            .zip(state.children.get(&key))
        {
            steps.extend(kind.again(children).iter().map(|name| key.child(name)));
        }
        steps.extend(state.unfinished(&key));
        steps
    }
}

/// The number under which it is journalled that a step is to be tried again; none if it is about to be. One that was
/// resumed before and never came to be tried has the next number, since no row is journalled twice.
fn resumption(state: &RunState, step: &StepKey) -> Option<i64> {
    let attempt = state.attempts.get(step).copied().unwrap_or(1);
    match state.forgiven.get(step) == Some(&attempt) {
        false => Some(attempt),
        true => (!state.ready.contains(step)).then_some(attempt + 1),
    }
}
