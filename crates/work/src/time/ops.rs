//! The operations on logged time and timers.

use super::timer::{RunningTimer, StartedTimer, StoppedTimer, TimerInput};
use super::{MAX_MINUTES, TimeEntry, count, day, entry, live, may_correct, sums, tell_logged, timer};
use crate::events::{TimeChanged, TimeDeleted};
use crate::{apply, author, query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use synapscale_core::{Error, NewEvent, Result, diff, new_id};
use synapscale_ops::{Envelope, Method, NoInput, NoOutput, Operation, Outcome, Page, Patch, page};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Time spent on a task.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LogTime {
    /// The task.
    task_id: Uuid,
    /// How long, in minutes: a day at most.
    #[schemars(range(min = 1, max = 1_440))]
    minutes: i64,
    /// On which day, such as 2026-03-02; today in UTC unless given.
    #[serde(default)]
    #[schemars(length(min = 10, max = 10))]
    date: Option<String>,
    /// What was done.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    note: Option<String>,
}

/// A correction; what is absent stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CorrectTime {
    /// The entry.
    time_entry_id: Uuid,
    /// How long, in minutes.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_440))]
    minutes: Patch<i64>,
    /// On which day.
    #[serde(default)]
    #[schemars(length(min = 10, max = 10))]
    date: Patch<String>,
    /// What was done.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    note: Patch<String>,
}

/// An entry by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EntryId {
    /// The entry.
    time_entry_id: Uuid,
}

/// A task by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TimeOf {
    /// The task.
    task_id: Uuid,
}

/// Which entries to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListTime {
    /// Of this task.
    task_id: Option<Uuid>,
    /// Of this person, such as `user:ID`; `me` for the caller.
    #[schemars(length(max = 100))]
    person: Option<String>,
    /// From this day on.
    #[schemars(length(min = 10, max = 10))]
    from: Option<String>,
    /// Up to and with this day.
    #[schemars(length(min = 10, max = 10))]
    to: Option<String>,
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// One person's minutes.
#[derive(Serialize, JsonSchema)]
struct PersonMinutes {
    /// Who: `user:ID`, or another kind of actor.
    person: String,
    /// The logged minutes.
    minutes: i64,
}

/// The minutes of a task and of all below it.
#[derive(Serialize, JsonSchema)]
struct TimeSums {
    /// The task.
    task_id: Uuid,
    /// How many tasks are summed: it and all below it.
    tasks: usize,
    /// Logged on the task itself.
    logged_minutes: i64,
    /// Logged on it and all below it.
    total_logged_minutes: i64,
    /// Its own `actual_minutes`: what was logged, and what was set by hand.
    actual_minutes: i64,
    /// The sum of `actual_minutes` over it and all below it.
    total_actual_minutes: i64,
    /// Its own estimate.
    estimated_minutes: i64,
    /// The sum of the estimates over it and all below it.
    total_estimated_minutes: i64,
    /// Who logged how much on it and all below it.
    people: Vec<PersonMinutes>,
}

async fn log(tx: &Tx, input: &LogTime) -> Result<TimeEntry> {
    let task = query::live_task(tx, input.task_id).await?;
    let now = tx.ctx().clock().now();
    let row = entry::Model {
        tenant_id: Uuid::nil(),
        id: new_id(),
        task_id: task.id,
        person: author(tx),
        minutes: Some(input.minutes),
        day: match &input.date {
            Some(text) => day(text)?,
            None => now.date_naive().to_string(),
        },
        note: input.note.clone(),
        started_at: None,
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    tx.insert::<entry::Entity>(row.clone()).await?;
    count(tx, &task, input.minutes).await?;
    tell_logged(tx, &row);
    Ok(row.into())
}

async fn correct(tx: &Tx, input: &CorrectTime, envelope: &Envelope) -> Result<TimeEntry> {
    let (before, task) = live(tx, input.time_entry_id).await?;
    may_correct(tx, &before.person)?;
    if let Some(expected) = envelope.expected_revision.filter(|e| *e != before.revision) {
        return Err(Error::stale("time entry", expected, before.revision));
    }
    let Some(old) = before.minutes else {
        return Err(Error::conflict(
            "timer_running",
            "This timer runs; stop it first.",
        ));
    };
    let mut after = before.clone();
    let mut minutes = old;
    input.minutes.apply_required(&mut minutes, "/minutes")?;
    after.minutes = Some(minutes.clamp(0, MAX_MINUTES));
    input.date.apply_required(&mut after.day, "/date")?;
    after.day = day(&after.day)?;
    input.note.apply(&mut after.note);
    after.updated_at = tx.ctx().clock().now();
    after.revision += 1;
    timer::replace(tx, &before, &after).await?;
    count(tx, &task, minutes - old).await?;
    let shown = |row: &entry::Model| json!({ "minutes": row.minutes, "date": row.day, "note": row.note });
    let told = TimeChanged {
        time_entry_id: after.id,
    };
    let changes = diff(&shown(&before), &shown(&after));
    tx.emit(NewEvent::new("task", task.id, &told).with_changes(changes));
    Ok(after.into())
}

async fn delete(tx: &Tx, input: &EntryId) -> Result<NoOutput> {
    let (row, task) = live(tx, input.time_entry_id).await?;
    may_correct(tx, &row.person)?;
    let gone = tx
        .delete::<entry::Entity>()
        .filter(entry::Column::Id.eq(row.id))
        .filter(entry::Column::Revision.eq(row.revision));
    apply::one_hit(tx.run_delete(gone).await?)?;
    count(tx, &task, -row.minutes.unwrap_or(0)).await?;
    let told = TimeDeleted {
        time_entry_id: row.id,
        minutes: row.minutes,
        date: row.day,
    };
    tx.emit(NewEvent::new("task", task.id, &told));
    Ok(NoOutput {})
}

async fn list(tx: &Tx, wanted: &ListTime) -> Result<Page<TimeEntry>> {
    let limit = page::limit(wanted.limit);
    let mut found = tx.find::<entry::Entity>();
    if let Some(task) = wanted.task_id {
        found = found.filter(entry::Column::TaskId.eq(task));
    }
    if let Some(person) = &wanted.person {
        let person = if person == "me" {
            author(tx)
        } else {
            person.clone()
        };
        found = found.filter(entry::Column::Person.eq(person));
    }
    let at = |error: Error, field: &str| Error::invalid(field, "date", error.message().to_owned());
    if let Some(from) = &wanted.from {
        found = found.filter(entry::Column::Day.gte(day(from).map_err(|e| at(e, "/from"))?));
    }
    if let Some(to) = &wanted.to {
        found = found.filter(entry::Column::Day.lte(day(to).map_err(|e| at(e, "/to"))?));
    }
    if let Some((day, id)) = page::decode_opt::<(String, Uuid)>(wanted.cursor.as_deref())? {
        let same_day = Condition::all()
            .add(entry::Column::Day.eq(day.clone()))
            .add(entry::Column::Id.lt(id));
        found = found.filter(Condition::any().add(entry::Column::Day.lt(day)).add(same_day));
    }
    let rows = found
        .order_by_desc(entry::Column::Day)
        .order_by_desc(entry::Column::Id)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    Ok(Page::cut(rows, limit, |row| (row.day.clone(), row.id))?.map(TimeEntry::from))
}

async fn sum(tx: &Tx, root: Uuid) -> Result<TimeSums> {
    let tasks = query::subtree(tx, root).await?;
    let Some(own) = tasks.iter().find(|task| task.id == root) else {
        return Err(Error::not_found("task"));
    };
    let logged = tx
        .query_by(&sums(tx, root), |row| {
            let task: Uuid = row.try_get_by_index(0)?;
            let person: String = row.try_get_by_index(1)?;
            let minutes: i64 = row.try_get_by_index(2)?;
            Ok((task, person, minutes))
        })
        .await?;
    let mut people: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, person, minutes) in &logged {
        *people.entry(person).or_default() += minutes;
    }
    let own_logged = logged.iter().filter(|(task, ..)| *task == root);
    Ok(TimeSums {
        task_id: root,
        tasks: tasks.len(),
        logged_minutes: own_logged.map(|(_, _, minutes)| minutes).sum(),
        total_logged_minutes: people.values().sum(),
        actual_minutes: own.actual_minutes.unwrap_or(0),
        total_actual_minutes: tasks.iter().filter_map(|task| task.actual_minutes).sum(),
        estimated_minutes: own.estimated_minutes.unwrap_or(0),
        total_estimated_minutes: tasks.iter().filter_map(|task| task.estimated_minutes).sum(),
        people: people
            .into_iter()
            .map(|(person, minutes)| PersonMinutes {
                person: person.to_owned(),
                minutes,
            })
            .collect(),
    })
}

pub(crate) fn operations() -> Vec<Operation> {
    let mut all = timers();
    all.extend([
        Operation::write("time.create", "Log time on a task")
            .about("Logs minutes that the caller spent on a task. The task's actual_minutes rise by them.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/time")
            .revisioned()
            .handle(|tx: Tx, input: Arc<LogTime>| async move { log(&tx, &input).await.map(Outcome::Done) }),
        Operation::read("tasks.time", "Sum up the time of a task")
            .about("Sums logged, actual and estimated minutes of a task and of all below it, and who logged how much.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/time")
            .handle(|tx: Tx, input: Arc<TimeOf>| async move { sum(&tx, input.task_id).await }),
        Operation::read("time.list", "List logged time")
            .about("Lists logged time by task, person and days, the latest day first.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/time")
            .handle(|tx: Tx, input: Arc<ListTime>| async move { list(&tx, &input).await }),
        Operation::write("time.update", "Correct logged time")
            .about("Corrects minutes, day or note of an entry. Others' entries need the permission time:manage, which admins have.")
            .permission("tasks:write")
            .rest(Method::PATCH, "/time/{time_entry_id}")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<CorrectTime>, envelope: Envelope| async move {
                correct(&tx, &input, &envelope).await.map(Outcome::Done)
            }),
        Operation::write("time.delete", "Delete logged time")
            .about("Deletes an entry for good; the task's actual_minutes fall by it. Others' entries need the permission time:manage.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::DELETE, "/time/{time_entry_id}")
            .handle(|tx: Tx, input: Arc<EntryId>| async move { delete(&tx, &input).await.map(Outcome::Done) }),
    ]);
    all
}

fn timers() -> Vec<Operation> {
    vec![
        Operation::write("timers.start", "Start a timer on a task")
            .about("Starts the caller's timer on a task. There is one timer for each person: one that runs on another task is stopped, and the answer says so.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/timer")
            .handle(|tx: Tx, input: Arc<TimerInput>| async move {
                let started: StartedTimer = timer::start(&tx, &input).await?;
                Ok(Outcome::Done(started))
            }),
        Operation::write("timers.stop", "Stop the timer")
            .about("Stops the caller's timer: its minutes, rounded, at least 1 and at most 1440, are logged on its task.")
            .permission("tasks:write")
            .rest(Method::POST, "/timer/stop")
            .handle(|tx: Tx, _: Arc<NoInput>| async move {
                let stopped: StoppedTimer = timer::stop(&tx).await?;
                Ok(Outcome::Done(stopped))
            }),
        Operation::read("timers.get", "Get the running timer")
            .about("Returns the caller's running timer, or null.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/timer")
            .handle(|tx: Tx, _: Arc<NoInput>| async move {
                let timer = timer::running(&tx, &author(&tx)).await?.map(TimeEntry::from);
                Ok(RunningTimer { timer })
            }),
    ]
}
