//! JSON configuration with `{{ … }}` inside its strings, compiled once and evaluated many times.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::eval::{Eval, Roots};
use super::meter::text_bytes;
use super::{Expr, ExprError, ExprErrorCode, Limits, MAX_NESTING, References, Scope};

/// Most errors `compile` collects before it stops.
const MAX_ERRORS: usize = 100;

/// A configuration value with expressions. A string that is one `{{ … }}` and nothing else but white space
/// gives the expression's value with its type; in any other string the values become text (strings raw, null
/// empty, arrays and objects as compact JSON). `\{{` is a literal `{{`. Keys of objects are never
/// expressions.
#[derive(Debug, Clone)]
pub struct Template {
    root: Part,
    /// Root names to ask of the scope, sorted.
    needed: Vec<String>,
    references: References,
}

/// What is wrong with one string of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{}: {error}", if pointer.is_empty() { "/" } else { pointer.as_str() })]
pub struct TemplateError {
    /// JSON pointer (RFC 6901) to the string in the configuration; empty for the whole value.
    pub pointer: String,
    /// The error, with its offset in that string.
    pub error: ExprError,
}

/// A compiled value.
#[derive(Debug, Clone)]
enum Part {
    /// Nothing inside is an expression.
    Static(Value),
    /// The whole string is one expression.
    Whole(Box<Embedded>),
    /// Text with expressions in it.
    Mixed(Vec<Piece>),
    Array(Vec<Part>),
    Object(Vec<(String, Part)>),
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Value(Embedded),
}

/// An expression and where its source starts in the string, in bytes.
#[derive(Debug, Clone)]
struct Embedded {
    expr: Expr,
    start: usize,
}

impl Template {
    /// Compiles a configuration value.
    ///
    /// # Errors Everything that is wrong, at most one error per string and 100 in all; `Limit` for a value
    /// nested too deep.
    pub fn compile(v: &Value) -> Result<Template, Vec<TemplateError>> {
        let mut compiler = Compiler::default();
        let root = compiler.value(v, MAX_NESTING);
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Template {
            root,
            needed: compiler.needed.into_iter().collect(),
            references: compiler.references,
        })
    }

    /// The configuration with its expressions replaced by their values. Fuel, scratch and output are shared
    /// by all.
    ///
    /// # Errors
    /// The first expression that fails.
    pub fn eval(&self, scope: &dyn Scope, limits: &Limits) -> Result<Value, TemplateError> {
        let roots = Roots::load(&self.needed, scope);
        let mut eval = Eval::new(scope, &roots, limits);
        let mut pointer = Vec::new();
        fill(&mut eval, &self.root, &mut pointer).map_err(|error| TemplateError {
            pointer: pointer
                .iter()
                .fold(String::new(), |path, step| step.append_to(path)),
            error,
        })
    }

    /// What all expressions read.
    pub fn references(&self) -> References {
        self.references.clone()
    }

    /// Whether there is no expression in it.
    pub fn is_static(&self) -> bool {
        matches!(self.root, Part::Static(_))
    }
}

/// A step of a JSON pointer.
#[derive(Debug, Clone, Copy)]
enum Step<'t> {
    Index(usize),
    Key(&'t str),
}

impl Step<'_> {
    fn append_to(&self, mut path: String) -> String {
        path.push('/');
        match self {
            Step::Index(index) => path.push_str(&index.to_string()),
            Step::Key(key) => path.push_str(&key.replace('~', "~0").replace('/', "~1")),
        }
        path
    }
}

/// Evaluates a part. On an error, `pointer` is left at the place.
fn fill<'a>(eval: &mut Eval<'a>, part: &'a Part, pointer: &mut Vec<Step<'a>>) -> Result<Value, ExprError> {
    let depth = pointer.len();
    match part {
        Part::Static(value) => {
            eval.meter.producing(value, depth, 0)?;
            Ok(value.clone())
        }
        Part::Whole(embedded) => eval
            .finish(&embedded.expr, depth)
            .map_err(|error| embedded.shift(error)),
        Part::Mixed(pieces) => mixed(eval, pieces).map(Value::String),
        Part::Array(_) | Part::Object(_) if depth >= eval.nesting() => Err(eval.meter.nesting_error(0)),
        Part::Array(parts) => {
            eval.meter.output(parts.len().saturating_add(2), 0)?;
            let mut out = Vec::with_capacity(parts.len());
            for (index, part) in parts.iter().enumerate() {
                pointer.push(Step::Index(index));
                out.push(fill(eval, part, pointer)?);
                pointer.pop();
            }
            Ok(Value::Array(out))
        }
        Part::Object(parts) => {
            eval.meter.output(2, 0)?;
            let mut out = Map::new();
            for (key, part) in parts {
                pointer.push(Step::Key(key));
                eval.meter.output(text_bytes(key) + 2, 0)?;
                out.insert(key.clone(), fill(eval, part, pointer)?);
                pointer.pop();
            }
            Ok(Value::Object(out))
        }
    }
}

fn mixed<'a>(eval: &mut Eval<'a>, pieces: &'a [Piece]) -> Result<String, ExprError> {
    let mut out = String::new();
    for piece in pieces {
        let embedded = match piece {
            Piece::Text(text) => {
                eval.meter.output(text_bytes(text), 0)?;
                out.push_str(text);
                continue;
            }
            Piece::Value(embedded) => embedded,
        };
        append(eval, embedded, &mut out).map_err(|error| embedded.shift(error))?;
    }
    Ok(out)
}

fn append<'a>(eval: &mut Eval<'a>, embedded: &'a Embedded, out: &mut String) -> Result<(), ExprError> {
    let value = eval.start(&embedded.expr)?;
    let text: Cow<'_, str> = eval.text(&value)?;
    eval.reading(text.len())?;
    eval.meter.output(text_bytes(&text), 0)?;
    out.push_str(&text);
    Ok(())
}

impl Embedded {
    /// An error of the expression as one of the string it stands in.
    fn shift(&self, mut error: ExprError) -> ExprError {
        error.offset = error.offset.saturating_add(self.start);
        error
    }
}

#[derive(Default)]
struct Compiler {
    errors: Vec<TemplateError>,
    needed: BTreeSet<String>,
    references: References,
    pointer: Vec<String>,
}

impl Compiler {
    fn fail(&mut self, error: ExprError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(TemplateError {
                pointer: self.pointer.concat(),
                error,
            });
        }
    }

    /// Compiles a value with at most `levels` levels. After an error the part is a stand-in.
    fn value(&mut self, value: &Value, levels: usize) -> Part {
        let below = match value {
            Value::String(text) => return self.string(text),
            Value::Array(_) | Value::Object(_) => levels.checked_sub(1),
            _ => return Part::Static(value.clone()),
        };
        let Some(below) = below else {
            let message = format!("the configuration is nested more than {MAX_NESTING} levels deep");
            self.fail(ExprError::new(ExprErrorCode::Limit, 0, message));
            return Part::Static(Value::Null);
        };
        match value {
            Value::Array(items) => {
                let parts = items.iter().enumerate();
                array(
                    parts
                        .map(|(index, item)| self.child(Step::Index(index), item, below))
                        .collect(),
                )
            }
            Value::Object(map) => {
                let parts = map.iter();
                object(
                    parts
                        .map(|(key, item)| (key.clone(), self.child(Step::Key(key), item, below)))
                        .collect(),
                )
            }
            _ => Part::Static(value.clone()),
        }
    }

    fn child(&mut self, step: Step<'_>, value: &Value, levels: usize) -> Part {
        self.pointer.push(step.append_to(String::new()));
        let part = self.value(value, levels);
        self.pointer.pop();
        part
    }

    fn string(&mut self, text: &str) -> Part {
        let mut pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.fail(error);
                return Part::Static(Value::Null);
            }
        };
        for piece in &pieces {
            if let Piece::Value(embedded) = piece {
                self.needed.extend(embedded.expr.needed.iter().cloned());
                self.references.extend(&embedded.expr.references);
            }
        }
        let blank = |piece: &Piece| matches!(piece, Piece::Text(text) if text.trim().is_empty());
        if pieces.iter().filter(|piece| !blank(piece)).count() == 1
            && let Some(at) = pieces.iter().position(|piece| matches!(piece, Piece::Value(_)))
            && let Piece::Value(embedded) = pieces.swap_remove(at)
        {
            return Part::Whole(Box::new(embedded));
        }
        if pieces.iter().any(|piece| matches!(piece, Piece::Value(_))) {
            return Part::Mixed(pieces);
        }
        let text: String = pieces
            .iter()
            .map(|piece| if let Piece::Text(text) = piece { text } else { "" })
            .collect();
        Part::Static(Value::String(text))
    }
}

/// An array of parts; one static value when all of them are.
fn array(parts: Vec<Part>) -> Part {
    if !parts.iter().all(|part| matches!(part, Part::Static(_))) {
        return Part::Array(parts);
    }
    let value = |part| {
        if let Part::Static(value) = part {
            value
        } else {
            Value::Null
        }
    };
    Part::Static(Value::Array(parts.into_iter().map(value).collect()))
}

/// An object of parts; one static value when all of them are.
fn object(parts: Vec<(String, Part)>) -> Part {
    if !parts.iter().all(|(_, part)| matches!(part, Part::Static(_))) {
        return Part::Object(parts);
    }
    let value = |(key, part)| {
        (
            key,
            if let Part::Static(value) = part {
                value
            } else {
                Value::Null
            },
        )
    };
    Part::Static(Value::Object(parts.into_iter().map(value).collect()))
}

/// Cuts a string into text and expressions.
fn split(text: &str) -> Result<Vec<Piece>, ExprError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut pos = 0;
    while let Some((before, after)) = text.get(pos..).and_then(|rest| rest.split_once("{{")) {
        let start = text.len() - after.len();
        if let Some(before) = before.strip_suffix('\\') {
            literal.push_str(before);
            literal.push_str("{{");
            pos = start;
            continue;
        }
        literal.push_str(before);
        let Some(length) = close(after) else {
            let message = "this `{{` has no `}}`; write `\\{{` for a literal one";
            return Err(ExprError::new(
                ExprErrorCode::Syntax,
                start.saturating_sub(2),
                message,
            ));
        };
        let embedded = |error: ExprError| ExprError {
            offset: error.offset.saturating_add(start),
            ..error
        };
        let expr = Expr::parse(after.get(..length).unwrap_or("")).map_err(embedded)?;
        if !literal.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Value(Embedded { expr, start }));
        pos = start.saturating_add(length).saturating_add(2);
    }
    literal.push_str(text.get(pos..).unwrap_or(""));
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    Ok(pieces)
}

/// Bytes up to the `}}` that ends an expression: outside its strings, and with no brace of its own left open.
fn close(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut braces = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}
