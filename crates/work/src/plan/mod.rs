//! The plan: the touched rows in memory, changed patch by patch; every fault is collected, nothing is written here.

mod links;
mod order;
mod projects;
mod repeat;
mod tasks;
#[cfg(test)]
mod tests;

use crate::entity::{MAX_DEPTH, project, task};
use crate::model::TaskStatus;
use crate::patch::{Op, PatchSet, ProjectPatch, TaskBody, TaskPatch};
use crate::{author, query};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use synapscale_core::{Error, FieldError, Result};
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

/// In which order a set's patches are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Projects, then tasks.
    Given,
    /// The same for a set that the product makes itself, which may be as long as a tree.
    Own,
    /// The same, but projects are deleted last: what was moved into them goes back first.
    Undo,
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
    /// Tasks from before there were places, with the places that they get.
    pub settled: Vec<(Uuid, String)>,
    /// Who waits for whom.
    pub web: links::Web,
    faults: Vec<FieldError>,
    stale: Option<Error>,
    order: Sequence,
    /// When all of it happens.
    pub now: DateTime<Utc>,
    by: String,
}

impl Plan {
    /// Plans `set` against the present rows.
    ///
    /// # Errors
    /// All faults at once with their pointers; `stale_revision` when only revisions differ.
    pub async fn make(tx: &Tx, set: &PatchSet, order: Sequence) -> Result<Plan> {
        let count = set.project_patches.len() + set.task_patches.len();
        if count > MAX_PATCHES && order == Sequence::Given {
            return Err(Error::too_large("patch set", format!("{MAX_PATCHES} patches")));
        }
        let mut plan = Plan::empty(tx.ctx().clock().now(), author(tx));
        plan.order = order;
        if reshapes(set) || (order != Sequence::Undo && repeat::takes_back(tx, set).await?) {
            // Two moves at once could each be right and together make a circle. The lock comes before the first row is
            // read: a row read before it may be out of date once the lock is there.
            tx.lock("work/tree").await?;
        } else if places(set) {
            // A new task stands where its parent stands until it is there too; new tasks do not wait for one another.
            tx.lock_shared("work/tree").await?;
        }
        plan.load(tx, set).await?;
        plan.load_links(tx, set).await?;
        let last = |patch: &ProjectPatch| order == Sequence::Undo && patch.op == Op::Delete;
        for (index, patch) in set
            .project_patches
            .iter()
            .enumerate()
            .filter(|&(_, patch)| !last(patch))
        {
            plan.project(tx, &format!("/project_patches/{index}"), patch)
                .await?;
        }
        for (index, patch) in set.task_patches.iter().enumerate() {
            plan.task(tx, &format!("/task_patches/{index}"), patch).await?;
        }
        for (index, patch) in set
            .project_patches
            .iter()
            .enumerate()
            .filter(|&(_, patch)| last(patch))
        {
            plan.project(tx, &format!("/project_patches/{index}"), patch)
                .await?;
        }
        if !plan.faults.is_empty() {
            return Err(Error::invalid_fields(std::mem::take(&mut plan.faults)));
        }
        if let Some(stale) = plan.stale.take() {
            return Err(stale);
        }
        plan.find_blocked(tx).await?;
        Ok(plan)
    }

    fn empty(now: DateTime<Utc>, by: String) -> Plan {
        Plan {
            projects: BTreeMap::new(),
            tasks: BTreeMap::new(),
            created: Vec::new(),
            temp_ids: BTreeMap::new(),
            group: DeleteGroup::new(),
            restored: Vec::new(),
            settled: Vec::new(),
            web: links::Web::default(),
            faults: Vec::new(),
            stale: None,
            order: Sequence::Given,
            now,
            by,
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
            tasks.extend(patch.before.as_deref().and_then(id));
            tasks.extend(patch.after.as_deref().and_then(id));
            tasks.extend(patch.add_blocked_by.iter().filter_map(|text| id(text)));
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
        // What goes beside another task goes below that one's parent.
        let named: HashSet<Uuid> = set.task_patches.iter().filter_map(TaskPatch::beside).collect();
        let above = self.tasks.values().filter(|row| named.contains(&row.after.id));
        let above: HashSet<Uuid> = above
            .filter_map(|row| row.after.parent_id)
            .filter(|id| !self.tasks.contains_key(id))
            .collect();
        self.hold_tasks(query::tasks_by_id(tx, above.into_iter().collect()).await?);
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
            self.stale.get_or_insert_with(|| {
                Error::stale(what, expected, found).at(format!("{at}/expected_revision"))
            });
        }
    }

    /// What a patch names although its kind has no use for it: better refused than passed by.
    fn stray(&mut self, at: &str, named: &[(&str, bool)]) {
        for (field, _) in named.iter().filter(|(_, there)| *there) {
            let message = format!("A patch of this kind takes no {field}.");
            self.fault(format!("{at}/{field}"), "unexpected", message);
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

    fn restored_in_set(&mut self, pointer: &str) {
        let message = "This set brings it, or something below it, back; it cannot delete it too.";
        self.fault(pointer, "restored_in_set", message);
    }

    /// Brings back exactly the rows of one delete group, each below what it belongs to. That may have moved meanwhile, or
    /// be deleted itself.
    async fn restore(&mut self, tx: &Tx, pointer: &str, group: Option<Uuid>) -> Result<()> {
        let Some(group) = group else { return Ok(()) };
        self.hold_projects(query::projects_of_group(tx, group).await?);
        self.hold_tasks(query::tasks_of_group(tx, group).await?);
        let (mut above, mut around) = (HashSet::new(), HashSet::new());
        for row in self.tasks.values().map(|row| &row.after) {
            if row.delete_group == Some(group) {
                above.extend(row.parent_id.filter(|id| !self.tasks.contains_key(id)));
                around.extend(Some(row.project_id).filter(|id| !self.projects.contains_key(id)));
            }
        }
        let (above, around) = (above.into_iter().collect(), around.into_iter().collect());
        self.hold_tasks(query::tasks_by_id(tx, above).await?);
        self.hold_projects(query::projects_by_id(tx, around).await?);
        self.lift(pointer, group);
        Ok(())
    }

    /// Rows as they stand, unless the plan has them already.
    fn hold_projects(&mut self, rows: Vec<project::Model>) {
        for row in rows {
            self.projects.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
        }
    }

    fn hold_tasks(&mut self, rows: Vec<task::Model>) {
        for row in rows {
            self.tasks.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
        }
    }

    /// Takes the rows of `group`, all held, out of their deletion.
    fn lift(&mut self, pointer: &str, group: Uuid) {
        let now = self.now;
        for row in self.projects.values_mut() {
            if row.after.delete_group == Some(group) {
                row.restore(now);
            }
        }
        let mut tasks: Vec<(i64, Uuid)> = self
            .tasks
            .values()
            .filter(|row| row.after.delete_group == Some(group))
            .map(|row| (row.after.depth, row.after.id))
            .collect();
        // Parents come before children: what is deleted together keeps its depths against one another.
        tasks.sort_unstable();
        let (mut homeless, mut deepest) = (false, 0);
        for (_, id) in tasks {
            let home = self.home(id);
            match (home, self.tasks.get_mut(&id)) {
                (Some((project, depth)), Some(row)) => {
                    row.after.project_id = project;
                    row.after.depth = depth;
                    row.restore(now);
                    deepest = deepest.max(depth);
                }
                _ => homeless = true,
            }
        }
        if homeless {
            let message = "What it, or something deleted with it, belongs to is deleted; restore that first.";
            self.fault(pointer, "parent_deleted", message);
        }
        if deepest > MAX_DEPTH {
            let message =
                "What it belongs to was moved down meanwhile: this would be deeper than tasks may be.";
            self.fault(pointer, "too_deep", message);
        }
        self.restored.push(group);
    }

    /// The project and the depth that a task has by its living parent or, at the top, by its living project.
    fn home(&self, id: Uuid) -> Option<(Uuid, i64)> {
        let row = &self.tasks.get(&id)?.after;
        match row.parent_id {
            Some(parent) => self
                .tasks
                .get(&parent)
                .filter(|above| above.after.deleted_at.is_none())
                .map(|above| (above.after.project_id, above.after.depth + 1)),
            None => self
                .projects
                .get(&row.project_id)
                .filter(|around| around.after.deleted_at.is_none())
                .map(|_| (row.project_id, 0)),
        }
    }
}

/// Whether a set moves, deletes or restores anything, or changes who waits for whom: whether it may change the shape of
/// what stands.
fn reshapes(set: &PatchSet) -> bool {
    if links::links(set) {
        return true;
    }
    let whole = |op: Op| matches!(op, Op::Delete | Op::Restore);
    set.project_patches.iter().any(|patch| whole(patch.op))
        || set.task_patches.iter().any(|patch| {
            let moves = patch.project_id.is_some()
                || !patch.parent_id.is_absent()
                || patch.before.is_some()
                || patch.after.is_some();
            whole(patch.op) || (patch.op == Op::Update && moves)
        })
}

/// Whether a set puts new tasks into trees that stand; completing one that comes again may.
fn places(set: &PatchSet) -> bool {
    let done = |body: &TaskBody| body.status.value() == Some(&TaskStatus::Done);
    set.task_patches
        .iter()
        .any(|patch| patch.op == Op::Create || patch.body.as_ref().is_some_and(done))
}

/// What every row can do.
pub(crate) trait Touch {
    fn touch(&mut self, op: Op, now: DateTime<Utc>);
    fn delete(&mut self, group: Uuid, now: DateTime<Utc>);
    fn restore(&mut self, now: DateTime<Utc>);
    fn whole(&self) -> bool;
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
                self.op = Some(match (self.op, op) {
                    (Some(first @ (Op::Create | Op::Restore)), Op::Update) => first,
                    (_, op) => op,
                });
            }

            /// Hides the row. One that the same set made leaves nothing to write or to tell of.
            fn delete(&mut self, group: Uuid, now: DateTime<Utc>) {
                self.touch(Op::Delete, now);
                self.after.deleted_at = Some(now);
                self.after.delete_group = Some(group);
                if self.before.is_none() {
                    self.op = None;
                }
            }

            fn restore(&mut self, now: DateTime<Utc>) {
                self.touch(Op::Restore, now);
                self.after.deleted_at = None;
                self.after.delete_group = None;
            }

            /// Whether more of a standing row changes than the marks of its deletion.
            fn whole(&self) -> bool {
                let Some(before) = &self.before else {
                    return false;
                };
                match self.op {
                    Some(Op::Update) => true,
                    Some(Op::Delete | Op::Restore) => {
                        let mut marked = before.clone();
                        marked.deleted_at = self.after.deleted_at;
                        marked.delete_group = self.after.delete_group;
                        marked.revision = self.after.revision;
                        marked.updated_at = self.after.updated_at;
                        marked != self.after
                    }
                    Some(Op::Create) | None => false,
                }
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
