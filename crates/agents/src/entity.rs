//! The rows of this domain: agents, their versions and figures, conversations, who is in them, and messages. They never
//! leave this crate.

use synapscale_store::{EntitySpec, tenant_entity};

tenant_entity!(
    /// An agent: the name people use, and which version of it is the latest.
    agent, "agents", [id: Uuid], {
    name: String,
    title: String,
    description: String,
    status: String,
    #[sea_orm(column_type = "JsonBinary")]
    metadata: Json,
    #[sea_orm(column_type = "JsonBinary")]
    capabilities: Json,
    #[sea_orm(column_type = "JsonBinary")]
    settings: Json,
    version: i64,
    created_by_kind: Option<String>,
    created_by: Option<Uuid>,
    revision: i64,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
    deleted_at: Option<DateTimeUtc>,
    delete_group: Option<Uuid>,
});

impl synapscale_store::SoftDelete for agent::Entity {
    fn deleted_at() -> agent::Column {
        agent::Column::DeletedAt
    }

    fn delete_group() -> agent::Column {
        agent::Column::DeleteGroup
    }

    fn revision() -> agent::Column {
        agent::Column::Revision
    }
}

tenant_entity!(
    /// One immutable version of an agent.
    version, "agent_versions", [agent_id: Uuid, version: i64], {
    #[sea_orm(column_type = "JsonBinary")]
    spec: Json,
    note: Option<String>,
    created_by_kind: Option<String>,
    created_by: Option<Uuid>,
    created_at: DateTimeUtc,
});

tenant_entity!(
    /// A share of an agent's figures; the sum of its shards is the truth.
    figure, "agent_figures", [agent_id: Uuid, shard: i64], {
    runs: i64,
    succeeded: i64,
    failed: i64,
    stopped: i64,
    turns: i64,
    tool_calls: i64,
    tool_errors: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_nano_usd: i64,
    ms: i64,
    last_run_at: DateTimeUtc,
});

tenant_entity!(
    /// A conversation with an agent. `reply_id` is the reply that is not over yet, and `run_id` the run that writes it.
    conversation, "conversations", [id: Uuid], {
    agent_id: Uuid,
    agent_version: i64,
    title: String,
    status: String,
    head: Option<Uuid>,
    reply_id: Option<Uuid>,
    run_id: Option<Uuid>,
    messages: i64,
    created_by_kind: Option<String>,
    created_by: Option<Uuid>,
    revision: i64,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
});

tenant_entity!(
    /// Somebody who takes part in a conversation.
    member, "conversation_members", [conversation_id: Uuid, user_id: Uuid], {
    role: String,
    name: String,
    created_at: DateTimeUtc,
});

tenant_entity!(
    /// A message: what a person sent, or an agent's reply. Messages of one conversation form a tree by `parent_id`.
    message, "conversation_messages", [id: Uuid], {
    conversation_id: Uuid,
    parent_id: Option<Uuid>,
    role: String,
    author_kind: String,
    author_id: Uuid,
    author_name: Option<String>,
    agent_version: Option<i64>,
    run_id: Option<Uuid>,
    status: String,
    text: String,
    #[sea_orm(column_type = "JsonBinary")]
    parts: Json,
    #[sea_orm(column_type = "JsonBinary")]
    provider_messages: Option<Json>,
    model: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost_nano_usd: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    stop: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    error: Option<Json>,
    created_at: DateTimeUtc,
    finished_at: Option<DateTimeUtc>,
});

/// What `db check` compares with the live schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(agent::Entity),
        EntitySpec::of(version::Entity),
        EntitySpec::of(figure::Entity),
        EntitySpec::of(conversation::Entity),
        EntitySpec::of(member::Entity),
        EntitySpec::of(message::Entity),
    ]
}
