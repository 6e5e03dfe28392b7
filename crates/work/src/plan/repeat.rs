//! Tasks that come again: completing one makes the next in the same set, and undoing the set takes it away.

use super::{Plan, Row};
use crate::entity::task;
use crate::model::TaskStatus;
use crate::patch::Op;
use crate::position::made_at;
use crate::recurrence::Recurrence;
use crate::search::VERSION;
use serde_json::{Value, json};
use synapscale_core::{FieldError, new_id};
use synapscale_ops::Patch;

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

impl Plan {
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
