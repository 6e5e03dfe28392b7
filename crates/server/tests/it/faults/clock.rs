//! The wall clock jumps back an hour while the server runs, and again before it starts: nothing is lost, repeated or refused
//! that was allowed, cursors go on, and what waits for a time waits for that time.

use super::Kept;
use crate::process::{Server, bootstrap, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use synapscale_testkit::db_test;

/// Makes the library that moves the clock; none where there is no such thing.
fn mover(folder: &Path) -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return None;
    }
    let library = folder.join("clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/faults/clock.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl");
    let made = cc.status().is_ok_and(|status| status.success());
    made.then_some(library)
}

fn workflow(name: &str, seconds: f64) -> Value {
    json!({ "name": name, "nodes": {
        "start": { "kind": "trigger.manual@1" },
        "pause": { "kind": "wait@1", "after": "start", "with": { "seconds": seconds } },
        "make": { "kind": "operation@1", "after": "pause", "with": {
            "operation": "tasks.create",
            "input": { "project_id": "{{ input.project_id }}", "title": name },
        } },
    } })
}

async fn run(server: &Server, workflow: &str, project: &str) -> String {
    let path = format!("/api/v1/workflows/{workflow}/runs");
    let input = json!({ "input": { "project_id": project } });
    let started = server.ask(Method::POST, &path, input).await;
    started["run_id"].as_str().expect("an id").to_owned()
}

db_test! {
    async fn the_clock_jumps_back_and_nothing_is_lost_or_done_twice(db: TestDb) {
        let Some(library) = mover(db.folder()) else {
            eprintln!("SKIPPED: no library can be preloaded here");
            return;
        };
        let offset = db.folder().join("offset");
        let set = |seconds: i64| std::fs::write(&offset, seconds.to_string()).expect("written");
        set(0);
        let variables = [
            ("LD_PRELOAD", library.to_str().expect("UTF-8")),
            ("SYNAPSCALE_TEST_CLOCK", offset.to_str().expect("UTF-8")),
        ];
        let owner = bootstrap(db).await;
        let mut server = Server::start_in(db, &owner.api_key, &[], &variables, db.folder()).await;
        let mut kept = Kept::default();
        assert_eq!(kept.make(&server).await, None);
        let project = server.project("clock").await;
        server.apply(workflow("soon", 0.2)).await;
        server.apply(workflow("later", 1.5)).await;
        let over = run(&server, "later", &project).await;
        let key = uuid::Uuid::from_u128(7).to_string();
        let once = json!({ "name": "once" });
        let idempotent = async |server: &Server| {
            let request = server.request(Method::POST, "/api/v1/projects").header("idempotency-key", &key);
            let answer = request.json(&once).send().await.expect("an answer");
            answer.json::<Value>().await.expect("JSON")["id"].clone()
        };
        let first = idempotent(&server).await;
        let mut cursor = String::new();
        until("the log is read so far", async || {
            let page = server.get("/api/v1/events?limit=200").await;
            cursor = page["next_cursor"].as_str().unwrap_or_default().to_owned();
            page["items"].to_string().contains("\"once\"")
        })
        .await;

        set(-3600);
        assert_eq!(kept.make(&server).await, None, "a key is good before it was made");
        let now = run(&server, "soon", &project).await;
        assert_eq!(server.ended(&now).await["status"], "succeeded");
        assert_eq!(idempotent(&server).await, first, "the stored answer still counts");
        until("a cursor of before goes on", async || {
            let page = server.get(&format!("/api/v1/events?limit=200&since={cursor}")).await;
            let kinds = page["items"].to_string();
            kinds.contains("kept-1") && kinds.contains("task.created") && !kinds.contains("kept-0")
        })
        .await;

        // A start in the past is as good.
        server.kill().await;
        let server = Server::start_in(db, &owner.api_key, &[], &variables, db.folder()).await;
        assert_eq!(kept.make(&server).await, None);
        let again = run(&server, "soon", &project).await;
        assert_eq!(server.ended(&again).await["status"], "succeeded");
        // What waited for a time has it when that time comes.
        set(0);
        assert_eq!(server.ended(&over).await["status"], "succeeded");
        kept.check(&server).await;
        let tasks = server.get("/api/v1/tasks").await;
        let count = |title: &str| tasks["items"].to_string().matches(&format!("\"title\":\"{title}\"")).count();
        assert_eq!((count("soon"), count("later")), (2, 1), "{tasks}");
    }
}
