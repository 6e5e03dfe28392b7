//! The graph as a whole: where it starts, whether all of it can be reached, cycles, joins.

use super::Draft;
use crate::graph::model::{Edge, Join};
use crate::graph::parse::{Problems, below};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;
use std::collections::VecDeque;

/// Most nodes of a cycle that are named.
const MAX_NAMED: usize = 20;

/// Tells what is wrong and gives an order in which every node comes after its predecessors; of no use if there is a
/// cycle.
pub(super) fn check(drafts: &[Draft], edges: &[Edge], problems: &mut Problems) -> Vec<usize> {
    starts(drafts, problems);
    joins(drafts, edges, problems);
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(drafts.len(), edges.len());
    let indices: Vec<_> = drafts.iter().map(|_| graph.add_node(())).collect();
    for edge in edges {
        graph.add_edge(indices[edge.from], indices[edge.to], ());
    }
    let mut order = Vec::with_capacity(drafts.len());
    // Components come in reverse topological order. One of several nodes holds a cycle; edges from a node to itself have
    // been refused already.
    for component in kosaraju_scc(&graph).iter().rev() {
        let mut nodes: Vec<usize> = component.iter().map(|node| node.index()).collect();
        nodes.sort_unstable();
        if nodes.len() > 1 {
            // Here a cycle with one entry, a merge of kind `any`, will become a loop; every other stays refused.
            refuse_cycle(drafts, edges, &nodes, problems);
        }
        order.extend(nodes);
    }
    order
}

/// A graph without cycles has every node below a trigger if the only nodes without predecessors are triggers.
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

/// Names the nodes of one shortest cycle through the first node of a strongly connected component.
fn refuse_cycle(drafts: &[Draft], edges: &[Edge], nodes: &[usize], problems: &mut Problems) {
    let Some(start) = nodes.first().copied() else {
        return;
    };
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for edge in edges
        .iter()
        .filter(|edge| nodes.contains(&edge.from) && nodes.contains(&edge.to))
    {
        next[edge.from].push(edge.to);
    }
    let mut before: Vec<Option<usize>> = vec![None; drafts.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        if before[start].is_some() {
            break;
        }
        for to in next[node].iter().copied() {
            if before[to].is_none() {
                before[to] = Some(node);
                queue.push_back(to);
            }
        }
    }
    let mut cycle = vec![start];
    let mut node = before[start];
    while let Some(at) = node.filter(|at| *at != start) {
        cycle.push(at);
        node = before[at];
    }
    cycle.push(start);
    cycle.reverse();
    let total = cycle.len() - 1;
    let named: Vec<String> = cycle
        .iter()
        .take(MAX_NAMED)
        .map(|node| format!("`{}`", drafts[*node].id))
        .collect();
    let rest = if cycle.len() > MAX_NAMED {
        format!(" → … ({total} nodes)")
    } else {
        String::new()
    };
    let message = format!(
        "These nodes wait for each other: {}{rest}. Loops are not supported yet.",
        named.join(" → ")
    );
    problems.add(below(&drafts[start].at, "after"), "cycle", message);
}
