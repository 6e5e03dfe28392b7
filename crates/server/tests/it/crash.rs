//! `kill -9` at any moment: what was acknowledged is there, no step twice, every run ends.

use crate::process::{Server, base, bootstrap, command};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synapscale_testkit::{Receiver, TestDb, db_test};

/// How often the process is killed on each database.
const KILLS: usize = 20;

/// What the server answered well: titles by the ids that it gave.
#[derive(Default)]
struct Acknowledged {
    runs: BTreeMap<String, String>,
    patches: BTreeMap<String, String>,
}

fn workflow(callback: &str) -> Value {
    json!({
        "name": "killed",
        "retry": { "max_attempts": 8, "initial_delay_ms": 50, "factor": 1.5, "max_delay_ms": 500 },
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "make": {
                "kind": "operation@1", "after": "start",
                "with": { "operation": "tasks.create", "input": {
                    "project_id": "{{ input.project_id }}", "title": "{{ input.title }}",
                } },
            },
            "pause": { "kind": "wait@1", "after": "make", "with": { "seconds": 0.02 } },
            "call": { "kind": "http@1", "after": "pause", "with": {
                "method": "POST", "url": callback, "body": { "run": "{{ run.id }}" },
            } },
            "close": {
                "kind": "operation@1", "after": "call",
                "with": { "operation": "tasks.update", "input": {
                    "task_id": "{{ nodes.make.output.id }}", "status": "done",
                } },
            },
        },
    })
}

async fn load(url: String, key: String, project: String, number: usize, seen: Arc<Mutex<Acknowledged>>) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(5))
        .build()
        .expect("a client");
    for turn in 0.. {
        let title = format!("run-{number}-{turn}-{}", synapscale_core::new_id());
        let run = client
            .post(format!("{url}/api/v1/workflows/killed/runs"))
            .bearer_auth(&key)
            .json(&json!({ "input": { "project_id": project, "title": title } }))
            .send()
            .await;
        let Ok(run) = run else { return };
        if run.status().is_success()
            && let Ok(answer) = run.json::<Value>().await
        {
            let id = answer["run_id"].as_str().expect("an id").to_owned();
            seen.lock().expect("seen").runs.insert(id, title.clone());
        }
        let title = format!("patch-{number}-{turn}-{}", synapscale_core::new_id());
        let set = json!({ "task_patches": [
            { "op": "create", "temp_id": "a", "project_id": project, "body": { "title": title } },
            { "op": "create", "project_id": project, "parent_id": "temp:a", "body": { "title": format!("{title}-child") } },
        ] });
        let patch = client
            .post(format!("{url}/api/v1/patches"))
            .bearer_auth(&key)
            .json(&set)
            .send()
            .await;
        let Ok(patch) = patch else { return };
        if patch.status().is_success()
            && let Ok(answer) = patch.json::<Value>().await
        {
            let id = answer["patch_set_id"].as_str().expect("an id").to_owned();
            seen.lock().expect("seen").patches.insert(id, title);
        }
    }
}

/// How often the log tells of each task's making, by title.
async fn told(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut since = String::new();
    loop {
        let page = server
            .get(&format!("/api/v1/events?kinds=task.created&limit=200{since}"))
            .await;
        for event in page["items"].as_array().expect("items") {
            let title = event["data"]["title"].as_str().expect("a title").to_owned();
            *counts.entry(title).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) if !page["items"].as_array().expect("items").is_empty() => {
                since = format!("&since={next}")
            }
            _ => return counts,
        }
    }
}

async fn all_tasks(server: &Server) -> Vec<Value> {
    let mut tasks = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get(&format!("/api/v1/tasks?limit=200{cursor}")).await;
        tasks.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return tasks,
        }
    }
}

/// A server under load that is killed again and again, and the book of what it acknowledged.
pub struct Killed<'a> {
    db: &'a TestDb,
    key: String,
    server: Server,
    project: String,
    receiver: Receiver,
    seen: Arc<Mutex<Acknowledged>>,
}

impl<'a> Killed<'a> {
    /// Starts the server, with the workflow that the load runs.
    pub async fn start(db: &'a TestDb) -> Self {
        let owner = bootstrap(db).await;
        let receiver = Receiver::start().await;
        let server = Server::start(db, &owner.api_key, &[]).await;
        server.apply(workflow(&receiver.url("/call"))).await;
        let project = server.project("Kill").await;
        Killed {
            db,
            key: owner.api_key,
            server,
            project,
            receiver,
            seen: Arc::default(),
        }
    }

    /// How many runs and patch sets were acknowledged.
    pub fn acknowledged(&self) -> (usize, usize) {
        let seen = self.seen.lock().expect("seen");
        (seen.runs.len(), seen.patches.len())
    }

    /// Loads the server, kills it at one of the moments that are the same in each run of the test, and starts it again.
    pub async fn kill(&mut self, kill: usize) {
        let clients = (0..4).map(|number| {
            load(
                self.server.url.clone(),
                self.key.clone(),
                self.project.clone(),
                kill * 10 + number,
                self.seen.clone(),
            )
        });
        let clients = futures::future::join_all(clients);
        let moment = Duration::from_millis(20 + (kill as u64 * 37) % 190);
        let (known, _) = self.acknowledged();
        let (seen, server) = (self.seen.clone(), &mut self.server);
        let death = async {
            // On a slow machine too there is something to lose.
            for _ in 0..1_000 {
                if seen.lock().expect("seen").runs.len() > known + 1 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::sleep(moment).await;
            server.kill().await;
        };
        futures::join!(clients, death);
        self.server = Server::start(self.db, &self.key, &[]).await;
    }

    /// Everything that was acknowledged is there once, nothing else is, and the log tells of just that.
    pub async fn reconcile(&self) {
        let (runs, patches) = {
            let seen = self.seen.lock().expect("seen");
            (seen.runs.clone(), seen.patches.clone())
        };
        let server = &self.server;
        for id in runs.keys() {
            let run = server.ended(id).await;
            assert_eq!(run["status"], "succeeded", "{run}");
        }
        // Runs that were accepted although the answer never arrived end too.
        let open = server.get("/api/v1/runs?status=running&limit=200").await;
        for run in open["items"].as_array().expect("items") {
            server.ended(run["id"].as_str().expect("an id")).await;
        }
        let mut titles = BTreeMap::<String, usize>::new();
        for task in &all_tasks(server).await {
            *titles
                .entry(task["title"].as_str().expect("a title").to_owned())
                .or_default() += 1;
        }
        for title in runs.values() {
            assert_eq!(
                titles.get(title),
                Some(&1),
                "{title}: the effect of a run stands once"
            );
        }
        for title in patches.values() {
            assert_eq!(titles.get(title), Some(&1), "{title}");
            assert_eq!(
                titles.get(&format!("{title}-child")),
                Some(&1),
                "{title}: whole or not at all"
            );
        }
        assert!(titles.values().all(|count| *count == 1), "nothing was done twice");
        // On PostgreSQL an event is read once all transactions before it are over, those of other tests too.
        let mut told_of = told(server).await;
        for _ in 0..100 {
            if told_of == titles {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            told_of = told(server).await;
        }
        assert_eq!(
            told_of, titles,
            "each task that is there is told of once, and no other"
        );
        let received = self.receiver.received();
        let called: BTreeSet<_> = received.iter().map(|call| &call.body).collect();
        assert!(called.len() >= runs.len(), "each run called out at least once");
    }
}

db_test! {
    async fn killed_twenty_times_nothing_is_lost(db: TestDb) {
        let mut killed = Killed::start(db).await;
        for kill in 0..KILLS {
            killed.kill(kill).await;
        }
        let (runs, patches) = killed.acknowledged();
        assert!(runs > KILLS && patches > KILLS, "too little load: {runs} runs");
        killed.reconcile().await;
    }
}

db_test! {
    async fn a_migration_killed_at_any_point_is_done_by_the_next_start(db: TestDb) {
        for wait in [10, 20, 40, 60, 90, 130, 180, 250, 350] {
            let mut child = base(db).args(["db", "migrate"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
            tokio::time::sleep(Duration::from_millis(wait)).await;
            child.kill().await.expect("killed");
        }
        let (code, out, err) = command(db, &["db", "migrate"]).await;
        assert_eq!(code, 0, "{out}{err}");
        let (code, out, err) = command(db, &["db", "check"]).await;
        assert_eq!(code, 0, "{out}{err}");
        Server::fresh(db).await.project("after all").await;
    }
}
