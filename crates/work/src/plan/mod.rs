//! The plan: the touched rows in memory, changed patch by patch; every fault is collected, nothing is written here.

mod projects;
mod tasks;

use crate::entity::{project, task};
use crate::patch::{Op, PatchSet};
use crate::query;
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
