//! The store on both databases.

mod archive;
mod cache;
mod chain;
mod direct;
mod events;
mod load;
#[macro_use]
mod groups;
mod model;
mod schema;
mod streams;
mod tail;
mod tenancy;
mod transactions;
mod upkeep;

use sea_orm::entity::prelude::*;
use synapscale_core::{Actor, Channel, Clock, Ctx, Grants, Origin, PermissionSet, TenantId, new_id};
use synapscale_store::schema::{Table, integer, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Migrations, SoftDelete, Store, Tenanted, Tx};
use synapscale_testkit::TestDb;

/// A table of the tests' own.
pub mod note {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub text: String,
        pub revision: i64,
        pub deleted_at: Option<DateTimeUtc>,
        pub delete_group: Option<Uuid>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl Tenanted for note::Entity {
    fn tenant_column() -> note::Column {
        note::Column::TenantId
    }
}

impl SoftDelete for note::Entity {
    fn deleted_at() -> note::Column {
        note::Column::DeletedAt
    }
    fn delete_group() -> note::Column {
        note::Column::DeleteGroup
    }
    fn revision() -> note::Column {
        note::Column::Revision
    }
}

pub fn migrations() -> Migrations {
    Migrations::new([note_migration()])
}

pub fn note_migration() -> Migration {
    Migration::new("test_0001_notes").create(
        Table::tenant(
            "notes",
            [
                uuid("id"),
                text("text").max(100),
                integer("revision").default("1"),
                timestamp("deleted_at").null(),
                uuid("delete_group").null(),
            ],
        )
        .index("notes_by_text", &["text"]),
    )
}

pub fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(note::Entity)]
}

pub async fn open(db: &TestDb) -> Store {
    db.open(&migrations(), &entities()).await
}

/// Somebody who may do everything in a new workspace.
pub fn somebody() -> Ctx {
    let grants = Grants::of(PermissionSet::all());
    let tenant = TenantId(new_id());
    Ctx::authenticated(
        tenant,
        Actor::user(new_id()),
        grants,
        Origin::of(Channel::Rest),
        Clock::system(),
    )
}

pub async fn add_note(tx: &Tx, text: &str) -> synapscale_core::Result<Uuid> {
    let id = new_id();
    tx.insert::<note::Entity>(note::Model {
        tenant_id: Uuid::nil(),
        id,
        text: text.to_owned(),
        revision: 1,
        deleted_at: None,
        delete_group: None,
    })
    .await?;
    Ok(id)
}

pub async fn texts(store: &Store, ctx: &Ctx) -> Vec<String> {
    use synapscale_store::Scoped;
    let notes = store
        .read(
            ctx,
            |tx| async move { tx.find_live::<note::Entity>().rows(&tx).await },
        )
        .await;
    let mut texts: Vec<_> = notes.expect("read").into_iter().map(|note| note.text).collect();
    texts.sort();
    texts
}
