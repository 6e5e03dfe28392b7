//! What runs next: pure scheduling over the states of a run's steps, without I/O, clock or randomness.
//!
//! A run is a fold: [`Frontier::new`] with its trigger, then one [`Frontier::settle`] for each step that came to an end,
//! in the order of the journal. The same order gives the same frontier, so a worker that takes a run over continues
//! where the last one stopped.
//!
//! An edge is *alive* once its source left by the edge's port, and *dead* once the source left by another port or was
//! skipped; before that it is *open*. [`Join`] says what a node with several incoming edges makes of them. `all` does not
//! mean that every edge is alive: of the branches of a switch only one is, and they may meet again in one node. It waits
//! until no edge is open, and runs if at least one is alive.
//!
//! Of a cycle one round is kept. An edge that leads back to its entry says only that another round is wanted; an edge that
//! leads out of it is decided when the cycle is over (ADR 0009).

use super::loops::{Loop, Loops};
use super::model::{CompiledGraph, Edge, Join, OnError};
use super::{PORT_ERROR, PORT_OUT};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

/// Which round of which cycles a step belongs to, the outermost first and counted from 1 (`2`, `2/1`), and behind that
/// which child of an unfolding step it is, whose name begins with a letter (`2/1/t1.c0`). Empty for a step outside of all
/// cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct IterationPath(String);

impl IterationPath {
    /// Whether it is outside of all loops.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// As it stands in the journal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for IterationPath {
    fn from(path: String) -> Self {
        IterationPath(path)
    }
}

impl fmt::Display for IterationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A step of a run: a node, in a round of the loops around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepKey {
    /// The node's number in its graph.
    pub node: usize,
    /// The round.
    pub path: IterationPath,
}

impl StepKey {
    /// The step of a node outside of all loops.
    pub fn root(node: usize) -> Self {
        StepKey {
            node,
            path: IterationPath::default(),
        }
    }

    /// The child `name` of this step.
    pub fn child(&self, name: &str) -> StepKey {
        let path = match self.path.is_root() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.path),
        };
        StepKey {
            node: self.node,
            path: IterationPath(path),
        }
    }

    /// The child's name, if it is one.
    pub fn child_name(&self) -> Option<&str> {
        let last = match self.path.0.rsplit_once('/') {
            Some((_, last)) => last,
            None => &self.path.0,
        };
        last.starts_with(|first: char| first.is_ascii_lowercase())
            .then_some(last)
    }

    /// The step whose child it is, if it is one.
    pub fn parent(&self) -> Option<StepKey> {
        let name = self.child_name()?;
        let path = self.path.0.strip_suffix(name).unwrap_or_default();
        Some(StepKey {
            node: self.node,
            path: IterationPath(path.trim_end_matches('/').to_owned()),
        })
    }
}

/// Where a step stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NodeState {
    /// Its incoming edges have not decided yet.
    #[default]
    Pending,
    /// It may start.
    Ready,
    /// It was started.
    Running {
        /// Which try, from 1.
        attempt: i64,
    },
    /// It waits for a time, a retry or a person.
    Waiting,
    /// It left by a port.
    Done {
        /// Which one; `error` for a failure that goes on at a branch.
        port: Arc<str>,
    },
    /// No edge led to it.
    Skipped,
    /// It failed for good, and the run with it.
    Failed,
}

impl NodeState {
    /// Whether nothing more is expected of it.
    pub fn is_settled(&self) -> bool {
        matches!(
            self,
            NodeState::Done { .. } | NodeState::Skipped | NodeState::Failed
        )
    }
}

impl NodeState {
    /// Whether what comes behind it may go on.
    fn is_over(&self) -> bool {
        matches!(self, NodeState::Done { .. } | NodeState::Skipped)
    }
}

/// How a step came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It left by this port.
    Done {
        /// One of the node's ports.
        port: String,
    },
    /// It failed for good. The node's `on_error` says what follows: [`OnError::Branch`] is the same as `Done` by
    /// `error`, [`OnError::Continue`] as `Done` by `out`, [`OnError::Fail`] ends the run.
    Failed,
    /// It is not to run.
    Skipped,
}

/// What follows from a step's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// This step may start. Told once for each step.
    Ready(StepKey),
    /// This step will not run.
    Skip(StepKey),
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every step is done or skipped.
    Succeeded,
    /// A step failed for good.
    Failed {
        /// The first such node by number.
        node: usize,
    },
}

/// The steps of one run. Cheap to clone: a burst that is tried again starts from a copy.
#[derive(Clone, Debug)]
pub struct Frontier {
    states: Vec<NodeState>,
    tallies: Vec<Tally>,
    /// Steps that are not settled.
    open: usize,
    failed: BTreeSet<usize>,
    loops: Arc<Loops>,
    /// Where each cycle stands.
    rounds: Vec<Rounds>,
    /// Edges out of cycles that are not over which were taken in some round.
    taken: BTreeSet<usize>,
}

/// Where a cycle stands.
#[derive(Clone, Debug)]
struct Rounds {
    /// The present round, from 1.
    round: u32,
    /// Nodes that are neither done nor skipped in it.
    open: usize,
    /// The nodes that led back to the entry in this round.
    again: Vec<usize>,
    /// Those that did so in the round before.
    fed_by: Vec<usize>,
    is_over: bool,
}

impl Rounds {
    fn first(nodes: usize) -> Self {
        Rounds {
            round: 1,
            open: nodes,
            again: Vec::new(),
            fed_by: Vec::new(),
            is_over: false,
        }
    }
}

/// The incoming edges of a node that have decided.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    alive: usize,
    dead: usize,
}

enum Verdict {
    Run,
    Skip,
    Open,
}

impl Frontier {
    /// A run that starts at `trigger`; the other triggers, and what only they lead to, are skipped.
    pub fn new(graph: &CompiledGraph, trigger: usize) -> (Frontier, Vec<Transition>) {
        let mut frontier = Frontier {
            states: vec![NodeState::Pending; graph.len()],
            tallies: vec![Tally::default(); graph.len()],
            open: graph.len(),
            failed: BTreeSet::new(),
            loops: graph.loops().clone(),
            rounds: graph
                .loops()
                .all()
                .iter()
                .map(|found| Rounds::first(found.body.len()))
                .collect(),
            taken: BTreeSet::new(),
        };
        let mut moved = Vec::new();
        if let Some(state) = frontier.states.get_mut(trigger) {
            *state = NodeState::Ready;
            moved.push(Transition::Ready(StepKey::root(trigger)));
        }
        for other in graph.triggers().iter().copied().filter(|other| *other != trigger) {
            moved.push(Transition::Skip(StepKey::root(other)));
            frontier.end(other, NodeState::Skipped);
            frontier.follow(graph, other, None, &mut moved);
        }
        (frontier, moved)
    }

    /// Takes a step's end in and says what follows. A step that has settled already changes nothing, so a row may be
    /// taken in twice; the exception is a failed one, which may be tried again by hand and then be done. After a failure
    /// the frontier goes on with what is under way; its caller starts nothing new while [`Frontier::outcome`] is failed.
    pub fn settle(&mut self, graph: &CompiledGraph, key: StepKey, settled: Settled) -> Vec<Transition> {
        let mut moved = Vec::new();
        let Some(state) = self.state(&key) else {
            return moved;
        };
        if state.is_settled() && *state != NodeState::Failed {
            return moved;
        }
        let port: Option<Arc<str>> = match settled {
            Settled::Done { port } => Some(port.into()),
            Settled::Skipped => None,
            Settled::Failed => match graph.node(key.node).on_error {
                OnError::Branch => Some(PORT_ERROR.into()),
                OnError::Continue => Some(PORT_OUT.into()),
                OnError::Fail => {
                    self.end(key.node, NodeState::Failed);
                    return moved;
                }
            },
        };
        let state = match &port {
            Some(port) => NodeState::Done { port: port.clone() },
            None => NodeState::Skipped,
        };
        self.end(key.node, state);
        self.follow(graph, key.node, port, &mut moved);
        moved
    }

    /// Notes that a step has started its `attempt`th try. For display; nothing follows from it.
    pub fn begin(&mut self, key: &StepKey, attempt: i64) {
        self.note(key, NodeState::Running { attempt });
    }

    /// Notes that a step waits. For display; nothing follows from it.
    pub fn wait(&mut self, key: &StepKey) {
        self.note(key, NodeState::Waiting);
    }

    fn note(&mut self, key: &StepKey, now: NodeState) {
        if self.is_present(key)
            && let Some(state) = self.states.get_mut(key.node)
            && matches!(
                state,
                NodeState::Ready | NodeState::Running { .. } | NodeState::Waiting
            )
        {
            *state = now;
        }
    }

    /// Where a step stands; none for a step that the run cannot have, or of a round that is not the present one.
    pub fn state(&self, key: &StepKey) -> Option<&NodeState> {
        self.states.get(key.node).filter(|_| self.is_present(key))
    }

    /// The step of a node in the present round.
    pub fn key(&self, node: usize) -> StepKey {
        let mut rounds: Vec<String> = self
            .loops
            .around(node)
            .filter_map(|number| Some(self.rounds.get(number)?.round.to_string()))
            .collect();
        rounds.reverse();
        StepKey {
            node,
            path: IterationPath(rounds.join("/")),
        }
    }

    fn is_present(&self, key: &StepKey) -> bool {
        match self.loops.of(key.node) {
            None => key.path.is_root(),
            Some(_) => self.key(key.node).path == key.path,
        }
    }

    /// The present round of a cycle, from 1.
    pub fn round(&self, number: usize) -> u32 {
        self.rounds.get(number).map_or(1, |rounds| rounds.round)
    }

    /// Whether what `from` came to is for `to`, right behind it: in a cycle only what is of the present round is, and for
    /// its entry whatever opened the round.
    pub fn feeds(&self, from: usize, to: usize) -> bool {
        if let Some(number) = self.loops.headed_by(to) {
            let is_inside = self.loops.contains(number, from);
            return match self.rounds.get(number) {
                Some(rounds) if rounds.round > 1 => rounds.fed_by.contains(&from),
                _ => !is_inside,
            };
        }
        match self.loops.of(to) {
            Some(number) if self.loops.contains(number, from) => {
                matches!(self.states.get(from), Some(NodeState::Done { .. }))
            }
            _ => true,
        }
    }

    /// Whether a step will not run.
    pub fn is_skipped(&self, key: &StepKey) -> bool {
        self.state(key) == Some(&NodeState::Skipped)
    }

    /// Whether nothing more is to start: every step is settled, or one has failed.
    pub fn is_finished(&self) -> bool {
        self.open == 0 || !self.failed.is_empty()
    }

    /// The steps whose failure ended the run.
    pub fn failed(&self) -> impl Iterator<Item = StepKey> {
        self.failed.iter().map(|node| self.key(*node))
    }

    /// A failed step is to be tried again.
    pub fn retry(&mut self, key: &StepKey) {
        if self.state(key) != Some(&NodeState::Failed) {
            return;
        }
        self.failed.remove(&key.node);
        self.open += 1;
        if let Some(state) = self.states.get_mut(key.node) {
            *state = NodeState::Ready;
        }
    }

    /// What the run came to, once it is finished.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.failed.first() {
            Some(node) => Some(Outcome::Failed { node: *node }),
            None => (self.open == 0).then_some(Outcome::Succeeded),
        }
    }

    /// Puts a step into a settled state.
    fn end(&mut self, node: usize, now: NodeState) {
        let Some(state) = self.states.get_mut(node) else {
            return;
        };
        if !state.is_settled() {
            self.open -= 1;
        }
        // One that failed for good is not over for the rounds around it: nothing may go on past it, and it may be tried again.
        if !state.is_over() && now.is_over() {
            for number in self.loops.around(node) {
                if let Some(rounds) = self.rounds.get_mut(number) {
                    rounds.open -= 1;
                }
            }
        }
        if now == NodeState::Failed {
            self.failed.insert(node);
        } else {
            self.failed.remove(&node);
        }
        *state = now;
    }

    /// Decides the edges behind a settled step, those behind every step that is skipped for it, and what follows where a
    /// round is over. A queue and no recursion: a chain of skips is as long as the graph.
    fn follow(
        &mut self,
        graph: &CompiledGraph,
        node: usize,
        port: Option<Arc<str>>,
        moved: &mut Vec<Transition>,
    ) {
        let mut settled = VecDeque::from([(node, port)]);
        loop {
            while let Some((node, port)) = settled.pop_front() {
                for (number, edge) in graph.outgoing(node) {
                    let is_alive = port.as_deref() == Some(edge.port.as_str());
                    self.decide(graph, number, edge, is_alive, &mut settled, moved);
                }
            }
            if !self.end_round(graph, &mut settled, moved) {
                return;
            }
        }
    }

    /// Takes in that an edge is alive or dead.
    fn decide(
        &mut self,
        graph: &CompiledGraph,
        number: usize,
        edge: &Edge,
        is_alive: bool,
        settled: &mut VecDeque<(usize, Option<Arc<str>>)>,
        moved: &mut Vec<Transition>,
    ) {
        if let Some(back) = self.loops.back(edge) {
            if let Some(rounds) = self.rounds.get_mut(back).filter(|_| is_alive) {
                rounds.again.push(edge.from);
            }
        } else if self.loops.leaves(edge) {
            if is_alive {
                self.taken.insert(number);
            }
        } else {
            self.count(graph, edge.to, is_alive, settled, moved);
        }
    }

    /// Counts an edge that leads to `node`, which may run or be skipped for it.
    fn count(
        &mut self,
        graph: &CompiledGraph,
        node: usize,
        is_alive: bool,
        settled: &mut VecDeque<(usize, Option<Arc<str>>)>,
        moved: &mut Vec<Transition>,
    ) {
        let Some(tally) = self.tallies.get_mut(node) else {
            return;
        };
        match is_alive {
            true => tally.alive += 1,
            false => tally.dead += 1,
        }
        match self.judge(graph, node) {
            Verdict::Open => {}
            Verdict::Run => {
                self.states[node] = NodeState::Ready;
                moved.push(Transition::Ready(self.key(node)));
            }
            Verdict::Skip => {
                self.end(node, NodeState::Skipped);
                moved.push(Transition::Skip(self.key(node)));
                settled.push_back((node, None));
            }
        }
    }

    /// Where the innermost cycle whose round is over has another round, opens it; else decides what leads out of it. False
    /// if no round is over.
    fn end_round(
        &mut self,
        graph: &CompiledGraph,
        settled: &mut VecDeque<(usize, Option<Arc<str>>)>,
        moved: &mut Vec<Transition>,
    ) -> bool {
        let is_due = |rounds: &Rounds| rounds.open == 0 && !rounds.is_over;
        // Those inside of others come behind these.
        let Some(number) = self.rounds.iter().rposition(is_due) else {
            return false;
        };
        let loops = self.loops.clone();
        let Some((found, rounds)) = loops.all().get(number).zip(self.rounds.get_mut(number)) else {
            return false;
        };
        if rounds.again.is_empty() {
            rounds.is_over = true;
            for exit in &found.exits {
                let is_alive = self.taken.remove(exit);
                if let Some(edge) = graph.edges().get(*exit) {
                    self.count(graph, edge.to, is_alive, settled, moved);
                }
            }
            return true;
        }
        rounds.round += 1;
        rounds.fed_by = std::mem::take(&mut rounds.again);
        self.reopen(graph, &loops, number, found);
        self.states[found.header] = NodeState::Ready;
        moved.push(Transition::Ready(self.key(found.header)));
        true
    }

    /// Everything in a cycle begins anew.
    fn reopen(&mut self, graph: &CompiledGraph, loops: &Loops, number: usize, found: &Loop) {
        for node in &found.body {
            self.states[*node] = NodeState::Pending;
            self.tallies[*node] = Tally::default();
        }
        self.open += found.body.len();
        for around in loops.around(found.header) {
            self.rounds[around].open += found.body.len();
        }
        for (inside, other) in loops.all().iter().enumerate() {
            if inside != number && loops.contains(number, other.header) {
                self.rounds[inside] = Rounds::first(other.body.len());
            }
        }
        let is_inside = |exit: &usize| {
            let edge = graph.edges().get(*exit);
            edge.is_some_and(|edge| loops.contains(number, edge.from) && loops.contains(number, edge.to))
        };
        self.taken.retain(|exit| !is_inside(exit));
    }

    /// Whether a pending step can run now, or never.
    fn judge(&self, graph: &CompiledGraph, node: usize) -> Verdict {
        let (Some(NodeState::Pending), Some(tally)) = (self.states.get(node), self.tallies.get(node)) else {
            return Verdict::Open;
        };
        let open = graph.incoming(node).saturating_sub(tally.alive + tally.dead);
        let needed = match graph.node(node).join {
            Join::All if open > 0 => return Verdict::Open,
            Join::All | Join::Any => 1,
            Join::Count(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        if tally.alive >= needed {
            Verdict::Run
        } else if tally.alive.saturating_add(open) < needed {
            Verdict::Skip
        } else {
            Verdict::Open
        }
    }
}
