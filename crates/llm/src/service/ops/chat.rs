//! `llm.chat`: one call of a model, streamed.

use crate::model::{ChatRequest, Extra, ReasoningEffort, ResponseFormat, Tool, ToolChoice};
use crate::service::Models;
use crate::service::catalogue::DEFAULT;
use crate::service::chat::{ChatAnswer, ChatMessage, OpSink};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use synapscale_core::Result;
use synapscale_ops::{ExternalCx, Method, Operation};
use tokio_util::sync::CancellationToken;

/// A call of a model.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Chat {
    /// A route's alias, or `provider/model`; the route `default` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 265))]
    pub model: Option<String>,
    /// The conversation.
    #[schemars(length(min = 1, max = 10_000))]
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub tools: Vec<Tool>,
    /// Whether and which tool it must ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// The form of the answer: text, or JSON by a schema.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// How freely to choose words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// The share of likely words to choose from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// The longest answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_tokens: Option<u32>,
    /// Texts at which to stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub stop: Vec<String>,
    /// For answers that can be had again, where a provider offers that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How long to think.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Whether several tools may be asked for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// Labels for the provider's own records.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Fields of the provider's own, put at the top of the request as they are.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

impl Chat {
    fn request(&self) -> ChatRequest {
        ChatRequest {
            messages: self.messages.iter().map(|message| message.0.clone()).collect(),
            tools: self.tools.clone(),
            tool_choice: self.tool_choice.clone(),
            response_format: self.response_format.clone(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            seed: self.seed,
            reasoning_effort: self.reasoning_effort,
            parallel_tool_calls: self.parallel_tool_calls,
            metadata: self.metadata.clone(),
            extra: self.extra.clone(),
        }
    }
}

pub(super) fn chat(models: Models) -> Operation {
    Operation::external("llm.chat", "Ask a model")
        .about("Sends a conversation to a language model by a route or provider/model. Streams typed chunks (text, thinking, tool_call_start, tool_call_arguments, usage), then answers the whole message with usage, cost and attempts.")
        .permission("llm:chat")
        .rest(Method::POST, "/models/chat")
        .streams()
        .handle_external(move |cx: ExternalCx, input: Arc<Chat>| {
            let models = models.clone();
            async move { chatted(&models, cx, &input).await }
        })
}

async fn chatted(models: &Models, cx: ExternalCx, input: &Chat) -> Result<ChatAnswer> {
    let model = input.model.as_deref().unwrap_or(DEFAULT);
    // Whoever goes away drops this future, and the connection to the provider with it.
    let nobody = CancellationToken::new();
    let mut sink = OpSink(cx.sink);
    models
        .chat(&cx.ctx, model, &input.request(), &nobody, &mut sink)
        .await
}
