//! Blobs: values too large for a row of the journal, sealed, kept beside it and written in the same transaction.

use crate::errors::IntoCore;
use crate::migrate::Migration;
use crate::schema::{Table, bytes, integer, text, timestamp, uuid};
use crate::scoped::{Scoped, Tenanted};
use crate::tx::Tx;
use aws_lc_rs::digest;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, Result, new_id};

/// Values above this size go to a blob, in bytes.
pub const BLOB_THRESHOLD_BYTES: usize = 64 * 1024;
/// The largest blob, in bytes.
const BLOB_MAX_BYTES: usize = 32 * 1024 * 1024;
const PURPOSE: &str = "blob";

mod entity {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "blobs")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub media_type: String,
        pub size_bytes: i64,
        pub sha256: Vec<u8>,
        pub sealed: Vec<u8>,
        pub created_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl Tenanted for Entity {
        fn tenant_column() -> Column {
            Column::TenantId
        }
    }
}

pub(crate) use entity::Entity as BlobEntity;

pub(crate) fn migration() -> Migration {
    Migration::new("store_0002_blobs").create(Table::tenant(
        "blobs",
        [
            uuid("id"),
            text("media_type"),
            integer("size_bytes"),
            bytes("sha256"),
            bytes("sealed"),
            timestamp("created_at"),
        ],
    ))
}

/// Names a blob from the row that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The blob's id.
    #[serde(rename = "$blob")]
    pub id: Uuid,
    /// Its size before sealing, in bytes.
    pub size: u64,
}

impl Tx {
    /// Keeps `content` as a blob of this tenant, in this transaction.
    ///
    /// # Errors
    /// `too_large` above 32 MiB.
    pub async fn put_blob(&self, media_type: &str, content: &[u8]) -> Result<BlobRef> {
        if content.len() > BLOB_MAX_BYTES {
            return Err(Error::too_large("value", "32 MiB"));
        }
        let id = new_id();
        let sealed = self
            .shared()
            .secrets
            .seal_bytes(self.ctx().tenant(), PURPOSE, content)?;
        let size = content.len() as u64;
        self.insert::<entity::Entity>(entity::Model {
            tenant_id: self.ctx().tenant().0,
            id,
            media_type: media_type.to_owned(),
            size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
            sha256: digest::digest(&digest::SHA256, content).as_ref().to_vec(),
            sealed,
            created_at: self.ctx().clock().now(),
        })
        .await?;
        Ok(BlobRef { id, size })
    }

    /// Reads a blob of this tenant.
    ///
    /// # Errors
    /// `not_found`; `secret_unreadable` when the master key changed.
    pub async fn get_blob(&self, id: Uuid) -> Result<Vec<u8>> {
        let row = self
            .find::<entity::Entity>()
            .filter(entity::Column::Id.eq(id))
            .row(self)
            .await?
            .ok_or_else(|| Error::not_found("blob"))?;
        let plain = self
            .shared()
            .secrets
            .open_bytes(self.ctx().tenant(), PURPOSE, &row.sealed)
            .map_err(Error::from)?;
        Ok(plain.to_vec())
    }

    /// Deletes blobs of this tenant, with the rows that owned them. One that is not there is no fault.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_blobs(&self, ids: &[Uuid]) -> Result<()> {
        let gone = self
            .delete::<entity::Entity>()
            .filter(entity::Column::Id.is_in(ids.iter().copied()));
        self.run_delete(gone).await.map(|_| ())
    }
}

/// The smallest statement that reaches the database.
pub(crate) async fn touch(tx: &Tx) -> Result<()> {
    let one = sea_query::Query::select()
        .expr(sea_query::Expr::val(1))
        .to_owned();
    let statement = tx.get_database_backend().build(&one);
    tx.query_one_raw(statement)
        .await
        .map(|_| ())
        .map_err(IntoCore::into_core)
}
