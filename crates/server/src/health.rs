//! `/healthz`: the process answers. `/readyz`: its parts are well, one by one. Neither tells a secret.

use crate::VERSION;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use synapscale_engine::Engine;
use synapscale_store::{Redis, Store};
use tokio::sync::Mutex;

/// A report is given again for so long, so that a flood of questions is no flood of queries.
const KEPT: Duration = Duration::from_millis(100);
/// The database has so long to answer.
const DATABASE_WITHIN: Duration = Duration::from_secs(2);
/// A worker that has not looked at the queue for so long is stuck, in milliseconds.
const WORKER_STUCK_MS: i64 = 15_000;
/// Below so many free bytes the disk is called full.
pub(crate) const DISK_LOW_BYTES: u64 = 512 * 1024 * 1024;

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wellness {
    /// Well.
    Ok,
    /// Works, and somebody should look.
    Warn,
    /// Does not work.
    Fail,
}

#[derive(Clone, Debug, Serialize)]
struct Component {
    name: &'static str,
    status: Wellness,
    detail: String,
}

#[derive(Clone, Debug, Serialize)]
struct Report {
    status: &'static str,
    version: &'static str,
    components: Vec<Component>,
}

/// What readiness looks at.
pub(crate) struct Readiness {
    store: Store,
    /// The engine, if this process is a worker.
    worker: Option<Engine>,
    data: PathBuf,
    migrations: usize,
    draining: AtomicBool,
    last: Mutex<Option<(Instant, Report)>>,
}

impl Readiness {
    /// Looks at `store`, at worker and Redis if there are such, and at the disk that holds `data`. `migrations` is how many stood
    /// when the server started; none can be undone while it runs on SQLite.
    pub fn new(store: Store, worker: Option<Engine>, data: PathBuf, migrations: usize) -> Arc<Self> {
        Arc::new(Readiness {
            store,
            worker,
            data,
            migrations,
            draining: AtomicBool::new(false),
            last: Mutex::new(None),
        })
    }

    /// From now on not ready: the server goes down.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < KEPT
        {
            return report.clone();
        }
        let mut components = vec![self.database().await, self.migrations(), disk(&self.data)];
        components.extend(self.worker.as_ref().map(|engine| self.worker(engine)));
        if let Some(redis) = self.store.redis() {
            components.push(carrier(redis).await);
        }
        let failed = components
            .iter()
            .any(|component| component.status == Wellness::Fail);
        let report = Report {
            status: if failed { "not_ready" } else { "ready" },
            version: VERSION,
            components,
        };
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn database(&self) -> Component {
        let asked = tokio::time::timeout(DATABASE_WITHIN, self.store.health()).await;
        let (status, detail) = match asked {
            Ok(Ok(health)) => (
                Wellness::Ok,
                format!(
                    "{} answers in {:.2} ms",
                    health.backend.as_str(),
                    health.latency_ms
                ),
            ),
            Ok(Err(error)) => (Wellness::Fail, error.to_string()),
            Err(_) => (Wellness::Fail, "no answer within 2 seconds".to_owned()),
        };
        Component {
            name: "database",
            status,
            detail,
        }
    }

    fn migrations(&self) -> Component {
        Component {
            name: "migrations",
            status: Wellness::Ok,
            detail: format!("all {} stand", self.migrations),
        }
    }

    fn worker(&self, engine: &Engine) -> Component {
        let now = self.store.clock().now().timestamp_millis();
        let (status, detail) = match engine.worker_age(now) {
            None => (Wellness::Fail, "has not begun yet".to_owned()),
            Some(age) if age > WORKER_STUCK_MS => (
                Wellness::Fail,
                format!("last looked at the queue {} s ago", age / 1000),
            ),
            Some(age) => (Wellness::Ok, format!("looked at the queue {} ms ago", age.max(0))),
        };
        Component {
            name: "worker",
            status,
            detail,
        }
    }
}

/// Redis. Without it the product is slower and does all it does, so that it is never a failure.
async fn carrier(redis: &Redis) -> Component {
    let (status, detail) = match tokio::time::timeout(DATABASE_WITHIN, redis.check()).await {
        Ok(Ok(version)) => (Wellness::Ok, format!("version {version} answers")),
        Ok(Err(error)) => (Wellness::Warn, error.to_string()),
        Err(_) => (Wellness::Warn, "no answer within 2 seconds".to_owned()),
    };
    Component {
        name: "redis",
        status,
        detail,
    }
}

/// Free bytes of the disk that holds `path`, for this user.
pub(crate) fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn disk(path: &Path) -> Component {
    let (status, detail) = match free_bytes(path) {
        Ok(free) if free < DISK_LOW_BYTES => (Wellness::Warn, format!("only {} MiB free", free >> 20)),
        Ok(free) => (Wellness::Ok, format!("{} MiB free", free >> 20)),
        // No data directory is no fault of a server whose data is elsewhere.
        Err(error) => (Wellness::Warn, format!("not known: {}", error.kind())),
    };
    Component {
        name: "disk",
        status,
        detail,
    }
}

/// The routes.
pub(crate) fn routes(readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(readiness)
}

async fn alive() -> Response {
    let body = serde_json::json!({ "status": "ok", "service": "synapscale", "version": VERSION });
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> Response {
    let mut report = readiness.report().await;
    if readiness.draining.load(Ordering::Relaxed) {
        report.status = "draining";
    }
    let status = match report.status {
        "ready" => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
