//! The rows of projects, tasks and applied patch sets. They never leave this crate.

use synapscale_store::schema::{Table, integer, json, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, SoftDelete, Tenanted};

/// A task with as many ancestors as this is as deep as one may be.
pub(crate) const MAX_DEPTH: i64 = 5;

const PROJECT_STATUSES: &[&str] = &["planning", "active", "on_hold", "completed", "archived"];
const TASK_STATUSES: &[&str] = &["todo", "in_progress", "blocked", "done", "cancelled"];
const PRIORITIES: &[&str] = &["low", "medium", "high", "critical"];

/// Declares an entity that is deleted softly.
macro_rules! soft_entity {
    ($module:ident, $table:literal, { $($(#[$meta:meta])* $field:ident: $kind:ty,)* }) => {
        pub mod $module {
            use synapscale_store::orm as sea_orm;
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                #[sea_orm(primary_key, auto_increment = false)]
                pub tenant_id: Uuid,
                #[sea_orm(primary_key, auto_increment = false)]
                pub id: Uuid,
                $($(#[$meta])* pub $field: $kind,)*
                pub created_at: DateTimeUtc,
                pub updated_at: DateTimeUtc,
                pub created_by: String,
                pub revision: i64,
                pub deleted_at: Option<DateTimeUtc>,
                pub delete_group: Option<Uuid>,
            }

            impl Model {
                /// A row whose columns come in the order of [`Column::iter`].
                pub fn in_order(row: &sea_orm::QueryResult) -> Result<Self, DbErr> {
                    let mut place = 0..;
                    let mut next = || place.next().unwrap_or_default();
                    Ok(Model {
                        tenant_id: row.try_get_by_index(next())?,
                        id: row.try_get_by_index(next())?,
                        $($field: row.try_get_by_index(next())?,)*
                        created_at: row.try_get_by_index(next())?,
                        updated_at: row.try_get_by_index(next())?,
                        created_by: row.try_get_by_index(next())?,
                        revision: row.try_get_by_index(next())?,
                        deleted_at: row.try_get_by_index(next())?,
                        delete_group: row.try_get_by_index(next())?,
                    })
                }
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}

            impl super::Tenanted for Entity {
                fn tenant_column() -> Column {
                    Column::TenantId
                }
            }

            impl super::SoftDelete for Entity {
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
    };
}

soft_entity!(project, "projects", {
    name: String,
    description: Option<String>,
    status: String,
    priority: String,
    #[sea_orm(column_type = "JsonBinary")]
    tags: Json,
    #[sea_orm(column_type = "JsonBinary")]
    metadata: Json,
    #[sea_orm(column_type = "JsonBinary")]
    integration_ids: Json,
});

soft_entity!(task, "tasks", {
    project_id: Uuid,
    parent_id: Option<Uuid>,
    title: String,
    description: Option<String>,
    status: String,
    priority: String,
    priority_rank: i64,
    assignee: Option<String>,
    due_date: Option<DateTimeUtc>,
    estimated_minutes: Option<i64>,
    actual_minutes: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    tags: Json,
    #[sea_orm(column_type = "JsonBinary")]
    metadata: Json,
    #[sea_orm(column_type = "JsonBinary")]
    integration_ids: Json,
    depth: i64,
    blockers: i64,
    archived_at: Option<DateTimeUtc>,
    scheduled_date: Option<DateTimeUtc>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    recurrence: Option<Json>,
    indexed: i64,
    position: String,
    follows_id: Option<Uuid>,
});

/// An applied patch set with what undoes it.
pub mod patch_set {
    use sea_orm::entity::prelude::*;
    use synapscale_store::orm as sea_orm;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "patch_sets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[sea_orm(column_type = "JsonBinary")]
        pub patches: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub inverse: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub changes: Json,
        pub status: String,
        pub undo_of: Option<Uuid>,
        pub created_by: String,
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

pub(crate) fn migration() -> Migration {
    Migration::new("work_0001_projects_tasks")
        .create(
            Table::tenant(
                "projects",
                [
                    uuid("id"),
                    text("name").max(200),
                    text("description").null().max(20_000),
                    text("status").one_of(PROJECT_STATUSES).default("active"),
                    text("priority").one_of(PRIORITIES).default("medium"),
                    json("tags").default("[]"),
                    json("metadata").default("{}"),
                    json("integration_ids").default("{}"),
                    timestamp("created_at"),
                    timestamp("updated_at"),
                    text("created_by"),
                    integer("revision").default("1"),
                    timestamp("deleted_at").null(),
                    uuid("delete_group").null(),
                ],
            )
            .index("projects_by_time", &["created_at", "id"])
            .index("projects_by_delete_group", &["delete_group"]),
        )
        .create(tasks())
        .create(Table::tenant(
            "patch_sets",
            [
                uuid("id"),
                json("patches"),
                json("inverse"),
                json("changes"),
                text("status").one_of(&["applied", "undone"]),
                uuid("undo_of").null(),
                text("created_by"),
                timestamp("created_at"),
            ],
        ))
}

fn tasks() -> Table {
    Table::tenant(
        "tasks",
        [
            uuid("id"),
            uuid("project_id"),
            uuid("parent_id").null(),
            text("title").max(500),
            text("description").null().max(20_000),
            text("status").one_of(TASK_STATUSES).default("todo"),
            text("priority").one_of(PRIORITIES).default("medium"),
            integer("priority_rank").between(0, 3).default("1"),
            text("assignee").null().max(200),
            timestamp("due_date").null(),
            integer("estimated_minutes").null().between(0, 10_000_000),
            integer("actual_minutes").null().between(0, 10_000_000),
            json("tags").default("[]"),
            json("metadata").default("{}"),
            json("integration_ids").default("{}"),
            integer("depth").between(0, MAX_DEPTH).default("0"),
            timestamp("created_at"),
            timestamp("updated_at"),
            text("created_by"),
            integer("revision").default("1"),
            timestamp("deleted_at").null(),
            uuid("delete_group").null(),
        ],
    )
    .references("project_id", "projects")
    .references("parent_id", "tasks")
    .index("tasks_by_parent", &["parent_id"])
    .index("tasks_by_project", &["project_id", "created_at", "id"])
    .index("tasks_by_time", &["created_at", "id"])
    .index("tasks_by_due", &["due_date", "id"])
    .index("tasks_by_delete_group", &["delete_group"])
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(project::Entity),
        EntitySpec::of(task::Entity),
        EntitySpec::of(patch_set::Entity),
    ]
}
