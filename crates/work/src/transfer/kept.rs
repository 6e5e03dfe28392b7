//! What an import keeps beside the tasks: comments, logged time, where all came from, and what undoes that.

use super::Options;
use super::item::{Item, Note};
use super::origins::{self, Kind, entry_key, external_id};
use super::state::{origin, part};
use crate::comments::comment;
use crate::entity::task;
use crate::model::TaskStatus;
use crate::patch::TaskBody;
use crate::time::entry;
use crate::{author, query, search};
use serde::{Deserialize, Serialize};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use synapscale_core::Result;
use synapscale_ops::Patch;
use synapscale_store::Tx;
use uuid::Uuid;

/// What is not known of a thing that has no digest.
const NO_DIGEST: &str = "";

/// An origin as it was before a step changed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Before {
    pub external_id: String,
    pub target_id: Uuid,
    pub digest: String,
    pub import_id: Uuid,
    pub part: i64,
    pub revision: i64,
}

/// What a step put on tasks that stood already.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Made {
    pub comments: Vec<Uuid>,
    pub times: Vec<Uuid>,
}

/// Rows beside the tasks of a step.
pub(super) struct Kept<'a> {
    tx: &'a Tx,
    options: &'a Options,
    known: &'a HashMap<String, origin::Model>,
    stored: &'a part::Model,
    origins: Vec<origin::Model>,
    before: Vec<Before>,
    made: Made,
    comments: Vec<comment::Model>,
    times: Vec<entry::Model>,
    titles: HashMap<Uuid, String>,
}

impl<'a> Kept<'a> {
    pub fn new(
        tx: &'a Tx,
        options: &'a Options,
        known: &'a HashMap<String, origin::Model>,
        stored: &'a part::Model,
    ) -> Self {
        Kept {
            tx,
            options,
            known,
            stored,
            origins: Vec::new(),
            before: Vec::new(),
            made: Made::default(),
            comments: Vec::new(),
            times: Vec::new(),
            titles: HashMap::new(),
        }
    }

    /// A project that the step made.
    pub fn project(&mut self, name: &str, id: Uuid, revision: i64) {
        self.origin(
            external_id(Kind::Project, name),
            id,
            NO_DIGEST.to_owned(),
            revision,
        );
    }

    fn origin(&mut self, external_id: String, target_id: Uuid, digest: String, revision: i64) {
        if let Some(old) = self
            .known
            .get(&external_id)
            .filter(|old| old.target_id == target_id)
        {
            self.before.push(Before {
                external_id: old.external_id.clone(),
                target_id: old.target_id,
                digest: old.digest.clone(),
                import_id: old.import_id,
                part: old.part,
                revision: old.revision,
            });
        }
        self.origins.push(origin::Model {
            tenant_id: Uuid::nil(),
            source: self.options.source.clone(),
            external_id,
            target_id,
            digest,
            import_id: self.stored.import_id,
            part: self.stored.number,
            revision,
        });
    }

    /// A task that the step made, or changed (`stood`), with what is new of its comments and logged time.
    pub fn task(&mut self, item: &Item, id: Uuid, stood: bool, revision: i64) {
        self.origin(external_id(Kind::Task, &item.key), id, digest(item), revision);
        self.titles.insert(id, item.title.clone());
        let now = self.tx.ctx().clock().now();
        let by = author(self.tx);
        for note in &item.notes {
            let external = external_id(Kind::Comment, &entry_key(&item.key, &note.key));
            if stood && self.known.contains_key(&external) {
                continue;
            }
            let row = comment::Model {
                tenant_id: Uuid::nil(),
                id: synapscale_core::new_id(),
                task_id: id,
                body: attributed(note, &by),
                author: by.clone(),
                created_at: note.at.unwrap_or(now),
                updated_at: note.at.unwrap_or(now),
                revision: 1,
            };
            if stood {
                self.made.comments.push(row.id);
            }
            self.origin(external, row.id, NO_DIGEST.to_owned(), 1);
            self.comments.push(row);
        }
        for spent in &item.times {
            let external = external_id(Kind::Time, &entry_key(&item.key, &spent.key));
            if stood && self.known.contains_key(&external) {
                continue;
            }
            let row = entry::Model {
                tenant_id: Uuid::nil(),
                id: synapscale_core::new_id(),
                task_id: id,
                person: by.clone(),
                minutes: Some(spent.minutes),
                day: spent.day.clone(),
                note: spent.note.clone(),
                started_at: None,
                created_at: now,
                updated_at: now,
                revision: 1,
            };
            if stood {
                self.made.times.push(row.id);
            }
            self.origin(external, row.id, NO_DIGEST.to_owned(), 1);
            self.times.push(row);
        }
    }

    /// Writes all of it; answers what undoes it.
    pub async fn write(self) -> Result<(Vec<Before>, Made)> {
        let tx = self.tx;
        let commented: BTreeSet<Uuid> = self.comments.iter().map(|row| row.task_id).collect();
        for row in &self.comments {
            let title = self.titles.get(&row.task_id).cloned().unwrap_or_default();
            crate::comments::tell_created(tx, row, title);
        }
        for row in &self.times {
            crate::time::tell_logged(tx, row);
        }
        for some in self.comments.chunks(500) {
            tx.insert_all::<comment::Entity>(some.to_vec()).await?;
        }
        for some in self.times.chunks(500) {
            tx.insert_all::<entry::Entity>(some.to_vec()).await?;
        }
        if !commented.is_empty() {
            let ids: Vec<Uuid> = commented.into_iter().collect();
            search::mark(tx, &ids).await?;
            search::again(tx, &query::tasks_by_id(tx, ids).await?).await?;
        }
        origins::keep(tx, &self.options.source, self.origins).await?;
        Ok((self.before, self.made))
    }
}

/// A digest of what an item says, whatever line it stands on.
pub(super) fn digest(item: &Item) -> String {
    let plain = Item {
        at: String::new(),
        position: None,
        ..item.clone()
    };
    let text = serde_json::to_string(&plain).unwrap_or_default();
    synapscale_engine::named_id(&text).to_string()
}

/// A comment's text. Nobody's words are put into another's mouth: who imports is the author, the text says who wrote it.
fn attributed(note: &Note, by: &str) -> String {
    match note.author.as_deref().filter(|author| *author != by) {
        Some(author) => {
            let author: String = author.chars().take(200).collect();
            let when = note
                .at
                .map(|time| format!(", {}", time.format("%Y-%m-%d %H:%M UTC")));
            format!("{author}{}:\n\n{}", when.unwrap_or_default(), note.body)
        }
        None => note.body.clone(),
    }
}

fn given<T>(value: &Option<T>) -> Patch<T>
where
    T: Clone,
{
    value.clone().map_or(Patch::Absent, Patch::Value)
}

/// The fields of a new task.
pub(super) fn body(item: &Item) -> TaskBody {
    let over = matches!(item.status, Some(TaskStatus::Done | TaskStatus::Cancelled));
    let logged = item.times.iter().map(|spent| spent.minutes).sum::<i64>();
    let actual = item.actual.or(Some(logged).filter(|minutes| *minutes > 0));
    TaskBody {
        title: Patch::Value(item.title.clone()),
        description: given(&item.description),
        status: given(&item.status),
        priority: given(&item.priority),
        assignee: given(&item.assignee),
        due_date: given(&item.due),
        scheduled_date: given(&item.scheduled),
        // What is over does not come again: its next one is a task of its own.
        recurrence: given(&item.recurrence.clone().filter(|_| !over)),
        estimated_minutes: given(&item.estimated),
        actual_minutes: given(&actual),
        tags: given(&item.tags),
        metadata: Patch::Value(item.metadata.clone()),
        integration_ids: Patch::Value(item.elsewhere.clone()),
        archived: given(&item.archived),
        position: given(&item.position),
    }
}

/// The fields of a task that stands already; what the file does not name stays as it is.
pub(super) fn changed(item: &Item, row: &task::Model) -> TaskBody {
    let mut metadata: Map<String, serde_json::Value> = row.metadata.as_object().cloned().unwrap_or_default();
    metadata.extend(item.metadata.clone());
    let mut elsewhere: BTreeMap<String, String> =
        serde_json::from_value(row.integration_ids.clone()).unwrap_or_default();
    elsewhere.extend(item.elsewhere.clone());
    let mut body = TaskBody {
        actual_minutes: given(&item.actual),
        position: Patch::Absent,
        metadata: Patch::Value(metadata),
        integration_ids: Patch::Value(elsewhere),
        ..body(item)
    };
    // Done there, the file has the next one too.
    if item.status == Some(TaskStatus::Done) {
        body.recurrence = Patch::Null;
    }
    body
}
