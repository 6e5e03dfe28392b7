//! The tables of the model service.

use synapscale_store::Migration;
use synapscale_store::schema::{Table, integer, json, text, timestamp, uuid};

/// Hash partitions of the usage on PostgreSQL, as the journal has: a row per attempt of every model call.
const PARTITIONS: u16 = 8;

/// Every migration, the oldest first.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::new("llm_0001_providers_routes_usage")
            .create(providers())
            .create(routes())
            .create(usage()),
    ]
}

fn providers() -> Table {
    Table::tenant(
        "llm_providers",
        [
            uuid("id"),
            text("name").max(64),
            text("preset").max(64),
            text("base_url").max(2000).null(),
            text("key_sealed").null(),
            // The last characters of the key, so that people can tell keys apart.
            text("key_hint").max(4).null(),
            json("settings").default("{}"),
            text("status").one_of(&["active", "disabled"]).default("active"),
            // What the provider told at its last test.
            json("models").default("[]"),
            timestamp("models_at").null(),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
        ],
    )
    .unique("llm_providers_by_name", &["name"])
}

fn routes() -> Table {
    Table::tenant(
        "llm_routes",
        [
            uuid("id"),
            text("alias").max(64),
            text("strategy").one_of(&["ordered", "weighted", "least_latency", "cheapest"]),
            json("deployments").default("[]"),
            integer("total_timeout_ms").between(1, 3_600_000),
            integer("revision").default("1"),
            timestamp("created_at"),
            timestamp("updated_at"),
        ],
    )
    .unique("llm_routes_by_alias", &["alias"])
}

fn usage() -> Table {
    Table::tenant(
        "llm_usage",
        [
            // Made with the record, so that a row written twice is one row.
            uuid("id"),
            timestamp("at"),
            // `at` as a day in UTC: both databases group by it in the same words.
            text("day").max(10),
            text("route").null(),
            text("provider"),
            text("model"),
            text("deployment"),
            uuid("run_id").null(),
            text("actor_kind"),
            uuid("actor_id"),
            integer("attempt"),
            text("outcome"),
            integer("status_code").null(),
            integer("input_tokens").null(),
            integer("output_tokens").null(),
            integer("cached_tokens").null(),
            integer("reasoning_tokens").null(),
            integer("cost_nano_usd").null(),
            integer("first_token_ms").null(),
            integer("total_ms"),
        ],
    )
    .append_only()
    .partitioned(PARTITIONS)
    .index("llm_usage_by_time", &["at"])
}
