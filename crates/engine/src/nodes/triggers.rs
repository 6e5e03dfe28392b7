//! What the schemas of triggers cannot say: whether a cron expression, a time zone and a filter are what they should be.

use crate::expr::{Expr, Limits, Scope};
use crate::graph::Fault;
use crate::schedule::{Schedule, ScheduleError};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::borrow::Cow;
use synapscale_core::{Error, Result};

/// Most bytes of a filter.
const MAX_FILTER: usize = 2_000;

/// The faults of a `trigger.schedule`.
pub(super) fn schedule_faults(with: &Value) -> Vec<Fault> {
    let text = |name: &str| with.get(name).and_then(Value::as_str);
    let Err(error) = Schedule::parse(
        text("cron").unwrap_or_default(),
        text("timezone").unwrap_or("UTC"),
    ) else {
        return Vec::new();
    };
    let (pointer, code) = match error {
        ScheduleError::Zone(_) => ("/timezone", "time_zone"),
        ScheduleError::Cron(..) | ScheduleError::Never(_) => ("/cron", "cron"),
    };
    vec![Fault {
        pointer: pointer.to_owned(),
        code,
        message: error.to_string(),
    }]
}

/// The faults of a `trigger.event`.
pub(super) fn event_faults(with: &Value) -> Vec<Fault> {
    let Some(filter) = with.get("filter").and_then(Value::as_str) else {
        return Vec::new();
    };
    let fault = |message: String| Fault {
        pointer: "/filter".to_owned(),
        code: "expression",
        message,
    };
    match EventFilter::parse(filter) {
        Ok(_) => Vec::new(),
        Err(message) => vec![fault(message)],
    }
}

/// Which events of a kind a trigger takes: an expression over `event` that gives true or false.
#[derive(Clone, Debug)]
pub struct EventFilter(Expr);

impl EventFilter {
    /// Reads an expression, without braces.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(filter: &str) -> std::result::Result<Self, String> {
        if filter.len() > MAX_FILTER {
            return Err(format!("A filter has at most {MAX_FILTER} bytes."));
        }
        if filter.contains("{{") {
            return Err("A filter is an expression by itself: leave the braces out.".to_owned());
        }
        let expr = Expr::parse(filter).map_err(|error| error.to_string())?;
        match expr.references().roots.iter().find(|root| *root != "event") {
            Some(root) => Err(format!("A filter reads `event`; there is no `{root}`.")),
            None => Ok(EventFilter(expr)),
        }
    }

    /// Whether it takes this event.
    ///
    /// # Errors
    /// `expression_failed`, also when it gives neither true nor false.
    pub fn takes(&self, event: &Value, now: DateTime<Utc>) -> Result<bool> {
        let failed = |words: String| {
            Error::invalid("/with/filter", "expression", words).with_code("expression_failed")
        };
        let value = self.0.eval(&EventScope { event, now }, &Limits::default());
        let value = value.map_err(|error| failed(error.to_string()))?;
        value
            .as_bool()
            .ok_or_else(|| failed("The filter gave neither true nor false.".to_owned()))
    }
}

struct EventScope<'a> {
    event: &'a Value,
    now: DateTime<Utc>,
}

impl Scope for EventScope<'_> {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == "event").then_some(Cow::Borrowed(self.event))
    }

    fn node_output(&self, _: &str) -> Option<&Value> {
        None
    }

    fn now(&self) -> DateTime<Utc> {
        self.now
    }
}
