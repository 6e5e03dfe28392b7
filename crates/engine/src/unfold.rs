//! Nodes that unfold: while the step of such a node runs, it asks for calls and questions of its own. Each is journalled
//! like a step, under the node and a path of its own, so that none is made twice; independent ones run side by side.
//!
//! The node is a fold. [`Unfold::next`] sees what became of the children so far and says which there are to be now; it is
//! asked again after each of them, and by whoever takes the run over. Children that are there already are not made again,
//! so it names what it wants and never remembers.

use crate::graph::{KindInfo, RetryPolicy, UnknownOutcome};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Actor, Error, Result};
use uuid::Uuid;

/// A kind of node that unfolds. Implemented above the engine, registered with [`crate::Engine::new`].
pub trait Unfold: Send + Sync {
    /// The kind, with class [`crate::graph::NodeClass::Composite`].
    fn kind(&self) -> KindInfo;

    /// What the step is to do next. The same answer for the same input: it is asked again at every turn.
    ///
    /// # Errors
    /// Why the step has failed.
    fn next(&self, step: &Unfolding<'_>) -> Result<Wish>;

    /// Which of the children that failed are made again when a run is resumed that the step's failure had paused: the one
    /// that failed last, unless the kind knows better.
    fn again(&self, children: &Children) -> Vec<String> {
        let failed = children.failed();
        failed
            .max_by_key(|(_, at)| *at)
            .map(|(name, _)| name.to_owned())
            .into_iter()
            .collect()
    }
}

/// A step that unfolds, as it stands.
#[derive(Clone, Copy, Debug)]
pub struct Unfolding<'a> {
    /// The run.
    pub run_id: Uuid,
    /// The node's id.
    pub node: &'a str,
    /// The node's `with`, its expressions evaluated.
    pub config: &'a Value,
    /// What the run was given.
    pub input: &'a Value,
    /// What has come of its children.
    pub children: &'a Children,
    /// How long their outputs are together, in bytes of JSON.
    pub weight: usize,
    /// What the node's `with` says of each item.
    pub per_item: PerItem<'a>,
    /// How calls are tried again: the node's own policy, else the workflow's.
    pub retry: RetryPolicy,
    /// What the node wants done about a call of which nobody knows the outcome.
    pub unknown: UnknownOutcome,
    /// Seconds that one try of a call may take, if the node says.
    pub timeout_s: Option<u64>,
    /// When the first of them began; none before.
    pub began: Option<DateTime<Utc>>,
    /// The present time.
    pub now: DateTime<Utc>,
}

/// The member of a node's `with` that its kind has evaluated for each item of a list ([`KindInfo::per_item`]).
#[derive(Clone, Copy)]
pub struct PerItem<'a>(pub(crate) &'a (dyn Fn(&Value, usize) -> Result<Option<Value>> + Sync));

impl PerItem<'_> {
    /// Its value for an item, which expressions see as `item`, and its place as `index`; none if the node does not have it.
    ///
    /// # Errors
    /// `expression_failed`.
    pub fn eval(&self, item: &Value, index: usize) -> Result<Option<Value>> {
        (self.0)(item, index)
    }
}

impl fmt::Debug for PerItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PerItem")
    }
}

/// What an unfolding step wants.
#[derive(Clone, Debug)]
pub enum Wish {
    /// These children: those without an outcome are begun unless they are under way.
    Children(Vec<Child>),
    /// It is done, and this is its output.
    Done(Value),
}

/// A call or a question of an unfolding step.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its name within the step: lower-case letters, digits and dots, a letter first; the same whenever it is named.
    pub name: String,
    /// What it is.
    pub act: Act,
}

/// What a child does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Calls an operation.
    Call(ChildCall),
    /// Asks a person.
    Ask(ChildAsk),
    /// Starts a workflow as a run of its own and waits for its end.
    Run(ChildRun),
}

/// A workflow that is run.
#[derive(Clone, Debug)]
pub struct ChildRun {
    /// Its name.
    pub workflow: String,
    /// The version; the current one if none.
    pub version: Option<i64>,
    /// The trigger node; the only manual one if none.
    pub trigger: Option<String>,
    /// What the run is given.
    pub input: Value,
    /// How long the step waits for its end, in hours.
    pub hours: i64,
}

/// A call of an operation.
#[derive(Clone, Debug)]
pub struct ChildCall {
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// What the journal shows as the call, beside the operation's name.
    pub shown: Option<Value>,
    /// Who acts, when it is not whoever the run acts as: an agent, on that person's behalf and with no more permissions.
    pub actor: Option<Actor>,
    /// When it is tried again.
    pub retry: RetryPolicy,
    /// What to do when nobody knows what became of it.
    pub unknown: UnknownOutcome,
    /// Its longest time, in seconds.
    pub timeout_s: u64,
    /// Whether a file names the operation. Internal ones, and those that take or give secrets, are for kinds themselves.
    pub is_users: bool,
}

/// A question to a person. Its outcome has the port `approved`, `rejected` or, when the preview failed, `refused`.
#[derive(Clone, Debug)]
pub struct ChildAsk {
    /// The question.
    pub title: String,
    /// What would be done; the preview's output is added as `preview`.
    pub detail: Value,
    /// An operation that shows what would be done, and its input.
    pub preview: Option<(String, Value)>,
    /// Who acts in the preview.
    pub actor: Option<Actor>,
    /// How long an answer counts, in hours.
    pub hours: i64,
}

/// What has come of a step's children, by name.
#[derive(Clone, Debug, Default)]
pub struct Children(pub(crate) BTreeMap<String, Outcome>);

/// What became of a child.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The port it left by: `out` for a call.
    pub port: String,
    /// Its output, or why it failed for good.
    pub result: std::result::Result<Arc<Value>, Error>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Children {
    /// What became of a child; none while it is under way or was never begun.
    pub fn get(&self, name: &str) -> Option<&Outcome> {
        self.0.get(name)
    }

    /// The names of those that failed, and when.
    pub fn failed(&self) -> impl Iterator<Item = (&str, DateTime<Utc>)> {
        let failed = self.0.iter().filter(|(_, outcome)| outcome.result.is_err());
        failed.map(|(name, outcome)| (name.as_str(), outcome.at))
    }

    /// How many have an outcome.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none has an outcome.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Outcome)> for Children {
    fn from_iter<I: IntoIterator<Item = (String, Outcome)>>(outcomes: I) -> Self {
        Children(outcomes.into_iter().collect())
    }
}

/// Whether a text can be a child's name.
pub(crate) fn is_child_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.')
}
