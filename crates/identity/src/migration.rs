//! The tables. Fields and defaults of users and workspaces are the seed's, to the letter.

use synapscale_store::Migration;
use synapscale_store::schema::{Index, Table, boolean, bytes, integer, json, text, timestamp, uuid};

/// The migrations of this crate.
pub fn migrations() -> Vec<Migration> {
    vec![
        Migration::new("identity_0001_users_workspaces_keys")
            .create(users())
            .create(user_secrets())
            .create(workspaces())
            .create(memberships())
            .create(api_keys()),
        Migration::new("identity_0002_sessions")
            .create(sessions())
            .create(refresh_tokens())
            .create(owner_links()),
    ]
}

fn users() -> Table {
    Table::system(
        "users",
        [
            uuid("id"),
            text("email").max(254),
            text("full_name").max(200).null(),
            text("status").one_of(&["active", "suspended"]).default("active"),
            json("metadata").default("{}"),
            timestamp("last_login_at").null(),
            integer("login_count").default("0"),
            integer("failed_login_attempts").default("0"),
            timestamp("locked_until").null(),
            json("preferences").default("{}"),
            text("timezone").max(64).default("UTC"),
            text("language").max(35).default("en"),
            text("avatar_url").max(2048).null(),
            boolean("two_factor_enabled").default("false"),
            timestamp("created_at"),
            timestamp("updated_at"),
            integer("revision").default("1"),
        ],
    )
    .check("users_email_is_lower_case", "email = lower(email)")
    .unique("users_by_email", &["email"])
}

fn user_secrets() -> Table {
    Table::system(
        "user_secrets",
        [
            uuid("user_id"),
            text("password_hash").max(255).null(),
            text("two_factor_secret").null(),
            json("backup_codes").default("[]"),
        ],
    )
    .key(&["user_id"])
    .owned_by("user_id", "users")
}

fn workspaces() -> Table {
    Table::tenant(
        "workspaces",
        [
            uuid("id"),
            text("name").max(200),
            text("slug").max(80),
            json("settings").default("{}"),
            json("metadata").default("{}"),
            text("status").one_of(&["active", "suspended"]).default("active"),
            text("billing_plan").max(50).default("free"),
            json("usage_limits").default("{}"),
            json("features_enabled").default("{}"),
            timestamp("created_at"),
            timestamp("updated_at"),
            integer("revision").default("1"),
        ],
    )
    .seen_by_system()
    .check("workspaces_are_their_own_tenant", "id = tenant_id")
    .index_with(Index::new("workspaces_by_id", &["id"]).unique().across_tenants())
    .index_with(
        Index::new("workspaces_by_slug", &["slug"])
            .unique()
            .across_tenants(),
    )
}

fn memberships() -> Table {
    Table::tenant(
        "memberships",
        [
            uuid("user_id"),
            text("role")
                .one_of(&["owner", "admin", "member", "viewer"])
                .default("member"),
            timestamp("created_at"),
            timestamp("updated_at"),
        ],
    )
    .key(&["user_id"])
    .seen_by_system()
    .references_global("tenant_id", "workspaces")
    .references_global("user_id", "users")
    .index_with(Index::new("memberships_by_user", &["user_id"]).across_tenants())
}

fn api_keys() -> Table {
    Table::tenant(
        "api_keys",
        [
            uuid("id"),
            uuid("user_id"),
            text("name").max(200),
            text("prefix").max(20),
            bytes("hash"),
            json("scopes").default("[]"),
            timestamp("expires_at").null(),
            timestamp("last_used_at").null(),
            timestamp("revoked_at").null(),
            uuid("created_by"),
            timestamp("created_at"),
        ],
    )
    .seen_by_system()
    .references_global("tenant_id", "workspaces")
    .references_global("user_id", "users")
    .index("api_keys_by_user", &["user_id"])
    .index_with(
        Index::new("api_keys_by_hash", &["hash"])
            .unique()
            .across_tenants(),
    )
    .index_with(Index::new("api_keys_by_id", &["id"]).unique().across_tenants())
}

fn sessions() -> Table {
    Table::system(
        "sessions",
        [
            uuid("id"),
            uuid("user_id"),
            uuid("workspace_id"),
            bytes("token_hash"),
            timestamp("created_at"),
            timestamp("last_seen_at"),
            timestamp("expires_at"),
            timestamp("ended_at").null(),
            text("user_agent").max(300).null(),
            text("ip").max(45).null(),
        ],
    )
    .owned_by("user_id", "users")
    .references("workspace_id", "workspaces")
    .unique("sessions_by_token", &["token_hash"])
    .index("sessions_by_user", &["user_id"])
    .index("sessions_by_end", &["expires_at"])
}

fn refresh_tokens() -> Table {
    Table::system(
        "refresh_tokens",
        [
            uuid("id"),
            uuid("family_id"),
            uuid("parent_id").null(),
            uuid("user_id"),
            uuid("workspace_id"),
            bytes("token_hash"),
            timestamp("created_at"),
            timestamp("expires_at"),
            timestamp("used_at").null(),
            timestamp("revoked_at").null(),
        ],
    )
    .owned_by("user_id", "users")
    .references("workspace_id", "workspaces")
    .unique("refresh_tokens_by_token", &["token_hash"])
    .index("refresh_tokens_by_family", &["family_id"])
    .index("refresh_tokens_by_user", &["user_id"])
    .index("refresh_tokens_by_end", &["expires_at"])
}

fn owner_links() -> Table {
    Table::system(
        "owner_links",
        [
            uuid("id"),
            uuid("user_id"),
            uuid("workspace_id"),
            bytes("token_hash"),
            timestamp("created_at"),
            timestamp("expires_at"),
            timestamp("used_at").null(),
        ],
    )
    .owned_by("user_id", "users")
    .references("workspace_id", "workspaces")
    .unique("owner_links_by_token", &["token_hash"])
    .index("owner_links_by_user", &["user_id"])
}
