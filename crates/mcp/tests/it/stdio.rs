//! Servers as processes: what they are given, what they give, and their end.

use crate::home::{Home, STANDIN, TOKEN};
use serde_json::{Value, json};
use synapscale_core::Effect;
use synapscale_testkit::db_test;

fn alive(pid: u64) -> bool {
    // A zombie is as dead as can be seen from outside of its parent.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty()
        && !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with('Z')
}

async fn pid_of(home: &Home, server: &str) -> u64 {
    let env = home.tool(server, "env", json!({})).await.expect("an answer");
    env["structured"]["pid"].as_u64().expect("a pid")
}

db_test! {
    async fn its_tools_are_called_under_their_own_names(db: TestDb) {
        let home = Home::new(db).await;
        let made = home.process("stand_in", &[], json!({})).await;
        assert_eq!(made["health"], "unknown");
        let id = json!({"server_id": made["id"]});
        let test = home.ok("mcp.servers.test", id.clone()).await;
        assert_eq!((&test["ok"], &test["told"]["name"]), (&json!(true), &json!("stand-in")), "{test}");
        let shown = home.ok("mcp.servers.get", id.clone()).await;
        assert_eq!((&shown["health"], &shown["tools"]), (&json!("up"), &json!(14)), "{shown}");
        assert_eq!(shown["secrets"]["env"], json!(["STANDIN_TOKEN"]));

        let tools = home.gate.tools();
        let found = tools.list(&home.ctx, &["mcp.stand_in.*", "mcp.other.*", "nothing.at_all"]).await;
        assert_eq!(found.tools.len(), 14);
        assert_eq!(found.unmatched, ["mcp.other.*", "nothing.at_all"]);
        let names: Vec<&str> = found.tools.iter().map(|tool| tool.wire_name()).collect();
        assert!(names.contains(&"mcp_stand_in__notlisted"), "{names:?}");
        let all = tools.list(&home.ctx, &["*"]).await;
        assert_eq!(all.tools.len(), home.gate.registry().listed().count() + 14);
        let none = tools.list(&home.ctx, &["mcp.call"]).await;
        assert_eq!(none.tools.len(), 1);

        let echo = tools.resolve(&home.ctx, "mcp_stand_in__echo").await.expect("there");
        assert_eq!((echo.name(), echo.operation().name()), ("mcp.stand_in.echo", "mcp.call"));
        assert_eq!((echo.effect(), echo.is_destructive(), echo.permission()), (Effect::External, false, Some("mcp:call")));
        assert!(echo.description().contains("stand_in"), "{}", echo.description());
        let answer = home.ok(echo.operation().name(), echo.bind(json!({"text": "hi"}))).await;
        assert_eq!(answer["structured"], json!({"text": "hi"}));
        assert_eq!(answer["content"], json!([]), "said once");
        assert!(answer["origin"].as_str().is_some_and(|origin| origin.contains("stand_in")));

        let refused = home.call(echo.operation().name(), echo.bind(json!({"text": 7}))).await.expect_err("no text");
        assert_eq!(refused.fields()[0].pointer, "/arguments/text");
        assert_eq!(echo.unbind(refused).fields()[0].pointer, "/text");
        let unknown = tools.resolve(&home.ctx, "mcp.stand_in.nothing_such").await.expect_err("none");
        assert_eq!(unknown.code(), "not_found");

        home.ok("mcp.servers.delete", id).await;
        assert!(tools.find(&home.ctx, "mcp.stand_in.echo").await.expect("a read").is_none());
        home.mcp.stop().await;
    }

    async fn it_is_given_little_and_tells_no_secret(db: TestDb) {
        let home = Home::new(db).await;
        let made = home.process("local", &[], json!({})).await;
        let env = home.tool("local", "env", json!({})).await.expect("an answer")["structured"].clone();
        let mut names: Vec<&String> = env.as_object().expect("variables").keys().collect();
        names.retain(|name| *name != "pid");
        assert_eq!(names, ["HOME", "LANG", "PATH", "STANDIN_TOKEN", "TMPDIR"]);
        assert!(env["HOME"].as_str().is_some_and(|home_of| home_of.starts_with(home.scratch.path().to_str().expect("a path"))));
        assert_eq!(env["STANDIN_TOKEN"], "[secret]", "it has the token, and nobody sees it");
        let meta = home.tool("local", "meta", json!({})).await.expect("an answer");
        assert!(meta["structured"]["synapscale/idempotency-key"].as_str().is_some_and(|key| key.starts_with("key-")));

        let everything = [
            made,
            home.ok("mcp.servers.list", json!({})).await,
            home.ok("mcp.tools", json!({"schemas": true})).await,
            json!(home.log_with(&["mcp_server.created", "mcp_server.refreshed"]).await),
        ];
        for shown in everything {
            assert!(!shown.to_string().contains(TOKEN), "{shown}");
        }
        home.mcp.stop().await;
    }

    async fn only_allowed_commands_are_started(db: TestDb) {
        let none = Home::with(db, |config| config.stdio = vec![]).await;
        let input = json!({"name": "a", "transport": "stdio", "command": STANDIN});
        let refused = none.call("mcp.servers.create", input.clone()).await.expect_err("no commands");
        assert_eq!((refused.fields()[0].code.as_ref(), refused.fields()[0].pointer.as_str()), ("stdio_not_allowed", "/command"));
        none.mcp.stop().await;
    }

    async fn names_and_variables_are_checked(db: TestDb) {
        let home = Home::new(db).await;
        let input = json!({"name": "a", "transport": "stdio", "command": STANDIN});
        for (command, env, code) in [
            ("/bin/sh", json!({}), "stdio_not_allowed"),
            (STANDIN, json!({"LD_PRELOAD": "x"}), "name"),
        ] {
            let input = json!({"name": "a", "transport": "stdio", "command": command, "env": env});
            let refused = home.call("mcp.servers.create", input).await.expect_err(command);
            assert_eq!(refused.fields()[0].code, code);
        }
        for name in ["servers", "tools", "a__b", "a_", "1a", "A"] {
            let input = json!({"name": name, "transport": "stdio", "command": STANDIN});
            assert!(home.call("mcp.servers.create", input).await.is_err(), "{name}");
        }
        home.process("a", &[], json!({})).await;
        let twice = home.call("mcp.servers.create", input).await.expect_err("twice");
        assert_eq!(twice.code(), "name_taken");
        home.mcp.stop().await;
    }

    async fn its_whole_group_ends(db: TestDb) {
        let home = Home::new(db).await;
        let made = home.process("family", &["grandchild"], json!({})).await;
        let pid = pid_of(&home, "family").await;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let grandchild: u64 = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a grandchild");
        assert!(alive(pid) && alive(grandchild));
        let changed = json!({"server_id": made["id"], "status": "disabled"});
        home.ok("mcp.servers.update", changed).await;
        Home::until("the group is gone", || async { !alive(pid) && !alive(grandchild) }).await;
        assert_eq!(home.tool_fails("family", "env", json!({})).await.code(), "mcp_server_disabled");

        home.ok("mcp.servers.update", json!({"server_id": made["id"], "status": "active"})).await;
        let pid = pid_of(&home, "family").await;
        home.mcp.stop().await;
        assert!(!alive(pid), "stopping waits for the end");
    }

    async fn a_changed_list_is_read_by_itself(db: TestDb) {
        let home = Home::new(db).await;
        home.process("moody", &[], json!({})).await;
        home.tool("moody", "change", json!({})).await.expect("an answer");
        let tools = home.gate.tools();
        Home::until("the new tool is there", || async {
            tools.find(&home.ctx, "mcp.moody.brand_new").await.expect("a read").is_some()
        })
        .await;
        home.log_with(&["mcp_server.refreshed", "brand_new"]).await;
        home.mcp.stop().await;
    }

    async fn the_workspace_has_the_last_word_on_tools(db: TestDb) {
        let home = Home::new(db).await;
        let settings = json!({
            "denied_tools": ["die"],
            "tools": {"echo": {"effect": "read", "always_ask": true}, "slow": {"destructive": false}},
        });
        let made = home.process("local", &[], settings).await;
        home.ok("mcp.servers.refresh", json!({"server_id": made["id"]})).await;
        assert_eq!(home.tool_fails("local", "die", json!({})).await.code(), "mcp_tool_denied");
        assert_eq!(home.tool_fails("local", "unheard_of", json!({})).await.code(), "not_found");
        let tools = home.gate.tools();
        assert!(tools.find(&home.ctx, "mcp.local.die").await.expect("a read").is_none());
        let echo = tools.resolve(&home.ctx, "mcp.local.echo").await.expect("there");
        assert!(echo.effect() == Effect::Read && echo.always_asks());
        let slow = tools.resolve(&home.ctx, "mcp.local.slow").await.expect("there");
        assert!(!slow.is_destructive() && slow.effect() == Effect::External);
        let page = home.ok("mcp.tools", json!({"limit": 5})).await;
        assert_eq!(page["items"].as_array().map(Vec::len), Some(5));
        let mut names: Vec<Value> = page["items"].as_array().expect("items").clone();
        let mut cursor = page["next_cursor"].clone();
        while !cursor.is_null() {
            let page = home.ok("mcp.tools", json!({"limit": 5, "cursor": cursor})).await;
            names.extend(page["items"].as_array().expect("items").clone());
            cursor = page["next_cursor"].clone();
        }
        assert_eq!(names.len(), 14);
        let die = names.iter().find(|tool| tool["tool"] == "die").expect("listed all the same");
        assert!(die["usable"] == false && die["problem"].is_string(), "{die}");
        home.mcp.stop().await;
    }
}
