//! Admission: whether a run may begin now, and what it waits for if not.

use super::{ADMISSION, CONCURRENCY, Freed, Place, RATE, RATES, SLOTS, count, held, lock, place, rank};
use crate::engine::Engine;
use crate::graph::{ConcurrencyFile, Limited, RateFile, WhenEarly, WhenFull};
use crate::run::entity::{queue, run, signal as signals, slot, start};
use crate::run::model::RunStatus;
use crate::run::state::RunState;
use crate::run::{nested, persist, signal};
use chrono::{DateTime, Duration, Utc};
use synapscale_core::{Ctx, Error, Result};
use synapscale_store::orm::sea_query::{Expr, Query};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most runs that one run asks to make room for it.
const MOST_ASKED: u64 = 100;

/// The code of a key's failure, which is the run's.
const EXPRESSION: &str = "expression_failed";

/// What becomes of a run that asks to begin.
enum Verdict {
    Begins,
    /// Its time has not come.
    Early(DateTime<Utc>),
    /// All places are taken.
    Full(Uuid),
    Dropped(&'static str),
}

/// Lets a run begin that this worker holds, in a transaction of its own; none if it has to wait or has ended, and is not
/// this worker's any more.
///
/// # Errors
/// `lease_lost`; database failures.
pub(crate) async fn admit(engine: &Engine, state: &RunState, epoch: i64) -> Result<Option<RunState>> {
    let ctx = Ctx::system(engine.store().clock().clone()).system_in(state.head.tenant);
    engine
        .store()
        .write(&ctx, |tx| {
            let engine = engine.clone();
            async move { one(&engine, &tx, state.clone(), epoch).await }
        })
        .await
}

async fn one(engine: &Engine, tx: &Tx, mut state: RunState, epoch: i64) -> Result<Option<RunState>> {
    let (id, now) = (state.head.id, tx.now().await?);
    // Counted first: a signal that comes behind it is seen by whoever lets the run go.
    let row = tx
        .find::<queue::Entity>()
        .filter(queue::Column::RunId.eq(id))
        .row(tx)
        .await?;
    let counted = row.map_or(0, |row| row.signals);
    let cancelled = tx
        .find::<signals::Entity>()
        .filter(signals::Column::RunId.eq(id))
        .filter(signals::Column::Kind.eq(signal::CANCEL));
    if cancelled.row(tx).await?.is_some() {
        signal::take_in(engine, tx, &mut state, now).await?;
        return over(engine, tx, state, epoch).await;
    }
    let (outcome, verdict) = match judge(engine, tx, &state, now).await {
        Ok(Verdict::Begins) => {
            persist::admitted(engine, tx, id, epoch).await?;
            ("admitted", Some(state))
        }
        Ok(Verdict::Early(at)) => {
            persist::park(engine, tx, id, epoch, counted, RATE, Some(at)).await?;
            ("early", None)
        }
        Ok(Verdict::Full(limit)) => {
            persist::park(engine, tx, id, epoch, counted, CONCURRENCY, None).await?;
            // A place may have become free while this one was on its way into the line.
            engine.freed(tx, Freed::Place(state.head.tenant, limit));
            ("queued", None)
        }
        Ok(Verdict::Dropped(words)) => {
            state.status = RunStatus::Cancelled;
            state.error = Some(Error::conflict("dropped_at_limit", words));
            ("dropped", over(engine, tx, state, epoch).await?)
        }
        Err(error) if error.code() != EXPRESSION => return Err(error),
        Err(error) => {
            state.status = RunStatus::Failed;
            state.error = Some(error);
            ("failed", over(engine, tx, state, epoch).await?)
        }
    };
    tx.after_commit(move || {
        metrics::counter!("synapscale_engine_admissions_total", "outcome" => outcome).increment(1);
    });
    Ok(verdict)
}

/// Keeps what has ended before it began.
async fn over(engine: &Engine, tx: &Tx, mut state: RunState, epoch: i64) -> Result<Option<RunState>> {
    persist::update(engine, tx, &mut state, epoch)
        .await
        .map(|()| None)
}

async fn judge(engine: &Engine, tx: &Tx, state: &RunState, now: DateTime<Utc>) -> Result<Verdict> {
    let Some(limits) = &state.head.graph.limits else {
        return Ok(Verdict::Begins);
    };
    // Its time first: nobody holds a place while waiting for that. One that is resumed has begun long ago.
    if let Some(rate) = limits.rate.as_ref().filter(|_| state.started_at.is_none()) {
        match time(tx, state, rate, now).await? {
            Verdict::Begins => {}
            other => return Ok(other),
        }
    }
    match &limits.concurrency {
        Some(limit) => take(engine, tx, state, limit, now).await,
        None => Ok(Verdict::Begins),
    }
}

/// When the run may begin by its rate: `per_seconds` after the one that stands `max` before it. Its time is its own from
/// then on.
async fn time(tx: &Tx, state: &RunState, limit: &Limited<RateFile>, now: DateTime<Utc>) -> Result<Verdict> {
    let verdict = |at: DateTime<Utc>| match at <= now {
        true => Verdict::Begins,
        false => Verdict::Early(at),
    };
    let own = tx
        .find::<start::Entity>()
        .filter(start::Column::RunId.eq(state.head.id));
    if let Some(own) = own.row(tx).await? {
        return Ok(verdict(own.at));
    }
    let file = &limit.file;
    let Place { id, key } = place(state, RATES, limit.key.as_ref(), file.scope)?;
    tx.lock(&lock(id)).await?;
    let per = Duration::seconds(i64::try_from(file.per_seconds).unwrap_or(i64::MAX / 2_000));
    let before = tx
        .find::<start::Entity>()
        .filter(start::Column::LimitId.eq(id))
        .order_by_desc(start::Column::At)
        .offset(u64::from(file.max.saturating_sub(1)))
        .limit(1)
        .row(tx)
        .await?;
    let at = before.map_or(now, |before| now.max(before.at + per));
    if at > now && file.when_full == WhenEarly::Drop {
        return Ok(Verdict::Dropped("As many runs as may have begun lately."));
    }
    let old = tx
        .delete::<start::Entity>()
        .filter(start::Column::LimitId.eq(id))
        .filter(start::Column::At.lt(now - per - per));
    tx.run_delete(old).await?;
    tx.insert::<start::Entity>(start::Model {
        tenant_id: state.head.tenant.0,
        run_id: state.head.id,
        limit_id: id,
        key,
        at,
    })
    .await?;
    Ok(verdict(at))
}

/// Takes a place if one is free and nobody waits for it longer.
async fn take(
    engine: &Engine,
    tx: &Tx,
    state: &RunState,
    limit: &Limited<ConcurrencyFile>,
    now: DateTime<Utc>,
) -> Result<Verdict> {
    let file = &limit.file;
    let Place { id, key } = place(state, SLOTS, limit.key.as_ref(), file.scope)?;
    if inherits(tx, state, id).await? {
        return Ok(Verdict::Begins);
    }
    tx.lock(&lock(id)).await?;
    let most = i64::from(file.max);
    let own = tx
        .find::<slot::Entity>()
        .filter(slot::Column::RunId.eq(state.head.id))
        .row(tx)
        .await?;
    if own.as_ref().is_some_and(|own| own.held) {
        return Ok(Verdict::Begins);
    }
    let taken = count(tx, held(tx, id)).await?;
    let is_fresh = own.is_none() && state.started_at.is_none();
    if is_fresh && taken >= most && file.when_full == WhenFull::Drop {
        return Ok(Verdict::Dropped("As many runs as may are under way."));
    }
    let (since, rank) = match &own {
        Some(own) => (own.since, own.rank),
        None => (now, rank(now, state.head.priority)),
    };
    let begins = taken < most && ahead(tx, id, rank).await? < most - taken;
    match own {
        Some(_) => hold(tx, state.head.id, begins).await?,
        None => {
            tx.insert::<slot::Entity>(slot::Model {
                tenant_id: state.head.tenant.0,
                run_id: state.head.id,
                limit_id: id,
                key,
                held: begins,
                most,
                since,
                rank,
                leaving: false,
            })
            .await?;
            if file.when_full == WhenFull::CancelOldest {
                make_room(engine, tx, id, state.head.id, most).await?;
            }
        }
    }
    Ok(match begins {
        true => Verdict::Begins,
        false => Verdict::Full(id),
    })
}

/// How many wait for a place of the limit that come before `rank`.
pub(super) async fn ahead(tx: &Tx, limit: Uuid, rank: DateTime<Utc>) -> Result<i64> {
    let mut waiting = Query::select();
    waiting
        .from(slot::Entity)
        .and_where(slot::Column::TenantId.eq(tx.ctx().tenant().0))
        .and_where(slot::Column::LimitId.eq(limit))
        .and_where(slot::Column::Held.eq(false))
        .and_where(slot::Column::Leaving.eq(false))
        .and_where(slot::Column::Rank.lt(rank));
    count(tx, waiting).await
}

/// Whether a run further up, which waits for this one, holds a place of the limit.
async fn inherits(tx: &Tx, state: &RunState, limit: Uuid) -> Result<bool> {
    let mut next = state.head.parent.as_ref().map(|parent| parent.run_id);
    for _ in 0..nested::MAX_DEPTH {
        let Some(id) = next else { return Ok(false) };
        let place = tx
            .find::<slot::Entity>()
            .filter(slot::Column::RunId.eq(id))
            .filter(slot::Column::LimitId.eq(limit))
            .filter(slot::Column::Held.eq(true));
        if place.row(tx).await?.is_some() {
            return Ok(true);
        }
        let row = tx
            .find::<run::Entity>()
            .filter(run::Column::Id.eq(id))
            .row(tx)
            .await?;
        next = row.and_then(|row| row.parent_run_id);
    }
    Ok(false)
}

pub(super) async fn hold(tx: &Tx, run_id: Uuid, held: bool) -> Result<()> {
    let update = tx
        .update::<slot::Entity>()
        .col_expr(slot::Column::Held, Expr::val(held))
        .filter(slot::Column::RunId.eq(run_id));
    tx.run_update(update).await.map(drop)
}

/// Asks the oldest of those that hold or wait for a place to end, until no more are left than there are places.
async fn make_room(engine: &Engine, tx: &Tx, limit: Uuid, newest: Uuid, most: i64) -> Result<()> {
    let others = || {
        tx.find::<slot::Entity>()
            .filter(slot::Column::LimitId.eq(limit))
            .filter(slot::Column::Leaving.eq(false))
            .filter(slot::Column::RunId.ne(newest))
    };
    // One of the places is to be the newest one's.
    let stay = u64::try_from(most - 1).unwrap_or(0);
    let too_many = others()
        .order_by_desc(slot::Column::Since)
        .order_by_desc(slot::Column::RunId)
        .offset(stay)
        .limit(MOST_ASKED)
        .rows(tx)
        .await?;
    for other in too_many {
        nested::stop(engine, tx, other.run_id, "A newer run took its place.").await?;
        let update = tx
            .update::<slot::Entity>()
            .col_expr(slot::Column::Leaving, Expr::val(true))
            .filter(slot::Column::RunId.eq(other.run_id));
        tx.run_update(update).await?;
    }
    Ok(())
}

/// Gives back the place of a run that has ended or is paused; who takes it is settled after this commit.
pub(crate) async fn free(engine: &Engine, tx: &Tx, state: &RunState) -> Result<()> {
    let Some(limit) = state
        .head
        .graph
        .limits
        .as_ref()
        .and_then(|limits| limits.concurrency.as_ref())
    else {
        return Ok(());
    };
    let gone = tx
        .delete::<slot::Entity>()
        .filter(slot::Column::RunId.eq(state.head.id));
    if tx.run_delete(gone).await? > 0
        && let Ok(place) = place(state, SLOTS, limit.key.as_ref(), limit.file.scope)
    {
        engine.freed(tx, Freed::Place(state.head.tenant, place.id));
    }
    Ok(())
}

/// What a queue row says of a run of this graph that is about to be accepted or resumed.
pub(crate) fn awaits(state: &RunState) -> Option<String> {
    state.head.graph.limits.is_some().then(|| ADMISSION.to_owned())
}
