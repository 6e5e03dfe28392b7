//! The tables of this domain.

use synapscale_store::Migration;
use synapscale_store::schema::{Index, Table, integer, json, text, timestamp, uuid};

/// Hash partitions of the messages on PostgreSQL, as the journal has.
const PARTITIONS: u16 = 8;
/// Into how many rows the figures of one agent are spread. Runs of an agent that end at the same time would otherwise
/// wait for one another on a single row; and a fixed number of rows is summed in the same time however old the agent is.
pub const SHARDS: u8 = 16;

/// Every migration, the oldest first.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::new("agents_0001_agents_conversations")
            .create(agents())
            .create(versions())
            .create(figures())
            .create(conversations())
            .create(members())
            .create(messages()),
    ]
}

fn agents() -> Table {
    Table::tenant(
        "agents",
        [
            uuid("id"),
            text("name").max(64),
            text("title").max(200),
            text("description").max(10_000).default(""),
            text("status")
                .one_of(&["active", "paused", "archived"])
                .default("active"),
            json("metadata").default("{}"),
            json("capabilities").default("{}"),
            json("settings").default("{}"),
            integer("version").default("1"),
            text("created_by_kind").null(),
            uuid("created_by").null(),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
            timestamp("deleted_at").null(),
            uuid("delete_group").null(),
        ],
    )
    // A deleted agent keeps its name without standing in a new one's way.
    .index_with(Index::new("agents_by_name", &["name"]).unique().only("deleted_at IS NULL"))
}

fn versions() -> Table {
    Table::tenant(
        "agent_versions",
        [
            uuid("agent_id"),
            integer("version"),
            json("spec"),
            text("note").max(500).null(),
            text("created_by_kind").null(),
            uuid("created_by").null(),
            timestamp("created_at"),
        ],
    )
    .key(&["agent_id", "version"])
    .append_only()
    .references("agent_id", "agents")
}

fn figures() -> Table {
    let count = |name| integer(name).default("0");
    Table::tenant(
        "agent_figures",
        [
            uuid("agent_id"),
            integer("shard").between(0, i64::from(SHARDS) - 1),
            count("runs"),
            count("succeeded"),
            count("failed"),
            count("stopped"),
            count("turns"),
            count("tool_calls"),
            count("tool_errors"),
            count("input_tokens"),
            count("output_tokens"),
            // What is known of it.
            count("cost_nano_usd"),
            count("ms"),
            timestamp("last_run_at"),
        ],
    )
    .key(&["agent_id", "shard"])
    .references("agent_id", "agents")
}

fn conversations() -> Table {
    Table::tenant(
        "conversations",
        [
            uuid("id"),
            uuid("agent_id"),
            integer("agent_version"),
            text("title").max(200).default(""),
            text("status").one_of(&["active", "archived"]).default("active"),
            uuid("head").null(),
            uuid("reply_id").null(),
            uuid("run_id").null(),
            integer("messages").default("0"),
            text("created_by_kind").null(),
            uuid("created_by").null(),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
        ],
    )
    .references("agent_id", "agents")
    .index("conversations_by_update", &["updated_at", "id"])
}

fn members() -> Table {
    Table::tenant(
        "conversation_members",
        [
            uuid("conversation_id"),
            uuid("user_id"),
            text("role").one_of(&["owner", "member"]),
            // As they were called when they joined: users are another domain's.
            text("name").max(200),
            timestamp("created_at"),
        ],
    )
    .key(&["conversation_id", "user_id"])
    .owned_by("conversation_id", "conversations")
    .index("conversation_members_by_user", &["user_id", "conversation_id"])
}

fn messages() -> Table {
    Table::tenant(
        "conversation_messages",
        [
            uuid("id"),
            uuid("conversation_id"),
            uuid("parent_id").null(),
            text("role").one_of(&["user", "assistant"]),
            text("author_kind"),
            uuid("author_id"),
            text("author_name").max(200).null(),
            integer("agent_version").null(),
            uuid("run_id").null(),
            text("status").one_of(&["done", "running", "stopped", "failed"]),
            text("text").default(""),
            // Large ones stand in a blob.
            json("parts").default("[]"),
            json("provider_messages").null(),
            text("model").max(200).null(),
            integer("input_tokens").null(),
            integer("output_tokens").null(),
            integer("cost_nano_usd").null(),
            json("stop").null(),
            json("error").null(),
            timestamp("created_at"),
            timestamp("finished_at").null(),
        ],
    )
    .partitioned(PARTITIONS)
    .owned_by("conversation_id", "conversations")
    // Siblings, and a whole conversation.
    .index("conversation_messages_by_parent", &["conversation_id", "parent_id", "id"])
}
