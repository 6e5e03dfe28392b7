//! Schedules whose turn has come. A turn has one run however many processes look: its id follows from schedule and turn,
//! and the row moves on only from where the look found it.

use super::{Firing, comes_again, overtaken, ready, start};
use crate::Flows;
use crate::entity::schedule;
use chrono::{DateTime, Duration, Utc};
use serde_json::json;
use synapscale_core::{Ctx, Result, TenantId};
use synapscale_engine::schedule::Schedule;
use synapscale_engine::{Engine, named_id};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};

/// Most schedules that one look fires.
const BATCH: u64 = 100;
/// A turn that is later than this was missed.
const LATE: Duration = Duration::minutes(5);
/// Most turns that are made up for.
const MOST_MISSED: usize = 100;

pub(super) async fn fire(flows: &Flows, engine: &Engine) -> Result<usize> {
    let store = flows.store()?;
    let ctx = Ctx::system(store.clock().clone());
    let due = store
        .read(&ctx, |tx| async move {
            let now = tx.now().await?;
            tx.find_as_system::<schedule::Entity>()?
                .filter(schedule::Column::Active.eq(true))
                .filter(schedule::Column::NextAt.lte(now))
                .order_by_asc(schedule::Column::NextAt)
                .limit(BATCH)
                .rows(&tx)
                .await
        })
        .await?;
    let mut started = 0;
    for row in due {
        let own = ctx.system_in(TenantId(row.tenant_id));
        let fired = store
            .write(&own, |tx| {
                let (engine, row) = (engine.clone(), row.clone());
                async move { one(&engine, &tx, &row).await }
            })
            .await;
        match fired {
            Ok(runs) => started += runs,
            Err(error) if error.code() == "trigger_overtaken" => {}
            // The others need not wait for it; it is due again at the next look.
            Err(error) => tracing::warn!(schedule = %row.id, ?error, "a schedule could not be fired"),
        }
    }
    Ok(started)
}

async fn one(engine: &Engine, tx: &Tx, row: &schedule::Model) -> Result<usize> {
    use schedule::Column;
    let now = tx.now().await?;
    let schedule = Schedule::parse(&row.cron, &row.timezone);
    let next = schedule
        .as_ref()
        .ok()
        .and_then(|schedule| schedule.next_after(now));
    let mut failure = schedule
        .as_ref()
        .err()
        .map(|error| json!({ "code": "cron", "message": error.to_string() }));
    let (mut last, mut runs) = (None, 0);
    let turns = match (&schedule, row.next_at) {
        (Ok(schedule), Some(first)) => turns(schedule, &row.missed, first, now),
        _ => Vec::new(),
    };
    if let Some(workflow) = ready(tx, row.workflow_id).await? {
        for turn in turns {
            let firing = Firing {
                run_id: named_id(&format!("schedule\n{}\n{}", row.id, turn.timestamp())),
                node: &row.node,
                input: json!({ "scheduled_at": turn, "fired_at": now, "timezone": row.timezone }),
                correlation: None,
                cause: None,
            };
            match start(engine, tx, &workflow, firing).await {
                Ok(run) => {
                    runs += usize::from(run.is_some());
                    last = run.or(last);
                    failure = None;
                }
                Err(error) if comes_again(&error) => return Err(error),
                Err(error) => failure = serde_json::to_value(&error).ok(),
            }
        }
    }
    let update = tx
        .update::<schedule::Entity>()
        .col_expr(Column::NextAt, Expr::val(next))
        .col_expr(Column::LastAt, Expr::val(now))
        .col_expr(Column::LastRunId, Expr::val(last.or(row.last_run_id)))
        .col_expr(Column::Failure, Expr::val(failure))
        .filter(Column::Id.eq(row.id))
        .filter(Column::Active.eq(true))
        .filter(Column::NextAt.eq(row.next_at));
    match tx.run_update(update).await? {
        1 => Ok(runs),
        _ => Err(overtaken()),
    }
}

/// The turns from `first` up to now that have a run each, the oldest first.
fn turns(schedule: &Schedule, missed: &str, first: DateTime<Utc>, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let Some(last) = schedule.last_until(now).filter(|last| *last >= first) else {
        return Vec::new();
    };
    match missed {
        "skip" if now - last > LATE => Vec::new(),
        "all" => {
            let before = |turn: &DateTime<Utc>| schedule.last_until(*turn - Duration::seconds(1));
            let mut turns: Vec<_> = std::iter::successors(Some(last), before)
                .take_while(|turn| *turn >= first)
                .take(MOST_MISSED)
                .collect();
            turns.reverse();
            turns
        }
        _ => vec![last],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_turns_follow_the_policy() {
        let schedule = Schedule::parse("0 * * * *", "UTC").expect("a schedule");
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let (first, now) = (at("2026-05-01T08:00:00Z"), at("2026-05-01T11:30:00Z"));
        assert_eq!(turns(&schedule, "once", first, now), [at("2026-05-01T11:00:00Z")]);
        assert!(turns(&schedule, "skip", first, now).is_empty());
        assert_eq!(
            turns(&schedule, "skip", first, at("2026-05-01T11:01:00Z")).len(),
            1
        );
        let all = turns(&schedule, "all", first, now);
        assert_eq!((all.len(), all[0]), (4, first));
        let long = turns(&schedule, "all", first, now + Duration::days(30));
        assert_eq!(long.len(), MOST_MISSED);
        assert_eq!(turns(&schedule, "all", first, first), [first]);
        assert!(turns(&schedule, "once", now, now).is_empty());
    }
}
