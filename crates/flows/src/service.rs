//! What happens to workflows: found, applied, changed, deleted. Every change raises the revision, is told to the log, and
//! makes this process forget what its hooks knew.

use crate::Flows;
use crate::entity::{version, workflow};
use crate::events::{WorkflowApplied, WorkflowDeleted, WorkflowUpdated};
use crate::file::Summary;
use crate::hooks::cache::HookCache;
use crate::hooks::manage;
use crate::triggers;
use crate::view::{AppliedWorkflow, WorkflowStatus, WorkflowView};
use serde_json::Value;
use synapscale_core::{Actor, ActorKind, Error, EventPayload, NewEvent, Result, diff, new_id};
use synapscale_store::orm::sea_query::{Expr, ExprTrait};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{DeleteGroup, Scoped, Tx};
use uuid::Uuid;

/// A file that compiled, on its way to a version.
pub(crate) struct Applying {
    pub name: String,
    pub file: Value,
    pub summary: Summary,
}

/// As whom a workflow's current version runs.
pub(crate) fn publisher(row: &workflow::Model) -> Option<Actor> {
    let kind = ActorKind::parse(row.publisher_kind.as_deref()?)?;
    Some(Actor {
        kind,
        id: row.publisher_id?,
    })
}

/// The living workflow of that name, if there is one.
pub(crate) async fn find_by_name(tx: &Tx, name: &str) -> Result<Option<workflow::Model>> {
    tx.find_live::<workflow::Entity>()
        .filter(workflow::Column::Name.eq(name))
        .row(tx)
        .await
}

/// The living workflow of that name.
///
/// # Errors
/// `not_found`.
pub(crate) async fn by_name(tx: &Tx, name: &str) -> Result<workflow::Model> {
    find_by_name(tx, name)
        .await?
        .ok_or_else(|| Error::not_found("workflow"))
}

/// One version of a workflow.
///
/// # Errors
/// `not_found`.
pub(crate) async fn version_of(tx: &Tx, workflow_id: Uuid, number: i64) -> Result<version::Model> {
    let query = tx
        .find::<version::Entity>()
        .filter(version::Column::WorkflowId.eq(workflow_id));
    let row = query.filter(version::Column::Version.eq(number)).row(tx).await?;
    row.ok_or_else(|| Error::not_found("version of this workflow"))
}

/// Refuses a change that was meant for another revision.
///
/// # Errors
/// `stale_revision`.
pub(crate) fn check_revision(expected: Option<i64>, found: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != found => Err(Error::stale("workflow", expected, found)),
        _ => Ok(()),
    }
}

/// Makes the file the workflow's current version, unless it is already.
///
/// # Errors
/// `invalid_graph`, `stale_revision`, or a database failure.
pub(crate) async fn apply(
    flows: &Flows,
    tx: &Tx,
    applying: &Applying,
    expected: Option<i64>,
) -> Result<AppliedWorkflow> {
    tx.lock(&format!("workflow/{}", applying.name)).await?;
    let before = find_by_name(tx, &applying.name).await?;
    // A revision that is expected of a workflow that is not there can only be another's.
    check_revision(expected, before.as_ref().map_or(0, |row| row.revision))?;
    let graph_id = flows.engine()?.put_graph(tx, &applying.file).await?;
    let (row, changed) = match before {
        None => (create(tx, applying, graph_id).await?, true),
        Some(row) if row.graph_id == Some(graph_id) => (row, false),
        Some(row) => (publish(tx, applying, row, graph_id).await?, true),
    };
    let wanted = &applying.summary;
    let hooks = manage::sync(tx, flows.secrets()?, row.id, &wanted.hooks, wanted.responds).await?;
    triggers::sync(tx, row.id, &wanted.schedules, &wanted.events).await?;
    forget_hooks(tx, flows.hook_cache());
    Ok(AppliedWorkflow {
        workflow: WorkflowView::from(&row),
        version: row.version,
        changed,
        hooks,
    })
}

async fn create(tx: &Tx, applying: &Applying, graph_id: Uuid) -> Result<workflow::Model> {
    let (now, actor) = (tx.ctx().clock().now(), tx.ctx().actor());
    let summary = &applying.summary;
    let row = workflow::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        name: applying.name.clone(),
        title: summary.title.clone(),
        description: summary.description.clone(),
        status: WorkflowStatus::Active.as_str().to_owned(),
        version: 1,
        execution_timeout: summary.execution_timeout,
        retry_policy: summary.retry_policy.clone(),
        metadata: Value::Object(Default::default()),
        graph_id: Some(graph_id),
        publisher_kind: Some(actor.kind.as_str().to_owned()),
        publisher_id: Some(actor.id),
        revision: 1,
        created_at: now,
        updated_at: now,
        created_by: Some(actor.id),
        deleted_at: None,
        delete_group: None,
    };
    tx.insert::<workflow::Entity>(row.clone()).await?;
    keep_version(tx, applying, &row, graph_id).await?;
    tell_applied(tx, Value::Null, &row, graph_id);
    Ok(row)
}

async fn publish(
    tx: &Tx,
    applying: &Applying,
    before: workflow::Model,
    graph_id: Uuid,
) -> Result<workflow::Model> {
    let (actor, summary) = (tx.ctx().actor(), &applying.summary);
    let mut row = before.clone();
    row.version += 1;
    row.graph_id = Some(graph_id);
    row.publisher_kind = Some(actor.kind.as_str().to_owned());
    row.publisher_id = Some(actor.id);
    row.title = summary.title.clone();
    row.description = summary.description.clone();
    row.execution_timeout = summary.execution_timeout;
    row.retry_policy = summary.retry_policy.clone();
    // Somebody who paused a workflow wants it paused, whatever the file says.
    if row.status == WorkflowStatus::Draft.as_str() {
        row.status = WorkflowStatus::Active.as_str().to_owned();
    }
    keep_version(tx, applying, &row, graph_id).await?;
    save(tx, &before, &mut row).await?;
    tell_applied(tx, as_json(&before), &row, graph_id);
    Ok(row)
}

async fn keep_version(tx: &Tx, applying: &Applying, row: &workflow::Model, graph_id: Uuid) -> Result<()> {
    let actor = tx.ctx().actor();
    tx.insert::<version::Entity>(version::Model {
        tenant_id: row.tenant_id,
        workflow_id: row.id,
        version: row.version,
        graph_id,
        file: applying.file.clone(),
        publisher_kind: actor.kind.as_str().to_owned(),
        publisher_id: actor.id,
        created_at: tx.ctx().clock().now(),
    })
    .await
}

fn tell_applied(tx: &Tx, before: Value, row: &workflow::Model, graph_id: Uuid) {
    tell(
        tx,
        before,
        row,
        &WorkflowApplied {
            name: row.name.clone(),
            version: row.version,
            graph_id,
        },
    );
}

fn tell<P: EventPayload>(tx: &Tx, before: Value, row: &workflow::Model, payload: &P) {
    tx.emit(NewEvent::new("workflow", row.id, payload).with_changes(diff(&before, &as_json(row))));
}

fn as_json(row: &workflow::Model) -> Value {
    // A view is a plain struct of ours.
    serde_json::to_value(WorkflowView::from(row)).unwrap_or_default()
}

/// Writes what `after` says over `before`, unless somebody was faster.
async fn save(tx: &Tx, before: &workflow::Model, after: &mut workflow::Model) -> Result<()> {
    use workflow::Column;
    after.revision = before.revision + 1;
    after.updated_at = tx.ctx().clock().now();
    let update = tx
        .update::<workflow::Entity>()
        .col_expr(Column::Title, Expr::val(after.title.clone()))
        .col_expr(Column::Description, Expr::val(after.description.clone()))
        .col_expr(Column::Status, Expr::val(after.status.clone()))
        .col_expr(Column::Version, Expr::val(after.version))
        .col_expr(Column::ExecutionTimeout, Expr::val(after.execution_timeout))
        .col_expr(Column::RetryPolicy, Expr::val(after.retry_policy.clone()))
        .col_expr(Column::Metadata, Expr::val(after.metadata.clone()))
        .col_expr(Column::GraphId, Expr::val(after.graph_id))
        .col_expr(Column::PublisherKind, Expr::val(after.publisher_kind.clone()))
        .col_expr(Column::PublisherId, Expr::val(after.publisher_id))
        .col_expr(Column::Revision, Expr::val(after.revision))
        .col_expr(Column::UpdatedAt, Expr::val(after.updated_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::Revision.eq(before.revision))
        .filter(Column::DeletedAt.is_null());
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(Error::stale("workflow", before.revision, before.revision + 1)),
    }
}

/// Changes the workflow's own fields by `change`; its graph stays.
///
/// # Errors
/// `not_found`, `stale_revision`, or what `change` refuses.
pub(crate) async fn update(
    cache: &HookCache,
    tx: &Tx,
    name: &str,
    expected: Option<i64>,
    change: impl FnOnce(&mut workflow::Model) -> Result<()>,
) -> Result<WorkflowView> {
    let before = by_name(tx, name).await?;
    check_revision(expected, before.revision)?;
    let mut row = before.clone();
    change(&mut row)?;
    if row != before {
        save(tx, &before, &mut row).await?;
        tell(
            tx,
            as_json(&before),
            &row,
            &WorkflowUpdated {
                name: row.name.clone(),
            },
        );
        forget_hooks(tx, cache);
    }
    Ok(WorkflowView::from(&row))
}

/// Deletes the workflow softly and closes its hooks. Runs that are under way go on: they are pinned to their graph.
///
/// # Errors
/// `not_found`, `stale_revision`.
pub(crate) async fn delete(
    cache: &HookCache,
    tx: &Tx,
    name: &str,
    expected: Option<i64>,
) -> Result<(workflow::Model, DeleteGroup)> {
    let row = by_name(tx, name).await?;
    check_revision(expected, row.revision)?;
    let group = DeleteGroup::new();
    let mine = ExprTrait::and(
        workflow::Column::Id.eq(row.id),
        workflow::Column::Revision.eq(row.revision),
    );
    if tx.soft_delete::<workflow::Entity>(group, mine).await? != 1 {
        return Err(Error::stale("workflow", row.revision, row.revision + 1));
    }
    manage::close_all(tx, row.id).await?;
    triggers::close_all(tx, row.id).await?;
    let payload = WorkflowDeleted {
        name: row.name.clone(),
        delete_group: group.0,
    };
    tx.emit(NewEvent::new("workflow", row.id, &payload));
    forget_hooks(tx, cache);
    Ok((row, group))
}

/// Once this commits, the next delivery in this process reads afresh.
pub(crate) fn forget_hooks(tx: &Tx, cache: &HookCache) {
    let cache = cache.clone();
    tx.after_commit(move || cache.clear());
}
