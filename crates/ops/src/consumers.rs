//! Consumer groups of the event log and the events they gave up, as operations of a workspace.

use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::output::NoInput;
use crate::page::{self, Page};
use chrono::{DateTime, Utc};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_store::Tx;
use synapscale_store::events::{DeadLetter, GroupStatus};
use uuid::Uuid;

/// Who may look at what failed, and have it done again.
const MANAGE: &str = "events:manage";

/// All of them.
pub(crate) fn operations() -> Vec<Operation> {
    vec![groups(), letters(), replay(), discard()]
}

/// A consumer group of the event log.
#[derive(Serialize, JsonSchema)]
struct GroupView {
    /// The group's name.
    name: String,
    /// Everything up to this place in the log is settled.
    cursor: String,
    /// Whether a process works for it at present.
    held: bool,
    /// How many of this workspace's events wait for it, counted up to 10,000.
    waiting: u64,
    /// When the oldest of them happened.
    oldest_waiting: Option<DateTime<Utc>>,
    /// How many of this workspace's events it gave up.
    dead_letters: u64,
    /// When a process worked for it last.
    seen_at: Option<DateTime<Utc>>,
    /// Whether no process has worked for it for seven days: then nothing waits for it any more, and its dead letters cannot
    /// be handled again.
    abandoned: bool,
}

impl From<GroupStatus> for GroupView {
    fn from(group: GroupStatus) -> Self {
        GroupView {
            name: group.name,
            cursor: group.cursor,
            held: group.held,
            waiting: group.waiting,
            oldest_waiting: group.oldest_waiting,
            dead_letters: group.dead_letters,
            seen_at: group.seen_at,
            abandoned: group.abandoned,
        }
    }
}

/// The consumer groups.
#[derive(Serialize, JsonSchema)]
struct Groups {
    /// By name.
    items: Vec<GroupView>,
}

fn groups() -> Operation {
    Operation::read("consumers.list", "List consumers of events")
        .about(
            "Lists what acts on events, each with its place in the log, how many of this workspace's events wait \
             for it and since when, and how many it gave up.",
        )
        .permission("events:read")
        .rest(Method::GET, "/consumers")
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let groups = tx.consumer_groups().await?;
            Ok(Groups {
                items: groups.into_iter().map(GroupView::from).collect(),
            })
        })
}

/// An event that a consumer gave up.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DeadLetterView {
    /// The letter's id.
    id: Uuid,
    /// The consumer group that gave up.
    consumer: String,
    /// The event.
    event_id: Uuid,
    /// The event's kind.
    kind: String,
    /// What went wrong at last: its code and words, without what looks like a secret.
    error: String,
    /// How often it was tried.
    attempts: i64,
    /// When it was given up, or failed again.
    at: DateTime<Utc>,
    /// Whether it waits to be handled again.
    queued: bool,
    /// When the replay that it waits for is called off, if no process takes it up.
    queued_until: Option<DateTime<Utc>>,
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        DeadLetterView {
            id: letter.id,
            consumer: letter.consumer,
            event_id: letter.event_id,
            kind: letter.kind,
            error: letter.error,
            attempts: letter.attempts,
            at: letter.at,
            queued: letter.queued,
            queued_until: letter.queued_until,
        }
    }
}

/// Which dead letters to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListLetters {
    /// Only those of this consumer group.
    #[schemars(length(max = 100))]
    consumer: Option<String>,
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before this one ended: its `next_cursor`.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

fn letters() -> Operation {
    Operation::read("dead_letters.list", "List dead letters")
        .about(
            "Lists the events of this workspace that a consumer gave up after three tries, the newest first, with \
             what went wrong.",
        )
        .permission(MANAGE)
        .rest(Method::GET, "/dead-letters")
        .handle(|tx: Tx, input: Arc<ListLetters>| async move {
            let limit = page::limit(input.limit);
            let before = page::decode_opt::<Uuid>(input.cursor.as_deref())?;
            let rows = tx
                .dead_letters(input.consumer.as_deref(), before, limit + 1)
                .await?;
            let page = Page::cut(rows, limit, |letter| letter.id)?;
            Ok(page.map(DeadLetterView::from))
        })
}

/// Some dead letters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SomeLetters {
    /// Their ids.
    #[schemars(length(min = 1, max = 200))]
    ids: Vec<Uuid>,
}

/// How many there were.
#[derive(Serialize, JsonSchema)]
struct Letters {
    /// Dead letters that it was done to.
    count: usize,
}

fn replay() -> Operation {
    Operation::write("dead_letters.replay", "Handle dead letters again")
        .about(
            "Has events that a consumer gave up handled once more, soon and outside of the log's order. A letter \
             whose event is handled is gone; one that fails again stays, with the new error. A replay that no process \
             takes up within a day is called off.",
        )
        .permission(MANAGE)
        .rest(Method::POST, "/dead-letters/replay")
        .handle(|tx: Tx, input: Arc<SomeLetters>| async move {
            tx.replay_dead_letters(&input.ids).await?;
            let count = input.ids.len();
            Ok(Outcome::Done(Letters { count }))
        })
}

fn discard() -> Operation {
    Operation::write("dead_letters.drop", "Drop dead letters")
        .about(
            "Drops dead letters for good: their events are never handled by the consumer that gave them up.",
        )
        .permission(MANAGE)
        .destructive()
        .rest(Method::POST, "/dead-letters/drop")
        .handle(|tx: Tx, input: Arc<SomeLetters>| async move {
            tx.drop_dead_letters(&input.ids).await?;
            let count = input.ids.len();
            Ok(Outcome::Done(Letters { count }))
        })
}
