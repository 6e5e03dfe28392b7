//! Taking runs from the queue: those whose time has come and whose worker, if any, gave no sign of life.

use crate::engine::Engine;
use crate::run::drive::{Held, MAX_CRASHES};
use crate::run::entity::queue;
use crate::run::limits::{self, Crowd};
use crate::run::{load, signal};
use chrono::{DateTime, Utc};
use opentelemetry::trace::SpanContext;
use std::time::Duration;
use synapscale_core::{Ctx, Result, TenantId};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Func, LockBehavior, LockType, Query};
use synapscale_store::orm::{
    ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect, Select, UpdateMany,
};
use synapscale_store::{Backend, Scoped, Tx};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

/// Most runs taken at once.
const BATCH: usize = 32;
/// A run that was in hand at so many deaths of workers in a row may be their cause. Somebody who kills the process, or a
/// machine that goes, leaves the same traces; so a suspect is taken alone, and has eight more tries: on a busy machine
/// that is killed again and again, three were not enough for an innocent run.
const SUSPECT: i64 = MAX_CRASHES - 8;

struct Claimed {
    tenant: TenantId,
    run_id: Uuid,
    epoch: i64,
    crashes: i64,
    /// Whether it has yet to be admitted.
    awaits: bool,
}

/// On SQLite one process owns the file, so every lease found at its start is a dead process's.
pub(crate) async fn recover(engine: &Engine) -> Result<()> {
    if engine.store().backend() != Backend::Sqlite {
        return Ok(());
    }
    let owner = engine.owner();
    let ctx = Ctx::system(engine.store().clock().clone());
    engine
        .store()
        .write(&ctx, |tx| async move {
            let now = tx.ctx().clock().now();
            let update = tx
                .update_as_system::<queue::Entity>()?
                .col_expr(queue::Column::Crashes, Expr::col(queue::Column::Crashes).add(1))
                .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
                .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
                .col_expr(queue::Column::ReadyAt, Expr::val(now))
                .filter(queue::Column::Owner.is_not_null())
                .filter(queue::Column::Owner.ne(owner));
            tx.run_update(update).await.map(|_| ())
        })
        .await
}

/// Takes what is ready, as far as there is room, hands each run on as soon as it is loaded, and says when to look again.
pub(crate) async fn claim(engine: &Engine, mut begin: impl FnMut(Held)) -> Result<Duration> {
    let mut slots: Vec<OwnedSemaphorePermit> = Vec::new();
    while slots.len() < BATCH {
        match engine.slot() {
            Some(slot) => slots.push(slot),
            None => break,
        }
    }
    let poll = engine.config().poll;
    if slots.is_empty() {
        return Ok(poll);
    }
    let ctx = Ctx::system(engine.store().clock().clone());
    let limit = slots.len() as u64;
    // A look that finds nothing must not cost a write.
    let (due, next) = engine
        .store()
        .read(&ctx, |tx| async move { look(&tx, poll).await })
        .await?;
    if !due {
        return Ok(next);
    }
    let (claimed, more) = engine
        .store()
        .write(&ctx, |tx| {
            let engine = engine.clone();
            async move { take(&engine, &tx, limit).await }
        })
        .await?;
    let suspect = claimed.iter().any(|run| run.crashes >= SUSPECT);
    let more = more || suspect;
    for (claimed, slot) in claimed.into_iter().zip(slots) {
        let Some(mut held) = bring_back(engine, claimed, slot).await else {
            continue;
        };
        // Until it has got over its first commit nobody else is taken, so that nobody else can be blamed.
        let (alive, sign) = oneshot::channel();
        held.alive = suspect.then_some(alive);
        begin(held);
        if suspect {
            let _ = tokio::time::timeout(engine.config().lease, sign).await;
        }
    }
    Ok(if more { Duration::ZERO } else { next })
}

/// Whether something is due, and how long until something may be.
async fn look(tx: &Tx, poll: Duration) -> Result<(bool, Duration)> {
    let now = tx.now().await?;
    if tx.backend() == Backend::Postgres && lost(tx, now, 1)?.row(tx).await?.is_some() {
        return Ok((true, poll));
    }
    let Some(first) = first(tx).await? else {
        return Ok((false, poll));
    };
    if first <= now {
        return Ok((true, poll));
    }
    let until = (first - now).to_std().unwrap_or(poll);
    Ok((false, until.min(poll)))
}

/// When the first of all free runs is due: the first of each lane, by one statement.
async fn first(tx: &Tx) -> Result<Option<DateTime<Utc>>> {
    let mut select = Query::select();
    for lane in limits::LANES {
        let mut first = Query::select();
        first
            .expr(Func::min(Expr::col(queue::Column::ReadyAt)))
            .from(queue::Entity)
            .cond_where(free())
            .and_where(queue::Column::Lane.eq(lane));
        select.expr(Expr::SubQuery(None, Box::new(first.into())));
    }
    let rows = tx.query_by(&select, |row| {
        let lanes = limits::LANES.map(|lane| usize::try_from(lane).unwrap_or_default());
        let first = |lane: usize| row.try_get_by_index::<Option<DateTime<Utc>>>(lane);
        lanes.map(first).collect::<std::result::Result<Vec<_>, _>>()
    });
    Ok(rows.await?.into_iter().flatten().flatten().min())
}

/// In nobody's hand, and not parked until somebody gives it a place. In the words of the indexes: SQLite takes a value that
/// is bound for one that it does not know.
fn free() -> Condition {
    Condition::all()
        .add(queue::Column::Owner.is_null())
        .add(Expr::col(queue::Column::Parked).not())
}

/// Runs whose worker gave no sign of life. On SQLite there are none: its only owner is alive, and gives back what it leaves.
fn lost(tx: &Tx, now: DateTime<Utc>, limit: u64) -> Result<Select<queue::Entity>> {
    let query = tx
        .find_as_system::<queue::Entity>()?
        .filter(queue::Column::Owner.is_not_null())
        .filter(queue::Column::LeaseUntil.lt(now))
        .order_by_asc(queue::Column::LeaseUntil);
    Ok(query.limit(limit))
}

/// What is due, the most urgent first: the oldest of each lane, and of these the first by age and priority together. Each
/// query reads so many rows of an index, however many are due.
async fn due(tx: &Tx, now: DateTime<Utc>, limit: u64) -> Result<Vec<queue::Model>> {
    let is_postgres = tx.backend() == Backend::Postgres;
    let locked = |query: Select<queue::Entity>| match is_postgres {
        true => query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked),
        false => query,
    };
    let mut due = match is_postgres {
        true => locked(lost(tx, now, limit)?).rows(tx).await?,
        false => Vec::new(),
    };
    for lane in limits::LANES {
        let oldest = tx
            .find_as_system::<queue::Entity>()?
            .filter(free())
            .filter(queue::Column::Lane.eq(lane))
            .filter(queue::Column::ReadyAt.lte(now))
            .order_by_asc(queue::Column::ReadyAt)
            .limit(limit);
        due.extend(locked(oldest).rows(tx).await?);
    }
    due.sort_by_key(|row| (limits::rank(row.ready_at, row.priority), row.run_id));
    due.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(due)
}

/// Takes what is due, and says whether more may be.
async fn take(engine: &Engine, tx: &Tx, limit: u64) -> Result<(Vec<Claimed>, bool)> {
    let now = tx.now().await?;
    let due = due(tx, now, limit).await?;
    let lease = chrono::Duration::from_std(engine.config().lease).unwrap_or(chrono::Duration::seconds(30));
    let more = due.len() as u64 == limit;
    let mut crowd = Crowd::of(engine, tx, &due, now).await?;
    let mut claimed: Vec<Claimed> = Vec::new();
    for row in due {
        let crashes = row.crashes + i64::from(row.owner.is_some());
        // One that may bring the worker down is taken alone: the others of its batch would be blamed with it.
        if crashes >= SUSPECT && !claimed.is_empty() {
            continue;
        }
        if !crowd.enter(row.tenant_id) {
            park(tx, &row, crashes).await?;
            continue;
        }
        let update = tx
            .update_as_system::<queue::Entity>()?
            .col_expr(queue::Column::Owner, Expr::val(engine.owner()))
            .col_expr(queue::Column::LeaseEpoch, Expr::val(row.lease_epoch + 1))
            .col_expr(queue::Column::LeaseUntil, Expr::val(now + lease))
            .col_expr(queue::Column::Crashes, Expr::val(crashes));
        if tx.run_update(as_seen(update, &row)).await? == 1 {
            claimed.push(Claimed {
                tenant: TenantId(row.tenant_id),
                run_id: row.run_id,
                epoch: row.lease_epoch + 1,
                crashes,
                awaits: row.awaits.is_some(),
            });
        }
        if crashes >= SUSPECT {
            break;
        }
    }
    Ok((claimed, more))
}

/// Sets a run aside whose workspace has as many at work as it may.
async fn park(tx: &Tx, row: &queue::Model, crashes: i64) -> Result<()> {
    let update = tx
        .update_as_system::<queue::Entity>()?
        .col_expr(queue::Column::Owner, Expr::val(None::<Uuid>))
        .col_expr(queue::Column::LeaseUntil, Expr::val(None::<DateTime<Utc>>))
        .col_expr(queue::Column::Crashes, Expr::val(crashes))
        .col_expr(queue::Column::LeaseEpoch, Expr::val(row.lease_epoch + 1))
        .col_expr(queue::Column::Parked, Expr::val(true));
    tx.run_update(as_seen(update, row)).await.map(drop)
}

fn as_seen(update: UpdateMany<queue::Entity>, row: &queue::Model) -> UpdateMany<queue::Entity> {
    update
        .filter(queue::Column::TenantId.eq(row.tenant_id))
        .filter(queue::Column::RunId.eq(row.run_id))
        .filter(queue::Column::LeaseEpoch.eq(row.lease_epoch))
}

async fn bring_back(engine: &Engine, claimed: Claimed, slot: OwnedSemaphorePermit) -> Option<Held> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(claimed.tenant);
    let run_id = claimed.run_id;
    let loaded = engine
        .store()
        .read(&ctx, |tx| {
            let engine = engine.clone();
            async move { load::load(&engine, &tx, run_id).await }
        })
        .await;
    match loaded {
        Ok(state) => Some(Held {
            state,
            epoch: claimed.epoch,
            crashes: claimed.crashes,
            slot,
            awaits: claimed.awaits,
            alive: None,
            // Whoever started it was another process, or long ago: a story of its own, told apart by the run's ids.
            cause: SpanContext::NONE,
        }),
        Err(error) => {
            // It is tried again later; a few times, then it is paused.
            tracing::error!(run = %run_id, ?error, "a run could not be loaded");
            let (tenant, epoch) = (claimed.tenant, claimed.epoch);
            let left = match claimed.crashes >= MAX_CRASHES && !error.is_transient() {
                true => signal::set_aside(engine, tenant, run_id, epoch, &error).await,
                false => signal::let_go(engine, tenant, run_id, epoch).await,
            };
            if let Err(error) = left {
                tracing::error!(run = %run_id, ?error, "a run is left to its lease");
            }
            None
        }
    }
}
