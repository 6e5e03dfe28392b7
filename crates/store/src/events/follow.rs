//! Following the log: replay, then wait. No gap and no double, because there is only the cursor.

use super::cursor::Cursor;
use super::read::{EventBatch, EventFilter};
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Ctx, Result};
use tokio::sync::watch;

/// Events asked for at a time.
const BATCH: u32 = 200;
/// Wake-ups are hints; the log is looked at this often whatever happens.
const POLL: Duration = Duration::from_secs(1);

/// Reads the log to its end and then waits for more.
pub struct Follower {
    store: Store,
    ctx: Ctx,
    cursor: Cursor,
    filter: EventFilter,
    wake: watch::Receiver<u64>,
}

impl Follower {
    pub(crate) fn new(
        store: Store,
        ctx: Ctx,
        cursor: Cursor,
        filter: EventFilter,
        wake: watch::Receiver<u64>,
    ) -> Self {
        Follower {
            store,
            ctx,
            cursor,
            filter,
            wake,
        }
    }

    /// Where the follower stands.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes on behind the events that were not wanted: a filter that hardly anything meets would else read all of them again
    /// at every commit.
    async fn pass_over(&mut self) -> Result<()> {
        if self.filter.takes_all() {
            return Ok(());
        }
        let (from, filter) = (self.cursor, Arc::new(self.filter.clone()));
        let passed = self.store.read(&self.ctx, |tx| {
            let filter = filter.clone();
            async move { tx.events_passed(&from, &filter).await }
        });
        self.cursor = passed.await?;
        Ok(())
    }

    /// The next events; waits until there are some. Safe to drop while it waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_batch(&mut self) -> Result<EventBatch> {
        loop {
            // Seen before reading, so that a commit in between wakes the wait below at once.
            self.wake.borrow_and_update();
            let batch = self
                .store
                .events_after(&self.ctx, Some(&self.cursor), &self.filter, BATCH)
                .await?;
            if !batch.events.is_empty() {
                self.cursor = batch.next;
                return Ok(batch);
            }
            self.pass_over().await?;
            // A closed channel only means that the poll is all there is.
            let woken = tokio::time::timeout(POLL, self.wake.changed()).await;
            if let Ok(Err(_)) = woken {
                tokio::time::sleep(POLL).await;
            }
        }
    }
}
