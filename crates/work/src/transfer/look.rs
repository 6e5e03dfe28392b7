//! An import before it is started: the file is read, put into order and shown.

use super::Options;
use super::arrange::{Part, arrange};
use super::item::{Item, Problems};
use super::kept;
use super::origins::{self, Kind, external_id};
use super::read::{self, CsvLook, Field, Format, Read, Wanted};
use super::state::{self, ImportStatus, import};
use crate::model::{Priority, TaskStatus};
use crate::query;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synapscale_core::{Error, Result};
use synapscale_ops::Prepare;
use uuid::Uuid;

/// Rows that a preview shows.
const SHOWN: usize = 50;

/// How a file is to be read, and where its tasks go.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadImport {
    /// The import.
    pub import_id: Uuid,
    /// What wrote the file; found out unless given.
    #[serde(default)]
    format: Option<Format>,
    /// The project that all tasks go into; each goes into its own, by name, unless given.
    #[serde(default)]
    project_id: Option<Uuid>,
    /// What the columns of a table hold, by their headers; known from the headers unless given.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 200))]
    columns: BTreeMap<String, Field>,
    /// What stands between the cells of a table; found out unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1), regex(pattern = "^[,;|\t]$"))]
    delimiter: Option<String>,
    /// How many minutes the clock of times without a zone is ahead of UTC.
    #[serde(default)]
    #[schemars(range(min = -840, max = 840))]
    utc_offset_minutes: i32,
    /// Where the file's ids belong: files of the same source change one another's tasks. Unless given, products have one
    /// each, and a table has its name and project.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    source: Option<String>,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Becomes {
    /// A new task.
    Create,
    /// A change of a task that was imported before.
    Update,
    /// Nothing: the task was imported before as it stands in the file.
    Unchanged,
}

/// A row of the file as it would be taken.
#[derive(Serialize, JsonSchema)]
struct PreviewRow {
    /// Where it stands in the file.
    at: String,
    /// What becomes of it.
    becomes: Becomes,
    /// Its title.
    title: String,
    /// Its project's name; null when it goes where its parent is.
    project: Option<String>,
    /// Whether it is part of another task.
    is_part: bool,
    /// Where it stands.
    status: Option<TaskStatus>,
    /// How much it matters.
    priority: Option<Priority>,
    /// Who does it.
    assignee: Option<String>,
    /// Until when.
    due_date: Option<DateTime<Utc>>,
    /// When it is to be worked on.
    scheduled_date: Option<DateTime<Utc>>,
    /// Whether it comes again.
    recurs: bool,
    /// Its tags.
    tags: Vec<String>,
    /// How many comments it has.
    comments: usize,
    /// For how many tasks it waits.
    waits_for: usize,
}

/// What an import would do.
#[derive(Serialize, JsonSchema)]
pub(super) struct ImportPreview {
    /// What wrote the file.
    format: Format,
    /// How a table is written, and what its columns are taken for.
    table: Option<CsvLook>,
    /// Where the file's ids belong.
    source: String,
    /// How many tasks there are.
    items: usize,
    /// How many would be made.
    created: usize,
    /// How many that stand already would be changed.
    updated: usize,
    /// How many stand already as the file has them.
    unchanged: usize,
    /// The names of the projects that tasks go into, 100 at most.
    projects: Vec<String>,
    /// The first 50 rows.
    rows: Vec<PreviewRow>,
    /// What is wrong with the file's rows.
    problems: Problems,
}

/// A file, read and put into order.
pub(super) struct Ready {
    pub input: ReadImport,
    pub read: Read,
    pub options: Options,
    pub parts: Vec<Part>,
}

/// The file's name without its ending.
fn stem(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).trim();
    match stem.is_empty() {
        true => "Imported".to_owned(),
        false => stem.to_owned(),
    }
}

/// Reads the file and puts its tasks into order, outside of any transaction.
pub(super) async fn ready(cx: Prepare, input: ReadImport, keep_items: bool) -> Result<Ready> {
    let id = input.import_id;
    let project = input.project_id;
    let (row, bytes) = cx
        .store
        .read(&cx.ctx, |tx| async move {
            let row = state::row(&tx, id).await?;
            // Once started, its parts say what is to be done.
            if row.status() != ImportStatus::Uploading {
                return Ok((row, Vec::new()));
            }
            if let Some(project) = project {
                let found = query::live_project(&tx, project).await;
                found.map_err(|error| error.at("/project_id"))?;
            }
            let bytes = state::file(&tx, id).await?;
            Ok((row, bytes))
        })
        .await?;
    if row.status() != ImportStatus::Uploading {
        return Err(Error::conflict(
            "import_started",
            "This import was started already.",
        ));
    }
    let wanted = Wanted {
        format: input.format,
        columns: input.columns.clone(),
        delimiter: input.delimiter.as_ref().and_then(|text| text.chars().next()),
        utc_offset_minutes: input.utc_offset_minutes,
        name: stem(&row.name),
    };
    let work = tokio::task::spawn_blocking(move || {
        let mut read = read::read(&bytes, &wanted)?;
        let items = std::mem::take(&mut read.reading.items);
        let shown = if keep_items { items.clone() } else { Vec::new() };
        let parts = arrange(items, &mut read.reading.problems);
        read.reading.items = shown;
        Ok::<_, Error>((read, parts))
    });
    let (read, parts) = work.await.map_err(Error::internal)??;
    // A preview shows such a table, so that somebody can say which column it is.
    if !keep_items && read.table.as_ref().is_some_and(|table| !table.has_title()) {
        return Err(read::no_title());
    }
    let options = options(&input, &row, read.format);
    Ok(Ready {
        input,
        read,
        options,
        parts,
    })
}

fn options(input: &ReadImport, row: &import::Model, format: Format) -> Options {
    let whole = match format {
        // Ids of tables are often numbers from 1 on: those of another file are others.
        Format::Csv | Format::TodoistCsv => {
            let project = input.project_id.map(|id| id.to_string()).unwrap_or_default();
            format!("{}:{project}:{}", format.as_str(), row.name)
        }
        _ => format.as_str().to_owned(),
    };
    Options {
        source: input.source.clone().unwrap_or(whole),
        project_id: input.project_id,
        default_project: stem(&row.name),
    }
}

/// Shows what would become of a file.
pub(super) async fn preview(cx: Prepare, input: ReadImport) -> Result<ImportPreview> {
    let (store, ctx) = (cx.store.clone(), cx.ctx.clone());
    let ready = ready(cx, input, true).await?;
    // As they will be taken: in the file's order, without those that are left out.
    let taken: BTreeMap<&str, &Item> = ready
        .parts
        .iter()
        .flat_map(|part| &part.items)
        .map(|item| (item.key.as_str(), item))
        .collect();
    let keys: Vec<String> = taken.keys().map(|key| external_id(Kind::Task, key)).collect();
    let source = ready.options.source.clone();
    let known = store
        .read(&ctx, |tx| {
            let (source, keys) = (source.clone(), keys.clone());
            async move { origins::standing(&tx, &source, keys).await }
        })
        .await?;
    let becomes = |item: &Item| match known.get(&external_id(Kind::Task, &item.key)) {
        Some(digest) if *digest == kept::digest(item) => Becomes::Unchanged,
        Some(_) => Becomes::Update,
        None => Becomes::Create,
    };
    let count = |wanted: Becomes| taken.values().filter(|item| becomes(item) == wanted).count();
    let ordered = ready
        .read
        .reading
        .items
        .iter()
        .filter_map(|item| taken.get(item.key.as_str()));
    let project = |item: &Item| {
        let own = item.parent.is_none() && ready.options.project_id.is_none();
        own.then(|| {
            item.project
                .clone()
                .unwrap_or_else(|| ready.options.default_project.clone())
        })
    };
    let mut projects: Vec<String> = taken.values().filter_map(|item| project(item)).collect();
    projects.sort_unstable();
    projects.dedup();
    projects.truncate(100);
    Ok(ImportPreview {
        items: taken.len(),
        created: count(Becomes::Create),
        updated: count(Becomes::Update),
        unchanged: count(Becomes::Unchanged),
        projects,
        rows: ordered
            .take(SHOWN)
            .map(|item| shown(item, becomes(item), project(item)))
            .collect(),
        format: ready.read.format,
        table: ready.read.table,
        problems: ready.read.reading.problems,
        source: ready.options.source,
    })
}

fn shown(item: &Item, becomes: Becomes, project: Option<String>) -> PreviewRow {
    PreviewRow {
        at: item.at.clone(),
        becomes,
        title: item.title.clone(),
        project,
        is_part: item.parent.is_some(),
        status: item.status,
        priority: item.priority,
        assignee: item.assignee.clone(),
        due_date: item.due,
        scheduled_date: item.scheduled,
        recurs: item.recurrence.is_some(),
        tags: item.tags.clone().unwrap_or_default(),
        comments: item.notes.len(),
        waits_for: item.waits.len(),
    }
}
