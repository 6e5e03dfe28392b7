//! Sessions of browsers: thirty days at most, seven days without use. Only the hash of a session's token is stored.

use crate::authenticator::Authenticator;
use crate::caller;
use crate::entity::{membership, owner_link, refresh_token, session, user, workspace};
use crate::events::{SessionEnded, SessionStarted};
use crate::refresh;
use crate::roles::Role;
use crate::session_model::{
    Ended, SessionInfo, SessionList, SessionUser, SessionView, SessionWorkspace, SignedIn,
};
use crate::standing::{self, ACTIVE};
use crate::token::{self, FreshToken};
use crate::users;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;
use std::time::Duration;
use synapscale_core::{Error, NewEvent, Result, TenantId, new_id};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// How long a session lasts at most, however it is used.
pub const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long a session lasts without being used.
pub const SESSION_IDLE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long what is over is kept, for whoever asks what happened.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most sessions in a list.
const LISTED: u64 = 100;
/// Most characters kept of what a client says it is.
const MAX_AGENT: usize = 300;

/// Whether a session that nobody ended is still good.
pub fn is_open(last_seen_at: DateTime<Utc>, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < expires_at && now < last_seen_at + SESSION_IDLE
}

/// What a session is made from.
pub struct NewSession<'a> {
    pub user_id: Uuid,
    pub workspace_id: Uuid,
    pub user_agent: Option<&'a str>,
    /// The end of the session that it replaces: going from one workspace to another makes no session longer.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a session; the answer holds its token.
///
/// # Errors
/// `not_found` when the user is no active member of the workspace.
pub async fn start(tx: &Tx, auth: &Authenticator, new: NewSession<'_>) -> Result<SignedIn> {
    let fresh = FreshToken::new()?;
    let now = tx.ctx().clock().now();
    let row = session::Model {
        id: new_id(),
        user_id: new.user_id,
        workspace_id: new.workspace_id,
        token_hash: fresh.hash.to_vec(),
        created_at: now,
        last_seen_at: now,
        expires_at: new.expires_at.unwrap_or(now + SESSION_LIFE),
        ended_at: None,
        user_agent: new.user_agent.map(readable),
        ip: tx.ctx().origin().ip.map(|ip| ip.to_string()),
    };
    tx.insert_as_system::<session::Entity>(row.clone()).await?;
    let event = SessionStarted {
        user_id: row.user_id,
        workspace_id: row.workspace_id,
    };
    tx.emit(NewEvent::new("session", row.id, &event));
    Ok(SignedIn {
        session: view(tx, auth, &row).await?,
        token: fresh.text.to_string(),
    })
}

/// What a client says it is, as far as it can be shown.
fn readable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(MAX_AGENT)
        .collect()
}

/// The workspaces that a user may open, in the order of joining.
///
/// # Errors
/// When the database fails.
pub async fn workspaces_of(tx: &Tx, user_id: Uuid) -> Result<Vec<SessionWorkspace>> {
    let memberships = tx
        .find_as_system::<membership::Entity>()?
        .filter(membership::Column::UserId.eq(user_id))
        .order_by_asc(membership::Column::CreatedAt)
        .order_by_asc(membership::Column::TenantId)
        .rows(tx)
        .await?;
    let rows = tx
        .find_as_system::<workspace::Entity>()?
        .filter(workspace::Column::Id.is_in(memberships.iter().map(|row| row.tenant_id)))
        .filter(workspace::Column::Status.eq(ACTIVE))
        .rows(tx)
        .await?;
    let mut names: HashMap<Uuid, String> = rows.into_iter().map(|row| (row.id, row.name)).collect();
    let mut found = Vec::new();
    for row in memberships {
        if let Some(name) = names.remove(&row.tenant_id) {
            found.push(SessionWorkspace {
                id: row.tenant_id,
                name,
                role: Role::parse(&row.role)?,
            });
        }
    }
    Ok(found)
}

/// The session with whoever is signed in, where, and what they may do there.
///
/// # Errors
/// `not_found` when the user is no active member any more.
pub async fn view(tx: &Tx, auth: &Authenticator, row: &session::Model) -> Result<SessionView> {
    let gone = || Error::not_found("workspace");
    let user: user::Model = users::by_ids(tx, [row.user_id]).await?.pop().ok_or_else(gone)?;
    let workspaces = workspaces_of(tx, row.user_id).await?;
    let open = workspaces
        .iter()
        .find(|workspace| workspace.id == row.workspace_id);
    let workspace = open.cloned().ok_or_else(gone)?;
    let permissions = workspace.role.patterns().into_iter().map(str::to_owned);
    Ok(SessionView {
        user: SessionUser {
            id: user.id,
            email: user.email,
            display_name: user.full_name,
            timezone: user.timezone,
            language: user.language,
            avatar_url: user.avatar_url,
        },
        permissions: permissions.collect(),
        workspace,
        workspaces,
        csrf_token: token::csrf_of(auth.secrets(), &row.token_hash)?,
        expires_at: row.expires_at,
    })
}

/// The caller's session with this id, if it is not ended.
async fn own(tx: &Tx, session_id: Uuid) -> Result<session::Model> {
    let user_id = caller::user_of(tx.ctx())?;
    tx.find_as_system::<session::Entity>()?
        .filter(session::Column::Id.eq(session_id))
        .filter(session::Column::UserId.eq(user_id))
        .filter(session::Column::EndedAt.is_null())
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("session"))
}

/// The caller's session, as its page sees it.
///
/// # Errors
/// `not_found`.
pub async fn current(tx: &Tx, auth: &Authenticator, session_id: Uuid) -> Result<SessionView> {
    let row = own(tx, session_id).await?;
    view(tx, auth, &row).await
}

/// The caller's open sessions in all workspaces.
///
/// # Errors
/// When the database fails.
pub async fn list(tx: &Tx) -> Result<SessionList> {
    let now = tx.ctx().clock().now();
    let rows = tx
        .find_as_system::<session::Entity>()?
        .filter(session::Column::UserId.eq(caller::user_of(tx.ctx())?))
        .filter(session::Column::EndedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .filter(session::Column::LastSeenAt.gt(now - SESSION_IDLE))
        .order_by_desc(session::Column::Id)
        .limit(LISTED)
        .rows(tx)
        .await?;
    Ok(SessionList {
        items: rows.into_iter().map(SessionInfo::from).collect(),
    })
}

/// Ends one session of the caller's.
///
/// # Errors
/// `not_found`.
pub async fn end(tx: &Tx, auth: &Authenticator, session_id: Uuid) -> Result<Ended> {
    let row = own(tx, session_id).await?;
    let ended = Ended {
        sessions: mark_ended(tx, session::Column::Id.eq(row.id)).await?,
        token_families: 0,
    };
    tell(tx, row.id, row.user_id, ended);
    let auth = auth.clone();
    tx.after_commit(move || auth.invalidate_session(session_id));
    Ok(ended)
}

/// Ends all sessions of a user, and all families of refresh tokens.
///
/// # Errors
/// When the database fails.
pub async fn end_all(tx: &Tx, auth: &Authenticator, user_id: Uuid) -> Result<Ended> {
    let ended = Ended {
        sessions: mark_ended(tx, session::Column::UserId.eq(user_id)).await?,
        token_families: refresh::revoke_all_of(tx, user_id).await?,
    };
    tell(tx, user_id, user_id, ended);
    let auth = auth.clone();
    tx.after_commit(move || auth.invalidate_user(user_id));
    Ok(ended)
}

async fn mark_ended(tx: &Tx, which: sea_orm::sea_query::SimpleExpr) -> Result<u64> {
    let update = tx
        .update_as_system::<session::Entity>()?
        .col_expr(session::Column::EndedAt, Expr::val(tx.ctx().clock().now()))
        .filter(which)
        .filter(session::Column::EndedAt.is_null());
    tx.run_update(update).await
}

fn tell(tx: &Tx, subject: Uuid, user_id: Uuid, ended: Ended) {
    let event = SessionEnded {
        user_id,
        sessions: ended.sessions,
        token_families: ended.token_families,
    };
    tx.emit(NewEvent::new("session", subject, &event));
}

/// Ends the caller's session and makes one in another workspace of theirs, which lasts no longer.
///
/// # Errors
/// `not_found` for a session or workspace that is not theirs.
pub async fn switch(
    tx: &Tx,
    auth: &Authenticator,
    session_id: Uuid,
    to: Uuid,
    user_agent: Option<&str>,
) -> Result<SignedIn> {
    let old = own(tx, session_id).await?;
    let role = standing::role_of(tx, TenantId(to), old.user_id).await?;
    role.ok_or_else(|| Error::not_found("workspace"))?;
    end(tx, auth, session_id).await?;
    let new = NewSession {
        user_id: old.user_id,
        workspace_id: to,
        user_agent,
        expires_at: Some(old.expires_at),
    };
    start(tx, auth, new).await
}

/// Removes what has been over for a week: sessions, refresh tokens and owner links; answers how many rows.
///
/// # Errors
/// When the database fails.
pub async fn purge(tx: &Tx) -> Result<u64> {
    let before = tx.ctx().clock().now() - KEPT;
    let over = Condition::any()
        .add(session::Column::EndedAt.lt(before))
        .add(session::Column::ExpiresAt.lt(before))
        .add(session::Column::LastSeenAt.lt(before - SESSION_IDLE));
    let sessions = tx.delete_as_system::<session::Entity>()?.filter(over);
    let tokens = tx
        .delete_as_system::<refresh_token::Entity>()?
        .filter(refresh_token::Column::ExpiresAt.lt(before));
    let links = tx
        .delete_as_system::<owner_link::Entity>()?
        .filter(owner_link::Column::ExpiresAt.lt(before));
    Ok(tx.run_delete(sessions).await? + tx.run_delete(tokens).await? + tx.run_delete(links).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + days * 86_400, 0).expect("a time")
    }

    #[test]
    fn sessions_end_by_age_and_by_disuse() {
        let end = day(30);
        assert!(is_open(day(0), end, day(6)));
        assert!(!is_open(day(0), end, day(7)));
        assert!(is_open(day(25), end, day(29)));
        assert!(!is_open(day(29), end, day(30)));
        assert_eq!(day(0) + SESSION_LIFE, end);
    }

    #[test]
    fn clients_names_are_bounded_and_plain() {
        assert_eq!(readable("Firefox\r\n/1"), "Firefox/1");
        assert_eq!(readable(&"é".repeat(1000)).chars().count(), MAX_AGENT);
    }
}
