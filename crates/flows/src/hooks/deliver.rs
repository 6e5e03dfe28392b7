//! `hooks.deliver`: a delivery that was checked becomes a run, once. One transaction holds the run, its first burst and
//! the keys by which a repetition is recognised.

use crate::entity::delivery;
use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Actor, Ctx, Error, Result};
use synapscale_engine::{Engine, NewRun, Started, WorkflowRef};
use synapscale_ops::{Operation, Outcome};
use synapscale_store::orm::sea_query::{Expr, OnConflict, Query};
use synapscale_store::orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder};
use synapscale_store::{IntoCore, Scoped, Store, Tx};
use uuid::Uuid;

/// The code of the error that undoes a repetition; the caller then looks for the first run.
pub(crate) const REPEATED: &str = "delivery_repeated";
/// The operation's name.
pub(crate) const DELIVER: &str = "hooks.deliver";
/// Its permission; only the contexts of deliveries have it.
pub(crate) const PERMISSION: &str = "hooks:deliver";

/// A delivery that passed its scheme. Everything but `input` comes from the hook's own row.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    /// The hook.
    pub hook_id: Uuid,
    /// The workflow and its current version.
    pub workflow: WorkflowRef,
    /// That version's graph.
    pub graph_id: Uuid,
    /// The trigger node.
    pub node: String,
    /// As whom the run runs.
    pub publisher: Actor,
    /// Keys by which a repetition is recognised.
    pub dedupe_keys: Vec<String>,
    /// For how many hours they count.
    pub dedupe_hours: i64,
    /// What the run sees.
    #[serde(default)]
    pub input: Value,
}

/// The operation. No face serves it; the hook's route calls it through the gate.
pub(crate) fn operation(flows: crate::Flows) -> Operation {
    Operation::write(DELIVER, "Deliver to a hook")
        .about("Starts a run for a webhook delivery whose sender was checked, unless the same delivery came before.")
        .permission(PERMISSION)
        .internal()
        .handle(move |tx: Tx, delivery: Arc<Delivery>| {
            let flows = flows.clone();
            async move { start(flows.engine()?, &tx, &delivery).await.map(Outcome::Done) }
        })
}

/// Starts the run first and stores its keys after, with its id in them: one statement more than the run itself. A
/// repetition fails there, and the whole transaction with it, so that nothing of the second run was ever there.
async fn start(engine: &Engine, tx: &Tx, delivery: &Delivery) -> Result<Started> {
    let run = NewRun {
        id: None,
        graph_id: delivery.graph_id,
        trigger: delivery.node.clone(),
        input: delivery.input.clone(),
        workflow: Some(delivery.workflow.clone()),
        principal: delivery.publisher,
        on_behalf_of: None,
        priority: 0,
        correlation: Some(tx.ctx().correlation()),
        private_to: None,
        parent: None,
        cause: None,
    };
    let started = engine.start(tx, run).await?;
    if remember(tx, delivery, started.run_id).await? {
        Ok(started)
    } else {
        Err(Error::conflict(REPEATED, "This delivery came before."))
    }
}

/// Stores the keys; false when one of them is known and still counts. Keys that no longer count are taken over.
async fn remember(tx: &Tx, delivery: &Delivery, run_id: Uuid) -> Result<bool> {
    use delivery::Column;
    let mut keys = delivery.dedupe_keys.clone();
    if keys.is_empty() {
        return Ok(true);
    }
    // Two deliveries with the same keys must wait for one another, not both.
    keys.sort();
    keys.dedup();
    let now = tx.ctx().clock().now();
    let mut insert = Query::insert();
    insert.into_table(delivery::Entity).columns([
        Column::TenantId,
        Column::HookId,
        Column::DedupeKey,
        Column::RunId,
        Column::At,
    ]);
    for key in &keys {
        let row = [
            tx.tenant_value(),
            Expr::val(delivery.hook_id),
            Expr::val(key.as_str()),
            Expr::val(run_id),
            Expr::val(now),
        ];
        insert.values(row).map_err(Error::internal)?;
    }
    let mut known = OnConflict::columns([Column::TenantId, Column::HookId, Column::DedupeKey]);
    known.update_columns([Column::RunId, Column::At]);
    known.action_and_where(Column::At.lt(cutoff(now, delivery.dedupe_hours)));
    insert.on_conflict(known);
    let done = tx.execute(&insert).await.map_err(IntoCore::into_core)?;
    Ok(done.rows_affected() == keys.len() as u64)
}

fn cutoff(now: DateTime<Utc>, hours: i64) -> DateTime<Utc> {
    now - Duration::hours(hours.clamp(1, crate::file::MAX_DEDUPE_HOURS))
}

/// The run of the delivery that came first.
///
/// # Errors
/// `delivery_unclear` when its keys stopped counting in this very moment: the sender tries again.
pub(crate) async fn first_run(store: &Store, ctx: &Ctx, delivery: &Delivery) -> Result<Uuid> {
    use delivery::Column;
    let since = cutoff(store.clock().now(), delivery.dedupe_hours);
    let found = store.read(ctx, move |tx| async move {
        let keys = delivery.dedupe_keys.iter().map(String::as_str);
        let query = tx
            .find::<delivery::Entity>()
            .filter(Column::HookId.eq(delivery.hook_id));
        let query = query
            .filter(Column::DedupeKey.is_in(keys))
            .filter(Column::At.gte(since));
        query.order_by_asc(Column::At).row(&tx).await
    });
    let row = found.await?;
    row.map(|row| row.run_id)
        .ok_or_else(|| Error::unavailable("delivery_unclear", "Send this delivery again."))
}
