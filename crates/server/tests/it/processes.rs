//! Several processes over one PostgreSQL and one Redis, by `--roles`: each turn of a schedule has one run, load is shared and
//! outlives a worker, and a follower of events goes on at another process where the first one died.

use crate::process::{Owner, Server, bootstrap, until};
use crate::stream::{Stream, name, project};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use synapscale_testkit::{Receiver, TestDb, redis_url};

const LEASE: &str = "2";
/// Minutes that the schedule missed.
const TURNS: usize = 10;
/// Runs that are shared among workers.
const RUNS: usize = 40;
const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

/// The processes' common ground.
struct Place {
    db: TestDb,
    owner: Owner,
    redis: String,
}

impl Place {
    async fn new() -> Self {
        let db = TestDb::postgres().await;
        let owner = bootstrap(&db).await;
        Place {
            db,
            owner,
            redis: redis_url(),
        }
    }

    /// A process with these roles and a data directory of its own.
    async fn start(&self, roles: &str, name: &str) -> Server {
        let variables = [
            ("SYNAPSCALE_MASTER_KEY", KEY),
            ("SYNAPSCALE_LEASE_SECONDS", LEASE),
            ("SYNAPSCALE_REDIS_URL", self.redis.as_str()),
        ];
        let folder = self.db.folder().join(name);
        Server::start_in(
            &self.db,
            &self.owner.api_key,
            &["--roles", roles],
            &variables,
            &folder,
        )
        .await
    }
}

async fn succeeded(server: &Server) -> usize {
    let page = server.get("/api/v1/runs?status=succeeded&limit=200").await;
    page["items"].as_array().expect("items").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_turn_of_a_schedule_has_one_run_however_many_processes_look() {
    let place = Place::new().await;
    let api = place.start("api", "api").await;
    let _workers = [
        place.start("worker,relay", "one").await,
        place.start("worker,relay", "two").await,
        place.start("worker,relay", "three").await,
    ];
    api.apply(json!({ "name": "minutely", "nodes": {
        "clock": { "kind": "trigger.schedule@1", "with": { "cron": "* * * * *", "missed": "all" } },
        "note": { "kind": "set@1", "after": "clock", "with": { "turn": "{{ input.scheduled_at }}" } },
    } }))
    .await;
    // The turns of the last minutes are missed; and again they are due, as if nobody had written down that they were met.
    let due =
        format!("UPDATE schedules SET next_at = date_trunc('minute', now()) - interval '{TURNS} minutes'");
    for _ in 0..3 {
        assert_eq!(place.db.execute_in(&place.owner.workspace_id, &due).await, 1);
        until("the turns are met", async || {
            let listed = api.get("/api/v1/triggers").await;
            let next = listed["schedules"][0]["next_at"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let next: Option<chrono::DateTime<chrono::Utc>> = next.parse().ok();
            next.is_some_and(|next| next > synapscale_core::Clock::system().now())
        })
        .await;
    }
    until("each turn has a run that ends", async || {
        succeeded(&api).await > TURNS
    })
    .await;
    let all = api.get("/api/v1/runs?limit=200").await;
    let mut turns = BTreeSet::new();
    for run in all["items"].as_array().expect("items") {
        let run = api
            .get(&format!("/api/v1/runs/{}", run["id"].as_str().expect("an id")))
            .await;
        let turn = run["input"]["scheduled_at"].as_str().expect("a turn").to_owned();
        assert!(turns.insert(turn), "a turn has two runs: {run}");
    }
    assert!(turns.len() > TURNS, "{turns:?}");
    place.db.discard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_share_the_load_and_one_that_dies_leaves_none_of_it_behind() {
    let place = Place::new().await;
    let receiver = Receiver::start().await;
    let api = place.start("api", "api").await;
    let mut first = place.start("worker", "first").await;
    let _second = place.start("worker,relay", "second").await;
    api.apply(json!({
        "name": "shared",
        "retry": { "max_attempts": 4, "initial_delay_ms": 50 },
        "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "call": { "kind": "http@1", "after": "start", "with": {
                "method": "POST", "url": receiver.url("/call"), "body": { "run": "{{ run.id }}" },
            } },
            "pause": { "kind": "wait@1", "after": "call", "with": { "seconds": 0.3 } },
            "make": { "kind": "operation@1", "after": "pause", "with": {
                "operation": "tasks.create",
                "input": { "project_id": "{{ input.project_id }}", "title": "{{ run.id }}" },
            } },
        },
    }))
    .await;
    let home = api.project("shared").await;
    let input = json!({ "input": { "project_id": home } });
    for run in 0..RUNS {
        api.ask(Method::POST, "/api/v1/workflows/shared/runs", input.clone())
            .await;
        if run == RUNS / 2 {
            first.kill().await;
        }
    }
    until("every run ends well", async || succeeded(&api).await == RUNS).await;
    let tasks = api.get("/api/v1/tasks?limit=200").await;
    let titles: Vec<&str> = tasks["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|task| task["title"].as_str())
        .collect();
    let different: BTreeSet<&&str> = titles.iter().collect();
    assert_eq!(
        (titles.len(), different.len()),
        (RUNS, RUNS),
        "each made its task once"
    );
    place.db.discard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_goes_on_at_another_process_without_gap_or_double() {
    let place = Place::new().await;
    let mut first = place.start("api,worker,relay", "first").await;
    let second = place.start("api,worker,relay", "second").await;
    let names: Vec<String> = (0..12).map(|number| format!("p{number}")).collect();
    let mut stream = Stream::open(&first, "kinds=project.created").await;
    assert_eq!(stream.next().await.expect("a greeting")["type"], "hello");
    let mut seen = Vec::new();
    let mut cursor = Value::Null;
    // What either process writes is told at the first.
    for (number, title) in names.iter().take(6).enumerate() {
        project(if number % 2 == 0 { &first } else { &second }, title).await;
        let told = stream.next().await.expect("an event");
        cursor = told["cursor"].clone();
        seen.push(name(&told));
    }
    first.kill().await;
    for title in names.iter().skip(6).take(3) {
        project(&second, title).await;
    }
    let since = format!(
        "kinds=project.created&since={}",
        cursor.as_str().expect("a cursor")
    );
    let mut stream = Stream::open(&second, &since).await;
    assert_eq!(stream.next().await.expect("a greeting")["type"], "hello");
    for title in names.iter().skip(9) {
        project(&second, title).await;
    }
    for _ in 6..names.len() {
        seen.push(name(&stream.next().await.expect("an event")));
    }
    assert_eq!(seen, names);
    place.db.discard().await;
}
