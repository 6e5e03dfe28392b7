//! What a workflow file can be made of: node kinds and the functions of expressions.

use crate::Flows;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::Error;
use synapscale_engine::expr;
use synapscale_engine::graph::{KindInfo, NodeClass, PortSpec};
use synapscale_ops::{Method, NoInput, Operation};
use synapscale_store::Tx;

pub(crate) fn all(flows: &Flows) -> Vec<Operation> {
    vec![nodes(flows.clone()), functions()]
}

/// A node kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NodeKind {
    /// What a file writes: name and version.
    pub kind: String,
    /// How its steps are run.
    pub class: NodeClass,
    /// JSON Schema of the node's `with`. Any string may hold expressions instead of what the schema says.
    pub config_schema: Value,
    /// The ports its steps leave by; null when the configuration names them.
    pub ports: Option<Vec<String>>,
}

impl From<KindInfo> for NodeKind {
    fn from(info: KindInfo) -> Self {
        NodeKind {
            kind: format!("{}@{}", info.name, info.version),
            class: info.class,
            config_schema: (*info.config_schema).clone(),
            ports: match info.ports {
                PortSpec::Fixed(ports) => Some(ports),
                PortSpec::FromConfig(_) => None,
            },
        }
    }
}

/// Every node kind.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct NodeKinds {
    /// The kinds, in the catalogue's order.
    pub items: Vec<NodeKind>,
}

fn nodes(flows: Flows) -> Operation {
    Operation::read("nodes.list", "List node kinds")
        .about("Lists the kinds of nodes that a workflow file can hold, with the schema of each one's configuration.")
        .permission("workflows:read")
        .rest(Method::GET, "/nodes")
        .handle(move |_: Tx, _: Arc<NoInput>| {
            let flows = flows.clone();
            async move {
                let items = flows.engine()?.kinds().into_iter().map(NodeKind::from).collect();
                Ok::<_, Error>(NodeKinds { items })
            }
        })
}

/// A function of expressions.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FunctionView {
    /// The name it is called by.
    pub name: String,
    /// The name with its parameters; those in brackets may be left out.
    pub signature: String,
    /// What it gives and when it fails.
    pub description: String,
    /// An expression that needs nothing but the clock.
    pub example: String,
    /// The example's value, as JSON.
    pub result: String,
}

/// Every function.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FunctionViews {
    /// The functions, in the order of the documentation.
    pub items: Vec<FunctionView>,
}

fn functions() -> Operation {
    Operation::read("expressions.functions", "List functions of expressions")
        .about(
            "Lists the functions that can stand between {{ and }} in a workflow file, each with an example.",
        )
        .permission("workflows:read")
        .rest(Method::GET, "/expressions/functions")
        .handle(|_: Tx, _: Arc<NoInput>| async move {
            let view = |doc: &expr::FunctionDoc| FunctionView {
                name: doc.name.to_owned(),
                signature: doc.signature.to_owned(),
                description: doc.description.to_owned(),
                example: doc.example.to_owned(),
                result: doc.result.to_owned(),
            };
            Ok::<_, Error>(FunctionViews {
                items: expr::functions().iter().map(view).collect(),
            })
        })
}
