//! The engine's own expression language: what stands inside `{{ … }}` in a workflow's configuration.
//!
//! An expression reads JSON values through a [`Scope`] and gives one JSON value. It has no loops of its own,
//! no assignment, no clock, no randomness and no way to reach anything but its scope, so evaluating the same
//! source over the same scope always gives the same value. Every evaluation is bounded by [`Limits`].
//!
//! Rules a reader needs:
//! - Operators, weakest first: `?:`, `??`, `||`, `&&`, `== !=`, `< <= > >= in`, `+ -`, `* / %`, unary `! -`.
//! - Only booleans are true or false; `bool(x)` converts.
//! - A missing key, an index past the end and any access on null are errors that name the whole path. A `?.`
//!   or `?[` step, and `??` (also written `default`, `coalesce`), forgive the step *directly before* them
//!   being missing or null; a `?` step also forgives its own key. Once a `?` step has found nothing, the rest
//!   of the path is null.
//! - `?[` is an optional index only when nothing separates it from what stands before; `c ? [1] : [2]` is a
//!   choice.
//! - Keys of a path are evaluated from left to right, and those behind a `?` step that found nothing are not.
//! - Integers are exact 64-bit numbers and overflow is an error; an integer with a float gives a float.

mod ast;
mod eval;
mod functions;
mod lexer;
mod meter;
mod ops;
mod parser;
mod path;
mod template;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_hostile;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

pub use functions::{FunctionDoc, functions};
pub use template::{Template, TemplateError};

/// Longest source of one expression, in bytes. It is checked before anything is read.
pub const MAX_SOURCE_BYTES: usize = 8 * 1024;
/// Tallest syntax tree, in nodes from the root to a leaf. It bounds the stack of parser, evaluator and drop.
pub const MAX_AST_DEPTH: usize = 64;
/// Most levels of arrays and objects a caller's [`Limits::nesting`] can ask for. It bounds the stack of a
/// copy.
pub const MAX_NESTING: usize = 128;
/// Default of [`Limits::fuel`], in steps.
pub const DEFAULT_FUEL: u64 = 100_000;
/// Default of [`Limits::output_bytes`], in bytes of JSON.
pub const DEFAULT_OUTPUT_BYTES: usize = 1024 * 1024;
/// Default of [`Limits::scratch_bytes`], in bytes.
pub const DEFAULT_SCRATCH_BYTES: usize = 8 * 1024 * 1024;
/// Default of [`Limits::nesting`], in levels.
pub const DEFAULT_NESTING: usize = 64;

pub(super) type Result<T> = std::result::Result<T, ExprError>;

/// What one evaluation may use. [`Default`] gives the `DEFAULT_*` and `MAX_*` constants of this module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest source of one expression, in bytes; values above [`MAX_SOURCE_BYTES`] have no effect.
    pub source_bytes: usize,
    /// Tallest syntax tree, in nodes; values above [`MAX_AST_DEPTH`] have no effect.
    pub ast_depth: usize,
    /// Steps: one for each node evaluated and each element visited, and one for every 64 bytes of text read.
    pub fuel: u64,
    /// Size of the result, in bytes of JSON. A template has one such budget for the whole value.
    pub output_bytes: usize,
    /// Everything produced on the way, in bytes (text plus a flat charge for each value); nothing is given
    /// back.
    pub scratch_bytes: usize,
    /// Levels of arrays and objects in any value that is copied or returned; at most [`MAX_NESTING`].
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            source_bytes: MAX_SOURCE_BYTES,
            ast_depth: MAX_AST_DEPTH,
            fuel: DEFAULT_FUEL,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            scratch_bytes: DEFAULT_SCRATCH_BYTES,
            nesting: DEFAULT_NESTING,
        }
    }
}

/// Where an expression finds its values. Implementations must answer the same for the whole of an evaluation.
pub trait Scope {
    /// The value of a root name such as `input`, `nodes`, `run` or `vars`; `None` when there is no such name.
    /// It is asked at most once per name and evaluation, and only for names the source holds.
    fn root(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// The output of a node, for `nodes.<id>.output`; `None` when the node has none. The `nodes` object is
    /// not built for such a path.
    fn node_output(&self, node: &str) -> Option<&Value>;

    /// The time that `now()` and `today()` give. Durable callers answer from the journal.
    fn now(&self) -> chrono::DateTime<chrono::Utc>;
}

/// What kind of failure an [`ExprError`] is. The wire form is the snake_case name and is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExprErrorCode {
    /// The source is not an expression.
    Syntax,
    /// A call to a function that does not exist.
    UnknownFunction,
    /// A root name the scope does not have.
    UnknownName,
    /// A value of the wrong type for an operator, a path or a function.
    Type,
    /// A key, an index or a node output that is not there.
    Missing,
    /// A number outside 64-bit integers or finite floats, a division by zero, or a date outside the years 0
    /// to 9999.
    Overflow,
    /// One of [`Limits`] was reached.
    Limit,
    /// A wrong number of arguments, or an argument of the right type that makes no sense.
    Argument,
}

/// Why an expression did not parse or had no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message} (at byte {offset})")]
pub struct ExprError {
    /// The kind of failure.
    pub code: ExprErrorCode,
    /// One sentence for a person. It can hold key names from the data, and never values longer than a short
    /// excerpt.
    pub message: String,
    /// Byte offset in the source; inside a [`Template`], in the configuration string that holds the
    /// expression.
    pub offset: usize,
}

impl ExprError {
    pub(super) fn new(code: ExprErrorCode, offset: usize, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            offset,
        }
    }
}

/// What an expression or a template reads from its scope, found without evaluating it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct References {
    /// Root names: `input`, `nodes`, `run`, …
    pub roots: BTreeSet<String>,
    /// Node ids named as `nodes.<id>` or `nodes["<id>"]`.
    pub nodes: BTreeSet<String>,
    /// Whether `nodes` is also read as a whole or with a computed id, so that any node may be meant.
    pub any_node: bool,
}

impl References {
    fn extend(&mut self, other: &References) {
        self.roots.extend(other.roots.iter().cloned());
        self.nodes.extend(other.nodes.iter().cloned());
        self.any_node |= other.any_node;
    }
}

/// A parsed expression. Cheap to evaluate many times; it holds no state.
#[derive(Debug, Clone)]
pub struct Expr {
    source: String,
    root: ast::Node,
    /// Root names that must be asked of the scope, sorted; `nodes` is absent when only `nodes.<id>.output` is
    /// read.
    needed: Vec<String>,
    references: References,
}

impl Expr {
    /// Parses the text between `{{` and `}}`. Functions and the number of their arguments are checked here.
    ///
    /// # Errors `Syntax`, `UnknownFunction`, `Argument`, `Overflow` (a number literal) or `Limit` (source
    /// length, tree depth).
    pub fn parse(src: &str) -> std::result::Result<Expr, ExprError> {
        if src.len() > MAX_SOURCE_BYTES {
            let message = format!(
                "the expression is {} bytes long, the limit is {MAX_SOURCE_BYTES}",
                src.len()
            );
            return Err(ExprError::new(ExprErrorCode::Limit, MAX_SOURCE_BYTES, message));
        }
        let parsed = parser::parse(src)?;
        Ok(Expr {
            source: src.to_owned(),
            root: parsed.root,
            needed: parsed.needed.into_iter().collect(),
            references: parsed.references,
        })
    }

    /// The expression's value over `scope`.
    ///
    /// # Errors
    /// `UnknownName`, `Type`, `Missing`, `Overflow`, `Limit` or `Argument`.
    pub fn eval(&self, scope: &dyn Scope, limits: &Limits) -> std::result::Result<Value, ExprError> {
        let roots = eval::Roots::load(&self.needed, scope);
        let mut eval = eval::Eval::new(scope, &roots, limits);
        eval.finish(self, 0)
    }

    /// What the expression reads.
    pub fn references(&self) -> References {
        self.references.clone()
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &str {
        &self.source
    }
}
