//! Numbers, equality, order and the text form of values.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::ast::BinOp;
use super::eval::{Eval, Val};
use super::{ExprErrorCode, Result};

/// A number as the operators see it. Integers are wide enough for every JSON integer and one operation on
/// them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Num {
    Int(i128),
    Float(f64),
}

impl Num {
    /// The number a value is, if it is one.
    pub fn of(value: &Value) -> Option<Num> {
        let Value::Number(number) = value else { return None };
        Num::of_number(number)
    }

    fn of_number(number: &Number) -> Option<Num> {
        if let Some(int) = number.as_i64() {
            return Some(Num::Int(i128::from(int)));
        }
        if let Some(int) = number.as_u64() {
            return Some(Num::Int(i128::from(int)));
        }
        number.as_f64().filter(|float| float.is_finite()).map(Num::Float)
    }

    pub fn as_f64(self) -> f64 {
        match self {
            Num::Int(int) => int as f64,
            Num::Float(float) => float,
        }
    }

    /// Exact order, also between an integer and a float.
    pub fn order(self, other: Num) -> Ordering {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => a.cmp(&b),
            (Num::Float(a), Num::Float(b)) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
            (Num::Int(a), Num::Float(b)) => order_mixed(a, b),
            (Num::Float(a), Num::Int(b)) => order_mixed(b, a).reverse(),
        }
    }
}

/// Compares without rounding the integer to a float. Integers are below 2^65, so the cast of a truncated
/// float is exact wherever it decides.
fn order_mixed(int: i128, float: f64) -> Ordering {
    int.cmp(&(float.trunc() as i128)).then(match float.fract() {
        part if part > 0.0 => Ordering::Less,
        part if part < 0.0 => Ordering::Greater,
        _ => Ordering::Equal,
    })
}

/// What a value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl<'a> Eval<'a> {
    /// An integer result.
    pub fn int(&self, number: i128) -> Result<Val<'a>> {
        match i64::try_from(number) {
            Ok(number) => Ok(Cow::Owned(Value::from(number))),
            Err(_) => Err(self.error(
                ExprErrorCode::Overflow,
                "the result does not fit in a 64-bit integer",
            )),
        }
    }

    /// A float result.
    pub fn float(&self, number: f64) -> Result<Val<'a>> {
        match Number::from_f64(number) {
            Some(number) => Ok(Cow::Owned(Value::Number(number))),
            None => Err(self.error(ExprErrorCode::Overflow, "the result is not a finite number")),
        }
    }

    /// A number result.
    pub fn number(&self, number: Num) -> Result<Val<'a>> {
        match number {
            Num::Int(int) => self.int(int),
            Num::Float(float) => self.float(float),
        }
    }

    /// Addition of two numbers.
    pub fn add_numbers(&self, a: Num, b: Num) -> Result<Val<'a>> {
        self.arithmetic(BinOp::Add, a, b)
    }

    fn arithmetic(&self, op: BinOp, a: Num, b: Num) -> Result<Val<'a>> {
        if let (Num::Int(a), Num::Int(b)) = (a, b) {
            return self.integer_arithmetic(op, a, b);
        }
        let (a, b) = (a.as_f64(), b.as_f64());
        match op {
            BinOp::Add => self.float(a + b),
            BinOp::Sub => self.float(a - b),
            BinOp::Mul => self.float(a * b),
            BinOp::Div if b == 0.0 => Err(self.error(ExprErrorCode::Overflow, "division by zero")),
            BinOp::Div => self.float(a / b),
            _ => Err(self.error(
                ExprErrorCode::Type,
                "`%` takes two integers; round() or int() gives one",
            )),
        }
    }

    fn integer_arithmetic(&self, op: BinOp, a: i128, b: i128) -> Result<Val<'a>> {
        if b == 0 && matches!(op, BinOp::Div | BinOp::Rem) {
            return Err(self.error(ExprErrorCode::Overflow, "division by zero"));
        }
        let result = match op {
            BinOp::Add => a.checked_add(b),
            BinOp::Sub => a.checked_sub(b),
            BinOp::Mul => a.checked_mul(b),
            BinOp::Div if a.checked_rem(b) != Some(0) => return self.float(a as f64 / b as f64),
            BinOp::Div => a.checked_div(b),
            _ => a.checked_rem(b),
        };
        match result {
            Some(result) => self.int(result),
            None => Err(self.error(
                ExprErrorCode::Overflow,
                "the result does not fit in a 64-bit integer",
            )),
        }
    }

    /// An operator that evaluates both sides.
    pub fn apply_op(&mut self, op: BinOp, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>> {
        let truth = match op {
            BinOp::Eq => self.equal(&left, &right)?,
            BinOp::Ne => !self.equal(&left, &right)?,
            BinOp::In => self.member(&left, &right)?,
            BinOp::Lt => self.order(op, &left, &right)?.is_lt(),
            BinOp::Le => self.order(op, &left, &right)?.is_le(),
            BinOp::Gt => self.order(op, &left, &right)?.is_gt(),
            BinOp::Ge => self.order(op, &left, &right)?.is_ge(),
            _ => match (Num::of(&left), Num::of(&right)) {
                (Some(a), Some(b)) => return self.arithmetic(op, a, b),
                _ if op == BinOp::Add => return self.add_text(left, right),
                _ => return Err(self.wrong_operands(op, &left, &right, "takes two numbers", "")),
            },
        };
        Ok(Cow::Owned(Value::Bool(truth)))
    }

    /// `+` of two strings. A left side of its own grows in place, so that a chain costs what it adds.
    fn add_text(&mut self, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>> {
        let hint = match (&*left, &*right) {
            (Value::String(_), Value::String(_)) => "",
            (Value::String(_), _) | (_, Value::String(_)) => "; str(x) turns a value into text",
            (Value::Array(_), Value::Array(_)) => "; concat(a, b) joins arrays",
            (Value::Object(_), Value::Object(_)) => "; merge(a, b) joins objects",
            _ => "",
        };
        match (left, &*right) {
            (Cow::Owned(Value::String(mut text)), Value::String(more)) => {
                self.scratch(more.len())?;
                text.push_str(more);
                Ok(Cow::Owned(Value::String(text)))
            }
            (Cow::Borrowed(Value::String(start)), Value::String(more)) => {
                self.scratch(start.len().saturating_add(more.len()))?;
                Ok(Cow::Owned(Value::String([start.as_str(), more].concat())))
            }
            (left, right) => Err(self.wrong_operands(
                BinOp::Add,
                &left,
                right,
                "adds two numbers or joins two strings",
                hint,
            )),
        }
    }

    fn wrong_operands(&self, op: BinOp, a: &Value, b: &Value, does: &str, hint: &str) -> super::ExprError {
        let message = format!("`{}` {does}, not {} and {}{hint}", op.text(), kind(a), kind(b));
        self.error(ExprErrorCode::Type, message)
    }

    fn order(&mut self, op: BinOp, a: &Value, b: &Value) -> Result<Ordering> {
        if let (Some(a), Some(b)) = (Num::of(a), Num::of(b)) {
            return Ok(a.order(b));
        }
        match (a, b) {
            (Value::String(a), Value::String(b)) => {
                self.reading(a.len().min(b.len()))?;
                Ok(a.cmp(b))
            }
            _ => Err(self.wrong_operands(op, a, b, "compares two numbers or two strings", "")),
        }
    }

    /// Deep equality, with numbers by value.
    pub fn equal(&mut self, a: &Value, b: &Value) -> Result<bool> {
        self.equal_within(a, b, self.nesting())
    }

    fn equal_within(&mut self, a: &Value, b: &Value, levels: usize) -> Result<bool> {
        match (a, b) {
            (Value::Null, Value::Null) => Ok(true),
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Number(a), Value::Number(b)) => Ok(match (Num::of_number(a), Num::of_number(b)) {
                (Some(a), Some(b)) => a.order(b).is_eq(),
                _ => a == b,
            }),
            (Value::String(a), Value::String(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                self.reading(a.len())?;
                Ok(a == b)
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let levels = self.level_down(levels)?;
                for (a, b) in a.iter().zip(b) {
                    self.fuel(1)?;
                    if !self.equal_within(a, b, levels)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                let levels = self.level_down(levels)?;
                for (key, a) in a {
                    self.fuel(1)?;
                    self.reading(key.len())?;
                    let Some(b) = b.get(key) else { return Ok(false) };
                    if !self.equal_within(a, b, levels)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// `needle in haystack`, and `contains(haystack, needle)`.
    pub fn member(&mut self, needle: &Value, haystack: &Value) -> Result<bool> {
        match (needle, haystack) {
            (_, Value::Array(items)) => {
                for item in items {
                    self.fuel(1)?;
                    if self.equal(item, needle)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Value::String(key), Value::Object(map)) => Ok(map.contains_key(key)),
            (Value::String(part), Value::String(text)) => {
                self.reading(text.len())?;
                Ok(text.contains(part.as_str()))
            }
            (_, Value::Object(_) | Value::String(_)) => {
                let message = format!(
                    "looking into {} takes a string, not {}",
                    kind(haystack),
                    kind(needle)
                );
                Err(self.error(ExprErrorCode::Type, message))
            }
            _ => {
                let message = format!(
                    "only an array, an object or a string can be looked into, not {}",
                    kind(haystack)
                );
                Err(self.error(ExprErrorCode::Type, message))
            }
        }
    }

    /// The text of a value inside other text: strings raw, null empty, arrays and objects as compact JSON.
    /// What it allocates is charged as scratch.
    pub fn text<'v>(&mut self, value: &'v Value) -> Result<Cow<'v, str>> {
        Ok(match value {
            Value::Null => Cow::Borrowed(""),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::String(text) => Cow::Borrowed(text),
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Array(_) | Value::Object(_) => Cow::Owned(self.json_text(value)?),
        })
    }

    /// Compact JSON.
    pub fn json_text(&mut self, value: &Value) -> Result<String> {
        let size = self.charge_copy(value)?;
        self.reading(size.bytes)?;
        serde_json::to_string(value).map_err(|error| self.error(ExprErrorCode::Type, error.to_string()))
    }
}
