//! How many runs a workspace may have at work at once, over all processes. Runs that wait for time, people or other runs do
//! not count; those beyond the number are parked until one of the others lets go.

use super::{CONCURRENCY, Freed, LANES, count, rank};
use crate::engine::{Engine, RUNS};
use crate::run::entity::queue;
use chrono::{DateTime, Utc};
use std::collections::{BTreeSet, HashMap};
use synapscale_core::{Ctx, Result, TenantId};
use synapscale_store::orm::sea_query::{Expr, Query};
use synapscale_store::orm::{ColumnTrait, Condition, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most runs of a workspace that are let go on by one transaction.
const MOST: u64 = 64;
/// Most workspaces of one look.
const TENANTS: u64 = 500;

/// The room that workspaces have for runs at work, while a transaction takes some.
pub(crate) struct Crowd(Option<HashMap<Uuid, i64>>);

impl Crowd {
    /// Counts the runs at work of the workspaces that `rows` belong to, and keeps others from taking some until the
    /// transaction ends; nothing of it where the number is not limited.
    pub async fn of(engine: &Engine, tx: &Tx, rows: &[queue::Model], now: DateTime<Utc>) -> Result<Self> {
        let most = engine.config().tenant_running;
        if most == 0 {
            return Ok(Crowd(None));
        }
        let mut room = HashMap::new();
        // In order, so that two workers do not wait for one another.
        let tenants: BTreeSet<Uuid> = rows.iter().map(|row| row.tenant_id).collect();
        for tenant in tenants {
            tx.lock_globally(&lock(tenant)).await?;
            room.insert(tenant, i64::from(most) - at_work(tx, tenant, now).await?);
        }
        Ok(Crowd(Some(room)))
    }

    /// Takes room for one more; false if there is none.
    pub fn enter(&mut self, tenant: Uuid) -> bool {
        let Some(room) = &mut self.0 else { return true };
        match room.get_mut(&tenant) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

fn lock(tenant: Uuid) -> String {
    format!("runs at work/{tenant}")
}

async fn at_work(tx: &Tx, tenant: Uuid, now: DateTime<Utc>) -> Result<i64> {
    let mut select = Query::select();
    select
        .from(queue::Entity)
        .and_where(queue::Column::TenantId.eq(tenant))
        .and_where(queue::Column::Owner.is_not_null())
        .and_where(queue::Column::LeaseUntil.gte(now));
    count(tx, select).await
}

/// Says after the commit that a run of the workspace is not at work any more.
pub(crate) fn release(engine: &Engine, tx: &Tx, tenant: TenantId) {
    if engine.config().tenant_running > 0 {
        engine.freed(tx, Freed::Worker(tenant));
    }
}

#[derive(FromQueryResult)]
struct Tenant {
    tenant_id: Uuid,
}

/// Parked by [`Crowd`], and not because a limit of its own is full.
fn crowded_out() -> Condition {
    let own = Condition::any()
        .add(queue::Column::Awaits.is_null())
        .add(queue::Column::Awaits.ne(CONCURRENCY));
    Condition::all().add(Expr::col(queue::Column::Parked)).add(own)
}

/// The workspaces that have parked runs.
pub(super) async fn waiting(engine: &Engine) -> Result<Vec<TenantId>> {
    let ctx = Ctx::system(engine.store().clock().clone());
    let rows = engine.store().read(&ctx, |tx| async move {
        let mut select = Query::select();
        select
            .distinct()
            .column(queue::Column::TenantId)
            .from(queue::Entity)
            // All lanes, said so that the index of those who are parked is taken.
            .and_where(queue::Column::Lane.gte(0))
            .cond_where(crowded_out())
            .limit(TENANTS);
        tx.query::<Tenant>(&select).await
    });
    Ok(rows
        .await?
        .into_iter()
        .map(|row| TenantId(row.tenant_id))
        .collect())
}

/// Lets as many parked runs of a workspace go on as there is room for.
pub(super) async fn give(engine: &Engine, tenant: TenantId) -> Result<()> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(tenant);
    let most = i64::from(engine.config().tenant_running);
    engine
        .store()
        .write(&ctx, |tx| async move { unpark(&tx, most).await })
        .await
}

async fn unpark(tx: &Tx, most: i64) -> Result<()> {
    let tenant = tx.ctx().tenant().0;
    tx.lock_globally(&lock(tenant)).await?;
    let now = tx.now().await?;
    // Where the number is not limited any more, all may go.
    let room = match most {
        0 => MOST,
        most => u64::try_from(most - at_work(tx, tenant, now).await?).unwrap_or(0),
    };
    let room = Ord::min(room, MOST);
    let mut parked = Vec::new();
    for lane in LANES {
        let rows = tx
            .find::<queue::Entity>()
            .filter(crowded_out())
            .filter(queue::Column::Lane.eq(lane))
            .order_by_asc(queue::Column::ReadyAt)
            .limit(room);
        parked.extend(rows.rows(tx).await?);
    }
    parked.sort_by_key(|row| (rank(row.ready_at, row.priority), row.run_id));
    parked.truncate(usize::try_from(room).unwrap_or(usize::MAX));
    if parked.is_empty() {
        return Ok(());
    }
    let update = tx
        .update::<queue::Entity>()
        .col_expr(queue::Column::Parked, Expr::val(false))
        .filter(crowded_out())
        .filter(queue::Column::RunId.is_in(parked.iter().map(|row| row.run_id)));
    tx.run_update(update).await?;
    tx.wake(RUNS);
    Ok(())
}
