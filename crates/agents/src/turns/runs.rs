//! Agents in the engine: the runs that answer in conversations, and those that work on a task of their own.

use crate::needs::{NewReply, RunStanding, RunState, Turns};
use crate::service::members;
use crate::turns::fold;
use crate::view::Part;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::HashMap;
use synapscale_core::{ActorKind, Result};
use synapscale_engine::{Engine, NewRun, Privacy, RunStatus, RunView, Started, whose};
use synapscale_store::Tx;
use uuid::Uuid;

/// Somebody waits for a reply: it goes before background work.
const PRIORITY: i64 = 10;

/// The node of a reply's graph that is the agent.
const REPLY_NODE: &str = "agent";

/// The tool loop as the domain wants it.
pub(crate) struct EngineTurns(pub Engine);

#[async_trait]
impl Turns for EngineTurns {
    async fn start(&self, tx: &Tx, reply: NewReply) -> Result<Uuid> {
        let input = json!({
            "agent": reply.agent_id,
            "version": reply.version,
            "reply_id": reply.message_id,
            "conversation_id": reply.conversation_id,
        });
        let started = start(&self.0, tx, &reply_graph(), input, Some(&reply)).await?;
        Ok(started.run_id)
    }

    async fn stop(&self, tx: &Tx, run_id: Uuid, reason: &str) -> Result<()> {
        match self.0.cancel(tx, run_id, reason).await {
            Err(error) if matches!(error.code(), "run_finished" | "not_found") => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn so_far(&self, tx: &Tx, run_id: Uuid) -> Result<Vec<Part>> {
        let mut parts = self.0.unfolding(tx, run_id, REPLY_NODE, fold::so_far).await??;
        let words = self.0.live().text(run_id).unwrap_or_default();
        if !words.is_empty() {
            parts.push(Part::Text { text: words });
        }
        Ok(parts)
    }

    async fn states(&self, tx: &Tx, runs: &[Uuid]) -> Result<HashMap<Uuid, RunState>> {
        let found = self.0.statuses(tx, runs).await?;
        let state = |(id, status, error): (Uuid, RunStatus, Option<Value>)| {
            let status = standing(status);
            (id, RunState { status, error })
        };
        Ok(found.into_iter().map(state).collect())
    }
}

fn standing(status: RunStatus) -> RunStanding {
    match status {
        RunStatus::Queued | RunStatus::Running => RunStanding::Running,
        RunStatus::Waiting => RunStanding::Waiting,
        RunStatus::Succeeded => RunStanding::Succeeded,
        RunStatus::Failed | RunStatus::Paused => RunStanding::Failed,
        RunStatus::Cancelled => RunStanding::Cancelled,
    }
}

/// Starts a run of one of this domain's own graphs, as the caller.
async fn start(
    engine: &Engine,
    tx: &Tx,
    graph: &Value,
    input: Value,
    reply: Option<&NewReply>,
) -> Result<Started> {
    let graph_id = engine.put_graph(tx, graph).await?;
    let cause = cause(engine, tx).await?;
    let (principal, on_behalf_of) = match &cause {
        Some(run) => (run.actor, run.on_behalf_of),
        None => whose(tx.ctx()),
    };
    let new = NewRun {
        id: reply.map(|reply| reply.message_id),
        graph_id,
        trigger: "start".to_owned(),
        input,
        workflow: None,
        principal,
        on_behalf_of,
        priority: PRIORITY,
        correlation: Some(tx.ctx().correlation()),
        private_to: match reply {
            Some(reply) => Some(reply.conversation_id),
            // What an agent hands on of a conversation is as private as that is.
            None => cause.and_then(|run| run.private_to),
        },
        parent: None,
        cause: None,
    };
    engine.start(tx, new).await
}

/// The run whose agent starts this one, if one does. The new run acts as that one does: it may act for two, the publisher
/// of a workflow and whoever started it, and has no more than both may do.
async fn cause(engine: &Engine, tx: &Tx) -> Result<Option<RunView>> {
    match (tx.ctx().actor().kind, tx.ctx().origin().run) {
        (ActorKind::Agent, Some(run)) => engine.run(tx, run).await.map(Some),
        _ => Ok(None),
    }
}

/// Who is in a conversation sees the runs of its replies.
pub(crate) struct Conversations;

#[async_trait]
impl Privacy for Conversations {
    async fn sees(&self, tx: &Tx, private_to: Uuid) -> Result<bool> {
        match members::seat(tx, private_to).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), "not_found" | "person_required") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Starts an agent on a task.
///
/// # Errors
/// When the run cannot be started.
pub(crate) async fn start_task(engine: &Engine, tx: &Tx, input: Value) -> Result<Started> {
    start(engine, tx, &task_graph(), input, None).await
}

fn reply_graph() -> Value {
    json!({
        "name": "reply",
        "title": "An agent replies",
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            (REPLY_NODE): {
                "kind": "agent.reply@1",
                "after": "start",
                "with": {
                    "agent": "{{ input.agent }}",
                    "version": "{{ input.version }}",
                    "reply_id": "{{ input.reply_id }}",
                },
            },
        },
    })
}

fn task_graph() -> Value {
    json!({
        "name": "agent-task",
        "title": "An agent works on a task",
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "agent": {
                "kind": "agent@1",
                "after": "start",
                "with": {
                    "agent": "{{ input.agent }}",
                    "version": "{{ input.version ?? null }}",
                    "input": "{{ input.input }}",
                    "data": "{{ input.data ?? null }}",
                    "on_stop": "continue",
                },
            },
        },
    })
}
