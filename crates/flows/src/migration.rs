//! The tables of this domain.

use synapscale_store::Migration;
use synapscale_store::schema::{Index, Table, boolean, bytes, integer, json, text, timestamp, uuid};

/// Every word that a workflow's status can be.
pub const STATUSES: &[&str] = &["draft", "active", "paused", "archived"];

/// Every migration, the oldest first. The engine's come before: versions refer to its graphs.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::new("flows_0001_workflows")
            .create(workflows())
            .create(versions())
            .create(hooks())
            .create(deliveries()),
        Migration::new("flows_0002_triggers")
            .create(schedules())
            .create(event_triggers()),
    ]
}

fn workflows() -> Table {
    Table::tenant(
        "workflows",
        [
            uuid("id"),
            text("name").max(64),
            text("title").max(200).default(""),
            text("description").max(10_000).default(""),
            text("status").one_of(STATUSES).default("draft"),
            integer("version").default("1"),
            integer("execution_timeout").default("3600"),
            json("retry_policy").default("{}"),
            json("metadata").default("{}"),
            uuid("graph_id").null(),
            text("publisher_kind").null(),
            uuid("publisher_id").null(),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
            uuid("created_by").null(),
            timestamp("deleted_at").null(),
            uuid("delete_group").null(),
        ],
    )
    .references("graph_id", "graphs")
    // A deleted workflow keeps its name without standing in a new one's way.
    .index_with(Index::new("workflows_by_name", &["name"]).unique().only("deleted_at IS NULL"))
}

fn versions() -> Table {
    Table::tenant(
        "workflow_versions",
        [
            uuid("workflow_id"),
            integer("version"),
            uuid("graph_id"),
            json("file"),
            text("publisher_kind"),
            uuid("publisher_id"),
            timestamp("created_at"),
        ],
    )
    .key(&["workflow_id", "version"])
    .append_only()
    .references("workflow_id", "workflows")
    .references("graph_id", "graphs")
}

fn hooks() -> Table {
    Table::tenant(
        "hooks",
        [
            uuid("id"),
            uuid("workflow_id"),
            text("node").max(64),
            bytes("token_hash"),
            text("token_sealed"),
            text("scheme").one_of(&["github", "gitlab", "standard_webhooks", "none"]),
            text("secret_sealed").null(),
            text("previous_sealed").null(),
            timestamp("previous_until").null(),
            integer("dedupe_hours").between(1, 720).default("24"),
            boolean("responds").default("false"),
            boolean("active").default("true"),
            timestamp("created_at"),
        ],
    )
    .references("workflow_id", "workflows")
    // A delivery brings a token and no tenant.
    .seen_by_system()
    .index_with(Index::new("hooks_by_token", &["token_hash"]).unique().across_tenants())
    .index_with(Index::new("hooks_by_node", &["workflow_id", "node"]).unique().only("active"))
}

fn schedules() -> Table {
    Table::tenant(
        "schedules",
        [
            uuid("id"),
            uuid("workflow_id"),
            text("node").max(64),
            text("cron").max(100),
            text("timezone").max(64),
            text("missed").one_of(&["skip", "once", "all"]),
            timestamp("next_at").null(),
            timestamp("last_at").null(),
            uuid("last_run_id").null(),
            json("failure").null(),
            boolean("active").default("true"),
            timestamp("created_at"),
        ],
    )
    .references("workflow_id", "workflows")
    // What is due is due whoever's it is.
    .seen_by_system()
    .index_with(Index::new("schedules_due", &["next_at"]).across_tenants().only("active"))
    .index_with(Index::new("schedules_by_node", &["workflow_id", "node"]).unique().only("active"))
}

fn event_triggers() -> Table {
    Table::tenant(
        "event_triggers",
        [
            uuid("id"),
            uuid("workflow_id"),
            text("node").max(64),
            json("kinds"),
            text("filter").max(2_000).null(),
            text("place").max(200).null(),
            timestamp("last_at").null(),
            uuid("last_run_id").null(),
            json("failure").null(),
            boolean("active").default("true"),
            timestamp("created_at"),
        ],
    )
    .references("workflow_id", "workflows")
    .seen_by_system()
    .index_with(
        Index::new("event_triggers_active", &["id"])
            .across_tenants()
            .only("active"),
    )
    .index_with(
        Index::new("event_triggers_by_node", &["workflow_id", "node"])
            .unique()
            .only("active"),
    )
}

fn deliveries() -> Table {
    Table::tenant(
        "hook_deliveries",
        [
            uuid("hook_id"),
            text("dedupe_key").max(255),
            uuid("run_id"),
            timestamp("at"),
        ],
    )
    .key(&["hook_id", "dedupe_key"])
    // Old keys of all tenants leave together.
    .seen_by_system()
    .references("hook_id", "hooks")
    .index("hook_deliveries_by_time", &["at"])
}
