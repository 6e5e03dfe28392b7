//! The rows: MCP servers, and beside each the tools it listed last. They never leave this crate.

use synapscale_store::{EntitySpec, tenant_entity};

tenant_entity!(server, "mcp_servers", [id: Uuid], {
    name: String,
    title: String,
    transport: String,
    url: Option<String>,
    command: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    args: Json,
    secrets_sealed: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    secret_names: Json,
    #[sea_orm(column_type = "JsonBinary")]
    settings: Json,
    status: String,
    #[sea_orm(column_type = "JsonBinary")]
    told: Json,
    tool_count: i64,
    unusable_count: i64,
    tools_at: Option<DateTimeUtc>,
    last_error: Option<String>,
    failed_at: Option<DateTimeUtc>,
    revision: i64,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
});

tenant_entity!(tool_list, "mcp_tool_lists", [id: Uuid], {
    #[sea_orm(column_type = "JsonBinary")]
    tools: Json,
});

/// What `db check` compares with the live schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(server::Entity), EntitySpec::of(tool_list::Entity)]
}
