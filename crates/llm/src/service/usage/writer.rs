//! The one writer of usage. Rows come through a channel of [`ROOM`] places and leave in one insert per tenant, of at most
//! [`BATCH`] rows or after [`LINGER`]. What does not fit the channel, and what the database does not take, goes to the
//! spill and is taken back later. Rows carry their ids, so that one written twice is one row.
//!
//! *What may be lost.* A process that is killed loses the rows of its last moments that were neither in the database nor
//! in the spill: those in the channel and in the batches, ordinarily the last 200 ms, at most [`ROOM`] and what is being
//! written. A machine that loses its power loses also what the spill got since its last fsync (as long again). In an
//! orderly stop nothing is lost. Rows are given up only when the spill is full, too: `lost` counts them.

use crate::service::entity::usage;
use crate::service::usage::UsageRow;
use crate::service::usage::spill::Spill;
use futures::StreamExt;
use metrics::{counter, gauge};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synapscale_core::{Ctx, Error, Result, TenantId};
use synapscale_store::Store;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, MissedTickBehavior, interval};
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
/// The pause after the database failed, in which rows go straight to the spill.
const REST: Duration = Duration::from_secs(5);

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
                self.figures
                    .add(&self.figures.lost, "synapscale_llm_usage_lost_total", count);
            }
        }
    }

    fn sync(&self) {
        if let Some(Err(error)) = self.spill.as_ref().map(Spill::sync) {
            tracing::warn!(%error, "the usage spill could not be brought to the disk");
        }
    }
}

/// The writer itself.
pub(crate) struct Writer {
    store: Store,
    outlet: Arc<Outlet>,
    receiver: Receiver<UsageRow>,
    batches: HashMap<TenantId, Vec<UsageRow>>,
    /// The database failed: until then it is left alone.
    rests_until: Option<Instant>,
}

impl Writer {
    pub fn new(store: Store, outlet: Arc<Outlet>, receiver: Receiver<UsageRow>) -> Self {
        Writer {
            store,
            outlet,
            receiver,
            batches: HashMap::new(),
            rests_until: None,
        }
    }

    /// Writes until `stop`, then what is left; no row comes to it afterwards.
    pub async fn run(mut self, stop: CancellationToken) {
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
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return batches.iter().for_each(|(_, rows)| self.outlet.keep(rows));
        }
        let (store, outlet) = (&self.store, &self.outlet);
        let writes = batches.into_iter().map(|(tenant, rows)| async move {
            let done = insert(store, tenant, &rows).await;
            match &done {
                Ok(()) => outlet.figures.add(
                    &outlet.figures.written,
                    "synapscale_llm_usage_written_total",
                    rows.len() as u64,
                ),
                Err(error) => {
                    tracing::warn!(?error, rows = rows.len(), "usage goes to the spill");
                    outlet.keep(&rows);
                }
            }
            done.is_ok()
        });
        let well = futures::stream::iter(writes)
            .buffer_unordered(AT_ONCE)
            .all(|well| std::future::ready(well))
            .await;
        self.rests_until = (!well).then(|| Instant::now() + REST);
    }

    /// Takes back what was spilled, while the database is there. One batch a turn, so that fresh rows do not wait.
    async fn take_back(&mut self) {
        let outlet = self.outlet.clone();
        let Some(spill) = outlet.spill.as_ref().filter(|spill| !spill.is_empty()) else {
            return;
        };
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        if let Err(error) = self.take_all(spill).await {
            tracing::warn!(?error, "spilled usage could not be taken back; it is tried again");
            self.rests_until = Some(Instant::now() + REST);
        }
    }

    async fn take_all(&mut self, spill: &Spill) -> Result<()> {
        let figures = self.outlet.figures.clone();
        let Some(mut taken) = spill.take().map_err(Error::internal)? else {
            return Ok(());
        };
        let (mut count, mut torn) = (0, 0);
        while let Some(batch) = taken.next(BATCH).map_err(Error::internal)? {
            torn += batch.torn;
            let mut by_tenant: HashMap<TenantId, Vec<UsageRow>> = HashMap::new();
            for row in batch.rows {
                by_tenant.entry(row.tenant).or_default().push(row);
            }
            for (tenant, rows) in by_tenant {
                insert(&self.store, tenant, &rows).await?;
                count += rows.len() as u64;
            }
        }
        spill.taken().map_err(Error::internal)?;
        if torn > 0 {
            tracing::warn!(torn, "lines of the usage spill were torn by a crash");
            figures.add(&figures.lost, "synapscale_llm_usage_lost_total", torn);
        }
        figures.add(
            &figures.taken_back,
            "synapscale_llm_usage_taken_back_total",
            count,
        );
        Ok(())
    }
}

/// Writes rows of one tenant, those that stand there already left out.
async fn insert(store: &Store, tenant: TenantId, rows: &[UsageRow]) -> Result<()> {
    let ctx = Ctx::system(store.clock().clone())
        .system_in(tenant)
        .with_time_limit(PATIENCE);
    let models: Arc<Vec<usage::Model>> = Arc::new(rows.iter().map(UsageRow::model).collect());
    let all = store.write(&ctx, |tx| {
        let models = models.clone();
        async move { tx.insert_all::<usage::Entity>(models.to_vec()).await }
    });
    let late = || Error::unavailable("usage_late", "The database did not take usage in time.");
    match tokio::time::timeout(PATIENCE, all)
        .await
        .unwrap_or_else(|_| Err(late()))
    {
        // Some stand there: an insert whose answer was lost, or a file that was half taken back.
        Err(error) if error.code() == "already_exists" => {}
        done => return done,
    }
    let single = store.write(&ctx, |tx| {
        let models = models.clone();
        async move {
            for model in models.iter() {
                tx.insert_new::<usage::Entity>(model.clone()).await?;
            }
            Ok(())
        }
    });
    tokio::time::timeout(PATIENCE, single)
        .await
        .unwrap_or_else(|_| Err(late()))
}
