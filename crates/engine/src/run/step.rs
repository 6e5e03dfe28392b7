//! One step, looked at closely: what it was given, and each of its tries.

use crate::engine::Engine;
use crate::graph::StepKey;
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
        let latest = rows.iter().rev().find(|row| row.key.node == index);
        let latest = latest.map(|row| {
            row.key
                .parent()
                .unwrap_or_else(|| row.key.clone())
                .path
                .to_string()
        });
        let path = match path.is_empty() {
            true => latest.unwrap_or_default(),
            false => path.to_owned(),
        };
        let is_own = |row: &Row| row.key.node == index && row.key.path.to_string() == path;
        let tries = tries(rows.iter().filter(|row| is_own(row)));
        // A child tells of its step, too; what is not of this round does not.
        let is_part = |row: &Row| {
            row.key.node != index
                || is_own(row)
                || row.key.parent().is_some_and(|p| p.path.to_string() == path)
        };
        let shown = views::steps(&state, rows.iter().filter(|row| is_part(row)).cloned().collect());
        let mut step = shown
            .into_iter()
            .find(|step| step.node == node && step.path == path)
            .ok_or_else(|| Error::not_found("step"))?;
        views::show(tx, std::slice::from_mut(&mut step)).await?;
        let (input, input_error) = match given(tx, &state, index, &step, &rows).await? {
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
async fn given(
    tx: &Tx,
    state: &RunState,
    node: usize,
    step: &StepView,
    rows: &[Row],
) -> Result<Option<Result<Value>>> {
    if let Some(call) = &step.call {
        return Ok(call.get("input").cloned().map(Ok));
    }
    let Some(began) = step.started_at else {
        return Ok(None);
    };
    let key = StepKey {
        node,
        path: step.path.clone().into(),
    };
    if key.child_name().is_some() {
        return Ok(None);
    }
    if state.head.graph.node(node).kind.name.starts_with("trigger.") {
        return Ok(Some(Ok((*state.head.input).clone())));
    }
    if key.path.is_root() {
        return Ok(Some(nodes::config(state, &key, began)));
    }
    // In a cycle outputs change: they are as they were when the step began.
    let mut then = RunState::new((*state.head).clone());
    let before = rows
        .iter()
        .take_while(|row| row.key != key && row.key.parent().as_ref() != Some(&key));
    for row in before {
        if then.looks_at_outputs(row) {
            then.bring(tx).await?;
        }
        then.fold(row);
    }
    then.bring(tx).await?;
    then.started_at = state.started_at;
    Ok(Some(nodes::config(&then, &key, began)))
}

fn tries<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<TryView> {
    let mut tries: Vec<TryView> = Vec::new();
    for row in rows {
        // It says that there will be a try, and is none.
        if matches!(row.what, What::Resumed) {
            continue;
        }
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
            What::Started | What::Resumed => {}
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
