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

/// Declares events about a task or an import whose payload is no more than a few ids and words.
macro_rules! task_events {
    ($($name:ident = $kind:literal, $about:literal { $($(#[$meta:meta])* $field:ident: $type:ty,)* })*) => {$(
        #[doc = $about]
        #[derive(Serialize, JsonSchema)]
        pub struct $name {
            $($(#[$meta])* pub $field: $type,)*
        }

        impl EventPayload for $name {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
        }
    )*};
}

task_events! {
    CommentCreated = "comment.created", "Somebody commented on a task." {
        /// The comment.
        comment_id: Uuid,
        /// The task's title.
        title: String,
    }
    CommentUpdated = "comment.updated", "A comment on a task was edited." {
        /// The comment.
        comment_id: Uuid,
    }
    CommentDeleted = "comment.deleted", "A comment on a task was deleted." {
        /// The comment.
        comment_id: Uuid,
        /// Who had written it.
        author: String,
    }
    TimeLogged = "time.logged", "Somebody logged time on a task." {
        /// The entry.
        time_entry_id: Uuid,
        /// How long, in minutes.
        minutes: i64,
        /// On which day.
        date: String,
    }
    TimeChanged = "time.changed", "Logged time was corrected." {
        /// The entry.
        time_entry_id: Uuid,
    }
    TimeDeleted = "time.deleted", "Logged time was deleted." {
        /// The entry.
        time_entry_id: Uuid,
        /// How long it was, in minutes; null for a timer that ran.
        minutes: Option<i64>,
        /// Of which day.
        date: String,
    }
    FilterSaved = "filter.saved", "A filter over tasks was saved or changed." {
        /// Its name.
        name: String,
        /// Whether everybody in the workspace sees it.
        shared: bool,
    }
    FilterDeleted = "filter.deleted", "A saved filter was deleted." {
        /// Its name.
        name: String,
    }
    TaskPurged = "task.purged", "A deleted task went for good." {
        /// Its title.
        title: String,
    }
    ProjectPurged = "project.purged", "A deleted project went for good." {
        /// Its name.
        name: String,
    }
    ImportFinished = "import.finished", "A file of tasks was imported." {
        /// The file's name.
        name: String,
        /// How many tasks were made.
        created: i64,
        /// How many that stood already were changed.
        updated: i64,
        /// How many stood already as the file has them.
        unchanged: i64,
        /// How many could not be taken.
        left_out: i64,
    }
    ImportUndone = "import.undone", "An import was undone." {
        /// The file's name.
        name: String,
    }
    TimerStarted = "timer.started", "Somebody started a timer on a task." {
        /// The entry that the timer becomes.
        time_entry_id: Uuid,
    }
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
        EventKind::of::<CommentCreated>(),
        EventKind::of::<CommentUpdated>(),
        EventKind::of::<CommentDeleted>(),
        EventKind::of::<TimeLogged>(),
        EventKind::of::<TimeChanged>(),
        EventKind::of::<TimeDeleted>(),
        EventKind::of::<TimerStarted>(),
        EventKind::of::<TaskPurged>(),
        EventKind::of::<FilterSaved>(),
        EventKind::of::<FilterDeleted>(),
        EventKind::of::<ProjectPurged>(),
        EventKind::of::<ImportFinished>(),
        EventKind::of::<ImportUndone>(),
    ]
}
