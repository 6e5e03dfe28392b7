//! Undo: the inverse of a set, held to the state that the set left behind.

use crate::apply;
use crate::entity::{patch_set, project, task};
use crate::events;
use crate::model::{Project, Task};
use crate::patch::{Op, PatchResult, PatchSet, ProjectPatch, RowChange, TaskBody, TaskPatch};
use crate::plan::{Plan, Sequence, Touch};
use crate::query;
use serde_json::{Map, Value};
use std::collections::HashMap;
use synapscale_core::{Error, ErrorKind, FieldError, NewEvent, Result, diff};
use synapscale_ops::Patch;
use synapscale_store::Tx;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

/// The fields of a body that were changed, as they were before. A field that held nothing is set back to null.
fn old_fields(before: &Value, after: &Value, fields: &[&str]) -> Map<String, Value> {
    diff(before, after)
        .into_iter()
        .filter(|(field, _)| fields.contains(&field.as_str()))
        .map(|(field, change)| (field, change.before))
        .collect()
}

const PROJECT_FIELDS: &[&str] = &[
    "name",
    "description",
    "status",
    "priority",
    "tags",
    "metadata",
    "integration_ids",
];
const TASK_FIELDS: &[&str] = &[
    "title",
    "description",
    "status",
    "priority",
    "assignee",
    "due_date",
    "scheduled_date",
    "recurrence",
    "position",
    "estimated_minutes",
    "actual_minutes",
    "tags",
    "metadata",
    "integration_ids",
];

/// What undoes a plan. Deletions of a group come back through any one of its rows.
pub(crate) fn inverse(plan: &Plan) -> Result<PatchSet> {
    let mut set = PatchSet::default();
    let mut restores_group = false;
    for row in plan.projects.values() {
        let patch = |op, body| ProjectPatch {
            op,
            project_id: Some(row.after.id.to_string()),
            temp_id: None,
            body,
            expected_revision: Some(row.after.revision),
        };
        match (row.op, &row.before) {
            (Some(Op::Create | Op::Restore), _) => set.project_patches.push(patch(Op::Delete, None)),
            (Some(Op::Delete), Some(_)) if !restores_group => {
                restores_group = true;
                set.project_patches.push(patch(Op::Restore, None));
            }
            _ => {}
        }
        if let Some(before) = row.before.as_ref().filter(|_| row.whole()) {
            let json =
                |row: &project::Model| serde_json::to_value(Project::from(row.clone())).unwrap_or_default();
            let body = old_fields(&json(before), &json(&row.after), PROJECT_FIELDS);
            let body = serde_json::from_value(Value::Object(body)).map_err(Error::internal)?;
            set.project_patches.push(patch(Op::Update, Some(body)));
        }
    }
    // Children of a row that goes anyway need no patch of their own.
    let gone = |id: Option<Uuid>| {
        id.and_then(|id| plan.tasks.get(&id))
            .is_some_and(|row| matches!(row.op, Some(Op::Create | Op::Restore)))
    };
    // From the top of the old trees downwards: a task's old ancestors stand in their places before it goes below them, so
    // that no step on the way makes a circle.
    let mut rows: Vec<_> = plan.tasks.values().collect();
    rows.sort_by_key(|row| row.before.as_ref().map_or(0, |before| before.depth));
    for row in rows {
        let patch = |op, body, project_id, parent_id| TaskPatch {
            project_id,
            parent_id,
            body,
            expected_revision: Some(row.after.revision),
            ..TaskPatch::of(op, Some(row.after.id))
        };
        let project_goes = plan
            .projects
            .get(&row.after.project_id)
            .is_some_and(|row| matches!(row.op, Some(Op::Create | Op::Restore)));
        match (row.op, &row.before) {
            (Some(Op::Create | Op::Restore), _) if !gone(row.after.parent_id) && !project_goes => {
                set.task_patches
                    .push(patch(Op::Delete, None, None, Patch::Absent));
            }
            (Some(Op::Delete), Some(_)) if !restores_group => {
                restores_group = true;
                set.task_patches
                    .push(patch(Op::Restore, None, None, Patch::Absent));
            }
            _ => {}
        }
        if let Some(before) = row.before.as_ref().filter(|_| row.whole()) {
            let json = |row: &task::Model| serde_json::to_value(Task::from(row.clone())).unwrap_or_default();
            let body = old_fields(&json(before), &json(&row.after), TASK_FIELDS);
            let mut body: TaskBody = serde_json::from_value(Value::Object(body)).map_err(Error::internal)?;
            // One from before there were places has none to go back to.
            if before.position.is_empty() {
                body.position = Patch::Absent;
            }
            if before.archived_at.is_some() != row.after.archived_at.is_some() {
                body.archived = Patch::Value(before.archived_at.is_some());
            }
            // At the top of a tree no parent carries the project along: going to another one is a move too.
            // What goes back to being deleted need not move first: where it was may be deleted too.
            let moved = row.op != Some(Op::Restore)
                && (before.parent_id != row.after.parent_id
                    || (before.parent_id.is_none() && before.project_id != row.after.project_id));
            let parent = match (moved, before.parent_id) {
                (false, _) => Patch::Absent,
                (true, None) => Patch::Null,
                (true, Some(parent)) => Patch::Value(parent.to_string()),
            };
            let project = (moved && before.parent_id.is_none()).then(|| before.project_id.to_string());
            let waits = plan.web.change_of(before.id);
            let names = |ids: Vec<&Uuid>| ids.into_iter().map(Uuid::to_string).collect::<Vec<_>>();
            // One that only its ancestor's move carried along goes back with that.
            if moved || waits.is_some() || body != TaskBody::default() {
                let mut patch = patch(Op::Update, Some(body), project, parent);
                if let Some((old, new)) = waits {
                    patch.add_blocked_by = names(old.difference(new).collect());
                    patch.remove_blocked_by = names(new.difference(old).collect());
                }
                set.task_patches.push(patch);
            }
        }
    }
    // What comes back first can be moved to again; what goes last takes nothing along that is still needed.
    set.task_patches.sort_by_key(|patch| match patch.op {
        Op::Restore => 0,
        Op::Create | Op::Update => 1,
        Op::Delete => 2,
    });
    set.project_patches.sort_by_key(|patch| patch.op != Op::Restore);
    Ok(set)
}

/// Undoes an applied set by its inverse.
///
/// # Errors
/// `undo_conflict` naming each row that changed since; `already_undone`.
pub(crate) async fn undo(tx: &Tx, id: Uuid) -> Result<PatchResult> {
    undo_from(tx, id, &HashMap::new()).await
}

/// As [`undo`], for one of several sets that belong together: `left_at` tells at which revisions the others left rows that
/// this one touched too.
pub(crate) async fn undo_from(tx: &Tx, id: Uuid, left_at: &HashMap<Uuid, i64>) -> Result<PatchResult> {
    tx.lock(&format!("work/undo/{id}")).await?;
    // Nothing moves or goes between the look at what changed since and the undo.
    tx.lock("work/tree").await?;
    let row = query::set(tx, id).await?;
    if row.status != "applied" {
        return Err(Error::conflict(
            "already_undone",
            "This patch set has been undone already; undo its undo to redo it.",
        ));
    }
    let mut inverse: PatchSet = serde_json::from_value(row.inverse).map_err(Error::internal)?;
    let mut left: Vec<RowChange> = serde_json::from_value(row.changes).map_err(Error::internal)?;
    follow(&mut inverse, &mut left, left_at);
    changed_since(tx, &left).await?;
    let plan = Plan::make(tx, &inverse, Sequence::Undo)
        .await
        .map_err(as_conflict)?;
    came_since(&plan, &left)?;
    let result = apply::keep(tx, &inverse, &plan, Some(id)).await?;
    let update = tx
        .update::<patch_set::Entity>()
        .col_expr(patch_set::Column::Status, Expr::val("undone"))
        .filter(patch_set::Column::Id.eq(id));
    tx.run_update(update).await?;
    let undone = events::PatchSetUndone {
        by: result.patch_set_id,
    };
    tx.emit(NewEvent::new("patch_set", id, &undone));
    Ok(result)
}

/// Holds the inverse and what the set left behind to later revisions that are known.
fn follow(inverse: &mut PatchSet, left: &mut [RowChange], left_at: &HashMap<Uuid, i64>) {
    let known = |id: &Option<String>| left_at.get(&Uuid::parse_str(id.as_deref()?).ok()?).copied();
    for change in left.iter_mut() {
        change.revision = left_at.get(&change.id).copied().unwrap_or(change.revision);
    }
    for patch in &mut inverse.project_patches {
        patch.expected_revision = known(&patch.project_id).or(patch.expected_revision);
    }
    for patch in &mut inverse.task_patches {
        patch.expected_revision = known(&patch.task_id).or(patch.expected_revision);
    }
}

/// Nobody asked for the inverse set's patches: a fault in them means that the rows' surroundings changed since.
fn as_conflict(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Stale => {
            error.with_kind(ErrorKind::Conflict).with_code("undo_conflict")
        }
        _ => error,
    }
}

/// Most conflicts that one answer lists.
const MAX_CONFLICTS: usize = 100;

fn conflict(mut found: Vec<FieldError>) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    found.truncate(MAX_CONFLICTS);
    Err(Error::invalid_fields(found)
        .with_kind(ErrorKind::Conflict)
        .with_code("undo_conflict"))
}

/// Compares every row of the set, also those that a deletion or a move carried along, with what the set left behind.
async fn changed_since(tx: &Tx, left: &[RowChange]) -> Result<()> {
    let ids = |kind: &str| {
        left.iter()
            .filter(|c| c.kind == kind)
            .map(|c| c.id)
            .collect::<Vec<_>>()
    };
    let projects = query::projects_by_id(tx, ids("project")).await?;
    let projects: HashMap<Uuid, project::Model> = projects.into_iter().map(|row| (row.id, row)).collect();
    let tasks = query::tasks_by_id(tx, ids("task")).await?;
    let tasks: HashMap<Uuid, task::Model> = tasks.into_iter().map(|row| (row.id, row)).collect();
    let mut found = Vec::new();
    for (index, change) in left.iter().enumerate() {
        let (project, task) = (projects.get(&change.id), tasks.get(&change.id));
        let revision = project.map(|row| row.revision).or(task.map(|row| row.revision));
        match revision {
            Some(revision) if revision == change.revision => {}
            Some(revision) => {
                let project = project.map(|row| serde_json::to_value(Project::from(row.clone())));
                let task = task.map(|row| serde_json::to_value(Task::from(row.clone())));
                let now = project.or(task).transpose().map_err(Error::internal)?;
                differences(index, change, revision, &now.unwrap_or_default(), &mut found);
            }
            None => found.push(FieldError {
                pointer: format!("/changes/{index}"),
                code: "changed_since".into(),
                message: format!("The {} {} is not there any more.", change.kind, change.id),
            }),
        }
    }
    conflict(found)
}

/// One conflict for each field of the set that has another value now; one for the row when only other fields have.
fn differences(index: usize, change: &RowChange, revision: i64, now: &Value, found: &mut Vec<FieldError>) {
    let told = format!(
        "The {} {} changed since: revision {} then, {revision} now.",
        change.kind, change.id, change.revision
    );
    let before = found.len();
    for (field, values) in &change.diff {
        // Other rows tell of it.
        if field == "blocked_by" {
            continue;
        }
        if now.get(field).unwrap_or(&Value::Null) != &values.after {
            found.push(FieldError {
                pointer: format!("/changes/{index}/diff/{field}"),
                code: "changed_since".into(),
                message: told.clone(),
            });
        }
    }
    if found.len() == before {
        found.push(FieldError {
            pointer: format!("/changes/{index}"),
            code: "changed_since".into(),
            message: told,
        });
    }
}

/// What came below the set's rows since must not go with them: its maker was not asked.
fn came_since(plan: &Plan, left: &[RowChange]) -> Result<()> {
    let known: HashMap<Uuid, usize> = left.iter().enumerate().map(|(index, c)| (c.id, index)).collect();
    let strangers = plan
        .tasks
        .values()
        .filter(|row| row.op == Some(Op::Delete) && !known.contains_key(&row.after.id));
    let found = strangers.map(|row| {
        let above = row.after.parent_id.and_then(|id| known.get(&id));
        let above = above.or_else(|| known.get(&row.after.project_id));
        FieldError {
            pointer: above.map(|index| format!("/changes/{index}")).unwrap_or_default(),
            code: "added_since".into(),
            message: format!(
                "The task {} came below it since and would go with it.",
                row.after.id
            ),
        }
    });
    conflict(found.collect())
}
