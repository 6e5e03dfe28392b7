//! What the language means: values, paths, operators, functions and templates.

use std::borrow::Cow;
use std::cell::Cell;

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::{Value, json};

use super::{Expr, ExprError, ExprErrorCode, Limits, Scope, Template, functions};

/// A scope over one JSON object; `nodes` holds outputs by id. `run` is built on each request, as a journal
/// would.
pub(super) struct Fixture {
    pub values: Value,
    /// How often a root was asked for.
    pub asked: Cell<usize>,
}

impl Fixture {
    pub fn new(values: Value) -> Self {
        Self {
            values,
            asked: Cell::new(0),
        }
    }
}

impl Scope for Fixture {
    fn root(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.asked.set(self.asked.get() + 1);
        match name {
            "run" => Some(Cow::Owned(json!({"id": "r1", "attempt": {"n": 2}}))),
            _ => self.values.get(name).map(Cow::Borrowed),
        }
    }

    fn node_output(&self, node: &str) -> Option<&Value> {
        self.values.get("nodes")?.get(node)?.get("output")
    }

    fn now(&self) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5)
            .single()
            .unwrap_or_default()
    }
}

fn scope() -> Fixture {
    Fixture::new(json!({
        "input": {
            "title": " Login fails ", "kind": "bug", "nil": null, "n": 7, "key": "title",
            "issue": {"title": "T", "número": 3},
            "labels": [{"name": "a"}, {"name": "b", "deep": {"x": 1}}],
        },
        "nodes": {
            "fetch": {"output": {"items": [{"id": 1, "title": "login FAILS"}, {"id": 2, "title": "other"}]},
                      "status": "done"},
            "my-node": {"output": 5},
            "nothing": {"output": null},
        },
    }))
}

#[track_caller]
pub(super) fn eval(src: &str) -> Result<Value, ExprError> {
    Expr::parse(src)?.eval(&scope(), &Limits::default())
}

#[track_caller]
fn gives(src: &str, wanted: Value) {
    match eval(src) {
        Ok(value) => assert_eq!(value, wanted, "{src}"),
        Err(error) => panic!("{src}: {error}"),
    }
}

#[track_caller]
pub(super) fn fails(src: &str, code: ExprErrorCode, part: &str) {
    match eval(src) {
        Ok(value) => panic!("{src} gave {value}"),
        Err(error) => {
            assert_eq!(error.code, code, "{src}: {error}");
            assert!(error.message.contains(part), "{src}: {error}");
            assert!(error.offset <= src.len(), "{src}: {error}");
        }
    }
}

#[test]
fn examples_of_the_brief() {
    gives("input.issue.title", json!("T"));
    gives("nodes.fetch.output.items[0].id", json!(1));
    gives(r#"nodes["my-node"].output"#, json!(5));
    gives("run.id", json!("r1"));
    gives(r#"lower(trim(input.title)) + "!""#, json!("login fails!"));
    gives(
        r#"len(nodes.fetch.output.items) > 0 && input.kind == "bug" ? "high" : "low""#,
        json!("high"),
    );
    gives(
        "filter(nodes.fetch.output.items, t => lower(t.title) == lower(trim(input.title)))",
        json!([{"id": 1, "title": "login FAILS"}]),
    );
    gives("map(input.labels, l => l.name)", json!(["a", "b"]));
    gives(
        r#" {"op": "create", "tags": ["x", 'y',], "n": 1 + 2 * 3} "#,
        json!({"op": "create", "tags": ["x", "y"], "n": 7}),
    );
    gives(r#"input.missing?.deep ?? "default""#, json!("default"));
}

#[test]
fn every_documented_example_holds() {
    let docs = functions();
    assert!(docs.len() > 60);
    for doc in docs {
        let wanted: Value = serde_json::from_str(doc.result).unwrap_or_else(|e| panic!("{}: {e}", doc.name));
        let value = eval(doc.example).unwrap_or_else(|e| panic!("{}: {e}", doc.name));
        // As text, so that 1 and 1.0 differ.
        assert_eq!(value.to_string(), wanted.to_string(), "{}", doc.name);
        assert!(
            doc.signature.starts_with(doc.name) && doc.example.contains(doc.name),
            "{}",
            doc.name
        );
        assert_eq!(
            docs.iter().filter(|other| other.name == doc.name).count(),
            1,
            "{}",
            doc.name
        );
    }
}

#[test]
fn missing_is_an_error_with_the_whole_path() {
    use ExprErrorCode::{Missing, Type, UnknownName};
    fails(
        "nodes.fetch.output.items[3]",
        Missing,
        "nodes.fetch.output.items[3]: index 3 is past the end (2 items)",
    );
    fails(
        "nodes.fetch.output.items[-3].id",
        Missing,
        "items[-3]: index -3 is before the start (2 items)",
    );
    fails(
        "input.titel",
        Missing,
        "input.titel: there is no such key; did you mean `title`?",
    );
    fails("input.nil.x", Missing, "input.nil.x: input.nil is null");
    fails(
        "input.issue[input.key + 's']",
        Missing,
        "input.issue.titles: there is no such key",
    );
    fails("input['a b']", Missing, r#"input["a b"]: there"#);
    fails(
        "nodes.nope.output.x",
        Missing,
        "nodes.nope.output: the node has no output",
    );
    fails(
        "map(input.labels, l => l.deep.x)",
        Missing,
        "l.deep: there is no such key",
    );
    fails("first([]).x", Missing, "first(…).x: first(…) is null");
    fails("inputs.x", UnknownName, "`inputs`");
    fails("inputs?.x ?? 1", UnknownName, "`inputs`");
    fails("input.title.x", Type, "input.title.x: a string has no keys");
    fails("input.labels.name", Type, "map(list");
    fails("input.labels.length", Type, "len(x)");
    fails("input[0]", Type, "keys of an object are strings");
    fails("input[1.5]", Type, "an index an integer");
}

#[test]
fn question_marks_forgive_what_stands_directly_before_them() {
    gives("input?.missing", json!(null));
    gives("input.missing?.a.b.c[0]", json!(null));
    gives("input.nil?.a.b", json!(null));
    gives("input?.nil.a", json!(null));
    gives("input.labels?[9].name", json!(null));
    gives("input.labels?.[1].name", json!("b"));
    gives("input.labels[9]?.name", json!(null));
    gives("input.missing ?? 'd'", json!("d"));
    gives("input.nil ?? 'd'", json!("d"));
    gives("default(input.missing, 1)", json!(1));
    gives("coalesce(input.nil, input.missing, input.n)", json!(7));
    gives("input.n ?? input.oops", json!(7));
    fails("input.a.b ?? 'd'", ExprErrorCode::Missing, "input.a: ");
    fails("input.a ?? input.b", ExprErrorCode::Missing, "input.b: ");
    fails("input.title?.x", ExprErrorCode::Type, "a string has no keys");
    gives("nodes.nope?.output", json!(null));
    gives("nodes.nope.output?.x", json!(null));
    gives("nodes.nope.output ?? 1", json!(1));
    gives("nodes.nothing.output?.x.y", json!(null));
    fails(
        "nodes.nope.output.x ?? 1",
        ExprErrorCode::Missing,
        "nodes.nope.output: ",
    );
    // Behind a `?` that found nothing, keys are not evaluated.
    gives("input.nil?[input.oops]", json!(null));
    gives("map([{'a': 1}, {}], x => x.a ?? 0)", json!([1, 0]));
    gives("map(map([1], x => {'a': null}), x => x.a?.b)", json!([null]));
}

#[test]
fn paths_into_made_values_and_computed_keys() {
    gives("nodes[input.kind + '-x']?.output", json!(null));
    gives("nodes['my' + '-node'].output", json!(5));
    gives("nodes.fetch.status", json!("done"));
    gives("input[input.key]", json!(" Login fails "));
    gives("input.issue.número", json!(3));
    gives("run.attempt.n", json!(2));
    gives("{'a': [1, {'b': 2}]}.a[-1]['b']", json!(2));
    gives("[[1, 2], [3]][0][1]", json!(2));
    gives(
        "map(map(input.labels, l => {'o': l, 'k': 'o'}), x => x[x.k].name)",
        json!(["a", "b"]),
    );
    gives("map(map([1, 2], x => {'v': [x]}), x => x.v[0])", json!([1, 2]));
    gives("(input.labels)[0].name", json!("a"));
    // A root that the scope builds is built once, however often it is read.
    let scope = scope();
    let expr = Expr::parse("map([1, 2, 3], x => run.id + run.id)").expect("parses");
    assert_eq!(
        expr.eval(&scope, &Limits::default()),
        Ok(json!(["r1r1", "r1r1", "r1r1"]))
    );
    assert_eq!(scope.asked.get(), 1);
    // `nodes` is not asked for at all.
    let expr = Expr::parse("nodes.fetch.output.items[0].id + nodes['my-node'].output").expect("parses");
    assert_eq!(expr.eval(&scope, &Limits::default()), Ok(json!(6)));
    assert_eq!(scope.asked.get(), 1);
}

#[test]
fn operators_bind_as_documented() {
    gives("1 + 2 * 3 - 4 / 2", json!(5));
    gives("10 - 3 - 2", json!(5));
    gives("2 * (3 + 4) % 5", json!(4));
    gives("-2 * -3", json!(6));
    gives("!(1 > 2) && 2 >= 2 || false", json!(true));
    gives("true || input.oops", json!(true));
    gives("false && input.oops", json!(false));
    gives(
        "1 == 1.0 && 'a' != 'b' && [1, {'a': 2.0}] == [1.0, {'a': 2}]",
        json!(true),
    );
    gives("null == false", json!(false));
    gives("false ? 1 : true ? 2 : 3", json!(2));
    gives("true ? false ? 1 : 2 : 3", json!(2));
    gives("true ? [1] : [2]", json!([1]));
    gives("null ?? false || true", json!(true));
    gives("2 in [1, 2.0] && 'a' in {'a': 1} && 'og' in 'Login'", json!(true));
    gives("'b' < 'c' && 1 < 1.5 && 2 > 1.5", json!(true));
    gives("9007199254740993 == 9007199254740992.0", json!(false));
    gives("9007199254740993 > 9007199254740992.0", json!(true));
    gives("'a' + \"b\" + 'c\\u00e9\\ud83d\\ude00\\n'", json!("abcé😀\n"));
}

#[test]
fn numbers_stay_exact_or_fail() {
    use ExprErrorCode::{Overflow, Type};
    gives("6 / 3", json!(2));
    gives("7 / 2", json!(3.5));
    gives("-7 % 3", json!(-1));
    gives("1 + 0.5", json!(1.5));
    gives("9223372036854775807 - 1", json!(9_223_372_036_854_775_806_i64));
    gives("-9223372036854775808", json!(i64::MIN));
    gives("1e3", json!(1000.0));
    for src in [
        "9223372036854775807 + 1",
        "-9223372036854775808 - 1",
        "-(-9223372036854775808)",
        "-9223372036854775808 / -1",
        "9223372036854775808",
        "99999999999999999999999999",
        "4611686018427387904 * 2",
        "1 / 0",
        "1.0 / 0",
        "1 % 0",
        "1e308 * 10",
        "1e999",
        "abs(-9223372036854775808)",
        "sum([9223372036854775807, 1])",
        "int(1e30)",
        "round(1e300)",
        "float('inf')",
        "float('nan')",
    ] {
        fails(src, Overflow, "");
    }
    fails("5.0 % 2", Type, "two integers");
    let expr = Expr::parse("input.big == 18446744073709551615 - 0").map(|_| ());
    assert_eq!(expr.map_err(|e| e.code), Err(Overflow));
    let scope = Fixture::new(json!({"input": {"big": u64::MAX}}));
    let value = |src: &str| Expr::parse(src).and_then(|e| e.eval(&scope, &Limits::default()));
    assert_eq!(value("input.big"), Ok(json!(u64::MAX)));
    assert_eq!(value("input.big > 9223372036854775807"), Ok(json!(true)));
    assert_eq!(value("input.big - input.big"), Ok(json!(0)));
    assert_eq!(value("input.big * input.big").map_err(|e| e.code), Err(Overflow));
}

#[test]
fn types_are_not_guessed() {
    use ExprErrorCode::Type;
    fails("'a' + 1", Type, "str(x)");
    fails("[1] + [2]", Type, "concat");
    fails("{} + {}", Type, "merge");
    fails("1 && true", Type, "`&&` takes a boolean, not a number");
    fails("'x' ? 1 : 2", Type, "bool(x)");
    fails("!null", Type, "`!` takes a boolean");
    fails("1 < 'a'", Type, "compares");
    fails("1 < 2 < 3", Type, "compares");
    fails("-'a'", Type, "`-` takes a number");
    fails("1 in 2", Type, "looked into");
    fails("1 in 'a'", Type, "takes a string");
    fails("{[1]: 2}", Type, "key of an object");
    fails("filter([1], x => x)", Type, "filter takes a boolean");
    fails(
        "lower(1)",
        Type,
        "lower: the 1st argument must be a string, not a number",
    );
}

#[test]
fn syntax_errors_help() {
    use ExprErrorCode::{Argument, Syntax, UnknownFunction};
    fails("", Syntax, "empty");
    fails("  ", Syntax, "empty");
    fails("1 +", Syntax, "expected a value, found the end");
    fails("1 2", Syntax, "found a number");
    fails("a = 1", Syntax, "`==` compares");
    fails("a | b", Syntax, "`||`");
    fails("a and b", Syntax, "write `&&`");
    fails("$json.x", Syntax, "no `$`");
    fails("'abc", Syntax, "no closing");
    fails(r"'\x'", Syntax, "unknown escape");
    fails(r"'\ud800'", Syntax, "surrogate");
    fails("1abc", Syntax, "letter follows");
    fails("input.0", Syntax, "brackets");
    fails("input.title.trim()", Syntax, "write `trim(value)`");
    fails("x => x", Syntax, "argument of map");
    fails("true?[1]:[2]", Syntax, "needs a space");
    fails("[1, 2", Syntax, "`,` or `]`");
    fails("{a 1}", Syntax, "expected `:`");
    fails("lenght([])", UnknownFunction, "did you mean `len");
    fails("toLowerCase('a')", UnknownFunction, "`lower(x)`");
    fails("uper('a')", UnknownFunction, "`upper`");
    fails("zzzzzzzz()", UnknownFunction, "there is no function `zzzzzzzz`");
    fails("lower()", Argument, "lower takes 1 argument, not 0: lower(text)");
    fails("lower('a', 'b')", Argument, "not 2");
    fails("map([1], 2)", Argument, "must be a function");
    fails("count([1], 2)", Argument, "must be a function");
    fails("coalesce()", Argument, "at least 1");
    assert_eq!(eval("input.title + 1").map_err(|e| e.offset), Err(12));
}

#[test]
fn lambdas_nest_and_shadow() {
    gives(
        "map([1, 2], x => map([10, 20], y => x + y))",
        json!([[11, 21], [12, 22]]),
    );
    gives("map([1, 2], x => map([x * 10], x => x + 1))", json!([[11], [21]]));
    gives("map(['a', 'b'], (v, i) => v + str(i))", json!(["a0", "b1"]));
    gives("map([[1, 2], [3]], input => len(input))", json!([2, 1]));
    gives("map([1], (x) => x + input.n)", json!([8]));
    gives(
        "sort_by([{'a': 2}, {'a': 1}], x => x.a, 'desc')",
        json!([{"a": 2}, {"a": 1}]),
    );
    gives("sort(['b', 'a', null], 'desc')", json!(["b", "a", null]));
    gives(
        "map(group_by(input.labels, l => l.name), g => g.key)",
        json!(["a", "b"]),
    );
    gives(
        "[min([]), max(['a', 'b']), sum([]), find([1], x => false)]",
        json!([null, "b", 0, null]),
    );
    gives(
        "unique([{'a': 1, 'b': 2}, {'b': 2.0, 'a': 1}], x => x)",
        json!([{"a": 1, "b": 2}]),
    );
    fails("sort([1, 'a'])", ExprErrorCode::Argument, "all numbers");
    fails("sort([[1]])", ExprErrorCode::Argument, "an array has no order");
}

#[test]
fn text_functions_count_characters() {
    gives("slice('äöü😀', 1, -1)", json!("öü"));
    gives("slice('äöü', -99, 99)", json!("äöü"));
    gives("slice('äöü', 2, 1)", json!(""));
    gives("substr('😀é', -1)", json!("é"));
    gives("substr('abc', 9, 9)", json!(""));
    gives("slice([1, 2], 5)", json!([]));
    gives(
        "[matches('', '*'), matches('', '?'), matches('aXbXc', 'a*X?'), matches('ab', 'a')]",
        json!([true, false, true, false]),
    );
    gives("matches('äöü', '?ö*')", json!(true));
    gives("similarity('', '')", json!(0.0));
    gives(
        "words('Über-Größe 3 日本')",
        json!(["über", "größe", "3", "日本"]),
    );
    gives("pad_start('abc', -5)", json!("abc"));
    gives("get(input, 'labels.1.deep.x')", json!(1));
    gives("get(input, ['labels', -1, 'nope'], 'd')", json!("d"));
    gives("get({'a': {'b': 1}}, 'a')", json!({"b": 1}));
    gives(
        "keys(merge({'z': 1}, input.issue))",
        json!(["número", "title", "z"]),
    );
    gives(
        "[has(input, 'nil'), has([1], 0), has([1], 1), has(null, 'a')]",
        json!([true, true, false, false]),
    );
    gives("range(5, 0, -2)", json!([5, 3, 1]));
    gives("range(3, 1)", json!([]));
    fails("split('a', '')", ExprErrorCode::Argument, "empty");
    fails("join([[1]], ',')", ExprErrorCode::Argument, "map it");
    fails("base64_decode('////')", ExprErrorCode::Argument, "UTF-8");
    fails("base64_decode('a*b')", ExprErrorCode::Argument, "not base64");
    fails("parse_json('{')", ExprErrorCode::Argument, "not JSON");
}

#[test]
fn dates() {
    gives(
        "date_add('2026-01-02T03:04:05.250+02:00', -90, 'minutes')",
        json!("2026-01-02T01:34:05.250+02:00"),
    );
    gives("date_add(today(), 1, 'week')", json!("2026-01-09"));
    gives("date_add('2026-01-02', 1, 'hour')", json!("2026-01-02T01:00:00Z"));
    gives("date_add('2024-02-29', -1, 'years')", json!("2023-02-28"));
    gives("date_diff('2024-01-31', '2024-02-29', 'months')", json!(0));
    gives("date_diff('2024-03-15', '2023-03-16', 'years')", json!(0));
    gives("date_diff('2026-01-02', now(), 'seconds')", json!(11_045));
    gives(
        "format_date('2026-03-05', '%-d.%-m.%y %A %j 100%%')",
        json!("5.3.26 Thursday 064 100%"),
    );
}

#[test]
fn references_are_found_without_evaluating() {
    let refs = |src: &str| Expr::parse(src).expect("parses").references();
    let found = refs("map(input.a, run => run.x + nodes.a.output + nodes['b-c'].status) ?? vars.z");
    assert_eq!(found.roots.iter().collect::<Vec<_>>(), ["input", "nodes", "vars"]);
    assert_eq!(found.nodes.iter().collect::<Vec<_>>(), ["a", "b-c"]);
    assert!(!found.any_node);
    assert!(refs("keys(nodes)").any_node);
    assert!(refs("nodes[input.x].output").any_node);
    assert_eq!(Expr::parse(" 1 ").expect("parses").source(), " 1 ");
}

#[test]
fn compiled_forms_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Expr>();
    shared::<Template>();
    shared::<ExprError>();
}

fn fill(config: Value) -> Result<Value, super::TemplateError> {
    Template::compile(&config)
        .expect("compiles")
        .eval(&scope(), &Limits::default())
}

#[test]
fn templates_keep_types_or_make_text() {
    let config = json!({
        "whole": " {{ input.labels }}\n",
        "n": "{{input.n}}",
        "text": "#{{ input.n }} {{ input.nil }}{{ true }} {{ [1, 'a'] }}/{{ 1.0 }}{{ run.id }}",
        "braces": "{{ {'a': {'b': '}}'}} }} x",
        "tight": r#"{{ {"a":{"b":1}}}}"#,
        "escaped": r"\{{ input.n }} {{ input.n }}",
        "only_escaped": r"a \{{ b }} }}",
        "{{ key }}": [1, {"deep": "{{ nodes.fetch.output.items[1].id }}"}, "plain", null],
    });
    let wanted = json!({
        "whole": [{"name": "a"}, {"name": "b", "deep": {"x": 1}}],
        "n": 7,
        "text": "#7 true [1,\"a\"]/1.0r1",
        "braces": "{\"a\":{\"b\":\"}}\"}} x",
        "tight": {"a": {"b": 1}},
        "escaped": "{{ input.n }} 7",
        "only_escaped": "a {{ b }} }}",
        "{{ key }}": [1, {"deep": 2}, "plain", null],
    });
    assert_eq!(fill(config.clone()), Ok(wanted));
    let template = Template::compile(&config).expect("compiles");
    assert!(!template.is_static());
    assert_eq!(template.references().nodes.iter().collect::<Vec<_>>(), ["fetch"]);
    let fixed = json!({"a": ["b", r"\{{"], "c": 1});
    let template = Template::compile(&fixed).expect("compiles");
    assert!(template.is_static());
    assert_eq!(
        template.eval(&scope(), &Limits::default()),
        Ok(json!({"a": ["b", "{{"], "c": 1}))
    );
}

#[test]
fn template_errors_name_the_place() {
    let config =
        json!({"a/b": ["x", "äb {{ 1 + }}"], "c~": "{{ nope() }}", "d": "x {{ open", "e": "{{ 1 }}"});
    let errors = Template::compile(&config).expect_err("three are wrong");
    let places: Vec<_> = errors
        .iter()
        .map(|e| (e.pointer.as_str(), e.error.offset))
        .collect();
    assert_eq!(places, [("/a~1b/1", 11), ("/c~0", 3), ("/d", 2)]);
    let error = fill(json!({"a": [{"b/c": "id {{ input.n }} {{ input.oops }}"}]})).expect_err("missing");
    assert_eq!(
        (error.pointer.as_str(), error.error.code),
        ("/a/0/b~1c", ExprErrorCode::Missing)
    );
    assert_eq!(error.error.offset, "id {{ input.n }} {{ input".len());
    assert!(
        error
            .to_string()
            .starts_with("/a/0/b~1c: input.oops: there is no such key")
    );
}
