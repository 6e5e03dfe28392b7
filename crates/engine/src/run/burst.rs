//! A burst: as many steps as go without leaving the database, in one bounded transaction.

use crate::engine::Engine;
use crate::expr::Scope;
use crate::graph::{NodeClass, RetryPolicy, StepKey};
use crate::nodes::{self, StepOutcome};
use crate::run::entity::approval;
use crate::run::events::ApprovalRequested;
use crate::run::journal;
use crate::run::model::{ApprovalStatus, RunStatus};
use crate::run::retry;
use crate::run::state::{RunState, What};
use crate::run::unfold;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, NewEvent, Result, new_id};
use synapscale_store::Tx;
use uuid::Uuid;

/// Most steps of one burst.
const MAX_STEPS: usize = 256;
/// Tries that a call has whose worker died during it, whatever the policy says: a long call may well see several workers go,
/// and one that always brings its worker down must come to an end.
const LOST_TRIES: u32 = 10;
/// Most rows of a run's journal. Cycles in cycles could fill it without an end, and whoever takes a run over reads it.
const MAX_ROWS: i64 = 50_000;
/// A burst that has taken this long commits what it has: on SQLite it holds the only writer.
const MAX_TIME: Duration = Duration::from_millis(200);

/// Runs ready steps until only outside calls, waits, or nothing is left, or until the answer is known. Where nobody would
/// make the outside calls (`holds`: this process goes on with the run), it stops at the first: a call that is journalled as
/// begun and was not looks like one whose outcome nobody knows.
pub(crate) async fn run(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    holds: bool,
) -> Result<()> {
    let began = Instant::now();
    let answered = state.response.is_some();
    let mut steps = 0;
    if state.started_at.is_none() {
        state.started_at = Some(ctx.clock().now());
    }
    while state.error.is_none() {
        let Some(key) = state.ready.pop_front() else { break };
        let just_answered = !answered && state.response.is_some();
        let long = steps >= MAX_STEPS || began.elapsed() > MAX_TIME;
        // Pure steps behind the answer may still end the run in this commit; anything slower waits for the next.
        if long || (just_answered && class(state, &key) != NodeClass::Pure) {
            state.ready.push_front(key);
            break;
        }
        if !step(engine, tx, ctx, state, key, holds).await? {
            break;
        }
        steps += 1;
    }
    state.work_ms += i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    over_time(state);
    too_long(state);
    too_heavy(state);
    Ok(())
}

fn class(state: &RunState, key: &StepKey) -> NodeClass {
    state.head.graph.node(key.node).class
}

/// Work, not waiting, is limited.
fn over_time(state: &mut RunState) {
    let limit_ms =
        i64::try_from(state.head.graph.execution_timeout_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    if state.work_ms > limit_ms && state.error.is_none() && !state.is_over() {
        state.error = Some(Error::deadline_exceeded().with_code("execution_timeout"));
    }
}

/// A run that goes on and on comes to an end.
fn too_long(state: &mut RunState) {
    let rows = state.next_seq + i64::try_from(state.fresh.len()).unwrap_or(i64::MAX);
    if rows > MAX_ROWS && state.error.is_none() && !state.is_over() {
        let words = "A run has at most 50,000 rows in its journal: two or three for each step and each item of a list.";
        state.error = Some(Error::conflict("too_many_steps", words));
    }
}

/// What a run may still look at is in memory while a worker has it.
fn too_heavy(state: &mut RunState) {
    if state.error.is_none() && !state.is_over() {
        state.error = state.check_weight().err();
    }
}

/// One step; false when it is left for a worker to begin.
async fn step(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &mut RunState,
    key: StepKey,
    holds: bool,
) -> Result<bool> {
    if unfold::is_composite(state, &key) {
        return unfold::step(engine, tx, ctx, state, key, holds).await;
    }
    let attempt = state.next_attempt(&key);
    let now = ctx.clock().now();
    let outcome = match nodes::config(state, &key, now) {
        Ok(config) => nodes::execute(engine, tx, ctx, state, &key, config).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(StepOutcome::Done { port, output }) => {
            state.record(
                key,
                attempt,
                What::Completed {
                    port: port.into_owned(),
                    output: Arc::new(output),
                },
                now,
            );
        }
        Ok(StepOutcome::Answer(response)) => {
            let output = serde_json::to_value(&response).unwrap_or_default();
            // The first answer stands: the caller may have it already.
            state.response.get_or_insert(response);
            state.record(
                key,
                attempt,
                What::Completed {
                    port: "out".into(),
                    output: Arc::new(output),
                },
                now,
            );
        }
        Ok(StepOutcome::Launch) if !holds => {
            state.ready.push_front(key);
            return Ok(false);
        }
        Ok(StepOutcome::Launch) => {
            state.record(key.clone(), attempt, What::Started, now);
            state.launch.push(key);
        }
        Ok(StepOutcome::WaitUntil(until)) => {
            state.record(
                key,
                attempt,
                What::Waiting {
                    until,
                    approval: None,
                },
                now,
            );
        }
        Ok(StepOutcome::Ask {
            title,
            detail,
            deadline,
        }) => {
            let id = ask(tx, state, &key, title, detail, deadline).await?;
            state.record(
                key,
                attempt,
                What::Waiting {
                    until: deadline,
                    approval: Some(id),
                },
                now,
            );
        }
        // A database that is away is no failure of the step: the whole burst is tried again.
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => settle_failure(state, key, attempt, error, now),
    }
    Ok(true)
}

/// Journals a failed try: to be tried again, or for good.
pub(crate) fn settle_failure(
    state: &mut RunState,
    key: StepKey,
    attempt: i64,
    error: Error,
    now: DateTime<Utc>,
) {
    let node = state.head.graph.node(key.node);
    let policy = *node.retry.as_ref().unwrap_or(&state.head.graph.retry);
    settle_by(state, &policy, key, attempt, error, now, None);
}

/// As [`settle_failure`], by a policy that is known.
pub(crate) fn settle_by(
    state: &mut RunState,
    policy: &RetryPolicy,
    key: StepKey,
    attempt: i64,
    error: Error,
    now: DateTime<Utc>,
    call: Option<Arc<Value>>,
) {
    let seed = state.idempotency_key(&key);
    let counted = state.counted(&key, attempt);
    let retry_at = retry::delay(policy, counted, &error, &seed).map(|delay| now + delay);
    state.record_call(key, attempt, What::Failed { error, retry_at }, now, call);
}

/// Journals a call that a crash cut off, to be made again. It is not the call that failed, so a policy of one try does
/// not count; a call that always brings its worker down has an end all the same.
pub(crate) fn settle_lost(
    state: &mut RunState,
    key: StepKey,
    attempt: i64,
    error: Error,
    now: DateTime<Utc>,
) {
    let node = state.head.graph.node(key.node);
    let mut policy = *node.retry.as_ref().unwrap_or(&state.head.graph.retry);
    policy.max_attempts = policy.max_attempts.max(LOST_TRIES);
    settle_by(state, &policy, key, attempt, error, now, None);
}

pub(crate) async fn ask(
    tx: &Tx,
    state: &RunState,
    key: &StepKey,
    title: String,
    detail: Value,
    deadline: DateTime<Utc>,
) -> Result<Uuid> {
    let id = new_id();
    let (title, detail) = (title.replace('\0', "\u{fffd}"), journal::without_nul(detail));
    tx.emit(NewEvent::new(
        "approval",
        id,
        &ApprovalRequested {
            run_id: state.head.id,
            // The log is read by more people than a private run.
            title: match state.head.private_to {
                None => title.clone(),
                Some(_) => "A question in private".to_owned(),
            },
        },
    ));
    tx.insert::<approval::Entity>(approval::Model {
        tenant_id: state.head.tenant.0,
        id,
        run_id: state.head.id,
        node: state.node_id(key).to_owned(),
        path: key.path.to_string(),
        title,
        detail,
        status: ApprovalStatus::Pending.as_str().to_owned(),
        decided_by_kind: None,
        decided_by_id: None,
        decided_at: None,
        comment: None,
        deadline,
        created_at: tx.ctx().clock().now(),
    })
    .await?;
    Ok(id)
}

/// What expressions of a run see.
pub(crate) struct RunScope<'a> {
    pub state: &'a RunState,
    pub now: DateTime<Utc>,
}

impl Scope for RunScope<'_> {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "input" => Some(Cow::Borrowed(&*self.state.head.input)),
            "run" => Some(Cow::Owned(self.run())),
            "nodes" => Some(Cow::Owned(self.nodes())),
            _ => None,
        }
    }

    fn node_output(&self, node: &str) -> Option<&Value> {
        let index = self.state.head.graph.index(node)?;
        self.state.outputs.get(&index).map(|output| &**output)
    }

    fn now(&self) -> DateTime<Utc> {
        self.now
    }
}

impl RunScope<'_> {
    fn run(&self) -> Value {
        let head = &self.state.head;
        json!({
            "id": head.id,
            "workflow": head.workflow.as_ref().map(|w| &w.name),
            "version": head.workflow.as_ref().map(|w| w.version),
            "trigger": head.graph.node(head.entry).id,
            "started_at": self.state.started_at,
        })
    }

    fn nodes(&self) -> Value {
        let graph = &self.state.head.graph;
        let entry = |(node, output): (&usize, &Arc<Value>)| {
            (graph.node(*node).id.clone(), json!({ "output": **output }))
        };
        Value::Object(self.state.outputs.iter().map(entry).collect())
    }
}

/// The status that follows from what is left.
pub(crate) fn status(state: &RunState) -> RunStatus {
    if state.status.is_final() || state.status == RunStatus::Paused {
        return state.status;
    }
    if state.error.is_some() {
        let graph = &state.head.graph;
        // The node that failed has the first word, the workflow the second.
        let own = state.failed_node.and_then(|node| graph.node(node).retry);
        let pauses = own.unwrap_or(graph.retry).then == crate::graph::AfterRetries::Pause;
        return if pauses {
            RunStatus::Paused
        } else {
            RunStatus::Failed
        };
    }
    if state.is_over() {
        return RunStatus::Succeeded;
    }
    if state.only_waits() {
        RunStatus::Waiting
    } else {
        RunStatus::Running
    }
}
