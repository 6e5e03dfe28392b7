//! What a file may say, what is told of one that may not, and what runs when.

mod cycles;
mod file;
mod plan;
mod problems;
mod random;

use super::{CompiledGraph, compile};
use crate::nodes::Catalog;
use serde_json::{Value, json};

/// A file with these nodes.
fn file(nodes: Value) -> Value {
    json!({ "name": "test", "nodes": nodes })
}

fn graph(nodes: Value) -> CompiledGraph {
    compile(&file(nodes), &Catalog).unwrap()
}

/// The places and codes of a file's problems, sorted.
fn faults(file: &Value) -> Vec<(String, &'static str)> {
    let problems = compile(file, &Catalog).err().unwrap_or_default();
    let mut faults: Vec<_> = problems
        .into_iter()
        .map(|problem| (problem.pointer, problem.code))
        .collect();
    faults.sort();
    faults
}

fn node_faults(nodes: Value) -> Vec<(String, &'static str)> {
    faults(&file(nodes))
}

/// The only problem's message.
fn message(nodes: Value) -> String {
    let problems = compile(&file(nodes), &Catalog).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].message.clone()
}

fn at(pointer: &str, code: &'static str) -> (String, &'static str) {
    (pointer.to_owned(), code)
}
