//! Usage: one row per attempt of a model call, from the call through one bounded channel to one batching writer; what the
//! database does not take at once waits on disk. See [`writer`] for what a crash may cost.

pub(crate) mod query;
pub(crate) mod spill;
#[cfg(test)]
mod tests;
pub mod writer;

use crate::route::Attempt;
use crate::service::entity::usage;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use synapscale_core::{Ctx, TenantId, new_id};
use uuid::Uuid;

/// One attempt, on its way into the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct UsageRow {
    pub tenant: TenantId,
    /// Made here, so that a row written twice is one row.
    pub id: Uuid,
    pub at: DateTime<Utc>,
    pub route: Option<String>,
    pub provider: String,
    pub model: String,
    pub deployment: String,
    pub run_id: Option<Uuid>,
    pub actor_kind: String,
    pub actor_id: Uuid,
    pub attempt: i64,
    /// `ok`, or the error's word.
    pub outcome: String,
    pub status_code: Option<i64>,
    pub input: Option<i64>,
    pub output: Option<i64>,
    pub cached: Option<i64>,
    pub reasoning: Option<i64>,
    pub cost: Option<i64>,
    pub first_token_ms: Option<i64>,
    pub total_ms: i64,
}

/// The most tokens of one attempt that are believed. What is beyond is nonsense, which would make every sum overflow.
const MOST_TOKENS: u64 = 1_000_000_000_000;
/// The same for its cost, in nano-USD: a million dollars.
const MOST_COST: u64 = 1_000_000_000_000_000;

/// What a provider says, as long as it can be true; else it is not known.
fn believed(number: Option<u64>, most: u64) -> Option<i64> {
    number
        .filter(|number| *number <= most)
        .and_then(|number| i64::try_from(number).ok())
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl UsageRow {
    /// The row of an attempt: the `number`th of its call, from one.
    pub fn of(ctx: &Ctx, attempt: &Attempt, number: i64, route: Option<&str>, provider: &str) -> Self {
        let (error, usage) = (attempt.error.as_ref(), &attempt.usage);
        UsageRow {
            tenant: ctx.tenant(),
            id: new_id(),
            at: attempt.started,
            route: route.map(str::to_owned),
            provider: provider.to_owned(),
            model: attempt.model.clone(),
            deployment: attempt.deployment.clone(),
            run_id: ctx.origin().run,
            actor_kind: ctx.actor().kind.as_str().to_owned(),
            actor_id: ctx.actor().id,
            attempt: number,
            outcome: error.map_or("ok", |error| error.word()).to_owned(),
            status_code: error.and_then(|error| error.status()).map(i64::from),
            input: believed(usage.input, MOST_TOKENS),
            output: believed(usage.output, MOST_TOKENS),
            cached: believed(usage.cached_input, MOST_TOKENS),
            reasoning: believed(usage.reasoning, MOST_TOKENS),
            cost: believed(attempt.cost.map(|cost| cost.nano_usd), MOST_COST),
            first_token_ms: attempt.first_token_ms.map(whole),
            total_ms: whole(attempt.total_ms),
        }
    }

    /// The row as the database has it.
    pub fn model(&self) -> usage::Model {
        usage::Model {
            tenant_id: self.tenant.0,
            id: self.id,
            at: self.at,
            day: self.at.format("%Y-%m-%d").to_string(),
            route: self.route.clone(),
            provider: self.provider.clone(),
            model: self.model.clone(),
            deployment: self.deployment.clone(),
            run_id: self.run_id,
            actor_kind: self.actor_kind.clone(),
            actor_id: self.actor_id,
            attempt: self.attempt,
            outcome: self.outcome.clone(),
            status_code: self.status_code,
            input_tokens: self.input,
            output_tokens: self.output,
            cached_tokens: self.cached,
            reasoning_tokens: self.reasoning,
            cost_nano_usd: self.cost,
            first_token_ms: self.first_token_ms,
            total_ms: self.total_ms,
        }
    }

    #[cfg(test)]
    pub fn sample(tenant: TenantId) -> Self {
        UsageRow {
            tenant,
            id: new_id(),
            at: DateTime::<Utc>::UNIX_EPOCH,
            route: None,
            provider: "p".to_owned(),
            model: "m".to_owned(),
            deployment: "d".to_owned(),
            run_id: None,
            actor_kind: "user".to_owned(),
            actor_id: new_id(),
            attempt: 1,
            outcome: "ok".to_owned(),
            status_code: None,
            input: Some(3),
            output: None,
            cached: None,
            reasoning: None,
            cost: None,
            first_token_ms: None,
            total_ms: 7,
        }
    }
}
