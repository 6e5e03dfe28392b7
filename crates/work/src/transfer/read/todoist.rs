//! Todoist: a project as CSV, and the answer of the sync API.

use super::csv::{by_name, delimiter, rows};
use super::{Id, Wanted, malformed, members, object, raw_list, values};
use crate::model::{Priority, TaskStatus};
use crate::recurrence::Recurrence;
use crate::transfer::item::{Item, Note, Reading};
use serde::Deserialize;
use serde_json::json;
use std::collections::HashMap;
use synapscale_core::{Error, Result};

/// Deepest indent that is followed.
const MAX_INDENT: usize = 20;

/// Reads a project as CSV. Such a file names no ids: a task is known by its place among the titles above it.
pub(super) fn read_csv(text: &str, wanted: &Wanted) -> Result<Reading> {
    let mut reading = Reading::default();
    let mut rows = rows(
        text,
        wanted.delimiter.unwrap_or_else(|| delimiter(text)),
        &mut reading,
    )?
    .into_iter();
    let headers = rows.next().map(|(_, row)| by_name(&row)).unwrap_or_default();
    if !headers.contains_key("TYPE") || !headers.contains_key("CONTENT") {
        let words = "A table of Todoist has the columns TYPE and CONTENT.";
        return Err(Error::invalid("/format", "unknown_format", words).with_code("unknown_format"));
    }
    let (mut above, mut section): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut named: HashMap<String, usize> = HashMap::new();
    let mut waiting: Option<Item> = None;
    for (line, row) in rows {
        let cell = |name: &str| {
            let found = headers.get(name).and_then(|index| row.get(*index));
            found.map(str::trim).unwrap_or_default()
        };
        let at = format!("line {line}");
        match cell("TYPE") {
            "task" => {
                if let Some(item) = waiting.take() {
                    reading.take(item);
                }
                let indent: usize = cell("INDENT").parse().unwrap_or(1);
                above.truncate(indent.clamp(1, MAX_INDENT) - 1);
                let (title, tags) = labelled(cell("CONTENT"));
                let name = format!("{}\n{title}", above.last().cloned().unwrap_or_default());
                let nth = named.entry(name.clone()).or_default();
                *nth += 1;
                let key = synapscale_engine::named_id(&format!("{name}\n{nth}")).to_string();
                let mut item = Item {
                    at: at.clone(),
                    parent: above.last().cloned(),
                    project: Some(wanted.name.clone()),
                    title,
                    description: Some(cell("DESCRIPTION").to_owned()),
                    priority: Some(from_most(cell("PRIORITY"))),
                    assignee: Some(person(cell("RESPONSIBLE"))),
                    estimated: duration(cell("DURATION"), cell("DURATION_UNIT")),
                    tags: Some(tags),
                    ..Item::default()
                };
                date(&mut item, cell("DATE"), wanted.utc_offset_minutes, &mut reading);
                if let Some(deadline) = values::time(cell("DEADLINE"), wanted.utc_offset_minutes) {
                    item.scheduled = item.due.take();
                    item.due = Some(deadline);
                }
                if let Some(section) = &section {
                    item.metadata.insert("section".to_owned(), json!(section));
                }
                item.key.clone_from(&key);
                above.push(key);
                waiting = Some(item);
            }
            "note" => match &mut waiting {
                Some(item) => item.notes.push(Note {
                    key: synapscale_engine::named_id(cell("CONTENT")).to_string(),
                    body: cell("CONTENT").to_owned(),
                    author: Some(person(cell("AUTHOR"))).filter(|name| !name.is_empty()),
                    at: values::time(cell("DATE"), wanted.utc_offset_minutes),
                }),
                None => {
                    reading
                        .problems
                        .warn(&at, "note_without_task", "A note before any task is left out.")
                }
            },
            "section" => {
                if let Some(item) = waiting.take() {
                    reading.take(item);
                }
                section = Some(cell("CONTENT").to_owned()).filter(|name| !name.is_empty());
                above.clear();
            }
            "" | "meta" => {}
            other => {
                let shown: String = other.chars().take(40).collect();
                reading.problems.warn(
                    &at,
                    "unknown_type",
                    format!("A line of the type `{shown}` is left out."),
                );
            }
        }
    }
    if let Some(item) = waiting {
        reading.take(item);
    }
    Ok(reading)
}

/// The words of a title without its labels, and these.
fn labelled(content: &str) -> (String, Vec<String>) {
    let label = |word: &&str| word.len() > 1 && word.starts_with('@');
    let tags = content.split_whitespace().filter(label);
    let tags = tags.map(|word| word.trim_start_matches('@').to_owned()).collect();
    let title: Vec<&str> = content.split_whitespace().filter(|word| !label(word)).collect();
    (title.join(" "), tags)
}

/// `Evan (14781400)` is Evan.
fn person(text: &str) -> String {
    text.split(" (").next().unwrap_or_default().trim().to_owned()
}

/// In tables 1 is the most, and what a field without a number means.
fn from_most(text: &str) -> Priority {
    match text {
        "1" => Priority::Critical,
        "2" => Priority::High,
        "3" => Priority::Medium,
        _ => Priority::Low,
    }
}

/// In the API 4 is the most.
fn from_least(number: u64) -> Priority {
    match number {
        4 => Priority::Critical,
        3 => Priority::High,
        2 => Priority::Medium,
        _ => Priority::Low,
    }
}

fn duration(amount: &str, unit: &str) -> Option<i64> {
    let amount: i64 = amount.parse().ok()?;
    match unit {
        "day" => amount.checked_mul(24 * 60),
        _ => Some(amount),
    }
}

/// A date, or a rule in words; other words are kept beside the task.
fn date(item: &mut Item, text: &str, offset: i32, reading: &mut Reading) {
    if text.is_empty() {
        return;
    }
    item.due = values::time(text, offset);
    item.recurrence = values::rule(text).filter(Recurrence::is_within_bounds);
    if let Some(rule) = &mut item.recurrence {
        rule.utc_offset_minutes = offset;
    }
    if item.due.is_none() {
        item.metadata.insert("todoist_date".to_owned(), json!(text));
        if item.recurrence.is_none() {
            let shown: String = text.chars().take(40).collect();
            let message = format!("`{shown}` is no date here; it is kept in the metadata.");
            reading.problems.warn(&item.at, "date", message);
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    id: Id,
    #[serde(default)]
    content: String,
    description: Option<String>,
    project_id: Option<Id>,
    parent_id: Option<Id>,
    section_id: Option<Id>,
    responsible_uid: Option<Id>,
    labels: Option<Vec<String>>,
    priority: Option<u64>,
    due: Option<Due>,
    deadline: Option<Deadline>,
    duration: Option<Duration>,
    checked: Option<bool>,
    is_deleted: Option<bool>,
}

#[derive(Deserialize)]
struct Due {
    date: Option<String>,
    string: Option<String>,
    is_recurring: Option<bool>,
}

#[derive(Deserialize)]
struct Deadline {
    date: Option<String>,
}

#[derive(Deserialize)]
struct Duration {
    amount: Option<i64>,
    unit: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: Id,
    name: Option<String>,
    full_name: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    id: Id,
    item_id: Id,
    #[serde(default)]
    content: String,
    posted_at: Option<String>,
}

/// Reads the answer of the sync API, or a list of tasks alone.
pub(super) fn read(text: &str, wanted: &Wanted) -> Result<Reading> {
    let mut reading = Reading::default();
    let mut parts = match text.trim_start().starts_with('[') {
        true => HashMap::from([("items".to_owned(), raw_list(text)?)]),
        false => HashMap::new(),
    };
    if parts.is_empty() {
        for (name, raw) in object(text)? {
            if ["items", "projects", "sections", "notes", "collaborators"].contains(&name.as_str()) {
                parts.insert(name, raw_list(raw.get())?);
            }
        }
    }
    let Some(items) = parts.remove("items") else {
        return Err(malformed(&serde::de::Error::missing_field("items")));
    };
    let mut named = |part: &str, reading: &mut Reading| -> HashMap<String, String> {
        let at = format!("/{part}");
        let list: Vec<(String, Named)> = members(parts.remove(part).unwrap_or_default(), &at, reading);
        let name = |(_, entry): (String, Named)| {
            (
                entry.id.text(),
                entry.name.or(entry.full_name).unwrap_or_default(),
            )
        };
        list.into_iter().map(name).collect()
    };
    let projects = named("projects", &mut reading);
    let sections = named("sections", &mut reading);
    let people = named("collaborators", &mut reading);
    let mut notes: HashMap<String, Vec<Note>> = HashMap::new();
    let said: Vec<(String, Said)> =
        members(parts.remove("notes").unwrap_or_default(), "/notes", &mut reading);
    for (_, said) in said {
        notes.entry(said.item_id.text()).or_default().push(Note {
            key: said.id.text(),
            body: said.content,
            author: None,
            at: said.posted_at.and_then(|time| values::time(&time, 0)),
        });
    }
    let entries: Vec<(String, Entry)> = members(items, "/items", &mut reading);
    for (at, entry) in entries {
        if entry.is_deleted == Some(true) {
            continue;
        }
        let name = |id: &Option<Id>, names: &HashMap<String, String>| {
            let id = id.clone()?.text();
            names.get(&id).cloned()
        };
        let (project, section) = (
            name(&entry.project_id, &projects),
            name(&entry.section_id, &sections),
        );
        let assignee = name(&entry.responsible_uid, &people);
        let mut item = of_entry(at, entry, wanted.utc_offset_minutes, &mut reading);
        item.project = project;
        item.assignee = assignee;
        item.notes = notes.remove(&item.key).unwrap_or_default();
        if let Some(section) = section {
            item.metadata.insert("section".to_owned(), json!(section));
        }
        reading.take(item);
    }
    Ok(reading)
}

fn of_entry(at: String, entry: Entry, offset: i32, reading: &mut Reading) -> Item {
    let key = entry.id.text();
    let mut item = Item {
        at,
        key: key.clone(),
        parent: entry.parent_id.map(Id::text),
        title: entry.content,
        description: entry.description,
        status: Some(match entry.checked {
            Some(true) => TaskStatus::Done,
            _ => TaskStatus::Todo,
        }),
        priority: Some(from_least(entry.priority.unwrap_or(1))),
        tags: Some(entry.labels.unwrap_or_default()),
        estimated: entry.duration.and_then(|duration| {
            self::duration(
                &duration.amount?.to_string(),
                duration.unit.as_deref().unwrap_or_default(),
            )
        }),
        ..Item::default()
    };
    if let Some(due) = entry.due {
        item.due = due.date.as_deref().and_then(|date| values::time(date, offset));
        if due.is_recurring == Some(true) {
            let words = due.string.unwrap_or_default();
            item.recurrence = values::rule(&words).filter(Recurrence::is_within_bounds);
            match &mut item.recurrence {
                Some(rule) => rule.utc_offset_minutes = offset,
                None => {
                    let shown: String = words.chars().take(40).collect();
                    let message = format!("It comes again `{shown}`, which has no like here; it comes once.");
                    reading.problems.warn(&item.at, "recurrence", message);
                }
            }
        }
    }
    if let Some(deadline) = entry
        .deadline
        .and_then(|deadline| values::time(&deadline.date?, offset))
    {
        item.scheduled = item.due.take();
        item.due = Some(deadline);
    }
    item.elsewhere.insert("todoist".to_owned(), key);
    item
}
