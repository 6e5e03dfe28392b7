//! One model at one provider under one key: where a call can go.

use crate::error::{LlmError, LlmErrorKind, Result};
use crate::model::Extra;
use crate::model::Usage;
use crate::presets::{EffortStyle, Preset, StructuredMode};
use crate::price::{Cost, PriceBook, Pricing};
use crate::secret::Secret;
use std::time::Duration;

/// How long to wait, and for what. The time for connecting is the client's: see [`crate::ClientConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first token of a stream, from the start of the attempt.
    pub first_token: Duration,
    /// Between two packets, once the answer has begun.
    pub idle: Duration,
    /// For one attempt from start to end.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            first_token: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            attempt: Duration::from_secs(600),
        }
    }
}

/// When to try the same deployment again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often to try again; nought for never.
    pub retries: u32,
    /// The pause before the first retry; doubles each time, and a random share of it is waited.
    pub base: Duration,
    /// The longest pause, also when the provider asks for a longer one: then the next deployment is tried.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            retries: 2,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(20),
        }
    }
}

/// One model at one provider under one key.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The stable id: breaker, latency and usage are counted under it.
    pub id: String,
    /// The provider as data.
    pub preset: &'static Preset,
    /// The provider's address, without a slash at the end.
    pub base_url: String,
    /// The key.
    pub key: Option<Secret>,
    /// More headers, such as `anthropic-beta` or `HTTP-Referer`; their values are kept as secret as keys.
    pub headers: Vec<(String, Secret)>,
    /// The model, in the provider's words.
    pub model: String,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retry: RetryPolicy,
    /// What it costs.
    pub pricing: Pricing,
    /// Its share of the calls under [`crate::Strategy::Weighted`].
    pub weight: u32,
    /// How JSON by a schema is asked for, when not in the preset's way.
    pub structured: Option<StructuredMode>,
    /// How the length of thinking is asked for, when not in the preset's way.
    pub effort: Option<EffortStyle>,
    /// The longest answer when a request does not say, in tokens.
    pub max_tokens: Option<u32>,
    /// Fields for the top of every body; the request's own go first.
    pub extra: Extra,
    /// Fields that are not sent, for providers that refuse them.
    pub unsupported: Vec<String>,
    /// The largest answer that is read, in bytes.
    pub max_response_bytes: usize,
    /// The client to send with, when not the router's: addresses that differ in who may reach them need clients that
    /// differ in what they connect to. It must not follow redirects.
    pub client: Option<reqwest::Client>,
}

impl Deployment {
    /// A deployment at the preset's usual address. Local ones are free, others priced by the price file.
    pub fn new(id: impl Into<String>, preset: &'static Preset, model: impl Into<String>) -> Self {
        Deployment {
            id: id.into(),
            preset,
            base_url: preset.base_url.to_owned(),
            key: None,
            headers: Vec::new(),
            model: model.into(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            pricing: if preset.local {
                Pricing::Free
            } else {
                Pricing::Book
            },
            weight: 1,
            structured: None,
            effort: None,
            max_tokens: None,
            extra: Extra::new(),
            unsupported: Vec::new(),
            max_response_bytes: 32 << 20,
            client: None,
        }
    }

    /// With this key.
    pub fn with_key(mut self, key: Secret) -> Self {
        self.key = Some(key);
        self
    }

    /// At this address.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into().trim_end_matches('/').to_owned();
        self
    }

    /// Refuses what can never work or would put a key where it does not belong.
    ///
    /// # Errors
    /// `BadConfig` when the address is not plain http(s), or the key or a header cannot be one.
    pub fn validate(&self) -> Result<()> {
        let bad = |what: &str| Err(LlmError::new(LlmErrorKind::BadConfig, what));
        let Ok(url) = reqwest::Url::parse(&self.base_url) else {
            return bad("The address of the deployment is not a URL.");
        };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return bad("The address of the deployment is not an http or https URL.");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad("The address of the deployment holds a name or a password; keys go into headers.");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("The address of the deployment has a query or a fragment.");
        }
        if self.model.is_empty() {
            return bad("The deployment names no model.");
        }
        if self.key.is_none() && !self.preset.key_optional {
            return bad("The deployment has no key.");
        }
        Ok(())
    }

    /// How JSON by a schema is asked for.
    pub fn structured_mode(&self) -> StructuredMode {
        self.structured.unwrap_or(self.preset.quirks.structured)
    }

    /// How the length of thinking is asked for.
    pub fn effort_style(&self) -> EffortStyle {
        self.effort.unwrap_or(self.preset.quirks.effort)
    }

    /// What `usage` costs here; `None` when that is not known.
    pub fn cost(&self, book: &PriceBook, usage: &Usage) -> Option<Cost> {
        match &self.pricing {
            Pricing::Free => Some(Cost::ZERO),
            Pricing::Unknown => None,
            Pricing::Fixed(price) => price.cost(usage),
            Pricing::Book => book.price(self.preset.name, &self.model)?.cost(usage),
        }
    }

    /// What a million tokens read and a million written cost, for comparing.
    pub(crate) fn rank_price(&self, book: &PriceBook) -> Option<u64> {
        let price = match &self.pricing {
            Pricing::Free => return Some(0),
            Pricing::Unknown => return None,
            Pricing::Fixed(price) => *price,
            Pricing::Book => book.price(self.preset.name, &self.model)?,
        };
        Some(price.input.saturating_mul(3).saturating_add(price.output))
    }

    /// Takes the key and the headers' values out of an error.
    pub(crate) fn scrub(&self, mut error: LlmError) -> LlmError {
        let secrets = self.key.iter().chain(self.headers.iter().map(|(_, value)| value));
        for secret in secrets {
            error = error.scrubbed(secret.expose());
        }
        error
    }
}
