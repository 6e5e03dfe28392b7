//! People talk with agents: messages, branches, live text, stopping, approvals.

use crate::agents::{agent, approval_of, provide};
use crate::process::{Server, bootstrap, sse_events};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_testkit::db_test;
use synapscale_testkit::providers::{Gate, Pace, Reply, Script, StandIn, turn, user_says, when};

async fn conversation(server: &Server, agent: &str) -> String {
    let made = server
        .ask(
            Method::POST,
            "/api/v1/conversations",
            json!({ "agent_id": agent }),
        )
        .await;
    made["id"].as_str().expect("an id").to_owned()
}

async fn send(server: &Server, conversation: &str, text: &str) -> Value {
    let path = format!("/api/v1/conversations/{conversation}/messages");
    server.ask(Method::POST, &path, json!({ "text": text })).await
}

/// The newest message once it is no longer being written.
async fn replied(server: &Server, conversation: &str) -> Value {
    let path = format!("/api/v1/conversations/{conversation}/messages");
    for _ in 0..400 {
        let newest = server.get(&path).await["items"][0].clone();
        if newest["role"] == "assistant"
            && !["running", "waiting"].contains(&newest["status"].as_str().unwrap_or_default())
        {
            return newest;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no reply: {}", server.get(&path).await);
}

/// The events of a run's live stream, to its end.
async fn heard(server: &Server, run: &str) -> Vec<(String, Value)> {
    let path = format!("/api/v1/runs/{run}/stream");
    let answer = server.request(Method::GET, &path).send().await.expect("a stream");
    assert_eq!(answer.status(), 200);
    let (mut stream, mut text) = (answer.bytes_stream(), String::new());
    while let Some(Ok(bytes)) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    sse_events(&text)
}

/// Somebody else of the same workspace, who may do everything there.
struct Colleague {
    id: Value,
    token: String,
}

impl Colleague {
    async fn join(server: &Server) -> Self {
        let (email, password) = ("other@example.com", "correct horse battery");
        let member = json!({ "email": email, "role": "admin", "password": password });
        let member = server.ask(Method::POST, "/api/v1/members", member).await;
        let sign_in = json!({ "email": email, "password": password });
        let tokens = server
            .anonymous(Method::POST, "/api/v1/auth/token")
            .json(&sign_in);
        let tokens: Value = tokens
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        Colleague {
            id: member["user"]["id"].clone(),
            token: tokens["access_token"].as_str().expect("a token").to_owned(),
        }
    }

    async fn ask(&self, server: &Server, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = server.anonymous(method.clone(), path).bearer_auth(&self.token);
        let request = match method {
            Method::GET => request,
            _ => request.json(&body),
        };
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

fn slow(text: &str) -> Reply {
    Reply::text(text).paced(Pace {
        first: Duration::from_millis(50),
        between: Duration::from_millis(20),
        chars: 6,
    })
}

db_test! {
    async fn a_talk_goes_on_branches_and_is_heard_live(db: TestDb) {
        let server = Server::fresh(db).await;
        let stand_in = StandIn::start().await;
        provide(&server, &stand_in).await;
        stand_in.script(Script::new()
            .rule(when(user_says("Hello")).then(slow("Good day, what shall we do?")))
            .rule(when(user_says("Second")).then_with(|request| {
                // What was said before is there.
                let before = request.messages().iter().any(|m| m.to_string().contains("what shall we do"));
                Reply::text(if before { "I remember." } else { "Who are you?" })
            })));
        let agent = agent(&server, "friend", json!({ "instructions": "Be kind." })).await;
        let talk = conversation(&server, &agent).await;
        let sent = send(&server, &talk, "Hello\nand good morning").await;
        let busy = server.try_ask(Method::POST, &format!("/api/v1/conversations/{talk}/messages"), json!({ "text": "Now" })).await;
        assert_eq!((busy.0.as_u16(), busy.1["code"].as_str()), (409, Some("conversation_busy")));
        let events = heard(&server, sent["run_id"].as_str().expect("a run")).await;
        let texts: String = events.iter().filter_map(|(name, data)| {
            let text = (name == "chunk" && data["chunk"]["type"] == "text").then(|| data["chunk"]["text"].as_str());
            text.flatten().map(str::to_owned)
        }).collect();
        assert_eq!(texts, "Good day, what shall we do?", "{events:?}");
        assert_eq!(events.last().map(|(name, data)| (name.as_str(), data["status"].as_str())), Some(("end", Some("succeeded"))));
        let first = replied(&server, &talk).await;
        assert_eq!((&first["status"], &first["text"]), (&json!("done"), &json!("Good day, what shall we do?")), "{first}");
        assert_eq!(server.get(&format!("/api/v1/conversations/{talk}")).await["title"], "Hello");
        let second = send(&server, &talk, "Second").await;
        let reply = replied(&server, &talk).await;
        assert_eq!(reply["text"], "I remember.", "{reply}");
        // Another wording beside it, and back.
        let edit = format!("/api/v1/conversations/{talk}/messages/{}/edit", second["message"]["id"].as_str().expect("an id"));
        server.ask(Method::POST, &edit, json!({ "text": "Hello again" })).await;
        let other = replied(&server, &talk).await;
        assert_eq!(other["text"], "Good day, what shall we do?", "{other}");
        let branch = server.get(&format!("/api/v1/conversations/{talk}/messages")).await;
        assert_eq!(branch["items"].as_array().map(Vec::len), Some(4));
        assert_eq!(branch["items"][1]["siblings"].as_array().map(Vec::len), Some(2), "{branch}");
        let back = format!("/api/v1/conversations/{talk}/messages/{}/switch", second["message"]["id"].as_str().expect("an id"));
        server.ask(Method::POST, &back, json!({})).await;
        assert_eq!(replied(&server, &talk).await["text"], "I remember.");
        // Another reply to the same.
        let retry = format!("/api/v1/conversations/{talk}/messages/{}/retry", reply["id"].as_str().expect("an id"));
        server.ask(Method::POST, &retry, json!({})).await;
        let again = replied(&server, &talk).await;
        assert_eq!((again["text"].as_str(), again["siblings"].as_array().map(Vec::len)), (Some("I remember."), Some(2)), "{again}");
    }

    async fn a_stopped_reply_keeps_what_was_said(db: TestDb) {
        let server = Server::fresh(db).await;
        let stand_in = StandIn::start().await;
        provide(&server, &stand_in).await;
        let endless = Reply::text("word ".repeat(5_000)).paced(Pace { first: Duration::ZERO, between: Duration::from_millis(5), chars: 5 });
        stand_in.script(Script::new()
            .rule(when(turn(1)).then(Reply::tool("projects_list", json!({}))))
            .rule(when(user_says("Go on")).then(endless)));
        let agent = agent(&server, "talker", json!({ "tools": [{ "name": "projects.list" }] })).await;
        let talk = conversation(&server, &agent).await;
        let sent = send(&server, &talk, "Go on").await;
        let run = sent["run_id"].as_str().expect("a run").to_owned();
        assert!(stand_in.wait_for_calls(2, Duration::from_secs(10)).await);
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.ask(Method::POST, &format!("/api/v1/conversations/{talk}/stop"), json!({})).await;
        let reply = replied(&server, &talk).await;
        assert_eq!(reply["status"], "stopped", "{reply}");
        assert_eq!(reply["stop"]["reason"], "cancelled", "{reply}");
        assert!(reply["text"].as_str().is_some_and(|text| text.starts_with("word word")), "{reply}");
        // What it did before stands there too.
        let parts = reply["parts"].as_array().expect("parts");
        assert_eq!((&parts[0]["name"], &parts[0]["status"]), (&json!("projects.list"), &json!("done")), "{reply}");
        assert!(parts[1]["text"].as_str().is_some_and(|text| text.starts_with("word word")), "{reply}");
        assert_eq!(server.ended(&run).await["status"], "cancelled");
        // The provider is not kept at work, and what it did is on record.
        assert!(stand_in.wait_idle(Duration::from_secs(10)).await, "the provider goes on");
        for _ in 0..100 {
            let usage = server.get(&format!("/api/v1/usage?run_id={run}")).await;
            if usage["items"].as_array().is_some_and(|rows| rows.len() == 2) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no usage of the stopped call");
    }

    async fn a_failing_provider_is_told_in_the_talk(db: TestDb) {
        let server = Server::fresh(db).await;
        let agent = agent(&server, "lonely", json!({})).await;
        let talk = conversation(&server, &agent).await;
        let sent = send(&server, &talk, "Anybody?").await;
        let reply = replied(&server, &talk).await;
        assert_eq!(reply["status"], "failed", "{reply}");
        assert!(reply["error"]["message"].as_str().is_some_and(|words| words.contains("providers.create")), "{reply}");
        assert_eq!(server.ended(sent["run_id"].as_str().expect("a run")).await["status"], "failed");
        // Once there is a provider the same talk goes on.
        let stand_in = StandIn::start().await;
        provide(&server, &stand_in).await;
        let retry = format!("/api/v1/conversations/{talk}/messages/{}/retry", reply["id"].as_str().expect("an id"));
        server.ask(Method::POST, &retry, json!({})).await;
        assert_eq!(replied(&server, &talk).await["text"], "You said: Anybody?", "the stand-in echoes");
    }

    async fn others_do_not_see_a_talk_nor_its_runs(db: TestDb) {
        let server = Server::fresh(db).await;
        let stand_in = StandIn::start().await;
        provide(&server, &stand_in).await;
        stand_in.script(Script::new()
            .rule(when(turn(1)).then(Reply::tool("projects_create", json!({ "name": "Hush" }))))
            .rule(when(turn(2)).then(Reply::text("Done."))));
        let agent = agent(&server, "secret", json!({ "tools": [{ "name": "projects.*", "approval": "always" }] })).await;
        let talk = conversation(&server, &agent).await;
        let run = send(&server, &talk, "A secret").await["run_id"].as_str().expect("a run").to_owned();
        let approval = approval_of(&server, &run).await["id"].as_str().expect("an id").to_owned();
        let other = Colleague::join(&server).await;
        // All that names a run or an approval, by the API's own description.
        let described = server.get("/api/v1/openapi.json").await;
        let mut tried = 0;
        for (path, methods) in described["paths"].as_object().expect("paths") {
            if !path.contains("{run_id}") && !path.contains("{approval_id}") {
                continue;
            }
            let at = path.replace("{run_id}", &run).replace("{approval_id}", &approval).replace("{node}", "agent");
            for method in methods.as_object().expect("methods").keys() {
                let method = method.to_uppercase().parse().expect("a method");
                let body = if at.ends_with("decide") { json!({ "approve": true }) } else { json!({}) };
                let (status, answer) = other.ask(&server, method, &at, body).await;
                assert_eq!(status, 404, "{at}: {answer}");
                tried += 1;
            }
        }
        assert!(tried >= 7, "{tried}");
        let stream = format!("/api/v1/runs/{run}/stream");
        assert_eq!(other.ask(&server, Method::GET, &stream, Value::Null).await.0, 404);
        for list in ["/api/v1/runs", "/api/v1/approvals"] {
            let (_, theirs) = other.ask(&server, Method::GET, list, Value::Null).await;
            assert_eq!(theirs["items"], json!([]), "{list}");
            assert_eq!(server.get(list).await["items"].as_array().map(Vec::len), Some(1), "{list}");
        }
        assert_eq!(other.ask(&server, Method::GET, &format!("/api/v1/conversations/{talk}/messages"), Value::Null).await.0, 404);
        // Who is let in sees it all, and may decide.
        let invite = json!({ "user_id": other.id });
        server.ask(Method::POST, &format!("/api/v1/conversations/{talk}/participants"), invite).await;
        let (status, seen) = other.ask(&server, Method::GET, &format!("/api/v1/runs/{run}"), Value::Null).await;
        assert_eq!((status, &seen["private_to"]), (200, &json!(talk)));
        let decide = format!("/api/v1/approvals/{approval}/decide");
        assert_eq!(other.ask(&server, Method::POST, &decide, json!({ "approve": true })).await.0, 200);
        assert_eq!(replied(&server, &talk).await["text"], "Done.");
    }

    async fn nothing_hangs_when_the_server_dies_in_a_reply(db: TestDb) {
        let owner = bootstrap(db).await;
        let lease = [("SYNAPSCALE_LEASE_SECONDS", "1")];
        let mut server = Server::start_in(db, &owner.api_key, &[], &lease, db.folder()).await;
        let stand_in = StandIn::start().await;
        provide(&server, &stand_in).await;
        let gate = Gate::shut();
        stand_in.script(Script::new().rule(when(user_says("Wait")).then(Reply::text("At last.").held(&gate))));
        let agent = agent(&server, "patient", json!({})).await;
        let talk = conversation(&server, &agent).await;
        send(&server, &talk, "Wait").await;
        assert!(stand_in.wait_for_calls(1, Duration::from_secs(10)).await);
        server.kill().await;
        gate.open();
        let server = Server::start_in(db, &owner.api_key, &[], &lease, db.folder()).await;
        assert_eq!(replied(&server, &talk).await["text"], "At last.");
    }
}
