//! The log's end in memory: read once for all who follow it in this process, and told to each of them from there. Thousands of
//! followers cost one read of the database for each commit. Who stands further behind reads the database until caught up.

use super::EVENTS;
use super::cursor::{Cursor, Position};
use super::read::{Event, EventFilter, wants};
use crate::store::Store;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synapscale_core::{Ctx, Error, Result, TenantId};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// Most events kept for each workspace that is followed.
const MOST_EVENTS: usize = 1000;
/// Most bytes of their text; the last event is kept however long it is.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Events read at a time, and told at a time.
const BATCH: u32 = 200;
/// Wake-ups are hints; the log is looked at this often whatever happens.
const POLL: Duration = Duration::from_secs(1);
/// Pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);
/// A follower that hears nothing makes sure this often that somebody still reads for it.
const LOOK: Duration = Duration::from_secs(5);

/// An event and its text, which is made once for all who hear it.
#[derive(Debug)]
pub struct LiveEvent {
    /// The event.
    pub event: Event,
    /// The event as JSON.
    pub json: Box<str>,
}

impl LiveEvent {
    fn of(event: Event) -> Result<Arc<Self>> {
        let json = serde_json::to_string(&event).map_err(Error::internal)?.into();
        Ok(Arc::new(LiveEvent { event, json }))
    }
}

/// What is kept of the log's end, by workspace.
#[derive(Default)]
pub(crate) struct Tail {
    rooms: Mutex<Rooms>,
    /// The last follower of a workspace has gone.
    left: Notify,
}

#[derive(Default)]
struct Rooms {
    /// Whether somebody reads for all.
    reading: bool,
    /// Everything up to here has been told; none until the reading has begun.
    place: Option<Position>,
    rooms: HashMap<TenantId, Arc<Room>>,
}

/// One workspace that is followed.
struct Room {
    /// Counted under the lock of all rooms.
    followers: AtomicUsize,
    kept: Mutex<Kept>,
    news: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    /// Every event behind this place that has been told is kept; none until the reading has begun.
    floor: Option<Position>,
    events: VecDeque<Arc<LiveEvent>>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, event: Arc<LiveEvent>) {
        self.bytes += event.json.len();
        self.events.push_back(event);
        while self.events.len() > MOST_EVENTS || (self.bytes > MOST_BYTES && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.json.len();
            self.floor = Some(oldest.event.cursor.position);
        }
    }
}

impl Room {
    fn new(floor: Option<Position>) -> Self {
        let kept = Kept {
            floor,
            ..Kept::default()
        };
        Room {
            followers: AtomicUsize::new(0),
            kept: Mutex::new(kept),
            news: watch::channel(()).0,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wanted events behind a place; none when that place is before what is kept.
    fn after(&self, place: Position, filter: &EventFilter) -> Option<Vec<Arc<LiveEvent>>> {
        let kept = self.kept();
        if kept.floor.is_none_or(|floor| place < floor) {
            return None;
        }
        let told = kept
            .events
            .partition_point(|kept| kept.event.cursor.position <= place);
        let wanted = kept
            .events
            .range(told..)
            .filter(|kept| wants(filter, &kept.event));
        Some(wanted.take(BATCH as usize).cloned().collect())
    }
}

impl Tail {
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to here has been told to the rooms.
    fn place(&self) -> Option<Position> {
        self.rooms().place
    }

    /// From here on events are kept: what came before is read from the database.
    fn begin(&self, place: Position) {
        let mut rooms = self.rooms();
        rooms.place = Some(place);
        for room in rooms.rooms.values() {
            *room.kept() = Kept {
                floor: Some(place),
                ..Kept::default()
            };
            room.news.send_replace(());
        }
    }

    fn tell(&self, events: Vec<Arc<LiveEvent>>, place: Position) {
        let mut rooms = self.rooms();
        let mut told: Vec<Arc<Room>> = Vec::new();
        for event in events {
            let Some(room) = rooms.rooms.get(&event.event.tenant) else {
                continue;
            };
            room.kept().push(event);
            if !told.iter().any(|known| Arc::ptr_eq(known, room)) {
                told.push(room.clone());
            }
        }
        rooms.place = Some(place);
        drop(rooms);
        for room in told {
            room.news.send_replace(());
        }
    }

    /// Ends the reading if nobody follows any more.
    fn is_deserted(&self) -> bool {
        let mut rooms = self.rooms();
        let deserted = rooms.rooms.is_empty();
        if deserted {
            rooms.reading = false;
            rooms.place = None;
        }
        deserted
    }
}

/// A follower's place among those of its workspace.
struct Seat {
    store: Store,
    tenant: TenantId,
    room: Arc<Room>,
    news: watch::Receiver<()>,
}

impl Seat {
    fn take(store: &Store, tenant: TenantId) -> Self {
        let mut rooms = store.tail().rooms();
        let place = rooms.place;
        let room = rooms
            .rooms
            .entry(tenant)
            .or_insert_with(|| Arc::new(Room::new(place)))
            .clone();
        room.followers.fetch_add(1, Ordering::Relaxed);
        let news = room.news.subscribe();
        drop(rooms);
        let seat = Seat {
            store: store.clone(),
            tenant,
            room,
            news,
        };
        seat.have_it_read();
        seat
    }

    /// Sees to it that somebody reads the log.
    fn have_it_read(&self) {
        let mut rooms = self.store.tail().rooms();
        if !rooms.reading {
            rooms.reading = true;
            rooms.place = None;
            self.store.spawn(read(Reading {
                store: self.store.clone(),
                over: false,
            }));
        }
    }

    async fn wait(&mut self) {
        if timeout(LOOK, self.news.changed()).await.is_err() {
            self.have_it_read();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let tail = self.store.tail();
        let mut rooms = tail.rooms();
        if self.room.followers.fetch_sub(1, Ordering::Relaxed) == 1 {
            rooms.rooms.remove(&self.tenant);
            tail.left.notify_one();
        }
    }
}

/// Whoever reads for all. Should it break off, another one may begin.
struct Reading {
    store: Store,
    /// It has said so itself that it reads no more, and another one may have begun since.
    over: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if !self.over {
            let mut rooms = self.store.tail().rooms();
            rooms.reading = false;
            rooms.place = None;
        }
    }
}

async fn read(mut reading: Reading) {
    let store = &reading.store;
    let ctx = Ctx::system(store.clock().clone());
    let mut wake = store.watch(EVENTS);
    loop {
        // Seen before reading, so that a commit in between wakes the wait below at once.
        wake.borrow_and_update();
        if let Err(error) = catch_up(store, &ctx).await {
            tracing::debug!(%error, "the log cannot be followed now");
            tokio::time::sleep(PAUSE).await;
        }
        if store.tail().is_deserted() {
            reading.over = true;
            return;
        }
        tokio::select! {
            _ = timeout(POLL, wake.changed()) => {}
            () = store.tail().left.notified() => {}
        }
    }
}

/// Tells everything that came since the last time.
async fn catch_up(store: &Store, ctx: &Ctx) -> Result<()> {
    let log = super::identity(store)?.id;
    let Some(mut position) = store.tail().place() else {
        let head = store.event_head(ctx).await?;
        store.tail().begin(head.position);
        return Ok(());
    };
    loop {
        let since = Cursor { log, position };
        let batch = store
            .events_after(ctx, Some(&since), &EventFilter::default(), BATCH)
            .await?;
        let count = batch.events.len();
        position = batch.next.position;
        let events = batch.events.into_iter().map(LiveEvent::of);
        store.tail().tell(events.collect::<Result<_>>()?, position);
        if count < BATCH as usize {
            return Ok(());
        }
    }
}

/// Follows one workspace: replay, then as it comes.
pub struct LiveFollower {
    ctx: Ctx,
    cursor: Cursor,
    filter: EventFilter,
    seat: Seat,
}

impl LiveFollower {
    /// The next events, one at least; waits until there are some. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the database fails while what is further back is read.
    pub async fn next_events(&mut self) -> Result<Vec<Arc<LiveEvent>>> {
        loop {
            self.seat.news.borrow_and_update();
            // Asked for first: what the room does not hold behind it is not of this workspace, or not wanted.
            let place = self.seat.store.tail().place();
            let found = match self.seat.room.after(self.cursor.position, &self.filter) {
                Some(found) => found,
                None => self.replay().await?,
            };
            if let Some(last) = found.last() {
                self.cursor = last.event.cursor;
                return Ok(found);
            }
            match place {
                Some(place) if place > self.cursor.position => self.cursor.position = place,
                _ => self.seat.wait().await,
            }
        }
    }

    async fn replay(&self) -> Result<Vec<Arc<LiveEvent>>> {
        let batch = self
            .seat
            .store
            .events_after(&self.ctx, Some(&self.cursor), &self.filter, BATCH)
            .await?;
        batch.events.into_iter().map(LiveEvent::of).collect()
    }
}

impl Store {
    /// Follows the log of the caller's workspace from `since`, with all others who do.
    pub fn follow_live(&self, ctx: Ctx, since: Cursor, filter: EventFilter) -> LiveFollower {
        LiveFollower {
            seat: Seat::take(self, ctx.tenant()),
            ctx,
            cursor: since,
            filter,
        }
    }
}
