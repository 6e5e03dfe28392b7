//! Providers: added, changed, removed. Keys are sealed on their way in and opened only for calls.

use crate::deployment::Deployment;
use crate::presets::{PRESETS, Preset, preset};
use crate::price::PriceBook;
use crate::secret::Secret;
use crate::service::entity::{provider, route};
use crate::service::events::{ProviderCreated, ProviderDeleted, ProviderUpdated};
use crate::service::ops::{CreateProvider, UpdateProvider};
use crate::service::view::{ModelSource, ModelView, ProviderView, RouteView, key_hint};
use crate::service::{Models, check_name};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use synapscale_core::{Error, NewEvent, Result, TenantId, diff, new_id};
use synapscale_ops::Patch;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Sealed, SecretBox, Tx};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What the ciphertext was sealed for.
const PURPOSE: &str = "llm-provider-key";
/// Most providers of one tenant: every call of a tenant may have to read them all.
const MOST: u64 = 100;
/// Longest key, in characters: those of today have at most a few hundred, and it goes with every call.
const MAX_KEY: usize = 4096;
/// Serialises changes that must agree with one another: routes refer to providers without a foreign key.
pub(crate) const LOCK: &str = "llm/config";

fn seal(secrets: &SecretBox, tenant: TenantId, key: &str) -> Result<String> {
    Ok(secrets.seal(tenant, PURPOSE, key.as_bytes())?.0)
}

/// The key of a row, opened.
///
/// # Errors
/// `secret_unreadable` when the master key is another.
pub(crate) fn open_key(
    secrets: &SecretBox,
    tenant: TenantId,
    row: &provider::Model,
) -> Result<Option<Secret>> {
    let Some(sealed) = &row.key_sealed else {
        return Ok(None);
    };
    let bytes = secrets.open(tenant, PURPOSE, &Sealed(sealed.clone()))?;
    let text = std::str::from_utf8(&bytes).map_err(Error::internal)?;
    Ok(Some(Secret::new(text.to_owned())))
}

/// A key without the white space that copying brings along.
fn clean(key: &str) -> Result<Zeroizing<String>> {
    let key = Zeroizing::new(key.trim().to_owned());
    let visible = key.bytes().all(|b| (0x21..0x7f).contains(&b));
    match visible && (1..=MAX_KEY).contains(&key.len()) {
        true => Ok(key),
        false => Err(Error::invalid(
            "/key",
            "key",
            format!("A key is visible ASCII characters without spaces, {MAX_KEY} at most."),
        )),
    }
}

fn known_preset(name: &str) -> Result<&'static Preset> {
    preset(name).ok_or_else(|| {
        let names: Vec<_> = PRESETS.iter().map(|preset| preset.name).collect();
        let words = format!("There is no preset `{name}`; there are {}.", names.join(", "));
        Error::invalid("/preset", "one_of", words)
    })
}

/// Refuses what could never be called, before anybody waits for it.
fn check(models: &Models, kind: &'static Preset, base_url: Option<&str>, has_key: bool) -> Result<()> {
    let url = base_url.unwrap_or(kind.base_url);
    if url.is_empty() {
        let words = "This preset has no usual address: give one.";
        return Err(Error::invalid("/base_url", "required", words));
    }
    models
        .attached()?
        .clients
        .of(url)
        .map_err(|error| Error::invalid("/base_url", "address", error.message()))?;
    let mut probe = Deployment::new("check", kind, "model").with_base_url(url);
    probe.key = has_key.then(|| Secret::new("key".to_owned()));
    match (has_key, kind.key_optional) {
        (false, false) => Err(Error::invalid("/key", "required", "This preset needs a key.")),
        _ => probe
            .validate()
            .map_err(|error| Error::invalid("/base_url", "address", error.message())),
    }
}

fn shown(row: &provider::Model) -> Result<Value> {
    let mut view = serde_json::to_value(ProviderView::try_from(row)?).map_err(Error::internal)?;
    // Not even the hint: events are kept for ever, and read by more people.
    if let Some(fields) = view.as_object_mut() {
        fields.remove("key_hint");
    }
    Ok(view)
}

/// Adds a provider.
///
/// # Errors
/// 422 for a name, preset, address or key that cannot be one; `name_taken`, `too_many_providers`.
pub(crate) async fn create(models: &Models, tx: &Tx, input: &CreateProvider) -> Result<ProviderView> {
    check_name(&input.name, "/name")?;
    let kind = known_preset(&input.preset)?;
    let key = input.key.as_deref().map(clean).transpose()?;
    check(models, kind, input.base_url.as_deref(), key.is_some())?;
    tx.lock(LOCK).await?;
    let others = tx.find::<provider::Entity>().limit(MOST).rows(tx).await?;
    if others.len() as u64 >= MOST {
        let words = format!("A workspace has at most {MOST} providers.");
        return Err(Error::conflict("too_many_providers", words));
    }
    if others.iter().any(|other| other.name == input.name) {
        return Err(name_taken());
    }
    let now = tx.ctx().clock().now();
    let row = provider::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        name: input.name.clone(),
        preset: input.preset.clone(),
        base_url: input.base_url.clone(),
        key_sealed: match &key {
            Some(key) => Some(seal(models.store().secrets(), tx.ctx().tenant(), key)?),
            None => None,
        },
        key_hint: key.as_deref().and_then(|key| key_hint(key)),
        settings: serde_json::to_value(&input.settings).map_err(Error::internal)?,
        status: "active".to_owned(),
        models: json!([]),
        models_at: None,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    tx.insert::<provider::Entity>(row.clone()).await?;
    let told = ProviderCreated {
        name: row.name.clone(),
    };
    let changes = diff(&Value::Null, &shown(&row)?);
    tx.emit(NewEvent::new("model_provider", row.id, &told).with_changes(changes));
    models.forget_after(tx);
    ProviderView::try_from(&row)
}

fn name_taken() -> Error {
    Error::conflict("name_taken", "There is a provider of this name already.").at("/name")
}

/// The row of a provider.
///
/// # Errors
/// `not_found`, of another tenant's too.
pub(crate) async fn find(tx: &Tx, id: Uuid) -> Result<provider::Model> {
    let query = tx.find::<provider::Entity>().filter(provider::Column::Id.eq(id));
    query.row(tx).await?.ok_or_else(|| Error::not_found("provider"))
}

/// All of a tenant's providers, by name. They are few.
pub(crate) async fn all(tx: &Tx) -> Result<Vec<provider::Model>> {
    let query = tx.find::<provider::Entity>().order_by_asc(provider::Column::Name);
    query.rows(tx).await
}

/// Changes a provider.
///
/// # Errors
/// `not_found`, `stale_revision`, and what [`create`] refuses.
pub(crate) async fn update(
    models: &Models,
    tx: &Tx,
    input: &UpdateProvider,
    expected: Option<i64>,
) -> Result<ProviderView> {
    tx.lock(LOCK).await?;
    let before = find(tx, input.provider_id).await?;
    if let Some(expected) = expected.filter(|expected| *expected != before.revision) {
        return Err(Error::stale("provider", expected, before.revision));
    }
    let mut row = before.clone();
    change(models, tx, input, &mut row)?;
    if row == before {
        return ProviderView::try_from(&row);
    }
    if row.name != before.name {
        check_name(&row.name, "/name")?;
        let same = provider::Column::Name.eq(row.name.as_str());
        if tx
            .find::<provider::Entity>()
            .filter(same)
            .row(tx)
            .await?
            .is_some()
        {
            return Err(name_taken());
        }
    }
    let moved = row.base_url != before.base_url || row.key_sealed != before.key_sealed;
    if moved {
        let kind = known_preset(&row.preset)?;
        check(models, kind, row.base_url.as_deref(), row.key_sealed.is_some())?;
    }
    row.revision += 1;
    row.updated_at = tx.ctx().clock().now();
    save(tx, &before, &row).await?;
    let told = ProviderUpdated {
        name: row.name.clone(),
    };
    let changes = diff(&shown(&before)?, &shown(&row)?);
    tx.emit(NewEvent::new("model_provider", row.id, &told).with_changes(changes));
    models.forget_after(tx);
    ProviderView::try_from(&row)
}

fn change(models: &Models, tx: &Tx, input: &UpdateProvider, row: &mut provider::Model) -> Result<()> {
    input.name.apply_required(&mut row.name, "/name")?;
    let base_url = row.base_url.clone();
    input.base_url.apply(&mut row.base_url);
    // A key must not go to an address that whoever entered the key never saw.
    if row.base_url != base_url && row.key_sealed.is_some() && input.key.is_absent() {
        let words = "Enter the key again (or null to drop it) when the address changes.";
        return Err(Error::invalid("/key", "required", words));
    }
    match &input.key {
        Patch::Absent => {}
        Patch::Null => (row.key_sealed, row.key_hint) = (None, None),
        Patch::Value(key) => {
            let key = clean(key)?;
            row.key_sealed = Some(seal(models.store().secrets(), tx.ctx().tenant(), &key)?);
            row.key_hint = key_hint(&key);
        }
    }
    match &input.settings {
        Patch::Absent => {}
        Patch::Null => row.settings = json!({}),
        Patch::Value(settings) => row.settings = serde_json::to_value(settings).map_err(Error::internal)?,
    }
    if let Some(status) = input.status {
        row.status = status.as_str().to_owned();
    }
    Ok(())
}

async fn save(tx: &Tx, before: &provider::Model, after: &provider::Model) -> Result<()> {
    use provider::Column;
    let update = tx
        .update::<provider::Entity>()
        .col_expr(Column::Name, Expr::val(after.name.clone()))
        .col_expr(Column::BaseUrl, Expr::val(after.base_url.clone()))
        .col_expr(Column::KeySealed, Expr::val(after.key_sealed.clone()))
        .col_expr(Column::KeyHint, Expr::val(after.key_hint.clone()))
        .col_expr(Column::Settings, Expr::val(after.settings.clone()))
        .col_expr(Column::Status, Expr::val(after.status.clone()))
        .col_expr(Column::Revision, Expr::val(after.revision))
        .col_expr(Column::UpdatedAt, Expr::val(after.updated_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::Revision.eq(before.revision));
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(Error::stale("provider", before.revision, before.revision + 1)),
    }
}

/// Removes a provider and its key for good.
///
/// # Errors
/// `not_found`; `provider_in_use` while a route names it.
pub(crate) async fn delete(models: &Models, tx: &Tx, id: Uuid) -> Result<()> {
    tx.lock(LOCK).await?;
    let row = find(tx, id).await?;
    let mut users = Vec::new();
    for route in tx.find::<route::Entity>().rows(tx).await? {
        let view = RouteView::try_from(&route)?;
        if view.deployments.iter().any(|d| d.provider_id == id) {
            users.push(view.alias);
        }
    }
    if !users.is_empty() {
        let words = format!(
            "These routes lead to it: {}. Change them first.",
            users.join(", ")
        );
        return Err(Error::conflict("provider_in_use", words));
    }
    let gone = tx
        .delete::<provider::Entity>()
        .filter(provider::Column::Id.eq(id));
    tx.run_delete(gone).await?;
    let told = ProviderDeleted { name: row.name };
    tx.emit(NewEvent::new("model_provider", id, &told));
    models.forget_after(tx);
    Ok(())
}

/// Keeps what a provider told of its models. It is no change of the provider: the revision stays.
pub(crate) async fn keep_models(tx: &Tx, id: Uuid, found: &[String], at: DateTime<Utc>) -> Result<()> {
    let update = tx
        .update::<provider::Entity>()
        .col_expr(provider::Column::Models, Expr::val(json!(found)))
        .col_expr(provider::Column::ModelsAt, Expr::val(Some(at)))
        .filter(provider::Column::Id.eq(id));
    tx.run_update(update).await.map(|_| ())
}

/// The models that are known of a provider: what it told of, and what the price file has beside.
pub(crate) fn models_of(row: &provider::Model, book: &PriceBook) -> Vec<ModelView> {
    let told: Vec<&str> = row
        .models
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut priced: Vec<&str> = book
        .prices
        .get(&row.preset)
        .into_iter()
        .flat_map(|models| models.keys().map(String::as_str))
        .filter(|model| !told.contains(model))
        .collect();
    priced.sort_unstable();
    let view = |model: &str, source| ModelView {
        id: format!("{}/{model}", row.name),
        provider: row.name.clone(),
        model: model.to_owned(),
        source,
        price: book.price(&row.preset, model),
    };
    let told = told.iter().map(|model| view(model, ModelSource::Provider));
    told.chain(priced.iter().map(|model| view(model, ModelSource::PriceFile)))
        .collect()
}
