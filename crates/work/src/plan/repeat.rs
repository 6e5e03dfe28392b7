//! Tasks that come again: completing one makes the next in the same set, and undoing the set takes it away.

use super::{Plan, Row};
use crate::entity::task;
use crate::model::TaskStatus;
use crate::patch::{Op, PatchSet, TaskPatch};
use crate::position::made_at;
use crate::query;
use crate::recurrence::Recurrence;
use crate::search::VERSION;
use serde_json::{Value, json};
use synapscale_core::{FieldError, Result, new_id};
use synapscale_ops::Patch;
use synapscale_store::Tx;
use uuid::Uuid;

/// Sets a task's rule.
pub(super) fn set_rule(
    faults: &mut Vec<FieldError>,
    at: &str,
    patch: &Patch<Recurrence>,
    field: &mut Option<Value>,
) {
    if let Some((name, message)) = patch.value().and_then(Recurrence::fault) {
        faults.push(FieldError {
            pointer: format!("{at}/recurrence/{name}"),
            code: "recurrence".into(),
            message: message.to_owned(),
        });
    }
    patch.clone().map(|rule| json!(rule)).apply(field);
}

/// The tasks of a set that may be opened by it.
fn opened(set: &PatchSet) -> Vec<Uuid> {
    let open = |patch: &&TaskPatch| {
        let status = patch.body.as_ref().and_then(|body| body.status.value());
        status.is_some_and(|status| *status != TaskStatus::Done)
    };
    let patches = set.task_patches.iter().filter(open);
    patches
        .filter_map(|patch| Uuid::parse_str(patch.task_id.as_deref()?).ok())
        .collect()
}

/// Whether a set may take tasks away that came after those which it opens again.
pub(super) async fn takes_back(tx: &Tx, set: &PatchSet) -> Result<bool> {
    let opened = opened(set);
    Ok(!opened.is_empty() && query::is_followed(tx, &opened).await?)
}

impl Plan {
    /// A completed task is opened again: the next one that its completion made goes away and gives the rule back, unless
    /// somebody has begun with it.
    pub(super) async fn take_back(&mut self, tx: &Tx, at: &str, row: &mut task::Model) -> Result<()> {
        self.hold_tasks(query::followers(tx, row.id).await?);
        let standing = self.tasks.values().map(|row| &row.after);
        let next = standing
            .filter(|next| next.follows_id == Some(row.id) && next.deleted_at.is_none())
            .filter(|next| next.status == TaskStatus::Todo.as_str() && next.revision == 1)
            .max_by_key(|next| next.id);
        let Some((id, rule)) = next.map(|next| (next.id, next.recurrence.clone())) else {
            return Ok(());
        };
        if self.tasks.get(&id).is_some_and(|row| row.before.is_some()) && query::is_begun(tx, id).await? {
            return Ok(());
        }
        row.recurrence = row.recurrence.take().or(rule);
        self.delete_below(at, id);
        Ok(())
    }

    /// Makes the next task of one that was just completed, unless its rule has ended. The rule goes over to the next one: a
    /// task that is opened and completed once more makes no second one.
    pub(super) fn repeat(&mut self, row: &mut task::Model) {
        if row.status != TaskStatus::Done.as_str() {
            return;
        }
        let Some(kept) = row.recurrence.take() else {
            return;
        };
        let Ok(rule) = serde_json::from_value::<Recurrence>(kept.clone()) else {
            return;
        };
        let last = row.due_date.or(row.scheduled_date).unwrap_or(self.now);
        let rule = rule.on_its_day(last);
        let Some(at) = rule.next(last, self.now) else {
            return;
        };
        let ahead = at - last;
        let due_date = row.due_date.and_then(|time| time.checked_add_signed(ahead));
        let scheduled = row.scheduled_date.and_then(|time| time.checked_add_signed(ahead));
        let after = task::Model {
            id: new_id(),
            status: TaskStatus::Todo.as_str().to_owned(),
            due_date,
            scheduled_date: scheduled.or_else(|| due_date.is_none().then_some(at)),
            recurrence: Some(json!(rule)),
            actual_minutes: None,
            integration_ids: json!({}),
            blockers: 0,
            archived_at: None,
            indexed: VERSION,
            follows_id: Some(row.id),
            position: made_at(self.now, self.created.len()),
            created_at: self.now,
            updated_at: self.now,
            created_by: self.by.clone(),
            revision: 1,
            ..row.clone()
        };
        self.created.push(after.id);
        self.tasks.insert(
            after.id,
            Row {
                before: None,
                after,
                op: Some(Op::Create),
            },
        );
    }
}
