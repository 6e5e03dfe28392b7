//! Tasks as rows of a table, and as Taskwarrior has them.

use super::page::Exported;
use crate::model::{Priority, TaskStatus};
use crate::recurrence::{Recurrence, Unit};
use crate::transfer::item::one_line;
use chrono::{DateTime, Utc};
use csv::{Terminator, WriterBuilder};
use serde_json::{Value, json};

/// The headers, which the import knows again.
const HEADERS: [&str; 17] = [
    "id",
    "project",
    "parent_id",
    "title",
    "description",
    "status",
    "priority",
    "assignee",
    "due_date",
    "scheduled_date",
    "recurrence",
    "estimated_minutes",
    "actual_minutes",
    "tags",
    "blocked_by",
    "archived",
    "position",
];

/// Rows of a table, behind the headers on the first page.
pub(super) fn csv(tasks: &[Exported], first: bool) -> String {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    let mut write = |row: &[String]| {
        // Into memory nothing fails to be written.
        let _ = writer.write_record(row);
    };
    if first {
        write(&HEADERS.map(str::to_owned));
    }
    for task in tasks {
        write(&row(task));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn row(task: &Exported) -> [String; 17] {
    let task = &task.own;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let time = |time: &Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339()).unwrap_or_default();
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let recurrence = task.recurrence.as_ref().map(|rule| json!(rule).to_string());
    let cells = [
        task.id.clone(),
        text(&task.project),
        text(&task.parent_id),
        task.title.clone(),
        text(&task.description),
        task.status.map(TaskStatus::as_str).unwrap_or_default().to_owned(),
        task.priority.map(Priority::as_str).unwrap_or_default().to_owned(),
        text(&task.assignee),
        time(&task.due_date),
        time(&task.scheduled_date),
        recurrence.unwrap_or_default(),
        number(task.estimated_minutes),
        number(task.actual_minutes),
        list(&task.tags),
        list(&task.blocked_by),
        task.archived.to_string(),
        text(&task.position),
    ];
    cells.map(guarded)
}

/// Words of a list: with commas between them, or as JSON where a word has some itself.
fn list(words: &[String]) -> String {
    match words
        .iter()
        .any(|word| word.contains([',', ';']) || word.trim() != word || word.starts_with('['))
    {
        true => json!(words).to_string(),
        false => words.join(", "),
    }
}

/// A cell that no spreadsheet takes for a formula.
fn guarded(cell: String) -> String {
    match cell
        .trim_start_matches(' ')
        .starts_with(['=', '+', '-', '@', '\t', '\r'])
    {
        true => format!("'{cell}"),
        false => cell,
    }
}

/// A task as `task import` takes it.
pub(super) fn taskwarrior(task: &Exported) -> Value {
    let stamp = |time: DateTime<Utc>| time.format("%Y%m%dT%H%M%SZ").to_string();
    let own = &task.own;
    // Only what is due can come again there.
    let recur = own
        .recurrence
        .as_ref()
        .filter(|_| own.due_date.is_some())
        .and_then(period);
    let status = match own.status {
        Some(TaskStatus::Done) => "completed",
        Some(TaskStatus::Cancelled) => "deleted",
        _ if recur.is_some() => "recurring",
        _ => "pending",
    };
    let mut found = json!({
        "uuid": own.id,
        "description": one_line(&own.title),
        "status": status,
        "entry": stamp(task.created_at),
        "modified": stamp(task.updated_at),
    });
    let mut set = |name: &str, value: Value| {
        if let Some(map) = found.as_object_mut() {
            map.insert(name.to_owned(), value);
        }
    };
    let over = matches!(status, "completed" | "deleted");
    if over {
        set("end", json!(stamp(task.updated_at)));
    }
    if own.status == Some(TaskStatus::InProgress) {
        set("start", json!(stamp(task.updated_at)));
    }
    let priority = match task.priority {
        Priority::Critical | Priority::High => Some("H"),
        Priority::Low => Some("L"),
        Priority::Medium => None,
    };
    for (name, value) in [
        ("due", own.due_date.map(|time| json!(stamp(time)))),
        ("scheduled", own.scheduled_date.map(|time| json!(stamp(time)))),
        ("priority", priority.map(|letter| json!(letter))),
        ("project", own.project.as_ref().map(|name| json!(one_line(name)))),
        ("recur", recur.filter(|_| !over).map(|period| json!(period))),
        (
            "until",
            own.recurrence
                .as_ref()
                .and_then(|rule| rule.until)
                .map(|time| json!(stamp(time))),
        ),
        (
            "depends",
            Some(json!(own.blocked_by)).filter(|_| !own.blocked_by.is_empty()),
        ),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    // Tags are single words there.
    let tags: Vec<String> = own
        .tags
        .iter()
        .map(|tag| one_line(tag).replace(' ', "_"))
        .collect();
    if !tags.is_empty() {
        set("tags", json!(tags));
    }
    let described = own.description.iter().map(|text| (task.created_at, text));
    let comments = own
        .comments
        .iter()
        .map(|comment| (comment.created_at.unwrap_or(task.created_at), &comment.body));
    let annotations: Vec<Value> = described
        .chain(comments)
        .map(|(time, text)| json!({ "entry": stamp(time), "description": one_line(text) }))
        .collect();
    if !annotations.is_empty() {
        set("annotations", json!(annotations));
    }
    found
}

/// A rule as a length of time, where there is one of the kind.
fn period(rule: &Recurrence) -> Option<String> {
    match rule.unit {
        Unit::Day => Some(format!("{}d", rule.every)),
        Unit::Week if rule.weekdays.is_empty() => Some(format!("{}w", rule.every)),
        Unit::Week if rule.every == 1 && rule.weekdays.len() == 5 => Some("weekdays".to_owned()),
        Unit::Week => None,
        Unit::Month => Some(format!("{}mo", rule.every)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for odd in [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "  =cmd|' /C calc'!A0",
        ] {
            assert!(guarded(odd.to_owned()).starts_with('\''), "{odd}");
        }
        assert_eq!(guarded("plain = text".to_owned()), "plain = text");
        assert_eq!(list(&["a".to_owned(), "b,c".to_owned()]), r#"["a","b,c"]"#);
        assert_eq!(list(&["a".to_owned(), "b".to_owned()]), "a, b");
    }
}
