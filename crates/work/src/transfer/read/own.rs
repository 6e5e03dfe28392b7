//! This product's own export as JSON.

use super::{malformed, members, object, raw_list};
use crate::model::{Priority, TaskStatus};
use crate::recurrence::Recurrence;
use crate::transfer::item::{Item, Note, Reading, Spent};
use crate::transfer::write::{FORMAT, VERSION};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use synapscale_core::{Error, Result};

/// A task as the export writes it. Later versions may add fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OwnTask {
    pub id: String,
    pub project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub status: Option<TaskStatus>,
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_date: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_date: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurrence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_minutes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual_minutes: Option<i64>,
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub integration_ids: BTreeMap<String, String>,
    pub archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<OwnComment>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time: Vec<OwnTime>,
    /// Whether it has more comments or logged time than an export holds of one task.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A comment as the export writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OwnComment {
    pub id: String,
    pub body: String,
    pub author: Option<String>,
    pub created_at: Option<DateTime<Utc>>,
}

/// Logged time as the export writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OwnTime {
    pub id: String,
    pub minutes: i64,
    pub date: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub person: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Reading> {
    let mut reading = Reading::default();
    let parts = object(text)?;
    let field = |name: &str| parts.get(name).map(|raw| raw.get());
    let format: Option<String> = field("format").and_then(|raw| serde_json::from_str(raw).ok());
    let version: Option<u64> = field("version").and_then(|raw| serde_json::from_str(raw).ok());
    if format.as_deref() != Some(FORMAT) || version.is_none_or(|version| version > VERSION) {
        let message = format!("This is no export of version {VERSION} or older: its `format` is {FORMAT}.");
        return Err(Error::invalid("/file", "unknown_format", message).with_code("unknown_format"));
    }
    let Some(tasks) = field("tasks") else {
        return Err(malformed(&serde::de::Error::missing_field("tasks")));
    };
    let tasks: Vec<(String, OwnTask)> = members(raw_list(tasks)?, "/tasks", &mut reading);
    for (at, task) in tasks {
        if task.more {
            reading
                .problems
                .warn(&at, "more", "The export left out some of its comments or time.");
        }
        reading.take(item(at, task));
    }
    Ok(reading)
}

fn item(at: String, task: OwnTask) -> Item {
    let notes = task.comments.into_iter().map(|comment| Note {
        key: comment.id,
        body: comment.body,
        author: comment.author,
        at: comment.created_at,
    });
    let times = task.time.into_iter().filter_map(|time| {
        super::values::day(&time.date)?;
        Some(Spent {
            key: time.id,
            minutes: time.minutes,
            day: time.date,
            note: time.note,
        })
    });
    Item {
        at,
        key: task.id,
        parent: task.parent_id,
        project: task.project,
        title: task.title,
        description: task.description,
        status: task.status,
        priority: task.priority,
        assignee: task.assignee,
        due: task.due_date,
        scheduled: task.scheduled_date,
        recurrence: task.recurrence,
        estimated: task.estimated_minutes,
        actual: task.actual_minutes,
        tags: Some(task.tags),
        archived: Some(task.archived),
        position: task.position,
        waits: task.blocked_by,
        elsewhere: task.integration_ids,
        metadata: task.metadata,
        notes: notes.collect(),
        times: times.collect(),
    }
}
