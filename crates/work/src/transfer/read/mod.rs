//! Files of tasks as items: what wrote them is found out, what is wrong with them is told by line.

mod csv;
mod github;
mod own;
mod taskwarrior;
mod todoist;
pub(super) mod values;

pub(crate) use self::csv::{CsvLook, Field, no_title};
pub(super) use own::{OwnComment, OwnTask, OwnTime};

use super::item::Reading;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use synapscale_core::{Error, Result};

/// Largest file, in bytes.
pub(crate) const MAX_FILE: usize = 16 * 1024 * 1024;
/// Most tasks of one file.
pub(crate) const MAX_ITEMS: usize = 50_000;

/// What wrote a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// A table with a line of headers.
    Csv,
    /// This product's own export as JSON.
    Json,
    /// Todoist: a project exported as CSV.
    TodoistCsv,
    /// Todoist: the answer of its sync API.
    Todoist,
    /// Taskwarrior: `task export`.
    Taskwarrior,
    /// GitHub: a list of issues from its REST API.
    Github,
}

impl Format {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::TodoistCsv => "todoist_csv",
            Format::Todoist => "todoist",
            Format::Taskwarrior => "taskwarrior",
            Format::Github => "github",
        }
    }
}

/// What the reader is told beside the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    pub format: Option<Format>,
    /// Columns of a table by their headers.
    pub columns: BTreeMap<String, Field>,
    /// Between the cells of a table.
    pub delimiter: Option<char>,
    /// How many minutes the clock of times without a zone is ahead of UTC.
    pub utc_offset_minutes: i32,
    /// The file's name without its ending.
    pub name: String,
}

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub format: Format,
    pub reading: Reading,
    /// How a table is written.
    pub table: Option<CsvLook>,
}

/// Reads a file.
///
/// # Errors
/// 422 `not_utf8`, `unknown_format`, `malformed_file`; 413 `too_large`.
pub(crate) fn read(bytes: &[u8], wanted: &Wanted) -> Result<Read> {
    if bytes.len() > MAX_FILE {
        return Err(Error::too_large("file", "16 MiB"));
    }
    let text = text(bytes)?;
    let format = match wanted.format {
        Some(format) => format,
        None => detect(text)?,
    };
    let mut table = None;
    let reading = match format {
        Format::Csv => {
            let (reading, look) = csv::read(text, wanted)?;
            table = Some(look);
            reading
        }
        Format::TodoistCsv => todoist::read_csv(text, wanted)?,
        Format::Json => own::read(text)?,
        Format::Todoist => todoist::read(text, wanted)?,
        Format::Taskwarrior => taskwarrior::read(text)?,
        Format::Github => github::read(text)?,
    };
    Ok(Read {
        format,
        reading,
        table,
    })
}

/// The file's text without the mark that some products begin it with.
fn text(bytes: &[u8]) -> Result<&str> {
    let faulty = |message: String| Error::invalid("/file", "not_utf8", message).with_code("not_utf8");
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        let words = "This file is written in UTF-16. Save it as UTF-8 and try again.";
        return Err(faulty(words.to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        faulty(format!(
            "Line {line} is not UTF-8 (byte {} of the file). Save the file as UTF-8 and try again.",
            error.valid_up_to()
        ))
    })?;
    Ok(text.strip_prefix('\u{FEFF}').unwrap_or(text))
}

/// What wrote the file, by how it begins and what its first entries have.
fn detect(text: &str) -> Result<Format> {
    let start = text.trim_start();
    if start.is_empty() {
        return Err(unknown("The file is empty."));
    }
    if !start.starts_with(['{', '[']) {
        let header = start.lines().next().unwrap_or_default();
        let has = |name: &str| {
            header
                .split([',', ';', '\t'])
                .any(|cell| cell.trim_matches('"') == name)
        };
        return Ok(match has("TYPE") && has("CONTENT") && has("INDENT") {
            true => Format::TodoistCsv,
            false => Format::Csv,
        });
    }
    let first: BTreeMap<String, &RawValue> = match start.starts_with('[') {
        true => match raw_list(start)?.first() {
            Some(first) => object(first.get())?,
            None => return Err(unknown("The list in the file is empty.")),
        },
        false => match object(start) {
            Ok(object) => object,
            // Taskwarrior may write one object on each line.
            Err(_) => object(start.lines().next().unwrap_or_default())?,
        },
    };
    let has = |names: &[&str]| names.iter().all(|name| first.contains_key(*name));
    if has(&["format", "tasks"]) {
        Ok(Format::Json)
    } else if has(&["uuid", "description"]) {
        Ok(Format::Taskwarrior)
    } else if has(&["number", "title"]) {
        Ok(Format::Github)
    } else if has(&["items"]) || has(&["content", "project_id"]) {
        Ok(Format::Todoist)
    } else {
        Err(unknown("Nobody knows what wrote this JSON. Name its format."))
    }
}

fn unknown(message: &str) -> Error {
    Error::invalid("/format", "unknown_format", message).with_code("unknown_format")
}

fn malformed(error: &serde_json::Error) -> Error {
    let message = format!("The file is not the JSON that it should be: {error}.");
    Error::invalid("/file", "malformed_file", message).with_code("malformed_file")
}

fn object(text: &str) -> Result<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).map_err(|error| malformed(&error))
}

/// The members of a list, each as its text: one that is odd does not take the others with it.
fn raw_list(text: &str) -> Result<Vec<&RawValue>> {
    let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    bounded(list.len())?;
    Ok(list)
}

fn bounded(count: usize) -> Result<()> {
    match count > MAX_ITEMS {
        true => Err(Error::too_large("number of entries in the file", MAX_ITEMS)),
        false => Ok(()),
    }
}

/// The members of a list that can be read, with their places below `at`; the others are told of.
fn members<'a, T: DeserializeOwned + 'a>(
    list: Vec<&'a RawValue>,
    at: &'a str,
    reading: &mut Reading,
) -> Vec<(String, T)> {
    let mut found = Vec::with_capacity(list.len());
    for (index, raw) in list.into_iter().enumerate() {
        let place = format!("{at}/{index}");
        match serde_json::from_str(raw.get()) {
            Ok(value) => found.push((place, value)),
            Err(error) => reading.problems.error(
                &place,
                "malformed_entry",
                format!("This entry cannot be read: {error}."),
            ),
        }
    }
    found
}

/// An id that is a number or a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

impl Id {
    fn text(self) -> String {
        match self {
            Id::Text(text) => text,
            Id::Number(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
