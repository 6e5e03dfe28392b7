//! The operations on projects, tasks and patch sets. A single change is a set of one, so it obeys the same rules.

use crate::apply::{apply, describe, write};
use crate::entity::patch_set;
use crate::model::{Priority, Project, ProjectStatus, Task, TaskNode, TaskStatus};
use crate::patch::{Op, PatchResult, PatchSet, ProjectBody, ProjectPatch, RowChange, TaskBody, TaskPatch};
use crate::plan::Plan;
use crate::{query, undo};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::{Envelope, Method, NoInput, Operation, Outcome, Page, Patch, Revisioned};
use synapscale_store::Tx;
use uuid::Uuid;

/// Every operation of this domain.
pub(crate) fn all() -> Vec<Operation> {
    let mut all = projects();
    all.extend(tasks());
    all.extend(patches());
    all
}

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
            fn body(&self) -> $body {
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
}

/// Which projects to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListProjects {
    /// In this status.
    pub status: Option<ProjectStatus>,
    /// With this priority.
    pub priority: Option<Priority>,
    /// With this tag.
    #[schemars(length(max = 64))]
    pub tag: Option<String>,
    /// With this in the name, whatever its case.
    #[schemars(length(min = 1, max = 200))]
    pub text: Option<String>,
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

/// Which tasks to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ListTasks {
    /// Of this project.
    pub project_id: Option<Uuid>,
    /// Right below this task.
    pub parent_id: Option<Uuid>,
    /// In one of these.
    #[schemars(length(max = 5))]
    pub status: Option<Vec<TaskStatus>>,
    /// With one of these.
    #[schemars(length(max = 4))]
    pub priority: Option<Vec<Priority>>,
    /// Whose they are.
    #[schemars(length(max = 200))]
    pub assignee: Option<String>,
    /// With this tag.
    #[schemars(length(max = 64))]
    pub tag: Option<String>,
    /// Due before this time.
    pub due_before: Option<DateTime<Utc>>,
    /// Due after this time.
    pub due_after: Option<DateTime<Utc>>,
    /// With this in title or description, whatever its case.
    #[schemars(length(min = 1, max = 200))]
    pub text: Option<String>,
    /// created_at, updated_at, due_date, priority or title; `-` in front for descending.
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

/// Plans and writes one change; its pointers are the input's own.
async fn once(tx: &Tx, set: PatchSet) -> Result<PatchResult> {
    let plan = Plan::make(tx, &set).await.map_err(own_pointers)?;
    write(tx, &plan, None).await
}

/// `/task_patches/0/body/title` is `/title` to whoever sent one task. A thing that is not there is a 404.
fn own_pointers(error: Error) -> Error {
    let mut fields = error.fields().to_vec();
    if fields.is_empty() {
        return error;
    }
    if let [only] = fields.as_slice()
        && only.code == "not_found"
        && (only.pointer == "/task_patches/0/task_id" || only.pointer == "/project_patches/0/project_id")
    {
        return Error::not_found(if only.pointer.starts_with("/task") {
            "task"
        } else {
            "project"
        });
    }
    for field in &mut fields {
        let short = field
            .pointer
            .trim_start_matches("/task_patches/0")
            .trim_start_matches("/project_patches/0");
        field.pointer = short.trim_start_matches("/body").to_owned();
    }
    Error::invalid_fields(fields).with_code(error.code().to_owned())
}

fn task_patch(op: Op, id: Uuid, envelope: &Envelope) -> TaskPatch {
    TaskPatch {
        op,
        task_id: Some(id.to_string()),
        temp_id: None,
        project_id: None,
        parent_id: Patch::Absent,
        body: None,
        expected_revision: envelope.expected_revision,
    }
}

fn project_patch(op: Op, id: Uuid, envelope: &Envelope) -> ProjectPatch {
    ProjectPatch {
        op,
        project_id: Some(id.to_string()),
        temp_id: None,
        body: None,
        expected_revision: envelope.expected_revision,
    }
}

fn of_task(patch: TaskPatch) -> PatchSet {
    PatchSet {
        project_patches: Vec::new(),
        task_patches: vec![patch],
    }
}

fn of_project(patch: ProjectPatch) -> PatchSet {
    PatchSet {
        project_patches: vec![patch],
        task_patches: Vec::new(),
    }
}

fn only_task(result: PatchResult, id: Option<Uuid>) -> Result<Outcome<Task>> {
    let found = result
        .tasks
        .into_iter()
        .find(|task| id.is_none_or(|id| task.id == id));
    found.map(Outcome::Done).ok_or_else(|| Error::not_found("task"))
}

fn only_project(result: PatchResult) -> Result<Outcome<Project>> {
    result
        .projects
        .into_iter()
        .next()
        .map(Outcome::Done)
        .ok_or_else(|| Error::not_found("project"))
}

fn projects() -> Vec<Operation> {
    vec![
        Operation::write("projects.create", "Create a project")
            .about("Creates a project that tasks can be put into.")
            .permission("projects:write")
            .rest(Method::POST, "/projects")
            .revisioned()
            .handle(|tx: Tx, input: Arc<CreateProject>| async move {
                let body = Some(input.body());
                let patch = ProjectPatch {
                    op: Op::Create,
                    project_id: None,
                    temp_id: None,
                    body,
                    expected_revision: None,
                };
                only_project(once(&tx, of_project(patch)).await?)
            }),
        Operation::read("projects.get", "Get a project")
            .about("Returns one project by its id.")
            .permission("projects:read")
            .rest(Method::GET, "/projects/{project_id}")
            .revisioned()
            .handle(|tx: Tx, input: Arc<ProjectId>| async move {
                query::live_project(&tx, input.project_id)
                    .await
                    .map(Project::from)
            }),
        Operation::read("projects.list", "List projects")
            .about("Lists projects, the oldest first, by status, priority, tag or a text in the name.")
            .permission("projects:read")
            .rest(Method::GET, "/projects")
            .handle(|tx: Tx, input: Arc<ListProjects>| async move { query::projects(&tx, &input).await }),
        Operation::write("projects.update", "Update a project")
            .about("Sets fields of a project; what is absent stays.")
            .permission("projects:write")
            .rest(Method::PATCH, "/projects/{project_id}")
            .revisioned()
            .handle_with(
                |tx: Tx, input: Arc<UpdateProject>, envelope: Envelope| async move {
                    let mut patch = project_patch(Op::Update, input.project_id, &envelope);
                    patch.body = Some(input.body());
                    only_project(once(&tx, of_project(patch)).await?)
                },
            ),
        Operation::write("projects.delete", "Delete a project")
            .about("Deletes a project with all its tasks. It can be restored with exactly what went with it.")
            .permission("projects:write")
            .destructive()
            .rest(Method::DELETE, "/projects/{project_id}")
            .handle_with(|tx: Tx, input: Arc<ProjectId>, envelope: Envelope| async move {
                let result = once(
                    &tx,
                    of_project(project_patch(Op::Delete, input.project_id, &envelope)),
                )
                .await?;
                Ok(Outcome::Done(Rows {
                    changes: result.changes,
                }))
            }),
        Operation::write("projects.restore", "Restore a project")
            .about("Brings a deleted project back with exactly the tasks that went with it.")
            .permission("projects:write")
            .rest(Method::POST, "/projects/{project_id}/restore")
            .handle_with(|tx: Tx, input: Arc<ProjectId>, envelope: Envelope| async move {
                let result = once(
                    &tx,
                    of_project(project_patch(Op::Restore, input.project_id, &envelope)),
                )
                .await?;
                Ok(Outcome::Done(Rows {
                    changes: result.changes,
                }))
            }),
        Operation::read("projects.tree", "Get a project's tasks as trees")
            .about("Returns a project with all its tasks, nested.")
            .permission("tasks:read")
            .rest(Method::GET, "/projects/{project_id}/tree")
            .handle(|tx: Tx, input: Arc<ProjectId>| async move {
                let project = query::live_project(&tx, input.project_id).await?;
                let tasks = query::project_tree(&tx, input.project_id).await?;
                Ok(ProjectTree {
                    project: project.into(),
                    tasks,
                })
            }),
    ]
}

fn tasks() -> Vec<Operation> {
    let mut all = changing_tasks();
    all.extend([
        Operation::read("tasks.get", "Get a task")
            .about("Returns one task by its id.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}")
            .revisioned()
            .handle(|tx: Tx, input: Arc<TaskId>| async move {
                query::live_task(&tx, input.task_id).await.map(Task::from)
            }),
        Operation::read("tasks.list", "List tasks")
            .about("Lists tasks by project, parent, status, priority, assignee, tag, due date or text, sorted as asked.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks")
            .handle(|tx: Tx, input: Arc<ListTasks>| async move { query::tasks(&tx, &input).await }),
        Operation::read("tasks.tree", "Get a task with all below it")
            .about("Returns a task with all tasks below it, nested.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/tree")
            .revisioned()
            .handle(|tx: Tx, input: Arc<TaskId>| async move {
                let trees = query::nest(query::subtree(&tx, input.task_id).await?);
                trees.into_iter().next().ok_or_else(|| Error::not_found("task"))
            }),
    ]);
    all
}

fn changing_tasks() -> Vec<Operation> {
    vec![
        Operation::write("tasks.create", "Create a task")
            .about("Creates a task in a project; a part of another task when parent_id is given.")
            .permission("tasks:write")
            .rest(Method::POST, "/projects/{project_id}/tasks")
            .revisioned()
            .handle(|tx: Tx, input: Arc<CreateTask>| async move {
                let mut patch = task_patch(Op::Create, Uuid::nil(), &Envelope::default());
                patch.task_id = None;
                patch.project_id = Some(input.project_id.to_string());
                patch.parent_id = input
                    .parent_id
                    .map_or(Patch::Absent, |id| Patch::Value(id.to_string()));
                patch.body = Some(input.body());
                only_task(once(&tx, of_task(patch)).await?, None)
            }),
        Operation::write("tasks.update", "Update a task")
            .about("Sets fields of a task; what is absent stays.")
            .permission("tasks:write")
            .rest(Method::PATCH, "/tasks/{task_id}")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<UpdateTask>, envelope: Envelope| async move {
                let mut patch = task_patch(Op::Update, input.task_id, &envelope);
                patch.body = Some(input.body());
                only_task(once(&tx, of_task(patch)).await?, Some(input.task_id))
            }),
        Operation::write("tasks.move", "Move a task")
            .about("Moves a task with all below it under another task, to the top, or to another project.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/move")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<MoveTask>, envelope: Envelope| async move {
                let mut patch = task_patch(Op::Update, input.task_id, &envelope);
                patch.project_id = input.project_id.map(|id| id.to_string());
                patch.parent_id = input
                    .parent_id
                    .map_or(Patch::Null, |id| Patch::Value(id.to_string()));
                only_task(once(&tx, of_task(patch)).await?, Some(input.task_id))
            }),
        Operation::write("tasks.delete", "Delete a task")
            .about("Deletes a task with all below it. It can be restored with exactly what went with it.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::DELETE, "/tasks/{task_id}")
            .handle_with(|tx: Tx, input: Arc<TaskId>, envelope: Envelope| async move {
                let result = once(&tx, of_task(task_patch(Op::Delete, input.task_id, &envelope))).await?;
                Ok(Outcome::Done(Rows {
                    changes: result.changes,
                }))
            }),
        Operation::write("tasks.restore", "Restore a task")
            .about("Brings a deleted task back with exactly what went with it.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/restore")
            .handle_with(|tx: Tx, input: Arc<TaskId>, envelope: Envelope| async move {
                let result = once(&tx, of_task(task_patch(Op::Restore, input.task_id, &envelope))).await?;
                Ok(Outcome::Done(Rows {
                    changes: result.changes,
                }))
            }),
    ]
}

fn patches() -> Vec<Operation> {
    vec![
        Operation::read("patches.preview", "Preview a patch set")
            .about("Shows what a patch set would change, field by field, without applying it; or everything wrong with it.")
            .permission("patches:read")
            .rest(Method::POST, "/patches/preview")
            .handle(|tx: Tx, input: Arc<PatchSet>| async move {
                Ok(describe(&Plan::make(&tx, &input).await?))
            }),
        Operation::write("patches.apply", "Apply a patch set")
            .about("Changes projects and tasks together or not at all. Answers the id by which the set is undone.")
            .permission("patches:write")
            .rest(Method::POST, "/patches")
            .handle(|tx: Tx, input: Arc<PatchSet>| async move {
                apply(&tx, &input, None).await.map(Outcome::Done)
            }),
        Operation::write("patches.undo", "Undo a patch set")
            .about("Undoes an applied patch set, unless what it changed was changed since. Undo the undo to redo.")
            .permission("patches:write")
            .rest(Method::POST, "/patches/{patch_set_id}/undo")
            .handle(|tx: Tx, input: Arc<PatchSetId>| async move {
                undo::undo(&tx, input.patch_set_id).await.map(Outcome::Done)
            }),
        Operation::read("patches.list", "List applied patch sets")
            .about("Lists applied patch sets, the newest first.")
            .permission("patches:read")
            .rest(Method::GET, "/patches")
            .handle(|tx: Tx, input: Arc<ListSets>| async move {
                let page = query::sets(&tx, input.limit, input.cursor.as_deref()).await?;
                Ok(Page::map(page, PatchSetView::from))
            }),
        Operation::read("patches.get", "Get an applied patch set")
            .about("Returns an applied patch set with what it changed.")
            .permission("patches:read")
            .rest(Method::GET, "/patches/{patch_set_id}")
            .handle(|tx: Tx, input: Arc<PatchSetId>| async move {
                query::set(&tx, input.patch_set_id).await.map(PatchSetView::from)
            }),
        Operation::read("patches.schema", "Get the schema of patch sets")
            .about("Returns the JSON Schema of a patch set.")
            .permission("patches:read")
            .rest(Method::GET, "/patches/schema")
            .handle(|_: Tx, _: Arc<NoInput>| async move {
                Ok(SchemaView { schema: schemars::schema_for!(PatchSet).to_value() })
            }),
    ]
}
