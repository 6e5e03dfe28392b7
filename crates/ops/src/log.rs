//! The event log as operations: what happened, and the audit trail, which is a view of the same log.

use crate::operation::Operation;
use crate::output::NoInput;
use crate::page::{self, Page};
use crate::prepared::ExternalCx;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Actor, Error, EventPayload, Result};
use synapscale_store::Tx;
use synapscale_store::events::{Archive, Archived, Cursor, Event, EventFilter};
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

/// Most of a minute that linking takes, or archiving: what is left then is the next turn's.
const TURN: Duration = Duration::from_secs(15);

/// Both views, the chain over them, and where old events go.
pub(crate) fn operations() -> Vec<Operation> {
    vec![events(), audit(), archives(), link(), archive()]
}

/// What linking came to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Linked {
    /// How many events the new links cover.
    events: u64,
    /// How many are not covered yet, counted up to 100,000.
    behind: u64,
}

/// The product's own job. Not one transaction: links are hashed outside of it, so that nobody's write waits for that.
fn link() -> Operation {
    Operation::external("audit.link", "Link the audit trail")
        .about("Covers the events that came since by the chain of hashes, so that a later change shows.")
        .permission("audit:link")
        .internal()
        .handle_external(|cx: ExternalCx, _: Arc<NoInput>| async move {
            let linked = cx.store.link_events(TURN).await?;
            let (events, behind) = (linked.events, linked.behind);
            Ok::<_, Error>(Linked { events, behind })
        })
}

/// What archiving came to.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ArchivedEvents {
    /// How many events were archived.
    archived: u64,
    /// How many left the log, those of an earlier turn among them.
    removed: u64,
    /// Whether more is left for the next turn.
    more: bool,
}

impl From<Archived> for ArchivedEvents {
    fn from(done: Archived) -> Self {
        ArchivedEvents {
            archived: done.events,
            removed: done.removed,
            more: done.more,
        }
    }
}

/// The product's own job; nothing to do unless the operator set how long events are kept.
fn archive() -> Operation {
    Operation::external("events.archive", "Archive old events")
        .about("Moves events that are older than events are kept from the log to the archive.")
        .permission("events:archive")
        .internal()
        .handle_external(|cx: ExternalCx, _: Arc<NoInput>| async move {
            let Some(keep) = cx.store.config().keep_events else {
                return Ok(ArchivedEvents::from(Archived::default()));
            };
            let sink = cx.sink.clone();
            let told = move |done: Archived| -> BoxFuture<'static, ()> {
                let sink = sink.clone();
                Box::pin(async move {
                    // Nobody has to watch.
                    let _ = sink
                        .send(json!({ "archived": done.events, "removed": done.removed }))
                        .await;
                })
            };
            let done = cx.store.archive_events(keep, TURN, told).await?;
            Ok::<_, Error>(ArchivedEvents::from(done))
        })
}

/// Which archives to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListArchives {
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before this one ended: its `next_cursor`.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// Events that left the log, in one object.
#[derive(Serialize, JsonSchema)]
struct ArchiveView {
    /// Its id.
    id: Uuid,
    /// How many events it holds.
    events: i64,
    /// When the first of them happened.
    first_at: DateTime<Utc>,
    /// When the last of them happened.
    last_at: DateTime<Utc>,
    /// The place in the log right after the last of them.
    until: String,
    /// Its size, compressed, in bytes.
    size_bytes: i64,
    /// SHA-256 of the compressed lines, in hexadecimal digits.
    sha256: String,
    /// When it was made.
    created_at: DateTime<Utc>,
}

impl From<Archive> for ArchiveView {
    fn from(archive: Archive) -> Self {
        ArchiveView {
            id: archive.id,
            events: archive.events,
            first_at: archive.first_at,
            last_at: archive.last_at,
            until: archive.until.to_string(),
            size_bytes: archive.size_bytes,
            sha256: archive.sha256,
            created_at: archive.created_at,
        }
    }
}

fn archives() -> Operation {
    Operation::read("audit.archives", "List archived events")
        .about(
            "Lists the objects that this workspace's old events were moved to, the newest first. The audit trail reads \
             them by itself; the event log begins behind them.",
        )
        .permission("audit:read")
        .rest(Method::GET, "/audit/archives")
        .handle(|tx: Tx, input: Arc<ListArchives>| async move {
            let limit = page::limit(input.limit);
            let before = page::decode_opt::<Uuid>(input.cursor.as_deref())?;
            let rows = tx.archives(before, limit + 1).await?;
            let page = Page::cut(rows, limit, |archive| archive.id)?;
            Ok(page.map(ArchiveView::from))
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

/// Reads the log; what left it, from the archive or, where that is not wanted, not at all.
async fn read(tx: &Tx, wanted: &ReadAudit, archived: bool) -> Result<LogPage> {
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
    let batch = match archived {
        true => {
            tx.events_and_archived(since.as_ref(), &filter, limit, newest_first)
                .await?
        }
        false => {
            if let Some(since) = &since {
                tx.check_cursor(since).await?;
            }
            tx.events(since.as_ref(), &filter, limit, newest_first).await?
        }
    };
    let next_cursor = (batch.more || !newest_first).then(|| batch.next.to_string());
    Ok(LogPage {
        items: batch.events.into_iter().map(EventView::from).collect(),
        next_cursor,
    })
}

fn events() -> Operation {
    Operation::read("events.list", "List events")
        .about("Lists what happened in this workspace, the oldest first, from a cursor on. The event stream follows it. A cursor behind which events have left the log is refused with `replay_gap`.")
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
            read(&tx, &wanted, false).await
        })
}

fn audit() -> Operation {
    Operation::read("audit.list", "List the audit trail")
        .about("Who did what, when, from where, with every changed field before and after; denied tries too. The newest first. Old events are read from the archive; a page of few events may then have more behind it.")
        .permission("audit:read")
        .rest(Method::GET, "/audit")
        .handle(|tx: Tx, input: Arc<ReadAudit>| async move { read(&tx, &input, true).await })
}
