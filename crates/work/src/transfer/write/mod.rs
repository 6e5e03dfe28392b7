//! Tasks to elsewhere: page by page, so that a hundred thousand of them are never held at once. The pages' contents put
//! together are the file.

mod page;
mod tables;

use crate::query;
use page::{Batch, Exported};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::Result;
use synapscale_ops::{Method, Operation, page as paging};
use synapscale_store::Tx;
use uuid::Uuid;

/// How an export as JSON says what it is.
pub(crate) const FORMAT: &str = "synapscale.tasks";
/// The version of its shape. A reader takes this one and older ones.
pub(crate) const VERSION: u64 = 1;

/// What a file of tasks is written for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExportFormat {
    /// Our own: everything, to be imported again.
    #[default]
    Json,
    /// A table for spreadsheets: without comments, logged time and metadata.
    Csv,
    /// Taskwarrior: `task import`. Comments are annotations; subtasks are tasks of their own.
    Taskwarrior,
}

/// Which tasks to export.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ExportTasks {
    /// What the file is written for.
    format: ExportFormat,
    /// Only tasks of this project.
    project_id: Option<Uuid>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// A page of an export.
#[derive(Serialize, JsonSchema)]
struct ExportPage {
    /// The page's part of the file. All of them one after the other are the file.
    content: String,
    /// What kind of file it is.
    media_type: String,
    /// What to call it.
    file_name: String,
    /// How many tasks are on this page.
    tasks: usize,
    /// Pass as `cursor` to get the next page; null on the last one.
    next_cursor: Option<String>,
}

async fn export(tx: &Tx, wanted: &ExportTasks) -> Result<ExportPage> {
    let after: Option<Uuid> = paging::decode_opt(wanted.cursor.as_deref())?;
    let name = match wanted.project_id {
        Some(id) => query::live_project(tx, id).await?.name,
        None => "tasks".to_owned(),
    };
    let Batch { tasks, last } = page::batch(tx, wanted.project_id, after).await?;
    let content = content(wanted.format, &tasks, after.is_none(), last.is_none());
    let (media_type, ending) = match wanted.format {
        ExportFormat::Csv => ("text/csv; charset=utf-8", "csv"),
        ExportFormat::Json | ExportFormat::Taskwarrior => ("application/json", "json"),
    };
    Ok(ExportPage {
        content,
        media_type: media_type.to_owned(),
        file_name: format!("{}.{ending}", file_name(&name)),
        tasks: tasks.len(),
        next_cursor: last.as_ref().map(paging::encode).transpose()?,
    })
}

fn content(format: ExportFormat, tasks: &[Exported], first: bool, last: bool) -> String {
    match format {
        ExportFormat::Csv => tables::csv(tasks, first),
        ExportFormat::Json => {
            let head = format!("{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"tasks\":[\n");
            let rows = tasks
                .iter()
                .map(|task| serde_json::to_string(&task.own).unwrap_or_default());
            listed(&head, rows, "\n]}\n", first, last)
        }
        ExportFormat::Taskwarrior => {
            let rows = tasks.iter().map(|task| tables::taskwarrior(task).to_string());
            listed("[\n", rows, "\n]\n", first, last)
        }
    }
}

/// Rows of a JSON list, of which pages show parts.
fn listed(head: &str, rows: impl Iterator<Item = String>, tail: &str, first: bool, last: bool) -> String {
    let mut text = String::new();
    if first {
        text.push_str(head);
    }
    for (index, row) in rows.enumerate() {
        if index > 0 || !first {
            text.push_str(",\n");
        }
        text.push_str(&row);
    }
    if last {
        text.push_str(tail);
    }
    text
}

/// A name that every system takes for a file.
fn file_name(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
        .take(80)
        .collect();
    match plain.trim_matches('-') {
        "" => "tasks".to_owned(),
        plain => plain.to_owned(),
    }
}

pub(super) fn operation() -> Operation {
    Operation::read("tasks.export", "Export tasks")
        .about("Writes tasks as CSV, as JSON that can be imported again with comments, dependencies, logged time, places and rules, or for Taskwarrior. Page by page: put the contents of all pages together.")
        .permission("tasks:read")
        .rest(Method::GET, "/export/tasks")
        .handle(|tx: Tx, input: Arc<ExportTasks>| async move { export(&tx, &input).await })
}
