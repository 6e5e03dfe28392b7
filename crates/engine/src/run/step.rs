//! One step, looked at closely: what it was given, and each of its tries.

use crate::engine::Engine;
use crate::nodes;
use crate::run::load::with_rows;
use crate::run::model::{StepDetail, StepStatus, StepView, TryView};
use crate::run::state::{Row, RunState, What, error_value};
use crate::run::views;
use serde_json::Value;
use synapscale_core::{Error, Result};
use synapscale_store::Tx;
use uuid::Uuid;

impl Engine {
    /// A step with what it was given and its tries. `path` is the iteration or the child; empty for the node itself.
    ///
    /// # Errors
    /// `not_found`, for a step that the run does not have or a child that has not begun.
    pub async fn step(&self, tx: &Tx, run_id: Uuid, node: &str, path: &str) -> Result<StepDetail> {
        self.visible(tx, run_id).await?;
        let (state, rows) = with_rows(self, tx, run_id).await?;
        let index = state.head.graph.index(node);
        let index = index.ok_or_else(|| Error::not_found("step"))?;
        let own = |row: &&Row| row.key.node == index && row.key.path.to_string() == path;
        let tries = tries(rows.iter().filter(own));
        let step = views::steps(&state, rows)
            .into_iter()
            .find(|step| step.node == node && step.path == path)
            .ok_or_else(|| Error::not_found("step"))?;
        let (input, input_error) = match given(&state, index, &step) {
            Some(Ok(input)) => (Some(input), None),
            Some(Err(error)) => (None, Some(error_value(&error))),
            None => (None, None),
        };
        Ok(StepDetail {
            step,
            input,
            input_error,
            tries,
        })
    }
}

/// What a step was given. That of a node is not journalled, because it follows from what is: its expressions are evaluated
/// again, at the time at which it began.
fn given(state: &RunState, node: usize, step: &StepView) -> Option<Result<Value>> {
    if let Some(call) = &step.call {
        return call.get("input").cloned().map(Ok);
    }
    let began = step.started_at.filter(|_| step.path.is_empty())?;
    let key = crate::graph::StepKey::root(node);
    if state.head.graph.node(node).kind.name.starts_with("trigger.") {
        return Some(Ok((*state.head.input).clone()));
    }
    Some(nodes::config(state, &key, began))
}

fn tries<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<TryView> {
    let mut tries: Vec<TryView> = Vec::new();
    for row in rows {
        // A node's try that was finished within one burst has one row only.
        if tries.last().is_none_or(|last| last.attempt != row.attempt) {
            tries.push(TryView {
                attempt: row.attempt,
                status: StepStatus::Running,
                port: None,
                error: None,
                started_at: row.at,
                finished_at: None,
                retry_at: None,
            });
        }
        let Some(last) = tries.last_mut() else { continue };
        match &row.what {
            What::Started => {}
            What::Waiting { .. } | What::Called { .. } => last.status = StepStatus::Waiting,
            What::Completed { port, .. } => {
                last.status = StepStatus::Succeeded;
                last.port = Some(port.clone());
                last.finished_at = Some(row.at);
            }
            What::Failed { error, retry_at } => {
                last.status = StepStatus::Failed;
                last.error = Some(error_value(error));
                last.finished_at = Some(row.at);
                last.retry_at = *retry_at;
            }
        }
    }
    tries
}
