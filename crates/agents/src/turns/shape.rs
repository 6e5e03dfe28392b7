//! What the tool loop keeps in the journal: what an agent was opened with, what a turn of the model came to, what the
//! whole came to. Everything that the fold needs is here, so that no finished call is ever made again.

use crate::spec::AgentSpec;
use crate::view::{Part, ReplyError, ReplyStop};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_llm::service::ChatMessage;
use uuid::Uuid;

/// Which agent is to act, and on what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Open {
    /// The agent, by id or name.
    pub agent: String,
    /// The version; the latest if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// The reply to be written, when it is a conversation's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_id: Option<Uuid>,
}

/// An agent as it was when the run began: pinned.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Opened {
    pub agent_id: Uuid,
    pub name: String,
    pub title: String,
    pub version: i64,
    pub spec: AgentSpec,
    /// The conversation up to the message to be answered.
    pub history: Vec<ChatMessage>,
}

/// One turn of the model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub agent_id: Uuid,
    pub spec: AgentSpec,
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub messages: Vec<ChatMessage>,
}

/// What a turn of the model came to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Turn {
    /// The model's message, reasoning and signatures included.
    pub message: ChatMessage,
    /// The tools that it asks for, looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<PlannedCall>,
    /// The answer by the agent's schema, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What it cost; null when that is not known.
    pub cost_nano_usd: Option<u64>,
    /// The model that answered.
    pub model: String,
    /// Its provider.
    pub provider: String,
    /// How long it took.
    pub ms: u64,
    /// How many attempts that took.
    pub attempts: u64,
}

/// A call that the model asks for.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlannedCall {
    /// The model's id of the call.
    pub id: String,
    /// The tool's dotted name; as the model wrote it when there is no such tool.
    pub name: String,
    /// What the model gave, as far as it is JSON.
    pub arguments: Value,
    /// What is called; none when `problem` says why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// Why it cannot be called: the model is told, and may do better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// How a call is carried out.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Plan {
    pub operation: String,
    /// Its input, when it is another than the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The tool's title.
    pub title: String,
    /// Whether a person is asked first.
    #[serde(default)]
    pub asks: bool,
    /// The operation that shows what would be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<String>,
    /// Whether it may be made again when nobody knows whether it was.
    #[serde(default)]
    pub repeatable: bool,
}

/// What an agent came to, to be kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    pub agent_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_id: Option<Uuid>,
    pub tally: Tally,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<ReplyStop>,
    /// The error's code and words, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReplyError>,
    pub text: String,
    /// The provider's messages of this reply, for the turns to come.
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub messages: Vec<ChatMessage>,
    /// The same for people.
    #[serde(with = "as_text")]
    #[schemars(with = "String")]
    pub parts: Vec<Part>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Completed,
    Stopped,
    Failed,
}

/// What was used so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Tally {
    pub turns: u64,
    pub tool_calls: u64,
    pub tool_errors: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// The known part.
    pub cost_nano_usd: u64,
    /// Turns whose cost is not known.
    pub unknown_costs: u64,
    pub ms: u64,
    /// The model that answered last.
    pub model: Option<String>,
}

impl Tally {
    pub fn add(&mut self, turn: &Turn) {
        self.turns += 1;
        self.input_tokens = self.input_tokens.saturating_add(turn.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(turn.output_tokens);
        self.ms = self.ms.saturating_add(turn.ms);
        self.model = Some(turn.model.clone());
        match turn.cost_nano_usd {
            Some(cost) => self.cost_nano_usd = self.cost_nano_usd.saturating_add(cost),
            None => self.unknown_costs += 1,
        }
    }

    /// What it cost, if all of that is known.
    pub fn cost(&self) -> Option<u64> {
        (self.unknown_costs == 0).then_some(self.cost_nano_usd)
    }
}

/// A list as JSON text. The gate bounds the depth and the number of values of what it is given and refuses NUL, which is
/// for what comes from outside: what models and tools said all together goes over these bounds, and must be kept all the
/// same.
mod as_text {
    use serde::de::{DeserializeOwned, Error as _};
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&serde_json::to_string(list).map_err(S::Error::custom)?)
    }

    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
        serde_json::from_str(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
