//! Random graphs with joins, errors and cycles inside of cycles, settled in random order, against a plain model: a
//! recursive reading of the graph that knows neither queue nor tally.

use super::*;
use crate::graph::{Frontier, Join, OnError, Outcome, Settled, StepKey, Transition};
use std::collections::{BTreeMap, BTreeSet};

const GRAPHS: u64 = 3_000;

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

/// A graph of nodes `n0…`, each with the ports `a`, `b` and perhaps `error`; cycles are intervals of numbers.
fn nodes(dice: &mut Dice) -> Value {
    let count = 3 + dice.roll(14);
    let mut nodes = json!({ "start": { "kind": "trigger.manual" } });
    // The intervals that are open, as the numbers of their first and last nodes.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for node in 0..count {
        open.retain(|(_, last)| *last >= node);
        let from = open.last().map_or(0, |(first, _)| *first);
        let is_head = open.len() < 3 && node + 2 < count && dice.roll(4) == 0;
        let mut after: BTreeSet<String> = BTreeSet::new();
        for _ in 0..=dice.roll(3) {
            let (least, most) = (from, node);
            let ports = if dice.roll(3) == 0 { 3 } else { 2 };
            let port = ["a", "b", "error"][dice.roll(ports)];
            match least < most {
                true => after.insert(format!("n{}.{port}", least + dice.roll(most - least))),
                false => after.insert("start".to_owned()),
            };
        }
        if from == 0 && dice.roll(6) == 0 && open.is_empty() {
            after.insert("start".to_owned());
        }
        let join = match (is_head, dice.roll(4)) {
            (true, _) | (false, 0) => json!("any"),
            (false, 1) => json!(1 + dice.roll(after.len())),
            _ => json!("all"),
        };
        nodes[format!("n{node}")] = match is_head {
            true => json!({ "kind": "merge", "after": after, "join": join }),
            false => json!({
                "kind": "switch", "after": after, "join": join, "on_error": "branch",
                "with": { "cases": [{ "port": "a", "when": true }], "else": "b" },
            }),
        };
        if is_head {
            let last = open.last().map_or(count - 1, |(_, last)| *last);
            let last = node + 1 + dice.roll((last - node).max(1));
            open.push((node, last.min(count - 1)));
            nodes[format!("n{node}")]["last"] = json!(last.min(count - 1));
        }
    }
    // Entries have only the port `out`, and are led back to from their interval by `a`.
    for node in 0..count {
        let id = format!("n{node}");
        let Some(last) = nodes[&id].as_object_mut().unwrap().remove("last") else {
            continue;
        };
        let last = usize::try_from(last.as_u64().unwrap()).unwrap();
        for _ in 0..=dice.roll(2) {
            let back = node + 1 + dice.roll(last - node);
            if nodes[format!("n{back}")]["kind"] == "switch" {
                let after = nodes[&id]["after"].as_array_mut().unwrap();
                let edge = json!(format!("n{back}.a"));
                if !after.contains(&edge) {
                    after.push(edge);
                }
            }
        }
    }
    let entries: Vec<String> = (0..count)
        .map(|node| format!("n{node}"))
        .filter(|id| nodes[id]["kind"] == "merge")
        .collect();
    for node in 0..count {
        let after = nodes[format!("n{node}")]["after"].as_array_mut().unwrap();
        for edge in after.iter_mut() {
            let id = edge.as_str().unwrap().split('.').next().unwrap().to_owned();
            if entries.contains(&id) {
                *edge = json!(id);
            }
        }
        let mut known = BTreeSet::new();
        after.retain(|edge| known.insert(edge.to_string()));
        let most = after.len();
        let join = &mut nodes[format!("n{node}")]["join"];
        if join.as_u64().is_some_and(|wanted| wanted > most as u64) {
            *join = json!(most);
        }
    }
    // Where nothing leads on from a failure, some of these end the run.
    let words = nodes.to_string();
    for node in 0..count {
        if !words.contains(&format!("\"n{node}.error\"")) && dice.roll(2) == 0 {
            let node = nodes[format!("n{node}")].as_object_mut().unwrap();
            node.remove("on_error");
        }
    }
    nodes
}

/// The port a step leaves by; from the fourth round on never one that leads back.
fn port(graph: &CompiledGraph, seed: u64, node: usize, path: &str) -> &'static str {
    if graph.node(node).ports == ["out"] {
        return "out";
    }
    let mut hash = seed ^ 0x9e37_79b9_7f4a_7c15;
    for byte in path.bytes().chain([b'#', u8::try_from(node).unwrap()]) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let late = path
        .split('/')
        .any(|round| round.parse().is_ok_and(|round: u32| round > 3));
    match (hash >> 20) % 8 {
        _ if late => "b",
        0..=3 => "a",
        4..=6 => "b",
        _ if graph.node(node).on_error == OnError::Fail => "b",
        _ => "error",
    }
}

/// The plain reading.
struct Model<'g> {
    graph: &'g CompiledGraph,
    seed: u64,
    ran: BTreeSet<(usize, String)>,
}

impl Model<'_> {
    /// One round of a cycle, or the whole graph: the edges that were taken to places outside, and whether it goes on.
    fn scope(&mut self, level: Option<usize>, rounds: &[u32]) -> (BTreeSet<usize>, bool) {
        let graph = self.graph;
        let loops = graph.loops();
        let path: Vec<String> = rounds.iter().map(u32::to_string).collect();
        let path = path.join("/");
        let header = level.map(|level| loops.all()[level].header);
        let mut taken: BTreeSet<usize> = BTreeSet::new();
        for node in graph.order().iter().copied() {
            let inner = loops
                .headed_by(node)
                .filter(|inner| loops.all()[*inner].parent == level);
            let is_own = loops.of(node) == level;
            let runs = match () {
                () if Some(node) == header || graph.is_trigger(node) => is_own,
                () if is_own || inner.is_some() => self.runs(node, &taken),
                () => false,
            };
            if !runs {
                continue;
            }
            match inner.filter(|_| !is_own) {
                None => {
                    self.ran.insert((node, path.clone()));
                    let port = port(graph, self.seed, node, &path);
                    taken.extend(
                        graph
                            .outgoing(node)
                            .filter(|(_, edge)| edge.port == port)
                            .map(|(number, _)| number),
                    );
                }
                Some(inner) => {
                    for round in 1.. {
                        let (out, again) = self.scope(Some(inner), &[rounds, &[round]].concat());
                        taken.extend(out);
                        if !again {
                            break;
                        }
                    }
                }
            }
        }
        let edge = |number: &usize| &graph.edges()[*number];
        let again = taken
            .iter()
            .any(|number| level.is_some() && loops.back(edge(number)) == level);
        taken.retain(|number| level.is_some_and(|level| !loops.contains(level, edge(number).to)));
        (taken, again)
    }

    fn runs(&self, node: usize, taken: &BTreeSet<usize>) -> bool {
        let into = self
            .graph
            .edges()
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.to == node);
        let alive = into
            .filter(|(number, edge)| self.graph.loops().back(edge).is_none() && taken.contains(number))
            .count();
        match self.graph.node(node).join {
            Join::All | Join::Any => alive > 0,
            Join::Count(wanted) => alive >= usize::try_from(wanted).unwrap(),
        }
    }
}

/// Settles what is ready in random order; what ran, and how often. Steps whose failure ends the run fail now and then, and
/// are resumed after some of what was under way has come in.
fn play(
    graph: &CompiledGraph,
    seed: u64,
    dice: &mut Dice,
) -> (BTreeMap<(usize, String), usize>, Option<Outcome>) {
    let (mut frontier, first) = Frontier::new(graph, graph.index("start").unwrap());
    let ready = |moved: Vec<Transition>| {
        moved.into_iter().filter_map(|moved| match moved {
            Transition::Ready(key) => Some(key),
            Transition::Skip(_) => None,
        })
    };
    let mut open: Vec<StepKey> = ready(first).collect();
    let mut ran = BTreeMap::new();
    // What failed, and how many others come in before it is resumed.
    let mut failed: Option<(StepKey, usize)> = None;
    let mut tried = BTreeSet::new();
    while !open.is_empty() || failed.is_some() {
        if failed
            .as_ref()
            .is_some_and(|(_, wait)| *wait == 0 || open.is_empty())
            && let Some((key, _)) = failed.take()
        {
            frontier.retry(&key);
            open.push(key);
        }
        let key = open.swap_remove(dice.roll(open.len()));
        assert_eq!(frontier.is_finished(), failed.is_some());
        let may_fail = graph.node(key.node).on_error == OnError::Fail && failed.is_none();
        if may_fail && dice.roll(4) == 0 && tried.insert(key.clone()) {
            assert_eq!(frontier.settle(graph, key.clone(), Settled::Failed), []);
            failed = Some((key, dice.roll(3)));
            continue;
        }
        if let Some((_, wait)) = &mut failed {
            *wait -= 1;
        }
        let port = port(graph, seed, key.node, key.path.as_str());
        *ran.entry((key.node, key.path.to_string())).or_insert(0) += 1;
        let settled = match port {
            "error" => Settled::Failed,
            port => Settled::Done {
                port: port.to_owned(),
            },
        };
        open.extend(ready(frontier.settle(graph, key.clone(), settled.clone())));
        // A row that is taken in twice changes nothing.
        assert_eq!(frontier.settle(graph, key, settled), []);
    }
    (ran, frontier.outcome())
}

#[test]
fn random_graphs_run_as_the_plain_model_says() {
    let (mut cycles, mut deep, mut steps) = (0, 0, 0);
    for seed in 0..GRAPHS {
        let mut dice = Dice(seed);
        let file = nodes(&mut dice);
        let graph = compile(&super::file(file.clone()), &Catalog)
            .unwrap_or_else(|faults| panic!("{seed}: {faults:?} {file}"));
        cycles += graph.loops().all().len();
        deep += graph
            .loops()
            .all()
            .iter()
            .filter(|found| found.parent.is_some())
            .count();
        let mut model = Model {
            graph: &graph,
            seed,
            ran: BTreeSet::new(),
        };
        model.scope(None, &[]);
        for _ in 0..3 {
            let (ran, outcome) = play(&graph, seed, &mut dice);
            assert!(
                ran.values().all(|times| *times == 1),
                "{seed}: a step ran twice: {ran:?} {file}"
            );
            let ran: BTreeSet<_> = ran.into_keys().collect();
            assert_eq!(ran, model.ran, "{seed}: {file}");
            assert_eq!(outcome, Some(Outcome::Succeeded), "{seed}: {file}");
            steps += ran.len();
        }
    }
    assert!(
        cycles > 500 && deep > 50 && steps > 10_000,
        "{cycles} cycles, {deep} inside of others, {steps} steps"
    );
}
