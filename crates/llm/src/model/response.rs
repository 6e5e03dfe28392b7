//! What a model answers, whole or bit by bit.

use super::{Extra, Message, Part, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatResponse {
    /// The message.
    pub message: Message,
    /// Why it ended.
    pub finish: Finish,
    /// What it took, as far as the provider told.
    pub usage: Usage,
    /// The model that answered, in the provider's words.
    pub model: Option<String>,
    /// The provider's id of the answer.
    pub provider_id: Option<String>,
    /// Fields not known here, such as `system_fingerprint` or `service_tier`.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Default for ChatResponse {
    fn default() -> Self {
        ChatResponse {
            message: Message::of(Role::Assistant, Vec::new()),
            finish: Finish::Unknown,
            usage: Usage::default(),
            model: None,
            provider_id: None,
            extra: Extra::new(),
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was complete, or a stop text was met.
    Stop,
    /// The longest answer, or the model's window, was reached.
    Length,
    /// Tools are asked for.
    ToolCalls,
    /// The provider's filter cut it.
    ContentFilter,
    /// The model declined.
    Refusal,
    /// A long turn was paused; send the answer back to go on.
    Pause,
    /// The provider did not say.
    Unknown,
    /// A word of the provider that is not known here.
    #[serde(untagged)]
    Other(String),
}

/// What a call took, in tokens. What the provider did not tell is `None`, never nought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// All that was read, cached or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// All that was written, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// The share of `input` that came from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// The share of `input` that was put into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// The share of `output` that was reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// What else the provider told, such as OpenRouter's `cost`.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Usage {
    /// Whether the provider told nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Usage::default()
    }
}

/// A bit of an answer under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// Words, to be put after those before.
    Text {
        /// The words.
        text: String,
    },
    /// Reasoning, to be put after that before.
    Thinking {
        /// The reasoning.
        text: String,
    },
    /// The signature over the reasoning before.
    Signature {
        /// The signature.
        signature: String,
    },
    /// A tool is asked for.
    ToolCallStart {
        /// Which of the parallel calls, from nought.
        index: usize,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
    },
    /// More of the arguments of a call.
    ToolCallArguments {
        /// Which of the parallel calls.
        index: usize,
        /// The text to put after that before.
        fragment: String,
    },
    /// A whole part that does not come bit by bit, such as redacted reasoning.
    Part {
        /// The part.
        part: Part,
    },
    /// What the call took; given once, before the end.
    Usage {
        /// What it took.
        usage: Usage,
    },
    /// The end: the whole answer.
    Done {
        /// The answer.
        response: Arc<ChatResponse>,
    },
}
