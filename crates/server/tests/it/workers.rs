//! Two workers on one PostgreSQL: one is stopped past its lease and continued. What it then writes is refused.

use crate::process::{Server, bootstrap, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_testkit::{Receiver, TestDb};

const LEASE: &str = "2";

fn workflow(callback: &str) -> Value {
    json!({
        "name": "handed-over",
        "retry": { "max_attempts": 3, "initial_delay_ms": 50 },
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "call": { "kind": "http@1", "after": "start", "with": { "method": "POST", "url": callback } },
            "make": { "kind": "operation@1", "after": "call", "with": {
                "operation": "tasks.create",
                "input": { "project_id": "{{ input.project_id }}", "title": "made once" },
            } },
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_past_its_lease_writes_nothing() {
    let db = TestDb::postgres().await;
    let key = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let variables = [
        ("SYNAPSCALE_MASTER_KEY", key),
        ("SYNAPSCALE_LEASE_SECONDS", LEASE),
    ];
    let folder = |name: &str| db.folder().join(name);
    let owner = bootstrap(&db).await;
    let receiver = Receiver::start().await;
    // The first call is answered while the worker that made it stands still.
    receiver.plan(200, Duration::from_secs(3), Vec::new());

    let start = |roles: &'static str, name: &'static str| {
        let (db, api_key) = (&db, &owner.api_key);
        async move { Server::start_in(db, api_key, &["--roles", roles], &variables, &folder(name)).await }
    };
    let api = start("api", "api").await;
    let first = start("worker", "first").await;
    api.apply(workflow(&receiver.url("/call"))).await;
    let project = api
        .ask(Method::POST, "/api/v1/projects", json!({ "name": "P" }))
        .await;
    let input = json!({ "input": { "project_id": project["id"] } });
    let run = api
        .ask(Method::POST, "/api/v1/workflows/handed-over/runs", input)
        .await;
    let run_id = run["run_id"].as_str().expect("an id").to_owned();
    until("the first worker calls out", async || {
        receiver.received().len() == 1
    })
    .await;

    first.signal("-STOP").await;
    let _second = start("worker", "second").await;
    let ended = api.ended(&run_id).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let steps = api.get(&format!("/api/v1/runs/{run_id}/steps")).await;
    let tasks = api.get("/api/v1/tasks").await;

    first.signal("-CONT").await;
    let log = || std::fs::read_to_string(folder("first").join("server.log")).unwrap_or_default();
    until("the first worker learns that it lost the run", async || {
        log().contains("taken over by another worker")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        api.get(&format!("/api/v1/runs/{run_id}/steps")).await,
        steps,
        "the journal stands as it was"
    );
    assert_eq!(api.get("/api/v1/tasks").await, tasks);
    assert_eq!(tasks["items"].as_array().expect("items").len(), 1, "{tasks}");
    assert_eq!(
        receiver.received().len(),
        2,
        "the call whose outcome nobody knew was made again, once"
    );
    db.discard().await;
}
