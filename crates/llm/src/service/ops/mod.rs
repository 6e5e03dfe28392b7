//! The operations of the model service.

mod chat;
mod providers;
mod routes;
mod usage;

pub(crate) use providers::{CreateProvider, UpdateProvider};
pub(crate) use routes::{CreateRoute, UpdateRoute};
pub(crate) use usage::{ListUsage, SummariseUsage};

use crate::service::Models;
use synapscale_ops::Operation;

/// All of them, in the order of lists and documents.
pub(crate) fn all(models: &Models) -> Vec<Operation> {
    let mut all = providers::all(models);
    all.extend(routes::all(models));
    all.push(chat::chat(models.clone()));
    all.extend(usage::all());
    all
}
