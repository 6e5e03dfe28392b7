//! What happened: typed payloads, the declaration of their kinds, and the envelope that a change is told in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The payload of one kind of event.
pub trait EventPayload: Serialize + JsonSchema {
    /// `noun.happened`, such as `task.created`.
    const KIND: &'static str;
    /// Raised when the payload's meaning changes; old events keep theirs.
    const VERSION: i16 = 1;
    /// What it tells, in one sentence.
    const ABOUT: &'static str;
}

/// A declared kind of event with the schema of its payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventKind {
    /// The kind's name.
    pub name: &'static str,
    /// The payload's version.
    pub version: i16,
    /// What it tells.
    pub about: &'static str,
    /// JSON Schema 2020-12 of the payload.
    pub schema: Value,
}

impl EventKind {
    /// The declaration of `P`.
    pub fn of<P: EventPayload>() -> Self {
        EventKind {
            name: P::KIND,
            version: P::VERSION,
            about: P::ABOUT,
            schema: schemars::schema_for!(P).to_value(),
        }
    }
}

/// A field before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The value before; null for a thing just made.
    pub before: Value,
    /// The value after; null for a thing removed.
    pub after: Value,
}

/// Changed fields by name.
pub type Changes = BTreeMap<String, Change>;

/// The fields in which two objects differ. Anything but an object counts as one without fields.
pub fn diff(before: &Value, after: &Value) -> Changes {
    let empty = Map::new();
    let before = before.as_object().unwrap_or(&empty);
    let after = after.as_object().unwrap_or(&empty);
    let get = |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
    before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter_map(|key| {
            let change = Change {
                before: get(before, key),
                after: get(after, key),
            };
            (change.before != change.after).then(|| (key.clone(), change))
        })
        .collect()
}

/// An event on its way into the log. Tenant, actor, origin, time and ids come from the transaction.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The declared kind.
    pub kind: &'static str,
    /// The payload's version.
    pub version: i16,
    /// `noun:id` of the thing it is about.
    pub subject: String,
    /// Changed fields, before and after.
    pub changes: Changes,
    /// The payload.
    pub data: Value,
    /// The event that led to this one.
    pub causation: Option<Uuid>,
}

impl NewEvent {
    /// An event about `noun:id`.
    pub fn new<P: EventPayload>(noun: &str, id: Uuid, payload: &P) -> Self {
        NewEvent {
            kind: P::KIND,
            version: P::VERSION,
            subject: format!("{noun}:{id}"),
            changes: Changes::new(),
            // A payload is a plain struct of ours; one that cannot be JSON is told of as null.
            data: serde_json::to_value(payload).unwrap_or(Value::Null),
            causation: None,
        }
    }

    /// With the fields that changed.
    pub fn with_changes(mut self, changes: Changes) -> Self {
        self.changes = changes;
        self
    }
}
