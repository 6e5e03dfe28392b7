//! One step of an import: some tasks of the file as one patch set, with their comments and logged time.

use super::arrange::Part;
use super::item::{Item, Problems};
use super::kept::{Before, Kept, Made, body, changed, digest};
use super::origins::{self, Kind, entry_key, external_id};
use super::state::{import, origin, part};
use super::{Options, said};
use crate::entity::{project, task};
use crate::patch::{Op, PatchResult, PatchSet, ProjectBody, ProjectPatch, TaskPatch};
use crate::plan::{Plan, Sequence};
use crate::{apply, links, query};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use synapscale_core::{Error, Result};
use synapscale_ops::Patch;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// How often a set is planned anew without what was at fault. A tree is six tasks deep, so that no fault needs more.
const TRIES: usize = 10;

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Create,
    Update(Uuid),
}

/// A patch with the item that it is of.
struct Wanted {
    item: usize,
    fate: Fate,
    patch: TaskPatch,
}

struct Step<'a> {
    tx: &'a Tx,
    options: &'a Options,
    items: &'a [Item],
    known: HashMap<String, origin::Model>,
    tasks: HashMap<Uuid, task::Model>,
    projects: HashMap<String, Uuid>,
    new_projects: BTreeMap<String, String>,
    problems: Problems,
    unchanged: i64,
    left_out: i64,
}

/// Does a part of an import, and notes in the import what came of it.
pub(super) async fn run(
    tx: &Tx,
    row: &mut import::Model,
    options: &Options,
    stored: &mut part::Model,
    part: &Part,
) -> Result<()> {
    let mut step = Step {
        tx,
        options,
        items: &part.items,
        known: HashMap::new(),
        tasks: HashMap::new(),
        projects: HashMap::new(),
        new_projects: BTreeMap::new(),
        problems: serde_json::from_value(row.problems.clone()).unwrap_or_default(),
        unchanged: 0,
        left_out: 0,
    };
    step.load(part).await?;
    let mut wanted = match part.links.is_empty() {
        true => step.patches(),
        false => step.links(&part.links).await?,
    };
    if let Some((set, plan)) = step.plan(&mut wanted).await? {
        let result = apply::keep(tx, &set, &plan, None).await?;
        stored.patch_set_id = result.patch_set_id;
        let kept = step.keep(&wanted, &result, stored).await?;
        stored.before = json!(kept.0);
        stored.made = json!(kept.1);
    }
    let is_link = !part.links.is_empty();
    let count = |fate: fn(&Fate) -> bool| wanted.iter().filter(|one| fate(&one.fate)).count();
    if !is_link {
        row.created += said(count(|fate| *fate == Fate::Create));
        row.updated += said(count(|fate| *fate != Fate::Create));
    }
    row.unchanged += step.unchanged;
    row.left_out += step.left_out;
    row.problems = json!(step.problems);
    stored.state = "done".to_owned();
    Ok(())
}

impl Step<'_> {
    /// Everything that the part's keys name.
    async fn load(&mut self, part: &Part) -> Result<()> {
        let mut ids = BTreeSet::new();
        let mut task = |key: &String| {
            ids.insert(external_id(Kind::Task, key));
        };
        for item in &part.items {
            task(&item.key);
            item.parent.iter().chain(&item.waits).for_each(&mut task);
        }
        for (key, waits) in &part.links {
            task(key);
            waits.iter().for_each(&mut task);
        }
        for item in &part.items {
            ids.insert(external_id(Kind::Project, self.project_of(item)));
            let notes = item.notes.iter().map(|note| (Kind::Comment, &note.key));
            let times = item.times.iter().map(|spent| (Kind::Time, &spent.key));
            for (kind, key) in notes.chain(times) {
                ids.insert(external_id(kind, &entry_key(&item.key, key)));
            }
        }
        self.known = origins::known(self.tx, &self.options.source, ids.into_iter().collect()).await?;
        let of_tasks = self
            .known
            .values()
            .filter(|origin| origin.external_id.starts_with("task:"));
        let targets = of_tasks.map(|origin| origin.target_id).collect();
        let rows = query::tasks_by_id(self.tx, targets).await?;
        self.tasks = rows.into_iter().map(|row| (row.id, row)).collect();
        self.load_projects().await
    }

    fn project_of<'a>(&'a self, item: &'a Item) -> &'a str {
        item.project.as_deref().unwrap_or(&self.options.default_project)
    }

    /// The projects of these names: those that came from the same source, else those that are called so.
    async fn load_projects(&mut self) -> Result<()> {
        if self.options.project_id.is_some() {
            return Ok(());
        }
        let names: BTreeSet<String> = self
            .items
            .iter()
            .map(|item| self.project_of(item).to_owned())
            .collect();
        let mut by_target = HashMap::new();
        for name in &names {
            if let Some(origin) = self.known.get(&external_id(Kind::Project, name)) {
                by_target.insert(origin.target_id, name.clone());
            }
        }
        for row in query::projects_by_id(self.tx, by_target.keys().copied().collect()).await? {
            if row.deleted_at.is_none()
                && let Some(name) = by_target.get(&row.id)
            {
                self.projects.insert(name.clone(), row.id);
            }
        }
        let called = self
            .tx
            .find_live::<project::Entity>()
            .filter(project::Column::Name.is_in(names.iter().cloned()));
        let mut called = called.rows(self.tx).await?;
        called.sort_by_key(|row| (row.created_at, row.id));
        for row in called {
            self.projects.entry(row.name).or_insert(row.id);
        }
        Ok(())
    }

    /// The living task of a key.
    fn standing(&self, key: &str) -> Option<&task::Model> {
        let origin = self.known.get(&external_id(Kind::Task, key))?;
        self.tasks
            .get(&origin.target_id)
            .filter(|row| row.deleted_at.is_none())
    }

    /// What is to be made and changed.
    fn patches(&mut self) -> Vec<Wanted> {
        let items = self.items;
        let mut made: HashMap<&str, usize> = HashMap::new();
        let mut wanted = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let origin = self.known.get(&external_id(Kind::Task, &item.key));
            let row = origin.and_then(|origin| self.tasks.get(&origin.target_id));
            match (row, origin) {
                (Some(row), _) if row.deleted_at.is_some() => {
                    let words = "It was imported before and deleted here; it is left alone.";
                    self.problems.warn(&item.at, "deleted_here", words);
                    self.unchanged += 1;
                }
                (Some(_), Some(origin)) if origin.digest == digest(item) => self.unchanged += 1,
                (Some(row), _) => {
                    let (id, body) = (row.id, changed(item, row));
                    let patch = TaskPatch {
                        body: Some(body),
                        add_blocked_by: self.blockers(item, &made),
                        ..TaskPatch::of(Op::Update, Some(id))
                    };
                    let fate = Fate::Update(id);
                    wanted.push(Wanted {
                        item: index,
                        fate,
                        patch,
                    });
                }
                (None, _) => {
                    let patch = self.creation(index, item, &made);
                    made.insert(&item.key, index);
                    let fate = Fate::Create;
                    wanted.push(Wanted {
                        item: index,
                        fate,
                        patch,
                    });
                }
            }
        }
        wanted
    }

    /// The references of the tasks that an item waits for, as far as they are there.
    fn blockers(&mut self, item: &Item, made: &HashMap<&str, usize>) -> Vec<String> {
        let mut found = Vec::new();
        for key in &item.waits {
            match (made.get(key.as_str()), self.standing(key).map(|row| row.id)) {
                (Some(index), _) => found.push(format!("temp:t{index}")),
                (None, Some(id)) => found.push(id.to_string()),
                (None, None) => {
                    let shown: String = key.chars().take(60).collect();
                    let message =
                        format!("It waits for `{shown}`, which is nowhere; it does not wait for that.");
                    self.problems.warn(&item.at, "unknown_blocker", message);
                }
            }
        }
        found
    }

    fn creation(&mut self, index: usize, item: &Item, made: &HashMap<&str, usize>) -> TaskPatch {
        let parent = item.parent.as_ref().and_then(|key| match made.get(key.as_str()) {
            Some(index) => Some(format!("temp:t{index}")),
            None => self.standing(key).map(|row| row.id.to_string()),
        });
        if item.parent.is_some() && parent.is_none() {
            let words = "The task that it is part of is nowhere; it is put at the top.";
            self.problems.warn(&item.at, "unknown_parent", words);
        }
        let mut patch = TaskPatch {
            temp_id: Some(format!("t{index}")),
            add_blocked_by: self.blockers(item, made),
            body: Some(body(item)),
            ..TaskPatch::of(Op::Create, None)
        };
        match parent {
            Some(parent) => patch.parent_id = Patch::Value(parent),
            None => patch.project_id = Some(self.project(item)),
        }
        patch
    }

    /// The reference of an item's project, which is made if it is nowhere.
    fn project(&mut self, item: &Item) -> String {
        if let Some(id) = self.options.project_id {
            return id.to_string();
        }
        let name = self.project_of(item).to_owned();
        if let Some(id) = self.projects.get(&name) {
            return id.to_string();
        }
        let next = format!("p{}", self.new_projects.len());
        let temp = self.new_projects.entry(name).or_insert(next);
        format!("temp:{temp}")
    }

    /// Who waits for whom, where the other task came later.
    async fn links(&mut self, links: &[(String, Vec<String>)]) -> Result<Vec<Wanted>> {
        let waiting: Vec<Uuid> = links
            .iter()
            .filter_map(|(key, _)| self.standing(key))
            .map(|row| row.id)
            .collect();
        let standing: HashSet<(Uuid, Uuid)> = links::of(self.tx, &waiting)
            .await?
            .into_iter()
            .map(|link| (link.blocked_id, link.blocker_id))
            .collect();
        let mut wanted = Vec::new();
        for (index, (key, waits)) in links.iter().enumerate() {
            let Some(id) = self.standing(key).map(|row| row.id) else {
                continue;
            };
            let blockers = waits
                .iter()
                .filter_map(|key| self.standing(key))
                .map(|row| row.id);
            let fresh = blockers.filter(|blocker| !standing.contains(&(id, *blocker)));
            let patch = TaskPatch {
                add_blocked_by: fresh.map(|blocker| blocker.to_string()).collect(),
                ..TaskPatch::of(Op::Update, Some(id))
            };
            if !patch.add_blocked_by.is_empty() {
                let fate = Fate::Update(id);
                wanted.push(Wanted {
                    item: index,
                    fate,
                    patch,
                });
            }
        }
        Ok(wanted)
    }

    /// Plans the patches; what is at fault is left out and told of.
    async fn plan(&mut self, wanted: &mut Vec<Wanted>) -> Result<Option<(PatchSet, Plan)>> {
        if !self.new_projects.is_empty() {
            self.tx.ctx().require("projects:write")?;
        }
        for _ in 0..TRIES {
            if wanted.is_empty() {
                return Ok(None);
            }
            let set = PatchSet {
                project_patches: self.project_patches(),
                task_patches: wanted.iter().map(|one| one.patch.clone()).collect(),
            };
            match Plan::make(self.tx, &set, Sequence::Own).await {
                Ok(plan) => return Ok(Some((set, plan))),
                Err(error) if error.fields().is_empty() => return Err(error),
                Err(error) => self.without_faults(wanted, &error)?,
            }
        }
        Err(Error::internal("a part of an import stays at fault"))
    }

    fn project_patches(&self) -> Vec<ProjectPatch> {
        let patch = |(name, temp): (&String, &String)| ProjectPatch {
            op: Op::Create,
            project_id: None,
            temp_id: Some(temp.clone()),
            body: Some(ProjectBody {
                name: Patch::Value(name.clone()),
                ..ProjectBody::default()
            }),
            expected_revision: None,
        };
        self.new_projects.iter().map(patch).collect()
    }

    fn without_faults(&mut self, wanted: &mut Vec<Wanted>, error: &Error) -> Result<()> {
        let mut gone = HashSet::new();
        let mut edges: HashMap<usize, BTreeSet<usize>> = HashMap::new();
        for field in error.fields() {
            let mut places = field.pointer.split('/').skip(1);
            let (kind, index) = (
                places.next(),
                places.next().and_then(|index| index.parse::<usize>().ok()),
            );
            let (Some("task_patches"), Some(index)) = (kind, index) else {
                return Err(error.clone());
            };
            let at = wanted
                .get(index)
                .and_then(|one| self.items.get(one.item))
                .map(|item| item.at.clone());
            let at = at.unwrap_or_default();
            match (places.next(), places.next().and_then(|nth| nth.parse().ok())) {
                (Some("add_blocked_by"), Some(nth)) => {
                    edges.entry(index).or_default().insert(nth);
                    self.problems.warn(&at, &field.code, field.message.clone());
                }
                _ => {
                    if gone.insert(index) {
                        self.problems.error(&at, &field.code, field.message.clone());
                        self.left_out += 1;
                    }
                }
            }
        }
        for (index, nths) in edges {
            if let Some(one) = wanted.get_mut(index) {
                let mut place = 0..;
                one.patch
                    .add_blocked_by
                    .retain(|_| place.next().is_none_or(|nth| !nths.contains(&nth)));
            }
        }
        let mut place = 0..;
        wanted.retain(|_| place.next().is_none_or(|index| !gone.contains(&index)));
        // One that only waits for others, and now for none, asks for nothing.
        wanted.retain(|one| one.patch.body.is_some() || !one.patch.add_blocked_by.is_empty());
        Ok(())
    }

    /// Keeps comments, logged time and where all came from; answers what undoes that.
    async fn keep(
        &self,
        wanted: &[Wanted],
        result: &PatchResult,
        stored: &part::Model,
    ) -> Result<(Vec<Before>, Made)> {
        let revisions: HashMap<Uuid, i64> = result
            .changes
            .iter()
            .map(|change| (change.id, change.revision))
            .collect();
        let mut kept = Kept::new(self.tx, self.options, &self.known, stored);
        for (name, temp) in &self.new_projects {
            if let Some(id) = result.temp_ids.get(temp) {
                let revision = revisions.get(id).copied().unwrap_or(1);
                kept.project(name, *id, revision);
            }
        }
        for one in wanted.iter().filter(|one| one.patch.body.is_some()) {
            let Some(item) = self.items.get(one.item) else {
                continue;
            };
            let id = match one.fate {
                Fate::Update(id) => Some(id),
                Fate::Create => result.temp_ids.get(&format!("t{}", one.item)).copied(),
            };
            if let Some(id) = id {
                let revision = revisions.get(&id).copied().unwrap_or(1);
                kept.task(item, id, one.fate != Fate::Create, revision);
            }
        }
        let (before, made) = kept.write().await?;
        let left: Vec<(Uuid, i64)> = revisions.into_iter().collect();
        origins::note(self.tx, &left).await?;
        Ok((before, made))
    }
}
