//! The types: a workflow as it is written, and as the engine holds it.

use super::config;
use super::kinds::NodeClass;
use super::limits::{GraphLimits, LimitsFile};
use super::loops::{Loop, Loops};
use crate::expr::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::CompiledSchema;

/// Seconds of work that a run may take if the file does not say.
pub(super) const DEFAULT_EXECUTION_TIMEOUT_S: u64 = 3_600;

/// A workflow as people write it. Its JSON Schema is for editors and models; [`super::compile`] says more, and all at
/// once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphFile {
    /// A short name: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z0-9-]{1,64}$"))]
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub description: Option<String>,
    /// Seconds of work a run may take; waiting does not count. 3600 if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 604_800))]
    pub execution_timeout: Option<u64>,
    /// How failed steps are tried again, unless their node says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryFile>,
    /// How many runs go on at once, and how often one begins; as many and as often as they come unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsFile>,
    /// A JSON Schema (2020-12) for the input of a run. `$ref` may only name `#/$defs/…` and not lead back to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The nodes by their ids.
    pub nodes: BTreeMap<String, NodeFile>,
}

/// A node as people write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// The node kind, such as `http@1`; without a version the latest.
    pub kind: String,
    /// The kind's configuration. Strings may hold `{{ … }}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// The nodes it comes after: `node`, which is `node.out`, or `node.port`.
    #[serde(default, skip_serializing_if = "After::is_empty")]
    pub after: After,
    /// When it runs if it comes after several.
    #[serde(default, skip_serializing_if = "is_default")]
    pub join: Join,
    /// How it is tried again; what is not given here is the workflow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryFile>,
    /// Seconds that one try may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_600))]
    pub timeout: Option<u64>,
    /// What happens when it has failed for good.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_error: OnError,
    /// What happens when a crash leaves it open whether an outside call took effect.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unknown_outcome: UnknownOutcome,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One predecessor or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum After {
    /// `after: hook`
    One(String),
    /// `after: [save, decide.other]`
    Many(Vec<String>),
}

impl Default for After {
    fn default() -> Self {
        After::Many(Vec::new())
    }
}

impl After {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        matches!(self, After::Many(list) if list.is_empty())
    }

    /// Each entry with its place below `after` (empty, or `/0`, `/1`, …).
    pub(super) fn entries(&self) -> Vec<(String, &str)> {
        match self {
            After::One(entry) => vec![(String::new(), entry)],
            After::Many(list) => list
                .iter()
                .enumerate()
                .map(|(index, entry)| (format!("/{index}"), entry.as_str()))
                .collect(),
        }
    }
}

/// When a node with several incoming edges runs. An edge is alive when its source left by the edge's port, and dead when
/// the source left by another or was skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Once every edge is alive or dead, if at least one is alive: the branches of a switch may meet again. Skipped if
    /// none is alive.
    #[default]
    All,
    /// At the first alive edge; later ones change nothing. Skipped when all are dead.
    Any,
    /// At so many alive edges; skipped as soon as they cannot be reached any more.
    #[serde(untagged)]
    Count(u32),
}

/// What a step that failed for good does to its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on at the node's port `error`, with `{error: {code, message, …}, input}`.
    Branch,
    /// The run goes on at `out`; the output is null.
    Continue,
}

/// What is done about an outside call of which a crash left the outcome unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownOutcome {
    /// It is made again under the same idempotency key.
    #[default]
    Retry,
    /// A person is asked.
    Ask,
    /// The step has failed.
    Fail,
}

/// What comes after the last try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterRetries {
    /// The run fails.
    #[default]
    Fail,
    /// The run is paused.
    Pause,
}

/// A retry policy as people write it: what is not given comes from the workflow, or from [`RetryPolicy::default`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryFile {
    /// Tries in all; 1 means none is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub max_attempts: Option<u32>,
    /// Milliseconds before the second try.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400_000))]
    pub initial_delay_ms: Option<u64>,
    /// By what each delay is longer than the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 10.0))]
    pub factor: Option<f64>,
    /// No delay is longer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 86_400_000))]
    pub max_delay_ms: Option<u64>,
    /// How much a delay may differ, as a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: Option<f64>,
    /// What comes after the last try. The engine follows the workflow's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<AfterRetries>,
}

/// How failed steps are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    /// Tries in all, from 1.
    pub max_attempts: u32,
    /// Milliseconds before the second try.
    pub initial_delay_ms: u64,
    /// By what each delay is longer than the one before; from 1.
    pub factor: f64,
    /// No delay is longer, in milliseconds.
    pub max_delay_ms: u64,
    /// How much a delay may differ, as a part of it; 0 to 1.
    pub jitter: f64,
    /// What comes after the last try.
    pub then: AfterRetries,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_attempts: 1,
            initial_delay_ms: 1_000,
            factor: 2.0,
            max_delay_ms: 60_000,
            jitter: 0.2,
            then: AfterRetries::Fail,
        }
    }
}

impl RetryFile {
    /// The policy, with what is not given taken from `base`.
    pub fn over(&self, base: &RetryPolicy) -> RetryPolicy {
        RetryPolicy {
            max_attempts: self.max_attempts.unwrap_or(base.max_attempts),
            initial_delay_ms: self.initial_delay_ms.unwrap_or(base.initial_delay_ms),
            factor: self.factor.unwrap_or(base.factor),
            max_delay_ms: self.max_delay_ms.unwrap_or(base.max_delay_ms),
            jitter: self.jitter.unwrap_or(base.jitter),
            then: self.then.unwrap_or(base.then),
        }
    }
}

/// A node kind in one version; written `name@version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KindRef {
    /// Such as `http`.
    pub name: String,
    /// From 1.
    pub version: u32,
}

impl fmt::Display for KindRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// A node of a compiled graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its id: `[a-z][a-z0-9_]{0,47}`.
    pub id: String,
    /// Its kind, pinned.
    pub kind: KindRef,
    /// How its steps are run.
    pub class: NodeClass,
    /// The configuration as it stands in the file. A trigger's holds no expressions.
    pub with: Value,
    /// When it runs if it comes after several.
    pub join: Join,
    /// Its own retry policy; the workflow's if none.
    pub retry: Option<RetryPolicy>,
    /// Seconds that one try may take.
    pub timeout_s: Option<u64>,
    /// What happens when it has failed for good.
    pub on_error: OnError,
    /// What happens when a crash leaves an outside call's outcome open.
    pub unknown_outcome: UnknownOutcome,
    /// All ports its steps can leave by.
    pub ports: Vec<String>,
    pub(super) template: Template,
    pub(super) per_item: Option<(&'static str, Template)>,
}

/// An edge: after `from` left by `port` comes `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The source's number.
    pub from: usize,
    /// The port at the source.
    pub port: String,
    /// The target's number.
    pub to: usize,
}

/// A graph as the engine holds it: checked, numbered, its expressions parsed. It never changes; share it in an `Arc`.
#[derive(Debug)]
pub struct CompiledGraph {
    /// The workflow's short name.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Seconds of work a run may take.
    pub execution_timeout_s: u64,
    /// The retry policy of nodes without their own.
    pub retry: RetryPolicy,
    /// How many runs go on at once, and how often one begins.
    pub limits: Option<GraphLimits>,
    /// The JSON Schema of a run's input.
    pub input: Option<Value>,
    input_check: Option<CompiledSchema>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    by_id: HashMap<String, usize>,
    links: Vec<Links>,
    order: Vec<usize>,
    triggers: Vec<usize>,
    loops: Arc<Loops>,
}

/// The edges of one node, and its neighbours without repetition.
#[derive(Clone, Debug, Default)]
struct Links {
    outgoing: Vec<usize>,
    incoming: usize,
    successors: Vec<usize>,
    predecessors: Vec<usize>,
}

/// What a checked file consists of.
pub(super) struct Parts {
    pub file: GraphFile,
    pub retry: RetryPolicy,
    pub limits: Option<GraphLimits>,
    pub input_check: Option<CompiledSchema>,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    pub order: Vec<usize>,
    pub loops: Vec<Loop>,
}

impl CompiledGraph {
    /// Puts the parts together; the ends of all edges are nodes.
    pub(super) fn assemble(parts: Parts) -> Self {
        let Parts {
            file,
            retry,
            limits,
            input_check,
            nodes,
            edges,
            order,
            loops,
        } = parts;
        let loops = Arc::new(Loops::new(loops, nodes.len(), &edges));
        let mut links = vec![Links::default(); nodes.len()];
        for (index, edge) in edges.iter().enumerate() {
            let from = &mut links[edge.from];
            from.outgoing.push(index);
            if !from.successors.contains(&edge.to) {
                from.successors.push(edge.to);
            }
            let to = &mut links[edge.to];
            if loops.back(edge).is_none() {
                to.incoming += 1;
            }
            if !to.predecessors.contains(&edge.from) {
                to.predecessors.push(edge.from);
            }
        }
        let triggers = (0..nodes.len())
            .filter(|node| nodes[*node].class == NodeClass::Trigger)
            .collect();
        CompiledGraph {
            name: file.name,
            title: file.title,
            description: file.description,
            execution_timeout_s: file.execution_timeout.unwrap_or(DEFAULT_EXECUTION_TIMEOUT_S),
            retry,
            limits,
            input: file.input,
            input_check,
            by_id: nodes
                .iter()
                .enumerate()
                .map(|(index, node)| (node.id.clone(), index))
                .collect(),
            nodes,
            edges,
            links,
            order,
            triggers,
            loops,
        }
    }

    /// How many nodes it has; they are numbered from 0.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether it has no nodes; a compiled graph always has one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The number of the node with that id.
    pub fn index(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// A node by its number.
    ///
    /// # Panics
    /// When there is no such number: callers have it from this graph.
    pub fn node(&self, node: usize) -> &Node {
        &self.nodes[node]
    }

    /// All nodes, in the order of their numbers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All edges.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// A node's compiled configuration.
    ///
    /// # Panics
    /// As [`CompiledGraph::node`].
    pub fn template(&self, node: usize) -> &Template {
        &self.nodes[node].template
    }

    /// The member of a node's configuration that is evaluated for each item, if it has one.
    pub(crate) fn per_item(&self, node: usize) -> Option<(&'static str, &Template)> {
        let own = self.nodes.get(node)?.per_item.as_ref()?;
        Some((own.0, &own.1))
    }

    /// The nodes that come right after `node`, each once; none for a number that is no node's.
    pub fn successors(&self, node: usize) -> impl Iterator<Item = usize> {
        self.links
            .get(node)
            .into_iter()
            .flat_map(|links| links.successors.iter().copied())
    }

    /// The nodes that `node` comes right after, each once; none for a number that is no node's.
    pub fn predecessors(&self, node: usize) -> impl Iterator<Item = usize> {
        self.links
            .get(node)
            .into_iter()
            .flat_map(|links| links.predecessors.iter().copied())
    }

    /// The edges that leave `node`, with their numbers.
    pub fn outgoing(&self, node: usize) -> impl Iterator<Item = (usize, &Edge)> {
        let links = self.links.get(node).into_iter();
        links
            .flat_map(|links| links.outgoing.iter())
            .filter_map(move |edge| Some((*edge, self.edges.get(*edge)?)))
    }

    /// How many edges lead to `node`, without those that lead back to the entry of a cycle.
    pub fn incoming(&self, node: usize) -> usize {
        self.links.get(node).map_or(0, |links| links.incoming)
    }

    /// All nodes such that each comes after its predecessors, but for what leads back to the entry of a cycle.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The cycles.
    pub fn loops(&self) -> &Arc<Loops> {
        &self.loops
    }

    /// The nodes that can start a run.
    pub fn triggers(&self) -> &[usize] {
        &self.triggers
    }

    /// Whether `node` can start a run.
    pub fn is_trigger(&self, node: usize) -> bool {
        self.triggers.contains(&node)
    }

    /// Checks a run's input by the file's `input`.
    ///
    /// # Errors
    /// `invalid`, with a pointer into the input for each fault.
    pub fn check_input(&self, input: &Value) -> Result<()> {
        let Some(check) = &self.input_check else {
            return Ok(());
        };
        let fields = config::faults(check, input);
        if fields.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid_fields(fields))
        }
    }
}
