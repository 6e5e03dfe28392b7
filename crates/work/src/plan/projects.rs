//! Patches of projects.

use super::{Plan, Row, Touch, required};
use crate::entity::project;
use crate::model::{Priority, ProjectStatus};
use crate::patch::{Op, ProjectBody, ProjectPatch};
use crate::query;
use serde_json::json;
use synapscale_core::{Result, new_id};
use synapscale_store::Tx;
use uuid::Uuid;

impl Plan {
    pub(super) async fn project(&mut self, tx: &Tx, at: &str, patch: &ProjectPatch) -> Result<()> {
        if patch.op == Op::Create {
            self.create_project(at, patch);
            return Ok(());
        }
        let body = patch.op != Op::Update && patch.body.is_some();
        self.stray(at, &[("temp_id", patch.temp_id.is_some()), ("body", body)]);
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
                self.fault(pointer, "not_deleted", "This project is not deleted.");
                Ok(())
            }
            (_, true) => {
                self.fault(pointer, "not_found", "There is no such project.");
                Ok(())
            }
            (Op::Delete, _) => self.delete_project(tx, &pointer, id).await,
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

    async fn delete_project(&mut self, tx: &Tx, pointer: &str, id: Uuid) -> Result<()> {
        for row in query::tasks_of_project(tx, id).await? {
            self.tasks.entry(row.id).or_insert_with(|| Row {
                before: Some(row.clone()),
                after: row,
                op: None,
            });
        }
        let (group, now) = (self.group.0, self.now);
        let mut restored = false;
        for row in self
            .tasks
            .values_mut()
            .filter(|row| row.after.project_id == id && row.after.deleted_at.is_none())
        {
            restored |= row.op == Some(Op::Restore);
            row.delete(group, now);
        }
        if let Some(row) = self.projects.get_mut(&id) {
            restored |= row.op == Some(Op::Restore);
            row.delete(group, now);
        }
        if restored {
            self.restored_in_set(pointer);
        }
        Ok(())
    }
}
