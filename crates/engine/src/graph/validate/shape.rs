//! The graph as a whole: where it starts, whether all of it can be reached, joins.

use super::Draft;
use crate::graph::loops::Loop;
use crate::graph::model::{Edge, Join};
use crate::graph::parse::{Problems, below};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

/// Tells what is wrong and gives an order in which every node comes after its predecessors, but for what leads back to the
/// entries of `loops`.
pub(super) fn check(drafts: &[Draft], edges: &[Edge], loops: &[Loop], problems: &mut Problems) -> Vec<usize> {
    starts(drafts, problems);
    joins(drafts, edges, problems);
    let leads_back = |edge: &Edge| {
        let mut cycles = loops.iter();
        cycles.any(|cycle| cycle.header == edge.to && cycle.body.contains(&edge.from))
    };
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(drafts.len(), edges.len());
    let indices: Vec<_> = drafts.iter().map(|_| graph.add_node(())).collect();
    for edge in edges.iter().filter(|edge| !leads_back(edge)) {
        graph.add_edge(indices[edge.from], indices[edge.to], ());
    }
    // Components come in reverse topological order; one of several nodes is a cycle that was refused.
    kosaraju_scc(&graph)
        .iter()
        .rev()
        .flatten()
        .map(|node| node.index())
        .collect()
}

/// Every node is below a trigger if the only nodes without predecessors are triggers, and every cycle has an entry.
fn starts(drafts: &[Draft], problems: &mut Problems) {
    // A node of an unknown kind may have been meant as a trigger.
    if !drafts
        .iter()
        .any(|draft| draft.is_trigger() || draft.kind.is_none())
    {
        let message = "A workflow needs a trigger, such as a node of the kind `trigger.manual`.";
        problems.add("/nodes", "no_trigger", message);
    }
    for draft in drafts {
        let is_known = draft.kind.as_ref().is_some_and(|_| !draft.is_trigger());
        if is_known && draft.file.after.is_empty() {
            let message = format!(
                "Nothing leads to `{}`: say in `after` what it comes after.",
                draft.id
            );
            problems.add(&draft.at, "unreachable", message);
        }
    }
}

fn joins(drafts: &[Draft], edges: &[Edge], problems: &mut Problems) {
    let mut incoming = vec![0_usize; drafts.len()];
    for edge in edges {
        incoming[edge.to] += 1;
    }
    for (draft, incoming) in drafts.iter().zip(incoming) {
        if let Join::Count(count) = draft.file.join
            && !draft.is_loose
            && usize::try_from(count).is_ok_and(|count| count > incoming)
        {
            let message = format!(
                "`join` asks for {count} edges, and {incoming} lead to `{}`.",
                draft.id
            );
            problems.add(below(&draft.at, "join"), "join_too_many", message);
        }
    }
}
