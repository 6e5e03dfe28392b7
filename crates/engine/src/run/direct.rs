//! A single external operation, called directly, as a one-node run: its start is committed before anything goes out, so
//! that what went out is on record whatever happens. The caller hears its chunks live, and waits for its end.

use crate::engine::{Engine, WeakEngine};
use crate::run::model::{NewRun, RunStatus, RunView};
use async_trait::async_trait;
use aws_lc_rs::digest;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use synapscale_core::{Actor, ActorKind, Ctx, Error, ErrorKind, Result};
use synapscale_ops::{Answer, ExternalRunner, Output, Prepared, Sink};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// Waits at most this long when the caller has no deadline of its own.
const LONGEST: Duration = Duration::from_secs(600);
/// Somebody waits for it: it goes before background work.
const PRIORITY: i64 = 10;
/// The node that makes the call.
const CALL: &str = "call";

/// Who waits in this process for which run.
#[derive(Default)]
pub(crate) struct Directs(Mutex<HashMap<Uuid, Caller>>);

/// Somebody who waits for a single call.
#[derive(Clone)]
pub(crate) struct Caller {
    sink: Sink,
    gone: CancellationToken,
}

impl Caller {
    /// Makes the call with the caller's sink, and ends it when the caller hangs up.
    pub async fn hear<T, Fut>(&self, call: impl FnOnce(Sink) -> Fut) -> Result<T>
    where
        Fut: Future<Output = Result<T>>,
    {
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(Error::new(
                ErrorKind::Cancelled,
                "caller_gone",
                "Whoever called did not wait for the answer; the call was broken off.",
            )),
            done = call(self.sink.clone()) => done,
        }
    }
}

impl Directs {
    pub fn get(&self, run_id: Uuid) -> Option<Caller> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&run_id)
            .cloned()
    }

    fn put(&self, run_id: Uuid, caller: Caller) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(run_id, caller);
    }

    fn remove(&self, run_id: Uuid) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&run_id);
    }
}

/// One caller's wait; its end, however it comes, is the caller's going.
struct Waiting {
    engine: Engine,
    run_id: Uuid,
    _gone: DropGuard,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.engine.directs().remove(self.run_id);
    }
}

/// Makes runs of external calls.
pub(crate) struct Runner(WeakEngine);

impl Runner {
    pub fn of(engine: &Engine) -> Self {
        Runner(engine.downgrade())
    }
}

#[async_trait]
impl ExternalRunner for Runner {
    async fn run_external(&self, ctx: &Ctx, prepared: Prepared) -> Result<Answer> {
        let engine = self
            .0
            .upgrade()
            .ok_or_else(|| Error::unavailable("shutting_down", "The server is shutting down."))?;
        engine.call_directly(ctx, prepared).await
    }
}

impl Engine {
    async fn call_directly(&self, ctx: &Ctx, prepared: Prepared) -> Result<Answer> {
        let key = prepared.envelope().idempotency_key.clone();
        let run_id = match &key {
            Some(key) => keyed_id(ctx, prepared.operation().name(), key),
            None => synapscale_core::new_id(),
        };
        if key.is_some()
            && let Some(earlier) = self.earlier(ctx, run_id, prepared.input()).await?
        {
            return self.finish(ctx, earlier, true).await;
        }
        let gone = CancellationToken::new();
        let caller = Caller {
            sink: prepared.sink().clone(),
            gone: gone.clone(),
        };
        // Before the commit: from then on the worker may be at it.
        self.directs().put(run_id, caller);
        let waiting = Waiting {
            engine: self.clone(),
            run_id,
            _gone: gone.drop_guard(),
        };
        let started = self.start_call(ctx, run_id, &prepared).await;
        match started {
            // The same key at the same moment: the other one's run is ours too.
            Err(error) if error.code() == "already_exists" && key.is_some() => {
                drop(waiting);
                self.finish(ctx, run_id, true).await
            }
            Err(error) => Err(error),
            Ok(()) => {
                let answer = self.finish(ctx, run_id, false).await;
                drop(waiting);
                answer
            }
        }
    }

    async fn start_call(&self, ctx: &Ctx, run_id: Uuid, prepared: &Prepared) -> Result<()> {
        let (operation, input) = (prepared.operation().name(), prepared.input().clone());
        let (principal, on_behalf_of) = whose(ctx);
        self.store()
            .write(ctx, |tx| {
                let (engine, input) = (self.clone(), input.clone());
                async move {
                    let graph_id = engine.put_graph(&tx, &graph(operation)).await?;
                    let new = NewRun {
                        id: Some(run_id),
                        graph_id,
                        trigger: "start".to_owned(),
                        input,
                        workflow: None,
                        principal,
                        on_behalf_of,
                        priority: PRIORITY,
                        correlation: Some(tx.ctx().correlation()),
                        private_to: None,
                        parent: None,
                        cause: None,
                    };
                    engine.start(&tx, new).await.map(|_| ())
                }
            })
            .await
    }

    /// An earlier run under the same key.
    async fn earlier(&self, ctx: &Ctx, run_id: Uuid, input: &Value) -> Result<Option<Uuid>> {
        let engine = self.clone();
        let found = self
            .store()
            .read(ctx, |tx| {
                let engine = engine.clone();
                async move { engine.run(&tx, run_id).await }
            })
            .await;
        match found {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(run) if &run.input != input => Err(Error::new(
                ErrorKind::Invalid,
                "idempotency_mismatch",
                "This idempotency key was used with another input.",
            )),
            Ok(run) => Ok(Some(run.id)),
        }
    }

    /// Waits for the run's end and answers with what it came to.
    async fn finish(&self, ctx: &Ctx, run_id: Uuid, replayed: bool) -> Result<Answer> {
        let left = ctx.time_left()?.unwrap_or(LONGEST);
        self.wait_end(ctx, run_id, left).await?;
        let run = self
            .store()
            .read(ctx, |tx| {
                let engine = self.clone();
                async move { engine.run(&tx, run_id).await }
            })
            .await?;
        let output = outcome(run)?;
        let bytes = serde_json::to_vec(&output).map_err(Error::internal)?;
        Ok(Answer {
            output: Output::from_json(bytes, None),
            revision: None,
            replayed,
        })
    }
}

fn outcome(run: RunView) -> Result<Value> {
    match (run.status, run.output, run.error) {
        (RunStatus::Succeeded, output, _) => Ok(output.unwrap_or(Value::Null)),
        (RunStatus::Cancelled, ..) => Err(Error::new(
            ErrorKind::Cancelled,
            "cancelled",
            format!("The call was cancelled; it is run {}.", run.id),
        )),
        (status, _, Some(error)) if status.is_final() => {
            Err(serde_json::from_value(error).unwrap_or_else(Error::internal))
        }
        _ => Err(Error::deadline_exceeded()),
    }
}

/// As whom the run acts. What an agent or a bot may do was settled when its call was admitted; the run has the present
/// permissions of whoever it acts for.
pub fn whose(ctx: &Ctx) -> (Actor, Option<Actor>) {
    match (ctx.actor().kind, ctx.principal()) {
        (ActorKind::Agent | ActorKind::Bot, Some(person)) => (person, None),
        (_, person) => (ctx.actor(), person),
    }
}

fn graph(operation: &str) -> Value {
    json!({
        "name": "single-call",
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            CALL: {
                "kind": "operation@1",
                "after": "start",
                "with": { "operation": operation, "input": "{{ input }}" },
                "unknown_outcome": "fail",
            },
        },
    })
}

/// The id that every call with this key has: the same key of the same caller is the same run.
fn keyed_id(ctx: &Ctx, operation: &str, key: &str) -> Uuid {
    let Actor { kind, id } = ctx.principal().unwrap_or(ctx.actor());
    let text = format!("{}\n{}:{id}\n{operation}\n{key}", ctx.tenant(), kind.as_str());
    named_id(&text)
}

/// A run id that follows from a text: whatever is to be one run however often and wherever it is started.
pub fn named_id(text: &str) -> Uuid {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
