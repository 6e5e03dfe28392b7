//! The event log as operations: what happened, and the audit trail, which is a view of the same log.

use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::output::NoInput;
use crate::page;
use chrono::{DateTime, Utc};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;
use std::sync::Arc;
use synapscale_core::{Actor, Error, EventPayload, Result};
use synapscale_store::Tx;
use synapscale_store::events::{Cursor, Event, EventFilter};
use uuid::Uuid;

/// What a trigger of the database tells (`store::dialect::audit`).
#[derive(Serialize, JsonSchema)]
pub(crate) struct DatabaseChanged {
    /// The table.
    pub table: String,
    /// insert, update, delete or truncate.
    pub statement: String,
    /// The database's user who did it.
    pub database_user: String,
    /// What the user's program calls itself.
    pub application: Option<String>,
}

impl EventPayload for DatabaseChanged {
    const KIND: &'static str = "database.changed";
    const ABOUT: &'static str =
        "Somebody changed a row past the product, by SQL on PostgreSQL; values of secrets are hidden.";
}

/// Both views, and the chain over them.
pub(crate) fn operations() -> Vec<Operation> {
    vec![events(), audit(), link()]
}

/// How many events the new links cover.
#[derive(Debug, Serialize, JsonSchema)]
struct Linked {
    events: u64,
}

/// The product's own job.
fn link() -> Operation {
    Operation::write("audit.link", "Link the audit trail")
        .about("Covers the events that came since by the chain of hashes, so that a later change shows.")
        .permission("audit:link")
        .internal()
        .elevated()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let events = tx.link_events().await?;
            Ok::<_, Error>(Outcome::Done(Linked { events }))
        })
}

/// What part of the log to read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ReadLog {
    /// A cursor of an earlier answer, or of the event stream.
    #[schemars(length(max = 200))]
    since: Option<String>,
    /// Kinds, separated by commas: `task.created`, or `task.*` for a noun.
    #[schemars(length(max = 2000))]
    kinds: Option<String>,
    /// `noun:id` of one thing.
    #[schemars(length(max = 200))]
    subject: Option<String>,
    /// Most events to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

/// What part of the audit trail to read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ReadAudit {
    /// A cursor of an earlier answer.
    #[schemars(length(max = 200))]
    since: Option<String>,
    /// Kinds, separated by commas: `task.created`, or `task.*` for a noun.
    #[schemars(length(max = 2000))]
    kinds: Option<String>,
    /// `noun:id` of one thing.
    #[schemars(length(max = 200))]
    subject: Option<String>,
    /// Who did it, or for whom it was done: the id of a user, key, agent or bot.
    actor_id: Option<Uuid>,
    /// Only what happened then or later.
    from: Option<DateTime<Utc>>,
    /// Only what happened before.
    until: Option<DateTime<Utc>>,
    /// The oldest first, as for an export; else the newest.
    oldest_first: bool,
    /// Most events to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

/// An event.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EventView {
    /// Its place in the log.
    cursor: String,
    /// Its id.
    id: Uuid,
    /// What kind of thing happened.
    kind: String,
    /// The payload's version.
    version: i64,
    /// `noun:id` of what it happened to.
    subject: String,
    /// Who did it.
    actor: Actor,
    /// For whom, if for somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<Actor>,
    /// By which door.
    channel: String,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    /// Changed fields, before and after.
    changes: Value,
    /// The payload.
    data: Value,
    /// When.
    at: DateTime<Utc>,
    /// The request or run it belongs to.
    correlation: Uuid,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        EventView {
            cursor: event.cursor.to_string(),
            id: event.id,
            kind: event.kind,
            version: event.version,
            subject: event.subject,
            actor: event.actor,
            on_behalf_of: event.on_behalf_of,
            channel: event.channel,
            ip: event.ip,
            changes: event.changes,
            data: event.data,
            at: event.at,
            correlation: event.correlation,
        }
    }
}

/// Events and where to go on.
#[derive(Serialize, JsonSchema)]
struct LogPage {
    /// The events.
    items: Vec<EventView>,
    /// Pass as `since` to go on; null when nothing more was there.
    next_cursor: Option<String>,
}

async fn read(tx: &Tx, wanted: &ReadAudit) -> Result<LogPage> {
    let newest_first = !wanted.oldest_first;
    let since = wanted.since.as_deref().map(Cursor::from_str).transpose()?;
    let filter = EventFilter {
        subject: wanted.subject.clone(),
        actor: wanted.actor_id,
        from: wanted.from,
        until: wanted.until,
        ..EventFilter::parse(wanted.kinds.as_deref().unwrap_or_default())?
    };
    let limit = u32::try_from(page::limit(wanted.limit)).unwrap_or(page::MAX_LIMIT);
    let batch = tx.events(since.as_ref(), &filter, limit, newest_first).await?;
    let full = batch.events.len() >= limit as usize;
    let next_cursor = (full || !newest_first).then(|| batch.next.to_string());
    Ok(LogPage {
        items: batch.events.into_iter().map(EventView::from).collect(),
        next_cursor,
    })
}

fn events() -> Operation {
    Operation::read("events.list", "List events")
        .about("Lists what happened in this workspace, the oldest first, from a cursor on. The event stream follows it.")
        .permission("events:read")
        .rest(Method::GET, "/events")
        .handle(|tx: Tx, input: Arc<ReadLog>| async move {
            let wanted = ReadAudit {
                since: input.since.clone(),
                kinds: input.kinds.clone(),
                subject: input.subject.clone(),
                limit: input.limit,
                oldest_first: true,
                ..ReadAudit::default()
            };
            read(&tx, &wanted).await
        })
}

fn audit() -> Operation {
    Operation::read("audit.list", "List the audit trail")
        .about("Who did what, when, from where, with every changed field before and after; denied tries too. The newest first.")
        .permission("audit:read")
        .rest(Method::GET, "/audit")
        .handle(|tx: Tx, input: Arc<ReadAudit>| async move { read(&tx, &input).await })
}
