//! Reading the log by cursor.

use super::cursor::{Cursor, LogIdentity, Position};
use super::{EVENTS, Follower, not_migrated};
use crate::dialect::events as sql;
use crate::errors::IntoCore;
use crate::store::Store;
use crate::tx::Tx;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_core::{Actor, ActorKind, Ctx, Error, Result, TenantId};
use uuid::Uuid;

/// Most kinds in one filter.
const MAX_KINDS: usize = 32;
/// Most events in one batch.
pub(crate) const MAX_BATCH: u32 = 1000;

/// An event as the log holds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id.
    pub id: Uuid,
    /// The workspace.
    #[serde(skip, default = "no_tenant")]
    pub tenant: TenantId,
    /// The declared kind.
    pub kind: String,
    /// The payload's version.
    pub version: i64,
    /// `noun:id` of the thing it is about.
    pub subject: String,
    /// Who did it.
    pub actor: Actor,
    /// For whom, if for somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    /// The door it came by.
    pub channel: String,
    /// The peer's address, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Changed fields, before and after.
    pub changes: Value,
    /// The payload.
    pub data: Value,
    /// When.
    pub at: DateTime<Utc>,
    /// The request or run it belongs to.
    pub correlation: Uuid,
    /// The event or the run that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation: Option<Uuid>,
    /// The place in the log right after this event.
    #[serde(skip, default = "no_cursor")]
    pub cursor: Cursor,
}

/// What is not in an event's JSON; whoever reads one sets it.
fn no_tenant() -> TenantId {
    TenantId(Uuid::nil())
}

fn no_cursor() -> Cursor {
    Cursor {
        log: Uuid::nil(),
        position: Position::default(),
    }
}

/// Events in order and where to go on.
#[derive(Clone, Debug)]
pub struct EventBatch {
    /// The events; may be empty.
    pub events: Vec<Event>,
    /// After the last of them; where reading began if there are none.
    pub next: Cursor,
    /// Whether there may be more behind.
    pub more: bool,
}

/// Which events to read.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Kinds (`task.created`) and nouns (`task.*`); empty for all.
    pub kinds: Vec<String>,
    /// `noun:id` of one thing.
    pub subject: Option<String>,
    /// Who did it, or for whom it was done.
    pub actor: Option<Uuid>,
    /// Not before.
    pub from: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
}

impl EventFilter {
    /// Reads a comma-separated list of kinds.
    ///
    /// # Errors
    /// `event_kind` for a word that cannot be one.
    pub fn parse(kinds: &str) -> Result<Self> {
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        };
        let valid = |kind: &&str| match kind.split_once('.') {
            Some((noun, "*")) => word(noun),
            Some((noun, rest)) => word(noun) && rest.split('.').all(word),
            None => false,
        };
        let kinds: Vec<&str> = kinds
            .split(',')
            .map(str::trim)
            .filter(|kind| !kind.is_empty())
            .collect();
        if kinds.len() > MAX_KINDS || !kinds.iter().all(valid) {
            return Err(Error::invalid(
                "/kinds",
                "event_kind",
                "Write kinds as task.created or task.*, at most 32 of them, separated by commas.",
            ));
        }
        Ok(EventFilter {
            kinds: kinds.into_iter().map(str::to_owned).collect(),
            ..EventFilter::default()
        })
    }
}

/// Whether `filter` wants the event: what the database decides elsewhere.
pub(crate) fn wants(filter: &EventFilter, event: &Event) -> bool {
    let kind = |wanted: &String| match wanted.strip_suffix(".*") {
        Some(noun) => event.kind.split('.').next() == Some(noun),
        None => event.kind == *wanted,
    };
    let subject = filter
        .subject
        .as_ref()
        .is_none_or(|subject| event.subject == *subject);
    let by = |actor: Uuid| event.actor.id == actor || event.on_behalf_of.is_some_and(|whom| whom.id == actor);
    subject
        && filter.actor.is_none_or(by)
        && filter.from.is_none_or(|from| event.at >= from)
        && filter.until.is_none_or(|until| event.at < until)
        && (filter.kinds.is_empty() || filter.kinds.iter().any(kind))
}

impl EventFilter {
    /// Whether every event meets it.
    pub(crate) fn takes_all(&self) -> bool {
        let EventFilter {
            kinds,
            subject,
            actor,
            from,
            until,
        } = self;
        kinds.is_empty() && subject.is_none() && actor.is_none() && from.is_none() && until.is_none()
    }
}

impl Tx {
    /// The log's end, if no event behind `from` meets the filter; else `from` itself.
    pub(crate) async fn events_passed(&self, from: &Cursor, filter: &EventFilter) -> Result<Cursor> {
        let log = self.shared().log.get().copied().ok_or_else(not_migrated)?;
        // Both of one snapshot: what comes in between is behind this end.
        let end = head(self, log).await?;
        let mut passed = *from;
        if self.events(Some(from), filter, 1, false).await?.events.is_empty() {
            passed.position = passed.position.max(end);
        }
        Ok(passed)
    }
}

impl Store {
    /// Events after `since` (from the beginning if none), in the log's order. An elevated context reads all tenants.
    ///
    /// # Errors
    /// `cursor` when `since` is of another log.
    pub async fn events_after(
        &self,
        ctx: &Ctx,
        since: Option<&Cursor>,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<EventBatch> {
        let (since, filter) = (since.copied(), std::sync::Arc::new(filter.clone()));
        self.read(ctx, |tx| {
            let filter = filter.clone();
            async move { tx.events(since.as_ref(), &filter, limit, false).await }
        })
        .await
    }

    /// Follows the log from `since`.
    pub fn follow(&self, ctx: Ctx, since: Cursor, filter: EventFilter) -> Follower {
        Follower::new(self.clone(), ctx, since, filter, self.watch(EVENTS))
    }
}

impl Tx {
    /// Events beyond `from`, or from the log's beginning (its end, with `newest_first`) if none. An elevated context
    /// reads all tenants.
    ///
    /// # Errors
    /// `cursor` when `from` is of another log.
    pub async fn events(
        &self,
        from: Option<&Cursor>,
        filter: &EventFilter,
        limit: u32,
        newest_first: bool,
    ) -> Result<EventBatch> {
        let log = self.shared().log.get().copied().ok_or_else(not_migrated)?;
        if from.is_some_and(|cursor| !cursor.same_log(log.id)) {
            return Err(Error::invalid(
                "/since",
                "cursor",
                "This cursor belongs to another database.",
            ));
        }
        let statement = sql::page(
            self,
            &sql::Page {
                from: from.map(|cursor| cursor.position),
                newest_first,
                epoch: log.epoch,
                filter,
                limit: u64::from(limit.clamp(1, MAX_BATCH)),
            },
        );
        let rows = self.query_all_raw(statement).await.map_err(IntoCore::into_core)?;
        let events: Vec<Event> = rows
            .iter()
            .map(|row| event(row, log).map_err(IntoCore::into_core))
            .collect::<Result<_>>()?;
        let start = from.map_or_else(Position::default, |cursor| cursor.position);
        let next = events.last().map_or(
            Cursor {
                log: log.id,
                position: start,
            },
            |event| event.cursor,
        );
        let more = events.len() >= limit as usize;
        Ok(EventBatch { events, next, more })
    }
}

fn event(row: &QueryResult, log: LogIdentity) -> Result<Event, sea_orm::DbErr> {
    let actor = |kind: &str, id: Uuid| Actor {
        kind: ActorKind::parse(kind).unwrap_or(ActorKind::System),
        id,
    };
    let kind: String = row.try_get("", "actor_kind")?;
    let principal_kind: Option<String> = row.try_get("", "principal_kind")?;
    let principal_id: Option<Uuid> = row.try_get("", "principal_id")?;
    Ok(Event {
        id: row.try_get("", "id")?,
        tenant: TenantId(row.try_get("", "tenant_id")?),
        kind: row.try_get("", "kind")?,
        version: row.try_get("", "version")?,
        subject: row.try_get("", "subject")?,
        actor: actor(&kind, row.try_get("", "actor_id")?),
        on_behalf_of: principal_kind
            .zip(principal_id)
            .map(|(kind, id)| actor(&kind, id)),
        channel: row.try_get("", "channel")?,
        ip: row.try_get("", "ip")?,
        changes: row.try_get("", "changes")?,
        data: row.try_get("", "data")?,
        at: row.try_get("", "at")?,
        correlation: row.try_get("", "correlation")?,
        causation: row.try_get("", "causation")?,
        cursor: Cursor {
            log: log.id,
            position: position(row)?,
        },
    })
}

fn position(row: &QueryResult) -> Result<Position, sea_orm::DbErr> {
    Ok(Position {
        epoch: row.try_get("", "epoch")?,
        xid: row.try_get("", "xid")?,
        seq: row.try_get("", "seq")?,
    })
}

/// How many events follow a place, counted up to `most`, and when the first of them happened.
pub(crate) async fn waiting(
    tx: &Tx,
    from: &Cursor,
    filter: &EventFilter,
    most: u32,
) -> Result<(u64, Option<DateTime<Utc>>)> {
    let log = tx.shared().log.get().copied().ok_or_else(not_migrated)?;
    let page = sql::Page {
        from: Some(from.position),
        newest_first: false,
        epoch: log.epoch,
        filter,
        limit: u64::from(most),
    };
    let row = tx
        .query_one_raw(sql::waiting(tx, &page))
        .await
        .map_err(IntoCore::into_core)?;
    let Some(row) = row else { return Ok((0, None)) };
    let count: i64 = row.try_get("", "waiting").map_err(IntoCore::into_core)?;
    let oldest = row.try_get("", "oldest").map_err(IntoCore::into_core)?;
    Ok((u64::try_from(count).unwrap_or(0), oldest))
}

/// The place of the `limit`th of the oldest rows up to `until`, if there are so many.
pub(crate) async fn nth_until(tx: &Tx, until: Position, limit: u64) -> Result<Option<Position>> {
    let row = tx
        .query_one_raw(sql::nth_until(tx, until, limit))
        .await
        .map_err(IntoCore::into_core)?;
    row.map(|row| position(&row).map_err(IntoCore::into_core))
        .transpose()
}

/// The last settled position; the archive's end when the log holds nothing more.
pub(crate) async fn head(tx: &Tx, log: LogIdentity) -> Result<Position> {
    let row = tx
        .query_one_raw(sql::head(tx, log.epoch))
        .await
        .map_err(IntoCore::into_core)?;
    match row {
        Some(row) => position(&row).map_err(IntoCore::into_core),
        None => Ok(super::archive::end(tx).await?.unwrap_or_default()),
    }
}
