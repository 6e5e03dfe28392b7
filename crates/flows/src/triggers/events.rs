//! Events that triggers wait for. Each trigger has a place of its own in its workspace's log; it moves on in the
//! transaction that starts the runs, so that no event is taken twice and none is missed.

use super::{Firing, comes_again, overtaken, ready, start};
use crate::Flows;
use crate::entity::event_trigger;
use serde_json::json;
use std::str::FromStr;
use synapscale_core::{Channel, Ctx, Error, Result, TenantId};
use synapscale_engine::{Engine, EventFilter as Filter, RunView, named_id};
use synapscale_store::events::{Cursor, Event, EventBatch, EventFilter};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Triggers that are read at once.
const TRIGGERS: u64 = 1_000;
/// Events that one transaction takes: each may start a run with a burst of its own.
const BATCH: u32 = 20;
/// What a publisher needs to be told of events.
const PERMISSION: &str = "events:read";

pub(super) async fn fire(flows: &Flows, engine: &Engine) -> Result<usize> {
    let store = flows.store()?;
    let ctx = Ctx::system(store.clock().clone());
    let (mut started, mut after) = (0, Uuid::nil());
    loop {
        let rows = store.read(&ctx, |tx| async move {
            tx.find_as_system::<event_trigger::Entity>()?
                .filter(event_trigger::Column::Active.eq(true))
                .filter(event_trigger::Column::Id.gt(after))
                .order_by_asc(event_trigger::Column::Id)
                .limit(TRIGGERS)
                .rows(&tx)
                .await
        });
        let rows = rows.await?;
        let Some(last) = rows.last() else {
            return Ok(started);
        };
        after = last.id;
        for row in rows {
            match look(engine, &ctx, &row).await {
                Ok(runs) => started += runs,
                Err(error) if error.code() == "trigger_overtaken" => {}
                Err(error) => {
                    tracing::warn!(trigger = %row.id, ?error, "an event trigger could not be fired")
                }
            }
        }
    }
}

/// One trigger's turn; answers how many runs it started.
async fn look(engine: &Engine, ctx: &Ctx, row: &event_trigger::Model) -> Result<usize> {
    let (store, own) = (engine.store(), ctx.system_in(TenantId(row.tenant_id)));
    // A look that finds nothing must not cost a write.
    let waiting = store.read(&own, |tx| {
        let row = row.clone();
        async move { Ok(!batch(&tx, &row, 1).await?.events.is_empty()) }
    });
    if !waiting.await? {
        return Ok(0);
    }
    store
        .write(&own, |tx| {
            let (engine, row) = (engine.clone(), row.clone());
            async move { one(&engine, &tx, &row).await }
        })
        .await
}

async fn batch(tx: &Tx, row: &event_trigger::Model, most: u32) -> Result<EventBatch> {
    let place = row.place.as_deref().map(Cursor::from_str).transpose()?;
    let kinds = serde_json::from_value(row.kinds.clone()).map_err(Error::internal)?;
    let filter = EventFilter {
        kinds,
        ..EventFilter::default()
    };
    tx.events(place.as_ref(), &filter, most, false).await
}

async fn one(engine: &Engine, tx: &Tx, row: &event_trigger::Model) -> Result<usize> {
    use event_trigger::Column;
    let now = tx.now().await?;
    let found = batch(tx, row, BATCH).await?;
    let (mut last, mut runs, mut failure) = (None, 0, None);
    if let Some(workflow) = ready(tx, row.workflow_id).await? {
        let may = engine.publisher_ctx(tx.ctx().tenant(), workflow.2).await;
        let may = may.and_then(|ctx| ctx.require(PERMISSION));
        for event in &found.events {
            let taken = match &may {
                Ok(()) => take(engine, tx, row, event).await,
                Err(error) => Err(error.clone()),
            };
            let fired = match taken {
                Ok(Some(firing)) => start(engine, tx, &workflow, firing).await,
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            match fired {
                Ok(run) => {
                    runs += usize::from(run.is_some());
                    last = run.or(last);
                }
                Err(error) if comes_again(&error) => return Err(error),
                Err(error) => failure = serde_json::to_value(&error).ok(),
            }
        }
    }
    let update = tx
        .update::<event_trigger::Entity>()
        .col_expr(Column::Place, Expr::val(found.next.to_string()))
        .col_expr(Column::LastAt, Expr::val(last.map_or(row.last_at, |_| Some(now))))
        .col_expr(Column::LastRunId, Expr::val(last.or(row.last_run_id)))
        .col_expr(
            Column::Failure,
            Expr::val(failure.or(row.failure.clone().filter(|_| last.is_none()))),
        )
        .filter(Column::Id.eq(row.id))
        .filter(Column::Active.eq(true));
    let update = match &row.place {
        Some(place) => update.filter(Column::Place.eq(place.clone())),
        None => update.filter(Column::Place.is_null()),
    };
    match tx.run_update(update).await? {
        1 => Ok(runs),
        _ => Err(overtaken()),
    }
}

/// What an event starts, if it passes the filter and does not come of the trigger's own workflow.
async fn take<'a>(
    engine: &Engine,
    tx: &Tx,
    row: &'a event_trigger::Model,
    event: &Event,
) -> Result<Option<Firing<'a>>> {
    // The log is read a moment late: an event of before may come behind the place where the trigger began.
    if event.at < row.created_at {
        return Ok(None);
    }
    let cause = match cause(event) {
        None => None,
        Some(id) => match about(engine, tx, id).await? {
            // What cannot be told from a private one is taken for one.
            None => return Ok(None),
            found => found,
        },
    };
    let is_own = |run: &RunView| run.workflow_id == Some(row.workflow_id);
    // Private runs are their conversation's, and so is what they tell.
    if cause
        .as_ref()
        .is_some_and(|run| is_own(run) || run.private_to.is_some())
    {
        return Ok(None);
    }
    let shown = json!({
        "id": event.id,
        "kind": event.kind,
        "subject": event.subject,
        "actor": event.actor,
        "data": event.data,
        "changes": event.changes,
        "at": event.at,
        "correlation": event.correlation,
    });
    if let Some(filter) = &row.filter {
        let filter =
            Filter::parse(filter).map_err(|words| Error::invalid("/with/filter", "expression", words))?;
        if !filter.takes(&shown, event.at)? {
            return Ok(None);
        }
    }
    Ok(Some(Firing {
        run_id: named_id(&format!("event\n{}\n{}", row.id, event.id)),
        node: &row.node,
        input: json!({ "event": shown }),
        correlation: Some(event.correlation),
        cause: cause.map(|run| run.id),
    }))
}

/// The run that an event tells of or comes from.
fn cause(event: &Event) -> Option<Uuid> {
    match event.subject.split_once(':') {
        Some(("run", id)) => id.parse().ok(),
        Some(("approval", _)) => event.data.get("run_id")?.as_str()?.parse().ok(),
        _ => event.causation.filter(|_| event.channel == Channel::Run.as_str()),
    }
}

async fn about(engine: &Engine, tx: &Tx, id: Uuid) -> Result<Option<RunView>> {
    match engine.run(tx, id).await {
        Ok(run) => Ok(Some(run)),
        Err(error) if error.code() == "not_found" => Ok(None),
        Err(error) => Err(error),
    }
}
