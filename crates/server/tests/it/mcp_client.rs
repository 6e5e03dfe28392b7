//! Other people's MCP servers, by the real binary: the product as the client of another workspace's `/mcp`, through every
//! door that operations have.

use crate::process::{Server, bootstrap, further};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use synapscale_testkit::db_test;

/// One call of our own `/mcp`.
async fn mcp(server: &Server, query: &str, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = server.request(Method::POST, &format!("/mcp{query}"));
    let request = request
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-06-18")
        .json(&body);
    let answer: Value = request
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    answer["result"].clone()
}

db_test! {
    async fn another_workspaces_tools_are_our_own(db: TestDb) {
        let first = bootstrap(db).await;
        let allow = [("SYNAPSCALE_MCP_ALLOW", "127.0.0.1")];
        let mut server = Server::start_in(db, &first.api_key, &[], &allow, db.folder()).await;
        let second = further(db, "sister@example.com").await;

        let url = format!("{}/mcp?toolsets=work", server.url);
        let bearer = format!("Bearer {}", second.api_key);
        let new = json!({ "name": "sister", "transport": "http", "url": url, "headers": { "Authorization": bearer } });
        let made = server.ask(Method::POST, "/api/v1/mcp/servers", new).await;
        let place = format!("/api/v1/mcp/servers/{}", made["id"].as_str().expect("an id"));
        let test = server.ask(Method::POST, &format!("{place}/test"), json!({})).await;
        assert_eq!((&test["ok"], &test["unusable"]), (&json!(true), &json!(0)), "{test}");
        assert_eq!(test["told"]["name"], "synapscale");

        // By name, through the same door as any operation.
        let call = "/api/v1/call/mcp.sister.projects_create";
        let made = server.ask(Method::POST, call, json!({ "name": "from outside" })).await;
        assert_eq!(made["structured"]["name"], "from outside", "{made}");
        let (status, problem) = server.try_ask(Method::POST, call, json!({ "nmae": 1 })).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
        let pointers: Vec<&str> = problem["errors"].as_array().expect("errors").iter().filter_map(|e| e["pointer"].as_str()).collect();
        assert!(pointers.contains(&"/name") || pointers.contains(&"/nmae"), "{problem}");
        let names = |list: Value| list["items"].as_array().expect("items").iter().map(|item| item["name"].clone()).collect::<Vec<_>>();
        assert!(!names(server.get("/api/v1/projects").await).contains(&json!("from outside")), "it is theirs");

        // By our own MCP face: found, listed, called.
        let found = mcp(&server, "", "tools/call", json!({ "name": "ops_search", "arguments": { "query": "sister projects list", "limit": 25 } })).await;
        let found = found["structuredContent"]["operations"].as_array().expect("operations").clone();
        assert!(found.iter().any(|one| one["operation"] == "mcp.sister.projects_list"), "{found:?}");
        let listed = mcp(&server, "?toolsets=mcp", "tools/list", json!({})).await["tools"].to_string();
        assert!(listed.contains("mcp_sister__projects_list") && listed.contains("mcp_servers_create"), "{listed}");
        assert!(!mcp(&server, "", "tools/list", json!({})).await["tools"].to_string().contains("mcp_sister__"));
        for (name, arguments) in [
            ("mcp_sister__projects_list", json!({})),
            ("ops_call", json!({ "operation": "mcp.sister.projects_list", "input": {} })),
        ] {
            let called = mcp(&server, "", "tools/call", json!({ "name": name, "arguments": arguments })).await;
            assert!(called["structuredContent"].to_string().contains("from outside"), "{called}");
        }

        // As a step of a workflow, on record as a run's step.
        let file = json!({ "name": "ask-sister", "nodes": {
            "start": { "kind": "trigger.manual@1" },
            "ask": { "kind": "operation@1", "after": "start", "with": { "operation": "mcp.call", "input": {
                "server": "sister", "tool": "projects_list", "arguments": {},
            } } },
        } });
        server.ask(Method::PUT, "/api/v1/workflows/ask-sister", json!({ "file": file })).await;
        let run = server.ask(Method::POST, "/api/v1/workflows/ask-sister/runs", json!({ "input": {} })).await;
        let run = format!("/api/v1/runs/{}", run["run_id"].as_str().expect("a run"));
        let mut state = server.get(&run).await;
        for _ in 0..200 {
            if state["status"] == "succeeded" || state["status"] == "failed" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            state = server.get(&run).await;
        }
        assert_eq!(state["status"], "succeeded", "{state}");
        assert!(state.to_string().contains("from outside") || server.get(&format!("{run}/steps")).await.to_string().contains("from outside"));

        // Their key is gone: its tools are down, everything else goes on, and nothing of the key shows.
        let ours = server.key.clone();
        server.key = second.api_key.clone();
        let keys = server.get("/api/v1/keys").await;
        for key in keys["items"].as_array().expect("keys") {
            let path = format!("/api/v1/keys/{}", key["id"].as_str().expect("an id"));
            server.try_ask(Method::DELETE, &path, json!({})).await;
        }
        server.key = ours;
        let (status, problem) = server.try_ask(Method::POST, call, json!({ "name": "again" })).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_GATEWAY, &json!("mcp_unauthorized")), "{problem}");
        let shown = server.get(&place).await;
        assert_eq!(shown["health"], "down", "{shown}");
        let tools = server.get("/api/v1/mcp/tools?server=sister&limit=200").await;
        assert!(tools["items"].as_array().is_some_and(|all| !all.is_empty() && all.iter().all(|tool| tool["health"] == "down")));
        for text in [shown, tools, problem, server.get("/api/v1/events?limit=200").await, server.get("/api/v1/runs").await] {
            assert!(!text.to_string().contains(&second.api_key), "{text}");
        }
        server.project("ours").await;
        assert_eq!(server.stop().await, Some(0));
    }

    async fn nothing_is_started_that_the_operator_did_not_name(db: TestDb) {
        let server = Server::fresh(db).await;
        let new = json!({ "name": "local", "transport": "stdio", "command": "npx", "args": ["-y", "something"] });
        let (status, problem) = server.try_ask(Method::POST, "/api/v1/mcp/servers", new).await;
        assert_eq!((status, &problem["errors"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("stdio_not_allowed")), "{problem}");
        let new = json!({ "name": "inner", "transport": "http", "url": server.url });
        let (status, _) = server.try_ask(Method::POST, "/api/v1/mcp/servers", new).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    }
}
