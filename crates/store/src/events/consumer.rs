//! Consumers: each event is handled in one transaction with a mark that makes its effect happen once; after three failures
//! it becomes a dead letter and the group moves on.

use super::cursor::Cursor;
use super::entity::mark;
use super::failure::told;
use super::groups::{Held, guard};
use super::letters;
use super::read::{self, Event, EventFilter, wants};
use crate::redis::Reader;
use crate::scoped::Scoped;
use crate::store::Store;
use crate::tx::Tx;
use async_trait::async_trait;
use futures::FutureExt;
use sea_orm::{ColumnTrait, QueryFilter};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, Result};
use uuid::Uuid;

/// How often an event is tried before it becomes a dead letter.
pub const MAX_ATTEMPTS: i64 = 3;
/// Events handled under one look at the lease.
const BATCH: u32 = 100;
/// A turn ends after this time even within a batch, so that the lease is renewed long before its end.
const TURN: Duration = Duration::from_secs(10);
/// Most time for one event; shorter than the lease.
const HANDLE_WITHIN: Duration = Duration::from_secs(8);
/// How far a group may be ahead of what the database says of it, by events that it only passed over.
const UNTOLD: Duration = Duration::from_secs(3);
/// Most of a turn that replayed dead letters get, so that what comes in order is not held up by them.
const REPLAYS_WITHIN: Duration = Duration::from_secs(4);

/// Something that acts on events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The group's name, at most 100 characters; consumers of one name share one cursor. A new group begins with the
    /// oldest event that the log holds.
    fn name(&self) -> &'static str;
    /// Which events it wants.
    fn filter(&self) -> EventFilter;
    /// Acts on one event, in a transaction of the event's tenant that also marks the event as handled: what it does to the
    /// database happens once. It has 8 seconds. An event that failed is tried again before later ones, in order, and set
    /// aside after [`MAX_ATTEMPTS`] tries; a transient fault of the database does not count. It may run twice in a row, as all
    /// writes may; only one run is kept.
    async fn handle(&self, tx: &Tx, event: &Event) -> Result<()>;
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Whether this process holds the group.
    pub held: bool,
    /// Events done with, handled or dead; replayed dead letters too.
    pub settled: usize,
    /// An event failed and is to be tried again.
    pub failed: bool,
    /// Whether the turn waited in the stream, so that there is no need to wait again.
    pub waited: bool,
}

/// Events for a group, and where it stands once they are settled.
struct Waiting {
    events: Vec<Event>,
    then: Cursor,
}

/// What became of one event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Handled,
    Dead,
    Later,
}

/// One process's part in a consumer group.
pub struct Group {
    store: Store,
    consumer: Arc<dyn Consumer>,
    owner: Uuid,
    reader: Option<Reader>,
    /// The lease under which the group came this far, and where; what the database says may lie behind.
    passed: Option<(i64, Cursor)>,
    /// Events settled under that lease of which the database was not told yet: their marks are of use until then.
    untold: Vec<Uuid>,
    /// When the database was told last.
    written: Instant,
    /// The lease under which it was looked whether events between the group's place and the log's beginning are gone.
    joined: Option<i64>,
}

impl Group {
    /// `consumer`'s group, held as `owner`; its events come over the store's Redis if there is one and it has them.
    ///
    /// # Errors
    /// `not_migrated`.
    pub fn new(store: &Store, consumer: Arc<dyn Consumer>, owner: Uuid) -> Result<Self> {
        let streams = store.redis().map(|redis| store.streams(redis)).transpose()?;
        Ok(Group {
            reader: streams.map(|streams| Reader::new(store, streams, consumer.name())),
            store: store.clone(),
            consumer,
            owner,
            passed: None,
            untold: Vec::new(),
            written: Instant::now(),
            joined: None,
        })
    }

    /// The group's name.
    pub fn name(&self) -> &'static str {
        self.consumer.name()
    }

    /// Handles what waits for the group, one batch. With a stream it waits there for up to `patience` when there is nothing.
    ///
    /// # Errors
    /// `lease_lost` when another process took the group over; a failing event is no error here.
    pub async fn turn(&mut self, patience: Duration) -> Result<Turn> {
        let began = Instant::now();
        let claimed = self.store.claim_group(self.name(), self.owner).await;
        if claimed.is_err() {
            // The database that comes back may be an older one: nothing that was known of its log counts any more.
            self.passed = None;
            self.forget();
        }
        let Some(mut held) = claimed? else {
            return Ok(Turn::default());
        };
        let lease = held.lease_epoch;
        if self.passed.is_none_or(|(under, _)| under != lease) {
            // Another process may have begun anew from where the database stood, and needs the marks.
            self.untold.clear();
        }
        if let Some((under, passed)) = self.passed
            && under == lease
            && passed.position > held.cursor.position
        {
            held.cursor = passed;
            if self.written.elapsed() > UNTOLD {
                self.tell(passed, lease).await?;
            }
        }
        if self.joined != Some(lease) {
            held.cursor = self.store.past_the_gap(self.name(), held.cursor).await?;
            self.joined = Some(lease);
        }
        let until = began + REPLAYS_WITHIN;
        let replayed = self.store.replay_letters(&self.consumer, lease, until).await?;
        let (waiting, waited) = match self.streamed(&held, patience).await {
            Some(waiting) if !waiting.events.is_empty() || waiting.then != held.cursor => (waiting, true),
            from_stream => {
                let filter = self.consumer.filter();
                let waiting = self.store.waiting_for(&held.cursor, &filter).await?;
                (waiting, from_stream.is_some() && !patience.is_zero())
            }
        };
        let mut turn = Turn {
            held: true,
            settled: replayed,
            waited,
            failed: false,
        };
        let outcome = self.settle_all(&held, &waiting, began, &mut turn).await;
        if outcome.is_err() {
            self.forget();
        }
        outcome.map(|()| turn)
    }

    /// Nothing is known of the stream any more.
    fn forget(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.reset();
        }
    }

    /// Gives the group up, so that another process need not wait until the lease runs out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self) -> Result<()> {
        self.store.release_group(self.name(), self.owner).await
    }

    /// What the stream has for the group; none when there is no stream or it is of no use now.
    async fn streamed(&mut self, held: &Held, patience: Duration) -> Option<Waiting> {
        let filter = self.consumer.filter();
        let reader = self.reader.as_mut()?;
        match reader.next(&held.cursor, held.lease_epoch, patience).await {
            Ok(None) => None,
            Ok(Some(entries)) => Some(Waiting {
                then: entries.last().map_or(held.cursor, |event| event.cursor),
                events: entries
                    .into_iter()
                    .filter(|event| wants(&filter, event))
                    .collect(),
            }),
            Err(error) => {
                tracing::debug!(group = self.consumer.name(), %error, "the stream cannot be read; the log is");
                reader.rest();
                None
            }
        }
    }

    /// Settles events in order and moves the group's cursor behind them.
    async fn settle_all(
        &mut self,
        held: &Held,
        waiting: &Waiting,
        began: Instant,
        turn: &mut Turn,
    ) -> Result<()> {
        let (mut reached, mut done) = (held.cursor, 0);
        let mut outcome = Ok(());
        for event in &waiting.events {
            match self.store.settle(&self.consumer, event, held.lease_epoch).await {
                Ok(Fate::Later) => turn.failed = true,
                Ok(fate) => {
                    done += 1;
                    reached = event.cursor;
                    self.untold.push(event.id);
                    if fate == Fate::Dead {
                        self.bury(event).await;
                    }
                }
                Err(error) => outcome = Err(error),
            }
            if turn.failed || outcome.is_err() || began.elapsed() > TURN {
                break;
            }
        }
        turn.settled += done;
        if done == waiting.events.len() {
            reached = waiting.then;
        }
        if reached.position > held.cursor.position {
            self.pass(held.lease_epoch, reached, done > 0).await?;
        }
        outcome
    }

    /// Everything up to `reached` is settled. The database is told at once of what had an effect; events that were only
    /// passed over are not worth a write each.
    async fn pass(&mut self, lease_epoch: i64, reached: Cursor, effects: bool) -> Result<()> {
        self.passed = Some((lease_epoch, reached));
        if effects || self.written.elapsed() > UNTOLD {
            self.tell(reached, lease_epoch).await?;
        }
        self.acknowledge(&reached).await;
        Ok(())
    }

    async fn tell(&mut self, reached: Cursor, lease_epoch: i64) -> Result<()> {
        self.store
            .advance(self.name(), reached, lease_epoch, &self.untold)
            .await?;
        self.untold.clear();
        self.written = Instant::now();
        Ok(())
    }

    /// The database's row is what counts; the stream of dead letters is for others to read.
    async fn bury(&self, event: &Event) {
        if let Some(reader) = &self.reader
            && let Err(error) = reader.streams().bury(self.consumer.name(), event).await
        {
            tracing::debug!(%error, "a dead letter was not told to Redis");
        }
    }

    async fn acknowledge(&mut self, reached: &Cursor) {
        if let Some(reader) = &mut self.reader
            && let Err(error) = reader.settled(reached).await
        {
            // Delivered again, it is found settled by the cursor.
            tracing::debug!(%error, "what is settled was not acknowledged");
            reader.reset();
        }
    }
}

impl Store {
    /// What the log holds for a group. When that is all, the group's place is the log's end: events that it does not want
    /// are not looked at twice.
    async fn waiting_for(&self, since: &Cursor, filter: &EventFilter) -> Result<Waiting> {
        let ctx = Ctx::system(self.clock().clone());
        let log = super::identity(self)?;
        let (since, filter) = (*since, Arc::new(filter.clone()));
        self.read(&ctx, |tx| {
            let filter = filter.clone();
            async move {
                let batch = tx.events(Some(&since), &filter, BATCH, false).await?;
                let mut then = batch.next;
                if batch.events.len() < BATCH as usize {
                    then.position = then.position.max(read::head(&tx, log).await?);
                }
                Ok(Waiting {
                    events: batch.events,
                    then,
                })
            }
        })
        .await
    }

    async fn settle(&self, consumer: &Arc<dyn Consumer>, event: &Event, lease_epoch: i64) -> Result<Fate> {
        let ctx = self.ctx_of(event);
        let name = consumer.name();
        let event = Arc::new(event.clone());
        let outcome = self
            .write(&ctx, |tx| {
                let (consumer, event) = (consumer.clone(), event.clone());
                async move {
                    guard(&tx, name, lease_epoch).await?;
                    if done_before(&tx, name, event.id).await? {
                        return Ok(());
                    }
                    handle(&consumer, &tx, &event).await?;
                    set_mark(&tx, name, event.id, 0, None).await
                }
            })
            .await;
        let Err(error) = outcome else {
            return Ok(Fate::Handled);
        };
        if error.code() == "lease_lost" || error.is_transient() {
            return Err(error);
        }
        let cause = error.source_text().unwrap_or_default();
        tracing::warn!(consumer = name, event = %event.id, %error, cause, "event not handled");
        let text: Arc<str> = told(&error).into();
        self.write(&ctx, |tx| {
            let (event, text) = (event.clone(), text.clone());
            async move {
                guard(&tx, name, lease_epoch).await?;
                count_failure(&tx, name, &event, &text).await
            }
        })
        .await
    }

    /// Acts for the event's tenant, under the request or run that the event came from.
    pub(crate) fn ctx_of(&self, event: &Event) -> Ctx {
        Ctx::system(self.clock().clone())
            .system_in(event.tenant)
            .with_correlation(event.correlation)
    }
}

/// Calls the consumer; a panic and a late answer are failures like others.
pub(crate) async fn handle(consumer: &Arc<dyn Consumer>, tx: &Tx, event: &Event) -> Result<()> {
    let handled = AssertUnwindSafe(consumer.handle(tx, event)).catch_unwind();
    match tokio::time::timeout(HANDLE_WITHIN, handled).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::internal("the consumer panicked")),
        Err(_) => Err(Error::internal(format!(
            "the consumer did not end within {} s",
            HANDLE_WITHIN.as_secs()
        ))),
    }
}

async fn done_before(tx: &Tx, name: &str, event: Uuid) -> Result<bool> {
    Ok(find_mark(tx, name, event)
        .await?
        .is_some_and(|mark| mark.attempts == 0))
}

async fn find_mark(tx: &Tx, name: &str, event: Uuid) -> Result<Option<mark::Model>> {
    tx.find::<mark::Entity>()
        .filter(mark::Column::Consumer.eq(name))
        .filter(mark::Column::EventId.eq(event))
        .row(tx)
        .await
}

/// Zero attempts marks an event as handled; more count its failures.
async fn set_mark(tx: &Tx, name: &str, event: Uuid, attempts: i64, error: Option<String>) -> Result<()> {
    let old = tx
        .delete::<mark::Entity>()
        .filter(mark::Column::Consumer.eq(name))
        .filter(mark::Column::EventId.eq(event));
    tx.run_delete(old).await?;
    tx.insert::<mark::Entity>(mark::Model {
        tenant_id: tx.ctx().tenant().0,
        consumer: name.to_owned(),
        event_id: event,
        attempts,
        error,
        at: tx.ctx().clock().now(),
    })
    .await
}

async fn count_failure(tx: &Tx, name: &str, event: &Event, error: &str) -> Result<Fate> {
    let before = find_mark(tx, name, event.id).await?;
    // The commit of whose answer nothing was known did take place.
    if before.as_ref().is_some_and(|mark| mark.attempts == 0) {
        return Ok(Fate::Handled);
    }
    let attempts = before.map_or(0, |mark| mark.attempts) + 1;
    if attempts < MAX_ATTEMPTS {
        set_mark(tx, name, event.id, attempts, Some(error.to_owned())).await?;
        return Ok(Fate::Later);
    }
    letters::add(tx, name, event, error, attempts).await?;
    set_mark(tx, name, event.id, 0, None).await?;
    Ok(Fate::Dead)
}
