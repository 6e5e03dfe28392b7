//! PostgreSQL stops as by a power cut and comes back; Redis goes away and comes back.

use super::Kept;
use crate::process::{Server, bootstrap, command, until};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use synapscale_testkit::{Proxy, Receiver, TestDb, redis_url};

/// How long the database is away, unless `SYNAPSCALE_OUTAGE_SECONDS` says otherwise.
const AWAY: u64 = 3;
/// A caller waits no longer than for a connection (10 s), and a little.
const REFUSED_WITHIN: Duration = Duration::from_secs(14);

/// A PostgreSQL of the test's own, gone with it.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        // Below /tmp, where the server's own user may go.
        let folder = tempfile::Builder::new()
            .prefix("synapscale-outage")
            .tempdir_in("/tmp")
            .expect("a folder");
        let cluster = Cluster { folder };
        cluster.script("start");
        cluster
    }

    fn script(&self, action: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
        let mut command = Command::new(script);
        let folder = self.folder.path();
        command.arg(action).env("SYNAPSCALE_TEST_DIR", folder.join("pg"));
        // The script's own folder stands in this one, which has to be open to the server's user.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).expect("open");
        let output = command.output().expect("the script runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "postgres.sh {action}: {told}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh");
        let folder = self.folder.path().join("pg");
        let _ = Command::new(script)
            .arg("stop")
            .env("SYNAPSCALE_TEST_DIR", folder)
            .output();
    }
}

#[allow(clippy::disallowed_methods, reason = "whoever runs the test says how long")]
fn away() -> Duration {
    let told = std::env::var("SYNAPSCALE_OUTAGE_SECONDS").ok();
    Duration::from_secs(told.and_then(|text| text.parse().ok()).unwrap_or(AWAY))
}

fn workflow(callback: &str) -> Value {
    json!({
        "name": "outlasting",
        "retry": { "max_attempts": 5, "initial_delay_ms": 100 },
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
async fn postgresql_goes_away_and_comes_back_to_the_same_server() {
    let cluster = Cluster::start();
    let db = TestDb::postgres_at(&cluster.script("url")).await;
    let owner = bootstrap(&db).await;
    let receiver = Receiver::start().await;
    // Answered while there is no database: what the call came to is journalled once there is one again.
    receiver.plan(200, Duration::from_secs(1), Vec::new());
    let variables = [("SYNAPSCALE_LEASE_SECONDS", "2")];
    let mut server = Server::start_in(&db, &owner.api_key, &[], &variables, db.folder()).await;
    let mut kept = Kept::default();
    for _ in 0..3 {
        assert_eq!(kept.make(&server).await, None);
    }
    server.apply(workflow(&receiver.url("/call"))).await;
    let project = server.project("outage").await;
    let input = json!({ "input": { "project_id": project } });
    let run = server
        .ask(Method::POST, "/api/v1/workflows/outlasting/runs", input)
        .await;
    let run_id = run["run_id"].as_str().expect("an id").to_owned();
    until("the run calls out", async || !receiver.received().is_empty()).await;

    cluster.script("halt");
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let read = server.try_ask(Method::GET, "/api/v1/projects", Value::Null);
        let (code, (status, answer)) = tokio::join!(kept.make(&server), read);
        let code = code.expect("nothing is written without a database");
        assert!(
            ["database_unavailable", "database_busy", "outcome_unknown"].contains(&code.as_str()),
            "{code}"
        );
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
        assert!(answer["code"].is_string(), "{answer}");
        assert!(
            asked.elapsed() < REFUSED_WITHIN,
            "refused after {:?}",
            asked.elapsed()
        );
        let alive = server
            .anonymous(Method::GET, "/healthz")
            .send()
            .await
            .expect("an answer");
        assert_eq!(alive.status(), 200, "the process is well");
        let ready = server
            .anonymous(Method::GET, "/readyz")
            .send()
            .await
            .expect("an answer");
        assert_eq!(ready.status(), 503, "and not ready");
        if began.elapsed() > away() {
            break;
        }
    }

    cluster.script("resume");
    until("it is ready again", async || {
        let ready = server
            .anonymous(Method::GET, "/readyz")
            .send()
            .await
            .expect("an answer");
        ready.status() == StatusCode::OK
    })
    .await;
    assert_eq!(kept.make(&server).await, None);
    let ended = server.ended(&run_id).await;
    assert_eq!(ended["status"], "succeeded", "{ended}");
    let tasks = server.get("/api/v1/tasks").await;
    assert_eq!(tasks["items"].as_array().expect("items").len(), 1, "{tasks}");
    kept.check(&server).await;
    assert_eq!(server.stop().await, Some(0));
    let (code, out, err) = command(&db, &["db", "check"]).await;
    assert_eq!(code, 0, "{out}\n{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_goes_away_and_everything_goes_on() {
    let db = TestDb::postgres().await;
    let owner = bootstrap(&db).await;
    let redis = redis_url();
    let proxy = Proxy::to(redis.trim_start_matches("redis://")).await;
    let url = format!("redis://{}", proxy.address());
    let variables = [("SYNAPSCALE_REDIS_URL", url.as_str())];
    let server = Server::start_in(&db, &owner.api_key, &[], &variables, db.folder()).await;
    let mut kept = Kept::default();
    server
        .apply(json!({ "name": "on-project", "nodes": {
        "told": { "kind": "trigger.event@1", "with": { "kinds": ["project.created"] } },
        "note": { "kind": "set@1", "after": "told", "with": { "name": "x" } },
    } }))
        .await;
    let part = async || {
        let answer = server
            .anonymous(Method::GET, "/readyz")
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "without Redis the server still serves");
        let report: Value = answer.json().await.expect("JSON");
        let parts = report["components"].as_array().expect("parts").clone();
        let redis = parts
            .into_iter()
            .find(|part| part["name"] == "redis")
            .expect("its line");
        redis["status"].as_str().expect("a word").to_owned()
    };
    let runs = async || {
        let page = server.get("/api/v1/runs?limit=200").await;
        let done = page["items"]
            .as_array()
            .expect("items")
            .iter()
            .filter(|run| run["status"] == "succeeded");
        done.count()
    };
    assert_eq!(kept.make(&server).await, None);
    until("an event starts a run", async || runs().await == 1).await;
    assert_eq!(part().await, "ok");

    proxy.cut();
    assert_eq!(kept.make(&server).await, None, "writes do not wait for Redis");
    until("events are read without Redis", async || runs().await == 2).await;
    until("the report names Redis", async || part().await == "warn").await;

    proxy.mend();
    until("Redis is used again", async || part().await == "ok").await;
    assert_eq!(kept.make(&server).await, None);
    until("and events go on", async || runs().await == 3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(runs().await, 3, "each event started one run");
    kept.check(&server).await;
    drop(server);
    db.discard().await;
}
