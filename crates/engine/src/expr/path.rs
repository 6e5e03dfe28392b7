//! Paths: four fifths of real use. Every step borrows; only a part of something made on the way is moved or
//! copied.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use super::ast::{Base, Path, Step, StepKey};
use super::eval::{Eval, NULL, Val};
use super::functions::{excerpt, nearest};
use super::ops::kind;
use super::{ExprError, ExprErrorCode, Result};

/// Keys of an object that are looked at for a suggestion.
const SUGGESTION_KEYS: usize = 64;

/// An evaluated key.
#[derive(Debug, Clone)]
enum Key<'k> {
    Name(Cow<'k, str>),
    Index(i64),
}

/// What stands under a key.
enum Child<'v> {
    Found(&'v Value),
    /// The key or index is not there.
    Missing,
    /// The value cannot have such a key.
    Wrong,
}

impl<'a> Eval<'a> {
    /// Walks a path. `forgive_end` (left of `??`) makes a missing last step null.
    pub fn path(&mut self, path: &'a Path, forgive_end: bool) -> Result<Val<'a>> {
        let mut computed = Vec::new();
        let Some((mut current, mut index)) = self.path_start(path, forgive_end, &mut computed)? else {
            return Ok(Cow::Borrowed(&NULL));
        };
        while let Some(step) = path.steps.get(index) {
            self.at = step.offset;
            self.fuel(1)?;
            if current.is_null() && step.optional {
                return Ok(Cow::Borrowed(&NULL));
            }
            let key = self.key(step, &mut computed)?;
            match child(&current, &key) {
                Child::Found(found) if step.optional && found.is_null() => return Ok(Cow::Borrowed(&NULL)),
                Child::Found(_) => current = descend(current, &key),
                Child::Missing if forgiven(path, index, forgive_end) => return Ok(Cow::Borrowed(&NULL)),
                _ => return Err(self.no_child(path, index, &computed, &current, &key)),
            }
            index += 1;
        }
        Ok(current)
    }

    /// The value a path starts from and the number of steps that are already taken; `None` when a forgiven
    /// step among those found nothing.
    fn path_start(
        &mut self,
        path: &'a Path,
        forgive_end: bool,
        computed: &mut Vec<Key<'a>>,
    ) -> Result<Option<(Val<'a>, usize)>> {
        match &path.base {
            Base::Root(_) if path.node_output => self.node_output(path, forgive_end, computed),
            Base::Root(name) => match self.root(name) {
                Some(value) => Ok(Some((Cow::Borrowed(value), 0))),
                None => {
                    let message = format!("there is no `{}` here", excerpt(name));
                    Err(self.error(ExprErrorCode::UnknownName, message))
                }
            },
            Base::Local(slot, _) => self.local(*slot, path, forgive_end),
            Base::Expr(node) => Ok(Some((self.eval(node)?, 0))),
        }
    }

    /// `nodes.<id>.output`, answered by the scope without building `nodes`.
    fn node_output(
        &mut self,
        path: &'a Path,
        forgive_end: bool,
        computed: &mut Vec<Key<'a>>,
    ) -> Result<Option<(Val<'a>, usize)>> {
        let [first, second, ..] = path.steps.as_slice() else {
            return Ok(None);
        };
        self.at = first.offset;
        self.fuel(2)?;
        let id = match self.key(first, computed)? {
            Key::Name(id) => id,
            Key::Index(_) => return Err(self.error(ExprErrorCode::Type, "the id of a node is a string")),
        };
        match self.scope.node_output(&id) {
            Some(value) if value.is_null() && second.optional => Ok(None),
            Some(value) => Ok(Some((Cow::Borrowed(value), 2))),
            None if first.optional || second.optional || forgiven(path, 1, forgive_end) => Ok(None),
            None => {
                let path = render(path, 1, computed);
                let message =
                    format!("{path}: the node has no output (it has not run, was skipped or does not exist)");
                Err(self.error(ExprErrorCode::Missing, message))
            }
        }
    }

    /// A lambda's parameter. Steps are followed inside a made element before anything is copied out of it.
    fn local(&mut self, slot: usize, path: &'a Path, forgive_end: bool) -> Result<Option<(Val<'a>, usize)>> {
        let element = match self.locals.get(slot) {
            Some(Cow::Owned(value)) => value,
            Some(Cow::Borrowed(value)) => return Ok(Some((Cow::Borrowed(*value), 0))),
            None => return Ok(Some((Cow::Borrowed(&NULL), 0))),
        };
        let (mut current, mut index) = (element, 0);
        while let Some(step) = path.steps.get(index) {
            if current.is_null() && step.optional {
                return Ok(None);
            }
            // A computed key needs the evaluator, so what it applies to is copied first.
            let Some(key) = fixed(step) else { break };
            match child(current, &key) {
                Child::Found(found) if step.optional && found.is_null() => return Ok(None),
                Child::Found(found) => current = found,
                Child::Missing if forgiven(path, index, forgive_end) => return Ok(None),
                // The caller meets the same fault and reports it.
                _ => break,
            }
            index += 1;
        }
        self.meter.fuel(index, self.at)?;
        self.meter.copying(current, self.at)?;
        Ok(Some((Cow::Owned(current.clone()), index)))
    }

    fn key(&mut self, step: &'a Step, computed: &mut Vec<Key<'a>>) -> Result<Key<'a>> {
        let StepKey::Computed(node) = &step.key else {
            return Ok(fixed(step).unwrap_or(Key::Index(0)));
        };
        let value = self.eval(node)?;
        let key = match value {
            Cow::Borrowed(Value::String(name)) => Key::Name(Cow::Borrowed(name)),
            Cow::Owned(Value::String(name)) => Key::Name(Cow::Owned(name)),
            value => match value.as_i64() {
                Some(index) => Key::Index(index),
                None => {
                    let message = format!(
                        "a key must be a string and an index an integer, not {}",
                        kind(&value)
                    );
                    return Err(self.error(ExprErrorCode::Type, message));
                }
            },
        };
        self.at = step.offset;
        if let Key::Name(name) = &key {
            self.scratch(name.len())?;
        }
        computed.push(key.clone());
        Ok(key)
    }

    /// The error for a step that cannot be taken, with the whole path up to it.
    fn no_child(&self, path: &Path, index: usize, computed: &[Key], current: &Value, key: &Key) -> ExprError {
        let shown = render(path, index, computed);
        let (code, why) = match (current, key) {
            (Value::Null, _) => {
                let before = match index.checked_sub(1) {
                    Some(previous) => render(path, previous, computed),
                    None => base_text(path),
                };
                (ExprErrorCode::Missing, format!("{before} is null"))
            }
            (Value::Object(map), Key::Name(name)) => {
                let keys = map.keys().take(SUGGESTION_KEYS).map(String::as_str);
                let hint = nearest(name, keys)
                    .map(|key| format!("; did you mean `{key}`?"))
                    .unwrap_or_default();
                (ExprErrorCode::Missing, format!("there is no such key{hint}"))
            }
            (Value::Array(items), Key::Index(at)) => {
                let end = if *at < 0 {
                    "before the start"
                } else {
                    "past the end"
                };
                let plural = if items.len() == 1 { "" } else { "s" };
                (
                    ExprErrorCode::Missing,
                    format!("index {at} is {end} ({} item{plural})", items.len()),
                )
            }
            (Value::Array(_) | Value::String(_), Key::Name(name)) if matches!(&**name, "length" | "size") => {
                (ExprErrorCode::Type, "use len(x) for the length".to_owned())
            }
            (Value::Array(_), Key::Name(_)) => (
                ExprErrorCode::Type,
                "an array has no keys, use an index or map(list, x => …)".to_owned(),
            ),
            (Value::Object(_), Key::Index(_)) => {
                (ExprErrorCode::Type, "keys of an object are strings".to_owned())
            }
            (other, _) => (ExprErrorCode::Type, format!("{} has no keys", kind(other))),
        };
        self.error(code, format!("{shown}: {why}"))
    }
}

/// Whether a missing key at `index` gives null: by its own `?`, by the next one, or by `??` behind the last
/// step.
fn forgiven(path: &Path, index: usize, forgive_end: bool) -> bool {
    let own = path.steps.get(index).is_some_and(|step| step.optional);
    own || path
        .steps
        .get(index + 1)
        .map_or(forgive_end, |next| next.optional)
}

/// The key of a step that is written out.
fn fixed(step: &Step) -> Option<Key<'_>> {
    match &step.key {
        StepKey::Name(name) => Some(Key::Name(Cow::Borrowed(name))),
        StepKey::Index(index) => Some(Key::Index(*index)),
        StepKey::Computed(_) => None,
    }
}

fn child<'v>(value: &'v Value, key: &Key) -> Child<'v> {
    let found = match (value, key) {
        (Value::Object(map), Key::Name(name)) => map.get(&**name),
        (Value::Array(items), Key::Index(index)) => {
            position(*index, items.len()).and_then(|at| items.get(at))
        }
        _ => return Child::Wrong,
    };
    found.map_or(Child::Missing, Child::Found)
}

/// The child that `child` has found; a part of an owned value is moved out of it.
fn descend<'a>(value: Val<'a>, key: &Key) -> Val<'a> {
    match value {
        Cow::Borrowed(value) => match child(value, key) {
            Child::Found(found) => Cow::Borrowed(found),
            _ => Cow::Borrowed(&NULL),
        },
        Cow::Owned(mut value) => {
            let found = match (&mut value, key) {
                (Value::Object(map), Key::Name(name)) => map.get_mut(&**name),
                (Value::Array(items), Key::Index(index)) => {
                    position(*index, items.len()).and_then(|at| items.get_mut(at))
                }
                _ => None,
            };
            Cow::Owned(found.map_or(Value::Null, Value::take))
        }
    }
}

/// The place in an array that an index means; a negative one counts from the end.
pub(super) fn position(index: i64, len: usize) -> Option<usize> {
    match usize::try_from(index) {
        Ok(index) => Some(index),
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?),
    }
}

fn base_text(path: &Path) -> String {
    match &path.base {
        Base::Root(name) | Base::Local(_, name) => excerpt(name),
        Base::Expr(node) => match &node.kind {
            super::ast::Kind::Call(call) => format!("{}(…)", call.builtin.doc.name),
            _ => "(…)".to_owned(),
        },
    }
}

/// A path as it is written, up to and with step `last`, with computed keys as they came out.
fn render(path: &Path, last: usize, computed: &[Key]) -> String {
    let mut out = base_text(path);
    let mut computed = computed.iter();
    for step in path.steps.iter().take(last.saturating_add(1)) {
        let key = fixed(step).or_else(|| computed.next().cloned());
        // Writing to a string cannot fail.
        let _ = match key {
            Some(Key::Name(name)) if is_plain(&name) => write!(out, ".{}", excerpt(&name)),
            Some(Key::Name(name)) => write!(out, "[{:?}]", excerpt(&name)),
            Some(Key::Index(index)) => write!(out, "[{index}]"),
            None => write!(out, "[…]"),
        };
    }
    out
}

fn is_plain(name: &str) -> bool {
    name.starts_with(super::lexer::starts_name) && name.chars().all(super::lexer::continues_name)
}
