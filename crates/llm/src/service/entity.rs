//! The rows of the model service: providers, routes, usage. They never leave this crate.

use synapscale_store::{EntitySpec, tenant_entity};

tenant_entity!(provider, "llm_providers", [id: Uuid], {
    name: String,
    preset: String,
    base_url: Option<String>,
    key_sealed: Option<String>,
    key_hint: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    settings: Json,
    status: String,
    #[sea_orm(column_type = "JsonBinary")]
    models: Json,
    models_at: Option<DateTimeUtc>,
    revision: i64,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
});

tenant_entity!(route, "llm_routes", [id: Uuid], {
    alias: String,
    strategy: String,
    #[sea_orm(column_type = "JsonBinary")]
    deployments: Json,
    total_timeout_ms: i64,
    revision: i64,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
});

tenant_entity!(usage, "llm_usage", [id: Uuid], {
    at: DateTimeUtc,
    day: String,
    route: Option<String>,
    provider: String,
    model: String,
    deployment: String,
    run_id: Option<Uuid>,
    actor_kind: String,
    actor_id: Uuid,
    attempt: i64,
    outcome: String,
    status_code: Option<i64>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    cost_nano_usd: Option<i64>,
    first_token_ms: Option<i64>,
    total_ms: i64,
});

/// What `db check` compares with the live schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(provider::Entity),
        EntitySpec::of(route::Entity),
        EntitySpec::of(usage::Entity),
    ]
}
