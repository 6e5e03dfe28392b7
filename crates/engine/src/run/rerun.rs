//! Running a run again, whole or from one node on: what the nodes before it came to is taken over, row by row, and is not
//! done again.

use crate::engine::Engine;
use crate::graph::CompiledGraph;
use crate::run::load;
use crate::run::model::{NewRun, Started};
use crate::run::state::{Row, What};
use std::collections::HashSet;
use synapscale_core::{Error, ErrorKind, Result};
use synapscale_store::Tx;
use uuid::Uuid;

impl Engine {
    /// Starts a run like an earlier one that has ended, with its input and on its version; as whom it ran, on behalf of
    /// the caller. From a node on, what does not come behind that node is taken over as it was.
    ///
    /// # Errors
    /// `not_found`; `run_not_finished`; `invalid` for a node that the run does not have or never reached.
    pub async fn rerun(&self, tx: &Tx, run_id: Uuid, from: Option<&str>) -> Result<Started> {
        let view = self.run(tx, run_id).await?;
        if !view.status.is_final() && view.status != crate::run::model::RunStatus::Paused {
            let words = "This run has not ended yet; cancel it first.";
            return Err(Error::conflict("run_not_finished", words));
        }
        let (state, rows) = load::with_rows(self, tx, run_id).await?;
        let rows = match from {
            Some(node) => before(&state.head.graph, node, rows)?,
            None => Vec::new(),
        };
        let caller = tx.ctx().principal().unwrap_or(tx.ctx().actor());
        let head = &state.head;
        let new = NewRun {
            id: None,
            graph_id: head.graph_id,
            trigger: head.graph.node(head.entry).id.clone(),
            input: (*head.input).clone(),
            workflow: head.workflow.clone(),
            principal: head.principal,
            on_behalf_of: Some(caller).filter(|caller| *caller != head.principal),
            priority: head.priority,
            correlation: Some(head.correlation),
            private_to: head.private_to,
            parent: None,
            cause: None,
        };
        self.start_with(tx, new, rows).await
    }
}

/// The rows of what does not come behind `node`, as of now.
fn before(graph: &CompiledGraph, node: &str, rows: Vec<Row>) -> Result<Vec<Row>> {
    let wrong = |words: String| Error::invalid("/from_node", "node", words);
    let start = graph
        .index(node)
        .ok_or_else(|| wrong(format!("The run has no node `{node}`.")))?;
    if graph.is_trigger(start) {
        return Ok(Vec::new());
    }
    if !rows.iter().any(|row| row.key.node == start) {
        return Err(wrong(format!("The run never reached `{node}`.")));
    }
    let mut behind = HashSet::from([start]);
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        next.extend(graph.successors(node).filter(|to| behind.insert(*to)));
    }
    // Only how a step ended counts; its tries and its children stay with the run that made them.
    let ended = |row: &Row| {
        let over = matches!(
            row.what,
            What::Completed { .. } | What::Failed { retry_at: None, .. }
        );
        over && row.key.child_name().is_none() && !behind.contains(&row.key.node)
    };
    let kept: Vec<Row> = rows.into_iter().filter(ended).collect();
    // A step that failed and ended the run does not stand before anything.
    let fatal = kept.iter().find_map(|row| match &row.what {
        What::Failed { error, .. } if graph.node(row.key.node).on_error == crate::graph::OnError::Fail => {
            Some(error.clone())
        }
        _ => None,
    });
    match fatal {
        None => Ok(kept),
        Some(error) => Err(Error::new(
            ErrorKind::Conflict,
            "failed_before",
            format!(
                "Another step failed and would end the new run as well: {}",
                error.message()
            ),
        )),
    }
}
