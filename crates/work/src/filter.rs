//! Which tasks are meant: one language for lists and for saved filters.

mod saved;

pub(crate) use saved::{SavedFilter, entities, migration, operations};

use crate::entity::{project, task};
use crate::model::{Archived, Priority, ProjectStatus, TaskStatus};
use crate::{links, query, search};
use chrono::{DateTime, Datelike, Days, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, Result};
use synapscale_store::Tx;
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Query};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, Select};
use uuid::Uuid;

/// A date in words, by the day on which the question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// Before now, and neither done nor cancelled.
    Overdue,
    /// Today.
    Today,
    /// Tomorrow.
    Tomorrow,
    /// From Monday to Sunday of this week.
    ThisWeek,
    /// Today and the six days after it.
    #[serde(rename = "next_7_days")]
    Next7Days,
    /// At any time.
    Any,
    /// At no time.
    None,
}

/// Declares an input that says which tasks are meant. Flattening is not allowed in inputs.
macro_rules! task_filter {
    ($(#[$meta:meta])* $name:ident { $($(#[$extra_meta:meta])* $extra:ident: $extra_kind:ty,)* }
     $($(#[$field_meta:meta])* $field:ident: $kind:ty,)*) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct $name {
            $($(#[$field_meta])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
            $($(#[$extra_meta])* pub $extra: $extra_kind,)*
        }

        impl From<&$name> for TaskFilter {
            fn from(input: &$name) -> Self {
                TaskFilter { $($field: input.$field.clone(),)* }
            }
        }
    };
}

macro_rules! with_fields {
    ($(#[$meta:meta])* $name:ident { $($extra:tt)* }) => {
        task_filter! {
            $(#[$meta])* $name { $($extra)* }
            /// Of this project.
            project_id: Uuid,
            /// Right below this task.
            parent_id: Uuid,
            /// In one of these.
            #[schemars(length(max = 5))]
            status: Vec<TaskStatus>,
            /// With one of these.
            #[schemars(length(max = 4))]
            priority: Vec<Priority>,
            /// Whose they are.
            #[schemars(length(max = 200))]
            assignee: String,
            /// Whether they are nobody's.
            unassigned: bool,
            /// With this tag, letter for letter: `Home` is not `home`.
            #[schemars(length(max = 64))]
            tag: String,
            /// With all of these tags, letter for letter.
            #[schemars(length(max = 10), inner(length(min = 1, max = 64)))]
            tags: Vec<String>,
            /// What to do with tasks in the archive; they are left out unless asked for.
            archived: Archived,
            /// Whether a task that it waits for is open.
            blocked: bool,
            /// Due when.
            due: When,
            /// Due before this time.
            due_before: DateTime<Utc>,
            /// Due after this time.
            due_after: DateTime<Utc>,
            /// Scheduled when.
            scheduled: When,
            /// Scheduled before this time.
            scheduled_before: DateTime<Utc>,
            /// Scheduled after this time.
            scheduled_after: DateTime<Utc>,
            /// How many minutes the clock by which days begin is ahead of UTC, for words such as today.
            #[schemars(range(min = -840, max = 840))]
            utc_offset_minutes: i32,
            /// With this in title or description, whatever its case.
            #[schemars(length(min = 1, max = 200))]
            text: String,
            /// With all these words in title, tags, text or comments; the last one may be begun only. Looks among the newest 5,000
            /// tasks with each word.
            #[schemars(length(min = 1, max = 200))]
            search: String,
        }
    };
}

with_fields! {
    /// Which tasks are meant; what is absent does not matter.
    TaskFilter {}
}

with_fields! {
    /// Which tasks to list.
    ListTasks {
        /// created_at, updated_at, due_date, scheduled_date, priority, title or position; `-` in front for descending.
        #[schemars(length(max = 20))]
        sort: Option<String>,
        /// Most items to return.
        #[schemars(range(min = 1, max = 200))]
        limit: Option<u32>,
        /// Where the page before ended.
        #[schemars(length(max = 1024))]
        cursor: Option<String>,
    }
}

impl TaskFilter {
    /// The living tasks that are meant.
    ///
    /// # Errors
    /// 422 for a search without words.
    pub fn select(&self, tx: &Tx) -> Result<Select<task::Entity>> {
        let mut found = tx.find_live::<task::Entity>();
        for condition in [self.place(tx), self.state(tx), self.dates(tx.ctx().clock().now())] {
            found = found.filter(condition);
        }
        Ok(found.filter(self.texts(tx)?))
    }

    /// Project, parent and what the archive leaves. Who asks for an archived project by its id wants to see it.
    fn place(&self, tx: &Tx) -> Condition {
        let mut all = Condition::all();
        let named = self.project_id.is_some() || self.parent_id.is_some();
        let put_away = Query::select()
            .column((project::Entity, project::Column::Id))
            .from(project::Entity)
            .and_where(Expr::col((project::Entity, project::Column::TenantId)).eq(tx.tenant_value()))
            .and_where(
                Expr::col((project::Entity, project::Column::Status)).eq(ProjectStatus::Archived.as_str()),
            )
            .to_owned();
        let inside = Expr::col((task::Entity, task::Column::ProjectId)).in_subquery(put_away);
        match self.archived.unwrap_or_default() {
            Archived::Included => {}
            Archived::Hidden => {
                all = all.add(task::Column::ArchivedAt.is_null());
                all = if named { all } else { all.add(inside.not()) };
            }
            Archived::Only => {
                let away = Condition::any().add(task::Column::ArchivedAt.is_not_null());
                all = all.add(away.add(inside));
            }
        }
        all.add_option(self.project_id.map(|id| task::Column::ProjectId.eq(id)))
            .add_option(self.parent_id.map(|id| task::Column::ParentId.eq(id)))
    }

    fn state(&self, tx: &Tx) -> Condition {
        let mut all = Condition::all();
        if let Some(statuses) = self.status.as_ref().filter(|list| !list.is_empty()) {
            all = all.add(task::Column::Status.is_in(statuses.iter().map(|status| status.as_str())));
        }
        if let Some(priorities) = self.priority.as_ref().filter(|list| !list.is_empty()) {
            all = all.add(task::Column::Priority.is_in(priorities.iter().map(|priority| priority.as_str())));
        }
        all = all.add_option(self.assignee.as_deref().map(|who| task::Column::Assignee.eq(who)));
        all = all.add_option(self.unassigned.map(|nobody| match nobody {
            true => task::Column::Assignee.is_null(),
            false => task::Column::Assignee.is_not_null(),
        }));
        all.add_option(self.blocked.map(|blocked| match blocked {
            true => links::is_blocked(tx),
            false => links::is_blocked(tx).not(),
        }))
    }

    fn dates(&self, now: DateTime<Utc>) -> Condition {
        let offset = self.utc_offset_minutes.unwrap_or(0);
        let due = task::Column::DueDate;
        let scheduled = task::Column::ScheduledDate;
        Condition::all()
            .add_option(self.due_before.map(|time| due.lt(time)))
            .add_option(self.due_after.map(|time| due.gt(time)))
            .add_option(self.scheduled_before.map(|time| scheduled.lt(time)))
            .add_option(self.scheduled_after.map(|time| scheduled.gt(time)))
            .add_option(self.due.map(|when| at(due, when, now, offset)))
            .add_option(self.scheduled.map(|when| at(scheduled, when, now, offset)))
    }

    fn texts(&self, tx: &Tx) -> Result<Condition> {
        let column = |column: task::Column| Expr::col((task::Entity, column));
        let mut all = Condition::all();
        for tag in self.tag.iter().chain(self.tags.iter().flatten()) {
            all = all.add(query::tagged(column(task::Column::Tags), tag));
        }
        if let Some(text) = &self.text {
            let title = query::contains(column(task::Column::Title), text);
            let description = query::contains(column(task::Column::Description), text);
            all = all.add(Condition::any().add(title).add(description));
        }
        if let Some(words) = &self.search {
            let terms = search::terms(words);
            let Some(last) = terms.len().checked_sub(1) else {
                return Err(Error::invalid("/search", "no_words", "There is no word in this."));
            };
            for (index, term) in terms.iter().enumerate() {
                all = all.add(search::among(tx, term, index == last));
            }
        }
        Ok(all)
    }
}

/// Whether a date is at the time that a word means at `now`.
fn at(column: task::Column, when: When, now: DateTime<Utc>, offset: i32) -> Condition {
    let ahead = TimeDelta::minutes(i64::from(offset));
    let today = (now + ahead).date_naive();
    // From the beginning of one day on up to the beginning of another.
    let days = |from: u64, to: u64| {
        let begin = |ahead_of: u64| {
            let day = today.checked_add_days(Days::new(ahead_of)).unwrap_or(today);
            day.and_time(chrono::NaiveTime::MIN).and_utc() - ahead
        };
        Condition::all()
            .add(column.gte(begin(from)))
            .add(column.lt(begin(to)))
    };
    match when {
        When::Today => days(0, 1),
        When::Tomorrow => days(1, 2),
        When::Next7Days => days(0, 7),
        When::ThisWeek => {
            let passed = i64::from(today.weekday().num_days_from_monday());
            let monday = (today - TimeDelta::days(passed))
                .and_time(chrono::NaiveTime::MIN)
                .and_utc()
                - ahead;
            Condition::all()
                .add(column.gte(monday))
                .add(column.lt(monday + TimeDelta::days(7)))
        }
        When::Overdue => Condition::all()
            .add(column.lt(now))
            .add(task::Column::Status.is_not_in([TaskStatus::Done.as_str(), TaskStatus::Cancelled.as_str()])),
        When::Any => Condition::all().add(column.is_not_null()),
        When::None => Condition::all().add(column.is_null()),
    }
}
