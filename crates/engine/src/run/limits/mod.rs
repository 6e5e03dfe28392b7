//! Limits on runs: who may begin now, who waits for what, and who takes a place that has become free (ADR 0016).
//!
//! A run of a workflow with limits begins with an admission: a short transaction of its own, before the first step. Places
//! are rows that belong to unfinished runs, so a worker that dies loses none; only one that holds the lock of a limit counts
//! them, so none is given twice.

mod admit;
mod crowd;
mod keeper;
mod quota;

pub(crate) use admit::{admit, awaits, free};
pub(crate) use crowd::{Crowd, release};
pub(crate) use keeper::{Freed, keep};
pub(crate) use quota::Quota;

use crate::engine::Engine;
use crate::expr::{Limits, Template};
use crate::graph::LimitScope;
use crate::run::burst::RunScope;
use crate::run::direct::named_id;
use crate::run::entity::{queue, slot, start};
use crate::run::model::{RunStatus, WaitsFor, WaitsForWhat};
use crate::run::state::RunState;
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use synapscale_core::{Error, Result};
use synapscale_store::orm::sea_query::{Expr, Func, Query, SelectStatement};
use synapscale_store::orm::{ColumnTrait, FromQueryResult, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// What a row of the queue says of a run that has yet to be admitted.
pub(crate) const ADMISSION: &str = "admission";
/// As [`ADMISSION`], of one whose time has not come.
pub(crate) const RATE: &str = "rate";
/// As [`ADMISSION`], of one that waits for a place.
pub(crate) const CONCURRENCY: &str = "concurrency";

/// By so much a run goes before others for each point of its priority: as if it had come earlier. So nothing starves.
const HEAD_START: Duration = Duration::seconds(3);
/// Longest key that is shown, in characters.
const SHOWN_KEY: usize = 200;

/// The lanes of the queue, the least urgent first: in each the oldest are looked at.
pub(crate) const LANES: std::ops::Range<i64> = 0..5;

/// The lane of a priority.
pub(crate) fn lane(priority: i64) -> i64 {
    match priority {
        ..=-1 => 0,
        0 => 1,
        1..=9 => 2,
        10..=49 => 3,
        _ => 4,
    }
}

/// When a run that came at `since` would have come if priorities were ages.
pub(crate) fn rank(since: DateTime<Utc>, priority: i64) -> DateTime<Utc> {
    let points = i32::try_from(priority.clamp(-1_000, 1_000)).unwrap_or_default();
    since - HEAD_START * points
}

/// One limit as it applies to one run.
struct Place {
    /// The same for all runs that are counted together.
    id: Uuid,
    /// What the key came to, for people.
    key: String,
}

/// Which limit of that name (`slots`, `rate`) counts the run.
///
/// # Errors
/// `expression_failed`.
fn place(state: &RunState, name: &str, key: Option<&Template>, scope: LimitScope) -> Result<Place> {
    let head = &state.head;
    let text = match key {
        None => String::new(),
        Some(template) => {
            let now = head.created_at;
            let value = template.eval(&RunScope { state, now }, &Limits::default());
            match value.map_err(|failed| key_failed(name, &failed.error.to_string()))? {
                Value::String(text) => text,
                other => other.to_string(),
            }
        }
    };
    let whose = match (scope, &head.workflow) {
        (LimitScope::Workspace, _) => "workspace".to_owned(),
        (LimitScope::Workflow, Some(workflow)) => workflow.id.to_string(),
        (LimitScope::Workflow, None) => head.graph_id.to_string(),
    };
    Ok(Place {
        id: named_id(&format!("limit\n{}\n{name}\n{whose}\n{text}", head.tenant)),
        key: text.replace('\0', "\u{fffd}").chars().take(SHOWN_KEY).collect(),
    })
}

fn key_failed(name: &str, words: &str) -> Error {
    let pointer = match name {
        SLOTS => "/limits/concurrency/key",
        _ => "/limits/rate/key",
    };
    Error::invalid(pointer, "expression", words.to_owned()).with_code("expression_failed")
}

/// The name of limits on how many go on at once, in locks and ids.
const SLOTS: &str = "slots";
/// The name of limits on how often one begins.
const RATES: &str = "rate";

fn lock(place: Uuid) -> String {
    format!("limit/{place}")
}

#[derive(FromQueryResult)]
struct Count {
    count: i64,
}

/// How many rows a statement finds.
async fn count(tx: &Tx, mut select: SelectStatement) -> Result<i64> {
    select.expr_as(Func::count(Expr::val(1)), "count");
    let rows = tx.query::<Count>(&select).await?;
    Ok(rows.first().map_or(0, |row| row.count))
}

/// The held places of a limit.
fn held(tx: &Tx, limit: Uuid) -> SelectStatement {
    let mut select = Query::select();
    select
        .from(slot::Entity)
        .and_where(slot::Column::TenantId.eq(tx.ctx().tenant().0))
        .and_where(slot::Column::LimitId.eq(limit))
        .and_where(slot::Column::Held.eq(true));
    select
}

/// What a run that has not begun waits for; none for one that only waits for a worker.
pub(crate) async fn waits_for(
    engine: &Engine,
    tx: &Tx,
    id: Uuid,
    status: RunStatus,
) -> Result<Option<WaitsFor>> {
    if status != RunStatus::Queued {
        return Ok(None);
    }
    let row = tx.find::<queue::Entity>().filter(queue::Column::RunId.eq(id));
    let Some(row) = row.row(tx).await? else {
        return Ok(None);
    };
    match row.awaits.as_deref() {
        Some(CONCURRENCY) => for_a_place(tx, id).await,
        Some(RATE) => {
            let own = tx.find::<start::Entity>().filter(start::Column::RunId.eq(id));
            let told = |row: start::Model| WaitsFor {
                what: WaitsForWhat::Rate,
                key: Some(row.key).filter(|key| !key.is_empty()),
                max: None,
                ahead: None,
                until: Some(row.at),
            };
            Ok(own.row(tx).await?.map(told))
        }
        _ if row.parked => Ok(Some(WaitsFor {
            what: WaitsForWhat::Workspace,
            key: None,
            max: Some(i64::from(engine.config().tenant_running)),
            ahead: None,
            until: None,
        })),
        _ => Ok(None),
    }
}

async fn for_a_place(tx: &Tx, id: Uuid) -> Result<Option<WaitsFor>> {
    let own = tx.find::<slot::Entity>().filter(slot::Column::RunId.eq(id));
    let Some(own) = own.row(tx).await? else {
        return Ok(None);
    };
    Ok(Some(WaitsFor {
        what: WaitsForWhat::Concurrency,
        key: Some(own.key).filter(|key| !key.is_empty()),
        max: Some(own.most),
        ahead: Some(admit::ahead(tx, own.limit_id, own.rank).await?),
        until: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_long_goes_before_what_is_urgent() {
        let now = DateTime::<Utc>::UNIX_EPOCH + Duration::days(20_000);
        let (old, urgent) = (rank(now - Duration::minutes(11), -100), rank(now, 100));
        assert!(old < urgent, "ten minutes make up for every priority");
        assert!(rank(now, 10) < rank(now - Duration::seconds(20), 0));
        assert_eq!(LANES.map(|_| 1).sum::<i64>(), 5);
        assert_eq!(
            [-100, -1, 0, 1, 9, 10, 49, 50, 100].map(lane),
            [0, 0, 1, 2, 2, 3, 3, 4, 4]
        );
    }
}
