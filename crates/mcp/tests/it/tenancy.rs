//! One tenant's servers are nobody else's, and permissions are the carrier's.

use crate::home::{Home, caller};
use serde_json::json;
use synapscale_testkit::db_test;

db_test! {
    async fn servers_are_their_tenants_own(db: TestDb) {
        let home = Home::new(db).await;
        let made = home.process("mine", &[], json!({})).await;
        home.tool("mine", "echo", json!({"text": "x"})).await.expect("an answer");
        let other = caller(&["*"]);
        for name in ["mcp.servers.get", "mcp.servers.delete", "mcp.servers.test", "mcp.servers.refresh", "mcp.servers.update"] {
            let error = home.call_as(&other, name, json!({"server_id": made["id"]})).await.expect_err(name);
            assert_eq!(error.code(), "not_found", "{name}");
        }
        let call = json!({"server": "mine", "tool": "echo", "arguments": {"text": "x"}});
        assert_eq!(home.call_as(&other, "mcp.call", call.clone()).await.expect_err("theirs").code(), "not_found");
        let tools = home.gate.tools();
        assert!(tools.find(&other, "mcp.mine.echo").await.expect("a read").is_none());
        assert!(tools.list(&other, &["mcp.mine.*"]).await.tools.is_empty());

        let reader = caller(&["mcp:read"]);
        assert!(home.call_as(&reader, "mcp.tools", json!({})).await.is_ok());
        assert_eq!(home.call_as(&reader, "mcp.call", call).await.expect_err("may not").code(), "forbidden");
        let own = home.ctx.on_behalf_of(reader.actor(), reader.grants());
        assert!(tools.list(&own, &["mcp.mine.*"]).await.tools.is_empty(), "not permitted, not offered");
        home.mcp.stop().await;
    }
}
