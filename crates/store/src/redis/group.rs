//! A consumer group on the stream. The lease in the database says who reads, so that one process takes over whatever the
//! one before it had been given; the cursor in the database says what is settled. Whatever the stream does not hold, or
//! not without a gap, is read from the log.

use super::streams::{Entry, RawEntry, Streams, Tail, entry_id};
use super::{Redis, is_lost, refused};
use crate::events::{Cursor, Event, Position};
use crate::store::Store;
use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, FromRedisValue, Value};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use synapscale_core::{Error, Result};

/// Entries asked for at a time.
const BATCH: usize = 100;
/// How long the log is read after Redis failed.
const REST: Duration = Duration::from_secs(5);
/// The name that every holder of the lease reads under.
const CONSUMER: &str = "holder";

/// What Redis answers to XREADGROUP.
type Read = Option<Vec<(String, Vec<RawEntry>)>>;

/// Reads the stream for one group. What was delivered and is not settled waits in memory, and stands in the group's list of
/// pending entries for whoever comes after.
pub(crate) struct Reader {
    store: Store,
    redis: Redis,
    streams: Streams,
    group: &'static str,
    connection: Option<MultiplexedConnection>,
    waiting: VecDeque<Entry>,
    /// The lease under which the pending entries were taken over.
    joined: Option<i64>,
    /// When Redis failed last.
    failed: Option<Instant>,
}

impl Reader {
    pub fn new(store: &Store, streams: Streams, group: &'static str) -> Self {
        Reader {
            store: store.clone(),
            redis: streams.redis.clone(),
            streams,
            group,
            connection: None,
            waiting: VecDeque::new(),
            joined: None,
            failed: None,
        }
    }

    /// The streams it reads.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Forgets what was delivered; the next look takes it over again.
    pub fn reset(&mut self) {
        self.connection = None;
        self.waiting.clear();
        self.joined = None;
    }

    /// As [`Reader::reset`], after Redis failed: for a while the log is read at once, without waiting for Redis to fail again.
    pub fn rest(&mut self) {
        self.reset();
        self.failed = Some(Instant::now());
    }

    /// The entries that follow `cursor` without a gap, waiting for up to `patience` when there are none; those that the
    /// filter does not want are there too, to be passed over. None when the log itself has to be read.
    ///
    /// # Errors
    /// `redis_down` and the like.
    pub async fn next(
        &mut self,
        cursor: &Cursor,
        lease_epoch: i64,
        patience: Duration,
    ) -> Result<Option<Vec<Event>>> {
        if self.failed.is_some_and(|at| at.elapsed() < REST) {
            return Ok(None);
        }
        if self.joined != Some(lease_epoch) {
            self.reset();
            if !self.join(cursor).await? {
                return Ok(None);
            }
            self.joined = Some(lease_epoch);
        }
        self.drop_settled(cursor.position).await?;
        if self.waiting.is_empty() {
            self.read(patience).await?;
            self.drop_settled(cursor.position).await?;
        }
        let mut reached = cursor.position;
        for entry in &self.waiting {
            if entry.after > reached {
                // Entries were lost or taken away. The group goes on in the log, and is put there in the stream too.
                self.rewind(cursor).await?;
                return Ok(None);
            }
            reached = entry.event.cursor.position;
        }
        let next = self.waiting.iter().take(BATCH);
        Ok(Some(next.map(|entry| entry.event.clone()).collect()))
    }

    /// Settled: what lies up to `cursor` is acknowledged.
    pub async fn settled(&mut self, cursor: &Cursor) -> Result<()> {
        self.drop_settled(cursor.position).await
    }

    async fn drop_settled(&mut self, reached: Position) -> Result<()> {
        let mut command = ::redis::cmd("XACK");
        command.arg(&self.streams.events).arg(self.group);
        let mut count = 0;
        while let Some(entry) = self.waiting.front() {
            if entry.event.cursor.position > reached {
                break;
            }
            command.arg(&entry.id);
            self.waiting.pop_front();
            count += 1;
        }
        match count {
            0 => Ok(()),
            _ => self.ask::<u64>(&command).await.map(drop),
        }
    }

    /// Makes the group if it is not there, and takes over what is pending. False when there is no stream, or one that is
    /// not this log's: of a database that was restored, with events that never happened here.
    async fn join(&mut self, cursor: &Cursor) -> Result<bool> {
        if let Tail::Elsewhere(id) = self.streams.tail(&self.store).await? {
            self.streams.remove(&id).await?;
            return Ok(false);
        }
        let mut create = ::redis::cmd("XGROUP");
        create.arg("CREATE").arg(&self.streams.events).arg(self.group);
        create.arg(entry_id(cursor.position)?);
        match self.ask::<Value>(&create).await {
            Ok(_) => return Ok(true),
            Err(error) if error.source_text().is_some_and(|text| text.contains("BUSYGROUP")) => {}
            Err(error) if error.code() == "redis_refused" => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut from = "0-0".to_owned();
        loop {
            let mut claim = ::redis::cmd("XAUTOCLAIM");
            claim.arg(&self.streams.events).arg(self.group).arg(CONSUMER);
            // The lease has been taken: whoever read before is gone, however recently it did.
            claim.arg(0).arg(&from).arg("COUNT").arg(BATCH);
            let mut answer: Vec<Value> = self.ask(&claim).await?;
            if answer.len() < 2 {
                return Err(Error::internal("XAUTOCLAIM answered too little"));
            }
            answer.truncate(2);
            let entries = answer.pop().unwrap_or(Value::Nil);
            let next = answer.pop().unwrap_or(Value::Nil);
            // Redis 6.2 tells of entries that are gone by nothing in their place.
            let entries: Vec<Option<RawEntry>> =
                ::redis::from_redis_value(entries).map_err(Error::internal)?;
            self.take(entries.into_iter().flatten())?;
            from = ::redis::from_redis_value(next).map_err(Error::internal)?;
            if from == "0-0" {
                return Ok(true);
            }
        }
    }

    async fn read(&mut self, patience: Duration) -> Result<()> {
        let mut command = ::redis::cmd("XREADGROUP");
        command
            .arg("GROUP")
            .arg(self.group)
            .arg(CONSUMER)
            .arg("COUNT")
            .arg(BATCH);
        if !patience.is_zero() {
            command.arg("BLOCK").arg(patience.as_millis().max(1) as u64);
        }
        command.arg("STREAMS").arg(&self.streams.events).arg(">");
        let read: Read = self.ask(&command).await?;
        let entries = read.into_iter().flatten().flat_map(|(_, entries)| entries);
        self.take(entries)
    }

    fn take(&mut self, entries: impl Iterator<Item = RawEntry>) -> Result<()> {
        for entry in entries {
            self.waiting.push_back(self.streams.entry(entry)?);
        }
        Ok(())
    }

    /// Puts the group to its place in the log, so that what follows is delivered again.
    async fn rewind(&mut self, cursor: &Cursor) -> Result<()> {
        let mut command = ::redis::cmd("XGROUP");
        command.arg("SETID").arg(&self.streams.events).arg(self.group);
        command.arg(entry_id(cursor.position)?);
        self.ask::<Value>(&command).await?;
        self.waiting.clear();
        Ok(())
    }

    /// Over a connection of its own, since XREADGROUP waits.
    async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.redis.own().await?,
        };
        let answer = command.query_async(&mut connection).await;
        if !answer.as_ref().is_err_and(is_lost) {
            self.connection = Some(connection);
        }
        answer.map_err(|error| refused(&error))
    }
}
