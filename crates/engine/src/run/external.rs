//! Outside calls of a run.

use crate::engine::Engine;
use crate::graph::{StepKey, UnknownOutcome};
use crate::nodes;
use crate::run::drive::Arrival;
use crate::run::live::Place;
use crate::run::state::RunState;
use crate::run::{spans, unfold};
use crate::unfold::{Act, Child};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, ErrorKind, Result};
use synapscale_ops::Sink;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// No outside call takes longer, whatever the node says.
const LONGEST_CALL: Duration = Duration::from_secs(3600);
/// How long an outside call may take if the node does not say.
const USUAL_CALL: Duration = Duration::from_secs(300);

/// Begins the call of a step whose `started` row has been committed. It goes on while nobody waits for it: a call that
/// stood still would hold its database connection, and the commits it stands still for need one. Dropped, it ends.
pub(crate) fn launch(engine: &Engine, state: &RunState, key: StepKey) -> BoxFuture<'static, Arrival> {
    let attempt = state.attempts.get(&key).copied().unwrap_or(1);
    let task = AbortOnDropHandle::new(engine.tasks().spawn(arrive(engine, state, key.clone(), attempt)));
    async move {
        match task.await {
            Ok(arrival) => arrival,
            Err(ended) if ended.is_panic() => Arrival {
                key,
                attempt,
                outcome: Err(Error::internal("a call panicked")),
                took: Duration::ZERO,
                ask: false,
                again: false,
            },
            // The runtime goes down: as with any death, the next worker finds the call journalled as started.
            Err(_) => std::future::pending().await,
        }
    }
    .boxed()
}

/// Makes a call, and tells what came of it.
fn arrive(
    engine: &Engine,
    state: &RunState,
    key: StepKey,
    attempt: i64,
) -> impl Future<Output = Arrival> + use<> {
    let (engine, state) = (engine.clone(), state.clone());
    let span = spans::call(&state, &key, attempt);
    async move {
        let began = Instant::now();
        let seconds = match state.wanted.get(&key).map(|child| &child.act) {
            Some(Act::Call(wanted)) => Some(wanted.timeout_s),
            _ => state.head.graph.node(key.node).timeout_s,
        };
        let limit = seconds.map_or(USUAL_CALL, Duration::from_secs).min(LONGEST_CALL);
        let guarded = AssertUnwindSafe(call(&engine, &state, &key))
            .catch_unwind()
            .instrument(span.clone());
        let outcome = match tokio::time::timeout(limit, guarded).await {
            Err(_) => Err(Error::deadline_exceeded().with_code("step_timeout")),
            Ok(Err(_)) => Err(Error::internal("a node panicked")),
            Ok(Ok(outcome)) => outcome,
        };
        Arrival {
            key,
            attempt,
            outcome: spans::seen(&span, outcome).map(Arc::new),
            took: began.elapsed(),
            ask: false,
            again: false,
        }
    }
}

async fn call(engine: &Engine, state: &RunState, key: &StepKey) -> Result<Value> {
    let ctx = engine.run_ctx(&state.head).await?;
    let now = state.begun.get(key).copied();
    if key.child_name().is_some() {
        let child = unfold::child(engine, state, key, now.unwrap_or_else(|| ctx.clock().now()))?;
        return call_child(engine, &ctx, state, key, &child).await;
    }
    let config = nodes::config(state, key, now.unwrap_or_else(|| ctx.clock().now()))?;
    let idempotency = state.idempotency_key(key);
    match state.head.graph.node(key.node).kind.name.as_str() {
        // Boxed, so that the calls of children, of which there are many, need not keep room for these.
        "http" => {
            nodes::call_http(engine, &ctx, &idempotency, &config)
                .boxed()
                .await
        }
        "operation" => match engine.direct(state.head.id) {
            Some(caller) => {
                caller
                    .hear(|sink| nodes::call_operation(engine, &ctx, idempotency, &config, sink))
                    .boxed()
                    .await
            }
            None => {
                nodes::call_operation(engine, &ctx, idempotency, &config, Sink::none())
                    .boxed()
                    .await
            }
        },
        other => Err(Error::internal(format!("`{other}` makes no outside call"))),
    }
}

async fn call_child(
    engine: &Engine,
    ctx: &Ctx,
    state: &RunState,
    key: &StepKey,
    child: &Child,
) -> Result<Value> {
    let Act::Call(wanted) = &child.act else {
        return Err(Error::internal(
            "neither a question nor a run makes an outside call",
        ));
    };
    // When an agent's tools are called here, the call gets a span of its own by the conventions for models:
    // `execute_tool {name}` with `gen_ai.operation.name`, `gen_ai.tool.name` and `gen_ai.tool.call.id`.
    let ctx = unfold::actor_ctx(ctx, wanted.actor);
    let place = Place {
        run_id: state.head.id,
        node: state.node_id(key).to_owned(),
        path: key.path.to_string(),
    };
    let idempotency = state.idempotency_key(key);
    let (operation, input) = (wanted.operation.as_str(), &wanted.input);
    engine
        .live()
        .carry(place, |sink| {
            nodes::call_outside(engine, &ctx, idempotency, operation, input, sink)
        })
        .await
}

/// Calls that a crash cut off: nobody knows what became of them, so the node's policy decides.
pub(crate) fn interrupted(engine: &Engine, state: &RunState) -> Vec<Arrival> {
    let launched: Vec<_> = state
        .in_flight
        .iter()
        .filter(|key| !state.launch.contains(key))
        .cloned()
        .collect();
    launched
        .into_iter()
        .map(|key| {
            let attempt = state.attempts.get(&key).copied().unwrap_or(1);
            let unknown = unknown_outcome(engine, state, &key);
            let kind = match unknown {
                UnknownOutcome::Retry => ErrorKind::Unavailable,
                UnknownOutcome::Ask | UnknownOutcome::Fail => ErrorKind::Conflict,
            };
            let ask = unknown == UnknownOutcome::Ask;
            Arrival {
                key,
                attempt,
                outcome: Err(lost(kind)),
                took: Duration::ZERO,
                ask,
                again: unknown == UnknownOutcome::Retry,
            }
        })
        .collect()
}

fn unknown_outcome(engine: &Engine, state: &RunState, key: &StepKey) -> UnknownOutcome {
    let node = state.head.graph.node(key.node).unknown_outcome;
    if key.child_name().is_none() {
        return node;
    }
    let now = engine.store().clock().now();
    match unfold::child(engine, state, key, now).map(|child| child.act.clone()) {
        Ok(Act::Call(wanted)) => wanted.unknown,
        _ => node,
    }
}

fn lost(kind: ErrorKind) -> Error {
    Error::new(
        kind,
        "outcome_unknown",
        "The worker died during this call; whether it took effect is not known.",
    )
}
