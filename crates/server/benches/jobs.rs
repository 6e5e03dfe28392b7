//! Background jobs end to end: runs that are started, queued, done by a worker and ended, with nothing to do in them.

use crate::harness::{Measured, Server};
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Who starts them.
const CALLERS: usize = 32;
/// How often it is looked whether the last one has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Starts so many runs and waits for the end of the last; times are those of the starts.
pub async fn measure(server: &Server, name: &str, count: usize) -> Measured {
    let file = json!({
        "name": "noop",
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "nothing": { "kind": "set@1", "after": "start", "with": { "ok": true } },
        },
    });
    server
        .ask(Method::PUT, "/api/v1/workflows/noop", json!({ "file": file }))
        .await;
    let (cpu, began, started) = (server.cpu(), Instant::now(), AtomicUsize::new(0));
    let callers = (0..CALLERS).map(|_| async {
        let mut times = Vec::new();
        while started.fetch_add(1, Ordering::Relaxed) < count {
            let one = Instant::now();
            server
                .ask(
                    Method::POST,
                    "/api/v1/workflows/noop/runs",
                    json!({ "input": {} }),
                )
                .await;
            times.push(one.elapsed());
        }
        times
    });
    let times: Vec<Duration> = join_all(callers).await.into_iter().flatten().collect();
    for status in ["queued", "running"] {
        let path = format!("/api/v1/runs?status={status}&workflow=noop&limit=1");
        while server.get(&path).await["items"]
            .as_array()
            .is_some_and(|left| !left.is_empty())
        {
            tokio::time::sleep(LOOK).await;
        }
    }
    server.measured(name, times, began.elapsed(), server.cpu() - cpu)
}
