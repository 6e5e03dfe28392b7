//! The rows: users and their secrets, workspaces, memberships, API keys, sessions and their tokens. They never leave this crate.

use synapscale_store::Tenanted;

/// Declares an entity without relations.
macro_rules! plain_entity {
    ($module:ident, $table:literal, { $($(#[$meta:meta])* $field:ident: $kind:ty,)* }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($(#[$meta])* pub $field: $kind,)*
            }

            // Rows hold hashes and personal data: a log that prints one shows its table and nothing of it.
            impl std::fmt::Debug for Model {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!("a row of ", $table))
                }
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

plain_entity!(user, "users", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    email: String,
    full_name: Option<String>,
    status: String,
    #[sea_orm(column_type = "JsonBinary")]
    metadata: Json,
    last_login_at: Option<DateTimeUtc>,
    login_count: i64,
    failed_login_attempts: i64,
    locked_until: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary")]
    preferences: Json,
    timezone: String,
    language: String,
    avatar_url: Option<String>,
    two_factor_enabled: bool,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
    revision: i64,
});

// The seed lists `two_factor_secret` and `backup_codes` with the users. They stand in a table of their own, so that no
// select of users, however careless, can show them.
plain_entity!(user_secret, "user_secrets", {
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Uuid,
    password_hash: Option<String>,
    two_factor_secret: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    backup_codes: Json,
});

// A workspace is a tenant: its row's tenant is itself, so that row security covers it like any other row.
plain_entity!(workspace, "workspaces", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    name: String,
    slug: String,
    #[sea_orm(column_type = "JsonBinary")]
    settings: Json,
    #[sea_orm(column_type = "JsonBinary")]
    metadata: Json,
    status: String,
    billing_plan: String,
    #[sea_orm(column_type = "JsonBinary")]
    usage_limits: Json,
    #[sea_orm(column_type = "JsonBinary")]
    features_enabled: Json,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
    revision: i64,
});

plain_entity!(membership, "memberships", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    user_id: Uuid,
    role: String,
    created_at: DateTimeUtc,
    updated_at: DateTimeUtc,
});

plain_entity!(api_key, "api_keys", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    user_id: Uuid,
    name: String,
    prefix: String,
    hash: Vec<u8>,
    #[sea_orm(column_type = "JsonBinary")]
    scopes: Json,
    expires_at: Option<DateTimeUtc>,
    last_used_at: Option<DateTimeUtc>,
    revoked_at: Option<DateTimeUtc>,
    created_by: Uuid,
    created_at: DateTimeUtc,
});

// Sessions and their tokens are looked up before it is known whose they are, so they have no tenant, like users.
plain_entity!(session, "sessions", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    user_id: Uuid,
    workspace_id: Uuid,
    token_hash: Vec<u8>,
    created_at: DateTimeUtc,
    last_seen_at: DateTimeUtc,
    expires_at: DateTimeUtc,
    ended_at: Option<DateTimeUtc>,
    user_agent: Option<String>,
    ip: Option<String>,
});

plain_entity!(refresh_token, "refresh_tokens", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    family_id: Uuid,
    parent_id: Option<Uuid>,
    user_id: Uuid,
    workspace_id: Uuid,
    token_hash: Vec<u8>,
    created_at: DateTimeUtc,
    expires_at: DateTimeUtc,
    used_at: Option<DateTimeUtc>,
    revoked_at: Option<DateTimeUtc>,
});

plain_entity!(owner_link, "owner_links", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    user_id: Uuid,
    workspace_id: Uuid,
    token_hash: Vec<u8>,
    created_at: DateTimeUtc,
    expires_at: DateTimeUtc,
    used_at: Option<DateTimeUtc>,
});

impl Tenanted for workspace::Entity {
    fn tenant_column() -> workspace::Column {
        workspace::Column::TenantId
    }
}

impl Tenanted for membership::Entity {
    fn tenant_column() -> membership::Column {
        membership::Column::TenantId
    }
}

impl Tenanted for api_key::Entity {
    fn tenant_column() -> api_key::Column {
        api_key::Column::TenantId
    }
}
