//! Messages: what people sent and what the agent replied.

use super::words;
use crate::entity::message;
use crate::needs::RunState;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_core::{Actor, ActorKind, Error, Result};
use uuid::Uuid;

words! {
    /// Who speaks.
    MessageRole {
        User = "user" "A person.",
        Assistant = "assistant" "The agent.",
    }
}

words! {
    /// Where a message stands.
    MessageStatus {
        Failed = "failed" "The run failed.",
        Done = "done" "It is whole.",
        Running = "running" "It is being written.",
        Waiting = "waiting" "A person has to approve something first.",
        Stopped = "stopped" "A limit or a person stopped it.",
    }
}

words! {
    /// What came of a call of a tool.
    CallStatus {
        Failed = "failed" "The tool failed.",
        Done = "done" "The tool answered.",
        Rejected = "rejected" "A person said no.",
    }
}

words! {
    /// What stopped a reply.
    StopReason {
        Cancelled = "cancelled" "A person.",
        Turns = "turns" "The limit of turns.",
        Tokens = "tokens" "The limit of tokens.",
        Seconds = "seconds" "The limit of time.",
        Cost = "cost" "The limit of cost.",
        Loop = "loop" "The agent did the same again and again.",
    }
}

/// A piece of a reply, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// Reasoning.
    Thinking {
        /// The reasoning.
        text: String,
    },
    /// A tool was called.
    ToolCall {
        /// The id that the model gave the call.
        id: String,
        /// The tool's dotted name.
        name: String,
        /// What it was called with.
        arguments: Value,
        /// What came of it.
        status: CallStatus,
        /// What it answered, or the error.
        result: Value,
        /// The step of the run, such as `t1.c0`.
        path: String,
    },
}

/// What a reply took, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyUsage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

/// What stopped a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyStop {
    /// The limit, or a person.
    pub reason: StopReason,
    /// In words.
    pub detail: String,
}

/// Why a reply failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyError {
    /// A stable code.
    pub code: String,
    /// In words.
    pub message: String,
}

impl ReplyError {
    /// The error of a run, as the engine keeps it.
    pub(crate) fn of_run(error: Option<&Value>) -> Self {
        let text = |name: &str| error.and_then(|error| error.get(name)).and_then(Value::as_str);
        ReplyError {
            code: text("code").unwrap_or("run_failed").to_owned(),
            message: text("message")
                .unwrap_or("The run ended without an answer.")
                .to_owned(),
        }
    }

    /// The run is not there any more.
    pub(crate) fn lost() -> Self {
        ReplyError {
            code: "run_lost".to_owned(),
            message: "The run that wrote this reply is not there any more.".to_owned(),
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageView {
    /// Its id.
    pub id: Uuid,
    /// The conversation.
    pub conversation_id: Uuid,
    /// The message before it; null for a first one.
    pub parent_id: Option<Uuid>,
    /// The messages after the same one, in the order in which they were made; this one among them.
    pub siblings: Vec<Uuid>,
    /// Who speaks.
    pub role: MessageRole,
    /// The person, or the agent.
    pub author: Actor,
    /// Where it stands.
    pub status: MessageStatus,
    /// What was sent, or the reply's final text; empty while it is being written.
    pub text: String,
    /// What the reply is made of.
    pub parts: Vec<Part>,
    /// The run that writes the reply.
    pub run_id: Option<Uuid>,
    /// The model that answered last.
    pub model: Option<String>,
    /// What it took; null when nobody told.
    pub usage: Option<ReplyUsage>,
    /// What it cost, in nano-USD; null when that is not known.
    pub cost_nano_usd: Option<i64>,
    /// What stopped it.
    pub stop: Option<ReplyStop>,
    /// Why it failed.
    pub error: Option<ReplyError>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was whole.
    pub finished_at: Option<DateTime<Utc>>,
}

/// How a reply that the row says is running stands by its run; none for a run that is not there.
pub(crate) fn outcome(state: Option<&RunState>) -> (MessageStatus, Option<ReplyError>) {
    let Some(state) = state else {
        return (MessageStatus::Failed, Some(ReplyError::lost()));
    };
    let status = state.status.of_reply();
    let error = (status == MessageStatus::Failed).then(|| ReplyError::of_run(state.error.as_ref()));
    (status, error)
}

impl MessageView {
    /// The view of a row whose parts are at hand. `state` is that of its run, and counts while the row says that it runs.
    pub(crate) fn of(
        row: message::Model,
        parts: Value,
        siblings: Vec<Uuid>,
        state: Option<&RunState>,
    ) -> Result<Self> {
        let mut status = MessageStatus::parse(&row.status);
        let mut error = row
            .error
            .map(serde_json::from_value)
            .transpose()
            .map_err(Error::internal)?;
        if status == MessageStatus::Running {
            (status, error) = outcome(state);
        }
        let usage = row
            .input_tokens
            .zip(row.output_tokens)
            .map(|(input, output)| ReplyUsage {
                input: u64::try_from(input).unwrap_or_default(),
                output: u64::try_from(output).unwrap_or_default(),
            });
        Ok(MessageView {
            id: row.id,
            conversation_id: row.conversation_id,
            parent_id: row.parent_id,
            siblings,
            role: MessageRole::parse(&row.role),
            author: Actor {
                kind: ActorKind::parse(&row.author_kind).unwrap_or(ActorKind::Anonymous),
                id: row.author_id,
            },
            status,
            text: row.text,
            parts: serde_json::from_value(parts).map_err(Error::internal)?,
            run_id: row.run_id,
            model: row.model,
            usage,
            cost_nano_usd: row.cost_nano_usd,
            stop: row
                .stop
                .map(serde_json::from_value)
                .transpose()
                .map_err(Error::internal)?,
            error,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}
