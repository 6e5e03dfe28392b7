//! What each process hears of the log: hints that something it keeps in memory is out of date. Nothing durable hangs on
//! them, so there is no group and no lease; whoever listens also lets its memory grow old by itself.

use super::Follower;
use super::read::{Event, EventFilter};
use crate::store::Store;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Ctx, Result};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// Hears of some kinds of events, whichever process and workspace they come from.
#[derive(Clone)]
pub struct Listener {
    kinds: &'static [&'static str],
    heard: Arc<dyn Fn(&Event) + Send + Sync>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.kinds).finish()
    }
}

impl Listener {
    /// Calls `heard`, which must be quick, for each event of `kinds` (`task.created` or `task.*`): ordinarily well within a
    /// second of its commit. On PostgreSQL a transaction that stays open holds back the events that came after it began.
    pub fn new(kinds: &'static [&'static str], heard: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Listener {
            kinds,
            heard: Arc::new(heard),
        }
    }

    fn hear(&self, event: &Event) {
        let wanted = |kind: &&str| match kind.strip_suffix('*') {
            Some(noun) => event.kind.starts_with(noun),
            None => event.kind == *kind,
        };
        if self.kinds.iter().any(wanted) {
            (self.heard)(event);
        }
    }
}

/// The listeners of one process, at work.
pub struct Listening {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Listening {
    /// Tells `listeners` of everything from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(store: &Store, listeners: Vec<Listener>) -> Result<Self> {
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        if !listeners.is_empty() {
            let ctx = Ctx::system(store.clock().clone());
            let head = store.event_head(&ctx).await?;
            let kinds = listeners.iter().flat_map(|listener| listener.kinds);
            let filter = EventFilter {
                kinds: kinds.map(|&kind| kind.to_owned()).collect(),
                ..EventFilter::default()
            };
            let follower = store.follow(ctx, head, filter);
            let ended = stop.clone();
            tracker.spawn(async move {
                ended.run_until_cancelled(tell(follower, listeners)).await;
            });
        }
        tracker.close();
        Ok(Listening { tracker, stop })
    }

    /// Ends it.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

async fn tell(mut follower: Follower, listeners: Vec<Listener>) {
    loop {
        match follower.next_batch().await {
            Ok(batch) => {
                for event in &batch.events {
                    listeners.iter().for_each(|listener| listener.hear(event));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the log cannot be heard now; what is kept grows old by itself");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
