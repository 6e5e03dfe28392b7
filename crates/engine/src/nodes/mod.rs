//! The node kinds: what each does when its step is ready.

mod catalog;
mod http;
mod nested;
mod operation;
mod triggers;

pub use catalog::Catalog;
pub(crate) use http::call as call_http;
pub(crate) use nested::composites;
pub(crate) use operation::{call as call_operation, call_as as call_outside, call_inside, refuse};
pub use triggers::EventFilter;

use crate::engine::Engine;
use crate::expr::{Limits, Scope};
use crate::graph::StepKey;
use crate::run::burst::RunScope;
use crate::run::journal;
use crate::run::model::Response;
use crate::run::state::RunState;
use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use synapscale_core::{Ctx, Error, ErrorKind, Result};
use synapscale_store::Tx;

/// Longest wait that a node may ask for.
const LONGEST_WAIT: Duration = Duration::days(366);
/// Most that a merge puts together, in bytes of JSON: a merge of merges doubles with each row of nodes.
pub(crate) const MOST_MERGED: usize = 8 * 1024 * 1024;
/// How long a person has, unless the node says otherwise.
const APPROVAL_HOURS: i64 = 7 * 24;
/// Longest title of an approval, in characters.
const MAX_TITLE: usize = 500;
/// Largest detail of an approval, in bytes of JSON.
const MAX_DETAIL: usize = 256 * 1024;

/// What a step came to inside of a burst.
pub(crate) enum StepOutcome {
    /// Done; the run goes on at `port`.
    Done { port: Cow<'static, str>, output: Value },
    /// Done, and this is the run's answer.
    Answer(Response),
    /// To be called outside of the transaction.
    Launch,
    /// Done once the time has come.
    WaitUntil(DateTime<Utc>),
    /// A person is asked.
    Ask {
        title: String,
        detail: Value,
        deadline: DateTime<Utc>,
    },
}

fn done(port: impl Into<Cow<'static, str>>, output: Value) -> Result<StepOutcome> {
    Ok(StepOutcome::Done {
        port: port.into(),
        output,
    })
}

/// The node's `with`, its expressions evaluated.
pub(crate) fn config(state: &RunState, key: &StepKey, now: DateTime<Utc>) -> Result<Value> {
    let template = state.head.graph.template(key.node);
    template
        .eval(&RunScope { state, now }, &Limits::default())
        .map_err(|failed| {
            Error::invalid(
                format!("/nodes/{}/with{}", state.node_id(key), failed.pointer),
                "expression",
                failed.error.to_string(),
            )
            .with_code("expression_failed")
        })
}

/// The member of the node's `with` that is its kind's to evaluate for each item; none if the node has none.
pub(crate) fn per_item(
    state: &RunState,
    key: &StepKey,
    now: DateTime<Utc>,
    item: &Value,
    index: usize,
) -> Result<Option<Value>> {
    let Some((member, template)) = state.head.graph.per_item(key.node) else {
        return Ok(None);
    };
    let scope = ItemScope {
        run: RunScope { state, now },
        item,
        index: Value::from(index),
    };
    let value = template.eval(&scope, &Limits::default()).map_err(|failed| {
        Error::invalid(
            format!("/nodes/{}/with/{member}{}", state.node_id(key), failed.pointer),
            "expression",
            format!("For item {index}: {}", failed.error),
        )
        .with_code("expression_failed")
    })?;
    Ok(Some(value))
}

/// What expressions see that are evaluated for each item.
struct ItemScope<'a> {
    run: RunScope<'a>,
    item: &'a Value,
    index: Value,
}

impl Scope for ItemScope<'_> {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "item" => Some(Cow::Borrowed(self.item)),
            "index" => Some(Cow::Borrowed(&self.index)),
            other => self.run.root(other),
        }
    }

    fn node_output(&self, node: &str) -> Option<&Value> {
        self.run.node_output(node)
    }

    fn now(&self) -> DateTime<Utc> {
        self.run.now()
    }
}

/// Runs one step.
pub(crate) async fn execute(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    state: &RunState,
    key: &StepKey,
    config: Value,
) -> Result<StepOutcome> {
    let kind = &state.head.graph.node(key.node).kind;
    let now = ctx.clock().now();
    match kind.name.as_str() {
        "trigger.manual" | "trigger.webhook" | "trigger.schedule" | "trigger.event" => {
            done("out", (*state.head.input).clone())
        }
        "set" => done("out", config),
        "if" => {
            let holds = flag(&config, "when")?;
            done(if holds { "true" } else { "false" }, json!({ "when": holds }))
        }
        "switch" => switch(&config),
        "merge" if is_one_too_many(state, key) => Err(Error::conflict(
            "too_many_rounds",
            "The cycle that begins here has had all the rounds it may have.",
        )),
        "merge" => match state.inputs_fit(key.node, MOST_MERGED) {
            true => done("out", state.inputs_of(key.node)),
            false => Err(Error::too_large("merge's output", "8 MiB")),
        },
        "wait" => wait(&config, now),
        "approval" => approval(config, now),
        "respond" => respond(config),
        "fail" => Err(fail(&config)),
        "operation" => operation::execute(engine, tx, ctx, &config).await,
        "http" => Ok(StepOutcome::Launch),
        other => Err(Error::internal(format!("no node kind `{other}`"))),
    }
}

/// Whether this is the entry of a cycle whose rounds are used up.
fn is_one_too_many(state: &RunState, key: &StepKey) -> bool {
    let graph = &state.head.graph;
    let Some(number) = graph.loops().headed_by(key.node) else {
        return false;
    };
    let most = graph.loops().all().get(number).map(|found| found.max_rounds);
    most.is_some_and(|most| state.frontier.round(number) > most)
}

fn flag(config: &Value, name: &str) -> Result<bool> {
    config
        .get(name)
        .and_then(Value::as_bool)
        .ok_or_else(|| wrong(name, "must be true or false"))
}

fn wrong(field: &str, what: &str) -> Error {
    Error::invalid(format!("/with/{field}"), "type", format!("`{field}` {what}."))
}

fn switch(config: &Value) -> Result<StepOutcome> {
    let cases = config
        .get("cases")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    for case in cases {
        if flag(case, "when")? {
            let port = case
                .get("port")
                .and_then(Value::as_str)
                .unwrap_or("out")
                .to_owned();
            return done(port.clone(), json!({ "port": port }));
        }
    }
    let port = config
        .get("else")
        .and_then(Value::as_str)
        .unwrap_or("else")
        .to_owned();
    done(port.clone(), json!({ "port": port }))
}

fn wait(config: &Value, now: DateTime<Utc>) -> Result<StepOutcome> {
    let until = match (config.get("seconds"), config.get("until")) {
        (Some(seconds), _) => {
            let seconds = seconds
                .as_f64()
                .filter(|s| *s >= 0.0)
                .ok_or_else(|| wrong("seconds", "must be a number from 0"))?;
            let millis = (seconds * 1000.0).min(LONGEST_WAIT.num_milliseconds() as f64);
            now + Duration::milliseconds(millis as i64)
        }
        (None, Some(until)) => {
            let text = until.as_str().unwrap_or_default();
            DateTime::parse_from_rfc3339(text)
                .map_err(|_| wrong("until", "must be a time such as 2026-12-24T18:00:00Z"))?
                .with_timezone(&Utc)
        }
        (None, None) => return Err(wrong("seconds", "or `until` is needed")),
    };
    Ok(StepOutcome::WaitUntil(until.min(now + LONGEST_WAIT)))
}

fn approval(mut config: Value, now: DateTime<Utc>) -> Result<StepOutcome> {
    let hours = config
        .get("deadline_hours")
        .and_then(Value::as_i64)
        .unwrap_or(APPROVAL_HOURS);
    let title = config
        .get("title")
        .and_then(Value::as_str)
        .unwrap_or("Approval")
        .to_owned();
    let detail = config.get_mut("detail").map(Value::take).unwrap_or_default();
    // It is read whole by whoever decides, and by every list of what waits.
    if title.chars().count() > MAX_TITLE || journal::is_larger(&detail, MAX_DETAIL) {
        return Err(Error::too_large(
            "approval's title or detail",
            "500 characters and 256 KiB",
        ));
    }
    let deadline = now + Duration::hours(hours.clamp(1, LONGEST_WAIT.num_hours()));
    Ok(StepOutcome::Ask {
        title,
        detail,
        deadline,
    })
}

/// A question cut to what an approval may hold.
pub(crate) fn fit_question(title: &str, detail: Value) -> (String, Value) {
    let title = match title.char_indices().nth(MAX_TITLE - 1) {
        Some((end, _)) => format!("{}…", title.get(..end).unwrap_or_default()),
        None => title.to_owned(),
    };
    let detail = match journal::is_larger(&detail, MAX_DETAIL) {
        true => json!({ "$omitted": "over 256 KiB; the run's steps show it" }),
        false => detail,
    };
    (title, detail)
}

fn respond(mut config: Value) -> Result<StepOutcome> {
    let status = config.get("status").map_or(Some(200), Value::as_u64);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (200..600).contains(status))
        .ok_or_else(|| wrong("status", "must be an HTTP status from 200 to 599"))?;
    let mut take = |field: &str| config.get_mut(field).map(Value::take).unwrap_or_default();
    let headers = match take("headers") {
        Value::Null => Value::Object(Map::new()),
        headers => headers,
    };
    Ok(StepOutcome::Answer(Response {
        status,
        headers,
        body: take("body"),
    }))
}

fn fail(config: &Value) -> Error {
    let text = |field: &str| config.get(field).and_then(Value::as_str);
    let message = text("message")
        .unwrap_or("The workflow ended this run with a failure.")
        .to_owned();
    Error::new(
        ErrorKind::Conflict,
        text("code").unwrap_or("failed_by_workflow").to_owned(),
        message,
    )
}
