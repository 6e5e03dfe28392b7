//! Models as their users meet them: providers by the command line and by REST, calls, and usage that outlives the process.

use crate::process::{Owner, Server, bootstrap, command, sse_events};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;
use synapscale_testkit::providers::{
    Exchange, Fault, Gate, KEY, Outcome, Pace, Reply, Script, StandIn, any, count_tokens, user_says, when,
};
use synapscale_testkit::{TestDb, db_test};

/// Longest wait for something that comes at once but on a busy machine.
const SOON: Duration = Duration::from_secs(30);

const OPEN: &[(&str, &str)] = &[
    ("SYNAPSCALE_LLM_ALLOW", "127.0.0.1"),
    ("SYNAPSCALE_LLM_LOCAL_OLLAMA", "false"),
];

async fn start(db: &TestDb, owner: &Owner) -> Server {
    Server::start_in(db, &owner.api_key, &[], OPEN, db.folder()).await
}

async fn provider(server: &Server, name: &str, stand_in: &StandIn) -> Value {
    let input = json!({
        "name": name, "preset": "openai_compatible", "base_url": stand_in.url("/v1"), "key": KEY,
    });
    server.ask(Method::POST, "/api/v1/models/providers", input).await
}

fn said(model: &str, text: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": text }] })
}

async fn chat(server: &Server, text: &str) -> Value {
    server
        .ask(Method::POST, "/api/v1/models/chat", said("main/m", text))
        .await
}

/// A call whose events are heard: their names and data, or the status and body of what was no stream.
async fn hear(server: &Server, path: &str, text: &str) -> Result<Vec<(String, Value)>, (StatusCode, Value)> {
    let request = server
        .request(Method::POST, path)
        .header("accept", "text/event-stream");
    let answer = request
        .json(&said("main/m", text))
        .send()
        .await
        .expect("an answer");
    let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
    let body = answer.text().await.expect("a body");
    if kind != "text/event-stream" {
        return Err((status, serde_json::from_str(&body).expect("JSON")));
    }
    Ok(sse_events(&body))
}

/// All rows of usage, page by page.
async fn usage(server: &Server) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/v1/usage?limit=7{cursor}")).await;
        rows.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return rows,
        }
    }
}

async fn usage_of(server: &Server, count: usize) -> Vec<Value> {
    let waiting = async {
        loop {
            let rows = usage(server).await;
            if rows.len() >= count {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let rows = tokio::time::timeout(SOON, waiting).await.expect("usage");
    assert_eq!(rows.len(), count);
    rows
}

fn ids(rows: &[Value]) -> HashSet<String> {
    let id = |row: &Value| row["id"].as_str().expect("an id").to_owned();
    rows.iter().map(id).collect()
}

/// `synapscale llm …` against the server.
async fn llm(db: &TestDb, server: &Server, args: &[&str]) -> (i32, String) {
    let flags = ["--server", &server.url, "--key", &server.key];
    let all: Vec<&str> = ["llm"].iter().chain(args).chain(&flags).copied().collect();
    let (code, out, err) = command(db, &all).await;
    assert!(!format!("{out}{err}").contains(KEY), "{out}{err}");
    (code, format!("{out}{err}"))
}

db_test! {
    async fn the_command_line_tests_and_lists_providers(db: TestDb) {
        let owner = bootstrap(db).await;
        let (server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        let (code, out) = llm(db, &server, &["test"]).await;
        assert!(code == 1 && out.contains("No provider is set up"), "{code} {out}");
        let (code, out) = llm(db, &server, &["test", "--json"]).await;
        assert_eq!((code, serde_json::from_str::<Value>(&out).expect("JSON")), (1, json!({ "providers": 0, "local_models": 0 })));
        assert!(llm(db, &server, &["models"]).await.1.contains("No models yet"));

        provider(&server, "main", &stand_in).await;
        let (code, out) = llm(db, &server, &["test"]).await;
        assert!(code == 0 && out.starts_with("main: works (1 models"), "{code} {out}");
        let (code, out) = llm(db, &server, &["test", "main", "--json"]).await;
        let test: Value = serde_json::from_str(&out).expect("one line of JSON");
        assert_eq!((code, &test["ok"], &test["models"]), (0, &json!(true), &json!(["stand-in"])));
        let (code, out) = llm(db, &server, &["models"]).await;
        assert!(code == 0 && out.lines().any(|line| line == "main/stand-in"), "{code} {out}");
        let (_, out) = llm(db, &server, &["models", "--json"]).await;
        assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON")["items"][0]["id"], "main/stand-in");

        // One that does not work is enough.
        let nobody = json!({
            "name": "nobody", "preset": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "key": KEY,
        });
        server.ask(Method::POST, "/api/v1/models/providers", nobody).await;
        let (code, out) = llm(db, &server, &["test", "--json"]).await;
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!((code, lines.len()), (1, 2));
        assert_eq!((&lines[1]["provider"], &lines[1]["error"]), (&json!("nobody"), &json!("llm_connect")));
        assert_eq!(llm(db, &server, &["test", "main"]).await.0, 0);
        let (code, out) = llm(db, &server, &["test", "unknown"]).await;
        assert!(code != 0 && out.contains("unknown"), "{code} {out}");
    }

    async fn a_call_by_rest_is_answered_and_counted(db: TestDb) {
        let owner = bootstrap(db).await;
        let (server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        let (status, answer) = server.try_ask(Method::POST, "/api/v1/models/chat", said("main/m", "x")).await;
        assert_eq!((status, &answer["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("/model")), "{answer}");
        provider(&server, "main", &stand_in).await;
        let answer = chat(&server, "hello there").await;
        assert_eq!(answer["message"]["content"][0]["text"], "You said: hello there");
        let rows = usage_of(&server, 1).await;
        let served = stand_in.served_usage();
        assert_eq!((rows[0]["input_tokens"].as_u64(), rows[0]["output_tokens"].as_u64()), (Some(served.input), Some(served.output)));
        assert!(rows[0]["run_id"].is_string(), "{}", rows[0]);
        let sums = server.get("/api/v1/usage/summary?by=model").await;
        assert_eq!((&sums["items"][0]["key"], &sums["items"][0]["attempts"]), (&json!("main/m"), &json!(1)));
        let of_run = format!("/api/v1/usage?run_id={}", rows[0]["run_id"].as_str().expect("an id"));
        assert_eq!(server.get(&of_run).await["items"], json!(rows));
        // What a model says is anybody's text. PostgreSQL keeps no NUL in JSON.
        stand_in.script(Script::new().rule(when(user_says("odd")).then(Reply::text("a\u{0}b \u{1} ünï 𝄞"))));
        let answer = chat(&server, "odd").await;
        let said = answer["message"]["content"][0]["text"].as_str().expect("a text").to_owned();
        assert_eq!(said, "a\u{0}b \u{1} ünï 𝄞");
        usage_of(&server, 2).await;
    }

    async fn a_call_is_heard_while_it_is_answered(db: TestDb) {
        let owner = bootstrap(db).await;
        let (server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        provider(&server, "main", &stand_in).await;
        let slowly = Pace { chars: 4, between: Duration::from_millis(20), ..Pace::default() };
        stand_in.script(
            Script::new()
                .rule(when(user_says("cut")).then(Reply::text("half of it is lost").paced(slowly).faulty(Fault::ResetMidBody { after: 4 })))
                .rule(when(user_says("wrong")).then(Reply::fault(Fault::status(400))))
                .rule(when(any()).then(Reply::text("word by word").paced(slowly))),
        );
        for path in ["/api/v1/models/chat", "/api/v1/call/llm.chat"] {
            let heard = hear(&server, path, "tell").await.expect("a stream");
            let (last, chunks) = heard.split_last().expect("events");
            let words: Vec<&str> = chunks.iter().filter_map(|(_, data)| data["text"].as_str()).collect();
            assert!(words.len() > 1 && words.concat() == "word by word", "{path}: {heard:?}");
            assert_eq!((last.0.as_str(), &last.1["message"]["content"][0]["text"]), ("result", &json!("word by word")));
            assert_eq!(last.1["usage"]["output"].as_u64(), Some(count_tokens("word by word")), "{last:?}");
            // Before the first word a failure has its own status; after it, it is the last event.
            let (status, refused) = hear(&server, path, "wrong").await.expect_err("an error");
            assert!(status.is_client_error() && refused["status"] == status.as_u16(), "{refused}");
            let heard = hear(&server, path, "cut").await.expect("a stream");
            let (kind, problem) = heard.last().expect("events");
            assert!(kind == "error" && problem["code"].as_str().is_some_and(|code| code.starts_with("llm_")), "{heard:?}");
            assert!(heard.len() > 1, "{heard:?}");
        }
    }

    async fn who_hangs_up_ends_the_call(db: TestDb) {
        let owner = bootstrap(db).await;
        let (server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        provider(&server, "main", &stand_in).await;
        let gate = Gate::shut();
        stand_in.script(Script::new().rule(when(any()).then(Reply::text("late").held(&gate))));
        {
            let call = server.request(Method::POST, "/api/v1/models/chat").json(&said("main/m", "x")).send();
            tokio::pin!(call);
            tokio::select! {
                ended = &mut call => panic!("{ended:?}"),
                came = stand_in.wait_for_calls(1, SOON) => assert!(came),
            }
        }
        let rows = usage_of(&server, 1).await;
        assert_eq!(rows[0]["outcome"], "llm_cancelled");
        gate.open();
        let hung_up = |log: &[Exchange]| log.iter().all(|e| e.outcome == Outcome::HungUp || e.reset_after);
        assert!(stand_in.wait_until(SOON, hung_up).await, "{:?}", stand_in.log());
    }

    async fn sigterm_leaves_no_usage_behind(db: TestDb) {
        let owner = bootstrap(db).await;
        let (mut server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        provider(&server, "main", &stand_in).await;
        let calls = (0..20).map(|number| {
            let server = &server;
            async move { chat(server, &format!("call {number}")).await }
        });
        futures::future::join_all(calls).await;
        // At once: the last rows have been in memory for a moment.
        assert_eq!(server.stop().await, Some(0));
        let server = start(db, &owner).await;
        assert_eq!(ids(&usage_of(&server, 20).await).len(), 20);
        let served = stand_in.served_usage();
        let sums = server.get("/api/v1/usage/summary?by=provider").await;
        assert_eq!(sums["items"][0]["output_tokens"].as_u64(), Some(served.output));
    }

    async fn a_killed_server_loses_its_last_moment_and_nothing_before(db: TestDb) {
        let owner = bootstrap(db).await;
        let (mut server, stand_in) = (start(db, &owner).await, StandIn::start().await);
        provider(&server, "main", &stand_in).await;
        let mut known = HashSet::new();
        for round in 1..=3 {
            for number in 0..10 {
                chat(&server, &format!("seen {round} {number}")).await;
            }
            // What the list has told once is told for ever.
            let waiting = async {
                loop {
                    let rows = ids(&usage(&server).await);
                    if rows.len() >= known.len() + 10 {
                        return rows;
                    }
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            };
            known = tokio::time::timeout(SOON, waiting).await.expect("usage");
            let calls = (0..10).map(|number| {
                let server = &server;
                async move { chat(server, &format!("last {round} {number}")).await }
            });
            futures::future::join_all(calls).await;
            server.kill().await;
            server = start(db, &owner).await;
            let rows = usage(&server).await;
            let there = ids(&rows);
            assert_eq!(there.len(), rows.len(), "no row twice");
            assert!(known.is_subset(&there));
            assert!(there.len() <= known.len() + 10, "none that nobody made");
            known = there;
        }
        assert!(stand_in.finished_twice().is_empty(), "an acknowledged call is not made again");
    }
}
