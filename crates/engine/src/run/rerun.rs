//! Running a run again, whole or from one node on: what the nodes before it came to is taken over, row by row, and is not
//! done again.

use crate::engine::Engine;
use crate::graph::{CompiledGraph, Frontier, NodeState, Settled, StepKey, Transition};
use crate::run::held::MAX_HELD;
use crate::run::model::{NewRun, Started};
use crate::run::state::{Row, What};
use crate::run::{journal, load};
use crate::workflows::PinnedWorkflow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use synapscale_core::{Error, ErrorKind, Result};
use synapscale_store::Tx;
use uuid::Uuid;

/// How a run is run again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rerun<'a> {
    /// From this node on; whole if none.
    pub from: Option<&'a str>,
    /// On this version; its own if none.
    pub onto: Option<&'a PinnedWorkflow>,
    /// Whether it is only accepted in the caller's transaction, which accepts many.
    pub later: bool,
}

impl Engine {
    /// Starts a run like an earlier one that has ended, with its input and on its version, or `onto` another one of its
    /// workflow; as whom it ran, or as that version's publisher, on behalf of the caller. From a node on, what does not come
    /// behind that node is taken over as it was.
    ///
    /// # Errors
    /// `not_found`; `run_not_finished`; `invalid` for a node that the run does not have or never reached;
    /// `version_differs` when the other version has something before the node that the run does not tell of.
    pub async fn rerun(&self, tx: &Tx, run_id: Uuid, again: Rerun<'_>) -> Result<Started> {
        let Rerun { from, onto, .. } = again;
        let view = self.run(tx, run_id).await?;
        if !view.status.is_final() && view.status != crate::run::model::RunStatus::Paused {
            let words = "This run has not ended yet; cancel it first.";
            return Err(Error::conflict("run_not_finished", words));
        }
        let (state, rows) = load::with_rows(self, tx, run_id).await?;
        let other = match onto {
            Some(pinned) => Some(self.graph(tx, pinned.graph_id).await?),
            None => None,
        };
        let rows = match (from, &other) {
            (None, _) => Vec::new(),
            (Some(node), None) => before(&state.head.graph, node, rows)?,
            (Some(node), Some(other)) => {
                let rows = renumbered(&state.head.graph, other, node, rows);
                complete(other, node, before(other, node, rows)?)?
            }
        };
        let rows = fetched(tx, rows).await?;
        let caller = tx.ctx().principal().unwrap_or(tx.ctx().actor());
        let head = &state.head;
        let principal = onto.map_or(head.principal, |pinned| pinned.publisher);
        let new = NewRun {
            id: None,
            graph_id: onto.map_or(head.graph_id, |pinned| pinned.graph_id),
            // A run keeps the trigger it began with, of whatever version.
            trigger: head.graph.node(head.entry).id.clone(),
            input: (*head.input).clone(),
            workflow: onto
                .map(|pinned| pinned.workflow.clone())
                .or_else(|| head.workflow.clone()),
            principal,
            on_behalf_of: Some(caller).filter(|caller| *caller != principal),
            priority: head.priority,
            correlation: Some(head.correlation),
            private_to: head.private_to,
            parent: None,
            cause: None,
        };
        self.start_with(tx, new, rows, again.later).await
    }
}

/// The rows with their outputs, which the new run keeps for itself.
async fn fetched(tx: &Tx, mut rows: Vec<Row>) -> Result<Vec<Row>> {
    let weight = |row: &Row| match &row.what {
        What::Completed { output, .. } => journal::weight(output, row.away),
        _ => 0,
    };
    if rows.iter().map(weight).fold(0, usize::saturating_add) > MAX_HELD {
        return Err(Error::too_large("sum of a run's outputs", "64 MiB"));
    }
    for row in rows.iter_mut().filter(|row| row.away) {
        if let What::Completed { output, .. } = &mut row.what {
            *output = Arc::new(journal::fetch(tx, (**output).clone()).await?);
        }
        row.away = false;
    }
    Ok(rows)
}

/// The rows as another version of the graph numbers its nodes: those of nodes of the same id and kind. The node `from` may
/// have become another kind, since it is done again.
fn renumbered(graph: &CompiledGraph, other: &CompiledGraph, from: &str, rows: Vec<Row>) -> Vec<Row> {
    let renumber = |mut row: Row| {
        let node = graph.node(row.key.node);
        let index = other.index(&node.id)?;
        row.key.node = index;
        (other.node(index).kind == node.kind || node.id == from).then_some(row)
    };
    rows.into_iter().filter_map(renumber).collect()
}

/// The rows, if they lead to `node` in this graph: whatever else of it they leave open has to come behind that node.
fn complete(graph: &CompiledGraph, node: &str, rows: Vec<Row>) -> Result<Vec<Row>> {
    let differs = |words: String| Error::conflict("version_differs", words);
    let (Some(start), Some(entry)) = (graph.index(node), rows.first().map(|row| row.key.node)) else {
        return Ok(rows);
    };
    let (mut frontier, first) = Frontier::new(graph, entry);
    let mut open: HashSet<usize> = ready(first).collect();
    for row in &rows {
        let settled = match &row.what {
            What::Completed { port, .. } => Settled::Done { port: port.clone() },
            _ => Settled::Failed,
        };
        if frontier.state(&row.key) != Some(&NodeState::Ready) {
            let id = &graph.node(row.key.node).id;
            return Err(differs(format!(
                "In this version `{id}` would not have run as it did."
            )));
        }
        open.remove(&row.key.node);
        open.extend(ready(frontier.settle(graph, row.key.clone(), settled)));
    }
    let behind = behind(graph, start);
    if let Some(missing) = open.iter().find(|open| !behind.contains(open)) {
        let id = &graph.node(*missing).id;
        return Err(differs(format!(
            "This version has `{id}` before `{node}`, which the run does not tell of."
        )));
    }
    match open.contains(&start) || graph.loops().around(start).next().is_some() {
        true => Ok(rows),
        false => Err(differs(format!(
            "In this version the run would not have come to `{node}`."
        ))),
    }
}

fn ready(moved: Vec<Transition>) -> impl Iterator<Item = usize> {
    moved.into_iter().filter_map(|moved| match moved {
        Transition::Ready(key) => Some(key.node),
        Transition::Skip(_) => None,
    })
}

/// A node and all that come behind it.
fn behind(graph: &CompiledGraph, start: usize) -> HashSet<usize> {
    let mut behind = HashSet::from([start]);
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        next.extend(graph.successors(node).filter(|to| behind.insert(*to)));
    }
    behind
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
    let behind = behind(graph, start);
    // Only how a step ended counts; its tries and its children stay with the run that made them.
    let ended = |row: &Row| {
        let over = matches!(
            row.what,
            What::Completed { .. } | What::Failed { retry_at: None, .. }
        );
        over && row.key.child_name().is_none() && !behind.contains(&row.key.node)
    };
    // A step that failed, was resumed and ended once more ended as it did at last.
    let mut kept: Vec<Row> = Vec::new();
    let mut places: HashMap<StepKey, usize> = HashMap::new();
    for row in rows.into_iter().filter(ended) {
        match places.get(&row.key) {
            Some(place) => kept[*place] = row,
            None => {
                places.insert(row.key.clone(), kept.len());
                kept.push(row);
            }
        }
    }
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
