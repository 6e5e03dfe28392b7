//! The graph of a workflow: the file form, what is wrong with a file, the compiled form, and the order of its steps.
//!
//! - [`GraphFile`] is what people and models write (YAML or JSON; reading YAML happens elsewhere).
//! - [`compile`] turns a file into a [`CompiledGraph`], or tells every [`Problem`] at once with its place.
//! - [`Frontier`] says what runs next. It does no I/O: a run is a fold of its journal over it.
//!
//! Nodes are numbered in the order of their ids, because neither JSON objects here nor a database's JSON columns keep
//! another one; the same file has the same numbers wherever it has been stored.
//!
//! A graph may hold cycles ([`Loops`]); the rounds of a cycle stand in [`IterationPath`].

mod config;
mod kinds;
mod limits;
mod loops;
mod model;
mod parse;
mod plan;
mod schema_guard;
#[cfg(test)]
mod tests;
mod validate;

pub use kinds::{Fault, KindCatalog, KindInfo, NodeClass, PortSpec};
pub use limits::{
    ConcurrencyFile, GraphLimits, LimitScope, Limited, LimitsFile, RateFile, WhenEarly, WhenFull,
};
pub use loops::{Loop, Loops, MAX_LOOP_DEPTH, MAX_ROUNDS};
pub use model::{
    After, AfterRetries, CompiledGraph, Edge, GraphFile, Join, KindRef, Node, NodeFile, OnError, RetryFile,
    RetryPolicy, UnknownOutcome,
};
pub use parse::Problem;
pub use plan::{Frontier, IterationPath, NodeState, Outcome, Settled, StepKey, Transition};

use parse::Problems;
use serde_json::Value;

/// Most nodes of a graph.
pub const MAX_NODES: usize = 500;
/// Most edges of a graph.
pub const MAX_EDGES: usize = 2_000;
/// Longest file, in bytes of compact JSON.
pub const MAX_FILE_BYTES: usize = 512 * 1024;
/// Most levels of objects and arrays in a file.
pub const MAX_DEPTH: usize = 64;
/// Most problems that are told of one file.
pub const MAX_PROBLEMS: usize = 100;

/// Refuses a stranger's schema, at most [`MAX_DEPTH`] levels deep, that could keep a validator busy without an end:
/// references that are not local, lead back to themselves or multiply.
///
/// # Errors
/// Why, in words.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    schema_guard::check(schema).map_err(|refused| refused.message)
}

/// The port that a step leaves by unless its kind says otherwise.
pub const PORT_OUT: &str = "out";
/// The port of a failed step whose node says `on_error: branch`.
pub const PORT_ERROR: &str = "error";

/// Compiles a workflow file against the node kinds of `catalog`. Only the limits of size and depth, and a file that is
/// no object, end the search early.
///
/// # Errors
/// Every problem, in the order they were found, at most [`MAX_PROBLEMS`].
pub fn compile(file: &Value, catalog: &dyn KindCatalog) -> Result<CompiledGraph, Vec<Problem>> {
    let mut problems = Problems::default();
    let read = parse::read(file, &mut problems);
    let graph = read.and_then(|file| validate::check(file, catalog, &mut problems));
    match graph {
        Some(graph) if problems.is_empty() => Ok(graph),
        _ => Err(problems.into_vec()),
    }
}

/// The file with the version of every kind written out, as `graph` was compiled: what a published version keeps, so that
/// a later version of a kind does not change it.
pub fn pin(file: &Value, graph: &CompiledGraph) -> Value {
    let mut file = file.clone();
    for node in graph.nodes() {
        if let Some(kind) = file.pointer_mut(&format!("/nodes/{}/kind", node.id)) {
            *kind = Value::String(node.kind.to_string());
        }
    }
    file
}

/// Whether `schema`, which is at most [`MAX_DEPTH`] levels deep, is a JSON Schema that can be run on anybody's behalf: one
/// that compiles, refers to nothing outside and stays small with its references written out.
///
/// # Errors
/// The first fault, with its pointer into the schema.
pub fn check_json_schema(schema: &Value) -> Result<(), synapscale_core::FieldError> {
    let mut problems = Problems::default();
    config::input_check(schema, "", &mut problems);
    match problems.into_vec().into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(synapscale_core::FieldError {
            pointer: problem.pointer,
            code: problem.code.into(),
            message: problem.message,
        }),
    }
}
