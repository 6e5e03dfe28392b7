//! Refresh tokens: each is good once and leaves another. A used one that comes again was copied, by a thief or from one:
//! nobody can tell which, so its whole family ends.

use crate::authenticator::Authenticator;
use crate::entity::refresh_token;
use crate::events::{TokenCreated, TokenReused};
use crate::jwt::{self, ACCESS_TOKEN_LIFE, Claims};
use crate::session_model::{Presented, TokensView};
use crate::standing;
use crate::token::{self, FreshToken};
use chrono::{DateTime, Utc};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, QueryFilter};
use std::collections::HashSet;
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, NewEvent, Result, TenantId, new_id};
use synapscale_ops::Outcome;
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// How long a refresh token waits to be used.
pub const REFRESH_TOKEN_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is to be done with a refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is good: give another for it.
    Rotate,
    /// It was used before: end the family.
    Reused,
    /// It is over, or its family is ended.
    Refused,
}

/// Judges a presented token by its row.
pub fn judge(
    used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Verdict {
    if revoked_at.is_some() {
        return Verdict::Refused;
    }
    // Before its age is looked at: a copy is a copy however old it is.
    if used_at.is_some() {
        return Verdict::Reused;
    }
    match now < expires_at {
        true => Verdict::Rotate,
        false => Verdict::Refused,
    }
}

/// Whose tokens they are.
#[derive(Clone, Copy)]
struct Line {
    family_id: Uuid,
    parent_id: Option<Uuid>,
    user_id: Uuid,
    workspace_id: Uuid,
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "refresh_token_refused",
        "The refresh token is not known, used or over. Sign in again.",
    )
}

/// Begins a family: the first pair of tokens for a user in a workspace.
///
/// # Errors
/// When the database fails.
pub async fn begin(tx: &Tx, auth: &Authenticator, user_id: Uuid, workspace_id: Uuid) -> Result<TokensView> {
    lock(tx, user_id).await?;
    let line = Line {
        family_id: new_id(),
        parent_id: None,
        user_id,
        workspace_id,
    };
    let event = TokenCreated {
        user_id,
        workspace_id,
    };
    tx.emit(NewEvent::new("token", line.family_id, &event));
    give(tx, auth, line).await
}

async fn give(tx: &Tx, auth: &Authenticator, line: Line) -> Result<TokensView> {
    let fresh = FreshToken::new()?;
    let now = tx.ctx().clock().now();
    let row = refresh_token::Model {
        id: new_id(),
        family_id: line.family_id,
        parent_id: line.parent_id,
        user_id: line.user_id,
        workspace_id: line.workspace_id,
        token_hash: fresh.hash.to_vec(),
        created_at: now,
        expires_at: now + REFRESH_TOKEN_LIFE,
        used_at: None,
        revoked_at: None,
    };
    let refresh_expires_at = row.expires_at;
    tx.insert_as_system::<refresh_token::Entity>(row).await?;
    let claims = Claims::new(line.user_id, line.workspace_id, line.family_id, now);
    Ok(TokensView {
        access_token: jwt::sign(auth.secrets(), &claims)?,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_LIFE.as_secs(),
        refresh_token: fresh.text.to_string(),
        refresh_expires_at,
        workspace_id: line.workspace_id,
    })
}

async fn find(tx: &Tx, hash: &token::TokenHash) -> Result<Option<refresh_token::Model>> {
    tx.find_as_system::<refresh_token::Entity>()?
        .filter(refresh_token::Column::TokenHash.eq(hash.to_vec()))
        .row(tx)
        .await
}

/// Whoever adds to or ends families of one user waits for the others: else a token could be given out beside the end of
/// its family, and outlive it.
async fn lock(tx: &Tx, user_id: Uuid) -> Result<()> {
    tx.lock_globally(&format!("identity/refresh_tokens/{user_id}"))
        .await
}

/// Gives the next pair for a refresh token. A refusal is committed: it may have ended the family.
///
/// # Errors
/// When the database fails.
pub async fn rotate(tx: &Tx, auth: &Authenticator, presented: &Presented) -> Result<Outcome<TokensView>> {
    let Some(hash) = token::hash_of(&presented.0) else {
        return Ok(Outcome::Refused(refused()));
    };
    let Some(seen) = find(tx, &hash).await? else {
        return Ok(Outcome::Refused(refused()));
    };
    lock(tx, seen.user_id).await?;
    let Some(row) = find(tx, &hash).await? else {
        return Ok(Outcome::Refused(refused()));
    };
    let now = tx.ctx().clock().now();
    match judge(row.used_at, row.revoked_at, row.expires_at, now) {
        Verdict::Refused => return Ok(Outcome::Refused(refused())),
        Verdict::Reused => {
            end_family(tx, auth, &row).await?;
            return Ok(Outcome::Refused(refused()));
        }
        Verdict::Rotate => {}
    }
    let tenant = TenantId(row.workspace_id);
    if standing::role_of(tx, tenant, row.user_id).await?.is_none() {
        return Ok(Outcome::Refused(refused()));
    }
    let used = tx
        .update_as_system::<refresh_token::Entity>()?
        .col_expr(refresh_token::Column::UsedAt, Expr::val(now))
        .filter(refresh_token::Column::Id.eq(row.id));
    tx.run_update(used).await?;
    let line = Line {
        family_id: row.family_id,
        parent_id: Some(row.id),
        user_id: row.user_id,
        workspace_id: row.workspace_id,
    };
    give(tx, auth, line).await.map(Outcome::Done)
}

async fn end_family(tx: &Tx, auth: &Authenticator, row: &refresh_token::Model) -> Result<()> {
    revoke(tx, refresh_token::Column::FamilyId.eq(row.family_id)).await?;
    let (user_id, family_id) = (row.user_id, row.family_id);
    tx.emit(NewEvent::new(
        "token",
        family_id,
        &TokenReused { user_id, family_id },
    ));
    let auth = auth.clone();
    tx.after_commit(move || auth.invalidate_session(family_id));
    Ok(())
}

/// Ends all families of a user; answers how many were not over. The caller forgets the user after the commit.
///
/// # Errors
/// When the database fails.
pub async fn revoke_all_of(tx: &Tx, user_id: Uuid) -> Result<u64> {
    lock(tx, user_id).await?;
    let rows = tx
        .find_as_system::<refresh_token::Entity>()?
        .filter(refresh_token::Column::UserId.eq(user_id))
        .filter(refresh_token::Column::RevokedAt.is_null())
        .rows(tx)
        .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    revoke(tx, refresh_token::Column::UserId.eq(user_id)).await?;
    let families: HashSet<Uuid> = rows.iter().map(|row| row.family_id).collect();
    Ok(u64::try_from(families.len()).unwrap_or(u64::MAX))
}

async fn revoke(tx: &Tx, which: sea_orm::sea_query::SimpleExpr) -> Result<u64> {
    let update = tx
        .update_as_system::<refresh_token::Entity>()?
        .col_expr(
            refresh_token::Column::RevokedAt,
            Expr::val(tx.ctx().clock().now()),
        )
        .filter(which)
        .filter(refresh_token::Column::RevokedAt.is_null());
    tx.run_update(update).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
    }

    #[test]
    fn a_token_is_good_once_and_a_copy_ends_the_family() {
        let (end, then) = (at(100), Some(at(1)));
        for (used, revoked, now, verdict) in [
            (None, None, 99, Verdict::Rotate),
            (None, None, 100, Verdict::Refused),
            (then, None, 2, Verdict::Reused),
            (then, None, 500, Verdict::Reused),
            (None, then, 2, Verdict::Refused),
            (then, then, 2, Verdict::Refused),
        ] {
            assert_eq!(
                judge(used, revoked, end, at(now)),
                verdict,
                "{used:?} {revoked:?} {now}"
            );
        }
    }
}
