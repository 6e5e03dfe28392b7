//! Copies the log to its stream. Any number of processes may do so at once: an append goes through only behind the entry
//! that it was meant for, so that the stream is the log without gap and double, whoever wrote it.

use super::streams::{RawEntry, Streams, entry_id, position};
use crate::events::{Cursor, EVENTS, EventBatch, EventFilter, Position};
use crate::store::Store;
use metrics::{counter, gauge};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Events copied at a time.
const BATCH: u32 = 200;
/// Most entries in the stream. When groups hold more, copying waits; they read the log itself meanwhile.
const MAX_ENTRIES: u64 = 200_000;
/// Wake-ups are hints; the log is looked at this often whatever happens.
const POLL: Duration = Duration::from_secs(1);
/// How often entries that nobody waits for are taken away.
const TRIM: Duration = Duration::from_secs(2);
/// Pause after a failure; doubles with each in a row.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Appends behind the entry `ARGV[1]` (empty for a stream that is not there), and nowhere else. Answers 1, or 0 when the
/// stream ends elsewhere.
const APPEND: &str = "
local last = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  if top[1] then last = top[1][1] end
end
if last ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 5 do
  redis.call('XADD', KEYS[1], ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
return 1";

/// Removes the stream if it still ends with the entry `ARGV[1]`.
const REMOVE: &str = "
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if top[1] and top[1][1] == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0";

/// The relay of one process, at work.
pub struct Relay {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Relay {
    /// Starts it, to the store's Redis; none without one.
    ///
    /// # Errors
    /// `not_migrated`.
    pub fn start(store: &Store) -> Result<Option<Self>> {
        let Some(redis) = store.redis() else {
            return Ok(None);
        };
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let copier = Copier {
            streams: store.streams(redis)?,
            store: store.clone(),
            end: None,
            trimmed: Instant::now(),
        };
        tracker.spawn(copier.run(stop.clone()));
        tracker.close();
        Ok(Some(Relay { tracker, stop }))
    }

    /// Ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

/// Where the stream ends.
#[derive(Clone, Copy)]
struct End {
    /// The place in the log.
    place: Position,
    /// Whether the stream has an entry at all.
    exists: bool,
}

struct Copier {
    store: Store,
    streams: Streams,
    /// None until it was looked up, and after whatever puts it in doubt.
    end: Option<End>,
    trimmed: Instant,
}

impl Copier {
    async fn run(mut self, stop: CancellationToken) {
        let mut wake = self.store.watch(EVENTS);
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            wake.borrow_and_update();
            let wait = match self.turn().await {
                Ok(true) => {
                    pause = PAUSE;
                    continue;
                }
                Ok(false) => {
                    pause = PAUSE;
                    POLL
                }
                Err(error) => {
                    tracing::warn!(%error, "events are not copied to Redis now; consumers read the log itself");
                    gauge!("synapscale_redis_up").set(0.0);
                    self.end = None;
                    let now = pause;
                    pause = (now * 2).min(MAX_PAUSE);
                    now
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
                Ok(()) = wake.changed(), if wait == POLL => {}
            }
        }
    }

    /// Copies one batch; true when there may be more at once.
    async fn turn(&mut self) -> Result<bool> {
        if self.trimmed.elapsed() > TRIM {
            self.trimmed = Instant::now();
            self.trim().await?;
        }
        let end = match self.end {
            Some(end) => end,
            None => self.look_up().await?,
        };
        self.end = Some(end);
        let batch = self.log_after(end.place, BATCH).await?;
        if batch.events.is_empty() {
            return Ok(false);
        }
        let held: u64 = self
            .streams
            .redis
            .ask(::redis::cmd("XLEN").arg(&self.streams.events))
            .await?;
        if held >= MAX_ENTRIES {
            return Ok(false);
        }
        if !self.append(end, &batch).await? {
            // Somebody else wrote, or Redis lost what it had.
            self.end = None;
            return Ok(true);
        }
        gauge!("synapscale_redis_up").set(1.0);
        counter!("synapscale_events_relayed_total").increment(batch.events.len() as u64);
        self.end = Some(End {
            place: batch.next.position,
            exists: true,
        });
        Ok(true)
    }

    async fn log_after(&self, place: Position, limit: u32) -> Result<EventBatch> {
        let ctx = Ctx::system(self.store.clock().clone());
        let since = Cursor {
            log: self.streams.log,
            position: place,
        };
        self.store
            .events_after(&ctx, Some(&since), &EventFilter::default(), limit)
            .await
    }

    /// The stream's end, or where a new stream has to begin: at the oldest group's place, the log's end without groups.
    async fn look_up(&self) -> Result<End> {
        let mut command = ::redis::cmd("XREVRANGE");
        command
            .arg(&self.streams.events)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1);
        let top: Vec<RawEntry> = self.streams.redis.ask(&command).await?;
        gauge!("synapscale_redis_up").set(1.0);
        if let Some(last) = top.into_iter().next() {
            let id = last.0.clone();
            if let Some(place) = self.known(last).await? {
                return Ok(End { place, exists: true });
            }
            tracing::warn!("the stream in Redis does not end in this log; it is made anew");
            let mut command = ::redis::cmd("EVAL");
            command.arg(REMOVE).arg(1).arg(&self.streams.events).arg(id);
            self.streams.redis.ask::<i64>(&command).await?;
        }
        let place = match self.store.oldest_group().await? {
            Some(cursor) => cursor.position,
            None => {
                let ctx = Ctx::system(self.store.clock().clone());
                self.store.event_head(&ctx).await?.position
            }
        };
        Ok(End { place, exists: false })
    }

    /// The entry's place, if the log has its event there: a database that was restored has others.
    async fn known(&self, last: RawEntry) -> Result<Option<Position>> {
        let Ok(entry) = self.streams.entry(last) else {
            return Ok(None);
        };
        let place = entry.event.cursor.position;
        let there = self.log_after(entry.event.cursor.before().position, 1).await?;
        let same = there
            .events
            .first()
            .is_some_and(|event| event.id == entry.event.id);
        Ok(same.then_some(place))
    }

    async fn append(&self, end: End, batch: &EventBatch) -> Result<bool> {
        let mut command = ::redis::cmd("EVAL");
        command.arg(APPEND).arg(1).arg(&self.streams.events);
        command.arg(if end.exists {
            entry_id(end.place)?
        } else {
            String::new()
        });
        let mut after = end.place;
        for event in &batch.events {
            command.arg(entry_id(event.cursor.position)?);
            for (field, value) in Streams::fields(event, after)? {
                command.arg(field).arg(value);
            }
            after = event.cursor.position;
        }
        Ok(self.streams.redis.ask::<i64>(&command).await? == 1)
    }

    /// Takes away what every group of the stream has settled. The last entry always stays: it says where the stream ends.
    async fn trim(&self) -> Result<()> {
        let mut oldest = match self.end {
            Some(end) if end.exists => end.place,
            _ => return Ok(()),
        };
        let mut info = ::redis::cmd("XINFO");
        info.arg("GROUPS").arg(&self.streams.events);
        let groups: Vec<HashMap<String, ::redis::Value>> = match self.streams.redis.ask(&info).await {
            Ok(groups) => groups,
            // There is no stream any more; the next append finds out.
            Err(error) if error.code() == "redis_refused" => return Ok(()),
            Err(error) => return Err(error),
        };
        for group in groups {
            let text = |field: &str| {
                let value = group.get(field).cloned().unwrap_or(::redis::Value::Nil);
                ::redis::from_redis_value::<String>(value).map_err(Error::internal)
            };
            let pending: (u64, Option<String>, ::redis::Value, ::redis::Value) = self
                .streams
                .redis
                .ask(
                    ::redis::cmd("XPENDING")
                        .arg(&self.streams.events)
                        .arg(text("name")?),
                )
                .await?;
            let held = match pending.1 {
                Some(first) => first,
                None => text("last-delivered-id")?,
            };
            oldest = oldest.min(position(&held)?);
        }
        let mut command = ::redis::cmd("XTRIM");
        command
            .arg(&self.streams.events)
            .arg("MINID")
            .arg(entry_id(oldest)?);
        let gone: u64 = self.streams.redis.ask(&command).await?;
        counter!("synapscale_events_trimmed_total").increment(gone);
        Ok(())
    }
}
