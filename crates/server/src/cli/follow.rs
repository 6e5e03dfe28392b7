//! Watching a run: each change of a step as a line, as the journal has it, until the run ends or stands still.

use super::client::Client;
use super::{Ended, Failure, output};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use synapscale_core::{Clock, Error};
use synapscale_engine::{RunStatus, RunView, StepStatus, StepView};
use uuid::Uuid;

/// How often a young run is looked at, and an older one.
const LOOK: Duration = Duration::from_millis(100);
const LOOK_LATER: Duration = Duration::from_millis(700);
/// A run is young for so long.
const YOUNG: Duration = Duration::from_secs(5);
/// Waiting for no longer than this is still working: retries, short pauses.
const SHORT_WAIT: chrono::TimeDelta = chrono::TimeDelta::seconds(5);
/// Longest part of an output that a line shows, in characters.
const MAX_SHOWN: usize = 72;

/// How a run is watched.
pub struct Follow<'c> {
    /// The server.
    pub client: &'c Client,
    /// One JSON object per line instead of words.
    pub json: bool,
    /// Goes on watching while the run waits for a person or a time.
    pub through_waits: bool,
    /// The place of each node in the file's order of work, since steps of one commit have one time.
    pub order: HashMap<String, usize>,
}

/// What was told of a step.
type Told = (StepStatus, i64);

impl Follow<'_> {
    /// Watches the run; answers how it ended, and the run.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub async fn watch(&self, run_id: Uuid) -> Result<(Ended, RunView), Failure> {
        let began = Instant::now();
        let mut told: HashMap<(String, String), Told> = HashMap::new();
        let mut asked = false;
        loop {
            // The run before its steps: if it had ended, they are all there.
            let run: RunView = self.ask("runs.get", &json!({ "run_id": run_id })).await?;
            let steps = self.steps(run_id).await?;
            self.tell_changes(run_id, &steps, &mut told)?;
            if run.status.is_final() || run.status == RunStatus::Paused {
                self.tell_end(&run)?;
                let well = run.status == RunStatus::Succeeded;
                return Ok((if well { Ended::Well } else { Ended::Badly }, run));
            }
            if run.status == RunStatus::Waiting && stands_still(&steps) {
                if !asked {
                    asked = self.tell_approvals(run_id).await?;
                }
                if !self.through_waits {
                    self.tell_end(&run)?;
                    return Ok((Ended::Waiting, run));
                }
            }
            let young = began.elapsed() < YOUNG;
            tokio::time::sleep(if young { LOOK } else { LOOK_LATER }).await;
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<T, Failure> {
        let answer = self.client.call(operation, input).await?;
        serde_json::from_value(answer).map_err(|error| Error::internal(error).into())
    }

    async fn steps(&self, run_id: Uuid) -> Result<Vec<StepView>, Failure> {
        let mut answer = self
            .client
            .call("runs.steps", &json!({ "run_id": run_id }))
            .await?;
        serde_json::from_value(answer["steps"].take()).map_err(|error| Error::internal(error).into())
    }

    fn tell_changes(
        &self,
        run_id: Uuid,
        steps: &[StepView],
        told: &mut HashMap<(String, String), Told>,
    ) -> Result<(), Error> {
        let mut changed: Vec<&StepView> = steps
            .iter()
            .filter(|step| !matches!(step.status, StepStatus::Pending | StepStatus::Skipped))
            .filter(|step| told.get(&key(step)) != Some(&(step.status, step.attempts)))
            .collect();
        changed.sort_by_key(|step| {
            (
                last_change(step),
                self.order.get(&step.node).copied().unwrap_or(usize::MAX),
            )
        });
        for step in changed {
            told.insert(key(step), (step.status, step.attempts));
            match self.json {
                true => output::json_line(&step_json(run_id, step))?,
                false => output::line(step_line(step)),
            }
        }
        Ok(())
    }

    /// Tells what the run asks of people; false when it asks nothing.
    async fn tell_approvals(&self, run_id: Uuid) -> Result<bool, Failure> {
        let input = json!({ "run_id": run_id, "status": "pending" });
        let page = self.client.call("approvals.list", &input).await?;
        let approvals = page["items"].as_array().cloned().unwrap_or_default();
        for approval in &approvals {
            if self.json {
                output::json_line(&json!({ "type": "approval", "run_id": run_id, "approval": approval }))?;
                continue;
            }
            let title = approval["title"].as_str().unwrap_or_default();
            let id = approval["id"].as_str().unwrap_or_default();
            output::line(format!("\nwaits for a person: {}", output::plain(title)));
            output::line(format!(
                "  approve  synapscale call approvals.decide --input '{{\"approval_id\": \"{id}\", \"approve\": true}}'"
            ));
            output::line("  reject   the same with \"approve\": false");
        }
        Ok(!approvals.is_empty())
    }

    fn tell_end(&self, run: &RunView) -> Result<(), Error> {
        if self.json {
            return output::json_line(&json!({
                "type": "run",
                "run_id": run.id,
                "status": run.status,
                "work_ms": run.work_ms,
                "output": run.output,
                "response": run.response,
                "error": run.error,
            }));
        }
        let took = run
            .finished_at
            .map(|end| (end - run.created_at).num_milliseconds());
        let took = took
            .map(|ms| format!(" after {}", output::duration(ms)))
            .unwrap_or_default();
        output::line(format!("run {} {}{took}", run.id, run.status.as_str()));
        if let Some(error) = &run.error {
            output::line(format!("  {}", error_text(error)));
        }
        Ok(())
    }
}

/// The place of each node when every node stands after those it names in `after`.
pub fn order_of(file: &Value) -> HashMap<String, usize> {
    let mut order = HashMap::new();
    let Some(nodes) = file["nodes"].as_object() else {
        return order;
    };
    let before = |node: &Value| -> Vec<String> {
        let names: Vec<&str> = match &node["after"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        // A port may follow the node's name.
        names
            .iter()
            .filter_map(|name| name.split('.').next())
            .map(str::to_owned)
            .collect()
    };
    // Graphs have no cycles; should this one, the rest is left without a place.
    for _ in 0..=nodes.len() {
        for (name, node) in nodes {
            if !order.contains_key(name) {
                let places: Option<Vec<usize>> =
                    before(node).iter().map(|name| order.get(name).copied()).collect();
                if let Some(places) = places {
                    order.insert(
                        name.clone(),
                        places.into_iter().max().map_or(0, |place| place + 1),
                    );
                }
            }
        }
    }
    order
}

fn key(step: &StepView) -> (String, String) {
    (step.node.clone(), step.path.clone())
}

fn last_change(step: &StepView) -> Option<DateTime<Utc>> {
    step.finished_at.or(step.started_at)
}

/// Whether nothing will happen for a while unless a person acts.
fn stands_still(steps: &[StepView]) -> bool {
    let soon = Clock::system().now() + SHORT_WAIT;
    let mut waiting = steps
        .iter()
        .filter(|step| step.status == StepStatus::Waiting)
        .peekable();
    waiting.peek().is_some() && waiting.all(|step| step.wait_until.is_none_or(|until| until > soon))
}

fn duration_ms(step: &StepView) -> Option<i64> {
    Some((step.finished_at? - step.started_at?).num_milliseconds())
}

fn step_json(run_id: Uuid, step: &StepView) -> Value {
    json!({
        "type": "step",
        "run_id": run_id,
        "node": step.node,
        "path": step.path,
        "kind": step.kind,
        "status": step.status,
        "port": step.port,
        "attempts": step.attempts,
        "at": last_change(step),
        "duration_ms": duration_ms(step),
        "wait_until": step.wait_until,
        "output": step.output,
        "error": step.error,
    })
}

fn step_line(step: &StepView) -> String {
    let at = last_change(step)
        .map(|at| at.format("%H:%M:%S%.3f").to_string())
        .unwrap_or_default();
    let sign = match step.status {
        StepStatus::Succeeded => "ok  ",
        StepStatus::Failed => "FAIL",
        StepStatus::Waiting => "wait",
        StepStatus::Running => "run ",
        StepStatus::Pending | StepStatus::Skipped => "    ",
    };
    let took = duration_ms(step).map(output::duration).unwrap_or_default();
    format!(
        "{at}  {sign}  {:<20} {:<18} {took:>8}  {}",
        step.node,
        step.kind,
        detail(step)
    )
    .trim_end()
    .to_owned()
}

/// What a line tells beyond name and time: the way taken, what came out, what went wrong, or until when it waits.
fn detail(step: &StepView) -> String {
    let tries = if step.attempts > 1 {
        format!("try {}: ", step.attempts)
    } else {
        String::new()
    };
    let what = match (step.status, &step.error) {
        (StepStatus::Failed, Some(error)) => error_text(error),
        (StepStatus::Waiting, Some(error)) => format!("is tried again: {}", error_text(error)),
        (StepStatus::Waiting, None) => match step.wait_until {
            Some(until) => format!("until {}", until.format("%Y-%m-%d %H:%M:%S UTC")),
            None => String::new(),
        },
        (StepStatus::Succeeded, _) => {
            let port = step
                .port
                .as_deref()
                .filter(|port| *port != "out")
                .map(|port| format!("-> {port} "));
            format!(
                "{}{}",
                port.unwrap_or_default(),
                step.output.as_ref().map(short).unwrap_or_default()
            )
        }
        _ => String::new(),
    };
    format!("{tries}{what}")
}

fn error_text(error: &Value) -> String {
    let message = error["message"]
        .as_str()
        .map_or_else(|| short(error), str::to_owned);
    match error["code"].as_str() {
        Some(code) => output::plain(&format!("{message} ({code})")),
        None => output::plain(&message),
    }
}

/// The beginning of a value as JSON, on one line.
fn short(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let text = output::plain(&value.to_string());
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stand_after_those_before_them() {
        let order = order_of(&json!({ "nodes": {
            "z": { "kind": "trigger.manual@1" },
            "a": { "after": ["z", "m.true"] },
            "m": { "after": "z" },
            "lost": { "after": "nobody" },
        }}));
        assert_eq!((order["z"], order["m"], order["a"]), (0, 1, 2));
        assert!(!order.contains_key("lost"));
    }

    #[test]
    fn values_are_cut_at_whole_characters() {
        let long = Value::from("ä".repeat(200));
        assert_eq!(short(&long).chars().count(), MAX_SHOWN + 1);
        assert_eq!(short(&json!({"a": 1})), "{\"a\":1}");
        assert_eq!(error_text(&json!({"code": "c", "message": "m"})), "m (c)");
    }
}
