//! What happened to a task: the log's events about it, which comments and logged time belong to.

use crate::comments::comment;
use crate::query;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use synapscale_core::{Actor, Error, Result};
use synapscale_ops::{Method, Operation, Page, page};
use synapscale_store::events::{Cursor, Event, EventFilter};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Whose activity to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListActivity {
    /// The task; a deleted one tells of itself too until it is purged.
    task_id: Uuid,
    /// Most items to return.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default)]
    #[schemars(length(max = 200))]
    cursor: Option<String>,
}

/// One thing that happened to a task.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Activity {
    /// Its id in the event log.
    id: Uuid,
    /// What happened, such as `task.updated` or `comment.created`.
    kind: String,
    /// Who did it.
    actor: Actor,
    /// For whom, if for somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Actor>,
    /// Changed fields, before and after.
    changes: Value,
    /// What belongs to the kind, such as the patch set's or the comment's id.
    data: Value,
    /// When.
    at: DateTime<Utc>,
}

impl From<Event> for Activity {
    fn from(event: Event) -> Self {
        Activity {
            id: event.id,
            kind: event.kind,
            actor: event.actor,
            on_behalf_of: event.on_behalf_of,
            changes: event.changes,
            data: event.data,
            at: event.at,
        }
    }
}

async fn list(tx: &Tx, wanted: &ListActivity) -> Result<Page<Activity>> {
    let there = query::task_at(tx, wanted.task_id).await?;
    there.ok_or_else(|| Error::not_found("task"))?;
    let from = wanted.cursor.as_deref().map(Cursor::from_str).transpose();
    let from =
        from.map_err(|_| Error::invalid("/cursor", "cursor", "This cursor was not given out by this list."))?;
    let filter = EventFilter {
        kinds: Vec::new(),
        subject: Some(format!("task:{}", wanted.task_id)),
        ..EventFilter::default()
    };
    let limit = u32::try_from(page::limit(wanted.limit)).unwrap_or(page::MAX_LIMIT);
    let batch = tx.events(from.as_ref(), &filter, limit, true).await?;
    let full = batch.events.len() >= limit as usize;
    let next_cursor = full.then(|| batch.next.to_string());
    let mut items: Vec<Activity> = batch.events.into_iter().map(Activity::from).collect();
    forget_deleted(tx, &mut items).await?;
    Ok(Page { items, next_cursor })
}

/// What a deleted comment said is told here no more; the audit trail, which fewer may read, keeps it.
async fn forget_deleted(tx: &Tx, items: &mut [Activity]) -> Result<()> {
    let of_comment = |item: &Activity| -> Option<Uuid> {
        let comment = item.kind.starts_with("comment.").then_some(&item.data)?;
        comment.get("comment_id")?.as_str()?.parse().ok()
    };
    let ids: HashSet<Uuid> = items.iter().filter_map(of_comment).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = tx
        .find::<comment::Entity>()
        .filter(comment::Column::Id.is_in(ids))
        .rows(tx)
        .await?;
    let there: HashSet<Uuid> = rows.into_iter().map(|row| row.id).collect();
    for item in items {
        if of_comment(item).is_some_and(|id| !there.contains(&id)) {
            item.changes = Value::Object(Map::new());
        }
    }
    Ok(())
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::read("tasks.activity", "List what happened to a task")
            .about("Lists what happened to a task, with its comments and logged time, the newest first: who, when, which fields before and after.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/activity")
            .handle(|tx: Tx, input: Arc<ListActivity>| async move { list(&tx, &input).await }),
    ]
}
