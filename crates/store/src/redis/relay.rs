//! Copies the log to its stream. Any number of processes may do so at once: an append goes through only behind the entry
//! that it was meant for, so that the stream is the log without gap and double, whoever wrote it.

use super::streams::{Streams, Tail, entry_id};
use super::trim::Trimmer;
use crate::events::{Cursor, EVENTS, EventBatch, EventFilter, Position};
use crate::store::Store;
use metrics::{counter, gauge};
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Result};
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
/// A group of the stream that stands still for this long while entries wait for it is taken away, since trimming waits for
/// it. A group of ours that comes back reads the log and is made again; its place stands in the database.
const PATIENCE: Duration = Duration::from_secs(3600);
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
        Self::start_with(store, PATIENCE)
    }

    /// As [`Relay::start`], with another time after which a group of the stream that nobody reads is taken away.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start_with(store: &Store, patience: Duration) -> Result<Option<Self>> {
        let Some(redis) = store.redis() else {
            return Ok(None);
        };
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let copier = Copier {
            streams: store.streams(redis)?,
            store: store.clone(),
            end: None,
            trimmed: Instant::now(),
            trimmer: Trimmer::new(patience),
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
    trimmer: Trimmer,
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
            if let Some(End { place, exists: true }) = self.end {
                self.trimmer.trim(&self.streams, place).await?;
            }
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
        let tail = self.streams.tail(&self.store).await?;
        gauge!("synapscale_redis_up").set(1.0);
        match tail {
            Tail::At(place) => return Ok(End { place, exists: true }),
            Tail::Elsewhere(id) => self.streams.remove(&id).await?,
            Tail::Empty => {}
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
}
