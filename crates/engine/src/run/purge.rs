//! Old runs leave: journal, blobs, approvals and signals with them. What they told the event log stays there.

use crate::engine::Engine;
use crate::run::entity::{approval, journal, run, signal, start};
use crate::run::model::RunStatus;
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;
use synapscale_core::{Ctx, Result, TenantId};
use synapscale_store::orm::sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{BlobRef, Scoped, Tx};
use uuid::Uuid;

/// Most runs that leave in one turn; the rest is the next turn's.
const MOST: u64 = 1_000;
/// Rows of a journal that are looked through at once.
const ROWS: u64 = 200;
/// Blobs that are deleted by one statement.
const BLOBS: usize = 200;

impl Engine {
    /// Removes runs that ended longer ago than [`crate::EngineConfig::keep_runs`], of all workspaces, each in a
    /// transaction of its own; how many.
    ///
    /// # Errors
    /// When the database fails; what was removed until then is gone.
    pub async fn purge_runs(&self) -> Result<u64> {
        let ctx = Ctx::system(self.store().clock().clone());
        let keep = chrono::Duration::from_std(self.config().keep_runs).unwrap_or(chrono::Duration::days(90));
        let before = ctx.clock().now() - keep;
        let old = self
            .store()
            .read(&ctx, |tx| async move { old(&tx, before).await })
            .await?;
        self.store()
            .write(&ctx, |tx| async move { forget_starts(&tx).await })
            .await?;
        let mut gone = 0;
        for (tenant, id) in old {
            let own = ctx.system_in(tenant);
            gone += self
                .store()
                .write(&own, |tx| async move { remove(&tx, id, before).await })
                .await?;
        }
        Ok(gone)
    }
}

/// When runs began is of use for as long as the longest time that a rate may name.
async fn forget_starts(tx: &Tx) -> Result<()> {
    let old = tx.now().await? - Duration::days(3);
    let rows = tx
        .delete_as_system::<start::Entity>()?
        .filter(start::Column::At.lt(old));
    tx.run_delete(rows).await.map(drop)
}

async fn old(tx: &Tx, before: DateTime<Utc>) -> Result<Vec<(TenantId, Uuid)>> {
    let rows = tx
        .find_as_system::<run::Entity>()?
        .filter(run::Column::FinishedAt.lt(before))
        .filter(Expr::exists(unfinished_parent()).not())
        .order_by_asc(run::Column::FinishedAt)
        .limit(MOST)
        .rows(tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (TenantId(row.tenant_id), row.id))
        .collect())
}

/// The run that started this one and has not ended: a paused one has yet to hear what its child came to. One that has ended
/// stays so, and nothing more has to be looked at when the child goes.
fn unfinished_parent() -> SelectStatement {
    let parent = Alias::new("parent");
    let of = |column: run::Column| Expr::col((parent.clone(), column));
    let over = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
    let mut select = Query::select();
    select
        .expr(Expr::val(1))
        .from_as(run::Entity, parent.clone())
        .and_where(of(run::Column::TenantId).equals((run::Entity, run::Column::TenantId)))
        .and_where(of(run::Column::Id).equals((run::Entity, run::Column::ParentRunId)))
        .and_where(of(run::Column::Status).is_not_in(over.map(RunStatus::as_str)));
    select
}

async fn remove(tx: &Tx, id: Uuid, before: DateTime<Utc>) -> Result<u64> {
    let row = tx
        .find::<run::Entity>()
        .filter(run::Column::Id.eq(id))
        .filter(run::Column::FinishedAt.lt(before))
        .row(tx)
        .await?;
    // Another process was faster.
    let Some(row) = row else { return Ok(0) };
    let mut blobs: Vec<Uuid> = [Some(&row.input), row.output.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(blob)
        .collect();
    let mut last = 0;
    loop {
        let rows = tx
            .find::<journal::Entity>()
            .filter(journal::Column::RunId.eq(id))
            .filter(journal::Column::Seq.gt(last))
            .order_by_asc(journal::Column::Seq)
            .limit(ROWS)
            .rows(tx)
            .await?;
        let Some(end) = rows.last() else { break };
        last = end.seq;
        blobs.extend(rows.iter().filter_map(|row| blob(row.data.get("output")?)));
    }
    for some in blobs.chunks(BLOBS) {
        tx.delete_blobs(some).await?;
    }
    let rows = tx
        .delete::<journal::Entity>()
        .filter(journal::Column::RunId.eq(id));
    tx.run_delete(rows).await?;
    let asked = tx
        .delete::<approval::Entity>()
        .filter(approval::Column::RunId.eq(id));
    tx.run_delete(asked).await?;
    let signals = tx.delete::<signal::Entity>().filter(signal::Column::RunId.eq(id));
    tx.run_delete(signals).await?;
    let run = tx.delete::<run::Entity>().filter(run::Column::Id.eq(id));
    tx.run_delete(run).await
}

/// The blob that a stowed value names. A value that looks like one is always a blob itself, so nobody names another's.
fn blob(value: &Value) -> Option<Uuid> {
    value.get("$blob")?;
    serde_json::from_value::<BlobRef>(value.clone())
        .ok()
        .map(|blob| blob.id)
}
