//! A run in memory: a fold over its journal. Live execution and replay go through the same [`RunState::fold`], so what a
//! worker resumes is what another one left.

use crate::graph::{CompiledGraph, Frontier, Settled, StepKey, Transition};
use crate::run::model::{Parent, Response, RunStatus, WorkflowRef};
use crate::unfold::{Child, Children, Outcome};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use synapscale_core::{Actor, Error, TenantId};
use uuid::Uuid;

/// What never changes while a run lives.
#[derive(Clone, Debug)]
pub(crate) struct RunHead {
    pub id: Uuid,
    pub tenant: TenantId,
    pub graph_id: Uuid,
    pub graph: Arc<CompiledGraph>,
    pub entry: usize,
    pub input: Arc<Value>,
    pub workflow: Option<WorkflowRef>,
    pub principal: Actor,
    pub on_behalf_of: Option<Actor>,
    pub priority: i64,
    pub correlation: Uuid,
    pub private_to: Option<Uuid>,
    pub parent: Option<Parent>,
    pub depth: i64,
    pub created_at: DateTime<Utc>,
}

/// One row of the journal.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub key: StepKey,
    pub attempt: i64,
    pub what: What,
    pub at: DateTime<Utc>,
    /// For a child of an unfolding step: the call, as people are shown it.
    pub call: Option<Arc<Value>>,
    /// Whether its output is only the name of the blob that holds it.
    pub away: bool,
}

/// What a row tells.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// An outside call is about to be made.
    Started,
    /// The step left by `port`.
    Completed { port: String, output: Arc<Value> },
    /// A try failed; with a time, it will be tried again.
    Failed {
        error: Error,
        retry_at: Option<DateTime<Utc>>,
    },
    /// The step waits.
    Waiting {
        until: DateTime<Utc>,
        approval: Option<Uuid>,
    },
    /// The step waits for a run that it started.
    Called { run: Uuid, until: DateTime<Utc> },
    /// Somebody resumed the run that this step's failure had paused: it is tried again, with all its tries.
    Resumed,
}

impl What {
    pub fn kind(&self) -> &'static str {
        match self {
            What::Started => "started",
            What::Completed { .. } => "completed",
            What::Failed { .. } => "failed",
            What::Waiting { .. } | What::Called { .. } => "waiting",
            What::Resumed => "resumed",
        }
    }
}

/// An open wait.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wait {
    pub key: StepKey,
    pub until: DateTime<Utc>,
    pub why: Why,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// Its time: then the step is tried again.
    Retry,
    /// Its time: then the step is done.
    Time,
    /// A person's answer, or its time.
    Approval(Uuid),
    /// The end of a run that the step started, or its time.
    Run(Uuid),
}

/// The moving part of a run. Cloned before each burst, because a transaction may run twice.
#[derive(Clone)]
pub(crate) struct RunState {
    pub head: Arc<RunHead>,
    pub frontier: Frontier,
    pub outputs: HashMap<usize, Arc<Value>>,
    pub attempts: HashMap<StepKey, i64>,
    pub ready: VecDeque<StepKey>,
    pub waits: Vec<Wait>,
    /// Outside calls that were journalled and have not come back.
    pub in_flight: HashSet<StepKey>,
    /// The node whose failure ended the run.
    pub failed_node: Option<usize>,
    /// When the first try of each outside call began: what `now()` is to all its tries, so that all send the same.
    pub begun: HashMap<StepKey, DateTime<Utc>>,
    /// What has come of the children of unfolding steps.
    pub children: HashMap<StepKey, Arc<Children>>,
    /// Calls of children under way, as their nodes wanted them; found again by asking the node.
    pub wanted: HashMap<StepKey, Arc<Child>>,
    /// What of outputs and children is only the name of a blob, a node's output under its first round.
    pub away: HashSet<StepKey>,
    /// How long each of them is as JSON, in bytes.
    pub weights: HashMap<StepKey, usize>,
    /// Tries that were made before the run was resumed: they do not count.
    pub forgiven: HashMap<StepKey, i64>,
    /// Journalled in this burst, not yet launched.
    pub launch: Vec<StepKey>,
    pub next_seq: i64,
    pub fresh: Vec<Row>,
    pub status: RunStatus,
    pub response: Option<Response>,
    pub output: Option<Value>,
    pub error: Option<Error>,
    pub work_ms: i64,
    pub started_at: Option<DateTime<Utc>>,
    pub signals_seen: i64,
}

impl RunState {
    /// A run that has only been accepted.
    pub fn new(head: RunHead) -> Self {
        let (frontier, first) = Frontier::new(&head.graph, head.entry);
        let mut state = RunState {
            head: Arc::new(head),
            frontier,
            outputs: HashMap::new(),
            attempts: HashMap::new(),
            ready: VecDeque::new(),
            waits: Vec::new(),
            in_flight: HashSet::new(),
            begun: HashMap::new(),
            children: HashMap::new(),
            wanted: HashMap::new(),
            away: HashSet::new(),
            weights: HashMap::new(),
            failed_node: None,
            forgiven: HashMap::new(),
            launch: Vec::new(),
            next_seq: 1,
            fresh: Vec::new(),
            status: RunStatus::Queued,
            response: None,
            output: None,
            error: None,
            work_ms: 0,
            started_at: None,
            signals_seen: 0,
        };
        state.follow(first);
        state
    }

    fn follow(&mut self, transitions: Vec<Transition>) {
        for transition in transitions {
            // A skipped step needs no row: replaying the graph skips it again.
            if let Transition::Ready(key) = transition {
                self.forget_rounds(&key);
                self.ready.push_back(key);
            }
        }
    }

    /// Where a round of a cycle begins, what was kept of the steps of the one before goes; outputs stay.
    fn forget_rounds(&mut self, key: &StepKey) {
        let graph = self.head.graph.clone();
        let Some(number) = graph.loops().headed_by(key.node) else {
            return;
        };
        let is_old = |other: &StepKey| graph.loops().contains(number, other.node);
        self.attempts.retain(|other, _| !is_old(other));
        self.forgiven.retain(|other, _| !is_old(other));
        self.begun.retain(|other, _| !is_old(other));
        self.children.retain(|other, _| !is_old(other));
        // What nodes put out stays until the next round's takes its place.
        let is_gone = |other: &StepKey| is_old(other) && other.child_name().is_some();
        self.away.retain(|other| !is_gone(other));
        self.weights.retain(|other, _| !is_gone(other));
    }

    /// Journals one thing and takes it in.
    pub fn record(&mut self, key: StepKey, attempt: i64, what: What, at: DateTime<Utc>) {
        self.record_call(key, attempt, what, at, None);
    }

    /// As [`RunState::record`], with what people are shown of a child's call.
    pub fn record_call(
        &mut self,
        key: StepKey,
        attempt: i64,
        what: What,
        at: DateTime<Utc>,
        call: Option<Arc<Value>>,
    ) {
        let row = Row {
            key,
            attempt,
            what,
            at,
            call,
            away: false,
        };
        self.fold(&row);
        self.fresh.push(row);
    }

    /// Takes a journalled thing in.
    pub fn fold(&mut self, row: &Row) {
        let key = row.key.clone();
        self.attempts.insert(key.clone(), row.attempt);
        self.ready.retain(|ready| *ready != key);
        self.waits.retain(|wait| wait.key != key);
        self.in_flight.remove(&key);
        if let Some(parent) = key.parent() {
            self.begun.entry(parent).or_insert(row.at);
        }
        match &row.what {
            What::Started => {
                self.begun.entry(key.clone()).or_insert(row.at);
                self.in_flight.insert(key);
            }
            What::Completed { port, output } if key.child_name().is_some() => {
                self.weigh(key.clone(), output, row.away);
                self.settle_child(key, port.clone(), Ok(output.clone()), row.at);
            }
            What::Failed {
                error,
                retry_at: None,
            } if key.child_name().is_some() => {
                self.settle_child(key, "error".to_owned(), Err(error.clone()), row.at);
            }
            What::Completed { port, output } => {
                self.leave_children(&key);
                self.weigh(StepKey::root(key.node), output, row.away);
                self.outputs.insert(key.node, output.clone());
                let moved = self
                    .frontier
                    .settle(&self.head.graph, key, Settled::Done { port: port.clone() });
                self.follow(moved);
            }
            What::Failed {
                retry_at: Some(until),
                ..
            } => {
                self.waits.push(Wait {
                    key,
                    until: *until,
                    why: Why::Retry,
                });
            }
            What::Failed {
                error,
                retry_at: None,
            } => {
                self.leave_children(&key);
                self.failed(key, error);
            }
            What::Waiting { until, approval } => {
                let why = approval.map_or(Why::Time, Why::Approval);
                self.waits.push(Wait {
                    key,
                    until: *until,
                    why,
                });
            }
            What::Resumed => self.resumed(key, row.attempt),
            What::Called { run, until } => self.waits.push(Wait {
                key,
                until: *until,
                why: Why::Run(*run),
            }),
        }
    }

    /// A child has come to its end: its step looks again at what it wants.
    fn settle_child(
        &mut self,
        key: StepKey,
        port: String,
        result: std::result::Result<Arc<Value>, Error>,
        at: DateTime<Utc>,
    ) {
        self.wanted.remove(&key);
        let Some((parent, name)) = key.parent().zip(key.child_name()) else {
            return;
        };
        let children = self.children.entry(parent.clone()).or_default();
        let outcome = Outcome { port, result, at };
        Arc::make_mut(children).0.insert(name.to_owned(), outcome);
        if !self.ready.contains(&parent) {
            self.ready.push_back(parent);
        }
    }

    /// A step that unfolds is over: whatever of its children is still open is nothing to the run any more.
    fn leave_children(&mut self, key: &StepKey) {
        if self.head.graph.node(key.node).class != crate::graph::NodeClass::Composite {
            return;
        }
        let is_child = |other: &StepKey| other.parent().as_ref() == Some(key);
        self.waits.retain(|wait| !is_child(&wait.key));
        self.ready.retain(|other| !is_child(other));
        self.launch.retain(|other| !is_child(other));
        self.in_flight.retain(|other| !is_child(other));
        self.wanted.retain(|other, _| !is_child(other));
    }

    /// When the first child of an unfolding step began.
    pub fn unfolded_at(&self, key: &StepKey) -> Option<DateTime<Utc>> {
        self.begun.get(key).copied()
    }

    /// Whether a child of this step is under way, waits, or is about to be tried.
    pub fn has_open_children(&self, key: &StepKey) -> bool {
        let is_child = |other: &StepKey| other.parent().as_ref() == Some(key);
        self.in_flight.iter().any(is_child)
            || self.waits.iter().any(|wait| is_child(&wait.key))
            || self.ready.iter().any(is_child)
    }

    /// Whether a wait for a person was meant by the graph: else it asks about a call of which nobody knows the outcome.
    pub fn asks_by_itself(&self, key: &StepKey) -> bool {
        match key.child_name() {
            // Only a call has begun before it waits.
            Some(_) => !self.begun.contains_key(key),
            None => self.head.graph.node(key.node).class == crate::graph::NodeClass::Approval,
        }
    }

    /// A step whose failure paused the run, or a child of one, is tried again.
    fn resumed(&mut self, key: StepKey, attempt: i64) {
        self.forgiven.insert(key.clone(), attempt);
        match key.parent().zip(key.child_name()) {
            Some((parent, name)) => {
                if let Some(children) = self.children.get_mut(&parent) {
                    Arc::make_mut(children).0.remove(name);
                }
            }
            None => {
                self.error = None;
                self.failed_node = None;
                self.frontier.retry(&key);
            }
        }
        self.ready.push_back(key);
    }

    /// The children of a step that were begun and have no outcome.
    pub fn unfinished(&self, key: &StepKey) -> Vec<StepKey> {
        let has_outcome = |child: &StepKey| {
            let known = child.child_name().zip(self.children.get(key));
            known.is_some_and(|(name, children)| children.get(name).is_some())
        };
        let begun = self
            .attempts
            .keys()
            .filter(|other| other.parent().as_ref() == Some(key));
        let mut open: Vec<StepKey> = begun.filter(|child| !has_outcome(child)).cloned().collect();
        // The map has no order.
        open.sort();
        open
    }

    /// The tries that count against a policy.
    pub fn counted(&self, key: &StepKey, attempt: i64) -> i64 {
        attempt - self.forgiven.get(key).copied().unwrap_or(0)
    }

    /// A step failed for good: its error branch goes on, or the run is over.
    fn failed(&mut self, key: StepKey, error: &Error) {
        use crate::graph::OnError;
        let graph = self.head.graph.clone();
        let root = StepKey::root(key.node);
        self.away.remove(&root);
        self.weights.remove(&root);
        let settled = match graph.node(key.node).on_error {
            OnError::Branch => {
                // The same whenever the journal is read again: outputs do not change.
                let input = match self.inputs_fit(key.node, crate::nodes::MOST_MERGED) {
                    true => self.inputs_of(key.node),
                    false => Value::Null,
                };
                let told = serde_json::json!({ "error": error_value(error), "input": input });
                self.outputs.insert(key.node, Arc::new(told));
                Settled::Done {
                    port: "error".to_owned(),
                }
            }
            OnError::Continue => {
                self.outputs.insert(key.node, Arc::new(Value::Null));
                Settled::Done {
                    port: "out".to_owned(),
                }
            }
            OnError::Fail => {
                if self.error.is_none() {
                    self.failed_node = Some(key.node);
                    self.error = Some(error.clone());
                }
                Settled::Failed
            }
        };
        let moved = self.frontier.settle(&graph, key, settled);
        self.follow(moved);
    }

    /// Whether the outputs of the nodes that lead to `node` are no longer than `limit` together.
    pub fn inputs_fit(&self, node: usize, limit: usize) -> bool {
        let outputs = self
            .head
            .graph
            .predecessors(node)
            .filter(|from| self.frontier.feeds(*from, node))
            .filter_map(|from| self.outputs.get(&from));
        let mut left = Some(limit);
        for output in outputs {
            left = left.and_then(|left| crate::run::journal::left_of(output, left));
        }
        left.is_some()
    }

    /// The outputs of the nodes that lead to `node`, by their ids.
    pub fn inputs_of(&self, node: usize) -> Value {
        let graph = &self.head.graph;
        let inputs: BTreeMap<String, Value> = graph
            .predecessors(node)
            .filter(|from| self.frontier.feeds(*from, node))
            .filter_map(|from| {
                let output = self.outputs.get(&from)?;
                Some((graph.node(from).id.clone(), (**output).clone()))
            })
            .collect();
        serde_json::to_value(inputs).unwrap_or_default()
    }

    /// The try that a ready step is about to make, counting from one.
    pub fn next_attempt(&self, key: &StepKey) -> i64 {
        self.attempts.get(key).copied().unwrap_or(0) + 1
    }

    /// The key under which every try of a step is the same to the outside.
    pub fn idempotency_key(&self, key: &StepKey) -> String {
        let node = &self.head.graph.node(key.node).id;
        format!("{}/{node}/{}", self.head.id, key.path)
    }

    /// Whether nothing is left to do or to wait for.
    pub fn is_over(&self) -> bool {
        self.error.is_some()
            || (self.ready.is_empty()
                && self.waits.is_empty()
                && self.in_flight.is_empty()
                && self.launch.is_empty())
    }

    /// Whether only time or people can move the run on.
    pub fn only_waits(&self) -> bool {
        self.ready.is_empty() && self.in_flight.is_empty() && self.launch.is_empty()
    }

    /// The earliest time at which a wait ends.
    pub fn wakes_at(&self) -> Option<DateTime<Utc>> {
        self.waits.iter().map(|wait| wait.until).min()
    }

    /// What the run came to: its answer, else what its last nodes put out.
    pub fn result(&self) -> Value {
        if let Some(response) = &self.response {
            return response.body.clone();
        }
        let graph = &self.head.graph;
        let mut ends: Vec<(String, Value)> = (0..graph.len())
            .filter(|node| graph.successors(*node).next().is_none())
            .filter_map(|node| Some((graph.node(node).id.clone(), (**self.outputs.get(&node)?).clone())))
            .collect();
        match ends.len() {
            0 => Value::Null,
            1 => ends.pop().map(|(_, value)| value).unwrap_or_default(),
            _ => Value::Object(ends.into_iter().collect()),
        }
    }

    /// The id of the node that `key` names.
    pub fn node_id(&self, key: &StepKey) -> &str {
        &self.head.graph.node(key.node).id
    }

    /// Takes in a row of the journal.
    pub fn replay(&mut self, row: &Row) {
        self.fold(row);
        self.next_seq += 1;
    }
}

/// An error as expressions and the API see it.
pub(crate) fn error_value(error: &Error) -> Value {
    crate::run::journal::without_nul(serde_json::to_value(error).unwrap_or_default())
}
