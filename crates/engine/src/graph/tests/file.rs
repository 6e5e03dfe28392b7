//! Files that are right, and what they become.

use super::*;
use crate::graph::parse::{GRAPH_FIELDS, NODE_FIELDS, RETRY_FIELDS};
use crate::graph::{
    AfterRetries, GraphFile, Join, MAX_NODES, NodeClass, OnError, RetryPolicy, UnknownOutcome, pin,
};
use schemars::schema_for;
use std::collections::BTreeSet;

fn example() -> Value {
    json!({
        "name": "issue-triage",
        "title": "Triage an incoming issue",
        "execution_timeout": 600,
        "retry": { "max_attempts": 3, "initial_delay_ms": 500, "then": "pause" },
        "input": { "type": "object", "required": ["body"], "properties": { "body": { "type": "object" } } },
        "nodes": {
            "hook": { "kind": "trigger.webhook@1", "with": { "scheme": "github" } },
            "normalise": { "kind": "set", "after": "hook", "with": { "title": "{{ input.body.title }}" } },
            "decide": {
                "kind": "switch@1",
                "after": ["normalise"],
                "with": {
                    "cases": [{ "port": "create", "when": "{{ nodes.normalise.output.title != '' }}" }],
                    "else": "other",
                },
            },
            "save": {
                "kind": "operation@1",
                "after": "decide.create",
                "with": { "operation": "patches.apply", "input": { "title": "{{ nodes.normalise.output.title }}" } },
                "retry": { "max_attempts": 5 },
                "timeout": 30,
                "on_error": "branch",
                "unknown_outcome": "fail",
            },
            "done": {
                "kind": "respond@1",
                "after": ["save", "decide.other"],
                "join": "any",
                "with": { "status": 200, "body": "{{ nodes.save.output }}" },
            },
        },
    })
}

#[test]
fn a_file_becomes_a_graph() {
    let graph = compile(&example(), &Catalog).unwrap();
    assert_eq!(
        (graph.name.as_str(), graph.execution_timeout_s, graph.len()),
        ("issue-triage", 600, 5)
    );
    assert_eq!(graph.retry.then, AfterRetries::Pause);
    let save = graph.node(graph.index("save").unwrap());
    assert_eq!(save.kind.to_string(), "operation@1");
    assert_eq!((save.class, save.timeout_s), (NodeClass::Operation, Some(30)));
    assert_eq!(
        (save.on_error, save.unknown_outcome),
        (OnError::Branch, UnknownOutcome::Fail)
    );
    assert_eq!(save.ports, ["out", "error"]);
    let expected = RetryPolicy {
        max_attempts: 5,
        initial_delay_ms: 500,
        then: AfterRetries::Pause,
        ..Default::default()
    };
    assert_eq!(save.retry, Some(expected));
    let done = graph.index("done").unwrap();
    assert_eq!(graph.node(done).join, Join::Any);
    assert_eq!(graph.incoming(done), 2);
    assert_eq!(graph.successors(done).count(), 0);
    let before: BTreeSet<&str> = graph
        .predecessors(done)
        .map(|node| graph.node(node).id.as_str())
        .collect();
    assert_eq!(before, BTreeSet::from(["decide", "save"]));
    assert!(graph.is_trigger(graph.index("hook").unwrap()));
    assert!(!graph.is_trigger(done));
    assert!(graph.template(graph.index("hook").unwrap()).is_static());
}

#[test]
fn every_node_comes_after_its_predecessors() {
    let graph = compile(&example(), &Catalog).unwrap();
    let place = |node: usize| graph.order().iter().position(|other| *other == node).unwrap();
    assert_eq!(graph.order().len(), graph.len());
    for edge in graph.edges() {
        assert!(place(edge.from) < place(edge.to));
    }
}

#[test]
fn kinds_are_pinned() {
    let file = example();
    let pinned = pin(&file, &compile(&file, &Catalog).unwrap());
    assert_eq!(pinned["nodes"]["normalise"]["kind"], "set@1");
    assert_eq!(compile(&pinned, &Catalog).unwrap().len(), 5);
}

#[test]
fn the_input_is_checked() {
    let graph = compile(&example(), &Catalog).unwrap();
    graph.check_input(&json!({ "body": {} })).unwrap();
    let fault = |input: Value| {
        let error = graph.check_input(&input).unwrap_err();
        let field = error.fields()[0].clone();
        (field.pointer, field.code.into_owned())
    };
    assert_eq!(
        fault(json!({ "body": 1 })),
        ("/body".to_owned(), "type".to_owned())
    );
    assert_eq!(fault(json!({})), ("/body".to_owned(), "required".to_owned()));
    let open = super::graph(json!({ "start": { "kind": "trigger.manual" } }));
    open.check_input(&Value::Null).unwrap();
    assert_eq!(open.execution_timeout_s, 3_600);
    assert_eq!(open.retry, RetryPolicy::default());
}

#[test]
fn expressions_fit_any_type() {
    graph(json!({
        "start": { "kind": "trigger.manual" },
        "call": { "kind": "http", "after": "start", "with": {
            "url": "{{ input.url }}", "method": "{{ input.method }}", "timeout": "{{ input.timeout }}",
            "headers": "{{ input.headers }}", "success": ["{{ input.status }}"],
        } },
    }));
}

/// The schema for editors and the reader know the same fields.
#[test]
fn the_schema_and_the_reader_agree() {
    let schema = schema_for!(GraphFile).to_value();
    let fields = |schema: &Value| -> BTreeSet<String> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    };
    let known = |list: &[&str]| -> BTreeSet<String> { list.iter().map(|name| (*name).to_owned()).collect() };
    assert_eq!(fields(&schema), known(&GRAPH_FIELDS));
    assert_eq!(fields(&schema["$defs"]["NodeFile"]), known(&NODE_FIELDS));
    assert_eq!(fields(&schema["$defs"]["RetryFile"]), known(&RETRY_FIELDS));
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&example()));
}

#[test]
fn the_file_form_survives_a_round_trip() {
    let file: GraphFile = serde_json::from_value(example()).unwrap();
    let again = serde_json::to_value(&file).unwrap();
    assert_eq!(serde_json::from_value::<GraphFile>(again.clone()).unwrap(), file);
    assert_eq!(
        compile(&again, &Catalog).unwrap().edges(),
        compile(&example(), &Catalog).unwrap().edges()
    );
    let counted: Join = serde_json::from_value(json!(3)).unwrap();
    assert_eq!(
        (counted, serde_json::to_value(Join::Any).unwrap()),
        (Join::Count(3), json!("any"))
    );
}

#[test]
fn a_graph_may_be_as_large_as_the_limit() {
    let mut nodes = json!({ "n0": { "kind": "trigger.manual" } });
    for index in 1..MAX_NODES {
        let before = format!("n{}", index - 1);
        nodes[format!("n{index}")] =
            json!({ "kind": "set", "after": before, "with": { "a": "{{ nodes.n0.output }}" } });
    }
    assert_eq!(graph(nodes.clone()).len(), MAX_NODES);
    nodes["last"] = json!({ "kind": "set", "after": "n0" });
    assert_eq!(node_faults(nodes), [at("/nodes", "too_many_nodes")]);
}
