//! The one writer of usage. Rows come through a channel of [`ROOM`] places and leave in one insert per tenant, of at most
//! [`BATCH`] rows or after [`LINGER`]. What does not fit the channel, and what the database does not take, goes to the
//! spill and is taken back later. Rows carry their ids, so that one written twice is one row.
//!
//! *What may be lost.* A process that is killed loses the rows of its last moments that were neither in the database nor
//! in the spill: those in the channel and in the batches, ordinarily the last 200 ms, at most [`ROOM`] and what is being
//! written. A machine that loses its power loses also what the spill got since its last fsync (as long again). In an
//! orderly stop nothing is lost. Rows are given up only when the spill is full, too, or when the database refuses a row as
//! such, which it would do for ever: `lost` counts both.

use crate::service::entity::usage;
use crate::service::usage::UsageRow;
use crate::service::usage::spill::{Spill, Taken};
use futures::StreamExt;
use metrics::{counter, gauge};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use synapscale_core::{Ctx, Error, ErrorKind, Result, TenantId};
use synapscale_store::Store;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Rows that may wait in memory.
pub const ROOM: usize = 8192;
/// Most rows of one insert.
pub const BATCH: usize = 256;
/// Longest wait of a row for company.
pub const LINGER: Duration = Duration::from_millis(200);
/// Inserts under way at once, each of another tenant.
const AT_ONCE: usize = 8;
/// How long an insert may take before its rows go to the spill instead.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the database has for all that is left once the server goes down; then the rest goes to the spill. Less than
/// the server waits for us.
const LAST: Duration = Duration::from_secs(2);
/// The pause after the database failed, in which rows go straight to the spill.
const REST: Duration = Duration::from_secs(5);
/// Rows in the channel at which taking back makes way.
const CROWDED: usize = ROOM / 4;

/// What became of rows since the start.
#[derive(Debug, Default)]
pub struct Figures {
    written: AtomicU64,
    spilled: AtomicU64,
    taken_back: AtomicU64,
    lost: AtomicU64,
}

impl Figures {
    fn add(&self, which: &AtomicU64, name: &'static str, rows: u64) {
        which.fetch_add(rows, Ordering::Relaxed);
        counter!(name).increment(rows);
    }

    /// Rows that the database took from memory.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Rows that went to the spill.
    pub fn spilled(&self) -> u64 {
        self.spilled.load(Ordering::Relaxed)
    }

    /// Rows that came back from the spill.
    pub fn taken_back(&self) -> u64 {
        self.taken_back.load(Ordering::Relaxed)
    }

    /// Rows that were given up: nought unless the spill was full or could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// Where calls leave their rows. Never waits.
#[derive(Clone)]
pub(crate) struct Ledger {
    sender: Sender<UsageRow>,
    outlet: Arc<Outlet>,
}

/// What ledger and writer share.
pub(crate) struct Outlet {
    pub spill: Option<Spill>,
    pub figures: Arc<Figures>,
}

impl Ledger {
    pub fn new(sender: Sender<UsageRow>, outlet: Arc<Outlet>) -> Self {
        Ledger { sender, outlet }
    }

    /// Hands a row on.
    pub fn put(&self, row: UsageRow) {
        if let Err(TrySendError::Full(row) | TrySendError::Closed(row)) = self.sender.try_send(row) {
            self.outlet.keep(&[row]);
        }
    }
}

impl Outlet {
    /// Puts rows into the spill, or gives them up.
    fn keep(&self, rows: &[UsageRow]) {
        let count = rows.len() as u64;
        let kept = match &self.spill {
            Some(spill) => spill.append(rows),
            None => Err(std::io::Error::other("there is no data directory to spill into")),
        };
        match kept {
            Ok(()) => self
                .figures
                .add(&self.figures.spilled, "synapscale_llm_usage_spilled_total", count),
            Err(error) => {
                tracing::error!(%error, rows = count, "usage is lost: neither database nor disk took it");
                self.lost(count);
            }
        }
    }

    fn lost(&self, rows: u64) {
        self.figures
            .add(&self.figures.lost, "synapscale_llm_usage_lost_total", rows);
    }

    /// Spills what a channel holds that no writer reads.
    pub fn keep_unread(&self, mut receiver: Receiver<UsageRow>) {
        receiver.close();
        while let Ok(row) = receiver.try_recv() {
            self.keep(&[row]);
        }
        self.sync();
    }

    fn sync(&self) {
        if let Some(Err(error)) = self.spill.as_ref().map(Spill::sync) {
            tracing::warn!(%error, "the usage spill could not be brought to the disk");
        }
    }
}

/// The writer itself.
pub(crate) struct Writer {
    database: Database,
    outlet: Arc<Outlet>,
    receiver: Receiver<UsageRow>,
    batches: HashMap<TenantId, Vec<UsageRow>>,
    /// The database failed: until then it is left alone.
    rests_until: Option<Instant>,
    /// What was spilled could not be taken back: until then it is not tried again. Fresh rows do not wait for that.
    spill_rests_until: Option<Instant>,
    /// The spill's file that is being taken back.
    taking: Option<Taking>,
}

/// How far the taking back has come.
struct Taking {
    taken: Taken,
    back: u64,
    torn: u64,
}

impl Writer {
    pub fn new(
        store: Store,
        outlet: Arc<Outlet>,
        receiver: Receiver<UsageRow>,
        stop: CancellationToken,
    ) -> Self {
        Writer {
            database: Database {
                store,
                stop,
                end: OnceLock::new(),
            },
            outlet,
            receiver,
            batches: HashMap::new(),
            rests_until: None,
            spill_rests_until: None,
            taking: None,
        }
    }

    /// Writes until the stop, then what is left; no row comes to it afterwards.
    pub async fn run(mut self) {
        let stop = self.database.stop.clone();
        let mut ticks = interval(LINGER);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rows = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    self.flush_all().await;
                    self.take_back().await;
                    self.outlet.sync();
                    gauge!("synapscale_llm_usage_queued").set(self.receiver.len() as f64);
                }
                got = self.receiver.recv_many(&mut rows, BATCH) => match got {
                    // Nobody can send any more.
                    0 => break,
                    _ => self.sort(&mut rows).await,
                },
            }
        }
        // From here on, whoever still calls spills.
        self.receiver.close();
        while self.receiver.recv_many(&mut rows, BATCH).await > 0 {
            self.sort(&mut rows).await;
        }
        self.flush_all().await;
        self.outlet.sync();
        gauge!("synapscale_llm_usage_queued").set(0.0);
    }

    /// Puts rows with their tenants' and writes those tenants that have enough.
    async fn sort(&mut self, rows: &mut Vec<UsageRow>) {
        let mut full = Vec::new();
        for row in rows.drain(..) {
            let tenant = row.tenant;
            let batch = self.batches.entry(tenant).or_default();
            batch.push(row);
            if batch.len() >= BATCH {
                full.extend(self.batches.remove_entry(&tenant));
            }
        }
        self.flush(full).await;
    }

    async fn flush_all(&mut self) {
        let all = self.batches.drain().collect();
        self.flush(all).await;
    }

    async fn flush(&mut self, batches: Vec<(TenantId, Vec<UsageRow>)>) {
        if batches.is_empty() {
            return;
        }
        if resting(self.rests_until) {
            return batches.iter().for_each(|(_, rows)| self.outlet.keep(rows));
        }
        let (database, outlet, away) = (&self.database, &self.outlet, &AtomicBool::new(false));
        let writes = batches.into_iter().map(|(tenant, rows)| async move {
            // Each would have to find out for itself, and wait as long.
            if away.load(Ordering::Relaxed) {
                return outlet.keep(&rows);
            }
            match database.insert(tenant, &rows).await {
                Ok(refused) => {
                    let written = (rows.len() as u64).saturating_sub(refused);
                    outlet.figures.add(
                        &outlet.figures.written,
                        "synapscale_llm_usage_written_total",
                        written,
                    );
                    outlet.lost(refused);
                }
                Err(error) => {
                    away.store(true, Ordering::Relaxed);
                    tracing::warn!(?error, rows = rows.len(), "usage goes to the spill");
                    outlet.keep(&rows);
                }
            }
        });
        // Every one of them to its end: a row that is dropped on the way would be gone.
        futures::stream::iter(writes)
            .for_each_concurrent(AT_ONCE, |write| write)
            .await;
        self.rests_until = away.load(Ordering::Relaxed).then(|| Instant::now() + REST);
    }

    /// Takes back some of what was spilled, while the database is there.
    async fn take_back(&mut self) {
        let outlet = self.outlet.clone();
        let Some(spill) = outlet.spill.as_ref().filter(|spill| !spill.is_empty()) else {
            return;
        };
        if resting(self.rests_until) || resting(self.spill_rests_until) {
            return;
        }
        self.spill_rests_until = None;
        if let Err(error) = self.take_some(spill).await {
            tracing::warn!(?error, "spilled usage could not be taken back; it is tried again");
            self.spill_rests_until = Some(Instant::now() + REST);
        }
    }

    /// Takes back batch by batch, until all is back or somebody waits. After a failure it begins at the front again.
    async fn take_some(&mut self, spill: &Spill) -> Result<()> {
        let turn = Instant::now() + LINGER;
        let mut taking = match self.taking.take() {
            Some(taking) => taking,
            None => match spill.take().map_err(Error::internal)? {
                None => return Ok(()),
                Some(taken) => Taking {
                    taken,
                    back: 0,
                    torn: 0,
                },
            },
        };
        while let Some(batch) = taking.taken.next(BATCH).map_err(Error::internal)? {
            taking.torn += batch.torn;
            let mut by_tenant: HashMap<TenantId, Vec<UsageRow>> = HashMap::new();
            for row in batch.rows {
                by_tenant.entry(row.tenant).or_default().push(row);
            }
            for (tenant, rows) in by_tenant {
                let refused = self.database.insert(tenant, &rows).await?;
                self.outlet.lost(refused);
                taking.back += (rows.len() as u64).saturating_sub(refused);
            }
            let waited_for = self.database.stop.is_cancelled() || self.receiver.len() >= CROWDED;
            if waited_for || Instant::now() >= turn {
                self.taking = Some(taking);
                return Ok(());
            }
        }
        spill.taken().map_err(Error::internal)?;
        if taking.torn > 0 {
            tracing::warn!(
                torn = taking.torn,
                "lines of the usage spill were torn by a crash"
            );
            self.outlet.lost(taking.torn);
        }
        let figures = &self.outlet.figures;
        let name = "synapscale_llm_usage_taken_back_total";
        figures.add(&figures.taken_back, name, taking.back);
        Ok(())
    }
}

fn resting(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

/// The database, which has only so much time.
struct Database {
    store: Store,
    stop: CancellationToken,
    /// When the time for the last rows is over; known once the server goes down.
    end: OnceLock<Instant>,
}

impl Database {
    /// Returns when an insert that begins now has had its time.
    async fn late(&self) {
        let stopped = async {
            self.stop.cancelled().await;
            sleep_until(*self.end.get_or_init(|| Instant::now() + LAST)).await;
        };
        tokio::select! {
            () = sleep(PATIENCE) => {}
            () = stopped => {}
        }
    }

    /// Writes rows of one tenant, those that stand there already left out; answers how many the database refused for what
    /// they are.
    ///
    /// # Errors
    /// When the database fails or takes too long. What of it stands then does no harm: the rows keep their ids.
    async fn insert(&self, tenant: TenantId, rows: &[UsageRow]) -> Result<u64> {
        let rows: Arc<Vec<usage::Model>> = Arc::new(rows.iter().map(UsageRow::model).collect());
        tokio::select! {
            biased;
            () = self.late() => {
                Err(Error::unavailable("usage_late", "The database did not take usage in time."))
            }
            done = self.write(tenant, rows) => done,
        }
    }

    async fn write(&self, tenant: TenantId, rows: Arc<Vec<usage::Model>>) -> Result<u64> {
        let ctx = Ctx::system(self.store.clock().clone()).system_in(tenant);
        let all = self.store.write(&ctx, |tx| {
            let rows = rows.clone();
            async move { tx.insert_all::<usage::Entity>(rows.to_vec()).await }
        });
        match all.await {
            Ok(()) => return Ok(0),
            // Some stand there (an insert whose answer was lost, a file that was half taken back), or are no rows.
            Err(error) if error.code() == "already_exists" || is_refusal(&error) => {}
            Err(error) => return Err(error),
        }
        let single = self.store.write(&ctx, |tx| {
            let rows = rows.clone();
            async move {
                let mut refused = 0;
                for row in rows.iter() {
                    let row = row.clone();
                    let done = tx.savepoint(|tx| async move { tx.insert_new::<usage::Entity>(row).await });
                    match done.await {
                        Ok(_) => {}
                        Err(error) if is_refusal(&error) => {
                            tracing::error!(?error, "the database refuses a row of usage, which is lost");
                            refused += 1;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(refused)
            }
        });
        single.await
    }
}

/// Whether the database refuses a row for what it is, and would for ever: it must not stand in the way of others.
fn is_refusal(error: &Error) -> bool {
    error.kind() == ErrorKind::Invalid || error.code() == "reference"
}
