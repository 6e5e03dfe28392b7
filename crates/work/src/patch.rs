//! Patch sets: what may be asked for in one go.

use crate::model::{Priority, Project, ProjectStatus, Task, TaskStatus};
use crate::recurrence::Recurrence;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use synapscale_core::Changes;
use synapscale_ops::Patch;
use uuid::Uuid;

/// What a patch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Makes a thing.
    Create,
    /// Changes one.
    Update,
    /// Deletes one, with all that is below it.
    Delete,
    /// Brings one back, with all that was deleted with it.
    Restore,
}

/// Fields of a task to be set; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskBody {
    /// What is to be done.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(min = 1, max = 500))]
    pub title: Patch<String>,
    /// In more words.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 20_000))]
    pub description: Patch<String>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub status: Patch<TaskStatus>,
    /// How much it matters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub priority: Patch<Priority>,
    /// Who does it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 200))]
    pub assignee: Patch<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub due_date: Patch<DateTime<Utc>>,
    /// When it is to be worked on, apart from when it is due.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub scheduled_date: Patch<DateTime<Utc>>,
    /// How it comes again: completing the task makes the next one.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub recurrence: Patch<Recurrence>,
    /// How long it should take, in minutes.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub estimated_minutes: Patch<i64>,
    /// How long it took, in minutes.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(range(min = 0, max = 10_000_000))]
    pub actual_minutes: Patch<i64>,
    /// Tags.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
    pub tags: Patch<Vec<String>>,
    /// Whatever belongs to it; at most 64 KiB of JSON.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    /// Its ids elsewhere, by system.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub integration_ids: Patch<BTreeMap<String, String>>,
    /// Whether it is in the archive: this task alone, not those below it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub archived: Patch<bool>,
    /// Its place among its siblings, as a task's `position` tells; `before` and `after` of a patch find one.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 1_000), regex(pattern = r"^[0-9]*[1-9]$"))]
    pub position: Patch<String>,
}

/// Fields of a project to be set; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectBody {
    /// Its name.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Patch<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 20_000))]
    pub description: Patch<String>,
    /// Where it stands.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub status: Patch<ProjectStatus>,
    /// How much it matters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub priority: Patch<Priority>,
    /// Tags.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 50), inner(length(min = 1, max = 64)))]
    pub tags: Patch<Vec<String>>,
    /// Whatever belongs to it; at most 64 KiB of JSON.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    /// Its ids elsewhere, by system.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub integration_ids: Patch<BTreeMap<String, String>>,
}

/// One change of a task. References are ids, or `temp:NAME` for what an earlier patch of the set makes under that name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPatch {
    /// What to do.
    pub op: Op,
    /// The task; not for `create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 70))]
    pub task_id: Option<String>,
    /// A name for what `create` makes, for later patches of the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub temp_id: Option<String>,
    /// The project: needed by `create` without a parent; moves the task on `update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 70))]
    pub project_id: Option<String>,
    /// The task above; null moves a task to the top.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 70))]
    pub parent_id: Patch<String>,
    /// The sibling that it goes right before; it moves to that one's parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 70))]
    pub before: Option<String>,
    /// The sibling that it goes right after; it moves to that one's parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 70))]
    pub after: Option<String>,
    /// Tasks that it waits for from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 70)))]
    pub add_blocked_by: Vec<String>,
    /// Tasks that it waits for no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 70)))]
    pub remove_blocked_by: Vec<String>,
    /// The fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<TaskBody>,
    /// The revision that is to be changed; another one refuses the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<i64>,
}

impl TaskPatch {
    /// A patch of a task with nothing in it yet.
    pub(crate) fn of(op: Op, id: Option<Uuid>) -> Self {
        TaskPatch {
            op,
            task_id: id.map(|id| id.to_string()),
            temp_id: None,
            project_id: None,
            parent_id: Patch::Absent,
            before: None,
            after: None,
            add_blocked_by: Vec::new(),
            remove_blocked_by: Vec::new(),
            body: None,
            expected_revision: None,
        }
    }

    /// The standing task that it goes right before or after.
    pub(crate) fn beside(&self) -> Option<Uuid> {
        let named = self.before.as_ref().or(self.after.as_ref())?;
        Uuid::parse_str(named).ok()
    }
}

/// One change of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectPatch {
    /// What to do.
    pub op: Op,
    /// The project; not for `create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 70))]
    pub project_id: Option<String>,
    /// A name for what `create` makes, for later patches of the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub temp_id: Option<String>,
    /// The fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<ProjectBody>,
    /// The revision that is to be changed; another one refuses the set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_revision: Option<i64>,
}

/// Changes that are made together or not at all: projects first, then tasks, each in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchSet {
    /// Changes of projects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub project_patches: Vec<ProjectPatch>,
    /// Changes of tasks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub task_patches: Vec<TaskPatch>,
}

/// What one row becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowChange {
    /// `project` or `task`.
    pub kind: String,
    /// The row.
    pub id: Uuid,
    /// What happens to it.
    pub op: Op,
    /// Its revision afterwards.
    pub revision: i64,
    /// Changed fields, before and after.
    pub diff: Changes,
}

/// What a set did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PatchResult {
    /// Names the set for undo; absent in a preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_set_id: Option<Uuid>,
    /// The changed projects that are there afterwards.
    pub projects: Vec<Project>,
    /// The changed tasks that are there afterwards.
    pub tasks: Vec<Task>,
    /// What was made under which name.
    pub temp_ids: BTreeMap<String, Uuid>,
    /// Every changed row.
    pub changes: Vec<RowChange>,
}
