//! The test of a provider: asks for its models, or for one word where it lists none.

use crate::adapter::{WireRequest, adapter, malformed};
use crate::client;
use crate::deployment::Deployment;
use crate::error::{LlmError, LlmErrorKind, Result, Stage};
use crate::model::{ChatRequest, Message};
use crate::presets::Wire;
use crate::route::NoSink;
use crate::service::Models;
use crate::service::catalogue::Known;
use crate::service::entity::provider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use synapscale_core::{Ctx, Error};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(20);
/// The largest list of models that is read, in bytes.
const MAX_LIST: usize = 8 << 20;
/// Most models that are kept of a provider.
const MAX_MODELS: usize = 500;
/// Longest name of a model that is kept, in characters.
const MAX_NAME: usize = 200;

/// By what a provider was found to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbedBy {
    /// It listed its models. Some providers do that for anybody, so that the key is not proved by it.
    Models,
    /// Its default model answered.
    Completion,
}

/// What a test found. A provider that does not work is an answer too: `ok` is false, and `error` says why.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProviderTest {
    /// The provider's name.
    pub provider: String,
    /// Whether it works.
    pub ok: bool,
    /// By what that was found.
    pub by: Option<ProbedBy>,
    /// Its models, 500 at most.
    pub models: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The word of the failure, such as `llm_unauthorized` or `llm_connect`.
    pub error: Option<String>,
    /// What went wrong, in words.
    pub message: Option<String>,
}

/// What a probe that went well brings.
struct Found {
    by: ProbedBy,
    models: Vec<String>,
}

/// The list of models, as both wire formats have it.
async fn list(deployment: &Deployment) -> Result<Vec<String>> {
    let (path, headers) = match deployment.preset.wire {
        Wire::OpenAi => ("/models", Vec::new()),
        Wire::Anthropic => ("/models?limit=1000", vec![("anthropic-version", "2023-06-01")]),
    };
    let wire = WireRequest {
        path,
        headers,
        body: Vec::new(),
    };
    let http = deployment
        .client
        .as_ref()
        .ok_or_else(|| LlmError::new(LlmErrorKind::BadConfig, "The address cannot be reached."))?;
    let request = http
        .get(format!("{}{path}", deployment.base_url))
        .headers(client::headers(deployment, &wire)?);
    let mut answer = request.send().await.map_err(client::transport)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(bytes) = answer.chunk().await.map_err(client::cut)? {
        if body.len() + bytes.len() > MAX_LIST {
            return Err(client::too_large());
        }
        body.extend_from_slice(&bytes);
    }
    if !status.is_success() {
        return Err(deployment.scrub(adapter(deployment.preset.wire).error(status, &body)));
    }
    let told: Value =
        serde_json::from_slice(&body).map_err(|_| malformed("The list of models is not JSON."))?;
    // Together lists without the object around it.
    let items = told.get("data").unwrap_or(&told).as_array();
    let items = items.ok_or_else(|| malformed("What answers there lists no models."))?;
    let names = items.iter().filter_map(|item| item.get("id")?.as_str());
    let mut names: Vec<String> = names
        // Control characters are nobody's name, and PostgreSQL keeps no NUL in JSON.
        .filter(|name| !name.is_empty() && !name.contains(char::is_control))
        .filter(|name| name.chars().count() <= MAX_NAME)
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MAX_MODELS);
    Ok(names)
}

impl Models {
    /// Tests the provider of `row`.
    pub(crate) async fn probe(&self, ctx: &Ctx, row: &provider::Model) -> ProviderTest {
        let began = Instant::now();
        let late = || Err(Error::from(client::timed_out(Stage::Total)));
        let result = timeout(LIMIT, self.ask(ctx, row))
            .await
            .unwrap_or_else(|_| late());
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (found, error) = match result {
            Ok(found) => (Some(found), None),
            Err(error) => (None, Some(error)),
        };
        ProviderTest {
            provider: row.name.clone(),
            ok: found.is_some(),
            by: found.as_ref().map(|found| found.by),
            models: found.map(|found| found.models).unwrap_or_default(),
            took_ms,
            error: error.as_ref().map(|error| error.code().to_owned()),
            message: error.map(|error| error.message().to_owned()),
        }
    }

    async fn ask(&self, ctx: &Ctx, row: &provider::Model) -> Result<Found, Error> {
        let known = Known::open(row, self.store(), &self.attached()?.clients)?;
        let deployment = known.deployment(known.id.to_string(), "models")?;
        let failure = match list(&deployment).await {
            Ok(models) => {
                let by = ProbedBy::Models;
                return Ok(Found { by, models });
            }
            Err(error) => error,
        };
        // Not everybody lists models. Whoever refuses the key or does not answer would do so again.
        let unlisted =
            matches!(failure.status(), Some(404 | 405 | 501)) || failure.kind() == LlmErrorKind::Malformed;
        let Some(model) = known.default_model().filter(|_| unlisted) else {
            return Err(failure.into());
        };
        let target = known.target(model, None)?;
        let request = ChatRequest {
            max_tokens: Some(16),
            ..ChatRequest::new(vec![Message::user("Answer with the word OK.")])
        };
        let nobody = CancellationToken::new();
        self.chat_at(ctx, &target, &request, &nobody, &mut NoSink).await?;
        Ok(Found {
            by: ProbedBy::Completion,
            models: Vec::new(),
        })
    }
}
