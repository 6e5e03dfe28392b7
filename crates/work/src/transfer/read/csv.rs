//! Tables: how they are written is found out, columns are known by their headers or by what somebody says they are.

use super::values::{self, folded};
use super::{Wanted, bounded};
use crate::recurrence::Recurrence;
use crate::transfer::item::{Item, Note, Reading};
use csv::{ReaderBuilder, StringRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use synapscale_core::{Error, Result};

/// How much of a file shows what stands between its cells, in bytes.
const SAMPLE: usize = 64 * 1024;
/// Lines of it that are looked at.
const SAMPLE_LINES: usize = 50;
/// Most columns.
const MAX_COLUMNS: usize = 200;

/// What a column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Field {
    /// What names the task: with it, a later file changes the same task whatever its title is.
    Id,
    /// The id of the task it is part of.
    Parent,
    /// The name of its project.
    Project,
    /// What is to be done.
    Title,
    /// In more words.
    Description,
    /// Where it stands, such as todo, in progress or done.
    Status,
    /// How much it matters, such as low, high or p1.
    Priority,
    /// Who does it.
    Assignee,
    /// Until when.
    DueDate,
    /// When it is to be worked on.
    ScheduledDate,
    /// How it comes again, such as weekly.
    Recurrence,
    /// How long it should take: minutes, 1:30 or 1h 30m.
    EstimatedMinutes,
    /// How long it took.
    ActualMinutes,
    /// Tags, with commas or semicolons between them.
    Tags,
    /// The ids of the tasks that it waits for.
    BlockedBy,
    /// Whether it is in the archive.
    Archived,
    /// Its place among its siblings.
    Position,
    /// A comment on it.
    Comment,
    /// Nothing that is wanted.
    Ignore,
}

/// How a table is written, and what its columns are taken for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CsvLook {
    /// What stands between cells: a comma, a semicolon, a tab or a bar.
    pub delimiter: String,
    /// The columns in their order.
    pub columns: Vec<Column>,
}

impl CsvLook {
    /// Whether a column is taken for the title, without which no row is a task.
    pub fn has_title(&self) -> bool {
        self.columns.iter().any(|column| column.field == Field::Title)
    }
}

/// No column is taken for the title.
pub(crate) fn no_title() -> Error {
    let words = "No column is known as the title. Say in `columns` which one it is.";
    Error::invalid("/columns", "no_title_column", words).with_code("no_title_column")
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Column {
    /// Its header.
    pub header: String,
    /// What it is taken for.
    pub field: Field,
    /// The first thing that stands in it.
    pub sample: String,
}

/// What a header says, in the words of many products.
fn known(header: &str) -> Field {
    match folded(header).as_str() {
        "id" | "key" | "taskid" | "uuid" | "issuekey" | "number" => Field::Id,
        "parent" | "parentid" | "parenttask" | "parenttaskid" => Field::Parent,
        "project" | "projectname" | "list" | "board" => Field::Project,
        "title" | "task" | "name" | "summary" | "subject" | "content" | "taskname" => Field::Title,
        "description" | "notes" | "note" | "body" | "details" => Field::Description,
        "status" | "state" | "completed" | "done" | "column" => Field::Status,
        "priority" | "importance" => Field::Priority,
        "assignee" | "assignedto" | "owner" | "responsible" => Field::Assignee,
        "due" | "duedate" | "deadline" | "dueon" => Field::DueDate,
        "scheduled" | "scheduleddate" | "start" | "startdate" | "date" => Field::ScheduledDate,
        "recurrence" | "repeat" | "recur" | "repeats" => Field::Recurrence,
        "estimate" | "estimatedminutes" | "estimatedtime" | "duration" => Field::EstimatedMinutes,
        "actualminutes" | "timespent" | "spent" => Field::ActualMinutes,
        "tags" | "labels" | "label" | "tag" => Field::Tags,
        "blockedby" | "dependson" | "depends" | "dependencies" => Field::BlockedBy,
        "archived" => Field::Archived,
        "position" => Field::Position,
        "comment" | "comments" => Field::Comment,
        _ => Field::Ignore,
    }
}

/// What stands between the cells: what cuts the first lines into the most cells, all lines alike.
pub(super) fn delimiter(text: &str) -> char {
    let mut end = text.len().min(SAMPLE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let sample = text.get(..end).unwrap_or(text);
    let score = |delimiter: char| {
        let rows: Vec<usize> = reader(sample, delimiter)
            .records()
            .take(SAMPLE_LINES)
            .filter_map(|row| row.ok().map(|row| row.len()))
            .collect();
        let first = rows.first().copied().unwrap_or(0);
        let alike = rows.iter().filter(|cells| **cells == first).count();
        // One cell is no table; and the last line of the sample may be cut off.
        match first > 1 {
            true => (alike * 100 / rows.len().max(1), first),
            false => (0, first),
        }
    };
    [',', ';', '\t', '|']
        .into_iter()
        .rev()
        .max_by_key(|delimiter| score(*delimiter))
        .unwrap_or(',')
}

pub(super) fn reader(text: &str, delimiter: char) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .delimiter(u8::try_from(delimiter).unwrap_or(b','))
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// The rows of a table with the lines they begin on; the first is the headers. Odd ones are told of.
pub(super) fn rows(text: &str, delimiter: char, reading: &mut Reading) -> Result<Vec<(u64, StringRecord)>> {
    let mut found = Vec::new();
    for row in reader(text, delimiter).into_records() {
        match row {
            Ok(row) => {
                let line = row.position().map_or(0, csv::Position::line);
                if row.iter().any(|cell| !cell.trim().is_empty()) {
                    found.push((line, row));
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let at = format!("line {line}");
                reading.problems.error(
                    &at,
                    "malformed_line",
                    format!("This line cannot be read: {error}."),
                );
            }
        }
        bounded(found.len().saturating_sub(1))?;
    }
    Ok(found)
}

/// Reads a table.
pub(super) fn read(text: &str, wanted: &Wanted) -> Result<(Reading, CsvLook)> {
    let mut reading = Reading::default();
    let delimiter = wanted.delimiter.unwrap_or_else(|| delimiter(text));
    let mut rows = rows(text, delimiter, &mut reading)?.into_iter();
    let headers = rows.next().map(|(_, row)| row).unwrap_or_default();
    if headers.len() > MAX_COLUMNS {
        return Err(Error::too_large("number of columns", MAX_COLUMNS));
    }
    let fields: Vec<Field> = headers
        .iter()
        .map(|header| {
            wanted
                .columns
                .get(header.trim())
                .copied()
                .unwrap_or_else(|| known(header))
        })
        .collect();
    let rows: Vec<_> = rows.collect();
    let columns = headers
        .iter()
        .zip(&fields)
        .enumerate()
        .map(|(index, (header, field))| Column {
            header: header.trim().to_owned(),
            field: *field,
            sample: rows
                .iter()
                .take(SAMPLE_LINES)
                .filter_map(|(_, row)| row.get(index))
                .find(|cell| !cell.trim().is_empty())
                .map(|cell| cell.chars().take(80).collect())
                .unwrap_or_default(),
        });
    let look = CsvLook {
        delimiter: delimiter.to_string(),
        columns: columns.collect(),
    };
    if !look.has_title() {
        // It is shown all the same: somebody says which column it is.
        let message = no_title().message().to_owned();
        reading.problems.error("line 1", "no_title_column", message);
        return Ok((reading, look));
    }
    let mut named = HashMap::new();
    for (line, row) in rows {
        let mut item = item(&row, line, &fields, wanted, &mut reading);
        if item.key.is_empty() {
            // Without an id, the title within its project names the task; the second of the same name is another.
            let name = format!("{}\n{}", item.project.as_deref().unwrap_or_default(), item.title);
            let nth = named.entry(name.clone()).or_insert(0_usize);
            *nth += 1;
            item.key = synapscale_engine::named_id(&format!("{name}\n{nth}")).to_string();
        }
        reading.take(item);
    }
    Ok((reading, look))
}

/// Where a value cannot be read, it is left out and told of.
fn value<T>(found: Option<T>, at: &str, what: &str, cell: &str, reading: &mut Reading) -> Option<T> {
    if found.is_none() {
        let shown: String = cell.chars().take(40).collect();
        reading.problems.warn(
            at,
            what,
            format!("`{shown}` is left out: it is no {}.", what.replace('_', " ")),
        );
    }
    found
}

fn item(row: &StringRecord, line: u64, fields: &[Field], wanted: &Wanted, reading: &mut Reading) -> Item {
    let at = format!("line {line}");
    let mut item = Item {
        at: at.clone(),
        ..Item::default()
    };
    for (cell, field) in row.iter().zip(fields) {
        let cell = unguarded(cell.trim());
        if cell.is_empty() {
            continue;
        }
        let own = || cell.to_owned();
        let time = |what: &str, reading: &mut Reading| {
            value(
                values::time(cell, wanted.utc_offset_minutes),
                &at,
                what,
                cell,
                reading,
            )
        };
        match field {
            Field::Id => item.key = own(),
            Field::Parent => item.parent = Some(own()),
            Field::Project => item.project = Some(own()),
            Field::Title => item.title = own(),
            Field::Description => item.description = Some(own()),
            Field::Status => item.status = value(values::status(cell), &at, "status", cell, reading),
            Field::Priority => item.priority = value(values::priority(cell), &at, "priority", cell, reading),
            Field::Assignee => item.assignee = Some(own()),
            Field::DueDate => item.due = time("date", reading),
            Field::ScheduledDate => item.scheduled = time("date", reading),
            Field::Recurrence => {
                let rule = serde_json::from_str::<Recurrence>(cell)
                    .ok()
                    .or_else(|| values::rule(cell));
                item.recurrence = value(rule, &at, "rule_for_coming_again", cell, reading);
            }
            Field::EstimatedMinutes => {
                item.estimated = value(values::minutes(cell), &at, "number_of_minutes", cell, reading);
            }
            Field::ActualMinutes => {
                item.actual = value(values::minutes(cell), &at, "number_of_minutes", cell, reading);
            }
            Field::Tags => item.tags.get_or_insert_default().extend(values::list(cell)),
            Field::BlockedBy => item.waits.extend(values::list(cell)),
            Field::Archived => {
                item.archived = Some(matches!(folded(cell).as_str(), "true" | "yes" | "x" | "1"))
            }
            Field::Position => item.position = Some(own()),
            Field::Comment => item.notes.push(Note {
                key: synapscale_engine::named_id(cell).to_string(),
                body: own(),
                ..Note::default()
            }),
            Field::Ignore => {}
        }
    }
    item
}

/// A cell without the mark that keeps a spreadsheet from taking it for a formula, which our own export sets.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r']) => rest,
        _ => cell,
    }
}

/// The headers of a table by their names.
pub(super) fn by_name(headers: &StringRecord) -> BTreeMap<String, usize> {
    let names = headers.iter().enumerate();
    names
        .map(|(index, name)| (name.trim().to_owned(), index))
        .collect()
}
