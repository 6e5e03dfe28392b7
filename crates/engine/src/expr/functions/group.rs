//! Functions that order, group and sum up arrays.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Args, Builtin, Eval, Result, Takes, Val, array_value};
use crate::expr::eval::NULL;
use crate::expr::meter::VALUE_BYTES;
use crate::expr::ops::{Num, kind};

/// Comparisons of two ranks for one step of fuel.
const COMPARISONS_PER_STEP: usize = 8;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "sort",
            "sort(list, [order])",
            "The elements in order (\"asc\" or \"desc\"): all numbers, all strings or all booleans; nulls \
             come last.",
        ],
        ["sort([3, null, 1, 2.5])", "[1,2.5,3,null]"],
        (1, 2),
        sort,
    ),
    Builtin::new(
        [
            "sort_by",
            "sort_by(list, x => …, [order])",
            "The elements in the order (\"asc\" or \"desc\") of what the function gives. Equal ones keep \
             their order.",
        ],
        [
            r#"sort_by([{"n": 2}, {"n": 1}], x => x.n)"#,
            r#"[{"n":1},{"n":2}]"#,
        ],
        (2, 3),
        sort,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "group_by",
            "group_by(list, x => …)",
            "A list of {key, items}, one for each different value the function gives, in the order they \
             appear.",
        ],
        [
            "group_by([1, 2, 3], x => x % 2)",
            r#"[{"items":[1,3],"key":1},{"items":[2],"key":0}]"#,
        ],
        (2, 2),
        group_by,
    )
    .taking(Takes::Lambda),
    Builtin::new(
        [
            "unique",
            "unique(list, [x => …])",
            "The elements without those equal, in whole or by the \
         function, to an earlier one.",
        ],
        [
            r#"unique([1, 1.0, "a", {"b": 1}, {"b": 1}])"#,
            r#"[1,"a",{"b":1}]"#,
        ],
        (1, 2),
        unique,
    )
    .taking(Takes::LambdaOrNot),
    Builtin::new(
        [
            "sum",
            "sum(list, [x => …])",
            "The sum of numbers, or of what the function gives; 0 of an empty \
         list.",
        ],
        ["sum([1, 2, 3.5])", "6.5"],
        (1, 2),
        sum,
    )
    .taking(Takes::LambdaOrNot),
    Builtin::new(
        [
            "min",
            "min(list, [x => …])",
            "The smallest element, or the one with the smallest value; null of \
         an empty list.",
        ],
        ["min([3, 1, 2])", "1"],
        (1, 2),
        min,
    )
    .taking(Takes::LambdaOrNot),
    Builtin::new(
        [
            "max",
            "max(list, [x => …])",
            "The largest element, or the one with the largest value; null of \
         an empty list.",
        ],
        [r#"max([{"n": 1}, {"n": 5}], x => x.n)"#, r#"{"n":5}"#],
        (1, 2),
        max,
    )
    .taking(Takes::LambdaOrNot),
];

/// What elements are ordered by. Nulls are last.
#[derive(Debug)]
enum Rank<'a> {
    Bool(bool),
    Number(Num),
    Text(Cow<'a, str>),
    Null,
}

impl Rank<'_> {
    fn order(&self, other: &Rank) -> Ordering {
        match (self, other) {
            (Rank::Bool(a), Rank::Bool(b)) => a.cmp(b),
            (Rank::Number(a), Rank::Number(b)) => a.order(*b),
            (Rank::Text(a), Rank::Text(b)) => a.cmp(b),
            // The kinds are the same, see `same_kind`; only nulls are left.
            (Rank::Null, Rank::Null) => Ordering::Equal,
            (Rank::Null, _) => Ordering::Greater,
            (_, Rank::Null) => Ordering::Less,
            _ => Ordering::Equal,
        }
    }

    fn same_kind(&self, other: &Rank) -> bool {
        matches!((self, other), (Rank::Null, _) | (_, Rank::Null))
            || std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn text_len(&self) -> usize {
        if let Rank::Text(text) = self {
            text.len()
        } else {
            0
        }
    }
}

/// The key of an element: what the lambda gives, or the element. The element comes back with it.
fn keyed<'a>(
    eval: &mut Eval<'a>,
    args: &Args<'a>,
    item: Val<'a>,
    index: usize,
) -> Result<(Option<Val<'a>>, Val<'a>)> {
    match args.lambda {
        Some(lambda) => eval
            .apply(lambda, item, index)
            .map(|(key, item)| (Some(key), item)),
        None => {
            eval.fuel(1)?;
            Ok((None, item))
        }
    }
}

fn rank<'a>(eval: &mut Eval<'a>, args: &Args<'a>, key: Option<Val<'a>>, item: &Val<'a>) -> Result<Rank<'a>> {
    // An owned element that is its own key is copied: rank and element are kept side by side.
    let key = match (key, item) {
        (Some(key), _) => key,
        (None, Cow::Borrowed(item)) => Cow::Borrowed(*item),
        (None, Cow::Owned(item)) => {
            eval.charge_copy(item)?;
            Cow::Owned(item.clone())
        }
    };
    Ok(match key {
        Cow::Borrowed(Value::String(text)) => Rank::Text(Cow::Borrowed(text)),
        Cow::Owned(Value::String(text)) => Rank::Text(Cow::Owned(text)),
        key => match &*key {
            Value::Null => Rank::Null,
            Value::Bool(truth) => Rank::Bool(*truth),
            other => match Num::of(other) {
                Some(number) => Rank::Number(number),
                None => return Err(args.bad(eval, format!("{} has no order", kind(other)))),
            },
        },
    })
}

/// Ranks and elements, all of one kind.
fn ranked<'a>(eval: &mut Eval<'a>, args: &mut Args<'a>) -> Result<Vec<(Rank<'a>, Val<'a>)>> {
    let items = args.items(eval, 0)?;
    eval.reserve(items.len().saturating_mul(2))?;
    let mut out: Vec<(Rank, Val)> = Vec::with_capacity(items.len());
    // The place of the first rank that is not null decides the kind.
    let mut sample: Option<usize> = None;
    for (index, item) in items.enumerate() {
        let (key, item) = keyed(eval, args, item, index)?;
        let rank = rank(eval, args, key, &item)?;
        let first = sample.and_then(|at| out.get(at));
        if first.is_some_and(|(first, _)| !first.same_kind(&rank)) {
            return Err(args.bad(
                eval,
                "what is compared must be all numbers, all strings or all booleans",
            ));
        }
        if sample.is_none() && !matches!(rank, Rank::Null) {
            sample = Some(index);
        }
        out.push((rank, item));
    }
    Ok(out)
}

fn sort<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let descending = match args.get(1) {
        Value::Null if !args.has(1) => false,
        Value::String(order) if order == "asc" => false,
        Value::String(order) if order == "desc" => true,
        _ => return Err(args.bad(eval, "the order is \"asc\" or \"desc\"")),
    };
    let mut ranked = ranked(eval, &mut args)?;
    // A merge sort compares at most n * log2(n) times; comparing texts reads at most the shorter one.
    let rounds = ranked.len().checked_ilog2().unwrap_or(0) as usize + 1;
    let texts: usize = ranked.iter().map(|(rank, _)| rank.text_len()).sum();
    eval.fuel(ranked.len().saturating_mul(rounds) / COMPARISONS_PER_STEP)?;
    eval.reading(texts.saturating_mul(rounds))?;
    ranked.sort_by(|(a, _), (b, _)| {
        let nulls = matches!(a, Rank::Null) || matches!(b, Rank::Null);
        if descending && !nulls {
            b.order(a)
        } else {
            a.order(b)
        }
    });
    let mut out = Vec::with_capacity(ranked.len());
    for (_, item) in ranked {
        out.push(eval.own(item)?);
    }
    array_value(out)
}

fn extreme<'a>(eval: &mut Eval<'a>, mut args: Args<'a>, wanted: Ordering) -> Result<Val<'a>> {
    let mut best: Option<(Rank, Val)> = None;
    for (rank, item) in ranked(eval, &mut args)? {
        if matches!(rank, Rank::Null) {
            continue;
        }
        eval.reading(rank.text_len())?;
        if best.as_ref().is_none_or(|(best, _)| rank.order(best) == wanted) {
            best = Some((rank, item));
        }
    }
    Ok(best.map_or(Cow::Borrowed(&NULL), |(_, item)| item))
}

fn min<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    extreme(eval, args, Ordering::Less)
}

fn max<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    extreme(eval, args, Ordering::Greater)
}

fn sum<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut total = Num::Int(0);
    for (index, item) in args.items(eval, 0)?.enumerate() {
        let (key, item) = keyed(eval, &args, item, index)?;
        let value = key.unwrap_or(item);
        let Some(number) = Num::of(&value) else {
            return Err(args.bad(
                eval,
                format!("it adds numbers, and one value is {}", kind(&value)),
            ));
        };
        let next = eval.add_numbers(total, number)?;
        total = Num::of(&next).unwrap_or(total);
    }
    eval.number(total)
}

fn group_by<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (index, item) in args.items(eval, 0)?.enumerate() {
        let (key, item) = keyed(eval, &args, item, index)?;
        let key = key.unwrap_or(Cow::Borrowed(&NULL));
        let place = *places.entry(canonical(eval, &key)?).or_insert(groups.len());
        if place == groups.len() {
            // An object with two keys and an array.
            eval.reserve(8)?;
            groups.push((eval.own(key)?, Vec::new()));
        }
        eval.meter.scratch(VALUE_BYTES, eval.at)?;
        let item = eval.own(item)?;
        if let Some((_, items)) = groups.get_mut(place) {
            items.push(item);
        }
    }
    let object = |(key, items)| {
        let fields = [("key".to_owned(), key), ("items".to_owned(), Value::Array(items))];
        Value::Object(Map::from_iter(fields))
    };
    array_value(groups.into_iter().map(object).collect())
}

fn unique<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    for (index, item) in args.items(eval, 0)?.enumerate() {
        let (key, item) = keyed(eval, &args, item, index)?;
        let text = canonical(eval, key.as_deref().unwrap_or(&item))?;
        if seen.insert(text) {
            eval.meter.scratch(VALUE_BYTES, eval.at)?;
            out.push(eval.own(item)?);
        }
    }
    array_value(out)
}

/// A text that is the same for equal values and differs for others. Charged before it is written.
fn canonical(eval: &mut Eval<'_>, value: &Value) -> Result<String> {
    let size = eval.charge_copy(value)?;
    // Keeping it in a set compares it a few times.
    eval.reading(size.bytes.saturating_mul(4))?;
    eval.fuel(size.values)?;
    let mut out = String::new();
    write_canonical(value, &mut out);
    Ok(out)
}

/// Recurses as deep as the value, which `charge_copy` has bounded.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => match Num::of(value) {
            // A whole float equals its integer. Beyond 2^64 no JSON integer can, and its own text will do.
            Some(Num::Float(float)) if float.fract() == 0.0 && float.abs() < 2_f64.powi(65) => {
                out.push_str(&(float as i128).to_string());
            }
            _ => out.push_str(&number.to_string()),
        },
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for key in keys {
                out.push_str(&format!("{key:?}:"));
                write_canonical(map.get(key).unwrap_or(&NULL), out);
                out.push(',');
            }
            out.push('}');
        }
        Value::String(text) => out.push_str(&format!("{text:?}")),
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
    }
}
