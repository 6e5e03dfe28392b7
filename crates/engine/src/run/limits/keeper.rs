//! Places that have become free go to whoever waits for them. Told at once by the commit that frees one; and once in a while
//! all that wait are looked at, since a process may die between the two.

use super::admit::hold;
use super::{ADMISSION, CONCURRENCY, count, crowd, held, lock};
use crate::engine::{Engine, RUNS};
use crate::run::entity::{queue, slot};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use synapscale_core::{Ctx, Result, TenantId};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Func, Query};
use synapscale_store::orm::{ColumnTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often all that wait are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// Most limits of one look.
const LIMITS: u64 = 500;
/// Most places that one transaction gives.
const PLACES: u64 = 64;

/// What has become free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Freed {
    /// A place of a limit.
    Place(TenantId, Uuid),
    /// One of the runs that a workspace may have at work.
    Worker(TenantId),
}

/// Gives what becomes free to those that wait, until `shutdown`.
pub(crate) async fn keep(
    engine: Engine,
    mut told: mpsc::UnboundedReceiver<Freed>,
    shutdown: CancellationToken,
) {
    let mut next = tokio::time::Instant::now() + SWEEP;
    loop {
        let mut freed = HashSet::new();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep_until(next) => {
                next = tokio::time::Instant::now() + SWEEP;
                match waiting(&engine).await {
                    Ok(waiting) => freed.extend(waiting),
                    Err(error) => tracing::warn!(?error, "the runs that wait for limits could not be read"),
                }
            }
            Some(one) = told.recv() => {
                freed.insert(one);
                while let Ok(one) = told.try_recv() {
                    freed.insert(one);
                }
            }
        }
        for freed in freed {
            let given = match freed {
                Freed::Place(tenant, limit) => give(&engine, tenant, limit).await,
                Freed::Worker(tenant) => crowd::give(&engine, tenant).await,
            };
            if let Err(error) = given {
                // The next look finds it again.
                tracing::warn!(?freed, ?error, "what became free could not be given");
            }
        }
    }
}

#[derive(FromQueryResult)]
struct Waiting {
    tenant_id: Uuid,
    limit_id: Uuid,
    count: i64,
    most: i64,
}

/// The limits that runs wait for although there is room.
async fn waiting(engine: &Engine) -> Result<Vec<Freed>> {
    let ctx = Ctx::system(engine.store().clock().clone());
    let waiting = engine
        .store()
        .read(&ctx, |tx| async move { groups(&tx, false, None).await })
        .await?;
    let all: i64 = waiting.iter().map(|limit| limit.count).sum();
    metrics::gauge!("synapscale_engine_runs_at_limits").set(all as f64);
    let mut freed: Vec<Freed> = Vec::new();
    if !waiting.is_empty() {
        let ids: Vec<Uuid> = waiting.iter().map(|limit| limit.limit_id).collect();
        let taken = engine.store().read(&ctx, |tx| {
            let ids = ids.clone();
            async move { groups(&tx, true, Some(ids)).await }
        });
        let taken: HashMap<Uuid, i64> = taken
            .await?
            .into_iter()
            .map(|limit| (limit.limit_id, limit.count))
            .collect();
        let has_room = |limit: &&Waiting| taken.get(&limit.limit_id).copied().unwrap_or(0) < limit.most;
        let room = waiting.iter().filter(has_room);
        freed.extend(room.map(|limit| Freed::Place(TenantId(limit.tenant_id), limit.limit_id)));
    }
    freed.extend(crowd::waiting(engine).await?.into_iter().map(Freed::Worker));
    Ok(freed)
}

/// Limits with how many hold a place of each, or wait for one.
async fn groups(tx: &Tx, held: bool, of: Option<Vec<Uuid>>) -> Result<Vec<Waiting>> {
    use slot::Column;
    let mut select = Query::select();
    select
        .column(Column::TenantId)
        .column(Column::LimitId)
        .expr_as(Func::count(Expr::val(1)), "count")
        .expr_as(Func::max(Expr::col(Column::Most)), "most")
        .from(slot::Entity)
        .and_where(match held {
            true => Expr::col(Column::Held),
            false => Expr::col(Column::Held).not(),
        })
        .group_by_columns([Column::TenantId, Column::LimitId])
        .limit(LIMITS);
    if let Some(ids) = of {
        select.and_where(Column::LimitId.is_in(ids));
    }
    tx.query(&select).await
}

/// Gives the free places of a limit to those that wait for them, the first in the line first.
async fn give(engine: &Engine, tenant: TenantId, limit: Uuid) -> Result<()> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(tenant);
    engine
        .store()
        .write(&ctx, |tx| async move { hand_over(&tx, limit).await })
        .await
}

async fn hand_over(tx: &Tx, limit: Uuid) -> Result<()> {
    tx.lock(&lock(limit)).await?;
    let mut taken = count(tx, held(tx, limit)).await?;
    let waiting = tx
        .find::<slot::Entity>()
        .filter(slot::Column::LimitId.eq(limit))
        .filter(slot::Column::Held.eq(false))
        .filter(slot::Column::Leaving.eq(false))
        .order_by_asc(slot::Column::Rank)
        .order_by_asc(slot::Column::RunId)
        .limit(PLACES)
        .rows(tx)
        .await?;
    for next in waiting {
        if taken >= next.most {
            return Ok(());
        }
        // The queue's row first, as everywhere: whoever ends the run at this moment touches them in the same order.
        let update = tx
            .update::<queue::Entity>()
            .col_expr(queue::Column::Parked, Expr::val(false))
            .col_expr(queue::Column::Awaits, Expr::val(ADMISSION))
            .col_expr(queue::Column::ReadyAt, tx.time_in(chrono::Duration::zero()))
            .filter(queue::Column::RunId.eq(next.run_id))
            .filter(
                queue::Column::Awaits
                    .eq(CONCURRENCY)
                    .or(queue::Column::Awaits.eq(ADMISSION)),
            );
        match tx.run_update(update).await? {
            1 => hold(tx, next.run_id, true).await?,
            _ => continue,
        }
        taken += 1;
    }
    tx.wake(RUNS);
    Ok(())
}
