//! Inputs and outputs of the operations.

use crate::entity::patch_set;
use crate::model::{Priority, Project, ProjectStatus, TaskNode, TaskStatus};
use crate::patch::{ProjectBody, RowChange, TaskBody};
use crate::recurrence::Recurrence;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use synapscale_ops::{Patch, Revisioned};
use uuid::Uuid;

/// Declares an input of one id in the path.
macro_rules! by_id {
    ($name:ident, $field:ident) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// The id.
            pub $field: Uuid,
        }
    };
}

by_id!(ProjectId, project_id);
by_id!(TaskId, task_id);
by_id!(PatchSetId, patch_set_id);

/// Whose tasks to return.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TreeOf {
    /// The project.
    pub project_id: Uuid,
    /// Whether tasks in the archive are shown too.
    #[serde(default)]
    pub archived: bool,
}

/// Declares an input that names a row, and what it turns into as a patch's body. Flattening is not allowed in inputs.
macro_rules! with_body {
    ($(#[$meta:meta])* $name:ident { $($(#[$key_meta:meta])* $key:ident: $kind:ty,)* } $body:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$key_meta])* pub $key: $kind,)*
            $($(#[$field_meta])* #[serde(default)] pub $field: Patch<$type>,)*
        }

        impl $name {
            pub(super) fn body(&self) -> $body {
                $body { $($field: self.$field.clone(),)* }
            }
        }
    };
}

/// Declares the inputs that set a task's fields.
macro_rules! task_input {
    ($(#[$meta:meta])* $name:ident { $($keys:tt)* }) => {
        with_body! {
            $(#[$meta])* $name { $($keys)* } TaskBody {
                /// What is to be done.
                #[schemars(length(min = 1, max = 500))]
                title: String,
                /// In more words.
                #[schemars(length(max = 20_000))]
                description: String,
                /// Where it stands.
                status: TaskStatus,
                /// How much it matters.
                priority: Priority,
                /// Who does it.
                #[schemars(length(max = 200))]
                assignee: String,
                /// Until when.
                due_date: DateTime<Utc>,
                /// When it is to be worked on, apart from when it is due.
                scheduled_date: DateTime<Utc>,
                /// How it comes again: completing the task makes the next one.
                recurrence: Recurrence,
                /// How long it should take, in minutes.
                #[schemars(range(min = 0, max = 10_000_000))]
                estimated_minutes: i64,
                /// How long it took, in minutes.
                #[schemars(range(min = 0, max = 10_000_000))]
                actual_minutes: i64,
                /// Tags.
                #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
                tags: Vec<String>,
                /// Whatever belongs to it; at most 64 KiB of JSON.
                metadata: Map<String, Value>,
                /// Its ids elsewhere, by system.
                integration_ids: BTreeMap<String, String>,
                /// Whether it is in the archive: this task alone, not those below it.
                archived: bool,
                /// Its place among its siblings, as a task's `position` tells; moving it before or after another finds one.
                #[schemars(length(max = 1_000), regex(pattern = r"^[0-9]*[1-9]$"))]
                position: String,
            }
        }
    };
}

/// Declares the inputs that set a project's fields.
macro_rules! project_input {
    ($(#[$meta:meta])* $name:ident { $($keys:tt)* }) => {
        with_body! {
            $(#[$meta])* $name { $($keys)* } ProjectBody {
                /// Its name.
                #[schemars(length(min = 1, max = 200))]
                name: String,
                /// What it is about.
                #[schemars(length(max = 20_000))]
                description: String,
                /// Where it stands.
                status: ProjectStatus,
                /// How much it matters.
                priority: Priority,
                /// Tags.
                #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
                tags: Vec<String>,
                /// Whatever belongs to it; at most 64 KiB of JSON.
                metadata: Map<String, Value>,
                /// Its ids elsewhere, by system.
                integration_ids: BTreeMap<String, String>,
            }
        }
    };
}

project_input! { CreateProject {} }
project_input! { UpdateProject {
    /// The project.
    project_id: Uuid,
} }
task_input! { CreateTask {
    /// The project.
    project_id: Uuid,
    /// The task that it is part of.
    #[serde(default)]
    parent_id: Option<Uuid>,
} }
task_input! { UpdateTask {
    /// The task.
    task_id: Uuid,
} }

/// Where a task goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveTask {
    /// The task.
    pub task_id: Uuid,
    /// The task above; null for the top of the project.
    #[serde(default)]
    pub parent_id: Option<Uuid>,
    /// Another project.
    #[serde(default)]
    pub project_id: Option<Uuid>,
    /// The task that it goes right before, to the same parent.
    #[serde(default)]
    pub before: Option<Uuid>,
    /// The task that it goes right after, to the same parent.
    #[serde(default)]
    pub after: Option<Uuid>,
}

/// Which projects to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListProjects {
    /// In this status.
    pub status: Option<ProjectStatus>,
    /// With this priority.
    pub priority: Option<Priority>,
    /// With this tag, letter for letter: `Home` is not `home`.
    #[schemars(length(max = 64))]
    pub tag: Option<String>,
    /// With this in the name, whatever its case.
    #[schemars(length(min = 1, max = 200))]
    pub text: Option<String>,
    /// created_at, updated_at or name; `-` in front for descending.
    #[schemars(length(max = 20))]
    pub sort: Option<String>,
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

/// Pages of patch sets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListSets {
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

/// A project's tasks as trees.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ProjectTree {
    /// The project.
    pub project: Project,
    /// Its tasks at the top, with those below.
    pub tasks: Vec<TaskNode>,
}

/// What was deleted or restored.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Rows {
    /// Every changed row.
    pub changes: Vec<RowChange>,
}

/// An applied set.
#[derive(Serialize, JsonSchema)]
pub(crate) struct PatchSetView {
    /// Its id, by which it is undone.
    pub id: Uuid,
    /// What was asked for.
    pub patches: Value,
    /// What it changed.
    pub changes: Value,
    /// `applied` or `undone`.
    pub status: String,
    /// The set that it undid.
    pub undo_of: Option<Uuid>,
    /// Who applied it.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

impl From<patch_set::Model> for PatchSetView {
    fn from(row: patch_set::Model) -> Self {
        PatchSetView {
            id: row.id,
            patches: row.patches,
            changes: row.changes,
            status: row.status,
            undo_of: row.undo_of,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

/// A JSON Schema.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SchemaView {
    /// JSON Schema 2020-12 of a patch set.
    pub schema: Value,
}

impl Revisioned for TaskNode {
    fn revision(&self) -> i64 {
        self.task.revision
    }
}
