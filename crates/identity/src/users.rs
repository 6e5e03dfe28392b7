//! Users. Their table has no tenant and is open to elevated transactions only; every read here goes by way of a membership
//! of the caller's workspace, so that nobody sees users of others.

use crate::caller;
use crate::entity::{user, user_secret};
use crate::events::{UserCreated, UserUpdated};
use crate::model::{MeView, UpdateMe, UserView};
use crate::rules;
use crate::standing::ACTIVE;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::json;
use synapscale_core::{Error, NewEvent, Result};
use synapscale_ops::Patch;
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// What makes a user.
pub struct NewUser {
    pub id: Uuid,
    /// Already checked and in lower case.
    pub email: String,
    pub full_name: Option<String>,
    /// Already hashed.
    pub password_hash: Option<String>,
}

/// Makes a user with the seed's defaults.
///
/// # Errors
/// `already_exists` for a known address.
pub async fn create(tx: &Tx, new: NewUser) -> Result<user::Model> {
    let now = tx.ctx().clock().now();
    let row = user::Model {
        id: new.id,
        email: new.email,
        full_name: new.full_name,
        status: ACTIVE.to_owned(),
        metadata: json!({}),
        last_login_at: None,
        login_count: 0,
        failed_login_attempts: 0,
        locked_until: None,
        preferences: json!({}),
        timezone: "UTC".to_owned(),
        language: "en".to_owned(),
        avatar_url: None,
        two_factor_enabled: false,
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    let has_password = new.password_hash.is_some();
    let secrets = user_secret::Model {
        user_id: new.id,
        password_hash: new.password_hash,
        two_factor_secret: None,
        backup_codes: json!([]),
    };
    tx.insert_as_system::<user::Entity>(row.clone()).await?;
    tx.insert_as_system::<user_secret::Entity>(secrets).await?;
    tx.emit(NewEvent::new("user", new.id, &UserCreated { has_password }));
    Ok(row)
}

/// The user with this address, member here or not.
///
/// # Errors
/// When the database fails.
pub async fn by_email(tx: &Tx, email: &str) -> Result<Option<user::Model>> {
    tx.find_as_system::<user::Entity>()?
        .filter(user::Column::Email.eq(email))
        .row(tx)
        .await
}

/// The users with these ids, in no order. The caller has found the ids among the workspace's memberships.
///
/// # Errors
/// When the database fails.
pub async fn by_ids(tx: &Tx, ids: impl IntoIterator<Item = Uuid>) -> Result<Vec<user::Model>> {
    tx.find_as_system::<user::Entity>()?
        .filter(user::Column::Id.is_in(ids))
        .rows(tx)
        .await
}

/// The caller.
///
/// # Errors
/// `not_found` when no person is behind the call.
pub async fn me(tx: &Tx) -> Result<MeView> {
    let id = caller::user_of(tx.ctx())?;
    let role = caller::role_here(tx, id)
        .await?
        .ok_or_else(|| Error::not_found("user"))?;
    let row = by_ids(tx, [id])
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("user"))?;
    Ok(MeView {
        user: UserView::from(row),
        workspace_id: tx.ctx().tenant().0,
        role,
    })
}

/// Changes the caller's own profile.
///
/// # Errors
/// `stale_revision`, or what is wrong with a field.
pub async fn update_me(tx: &Tx, input: &UpdateMe, expected: Option<i64>) -> Result<MeView> {
    let before = me(tx).await?;
    rules::expect_revision("user", expected, before.user.revision)?;
    let now = tx.ctx().clock().now();
    let mut after = before.user.clone();
    apply(input, &mut after)?;
    let changes = rules::changes(&before.user, &after)?;
    if changes.is_empty() {
        return Ok(before);
    }
    after.updated_at = now;
    after.revision += 1;
    save(tx, input, &after, before.user.revision, now).await?;
    let event = UserUpdated {
        revision: after.revision,
    };
    tx.emit(NewEvent::new("user", after.id, &event).with_changes(changes));
    Ok(MeView {
        user: after,
        ..before
    })
}

fn apply(input: &UpdateMe, user: &mut UserView) -> Result<()> {
    match &input.full_name {
        Patch::Absent => {}
        Patch::Null => user.full_name = None,
        Patch::Value(name) => user.full_name = Some(rules::name(name, 200, "/full_name")?),
    }
    match &input.avatar_url {
        Patch::Absent => {}
        Patch::Null => user.avatar_url = None,
        Patch::Value(url) => user.avatar_url = Some(rules::picture_url(url)?),
    }
    if let Some(zone) = rules::required(&input.timezone, "/timezone")? {
        user.timezone = rules::timezone(zone)?;
    }
    if let Some(language) = rules::required(&input.language, "/language")? {
        user.language = rules::language(language)?;
    }
    rules::put_object(&input.preferences, &mut user.preferences, "/preferences")?;
    rules::put_object(&input.metadata, &mut user.metadata, "/metadata")
}

/// Writes the fields that a profile has, and no others: a sign-in at the same time keeps its counts.
async fn save(tx: &Tx, input: &UpdateMe, user: &UserView, seen: i64, now: DateTime<Utc>) -> Result<()> {
    let mut row = user::ActiveModel {
        updated_at: Set(now),
        revision: Set(user.revision),
        full_name: Set(user.full_name.clone()),
        avatar_url: Set(user.avatar_url.clone()),
        timezone: Set(user.timezone.clone()),
        language: Set(user.language.clone()),
        ..Default::default()
    };
    if !input.preferences.is_absent() {
        row.preferences = Set(user.preferences.clone());
    }
    if !input.metadata.is_absent() {
        row.metadata = Set(user.metadata.clone());
    }
    let update = tx
        .update_as_system::<user::Entity>()?
        .set(row)
        .filter(user::Column::Id.eq(user.id))
        .filter(user::Column::Revision.eq(seen));
    match tx.run_update(update).await? {
        0 => Err(overtaken()),
        _ => Ok(()),
    }
}

/// Somebody else's change was committed between our read and our write.
pub fn overtaken() -> Error {
    Error::conflict(
        "changed_meanwhile",
        "This was changed at the same moment. Read it and try again.",
    )
    .transient()
}
