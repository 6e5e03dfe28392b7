//! Signing in by password: the check, the count of tries, and the lock after too many failures. An unknown address, a wrong
//! password and a user without one get the same answer after the same work, lock included.

use crate::authenticator::Authenticator;
use crate::entity::{user, user_secret};
use crate::events::SessionRefused;
use crate::key::{self, KeyHash};
use crate::password::Verdict;
use crate::rules;
use crate::session_model::SignIn;
use crate::sessions;
use crate::standing::ACTIVE;
use crate::users;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, QueryFilter};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, NewEvent, Result};
use synapscale_ops::Prepare;
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Failures in a row after which an account is locked. Every further one, after a lock has run out, locks again.
pub const LOCK_AFTER: i64 = 5;
/// For how long.
pub const LOCK_FOR: Duration = Duration::from_secs(15 * 60);

/// Most addresses of nobody whose failures are remembered, and for how long.
const STRANGERS: u64 = 10_000;
const STRANGERS_FOR: Duration = Duration::from_secs(24 * 3600);
/// Most characters of an address that are looked at.
const MAX_EMAIL: usize = 254;

/// Failed tries of addresses that nobody has. They are locked like accounts: a lock must not tell that there is one. Kept
/// in this process only, so after a start a stranger is unlocked sooner than a user would be.
pub struct Strangers(moka::sync::Cache<KeyHash, Failures>);

/// Failures in a row, and the end of the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Failures {
    count: i64,
    locked_until: Option<DateTime<Utc>>,
}

impl Failures {
    /// One more. As [`record_sign_in`] does it in the database.
    fn more(self, now: DateTime<Utc>) -> Self {
        let count = self.count.saturating_add(1);
        let lock = (count >= LOCK_AFTER).then_some(now + LOCK_FOR);
        Failures {
            count,
            locked_until: lock.or(self.locked_until),
        }
    }
}

impl Strangers {
    /// None yet.
    pub fn new() -> Self {
        let kept = moka::sync::Cache::builder()
            .max_capacity(STRANGERS)
            .time_to_live(STRANGERS_FOR)
            .build();
        Strangers(kept)
    }

    fn locked_until(&self, address: &KeyHash) -> Option<DateTime<Utc>> {
        self.0.get(address).and_then(|known| known.locked_until)
    }

    fn count(&self, address: KeyHash, now: DateTime<Utc>) {
        let known = self.0.get(&address).unwrap_or_default();
        self.0.insert(address, known.more(now));
    }
}

/// A try whose password has been looked at: what is left is to write down what came of it.
pub struct Attempt {
    /// Of the address, by which strangers are counted.
    address: KeyHash,
    user_id: Option<Uuid>,
    right: bool,
    locked_until: Option<DateTime<Utc>>,
    /// The password hashed anew, when its hash was made with other parameters than today's.
    new_hash: Option<String>,
    workspace_id: Option<Uuid>,
    /// What the client says it is.
    pub user_agent: Option<String>,
}

/// Somebody whose password was right.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    pub user_id: Uuid,
    pub workspace_id: Uuid,
}

fn failed() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "sign_in_failed",
        "The address or the password is wrong.",
    )
}

fn locked(until: DateTime<Utc>, now: DateTime<Utc>) -> Error {
    let wait = (until - now).to_std().unwrap_or_default();
    Error::new(
        ErrorKind::RateLimited,
        "sign_in_locked",
        "Too many failed tries for this address. Wait and try again.",
    )
    .retry_after(wait)
}

/// Looks at address and password: the slow half, which writes nothing.
///
/// # Errors
/// `busy` when too many passwords wait; a database failure.
pub async fn check(auth: &Authenticator, cx: &Prepare, input: SignIn) -> Result<Attempt> {
    let now = cx.ctx.clock().now();
    let given: String = input.email.0.chars().take(MAX_EMAIL + 1).collect();
    let email = rules::email(&given, "/email").ok();
    let address = key::hash(email.as_deref().unwrap_or(&given).as_bytes())?;
    let known = match email {
        None => None,
        Some(email) => {
            let read = move |tx: Tx| {
                let email = email.clone();
                async move { with_secret(&tx, &email).await }
            };
            cx.store.read(&cx.ctx, read).await?
        }
    };
    let (user, stored) = known.map_or((None, None), |(user, stored)| (Some(user), stored));
    let lock = match &user {
        Some(user) => user.locked_until,
        None => auth.strangers().locked_until(&address),
    };
    let mut attempt = Attempt {
        address,
        user_id: user.as_ref().map(|user| user.id),
        right: false,
        locked_until: lock.filter(|until| *until > now),
        new_hash: None,
        workspace_id: input.workspace_id,
        user_agent: input.user_agent,
    };
    if attempt.locked_until.is_some() {
        return Ok(attempt);
    }
    let verdict = auth.passwords().verify(input.password.0.clone(), stored).await?;
    let active = user.is_some_and(|user| user.status == ACTIVE);
    attempt.right = active && verdict != Verdict::Wrong;
    if attempt.right && verdict == Verdict::Outdated {
        attempt.new_hash = Some(auth.passwords().hash(input.password.0).await?);
    }
    Ok(attempt)
}

async fn with_secret(tx: &Tx, email: &str) -> Result<Option<(user::Model, Option<String>)>> {
    let Some(user) = users::by_email(tx, email).await? else {
        return Ok(None);
    };
    let secret = tx
        .find_as_system::<user_secret::Entity>()?
        .filter(ColumnTrait::eq(&user_secret::Column::UserId, user.id))
        .row(tx)
        .await?;
    Ok(Some((user, secret.and_then(|row| row.password_hash))))
}

/// Writes down what came of a try. The inner error is a refusal, to be committed with the count: every refusal writes, so
/// that the time taken does not tell which it was.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &Tx, auth: &Authenticator, attempt: &Attempt) -> Result<Result<Admitted, Error>> {
    let now = tx.ctx().clock().now();
    // A lock may have come since the password was looked at: tries at once must not go around it.
    let lock = match attempt.user_id {
        Some(id) => users::by_ids(tx, [id])
            .await?
            .pop()
            .and_then(|user| user.locked_until),
        None => attempt.locked_until,
    };
    if let Some(until) = lock.or(attempt.locked_until).filter(|until| *until > now) {
        refuse(tx, attempt, true);
        return Ok(Err(locked(until, now)));
    }
    let Some(user_id) = attempt.user_id.filter(|_| attempt.right) else {
        match attempt.user_id {
            Some(user_id) => record_sign_in(tx, user_id, false).await?,
            None => {
                let (auth, address) = (auth.clone(), attempt.address);
                tx.after_commit(move || auth.strangers().count(address, now));
            }
        }
        refuse(tx, attempt, false);
        return Ok(Err(failed()));
    };
    record_sign_in(tx, user_id, true).await?;
    if let Some(hash) = &attempt.new_hash {
        set_password(tx, user_id, hash).await?;
    }
    let workspaces = sessions::workspaces_of(tx, user_id).await?;
    let wanted = attempt.workspace_id;
    let found = workspaces
        .iter()
        .find(|workspace| wanted.is_none_or(|id| id == workspace.id));
    Ok(found
        .map(|workspace| Admitted {
            user_id,
            workspace_id: workspace.id,
        })
        .ok_or_else(no_workspace))
}

fn no_workspace() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "no_workspace",
        "You belong to no such workspace. Ask an owner to add you.",
    )
}

fn refuse(tx: &Tx, attempt: &Attempt, locked: bool) {
    let event = SessionRefused {
        user_id: attempt.user_id,
        locked,
    };
    let subject = attempt.user_id.unwrap_or_default();
    tx.emit(NewEvent::new("user", subject, &event));
}

/// Writes a user's password, already hashed; for elevated transactions.
///
/// # Errors
/// When the database fails.
pub async fn set_password(tx: &Tx, user_id: Uuid, hash: &str) -> Result<()> {
    let update = tx
        .update_as_system::<user_secret::Entity>()?
        .col_expr(user_secret::Column::PasswordHash, Expr::val(hash))
        .filter(ColumnTrait::eq(&user_secret::Column::UserId, user_id));
    tx.run_update(update).await.map(drop)
}

/// Counts a sign-in by password; for elevated transactions. A locked account is to be refused before its password is
/// looked at, and that is not counted. The revision stays: nobody edits these fields.
///
/// # Errors
/// When the database fails.
pub async fn record_sign_in(tx: &Tx, user_id: Uuid, ok: bool) -> Result<()> {
    let now = tx.ctx().clock().now();
    let one = tx
        .update_as_system::<user::Entity>()?
        .filter(ColumnTrait::eq(&user::Column::Id, user_id));
    if ok {
        let update = one
            .col_expr(
                user::Column::LoginCount,
                Expr::col(user::Column::LoginCount).add(1),
            )
            .col_expr(user::Column::LastLoginAt, Expr::val(now))
            .col_expr(user::Column::FailedLoginAttempts, Expr::val(0_i64))
            .col_expr(user::Column::LockedUntil, Expr::val(None::<DateTime<Utc>>));
        tx.run_update(update).await?;
        return Ok(());
    }
    let failures = Expr::col(user::Column::FailedLoginAttempts).add(1);
    tx.run_update(one.col_expr(user::Column::FailedLoginAttempts, failures))
        .await?;
    let lock = tx
        .update_as_system::<user::Entity>()?
        .filter(ColumnTrait::eq(&user::Column::Id, user_id))
        .filter(ColumnTrait::gte(&user::Column::FailedLoginAttempts, LOCK_AFTER))
        .col_expr(user::Column::LockedUntil, Expr::val(now + LOCK_FOR));
    tx.run_update(lock).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + minutes * 60, 0).expect("a time")
    }

    #[test]
    fn strangers_are_locked_like_accounts() {
        let strangers = Strangers::new();
        let (one, other) = ([1; 32], [2; 32]);
        for _ in 1..LOCK_AFTER {
            strangers.count(one, at(0));
            assert_eq!(strangers.locked_until(&one), None);
        }
        strangers.count(one, at(1));
        assert_eq!(strangers.locked_until(&one), Some(at(16)));
        assert_eq!(strangers.locked_until(&other), None);
        strangers.count(one, at(20));
        assert_eq!(strangers.locked_until(&one), Some(at(35)));
    }

    #[test]
    fn a_lock_says_how_long() {
        let error = locked(at(15), at(5));
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(600)));
    }
}
