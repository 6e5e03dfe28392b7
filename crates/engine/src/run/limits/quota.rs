//! How many runs a workspace may have queued. Counted once a second and followed in between by this process, so that a start
//! costs nothing; what other processes accept within that second is not seen.

use crate::engine::Engine;
use crate::run::entity::queue;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, Result, SYSTEM_TENANT, TenantId};
use synapscale_store::Tx;
use synapscale_store::orm::sea_query::{Expr, Func, Query};
use synapscale_store::orm::{ColumnTrait, Condition, FromQueryResult};

/// How long a count stands.
const STANDS: Duration = Duration::from_secs(1);
/// Workspaces whose counts are kept.
const TENANTS: u64 = 10_000;
/// When whoever is refused is told to try again.
const AGAIN: Duration = Duration::from_secs(10);

/// What this process knows of the workspaces' queues.
pub(crate) struct Quota(Cache<TenantId, Arc<AtomicI64>>);

impl Default for Quota {
    fn default() -> Self {
        Quota(
            Cache::builder()
                .max_capacity(TENANTS)
                .time_to_live(STANDS)
                .build(),
        )
    }
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

impl Quota {
    /// Counts one more run of the transaction's workspace as queued.
    ///
    /// # Errors
    /// `too_many_queued_runs` when it has as many as it may.
    pub async fn enter(&self, engine: &Engine, tx: &Tx) -> Result<()> {
        let (most, tenant) = (i64::from(engine.config().tenant_queued), tx.ctx().tenant());
        if most == 0 || tenant == SYSTEM_TENANT {
            return Ok(());
        }
        let known = match self.0.get(&tenant) {
            Some(known) => known,
            None => {
                let counted = Arc::new(AtomicI64::new(queued(tx, most).await?));
                self.0.insert(tenant, counted.clone());
                counted
            }
        };
        if known.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(());
        }
        let words =
            format!("This workspace has {most} runs queued, as many as it may. Wait until some have begun.");
        Err(Error::new(ErrorKind::RateLimited, "too_many_queued_runs", words).retry_after(AGAIN))
    }
}

/// How many runs wait for a worker or at a limit, up to `most`.
async fn queued(tx: &Tx, most: i64) -> Result<i64> {
    let now = tx.now().await?;
    let due = Condition::any()
        .add(queue::Column::ReadyAt.lte(now))
        .add(queue::Column::Awaits.is_not_null());
    let mut rows = Query::select();
    rows.expr_as(Expr::val(1), "one")
        .from(queue::Entity)
        .and_where(queue::Column::TenantId.eq(tx.ctx().tenant().0))
        .and_where(queue::Column::Owner.is_null())
        .cond_where(due)
        .limit(u64::try_from(most).unwrap_or(u64::MAX));
    let mut select = Query::select();
    select
        .expr_as(Func::count(Expr::val(1)), "count")
        .from_subquery(rows, "queued");
    let counted = tx.query::<Count>(&select).await?;
    Ok(counted.first().map_or(0, |row| row.count))
}
