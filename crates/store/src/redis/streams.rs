//! The event log as a stream: names, ids and entries. An entry's id is its event's place in the log, and it names the place
//! of the entry before it, so that a reader sees by itself whether anything is missing in between.

use super::Redis;
use crate::events::{Cursor, Event, EventFilter, Position};
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;
use synapscale_core::{Ctx, Error, Result, TenantId};
use uuid::Uuid;

/// Bits of an id's first number that hold the transaction's; the epoch stands above them.
const XID_BITS: u32 = 48;
/// Epochs that fit above.
const MAX_EPOCH: i64 = 1 << 15;
/// The field of an entry that holds the event.
const EVENT: &str = "event";
/// The field of an entry that holds the place of the entry before it.
const AFTER: &str = "after";
/// Events set aside that the dead-letter stream keeps; the database keeps them all.
const DEAD_LETTERS: u32 = 10_000;
/// Most time to tell of one; the group goes on without.
const BURY_WITHIN: Duration = Duration::from_millis(500);

/// The streams of one log on a Redis server.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(super) redis: Redis,
    /// The stream of events.
    pub(super) events: String,
    /// The stream of events that were given up.
    pub(super) dead: String,
    pub(super) log: Uuid,
}

/// An event as an entry carries it.
#[derive(Serialize, Deserialize)]
struct Wire {
    tenant: TenantId,
    event: Event,
}

/// An entry as it was read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub id: String,
    /// The place of the entry before it.
    pub after: Position,
    pub event: Event,
}

/// Where the stream ends.
pub(super) enum Tail {
    /// It has no entry.
    Empty,
    /// At an event of the log.
    At(Position),
    /// At an entry of that id whose event the log does not have: the database was restored, or the log has left it behind.
    Elsewhere(String),
}

/// Removes the stream if it still ends with the entry `ARGV[1]`.
const REMOVE: &str = "
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if top[1] and top[1][1] == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// What Redis answers for an entry.
pub(super) type RawEntry = (String, HashMap<String, String>);

impl Streams {
    pub(crate) fn new(redis: Redis, log: Uuid) -> Self {
        // The braces keep both on one node of a cluster.
        let prefix = format!("synapscale:{{{}}}", log.simple());
        Streams {
            redis,
            events: format!("{prefix}:events"),
            dead: format!("{prefix}:dead"),
            log,
        }
    }

    /// The fields and values of an event's entry.
    pub(super) fn fields(event: &Event, after: Position) -> Result<[(&'static str, String); 2]> {
        let wire = Wire {
            tenant: event.tenant,
            event: event.clone(),
        };
        let json = serde_json::to_string(&wire).map_err(Error::internal)?;
        Ok([(EVENT, json), (AFTER, entry_id(after)?)])
    }

    pub(super) fn entry(&self, (id, mut fields): RawEntry) -> Result<Entry> {
        let strange = || Error::internal(format!("the stream's entry {id} is not ours"));
        let json = fields.remove(EVENT).ok_or_else(strange)?;
        let after = fields.remove(AFTER).ok_or_else(strange)?;
        let wire: Wire = serde_json::from_str(&json).map_err(Error::internal)?;
        let event = Event {
            tenant: wire.tenant,
            cursor: Cursor {
                log: self.log,
                position: position(&id)?,
            },
            ..wire.event
        };
        Ok(Entry {
            after: position(&after)?,
            id,
            event,
        })
    }

    /// Where the stream ends, held against the log.
    pub(super) async fn tail(&self, store: &Store) -> Result<Tail> {
        let mut command = ::redis::cmd("XREVRANGE");
        command.arg(&self.events).arg("+").arg("-").arg("COUNT").arg(1);
        let top: Vec<RawEntry> = self.redis.ask(&command).await?;
        let Some(last) = top.into_iter().next() else {
            return Ok(Tail::Empty);
        };
        let id = last.0.clone();
        Ok(match self.known(store, last).await? {
            Some(place) => Tail::At(place),
            None => Tail::Elsewhere(id),
        })
    }

    /// The entry's place, if the log has its event there: a database that was restored has others.
    async fn known(&self, store: &Store, last: RawEntry) -> Result<Option<Position>> {
        let Ok(entry) = self.entry(last) else {
            return Ok(None);
        };
        let ctx = Ctx::system(store.clock().clone());
        let before = entry.event.cursor.before();
        let there = store
            .events_after(&ctx, Some(&before), &EventFilter::default(), 1)
            .await?;
        let same = there
            .events
            .first()
            .is_some_and(|event| event.id == entry.event.id);
        Ok(same.then_some(entry.event.cursor.position))
    }

    /// Removes a stream that ends with the entry `id`, which is none of this log's, and its groups with it.
    pub(super) async fn remove(&self, id: &str) -> Result<()> {
        tracing::warn!("the stream in Redis does not end in this log; it is made anew");
        let mut command = ::redis::cmd("EVAL");
        command.arg(REMOVE).arg(1).arg(&self.events).arg(id);
        self.redis.ask::<i64>(&command).await.map(drop)
    }

    /// Tells of an event that a group gave up. The database's row is what counts.
    pub(crate) async fn bury(&self, group: &str, event: &Event) -> Result<()> {
        let mut command = ::redis::cmd("XADD");
        command
            .arg(&self.dead)
            .arg("MAXLEN")
            .arg("~")
            .arg(DEAD_LETTERS)
            .arg("*");
        command
            .arg("group")
            .arg(group)
            .arg("id")
            .arg(event.id.to_string());
        for (field, value) in Self::fields(event, event.cursor.position)? {
            command.arg(field).arg(value);
        }
        self.redis
            .ask_within::<String>(&command, BURY_WITHIN)
            .await
            .map(drop)
    }
}

/// `(epoch, xid)` and `seq` as the two numbers of an id, in the same order.
pub(super) fn entry_id(place: Position) -> Result<String> {
    let fits =
        (0..MAX_EPOCH).contains(&place.epoch) && (0..1 << XID_BITS).contains(&place.xid) && place.seq >= 0;
    match fits {
        true => Ok(format!("{}-{}", (place.epoch << XID_BITS) | place.xid, place.seq)),
        false => Err(Error::internal(
            "a place of the log does not fit into a stream's id",
        )),
    }
}

/// The place that an id stands for.
pub(super) fn position(id: &str) -> Result<Position> {
    let numbers = id.split_once('-').and_then(|(first, second)| {
        let first: i64 = first.parse().ok()?;
        Some((first, second.parse().ok()?))
    });
    let (first, seq) = numbers.ok_or_else(|| Error::internal(format!("`{id}` is no id of ours")))?;
    Ok(Position {
        epoch: first >> XID_BITS,
        xid: first & ((1 << XID_BITS) - 1),
        seq,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_log() {
        let place = |epoch, xid, seq| Position { epoch, xid, seq };
        let ordered = [
            place(0, 0, 0),
            place(0, 0, 7),
            place(0, 900, 3),
            place(0, (1 << XID_BITS) - 1, 1),
            place(1, 0, 0),
            place(1, 5, 2),
        ];
        let mut last = None;
        for place in ordered {
            let id = entry_id(place).expect("an id");
            assert_eq!(position(&id).expect("a place"), place);
            let (first, second) = id.split_once('-').expect("two numbers");
            let numbers: (u64, u64) = (first.parse().expect("one"), second.parse().expect("two"));
            assert!(last.is_none_or(|last| last < numbers));
            last = Some(numbers);
        }
        assert!(entry_id(place(MAX_EPOCH, 0, 0)).is_err());
        assert!(entry_id(place(0, 1 << XID_BITS, 0)).is_err());
        assert!(position("1").is_err() && position("x-1").is_err());
    }
}
