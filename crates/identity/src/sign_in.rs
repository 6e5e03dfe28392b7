//! Counting sign-ins, and the lock after too many failures. The sign-in operation itself comes with the web pages.

use crate::entity::user;
use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, QueryFilter};
use std::time::Duration;
use synapscale_core::Result;
use synapscale_store::Tx;
use uuid::Uuid;

/// Failures in a row after which an account is locked. Every further one, after a lock has run out, locks again.
pub const LOCK_AFTER: i64 = 5;
/// For how long.
pub const LOCK_FOR: Duration = Duration::from_secs(15 * 60);

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
