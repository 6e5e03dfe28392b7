//! A page of tasks with what belongs to them.

use crate::comments::comment;
use crate::entity::{project, task};
use crate::links;
use crate::model::{Priority, Task};
use crate::query;
use crate::time::entry;
use crate::transfer::read::{OwnComment, OwnTask, OwnTime};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use synapscale_core::Result;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Tasks of a page.
const TASKS: u64 = 250;
/// Comments and entries of time of a page. A page that would have more ends earlier.
const ENTRIES: usize = 2_000;
/// Comments, and entries of time, that one task is exported with.
const MAX_ENTRIES: usize = 1_000;

/// A task with what belongs to it.
pub(super) struct Exported {
    pub own: OwnTask,
    pub priority: Priority,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Tasks of a page, and the last one's id if there are more.
pub(super) struct Batch {
    pub tasks: Vec<Exported>,
    pub last: Option<Uuid>,
}

/// The living tasks after one, in the order of their ids.
pub(super) async fn batch(tx: &Tx, project: Option<Uuid>, after: Option<Uuid>) -> Result<Batch> {
    let mut found = tx
        .find_live::<task::Entity>()
        .order_by_asc(task::Column::Id)
        .limit(TASKS + 1);
    if let Some(project) = project {
        found = found.filter(task::Column::ProjectId.eq(project));
    }
    if let Some(after) = after {
        found = found.filter(task::Column::Id.gt(after));
    }
    let mut rows = found.rows(tx).await?;
    let mut more = rows.len() as u64 > TASKS;
    rows.truncate(usize::try_from(TASKS).unwrap_or(usize::MAX));
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let comments = tx
        .find::<comment::Entity>()
        .filter(comment::Column::TaskId.is_in(ids.iter().copied()))
        .order_by_asc(comment::Column::TaskId)
        .order_by_asc(comment::Column::Id)
        .limit(ENTRIES as u64);
    let comments = comments.rows(tx).await?;
    let times = tx
        .find::<entry::Entity>()
        .filter(entry::Column::TaskId.is_in(ids.iter().copied()))
        .filter(entry::Column::Minutes.is_not_null())
        .order_by_asc(entry::Column::TaskId)
        .order_by_asc(entry::Column::Id)
        .limit(ENTRIES as u64);
    let times = times.rows(tx).await?;
    // Where the entries were cut off, the page ends before the task that may lack some; it has one task at least.
    let cut_at = |count: usize, last: Option<Uuid>| last.filter(|_| count >= ENTRIES);
    let comment_end = cut_at(comments.len(), comments.last().map(|row| row.task_id));
    let time_end = cut_at(times.len(), times.last().map(|row| row.task_id));
    for end in [comment_end, time_end].into_iter().flatten() {
        let whole = rows.iter().take_while(|row| row.id < end).count();
        more |= whole.max(1) < rows.len();
        rows.truncate(whole.max(1));
    }
    let last = rows.last().map(|row| row.id).filter(|_| more);
    let tasks = furnish(tx, rows, comments, times).await?;
    Ok(Batch { tasks, last })
}

/// Puts together what belongs to each task.
async fn furnish(
    tx: &Tx,
    rows: Vec<task::Model>,
    comments: Vec<comment::Model>,
    times: Vec<entry::Model>,
) -> Result<Vec<Exported>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut waits: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for link in links::of(tx, &ids).await? {
        waits.entry(link.blocked_id).or_default().push(link.blocker_id);
    }
    let mut projects: Vec<Uuid> = rows.iter().map(|row| row.project_id).collect();
    projects.sort_unstable();
    projects.dedup();
    let projects = query::projects_by_id(tx, projects).await?;
    let names: HashMap<Uuid, &project::Model> = projects.iter().map(|row| (row.id, row)).collect();
    let mut said: HashMap<Uuid, Vec<comment::Model>> = HashMap::new();
    for row in comments {
        said.entry(row.task_id).or_default().push(row);
    }
    let mut spent: HashMap<Uuid, Vec<entry::Model>> = HashMap::new();
    for row in times {
        spent.entry(row.task_id).or_default().push(row);
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let id = row.id;
        let project = names.get(&row.project_id).map(|row| row.name.clone());
        let mut waits = waits.remove(&id).unwrap_or_default();
        waits.sort_unstable();
        let comments = said.remove(&id).unwrap_or_default();
        let times = spent.remove(&id).unwrap_or_default();
        found.push(exported(row, project, &waits, comments, times));
    }
    Ok(found)
}

fn exported(
    row: task::Model,
    project: Option<String>,
    waits: &[Uuid],
    comments: Vec<comment::Model>,
    times: Vec<entry::Model>,
) -> Exported {
    let more = comments.len() > MAX_ENTRIES || times.len() > MAX_ENTRIES;
    let task = Task::from(row);
    let comments = comments.into_iter().take(MAX_ENTRIES).map(|row| OwnComment {
        id: row.id.to_string(),
        body: row.body,
        author: Some(row.author),
        created_at: Some(row.created_at),
    });
    let times = times.into_iter().take(MAX_ENTRIES).map(|row| OwnTime {
        id: row.id.to_string(),
        minutes: row.minutes.unwrap_or(0),
        date: row.day,
        note: row.note,
        person: Some(row.person),
    });
    let own = OwnTask {
        id: task.id.to_string(),
        project,
        parent_id: task.parent_id.map(|id| id.to_string()),
        title: task.title,
        description: task.description,
        status: Some(task.status),
        priority: Some(task.priority),
        assignee: task.assignee,
        due_date: task.due_date,
        scheduled_date: task.scheduled_date,
        recurrence: task.recurrence,
        estimated_minutes: task.estimated_minutes,
        actual_minutes: task.actual_minutes,
        tags: serde_json::from_value(task.tags).unwrap_or_default(),
        metadata: task.metadata.as_object().cloned().unwrap_or_default(),
        integration_ids: serde_json::from_value(task.integration_ids).unwrap_or_default(),
        archived: task.archived_at.is_some(),
        position: Some(task.position).filter(|place| !place.is_empty()),
        blocked_by: waits.iter().map(Uuid::to_string).collect(),
        comments: comments.collect(),
        time: times.collect(),
        more,
    };
    Exported {
        own,
        priority: task.priority,
        created_at: task.created_at,
        updated_at: task.updated_at,
    }
}
