//! Two hundred conversations at once, while the provider fails at random: none hangs, and every attempt is on the bill.

use crate::agents::{agent, provide};
use crate::process::{Server, bootstrap};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Fault, Pace, Reply, RetryAfter, Script, StandIn, any, when};

/// Conversations that stream at the same time.
const TALKS: usize = 200;

/// Says a few words, calls a tool in one of four talks, and goes wrong in one of seven calls.
fn script() -> Script {
    let pace = Pace {
        first: Duration::from_millis(20),
        between: Duration::from_millis(5),
        chars: 8,
    };
    Script::new()
        .rule(when(any()).then_with(move |request| {
            let said = request.last_user_text();
            let number: usize = said
                .split(' ')
                .next_back()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            let reply = match (number % 4, request.turns()) {
                (0, 0) => Reply::tool("projects_list", json!({})),
                _ => Reply::text(format!("This is the long and friendly answer to talk {number}.")),
            };
            reply.paced(pace)
        }))
        .sometimes(0.04, Fault::status(500))
        .sometimes(0.03, Fault::rate_limited(RetryAfter::Never))
        .sometimes(0.03, Fault::ResetBeforeHeaders)
        .sometimes(0.03, Fault::ResetMidBody { after: 2 })
        .sometimes(
            0.02,
            Fault::CutInEvent {
                after: 2,
                clean: true,
            },
        )
}

/// Sends it as a client does that was told to come back in a moment: two hundred at once are more than a debug build takes.
async fn post(server: &Server, path: &str, body: Value) -> Value {
    loop {
        let (status, answer) = server.try_ask(Method::POST, path, body.clone()).await;
        match status.as_u16() {
            503 => tokio::time::sleep(Duration::from_secs(answer["retry_after"].as_u64().unwrap_or(1))).await,
            _ => {
                assert!(status.is_success(), "{path}: {status} {answer}");
                return answer;
            }
        }
    }
}

async fn talk(server: &Server, agent: &str, number: usize) -> Value {
    let made = post(server, "/api/v1/conversations", json!({ "agent_id": agent })).await;
    let path = format!(
        "/api/v1/conversations/{}/messages",
        made["id"].as_str().expect("an id")
    );
    let sent = post(server, &path, json!({ "text": format!("talk {number}") })).await;
    server.ended(sent["run_id"].as_str().expect("a run")).await;
    server.get(&path).await["items"][0].clone()
}

/// The sums of the bill once it has as many rows as the provider was asked.
async fn bill(server: &Server, calls: usize) -> Value {
    for _ in 0..100 {
        let sums = server.get("/api/v1/usage/summary?by=provider").await["items"][0].clone();
        if sums["attempts"].as_u64() == Some(calls as u64) {
            return sums;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!(
        "{calls} calls, and {}",
        server.get("/api/v1/usage/summary?by=provider").await
    );
}

db_test! {
    async fn two_hundred_talks_at_once_end_and_are_billed_to_the_token(db: TestDb) {
        let owner = bootstrap(db).await;
        let variables = [("SYNAPSCALE_RATE_FACTOR", "0")];
        let server = Server::start_in(db, &owner.api_key, &[], &variables, db.folder()).await;
        let stand_in = StandIn::start().await;
        stand_in.script(script());
        provide(&server, &stand_in).await;
        let agent = agent(&server, "friend", json!({ "tools": [{ "name": "projects.list" }] })).await;
        let replies = join_all((0..TALKS).map(|number| talk(&server, &agent, number))).await;
        let mut done = 0;
        for (number, reply) in replies.iter().enumerate() {
            match reply["status"].as_str() {
                Some("done") => {
                    done += 1;
                    let expected = format!("This is the long and friendly answer to talk {number}.");
                    assert_eq!(reply["text"], expected, "{reply}");
                }
                // A provider that fails again and again is told of; it does not hang.
                Some("failed") => assert!(reply["error"]["code"].is_string(), "{reply}"),
                _ => panic!("neither done nor failed: {reply}"),
            }
        }
        assert!(done * 10 >= TALKS * 9, "{done} of {TALKS} were answered");
        assert!(stand_in.wait_idle(Duration::from_secs(10)).await, "calls were left behind");
        let sums = bill(&server, stand_in.calls().len()).await;
        let told = stand_in.told_usage();
        assert_eq!(sums["input_tokens"].as_u64(), Some(told.prompt()), "{sums}");
        assert_eq!(sums["output_tokens"].as_u64(), Some(told.output), "{sums}");
    }
}
