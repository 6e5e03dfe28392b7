//! Undo: the inverse of a set, held to the state that the set left behind.

use crate::apply;
use crate::entity::patch_set;
use crate::patch::{Op, PatchResult, PatchSet, ProjectPatch, TaskPatch};
use crate::plan::Plan;
use crate::query;
use serde_json::{Map, Value};
use synapscale_core::{Error, ErrorKind, FieldError, Result, diff};
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
    "estimated_minutes",
    "actual_minutes",
    "tags",
    "metadata",
    "integration_ids",
];

/// What undoes a plan. Deletions of a group come back through any one of its rows.
pub(crate) fn inverse(plan: &Plan) -> PatchSet {
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
            (Some(Op::Update), Some(before)) => {
                let json = |row: &crate::entity::project::Model| {
                    serde_json::to_value(crate::model::Project::from(row.clone())).unwrap_or_default()
                };
                let body = old_fields(&json(before), &json(&row.after), PROJECT_FIELDS);
                let body = serde_json::from_value(Value::Object(body)).unwrap_or_default();
                set.project_patches.push(patch(Op::Update, Some(body)));
            }
            _ => {}
        }
    }
    // Children of a row that goes anyway need no patch of their own.
    let gone = |id: Option<Uuid>| {
        id.and_then(|id| plan.tasks.get(&id))
            .is_some_and(|row| matches!(row.op, Some(Op::Create | Op::Restore)))
    };
    for row in plan.tasks.values() {
        let patch = |op, body, project_id, parent_id| TaskPatch {
            op,
            task_id: Some(row.after.id.to_string()),
            temp_id: None,
            project_id,
            parent_id,
            body,
            expected_revision: Some(row.after.revision),
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
            (Some(Op::Update), Some(before)) => {
                let json = |row: &crate::entity::task::Model| {
                    serde_json::to_value(crate::model::Task::from(row.clone())).unwrap_or_default()
                };
                let body = old_fields(&json(before), &json(&row.after), TASK_FIELDS);
                let body = serde_json::from_value(Value::Object(body)).unwrap_or_default();
                let moved = before.parent_id != row.after.parent_id;
                let parent = match (moved, before.parent_id) {
                    (false, _) => Patch::Absent,
                    (true, None) => Patch::Null,
                    (true, Some(parent)) => Patch::Value(parent.to_string()),
                };
                let project = (moved && before.parent_id.is_none()).then(|| before.project_id.to_string());
                set.task_patches
                    .push(patch(Op::Update, Some(body), project, parent));
            }
            _ => {}
        }
    }
    // What comes back first can be moved to again; what goes last takes nothing along that is still needed.
    set.task_patches.sort_by_key(|patch| match patch.op {
        Op::Restore => 0,
        Op::Create | Op::Update => 1,
        Op::Delete => 2,
    });
    set
}

/// Undoes an applied set by its inverse.
///
/// # Errors
/// `undo_conflict` naming each row that changed since; `already_undone`.
pub(crate) async fn undo(tx: &Tx, id: Uuid) -> Result<PatchResult> {
    tx.lock(&format!("work/undo/{id}")).await?;
    let row = query::set(tx, id).await?;
    if row.status != "applied" {
        return Err(Error::conflict(
            "already_undone",
            "This patch set has been undone already; undo its undo to redo it.",
        ));
    }
    let inverse: PatchSet = serde_json::from_value(row.inverse).map_err(Error::internal)?;
    conflicts(tx, &inverse).await?;
    let result = apply::apply(tx, &inverse, Some(id)).await?;
    let update = tx
        .update::<patch_set::Entity>()
        .col_expr(patch_set::Column::Status, Expr::val("undone"))
        .filter(patch_set::Column::Id.eq(id));
    tx.run_update(update).await?;
    Ok(result)
}

async fn conflicts(tx: &Tx, inverse: &PatchSet) -> Result<()> {
    let mut found = Vec::new();
    let mut check = |pointer: String, expected: Option<i64>, revision: Option<i64>| {
        if expected != revision {
            let message = match revision {
                Some(now) => format!(
                    "It changed since: revision {} then, {now} now.",
                    expected.unwrap_or_default()
                ),
                None => "It is not there any more.".to_owned(),
            };
            found.push(FieldError {
                pointer,
                code: "changed_since".into(),
                message,
            });
        }
    };
    let ids = |texts: Vec<Option<&String>>| {
        texts
            .into_iter()
            .flatten()
            .filter_map(|text| text.parse::<Uuid>().ok())
            .collect::<Vec<_>>()
    };
    let tasks = query::tasks_by_id(
        tx,
        ids(inverse.task_patches.iter().map(|p| p.task_id.as_ref()).collect()),
    )
    .await?;
    let projects = query::projects_by_id(
        tx,
        ids(inverse
            .project_patches
            .iter()
            .map(|p| p.project_id.as_ref())
            .collect()),
    )
    .await?;
    for (index, patch) in inverse.task_patches.iter().enumerate() {
        let row = tasks
            .iter()
            .find(|row| patch.task_id.as_deref() == Some(&row.id.to_string()));
        check(
            format!("/task_patches/{index}"),
            patch.expected_revision,
            row.map(|row| row.revision),
        );
    }
    for (index, patch) in inverse.project_patches.iter().enumerate() {
        let row = projects
            .iter()
            .find(|row| patch.project_id.as_deref() == Some(&row.id.to_string()));
        check(
            format!("/project_patches/{index}"),
            patch.expected_revision,
            row.map(|row| row.revision),
        );
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::invalid_fields(found)
        .with_kind(ErrorKind::Conflict)
        .with_code("undo_conflict"))
}
