//! Cycles: each has one entry, a merge of kind `any`, and so has each cycle inside of it.

use super::Draft;
use crate::graph::loops::{Loop, MAX_LOOP_DEPTH, MAX_ROUNDS};
use crate::graph::model::{Edge, Join, OnError};
use crate::graph::parse::{Problems, below};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;
use std::collections::{HashSet, VecDeque};

/// Most nodes of a cycle that are named.
const MAX_NAMED: usize = 20;

/// A part of the graph in which cycles are looked for: all of it, or a cycle without what leads back to its entry.
struct Region {
    nodes: Vec<usize>,
    edges: Vec<Edge>,
    /// The cycle that it is.
    parent: Option<usize>,
    /// How many cycles stand around it.
    depth: usize,
}

/// Finds the cycles, each after those around it, and tells what is wrong with them.
pub(super) fn find(drafts: &[Draft], edges: &[Edge], problems: &mut Problems) -> Vec<Loop> {
    let mut found: Vec<Loop> = Vec::new();
    let mut todo = VecDeque::from([Region {
        nodes: (0..drafts.len()).collect(),
        edges: edges.to_vec(),
        parent: None,
        depth: 0,
    }]);
    while let Some(region) = todo.pop_front() {
        let Region {
            nodes,
            edges: inside,
            parent,
            depth,
        } = region;
        for body in components(&nodes, &inside) {
            let at = Cycle {
                drafts,
                edges,
                body: &body,
            };
            let Some(header) = at.entry(problems) else {
                continue;
            };
            if depth >= MAX_LOOP_DEPTH {
                let message = format!(
                    "The cycle {} stands inside of {MAX_LOOP_DEPTH} others, which is as deep as cycles go.",
                    at.named(header)
                );
                problems.add(&drafts[header].at, "loop_too_deep", message);
                continue;
            }
            let Some(max_rounds) = at.rounds(header, problems) else {
                continue;
            };
            let is_in: HashSet<usize> = body.iter().copied().collect();
            // Without the edges that lead back to its entry, what is left of cycles in it stands inside of it.
            let rest = inside
                .iter()
                .filter(|edge| is_in.contains(&edge.from) && is_in.contains(&edge.to) && edge.to != header);
            todo.push_back(Region {
                nodes: body.clone(),
                edges: rest.cloned().collect(),
                parent: Some(found.len()),
                depth: depth + 1,
            });
            found.push(Loop {
                header,
                body,
                parent,
                max_rounds,
                exits: Vec::new(),
            });
        }
    }
    for (index, draft) in drafts.iter().enumerate() {
        let is_entry = found.iter().any(|cycle| cycle.header == index);
        if !is_entry && draft.with.get("max_iterations").is_some() && is_merge(draft) && problems.is_empty() {
            let message = format!(
                "`{}` is no entry of a cycle: there are no rounds to count.",
                draft.id
            );
            problems.add(format!("{}/with/max_iterations", draft.at), "no_loop", message);
        }
    }
    found
}

/// The strongly connected components of more than one node, in a fixed order.
fn components(nodes: &[usize], edges: &[Edge]) -> Vec<Vec<usize>> {
    let mut graph: DiGraph<usize, ()> = DiGraph::with_capacity(nodes.len(), edges.len());
    let places: std::collections::HashMap<usize, _> =
        nodes.iter().map(|node| (*node, graph.add_node(*node))).collect();
    for edge in edges {
        if let (Some(from), Some(to)) = (places.get(&edge.from), places.get(&edge.to)) {
            graph.add_edge(*from, *to, ());
        }
    }
    let mut found: Vec<Vec<usize>> = kosaraju_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| {
            let mut body: Vec<usize> = component.into_iter().map(|place| graph[place]).collect();
            body.sort_unstable();
            body
        })
        .collect();
    found.sort_unstable();
    found
}

fn is_merge(draft: &Draft) -> bool {
    draft.kind.as_ref().is_some_and(|kind| kind.name == "merge")
}

struct Cycle<'d> {
    drafts: &'d [Draft],
    edges: &'d [Edge],
    body: &'d [usize],
}

impl Cycle<'_> {
    /// Its only entry; none if it is no cycle that can be run, which is told.
    fn entry(&self, problems: &mut Problems) -> Option<usize> {
        let is_in = |node: usize| self.body.binary_search(&node).is_ok();
        let mut entries: Vec<usize> = self
            .edges
            .iter()
            .filter(|edge| is_in(edge.to) && !is_in(edge.from))
            .map(|edge| edge.to)
            .collect();
        entries.sort_unstable();
        entries.dedup();
        let first = entries.first().or(self.body.first()).copied()?;
        let draft = self.drafts.get(first)?;
        let at = below(&draft.at, "after");
        let cycle = self.named(first);
        let rule = "A cycle has one entry, a `merge` with `join: any`.";
        match entries.as_slice() {
            [] => problems.add(
                at,
                "cycle",
                format!("These nodes wait for each other: {cycle}. Nothing leads into the cycle. {rule}"),
            ),
            [_] if draft.kind.is_none() => {} // told
            [_] if !is_merge(draft) || draft.file.join != Join::Any => {
                let message = format!(
                    "These nodes wait for each other: {cycle}. {rule} This one is entered at `{}`.",
                    draft.id
                );
                problems.add(at, "cycle", message);
            }
            [_] if draft.file.on_error != OnError::Fail => {
                let message =
                    "The entry of a cycle fails when there were too many rounds, and the run with it.";
                problems.add(below(&draft.at, "on_error"), "loop_on_error", message);
            }
            [entry] => return Some(*entry),
            _ => {
                let names: Vec<String> = entries
                    .iter()
                    .take(MAX_NAMED)
                    .map(|node| self.name(*node))
                    .collect();
                let message = format!(
                    "These nodes wait for each other: {cycle}. {rule} This one is entered at {}.",
                    names.join(" and ")
                );
                problems.add(at, "cycle", message);
            }
        }
        None
    }

    /// Most rounds, by the entry's configuration.
    fn rounds(&self, header: usize, problems: &mut Problems) -> Option<u32> {
        let draft = self.drafts.get(header)?;
        let Some(wanted) = draft.with.get("max_iterations") else {
            return Some(MAX_ROUNDS);
        };
        let number = wanted.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            let message = "`max_iterations` is a number from 1 to 1,000, and no expression.";
            problems.add(format!("{}/with/max_iterations", draft.at), "type", message);
        }
        number.map(|number| number.clamp(1, MAX_ROUNDS))
    }

    fn name(&self, node: usize) -> String {
        let id = self
            .drafts
            .get(node)
            .map(|draft| draft.id.as_str())
            .unwrap_or_default();
        format!("`{id}`")
    }

    /// The nodes of one shortest cycle through `start`.
    fn named(&self, start: usize) -> String {
        let is_in = |node: usize| self.body.binary_search(&node).is_ok();
        let mut before: Vec<Option<usize>> = vec![None; self.drafts.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            if before[start].is_some() {
                break;
            }
            let next = self
                .edges
                .iter()
                .filter(|edge| edge.from == node && is_in(edge.to));
            for to in next.map(|edge| edge.to) {
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
            .map(|node| self.name(*node))
            .collect();
        let rest = match cycle.len() > MAX_NAMED {
            true => format!(" → … ({total} nodes)"),
            false => String::new(),
        };
        format!("{}{rest}", named.join(" → "))
    }
}
