//! From a plan to rows and events.

use crate::entity::{patch_set, project, task};
use crate::events;
use crate::links::link;
use crate::model::{Project, Task};
use crate::patch::{Op, PatchResult, PatchSet, RowChange};
use crate::plan::{Plan, Row, Sequence, Touch};
use crate::{author, search, undo};
use serde_json::{Value, json};
use synapscale_core::{Change, Changes, Error, NewEvent, Result, diff, new_id};
use synapscale_store::orm::sea_query::{CaseStatement, Expr, ExprTrait};
use synapscale_store::orm::{ColumnTrait, IntoActiveModel, QueryFilter};
use synapscale_store::{DeleteGroup, Tx};
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// Dependencies of one statement: both databases bound the values of one.
const LINKS: usize = 2_000;

/// Plans and applies a set, keeps it with its inverse, and tells of it.
pub(crate) async fn apply(tx: &Tx, set: &PatchSet, sequence: Sequence) -> Result<PatchResult> {
    let plan = Plan::make(tx, set, sequence).await?;
    keep(tx, set, &plan, None).await
}

/// Writes the plan of `set` and keeps the set with what undoes it.
pub(crate) async fn keep(tx: &Tx, set: &PatchSet, plan: &Plan, undo_of: Option<Uuid>) -> Result<PatchResult> {
    let id = new_id();
    let mut result = write(tx, plan, Some(id)).await?;
    result.patch_set_id = Some(id);
    let to_json = |value: Result<Value, serde_json::Error>| value.map_err(Error::internal);
    tx.insert::<patch_set::Entity>(patch_set::Model {
        tenant_id: Uuid::nil(),
        id,
        patches: to_json(serde_json::to_value(set))?,
        inverse: to_json(serde_json::to_value(undo::inverse(plan)?))?,
        changes: to_json(serde_json::to_value(&result.changes))?,
        status: "applied".to_owned(),
        undo_of,
        created_by: author(tx),
        created_at: tx.ctx().clock().now(),
    })
    .await?;
    let applied = events::PatchSetApplied {
        rows: result.changes.len(),
        undo_of,
    };
    tx.emit(NewEvent::new("patch_set", id, &applied));
    Ok(result)
}

/// Writes a plan's rows and tells of each.
pub(crate) async fn write(tx: &Tx, plan: &Plan, set: Option<Uuid>) -> Result<PatchResult> {
    insert(tx, plan).await?;
    // First the rows that change beyond the marks of a deletion: the other two then pass them by.
    update(tx, plan).await?;
    restore(tx, plan).await?;
    delete(tx, plan).await?;
    settle(tx, plan).await?;
    relink(tx, plan).await?;
    let result = describe(plan);
    for change in &result.changes {
        tell(tx, plan, change, set);
    }
    Ok(result)
}

async fn insert(tx: &Tx, plan: &Plan) -> Result<()> {
    let projects = plan
        .created
        .iter()
        .filter_map(|id| plan.projects.get(id))
        .map(|row| row.after.clone());
    tx.insert_all::<project::Entity>(projects.filter(|row| row.deleted_at.is_none()).collect())
        .await?;
    let tasks = plan
        .created
        .iter()
        .filter_map(|id| plan.tasks.get(id))
        .map(|row| row.after.clone());
    let tasks: Vec<task::Model> = tasks.filter(|row| row.deleted_at.is_none()).collect();
    tx.insert_all::<task::Entity>(tasks.clone()).await?;
    search::add(tx, &tasks).await
}

/// The changed columns of a row and no others, guarded by the revision that the plan was made against. Places that are
/// settled and the minutes of a deleted task's timer are written without a new revision: what did not change here must not
/// be written back as it was read.
macro_rules! update_row {
    ($tx:expr, $module:ident, $before:expr, $after:expr) => {{
        let mut model = $after.clone().into_active_model().reset_all();
        for column in $module::Column::iter() {
            if $before.get(column) == $after.get(column) {
                model.not_set(column);
            }
        }
        let update = $tx
            .update::<$module::Entity>()
            .set(model)
            .filter($module::Column::Id.eq($before.id))
            .filter($module::Column::Revision.eq($before.revision));
        one_hit($tx.run_update(update).await?)?;
    }};
}

async fn update(tx: &Tx, plan: &Plan) -> Result<()> {
    use synapscale_store::orm::{ActiveModelTrait, Iterable, ModelTrait};
    for row in plan.projects.values().filter(|row| row.whole()) {
        if let Some(before) = &row.before {
            update_row!(tx, project, before, row.after);
        }
    }
    for row in plan.tasks.values().filter(|row| row.whole() && !filed(row)) {
        if let Some(before) = &row.before {
            update_row!(tx, task, before, row.after);
        }
    }
    file(tx, plan).await?;
    let reworded = plan.tasks.values().filter(|row| reworded(row));
    search::again(tx, reworded.map(|row| &row.after)).await
}

/// Whether the words change by which a standing task is found, or it was not yet to be found by any.
fn reworded(row: &Row<task::Model>) -> bool {
    let texts = |row: &task::Model| {
        (
            row.title.clone(),
            row.description.clone(),
            row.tags.clone(),
            row.indexed,
        )
    };
    let before = row.before.as_ref().filter(|_| row.whole());
    before.is_some_and(|before| texts(before) != texts(&row.after))
}

/// Whether nothing but the mark of the archive changes of a row.
fn filed(row: &Row<task::Model>) -> bool {
    let Some(before) = row.before.as_ref().filter(|_| row.op == Some(Op::Update)) else {
        return false;
    };
    let mut marked = before.clone();
    marked.archived_at = row.after.archived_at;
    marked.revision = row.after.revision;
    marked.updated_at = row.after.updated_at;
    before.archived_at != row.after.archived_at && marked == row.after
}

/// Writes the mark of the archive: a whole tree by few statements.
async fn file(tx: &Tx, plan: &Plan) -> Result<()> {
    for archived in [true, false] {
        let rows = plan.tasks.values().filter(|row| filed(row));
        let rows = rows.filter(|row| row.after.archived_at.is_some() == archived);
        let ids: Vec<Uuid> = rows.map(|row| row.after.id).collect();
        for ids in ids.chunks(500) {
            let update = tx
                .update::<task::Entity>()
                .col_expr(task::Column::ArchivedAt, Expr::val(archived.then_some(plan.now)))
                .col_expr(task::Column::UpdatedAt, Expr::val(plan.now))
                .col_expr(task::Column::Revision, Expr::col(task::Column::Revision).add(1))
                .filter(task::Column::Id.is_in(ids.iter().copied()))
                .filter(task::Column::DeletedAt.is_null());
            let update = match archived {
                true => update.filter(task::Column::ArchivedAt.is_null()),
                false => update.filter(task::Column::ArchivedAt.is_not_null()),
            };
            all_hit(tx.run_update(update).await?, ids)?;
        }
    }
    Ok(())
}

/// Writes the places of tasks from before there were places. Their revisions stay: they stand where they stood.
async fn settle(tx: &Tx, plan: &Plan) -> Result<()> {
    for some in plan.settled.chunks(500) {
        let mut place = CaseStatement::new();
        for (id, position) in some {
            place = place.case(task::Column::Id.eq(*id), Expr::val(position.as_str()));
        }
        let place = place.finally(Expr::col(task::Column::Position));
        let update = tx
            .update::<task::Entity>()
            .col_expr(task::Column::Position, place.into())
            .filter(task::Column::Id.is_in(some.iter().map(|(id, _)| *id)))
            .filter(task::Column::Position.eq(""));
        tx.run_update(update).await?;
    }
    Ok(())
}

/// Writes who waits for whom.
async fn relink(tx: &Tx, plan: &Plan) -> Result<()> {
    let mut made = Vec::new();
    for (id, before, after) in plan.web.changed() {
        let gone: Vec<Uuid> = before.difference(after).copied().collect();
        if !gone.is_empty() {
            let delete = tx
                .delete::<link::Entity>()
                .filter(link::Column::BlockedId.eq(id))
                .filter(link::Column::BlockerId.is_in(gone.iter().copied()));
            all_hit(tx.run_delete(delete).await?, &gone)?;
        }
        // One that the same set made and deleted leaves nothing.
        let kept = plan.tasks.get(&id).is_some_and(|row| row.op.is_some());
        made.extend(
            after
                .difference(before)
                .filter(|_| kept)
                .map(|blocker| link::Model {
                    tenant_id: Uuid::nil(),
                    blocked_id: id,
                    blocker_id: *blocker,
                    created_at: plan.now,
                }),
        );
    }
    // Nor does one that waits for such a one.
    made.retain(|link| {
        let blocker = plan.tasks.get(&link.blocker_id);
        blocker.is_none_or(|row| row.before.is_some() || row.op.is_some())
    });
    for some in made.chunks(LINKS) {
        tx.insert_all::<link::Entity>(some.to_vec()).await?;
    }
    Ok(())
}

async fn restore(tx: &Tx, plan: &Plan) -> Result<()> {
    for group in &plan.restored {
        tx.run_update(
            tx.update::<project::Entity>()
                .col_expr(project::Column::UpdatedAt, Expr::val(plan.now))
                .filter(project::Column::DeleteGroup.eq(*group)),
        )
        .await?;
        tx.run_update(
            tx.update::<task::Entity>()
                .col_expr(task::Column::UpdatedAt, Expr::val(plan.now))
                .filter(task::Column::DeleteGroup.eq(*group)),
        )
        .await?;
        tx.restore::<project::Entity>(DeleteGroup(*group)).await?;
        tx.restore::<task::Entity>(DeleteGroup(*group)).await?;
    }
    Ok(())
}

async fn delete(tx: &Tx, plan: &Plan) -> Result<()> {
    let tasks: Vec<Uuid> = plan
        .tasks
        .values()
        .filter(|row| row.op == Some(Op::Delete) && !row.whole())
        .map(|row| row.after.id)
        .collect();
    for ids in tasks.chunks(500) {
        let these = Expr::col((task::Entity, task::Column::Id)).is_in(ids.iter().copied());
        all_hit(tx.soft_delete::<task::Entity>(plan.group, these).await?, ids)?;
    }
    let projects: Vec<Uuid> = plan
        .projects
        .values()
        .filter(|row| row.op == Some(Op::Delete) && !row.whole())
        .map(|row| row.after.id)
        .collect();
    if !projects.is_empty() {
        let these = Expr::col((project::Entity, project::Column::Id)).is_in(projects.iter().copied());
        all_hit(
            tx.soft_delete::<project::Entity>(plan.group, these).await?,
            &projects,
        )?;
    }
    // The times that the answer and the events tell.
    if !tasks.is_empty() {
        let told = tx
            .update::<task::Entity>()
            .col_expr(task::Column::DeletedAt, Expr::val(plan.now))
            .col_expr(task::Column::UpdatedAt, Expr::val(plan.now))
            .filter(task::Column::DeleteGroup.eq(plan.group.0));
        tx.run_update(told).await?;
    }
    if !projects.is_empty() {
        let told = tx
            .update::<project::Entity>()
            .col_expr(project::Column::DeletedAt, Expr::val(plan.now))
            .col_expr(project::Column::UpdatedAt, Expr::val(plan.now))
            .filter(project::Column::DeleteGroup.eq(plan.group.0));
        tx.run_update(told).await?;
    }
    Ok(())
}

/// Somebody else changed one of the rows between our read and our write: the whole transaction is tried again.
pub(crate) fn busy() -> Error {
    Error::unavailable("busy_row", "A row changed at the same moment. Try again.").transient()
}

fn all_hit(hit: u64, ids: &[Uuid]) -> Result<()> {
    match usize::try_from(hit) == Ok(ids.len()) {
        true => Ok(()),
        false => Err(busy()),
    }
}

/// As [`all_hit`], for one row.
pub(crate) fn one_hit(hit: u64) -> Result<()> {
    all_hit(hit, &[Uuid::nil()])
}

fn fields(value: Option<Value>) -> Value {
    let mut value = value.unwrap_or_else(|| Value::Object(Default::default()));
    if let Some(map) = value.as_object_mut() {
        for quiet in ["updated_at", "revision", "blocked"] {
            map.remove(quiet);
        }
    }
    value
}

/// What the plan does, in words and diffs.
pub(crate) fn describe(plan: &Plan) -> PatchResult {
    let mut result = PatchResult {
        patch_set_id: None,
        projects: Vec::new(),
        tasks: Vec::new(),
        temp_ids: plan.temp_ids.clone(),
        changes: Vec::new(),
    };
    let change = |kind: &str, id: Uuid, op: Op, revision: i64, diff: Changes| RowChange {
        kind: kind.to_owned(),
        id,
        op,
        revision,
        diff,
    };
    for row in plan.projects.values() {
        let Some(op) = row.op else { continue };
        let after = Project::from(row.after.clone());
        let before = row
            .before
            .clone()
            .map(|row| serde_json::to_value(Project::from(row)).unwrap_or_default());
        let now = serde_json::to_value(&after).unwrap_or_default();
        let changed = diff(&fields(before), &fields(Some(now)));
        result
            .changes
            .push(change("project", after.id, op, after.revision, changed));
        if after.deleted_at.is_none() {
            result.projects.push(after);
        }
    }
    for row in plan.tasks.values() {
        let Some(op) = row.op else { continue };
        let after = Task::seen((row.after.clone(), plan.web.is_blocked(row.after.id)));
        let before = row
            .before
            .clone()
            .map(|row| serde_json::to_value(Task::from(row)).unwrap_or_default());
        let now = serde_json::to_value(&after).unwrap_or_default();
        let mut changed = diff(&fields(before), &fields(Some(now)));
        if let Some((before, after)) = plan.web.change_of(after.id) {
            changed.insert(
                "blocked_by".to_owned(),
                Change {
                    before: json!(before),
                    after: json!(after),
                },
            );
        }
        result
            .changes
            .push(change("task", after.id, op, after.revision, changed));
        if after.deleted_at.is_none() {
            result.tasks.push(after);
        }
    }
    result
}

fn tell(tx: &Tx, plan: &Plan, change: &RowChange, patch_set_id: Option<Uuid>) {
    let (id, revision) = (change.id, change.revision);
    macro_rules! told {
        ($noun:literal, $title:expr, $event:ident) => {{
            let title = $title.unwrap_or_default();
            let event = events::$event {
                title,
                revision,
                patch_set_id,
            };
            NewEvent::new($noun, id, &event)
        }};
    }
    let name = || plan.projects.get(&id).map(|row| row.after.name.clone());
    let title = || plan.tasks.get(&id).map(|row| row.after.title.clone());
    let event = match (change.kind.as_str(), change.op) {
        ("project", Op::Create) => told!("project", name(), ProjectCreated),
        ("project", Op::Update) => told!("project", name(), ProjectUpdated),
        ("project", Op::Delete) => told!("project", name(), ProjectDeleted),
        ("project", Op::Restore) => told!("project", name(), ProjectRestored),
        (_, Op::Create) => told!("task", title(), TaskCreated),
        (_, Op::Update) => told!("task", title(), TaskUpdated),
        (_, Op::Delete) => told!("task", title(), TaskDeleted),
        (_, Op::Restore) => told!("task", title(), TaskRestored),
    };
    tx.emit(event.with_changes(change.diff.clone()));
}
