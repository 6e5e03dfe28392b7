//! Checkpoints beside the writer: pages go from the WAL to the database on a connection of their own, so that no commit pays
//! for it. What the writer's own checkpoint still finds to do then is little.
//!
//! A WAL begins anew only at a moment when nobody reads from it. Under readers that never pause there is none, so that it
//! grows: above a bound new readers wait for a moment, until those under way are done.

use super::readers::Readers;
use crate::dialect::sqlite as sql;
use metrics::{counter, gauge, histogram};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Pause between two checkpoints while commits come.
const EVERY: Duration = Duration::from_millis(500);
/// Above this many pages in the WAL its beginning anew is brought about.
const LONG: i64 = 8 * 1024;
/// How long new readers wait for those under way at most.
const DRAIN_WITHIN: Duration = Duration::from_millis(300);
/// How long nothing of that kind is tried again after readers did not end in time.
const REST: Duration = Duration::from_secs(5);
/// Bytes of a page, for the figures.
const PAGE_BYTES: i64 = 4096;

/// Told by the writer after each commit; the task ends when the writer is gone.
#[derive(Default)]
pub(crate) struct Commits {
    came: Notify,
    gone: std::sync::atomic::AtomicBool,
}

impl Commits {
    /// There is something in the WAL.
    pub fn note(&self) {
        self.came.notify_one();
    }

    /// No more will come.
    pub fn end(&self) {
        self.gone.store(true, std::sync::atomic::Ordering::Release);
        self.came.notify_one();
    }
}

/// Checkpoints after commits, on `conn`, until the writer is gone.
pub(crate) async fn serve(mut conn: SqliteConnection, commits: Arc<Commits>, readers: Readers) {
    let mut rest_until = Instant::now();
    loop {
        commits.came.notified().await;
        if commits.gone.load(std::sync::atomic::Ordering::Acquire) {
            let _ = sqlx::Connection::close(conn).await;
            return;
        }
        let began = Instant::now();
        match run(&mut conn, sql::CHECKPOINT).await {
            Ok(pages) => {
                histogram!("synapscale_sqlite_checkpoint_seconds").record(began.elapsed().as_secs_f64());
                tell(pages);
                if pages > LONG && Instant::now() > rest_until && !begin_anew(&mut conn, &readers).await {
                    rest_until = Instant::now() + REST;
                }
            }
            Err(error) => tracing::debug!(%error, "no checkpoint this time"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Empties the WAL at a moment without readers; false when there was none.
async fn begin_anew(conn: &mut SqliteConnection, readers: &Readers) -> bool {
    let Ok(held) = tokio::time::timeout(DRAIN_WITHIN, readers.hold_all()).await else {
        counter!("synapscale_sqlite_wal_resets_total", "outcome" => "readers").increment(1);
        return false;
    };
    let emptied = run(conn, sql::CHECKPOINT_AND_EMPTY).await;
    drop(held);
    let outcome = if emptied.is_ok() { "emptied" } else { "failed" };
    counter!("synapscale_sqlite_wal_resets_total", "outcome" => outcome).increment(1);
    if let Ok(pages) = emptied {
        tell(pages);
    }
    true
}

/// Runs a checkpoint; answers how many pages the WAL holds after it.
async fn run(conn: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(sql).fetch_one(conn).await?;
    row.try_get::<i64, _>(1).map(|pages| pages.max(0))
}

#[allow(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn tell(pages: i64) {
    gauge!("synapscale_sqlite_wal_bytes").set((pages * PAGE_BYTES) as f64);
}
