//! `usage.*`: what model calls took and cost.

use crate::service::usage::query::{self, GroupBy};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_ops::{Method, Operation};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all() -> Vec<Operation> {
    vec![list(), summary()]
}

/// Which rows to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUsage {
    /// Only calls by this route.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub route: Option<String>,
    /// Only attempts at this provider.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    /// Only attempts at this model.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub model: Option<String>,
    /// Only calls of this run.
    #[serde(default)]
    pub run_id: Option<Uuid>,
    /// Only what began at or after this time.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// Only what began before this time.
    #[serde(default)]
    pub to: Option<DateTime<Utc>>,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list() -> Operation {
    Operation::read("usage.list", "List usage of models")
        .about("Lists the attempts of model calls, newest first: tokens, cost, time and outcome. A call that failed over has several. A row appears within a second of its attempt's end.")
        .permission("usage:read")
        .rest(Method::GET, "/usage")
        .one_statement()
        .handle(|tx: Tx, input: Arc<ListUsage>| async move { query::list(&tx, &input).await })
}

/// What to sum.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummariseUsage {
    /// What to group by.
    pub by: GroupBy,
    /// Only what began at or after this time.
    #[serde(default)]
    pub from: Option<DateTime<Utc>>,
    /// Only what began before this time.
    #[serde(default)]
    pub to: Option<DateTime<Utc>>,
}

fn summary() -> Operation {
    Operation::read("usage.summary", "Sum up usage of models")
        .about("Sums attempts, tokens and known cost of model calls by day, route, model or provider. What is not known is not in the sums; unknown_costs counts it.")
        .permission("usage:read")
        .rest(Method::GET, "/usage/summary")
        .one_statement()
        .handle(|tx: Tx, input: Arc<SummariseUsage>| async move { query::summary(&tx, &input).await })
}
