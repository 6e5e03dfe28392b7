//! The cycles of a graph. A cycle has one entry, a merge that runs at the first edge; what leads back to it from inside is
//! a back edge, and taking one opens the next round. A round is over when all its nodes are; what leads out of a cycle is
//! decided once the cycle is over. Cycles may stand inside one another.

use super::model::Edge;

/// Most rounds of a cycle, and the number unless its entry says otherwise.
pub const MAX_ROUNDS: u32 = 1_000;
/// Most cycles inside one another.
pub const MAX_LOOP_DEPTH: usize = 4;

/// A cycle.
#[derive(Clone, Debug)]
pub struct Loop {
    /// Its only entry.
    pub header: usize,
    /// Its nodes, with those of the cycles inside of it, in order.
    pub body: Vec<usize>,
    /// The number of the cycle right around it; always a smaller one than its own.
    pub parent: Option<usize>,
    /// Most rounds.
    pub max_rounds: u32,
    /// The numbers of the edges that lead out of it, and out of no cycle around it.
    pub(super) exits: Vec<usize>,
}

/// The cycles of a graph, each after those around it.
#[derive(Clone, Debug, Default)]
pub struct Loops {
    loops: Vec<Loop>,
    /// The innermost cycle of each node.
    of: Vec<Option<usize>>,
}

impl Loops {
    /// Puts together what was found of a graph with so many nodes.
    pub(super) fn new(mut loops: Vec<Loop>, nodes: usize, edges: &[Edge]) -> Self {
        let mut of = vec![None; nodes];
        for (number, found) in loops.iter().enumerate() {
            // Those inside come later, and have the last word.
            for node in &found.body {
                of[*node] = Some(number);
            }
        }
        let known = Loops {
            loops: Vec::new(),
            of,
        };
        let parents: Vec<Option<usize>> = loops.iter().map(|found| found.parent).collect();
        for (number, edge) in edges.iter().enumerate() {
            if let Some(left) = known.outermost_left(edge, &parents) {
                loops[left].exits.push(number);
            }
        }
        Loops { loops, of: known.of }
    }

    /// All of them.
    pub fn all(&self) -> &[Loop] {
        &self.loops
    }

    /// The innermost cycle that a node stands in.
    pub fn of(&self, node: usize) -> Option<usize> {
        self.of.get(node).copied().flatten()
    }

    /// The cycle whose entry a node is.
    pub fn headed_by(&self, node: usize) -> Option<usize> {
        self.of(node)
            .filter(|number| self.loops.get(*number).is_some_and(|found| found.header == node))
    }

    /// The cycles around a node, the innermost first.
    pub fn around(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.of(node), |number| self.loops.get(*number)?.parent)
    }

    /// Whether a node stands in a cycle.
    pub fn contains(&self, number: usize, node: usize) -> bool {
        self.around(node).any(|around| around == number)
    }

    /// The cycle that an edge leads back to the entry of.
    pub fn back(&self, edge: &Edge) -> Option<usize> {
        self.headed_by(edge.to)
            .filter(|number| self.contains(*number, edge.from))
    }

    /// Whether an edge leads out of a cycle.
    pub fn leaves(&self, edge: &Edge) -> bool {
        self.of(edge.from)
            .is_some_and(|number| !self.contains(number, edge.to))
    }

    fn outermost_left(&self, edge: &Edge, parents: &[Option<usize>]) -> Option<usize> {
        let around = |node: usize| {
            std::iter::successors(self.of(node), |number| parents.get(*number).copied().flatten())
        };
        around(edge.from)
            .take_while(|number| !around(edge.to).any(|other| other == *number))
            .last()
    }
}
