//! Projects and tasks as the API shows them.

use crate::entity::{project, task};
use crate::recurrence::Recurrence;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_ops::Revisioned;
use uuid::Uuid;

/// Declares an enum of words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, default $default:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$about])* $variant,)*
        }

        impl $name {
            /// The word on the wire and in the database.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// The value that `word` names; the default for a word that is none.
            pub fn parse(word: &str) -> Self {
                match word {
                    $($word => $name::$variant,)*
                    _ => $name::$default,
                }
            }
        }
    };
}

words! {
    /// Where a project stands.
    ProjectStatus, default Active {
        /// Not begun.
        Planning = "planning",
        /// Worked on.
        Active = "active",
        /// Set aside.
        OnHold = "on_hold",
        /// Done.
        Completed = "completed",
        /// Kept for reference.
        Archived = "archived",
    }
}

words! {
    /// Where a task stands.
    TaskStatus, default Todo {
        /// Not begun.
        Todo = "todo",
        /// Worked on.
        InProgress = "in_progress",
        /// Cannot go on.
        Blocked = "blocked",
        /// Done.
        Done = "done",
        /// Will not be done.
        Cancelled = "cancelled",
    }
}

/// What a list does with tasks in the archive, and with those of archived projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Archived {
    /// Leaves them out.
    #[default]
    Hidden,
    /// Shows them beside the others.
    Included,
    /// Shows nothing else.
    Only,
}

words! {
    /// How much it matters.
    Priority, default Medium {
        /// Can wait.
        Low = "low",
        /// As usual.
        Medium = "medium",
        /// Soon.
        High = "high",
        /// Now.
        Critical = "critical",
    }
}

impl Priority {
    /// Low is 0, critical 3.
    pub fn rank(self) -> i64 {
        self as i64
    }
}

/// A project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub description: Option<String>,
    /// Where it stands.
    pub status: ProjectStatus,
    /// How much it matters.
    pub priority: Priority,
    /// Tags: a list of strings.
    pub tags: Value,
    /// Whatever belongs to it: an object.
    pub metadata: Value,
    /// Its ids elsewhere, by system: an object of strings.
    pub integration_ids: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// Raised by every change.
    pub revision: i64,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: Uuid,
    /// Its project.
    pub project_id: Uuid,
    /// The task it is part of.
    pub parent_id: Option<Uuid>,
    /// What is to be done.
    pub title: String,
    /// In more words.
    pub description: Option<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// How much it matters.
    pub priority: Priority,
    /// Who does it.
    pub assignee: Option<String>,
    /// Until when.
    pub due_date: Option<DateTime<Utc>>,
    /// When it is to be worked on, apart from when it is due.
    pub scheduled_date: Option<DateTime<Utc>>,
    /// How it comes again; completing the task hands this on to the next one.
    pub recurrence: Option<Recurrence>,
    /// How long it should take, in minutes.
    pub estimated_minutes: Option<i64>,
    /// How long it took, in minutes.
    pub actual_minutes: Option<i64>,
    /// Tags: a list of strings.
    pub tags: Value,
    /// Whatever belongs to it: an object.
    pub metadata: Value,
    /// Its ids elsewhere, by system: an object of strings.
    pub integration_ids: Value,
    /// How many tasks it is below, 0 to 5.
    pub depth: i64,
    /// Its place among its siblings, which sorts like text; tasks from before there were places have none.
    pub position: String,
    /// Whether a task that it waits for is neither done nor cancelled.
    pub blocked: bool,
    /// When it was put into the archive; null while it is in sight.
    pub archived_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// Raised by every change.
    pub revision: i64,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Task {
    /// The row with whether it waits for an open one, which other rows tell.
    pub(crate) fn seen((row, blocked): (task::Model, bool)) -> Self {
        Task {
            blocked,
            ..Task::from(row)
        }
    }
}

/// A task with those below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskNode {
    /// The task.
    pub task: Task,
    /// The tasks that are part of it.
    pub children: Vec<TaskNode>,
}

impl Revisioned for Project {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl Revisioned for Task {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<project::Model> for Project {
    fn from(row: project::Model) -> Self {
        Project {
            id: row.id,
            name: row.name,
            description: row.description,
            status: ProjectStatus::parse(&row.status),
            priority: Priority::parse(&row.priority),
            tags: row.tags,
            metadata: row.metadata,
            integration_ids: row.integration_ids,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: row.created_by,
            revision: row.revision,
            deleted_at: row.deleted_at,
        }
    }
}

impl From<task::Model> for Task {
    fn from(row: task::Model) -> Self {
        Task {
            id: row.id,
            project_id: row.project_id,
            parent_id: row.parent_id,
            title: row.title,
            description: row.description,
            status: TaskStatus::parse(&row.status),
            priority: Priority::parse(&row.priority),
            assignee: row.assignee,
            due_date: row.due_date,
            scheduled_date: row.scheduled_date,
            recurrence: row.recurrence.and_then(|rule| serde_json::from_value(rule).ok()),
            estimated_minutes: row.estimated_minutes,
            actual_minutes: row.actual_minutes,
            tags: row.tags,
            metadata: row.metadata,
            integration_ids: row.integration_ids,
            depth: row.depth,
            position: row.position,
            blocked: false,
            archived_at: row.archived_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            created_by: row.created_by,
            revision: row.revision,
            deleted_at: row.deleted_at,
        }
    }
}
