//! What `task export` writes: a list, or one task on each line.

use super::{malformed, members, raw_list, values};
use crate::model::{Priority, TaskStatus};
use crate::transfer::item::{Item, Note, Reading};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use synapscale_core::Result;

#[derive(Deserialize)]
struct Entry {
    uuid: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    status: String,
    project: Option<String>,
    priority: Option<String>,
    tags: Option<Vec<String>>,
    due: Option<String>,
    scheduled: Option<String>,
    wait: Option<String>,
    until: Option<String>,
    start: Option<String>,
    recur: Option<String>,
    /// The recurring task that this is one of.
    parent: Option<String>,
    depends: Option<Depends>,
    annotations: Option<Vec<Annotation>>,
}

/// Newer versions write a list, older ones a text with commas.
#[derive(Deserialize)]
#[serde(untagged)]
enum Depends {
    List(Vec<String>),
    Text(String),
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    description: String,
    entry: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Reading> {
    let mut reading = Reading::default();
    let list = match text.trim_start().starts_with('[') {
        true => raw_list(text)?,
        false => lines(text)?,
    };
    let entries: Vec<(String, Entry)> = members(list, "", &mut reading);
    // Of a task that comes again, the last one carries the rule; the pattern itself is wanted only when none stands.
    let open = |entry: &Entry| matches!(entry.status.as_str(), "pending" | "waiting");
    let mut last: HashMap<String, (String, String)> = HashMap::new();
    for (_, entry) in entries.iter().filter(|(_, entry)| open(entry)) {
        if let Some(parent) = &entry.parent {
            let found = (entry.due.clone().unwrap_or_default(), entry.uuid.clone());
            let best = last.entry(parent.clone()).or_default();
            *best = std::mem::take(best).max(found);
        }
    }
    let carriers: BTreeSet<String> = last.values().map(|(_, uuid)| uuid.clone()).collect();
    for (at, entry) in entries {
        match entry.status.as_str() {
            "deleted" => reading
                .problems
                .warn(&at, "deleted", "This was deleted there; it is left out."),
            "recurring" if last.contains_key(&entry.uuid) => {}
            _ => {
                let carries = entry.parent.is_none() || carriers.contains(&entry.uuid);
                let item = item(at, entry, carries, &mut reading);
                reading.take(item);
            }
        }
    }
    Ok(reading)
}

fn lines(text: &str) -> Result<Vec<&RawValue>> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let line = line.trim_end_matches(',');
        if line.is_empty() {
            continue;
        }
        found.push(serde_json::from_str(line).map_err(|error| malformed(&error))?);
        super::bounded(found.len())?;
    }
    Ok(found)
}

fn item(at: String, entry: Entry, carries: bool, reading: &mut Reading) -> Item {
    let time = |text: &Option<String>| text.as_deref().and_then(|text| values::time(text, 0));
    let status = match (entry.status.as_str(), entry.start.is_some()) {
        ("completed", _) => TaskStatus::Done,
        (_, true) => TaskStatus::InProgress,
        _ => TaskStatus::Todo,
    };
    let priority = match entry.priority.as_deref() {
        Some("H") => Priority::High,
        Some("L") => Priority::Low,
        _ => Priority::Medium,
    };
    let mut recurrence = entry.recur.as_deref().filter(|_| carries).and_then(values::rule);
    if let (Some(recur), None, true) = (&entry.recur, &recurrence, carries) {
        let shown: String = recur.chars().take(40).collect();
        let message = format!("It comes again `{shown}`, which has no like here; it comes once.");
        reading.problems.warn(&at, "recurrence", message);
    }
    if let Some(rule) = &mut recurrence {
        rule.until = time(&entry.until);
    }
    let notes = entry
        .annotations
        .unwrap_or_default()
        .into_iter()
        .map(|annotation| {
            let entered = annotation.entry.unwrap_or_default();
            let key = format!("{entered}\n{}", annotation.description);
            Note {
                key: synapscale_engine::named_id(&key).to_string(),
                at: values::time(&entered, 0),
                body: annotation.description,
                author: None,
            }
        });
    let mut item = Item {
        title: entry.description,
        status: Some(status),
        priority: Some(priority),
        project: entry.project,
        tags: Some(entry.tags.unwrap_or_default()),
        due: time(&entry.due),
        // What is hidden until a day is not to be worked on before.
        scheduled: time(&entry.scheduled).or_else(|| time(&entry.wait)),
        recurrence,
        waits: match entry.depends {
            Some(Depends::List(list)) => list,
            Some(Depends::Text(text)) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            None => Vec::new(),
        },
        notes: notes.collect(),
        key: entry.uuid.clone(),
        at,
        ..Item::default()
    };
    item.elsewhere.insert("taskwarrior".to_owned(), entry.uuid);
    if let Some(wait) = entry.wait {
        item.metadata
            .insert("taskwarrior".to_owned(), json!({ "wait": Value::String(wait) }));
    }
    item
}
