//! The main job on real input: a webhook's issue becomes a task.

use crate::process::{Server, command};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_flows::hooks::verify::{Scheme, sign};
use synapscale_testkit::{Receiver, db_test};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/issue-triage");

fn input(name: &str) -> Vec<u8> {
    std::fs::read(format!("{EXAMPLE}/inputs/{name}")).expect("a sample input")
}

fn workflow() -> Value {
    let text = std::fs::read_to_string(format!("{EXAMPLE}/workflow.yaml")).expect("the workflow");
    synapscale_flows::parse_yaml(&text).expect("YAML")
}

struct Hook {
    path: String,
    secret: String,
}

fn hook(applied: &Value, scheme: &str) -> Hook {
    let hooks = applied["hooks"].as_array().expect("hooks");
    let found = hooks
        .iter()
        .find(|hook| hook["scheme"] == scheme)
        .unwrap_or_else(|| panic!("no {scheme} in {applied}"));
    Hook {
        path: found["url_path"].as_str().expect("a path").to_owned(),
        secret: found["secret"].as_str().unwrap_or_default().to_owned(),
    }
}

async fn deliver(
    server: &Server,
    hook: &Hook,
    scheme: Scheme,
    id: &str,
    body: &[u8],
) -> (u16, Value, String) {
    let now = synapscale_core::Clock::system().now();
    let mut headers = sign(scheme, hook.secret.as_bytes(), id, now, body).expect("signed");
    headers.insert("content-type", "application/json".parse().expect("a value"));
    headers.insert("x-github-event", "issues".parse().expect("a value"));
    headers.insert("x-gitlab-event", "Issue Hook".parse().expect("a value"));
    let answer = server
        .anonymous(Method::POST, &hook.path)
        .headers(headers)
        .body(body.to_vec())
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    let run = answer
        .headers()
        .get("x-synapscale-run")
        .map(|v| v.to_str().expect("ascii").to_owned());
    (
        status,
        answer.json().await.unwrap_or(Value::Null),
        run.unwrap_or_default(),
    )
}

async fn open_tasks(server: &Server) -> Vec<Value> {
    let tasks = server.get("/api/v1/tasks?limit=200").await;
    tasks["items"].as_array().expect("items").clone()
}

/// The caller is answered before the question stands.
async fn pending_approval(server: &Server) -> Value {
    for _ in 0..100 {
        let approvals = server.get("/api/v1/approvals?status=pending").await;
        if approvals["items"][0]["id"].is_string() {
            return approvals["items"][0].clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody was asked");
}

db_test! {
    async fn a_github_issue_becomes_a_task_once(db: TestDb) {
        let server = Server::fresh(db).await;
        let applied = server.apply(workflow()).await;
        let github = hook(&applied, "github");
        let body = input("github-issue-opened.json");
        let (status, answer, run) = deliver(&server, &github, Scheme::Github, "11111111-0000-4000-8000-000000000001", &body).await;
        assert_eq!(status, 201, "{answer}");
        let run = server.ended(&run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let tasks = open_tasks(&server).await;
        assert_eq!(tasks.len(), 1, "{tasks:?}");
        // The same delivery again, and the same body under another id: the first answer, no second task.
        for id in ["11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"] {
            let (again, same, _) = deliver(&server, &github, Scheme::Github, id, &body).await;
            assert_eq!((again, &same), (201, &answer));
        }
        assert_eq!(open_tasks(&server).await.len(), 1);
        // A duplicate of it makes no second task either.
        let (status, answer, _) = deliver(&server, &github, Scheme::Github, "33333333-0000-4000-8000-000000000003", &input("github-issue-duplicate.json")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(open_tasks(&server).await.len(), 1);
    }

    async fn a_closed_issue_waits_for_a_person(db: TestDb) {
        let server = Server::fresh(db).await;
        let applied = server.apply(workflow()).await;
        let github = hook(&applied, "github");
        deliver(&server, &github, Scheme::Github, "11111111-0000-4000-8000-00000000000a", &input("github-issue-opened.json")).await;
        assert_eq!(open_tasks(&server).await.len(), 1);
        let (status, answer, _) = deliver(&server, &github, Scheme::Github, "11111111-0000-4000-8000-00000000000b", &input("github-issue-closed.json")).await;
        assert!([200, 202].contains(&status), "{status} {answer}");
        let approval = pending_approval(&server).await;
        assert_eq!(open_tasks(&server).await.len(), 1, "nothing goes before somebody says so");
        let decide = format!("/api/v1/approvals/{}/decide", approval["id"].as_str().expect("an id"));
        server.ask(Method::POST, &decide, json!({ "approve": true })).await;
        let run = server.ended(approval["run_id"].as_str().expect("a run")).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(open_tasks(&server).await.len(), 0);
        let (status, answer) = server.try_ask(Method::POST, &decide, json!({ "approve": true })).await;
        assert_eq!(status, 409, "{answer}");
    }

    async fn gitlab_and_a_plain_form_work_too(db: TestDb) {
        let server = Server::fresh(db).await;
        let applied = server.apply(workflow()).await;
        let (status, answer, _) =
            deliver(&server, &hook(&applied, "gitlab"), Scheme::Gitlab, "33333333-0000-4000-8000-000000000003", &input("gitlab-issue-hook.json")).await;
        assert_eq!(status, 201, "{answer}");
        let receiver = Receiver::start().await;
        let mut form: Value = serde_json::from_slice(&input("form.json")).expect("JSON");
        form["callback_url"] = json!(receiver.url("/done"));
        let body = serde_json::to_vec(&form).expect("JSON");
        let (status, answer, run) = deliver(&server, &hook(&applied, "standard_webhooks"), Scheme::StandardWebhooks, "form-1", &body).await;
        assert!([201, 202].contains(&status), "{status} {answer}");
        let run = server.ended(&run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(receiver.received().len(), 1, "the caller is told once");
        assert_eq!(open_tasks(&server).await.len(), 2);
    }

    async fn forged_deliveries_are_refused(db: TestDb) {
        let server = Server::fresh(db).await;
        let applied = server.apply(workflow()).await;
        let mut github = hook(&applied, "github");
        github.secret = "wrong".into();
        let body = input("github-issue-opened.json");
        let (status, answer, _) = deliver(&server, &github, Scheme::Github, "1", &body).await;
        assert_eq!((status, &answer["code"]), (401, &json!("webhook_signature_invalid")), "{answer}");
        let nowhere = Hook { path: "/hooks/nobody-knows-this-token".into(), secret: "x".into() };
        let (status, _, _) = deliver(&server, &nowhere, Scheme::Github, "1", &body).await;
        assert_eq!(status, 404);
        assert_eq!(open_tasks(&server).await.len(), 0);
    }

    async fn the_command_line_runs_the_file(db: TestDb) {
        let server = Server::fresh(db).await;
        let (code, out, err) = command(
            db,
            &[
                "run", &format!("{EXAMPLE}/workflow.yaml"), "--input", &format!("{EXAMPLE}/inputs/form.json"),
                "--follow", "--server", &server.url, "--key", &server.key,
            ],
        )
        .await;
        assert_eq!(code, 0, "{out}\n{err}");
        assert_eq!(open_tasks(&server).await.len(), 1, "{out}\n{err}");
    }

    async fn a_server_that_is_asked_to_stop_drains(db: TestDb) {
        let mut server = Server::fresh(db).await;
        server.apply(json!({
            "name": "slow",
            "nodes": {
                "start": { "kind": "trigger.manual@1" },
                "pause": { "kind": "wait@1", "after": "start", "with": { "seconds": 1 } },
                "end": { "kind": "set@1", "after": "pause", "with": { "done": true } },
            },
        }))
        .await;
        let started = server.ask(Method::POST, "/api/v1/workflows/slow/runs", json!({ "input": {} })).await;
        assert_eq!(server.stop().await, Some(0));
        tokio::time::sleep(Duration::from_millis(200)).await;
        let server = Server::start(db, &server.key.clone(), &[]).await;
        let run = server.ended(started["run_id"].as_str().expect("an id")).await;
        assert_eq!(run["output"], json!({ "done": true }), "{run}");
    }
}
