//! Logged time: entries in minutes, one running timer for each person, sums up the tree. `actual_minutes` of a task rises
//! and falls with its entries; what was set there by hand stays in it.

mod ops;
mod timer;

pub(crate) use ops::operations;

use crate::entity::task;
use crate::events::TimeLogged;
use crate::patch::{Op, PatchSet, TaskBody, TaskPatch};
use crate::plan::{Plan, Sequence};
use crate::{apply, author, query};
use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{Error, ErrorKind, NewEvent, Result};
use synapscale_ops::{Patch, Revisioned};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Func, Query, SelectStatement};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::schema::{Index, Table, integer, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Tx, tenant_entity};
use uuid::Uuid;

/// Most minutes of one entry: a day.
const MAX_MINUTES: i64 = 1_440;
/// Most minutes of a task, as its own field allows.
const MAX_ACTUAL: i64 = 10_000_000;
/// Who may correct what others logged.
const MANAGE: &str = "time:manage";

tenant_entity! {
    /// Logged time. An entry without minutes is a running timer.
    entry, "time_entries", [id: Uuid], {
        task_id: Uuid,
        person: String,
        minutes: Option<i64>,
        day: String,
        note: Option<String>,
        started_at: Option<DateTimeUtc>,
        created_at: DateTimeUtc,
        updated_at: DateTimeUtc,
        revision: i64,
    }
}

pub(crate) fn migration() -> Migration {
    Migration::new("work_0003_time").create(
        Table::tenant(
            "time_entries",
            [
                uuid("id"),
                uuid("task_id"),
                text("person"),
                integer("minutes").null().between(0, MAX_MINUTES),
                text("day").max(10),
                text("note").null().max(1_000),
                timestamp("started_at").null(),
                timestamp("created_at"),
                timestamp("updated_at"),
                integer("revision").default("1"),
            ],
        )
        .owned_by("task_id", "tasks")
        .check(
            "time_entries_running",
            "minutes IS NOT NULL OR started_at IS NOT NULL",
        )
        .index("time_entries_by_task", &["task_id", "id"])
        .index("time_entries_by_day", &["day", "id"])
        .index_with(
            Index::new("time_entries_one_timer", &["person"])
                .unique()
                .only("minutes IS NULL"),
        ),
    )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(entry::Entity)]
}

/// Logged time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct TimeEntry {
    /// Its id.
    pub id: Uuid,
    /// The task.
    pub task_id: Uuid,
    /// Whose time: `user:ID`, or another kind of actor.
    pub person: String,
    /// The minutes; null while the timer runs.
    pub minutes: Option<i64>,
    /// The day, such as 2026-03-02.
    pub date: String,
    /// What was done.
    pub note: Option<String>,
    /// When the timer was started, if it was one.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was entered.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Raised by every change.
    pub revision: i64,
}

impl Revisioned for TimeEntry {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<entry::Model> for TimeEntry {
    fn from(row: entry::Model) -> Self {
        TimeEntry {
            id: row.id,
            task_id: row.task_id,
            person: row.person,
            minutes: row.minutes,
            date: row.day,
            note: row.note,
            started_at: row.started_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// Reads a day such as 2026-03-02, as rows keep it.
fn day(text: &str) -> Result<String> {
    let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    parsed
        .filter(|_| text.len() == 10)
        .map(|day| day.to_string())
        .ok_or_else(|| Error::invalid("/date", "date", "Write the day as 2026-03-02."))
}

/// Changes the task's own sum by `minutes`, by the same plan as every other change of a task.
async fn count(tx: &Tx, task: &task::Model, minutes: i64) -> Result<()> {
    if minutes == 0 {
        return Ok(());
    }
    let sum = task.actual_minutes.unwrap_or(0) + minutes;
    if sum > MAX_ACTUAL {
        let message = "The task's minutes would be more than a task may have.";
        return Err(Error::invalid("/minutes", "too_many", message));
    }
    let set = PatchSet {
        project_patches: Vec::new(),
        task_patches: vec![TaskPatch {
            body: Some(TaskBody {
                actual_minutes: Patch::Value(Ord::max(sum, 0)),
                ..TaskBody::default()
            }),
            // The sum is of the task as it was read: one that changed meanwhile is read again.
            expected_revision: Some(task.revision),
            ..TaskPatch::of(Op::Update, Some(task.id))
        }],
    };
    let plan = Plan::make(tx, &set, Sequence::Given).await;
    let plan = plan.map_err(|error| match error.kind() {
        ErrorKind::Stale => apply::busy(),
        _ => error,
    })?;
    apply::write(tx, &plan, None).await.map(drop)
}

/// Tells of time that was logged.
pub(crate) fn tell_logged(tx: &Tx, row: &entry::Model) {
    let told = TimeLogged {
        time_entry_id: row.id,
        minutes: row.minutes.unwrap_or(0),
        date: row.day.clone(),
    };
    tx.emit(NewEvent::new("task", row.task_id, &told));
}

/// The entry, if its task is there.
async fn live(tx: &Tx, id: Uuid) -> Result<(entry::Model, task::Model)> {
    let row = tx
        .find::<entry::Entity>()
        .filter(entry::Column::Id.eq(id))
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("time entry"))?;
    match query::task_at(tx, row.task_id).await? {
        Some(task) if task.deleted_at.is_none() => Ok((row, task)),
        _ => Err(Error::not_found("time entry")),
    }
}

/// Whether the caller may correct an entry of `person`.
fn may_correct(tx: &Tx, person: &str) -> Result<()> {
    match person == author(tx) {
        true => Ok(()),
        false => tx.ctx().require(MANAGE),
    }
}

/// The minutes of a task and of all below it, and how many they are by person.
fn sums(tx: &Tx, root: Uuid) -> SelectStatement {
    let (tree, clause) = query::walk_down(tx, root);
    let id = synapscale_store::orm::sea_query::Alias::new("id");
    let mut rows = Query::select();
    rows.expr(Expr::col((entry::Entity, entry::Column::TaskId)))
        .expr(Expr::col((entry::Entity, entry::Column::Person)))
        .expr(Func::sum(Expr::col((entry::Entity, entry::Column::Minutes))).cast_as("bigint"))
        .from(tree.clone())
        .cross_join(entry::Entity)
        .and_where(Expr::col((entry::Entity, entry::Column::TaskId)).equals((tree, id)))
        .and_where(Expr::col((entry::Entity, entry::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(Expr::col((entry::Entity, entry::Column::Minutes)).is_not_null())
        .group_by_columns([
            (entry::Entity, entry::Column::TaskId),
            (entry::Entity, entry::Column::Person),
        ])
        .with_cte(clause);
    rows
}
