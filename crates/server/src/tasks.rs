//! What the process itself does now and then: figures and counters leave memory. Work that matters if the process dies
//! is a run, not a task.

use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use synapscale_core::Result;
use synapscale_engine::{Engine, Job};
use synapscale_flows::Flows;
use synapscale_identity::Authenticator;
use synapscale_ops::Gate;
use synapscale_store::Store;
use synapscale_store::events::LINK_EVENTS;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often denied tries become events.
const DENIED: Duration = Duration::from_secs(10);
/// How often it is written when keys and sessions were last used.
const LAST_USED: Duration = Duration::from_secs(60);
/// How often the figures are folded; the recorder asks for it.
const UPKEEP: Duration = Duration::from_secs(5);
/// How often it is looked whether a background job's turn has come.
const LOOK: Duration = Duration::from_secs(20);

/// How often it is looked whether schedules and events start runs.
const TRIGGERS: Duration = Duration::from_secs(1);

/// One turn of a task.
type Turn = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The periodic tasks of one server.
pub(crate) struct Periodic {
    tracker: TaskTracker,
    stop: CancellationToken,
    gate: Gate,
    auth: Authenticator,
}

impl Periodic {
    /// Starts them.
    pub fn start(
        gate: Gate,
        auth: Authenticator,
        engine: Engine,
        flows: Flows,
        figures: PrometheusHandle,
    ) -> Self {
        let periodic = Periodic {
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            gate: gate.clone(),
            auth: auth.clone(),
        };
        let denied = gate.clone();
        periodic.every("flush_denied", DENIED, move || {
            let gate = denied.clone();
            Box::pin(async move { gate.flush_denied().await.map(drop) })
        });
        periodic.every("flush_last_used", LAST_USED, move || {
            let auth = auth.clone();
            Box::pin(async move { auth.flush_last_used().await.map(drop) })
        });
        let (store, started) = (gate.store().clone(), Arc::new(Mutex::new([i64::MIN; JOBS.len()])));
        periodic.every("start_jobs", LOOK, move || {
            let (engine, store, started) = (engine.clone(), store.clone(), started.clone());
            Box::pin(async move { start_jobs(&engine, &store, &started).await })
        });
        periodic.every("fire_triggers", TRIGGERS, move || {
            let flows = flows.clone();
            Box::pin(async move { flows.fire().await.map(drop) })
        });
        periodic.every("upkeep", UPKEEP, move || {
            figures.run_upkeep();
            Box::pin(std::future::ready(Ok(())))
        });
        periodic.tracker.close();
        periodic
    }

    fn every<F>(&self, name: &'static str, period: Duration, turn: F)
    where
        F: Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    {
        let turn: Turn = Arc::new(turn);
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let mut ticks = interval_at(Instant::now() + period, period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    _ = ticks.tick() => {}
                }
                if let Err(error) = turn().await {
                    tracing::warn!(task = name, ?error, "a periodic task failed; it is tried again");
                }
            }
        });
    }

    /// Stops them, and writes what is still in memory.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.wait().await;
        let told = self.gate.flush_denied().await.map(drop);
        let used = self.auth.flush_last_used().await.map(drop);
        for error in [told, used].into_iter().filter_map(Result::err) {
            tracing::warn!(?error, "counters could not be written before the end");
        }
    }
}

/// The product's own background jobs, each a run of the system tenant.
const JOBS: [Job; 7] = [
    Job {
        operation: "audit.link",
        every: Duration::from_secs(60),
    },
    Job {
        operation: "database.upkeep",
        every: Duration::from_secs(600),
    },
    Job {
        operation: "events.archive",
        every: Duration::from_secs(600),
    },
    Job {
        operation: "ops.purge_answers",
        every: Duration::from_secs(3600),
    },
    Job {
        operation: "hooks.prune",
        every: Duration::from_secs(6 * 3600),
    },
    Job {
        operation: "runs.purge",
        every: Duration::from_secs(3600),
    },
    Job {
        operation: "sessions.purge",
        every: Duration::from_secs(6 * 3600),
    },
];

/// Linking while it is behind by a whole link: at each look, one turn after the other.
const LINK_BEHIND: Job = Job {
    operation: "audit.link",
    every: LOOK,
};

/// Starts the runs of the jobs whose turn it is, and remembers which were started.
async fn start_jobs(engine: &Engine, store: &Store, done: &Mutex<[i64; JOBS.len()]>) -> Result<()> {
    let clock = store.clock();
    for (index, job) in JOBS.into_iter().enumerate() {
        let turn = job.turn(clock.now().timestamp_millis());
        let last = done.lock().unwrap_or_else(PoisonError::into_inner)[index];
        if last != turn {
            engine.start_job(job, turn).await?;
            done.lock().unwrap_or_else(PoisonError::into_inner)[index] = turn;
        }
    }
    if store.chain_behind(LINK_EVENTS).await? >= u64::from(LINK_EVENTS) {
        engine
            .start_job(LINK_BEHIND, LINK_BEHIND.turn(clock.now().timestamp_millis()))
            .await?;
    }
    Ok(())
}
