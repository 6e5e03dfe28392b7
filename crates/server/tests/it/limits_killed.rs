//! `kill -9` while runs hold and wait for places: no limit is passed and no place is lost.

use crate::process::{Server, bootstrap};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use synapscale_testkit::{Receiver, TestDb, db_test};

/// How often a process is killed on each database.
const KILLS: u64 = 8;
/// Places for each key.
const MAX: usize = 2;
/// Runs for each of the three keys.
const EACH: usize = 8;
const LEASE: (&str, &str) = ("SYNAPSCALE_LEASE_SECONDS", "1");
const MASTER: (&str, &str) = (
    "SYNAPSCALE_MASTER_KEY",
    "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=",
);

fn workflow(callback: &str) -> Value {
    json!({
        "name": "careful",
        "limits": { "concurrency": { "max": MAX, "key": "{{ input.key }}" } },
        "retry": { "max_attempts": 8, "initial_delay_ms": 50, "max_delay_ms": 200 },
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "call": { "kind": "http@1", "after": "start", "with": { "method": "POST", "url": callback } },
            "pause": { "kind": "wait@1", "after": "call", "with": { "seconds": 0.05 } },
            "end": { "kind": "set@1", "after": "pause", "with": { "key": "{{ input.key }}" } },
        },
    })
}

fn time(run: &Value, field: &str) -> DateTime<Utc> {
    serde_json::from_value(run[field].clone()).unwrap_or_else(|_| panic!("no {field}: {run}"))
}

async fn worker(db: &TestDb, key: &str, name: &str) -> Server {
    // SQLite has one process: it serves and works.
    let roles: &[&str] = match db.is_postgres() {
        true => &["--roles", "worker"],
        false => &[],
    };
    let folder = match db.is_postgres() {
        true => db.folder().join(name),
        false => db.folder().to_owned(),
    };
    Server::start_in(db, key, roles, &[LEASE, MASTER], &folder).await
}

db_test! {
    async fn no_place_is_lost_and_no_limit_passed_by_being_killed(db: TestDb) {
        let owner = bootstrap(db).await;
        let receiver = Receiver::start().await;
        receiver.plan(200, Duration::from_millis(40), Vec::new());
        let mut workers = vec![worker(db, &owner.api_key, "w0").await];
        let api = match db.is_postgres() {
            true => {
                workers.push(worker(db, &owner.api_key, "w1").await);
                Some(Server::start_in(db, &owner.api_key, &["--roles", "api"], &[LEASE, MASTER], &db.folder().join("api")).await)
            }
            false => None,
        };
        api.as_ref().unwrap_or(&workers[0]).apply(workflow(&receiver.url("/call"))).await;
        let mut runs = Vec::new();
        for number in 0..3 * EACH {
            let input = json!({ "input": { "key": format!("k{}", number % 3) } });
            let by = api.as_ref().unwrap_or(&workers[0]);
            let run = by.ask(Method::POST, "/api/v1/workflows/careful/runs", input).await;
            runs.push(run["run_id"].as_str().expect("an id").to_owned());
        }
        for kill in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(30 + kill * 61 % 250)).await;
            let turn = usize::try_from(kill).expect("small") % workers.len();
            workers[turn].kill().await;
            workers[turn] = worker(db, &owner.api_key, &format!("w{turn}")).await;
        }
        let server = api.as_ref().unwrap_or(&workers[0]);
        let mut by_key: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for run in &runs {
            let ended = server.ended(run).await;
            assert_eq!(ended["status"], "succeeded", "{ended}");
            by_key.entry(ended["output"]["key"].to_string()).or_default().push(ended);
        }
        for (key, runs) in by_key {
            assert_eq!(runs.len(), EACH);
            for run in &runs {
                let begun = time(run, "started_at");
                let under_way = |other: &&Value| time(other, "started_at") <= begun && begun < time(other, "finished_at");
                let at_once = runs.iter().filter(under_way).count();
                assert!(at_once <= MAX, "{at_once} at once of {key}");
            }
        }
        // All places are free again.
        for _ in 0..=MAX {
            let input = json!({ "input": { "key": "k0" } });
            let run = server.ask(Method::POST, "/api/v1/workflows/careful/runs", input).await;
            assert_eq!(server.ended(run["run_id"].as_str().expect("an id")).await["status"], "succeeded");
        }
    }
}
