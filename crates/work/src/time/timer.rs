//! The one running timer of each person.

use super::{MAX_ACTUAL, MAX_MINUTES, TimeEntry, count, entry, tell_logged};
use crate::entity::task;
use crate::events::TimerStarted;
use crate::{apply, author, query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, NewEvent, Result, new_id};
use synapscale_store::orm::sea_query::{CaseStatement, Expr, ExprTrait, Func};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Seconds of a minute, and half of them.
const MINUTE: i64 = 60;
const HALF: i64 = 30;

/// What a timer is started on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimerInput {
    /// The task.
    pub task_id: Uuid,
    /// What is done.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    pub note: Option<String>,
}

/// The caller's timer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RunningTimer {
    /// The timer; null when none runs.
    pub timer: Option<TimeEntry>,
}

/// A timer that was started.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StartedTimer {
    /// The timer that runs now. One that ran on this task already goes on.
    pub timer: TimeEntry,
    /// The timer that was stopped for it, if one ran on another task.
    pub stopped: Option<StoppedTimer>,
}

/// A timer that was stopped.
#[derive(Serialize, JsonSchema)]
pub(crate) struct StoppedTimer {
    /// The logged time.
    pub entry: TimeEntry,
    /// Whether the timer had run for longer than could be logged: an entry holds a day at most, and a task 10,000,000
    /// minutes.
    pub cut: bool,
    /// How many of the minutes that it ran were not logged.
    pub lost_minutes: i64,
}

/// The person's running timer.
pub(super) async fn running(tx: &Tx, person: &str) -> Result<Option<entry::Model>> {
    tx.find::<entry::Entity>()
        .filter(entry::Column::Person.eq(person))
        .filter(entry::Column::Minutes.is_null())
        .row(tx)
        .await
}

/// Writes what may change of an entry, unless somebody else changed it meanwhile.
pub(super) async fn replace(tx: &Tx, before: &entry::Model, after: &entry::Model) -> Result<()> {
    let update = tx
        .update::<entry::Entity>()
        .col_expr(entry::Column::Minutes, Expr::val(after.minutes))
        .col_expr(entry::Column::Day, Expr::val(after.day.clone()))
        .col_expr(entry::Column::Note, Expr::val(after.note.clone()))
        .col_expr(entry::Column::UpdatedAt, Expr::val(after.updated_at))
        .col_expr(entry::Column::Revision, Expr::val(after.revision))
        .filter(entry::Column::Id.eq(before.id))
        .filter(entry::Column::Revision.eq(before.revision));
    apply::one_hit(tx.run_update(update).await?)
}

pub(super) async fn start(tx: &Tx, input: &TimerInput) -> Result<StartedTimer> {
    let task = query::live_task(tx, input.task_id).await?;
    let person = author(tx);
    // Two starts at once would each see no timer.
    tx.lock(&format!("work/timer/{person}")).await?;
    let stopped = match running(tx, &person).await? {
        Some(row) if row.task_id == task.id => {
            return Ok(StartedTimer {
                timer: row.into(),
                stopped: None,
            });
        }
        Some(row) => Some(close(tx, row).await?),
        None => None,
    };
    let now = tx.ctx().clock().now();
    let row = entry::Model {
        tenant_id: Uuid::nil(),
        id: new_id(),
        task_id: task.id,
        person,
        minutes: None,
        day: now.date_naive().to_string(),
        note: input.note.clone(),
        started_at: Some(now),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    tx.insert::<entry::Entity>(row.clone()).await?;
    let told = TimerStarted {
        time_entry_id: row.id,
    };
    tx.emit(NewEvent::new("task", task.id, &told));
    Ok(StartedTimer {
        timer: row.into(),
        stopped,
    })
}

pub(super) async fn stop(tx: &Tx) -> Result<StoppedTimer> {
    let person = author(tx);
    tx.lock(&format!("work/timer/{person}")).await?;
    match running(tx, &person).await? {
        Some(row) => close(tx, row).await,
        None => Err(Error::conflict("no_timer", "You have no running timer.")),
    }
}

/// Turns a running timer into logged time.
async fn close(tx: &Tx, before: entry::Model) -> Result<StoppedTimer> {
    let now = tx.ctx().clock().now();
    let ran = before.started_at.map_or(0, |start| (now - start).num_seconds());
    let minutes = Ord::max((ran + HALF) / MINUTE, 1);
    let task = query::task_at(tx, before.task_id).await?;
    // Whatever the task holds already, a timer stops.
    let logged = task.as_ref().and_then(|task| task.actual_minutes).unwrap_or(0);
    let room = (MAX_ACTUAL - logged).clamp(0, MAX_MINUTES);
    let counted = Ord::min(minutes, room);
    let mut after = before.clone();
    after.minutes = Some(counted);
    after.updated_at = now;
    after.revision += 1;
    replace(tx, &before, &after).await?;
    match task {
        Some(task) if task.deleted_at.is_none() => count(tx, &task, counted).await?,
        Some(task) => count_deleted(tx, &task, counted).await?,
        None => {}
    }
    tell_logged(tx, &after);
    Ok(StoppedTimer {
        entry: after.into(),
        cut: minutes > counted,
        lost_minutes: minutes - counted,
    })
}

/// A task that was deleted while its timer ran gets its minutes too: it may come back. Its revision stays, so that the
/// deletion can still be undone.
async fn count_deleted(tx: &Tx, task: &task::Model, minutes: i64) -> Result<()> {
    // Reckoned by the database: another timer that stops on it at the same moment counts too, and no revision tells of it.
    let sum = || Func::coalesce([Expr::col(task::Column::ActualMinutes), Expr::val(0)]);
    let sum = || Expr::from(sum()).add(minutes);
    let sum = CaseStatement::new()
        .case(sum().gt(MAX_ACTUAL), Expr::val(MAX_ACTUAL))
        .finally(sum());
    let update = tx
        .update::<task::Entity>()
        .col_expr(task::Column::ActualMinutes, sum.into())
        .filter(task::Column::Id.eq(task.id))
        .filter(task::Column::Revision.eq(task.revision));
    apply::one_hit(tx.run_update(update).await?)
}
