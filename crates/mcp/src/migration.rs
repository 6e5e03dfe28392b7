//! The tables of MCP servers.

use synapscale_store::Migration;
use synapscale_store::schema::{Table, integer, json, text, timestamp, uuid};

/// Every migration, the oldest first.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::new("mcp_0001_servers_tool_lists")
            .create(servers())
            .create(tool_lists()),
    ]
}

fn servers() -> Table {
    Table::tenant(
        "mcp_servers",
        [
            uuid("id"),
            text("name").max(24),
            text("title").max(200),
            text("transport").one_of(&["http", "stdio"]),
            text("url").max(2000).null(),
            text("command").max(500).null(),
            json("args").default("[]"),
            // Headers and environment as one sealed document; their names stand beside it.
            text("secrets_sealed").null(),
            json("secret_names").default("{}"),
            json("settings").default("{}"),
            text("status").one_of(&["active", "disabled"]).default("active"),
            // What the server told of itself when it was last reached.
            json("told").default("{}"),
            integer("tool_count").default("0"),
            integer("unusable_count").default("0"),
            timestamp("tools_at").null(),
            text("last_error").max(2000).null(),
            timestamp("failed_at").null(),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
        ],
    )
    .unique("mcp_servers_by_name", &["name"])
}

/// Apart from the servers, whose lists would drag megabytes of schemas along.
fn tool_lists() -> Table {
    Table::tenant("mcp_tool_lists", [uuid("id"), json("tools").default("[]")])
}
