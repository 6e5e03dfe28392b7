//! What keeps the consumer groups going: one task for each, in every process with the role `relay`. The lease lets one of
//! them work at a time, so that the log's order is the order of effects; the others stand by.

use super::EVENTS;
use super::consumer::{Consumer, Group, Turn};
use crate::store::Store;
use metrics::gauge;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Result, new_id};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Wake-ups are hints; the log is looked at this often whatever happens.
const POLL: Duration = Duration::from_secs(1);
/// How often a standby looks whether the holder is gone.
const STANDBY: Duration = Duration::from_secs(5);
/// Pause before an event that failed is tried again, and after an error of the database; doubles with each in a row.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How often the figures are counted.
const FIGURES: Duration = Duration::from_secs(15);

/// The consumer groups of one process, at work.
pub struct Consumers {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Consumers {
    /// Starts them; their events come over the store's Redis if there is one.
    ///
    /// # Errors
    /// `not_migrated`.
    pub fn start(store: &Store, consumers: Vec<Arc<dyn Consumer>>) -> Result<Self> {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let owner = new_id();
        if !consumers.is_empty() {
            tracker.spawn(figures(store.clone(), stop.clone()));
        }
        for consumer in consumers {
            let group = Group::new(store, consumer, owner)?;
            tracker.spawn(run(group, store.watch(EVENTS), stop.clone()));
        }
        tracker.close();
        Ok(Consumers { tracker, stop })
    }

    /// Ends them after the turns under way, and gives their groups up.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

async fn run(mut group: Group, mut wake: watch::Receiver<u64>, stop: CancellationToken) {
    let mut pause = PAUSE;
    while !stop.is_cancelled() {
        // Seen before reading, so that a commit in between ends the wait below at once.
        wake.borrow_and_update();
        let wait = match group.turn(POLL).await {
            Ok(turn) if turn.failed => longer(&mut pause),
            Ok(turn) => {
                pause = PAUSE;
                after(turn)
            }
            Err(error) => {
                tracing::warn!(consumer = group.name(), %error, "the group waits and tries again");
                longer(&mut pause)
            }
        };
        let Some((wait, hints)) = wait else { continue };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
            Ok(()) = wake.changed(), if hints => {}
        }
    }
    if let Err(error) = group.release().await {
        tracing::debug!(%error, "the lease was not given up; it runs out");
    }
}

/// How long to wait after a turn, and whether a commit ends the wait; none to go on at once.
fn after(turn: Turn) -> Option<(Duration, bool)> {
    match turn {
        Turn { held: false, .. } => Some((STANDBY, false)),
        Turn {
            settled: 0,
            waited: false,
            ..
        } => Some((POLL, true)),
        _ => None,
    }
}

fn longer(pause: &mut Duration) -> Option<(Duration, bool)> {
    let now = *pause;
    *pause = (now * 2).min(MAX_PAUSE);
    Some((now, false))
}

/// Counts what waits, for `/metrics`, until told to stop.
async fn figures(store: Store, stop: CancellationToken) {
    loop {
        let began = Instant::now();
        if let Err(error) = count(&store).await {
            tracing::debug!(%error, "what waits for the groups could not be counted");
        }
        let rest = FIGURES.saturating_sub(began.elapsed());
        if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
            return;
        }
    }
}

async fn count(store: &Store) -> Result<()> {
    let ctx = Ctx::system(store.clock().clone());
    let groups = store.read(&ctx, |tx| async move { tx.consumer_groups().await });
    let now = store.clock().now();
    for group in groups.await? {
        let age = group
            .oldest_waiting
            .map_or(0.0, |at| (now - at).to_std().map_or(0.0, |age| age.as_secs_f64()));
        #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let numbers = (group.waiting as f64, group.dead_letters as f64);
        gauge!("synapscale_events_lag", "group" => group.name.clone()).set(numbers.0);
        gauge!("synapscale_events_oldest_pending_seconds", "group" => group.name.clone()).set(age);
        gauge!("synapscale_events_dead_letters", "group" => group.name).set(numbers.1);
    }
    Ok(())
}
