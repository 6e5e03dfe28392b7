//! Servers over HTTP: credentials, addresses, and what a server may send.

use crate::home::{Home, Remote, TOKEN};
use serde_json::json;
use synapscale_testkit::db_test;

db_test! {
    async fn credentials_go_along_and_come_back_nowhere(db: TestDb) {
        let (home, server) = (Home::new(db).await, Remote::start().await);
        let made = home.remote("remote", &server, json!({})).await;
        let answer = home.tool("remote", "env", json!({})).await.expect("an answer");
        assert_eq!(answer["structured"]["authorization"], "[secret]", "{answer}");
        assert_eq!(answer["structured"]["mcp-protocol-version"].as_str().map(str::len), Some(10));
        let shown = home.ok("mcp.servers.get", json!({"server_id": made["id"]})).await;
        assert_eq!(shown["secrets"]["headers"], json!(["Authorization"]));
        assert!(!shown.to_string().contains(TOKEN));

        // A new address asks for the credentials again.
        let moved = json!({"server_id": made["id"], "url": "http://127.0.0.1:9/other"});
        let refused = home.call("mcp.servers.update", moved).await.expect_err("no credentials");
        assert_eq!(refused.fields()[0].pointer, "/headers");
        let same = json!({"server_id": made["id"], "title": "Another title"});
        assert_eq!(home.ok("mcp.servers.update", same).await["revision"], 2);
        let events = home.tool("remote", "change", json!({})).await.expect("over an event stream");
        assert_eq!(events["content"][0]["text"], "changed");
        home.mcp.stop().await;
    }

    async fn addresses_within_are_refused(db: TestDb) {
        let home = Home::with(db, |config| config.allow = vec!["10.1.2.3".parse().expect("a rule")]).await;
        for url in [
            "http://127.0.0.1/mcp", "https://127.0.0.1/mcp", "https://169.254.169.254/", "https://[::1]/",
            "http://mcp.example.com/", "ftp://mcp.example.com/", "https://a:b@mcp.example.com/", "no url", "https://10.9.9.9/",
        ] {
            let input = json!({"name": "a", "transport": "http", "url": url});
            let refused = home.call("mcp.servers.create", input).await.expect_err(url);
            assert_eq!(refused.fields()[0].pointer, "/url", "{url}");
        }
        // A name that leads inside is found out where it is used, and looks like a dead one.
        let input = json!({"name": "inside", "transport": "http", "url": "https://localhost/mcp"});
        home.ok("mcp.servers.create", input).await;
        assert_eq!(home.tool_fails("inside", "echo", json!({})).await.code(), "mcp_server_down");
        let input = json!({"name": "b", "transport": "http", "url": "http://10.1.2.3/mcp", "env": {"A": "x"}});
        assert_eq!(home.call("mcp.servers.create", input).await.expect_err("env").fields()[0].pointer, "/env");
        home.mcp.stop().await;
    }

    async fn statuses_have_their_names(db: TestDb) {
        let (home, server) = (Home::with(db, |config| config.pause = std::time::Duration::from_millis(1)).await, Remote::start().await);
        home.remote("remote", &server, json!({"connect_timeout_ms": 5000})).await;
        for (fault, code) in [
            ("unauthorized", "mcp_unauthorized"),
            ("forbidden", "mcp_unauthorized"),
            ("broken", "mcp_server_down"),
            ("busy", "mcp_server_busy"),
            ("redirect", "mcp_server_down"),
            ("flood", "mcp_protocol"),
            ("garbage", "mcp_protocol"),
            ("wrong_version", "mcp_protocol"),
            ("list_error", "mcp_refused"),
            ("list_none", "mcp_protocol"),
        ] {
            server.standin.fault(fault);
            let error = home.tool_fails("remote", "echo", json!({"text": "x"})).await;
            assert_eq!(error.code(), code, "{fault}: {error}");
            let text = error.to_string();
            assert!(!text.contains(TOKEN) && !text.contains("127.0.0.1") && text.contains("remote"), "{text}");
            server.standin.heal();
        }
        Home::until("it is well again", || async {
            home.tool("remote", "echo", json!({"text": "x"})).await.is_ok()
        })
        .await;
        let log = home.log_with(&["mcp_server.failed", "mcp_server.recovered"]).await;
        assert!(!log.contains(TOKEN));
        // In the middle of a connection, too.
        for (fault, code) in [("broken", "mcp_server_down"), ("unauthorized", "mcp_unauthorized"), ("garbage", "mcp_protocol")] {
            server.standin.fault(fault);
            assert_eq!(home.tool_fails("remote", "echo", json!({"text": "x"})).await.code(), code, "{fault}");
            server.standin.heal();
            Home::until("it is well again", || async {
                home.tool("remote", "echo", json!({"text": "x"})).await.is_ok()
            })
            .await;
        }
        let shown = home.ok("mcp.servers.list", json!({})).await;
        assert_eq!(shown["items"][0]["health"], "up", "{shown}");
        home.mcp.stop().await;
    }
}
