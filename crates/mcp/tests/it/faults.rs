//! Servers that are ill: each takes nothing with it but its own tools.

use crate::home::{Home, Remote, TOKEN};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synapscale_core::ErrorKind;
use synapscale_testkit::db_test;

fn text(answer: &Value) -> &str {
    answer["content"][0]["text"].as_str().unwrap_or_default()
}

db_test! {
    async fn a_dead_server_degrades_its_own_tools_only(db: TestDb) {
        let home = Home::new(db).await;
        let dead = home.process("dead", &["die_at_start"], json!({})).await;
        home.process("well", &[], json!({})).await;
        let test = home.ok("mcp.servers.test", json!({"server_id": dead["id"]})).await;
        assert_eq!((&test["ok"], &test["error"]["code"]), (&json!(false), &json!("mcp_server_down")), "{test}");
        let said = test["error"]["message"].as_str().expect("words");
        assert!(said.contains("no licence found for [secret]") && !said.contains(TOKEN), "{said}");

        for _ in 0..3 {
            let error = home.tool_fails("dead", "echo", json!({"text": "x"})).await;
            assert_eq!((error.code(), error.kind()), ("mcp_server_down", ErrorKind::Unavailable));
            assert!(error.retry_delay().is_some());
        }
        // From now on at once, with the reason and the time.
        let began = Instant::now();
        let error = home.tool_fails("dead", "echo", json!({"text": "x"})).await;
        assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
        assert!(error.message().contains("no licence") && error.retry_delay().is_some_and(|wait| wait <= Duration::from_millis(1500)));
        assert!(home.tool("well", "echo", json!({"text": "x"})).await.is_ok());
        let shown = home.ok("mcp.servers.get", json!({"server_id": dead["id"]})).await;
        assert_eq!(shown["health"], "down");
        let failed = home.log_with(&["mcp_server.failed"]).await.matches("mcp_server.failed").count();
        assert_eq!(failed, 1, "told once");
        home.mcp.stop().await;
    }

    async fn tools_of_a_server_that_died_are_still_listed(db: TestDb) {
        let (home, server) = (Home::new(db).await, Remote::start().await);
        home.remote("remote", &server, json!({})).await;
        home.tool("remote", "echo", json!({"text": "x"})).await.expect("an answer");
        server.standin.fault("broken");
        for _ in 0..4 {
            assert_eq!(home.tool_fails("remote", "echo", json!({"text": "x"})).await.code(), "mcp_server_down");
        }
        let before = server.standin.requests.load(std::sync::atomic::Ordering::Relaxed);
        home.tool_fails("remote", "echo", json!({"text": "x"})).await;
        assert_eq!(server.standin.requests.load(std::sync::atomic::Ordering::Relaxed), before, "left alone");
        let tools = home.ok("mcp.tools", json!({"server": "remote"})).await;
        assert!(tools["items"].as_array().is_some_and(|all| all.len() == 14 && all.iter().all(|tool| tool["health"] == "down")));
        let offered = home.gate.tools().list(&home.ctx, &["mcp.remote.*"]).await;
        assert_eq!(offered.tools.len(), 14);
        // A person who asks does not have to wait.
        server.standin.heal();
        let id = home.ok("mcp.servers.list", json!({})).await["items"][0]["id"].clone();
        home.ok("mcp.servers.refresh", json!({"server_id": id})).await;
        assert!(home.tool("remote", "echo", json!({"text": "x"})).await.is_ok());
        home.mcp.stop().await;
    }

    async fn a_process_that_dies_is_started_again(db: TestDb) {
        let home = Home::new(db).await;
        home.process("fragile", &[], json!({})).await;
        let error = home.tool_fails("fragile", "die", json!({})).await;
        assert_eq!(error.code(), "mcp_server_down");
        assert!(error.message().contains("segmentation fault"), "{error}");
        assert!(home.tool("fragile", "echo", json!({"text": "x"})).await.is_ok());
        home.mcp.stop().await;
    }

    async fn silence_has_an_end(db: TestDb) {
        let home = Home::new(db).await;
        home.process("mute", &["hang"], json!({"connect_timeout_ms": 300})).await;
        let error = home.tool_fails("mute", "echo", json!({"text": "x"})).await;
        assert_eq!((error.code(), error.kind()), ("mcp_timeout", ErrorKind::Timeout));
        home.process("noisy", &["garbage"], json!({"connect_timeout_ms": 300})).await;
        assert_eq!(home.tool_fails("noisy", "echo", json!({"text": "x"})).await.code(), "mcp_timeout");

        home.process("slow", &[], json!({"call_timeout_ms": 300})).await;
        let error = home.tool_fails("slow", "slow", json!({"ms": 5000})).await;
        assert_eq!(error.code(), "mcp_timeout");
        // The server heard that nobody waits, and is still there.
        let seen = home.tool("slow", "seen", json!({})).await.expect("an answer").to_string();
        assert_eq!(seen.matches("notifications/cancelled").count(), 1, "{seen}");
        let shown = home.ok("mcp.tools", json!({"server": "slow"})).await;
        assert_eq!(shown["items"][0]["health"], "up", "one slow call is no illness");
        home.mcp.stop().await;
    }

    async fn a_caller_who_goes_away_cancels(db: TestDb) {
        let home = Home::new(db).await;
        home.process("slow", &[], json!({})).await;
        home.tool("slow", "echo", json!({"text": "x"})).await.expect("connected");
        let call = home.tool("slow", "slow", json!({"ms": 60_000}));
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
        Home::until("the server hears of it", || async {
            let seen = home.tool("slow", "seen", json!({})).await.expect("an answer");
            seen.to_string().contains("notifications/cancelled")
        })
        .await;
        home.mcp.stop().await;
    }

    async fn odd_servers_are_bounded(db: TestDb) {
        let home = Home::new(db).await;
        let endless = home.process("endless", &["endless"], json!({})).await;
        let view = home.ok("mcp.servers.refresh", json!({"server_id": endless["id"]})).await;
        assert_eq!((&view["tools"], &view["told"]["more_tools"]), (&json!(100), &json!(true)), "{view}");
        let bad = home.process("bad", &["bad_schemas"], json!({})).await;
        let view = home.ok("mcp.servers.refresh", json!({"server_id": bad["id"]})).await;
        assert_eq!((&view["tools"], &view["unusable"]), (&json!(18), &json!(4)), "{view}");
        assert!(home.tool("bad", "echo", json!({"text": "x"})).await.is_ok());
        assert_eq!(home.tool_fails("bad", "itself", json!({})).await.code(), "mcp_tool_unusable");
        let offered = home.gate.tools().list(&home.ctx, &["mcp.bad.*"]).await;
        assert_eq!(offered.tools.len(), 14);
        home.process("strange", &["wrong_version"], json!({})).await;
        let error = home.tool_fails("strange", "echo", json!({"text": "x"})).await;
        assert!(error.code() == "mcp_protocol" && error.message().contains("1999-12-31"), "{error}");
        home.mcp.stop().await;
    }

    async fn odd_results_are_bounded(db: TestDb) {
        let home = Home::new(db).await;
        home.process("odd", &[], json!({"max_result_bytes": 4096})).await;
        let huge = home.tool("odd", "huge", json!({"bytes": 100_000})).await.expect("cut");
        assert!(huge["truncated"] == true && text(&huge).len() <= 4096);
        let error = home.tool_fails("odd", "huge", json!({"bytes": 9 << 20})).await;
        assert!(error.code() == "mcp_server_down" && error.message().contains("a line of more than"), "{error}");
        assert_eq!(home.tool_fails("odd", "odd_output", json!({})).await.code(), "mcp_protocol");
        assert_eq!(home.tool_fails("odd", "nothing", json!({})).await.code(), "mcp_protocol");
        let part = home.tool("odd", "odd_part", json!({})).await.expect("an answer");
        assert_eq!((&part["content"][0]["type"], &part["content"][1]["text"]), (&json!("unknown"), &json!("beside it")));
        let failed = home.tool("odd", "fail", json!({})).await.expect("an answer");
        assert!(failed["is_error"] == true && text(&failed) == "it went wrong");
        let error = home.tool_fails("odd", "rpc_error", json!({})).await;
        assert!(error.code() == "mcp_refused" && error.message().contains("the disk is full"), "{error}");
        home.mcp.stop().await;
    }

    async fn one_server_has_so_many_calls_at_a_time(db: TestDb) {
        let home = Home::new(db).await;
        home.process("narrow", &[], json!({"concurrency": 1, "call_timeout_ms": 400})).await;
        home.tool("narrow", "echo", json!({"text": "x"})).await.expect("connected");
        let long = home.tool("narrow", "slow", json!({"ms": 3000}));
        let short = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            home.tool("narrow", "echo", json!({"text": "x"})).await
        };
        let (long, short) = tokio::join!(long, short);
        assert_eq!(long.expect_err("too slow").code(), "mcp_timeout");
        // It waited for its turn, and had it.
        assert!(short.is_ok_and(|answer| answer["structured"]["text"] == "x"));
        home.mcp.stop().await;
    }
}
