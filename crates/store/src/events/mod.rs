//! The event log: appended in the writer's transaction, read by cursors, the only outbox there is.

mod archive;
mod chain;
mod consumer;
mod cursor;
mod entity;
mod failure;
mod follow;
mod groups;
mod letters;
mod listen;
mod read;
mod runner;
mod tail;

pub(crate) use archive::migration as archive_migration;
pub use archive::{Archive, Archived, EventsArchived};
pub use chain::{ChainPage, Fault, LINK_EVENTS, Link, Linked, Verdict};
pub use consumer::{Consumer, Group, MAX_ATTEMPTS, Turn};
pub use cursor::Cursor;
pub(crate) use cursor::{LogIdentity, Position};
pub use follow::Follower;
pub use groups::{ABANDONED, GroupPlace, GroupStatus, MAX_WAITING};
pub use letters::{DeadLetter, DeadLetterAdded, DeadLetterDropped, DeadLetterReplayed};
pub use listen::{Listener, Listening};
pub use read::{Event, EventBatch, EventFilter};
pub use runner::Consumers;
pub(crate) use tail::Tail;
pub use tail::{LiveEvent, LiveFollower};

use crate::check::EntitySpec;
use crate::dialect::{Backend, events as sql};
use crate::migrate::Migration;
use crate::redis::{Redis, Streams};
use crate::schema::{Index, Table, bytes, integer, json, text, timestamp, uuid};
use crate::store::Store;
use crate::tx::Tx;
use synapscale_core::{Ctx, Error, Result, new_id};

/// The topic that every commit with events wakes.
pub const EVENTS: &str = "events";
/// Hash partitions of the log on PostgreSQL.
const PARTITIONS: u16 = 8;

pub(crate) fn migration() -> Migration {
    Migration::new("store_0001_events")
        .create(Table::system(
            "event_log",
            [uuid("id"), integer("epoch"), text("system_identifier")],
        ))
        .create(
            Table::tenant(
                "events",
                [
                    uuid("id"),
                    text("kind"),
                    integer("version"),
                    text("subject"),
                    text("actor_kind"),
                    uuid("actor_id"),
                    text("principal_kind").null(),
                    uuid("principal_id").null(),
                    text("channel"),
                    text("ip").null(),
                    json("changes"),
                    json("data"),
                    timestamp("at"),
                    uuid("correlation"),
                    uuid("causation").null(),
                ],
            )
            .sequence("seq")
            .append_only()
            .seen_by_system()
            .partitioned(PARTITIONS)
            .index("events_by_subject", &["subject", "seq"])
            .index("events_by_kind", &["kind", "seq"])
            .index_with(Index::new("events_in_order", &["seq"])),
        )
        .create(
            Table::system(
                "consumer_groups",
                [
                    text("name").max(100),
                    text("cursor"),
                    uuid("owner").null(),
                    integer("lease_epoch").default("0"),
                    timestamp("lease_until").null(),
                ],
            )
            .key(&["name"])
            .readable_by_all(),
        )
        .create(
            Table::tenant(
                "consumer_marks",
                [
                    text("consumer").max(100),
                    uuid("event_id"),
                    integer("attempts"),
                    text("error").null(),
                    timestamp("at"),
                ],
            )
            .key(&["consumer", "event_id"])
            .seen_by_system(),
        )
        .create(
            Table::tenant(
                "dead_letters",
                [
                    uuid("id"),
                    text("consumer").max(100),
                    uuid("event_id"),
                    text("kind"),
                    text("error"),
                    integer("attempts"),
                    timestamp("at"),
                ],
            )
            .seen_by_system()
            .index("dead_letters_by_consumer", &["consumer", "at"]),
        )
}

/// The chain of hashes over the log.
pub(crate) fn chain_migration() -> Migration {
    let links = Table::system(
        "audit_links",
        [
            integer("number"),
            text("since").null(),
            text("until"),
            integer("events"),
            bytes("hash"),
            timestamp("at"),
        ],
    );
    Migration::new("store_0005_audit_links").create(links.key(&["number"]))
}

/// Dead letters that can be found again, and the log's order on PostgreSQL.
pub(crate) fn groups_migration() -> Migration {
    Migration::new("store_0003_groups")
        .add_column("dead_letters", text("cursor").null())
        .add_column(
            "dead_letters",
            text("state").one_of(&["dead", "queued"]).default("dead"),
        )
        .add_index(
            "dead_letters",
            Index::new("dead_letters_queued", &["consumer", "state"]).across_tenants(),
        )
        .log_order()
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(entity::event::Entity),
        EntitySpec::of(entity::log::Entity),
        EntitySpec::of(entity::link::Entity),
        EntitySpec::of(entity::group::Entity),
        EntitySpec::of(entity::mark::Entity),
        EntitySpec::of(entity::dead_letter::Entity),
        EntitySpec::of(entity::archive::Entity),
    ]
}

/// Writes the events that the transaction collected, with one statement.
pub(crate) async fn flush(tx: &Tx) -> Result<()> {
    let events = tx.take_events();
    if events.is_empty() {
        return Ok(());
    }
    let rows = events.into_iter().map(|(ctx, event)| entity::event::Model {
        seq: 0,
        tenant_id: ctx.tenant().0,
        id: new_id(),
        kind: event.kind.to_owned(),
        version: i64::from(event.version),
        subject: event.subject,
        actor_kind: ctx.actor().kind.as_str().to_owned(),
        actor_id: ctx.actor().id,
        principal_kind: ctx.principal().map(|actor| actor.kind.as_str().to_owned()),
        principal_id: ctx.principal().map(|actor| actor.id),
        channel: ctx.origin().channel.as_str().to_owned(),
        ip: ctx.origin().ip.map(|ip| ip.to_string()),
        changes: serde_json::to_value(&event.changes).unwrap_or_default(),
        data: event.data,
        at: ctx.clock().now(),
        correlation: ctx.correlation(),
        // What a step of a run does was caused by that run, unless it says by what else.
        causation: event.causation.or(ctx.origin().run),
    });
    entity::append(tx, rows.collect()).await?;
    tx.wake(EVENTS);
    Ok(())
}

/// Finds out which log this is; on PostgreSQL also whether the rows came from another cluster, whose transaction ids say
/// nothing here: then a new epoch begins, which sorts after all that went before.
pub(crate) async fn identify(store: &Store) -> Result<()> {
    let ctx = Ctx::system(store.clock().clone());
    let found = store
        .write(&ctx, |tx| async move {
            let system = match tx.backend() {
                Backend::Sqlite => "sqlite".to_owned(),
                Backend::Postgres => sql::system_identifier(&tx).await?,
            };
            groups::begin_counting(&tx).await?;
            let known = entity::log_row(&tx).await?;
            let Some(mut row) = known else {
                let row = entity::log::Model {
                    id: new_id(),
                    epoch: 0,
                    system_identifier: system,
                    floor: None,
                    floor_link: 0,
                };
                tx.insert_as_system::<entity::log::Entity>(row.clone()).await?;
                return Ok((row, false));
            };
            let moved = row.system_identifier != system
                || (tx.backend() == Backend::Postgres && sql::xids_went_back(&tx, row.epoch).await?);
            if moved {
                row.epoch += 1;
                row.system_identifier = system;
                entity::update_log(&tx, &row).await?;
            }
            Ok((row, moved))
        })
        .await?;
    let (row, moved) = found;
    if store.backend() == Backend::Postgres && (moved || row.epoch > 0) {
        store.owner_run(&[sql::set_epoch(row.epoch)]).await?;
    }
    let identity = LogIdentity {
        id: row.id,
        epoch: row.epoch,
    };
    // A second migrate of the same process finds the same log.
    let _ = store.shared().log.set(identity);
    Ok(())
}

pub(crate) fn identity(store: &Store) -> Result<LogIdentity> {
    store.shared().log.get().copied().ok_or_else(not_migrated)
}

fn not_migrated() -> Error {
    Error::unavailable(
        "not_migrated",
        "The database has not been migrated: run `synapscale db migrate`.",
    )
}

impl Store {
    /// As [`Tx::replay_gap`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replay_gap(&self, ctx: &Ctx, cursor: &Cursor) -> Result<Option<Cursor>> {
        let cursor = *cursor;
        self.read(ctx, |tx| async move { tx.replay_gap(&cursor).await })
            .await
    }

    /// Where a group goes on: behind what has left the log while nobody worked for it. A new group begins with what is
    /// there.
    pub(crate) async fn past_the_gap(&self, group: &str, cursor: Cursor) -> Result<Cursor> {
        if cursor.position == Position::default() {
            return Ok(cursor);
        }
        let ctx = Ctx::system(self.clock().clone());
        let Some(resume) = self.replay_gap(&ctx, &cursor).await? else {
            return Ok(cursor);
        };
        tracing::warn!(
            group,
            code = "replay_gap",
            "events left the log before the group came back; it goes on behind them"
        );
        metrics::counter!("synapscale_events_gaps_total", "group" => group.to_owned()).increment(1);
        Ok(resume)
    }

    /// The log's streams on a Redis server.
    pub(crate) fn streams(&self, redis: &Redis) -> Result<Streams> {
        Ok(Streams::new(redis.clone(), identity(self)?.id))
    }

    /// The present end of the log as `ctx` sees it: a cursor from which only later events follow.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_head(&self, ctx: &Ctx) -> Result<Cursor> {
        let identity = identity(self)?;
        let position = self
            .read(ctx, |tx| async move { read::head(&tx, identity).await })
            .await?;
        Ok(Cursor {
            log: identity.id,
            position,
        })
    }
}
