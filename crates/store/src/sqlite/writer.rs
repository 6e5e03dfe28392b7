//! The one writer and its group commit.
//!
//! A task owns the connection and lends it to callers, the tenants in turn (see [`crate::lanes`]). Each caller works inside a
//! savepoint;
//! when nobody else waits, or the group is full or old, the task commits once and acknowledges every member. A caller
//! that fails or goes away is rolled back to its savepoint before the next one starts.

use super::checkpoint::Commits;
use crate::dialect::sqlite as sql;
use crate::errors::IntoCore;
use crate::lanes::{Lanes, Refused};
use metrics::{counter, gauge, histogram};
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Error, Result, TenantId};
use tokio::sync::oneshot;

/// Most members of one commit.
const GROUP_MAX: usize = 128;
/// A group that has been open this long commits, whoever else waits.
const GROUP_AGE: Duration = Duration::from_millis(20);

/// Asks for the writer.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: Arc<Queue>,
    timeout: Duration,
}

/// The waiting callers' end of the lanes; the task ends when it is gone.
struct Queue(Arc<Lanes<Request>>);

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.close();
    }
}

struct Request {
    lend: oneshot::Sender<Lease>,
    ack: oneshot::Sender<Result<()>>,
    asked: Instant,
}

/// The writer's connection, lent. Dropping it unreleased undoes the member's work.
pub(crate) struct Lease {
    conn: Option<SqliteConnection>,
    back: Option<oneshot::Sender<(SqliteConnection, bool)>>,
}

/// The answer to a released lease: resolves when the group has committed.
pub(crate) struct Ticket(oneshot::Receiver<Result<()>>);

impl Writer {
    /// Starts the task that owns `conn`. It ends, and closes the file, when the last `Writer` is gone.
    #[allow(
        clippy::disallowed_methods,
        reason = "the task ends with its queue: dropping the store drains it"
    )]
    pub fn start(conn: SqliteConnection, queue: usize, timeout: Duration, commits: Arc<Commits>) -> Self {
        let lanes = Arc::new(Lanes::new(queue));
        tokio::spawn(serve(conn, lanes.clone(), commits));
        Writer {
            queue: Arc::new(Queue(lanes)),
            timeout,
        }
    }

    /// Waits in the tenant's line for the writer.
    ///
    /// # Errors
    /// `write_queue_full` at once when the queue or the tenant's share of it is full, or when the turn does not come in
    /// time.
    pub async fn lend(&self, tenant: TenantId) -> Result<(Lease, Ticket)> {
        let (lend, lent) = oneshot::channel();
        let (ack, acked) = oneshot::channel();
        let request = Request {
            lend,
            ack,
            asked: Instant::now(),
        };
        self.queue
            .0
            .push(tenant, request)
            .map_err(|refused| match refused {
                Refused::Full => queue_full(),
                Refused::Closed => gone(),
            })?;
        let lease = tokio::time::timeout(self.timeout, lent)
            .await
            .map_err(|_| queue_full())?;
        match lease {
            Ok(lease) => Ok((lease, Ticket(acked))),
            // The group could not begin or go on; its answer says why.
            Err(_) => Err(Ticket(acked).committed().await.err().unwrap_or_else(gone)),
        }
    }
}

impl Lease {
    /// The connection.
    ///
    /// # Errors
    /// Never while lent; typed so that no caller can panic.
    pub fn conn(&mut self) -> Result<&mut SqliteConnection> {
        self.conn
            .as_mut()
            .ok_or_else(|| Error::internal("the writer was used after its return"))
    }

    /// Gives the connection back with the member's work to be committed.
    pub fn release(mut self) {
        self.give_back(true);
    }

    fn give_back(&mut self, keep: bool) {
        if let (Some(conn), Some(back)) = (self.conn.take(), self.back.take()) {
            // The task waits for exactly this; it cannot be gone while a lease is out.
            let _ = back.send((conn, keep));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back(false);
    }
}

impl Ticket {
    /// Waits for the group's commit.
    ///
    /// # Errors
    /// Why the commit failed; nothing of the member's work is kept then.
    pub async fn committed(self) -> Result<()> {
        self.0.await.map_err(|_| gone())?
    }
}

async fn serve(conn: SqliteConnection, queue: Arc<Lanes<Request>>, commits: Arc<Commits>) {
    let mut conn = Some(conn);
    while let Some(first) = queue.next().await {
        let Some(held) = conn.take() else { break };
        conn = group(held, first, &queue).await;
        commits.note();
    }
    commits.end();
    // Without its connection nobody is served any more.
    queue.close();
    while queue.try_next().is_some() {}
    if let Some(conn) = conn {
        let _ = sqlx::Connection::close(conn).await;
    }
}

/// Runs one group, from BEGIN to COMMIT, and answers its members. None when the connection is lost for good.
async fn group(
    mut conn: SqliteConnection,
    first: Request,
    queue: &Lanes<Request>,
) -> Option<SqliteConnection> {
    let opened = Instant::now();
    gauge!("synapscale_sqlite_writes_waiting").set(queue.waiting() as f64);
    if let Err(error) = sql::run(&mut conn, sql::BEGIN_GROUP).await {
        // Half of it may have happened, or an earlier group's end may not have: else no group could ever begin again.
        let _ = sql::run(&mut conn, sql::ROLLBACK).await;
        let _ = first.ack.send(Err(error.into_core()));
        return Some(conn);
    }
    let mut members = Vec::new();
    let mut next = Some(first);
    let mut failed: Option<Error> = None;
    while let Some(request) = next.take() {
        histogram!("synapscale_sqlite_write_wait_seconds").record(request.asked.elapsed().as_secs_f64());
        let keep;
        (conn, keep) = member(conn, request.lend).await?;
        let more = members.len() + 1 < GROUP_MAX && opened.elapsed() < GROUP_AGE;
        let waiting = if more { queue.try_next() } else { None };
        if keep {
            members.push(request.ack);
        }
        let ending = Instant::now();
        let ended = sql::run(&mut conn, sql::end_member(keep, waiting.is_none())).await;
        if waiting.is_none() {
            histogram!("synapscale_sqlite_commit_seconds").record(ending.elapsed().as_secs_f64());
        }
        if let Err(error) = ended {
            failed = Some(error.into_core());
            if let Some(waiting) = waiting {
                let _ = waiting.ack.send(failed.clone().map_or(Ok(()), Err));
            }
            break;
        }
        next = waiting;
    }
    if failed.is_some() {
        // Fails if SQLite rolled back by itself, as it does when the disk is full.
        let _ = sql::run(&mut conn, sql::ROLLBACK).await;
    }
    gauge!("synapscale_sqlite_writes_waiting").set(queue.waiting() as f64);
    histogram!("synapscale_sqlite_group_members").record(members.len() as f64);
    histogram!("synapscale_sqlite_group_seconds").record(opened.elapsed().as_secs_f64());
    counter!("synapscale_sqlite_commits_total").increment(u64::from(failed.is_none()));
    for ack in members {
        let _ = ack.send(failed.clone().map_or(Ok(()), Err));
    }
    Some(conn)
}

/// Lends the connection to one member and waits for it. The flag says whether to keep the member's work.
async fn member(conn: SqliteConnection, lend: oneshot::Sender<Lease>) -> Option<(SqliteConnection, bool)> {
    let (back, returned) = oneshot::channel();
    // A caller that has gone away drops the lease unsent or unread; both give the connection back.
    drop(lend.send(Lease {
        conn: Some(conn),
        back: Some(back),
    }));
    returned.await.ok()
}

fn queue_full() -> Error {
    counter!("synapscale_sqlite_queue_full_total").increment(1);
    Error::unavailable(
        "write_queue_full",
        "Too many writes are waiting. Try again in a moment.",
    )
    .retry_after(Duration::from_secs(1))
}

fn gone() -> Error {
    Error::unavailable("shutting_down", "The database is closed.")
}
