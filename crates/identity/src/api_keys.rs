//! API keys: made, listed, revoked. A key never allows more than whoever made it, nor than its user's present role.

use crate::authenticator::Authenticator;
use crate::caller;
use crate::entity::api_key;
use crate::events::{KeyCreated as KeyCreatedEvent, KeyRevoked};
use crate::key::FreshKey;
use crate::model::{self, CreateKey, KeyCreated, KeyView, ListKeys};
use crate::roles::Role;
use crate::rules;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde_json::json;
use synapscale_core::{
    Actor, ActorKind, Ctx, Error, ErrorKind, FieldError, Grants, NewEvent, PermissionSet, Result, new_id,
};
use synapscale_ops::{Page, page};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most good keys of one user in one workspace.
const KEYS_PER_USER: u64 = 100;
/// The scope of a key that is not narrowed.
const EVERYTHING: &str = "*";

/// A key to be written.
pub struct NewKey {
    pub id: Uuid,
    pub user_id: Uuid,
    pub name: String,
    pub scopes: Vec<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_by: Uuid,
}

/// Makes a key; the answer holds its secret.
///
/// # Errors
/// `scope`, `scope_too_broad`, `role_above_yours`, `past`, `too_many_keys`, or `not_found` for a user who is no member.
pub async fn create(tx: &Tx, input: &CreateKey) -> Result<KeyCreated> {
    let ctx = tx.ctx();
    let user_id = match input.user_id {
        Some(id) => id,
        None => caller::user_of(ctx)?,
    };
    let name = rules::name(&input.name, 200, "/name")?;
    if input.expires_at.is_some_and(|end| end <= ctx.clock().now()) {
        return Err(Error::invalid("/expires_at", "past", "This time has passed."));
    }
    let bound = caller::role_here(tx, user_id)
        .await?
        .ok_or_else(|| Error::not_found("member"))?;
    within_rank(caller::role(tx).await?, bound)?;
    let scopes = scopes(tx, input, user_id).await?;
    tx.lock(&format!("identity/keys/{user_id}")).await?;
    room_for_one_more(tx, user_id).await?;
    let key = FreshKey::new()?;
    let new = NewKey {
        id: new_id(),
        user_id,
        name,
        scopes,
        expires_at: input.expires_at,
        created_by: ctx.actor().id,
    };
    let view = write(tx, new, &key).await?;
    Ok(KeyCreated {
        key: view,
        secret: key.text.to_string(),
    })
}

/// Writes a key and tells of it.
///
/// # Errors
/// When the database fails.
pub async fn write(tx: &Tx, new: NewKey, key: &FreshKey) -> Result<KeyView> {
    let row = api_key::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new.id,
        user_id: new.user_id,
        name: new.name,
        prefix: key.prefix.clone(),
        hash: key.hash.to_vec(),
        scopes: json!(new.scopes),
        expires_at: new.expires_at,
        last_used_at: None,
        revoked_at: None,
        created_by: new.created_by,
        created_at: tx.ctx().clock().now(),
    };
    tx.insert::<api_key::Entity>(row.clone()).await?;
    let view = KeyView::try_from(row)?;
    let event = KeyCreatedEvent {
        name: view.name.clone(),
        user_id: view.user_id,
        scopes: view.scopes.clone(),
    };
    tx.emit(NewEvent::new("key", view.id, &event));
    Ok(view)
}

/// An admin's key must not open what only owners may; and whoever acts for somebody else has the lesser role of both.
fn within_rank(caller: Role, bound: Role) -> Result<()> {
    match bound > caller {
        true => Err(Error::new(
            ErrorKind::Forbidden,
            "role_above_yours",
            "This user's role is above yours: you cannot make a key for them.",
        )),
        false => Ok(()),
    }
}

async fn scopes(tx: &Tx, input: &CreateKey, user_id: Uuid) -> Result<Vec<String>> {
    let ctx = tx.ctx();
    if let Some(asked) = &input.scopes {
        return covered(asked, ctx.grants());
    }
    match ctx.actor().kind {
        // A key's child is at least as narrow as the key.
        ActorKind::Key => {
            let row = find(tx, ctx.actor().id).await?;
            covered(&model::scopes(row.scopes)?, ctx.grants())
        }
        _ if is_for_oneself(ctx, user_id) => Ok(vec![EVERYTHING.to_owned()]),
        _ => covered(&[EVERYTHING.to_owned()], ctx.grants()),
    }
}

/// A person making their own key: bounded by their own present role, it needs no narrowing.
fn is_for_oneself(ctx: &Ctx, user_id: Uuid) -> bool {
    ctx.actor() == Actor::user(user_id) && ctx.principal().is_none()
}

/// The scopes, if each lies within what the caller may do. A pattern is covered when the grants allow the pattern read as
/// a permission: only `*` matches `*`. So `tasks:*` is covered by `tasks:*` or `*`, not by `tasks:read` and `tasks:write`.
fn covered(asked: &[String], grants: &Grants) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (index, scope) in asked.iter().enumerate() {
        let mut refuse = |code: &'static str, message: String| {
            wrong.push(FieldError {
                pointer: format!("/scopes/{index}"),
                code: code.into(),
                message,
            });
        };
        if let Err(error) = PermissionSet::parse(&[scope]) {
            refuse("scope", format!("{error}."));
            continue;
        }
        let whole = if scope == EVERYTHING {
            "*:*"
        } else {
            scope.as_str()
        };
        if !grants.allows(whole) {
            refuse(
                "scope_too_broad",
                format!("`{scope}` goes beyond what you may do yourself."),
            );
        }
    }
    match wrong.is_empty() {
        true => Ok(asked.to_vec()),
        false => Err(Error::invalid_fields(wrong)),
    }
}

fn good(tx: &Tx, user_id: Uuid) -> Select<api_key::Entity> {
    tx.find::<api_key::Entity>()
        .filter(api_key::Column::UserId.eq(user_id))
        .filter(api_key::Column::RevokedAt.is_null())
}

async fn room_for_one_more(tx: &Tx, user_id: Uuid) -> Result<()> {
    let rows = good(tx, user_id).limit(KEYS_PER_USER).rows(tx).await?;
    match u64::try_from(rows.len()).unwrap_or(u64::MAX) < KEYS_PER_USER {
        true => Ok(()),
        false => Err(Error::conflict(
            "too_many_keys",
            format!("A user has at most {KEYS_PER_USER} keys. Revoke one that is not used."),
        )),
    }
}

async fn find(tx: &Tx, key_id: Uuid) -> Result<api_key::Model> {
    tx.find::<api_key::Entity>()
        .filter(api_key::Column::Id.eq(key_id))
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("key"))
}

/// The workspace's keys, the oldest first.
///
/// # Errors
/// `cursor`.
pub async fn list(tx: &Tx, input: &ListKeys) -> Result<Page<KeyView>> {
    let limit = page::limit(input.limit);
    let mut select = tx.find::<api_key::Entity>();
    if let Some(last) = page::decode_opt::<Uuid>(input.cursor.as_deref())? {
        select = select.filter(api_key::Column::Id.gt(last));
    }
    if let Some(user_id) = input.user_id {
        select = select.filter(api_key::Column::UserId.eq(user_id));
    }
    if !input.include_revoked {
        select = select.filter(api_key::Column::RevokedAt.is_null());
    }
    let rows = select
        .order_by_asc(api_key::Column::Id)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let keys = rows
        .into_iter()
        .map(KeyView::try_from)
        .collect::<Result<Vec<_>>>()?;
    Page::cut(keys, limit, |key| key.id)
}

/// Revokes a key; one that is revoked stays as it is. In this process it is refused from the commit on, in others within
/// [`crate::REVOCATION_BOUND`].
///
/// # Errors
/// `not_found`.
pub async fn revoke(tx: &Tx, auth: &Authenticator, key_id: Uuid) -> Result<KeyView> {
    let mut row = find(tx, key_id).await?;
    if row.revoked_at.is_none() {
        row.revoked_at = Some(revoke_rows(tx, std::slice::from_ref(&row)).await?);
        let auth = auth.clone();
        tx.after_commit(move || auth.invalidate_key(key_id));
    }
    KeyView::try_from(row)
}

/// Revokes all keys of a user to this workspace; answers how many. The caller forgets the user after the commit.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all_of(tx: &Tx, user_id: Uuid) -> Result<u64> {
    let rows = good(tx, user_id).rows(tx).await?;
    revoke_rows(tx, &rows).await?;
    Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

async fn revoke_rows(tx: &Tx, rows: &[api_key::Model]) -> Result<DateTime<Utc>> {
    let now = tx.ctx().clock().now();
    if rows.is_empty() {
        return Ok(now);
    }
    let update = tx
        .update::<api_key::Entity>()
        .col_expr(api_key::Column::RevokedAt, Expr::val(now))
        .filter(api_key::Column::Id.is_in(rows.iter().map(|row| row.id)))
        .filter(api_key::Column::RevokedAt.is_null());
    tx.run_update(update).await?;
    for row in rows {
        let event = KeyRevoked {
            name: row.name.clone(),
            user_id: row.user_id,
        };
        tx.emit(NewEvent::new("key", row.id, &event));
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(patterns: &[&str]) -> Grants {
        Grants::of(PermissionSet::parse(patterns).expect("patterns"))
    }

    fn asked(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn scopes_stay_within_the_makers() {
        let all = grants(&["*"]);
        for scopes in [&["*"][..], &["*:*"], &["tasks:*", "projects:read"], &["*:read"]] {
            assert!(covered(&asked(scopes), &all).is_ok(), "{scopes:?}");
        }
        let some = grants(&["tasks:*", "projects:read"]);
        for scopes in [&["tasks:*"][..], &["tasks:write", "projects:read"]] {
            assert!(covered(&asked(scopes), &some).is_ok(), "{scopes:?}");
        }
        for scopes in [
            &["*"][..],
            &["*:*"],
            &["*:read"],
            &["projects:*"],
            &["tasks:read", "keys:manage"],
        ] {
            let refused = covered(&asked(scopes), &some).expect_err("refused");
            assert!(
                refused.fields().iter().all(|f| f.code == "scope_too_broad"),
                "{scopes:?}"
            );
        }
        // What two sets allow together is what both allow.
        let both = all.and(PermissionSet::parse(&["tasks:read"]).expect("patterns"));
        assert!(covered(&asked(&["tasks:*"]), &both).is_err());
        assert!(covered(&asked(&["tasks:read"]), &both).is_ok());
    }

    #[test]
    fn nonsense_is_no_scope() {
        let refused =
            covered(&asked(&["tasks:read", "tasks", "ta sks:x"]), &grants(&["*"])).expect_err("refused");
        let pointers: Vec<&str> = refused.fields().iter().map(|f| f.pointer.as_str()).collect();
        assert_eq!(pointers, ["/scopes/1", "/scopes/2"]);
    }

    #[test]
    fn nobody_makes_a_key_above_their_role() {
        assert!(within_rank(Role::Owner, Role::Owner).is_ok());
        assert!(within_rank(Role::Admin, Role::Member).is_ok());
        assert_eq!(
            within_rank(Role::Admin, Role::Owner).expect_err("refused").code(),
            "role_above_yours"
        );
    }
}
