//! Cycles: which are refused, and what runs in which round.

use super::*;
use crate::graph::{Frontier, Outcome, Settled, StepKey, Transition};

fn merge(after: Value) -> Value {
    json!({ "kind": "merge", "after": after, "join": "any" })
}

fn choose(after: &str) -> Value {
    json!({ "kind": "if", "after": after, "with": { "when": true } })
}

fn set(after: Value) -> Value {
    json!({ "kind": "set", "after": after })
}

fn start() -> Value {
    json!({ "kind": "trigger.manual" })
}

/// `start` → `head` → `work` → `more`, back to `head` or on to `end`.
fn simple() -> Value {
    json!({
        "start": start(), "head": merge(json!(["start", "more.true"])), "work": set(json!("head")),
        "more": choose("work"), "end": set(json!("more.false")),
    })
}

struct Play {
    graph: CompiledGraph,
    frontier: Frontier,
}

impl Play {
    fn new(nodes: Value) -> Self {
        let graph = graph(nodes);
        let (frontier, _) = Frontier::new(&graph, graph.index("start").unwrap());
        Play { graph, frontier }
    }

    /// `id` or `id:path`; the words of what follows, paths and all.
    fn done(&mut self, step: &str, port: &str) -> Vec<String> {
        let (id, path) = step.split_once(':').unwrap_or((step, ""));
        let key = StepKey {
            node: self.graph.index(id).unwrap(),
            path: path.to_owned().into(),
        };
        let port = port.to_owned();
        let moved = self.frontier.settle(&self.graph, key, Settled::Done { port });
        let word = |moved| {
            let (sign, key) = match moved {
                Transition::Ready(key) => ('+', key),
                Transition::Skip(key) => ('-', key),
            };
            let id = &self.graph.node(key.node).id;
            match key.path.is_root() {
                true => format!("{sign}{id}"),
                false => format!("{sign}{id}:{}", key.path),
            }
        };
        moved.into_iter().map(word).collect()
    }
}

#[test]
fn a_back_edge_opens_the_next_round() {
    let mut play = Play::new(simple());
    assert_eq!(play.done("start", "out"), ["+head:1"]);
    for round in 1..=3 {
        assert_eq!(
            play.done(&format!("head:{round}"), "out"),
            [format!("+work:{round}")]
        );
        assert_eq!(
            play.done(&format!("work:{round}"), "out"),
            [format!("+more:{round}")]
        );
        let next = play.done(&format!("more:{round}"), if round < 3 { "true" } else { "false" });
        match round {
            3 => assert_eq!(next, ["+end"]),
            _ => assert_eq!(next, [format!("+head:{}", round + 1)]),
        }
    }
    // What an old round says changes nothing.
    assert_eq!(play.done("more:1", "true"), Vec::<String>::new());
    assert_eq!(play.done("end", "out"), Vec::<String>::new());
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn a_skip_does_not_cross_a_back_edge() {
    let nodes = json!({
        "start": start(), "pick": choose("start"),
        "head": merge(json!(["pick.true", "more.true"])), "work": set(json!("head")), "more": choose("work"),
        "end": set(json!("more.false")), "other": set(json!("pick.false")),
    });
    let mut play = Play::new(nodes);
    play.done("start", "out");
    let mut skipped = play.done("pick", "false");
    skipped.sort();
    assert_eq!(skipped, ["+other", "-end", "-head:1", "-more:1", "-work:1"]);
    play.done("other", "out");
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn branches_of_a_round_wait_for_one_another() {
    let nodes = json!({
        "start": start(), "head": merge(json!(["start", "a.true"])), "a": choose("head"), "b": set(json!("head")),
        "back": merge(json!(["a.true", "b"])), "end": set(json!("b")),
        "again": choose("back"), "tail": set(json!("again.true")),
    });
    // `b` is no part of the cycle: what leads out of it waits for the cycle's end, and runs once.
    let mut play = Play::new(nodes);
    play.done("start", "out");
    assert_eq!(play.done("head:1", "out"), ["+a:1"]);
    assert_eq!(play.done("a:1", "true"), ["+head:2"]);
    assert_eq!(play.done("head:2", "out"), ["+a:2"]);
    let mut next = play.done("a:2", "false");
    next.sort();
    assert_eq!(next, ["+b", "+back"], "`a.true` was taken in the first round");
}

#[test]
fn cycles_stand_inside_of_cycles() {
    let nodes = json!({
        "start": start(),
        "outer": merge(json!(["start", "again.true"])),
        "inner": merge(json!(["outer", "more.true"])),
        "more": choose("inner"),
        "again": choose("more.false"),
        "end": set(json!("again.false")),
    });
    let mut play = Play::new(nodes);
    play.done("start", "out");
    assert_eq!(play.done("outer:1", "out"), ["+inner:1/1"]);
    play.done("inner:1/1", "out");
    assert_eq!(play.done("more:1/1", "true"), ["+inner:1/2"]);
    play.done("inner:1/2", "out");
    assert_eq!(play.done("more:1/2", "false"), ["+again:1"]);
    assert_eq!(play.done("again:1", "true"), ["+outer:2"]);
    assert_eq!(play.done("outer:2", "out"), ["+inner:2/1"]);
    play.done("inner:2/1", "out");
    assert_eq!(play.done("more:2/1", "false"), ["+again:2"]);
    assert_eq!(play.done("again:2", "false"), ["+end"]);
}

#[test]
fn other_cycles_are_refused() {
    let fault = |nodes| node_faults(nodes);
    // Two entries.
    let mut nodes = simple();
    nodes["work"]["after"] = json!(["head", "start"]);
    assert_eq!(fault(nodes), [at("/nodes/head/after", "cycle")]);
    // An entry that waits for all, or is no merge.
    let mut nodes = simple();
    nodes["head"]["join"] = json!("all");
    assert_eq!(fault(nodes), [at("/nodes/head/after", "cycle")]);
    let mut nodes = simple();
    nodes["head"]["kind"] = json!("set");
    assert_eq!(fault(nodes), [at("/nodes/head/after", "cycle")]);
    // An entry whose failure would lead on.
    let mut nodes = simple();
    nodes["head"]["on_error"] = json!("continue");
    assert_eq!(fault(nodes), [at("/nodes/head/on_error", "loop_on_error")]);
    // Rounds.
    let mut nodes = simple();
    nodes["head"]["with"] = json!({ "max_iterations": 1001 });
    assert_eq!(fault(nodes), [at("/nodes/head/with/max_iterations", "range")]);
    let nodes = json!({ "start": start(), "m": { "kind": "merge", "after": "start", "with": { "max_iterations": 5 } } });
    assert_eq!(fault(nodes), [at("/nodes/m/with/max_iterations", "no_loop")]);
    let mut nodes = simple();
    nodes["head"]["with"] = json!({ "max_iterations": "{{ input.n }}" });
    assert_eq!(fault(nodes), [at("/nodes/head/with/max_iterations", "type")]);
}

#[test]
fn cycles_have_a_depth() {
    let nested = |depth: usize| {
        let mut nodes = json!({ "start": start() });
        let mut before = "start".to_owned();
        for level in 0..depth {
            nodes[format!("h{level}")] = merge(json!([before, format!("m{level}.true")]));
            before = format!("h{level}");
        }
        for level in (0..depth).rev() {
            nodes[format!("m{level}")] = choose(&before);
            before = format!("m{level}.false");
        }
        nodes
    };
    let graph = graph(nested(4));
    assert_eq!(graph.loops().all().len(), 4);
    assert_eq!(graph.loops().all()[3].parent, Some(2));
    assert_eq!(node_faults(nested(5)), [at("/nodes/h4", "loop_too_deep")]);
}

#[test]
fn no_round_goes_on_past_a_step_that_failed() {
    let nodes = json!({
        "start": start(), "head": merge(json!(["start", "more.true"])), "a": set(json!("head")), "more": choose("head"),
        "join": merge(json!(["a", "more.false"])), "back": choose("join"), "end": set(json!("back.false")),
    });
    // `a` leads back by way of `join`, so it is of the cycle.
    let mut nodes = nodes;
    nodes["head"]["after"] = json!(["start", "more.true", "back.true"]);
    let mut play = Play::new(nodes);
    play.done("start", "out");
    let mut next = play.done("head:1", "out");
    next.sort();
    assert_eq!(next, ["+a:1", "+more:1"]);
    let failed = StepKey {
        node: play.graph.index("a").unwrap(),
        path: "1".to_owned().into(),
    };
    assert_eq!(
        play.frontier.settle(&play.graph, failed.clone(), Settled::Failed),
        []
    );
    // Everything else of the round is over now, and it was to go on: but not past `a`.
    assert_eq!(play.done("more:1", "true"), Vec::<String>::new());
    assert_eq!(
        play.frontier.outcome(),
        Some(Outcome::Failed { node: failed.node })
    );
    play.frontier.retry(&failed);
    assert_eq!(play.done("a:1", "out"), ["+join:1"]);
    assert_eq!(play.done("join:1", "out"), ["+back:1"]);
    assert_eq!(play.done("back:1", "false"), ["+head:2"]);
}
