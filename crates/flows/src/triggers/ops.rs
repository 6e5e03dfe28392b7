//! `triggers.*`: what starts runs by itself, and when.

use super::view::{EventTriggerView, ScheduleView};
use crate::entity::{event_trigger, schedule};
use crate::{Flows, service};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_engine::schedule::{Schedule, ScheduleError};
use synapscale_ops::{Method, Operation};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};

/// Most triggers of each sort in a list.
const MOST: u64 = 500;
/// Turns of a preview unless it says otherwise.
const TURNS: usize = 5;

pub(crate) fn all(_: &Flows) -> Vec<Operation> {
    vec![list(), preview()]
}

/// Which triggers to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTriggers {
    /// Only those of the workflow of this name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub workflow: Option<String>,
}

/// What starts runs by itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Triggers {
    /// Schedules, by their next turn; 500 at most.
    pub schedules: Vec<ScheduleView>,
    /// Event triggers, the oldest first; 500 at most.
    pub events: Vec<EventTriggerView>,
}

fn list() -> Operation {
    Operation::read("triggers.list", "List triggers")
        .about("Lists the schedules and event triggers of the workflows' current versions: when each comes next, what it started last, and why it could not start a run.")
        .permission("workflows:read")
        .rest(Method::GET, "/triggers")
        .handle(|tx: Tx, input: Arc<ListTriggers>| async move { found(&tx, &input).await })
}

async fn found(tx: &Tx, input: &ListTriggers) -> Result<Triggers> {
    let mut schedules = tx
        .find::<schedule::Entity>()
        .filter(schedule::Column::Active.eq(true))
        .order_by_asc(schedule::Column::NextAt)
        .limit(MOST);
    let mut events = tx
        .find::<event_trigger::Entity>()
        .filter(event_trigger::Column::Active.eq(true))
        .order_by_asc(event_trigger::Column::Id)
        .limit(MOST);
    if let Some(name) = &input.workflow {
        let id = service::by_name(tx, name).await?.id;
        schedules = schedules.filter(schedule::Column::WorkflowId.eq(id));
        events = events.filter(event_trigger::Column::WorkflowId.eq(id));
    }
    Ok(Triggers {
        schedules: schedules
            .rows(tx)
            .await?
            .into_iter()
            .map(ScheduleView::from)
            .collect(),
        events: events
            .rows(tx)
            .await?
            .into_iter()
            .map(EventTriggerView::from)
            .collect(),
    })
}

/// A schedule to look at.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewSchedule {
    /// Minute, hour, day of month, month, day of week, such as `30 9 * * MON-FRI`.
    #[schemars(length(min = 1, max = 100))]
    pub cron: String,
    /// An IANA time zone, such as `Europe/Berlin`; UTC unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Option<String>,
    /// How many turns; 5 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub count: Option<usize>,
}

/// When a schedule's turns come.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Turns {
    /// The next turns.
    pub turns: Vec<DateTime<Utc>>,
}

fn preview() -> Operation {
    Operation::read("triggers.preview", "Preview a schedule")
        .about("Gives the next turns of a cron expression in a time zone, or tells what is wrong with it.")
        .permission("workflows:read")
        .rest(Method::GET, "/triggers/preview")
        .handle(|tx: Tx, input: Arc<PreviewSchedule>| async move { turns(tx.ctx().clock().now(), &input) })
}

fn turns(now: DateTime<Utc>, input: &PreviewSchedule) -> Result<Turns> {
    let zone = input.timezone.as_deref().unwrap_or("UTC");
    let schedule = Schedule::parse(&input.cron, zone).map_err(|error| {
        let (pointer, code) = match error {
            ScheduleError::Zone(_) => ("/timezone", "time_zone"),
            ScheduleError::Cron(..) | ScheduleError::Never(_) => ("/cron", "cron"),
        };
        Error::invalid(pointer, code, error.to_string())
    })?;
    let turns = std::iter::successors(schedule.next_after(now), |turn| schedule.next_after(*turn));
    Ok(Turns {
        turns: turns.take(input.count.unwrap_or(TURNS)).collect(),
    })
}
