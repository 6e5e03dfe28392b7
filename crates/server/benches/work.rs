//! A workspace with 100,000 tasks: its lists, its search, its trees, and the patch sets that made it.

use crate::harness::{Load, Measured, Server};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Tasks of the workspace, and of one patch set.
const TASKS: usize = 100_000;
const SET: usize = 500;
/// Callers at once: what is looked at is how long one waits.
const CALLERS: usize = 2;

const STATUSES: [&str; 4] = ["todo", "in_progress", "blocked", "done"];
const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];
const VERBS: [&str; 7] = ["Check", "Write", "Move", "Repair", "Measure", "Plan", "Review"];
const THINGS: [&str; 11] = [
    "invoice", "report", "login", "export", "queue", "backup", "graph", "calendar", "budget", "contract",
    "archive",
];

fn patch(project: &str, number: usize) -> Value {
    json!({
        "op": "create", "project_id": project,
        "body": {
            "title": format!("{} the {} number {number}", VERBS[number % 7], THINGS[number % 11]),
            "status": STATUSES[number % 4], "priority": PRIORITIES[number / 4 % 4],
            "tags": [format!("team-{}", number % 13)],
        },
    })
}

/// Makes the tasks; the figure of a patch set.
async fn fill(server: &Server) -> Measured {
    let project = server
        .ask(Method::POST, "/api/v1/projects", json!({ "name": "Large" }))
        .await;
    let project = project["id"].as_str().expect("an id").to_owned();
    let (mut times, cpu, began) = (Vec::new(), server.cpu(), Instant::now());
    for set in 0..TASKS / SET {
        let patches: Vec<Value> = (set * SET..(set + 1) * SET)
            .map(|number| patch(&project, number))
            .collect();
        let one = Instant::now();
        server
            .ask(
                Method::POST,
                "/api/v1/patches",
                json!({ "task_patches": patches }),
            )
            .await;
        times.push(one.elapsed());
    }
    server.measured(
        "a patch set of 500 creates",
        times,
        began.elapsed(),
        server.cpu() - cpu,
    )
}

/// The figures of a large workspace; `root` has 1,000 tasks below it.
pub async fn measure(server: &Server, root: &str, span: Duration) -> Vec<Measured> {
    let mut rows = vec![fill(server).await];
    let tasks = "/api/v1/tasks";
    let lists = [
        ("the newest 50", format!("{tasks}?limit=50&sort=-created_at")),
        (
            "50 by status and priority",
            format!("{tasks}?status=todo&priority=critical&limit=50"),
        ),
        ("50 by tag", format!("{tasks}?tag=team-7&limit=50")),
        (
            "search for a word in 9,000 of them",
            format!("{tasks}/search?query=invoice&limit=50"),
        ),
        (
            "search for two words",
            format!("{tasks}/search?query=repair%20contract&limit=50"),
        ),
        ("a tree of 1,000", format!("{tasks}/{root}/tree")),
    ];
    for (name, path) in lists {
        let name = format!("of 100,000 tasks: {name}");
        let load = Load::new(&name, Method::GET, &path, None, CALLERS);
        rows.push(server.measure(&load, span).await);
    }
    rows
}
