//! SQL on two databases behind one pair of doors: [`Store::read`] and [`Store::write`].
//!
//! Every transaction carries a [`Ctx`](synapscale_core::Ctx) and sees only its tenant; events are appended in the
//! writer's own transaction; SQLite commits in groups, PostgreSQL under forced row security.

mod blobs;
mod cache;
mod check;
mod config;
mod dialect;
mod entity;
mod errors;
pub mod events;
mod lanes;
mod migrate;
mod owner;
mod postgres;
mod redis;
pub mod schema;
mod scoped;
mod secrets;
mod soft_delete;
mod sqlite;
mod statement;
mod store;
mod turnstile;
mod tx;

pub use blobs::{BLOB_THRESHOLD_BYTES, BlobRef};
pub use cache::{Cache, CacheSpec};
pub use check::{Drift, EntitySpec, own_entities};
pub use config::{DatabaseUrl, StoreConfig};
pub use dialect::Backend;
pub use errors::IntoCore;
pub use migrate::{Migration, MigrationState, Migrations};
pub use redis::{Redis, Relay};
pub use scoped::{Scoped, Tenanted};
pub use secrets::{MasterKey, Sealed, SecretBox, SecretError};
pub use soft_delete::{DeleteGroup, SoftDelete};
pub use statement::StatementObserver;
pub use store::{Health, Store};
pub use tx::Tx;

/// What modules use of the ORM, so that they name one version of it.
pub mod orm {
    pub use sea_orm::*;
}
