//! The rows of triggers follow the current version of their workflow.

use crate::entity::{event_trigger, schedule};
use crate::file::{EventNode, ScheduleNode};
use synapscale_core::{Error, Result, new_id};
use synapscale_engine::schedule::Schedule;
use synapscale_store::events::EventFilter;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Makes the workflow's triggers those of its file. One that stays as it was goes on where it stood.
///
/// # Errors
/// `cron` or `time_zone` for a schedule that is none; database failures.
pub(crate) async fn sync(
    tx: &Tx,
    workflow_id: Uuid,
    schedules: &[ScheduleNode],
    events: &[EventNode],
) -> Result<()> {
    sync_schedules(tx, workflow_id, schedules).await?;
    sync_events(tx, workflow_id, events).await
}

/// Ends all triggers of a workflow.
pub(crate) async fn close_all(tx: &Tx, workflow_id: Uuid) -> Result<()> {
    sync(tx, workflow_id, &[], &[]).await
}

/// Those of `some` that have no like among `others`.
fn missing<'a, A, B>(
    some: &'a [A],
    others: &'a [B],
    is_same: impl Fn(&A, &B) -> bool,
) -> impl Iterator<Item = &'a A> {
    some.iter()
        .filter(move |one| !others.iter().any(|other| is_same(one, other)))
}

async fn sync_schedules(tx: &Tx, workflow_id: Uuid, wanted: &[ScheduleNode]) -> Result<()> {
    use schedule::Column;
    let query = tx
        .find::<schedule::Entity>()
        .filter(Column::WorkflowId.eq(workflow_id));
    let rows = query.filter(Column::Active.eq(true)).rows(tx).await?;
    let is_same = |row: &schedule::Model, node: &ScheduleNode| {
        row.node == node.node && row.cron == node.cron && row.timezone == node.timezone
    };
    for row in &rows {
        let stays = wanted.iter().find(|node| is_same(row, node));
        let update = tx.update::<schedule::Entity>();
        let update = match stays {
            Some(node) if node.missed == row.missed => continue,
            Some(node) => update.col_expr(Column::Missed, Expr::val(node.missed.clone())),
            None => update.col_expr(Column::Active, Expr::val(false)),
        };
        tx.run_update(update.filter(Column::Id.eq(row.id))).await?;
    }
    let now = tx.now().await?;
    for node in missing(wanted, &rows, |node, row| is_same(row, node)) {
        let parsed = Schedule::parse(&node.cron, &node.timezone).map_err(|error| {
            Error::invalid(
                format!("/nodes/{}/with/cron", node.node),
                "cron",
                error.to_string(),
            )
        })?;
        tx.insert::<schedule::Entity>(schedule::Model {
            tenant_id: tx.ctx().tenant().0,
            id: new_id(),
            workflow_id,
            node: node.node.clone(),
            cron: node.cron.clone(),
            timezone: node.timezone.clone(),
            missed: node.missed.clone(),
            next_at: parsed.next_after(now),
            last_at: None,
            last_run_id: None,
            failure: None,
            active: true,
            created_at: tx.ctx().clock().now(),
        })
        .await?;
    }
    Ok(())
}

async fn sync_events(tx: &Tx, workflow_id: Uuid, wanted: &[EventNode]) -> Result<()> {
    use event_trigger::Column;
    let query = tx
        .find::<event_trigger::Entity>()
        .filter(Column::WorkflowId.eq(workflow_id));
    let rows = query.filter(Column::Active.eq(true)).rows(tx).await?;
    let is_same = |row: &event_trigger::Model, node: &EventNode| {
        row.node == node.node && row.kinds == node.kinds && row.filter == node.filter
    };
    for row in missing(&rows, wanted, |row, node| is_same(row, node)) {
        let update = tx
            .update::<event_trigger::Entity>()
            .col_expr(Column::Active, Expr::val(false))
            .filter(Column::Id.eq(row.id));
        tx.run_update(update).await?;
    }
    for node in missing(wanted, &rows, |node, row| is_same(row, node)) {
        // What happened before is none of its business.
        let newest = tx.events(None, &EventFilter::default(), 1, true).await?;
        tx.insert::<event_trigger::Entity>(event_trigger::Model {
            tenant_id: tx.ctx().tenant().0,
            id: new_id(),
            workflow_id,
            node: node.node.clone(),
            kinds: node.kinds.clone(),
            filter: node.filter.clone(),
            place: newest.events.first().map(|event| event.cursor.to_string()),
            last_at: None,
            last_run_id: None,
            failure: None,
            active: true,
            created_at: tx.ctx().clock().now(),
        })
        .await?;
    }
    Ok(())
}
