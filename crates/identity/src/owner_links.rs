//! One-time links for owners: the way in for who has no password yet, or forgot it. Only whoever owns the data makes them.
//! The token stands in the link's fragment, which no server and no log sees.

use crate::authenticator::Authenticator;
use crate::entity::{membership, owner_link, user_secret, workspace};
use crate::events::{OwnerLinkCreated, OwnerLinkUsed};
use crate::model::NewPassword;
use crate::password;
use crate::roles::Role;
use crate::rules;
use crate::session_model::{AcceptLink, LinkView, Presented, SignedIn};
use crate::sessions::{self, NewSession};
use crate::sign_in::{record_sign_in, set_password};
use crate::standing;
use crate::token::{self, FreshToken, TokenHash};
use crate::users;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Clock, Ctx, Error, ErrorKind, NewEvent, Result, TenantId, new_id};
use synapscale_ops::{Outcome, Prepare};
use synapscale_store::{Scoped, Store, Tx};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long a link is good for.
pub const OWNER_LINK_LIFE: Duration = Duration::from_secs(15 * 60);
/// The code of the refusal; the route answers it with 410.
pub const GONE: &str = "link_used_or_expired";

/// A link just made.
pub struct OwnerLink {
    /// The token, given out once.
    pub token: Zeroizing<String>,
    /// The owner's address.
    pub email: String,
    /// The owner.
    pub user_id: Uuid,
    /// The workspace that it opens.
    pub workspace_id: TenantId,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for OwnerLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnerLink")
            .field("user_id", &self.user_id)
            .field("workspace_id", &self.workspace_id)
            .finish_non_exhaustive()
    }
}

/// For whom a link is wanted.
#[derive(Clone, Debug, Default)]
pub struct OwnerLinkInput {
    /// The owner's address; without it, the first owner.
    pub email: Option<String>,
    /// Only if the owner has no password yet.
    pub only_without_password: bool,
}

#[derive(Clone)]
struct Owner {
    user_id: Uuid,
    email: String,
    workspace_id: Uuid,
    has_password: bool,
}

/// Makes a link for an owner, and makes their older ones useless; none when the owner has a password and a link was asked
/// for only without one.
///
/// # Errors
/// `not_found` when there is no such owner; a database failure.
pub async fn make_owner_link(
    store: &Store,
    clock: &Clock,
    input: OwnerLinkInput,
) -> Result<Option<OwnerLink>> {
    let email = input
        .email
        .map(|email| rules::email(&email, "/email"))
        .transpose()?;
    let system = Ctx::system(clock.clone());
    let read = move |tx: Tx| {
        let email = email.clone();
        async move { find_owner(&tx, email.as_deref()).await }
    };
    let owner = store
        .read(&system, read)
        .await?
        .ok_or_else(|| Error::not_found("owner"))?;
    if input.only_without_password && owner.has_password {
        return Ok(None);
    }
    let fresh = Arc::new(FreshToken::new()?);
    let workspace_id = TenantId(owner.workspace_id);
    let ctx = system.system_in(workspace_id).elevated();
    let (to_write, token) = (owner.clone(), fresh.clone());
    let expires_at = store
        .write(&ctx, move |tx| {
            let (owner, token) = (to_write.clone(), token.clone());
            async move { write(&tx, &owner, &token).await }
        })
        .await?;
    Ok(Some(OwnerLink {
        token: fresh.text.clone(),
        email: owner.email,
        user_id: owner.user_id,
        workspace_id,
        expires_at,
    }))
}

async fn find_owner(tx: &Tx, email: Option<&str>) -> Result<Option<Owner>> {
    let mut owners = tx
        .find_as_system::<membership::Entity>()?
        .filter(membership::Column::Role.eq(Role::Owner.as_str()));
    if let Some(email) = email {
        let Some(user) = users::by_email(tx, email).await? else {
            return Ok(None);
        };
        owners = owners.filter(membership::Column::UserId.eq(user.id));
    }
    let first = owners
        .order_by_asc(membership::Column::CreatedAt)
        .order_by_asc(membership::Column::TenantId)
        .row(tx)
        .await?;
    let Some(first) = first else {
        return Ok(None);
    };
    let Some(user) = users::by_ids(tx, [first.user_id]).await?.pop() else {
        return Ok(None);
    };
    Ok(Some(Owner {
        user_id: user.id,
        email: user.email,
        workspace_id: first.tenant_id,
        has_password: has_password(tx, first.user_id).await?,
    }))
}

async fn has_password(tx: &Tx, user_id: Uuid) -> Result<bool> {
    let secret = tx
        .find_as_system::<user_secret::Entity>()?
        .filter(user_secret::Column::UserId.eq(user_id))
        .row(tx)
        .await?;
    Ok(secret.is_some_and(|row| row.password_hash.is_some()))
}

async fn write(tx: &Tx, owner: &Owner, token: &FreshToken) -> Result<DateTime<Utc>> {
    let now = tx.ctx().clock().now();
    let older = tx
        .update_as_system::<owner_link::Entity>()?
        .col_expr(owner_link::Column::UsedAt, Expr::val(now))
        .filter(owner_link::Column::UserId.eq(owner.user_id))
        .filter(owner_link::Column::UsedAt.is_null());
    tx.run_update(older).await?;
    let row = owner_link::Model {
        id: new_id(),
        user_id: owner.user_id,
        workspace_id: owner.workspace_id,
        token_hash: token.hash.to_vec(),
        created_at: now,
        expires_at: now + OWNER_LINK_LIFE,
        used_at: None,
    };
    let expires_at = row.expires_at;
    tx.emit(NewEvent::new(
        "owner_link",
        row.id,
        &OwnerLinkCreated {
            user_id: owner.user_id,
        },
    ));
    tx.insert_as_system::<owner_link::Entity>(row).await?;
    Ok(expires_at)
}

fn gone() -> Error {
    Error::new(
        ErrorKind::NotFound,
        GONE,
        "This link was used, or is older than 15 minutes. Make another with `synapscale admin owner-link`.",
    )
}

/// The link with this token, if it is good and still leads to an owner.
async fn good(tx: &Tx, presented: &str) -> Result<owner_link::Model> {
    let hash: TokenHash = token::hash_of(presented).ok_or_else(gone)?;
    let row = tx
        .find_as_system::<owner_link::Entity>()?
        .filter(owner_link::Column::TokenHash.eq(hash.to_vec()))
        .filter(owner_link::Column::UsedAt.is_null())
        .filter(owner_link::Column::ExpiresAt.gt(tx.ctx().clock().now()))
        .row(tx)
        .await?
        .ok_or_else(gone)?;
    let role = standing::role_of(tx, TenantId(row.workspace_id), row.user_id).await?;
    match role {
        Some(Role::Owner) => Ok(row),
        _ => Err(gone()),
    }
}

/// Whom a link is for. It stays good.
///
/// # Errors
/// `link_used_or_expired`.
pub async fn look(tx: &Tx, presented: &Presented) -> Result<LinkView> {
    let row = good(tx, &presented.0).await?;
    let user = users::by_ids(tx, [row.user_id]).await?.pop().ok_or_else(gone)?;
    let workspace = tx
        .find_as_system::<workspace::Entity>()?
        .filter(workspace::Column::Id.eq(row.workspace_id))
        .row(tx)
        .await?
        .ok_or_else(gone)?;
    Ok(LinkView {
        email: user.email,
        workspace_id: workspace.id,
        workspace_name: workspace.name,
        password_set: has_password(tx, row.user_id).await?,
    })
}

/// A link about to be used, with the new password hashed.
pub struct Acceptance {
    token: Presented,
    password_hash: String,
    user_agent: Option<String>,
}

/// Looks at the link and hashes the password: the slow half. A bad link costs no hash.
///
/// # Errors
/// `link_used_or_expired`, what is wrong with the password, or `busy`.
pub async fn prepare(auth: &Authenticator, cx: &Prepare, input: AcceptLink) -> Result<Acceptance> {
    let AcceptLink {
        token,
        password: NewPassword(secret),
        user_agent,
    } = input;
    let presented = token.clone();
    let read = move |tx: Tx| {
        let presented = presented.clone();
        async move { look(&tx, &presented).await }
    };
    let link = cx.store.read(&cx.ctx, read).await?;
    password::check(&secret, &link.email, "/password")?;
    Ok(Acceptance {
        token,
        password_hash: auth.passwords().hash(secret).await?,
        user_agent,
    })
}

/// Uses a link up: sets the password, ends whatever was open under the old one, and makes a session.
///
/// # Errors
/// `link_used_or_expired`; a database failure.
pub async fn accept(tx: &Tx, auth: &Authenticator, accepted: &Acceptance) -> Result<Outcome<SignedIn>> {
    let row = good(tx, &accepted.token.0).await?;
    let now = tx.ctx().clock().now();
    let used = tx
        .update_as_system::<owner_link::Entity>()?
        .col_expr(owner_link::Column::UsedAt, Expr::val(now))
        .filter(owner_link::Column::Id.eq(row.id))
        .filter(owner_link::Column::UsedAt.is_null());
    // Two at once: the row tells who was first.
    if tx.run_update(used).await? == 0 {
        return Err(gone());
    }
    set_password(tx, row.user_id, &accepted.password_hash).await?;
    record_sign_in(tx, row.user_id, true).await?;
    sessions::end_all(tx, auth, row.user_id).await?;
    let event = OwnerLinkUsed { user_id: row.user_id };
    tx.emit(NewEvent::new("owner_link", row.id, &event));
    let new = NewSession {
        user_id: row.user_id,
        workspace_id: row.workspace_id,
        user_agent: accepted.user_agent.as_deref(),
        expires_at: None,
    };
    sessions::start(tx, auth, new).await.map(Outcome::Done)
}
