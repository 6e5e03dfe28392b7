//! Usage, read: the rows page by page, and sums by one statement.

use crate::service::entity::usage;
use crate::service::ops::{ListUsage, SummariseUsage};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::Result;
use synapscale_ops::{Page, page};
use synapscale_store::orm::sea_query::{Alias, CaseStatement, Expr, ExprTrait, Query, SimpleExpr};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tenanted, Tx};
use uuid::Uuid;

/// Most groups of a summary.
const MOST_GROUPS: u64 = 1000;

/// One attempt of a model call. What the provider did not tell is null, never nought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageView {
    /// Its id.
    pub id: Uuid,
    /// When it began.
    pub at: DateTime<Utc>,
    /// The route's alias; null for calls that named provider and model.
    pub route: Option<String>,
    /// The provider's name at that time.
    pub provider: String,
    /// The model, in the provider's words.
    pub model: String,
    /// The deployment's id.
    pub deployment: String,
    /// The run that made the call.
    pub run_id: Option<Uuid>,
    /// What kind of actor called.
    pub actor_kind: String,
    /// Which one.
    pub actor_id: Uuid,
    /// Which attempt of the call it was, from one.
    pub attempt: i64,
    /// `ok`, or the word of the failure.
    pub outcome: String,
    /// The HTTP status of a failure, where there was one.
    pub status_code: Option<i64>,
    /// Tokens read.
    pub input_tokens: Option<i64>,
    /// Tokens written.
    pub output_tokens: Option<i64>,
    /// The share of those read that came from the provider's cache.
    pub cached_tokens: Option<i64>,
    /// The share of those written that was reasoning.
    pub reasoning_tokens: Option<i64>,
    /// What it cost, in nano-USD.
    pub cost_nano_usd: Option<i64>,
    /// When the first token came, in milliseconds; streams only.
    pub first_token_ms: Option<i64>,
    /// How long it took, in milliseconds.
    pub total_ms: i64,
}

impl From<usage::Model> for UsageView {
    fn from(row: usage::Model) -> Self {
        UsageView {
            id: row.id,
            at: row.at,
            route: row.route,
            provider: row.provider,
            model: row.model,
            deployment: row.deployment,
            run_id: row.run_id,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            attempt: row.attempt,
            outcome: row.outcome,
            status_code: row.status_code,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cached_tokens: row.cached_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cost_nano_usd: row.cost_nano_usd,
            first_token_ms: row.first_token_ms,
            total_ms: row.total_ms,
        }
    }
}

/// What a summary groups by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// The day, in UTC.
    Day,
    /// The route.
    Route,
    /// The model, with its provider.
    Model,
    /// The provider.
    Provider,
}

impl GroupBy {
    fn columns(self) -> &'static [usage::Column] {
        match self {
            GroupBy::Day => &[usage::Column::Day],
            GroupBy::Route => &[usage::Column::Route],
            GroupBy::Model => &[usage::Column::Provider, usage::Column::Model],
            GroupBy::Provider => &[usage::Column::Provider],
        }
    }
}

/// The sums of one group. A sum is null when nothing in the group was known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageSum {
    /// The day, route, model (`provider/model`) or provider; null for calls by no route.
    pub key: Option<String>,
    /// Attempts, those that failed too.
    pub attempts: i64,
    /// Attempts that failed.
    pub failed: i64,
    /// Tokens read.
    pub input_tokens: Option<i64>,
    /// Tokens written.
    pub output_tokens: Option<i64>,
    /// Tokens read from the providers' caches.
    pub cached_tokens: Option<i64>,
    /// Tokens of reasoning.
    pub reasoning_tokens: Option<i64>,
    /// What is known of the cost, in nano-USD.
    pub cost_nano_usd: Option<i64>,
    /// Attempts that succeeded and whose cost is not known: they are not in the sum.
    pub unknown_costs: i64,
}

/// A summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageSummary {
    /// The groups: days in order, others by their key, calls by no route first.
    pub items: Vec<UsageSum>,
    /// Whether there were more groups than are told (1,000).
    pub truncated: bool,
}

/// The rows, newest first.
///
/// # Errors
/// `cursor`.
pub(crate) async fn list(tx: &Tx, input: &ListUsage) -> Result<Page<UsageView>> {
    use usage::Column;
    let limit = page::limit(input.limit);
    let mut query = tx.find::<usage::Entity>();
    let texts = [
        (Column::Route, &input.route),
        (Column::Provider, &input.provider),
        (Column::Model, &input.model),
    ];
    for (column, text) in texts {
        if let Some(text) = text {
            query = query.filter(column.eq(text.as_str()));
        }
    }
    if let Some(run_id) = input.run_id {
        query = query.filter(Column::RunId.eq(run_id));
    }
    if let Some(from) = input.from {
        query = query.filter(Column::At.gte(from));
    }
    if let Some(to) = input.to {
        query = query.filter(Column::At.lt(to));
    }
    // Ids are made in order of time.
    if let Some(before) = page::decode_opt::<Uuid>(input.cursor.as_deref())? {
        query = query.filter(Column::Id.lt(before));
    }
    let rows = query.order_by_desc(Column::Id).limit(limit + 1).rows(tx).await?;
    Ok(Page::cut(rows, limit, |row| row.id)?.map(UsageView::from))
}

fn column(column: usage::Column) -> SimpleExpr {
    Expr::col((usage::Entity, column))
}

/// A sum as a 64-bit integer: PostgreSQL would answer a numeric.
fn sum(of: SimpleExpr) -> SimpleExpr {
    of.sum().cast_as(Alias::new("bigint"))
}

/// The attempts for which this holds.
fn count_if(holds: SimpleExpr) -> SimpleExpr {
    sum(CaseStatement::new().case(holds, 1_i64).finally(0_i64).into())
}

/// Sums by group.
///
/// # Errors
/// When the database fails.
pub(crate) async fn summary(tx: &Tx, input: &SummariseUsage) -> Result<UsageSummary> {
    use usage::Column;
    let mut query = Query::select();
    query
        .from(usage::Entity)
        .and_where(usage::Entity::tenant_column().eq(tx.ctx().tenant().0));
    if let Some(from) = input.from {
        query.and_where(Column::At.gte(from));
    }
    if let Some(to) = input.to {
        query.and_where(Column::At.lt(to));
    }
    let keys = input.by.columns();
    for key in keys {
        query.expr(column(*key)).add_group_by([column(*key)]);
        query.order_by_expr(column(*key), synapscale_store::orm::Order::Asc);
    }
    let ok = || column(Column::Outcome).eq("ok");
    query
        .expr(column(Column::Id).count())
        .expr(count_if(column(Column::Outcome).ne("ok")))
        .expr(sum(column(Column::InputTokens)))
        .expr(sum(column(Column::OutputTokens)))
        .expr(sum(column(Column::CachedTokens)))
        .expr(sum(column(Column::ReasoningTokens)))
        .expr(sum(column(Column::CostNanoUsd)))
        .expr(count_if(ok().and(column(Column::CostNanoUsd).is_null())))
        .limit(MOST_GROUPS + 1);
    let at = keys.len();
    let mut items = tx
        .query_by(&query, |row| {
            let mut parts = Vec::with_capacity(at);
            for place in 0..at {
                parts.push(row.try_get_by_index::<Option<String>>(place)?);
            }
            Ok(UsageSum {
                key: parts
                    .into_iter()
                    .collect::<Option<Vec<_>>>()
                    .map(|parts| parts.join("/")),
                attempts: row.try_get_by_index(at)?,
                failed: row.try_get_by_index(at + 1)?,
                input_tokens: row.try_get_by_index(at + 2)?,
                output_tokens: row.try_get_by_index(at + 3)?,
                cached_tokens: row.try_get_by_index(at + 4)?,
                reasoning_tokens: row.try_get_by_index(at + 5)?,
                cost_nano_usd: row.try_get_by_index(at + 6)?,
                unknown_costs: row.try_get_by_index(at + 7)?,
            })
        })
        .await?;
    let most = usize::try_from(MOST_GROUPS).unwrap_or(usize::MAX);
    let truncated = items.len() > most;
    items.truncate(most);
    // The databases differ in where they put null and in how they compare letters.
    items.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(UsageSummary { items, truncated })
}
