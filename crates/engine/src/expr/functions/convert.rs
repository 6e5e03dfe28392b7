//! Functions that turn one type into another.

use std::borrow::Cow;

use serde_json::Value;

use super::number::whole;
use super::{Args, Builtin, Eval, Result, Val, excerpt, text_value, truth};
use crate::expr::meter::VALUE_BYTES;
use crate::expr::ops::Num;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "str",
            "str(x)",
            "The text of x as in a mixed text: null is empty, arrays and objects are JSON.",
        ],
        [r#"str(1.5) + str(null) + str([1, "a"])"#, r#""1.5[1,\"a\"]""#],
        (1, 1),
        str,
    ),
    Builtin::new(
        [
            "int",
            "int(x)",
            "An integer from a number (cut at the point), a text of digits or a boolean.",
        ],
        [r#"int(" 42 ") + int(-1.9)"#, "41"],
        (1, 1),
        int,
    ),
    Builtin::new(
        ["float", "float(x)", "A float from a number, a text or a boolean."],
        [r#"float("1e3")"#, "1000.0"],
        (1, 1),
        float,
    ),
    Builtin::new(
        [
            "bool",
            "bool(x)",
            "false for null, false, 0, empty text, the text \"false\" in any case, and empty arrays and \
             objects; else \
             true.",
        ],
        [
            r#"[bool("False"), bool("no"), bool([]), bool(0.5)]"#,
            "[false,true,false,true]",
        ],
        (1, 1),
        bool,
    ),
    Builtin::new(
        ["json", "json(x)", "The value as compact JSON."],
        [r#"json({"a": [1, null]})"#, r#""{\"a\":[1,null]}""#],
        (1, 1),
        json,
    ),
    Builtin::new(
        ["parse_json", "parse_json(text)", "The value a JSON text holds."],
        [r#"parse_json("[1, {\"a\": 2}]")[1].a"#, "2"],
        (1, 1),
        parse_json,
    ),
    Builtin::new(
        [
            "type",
            "type(x)",
            "\"null\", \"boolean\", \"number\", \"string\", \"array\" or \"object\".",
        ],
        ["type([])", r#""array""#],
        (1, 1),
        type_of,
    ),
];

fn str<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    if args.get(0).is_string() {
        return Ok(args.take(0));
    }
    let text = eval.text(args.get(0))?.into_owned();
    text_value(text)
}

fn int<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    match args.get(0) {
        Value::Bool(truth) => eval.int(i128::from(*truth)),
        Value::String(text) => {
            eval.reading(text.len())?;
            match text.trim().parse::<i64>() {
                Ok(int) => eval.int(i128::from(int)),
                Err(_) => Err(args.bad(eval, format!("{:?} is not an integer of 64 bits", excerpt(text)))),
            }
        }
        value => match Num::of(value) {
            Some(Num::Int(int)) => eval.int(int),
            Some(Num::Float(float)) => whole(eval, float.trunc()),
            None => Err(args.type_error(eval, 0, "a number, a string or a boolean")),
        },
    }
}

fn float<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    match args.get(0) {
        Value::Bool(truth) => eval.float(f64::from(u8::from(*truth))),
        Value::String(text) => {
            eval.reading(text.len())?;
            // "inf" and "nan" parse, and are refused as not finite.
            match text.trim().parse::<f64>() {
                Ok(float) => eval.float(float),
                Err(_) => Err(args.bad(eval, format!("{:?} is not a number", excerpt(text)))),
            }
        }
        value => match Num::of(value) {
            Some(number) => eval.float(number.as_f64()),
            None => Err(args.type_error(eval, 0, "a number, a string or a boolean")),
        },
    }
}

fn bool<'a>(_: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    truth(match args.get(0) {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::String(text) => !text.is_empty() && !text.eq_ignore_ascii_case("false"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        number => Num::of(number).is_none_or(|number| number.as_f64() != 0.0),
    })
}

fn json<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = eval.json_text(args.get(0))?;
    text_value(text)
}

fn parse_json<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    eval.reading(text.len())?;
    // Every value but the first follows one of these, so this is at least what the text can expand to.
    // Growing arrays may hold twice what they need.
    let values = text
        .bytes()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{' | b':'))
        .count()
        + 1;
    eval.fuel(values / 8)?;
    eval.scratch(text.len().saturating_add(values.saturating_mul(2 * VALUE_BYTES)))?;
    // serde_json refuses more than 128 levels, so neither this nor the drop can exhaust the stack.
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            // For its nesting, too.
            eval.charge_copy(&value)?;
            Ok(Cow::Owned(value))
        }
        Err(error) => Err(args.bad(eval, format!("not JSON: {error}"))),
    }
}

fn type_of<'a>(_: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    text_value(match args.get(0) {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}
