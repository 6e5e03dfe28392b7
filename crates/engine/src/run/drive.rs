//! A worker with one run in hand: bursts, outside calls side by side, signals, signs of life, until the run ends, waits,
//! or belongs to somebody else.

use crate::engine::{Engine, RUNS};
use crate::graph::StepKey;
use crate::run::model::RunStatus;
use crate::run::state::{RunState, What};
use crate::run::{burst, external, limits, persist, signal, spans};
use crate::unfold::Act;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use opentelemetry::trace::SpanContext;
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Error, ErrorKind, Result, TenantId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};
use uuid::Uuid;

/// A run that was in hand at so many deaths of its worker, without one commit in between, is set aside: at the first ones
/// in the company of others, at the last eight as the only suspect (see [`crate::run::claim`]).
pub(crate) const MAX_CRASHES: i64 = 10;
/// Pause after a commit that failed for a passing reason.
const PAUSE: Duration = Duration::from_millis(200);
/// Commits that may fail in a row before the run is left to its lease.
const MAX_FAULTS: u32 = 10;

/// A leased run in memory.
pub(crate) struct Held {
    pub state: RunState,
    pub epoch: i64,
    pub crashes: i64,
    pub slot: OwnedSemaphorePermit,
    /// Whether it has yet to be admitted.
    pub awaits: bool,
    /// Told, or dropped, once the first commit is over.
    pub alive: Option<oneshot::Sender<()>>,
    /// The span that started it, if that was here and is exported.
    pub cause: SpanContext,
}

/// What an outside call came to.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub key: StepKey,
    pub attempt: i64,
    pub outcome: std::result::Result<Arc<Value>, Error>,
    pub took: Duration,
    /// Nobody knows what became of it, and the node wants a person to say what to do.
    pub ask: bool,
    /// Nobody knows what became of it, and the node wants it made again.
    pub again: bool,
}

type Calls = FuturesUnordered<BoxFuture<'static, Arrival>>;

/// Drives a run as far as it goes.
pub(crate) async fn drive(engine: Engine, held: Held, shutdown: CancellationToken) {
    let Held {
        state,
        epoch,
        crashes,
        slot,
        awaits,
        alive,
        cause,
    } = held;
    let (run_id, tenant) = (state.head.id, state.head.tenant);
    let _slot = slot;
    let span = spans::held(&state.head, cause);
    let driven = AssertUnwindSafe(go(&engine, state, epoch, crashes, awaits, alive, &shutdown))
        .catch_unwind()
        .instrument(span.clone());
    let error = match driven.await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => Error::internal("a worker panicked"),
    };
    spans::failed(&span, &error);
    drop(span);
    if error.code() == "lease_lost" {
        tracing::warn!(run = %run_id, "this run was taken over by another worker");
        return;
    }
    tracing::error!(run = %run_id, ?error, "a run was given up, to be tried again");
    leave(&engine, tenant, run_id, epoch, &shutdown).boxed().await;
}

/// Lets go of a run that this worker cannot go on with. On SQLite nobody looks at leases, so it tries until it has worked.
pub(crate) async fn leave(
    engine: &Engine,
    tenant: TenantId,
    run_id: Uuid,
    epoch: i64,
    shutdown: &CancellationToken,
) {
    let pause = engine.config().lease;
    while let Err(error) = signal::let_go(engine, tenant, run_id, epoch).await {
        if error.code() == "lease_lost" {
            return;
        }
        tracing::warn!(run = %run_id, %error, "a run could not be given back yet");
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn go(
    engine: &Engine,
    state: RunState,
    epoch: i64,
    crashes: i64,
    awaits: bool,
    mut alive: Option<oneshot::Sender<()>>,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut state = state;
    let mut calls = Calls::new();
    let mut arrivals: Vec<Arrival> = Vec::new();
    let mut wake = engine.store().watch(RUNS);
    let mut faults = 0;
    if crashes >= MAX_CRASHES {
        state.status = RunStatus::Paused;
        state.error = Some(Error::conflict(
            "crashed_its_worker",
            "Its worker died ten times in a row with this run in hand, eight times with this suspect alone.",
        ));
        commit(engine, &state, epoch, &[], false).boxed().await?;
        return Ok(());
    }
    if awaits {
        match limits::admit(engine, &state, epoch).boxed().await? {
            Some(admitted) => state = admitted,
            None => return Ok(()),
        }
    }
    // A call that was journalled before a crash and never came back.
    arrivals.extend(external::interrupted(engine, &state));
    for key in std::mem::take(&mut state.launch) {
        calls.push(external::launch(engine, &state, key));
    }
    // A deadline, not a pause: wake-ups come often, and each would put a pause off.
    let rhythm = engine.config().lease / 3;
    let mut beat = tokio::time::Instant::now() + rhythm;
    // A loaded run knows how many signals came, not whether they were taken in.
    let mut look =
        state.signals_seen > 0 || (arrivals.is_empty() && calls.is_empty() && state.ready.is_empty());
    loop {
        let has_work = !arrivals.is_empty() || !state.ready.is_empty() || look || calls.is_empty();
        if has_work {
            let span = spans::burst(&state.head);
            // Boxed, as whatever else is not awaited for long: it is large, and runs in hand wait for calls.
            let burst = commit(engine, &state, epoch, &arrivals, look).boxed();
            match spans::seen(&span, burst.instrument(span.clone()).await) {
                Ok(next) => {
                    drop(alive.take());
                    state = next;
                    arrivals.clear();
                    look = false;
                    faults = 0;
                    beat = tokio::time::Instant::now() + rhythm;
                }
                Err(error) if passes(&error) && faults < MAX_FAULTS => {
                    faults += 1;
                    tokio::time::sleep(PAUSE * faults).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            if state.status.is_final() || state.status == RunStatus::Paused || state.only_waits() {
                spans::left(&Span::current(), &state);
                return Ok(());
            }
            for key in std::mem::take(&mut state.launch) {
                calls.push(external::launch(engine, &state, key));
            }
            if !state.ready.is_empty() {
                continue;
            }
        }
        tokio::select! {
            Some(arrival) = calls.next() => arrivals.push(arrival),
            _ = wake.changed() => look = signal::waiting(engine, &state).boxed().await.unwrap_or(true),
            () = tokio::time::sleep_until(beat) => look = true,
            // Outside calls are dropped; they are journalled as started, and the next worker knows.
            () = shutdown.cancelled() => {
                calls.clear();
                return signal::give_back(engine, &state, epoch).boxed().await;
            }
        }
    }
}

/// Whether the same may work in a moment: a database that is away, full of callers, or slow.
fn passes(error: &Error) -> bool {
    error.is_transient() || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}

/// One burst in one transaction: what arrived, what was signalled, what became ready.
async fn commit(
    engine: &Engine,
    state: &RunState,
    epoch: i64,
    arrivals: &[Arrival],
    look: bool,
) -> Result<RunState> {
    let began = Instant::now();
    let ctx = match engine.run_ctx(&state.head).await {
        Ok(ctx) => ctx,
        // The publisher has left or lost every right: the run may not go on as anybody.
        Err(error) if error.kind() == ErrorKind::Forbidden => return end(engine, state, epoch, error).await,
        Err(error) => return Err(error),
    };
    let next = engine
        .store()
        .write(&ctx, |tx| {
            let (engine, ctx) = (engine.clone(), ctx.clone());
            async move {
                let mut next = state.clone();
                if next.status == RunStatus::Queued || next.status == RunStatus::Waiting {
                    next.status = RunStatus::Running;
                }
                // The queue goes by the database's clock; by another, a wait that is over there may never be over here.
                let now = match next.waits.is_empty() {
                    true => ctx.clock().now(),
                    false => tx.now().await?,
                };
                for arrival in arrivals {
                    match arrival.ask {
                        true => signal::ask_about_unknown(&tx, &mut next, arrival, now).await?,
                        false => take_in(&mut next, arrival, now),
                    }
                }
                if look || !next.waits.is_empty() {
                    signal::take_in(&engine, &tx, &mut next, now).await?;
                }
                signal::elapse(&engine, &tx, &mut next, now).await?;
                burst::run(&engine, &tx, &ctx, &mut next, true).await?;
                persist::update(&engine, &tx, &mut next, epoch).await?;
                Ok(next)
            }
        })
        .await?;
    metrics::histogram!("synapscale_engine_burst_seconds").record(began.elapsed().as_secs_f64());
    Ok(next)
}

fn take_in(state: &mut RunState, arrival: &Arrival, now: chrono::DateTime<chrono::Utc>) {
    if !state.in_flight.contains(&arrival.key) {
        return;
    }
    state.work_ms += i64::try_from(arrival.took.as_millis()).unwrap_or(0);
    match &arrival.outcome {
        Ok(output) => {
            let what = What::Completed {
                port: "out".to_owned(),
                output: output.clone(),
            };
            state.record(arrival.key.clone(), arrival.attempt, what, now);
        }
        Err(error) if arrival.again => {
            burst::settle_lost(state, arrival.key.clone(), arrival.attempt, error.clone(), now);
        }
        Err(error) => {
            let key = arrival.key.clone();
            match state.wanted.get(&key).map(|child| child.act.clone()) {
                Some(Act::Call(wanted)) => {
                    burst::settle_by(
                        state,
                        &wanted.retry,
                        key,
                        arrival.attempt,
                        error.clone(),
                        now,
                        None,
                    );
                }
                _ => burst::settle_failure(state, key, arrival.attempt, error.clone(), now),
            }
        }
    }
}

/// Ends a run that nobody may act for any more.
async fn end(engine: &Engine, state: &RunState, epoch: i64, error: Error) -> Result<RunState> {
    let ctx = synapscale_core::Ctx::system(engine.store().clock().clone()).system_in(state.head.tenant);
    engine
        .store()
        .write(&ctx, |tx| {
            let (engine, error) = (engine.clone(), error.clone());
            async move {
                let mut next = state.clone();
                next.status = RunStatus::Failed;
                next.error = Some(error);
                persist::update(&engine, &tx, &mut next, epoch).await?;
                Ok(next)
            }
        })
        .await
}
