//! Patches of the order among siblings.

use super::Plan;
use crate::entity::task;
use crate::patch::TaskPatch;
use crate::position::{MAX_DIGITS, between, made_at};
use crate::query;
use synapscale_core::Result;
use synapscale_ops::Patch;
use synapscale_store::Tx;
use uuid::Uuid;

/// Beside whom a task goes.
pub(super) struct Beside {
    sibling: Uuid,
    after: bool,
    pointer: String,
}

impl Plan {
    /// The sibling that a patch names, with the patch as it moves the task to the same parent.
    pub(super) fn beside(&mut self, at: &str, id: Uuid, patch: &TaskPatch) -> Option<(Beside, TaskPatch)> {
        let (text, after) = match (&patch.before, &patch.after) {
            (Some(text), None) => (text, false),
            (None, Some(text)) => (text, true),
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.fault(format!("{at}/after"), "unexpected", "Name one: before or after.");
                return None;
            }
        };
        let pointer = format!("{at}/{}", if after { "after" } else { "before" });
        let sibling = self.resolve(&pointer, text)?;
        let there = self
            .tasks
            .get(&sibling)
            .filter(|row| row.after.deleted_at.is_none() && sibling != id)
            .map(|row| row.after.clone());
        let Some(there) = there else {
            self.fault(pointer, "not_found", "There is no such other task.");
            return None;
        };
        let mut moved = patch.clone();
        let parent = there.parent_id.map(|id| id.to_string());
        let named = match &patch.parent_id {
            Patch::Absent => parent.clone(),
            Patch::Null => None,
            Patch::Value(named) => self
                .resolve(&format!("{at}/parent_id"), named)
                .map(|id| id.to_string()),
        };
        let project = patch
            .project_id
            .as_ref()
            .and_then(|text| Uuid::parse_str(text).ok());
        if named != parent || project.is_some_and(|project| project != there.project_id) {
            self.fault(pointer, "mismatch", "The other task stands elsewhere.");
            return None;
        }
        moved.project_id = Some(there.project_id.to_string());
        moved.parent_id = parent.map_or(Patch::Null, Patch::Value);
        let beside = Beside {
            sibling,
            after,
            pointer,
        };
        Some((beside, moved))
    }

    /// Puts a task, which has the same parent already, right before or after a sibling.
    pub(super) async fn order(&mut self, tx: &Tx, id: Uuid, beside: &Beside) -> Result<()> {
        let Some(anchor) = self.tasks.get(&beside.sibling).map(|row| row.after.clone()) else {
            return Ok(());
        };
        self.settle(query::unplaced(tx, &anchor).await?);
        let Some(anchor) = self.tasks.get(&beside.sibling).map(|row| row.after.clone()) else {
            return Ok(());
        };
        let beyond = self.neighbour(tx, &anchor, id, beside.after).await?;
        let own = Some(anchor.position.as_str());
        let place = match beside.after {
            true => between(own, beyond.as_deref()),
            false => between(beyond.as_deref(), own),
        };
        if place.len() > MAX_DIGITS {
            let message = "Too much was moved to this very spot: move the other task a little first.";
            self.fault(beside.pointer.clone(), "crowded", message);
        } else if let Some(row) = self.tasks.get_mut(&id) {
            row.after.position = place;
        }
        Ok(())
    }

    /// Gives siblings from before there were places the places by which they stood: in the order in which they were made.
    fn settle(&mut self, mut rows: Vec<task::Model>) {
        rows.sort_by_key(|row| (row.created_at, row.id));
        let places: Vec<(Uuid, String)> = rows
            .iter()
            .enumerate()
            .map(|(nth, row)| (row.id, made_at(row.created_at, nth)))
            .collect();
        self.hold_tasks(rows);
        for (id, place) in places {
            let Some(row) = self
                .tasks
                .get_mut(&id)
                .filter(|row| row.after.position.is_empty())
            else {
                continue;
            };
            row.after.position.clone_from(&place);
            if let Some(before) = row.before.as_mut() {
                before.position.clone_from(&place);
            }
            self.settled.push((id, place));
        }
    }

    /// The place next to a task's among its siblings, as the plan has them now.
    async fn neighbour(
        &self,
        tx: &Tx,
        anchor: &task::Model,
        mover: Uuid,
        after: bool,
    ) -> Result<Option<String>> {
        let same = |row: &task::Model| {
            row.project_id == anchor.project_id
                && row.parent_id == anchor.parent_id
                && row.deleted_at.is_none()
        };
        let known = self
            .tasks
            .values()
            .filter(|row| row.before.as_ref().is_some_and(same))
            .count();
        let found = query::places_beyond(tx, anchor, after, known as u64 + 1).await?;
        let standing = found
            .into_iter()
            .find(|(id, _)| !self.tasks.contains_key(id))
            .map(|(_, place)| place);
        let beyond = |place: &String| match after {
            true => *place > anchor.position,
            false => *place < anchor.position,
        };
        let planned = self
            .tasks
            .values()
            .filter(|row| row.after.id != mover && same(&row.after))
            .map(|row| row.after.position.clone())
            .filter(beyond);
        let all = planned.chain(standing);
        Ok(match after {
            true => all.min(),
            false => all.max(),
        })
    }
}
