//! What the API shows of triggers.

use crate::entity::{event_trigger, schedule};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// A schedule of a workflow's current version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleView {
    /// Its id.
    pub id: Uuid,
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
    /// Minute, hour, day of month, month, day of week.
    pub cron: String,
    /// The IANA time zone.
    pub timezone: String,
    /// What becomes of missed turns: skip, once or all.
    pub missed: String,
    /// The next turn. While the workflow is paused turns pass without a run.
    pub next_at: Option<DateTime<Utc>>,
    /// When it last had a turn.
    pub last_at: Option<DateTime<Utc>>,
    /// The last run it started.
    pub last_run_id: Option<Uuid>,
    /// Why its last turn has no run, if it could not be started.
    pub failure: Option<Value>,
}

impl From<schedule::Model> for ScheduleView {
    fn from(row: schedule::Model) -> Self {
        ScheduleView {
            id: row.id,
            workflow_id: row.workflow_id,
            node: row.node,
            cron: row.cron,
            timezone: row.timezone,
            missed: row.missed,
            next_at: row.next_at,
            last_at: row.last_at,
            last_run_id: row.last_run_id,
            failure: row.failure,
        }
    }
}

/// An event trigger of a workflow's current version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventTriggerView {
    /// Its id.
    pub id: Uuid,
    /// The workflow.
    pub workflow_id: Uuid,
    /// The trigger node.
    pub node: String,
    /// The kinds of events.
    pub kinds: Vec<String>,
    /// Which of them it takes; all if none.
    pub filter: Option<String>,
    /// When it last took one.
    pub last_at: Option<DateTime<Utc>>,
    /// The last run it started.
    pub last_run_id: Option<Uuid>,
    /// Why an event since then has no run, if one could not be started.
    pub failure: Option<Value>,
}

impl From<event_trigger::Model> for EventTriggerView {
    fn from(row: event_trigger::Model) -> Self {
        EventTriggerView {
            id: row.id,
            workflow_id: row.workflow_id,
            node: row.node,
            kinds: serde_json::from_value(row.kinds).unwrap_or_default(),
            filter: row.filter,
            last_at: row.last_at,
            last_run_id: row.last_run_id,
            failure: row.failure,
        }
    }
}
