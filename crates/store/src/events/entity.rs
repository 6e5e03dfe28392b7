//! The rows behind the event log. They never leave this crate.

use crate::errors::IntoCore;
use crate::scoped::{Scoped, Tenanted};
use crate::tx::Tx;
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, QueryFilter};
use synapscale_core::Result;

/// Declares an entity with no relations.
macro_rules! plain_entity {
    ($module:ident, $table:literal, { $($(#[$meta:meta])* $field:ident: $kind:ty,)* }) => {
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($(#[$meta])* pub $field: $kind,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

plain_entity!(log, "event_log", {
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    epoch: i64,
    system_identifier: String,
    floor: Option<String>,
    floor_link: i64,
});

plain_entity!(archive, "event_archives", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    unsealed: Option<Uuid>,
    link_from: i64,
    link_until: i64,
    first_epoch: i64,
    first_xid: i64,
    first_seq: i64,
    last_epoch: i64,
    last_xid: i64,
    last_seq: i64,
    events: i64,
    first_at: DateTimeUtc,
    last_at: DateTimeUtc,
    blob_id: Uuid,
    size_bytes: i64,
    sha256: Vec<u8>,
    created_at: DateTimeUtc,
});

plain_entity!(link, "audit_links", {
    #[sea_orm(primary_key, auto_increment = false)]
    number: i64,
    since: Option<String>,
    until: String,
    events: i64,
    hash: Vec<u8>,
    at: DateTimeUtc,
});

plain_entity!(group, "consumer_groups", {
    #[sea_orm(primary_key, auto_increment = false)]
    name: String,
    cursor: String,
    owner: Option<Uuid>,
    lease_epoch: i64,
    lease_until: Option<DateTimeUtc>,
    seen_at: Option<DateTimeUtc>,
});

plain_entity!(mark, "consumer_marks", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    consumer: String,
    #[sea_orm(primary_key, auto_increment = false)]
    event_id: Uuid,
    attempts: i64,
    error: Option<String>,
    at: DateTimeUtc,
});

plain_entity!(dead_letter, "dead_letters", {
    #[sea_orm(primary_key, auto_increment = false)]
    tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    id: Uuid,
    consumer: String,
    event_id: Uuid,
    kind: String,
    error: String,
    attempts: i64,
    at: DateTimeUtc,
    cursor: Option<String>,
    state: String,
    queued_at: Option<DateTimeUtc>,
});

/// The log. Its key is `seq` on SQLite and `(tenant_id, seq)` on PostgreSQL, whose partitions need the tenant.
pub mod event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub tenant_id: Uuid,
        pub id: Uuid,
        pub kind: String,
        pub version: i64,
        pub subject: String,
        pub actor_kind: String,
        pub actor_id: Uuid,
        pub principal_kind: Option<String>,
        pub principal_id: Option<Uuid>,
        pub channel: String,
        pub ip: Option<String>,
        #[sea_orm(column_type = "JsonBinary")]
        pub changes: Json,
        #[sea_orm(column_type = "JsonBinary")]
        pub data: Json,
        pub at: DateTimeUtc,
        pub correlation: Uuid,
        pub causation: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl Tenanted for event::Entity {
    fn tenant_column() -> event::Column {
        event::Column::TenantId
    }
}

impl Tenanted for mark::Entity {
    fn tenant_column() -> mark::Column {
        mark::Column::TenantId
    }
}

impl Tenanted for dead_letter::Entity {
    fn tenant_column() -> dead_letter::Column {
        dead_letter::Column::TenantId
    }
}

impl Tenanted for archive::Entity {
    fn tenant_column() -> archive::Column {
        archive::Column::TenantId
    }
}

/// Appends rows; the database numbers them.
#[allow(
    clippy::disallowed_methods,
    reason = "the number must stay unset, which tx.insert_all does not know"
)]
pub async fn append(tx: &Tx, rows: Vec<event::Model>) -> Result<()> {
    let rows = rows.into_iter().map(|row| {
        let mut active = row.into_active_model().reset_all();
        active.not_set(event::Column::Seq);
        active
    });
    event::Entity::insert_many(rows.collect::<Vec<_>>())
        .exec_without_returning(tx)
        .await
        .map(|_| ())
        .map_err(IntoCore::into_core)
}

/// The one row that names the log.
pub async fn log_row(tx: &Tx) -> Result<Option<log::Model>> {
    tx.find_as_system::<log::Entity>()?.row(tx).await
}

/// Stores a new epoch.
pub async fn update_log(tx: &Tx, row: &log::Model) -> Result<()> {
    use sea_orm::ColumnTrait;
    use sea_orm::sea_query::Expr;
    let update = tx
        .update_as_system::<log::Entity>()?
        .col_expr(log::Column::Epoch, Expr::val(row.epoch))
        .col_expr(
            log::Column::SystemIdentifier,
            Expr::val(row.system_identifier.clone()),
        )
        .filter(log::Column::Id.eq(row.id));
    tx.run_update(update).await.map(|_| ())
}

/// The consumer groups' rows, which every tenant may read.
#[allow(
    clippy::disallowed_methods,
    reason = "the table has no tenant and holds nothing of anybody's"
)]
pub fn groups() -> sea_orm::Select<group::Entity> {
    group::Entity::find()
}
