//! Files that are wrong: each problem has its place and its code, and none hides another.

use super::*;
use crate::graph::{KindCatalog, KindInfo, MAX_PROBLEMS, NodeClass, PortSpec};
use std::sync::Arc;

fn start() -> Value {
    json!({ "kind": "trigger.manual" })
}

#[test]
fn everything_is_told_at_once() {
    let file = json!({
        "name": "Not a slug",
        "titel": "x",
        "execution_timeout": 0,
        "retry": { "max_attempts": "three", "factr": 2 },
        "nodes": {
            "start": start(),
            "Bad-Id": { "kind": "set", "after": "start" },
            "run": { "kind": "set", "after": "start" },
            "a": { "kind": "stt", "after": ["start", "nowhere"], "color": "red" },
            "b": { "kind": "http", "after": "start.left", "with": { "method": "FETCH" }, "timeout": -1 },
            "c": { "kind": "set", "after": "start", "with": { "x": "{{ nodes.b.output }} and {{ 1 + }}" } },
            "d": { "after": 5, "join": 0, "on_error": "explode" },
            "e": 7,
        },
    });
    assert_eq!(
        faults(&file),
        [
            at("/execution_timeout", "range"),
            at("/name", "bad_name"),
            at("/nodes/Bad-Id", "bad_id"),
            at("/nodes/a/after/1", "unknown_node"),
            at("/nodes/a/color", "unknown_field"),
            at("/nodes/a/kind", "unknown_kind"),
            at("/nodes/b/after", "unknown_port"),
            at("/nodes/b/timeout", "range"),
            at("/nodes/b/with/method", "one_of"),
            at("/nodes/b/with/url", "required"),
            at("/nodes/c/with/x", "expression"),
            at("/nodes/d/after", "type"),
            at("/nodes/d/join", "range"),
            at("/nodes/d/kind", "required"),
            at("/nodes/d/on_error", "one_of"),
            at("/nodes/e", "type"),
            at("/nodes/run", "reserved_id"),
            at("/retry/factr", "unknown_field"),
            at("/retry/max_attempts", "type"),
            at("/titel", "unknown_field"),
        ]
    );
}

#[test]
fn the_list_has_an_end() {
    let mut nodes = json!({ "start": start() });
    for index in 0..200 {
        nodes[format!("n{index}")] = json!({ "kind": "nothing" });
    }
    assert_eq!(node_faults(nodes).len(), MAX_PROBLEMS);
}

#[test]
fn what_is_no_file_is_refused() {
    assert_eq!(faults(&json!([])), [at("", "type")]);
    assert_eq!(
        faults(&json!({})),
        [at("/name", "required"), at("/nodes", "required")]
    );
    assert_eq!(faults(&file(json!([]))), [at("/nodes", "type")]);
    assert_eq!(faults(&file(json!({}))), [at("/nodes", "no_trigger")]);
    let mut deep = json!(1);
    for _ in 0..70 {
        deep = json!([deep]);
    }
    assert_eq!(faults(&file(deep)), [at("", "too_deep")]);
    let large = json!({ "start": start(), "a": { "kind": "set", "after": "start", "with": { "x": "y".repeat(600_000) } } });
    assert_eq!(node_faults(large), [at("", "too_large")]);
}

#[test]
fn kinds_and_names_are_suggested() {
    let unknown = |kind: &str| message(json!({ "start": start(), "a": { "kind": kind, "after": "start" } }));
    assert_eq!(
        unknown("swich"),
        "There is no node kind `swich`. Did you mean `switch`?"
    );
    assert_eq!(
        unknown("webhook"),
        "There is no node kind `webhook`. Did you mean `trigger.webhook`?"
    );
    assert_eq!(unknown("quantum"), "There is no node kind `quantum`.");
    assert_eq!(unknown("set@9"), "There is no `set@9`; the latest is `set@1`.");
    assert_eq!(
        node_faults(json!({ "start": { "kind": "trigger.manual@x" } })),
        [at("/nodes/start/kind", "bad_kind")]
    );
    let text = message(json!({ "start": start(), "a": { "kind": "set", "after": "strat" } }));
    assert_eq!(text, "There is no node `strat`. Did you mean `start`?");
}

#[test]
fn ports_are_known() {
    let after = |after: &str, decide: Value| {
        node_faults(json!({ "start": start(), "decide": decide, "b": { "kind": "set", "after": after } }))
    };
    let choice = json!({ "kind": "if", "after": "start", "with": { "when": "{{ input.x }}" } });
    assert_eq!(after("decide.true", choice.clone()), []);
    assert_eq!(
        after("decide", choice.clone()),
        [at("/nodes/b/after", "unknown_port")]
    );
    assert_eq!(
        after("decide.error", choice.clone()),
        [at("/nodes/b/after", "unknown_port")]
    );
    let mut branching = choice.clone();
    branching["on_error"] = json!("branch");
    assert_eq!(after("decide.error", branching), []);
    let mut continuing = choice;
    continuing["on_error"] = json!("continue");
    assert_eq!(
        after("decide.true", continuing),
        [at("/nodes/decide/on_error", "no_out_port")]
    );
    let switch = |port: &str| json!({ "kind": "switch", "after": "start", "with": { "cases": [{ "port": port, "when": true }] } });
    assert_eq!(after("decide.left", switch("left")), []);
    assert_eq!(after("decide.else", switch("left")), []);
    assert_eq!(
        after("decide.right", switch("left")),
        [at("/nodes/b/after", "unknown_port")]
    );
    assert_eq!(
        after("decide.left", switch("{{ input.port }}")),
        [at("/nodes/decide/with", "bad_port")]
    );
    assert_eq!(
        after("decide.else", switch("error")),
        [at("/nodes/decide/with", "bad_port")]
    );
    // What is wrong with the configuration is told, and not what follows from it.
    assert_eq!(
        after("decide.left", switch("Left!")),
        [at("/nodes/decide/with/cases/0/port", "pattern")]
    );
}

#[test]
fn edges_are_told_once() {
    let nodes = json!({
        "start": start(),
        "a": { "kind": "set", "after": ["start", "start.out"] },
        "b": { "kind": "set", "after": ["b", "start"] },
        "c": { "kind": "trigger.manual", "after": "start" },
        "d": { "kind": "set" },
        "e": { "kind": "set", "after": "d", "join": 2 },
    });
    assert_eq!(
        node_faults(nodes),
        [
            at("/nodes/a/after/1", "duplicate_edge"),
            at("/nodes/b/after/0", "self_edge"),
            at("/nodes/c/after", "trigger_after"),
            at("/nodes/d", "unreachable"),
            at("/nodes/e/join", "join_too_many"),
        ]
    );
    assert_eq!(
        node_faults(json!({ "a": { "kind": "set", "after": "b" }, "b": { "kind": "set", "after": "a" } })),
        [at("/nodes", "no_trigger"), at("/nodes/a/after", "cycle"),]
    );
}

#[test]
fn cycles_are_named() {
    let text = message(json!({
        "start": start(),
        "c": { "kind": "merge", "after": ["start", "e"] },
        "d": { "kind": "set", "after": "c" },
        "e": { "kind": "set", "after": "d" },
        "f": { "kind": "set", "after": "e" },
    }));
    assert_eq!(
        text,
        "These nodes wait for each other: `c` → `d` → `e` → `c`. A cycle has one entry, a `merge` with `join: any`. This one \
         is entered at `c`."
    );
}

#[test]
fn too_many_edges_are_refused() {
    let mut nodes = json!({ "start": start() });
    let wide: Vec<String> = (0..46).map(|index| format!("a{index:02}")).collect();
    for id in &wide {
        nodes[id] = json!({ "kind": "set", "after": "start" });
        nodes[format!("b{id}")] = json!({ "kind": "set", "after": wide });
    }
    assert_eq!(node_faults(nodes), [at("/nodes", "too_many_edges")]);
}

#[test]
fn expressions_read_what_was_there_before() {
    let reads = |expression: &str| {
        node_faults(json!({
            "start": start(),
            "a": { "kind": "set", "after": "start" },
            "b": { "kind": "set", "after": "a", "with": { "list": [1, { "x/y": expression }] } },
            "c": { "kind": "set", "after": "b" },
            "side": { "kind": "set", "after": "start" },
        }))
    };
    let place = "/nodes/b/with/list/1/x~1y";
    assert_eq!(
        reads("{{ nodes.a.output.x }} {{ nodes.start.output }} {{ run.id }} {{ input }}"),
        []
    );
    assert_eq!(reads("{{ nodes.c.output }}"), [at(place, "not_before")]);
    assert_eq!(reads("{{ nodes.side.output }}"), [at(place, "not_before")]);
    assert_eq!(reads("{{ nodes.b.output }}"), [at(place, "not_before")]);
    assert_eq!(reads("{{ nodes.aa.output }}"), [at(place, "unknown_reference")]);
    assert_eq!(reads("{{ a.output }}"), [at(place, "unknown_name")]);
    assert_eq!(reads("{{ input.x"), [at(place, "expression")]);
    assert_eq!(reads("\\{{ no expression"), []);
    // The place is told with the offset.
    let text = message(
        json!({ "start": start(), "a": { "kind": "set", "after": "start", "with": { "x": "ab {{ 1 + }}" } } }),
    );
    assert!(text.contains("at byte"), "{text}");
    // A node whose predecessors are not all known is not told that others do not come before it.
    let loose = json!({
        "start": start(),
        "a": { "kind": "set", "after": "start" },
        "b": { "kind": "set", "after": "aa", "with": { "x": "{{ nodes.a.output }}" } },
    });
    assert_eq!(node_faults(loose), [at("/nodes/b/after", "unknown_node")]);
}

#[test]
fn triggers_hold_no_expressions() {
    let nodes = json!({ "hook": { "kind": "trigger.webhook", "with": { "scheme": "{{ input.scheme }}" } } });
    assert_eq!(node_faults(nodes), [at("/nodes/hook/with", "trigger_expression")]);
}

#[test]
fn members_are_checked_beside_expressions() {
    let call = |with: Value| {
        node_faults(json!({ "start": start(), "a": { "kind": "http", "after": "start", "with": with } }))
    };
    assert_eq!(
        call(json!({ "method": "{{ input.m }}" })),
        [at("/nodes/a/with/url", "required")]
    );
    assert_eq!(
        call(json!({ "url": "{{ input.u }}", "urll": 1 })),
        [at("/nodes/a/with/urll", "unknown_field")]
    );
    assert_eq!(
        call(json!({ "url": "{{ input.u }}", "timeout": 999 })),
        [at("/nodes/a/with/timeout", "range")]
    );
    assert_eq!(call(json!({ "url": 5 })), [at("/nodes/a/with/url", "type")]);
}

/// A catalogue with one kind beside the real ones.
struct Extra(Value);

impl KindCatalog for Extra {
    fn kind(&self, name: &str, version: Option<u32>) -> Option<KindInfo> {
        if name != "extra" {
            return Catalog.kind(name, version);
        }
        let config_schema = Arc::new(self.0.clone());
        Some(KindInfo {
            name: name.to_owned(),
            version: 1,
            class: NodeClass::Pure,
            config_schema,
            ports: PortSpec::default(),
            per_item: None,
            check: None,
        })
    }

    fn names(&self) -> Vec<String> {
        vec!["extra".to_owned()]
    }
}

#[test]
fn alternatives_wait_for_the_values() {
    let schema = json!({
        "type": "object",
        "oneOf": [
            { "properties": { "mode": { "const": "a" }, "size": { "type": "integer" } }, "required": ["size"] },
            { "properties": { "mode": { "const": "b" } } },
        ],
        "if": { "properties": { "mode": { "const": "a" } } },
        "then": { "required": ["size"] },
    });
    let codes = |with: Value, schema: &Value| {
        let nodes = json!({ "start": start(), "a": { "kind": "extra", "after": "start", "with": with } });
        let problems = compile(&file(nodes), &Extra(schema.clone()))
            .err()
            .unwrap_or_default();
        problems
            .into_iter()
            .map(|problem| problem.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes(json!({ "mode": "{{ input.mode }}" }), &schema),
        Vec::<&str>::new()
    );
    assert_eq!(codes(json!({ "mode": "c" }), &schema), ["shape"]);
    assert_eq!(codes(json!({}), &json!({ "type": "nonsense" })), ["kind_schema"]);
}

#[test]
fn hostile_input_schemas_are_refused() {
    let codes = |schema: Value| {
        let file = json!({ "name": "t", "input": schema, "nodes": { "start": start() } });
        faults(&file)
            .into_iter()
            .map(|(_, code)| code)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes(json!({ "$defs": { "a": { "type": "string" } }, "$ref": "#/$defs/a" })),
        Vec::<&str>::new()
    );
    assert_eq!(
        codes(json!({ "properties": { "$id": { "type": "string" } } })),
        Vec::<&str>::new()
    );
    assert_eq!(codes(json!(true)), ["type"]);
    assert_eq!(codes(json!({ "type": 5 })), ["bad_schema"]);
    assert_eq!(codes(json!({ "pattern": "(" })), ["bad_schema"]);
    assert_eq!(codes(json!({ "$ref": "#" })), ["schema_reference"]);
    assert_eq!(
        codes(json!({ "$ref": "https://example.com/schema.json" })),
        ["schema_reference"]
    );
    assert_eq!(
        codes(json!({ "$defs": { "a/b": {} }, "$ref": "#/$defs/a/b" })),
        ["schema_reference"]
    );
    assert_eq!(codes(json!({ "$dynamicRef": "#a" })), ["schema_reference"]);
    let circle = json!({ "$defs": { "a": { "$ref": "#/$defs/b" }, "b": { "$ref": "#/$defs/a" } }, "$ref": "#/$defs/a" });
    assert_eq!(codes(circle), ["recursive_schema"]);
    let mut doubling = json!({ "$defs": { "d0": { "type": "string" } }, "$ref": "#/$defs/d30" });
    for index in 1..=30 {
        let below = format!("#/$defs/d{}", index - 1);
        doubling["$defs"][format!("d{index}")] = json!({ "anyOf": [{ "$ref": below }, { "$ref": below }] });
    }
    assert_eq!(codes(doubling), ["schema_too_large"]);
}
