//! Nonsense at every edge: a clear, typed error and a server that goes on.

use crate::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use synapscale_testkit::{Receiver, db_test};

async fn post_raw(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let answer = server
        .request(Method::POST, path)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

/// Every refusal has a code, words and the request's id.
fn is_problem(answer: &Value) {
    for field in ["code", "title", "request_id"] {
        assert!(answer[field].is_string(), "no {field} in {answer}");
    }
}

db_test! {
    async fn broken_bodies_are_told_apart(db: TestDb) {
        let server = Server::fresh(db).await;
        let deep = format!("{{\"name\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(3 * 1024 * 1024));
        let cases: Vec<(Vec<u8>, &[u16])> = vec![
            (b"{".to_vec(), &[400]),
            (b"\xff\xfe{}".to_vec(), &[400]),
            (b"[]".to_vec(), &[400, 422]),
            (b"null".to_vec(), &[400, 422]),
            (b"{}".to_vec(), &[422]),
            (b"{\"name\": 7}".to_vec(), &[422]),
            (b"{\"name\": \"x\", \"nope\": 1}".to_vec(), &[422]),
            (deep.into_bytes(), &[400, 413, 422]),
        ];
        for (body, statuses) in cases {
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let (status, answer) = post_raw(&server, "/api/v1/projects", body).await;
            assert!(statuses.contains(&status), "{shown}: {status} {answer}");
            is_problem(&answer);
        }
        // Told by its length alone; the server may close before it has read the rest.
        let told = server
            .request(Method::POST, "/api/v1/projects")
            .header("content-type", "application/json")
            .body(huge)
            .send()
            .await;
        assert!(told.map_or(true, |answer| answer.status() == 413));
        let (status, answer) = post_raw(&server, "/api/v1/projects", "{\"name\": \"x\", \"nope\": 1}").await;
        assert_eq!((status, &answer["errors"][0]["pointer"]), (422, &json!("/nope")), "{answer}");
        let (status, answer) = post_raw(&server, "/api/v1/nowhere", "{}").await;
        assert_eq!(status, 404);
        is_problem(&answer);
        let wrong_type = server.request(Method::POST, "/api/v1/projects").body("name=x").send().await.expect("an answer");
        assert_eq!(wrong_type.status(), 415);
        let bad_query = server.request(Method::GET, "/api/v1/tasks?limit=many").send().await.expect("an answer");
        assert_eq!(bad_query.status(), 422);
        let unknown_query = server.request(Method::GET, "/api/v1/tasks?colour=red").send().await.expect("an answer");
        assert_eq!(unknown_query.status(), 422);
        server.get("/api/v1/me").await;
    }

    async fn keys_that_are_none_open_nothing(db: TestDb) {
        let server = Server::fresh(db).await;
        for key in ["", "x", "syn_", "syn_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "🔑"] {
            let value = reqwest::header::HeaderValue::from_bytes(format!("Bearer {key}").as_bytes()).expect("a value");
            let answer = server
                .anonymous(Method::GET, "/api/v1/me")
                .header("authorization", value)
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 401, "{key}");
            assert!(answer.headers().contains_key("www-authenticate"));
        }
    }

    async fn graphs_tell_every_problem_at_once(db: TestDb) {
        let server = Server::fresh(db).await;
        let (status, answer) = server
            .try_ask(Method::PUT, "/api/v1/workflows/broken", json!({ "file": {
                "name": "broken",
                "nodes": {
                    "start": { "kind": "trigger.manual@1" },
                    "a": { "kind": "nonsense@1", "after": "start" },
                    "b": { "kind": "set@1", "after": "missing", "with": { "x": "{{ 1 + }}" } },
                    "c": { "kind": "set@1", "after": "d" },
                    "d": { "kind": "set@1", "after": "c" },
                },
            } }))
            .await;
        assert_eq!(status, 422, "{answer}");
        let pointers: Vec<&str> = answer["errors"].as_array().expect("errors").iter().filter_map(|e| e["pointer"].as_str()).collect();
        for wanted in ["/nodes/a/kind", "/nodes/b/after", "/nodes/b/with/x"] {
            assert!(pointers.iter().any(|pointer| pointer.contains(wanted)), "{wanted} is not in {pointers:?}");
        }
        assert!(answer.to_string().contains("cycle"), "{answer}");
    }

    async fn exploding_expressions_end_the_run_and_nothing_else(db: TestDb) {
        let server = Server::fresh(db).await;
        server.apply(json!({
            "name": "boom",
            "nodes": {
                "start": { "kind": "trigger.manual@1" },
                "boom": { "kind": "set@1", "after": "start", "with": {
                    "x": "{{ map(range(0, 5000), a => map(range(0, 5000), b => map(range(0, 5000), c => a))) }}",
                } },
            },
        }))
        .await;
        let started = server.ask(Method::POST, "/api/v1/workflows/boom/runs", json!({ "input": {} })).await;
        let run = server.ended(started["run_id"].as_str().expect("an id")).await;
        assert_eq!(run["status"], "failed");
        assert_eq!(run["error"]["code"], "expression_failed", "{run}");
    }

    async fn private_addresses_are_out_of_reach_unless_allowed(db: TestDb) {
        let server = Server::fresh(db).await;
        let receiver = Receiver::start().await;
        let file = |name: &str, url: &str| json!({
            "name": name,
            "nodes": {
                "start": { "kind": "trigger.manual@1" },
                "call": { "kind": "http@1", "after": "start", "with": { "url": url } },
            },
        });
        for (name, url) in [
            ("metadata", "http://169.254.169.254/latest/meta-data/"),
            ("private", "http://10.0.0.1/"),
            ("six", "http://[::1]:1/"),
        ] {
            server.apply(file(name, url)).await;
            let started = server.ask(Method::POST, &format!("/api/v1/workflows/{name}/runs"), json!({ "input": {} })).await;
            let run = server.ended(started["run_id"].as_str().expect("an id")).await;
            assert_eq!(run["status"], "failed", "{run}");
            assert!(run["error"]["code"].as_str().expect("a code").contains("forbidden"), "{run}");
        }
        // The tests' own address is allowed by configuration.
        server.apply(file("allowed", &receiver.url("/"))).await;
        let started = server.ask(Method::POST, "/api/v1/workflows/allowed/runs", json!({ "input": {} })).await;
        let run = server.ended(started["run_id"].as_str().expect("an id")).await;
        assert_eq!(run["status"], "succeeded", "{run}");
    }

    async fn a_flood_is_told_to_wait(db: TestDb) {
        let server = Server::fresh(db).await;
        // The dearest class has the smallest bucket: even a slow machine overruns it.
        let calls = (0..400).map(|_| {
            let body = serde_json::json!({ "email": "nobody@example.com", "password": "guess" });
            server.anonymous(Method::POST, "/api/v1/auth/token").json(&body).send()
        });
        use futures::StreamExt;
        let statuses: Vec<u16> = futures::stream::iter(calls)
            .buffer_unordered(64)
            .map(|answer| answer.expect("an answer").status().as_u16())
            .collect()
            .await;
        let limited = statuses.iter().filter(|status| **status == 429).count();
        assert!(limited > 300, "only {limited} were limited");
        assert!(statuses.iter().all(|status| [401, 429, 503].contains(status)), "{statuses:?}");
        // Who called for nothing is not in the way of who has a key.
        server.get("/api/v1/me").await;
    }
}

db_test! {
    async fn a_workflow_that_starts_itself_brings_nothing_down(db: TestDb) {
        let server = Server::fresh(db).await;
        server
            .apply(json!({ "name": "selfy", "nodes": {
                "start": { "kind": "trigger.manual@1" },
                "pause": { "kind": "wait@1", "after": "start", "with": { "seconds": 0.2 } },
                "again": { "kind": "operation@1", "after": "pause", "with": {
                    "operation": "workflows.run", "input": { "name": "selfy" },
                } },
            } }))
            .await;
        let started = server.ask(Method::POST, "/api/v1/workflows/selfy/runs", json!({})).await;
        let run = server.ended(started["run_id"].as_str().expect("an id")).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        server.ask(Method::PATCH, "/api/v1/workflows/selfy", json!({ "status": "paused" })).await;
        assert_eq!(server.anonymous(Method::GET, "/healthz").send().await.expect("an answer").status(), 200);
    }
}
