//! Old events leave the log. They are archived first: for each workspace and span of the chain one object or more, of
//! compressed JSON lines, sealed among the blobs. A line carries what the chain's digest is taken over, byte for byte, so
//! that the chain can be looked over across the archive too.
//!
//! A span is written object by object and counts only once it is sealed, in one transaction that also moves the log's
//! beginning. Whatever a process that died left unsealed goes away with the next turn.

mod read;
mod write;

pub(crate) use read::Span;
pub use write::Archived;

use super::cursor::{Cursor, Position};
use super::entity::{archive, log};
use super::read::Event;
use crate::migrate::Migration;
use crate::schema::{Index, Table, bytes, integer, text, timestamp, uuid};
use crate::scoped::Scoped;
use crate::tx::Tx;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use synapscale_core::{Actor, Error, EventPayload, Privilege, Result, TenantId};
use uuid::Uuid;

/// What the archive's tables need, and what groups and dead letters are told of time.
pub(crate) fn migration() -> Migration {
    Migration::new("store_0006_archive")
        .add_column("event_log", text("floor").null())
        .add_column("event_log", integer("floor_link").default("0"))
        .add_column("consumer_groups", timestamp("seen_at").null())
        .add_column("dead_letters", timestamp("queued_at").null())
        .create(
            Table::tenant(
                "event_archives",
                [
                    uuid("id"),
                    // The span under way; none once it counts.
                    uuid("unsealed").null(),
                    integer("link_from"),
                    integer("link_until"),
                    integer("first_epoch"),
                    integer("first_xid"),
                    integer("first_seq"),
                    integer("last_epoch"),
                    integer("last_xid"),
                    integer("last_seq"),
                    integer("events"),
                    timestamp("first_at"),
                    timestamp("last_at"),
                    uuid("blob_id"),
                    integer("size_bytes"),
                    bytes("sha256"),
                    timestamp("created_at"),
                ],
            )
            .seen_by_system()
            .references("blob_id", "blobs")
            .index("event_archives_in_order", &["last_epoch", "last_xid", "last_seq"])
            .index_with(
                Index::new("event_archives_across", &["last_epoch", "last_xid", "last_seq"]).across_tenants(),
            )
            .index_with(Index::new("event_archives_by_link", &["link_until"]).across_tenants())
            .index_with(
                Index::new("event_archives_unsealed", &["unsealed"])
                    .across_tenants()
                    .only("unsealed IS NOT NULL"),
            ),
        )
}

/// Old events were archived and left the log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventsArchived {
    /// The first link of the chain that was archived.
    pub link_from: i64,
    /// The last one.
    pub link_until: i64,
    /// How many events, of all workspaces.
    pub events: i64,
    /// How many objects they stand in.
    pub objects: i64,
}

impl EventPayload for EventsArchived {
    const KIND: &'static str = "log.archived";
    const ABOUT: &'static str = "Old events of all workspaces were archived, and leave the log.";
}

/// An object of archived events.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Its id; later ones sort after earlier ones.
    pub id: Uuid,
    /// How many events it holds.
    pub events: i64,
    /// When the first of them happened.
    pub first_at: DateTime<Utc>,
    /// When the last of them happened.
    pub last_at: DateTime<Utc>,
    /// The place right after the last of them.
    pub until: Cursor,
    /// Its size, compressed, in bytes.
    pub size_bytes: i64,
    /// SHA-256 of what it holds, compressed, in hexadecimal digits.
    pub sha256: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A line of an object.
#[derive(Serialize, Deserialize)]
struct Line {
    /// The event's place: epoch, transaction, number.
    place: [i64; 3],
    /// What the chain's digest is taken over.
    row: Box<RawValue>,
}

/// Everything that a row of the log tells.
type Row = (
    (Uuid, Uuid, String, i64, String),
    (Actor, Option<Actor>, String, Option<String>),
    (Value, Value),
    (i64, Uuid, Option<Uuid>),
);

/// Everything that a row of the log tells, as JSON: as the database gives it back, which does not change.
pub(crate) fn canonical(event: &Event) -> Result<Vec<u8>> {
    let row = (
        (
            event.tenant.0,
            event.id,
            &event.kind,
            event.version,
            &event.subject,
        ),
        (&event.actor, &event.on_behalf_of, &event.channel, &event.ip),
        (&event.changes, &event.data),
        (event.at.timestamp_micros(), event.correlation, event.causation),
    );
    serde_json::to_vec(&row).map_err(Error::internal)
}

/// The event that a line of the log's archive holds.
fn event(row: &RawValue, cursor: Cursor) -> Result<Event> {
    let ((tenant, id, kind, version, subject), (actor, on_behalf_of, channel, ip), values, last): Row =
        serde_json::from_str(row.get()).map_err(Error::internal)?;
    let (at, correlation, causation) = last;
    let at = DateTime::from_timestamp_micros(at).ok_or_else(|| Error::internal("an event without a time"))?;
    Ok(Event {
        id,
        tenant: TenantId(tenant),
        kind,
        version,
        subject,
        actor,
        on_behalf_of,
        channel,
        ip,
        changes: values.0,
        data: values.1,
        at,
        correlation,
        causation,
        cursor,
    })
}

fn last_of(row: &archive::Model) -> Position {
    Position {
        epoch: row.last_epoch,
        xid: row.last_xid,
        seq: row.last_seq,
    }
}

fn first_of(row: &archive::Model) -> Position {
    Position {
        epoch: row.first_epoch,
        xid: row.first_xid,
        seq: row.first_seq,
    }
}

/// The log's row: where it begins, and the last link of the chain before that.
pub(crate) async fn log_row(tx: &Tx) -> Result<log::Model> {
    super::entity::log_row(tx).await?.ok_or_else(super::not_migrated)
}

/// Where the archive ends that the context sees; none without one.
pub(crate) async fn end(tx: &Tx) -> Result<Option<Position>> {
    use archive::Column::{LastEpoch, LastSeq, LastXid, Unsealed};
    let query = match tx.ctx().privilege() {
        Privilege::Tenant => tx.find::<archive::Entity>(),
        Privilege::System => tx.find_as_system::<archive::Entity>()?,
    };
    let last = query
        .filter(Unsealed.is_null())
        .order_by_desc(LastEpoch)
        .order_by_desc(LastXid)
        .order_by_desc(LastSeq)
        .limit(1)
        .row(tx);
    Ok(last.await?.map(|row| last_of(&row)))
}

/// What a cursor meets behind which events were archived: 409, since nothing is wrong with the cursor itself.
fn gap(resume: &Cursor) -> Error {
    Error::conflict(
        "replay_gap",
        format!("Events behind this cursor have left the log. Load anew, then go on from {resume}."),
    )
    .at("/since")
}

impl Tx {
    /// The place to go on from when events behind `cursor` have left the log, as the context sees it; none when all are
    /// there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay_gap(&self, cursor: &Cursor) -> Result<Option<Cursor>> {
        let end = end(self).await?.filter(|end| *end > cursor.position);
        Ok(end.map(|position| Cursor {
            log: cursor.log,
            position,
        }))
    }

    /// Refuses a cursor behind which events have left the log, as the context sees it.
    ///
    /// # Errors
    /// `replay_gap`, with the place to go on from.
    pub async fn check_cursor(&self, cursor: &Cursor) -> Result<()> {
        match self.replay_gap(cursor).await? {
            Some(resume) => Err(gap(&resume)),
            None => Ok(()),
        }
    }

    /// This workspace's archives, the newest first: at most `limit`, older than `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn archives(&self, before: Option<Uuid>, limit: u64) -> Result<Vec<Archive>> {
        let log = self.shared().log.get().copied().ok_or_else(super::not_migrated)?;
        let mut query = self
            .find::<archive::Entity>()
            .filter(archive::Column::Unsealed.is_null());
        if let Some(before) = before {
            query = query.filter(archive::Column::Id.lt(before));
        }
        let rows = query.order_by_desc(archive::Column::Id).limit(limit).rows(self);
        let shown = |row: archive::Model| Archive {
            until: Cursor {
                log: log.id,
                position: last_of(&row),
            },
            id: row.id,
            events: row.events,
            first_at: row.first_at,
            last_at: row.last_at,
            size_bytes: row.size_bytes,
            sha256: row.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            created_at: row.created_at,
        };
        Ok(rows.await?.into_iter().map(shown).collect())
    }
}
