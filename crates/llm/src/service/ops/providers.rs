//! `providers.*` and `models.list`.

use crate::service::catalogue::DEFAULT;
use crate::service::probe::ProviderTest;
use crate::service::view::{
    Deleted, ModelList, ModelSource, ModelView, ProviderSettings, ProviderStatus, ProviderView,
};
use crate::service::{Models, providers, routes};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, ExternalCx, Method, NoInput, Operation, Page, Patch};
use synapscale_store::Tx;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(super) fn all(models: &Models) -> Vec<Operation> {
    vec![
        create(models.clone()),
        list(),
        get(),
        update(models.clone()),
        delete(models.clone()),
        test(models.clone()),
        list_models(models.clone()),
    ]
}

/// A key on its way in: wiped after use, shown nowhere.
#[derive(Clone)]
pub(crate) struct NewKey(Zeroizing<String>);

impl Deref for NewKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[key]")
    }
}

impl<'de> Deserialize<'de> for NewKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| NewKey(Zeroizing::new(text)))
    }
}

impl JsonSchema for NewKey {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NewKey".into()
    }

    // No length here: a validator's message may quote the value that it refuses.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "password",
            "writeOnly": true,
            "description": "The provider's API key. It is sealed at once and never shown again."
        })
    }
}

/// A new provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateProvider {
    /// The name in `name/model`: lower-case letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What kind it is: openai, anthropic, ollama, vllm, llamacpp, lmstudio, groq, deepseek, openrouter, mistral, together,
    /// fireworks, xai, gemini, or openai_compatible with an address.
    #[schemars(length(min = 1, max = 64))]
    pub preset: String,
    /// Its address with the version, such as https://llm.example.com/v1, when not the preset's. Only https, and only public
    /// addresses, unless the operator opened others.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2000))]
    pub base_url: Option<String>,
    /// Its key.
    #[serde(default)]
    pub key: Option<NewKey>,
    /// How it is used.
    #[serde(default)]
    pub settings: ProviderSettings,
}

fn create(models: Models) -> Operation {
    Operation::write("providers.create", "Add a provider of models")
        .about("Adds a provider of language models with its key, which is sealed and never shown again. Test it with providers.test.")
        .permission("models:write")
        .secret()
        .rest(Method::POST, "/models/providers")
        .revisioned()
        .handle(move |tx: Tx, input: Arc<CreateProvider>| {
            let models = models.clone();
            async move { providers::create(&models, &tx, &input).await.map(Done) }
        })
}

fn list() -> Operation {
    Operation::read("providers.list", "List providers of models")
        .about("Lists the workspace's providers of language models by name: kind, address, settings, and whether each has a key.")
        .permission("models:read")
        .rest(Method::GET, "/models/providers")
        .one_statement()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let rows = providers::all(&tx).await?;
            let items = rows.iter().map(ProviderView::try_from).collect::<Result<_>>()?;
            Ok(Page { items, next_cursor: None })
        })
}

/// Which provider.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneProvider {
    /// The provider's id.
    pub provider_id: Uuid,
}

fn get() -> Operation {
    Operation::read("providers.get", "Show a provider of models")
        .about("Shows one provider of language models. Its key is never shown.")
        .permission("models:read")
        .rest(Method::GET, "/models/providers/{provider_id}")
        .one_statement()
        .revisioned()
        .handle(|tx: Tx, input: Arc<OneProvider>| async move {
            ProviderView::try_from(&providers::find(&tx, input.provider_id).await?)
        })
}

/// What to change; what is absent stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateProvider {
    /// The provider's id.
    pub provider_id: Uuid,
    /// The new name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub name: Patch<String>,
    /// The new address; null for the preset's own. A provider with a key needs the key again, or null for it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2000))]
    pub base_url: Patch<String>,
    /// The new key; null takes the key away.
    #[serde(default)]
    pub key: Patch<NewKey>,
    /// The new settings, as a whole; null for none.
    #[serde(default)]
    pub settings: Patch<ProviderSettings>,
    /// Whether it is used.
    #[serde(default)]
    pub status: Option<ProviderStatus>,
}

fn update(models: Models) -> Operation {
    Operation::write("providers.update", "Change a provider of models")
        .about("Changes name, address, key, settings or status of a provider. Calls under way end as they began.")
        .permission("models:write")
        .secret()
        .rest(Method::PATCH, "/models/providers/{provider_id}")
        .revisioned()
        .handle_with(move |tx: Tx, input: Arc<UpdateProvider>, envelope: Envelope| {
            let models = models.clone();
            async move {
                let expected = envelope.expected_revision;
                providers::update(&models, &tx, &input, expected).await.map(Done)
            }
        })
}

fn delete(models: Models) -> Operation {
    Operation::write("providers.delete", "Remove a provider of models")
        .about("Removes a provider and its key for good. Refused while a route leads to it; its usage stays on record.")
        .permission("models:write")
        .rest(Method::DELETE, "/models/providers/{provider_id}")
        .destructive()
        .handle(move |tx: Tx, input: Arc<OneProvider>| {
            let models = models.clone();
            async move {
                providers::delete(&models, &tx, input.provider_id).await?;
                Ok::<_, Error>(Done(Deleted { id: input.provider_id }))
            }
        })
}

fn test(models: Models) -> Operation {
    Operation::external("providers.test", "Test a provider of models")
        .about("Asks the provider for its models, or its default model for one word, and answers what came of it. The models found are kept for models.list.")
        .permission("models:write")
        .rest(Method::POST, "/models/providers/{provider_id}/test")
        .handle_external(move |cx: ExternalCx, input: Arc<OneProvider>| {
            let models = models.clone();
            async move { tested(&models, &cx, input.provider_id).await }
        })
}

async fn tested(models: &Models, cx: &ExternalCx, id: Uuid) -> Result<ProviderTest> {
    let row = cx
        .store
        .read_one(&cx.ctx, |tx| async move { providers::find(&tx, id).await })
        .await?;
    let test = models.probe(&cx.ctx, &row).await;
    if test.ok && !test.models.is_empty() {
        let (found, at) = (Arc::new(test.models.clone()), cx.ctx.clock().now());
        let keep = cx.store.write(&cx.ctx, |tx| {
            let found = found.clone();
            async move { providers::keep_models(&tx, id, &found, at).await }
        });
        keep.await?;
    }
    Ok(test)
}

fn list_models(models: Models) -> Operation {
    Operation::read("models.list", "List models")
        .about("Lists what a call can name as its model: routes, and provider/model as the providers told at their last test or as the price file has them.")
        .permission("models:read")
        .rest(Method::GET, "/models")
        .handle(move |tx: Tx, _: Arc<NoInput>| {
            let models = models.clone();
            async move { known(&models, &tx).await }
        })
}

async fn known(models: &Models, tx: &Tx) -> Result<ModelList> {
    let rows = providers::all(tx).await?;
    let aliases = routes::all(tx).await?;
    let book = models.attached()?.router.prices();
    let active = || rows.iter().filter(|row| row.status == "active");
    let mut items: Vec<ModelView> = active().flat_map(|row| providers::models_of(row, book)).collect();
    let mut names: Vec<String> = aliases.into_iter().map(|row| row.alias).collect();
    let mut stands = match active().collect::<Vec<_>>().as_slice() {
        [only] => ProviderView::try_from(*only)?.settings.default_model.is_some(),
        _ => false,
    };
    if rows.is_empty()
        && let Some(found) = models.found_ollama()?
    {
        stands = !found.models.is_empty();
        items.extend(found.models.into_iter().map(|model| ModelView {
            id: format!("ollama/{}", model.name),
            provider: "ollama".to_owned(),
            model: model.name,
            source: ModelSource::Ollama,
            price: None,
        }));
    }
    if stands && !names.iter().any(|name| name == DEFAULT) {
        names.insert(0, DEFAULT.to_owned());
    }
    Ok(ModelList {
        routes: names,
        items,
        prices_as_of: book.as_of.clone(),
    })
}
