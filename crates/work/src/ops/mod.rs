//! The operations on projects, tasks and patch sets. A single change is a set of one, so it obeys the same rules.

mod inputs;

pub(crate) use inputs::{ListProjects, PatchSetView};

use inputs::*;

use crate::apply::{apply, describe, write};
use crate::filter::{ListTasks, TaskFilter};
use crate::links::Pair;
use crate::model::{Project, Task};
use crate::patch::{Op, PatchResult, PatchSet, ProjectPatch, TaskPatch};
use crate::plan::{Plan, Sequence};
use crate::search::Backlog;
use crate::{query, undo};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::{Envelope, Method, NoInput, Operation, Outcome, Page, Patch};
use synapscale_store::Tx;
use uuid::Uuid;

/// Every operation of this domain.
pub(crate) fn all(backlog: &Backlog) -> Vec<Operation> {
    let mut all = projects();
    all.extend(tasks(backlog));
    all.extend(patches(backlog));
    all
}

/// Plans and writes one change; its pointers are the input's own.
async fn once(tx: &Tx, set: PatchSet) -> Result<PatchResult> {
    let creates = set.task_patches.iter().any(|patch| patch.op == Op::Create);
    let plan = Plan::make(tx, &set, Sequence::Given)
        .await
        .map_err(|error| own_pointers(error, creates))?;
    write(tx, &plan, None).await
}

/// `/task_patches/0/body/title` is `/title` to whoever sent one task. A thing that is not there is a 404.
/// So is the project that a new task is put into: it stands in the path.
fn own_pointers(error: Error, creates: bool) -> Error {
    let mut fields = error.fields().to_vec();
    if fields.is_empty() {
        return error;
    }
    if let [only] = fields.as_slice()
        && only.code == "not_found"
    {
        match only.pointer.as_str() {
            "/task_patches/0/task_id" => return Error::not_found("task"),
            "/project_patches/0/project_id" => return Error::not_found("project"),
            "/task_patches/0/project_id" if creates => return Error::not_found("project"),
            "/task_patches/0/remove_blocked_by/0" => return Error::not_found("dependency"),
            _ => {}
        }
    }
    for field in &mut fields {
        let short = field
            .pointer
            .trim_start_matches("/task_patches/0")
            .trim_start_matches("/project_patches/0");
        field.pointer = match short {
            "/add_blocked_by" | "/add_blocked_by/0" => "/blocker_id".to_owned(),
            _ => short.trim_start_matches("/body").to_owned(),
        };
    }
    Error::invalid_fields(fields)
        .with_kind(error.kind())
        .with_code(error.code().to_owned())
}

fn task_patch(op: Op, id: Uuid, envelope: &Envelope) -> TaskPatch {
    TaskPatch {
        expected_revision: envelope.expected_revision,
        ..TaskPatch::of(op, Some(id))
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

/// Makes a task wait for another, or no more.
pub(crate) async fn block(tx: &Tx, pair: &Pair, envelope: &Envelope, waits: bool) -> Result<Task> {
    let mut patch = task_patch(Op::Update, pair.task_id, envelope);
    let blocker = vec![pair.blocker_id.to_string()];
    match waits {
        true => patch.add_blocked_by = blocker,
        false => patch.remove_blocked_by = blocker,
    }
    let result = once(tx, of_task(patch)).await?;
    let found = result.tasks.into_iter().find(|task| task.id == pair.task_id);
    found.ok_or_else(|| Error::not_found("task"))
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
            .one_statement()
            .permission("projects:read")
            .rest(Method::GET, "/projects/{project_id}")
            .revisioned()
            .handle(|tx: Tx, input: Arc<ProjectId>| async move {
                query::live_project(&tx, input.project_id)
                    .await
                    .map(Project::from)
            }),
        Operation::read("projects.list", "List projects")
            .about("Lists projects by status, priority, tag or a text in the name, sorted as asked.")
            .one_statement()
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
            .about("Returns a project with all its tasks, nested; those in the archive when asked for.")
            .permission("tasks:read")
            .rest(Method::GET, "/projects/{project_id}/tree")
            .handle(|tx: Tx, input: Arc<TreeOf>| async move {
                let project = query::live_project(&tx, input.project_id).await?;
                let tasks = query::project_tree(&tx, input.project_id, input.archived).await?;
                Ok(ProjectTree {
                    project: project.into(),
                    tasks,
                })
            }),
    ]
}

fn tasks(backlog: &Backlog) -> Vec<Operation> {
    let mut all = changing_tasks(backlog);
    all.extend([
        Operation::read("tasks.get", "Get a task")
            .about("Returns one task by its id.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}")
            .revisioned()
            .handle(|tx: Tx, input: Arc<TaskId>| async move {
                query::seen_task(&tx, input.task_id).await
            }),
        Operation::read("tasks.list", "List tasks")
            .about("Lists tasks by project, parent, status, priority, assignee, tags, dates (also in words, such as today or overdue), text or words, sorted as asked.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/tasks")
            .handle(|tx: Tx, input: Arc<ListTasks>| async move {
                let (sort, cursor) = (input.sort.as_deref(), input.cursor.as_deref());
                query::tasks(&tx, &TaskFilter::from(&*input), sort, input.limit, cursor).await
            }),
        Operation::read("tasks.tree", "Get a task with all below it")
            .about("Returns a task with all tasks below it, nested.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/tree")
            .revisioned()
            .handle(|tx: Tx, input: Arc<TaskId>| async move {
                let trees = query::nest(query::seen_subtree(&tx, input.task_id).await?);
                trees.into_iter().next().ok_or_else(|| Error::not_found("task"))
            }),
    ]);
    all
}

fn changing_tasks(backlog: &Backlog) -> Vec<Operation> {
    let backlog = backlog.clone();
    vec![
        Operation::write("tasks.create", "Create a task")
            .about("Creates a task in a project; a part of another task when parent_id is given.")
            .permission("tasks:write")
            .rest(Method::POST, "/projects/{project_id}/tasks")
            .revisioned()
            .handle(move |tx: Tx, input: Arc<CreateTask>| {
                let backlog = backlog.clone();
                async move {
                    let mut patch = TaskPatch::of(Op::Create, None);
                    patch.project_id = Some(input.project_id.to_string());
                    patch.parent_id = input
                        .parent_id
                        .map_or(Patch::Absent, |id| Patch::Value(id.to_string()));
                    patch.body = Some(input.body());
                    let made = only_task(once(&tx, of_task(patch)).await?, None)?;
                    backlog.catch_up(&tx).await?;
                    Ok(made)
                }
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
            .about("Moves a task with all below it under another task, to the top, to another project, or right before or after another task.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/move")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<MoveTask>, envelope: Envelope| async move {
                let mut patch = task_patch(Op::Update, input.task_id, &envelope);
                patch.project_id = input.project_id.map(|id| id.to_string());
                patch.before = input.before.map(|id| id.to_string());
                patch.after = input.after.map(|id| id.to_string());
                patch.parent_id = match input.parent_id {
                    Some(id) => Patch::Value(id.to_string()),
                    // Beside another task, the parent is that one's.
                    None if patch.before.is_some() || patch.after.is_some() => Patch::Absent,
                    None => Patch::Null,
                };
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
                // The task may have gone with its whole project, which then comes back with it.
                if !result.projects.is_empty() {
                    tx.ctx().require("projects:write")?;
                }
                Ok(Outcome::Done(Rows {
                    changes: result.changes,
                }))
            }),
    ]
}

fn patches(backlog: &Backlog) -> Vec<Operation> {
    let backlog = backlog.clone();
    vec![
        Operation::read("patches.preview", "Preview a patch set")
            .about("Shows what a patch set would change, field by field, without applying it; or everything wrong with it.")
            .permission("patches:read")
            .rest(Method::POST, "/patches/preview")
            .handle(|tx: Tx, input: Arc<PatchSet>| async move {
                Ok(describe(&Plan::make(&tx, &input, Sequence::Given).await?))
            }),
        Operation::write("patches.apply", "Apply a patch set")
            .about("Changes projects and tasks together or not at all. Answers the id by which the set is undone.")
            .permission("patches:write")
            .rest(Method::POST, "/patches")
            .previewed_by("patches.preview")
            .handle(move |tx: Tx, input: Arc<PatchSet>| {
                let backlog = backlog.clone();
                async move {
                    let applied = apply(&tx, &input, Sequence::Given).await?;
                    backlog.catch_up(&tx).await?;
                    Ok(Outcome::Done(applied))
                }
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
            .one_statement()
            .permission("patches:read")
            .rest(Method::GET, "/patches")
            .handle(|tx: Tx, input: Arc<ListSets>| async move {
                let page = query::sets(&tx, input.limit, input.cursor.as_deref()).await?;
                Ok(Page::map(page, PatchSetView::from))
            }),
        Operation::read("patches.get", "Get an applied patch set")
            .about("Returns an applied patch set with what it changed.")
            .one_statement()
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
