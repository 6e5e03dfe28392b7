//! The plan: the touched rows in memory, changed patch by patch; every fault is collected, nothing is written here.

use crate::entity::{MAX_DEPTH, project, task};
use crate::model::{Priority, ProjectStatus, TaskStatus};
use crate::patch::{Op, PatchSet, ProjectBody, ProjectPatch, TaskBody, TaskPatch};
use crate::query;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use synapscale_core::{Error, FieldError, Result, new_id};
use synapscale_ops::Patch;
use synapscale_store::{DeleteGroup, Tx};
use uuid::Uuid;

/// Most patches of a set.
const MAX_PATCHES: usize = 500;
/// Largest metadata of a row, in bytes of JSON.
const MAX_METADATA: usize = 64 * 1024;

/// A row before and after; no `before` for a new one.
#[derive(Clone, Debug)]
pub(crate) struct Row<M> {
    pub before: Option<M>,
    pub after: M,
    pub op: Option<Op>,
}

/// The rows that a set touches.
pub(crate) struct Plan {
    pub projects: BTreeMap<Uuid, Row<project::Model>>,
    pub tasks: BTreeMap<Uuid, Row<task::Model>>,
    /// New rows in the order in which they were made, parents first.
    pub created: Vec<Uuid>,
    pub temp_ids: BTreeMap<String, Uuid>,
    /// What this set deletes goes under this group.
    pub group: DeleteGroup,
    /// The groups that this set brings back.
    pub restored: Vec<Uuid>,
    faults: Vec<FieldError>,
    stale: Option<Error>,
    now: DateTime<Utc>,
    by: String,
}

impl Plan {
    /// Plans `set` against the present rows.
    ///
    /// # Errors
    /// All faults at once with their pointers; `stale_revision` when only revisions differ.
    pub async fn make(tx: &Tx, set: &PatchSet) -> Result<Plan> {
        let count = set.project_patches.len() + set.task_patches.len();
        if count > MAX_PATCHES {
            return Err(Error::too_large("patch set", format!("{MAX_PATCHES} patches")));
        }
        let actor = tx.ctx().principal().unwrap_or(tx.ctx().actor());
        let mut plan = Plan {
            projects: BTreeMap::new(),
            tasks: BTreeMap::new(),
            created: Vec::new(),
            temp_ids: BTreeMap::new(),
            group: DeleteGroup::new(),
            restored: Vec::new(),
            faults: Vec::new(),
            stale: None,
            now: tx.ctx().clock().now(),
            by: format!("{}:{}", actor.kind.as_str(), actor.id),
        };
        plan.load(tx, set).await?;
        for (index, patch) in set.project_patches.iter().enumerate() {
            plan.project(tx, &format!("/project_patches/{index}"), patch)
                .await?;
        }
        for (index, patch) in set.task_patches.iter().enumerate() {
            plan.task(tx, &format!("/task_patches/{index}"), patch).await?;
        }
        if !plan.faults.is_empty() {
            return Err(Error::invalid_fields(std::mem::take(&mut plan.faults)));
        }
        match plan.stale.take() {
            Some(stale) => Err(stale),
            None => Ok(plan),
        }
    }

    /// Every row that the set names, with one query for each kind.
    async fn load(&mut self, tx: &Tx, set: &PatchSet) -> Result<()> {
        let id = |text: &str| Uuid::parse_str(text).ok();
        let mut tasks: HashSet<Uuid> = HashSet::new();
        let mut projects: HashSet<Uuid> = HashSet::new();
        for patch in &set.task_patches {
            tasks.extend(patch.task_id.as_deref().and_then(id));
            tasks.extend(patch.parent_id.value().and_then(|text| id(text)));
            projects.extend(patch.project_id.as_deref().and_then(id));
        }
        projects.extend(
            set.project_patches
                .iter()
                .filter_map(|patch| patch.project_id.as_deref().and_then(id)),
        );
        for row in query::tasks_by_id(tx, tasks.into_iter().collect()).await? {
            projects.insert(row.project_id);
            self.tasks.insert(
                row.id,
                Row {
                    before: Some(row.clone()),
                    after: row,
                    op: None,
                },
            );
        }
        for row in query::projects_by_id(tx, projects.into_iter().collect()).await? {
            self.projects.insert(
                row.id,
                Row {
                    before: Some(row.clone()),
                    after: row,
                    op: None,
                },
            );
        }
        Ok(())
    }

    fn fault(&mut self, pointer: impl Into<String>, code: &'static str, message: impl Into<String>) {
        self.faults.push(FieldError {
            pointer: pointer.into(),
            code: code.into(),
            message: message.into(),
        });
    }

    /// The id that a reference stands for.
    fn resolve(&mut self, pointer: &str, text: &str) -> Option<Uuid> {
        let found = match text.strip_prefix("temp:") {
            Some(name) => self.temp_ids.get(name).copied(),
            None => Uuid::parse_str(text).ok(),
        };
        if found.is_none() {
            let message = format!("`{text}` is neither an id nor temp:NAME of an earlier patch of this set.");
            self.fault(pointer, "reference", message);
        }
        found
    }

    fn name(&mut self, at: &str, temp_id: Option<&String>, id: Uuid) {
        let Some(name) = temp_id else { return };
        if self.temp_ids.insert(name.clone(), id).is_some() {
            self.fault(
                format!("{at}/temp_id"),
                "duplicate",
                format!("`{name}` names two things in this set."),
            );
        }
    }

    fn check_revision(&mut self, at: &str, what: &str, expected: Option<i64>, found: i64) {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let stale = Error::stale(what, expected, found);
            let told = stale.message().to_owned();
            tracing::debug!(at, told, "stale patch");
            self.stale.get_or_insert(stale);
        }
    }

    fn metadata(&mut self, at: &str, value: &Value) {
        if serde_json::to_vec(value).map_or(0, |bytes| bytes.len()) > MAX_METADATA {
            self.fault(
                format!("{at}/body/metadata"),
                "too_large",
                "Metadata may have 64 KiB of JSON.",
            );
        }
    }

    async fn project(&mut self, tx: &Tx, at: &str, patch: &ProjectPatch) -> Result<()> {
        if patch.op == Op::Create {
            self.create_project(at, patch);
            return Ok(());
        }
        let Some(text) = &patch.project_id else {
            self.fault(format!("{at}/project_id"), "required", "This needs a project_id.");
            return Ok(());
        };
        let pointer = format!("{at}/project_id");
        let Some(id) = self.resolve(&pointer, text) else {
            return Ok(());
        };
        let found = self
            .projects
            .get(&id)
            .map(|row| (row.after.clone(), row.before.as_ref().map(|b| b.revision)));
        let Some((row, seen)) = found else {
            self.fault(pointer, "not_found", "There is no such project.");
            return Ok(());
        };
        // What the caller saw is the row before this set.
        self.check_revision(
            at,
            "project",
            patch.expected_revision,
            seen.unwrap_or(row.revision),
        );
        match (patch.op, row.deleted_at.is_some()) {
            (Op::Restore, true) => self.restore(tx, row.delete_group).await,
            (Op::Restore, false) => {
                self.fault(pointer, "not_deleted", "This project is not deleted.");
                Ok(())
            }
            (_, true) => {
                self.fault(pointer, "not_found", "There is no such project.");
                Ok(())
            }
            (Op::Delete, _) => self.delete_project(tx, id).await,
            _ => {
                self.update_project(at, id, patch.body.as_ref());
                Ok(())
            }
        }
    }

    fn create_project(&mut self, at: &str, patch: &ProjectPatch) {
        let id = new_id();
        let mut after = project::Model {
            tenant_id: Uuid::nil(),
            id,
            name: String::new(),
            description: None,
            status: ProjectStatus::Active.as_str().to_owned(),
            priority: Priority::Medium.as_str().to_owned(),
            tags: json!([]),
            metadata: json!({}),
            integration_ids: json!({}),
            created_at: self.now,
            updated_at: self.now,
            created_by: self.by.clone(),
            revision: 1,
            deleted_at: None,
            delete_group: None,
        };
        if patch.project_id.is_some() {
            self.fault(
                format!("{at}/project_id"),
                "unexpected",
                "A new project gets its id by itself.",
            );
        }
        self.set_project(
            at,
            &mut after,
            patch.body.as_ref().unwrap_or(&ProjectBody::default()),
        );
        if after.name.trim().is_empty() {
            self.fault(format!("{at}/body/name"), "required", "A project needs a name.");
        }
        self.name(at, patch.temp_id.as_ref(), id);
        self.projects.insert(
            id,
            Row {
                before: None,
                after,
                op: Some(Op::Create),
            },
        );
        self.created.push(id);
    }

    fn update_project(&mut self, at: &str, id: Uuid, body: Option<&ProjectBody>) {
        let Some(body) = body else {
            self.fault(format!("{at}/body"), "required", "An update needs a body.");
            return;
        };
        let Some(mut row) = self.projects.remove(&id) else {
            return;
        };
        self.set_project(at, &mut row.after, body);
        row.touch(Op::Update, self.now);
        self.projects.insert(id, row);
    }

    fn set_project(&mut self, at: &str, row: &mut project::Model, body: &ProjectBody) {
        let at_body = format!("{at}/body");
        let mut faults = Vec::new();
        required(
            &mut faults,
            &at_body,
            "name",
            &body.name,
            &mut row.name,
            Clone::clone,
        );
        body.description.apply(&mut row.description);
        required(
            &mut faults,
            &at_body,
            "status",
            &body.status,
            &mut row.status,
            |s| s.as_str().to_owned(),
        );
        required(
            &mut faults,
            &at_body,
            "priority",
            &body.priority,
            &mut row.priority,
            |p| p.as_str().to_owned(),
        );
        required(&mut faults, &at_body, "tags", &body.tags, &mut row.tags, |tags| {
            json!(tags)
        });
        required(
            &mut faults,
            &at_body,
            "metadata",
            &body.metadata,
            &mut row.metadata,
            |map| json!(map),
        );
        required(
            &mut faults,
            &at_body,
            "integration_ids",
            &body.integration_ids,
            &mut row.integration_ids,
            |ids| json!(ids),
        );
        self.faults.extend(faults);
        let metadata = row.metadata.clone();
        self.metadata(at, &metadata);
    }

    async fn delete_project(&mut self, tx: &Tx, id: Uuid) -> Result<()> {
        for row in query::tasks_of_project(tx, id).await? {
            self.tasks.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
        }
        let (group, now) = (self.group.0, self.now);
        for row in self
            .tasks
            .values_mut()
            .filter(|row| row.after.project_id == id && row.after.deleted_at.is_none())
        {
            row.after.deleted_at = Some(now);
            row.after.delete_group = Some(group);
            row.touch(Op::Delete, now);
        }
        if let Some(row) = self.projects.get_mut(&id) {
            row.after.deleted_at = Some(now);
            row.after.delete_group = Some(group);
            row.touch(Op::Delete, now);
        }
        Ok(())
    }

    /// Brings back exactly the rows of one delete group.
    async fn restore(&mut self, tx: &Tx, group: Option<Uuid>) -> Result<()> {
        let Some(group) = group else { return Ok(()) };
        let now = self.now;
        for row in query::projects_of_group(tx, group).await? {
            let row = self.projects.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
            row.after.deleted_at = None;
            row.after.delete_group = None;
            row.touch(Op::Restore, now);
        }
        for row in query::tasks_of_group(tx, group).await? {
            let row = self.tasks.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
            row.after.deleted_at = None;
            row.after.delete_group = None;
            row.touch(Op::Restore, now);
        }
        self.restored.push(group);
        Ok(())
    }

    async fn task(&mut self, tx: &Tx, at: &str, patch: &TaskPatch) -> Result<()> {
        if patch.op == Op::Create {
            self.create_task(at, patch);
            return Ok(());
        }
        let pointer = format!("{at}/task_id");
        let Some(text) = &patch.task_id else {
            self.fault(pointer, "required", "This needs a task_id.");
            return Ok(());
        };
        let Some(id) = self.resolve(&pointer, text) else {
            return Ok(());
        };
        let found = self
            .tasks
            .get(&id)
            .map(|row| (row.after.clone(), row.before.as_ref().map(|b| b.revision)));
        let Some((row, seen)) = found else {
            self.fault(pointer, "not_found", "There is no such task.");
            return Ok(());
        };
        self.check_revision(at, "task", patch.expected_revision, seen.unwrap_or(row.revision));
        match (patch.op, row.deleted_at.is_some()) {
            (Op::Restore, true) => self.restore_task(tx, &pointer, &row).await,
            (Op::Restore, false) => {
                self.fault(pointer, "not_deleted", "This task is not deleted.");
                Ok(())
            }
            (_, true) => {
                self.fault(pointer, "not_found", "There is no such task.");
                Ok(())
            }
            (Op::Delete, _) => self.delete_task(tx, id).await,
            _ => self.update_task(tx, at, id, patch).await,
        }
    }

    /// The place of a task: its project, its parent and how deep that is.
    fn place(
        &mut self,
        at: &str,
        project: Option<&String>,
        parent: Option<&String>,
    ) -> Option<(Uuid, Option<Uuid>, i64)> {
        let (pointer_p, pointer_t) = (format!("{at}/project_id"), format!("{at}/parent_id"));
        let project = match project {
            Some(text) => Some(self.resolve(&pointer_p, text)?),
            None => None,
        };
        let Some(parent) = parent else {
            let Some(project) = project else {
                self.fault(pointer_p, "required", "A task needs a project or a parent.");
                return None;
            };
            let there = self
                .projects
                .get(&project)
                .is_some_and(|row| row.after.deleted_at.is_none());
            if !there {
                self.fault(pointer_p, "not_found", "There is no such project.");
                return None;
            }
            return Some((project, None, 0));
        };
        let parent = self.resolve(&pointer_t, parent)?;
        let above = self
            .tasks
            .get(&parent)
            .filter(|row| row.after.deleted_at.is_none())
            .map(|row| row.after.clone());
        let Some(above) = above else {
            self.fault(pointer_t, "not_found", "There is no such task.");
            return None;
        };
        if project.is_some_and(|project| project != above.project_id) {
            self.fault(pointer_p, "mismatch", "The parent belongs to another project.");
            return None;
        }
        Some((above.project_id, Some(parent), above.depth + 1))
    }

    fn too_deep(&mut self, at: &str) {
        let message = format!("Tasks may be {MAX_DEPTH} levels below the top; this would be deeper.");
        self.fault(format!("{at}/parent_id"), "too_deep", message);
    }

    fn create_task(&mut self, at: &str, patch: &TaskPatch) {
        if patch.task_id.is_some() {
            self.fault(
                format!("{at}/task_id"),
                "unexpected",
                "A new task gets its id by itself.",
            );
        }
        let place = self.place(at, patch.project_id.as_ref(), patch.parent_id.value());
        let (project_id, parent_id, depth) = place.unwrap_or((Uuid::nil(), None, 0));
        if depth > MAX_DEPTH {
            self.too_deep(at);
        }
        let id = new_id();
        let mut after = task::Model {
            tenant_id: Uuid::nil(),
            id,
            project_id,
            parent_id,
            title: String::new(),
            description: None,
            status: TaskStatus::Todo.as_str().to_owned(),
            priority: Priority::Medium.as_str().to_owned(),
            priority_rank: Priority::Medium.rank(),
            assignee: None,
            due_date: None,
            estimated_minutes: None,
            actual_minutes: None,
            tags: json!([]),
            metadata: json!({}),
            integration_ids: json!({}),
            depth,
            created_at: self.now,
            updated_at: self.now,
            created_by: self.by.clone(),
            revision: 1,
            deleted_at: None,
            delete_group: None,
        };
        self.set_task(
            at,
            &mut after,
            patch.body.as_ref().unwrap_or(&TaskBody::default()),
        );
        if after.title.trim().is_empty() {
            self.fault(format!("{at}/body/title"), "required", "A task needs a title.");
        }
        self.name(at, patch.temp_id.as_ref(), id);
        self.tasks.insert(
            id,
            Row {
                before: None,
                after,
                op: Some(Op::Create),
            },
        );
        self.created.push(id);
    }

    fn set_task(&mut self, at: &str, row: &mut task::Model, body: &TaskBody) {
        let at_body = format!("{at}/body");
        let mut faults = Vec::new();
        required(
            &mut faults,
            &at_body,
            "title",
            &body.title,
            &mut row.title,
            Clone::clone,
        );
        body.description.apply(&mut row.description);
        required(
            &mut faults,
            &at_body,
            "status",
            &body.status,
            &mut row.status,
            |s| s.as_str().to_owned(),
        );
        required(
            &mut faults,
            &at_body,
            "priority",
            &body.priority,
            &mut row.priority,
            |p| p.as_str().to_owned(),
        );
        row.priority_rank = Priority::parse(&row.priority).rank();
        body.assignee.apply(&mut row.assignee);
        body.due_date.apply(&mut row.due_date);
        body.estimated_minutes.apply(&mut row.estimated_minutes);
        body.actual_minutes.apply(&mut row.actual_minutes);
        required(&mut faults, &at_body, "tags", &body.tags, &mut row.tags, |tags| {
            json!(tags)
        });
        required(
            &mut faults,
            &at_body,
            "metadata",
            &body.metadata,
            &mut row.metadata,
            |map| json!(map),
        );
        required(
            &mut faults,
            &at_body,
            "integration_ids",
            &body.integration_ids,
            &mut row.integration_ids,
            |ids| json!(ids),
        );
        self.faults.extend(faults);
        let metadata = row.metadata.clone();
        self.metadata(at, &metadata);
    }

    async fn update_task(&mut self, tx: &Tx, at: &str, id: Uuid, patch: &TaskPatch) -> Result<()> {
        let moves = patch.project_id.is_some() || !patch.parent_id.is_absent();
        if patch.body.is_none() && !moves {
            self.fault(
                format!("{at}/body"),
                "required",
                "An update needs a body, a parent or a project.",
            );
            return Ok(());
        }
        if moves {
            self.move_task(tx, at, id, patch).await?;
        }
        let Some(mut row) = self.tasks.remove(&id) else {
            return Ok(());
        };
        if let Some(body) = &patch.body {
            self.set_task(at, &mut row.after, body);
        }
        row.touch(Op::Update, self.now);
        self.tasks.insert(id, row);
        Ok(())
    }

    /// Moves a task with all below it, if that makes neither a circle nor a tree that is too deep.
    async fn move_task(&mut self, tx: &Tx, at: &str, id: Uuid, patch: &TaskPatch) -> Result<()> {
        // Two moves at once could each be right and together make a circle.
        tx.lock("work/tree").await?;
        self.load_subtree(tx, id).await?;
        let Some(row) = self.tasks.get(&id).map(|row| row.after.clone()) else {
            return Ok(());
        };
        let project = patch.project_id.clone().or_else(|| match patch.parent_id {
            Patch::Null => Some(row.project_id.to_string()),
            _ => None,
        });
        let Some((project_id, parent_id, depth)) = self.place(at, project.as_ref(), patch.parent_id.value())
        else {
            return Ok(());
        };
        let below = self.subtree(id);
        if parent_id.is_some_and(|parent| below.contains(&parent)) {
            self.fault(
                format!("{at}/parent_id"),
                "cycle",
                "A task cannot be moved below itself.",
            );
            return Ok(());
        }
        let deeper = depth - row.depth;
        let deepest = below
            .iter()
            .filter_map(|id| self.tasks.get(id))
            .map(|row| row.after.depth)
            .max()
            .unwrap_or(0);
        if deepest + deeper > MAX_DEPTH {
            self.too_deep(at);
            return Ok(());
        }
        let now = self.now;
        for task in &below {
            if let Some(row) = self.tasks.get_mut(task) {
                row.after.depth += deeper;
                row.after.project_id = project_id;
                if *task == id {
                    row.after.parent_id = parent_id;
                } else {
                    row.touch(Op::Update, now);
                }
            }
        }
        Ok(())
    }

    async fn load_subtree(&mut self, tx: &Tx, id: Uuid) -> Result<()> {
        for row in query::subtree(tx, id).await? {
            self.tasks.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
        }
        Ok(())
    }

    /// The task and the living ones below it, as the plan has them now.
    fn subtree(&self, id: Uuid) -> HashSet<Uuid> {
        let mut children: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
        for (child, row) in self
            .tasks
            .iter()
            .filter(|(_, row)| row.after.deleted_at.is_none())
        {
            if let Some(parent) = row.after.parent_id {
                children.entry(parent).or_default().push(*child);
            }
        }
        let (mut found, mut open) = (HashSet::from([id]), vec![id]);
        while let Some(next) = open.pop() {
            for child in children.get(&next).into_iter().flatten() {
                if found.insert(*child) {
                    open.push(*child);
                }
            }
        }
        found
    }

    async fn delete_task(&mut self, tx: &Tx, id: Uuid) -> Result<()> {
        self.load_subtree(tx, id).await?;
        let (group, now) = (self.group.0, self.now);
        for task in self.subtree(id) {
            if let Some(row) = self.tasks.get_mut(&task) {
                row.after.deleted_at = Some(now);
                row.after.delete_group = Some(group);
                row.touch(Op::Delete, now);
            }
        }
        Ok(())
    }

    async fn restore_task(&mut self, tx: &Tx, pointer: &str, row: &task::Model) -> Result<()> {
        self.restore(tx, row.delete_group).await?;
        if let Some(parent) = row.parent_id {
            self.load_rows(tx, parent).await?;
        }
        let parent_gone = row.parent_id.is_some_and(|parent| {
            self.tasks
                .get(&parent)
                .is_none_or(|above| above.after.deleted_at.is_some())
        });
        let project_gone = self
            .projects
            .get(&row.project_id)
            .is_none_or(|above| above.after.deleted_at.is_some());
        if parent_gone || project_gone {
            self.fault(
                pointer,
                "parent_deleted",
                "What it belongs to is deleted; restore that first.",
            );
        }
        Ok(())
    }

    async fn load_rows(&mut self, tx: &Tx, id: Uuid) -> Result<()> {
        if !self.tasks.contains_key(&id) {
            for row in query::tasks_by_id(tx, vec![id]).await? {
                self.tasks.insert(
                    row.id,
                    Row {
                        before: Some(row.clone()),
                        after: row,
                        op: None,
                    },
                );
            }
        }
        Ok(())
    }
}

/// What every row can do.
pub(crate) trait Touch {
    fn touch(&mut self, op: Op, now: DateTime<Utc>);
}

macro_rules! touch {
    ($model:ty) => {
        impl Touch for Row<$model> {
            /// Notes what happens to a row; its revision rises once, however many patches of the set touch it.
            fn touch(&mut self, op: Op, now: DateTime<Utc>) {
                if self.op.is_none() {
                    self.after.revision += 1;
                }
                self.after.updated_at = now;
                self.op = Some(match self.op {
                    Some(Op::Create) if op == Op::Update => Op::Create,
                    _ => op,
                });
            }
        }
    };
}

touch!(project::Model);
touch!(task::Model);

fn required<T, F>(
    faults: &mut Vec<FieldError>,
    at: &str,
    name: &str,
    patch: &Patch<T>,
    field: &mut F,
    convert: impl FnOnce(&T) -> F,
) {
    match patch {
        Patch::Absent => {}
        Patch::Value(value) => *field = convert(value),
        Patch::Null => faults.push(FieldError {
            pointer: format!("{at}/{name}"),
            code: "required".into(),
            message: format!("`{name}` cannot be null."),
        }),
    }
}
