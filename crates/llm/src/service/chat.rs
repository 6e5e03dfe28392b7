//! A call of a model for somebody: its way is looked up, its pieces go to a listener, every attempt becomes a row.

use crate::error::LlmError;
use crate::model::{ChatRequest, Delta, Finish, Message, Usage};
use crate::route::{Attempt, Completed, Sink, SinkClosed};
use crate::service::Models;
use crate::service::catalogue::Target;
use crate::service::usage::UsageRow;
use crate::service::usage::writer::Ledger;
use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use synapscale_core::{Ctx, Result};
use tokio_util::sync::CancellationToken;

/// A message in an operation's input and output. Its parts may hold parts, which a schema without references cannot say,
/// so the schema tells the outer form, and reading tells the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatMessage(pub Message);

impl JsonSchema for ChatMessage {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ChatMessage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "required": ["role"],
            "properties": {
                "role": { "type": "string", "enum": ["system", "developer", "user", "assistant", "tool"] },
                "content": {
                    "description": "A text, or parts: {type: text, text}, {type: image, url | data + media_type}, \
                        {type: tool_call, id, name, arguments}, {type: tool_result, id, content, is_error}, \
                        {type: thinking, text, signature}.",
                    "anyOf": [
                        { "type": "string" },
                        { "type": "null" },
                        {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["type"],
                                "properties": { "type": { "type": "string" } }
                            }
                        }
                    ]
                }
            }
        })
    }
}

/// One attempt of a call.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// The provider's name.
    pub provider: String,
    /// The model, in the provider's words.
    pub model: String,
    /// `ok`, or the word of the failure.
    pub outcome: String,
    /// What went wrong, in words.
    pub error: Option<String>,
    /// The HTTP status of a failure, where there was one.
    pub status_code: Option<u16>,
    /// When the first token came, in milliseconds; streams only.
    pub first_token_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub total_ms: u64,
}

/// What a model answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChatAnswer {
    /// The message.
    pub message: ChatMessage,
    /// Why it ended.
    pub finish: Finish,
    /// What the answer took, in tokens; what the provider did not tell is absent.
    pub usage: Usage,
    /// What the attempts that succeeded cost, in nano-USD; null when that is not known.
    pub cost_nano_usd: Option<u64>,
    /// The model, as the provider names what answered.
    pub model: String,
    /// The provider's name.
    pub provider: String,
    /// The id of the deployment that answered.
    pub deployment: String,
    /// Every attempt, in order.
    pub attempts: Vec<AttemptView>,
    /// The JSON, when a schema was asked for and no tool was.
    pub json: Option<Value>,
}

impl ChatAnswer {
    fn of(done: Completed, target: &Target) -> Self {
        let costs = done.attempts.iter().filter(|attempt| attempt.error.is_none());
        let cost = costs.map(|attempt| attempt.cost).try_fold(0_u64, |sum, cost| {
            cost.map(|cost| sum.saturating_add(cost.nano_usd))
        });
        let attempts: Vec<_> = done.attempts.iter().map(|a| AttemptView::of(a, target)).collect();
        let asked = done.attempts.last().map(|attempt| attempt.model.clone());
        // Nobody else holds it once the pieces are delivered, so that it is taken and not copied.
        let response = Arc::unwrap_or_clone(done.response);
        ChatAnswer {
            message: ChatMessage(response.message),
            finish: response.finish,
            usage: response.usage,
            cost_nano_usd: cost,
            model: response.model.or(asked).unwrap_or_default(),
            provider: target.provider_of(&done.deployment).to_owned(),
            deployment: done.deployment,
            attempts,
            json: done.json,
        }
    }
}

impl AttemptView {
    fn of(attempt: &Attempt, target: &Target) -> Self {
        let error = attempt.error.as_ref();
        AttemptView {
            provider: target.provider_of(&attempt.deployment).to_owned(),
            model: attempt.model.clone(),
            outcome: error.map_or("ok", LlmError::word).to_owned(),
            error: error.map(|error| error.message().to_owned()),
            status_code: error.and_then(LlmError::status),
            first_token_ms: attempt.first_token_ms,
            total_ms: attempt.total_ms,
        }
    }
}

/// An operation's listener as the router wants it: each piece becomes a chunk (`{"type": "text", "text": …}`), but the
/// last, which is the operation's own answer.
#[derive(Clone, Debug)]
pub struct OpSink(pub synapscale_ops::Sink);

#[async_trait]
impl Sink for OpSink {
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed> {
        if matches!(delta, Delta::Done { .. }) {
            return Ok(());
        }
        let chunk = serde_json::to_value(delta).map_err(|_| SinkClosed)?;
        self.0.send(chunk).await.map_err(|_| SinkClosed)
    }

    fn streams(&self) -> bool {
        self.0.is_heard()
    }
}

/// Writes down every attempt, also when the call is dropped, on its way to whoever listens.
struct Recorder<'a> {
    ctx: &'a Ctx,
    target: &'a Target,
    ledger: &'a Ledger,
    inner: &'a mut dyn Sink,
    /// Asked once: a listener who goes in the middle must not turn a stream into something else.
    streams: bool,
    attempts: i64,
}

#[async_trait]
impl Sink for Recorder<'_> {
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed> {
        self.inner.delta(delta).await
    }

    fn streams(&self) -> bool {
        self.streams
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        let provider = self.target.provider_of(&attempt.deployment);
        let route = self.target.alias.as_deref();
        self.ledger
            .put(UsageRow::of(self.ctx, attempt, self.attempts, route, provider));
        self.inner.attempt(attempt);
    }
}

impl Models {
    /// Calls a model for `ctx`: `model` is a route's alias or `provider/model`; pieces go to `sink` as they come. Whoever
    /// calls has asked for the permission. Dropping the future closes the connection to the provider; the usage is
    /// recorded all the same.
    ///
    /// # Errors
    /// `no_route`, `no_provider`, or what the last attempt ended in (`llm_…`).
    pub async fn chat(
        &self,
        ctx: &Ctx,
        model: &str,
        request: &ChatRequest,
        cancel: &CancellationToken,
        sink: &mut dyn Sink,
    ) -> Result<ChatAnswer> {
        let target = self.target(ctx, model).await?;
        self.chat_at(ctx, &target, request, cancel, sink).await
    }

    /// As [`Models::chat`], by a way that is known.
    pub(crate) async fn chat_at(
        &self,
        ctx: &Ctx,
        target: &Target,
        request: &ChatRequest,
        cancel: &CancellationToken,
        sink: &mut dyn Sink,
    ) -> Result<ChatAnswer> {
        let attached = self.attached()?;
        let streams = sink.streams();
        let mut recorder = Recorder {
            ctx,
            target,
            ledger: &attached.ledger,
            inner: sink,
            streams,
            attempts: 0,
        };
        let done = attached
            .router
            .chat(&target.route, request, cancel, &mut recorder)
            .await;
        match done {
            Ok(done) => Ok(ChatAnswer::of(done, target)),
            Err(failed) => Err(failed.error.into()),
        }
    }
}
