//! The listed set of functions: their documentation, their arity and how their arguments are read.

mod convert;
mod encode;
mod group;
mod list;
mod number;
mod object;
mod text;
mod time;
mod words;

use std::borrow::Cow;
use std::sync::OnceLock;

use serde::Serialize;
use serde_json::{Map, Value};

use super::ast::Lambda;
use super::eval::{Eval, NULL, Val, take};
use super::ops::{Num, kind};
use super::{ExprErrorCode, Result};

/// What a person, or a model, is told about a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FunctionDoc {
    /// The name it is called by.
    pub name: &'static str,
    /// The name with its parameters; those in `[]` may be left out, `…` may repeat.
    pub signature: &'static str,
    /// What it gives and when it fails.
    pub description: &'static str,
    /// An expression that needs nothing from its scope but the clock.
    pub example: &'static str,
    /// The example's value as JSON, with the clock at `2026-01-02T03:04:05Z`.
    pub result: &'static str,
}

/// Every function, in the order of the documentation.
pub fn functions() -> &'static [FunctionDoc] {
    static DOCS: OnceLock<Vec<FunctionDoc>> = OnceLock::new();
    DOCS.get_or_init(|| all().map(|builtin| builtin.doc).collect())
}

/// What may stand as the second argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Values,
    Lambda,
    LambdaOrNot,
}

/// The code of a function.
pub(super) type Run = for<'a> fn(&mut Eval<'a>, Args<'a>) -> Result<Val<'a>>;

/// A function and what a call must look like.
#[derive(Debug)]
pub(super) struct Builtin {
    pub doc: FunctionDoc,
    pub takes: Takes,
    /// Fewest and most arguments, lambda included.
    pub min: usize,
    pub max: usize,
    pub run: Run,
}

/// Any number of arguments.
const MANY: usize = usize::MAX;

impl Builtin {
    const fn new(
        signature: [&'static str; 3],
        example: [&'static str; 2],
        count: (usize, usize),
        run: Run,
    ) -> Self {
        let [name, signature, description] = signature;
        let [example, result] = example;
        let doc = FunctionDoc {
            name,
            signature,
            description,
            example,
            result,
        };
        Self {
            doc,
            takes: Takes::Values,
            min: count.0,
            max: count.1,
            run,
        }
    }

    const fn taking(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    /// Why a call with `count` arguments, a lambda among them or not, is wrong.
    pub fn wrong_call(&self, count: usize, has_lambda: bool) -> Option<String> {
        let name = self.doc.name;
        if count < self.min || count > self.max {
            return Some(self.wrong_count(count));
        }
        match self.takes {
            Takes::Lambda if !has_lambda => Some(format!(
                "{name}: the 2nd argument must be a function such as `x => x.name`"
            )),
            Takes::LambdaOrNot if !has_lambda && count > 1 => Some(format!(
                "{name}: the 2nd argument, if any, must be a function such as `x => x.name`"
            )),
            _ => None,
        }
    }

    fn wrong_count(&self, count: usize) -> String {
        let wanted = match (self.min, self.max) {
            (1, 1) => "1 argument".to_owned(),
            (min, max) if min == max => format!("{min} arguments"),
            (min, MANY) => format!("at least {min} arguments"),
            (min, max) => format!("{min} to {max} arguments"),
        };
        format!(
            "{} takes {wanted}, not {count}: {}",
            self.doc.name, self.doc.signature
        )
    }
}

fn all() -> impl Iterator<Item = &'static Builtin> {
    let parts: [&'static [Builtin]; 9] = [
        text::TABLE,
        words::TABLE,
        list::TABLE,
        group::TABLE,
        object::TABLE,
        number::TABLE,
        convert::TABLE,
        time::TABLE,
        encode::TABLE,
    ];
    parts.into_iter().flatten()
}

/// The function of that name.
pub(super) fn lookup(name: &str) -> Option<&'static Builtin> {
    all().find(|builtin| builtin.doc.name == name)
}

/// Names from other languages, in lower case, and what they are called here.
const ALIASES: &[(&str, &str)] = &[
    ("length", "len(x)"),
    ("size", "len(x)"),
    ("tolower", "lower(x)"),
    ("tolowercase", "lower(x)"),
    ("toupper", "upper(x)"),
    ("touppercase", "upper(x)"),
    ("tostring", "str(x)"),
    ("string", "str(x)"),
    ("parseint", "int(x)"),
    ("tonumber", "float(x)"),
    ("number", "float(x)"),
    ("boolean", "bool(x)"),
    ("stringify", "json(x)"),
    ("tojson", "json(x)"),
    ("fromjson", "parse_json(x)"),
    ("typeof", "type(x)"),
    ("includes", "contains(x, y)"),
    ("substring", "slice(x, from, to)"),
    ("some", "any(list, x => …)"),
    ("every", "all(list, x => …)"),
    ("distinct", "unique(list)"),
    ("if", "condition ? a : b"),
    ("sha", "sha256(x)"),
    ("encodeuricomponent", "url_encode(x)"),
];

/// The message for a function that does not exist.
pub(super) fn unknown(name: &str) -> String {
    let plain: String = name
        .chars()
        .take(64)
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect();
    let alias = |wanted: &str| {
        ALIASES
            .iter()
            .find(|(alias, _)| *alias == wanted)
            .map(|(_, ours)| *ours)
    };
    let near = alias(&plain)
        .or_else(|| nearest(name, all().map(|builtin| builtin.doc.name)))
        .or_else(|| nearest(&plain, ALIASES.iter().map(|(alias, _)| *alias)).and_then(alias));
    let hint = near
        .map(|near| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!("there is no function `{}`{hint}", excerpt(name))
}

/// A name short enough for a message.
pub(super) fn excerpt(name: &str) -> String {
    const CHARS: usize = 60;
    match name.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or("")),
        None => name.to_owned(),
    }
}

/// The candidate that is most like `name`, if one is at most two edits away, letter case aside.
pub(super) fn nearest<'n>(name: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const LONGEST: usize = 40;
    if name.len() > LONGEST {
        return None;
    }
    let allowed = if name.chars().count() <= 3 { 1 } else { 2 };
    candidates
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (edits(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance (1966), one row at a time.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = *cell;
            left = change.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The evaluated arguments of one call.
pub(super) struct Args<'a> {
    /// The function's name, for messages.
    pub name: &'static str,
    /// Without the lambda.
    pub values: Vec<Val<'a>>,
    pub lambda: Option<&'a Lambda>,
}

/// Elements of an array, borrowed or owned as the array was.
pub(super) enum Items<'a> {
    Borrowed(std::slice::Iter<'a, Value>),
    Owned(std::vec::IntoIter<Value>),
}

impl<'a> Iterator for Items<'a> {
    type Item = Val<'a>;

    fn next(&mut self) -> Option<Val<'a>> {
        match self {
            Items::Borrowed(iter) => iter.next().map(Cow::Borrowed),
            Items::Owned(iter) => iter.next().map(Cow::Owned),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Items::Borrowed(iter) => iter.size_hint(),
            Items::Owned(iter) => iter.size_hint(),
        }
    }
}

impl ExactSizeIterator for Items<'_> {}

impl<'a> Args<'a> {
    /// The argument at `index`, or null.
    fn get(&self, index: usize) -> &Value {
        self.values.get(index).map_or(&NULL, |value| &**value)
    }

    fn has(&self, index: usize) -> bool {
        index < self.values.len()
    }

    /// Moves an argument out, leaving null.
    fn take(&mut self, index: usize) -> Val<'a> {
        take(self.values.get_mut(index))
    }

    fn type_error(&self, eval: &Eval<'a>, index: usize, wanted: &str) -> super::ExprError {
        let place = match index {
            0 => "1st".to_owned(),
            1 => "2nd".to_owned(),
            2 => "3rd".to_owned(),
            _ => format!("{}th", index + 1),
        };
        let found = kind(self.get(index));
        eval.error(
            ExprErrorCode::Type,
            format!(
                "{}: the {place} argument must be {wanted}, not {found}",
                self.name
            ),
        )
    }

    /// An error about a value that makes no sense.
    fn bad(&self, eval: &Eval<'a>, why: impl AsRef<str>) -> super::ExprError {
        eval.error(
            ExprErrorCode::Argument,
            format!("{}: {}", self.name, why.as_ref()),
        )
    }

    fn str(&self, eval: &Eval<'a>, index: usize) -> Result<&str> {
        match self.get(index) {
            Value::String(text) => Ok(text),
            _ => Err(self.type_error(eval, index, "a string")),
        }
    }

    fn num(&self, eval: &Eval<'a>, index: usize) -> Result<Num> {
        Num::of(self.get(index)).ok_or_else(|| self.type_error(eval, index, "a number"))
    }

    fn int(&self, eval: &Eval<'a>, index: usize) -> Result<i64> {
        self.get(index)
            .as_i64()
            .ok_or_else(|| self.type_error(eval, index, "an integer"))
    }

    fn map(&self, eval: &Eval<'a>, index: usize) -> Result<&Map<String, Value>> {
        match self.get(index) {
            Value::Object(map) => Ok(map),
            _ => Err(self.type_error(eval, index, "an object")),
        }
    }

    fn array(&self, eval: &Eval<'a>, index: usize) -> Result<&[Value]> {
        match self.get(index) {
            Value::Array(items) => Ok(items),
            _ => Err(self.type_error(eval, index, "an array")),
        }
    }

    /// Takes an array apart.
    fn items(&mut self, eval: &Eval<'a>, index: usize) -> Result<Items<'a>> {
        self.array(eval, index)?;
        Ok(match self.take(index) {
            Cow::Borrowed(Value::Array(items)) => Items::Borrowed(items.iter()),
            Cow::Owned(Value::Array(items)) => Items::Owned(items.into_iter()),
            _ => Items::Owned(Vec::new().into_iter()),
        })
    }

    /// The lambda of a function that must have one; the parser has checked it.
    fn lambda(&self, eval: &Eval<'a>) -> Result<&'a Lambda> {
        self.lambda
            .ok_or_else(|| self.bad(eval, "it needs a function such as `x => x.name`"))
    }
}

/// A boolean result.
fn truth<'a>(truth: bool) -> Result<Val<'a>> {
    Ok(Cow::Owned(Value::Bool(truth)))
}

/// A text result.
fn text_value<'a>(text: impl Into<String>) -> Result<Val<'a>> {
    Ok(Cow::Owned(Value::String(text.into())))
}

/// An array result.
fn array_value<'a>(items: Vec<Value>) -> Result<Val<'a>> {
    Ok(Cow::Owned(Value::Array(items)))
}

/// The span that `from` and `to` mean in something of `len` items; negative ones count from the end, both are
/// clamped.
fn span(from: i64, to: Option<i64>, len: usize) -> std::ops::Range<usize> {
    let place = |index: i64| match usize::try_from(index) {
        Ok(index) => index.min(len),
        Err(_) => len.saturating_sub(usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX)),
    };
    let start = place(from);
    start..to.map_or(len, place).max(start)
}
