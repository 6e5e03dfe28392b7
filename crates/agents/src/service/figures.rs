//! An agent's figures: added to when a run ends, summed when somebody looks.

use crate::entity::figure;
use crate::migration::SHARDS;
use crate::view::PerformanceMetrics;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use synapscale_core::{Error, Result, new_id};
use synapscale_store::orm::sea_query::{Alias, Expr, ExprTrait, Query, SimpleExpr};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Tenanted, Tx};
use uuid::Uuid;

/// Most that one run adds to a figure: what a provider tells of itself must not overflow a sum.
const MOST: i64 = 1_000_000_000_000_000;

/// How a run of an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With an answer.
    Succeeded,
    /// With an error.
    Failed,
    /// By a limit or by a person.
    Stopped,
}

/// What a run adds to its agent's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How it ended.
    pub outcome: Outcome,
    /// Calls of the model.
    pub turns: u64,
    /// Calls of tools.
    pub tool_calls: u64,
    /// Those that failed.
    pub tool_errors: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What it cost, in nano-USD, if that is known.
    pub cost_nano_usd: Option<i64>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Adds a run to the figures of its agent. Not idempotent: to be called in the transaction in which the run's end is kept.
///
/// # Errors
/// When the database fails.
pub async fn count(tx: &Tx, agent_id: Uuid, counted: Counted) -> Result<()> {
    let row = row(tx, agent_id, &counted);
    if add(tx, &row).await? || tx.insert_new::<figure::Entity>(row.clone()).await? {
        return Ok(());
    }
    // Another run made the row in between, and has committed: inserting waited for it.
    match add(tx, &row).await? {
        true => Ok(()),
        false => Err(Error::internal("the figures of an agent can be neither made nor added to").transient()),
    }
}

fn row(tx: &Tx, agent_id: Uuid, counted: &Counted) -> figure::Model {
    let bounded = |value: u64| Ord::min(i64::try_from(value).unwrap_or(MOST), MOST);
    let is = |outcome: Outcome| i64::from(counted.outcome == outcome);
    // The last bytes of an id are random.
    let [.., last] = new_id().into_bytes();
    figure::Model {
        tenant_id: tx.ctx().tenant().0,
        agent_id,
        shard: i64::from(last % SHARDS),
        runs: 1,
        succeeded: is(Outcome::Succeeded),
        failed: is(Outcome::Failed),
        stopped: is(Outcome::Stopped),
        turns: bounded(counted.turns),
        tool_calls: bounded(counted.tool_calls),
        tool_errors: bounded(counted.tool_errors),
        input_tokens: bounded(counted.input_tokens),
        output_tokens: bounded(counted.output_tokens),
        cost_nano_usd: counted.cost_nano_usd.unwrap_or_default().clamp(0, MOST),
        ms: bounded(counted.ms),
        last_run_at: tx.ctx().clock().now(),
    }
}

/// Adds to the shard's row, if it is there.
async fn add(tx: &Tx, row: &figure::Model) -> Result<bool> {
    use figure::Column;
    let sums = [
        (Column::Runs, row.runs),
        (Column::Succeeded, row.succeeded),
        (Column::Failed, row.failed),
        (Column::Stopped, row.stopped),
        (Column::Turns, row.turns),
        (Column::ToolCalls, row.tool_calls),
        (Column::ToolErrors, row.tool_errors),
        (Column::InputTokens, row.input_tokens),
        (Column::OutputTokens, row.output_tokens),
        (Column::CostNanoUsd, row.cost_nano_usd),
        (Column::Ms, row.ms),
    ];
    let mut update = tx
        .update::<figure::Entity>()
        .col_expr(Column::LastRunAt, Expr::val(row.last_run_at))
        .filter(Column::AgentId.eq(row.agent_id))
        .filter(Column::Shard.eq(row.shard));
    for (column, more) in sums {
        update = update.col_expr(column, Expr::col(column).add(more));
    }
    Ok(tx.run_update(update).await? > 0)
}

/// A sum as a 64-bit integer: PostgreSQL would answer a numeric.
fn sum(column: figure::Column) -> SimpleExpr {
    Expr::col(column).sum().cast_as(Alias::new("bigint"))
}

/// The sums of these agents; one that never ran is left out.
///
/// # Errors
/// When the database fails.
pub async fn sums(tx: &Tx, agents: &[Uuid]) -> Result<HashMap<Uuid, PerformanceMetrics>> {
    use figure::Column;
    if agents.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = Query::select();
    query
        .from(figure::Entity)
        .and_where(figure::Entity::tenant_column().eq(tx.ctx().tenant().0))
        .and_where(Column::AgentId.is_in(agents.iter().copied()))
        .column(Column::AgentId)
        .add_group_by([Expr::col(Column::AgentId)]);
    for column in [
        Column::Runs,
        Column::Succeeded,
        Column::Failed,
        Column::Stopped,
        Column::Turns,
        Column::ToolCalls,
        Column::ToolErrors,
        Column::InputTokens,
        Column::OutputTokens,
        Column::CostNanoUsd,
        Column::Ms,
    ] {
        query.expr(sum(column));
    }
    query.expr(Expr::col(Column::LastRunAt).max());
    let rows = tx
        .query_by(&query, |row| {
            let id: Uuid = row.try_get_by_index(0)?;
            let runs: i64 = row.try_get_by_index(1)?;
            let ms: i64 = row.try_get_by_index(11)?;
            let last: Option<DateTime<Utc>> = row.try_get_by_index(12)?;
            let metrics = PerformanceMetrics {
                runs,
                succeeded: row.try_get_by_index(2)?,
                failed: row.try_get_by_index(3)?,
                stopped: row.try_get_by_index(4)?,
                turns: row.try_get_by_index(5)?,
                tool_calls: row.try_get_by_index(6)?,
                tool_errors: row.try_get_by_index(7)?,
                input_tokens: row.try_get_by_index(8)?,
                output_tokens: row.try_get_by_index(9)?,
                cost_nano_usd: row.try_get_by_index(10)?,
                mean_ms: ms.checked_div(runs),
                last_run_at: last,
            };
            Ok((id, metrics))
        })
        .await?;
    Ok(rows.into_iter().collect())
}
