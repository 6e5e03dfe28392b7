//! The archive: what is kept out of sight without being deleted. A tree goes there and comes back as one patch set.

use crate::apply;
use crate::entity::task;
use crate::model::ProjectStatus;
use crate::patch::{Op, PatchResult, PatchSet, ProjectBody, ProjectPatch, RowChange, TaskBody, TaskPatch};
use crate::plan::Sequence;
use crate::query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::{Envelope, Method, Operation, Outcome, Patch};
use synapscale_store::schema::{Index, timestamp};
use synapscale_store::{Migration, Tx};
use uuid::Uuid;

pub(crate) fn migration() -> Migration {
    Migration::new("work_0005_archive")
        .add_column("tasks", timestamp("archived_at").null())
        .add_index("projects", Index::new("projects_by_status", &["status"]))
}

/// What a patch set of the product's own making did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Kept {
    /// Names the set for undo.
    pub patch_set_id: Option<Uuid>,
    /// Every changed row.
    pub changes: Vec<RowChange>,
}

impl From<PatchResult> for Kept {
    fn from(result: PatchResult) -> Self {
        Kept {
            patch_set_id: result.patch_set_id,
            changes: result.changes,
        }
    }
}

/// A task by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneTask {
    /// The task.
    task_id: Uuid,
}

/// A project by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneProject {
    /// The project.
    project_id: Uuid,
}

fn already(archived: bool) -> Error {
    match archived {
        true => Error::conflict("already_archived", "This is in the archive already."),
        false => Error::conflict("not_archived", "This is not in the archive."),
    }
}

/// Puts a task away with all below it that is not put away yet, or brings back what was put away with it.
async fn tasks(tx: &Tx, id: Uuid, envelope: &Envelope, archived: bool) -> Result<Kept> {
    // Nothing comes below it or leaves between the look and the change.
    tx.lock("work/tree").await?;
    let rows = query::subtree(tx, id).await?;
    let root = rows.iter().find(|row| row.id == id);
    let root = root.ok_or_else(|| Error::not_found("task"))?;
    if root.archived_at.is_some() == archived {
        return Err(already(archived));
    }
    let with_it = |row: &&task::Model| row.archived_at == root.archived_at;
    let patches = rows.iter().filter(with_it).map(|row| TaskPatch {
        body: Some(TaskBody {
            archived: Patch::Value(archived),
            ..TaskBody::default()
        }),
        expected_revision: envelope.expected_revision.filter(|_| row.id == id),
        ..TaskPatch::of(Op::Update, Some(row.id))
    });
    let set = PatchSet {
        project_patches: Vec::new(),
        task_patches: patches.collect(),
    };
    apply::apply(tx, &set, Sequence::Own).await.map(Kept::from)
}

async fn project(tx: &Tx, id: Uuid, envelope: &Envelope, archived: bool) -> Result<Kept> {
    let row = query::live_project(tx, id).await?;
    if (row.status == ProjectStatus::Archived.as_str()) == archived {
        return Err(already(archived));
    }
    let status = match archived {
        true => ProjectStatus::Archived,
        false => ProjectStatus::Active,
    };
    let set = PatchSet {
        project_patches: vec![ProjectPatch {
            op: Op::Update,
            project_id: Some(id.to_string()),
            temp_id: None,
            body: Some(ProjectBody {
                status: Patch::Value(status),
                ..ProjectBody::default()
            }),
            expected_revision: envelope.expected_revision,
        }],
        task_patches: Vec::new(),
    };
    apply::apply(tx, &set, Sequence::Own).await.map(Kept::from)
}

/// An operation on a task and all below it.
fn of_task(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    path: &'static str,
    archived: bool,
) -> Operation {
    Operation::write(name, title)
        .about(about)
        .permission("tasks:write")
        .rest(Method::POST, path)
        .handle_with(
            move |tx: Tx, input: Arc<OneTask>, envelope: Envelope| async move {
                tasks(&tx, input.task_id, &envelope, archived)
                    .await
                    .map(Outcome::Done)
            },
        )
}

/// An operation on a project.
fn of_project(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    path: &'static str,
    archived: bool,
) -> Operation {
    Operation::write(name, title)
        .about(about)
        .permission("projects:write")
        .rest(Method::POST, path)
        .handle_with(
            move |tx: Tx, input: Arc<OneProject>, envelope: Envelope| async move {
                project(&tx, input.project_id, &envelope, archived)
                    .await
                    .map(Outcome::Done)
            },
        )
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        of_task(
            "tasks.archive",
            "Archive a task",
            "Puts a task with all below it into the archive: lists leave it out, nothing is lost. Undo the answered patch set, or unarchive.",
            "/tasks/{task_id}/archive",
            true,
        ),
        of_task(
            "tasks.unarchive",
            "Bring a task back from the archive",
            "Brings a task back from the archive with what was put there with it.",
            "/tasks/{task_id}/unarchive",
            false,
        ),
        of_project(
            "projects.archive",
            "Archive a project",
            "Sets a project's status to archived: lists over all projects leave out its tasks. Undo brings the status before back.",
            "/projects/{project_id}/archive",
            true,
        ),
        of_project(
            "projects.unarchive",
            "Bring a project back from the archive",
            "Sets an archived project's status to active.",
            "/projects/{project_id}/unarchive",
            false,
        ),
    ]
}
