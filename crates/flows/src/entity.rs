//! The rows of this domain: workflows, their versions, their hooks, and what the hooks have seen. They never leave this
//! crate.

use synapscale_store::{EntitySpec, Tenanted, tenant_entity};

/// A workflow: the name people use, and which version of it is current.
pub mod workflow {
    use sea_orm::entity::prelude::*;
    use synapscale_store::SoftDelete;
    use synapscale_store::orm as sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "workflows")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        pub title: String,
        pub description: String,
        pub status: String,
        pub version: i64,
        pub execution_timeout: i64,
        #[sea_orm(column_type = "JsonBinary")]
        pub retry_policy: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub metadata: Json,
        pub graph_id: Option<Uuid>,
        pub publisher_kind: Option<String>,
        pub publisher_id: Option<Uuid>,
        pub revision: i64,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        pub created_by: Option<Uuid>,
        pub deleted_at: Option<DateTimeUtc>,
        pub delete_group: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl super::Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }

    impl SoftDelete for Entity {
        fn deleted_at() -> Column {
            Column::DeletedAt
        }

        fn delete_group() -> Column {
            Column::DeleteGroup
        }

        fn revision() -> Column {
            Column::Revision
        }
    }
}

/// One immutable version of a workflow.
pub mod version {
    use sea_orm::entity::prelude::*;
    use synapscale_store::orm as sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "workflow_versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub workflow_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        pub graph_id: Uuid,
        #[sea_orm(column_type = "JsonBinary")]
        pub file: Json,
        pub publisher_kind: String,
        pub publisher_id: Uuid,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl super::Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }
}

/// The URL of a webhook trigger. Found by the digest of its token, before anybody knows the tenant.
pub mod hook {
    use sea_orm::entity::prelude::*;
    use synapscale_store::orm as sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hooks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub workflow_id: Uuid,
        pub node: String,
        pub token_hash: Vec<u8>,
        pub token_sealed: String,
        pub scheme: String,
        pub secret_sealed: Option<String>,
        pub previous_sealed: Option<String>,
        pub previous_until: Option<DateTimeUtc>,
        pub dedupe_hours: i64,
        pub responds: bool,
        pub active: bool,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl super::Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }
}

/// What a hook has seen, so that a repetition is recognised.
pub mod delivery {
    use sea_orm::entity::prelude::*;
    use synapscale_store::orm as sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "hook_deliveries")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub hook_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub dedupe_key: String,
        pub run_id: Uuid,
        pub at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl super::Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }
}

tenant_entity!(
    /// A schedule of a workflow's current version.
    schedule, "schedules", [id: Uuid], {
    workflow_id: Uuid,
    node: String,
    cron: String,
    timezone: String,
    missed: String,
    next_at: Option<DateTimeUtc>,
    last_at: Option<DateTimeUtc>,
    last_run_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    failure: Option<Json>,
    active: bool,
    created_at: DateTimeUtc,
});

tenant_entity!(
    /// An event trigger of a workflow's current version, and how far in the log it is.
    event_trigger, "event_triggers", [id: Uuid], {
    workflow_id: Uuid,
    node: String,
    #[sea_orm(column_type = "JsonBinary")]
    kinds: Json,
    filter: Option<String>,
    place: Option<String>,
    last_at: Option<DateTimeUtc>,
    last_run_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    failure: Option<Json>,
    active: bool,
    created_at: DateTimeUtc,
});

/// What `db check` compares with the live schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(workflow::Entity),
        EntitySpec::of(version::Entity),
        EntitySpec::of(hook::Entity),
        EntitySpec::of(delivery::Entity),
        EntitySpec::of(schedule::Entity),
        EntitySpec::of(event_trigger::Entity),
    ]
}
