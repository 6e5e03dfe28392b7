//! Issues as GitHub's REST API lists them.

use super::{members, raw_list};
use crate::model::TaskStatus;
use crate::transfer::item::{Item, Reading};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use synapscale_core::Result;

#[derive(Deserialize)]
struct Issue {
    number: u64,
    #[serde(default)]
    title: String,
    body: Option<String>,
    state: Option<String>,
    state_reason: Option<String>,
    labels: Option<Vec<Label>>,
    assignee: Option<User>,
    assignees: Option<Vec<User>>,
    milestone: Option<Milestone>,
    pull_request: Option<IgnoredAny>,
    html_url: Option<String>,
    repository_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Name(String),
    Object { name: Option<String> },
}

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Milestone {
    #[serde(default)]
    title: String,
    due_on: Option<DateTime<Utc>>,
}

pub(super) fn read(text: &str) -> Result<Reading> {
    let mut reading = Reading::default();
    let issues: Vec<(String, Issue)> = members(raw_list(text)?, "", &mut reading);
    for (at, issue) in issues {
        if issue.pull_request.is_some() {
            reading
                .problems
                .warn(&at, "pull_request", "A pull request is no issue; it is left out.");
            continue;
        }
        reading.take(item(at, issue));
    }
    Ok(reading)
}

/// `owner/name` by one of an issue's addresses.
fn repository(issue: &Issue) -> String {
    let by_api = issue
        .repository_url
        .as_deref()
        .and_then(|url| url.split_once("/repos/"));
    let by_page = issue.html_url.as_deref().and_then(|url| {
        let (before, _) = url.split_once("/issues/")?;
        before.split_once("://")?.1.split_once('/')
    });
    let found = by_api.or(by_page).map(|(_, name)| name.trim_matches('/'));
    found.unwrap_or("github").chars().take(150).collect()
}

fn item(at: String, issue: Issue) -> Item {
    let repository = repository(&issue);
    let reference = format!("{repository}#{}", issue.number);
    let closed = issue.state.as_deref() == Some("closed");
    let status = match (closed, issue.state_reason.as_deref()) {
        (false, _) => TaskStatus::Todo,
        (true, Some("not_planned" | "duplicate")) => TaskStatus::Cancelled,
        (true, _) => TaskStatus::Done,
    };
    let labels = issue
        .labels
        .unwrap_or_default()
        .into_iter()
        .filter_map(|label| match label {
            Label::Name(name) => Some(name),
            Label::Object { name } => name,
        });
    let all: Vec<String> = issue
        .assignees
        .unwrap_or_default()
        .into_iter()
        .map(|user| user.login)
        .collect();
    let assignee = issue
        .assignee
        .map(|user| user.login)
        .or_else(|| all.first().cloned());
    let milestone = issue.milestone.as_ref().map(|milestone| milestone.title.clone());
    let mut item = Item {
        at,
        key: reference.clone(),
        project: Some(repository),
        title: issue.title,
        description: issue.body,
        status: Some(status),
        tags: Some(labels.collect()),
        assignee,
        due: issue.milestone.and_then(|milestone| milestone.due_on),
        ..Item::default()
    };
    item.elsewhere.insert("github".to_owned(), reference);
    let more = json!({ "url": issue.html_url, "milestone": milestone, "assignees": all });
    item.metadata.insert("github".to_owned(), more);
    item
}
