//! Patches of dependencies: no task waits for itself, by whatever way around.

use super::Plan;
use crate::links::{self, MAX_BLOCKERS};
use crate::patch::{PatchSet, TaskPatch};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use synapscale_core::Result;
use synapscale_store::Tx;
use uuid::Uuid;

/// The dependencies that a plan knows of.
#[derive(Debug, Default)]
pub(crate) struct Web {
    /// What each changed task waited for before, as far as the set names it.
    pub before: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// What it waits for afterwards.
    pub after: BTreeMap<Uuid, BTreeSet<Uuid>>,
    /// By task: those that wait for it, as far as a circle could lead.
    edges: HashMap<Uuid, HashSet<Uuid>>,
    /// The tasks of the plan that wait for an open one.
    blocked: HashSet<Uuid>,
}

impl Web {
    /// The tasks whose dependencies the plan changes, with those before and after.
    pub fn changed(&self) -> impl Iterator<Item = (Uuid, &BTreeSet<Uuid>, &BTreeSet<Uuid>)> {
        self.after
            .iter()
            .filter_map(|(id, after)| Some((*id, self.before.get(id)?, after)))
            .filter(|(_, before, after)| before != after)
    }

    /// As [`Web::changed`], for one task.
    pub fn change_of(&self, id: Uuid) -> Option<(&BTreeSet<Uuid>, &BTreeSet<Uuid>)> {
        let (before, after) = (self.before.get(&id)?, self.after.get(&id)?);
        (before != after).then_some((before, after))
    }

    /// Whether the task waits for an open one once the plan is done.
    pub fn is_blocked(&self, id: Uuid) -> bool {
        self.blocked.contains(&id)
    }
}

/// Whether a set changes dependencies.
pub(super) fn links(set: &PatchSet) -> bool {
    set.task_patches.iter().any(Plan::relinks)
}

impl Plan {
    /// Reads the dependencies of the tasks whose dependencies the set changes, and those that could close a circle.
    pub(super) async fn load_links(&mut self, tx: &Tx, set: &PatchSet) -> Result<()> {
        if !links(set) {
            return Ok(());
        }
        let named = set
            .task_patches
            .iter()
            .filter(|patch| Self::relinks(patch))
            .filter_map(|patch| Uuid::parse_str(patch.task_id.as_deref()?).ok());
        let named: Vec<Uuid> = named.collect();
        for id in &named {
            self.web.before.entry(*id).or_default();
        }
        for row in links::of(tx, &named).await? {
            self.web
                .before
                .entry(row.blocked_id)
                .or_default()
                .insert(row.blocker_id);
        }
        self.web.after = self.web.before.clone();
        for (blocker, blocked) in links::reachable(tx, &named).await? {
            self.web.edges.entry(blocker).or_default().insert(blocked);
        }
        Ok(())
    }

    /// Changes what the task waits for; the task itself is touched by the caller.
    pub(super) fn relink(&mut self, at: &str, id: Uuid, patch: &TaskPatch) {
        if !Self::relinks(patch) {
            return;
        }
        self.web.before.entry(id).or_default();
        let mut waits = self.web.after.remove(&id).unwrap_or_default();
        for (index, text) in patch.remove_blocked_by.iter().enumerate() {
            let pointer = format!("{at}/remove_blocked_by/{index}");
            let Some(blocker) = self.resolve(&pointer, text) else {
                continue;
            };
            match waits.remove(&blocker) {
                true => {
                    if let Some(edges) = self.web.edges.get_mut(&blocker) {
                        edges.remove(&id);
                    }
                }
                false => self.fault(pointer, "not_found", "The task does not wait for this one."),
            }
        }
        for (index, text) in patch.add_blocked_by.iter().enumerate() {
            self.link(&format!("{at}/add_blocked_by/{index}"), id, text, &mut waits);
        }
        if waits.len() > MAX_BLOCKERS {
            let message = format!("A task may wait for {MAX_BLOCKERS} others at most.");
            self.fault(format!("{at}/add_blocked_by"), "too_many", message);
        }
        if let Some(row) = self.tasks.get_mut(&id) {
            row.after.blockers = i64::try_from(waits.len()).unwrap_or(i64::MAX);
        }
        self.web.after.insert(id, waits);
    }

    fn link(&mut self, pointer: &str, id: Uuid, text: &str, waits: &mut BTreeSet<Uuid>) {
        let Some(blocker) = self.resolve(pointer, text) else {
            return;
        };
        let there = self
            .tasks
            .get(&blocker)
            .is_some_and(|row| row.after.deleted_at.is_none());
        if !there {
            self.fault(pointer, "not_found", "There is no such task.");
        } else if links::leads(&self.web.edges, id, blocker) {
            let message = "The other task waits for this one, directly or by way of others.";
            self.fault(pointer, "cycle", message);
        } else {
            waits.insert(blocker);
            self.web.edges.entry(blocker).or_default().insert(id);
        }
    }

    /// Finds which of the changed tasks wait for an open one once the plan is done.
    pub(super) async fn find_blocked(&mut self, tx: &Tx) -> Result<()> {
        let waiting: Vec<Uuid> = self
            .tasks
            .values()
            .filter(|row| row.op.is_some() && row.after.blockers > 0)
            .map(|row| row.after.id)
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let mut pairs: Vec<(Uuid, Uuid)> = links::of(tx, &waiting)
            .await?
            .into_iter()
            .map(|row| (row.blocked_id, row.blocker_id))
            .filter(|(blocked, _)| !self.web.after.contains_key(blocked))
            .collect();
        for (blocked, waits) in &self.web.after {
            pairs.extend(waits.iter().map(|blocker| (*blocked, *blocker)));
        }
        let unknown: HashSet<Uuid> = pairs
            .iter()
            .map(|(_, blocker)| *blocker)
            .filter(|blocker| !self.tasks.contains_key(blocker))
            .collect();
        let unknown: Vec<Uuid> = unknown.into_iter().collect();
        for ids in unknown.chunks(500) {
            self.hold_tasks(crate::query::tasks_by_id(tx, ids.to_vec()).await?);
        }
        let open = |id: &Uuid| self.tasks.get(id).is_some_and(|row| links::is_open(&row.after));
        self.web.blocked = pairs
            .iter()
            .filter(|(_, blocker)| open(blocker))
            .map(|(blocked, _)| *blocked)
            .collect();
        Ok(())
    }

    /// Whether a patch changes what its task waits for.
    pub(super) fn relinks(patch: &TaskPatch) -> bool {
        !(patch.add_blocked_by.is_empty() && patch.remove_blocked_by.is_empty())
    }
}
