//! The loop's operations. `agents.run` starts an agent on a task. The others are internal: an agent is opened, a model
//! takes its turn, what came of it is kept; only the engine calls them, as children of an agent's step, with the
//! permissions of whoever it acts for.

use super::shape::{Ask, Close, Open, Opened, Outcome, Tally, Turn};
use super::{model, runs};
use crate::service::{agents, figures, messages};
use crate::view::ReplyUsage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use synapscale_core::{Error, Result};
use synapscale_engine::Engine;
use synapscale_llm::Models;
use synapscale_llm::service::ChatMessage;
use synapscale_ops::Outcome::Done;
use synapscale_ops::{ExternalCx, Method, Operation, Tools};
use synapscale_store::Tx;
use uuid::Uuid;

/// Who may have an agent act for them.
pub(crate) const PERMISSION: &str = "agents:run";

/// What the loop works with; attached once the server stands.
#[derive(Clone, Default)]
pub(crate) struct Means(Arc<OnceLock<Attached>>);

struct Attached {
    engine: Engine,
    models: Models,
    tools: Tools,
}

impl Means {
    /// The first ones stay.
    pub fn attach(&self, engine: Engine, models: Models, tools: Tools) {
        let _ = self.0.set(Attached {
            engine,
            models,
            tools,
        });
    }

    fn get(&self) -> Result<&Attached> {
        self.0
            .get()
            .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
    }
}

/// All of them.
pub(crate) fn all(means: &Means) -> Vec<Operation> {
    vec![run(means.clone()), open(), turn(means.clone()), close()]
}

/// A task for an agent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAgent {
    /// The agent, by id or name.
    #[schemars(length(min = 1, max = 64))]
    pub agent: String,
    /// The version; the latest unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    /// What it is asked: a text, or JSON.
    pub input: Value,
    /// What it is to work on. It is marked as data for the model, never taken as an order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

fn run(means: Means) -> Operation {
    Operation::write("agents.run", "Have an agent do something")
        .about("Starts a run in which an agent works on something by itself, and answers the run's id; runs.get has what it came to. Use conversations for talking with one.")
        .permission(PERMISSION)
        .rest(Method::POST, "/agents/run")
        .handle(move |tx: Tx, input: Arc<RunAgent>| {
            let means = means.clone();
            async move {
                // A run that cannot even begin is not begun.
                agents::resolve(&tx, &input.agent, input.version).await?;
                let engine = &means.get()?.engine;
                let started = runs::start_task(engine, &tx, serde_json::to_value(&*input).map_err(Error::internal)?).await?;
                Ok::<_, Error>(Done(started))
            }
        })
}

fn open() -> Operation {
    Operation::read("agents.open", "Open an agent")
        .about("Pins an agent's version, and the conversation that it answers, for one run.")
        .permission(PERMISSION)
        .internal()
        .handle(|tx: Tx, input: Arc<Open>| async move { opened(&tx, &input).await })
}

async fn opened(tx: &Tx, input: &Open) -> Result<Opened> {
    let agent = agents::resolve(tx, &input.agent, input.version).await?;
    let history = match input.reply_id {
        None => Vec::new(),
        Some(reply) => {
            own_reply(tx, reply)?;
            messages::as_messages(messages::history(tx, reply).await?)
        }
    };
    Ok(Opened {
        agent_id: agent.id,
        name: agent.name,
        title: agent.title,
        version: agent.version,
        spec: agent.spec,
        history: history.into_iter().map(ChatMessage).collect(),
    })
}

/// Refuses a reply that another run is to write: its conversation may be other people's. The run that writes a reply has
/// the reply's id.
fn own_reply(tx: &Tx, reply: Uuid) -> Result<()> {
    match tx.ctx().origin().run == Some(reply) {
        true => Ok(()),
        false => Err(Error::not_found("message")),
    }
}

fn turn(means: Means) -> Operation {
    Operation::external("agents.turn", "A model takes its turn")
        .about("Asks an agent's model what to do next, and looks up the tools that it asks for.")
        .permission(PERMISSION)
        .internal()
        .handle_external(move |cx: ExternalCx, input: Arc<Ask>| {
            let means = means.clone();
            async move {
                let Attached { models, tools, .. } = means.get()?;
                let turn: Turn = model::turn(models, tools, cx, &input).await?;
                Ok::<_, Error>(turn)
            }
        })
}

/// Nothing more to say.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Closed {
    pub kept: bool,
}

fn close() -> Operation {
    Operation::write("agents.close", "Keep what an agent came to")
        .about("Adds a run to its agent's figures, and writes its reply into the conversation.")
        .permission(PERMISSION)
        .internal()
        .handle(|tx: Tx, input: Arc<Close>| async move {
            closed(&tx, &input).await?;
            Ok::<_, Error>(Done(Closed { kept: true }))
        })
}

async fn closed(tx: &Tx, close: &Close) -> Result<()> {
    figures::count(tx, close.agent_id, counted(close)).await?;
    let Some(reply) = close.reply_id else {
        return Ok(());
    };
    own_reply(tx, reply)?;
    let Tally {
        input_tokens: input,
        output_tokens: output,
        ..
    } = close.tally;
    let kept = messages::Reply {
        status: match close.outcome {
            Outcome::Completed => messages::Ended::Done,
            Outcome::Stopped => messages::Ended::Stopped,
            Outcome::Failed => messages::Ended::Failed,
        },
        messages: close.messages.iter().map(|message| message.0.clone()).collect(),
        text: close.text.clone(),
        parts: close.parts.clone(),
        model: close.tally.model.clone(),
        usage: Some(ReplyUsage { input, output }),
        cost_nano_usd: close.tally.cost().and_then(|cost| i64::try_from(cost).ok()),
        stop: close.stop.clone(),
        error: close.error.clone(),
    };
    messages::finish(tx, reply, kept).await
}

fn counted(close: &Close) -> figures::Counted {
    let tally = &close.tally;
    figures::Counted {
        outcome: match close.outcome {
            Outcome::Completed => figures::Outcome::Succeeded,
            Outcome::Stopped => figures::Outcome::Stopped,
            Outcome::Failed => figures::Outcome::Failed,
        },
        turns: tally.turns,
        tool_calls: tally.tool_calls,
        tool_errors: tally.tool_errors,
        input_tokens: tally.input_tokens,
        output_tokens: tally.output_tokens,
        cost_nano_usd: tally.cost().and_then(|cost| i64::try_from(cost).ok()),
        ms: tally.ms,
    }
}
