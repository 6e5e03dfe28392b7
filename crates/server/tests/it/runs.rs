//! Runs looked at closely: what a step was given, each of its tries, and what no run may keep.

use crate::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_testkit::{Receiver, db_test};

async fn run(server: &Server, workflow: &str, input: Value) -> Value {
    let path = format!("/api/v1/workflows/{workflow}/runs");
    let started = server.ask(Method::POST, &path, json!({ "input": input })).await;
    server.ended(started["run_id"].as_str().expect("a run")).await
}

db_test! {
    async fn a_step_tells_what_it_was_given_and_how_each_try_went(db: TestDb) {
        let server = Server::fresh(db).await;
        let receiver = Receiver::start().await;
        for status in [503, 429, 200] {
            receiver.plan(status, Duration::ZERO, Vec::new());
        }
        server.apply(json!({
            "name": "caller",
            "retry": { "max_attempts": 3, "initial_delay_ms": 10 },
            "nodes": {
                "start": { "kind": "trigger.manual@1" },
                "call": { "kind": "http@1", "after": "start", "with": {
                    "method": "POST", "url": receiver.url("/in"), "body": { "who": "{{ input.who }}", "twice": "{{ input.number * 2 }}" },
                } },
                "after": { "kind": "set@1", "after": "call", "with": { "status": "{{ nodes.call.output.status }}" } },
                "never": { "kind": "if@1", "after": "after", "with": { "when": "{{ nodes.after.output.status > 500 }}" } },
                "unseen": { "kind": "set@1", "after": "never.true", "with": { "x": 1 } },
            },
        })).await;
        let done = run(&server, "caller", json!({ "who": "Ada", "number": 21 })).await;
        assert_eq!(done["status"], "succeeded", "{done}");
        let path = format!("/api/v1/runs/{}/steps", done["id"].as_str().expect("an id"));
        let call = server.get(&format!("{path}/call")).await;
        assert_eq!(call["input"]["body"], json!({ "who": "Ada", "twice": 42 }), "{call}");
        let tries = call["tries"].as_array().expect("tries");
        let ends: Vec<_> = tries.iter().map(|t| (t["attempt"].as_i64(), t["status"].as_str())).collect();
        assert_eq!(ends, [(Some(1), Some("failed")), (Some(2), Some("failed")), (Some(3), Some("succeeded"))], "{call}");
        assert!(tries[0]["error"]["message"].is_string() && tries[0]["retry_at"].is_string(), "{call}");
        assert!(tries[2]["finished_at"].as_str() >= tries[2]["started_at"].as_str());
        let after = server.get(&format!("{path}/after")).await;
        assert_eq!((&after["input"], &after["tries"][0]["port"]), (&json!({ "status": 200 }), &json!("out")), "{after}");
        let start = server.get(&format!("{path}/start")).await;
        assert_eq!(start["input"], json!({ "who": "Ada", "number": 21 }));
        let unseen = server.get(&format!("{path}/unseen")).await;
        assert_eq!((&unseen["input"], &unseen["tries"]), (&Value::Null, &json!([])), "{unseen}");
        for gone in ["nobody", "call?path=t1"] {
            let (status, problem) = server.try_ask(Method::GET, &format!("{path}/{gone}"), Value::Null).await;
            assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("not_found")), "{problem}");
        }
    }

    async fn no_run_keeps_a_secret(db: TestDb) {
        let server = Server::fresh(db).await;
        let secret = "sk-never-in-a-journal";
        server.apply(json!({ "name": "adds", "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "add": { "kind": "operation@1", "after": "start", "with": { "operation": "providers.create", "input": {
                "name": "mine", "preset": "openai", "key": secret,
            } } },
        } })).await;
        let failed = run(&server, "adds", json!({})).await;
        assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("operation_secret")), "{failed}");
        assert_eq!(server.get("/api/v1/models/providers").await["items"], json!([]));
        // Nor does an agent have it as a tool, whatever its rules say.
        let agent = json!({ "name": "keys", "spec": { "tools": [{ "name": "keys.*" }] } });
        let agent = server.ask(Method::POST, "/api/v1/agents", agent).await;
        let tools = server.get(&format!("/api/v1/agents/{}/tools", agent["id"].as_str().expect("an id"))).await;
        assert!(tools.to_string().contains("keys.list") && !tools.to_string().contains("keys.create"), "{tools}");
    }
}
