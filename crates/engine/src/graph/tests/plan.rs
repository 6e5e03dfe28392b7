//! What runs when.

use super::*;
use crate::graph::{Frontier, IterationPath, MAX_NODES, NodeState, Outcome, Settled, StepKey, Transition};

/// A run of a graph, in the words of its ids: `+a` is ready, `-a` is skipped.
struct Play {
    graph: CompiledGraph,
    frontier: Frontier,
    first: Vec<String>,
}

impl Play {
    fn new(nodes: Value, trigger: &str) -> Self {
        let graph = graph(nodes);
        let (frontier, moved) = Frontier::new(&graph, graph.index(trigger).unwrap());
        let first = words(&graph, moved);
        Play {
            graph,
            frontier,
            first,
        }
    }

    fn key(&self, id: &str) -> StepKey {
        StepKey::root(self.graph.index(id).unwrap())
    }

    fn settle(&mut self, id: &str, settled: Settled) -> Vec<String> {
        let key = self.key(id);
        let moved = self.frontier.settle(&self.graph, key, settled);
        words(&self.graph, moved)
    }

    fn done(&mut self, id: &str, port: &str) -> Vec<String> {
        self.settle(
            id,
            Settled::Done {
                port: port.to_owned(),
            },
        )
    }

    fn out(&mut self, id: &str) -> Vec<String> {
        self.done(id, "out")
    }

    fn state(&self, id: &str) -> &NodeState {
        self.frontier.state(&self.key(id)).unwrap()
    }
}

fn words(graph: &CompiledGraph, moved: Vec<Transition>) -> Vec<String> {
    let word = |moved| match moved {
        Transition::Ready(key) => format!("+{}", graph.node(key.node).id),
        Transition::Skip(key) => format!("-{}", graph.node(key.node).id),
    };
    moved.into_iter().map(word).collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

fn set(after: Value) -> Value {
    json!({ "kind": "set", "after": after })
}

fn joined(after: Value, join: Value) -> Value {
    json!({ "kind": "merge", "after": after, "join": join })
}

fn start() -> Value {
    json!({ "kind": "trigger.manual" })
}

fn switch() -> Value {
    json!({ "kind": "switch", "after": "start", "with": { "cases": [{ "port": "a", "when": true }], "else": "b" } })
}

#[test]
fn a_diamond_meets_again() {
    let nodes = json!({ "start": start(), "a": set(json!("start")), "b": set(json!("start")), "end": set(json!(["a", "b"])) });
    let mut play = Play::new(nodes, "start");
    assert_eq!(play.first, ["+start"]);
    assert_eq!(play.out("start"), ["+a", "+b"]);
    assert_eq!(play.out("b"), none());
    assert!(!play.frontier.is_finished());
    assert_eq!(play.out("a"), ["+end"]);
    assert_eq!(play.frontier.outcome(), None);
    assert_eq!(play.out("end"), none());
    assert!(play.frontier.is_finished());
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn the_branches_of_a_switch_meet_again() {
    let nodes = json!({
        "start": start(), "pick": switch(), "x": set(json!("pick.a")), "y": set(json!("pick.b")),
        "z": set(json!("y")), "end": set(json!(["x", "z"])),
    });
    let mut play = Play::new(nodes, "start");
    assert_eq!(play.out("start"), ["+pick"]);
    assert_eq!(play.done("pick", "a"), ["+x", "-y", "-z"]);
    assert_eq!(play.out("x"), ["+end"]);
    assert_eq!(play.out("end"), none());
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
    assert!(play.frontier.is_skipped(&play.key("z")));
    assert!(!play.frontier.is_skipped(&play.key("x")));
}

#[test]
fn two_ports_of_one_node_may_lead_to_the_same() {
    let nodes = json!({ "start": start(), "pick": switch(), "end": set(json!(["pick.a", "pick.b"])) });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.done("pick", "b"), ["+end"]);
}

#[test]
fn a_port_that_nothing_follows_ends_its_branch() {
    let nodes = json!({ "start": start(), "pick": switch(), "x": set(json!("pick.a")) });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.done("pick", "b"), ["-x"]);
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn skips_spread_to_all_that_only_they_lead_to() {
    let nodes = json!({
        "start": start(), "pick": switch(), "x": set(json!("pick.a")), "x1": set(json!("x")), "x2": set(json!("x")),
        "x3": set(json!(["x1", "x2"])), "any": joined(json!(["x1", "x3"]), json!("any")), "y": set(json!("pick.b")),
    });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    let mut moved = play.done("pick", "b");
    moved.sort();
    assert_eq!(moved, ["+y", "-any", "-x", "-x1", "-x2", "-x3"]);
}

#[test]
fn a_failure_goes_on_at_its_branch() {
    let nodes = json!({
        "start": start(),
        "call": { "kind": "http", "after": "start", "with": { "url": "https://example.com" }, "on_error": "branch" },
        "well": set(json!("call")), "mend": set(json!("call.error")), "end": set(json!(["well", "mend"])),
    });
    let mut failing = Play::new(nodes.clone(), "start");
    failing.out("start");
    assert_eq!(
        failing.settle("call", Settled::Failed).sorted(),
        ["+mend", "-well"]
    );
    assert_eq!(failing.state("call"), &NodeState::Done { port: "error".into() });
    assert_eq!(failing.out("mend"), ["+end"]);
    let mut fine = Play::new(nodes, "start");
    fine.out("start");
    assert_eq!(fine.out("call").sorted(), ["+well", "-mend"]);
    assert_eq!(fine.out("well"), ["+end"]);
}

#[test]
fn a_failure_may_be_passed_over() {
    let nodes = json!({
        "start": start(), "next": set(json!("call")),
        "call": { "kind": "http", "after": "start", "with": { "url": "https://example.com" }, "on_error": "continue" },
    });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.settle("call", Settled::Failed), ["+next"]);
}

#[test]
fn a_failure_ends_the_run_and_can_be_mended() {
    let nodes = json!({ "start": start(), "a": set(json!("start")), "b": set(json!("start")), "end": set(json!(["a", "b"])) });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.settle("a", Settled::Failed), none());
    assert!(play.frontier.is_finished());
    let node = play.graph.index("a").unwrap();
    assert_eq!(play.frontier.outcome(), Some(Outcome::Failed { node }));
    // What was under way still counts, and the failed step may be done after all.
    assert_eq!(play.out("b"), none());
    assert_eq!(play.out("a"), ["+end"]);
    assert_eq!(play.frontier.outcome(), None);
    play.out("end");
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn any_runs_at_the_first_and_once() {
    let nodes = json!({
        "start": start(), "a": set(json!("start")), "b": set(json!("start")), "m": joined(json!(["a", "b"]), json!("any")),
    });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.out("b"), ["+m"]);
    assert_eq!(play.out("m"), none());
    assert!(!play.frontier.is_finished());
    assert_eq!(play.out("a"), none());
    assert!(play.frontier.is_finished());
}

#[test]
fn any_is_skipped_when_all_are_dead() {
    let nodes = json!({
        "start": start(), "p": switch(), "q": switch(), "m": joined(json!(["p.a", "q.a"]), json!("any")),
    });
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.done("p", "b"), none());
    assert_eq!(play.done("q", "b"), ["-m"]);
    assert!(play.frontier.is_finished());
}

#[test]
fn a_number_waits_for_as_many() {
    let nodes = json!({
        "start": start(), "p": switch(), "q": switch(), "r": switch(),
        "m": joined(json!(["p.a", "q.a", "r.a"]), json!(2)),
    });
    let mut play = Play::new(nodes.clone(), "start");
    play.out("start");
    assert_eq!(play.done("p", "a"), none());
    assert_eq!(play.done("q", "b"), none());
    assert_eq!(play.done("r", "a"), ["+m"]);
    // Skipped as soon as it cannot be reached: the third may take its time.
    let mut play = Play::new(nodes, "start");
    play.out("start");
    assert_eq!(play.done("p", "b"), none());
    assert_eq!(play.done("q", "b"), ["-m"]);
    assert_eq!(play.done("r", "a"), none());
    assert_eq!(play.frontier.outcome(), Some(Outcome::Succeeded));
}

#[test]
fn other_triggers_are_skipped() {
    let nodes = json!({
        "first": start(), "second": start(), "a": set(json!("first")), "b": set(json!("second")),
        "c": set(json!(["a", "b"])),
    });
    let mut play = Play::new(nodes, "second");
    assert_eq!(play.first, ["+second", "-first", "-a"]);
    assert_eq!(play.out("second"), ["+b"]);
    assert_eq!(play.out("b"), ["+c"]);
}

#[test]
fn the_same_end_counts_once() {
    let nodes = json!({ "start": start(), "a": set(json!("start")), "b": set(json!("a")) });
    let mut play = Play::new(nodes, "start");
    assert_eq!(play.out("start"), ["+a"]);
    assert_eq!(play.out("start"), none());
    assert_eq!(play.settle("start", Settled::Failed), none());
    assert_eq!(play.settle("a", Settled::Skipped), ["-b"]);
    assert!(play.frontier.is_finished());
}

#[test]
fn states_are_for_display() {
    let nodes = json!({ "start": start(), "a": set(json!("start")) });
    let mut play = Play::new(nodes, "start");
    let (start, a) = (play.key("start"), play.key("a"));
    play.frontier.begin(&a, 1);
    assert_eq!(play.state("a"), &NodeState::Pending);
    play.frontier.begin(&start, 2);
    assert_eq!(play.state("start"), &NodeState::Running { attempt: 2 });
    play.frontier.wait(&start);
    assert_eq!(play.state("start"), &NodeState::Waiting);
    assert_eq!(play.out("start"), ["+a"]);
    play.frontier.wait(&start);
    assert_eq!(play.state("start"), &NodeState::Done { port: "out".into() });
}

#[test]
fn steps_that_cannot_be_change_nothing() {
    let mut play = Play::new(json!({ "start": start() }), "start");
    let looped = StepKey {
        node: 0,
        path: IterationPath::from("1".to_owned()),
    };
    let done = || Settled::Done {
        port: "out".to_owned(),
    };
    assert_eq!(play.frontier.settle(&play.graph, looped.clone(), done()), []);
    assert_eq!(play.frontier.settle(&play.graph, StepKey::root(9), done()), []);
    assert_eq!(play.frontier.state(&looped), None);
    assert_eq!(looped.path.to_string(), "1");
}

/// As long as a graph may be, on a small stack.
#[test]
fn a_long_chain_needs_no_stack() {
    let run = || {
        let mut nodes = json!({ "start": start(), "pick": switch(), "n2": set(json!("pick.a")) });
        for index in 3..MAX_NODES {
            nodes[format!("n{index}")] = set(json!(format!("n{}", index - 1)));
        }
        let graph = graph(nodes);
        let (frontier, _) = Frontier::new(&graph, graph.index("start").unwrap());
        (graph, frontier)
    };
    let (graph, mut frontier) = run();
    let key = |id: &str| StepKey::root(graph.index(id).unwrap());
    let done = |port: &str| Settled::Done {
        port: port.to_owned(),
    };
    frontier.settle(&graph, key("start"), done("out"));
    let mut skipping = frontier.clone();
    let skip = || skipping.settle(&graph, key("pick"), done("b")).len();
    let small = std::thread::Builder::new().stack_size(128 * 1024);
    let skipped = std::thread::scope(|scope| small.spawn_scoped(scope, skip).unwrap().join().unwrap());
    assert_eq!(skipped, MAX_NODES - 2);
    assert_eq!(skipping.outcome(), Some(Outcome::Succeeded));
    let mut next = frontier.settle(&graph, key("pick"), done("a"));
    let mut steps = 0;
    while let Some(Transition::Ready(key)) = next.pop() {
        steps += 1;
        next = frontier.settle(&graph, key, done("out"));
    }
    assert_eq!(steps, MAX_NODES - 2);
    assert_eq!(frontier.outcome(), Some(Outcome::Succeeded));
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn sorted(mut self) -> Self {
        self.sort();
        self
    }
}
