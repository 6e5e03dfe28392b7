//! Runs inside of runs: a step starts a workflow as a run of its own and waits for its end. While it waits it holds no
//! memory; the end of the child wakes it in the transaction that ends the child.

use crate::engine::Engine;
use crate::graph::{RetryPolicy, StepKey};
use crate::run::burst::settle_by;
use crate::run::direct::named_id;
use crate::run::entity::run;
use crate::run::events::RunFinished;
use crate::run::model::{NewRun, Parent, RunStatus, Started};
use crate::run::state::{RunState, Wait, What, Why};
use crate::run::unfold::fit_shown;
use crate::run::{journal, load, persist, signal};
use crate::unfold::ChildRun;
use crate::workflows::WantedWorkflow;
use chrono::{DateTime, Duration, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use synapscale_core::{Ctx, Error, ErrorKind, NewEvent, Result};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most runs in a chain in which each was started by the one before.
pub(crate) const MAX_DEPTH: i64 = 8;
/// Most hours that a step waits for the run it started.
pub(crate) const MAX_HOURS: i64 = 366 * 24;
/// What starting a workflow asks for, by whatever door.
const PERMISSION: &str = "workflows:run";
/// The code of an error inside of the engine: a run that was to be ended as a paused one is none.
const NOT_PAUSED: &str = "run_not_paused";

/// How far down a chain a run stands that `parent`, or the step of a run that makes this call, starts.
///
/// # Errors
/// `too_deep`.
pub(crate) async fn depth(tx: &Tx, parent: Option<&Parent>, cause: Option<Uuid>) -> Result<i64> {
    let depth = match (parent, cause.or(tx.ctx().origin().run)) {
        (Some(parent), _) => parent.depth + 1,
        (None, None) => 0,
        (None, Some(cause)) => {
            let row = tx.find::<run::Entity>().filter(run::Column::Id.eq(cause));
            // One that is not there yet is in its first burst, which only a run has that no run started.
            row.row(tx).await?.map_or(0, |row| row.depth.unwrap_or(0)) + 1
        }
    };
    if depth >= MAX_DEPTH {
        let words = format!(
            "Runs that start runs end after {MAX_DEPTH}: this would be one more. A workflow that starts itself needs an end."
        );
        return Err(Error::conflict("too_deep", words));
    }
    Ok(depth)
}

/// Starts a child of the step and journals that the step waits for it.
pub(crate) async fn begin(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    wanted: &ChildRun,
    now: DateTime<Utc>,
) -> Result<()> {
    let attempt = state.next_attempt(&key);
    let acting = tx.acting_as(ctx)?;
    let (new, shown) = (
        prepare(engine, &acting, state, &key, attempt, wanted),
        shown(wanted),
    );
    let started = match new.await {
        Ok(new) => acting.savepoint(|tx| start(engine.clone(), tx, new)).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(started) => {
            let until = now + Duration::hours(wanted.hours.clamp(1, MAX_HOURS));
            let run = started.run_id;
            let call = shown(Some(run));
            state.record_call(key, attempt, What::Called { run, until }, now, Some(call));
        }
        // A database that is away is no failure of the step: the whole burst is tried again.
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => settle_by(
            state,
            &policy(state, &key),
            key,
            attempt,
            error,
            now,
            Some(shown(None)),
        ),
    }
    Ok(())
}

/// Boxed, because a run's burst starts runs, whose start holds a burst.
fn start(engine: Engine, tx: Tx, new: NewRun) -> BoxFuture<'static, Result<Started>> {
    async move { engine.start(&tx, new).await }.boxed()
}

/// The child as it is started: as its own publisher, on behalf of whoever this run runs for, with this run's priority,
/// story and privacy.
async fn prepare(
    engine: &Engine,
    tx: &Tx,
    state: &RunState,
    key: &StepKey,
    attempt: i64,
    wanted: &ChildRun,
) -> Result<NewRun> {
    tx.ctx().require(PERMISSION)?;
    let pinned = engine
        .workflows()?
        .pin(
            tx,
            &WantedWorkflow {
                name: wanted.workflow.clone(),
                version: wanted.version,
                trigger: wanted.trigger.clone(),
            },
        )
        .await?;
    let head = &state.head;
    let whom = tx.ctx().principal().unwrap_or(tx.ctx().actor());
    Ok(NewRun {
        // The same try of the same step is the same run.
        id: Some(named_id(&format!(
            "child\n{}\n{}\n{attempt}",
            head.tenant,
            state.idempotency_key(key)
        ))),
        graph_id: pinned.graph_id,
        trigger: pinned.trigger,
        input: wanted.input.clone(),
        workflow: Some(pinned.workflow),
        principal: pinned.publisher,
        on_behalf_of: Some(whom).filter(|whom| *whom != pinned.publisher),
        priority: head.priority,
        correlation: Some(head.correlation),
        private_to: head.private_to,
        parent: Some(Parent {
            run_id: head.id,
            node: state.node_id(key).to_owned(),
            path: key.path.to_string(),
            depth: head.depth,
        }),
        cause: None,
    })
}

/// What the journal shows of a child, with its id once it has one.
fn shown(wanted: &ChildRun) -> impl Fn(Option<Uuid>) -> Arc<Value> + use<> {
    let (workflow, input) = (wanted.workflow.clone(), fit_shown(&wanted.input));
    move |run| Arc::new(json!({ "workflow": workflow, "run_id": run, "input": input }))
}

/// A child has tries of its own in its steps; the whole of it is run again only if its node says so.
fn policy(state: &RunState, key: &StepKey) -> RetryPolicy {
    state.head.graph.node(key.node).retry.unwrap_or_default()
}

/// Tells the run whose step waits for this one, in the transaction that ends it.
pub(crate) async fn tell_parent(tx: &Tx, run_id: Uuid, parent: Option<Uuid>, node: &str) -> Result<()> {
    match parent {
        None => Ok(()),
        Some(parent) => signal::leave(tx, parent, node, signal::CHILD, json!({ "run": run_id }))
            .await
            .map(|_| ()),
    }
}

/// Takes in the ends of all children that the run waits for. Their rows say it, whatever became of their signals.
pub(crate) async fn look(tx: &Tx, state: &mut RunState, now: DateTime<Utc>) -> Result<()> {
    if state.status.is_final() {
        return Ok(());
    }
    let child = |wait: &Wait| match wait.why {
        Why::Run(id) => Some((id, wait.key.clone())),
        _ => None,
    };
    let waits: HashMap<Uuid, StepKey> = state.waits.iter().filter_map(child).collect();
    if waits.is_empty() {
        return Ok(());
    }
    let over = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
    let rows = tx
        .find::<run::Entity>()
        .filter(run::Column::Id.is_in(waits.keys().copied()))
        .filter(run::Column::Status.is_in(over.map(RunStatus::as_str)))
        .order_by_asc(run::Column::FinishedAt)
        .order_by_asc(run::Column::Id)
        .rows(tx)
        .await?;
    for row in rows {
        let Some(key) = waits.get(&row.id).cloned() else {
            continue;
        };
        let outcome = outcome(tx, row).await?;
        // The end of one child may be the end of the step that waits for the others.
        if state.waits.iter().any(|wait| wait.key == key) {
            settle(state, key, outcome, now);
        }
    }
    Ok(())
}

/// What a run that has ended came to.
async fn outcome(tx: &Tx, row: run::Model) -> Result<std::result::Result<Value, Error>> {
    Ok(match RunStatus::parse(&row.status) {
        RunStatus::Succeeded => Ok(journal::fetch(tx, row.output.unwrap_or_default()).await?),
        RunStatus::Cancelled => Err(Error::conflict(
            "child_cancelled",
            format!("Run {} was cancelled.", row.id),
        )),
        _ => Err(row
            .error
            .and_then(|error| serde_json::from_value(error).ok())
            .unwrap_or_else(|| Error::internal("a run failed without an error"))),
    })
}

/// Journals that a step's child took longer than it may, and asks it to end; unless it has ended in this very moment, or
/// is not there any more.
pub(crate) async fn overdue(
    engine: &Engine,
    tx: &Tx,
    state: &mut RunState,
    wait: Wait,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::Id.eq(id))
        .row(tx)
        .await?;
    let outcome = match row {
        Some(row) if RunStatus::parse(&row.status).is_final() => outcome(tx, row).await?,
        _ => {
            stop(
                engine,
                tx,
                id,
                "It took longer than the step that started it waits.",
            )
            .await?;
            Err(too_slow())
        }
    };
    settle(state, wait.key, outcome, now);
    Ok(())
}

/// Journals what became of a child.
fn settle(
    state: &mut RunState,
    key: StepKey,
    outcome: std::result::Result<Value, Error>,
    now: DateTime<Utc>,
) {
    let attempt = state.attempts.get(&key).copied().unwrap_or(1);
    match outcome {
        Ok(output) => {
            let (port, output) = ("out".to_owned(), Arc::new(output));
            state.record(key, attempt, What::Completed { port, output }, now);
        }
        Err(error) => settle_by(state, &policy(state, &key), key, attempt, error, now, None),
    }
}

/// The error of a step whose child took longer than it may.
fn too_slow() -> Error {
    let words = "The run that this step started did not end in time, and was cancelled.";
    Error::new(ErrorKind::Timeout, "child_timeout", words)
}

/// Ends the runs that these waits wait for. Nobody waits for them any more.
pub(crate) async fn stop_all(engine: &Engine, tx: &Tx, waits: &[Wait]) -> Result<()> {
    for wait in waits {
        if let Why::Run(id) = wait.why {
            stop(engine, tx, id, "The run that started it has ended.").await?;
        }
    }
    Ok(())
}

/// Asks a run to end, if it has not ended.
pub(crate) fn stop<'a>(
    engine: &'a Engine,
    tx: &'a Tx,
    id: Uuid,
    reason: &'a str,
) -> BoxFuture<'a, Result<()>> {
    async move {
        let payload = json!({ "reason": reason });
        if signal::reach(tx, id, "", signal::CANCEL, payload).await? {
            return Ok(());
        }
        end_paused(engine, tx, id).await.map(|_| ())
    }
    .boxed()
}

/// Ends a paused run, which nobody has in hand, and the runs that it waits for; false when it is not paused.
pub(crate) async fn end_paused(engine: &Engine, tx: &Tx, id: Uuid) -> Result<bool> {
    let ended = tx.savepoint(|tx| async move { end_paused_in(engine, &tx, id).await });
    match ended.await {
        Ok(()) => Ok(true),
        Err(error) if error.code() == NOT_PAUSED => Ok(false),
        Err(error) => Err(error),
    }
}

/// The children first, as everywhere: a child that ends at this moment touches its own rows before its parent's.
async fn end_paused_in(engine: &Engine, tx: &Tx, id: Uuid) -> Result<()> {
    let not_paused = || Error::conflict(NOT_PAUSED, "The run is not paused.");
    let is_paused = |row: &run::Model| RunStatus::parse(&row.status) == RunStatus::Paused;
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::Id.eq(id))
        .row(tx)
        .await?;
    let row = row.filter(is_paused).ok_or_else(not_paused)?;
    match load::load(engine, tx, id).await {
        Ok(state) => stop_all(engine, tx, &state.waits).await?,
        Err(error) if error.is_transient() => return Err(error),
        // One whose journal cannot be read may be what was paused: it is ended all the same.
        Err(error) => {
            tracing::warn!(run = %id, ?error, "the runs of a run that cannot be read are not ended")
        }
    }
    let update = tx
        .update::<run::Entity>()
        .col_expr(run::Column::Status, Expr::val(RunStatus::Cancelled.as_str()))
        .col_expr(run::Column::FinishedAt, Expr::val(tx.ctx().clock().now()))
        .filter(run::Column::Id.eq(id))
        .filter(run::Column::Status.eq(RunStatus::Paused.as_str()));
    if tx.run_update(update).await? != 1 {
        return Err(not_paused());
    }
    persist::withdraw_approvals(tx, id).await?;
    let finished = RunFinished {
        status: RunStatus::Cancelled,
        code: None,
    };
    tx.emit(NewEvent::new("run", id, &finished));
    let node = row.parent_node.unwrap_or_default();
    tell_parent(tx, id, row.parent_run_id, &node).await
}
