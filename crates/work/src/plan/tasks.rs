//! Patches of tasks: their place in the tree, their fields, what is below them.

use super::repeat::set_rule;
use super::{Plan, Row, Sequence, Touch, required};
use crate::entity::{MAX_DEPTH, task};
use crate::model::{Priority, TaskStatus};
use crate::patch::{Op, TaskBody, TaskPatch};
use crate::position::{is_place, made_at};
use crate::query;
use crate::search::VERSION;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use synapscale_core::{FieldError, Result, new_id};
use synapscale_ops::Patch;
use synapscale_store::Tx;
use uuid::Uuid;

impl Plan {
    pub(super) async fn task(&mut self, tx: &Tx, at: &str, patch: &TaskPatch) -> Result<()> {
        if patch.op == Op::Create {
            self.create_task(at, patch);
            return Ok(());
        }
        let hides = patch.op != Op::Update;
        self.stray(
            at,
            &[
                ("temp_id", patch.temp_id.is_some()),
                ("body", hides && patch.body.is_some()),
                ("project_id", hides && patch.project_id.is_some()),
                ("parent_id", hides && !patch.parent_id.is_absent()),
                ("before", hides && patch.before.is_some()),
                ("after", hides && patch.after.is_some()),
                ("add_blocked_by", hides && !patch.add_blocked_by.is_empty()),
                ("remove_blocked_by", hides && !patch.remove_blocked_by.is_empty()),
            ],
        );
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
            (Op::Restore, true) if row.delete_group == Some(self.group.0) => {
                self.fault(
                    pointer,
                    "deleted_in_set",
                    "This set deletes it; it cannot bring it back too.",
                );
                Ok(())
            }
            (Op::Restore, true) => self.restore(tx, &pointer, row.delete_group).await,
            (Op::Restore, false) => {
                self.fault(pointer, "not_deleted", "This task is not deleted.");
                Ok(())
            }
            (_, true) => {
                self.fault(pointer, "not_found", "There is no such task.");
                Ok(())
            }
            (Op::Delete, _) => self.delete_task(tx, &pointer, id).await,
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

    pub(super) fn create_task(&mut self, at: &str, patch: &TaskPatch) {
        if patch.task_id.is_some() {
            self.fault(
                format!("{at}/task_id"),
                "unexpected",
                "A new task gets its id by itself.",
            );
        }
        self.stray(
            at,
            &[
                ("before", patch.before.is_some()),
                ("after", patch.after.is_some()),
            ],
        );
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
            blockers: 0,
            archived_at: None,
            scheduled_date: None,
            recurrence: None,
            indexed: VERSION,
            position: made_at(self.now, self.created.len()),
            follows_id: None,
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
        self.relink(at, id, patch);
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
        required(
            &mut faults,
            &at_body,
            "position",
            &body.position,
            &mut row.position,
            Clone::clone,
        );
        if body.position.value().is_some_and(|place| !is_place(place)) {
            faults.push(FieldError {
                pointer: format!("{at_body}/position"),
                code: "position".into(),
                message: "A place is 1 to 1000 digits that do not end in 0.".to_owned(),
            });
        }
        body.scheduled_date.apply(&mut row.scheduled_date);
        set_rule(&mut faults, &at_body, &body.recurrence, &mut row.recurrence);
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
        let (now, mut archived) = (self.now, row.archived_at.is_some());
        required(
            &mut faults,
            &at_body,
            "archived",
            &body.archived,
            &mut archived,
            |mark| *mark,
        );
        row.archived_at = match (row.archived_at, archived) {
            (None, true) => Some(now),
            (at, true) => at,
            (_, false) => None,
        };
        self.faults.extend(faults);
        let metadata = row.metadata.clone();
        self.metadata(at, &metadata);
    }

    async fn update_task(&mut self, tx: &Tx, at: &str, id: Uuid, patch: &TaskPatch) -> Result<()> {
        let found = self.beside(at, id, patch);
        let (beside, patch) = match &found {
            Some((beside, moved)) => (Some(beside), moved),
            // What it should go beside is at fault, which was told.
            None if patch.before.is_some() || patch.after.is_some() => return Ok(()),
            None => (None, patch),
        };
        let moves = patch.project_id.is_some() || !patch.parent_id.is_absent();
        if patch.body.is_none() && !moves && !Self::relinks(patch) {
            self.fault(
                format!("{at}/body"),
                "required",
                "An update needs a body, a parent, a project or dependencies.",
            );
            return Ok(());
        }
        if moves {
            self.move_task(tx, at, id, patch).await?;
        }
        match beside {
            Some(beside) => self.order(tx, id, beside).await?,
            None => self.put_last(id),
        }
        let Some(mut row) = self.tasks.remove(&id) else {
            return Ok(());
        };
        if let Some(body) = &patch.body {
            let before = row.after.status.clone();
            row.after.indexed = VERSION;
            self.set_task(at, &mut row.after, body);
            // The inverse of a set says itself what came with a completion, and what goes.
            if before != row.after.status && self.order != Sequence::Undo {
                if before == TaskStatus::Done.as_str() {
                    self.take_back(tx, at, &mut row.after).await?;
                }
                self.repeat(&mut row.after);
            }
        }
        row.touch(Op::Update, self.now);
        self.tasks.insert(id, row);
        self.relink(at, id, patch);
        Ok(())
    }

    /// Puts a task behind its siblings if this set gave it another parent.
    fn put_last(&mut self, id: Uuid) {
        let (now, nth) = (self.now, self.created.len());
        let Some(row) = self.tasks.get_mut(&id) else {
            return;
        };
        let home = |row: &task::Model| (row.project_id, row.parent_id);
        let moved = row
            .before
            .as_ref()
            .is_some_and(|before| home(before) != home(&row.after) && before.position == row.after.position);
        if moved {
            row.after.position = made_at(now, nth);
        }
    }

    /// Moves a task with all below it, if that makes neither a circle nor a tree that is too deep.
    async fn move_task(&mut self, tx: &Tx, at: &str, id: Uuid, patch: &TaskPatch) -> Result<()> {
        self.load_subtree(tx, id).await?;
        self.relocate(at, id, patch);
        Ok(())
    }

    /// The move itself; the subtree is held.
    pub(super) fn relocate(&mut self, at: &str, id: Uuid, patch: &TaskPatch) {
        let Some(row) = self.tasks.get(&id).map(|row| row.after.clone()) else {
            return;
        };
        let project = patch.project_id.clone().or_else(|| match patch.parent_id {
            Patch::Null => Some(row.project_id.to_string()),
            _ => None,
        });
        let Some((project_id, parent_id, depth)) = self.place(at, project.as_ref(), patch.parent_id.value())
        else {
            return;
        };
        let below = self.subtree(id);
        if parent_id.is_some_and(|parent| below.contains(&parent)) {
            self.fault(
                format!("{at}/parent_id"),
                "cycle",
                "A task cannot be moved below itself.",
            );
            return;
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
            return;
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

    async fn delete_task(&mut self, tx: &Tx, pointer: &str, id: Uuid) -> Result<()> {
        self.load_subtree(tx, id).await?;
        self.delete_below(pointer, id);
        Ok(())
    }

    pub(super) fn delete_below(&mut self, pointer: &str, id: Uuid) {
        let (group, now) = (self.group.0, self.now);
        let mut restored = false;
        for task in self.subtree(id) {
            if let Some(row) = self.tasks.get_mut(&task) {
                restored |= row.op == Some(Op::Restore);
                row.delete(group, now);
            }
        }
        if restored {
            self.restored_in_set(pointer);
        }
    }
}
