//! What the graph has to know of node kinds. The engine's catalogue provides it.

use super::PORT_OUT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The node kinds that a file may use.
pub trait KindCatalog {
    /// A kind in that version; the latest if none is asked for.
    fn kind(&self, name: &str, version: Option<u32>) -> Option<KindInfo>;

    /// The names of all kinds, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// A node kind.
#[derive(Clone, Debug)]
pub struct KindInfo {
    /// Such as `http`.
    pub name: String,
    /// From 1.
    pub version: u32,
    /// How its steps are run.
    pub class: NodeClass,
    /// The JSON Schema (2020-12) of a node's `with`. A string that holds `{{` passes wherever it stands: its value is
    /// not known before the step, which has to check what it gets. Conditions (`then`, `else`) on anything but missing
    /// and unknown fields should be left to the step as well.
    pub config_schema: Arc<Value>,
    /// The ports its steps leave by.
    pub ports: PortSpec,
    /// The member of `with`, if any, that is evaluated for each item of a list: its expressions see `item` and `index` as
    /// well.
    pub per_item: Option<&'static str>,
    /// Tells what is wrong with a `with` that has passed the schema.
    pub check: Option<fn(&Value) -> Vec<Fault>>,
}

/// What is wrong with a `with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer into it.
    pub pointer: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
}

/// How the steps of a kind are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeClass {
    /// Starts a run; has no `after`.
    Trigger,
    /// Computes from its scope and touches nothing.
    Pure,
    /// Calls an operation of the product.
    Operation,
    /// Reaches the outside: at least once.
    External,
    /// Waits for a time.
    Wait,
    /// Waits for a person.
    Approval,
    /// Answers the caller.
    Respond,
    /// Ends the run.
    End,
    /// Unfolds into calls and questions of its own.
    Composite,
}

/// The ports of a kind. `error` is not among them: a node has it when it says `on_error: branch`.
#[derive(Clone, Debug)]
pub enum PortSpec {
    /// Always these; none at all for an empty list.
    Fixed(Vec<String>),
    /// What the configuration says. The function gets `with` as it stands in the file, after the kind's schema has
    /// passed; a port that is an expression is refused.
    FromConfig(fn(&Value) -> Vec<String>),
}

impl Default for PortSpec {
    fn default() -> Self {
        PortSpec::Fixed(vec![PORT_OUT.to_owned()])
    }
}
