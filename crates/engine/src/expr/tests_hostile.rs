//! Sources that try to exhaust the stack, memory or time: all must end in an error, quickly and without a
//! panic.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ExprErrorCode::{Argument, Limit, Overflow, Syntax};
use super::tests::{Fixture, eval, fails};
use super::{Expr, ExprErrorCode, Limits, MAX_SOURCE_BYTES, Template, functions};

/// Longest a single hostile evaluation may take, in an unoptimised build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[track_caller]
fn limited(src: &str) {
    let start = Instant::now();
    fails(src, Limit, "");
    assert!(
        start.elapsed() < PATIENCE,
        "{:.60}… took {:?}",
        src,
        start.elapsed()
    );
}

/// Runs on a stack of the size a worker thread has.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(test)
        .expect("a thread starts");
    assert!(thread.join().is_ok());
}

#[test]
fn deep_sources_are_refused() {
    on_small_stack(|| {
        limited(&"(".repeat(100_000));
        for open in [
            "(",
            "[",
            "!",
            "-",
            "{a:",
            "len(",
            "1+(",
            "true?(",
            "input[",
            "x.y?[",
            "map([1], x => ",
            "- - !",
        ] {
            for count in [65, 70, 1_000] {
                let src: String = open.repeat(count).chars().take(MAX_SOURCE_BYTES).collect();
                let error = Expr::parse(&src).map(|_| ()).map_err(|e| e.code);
                assert!(matches!(error, Err(Limit | Syntax)), "{open} {count}: {error:?}");
            }
        }
        fails(&format!("{}1{}", "(".repeat(65), ")".repeat(65)), Limit, "nested");
        fails(&format!("{}1{}", "[".repeat(65), "]".repeat(65)), Limit, "nested");
        fails(&" ".repeat(MAX_SOURCE_BYTES + 1), Limit, "bytes long");
    });
}

#[test]
fn the_deepest_allowed_sources_run() {
    on_small_stack(|| {
        assert!(eval(&format!("{}1{}", "(".repeat(60), ")".repeat(60))).is_ok());
        assert!(eval(&format!("{}1{}", "[".repeat(60), "]".repeat(60))).is_ok());
        assert!(eval(&format!("{}true", "!".repeat(60))).is_ok());
        let nest = format!("{}0{}", "map([1], x => ".repeat(60), ")".repeat(60));
        assert!(eval(&nest).is_ok(), "{:?}", eval(&nest));
        // Every operator level at once, as deep as it goes.
        let left = (0..8).fold("1".to_owned(), |src, _| {
            format!("(1*({src})+1<9==true&&true||false ? 1 : 2)")
        });
        assert_eq!(eval(&left), Ok(json!(1)));
        // Long is not deep.
        assert_eq!(eval(&vec!["1"; 4_000].join("+")), Ok(json!(4_000)));
        assert_eq!(eval(&format!("{}7", "false ? 1 : ".repeat(600))), Ok(json!(7)));
        assert_eq!(eval(&format!("{}7", "null ?? ".repeat(1_000))), Ok(json!(7)));
        let steps = ".a".repeat(4_000);
        fails(&format!("input{steps}"), ExprErrorCode::Missing, "input.a");
        assert_eq!(eval(&format!("null?.a{steps}")), Ok(Value::Null));
    });
}

#[test]
fn growth_stops_early() {
    // Doubling through lambdas, the only way to name a value.
    let double = |seed: &str, step: &str| {
        (0..40).fold(seed.to_owned(), |src, _| {
            format!("first(map([{src}], a => {step}))")
        })
    };
    let start = Instant::now();
    for (seed, step) in [
        ("'xxxxxxxx'", "a + a"),
        ("[1, 2]", "concat(a, a)"),
        ("[1]", "[a, a]"),
        ("{'k': 1}", "{'x': a, 'y': a}"),
        ("'a'", "replace(a, 'a', 'aa')"),
        ("'a'", "join([a, a], a)"),
        ("'\"'", "json(a)"),
    ] {
        let src = (0..20).fold(seed.to_owned(), |src, _| {
            format!("first(map([{src}], a => {step}))")
        });
        let error = eval(&src).map(|v| v.to_string().len()).map_err(|e| e.code);
        assert!(matches!(error, Err(Limit)), "{step}: {error:?}");
        assert!(Expr::parse(&double(seed, step)).is_err());
    }
    limited("map(range(10000), a => map(range(10000), b => 1))");
    limited("map(range(10000), a => range(10000))");
    limited("map(range(1000), a => pad_start('', 100000))");
    limited("pad_start('', 9223372036854775807)");
    limited("pad_end('x', 9223372036854775807, '😀')");
    limited("len(pad_start('', 9000000))");
    limited("flatten(map(range(5000), a => range(1000)))");
    assert!(start.elapsed() < PATIENCE * 2);
    fails("range(10001)", Argument, "at most");
    fails(
        "range(-9223372036854775807, 9223372036854775807)",
        Argument,
        "at most",
    );
    fails("range(0, 10, 0)", Argument, "step");
    assert_eq!(
        eval("range(-9223372036854775807, 9223372036854775807, 9223372036854775807)")
            .map(|v| v.to_string().len()),
        Ok(24)
    );
}

fn over(input: Value, src: &str, limits: &Limits) -> Result<Value, ExprErrorCode> {
    let scope = Fixture::new(json!({ "input": input }));
    Expr::parse(src)
        .and_then(|e| e.eval(&scope, limits))
        .map_err(|e| e.code)
}

#[test]
fn work_on_big_inputs_is_charged() {
    let text = "ab ".repeat(1_000_000);
    let list: Vec<u32> = (0..200_000).collect();
    let nested = (0..100).fold(json!(1), |value, _| json!([value]));
    let input = json!({"text": text, "list": list, "twin": list, "nested": nested, "twist": nested});
    let defaults = Limits::default();
    let start = Instant::now();
    for src in [
        "input.list",
        "input.text",
        "input.nested",
        "input.nested == input.twist",
        "json(input.nested)",
        "input.list == input.twin",
        "any(range(10000), i => contains(input.text, 'zz'))",
        "any(range(10000), i => matches(input.text, '*a*a*a*a*z'))",
        "any(range(10000), i => input.text < input.text)",
        "words(input.text)",
        "split(input.text, ' ')",
        "upper(input.text) + upper(input.text) + upper(input.text)",
        "map(input.list, x => x)",
        "sort(input.list)",
        "unique(input.list)",
        "sum(input.list)",
        "reverse(input.list)",
        "merge({'a': input.list}, input)",
        "concat(input.list, input.list)",
        "parse_json('[' + replace(input.text, 'ab ', '[],') + '1]')",
        "-1 in input.list",
        "all(range(10000), i => len(sha256(input.text)) > 0)",
        "str(input)",
        "url_encode(input.text) + base64_encode(input.text)",
    ] {
        assert_eq!(over(input.clone(), src, &defaults), Err(Limit), "{src}");
    }
    assert!(start.elapsed() < PATIENCE * 8, "{:?}", start.elapsed());
    // What only looks stays cheap, whatever the size.
    assert_eq!(
        over(input.clone(), "input.list[-1]", &defaults),
        Ok(json!(199_999))
    );
    assert_eq!(
        over(input.clone(), "len(input.list) + count(input.list)", &defaults),
        Ok(json!(400_000))
    );
    assert_eq!(
        over(input, "len(slice(input.list, 10, 20))", &defaults),
        Ok(json!(10))
    );
}

#[test]
fn limits_can_be_tightened() {
    let tight = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    };
    let run = |src: &str, limits: Limits| over(json!({"a": [[1, 2], [3]], "s": "0123456789"}), src, &limits);
    assert_eq!(
        run("input.s", tight(|l| l.output_bytes = 12)),
        Ok(json!("0123456789"))
    );
    assert_eq!(run("input.s", tight(|l| l.output_bytes = 11)), Err(Limit));
    assert_eq!(run("input.a", tight(|l| l.nesting = 2)), Ok(json!([[1, 2], [3]])));
    assert_eq!(run("input.a", tight(|l| l.nesting = 1)), Err(Limit));
    assert_eq!(run("1 + 1", tight(|l| l.fuel = 2)), Err(Limit));
    assert_eq!(run("1 + 1", tight(|l| l.fuel = 3)), Ok(json!(2)));
    assert_eq!(run("1 + 1", tight(|l| l.source_bytes = 4)), Err(Limit));
    assert_eq!(run("1 + 1", tight(|l| l.ast_depth = 1)), Err(Limit));
    assert_eq!(run("'a' + input.s", tight(|l| l.scratch_bytes = 10)), Err(Limit));
}

#[test]
fn a_template_shares_its_budgets() {
    let scope = Fixture::new(json!({"input": {"s": "0123456789"}}));
    let limits = Limits {
        output_bytes: 60,
        ..Limits::default()
    };
    let compile = |v: Value| Template::compile(&v).map_err(|e| e.len());
    let run = |v: Value| compile(v).map(|t| t.eval(&scope, &limits).map_err(|e| (e.pointer, e.error.code)));
    assert!(matches!(
        run(json!(["{{ input.s }}", "{{ input.s }}", "{{ input.s }}"])),
        Ok(Ok(_))
    ));
    assert_eq!(
        run(json!(vec!["{{ input.s }}"; 8])),
        Ok(Err(("/4".to_owned(), Limit)))
    );
    assert_eq!(
        run(json!(vec!["x{{ input.s }}"; 8])),
        Ok(Err(("/3".to_owned(), Limit)))
    );
    let limits = Limits {
        fuel: 20,
        ..Limits::default()
    };
    let many =
        compile(json!(vec!["{{ 1 + 1 }}"; 10])).map(|t| t.eval(&scope, &limits).map_err(|e| e.pointer));
    assert_eq!(many, Ok(Err("/6".to_owned())));
    // Depth counts from the configuration's root.
    let deep = (0..63).fold(json!("{{ [1] }}"), |value, _| json!([value]));
    assert!(compile(deep.clone()).is_ok_and(|t| t.eval(&scope, &Limits::default()).is_ok()));
    let deeper = compile(json!([deep])).map(|t| t.eval(&scope, &Limits::default()).map_err(|e| e.error.code));
    assert_eq!(deeper, Ok(Err(Limit)));
    let mixed = (0..70).fold(json!("a{{ 1 }}"), |value, _| json!({ "k": value }));
    assert_eq!(
        compile(mixed).map(|t| t.eval(&scope, &Limits::default()).is_err()),
        Ok(true)
    );
    let huge = (0..500).fold(json!("{{ 1 }}"), |value, _| json!([value]));
    assert_eq!(compile(huge).map(|_| ()), Err(1));
    assert_eq!(compile(json!(vec!["{{"; 500])).map(|_| ()), Err(100));
}

#[test]
fn bad_arguments_do_not_panic() {
    for (src, code) in [
        ("format_date(now(), '%Q')", Argument),
        ("format_date(now(), '%')", Argument),
        ("format_date(now(), '%-')", Argument),
        ("format_date(now(), '%-B')", Argument),
        ("format_date(now(), '%9999d')", Argument),
        ("format_date(now(), '%+')", Argument),
        ("format_date('2026-13-01', '%Y')", Argument),
        ("format_date('+2026-1-1', '%Y')", Argument),
        ("date_add('yesterday', 1, 'day')", Argument),
        ("date_add(now(), 1, 'fortnights')", Argument),
        ("date_add(now(), 9223372036854775807, 'years')", Overflow),
        ("date_add(now(), -9223372036854775807, 'weeks')", Overflow),
        ("date_add(now(), 9000, 'years')", Overflow),
        ("date_add(now(), 260000, 'years')", Overflow),
        ("date_add('0000-01-01', -1, 'second')", Overflow),
        ("date_add('9999-12-31T23:59:59-01:00', 1, 'second')", Overflow),
        ("date_add('9999-12-31T23:59:59Z', 1, 'second')", Overflow),
        ("round(1.5, 16)", Argument),
        ("substr('abc', 0, -1)", Argument),
        ("pad_start('a', 5, '')", Argument),
        ("int('9223372036854775808')", Argument),
        ("parse_json(pad_start('', 5000, '['))", Argument),
        ("base64_decode('=')", ExprErrorCode::Type),
    ] {
        match eval(src) {
            Err(error) => assert_eq!(error.code, code, "{src}: {error}"),
            Ok(value) => assert_eq!((src, value), ("base64_decode('=')", json!(""))),
        }
    }
    assert_eq!(
        eval("slice('äé😀', -9223372036854775808, 9223372036854775807)"),
        Ok(json!("äé😀"))
    );
    assert_eq!(
        eval("substr('ä', 9223372036854775807, 9223372036854775807)"),
        Ok(json!(""))
    );
    assert_eq!(eval("[1]?[-9223372036854775808]"), Ok(Value::Null));
}

/// A small generator (xorshift, Marsaglia 2003), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

#[test]
fn random_sources_never_panic() {
    on_small_stack(|| {
        let mut pieces: Vec<String> = [
            "input",
            ".title",
            ".labels",
            "[0]",
            "[-1]",
            "?.",
            "?[",
            "??",
            "||",
            "&&",
            "==",
            "in",
            "<",
            "+",
            "-",
            "*",
            "/",
            "%",
            "!",
            "?",
            ":",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            "=>",
            "x",
            "x => ",
            "1",
            "2.5",
            "'é'",
            "\"\\u00e9\"",
            "null",
            "true",
            "nodes",
            ".fetch",
            ".output",
            "'",
            "\\",
            "{{",
            "}}",
            "9223372036854775807",
        ]
        .map(str::to_owned)
        .to_vec();
        pieces.extend(functions().iter().map(|doc| format!("{}(", doc.name)));
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for _ in 0..30_000 {
            let src: String = (0..1 + random.below(14))
                .map(|_| pieces[random.below(pieces.len())].as_str())
                .collect();
            if let Err(error) = eval(&src) {
                assert!(error.offset <= src.len(), "{src}: {error}");
            }
            let _ = Template::compile(&json!(src)).map(|t| t.is_static());
        }
    });
}

#[test]
fn every_function_takes_any_arguments_without_panic() {
    let values = [
        "null",
        "true",
        "-1",
        "9223372036854775807",
        "1e300",
        "''",
        "'é%Y'",
        "[]",
        "[[1], 'a']",
        "{}",
        "{'a': 1}",
        "x => x",
    ];
    let mut random = Random(42);
    for doc in functions() {
        for _ in 0..150 {
            let args: Vec<_> = (0..random.below(4))
                .map(|_| values[random.below(values.len())])
                .collect();
            let _ = eval(&format!("{}({})", doc.name, args.join(", ")));
        }
    }
}
