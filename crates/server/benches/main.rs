//! `make bench`: the figures of docs/benchmarks.md. The real release binary as a process of its own, its CPU time read
//! from the kernel, floors in the same run: a bare axum answer and a bare durable SQL commit. Beside it our share of a model
//! call, in this process.

mod agents;
mod floor;
mod followers;
mod harness;
mod jobs;
mod models;
mod work;

use harness::{Load, Measured, Target, report};
use reqwest::Method;
use serde_json::json;
use std::time::Duration;

/// Callers at once.
const CALLERS: usize = 32;
/// How long each figure is measured.
const SPAN: Duration = Duration::from_secs(8);
/// Followers of one workspace.
const FOLLOWERS: [usize; 2] = [1000, 5000];
/// Jobs that are started and done.
const JOBS: usize = 80_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|arg| arg == "--floor-axum") {
        floor::serve_axum();
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(all());
}

async fn all() {
    let mut rows = vec![floor::axum(CALLERS, SPAN).await, floor::sqlite_commit().await];
    rows.extend(models::measure(SPAN).await);
    for target in [Target::sqlite().await, Target::postgres().await]
        .into_iter()
        .flatten()
    {
        rows.extend(measure(&target).await);
    }
    report(&rows);
}

async fn measure(target: &Target) -> Vec<Measured> {
    let server = target.start().await;
    let hook = server.apply_hook().await;
    let project = server
        .ask(Method::POST, "/api/v1/projects", json!({ "name": "Bench" }))
        .await;
    let project = project["id"].as_str().expect("an id").to_owned();
    let root = server.tree(&project, 1000).await;
    let task = format!("/api/v1/tasks/{root}");
    let mut rows = vec![server.cold_start(), server.idle_memory()];
    rows.extend(agents::measure(&server, SPAN).await);
    let loads = [
        Load::new(
            "webhook → set → respond, durable",
            Method::POST,
            &hook,
            Some(json!({ "n": 1 })),
            CALLERS,
        ),
        Load::new(
            "one REST read through the whole gate",
            Method::GET,
            &task,
            None,
            CALLERS,
        ),
        Load::new(
            "a task create",
            Method::POST,
            &format!("/api/v1/projects/{project}/tasks"),
            Some(json!({ "title": "A task" })),
            CALLERS,
        ),
        Load::new("a tree of 1,000", Method::GET, &format!("{task}/tree"), None, 4),
    ];
    for load in &loads {
        rows.push(server.measure(load, SPAN).await);
    }
    for count in FOLLOWERS {
        rows.push(followers::measure(&server, &project, count, SPAN).await);
    }
    rows.extend(work::measure(&server, &root, SPAN).await);
    rows.push(jobs::measure(&server, "a job that does nothing", JOBS).await);
    // What a run costs must not grow with how many there were.
    let grown = loads[0].named("webhook → set → respond, after 100,000 runs");
    rows.push(server.measure(&grown, SPAN).await);
    rows
}
