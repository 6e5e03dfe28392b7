//! Functions on objects.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Args, Builtin, Eval, MANY, Result, Val, array_value, truth};
use crate::expr::ExprErrorCode;
use crate::expr::eval::NULL;
use crate::expr::meter::VALUE_BYTES;
use crate::expr::path::position;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        ["keys", "keys(object)", "The keys, sorted."],
        [r#"keys({"b": 1, "a": 2})"#, r#"["a","b"]"#],
        (1, 1),
        keys,
    ),
    Builtin::new(
        ["values", "values(object)", "The values, sorted by their keys."],
        [r#"values({"b": 1, "a": 2})"#, "[2,1]"],
        (1, 1),
        values,
    ),
    Builtin::new(
        [
            "entries",
            "entries(object)",
            "A list of {key, value}, sorted by key.",
        ],
        [r#"entries({"a": 1})"#, r#"[{"key":"a","value":1}]"#],
        (1, 1),
        entries,
    ),
    Builtin::new(
        [
            "from_entries",
            "from_entries(list)",
            "An object from a list of {key, value}; the last of equal keys stays.",
        ],
        [r#"from_entries([{"key": "a", "value": 1}])"#, r#"{"a":1}"#],
        (1, 1),
        from_entries,
    ),
    Builtin::new(
        [
            "has",
            "has(x, key)",
            "Whether an object has the key, or an array the index; false for null.",
        ],
        [r#"has({"a": null}, "a")"#, "true"],
        (2, 2),
        has,
    ),
    Builtin::new(
        [
            "get",
            "get(x, path, [default])",
            "What stands at a path such as \"a.b.0\", or a list of keys and indexes; the default (null) \
             if a part of \
             it is missing.",
        ],
        [r#"get({"a": {"b": [7]}}, "a.b.0", "none")"#, "7"],
        (2, 3),
        get,
    ),
    Builtin::new(
        [
            "merge",
            "merge(object, …)",
            "One object with the keys of all; of equal keys the last stays. Not deep.",
        ],
        [r#"merge({"a": 1, "b": 1}, {"b": 2})"#, r#"{"a":1,"b":2}"#],
        (1, MANY),
        merge,
    ),
    Builtin::new(
        [
            "pick",
            "pick(object, keys)",
            "The object with these keys only; keys it does not have are ignored.",
        ],
        [r#"pick({"a": 1, "b": 2}, ["a", "z"])"#, r#"{"a":1}"#],
        (2, 2),
        pick,
    ),
    Builtin::new(
        ["omit", "omit(object, keys)", "The object without these keys."],
        [r#"omit({"a": 1, "b": 2}, ["a"])"#, r#"{"b":2}"#],
        (2, 2),
        omit,
    ),
    Builtin::new(
        [
            "default",
            "default(x, other)",
            "The other value if x is null, or a path whose last step is missing; the same as `x ?? other`.",
        ],
        [r#"default({"a": 1}.b, "none")"#, r#""none""#],
        (2, 2),
        desugared,
    ),
    Builtin::new(
        [
            "coalesce",
            "coalesce(x, …)",
            "The first value that is there and not null, else the last; `x ?? y ?? …`.",
        ],
        ["coalesce(null, 2, 3)", "2"],
        (1, MANY),
        desugared,
    ),
];

/// The parser turns these calls into `??`.
fn desugared<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    Err(args.bad(eval, "it is evaluated as `??`"))
}

/// Charges a new entry beside its value.
fn charge_entry(eval: &mut Eval<'_>, key: &str) -> Result<()> {
    eval.fuel(1)?;
    eval.scratch(key.len().saturating_add(2 * VALUE_BYTES))
}

fn keys<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let map = args.map(eval, 0)?;
    for key in map.keys() {
        charge_entry(eval, key)?;
    }
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_unstable();
    array_value(keys.into_iter().cloned().map(Value::String).collect())
}

/// Entries with the key borrowed and the value borrowed or moved, sorted by key.
fn sorted<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Vec<(Cow<'a, str>, Val<'a>)>> {
    for key in args.map(eval, 0)?.keys() {
        charge_entry(eval, key)?;
    }
    let mut out: Vec<(Cow<'a, str>, Val<'a>)> = match args.take(0) {
        Cow::Borrowed(Value::Object(map)) => map
            .iter()
            .map(|(key, value)| (Cow::Borrowed(key.as_str()), Cow::Borrowed(value)))
            .collect(),
        Cow::Owned(Value::Object(map)) => map
            .into_iter()
            .map(|(key, value)| (Cow::Owned(key), Cow::Owned(value)))
            .collect(),
        _ => Vec::new(),
    };
    out.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(out)
}

fn values<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let mut out = Vec::new();
    for (_, value) in sorted(eval, args)? {
        out.push(eval.own(value)?);
    }
    array_value(out)
}

fn entries<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let mut out = Vec::new();
    for (key, value) in sorted(eval, args)? {
        eval.reserve(4)?;
        eval.scratch(key.len())?;
        let value = eval.own(value)?;
        let fields = [
            ("key".to_owned(), Value::String(key.into_owned())),
            ("value".to_owned(), value),
        ];
        out.push(Value::Object(Map::from_iter(fields)));
    }
    array_value(out)
}

fn from_entries<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut out = Map::new();
    for item in args.items(eval, 0)? {
        let (Some(Value::String(key)), Some(value)) = (item.get("key"), item.get("value")) else {
            return Err(args.bad(eval, "each element must be {key, value} with a string as key"));
        };
        charge_entry(eval, key)?;
        eval.charge_copy(value)?;
        out.insert(key.clone(), value.clone());
    }
    Ok(Cow::Owned(Value::Object(out)))
}

fn has<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    truth(match (args.get(0), args.get(1)) {
        (Value::Null, _) => false,
        (Value::Object(map), Value::String(key)) => map.contains_key(key),
        (Value::Array(items), Value::Number(index)) => index
            .as_i64()
            .and_then(|index| position(index, items.len()))
            .is_some_and(|at| at < items.len()),
        (Value::Object(_), _) => return Err(args.type_error(eval, 1, "a string")),
        (Value::Array(_), _) => return Err(args.type_error(eval, 1, "an integer")),
        _ => return Err(args.type_error(eval, 0, "an object or an array")),
    })
}

fn get<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let (value, path, default) = (args.take(0), args.take(1), args.take(2));
    let found = match &*path {
        Value::String(path) => {
            let keys = path.split('.').map(|key| (key, key.parse::<i64>().ok()));
            follow(eval, &value, keys)?
        }
        Value::Array(keys) => {
            if !keys.iter().all(|key| key.is_string() || key.is_i64()) {
                return Err(args.bad(eval, "the path holds something that is no key and no index"));
            }
            follow(
                eval,
                &value,
                keys.iter().map(|key| (key.as_str().unwrap_or(""), key.as_i64())),
            )?
        }
        _ => return Err(eval.error(ExprErrorCode::Type, "get: the path must be a string or an array")),
    };
    let Some(found) = found else { return Ok(default) };
    match &value {
        // Walk again from the borrowed value: what it holds lives long enough to be given.
        Cow::Borrowed(value) => Ok(match &*path {
            Value::String(path) => Cow::Borrowed(
                reach(value, path.split('.').map(|key| (key, key.parse().ok()))).unwrap_or(&NULL),
            ),
            Value::Array(keys) => {
                let keys = keys.iter().map(|key| (key.as_str().unwrap_or(""), key.as_i64()));
                Cow::Borrowed(reach(value, keys).unwrap_or(&NULL))
            }
            _ => default,
        }),
        Cow::Owned(_) => {
            eval.charge_copy(found)?;
            Ok(Cow::Owned(found.clone()))
        }
    }
}

/// `reach`, with its steps charged.
fn follow<'v, 'k>(
    eval: &mut Eval<'_>,
    value: &'v Value,
    keys: impl Iterator<Item = (&'k str, Option<i64>)> + Clone,
) -> Result<Option<&'v Value>> {
    for (key, _) in keys.clone() {
        eval.fuel(1)?;
        eval.reading(key.len())?;
    }
    Ok(reach(value, keys))
}

/// What stands at the end of the keys, each of which is a name and, where it can be one, an index.
fn reach<'v, 'k>(value: &'v Value, keys: impl Iterator<Item = (&'k str, Option<i64>)>) -> Option<&'v Value> {
    let mut current = value;
    for (name, index) in keys {
        current = match (current, index) {
            (Value::Object(map), _) => map.get(name)?,
            (Value::Array(items), Some(index)) => items.get(position(index, items.len())?)?,
            _ => return None,
        };
    }
    Some(current)
}

fn merge<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    for index in 0..args.values.len() {
        for key in args.map(eval, index)?.keys() {
            charge_entry(eval, key)?;
        }
    }
    let mut out = Map::new();
    for index in 0..args.values.len() {
        match args.take(index) {
            Cow::Borrowed(Value::Object(map)) => {
                for (key, value) in map {
                    eval.charge_copy(value)?;
                    out.insert(key.clone(), value.clone());
                }
            }
            Cow::Owned(Value::Object(map)) => out.extend(map),
            _ => {}
        }
    }
    Ok(Cow::Owned(Value::Object(out)))
}

/// The keys of the second argument, all strings.
fn key_list<'k>(eval: &mut Eval<'_>, name: &str, keys: &'k Value) -> Result<Vec<&'k str>> {
    let Value::Array(keys) = keys else {
        return Err(eval.error(
            ExprErrorCode::Type,
            format!("{name}: the keys must be an array of strings"),
        ));
    };
    eval.fuel(keys.len())?;
    eval.reserve(keys.len())?;
    let strings: Option<Vec<&str>> = keys.iter().map(Value::as_str).collect();
    strings.ok_or_else(|| eval.error(ExprErrorCode::Type, format!("{name}: the keys must be strings")))
}

fn pick<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let map = args.map(eval, 0)?;
    let mut out = Map::new();
    for key in key_list(eval, args.name, args.get(1))? {
        let Some(value) = map.get(key) else { continue };
        if out.contains_key(key) {
            continue;
        }
        charge_entry(eval, key)?;
        eval.charge_copy(value)?;
        out.insert(key.to_owned(), value.clone());
    }
    Ok(Cow::Owned(Value::Object(out)))
}

fn omit<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let map = args.map(eval, 0)?;
    let mut dropped = key_list(eval, args.name, args.get(1))?;
    dropped.sort_unstable();
    let mut out = Map::new();
    for (key, value) in map {
        eval.fuel(1)?;
        if dropped.binary_search(&key.as_str()).is_ok() {
            continue;
        }
        charge_entry(eval, key)?;
        eval.charge_copy(value)?;
        out.insert(key.clone(), value.clone());
    }
    Ok(Cow::Owned(Value::Object(out)))
}
