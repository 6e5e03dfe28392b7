//! Tasks of a file, whatever wrote it, and what is wrong with them.

use crate::model::{Priority, TaskStatus};
use crate::recurrence::Recurrence;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Most problems that are listed; all are counted.
const MAX_LISTED: usize = 200;
/// Longest texts, in characters, as tasks and comments allow.
const MAX_TITLE: usize = 500;
const MAX_TEXT: usize = 20_000;
const MAX_NAME: usize = 200;
const MAX_TAG: usize = 64;
const MAX_NOTE: usize = 1_000;
/// Most tags, blockers and entries of one task.
const MAX_TAGS: usize = 50;
const MAX_WAITS: usize = 50;
const MAX_ENTRIES: usize = 1_000;
/// Largest metadata, in bytes of JSON: some of it is ours.
const MAX_METADATA: usize = 60 * 1024;
/// Longest key of a task in a file, in bytes; longer ones are replaced by a digest.
const MAX_KEY: usize = 200;

/// A task of a file. What is not there stays as it is when the task was imported before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    /// Where it stands in the file.
    pub at: String,
    /// What names it in the file, and in later versions of the file.
    pub key: String,
    /// The key of the task it is part of.
    pub parent: Option<String>,
    /// The name of its project.
    pub project: Option<String>,
    pub title: String,
    pub description: Option<String>,
    pub status: Option<TaskStatus>,
    pub priority: Option<Priority>,
    pub assignee: Option<String>,
    pub due: Option<DateTime<Utc>>,
    pub scheduled: Option<DateTime<Utc>>,
    pub recurrence: Option<Recurrence>,
    pub estimated: Option<i64>,
    pub actual: Option<i64>,
    pub tags: Option<Vec<String>>,
    pub archived: Option<bool>,
    pub position: Option<String>,
    /// The keys of the tasks that it waits for.
    pub waits: Vec<String>,
    /// Its ids elsewhere, by system.
    pub elsewhere: BTreeMap<String, String>,
    pub metadata: Map<String, Value>,
    pub notes: Vec<Note>,
    pub times: Vec<Spent>,
}

/// A comment of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    pub key: String,
    pub body: String,
    /// Who wrote it there.
    pub author: Option<String>,
    pub at: Option<DateTime<Utc>>,
}

/// Logged time of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Spent {
    pub key: String,
    pub minutes: i64,
    /// The day, such as 2026-03-02.
    pub day: String,
    pub note: Option<String>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// The row is left out.
    Error,
    /// The row is taken, something of it is not.
    Warning,
}

/// What is wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Problem {
    /// Whether the row is left out for it.
    pub level: Level,
    /// Where: a line, such as `line 4`, or a place in the JSON, such as `/items/3`.
    pub at: String,
    /// A word for it that stays the same.
    pub code: String,
    /// What is wrong, in words.
    pub message: String,
}

/// The problems of a file: the first of them, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Problems {
    /// The first 200.
    pub items: Vec<Problem>,
    /// How many rows are left out.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
}

impl Problems {
    fn add(&mut self, level: Level, at: &str, code: &str, message: impl Into<String>) {
        match level {
            Level::Error => self.errors += 1,
            Level::Warning => self.warnings += 1,
        }
        if self.items.len() < MAX_LISTED {
            self.items.push(Problem {
                level,
                at: without_nul(at).chars().take(MAX_NAME).collect(),
                code: code.to_owned(),
                message: without_nul(&message.into()),
            });
        }
    }

    /// A row that is left out.
    pub fn error(&mut self, at: &str, code: &str, message: impl Into<String>) {
        self.add(Level::Error, at, code, message);
    }

    /// Something that is not taken as it stands.
    pub fn warn(&mut self, at: &str, code: &str, message: impl Into<String>) {
        self.add(Level::Warning, at, code, message);
    }
}

/// What a reader made of a file.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub items: Vec<Item>,
    pub problems: Problems,
}

impl Reading {
    /// Takes an item with everything brought within the bounds of tasks; one without a title is left out.
    pub fn take(&mut self, mut item: Item) {
        item.title = one_line(&item.title);
        if item.title.is_empty() {
            let words = "This has no title.";
            self.problems.error(&item.at, "title_required", words);
            return;
        }
        self.fit(&mut item);
        self.items.push(item);
    }

    fn fit(&mut self, item: &mut Item) {
        let at = item.at.clone();
        let mut cut = |what: &str, text: &mut String, most: usize| {
            text.retain(|letter| letter != '\0');
            if let Some((end, _)) = text.char_indices().nth(most) {
                text.truncate(end);
                let message = format!("The {what} is cut to {most} characters.");
                self.problems.warn(&at, "cut", message);
            }
        };
        cut("title", &mut item.title, MAX_TITLE);
        for (what, text, most) in [
            ("description", &mut item.description, MAX_TEXT),
            ("assignee", &mut item.assignee, MAX_NAME),
            ("name of the project", &mut item.project, MAX_NAME),
        ] {
            if let Some(text) = text {
                cut(what, text, most);
            }
        }
        for note in &mut item.notes {
            if let Some(author) = &mut note.author {
                cut("name of who wrote a comment", author, MAX_NAME);
            }
            cut("comment", &mut note.body, MAX_TEXT - MAX_NOTE);
        }
        for spent in &mut item.times {
            if let Some(note) = &mut spent.note {
                cut("note on time", note, MAX_NOTE);
            }
        }
        for tag in item.tags.iter_mut().flatten() {
            cut("tag", tag, MAX_TAG);
        }
        item.description = item.description.take().filter(|text| !text.trim().is_empty());
        item.assignee = item.assignee.take().filter(|text| !text.trim().is_empty());
        item.project = item
            .project
            .take()
            .map(|text| one_line(&text))
            .filter(|text| !text.is_empty());
        item.notes.retain(|note| !note.body.trim().is_empty());
        if let Some(tags) = &mut item.tags {
            let mut seen = std::collections::BTreeSet::new();
            tags.retain(|tag| !tag.trim().is_empty() && seen.insert(tag.clone()));
        }
        self.count(item, &at);
        item.key = short_key(std::mem::take(&mut item.key));
        item.parent = item.parent.take().map(short_key);
        item.waits = std::mem::take(&mut item.waits)
            .into_iter()
            .map(short_key)
            .collect();
    }

    /// Leaves out what is too many of a kind, and numbers that a task cannot have.
    fn count(&mut self, item: &mut Item, at: &str) {
        let mut most = |what: &str, found: usize, most: usize| {
            if found > most {
                let message = format!("It has {found} {what}; the first {most} are taken.");
                self.problems.warn(at, "too_many", message);
            }
        };
        most("tags", item.tags.as_ref().map_or(0, Vec::len), MAX_TAGS);
        most("tasks that it waits for", item.waits.len(), MAX_WAITS);
        most("comments", item.notes.len(), MAX_ENTRIES);
        most("entries of time", item.times.len(), MAX_ENTRIES);
        item.tags.iter_mut().for_each(|tags| tags.truncate(MAX_TAGS));
        item.waits.truncate(MAX_WAITS);
        item.notes.truncate(MAX_ENTRIES);
        item.times.truncate(MAX_ENTRIES);
        item.times.retain(|spent| (0..=1_440).contains(&spent.minutes));
        for minutes in [&mut item.estimated, &mut item.actual] {
            if minutes.is_some_and(|minutes| !(0..=10_000_000).contains(&minutes)) {
                *minutes = None;
                self.problems.warn(
                    at,
                    "minutes",
                    "A task has 0 to 10,000,000 minutes; this number is left out.",
                );
            }
        }
        if item
            .recurrence
            .as_ref()
            .is_some_and(|rule| !rule.is_within_bounds())
        {
            item.recurrence = None;
            self.problems.warn(
                at,
                "recurrence",
                "This rule for coming again is left out: there is no such.",
            );
        }
        let metadata = serde_json::to_string(&item.metadata).unwrap_or_default();
        // One of the databases keeps no NUL, not even an escaped one.
        if metadata.len() > MAX_METADATA || metadata.contains("\\u0000") {
            item.metadata = Map::new();
            let words = "What else belongs to it is more than 60 KiB, or has NUL characters; it is left out.";
            self.problems.warn(at, "metadata", words);
        }
        item.elsewhere.retain(|system, id| {
            let fits = |text: &str| !text.contains('\0') && text.chars().count() <= MAX_NAME;
            fits(system) && fits(id)
        });
        if item
            .position
            .as_deref()
            .is_some_and(|place| !crate::position::is_place(place))
        {
            item.position = None;
        }
    }
}

/// A text without what not every database can keep.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// A text on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_whitespace() || letter == '\0')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A key that fits: a long one by its digest.
pub(crate) fn short_key(key: String) -> String {
    match key.len() > MAX_KEY || key.contains('\0') {
        true => synapscale_engine::named_id(&key).to_string(),
        false => key,
    }
}
