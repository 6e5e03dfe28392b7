//! What operations take and answer about providers and routes. A key goes in and never comes out.

use crate::presets::{EffortStyle, StructuredMode};
use crate::price::{Price, Pricing};
use crate::route::Strategy;
use crate::service::entity::{provider, route};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, Result};
use synapscale_ops::Revisioned;
use uuid::Uuid;

/// Whether a provider is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderStatus {
    /// It is.
    Active,
    /// It is kept, and no call goes there.
    Disabled,
}

impl ProviderStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ProviderStatus::Active => "active",
            ProviderStatus::Disabled => "disabled",
        }
    }
}

/// How a provider is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// The model of calls that name no other, while this is the only provider and there is no route `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub default_model: Option<String>,
    /// How JSON by a schema is asked for, when not in the preset's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<StructuredMode>,
    /// How the length of thinking is asked for, when not in the preset's way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<EffortStyle>,
    /// Fields of requests that the provider refuses: they are not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub unsupported: Vec<String>,
    /// What its models cost: `book` (by the price file), `free`, `unknown`, or a fixed price in micro-USD per million
    /// tokens. Local presets are free unless this says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

/// A provider as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProviderView {
    /// Its id.
    pub id: Uuid,
    /// The name in `name/model`.
    pub name: String,
    /// What kind of provider it is, such as `openai`, `anthropic`, `ollama` or `openai_compatible`.
    pub preset: String,
    /// Its address when not the preset's.
    pub base_url: Option<String>,
    /// Whether it has a key. The key itself is never shown.
    pub has_key: bool,
    /// The last four characters of the key, if it has at least twelve.
    pub key_hint: Option<String>,
    /// How it is used.
    pub settings: ProviderSettings,
    /// Whether it is used.
    pub status: ProviderStatus,
    /// How many models it told of at its last test.
    pub models: usize,
    /// When that was.
    pub models_at: Option<DateTime<Utc>>,
    /// Raised by each change.
    pub revision: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Revisioned for ProviderView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl TryFrom<&provider::Model> for ProviderView {
    type Error = Error;

    fn try_from(row: &provider::Model) -> Result<Self> {
        Ok(ProviderView {
            id: row.id,
            name: row.name.clone(),
            preset: row.preset.clone(),
            base_url: row.base_url.clone(),
            has_key: row.key_sealed.is_some(),
            key_hint: row.key_hint.clone(),
            settings: read(&row.settings)?,
            status: match row.status.as_str() {
                "active" => ProviderStatus::Active,
                _ => ProviderStatus::Disabled,
            },
            models: row.models.as_array().map_or(0, Vec::len),
            models_at: row.models_at,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// One place where a route's calls can go. Absent limits are the product's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteDeployment {
    /// The provider.
    pub provider_id: Uuid,
    /// The model, in the provider's words.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// Its share of the calls under `weighted`; 1 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: Option<u32>,
    /// Longest wait for the first token of a stream, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 3_600_000))]
    pub first_token_ms: Option<u64>,
    /// Longest silence within an answer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 3_600_000))]
    pub idle_ms: Option<u64>,
    /// Longest time for one attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 3_600_000))]
    pub attempt_ms: Option<u64>,
    /// How often the same deployment is tried again; 2 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<u32>,
    /// The longest answer when a request does not say, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_tokens: Option<u32>,
    /// What it costs, when not as the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<Pricing>,
}

/// A route as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RouteView {
    /// Its id.
    pub id: Uuid,
    /// The name that callers use.
    pub alias: String,
    /// Which deployment is tried first.
    pub strategy: Strategy,
    /// Where calls go, in order.
    pub deployments: Vec<RouteDeployment>,
    /// The time for a whole call, all attempts and pauses, in milliseconds.
    pub total_timeout_ms: i64,
    /// Raised by each change.
    pub revision: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Revisioned for RouteView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl TryFrom<&route::Model> for RouteView {
    type Error = Error;

    fn try_from(row: &route::Model) -> Result<Self> {
        Ok(RouteView {
            id: row.id,
            alias: row.alias.clone(),
            strategy: read(&serde_json::Value::from(row.strategy.as_str()))?,
            deployments: read(&row.deployments)?,
            total_timeout_ms: row.total_timeout_ms,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What a deletion answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// What is gone.
    pub id: Uuid,
}

/// Where a model's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelSource {
    /// The provider told of it at its last test.
    Provider,
    /// The price file has it; the provider may or may not offer it.
    PriceFile,
    /// A local Ollama has it.
    Ollama,
}

/// A model that calls can name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelView {
    /// What to put into `model` of a call: `provider/model`.
    pub id: String,
    /// The provider's name.
    pub provider: String,
    /// The model, in the provider's words.
    pub model: String,
    /// How it is known.
    pub source: ModelSource,
    /// What it costs, in micro-USD per million tokens; null when not known.
    pub price: Option<Price>,
}

/// The models that are known.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// The aliases of routes, and `default` where it stands for itself.
    pub routes: Vec<String>,
    /// The models, by provider.
    pub items: Vec<ModelView>,
    /// The day of the price file.
    pub prices_as_of: String,
}

/// Reads JSON that this crate wrote.
pub(crate) fn read<T: serde::de::DeserializeOwned>(value: &serde_json::Value) -> Result<T> {
    T::deserialize(value).map_err(Error::internal)
}

/// The hint for a key: its last four characters, if enough of it stays hidden.
pub(crate) fn key_hint(key: &str) -> Option<String> {
    let chars = key.chars().count();
    (chars >= 12).then(|| key.chars().skip(chars - 4).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_give_nothing_away() {
        assert_eq!(key_hint("sk-stand-in"), None);
        assert_eq!(key_hint("sk-0123456789"), Some("6789".to_owned()));
        assert_eq!(key_hint("").as_deref(), None);
    }
}
