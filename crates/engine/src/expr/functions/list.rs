//! Functions on arrays.

use std::borrow::Cow;

use serde_json::Value;

use super::text::characters;
use super::{Args, Builtin, Eval, MANY, Result, Takes, Val, array_value, span, truth};
use crate::expr::eval::NULL;
use crate::expr::meter::VALUE_BYTES;

/// Most items `range` gives.
const RANGE_ITEMS: usize = 10_000;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "len",
            "len(x)",
            "Elements of an array, keys of an object, or characters of a text.",
        ],
        [r#"len("grüße")"#, "5"],
        (1, 1),
        len,
    ),
    Builtin::new(
        [
            "map",
            "map(list, x => …)",
            "What the function gives for each element; `(x, i) => …` gets the index too.",
        ],
        [r#"map([{"n": 1}, {"n": 2}], (x, i) => x.n * 10 + i)"#, "[10,21]"],
        (2, 2),
        map,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "filter",
            "filter(list, x => …)",
            "The elements for which the function gives true.",
        ],
        ["filter([1, 2, 3, 4], x => x % 2 == 0)", "[2,4]"],
        (2, 2),
        filter,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "find",
            "find(list, x => …)",
            "The first element for which the function gives true, else null.",
        ],
        [r#"find([{"id": 1}, {"id": 2}], x => x.id == 2)"#, r#"{"id":2}"#],
        (2, 2),
        find,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "any",
            "any(list, x => …)",
            "Whether the function gives true for an element; false for an empty list.",
        ],
        ["any([1, 5, 9], x => x > 8)", "true"],
        (2, 2),
        any,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "all",
            "all(list, x => …)",
            "Whether the function gives true for every element; true for an empty list.",
        ],
        ["all([1, 5, 9], x => x > 8)", "false"],
        (2, 2),
        all,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "count",
            "count(list, [x => …])",
            "The number of elements, or of those for which the function gives true.",
        ],
        ["count([1, 5, 9], x => x > 4)", "2"],
        (1, 2),
        count,
    )
    .taking(Takes::LambdaOrNot),
    Builtin::new(
        [
            "first",
            "first(list)",
            "The first element, or null of an empty list.",
        ],
        ["first([7, 8])", "7"],
        (1, 1),
        first,
    ),
    Builtin::new(
        [
            "last",
            "last(list)",
            "The last element, or null of an empty list.",
        ],
        ["last([7, 8])", "8"],
        (1, 1),
        last,
    ),
    Builtin::new(
        ["reverse", "reverse(list)", "The elements from last to first."],
        ["reverse([1, 2, 3])", "[3,2,1]"],
        (1, 1),
        reverse,
    ),
    Builtin::new(
        [
            "slice",
            "slice(x, from, [to])",
            "Part of an array or text; `to` is not included, negatives count from the end.",
        ],
        ["slice([1, 2, 3, 4], 1, -1)", "[2,3]"],
        (2, 3),
        slice,
    ),
    Builtin::new(
        ["concat", "concat(list, …)", "The elements of all lists in one."],
        ["concat([1], [2, 3])", "[1,2,3]"],
        (1, MANY),
        concat,
    ),
    Builtin::new(
        [
            "flatten",
            "flatten(list)",
            "A list of lists as one list; elements that are no lists stay. One level.",
        ],
        ["flatten([[1, 2], [], 3, [[4]]])", "[1,2,3,[4]]"],
        (1, 1),
        flatten,
    ),
    Builtin::new(
        [
            "range",
            "range([start], end, [step])",
            "Integers from start (0) up to, not with, end; at most 10,000.",
        ],
        ["range(1, 8, 3)", "[1,4,7]"],
        (1, 3),
        range,
    ),
];

fn len<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let len = match args.get(0) {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::String(text) => {
            eval.reading(text.len())?;
            text.chars().count()
        }
        _ => return Err(args.type_error(eval, 0, "an array, an object or a string")),
    };
    Ok(Cow::Owned(Value::from(len)))
}

fn map<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let (items, lambda) = (args.items(eval, 0)?, args.lambda(eval)?);
    eval.reserve(items.len())?;
    let mut out = Vec::with_capacity(items.len());
    for (index, item) in items.enumerate() {
        let (result, _) = eval.apply(lambda, item, index)?;
        out.push(eval.own(result)?);
    }
    array_value(out)
}

fn filter<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let (items, lambda) = (args.items(eval, 0)?, args.lambda(eval)?);
    let mut out = Vec::new();
    for (index, item) in items.enumerate() {
        let (keep, item) = eval.apply(lambda, item, index)?;
        if eval.truth(&keep, "filter")? {
            eval.meter.scratch(VALUE_BYTES, eval.at)?;
            out.push(eval.own(item)?);
        }
    }
    array_value(out)
}

/// The first element for which the lambda gives `wanted`.
fn search<'a>(eval: &mut Eval<'a>, mut args: Args<'a>, wanted: bool) -> Result<Option<Val<'a>>> {
    let (name, lambda) = (args.name, args.lambda(eval)?);
    for (index, item) in args.items(eval, 0)?.enumerate() {
        let (test, item) = eval.apply(lambda, item, index)?;
        if eval.truth(&test, name)? == wanted {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn find<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    Ok(search(eval, args, true)?.unwrap_or(Cow::Borrowed(&NULL)))
}

fn any<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    truth(search(eval, args, true)?.is_some())
}

fn all<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    truth(search(eval, args, false)?.is_none())
}

fn count<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let items = args.items(eval, 0)?;
    let Some(lambda) = args.lambda else {
        return Ok(Cow::Owned(Value::from(items.len())));
    };
    let mut count = 0_u64;
    for (index, item) in items.enumerate() {
        let (test, _) = eval.apply(lambda, item, index)?;
        count += u64::from(eval.truth(&test, "count")?);
    }
    Ok(Cow::Owned(Value::from(count)))
}

fn first<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    Ok(args.items(eval, 0)?.next().unwrap_or(Cow::Borrowed(&NULL)))
}

fn last<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    Ok(match args.items(eval, 0)? {
        super::Items::Borrowed(mut items) => items.next_back().map_or(Cow::Borrowed(&NULL), Cow::Borrowed),
        super::Items::Owned(mut items) => items.next_back().map_or(Cow::Borrowed(&NULL), Cow::Owned),
    })
}

fn reverse<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let items = args.items(eval, 0)?;
    let mut out = gather(eval, items)?;
    out.reverse();
    array_value(out)
}

/// Elements as a new array.
fn gather<'a>(eval: &mut Eval<'a>, items: impl ExactSizeIterator<Item = Val<'a>>) -> Result<Vec<Value>> {
    eval.fuel(items.len())?;
    eval.reserve(items.len())?;
    let mut out = Vec::with_capacity(items.len());
    for item in items {
        out.push(eval.own(item)?);
    }
    Ok(out)
}

fn slice<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let from = args.int(eval, 1)?;
    let to = if args.has(2) {
        Some(args.int(eval, 2)?)
    } else {
        None
    };
    if let Value::String(text) = args.get(0) {
        eval.reading(text.len())?;
        let range = span(from, to, text.chars().count());
        return characters(eval, text, range);
    }
    if !args.get(0).is_array() {
        return Err(args.type_error(eval, 0, "an array or a string"));
    }
    let items = args.items(eval, 0)?;
    let range = span(from, to, items.len());
    let part = gather(eval, items.skip(range.start).take(range.len()))?;
    array_value(part)
}

fn concat<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut out = Vec::new();
    for index in 0..args.values.len() {
        let items = args.items(eval, index)?;
        out.append(&mut gather(eval, items)?);
    }
    array_value(out)
}

fn flatten<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut out = Vec::new();
    for item in args.items(eval, 0)? {
        let mut part = match item {
            Cow::Borrowed(Value::Array(items)) => gather(eval, items.iter().map(Cow::Borrowed))?,
            Cow::Owned(Value::Array(items)) => gather(eval, items.into_iter().map(Cow::Owned))?,
            other => gather(eval, std::iter::once(other))?,
        };
        eval.fuel(1)?;
        out.append(&mut part);
    }
    array_value(out)
}

fn range<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (start, end) = match args.values.len() {
        1 => (0, args.int(eval, 0)?),
        _ => (args.int(eval, 0)?, args.int(eval, 1)?),
    };
    let step = if args.has(2) { args.int(eval, 2)? } else { 1 };
    if step == 0 {
        return Err(args.bad(eval, "the step is 0"));
    }
    let (start, end, step) = (i128::from(start), i128::from(end), i128::from(step));
    // Rounded up: a last step that is cut short still starts inside.
    let distance = (end - start) * step.signum();
    let count = (distance + step.abs() - 1).max(0) / step.abs();
    let count = usize::try_from(count).ok().filter(|count| *count <= RANGE_ITEMS);
    let Some(count) = count else {
        return Err(args.bad(eval, format!("it gives at most {RANGE_ITEMS} items")));
    };
    eval.fuel(count)?;
    eval.reserve(count)?;
    let items = (0..count as i128).map(|i| Value::from(i64::try_from(start + i * step).unwrap_or_default()));
    array_value(items.collect())
}
