//! What this domain tells the log.

use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};
use uuid::Uuid;

/// Declares the events of one noun.
macro_rules! row_events {
    ($($(#[$meta:meta])* $name:ident = $kind:literal, $about:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Serialize, JsonSchema)]
        pub struct $name {
            /// Its name or title.
            pub title: String,
            /// Its revision afterwards.
            pub revision: i64,
            /// The patch set that did it, if one did.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub patch_set_id: Option<Uuid>,
        }

        impl EventPayload for $name {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
        }
    )*};
}

row_events! {
    /// A project was made.
    ProjectCreated = "project.created", "A project was made.";
    /// A project changed.
    ProjectUpdated = "project.updated", "A project changed.";
    /// A project was deleted.
    ProjectDeleted = "project.deleted", "A project was deleted; it can be restored.";
    /// A project came back.
    ProjectRestored = "project.restored", "A project was brought back.";
    /// A task was made.
    TaskCreated = "task.created", "A task was made.";
    /// A task changed.
    TaskUpdated = "task.updated", "A task changed.";
    /// A task was deleted.
    TaskDeleted = "task.deleted", "A task was deleted; it can be restored.";
    /// A task came back.
    TaskRestored = "task.restored", "A task was brought back.";
}

/// A patch set was applied.
#[derive(Serialize, JsonSchema)]
pub struct PatchSetApplied {
    /// How many rows it changed.
    pub rows: usize,
    /// The set that it undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo_of: Option<Uuid>,
}

impl EventPayload for PatchSetApplied {
    const KIND: &'static str = "patch_set.applied";
    const ABOUT: &'static str = "A patch set was applied, whole.";
}

/// A patch set was undone.
#[derive(Serialize, JsonSchema)]
pub struct PatchSetUndone {
    /// The set that undid it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Uuid>,
}

impl EventPayload for PatchSetUndone {
    const KIND: &'static str = "patch_set.undone";
    const ABOUT: &'static str = "A patch set was undone.";
}

/// Every kind declared here.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<ProjectCreated>(),
        EventKind::of::<ProjectUpdated>(),
        EventKind::of::<ProjectDeleted>(),
        EventKind::of::<ProjectRestored>(),
        EventKind::of::<TaskCreated>(),
        EventKind::of::<TaskUpdated>(),
        EventKind::of::<TaskDeleted>(),
        EventKind::of::<TaskRestored>(),
        EventKind::of::<PatchSetApplied>(),
        EventKind::of::<PatchSetUndone>(),
    ]
}
