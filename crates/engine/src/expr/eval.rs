//! The evaluator. Values are borrowed from the scope and the tree for as long as possible; only what an
//! expression makes, or finally gives, is owned.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::ast::{BinOp, Call, Kind, Lambda, Link, Node};
use super::functions::Args;
use super::meter::{Meter, Size, VALUE_BYTES};
use super::ops::kind;
use super::{Expr, ExprError, ExprErrorCode, Limits, Result, Scope};

/// A value on the way: borrowed from the scope or the tree, or made here.
pub(super) type Val<'a> = Cow<'a, Value>;

/// The null that is borrowed wherever nothing was found.
pub(super) static NULL: Value = Value::Null;

/// The roots an evaluation needs, asked of the scope once, so that a root built on demand is built once.
pub(super) struct Roots<'s>(Vec<(&'s str, Option<Cow<'s, Value>>)>);

impl<'s> Roots<'s> {
    /// `names` must be sorted.
    pub fn load(names: &'s [String], scope: &'s dyn Scope) -> Self {
        Self(
            names
                .iter()
                .map(|name| (name.as_str(), scope.root(name)))
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let index = self.0.binary_search_by(|(key, _)| (*key).cmp(name)).ok()?;
        self.0.get(index)?.1.as_deref()
    }
}

/// One evaluation, of an expression or of a whole template.
pub(super) struct Eval<'a> {
    pub scope: &'a dyn Scope,
    roots: &'a Roots<'a>,
    /// Parameters of the lambdas being applied, outermost first.
    pub locals: Vec<Val<'a>>,
    pub meter: Meter,
    /// Where in the source the evaluation is, for errors.
    pub at: usize,
}

impl<'a> Eval<'a> {
    pub fn new(scope: &'a dyn Scope, roots: &'a Roots<'a>, limits: &Limits) -> Self {
        Self {
            scope,
            roots,
            locals: Vec::new(),
            meter: Meter::new(limits),
            at: 0,
        }
    }

    /// Evaluates a whole expression and charges its value as output, `depth` levels deep in the result.
    pub fn finish(&mut self, expr: &'a Expr, depth: usize) -> Result<Value> {
        let value = self.start(expr)?;
        self.meter.producing(&value, depth, 0)?;
        Ok(value.into_owned())
    }

    /// Evaluates a whole expression without charging its value.
    pub fn start(&mut self, expr: &'a Expr) -> Result<Val<'a>> {
        let limits = self.meter.limits();
        if expr.source.len() > limits.source_bytes || expr.root.height > limits.ast_depth {
            return Err(ExprError::new(
                ExprErrorCode::Limit,
                0,
                "the expression is longer or deeper than allowed here",
            ));
        }
        self.locals.clear();
        self.eval(&expr.root)
    }

    pub fn error(&self, code: ExprErrorCode, message: impl Into<String>) -> ExprError {
        ExprError::new(code, self.at, message)
    }

    pub fn fuel(&mut self, steps: usize) -> Result<()> {
        self.meter.fuel(steps, self.at)
    }

    /// Fuel for reading `bytes` of text.
    pub fn reading(&mut self, bytes: usize) -> Result<()> {
        self.meter.reading(bytes, self.at)
    }

    /// Scratch memory and the fuel for filling it, before `bytes` of text are allocated.
    pub fn scratch(&mut self, bytes: usize) -> Result<()> {
        self.meter.scratch(bytes, self.at)?;
        self.meter.reading(bytes, self.at)
    }

    /// Scratch memory for an array or an object of `count` entries, before it is allocated.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        self.meter
            .scratch(count.saturating_add(1).saturating_mul(VALUE_BYTES), self.at)
    }

    /// Charges a copy of `value`.
    pub fn charge_copy(&mut self, value: &Value) -> Result<Size> {
        self.meter.copying(value, self.at)
    }

    pub fn nesting(&self) -> usize {
        self.meter.nesting()
    }

    /// One level less, or the error for too many.
    pub fn level_down(&self, levels: usize) -> Result<usize> {
        levels
            .checked_sub(1)
            .ok_or_else(|| self.meter.nesting_error(self.at))
    }

    /// Takes a value over into something new; a borrowed one is copied and charged.
    pub fn own(&mut self, value: Val<'a>) -> Result<Value> {
        if let Cow::Borrowed(value) = &value {
            self.charge_copy(value)?;
        }
        Ok(value.into_owned())
    }

    pub fn root(&self, name: &str) -> Option<&'a Value> {
        self.roots.get(name)
    }

    /// The value of a node.
    pub fn eval(&mut self, node: &'a Node) -> Result<Val<'a>> {
        self.at = node.offset;
        self.fuel(1)?;
        match &node.kind {
            Kind::Literal(value) => Ok(Cow::Borrowed(value)),
            Kind::Path(path) => self.path(path, false),
            Kind::Array(items) => self.array(items),
            Kind::Object(fields) => self.object(fields),
            Kind::Not(operand) => {
                let value = self.eval(operand)?;
                let truth = self.truth(&value, "`!`")?;
                Ok(Cow::Owned(Value::Bool(!truth)))
            }
            Kind::Neg(operand) => self.negate(operand),
            Kind::Chain(first, links) => self.chain(first, links),
            Kind::Choice(arms, otherwise) => {
                for (condition, value) in arms {
                    let test = self.eval(condition)?;
                    if self.truth(&test, "`? :`")? {
                        return self.eval(value);
                    }
                }
                self.eval(otherwise)
            }
            Kind::Call(call) => self.call(call, node.offset),
        }
    }

    fn array(&mut self, items: &'a [Node]) -> Result<Val<'a>> {
        self.reserve(items.len())?;
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            let value = self.eval(item)?;
            out.push(self.own(value)?);
        }
        Ok(Cow::Owned(Value::Array(out)))
    }

    fn object(&mut self, fields: &'a [(Node, Node)]) -> Result<Val<'a>> {
        self.reserve(fields.len())?;
        let mut out = Map::new();
        for (key, value) in fields {
            let name = self.eval(key)?;
            let Value::String(name) = self.own(name)? else {
                return Err(self.error(ExprErrorCode::Type, "a key of an object must be a string"));
            };
            let value = self.eval(value)?;
            let value = self.own(value)?;
            out.insert(name, value);
        }
        Ok(Cow::Owned(Value::Object(out)))
    }

    fn negate(&mut self, operand: &'a Node) -> Result<Val<'a>> {
        let value = self.eval(operand)?;
        match super::ops::Num::of(&value) {
            Some(super::ops::Num::Int(int)) => self.int(-int),
            Some(super::ops::Num::Float(float)) => self.float(-float),
            None => {
                let message = format!("`-` takes a number, not {}", kind(&value));
                Err(self.error(ExprErrorCode::Type, message))
            }
        }
    }

    /// The boolean a value is; nothing else counts as true or false.
    pub fn truth(&self, value: &Value, of: &str) -> Result<bool> {
        match value {
            Value::Bool(truth) => Ok(*truth),
            other => {
                let message = format!(
                    "{of} takes a boolean, not {}; compare it, or use bool(x)",
                    kind(other)
                );
                Err(self.error(ExprErrorCode::Type, message))
            }
        }
    }

    fn chain(&mut self, first: &'a Node, links: &'a [Link]) -> Result<Val<'a>> {
        match links.first().map(|link| link.op) {
            Some(BinOp::Coalesce) => return self.coalesce(first, links),
            Some(BinOp::And) => return self.logic(first, links, BinOp::And),
            Some(BinOp::Or) => return self.logic(first, links, BinOp::Or),
            _ => {}
        }
        let mut left = self.eval(first)?;
        for link in links {
            let right = self.eval(&link.right)?;
            self.at = link.offset;
            left = self.apply_op(link.op, left, right)?;
        }
        Ok(left)
    }

    /// `&&` and `||`: stops at the first operand that decides.
    fn logic(&mut self, first: &'a Node, links: &'a [Link], op: BinOp) -> Result<Val<'a>> {
        let name = if op == BinOp::And { "`&&`" } else { "`||`" };
        let decides = op == BinOp::Or;
        for node in std::iter::once(first).chain(links.iter().map(|link| &link.right)) {
            let value = self.eval(node)?;
            if self.truth(&value, name)? == decides {
                return Ok(Cow::Owned(Value::Bool(decides)));
            }
        }
        Ok(Cow::Owned(Value::Bool(!decides)))
    }

    /// `??`: the first operand that is there and not null, else the last.
    fn coalesce(&mut self, first: &'a Node, links: &'a [Link]) -> Result<Val<'a>> {
        let mut node = first;
        for link in links {
            let value = match &node.kind {
                Kind::Path(path) => {
                    self.at = node.offset;
                    self.fuel(1)?;
                    self.path(path, true)?
                }
                _ => self.eval(node)?,
            };
            if !value.is_null() {
                return Ok(value);
            }
            node = &link.right;
        }
        self.eval(node)
    }

    fn call(&mut self, call: &'a Call, offset: usize) -> Result<Val<'a>> {
        let mut values = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            values.push(self.eval(arg)?);
        }
        self.at = offset;
        let args = Args {
            name: call.builtin.doc.name,
            values,
            lambda: call.lambda.as_ref(),
        };
        (call.builtin.run)(self, args)
    }

    /// Applies a lambda to an element, and gives its result and the element back.
    pub fn apply(&mut self, lambda: &'a Lambda, item: Val<'a>, index: usize) -> Result<(Val<'a>, Val<'a>)> {
        let slot = self.locals.len();
        let at = self.at;
        self.fuel(1)?;
        self.locals.push(item);
        if lambda.with_index {
            self.locals.push(Cow::Owned(Value::from(index)));
        }
        let result = self.eval(&lambda.body)?;
        let item = take(self.locals.get_mut(slot));
        self.locals.truncate(slot);
        self.at = at;
        Ok((result, item))
    }
}

/// Moves a value out of its place, leaving null.
pub(super) fn take<'a>(place: Option<&mut Val<'a>>) -> Val<'a> {
    place.map_or(Cow::Borrowed(&NULL), |place| {
        std::mem::replace(place, Cow::Borrowed(&NULL))
    })
}
