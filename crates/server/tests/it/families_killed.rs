//! `kill -9` while runs wait for runs, work through lists and go round: every family comes to its end, and no step of any
//! of them is done twice.

use crate::process::{Server, bootstrap};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use synapscale_testkit::db_test;

/// How often the process is killed on each database.
const KILLS: u64 = 10;
/// Families of runs.
const FAMILIES: usize = 4;
const ROUNDS: usize = 3;
const ITEMS: usize = 3;

/// Waits a moment and makes a task.
fn makes() -> Value {
    json!({ "name": "makes", "nodes": {
        "start": { "kind": "trigger.manual@1" },
        "pause": { "kind": "wait@1", "after": "start", "with": { "seconds": 0.03 } },
        "make": { "kind": "operation@1", "after": "pause", "with": { "operation": "tasks.create", "input": {
            "project_id": "{{ input.project_id }}", "title": "{{ input.title }}",
        } } },
    } })
}

fn family() -> Value {
    json!({ "name": "family", "nodes": {
        "start": { "kind": "trigger.manual@1" },
        "head": { "kind": "merge@1", "after": ["start", "more.true"], "join": "any" },
        "round": { "kind": "set@1", "after": "head", "with": { "n": "{{ (nodes.round?.output.n ?? 0) + 1 }}" } },
        "child": { "kind": "workflow@1", "after": "round", "with": { "workflow": "makes", "input": {
            "project_id": "{{ input.project_id }}", "title": "{{ input.tag }}-{{ nodes.round.output.n }}-child",
        } } },
        "each": { "kind": "foreach@1", "after": "round", "with": {
            "items": "{{ input.items }}", "workflow": "makes", "concurrency": 2,
            "input": { "project_id": "{{ input.project_id }}", "title": "{{ input.tag }}-{{ nodes.round.output.n }}-{{ item }}" },
        } },
        "both": { "kind": "merge@1", "after": ["child", "each"] },
        "more": { "kind": "if@1", "after": "both", "with": { "when": format!("{{{{ nodes.round.output.n < {ROUNDS} }}}}") } },
        "end": { "kind": "set@1", "after": "more.false", "with": { "rounds": "{{ nodes.round.output.n }}" } },
    } })
}

async fn titles(server: &Server) -> BTreeMap<String, usize> {
    let mut titles = BTreeMap::new();
    let page = server.get("/api/v1/tasks?limit=200").await;
    for task in page["items"].as_array().expect("items") {
        *titles
            .entry(task["title"].as_str().expect("a title").to_owned())
            .or_default() += 1;
    }
    titles
}

db_test! {
    async fn families_of_runs_survive_being_killed(db: TestDb) {
        let owner = bootstrap(db).await;
        let mut server = Server::start(db, &owner.api_key, &[]).await;
        server.apply(makes()).await;
        server.apply(family()).await;
        let project = server.ask(Method::POST, "/api/v1/projects", json!({ "name": "Kill" })).await;
        let mut runs = Vec::new();
        for tag in 0..FAMILIES {
            let input = json!({ "project_id": project["id"], "tag": format!("f{tag}"), "items": (0..ITEMS).collect::<Vec<_>>() });
            let started = server.ask(Method::POST, "/api/v1/workflows/family/runs", json!({ "input": input })).await;
            runs.push(started["run_id"].as_str().expect("an id").to_owned());
        }
        for kill in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(20 + kill * 37 % 190)).await;
            server.kill().await;
            server = Server::start(db, &owner.api_key, &[]).await;
        }
        for run in &runs {
            let done = server.ended(run).await;
            assert_eq!((&done["status"], &done["output"]), (&json!("succeeded"), &json!({ "rounds": ROUNDS })), "{done}");
        }
        let titles = titles(&server).await;
        assert_eq!(titles.len(), FAMILIES * ROUNDS * (1 + ITEMS), "{titles:?}");
        assert!(titles.values().all(|count| *count == 1), "nothing was done twice: {titles:?}");
        let children = server.get("/api/v1/runs?workflow=makes&limit=200").await;
        let children = children["items"].as_array().expect("items");
        assert_eq!(children.len(), titles.len(), "each child was started once");
        assert!(children.iter().all(|child| child["status"] == "succeeded"));
    }
}
