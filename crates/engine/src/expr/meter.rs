//! What an evaluation has left: fuel, scratch memory and output. Everything is charged before it is
//! allocated.

use serde_json::Value;

use super::{ExprError, ExprErrorCode, Limits, MAX_NESTING, Result};

/// Bytes charged for each value besides its text: about what an element of an array or a map takes in memory.
pub(super) const VALUE_BYTES: usize = 32;
/// Bytes of text read for one step of fuel.
pub(super) const BYTES_PER_STEP: usize = 64;
/// Values copied for one step of fuel; a copy costs far less than a visit by an expression.
const COPIES_PER_STEP: usize = 8;

/// Size of a value: its JSON text and how many values it is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub bytes: usize,
    pub values: usize,
}

impl Size {
    /// What a copy of it takes in memory, in bytes.
    fn memory(self) -> usize {
        self.bytes.saturating_add(self.values.saturating_mul(VALUE_BYTES))
    }
}

/// Why a value could not be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TooMuch {
    Bytes,
    Nesting,
}

/// The remaining budgets.
#[derive(Debug)]
pub(super) struct Meter {
    fuel: u64,
    scratch: usize,
    output: usize,
    nesting: usize,
    limits: Limits,
}

impl Meter {
    pub fn new(limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel,
            scratch: limits.scratch_bytes,
            output: limits.output_bytes,
            nesting: limits.nesting.min(MAX_NESTING),
            limits: limits.clone(),
        }
    }

    /// The limits it started with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Levels of arrays and objects a value may have.
    pub fn nesting(&self) -> usize {
        self.nesting
    }

    /// Takes `steps` of fuel.
    pub fn fuel(&mut self, steps: usize, at: usize) -> Result<()> {
        match self.fuel.checked_sub(steps as u64) {
            Some(left) => self.fuel = left,
            None => {
                self.fuel = 0;
                let message = format!("the expression takes more than {} steps", self.limits.fuel);
                return Err(ExprError::new(ExprErrorCode::Limit, at, message));
            }
        }
        Ok(())
    }

    /// Takes the fuel for reading `bytes` of text.
    pub fn reading(&mut self, bytes: usize, at: usize) -> Result<()> {
        self.fuel(bytes / BYTES_PER_STEP, at)
    }

    /// Takes `bytes` of scratch memory.
    pub fn scratch(&mut self, bytes: usize, at: usize) -> Result<()> {
        match self.scratch.checked_sub(bytes) {
            Some(left) => self.scratch = left,
            None => return Err(self.scratch_error(at)),
        }
        Ok(())
    }

    /// Takes `bytes` of output.
    pub fn output(&mut self, bytes: usize, at: usize) -> Result<()> {
        match self.output.checked_sub(bytes) {
            Some(left) => self.output = left,
            None => return Err(self.output_error(at)),
        }
        Ok(())
    }

    /// Charges a copy of `value` as scratch, and gives its size.
    pub fn copying(&mut self, value: &Value, at: usize) -> Result<Size> {
        let size = match measure(value, self.scratch, self.nesting) {
            Ok(size) => size,
            Err(TooMuch::Bytes) => return Err(self.scratch_error(at)),
            Err(TooMuch::Nesting) => return Err(self.nesting_error(at)),
        };
        self.scratch(size.memory(), at)?;
        self.fuel(size.values / COPIES_PER_STEP, at)?;
        Ok(size)
    }

    /// Charges `value` as output that stands `depth` levels deep in the result.
    pub fn producing(&mut self, value: &Value, depth: usize, at: usize) -> Result<()> {
        match measure(value, self.output, self.nesting.saturating_sub(depth)) {
            Ok(size) => self.output(size.bytes, at),
            Err(TooMuch::Bytes) => Err(self.output_error(at)),
            Err(TooMuch::Nesting) => Err(self.nesting_error(at)),
        }
    }

    fn scratch_error(&mut self, at: usize) -> ExprError {
        let message = format!(
            "the expression produces more than {} bytes on its way",
            self.limits.scratch_bytes
        );
        ExprError::new(ExprErrorCode::Limit, at, message)
    }

    fn output_error(&mut self, at: usize) -> ExprError {
        let message = format!(
            "the result is larger than {} bytes of JSON",
            self.limits.output_bytes
        );
        ExprError::new(ExprErrorCode::Limit, at, message)
    }

    /// The error for a value with too many levels.
    pub fn nesting_error(&self, at: usize) -> ExprError {
        let message = format!("a value is nested more than {} levels deep", self.nesting);
        ExprError::new(ExprErrorCode::Limit, at, message)
    }
}

/// Walks `value`, stopping as soon as it is over `max_bytes` of JSON or `max_depth` levels.
fn measure(value: &Value, max_bytes: usize, max_depth: usize) -> std::result::Result<Size, TooMuch> {
    let mut size = Size::default();
    walk(value, max_bytes, max_depth, &mut size)?;
    Ok(size)
}

fn walk(value: &Value, max_bytes: usize, levels: usize, size: &mut Size) -> std::result::Result<(), TooMuch> {
    size.values += 1;
    size.bytes += match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_bytes(number),
        Value::String(text) => text_bytes(text),
        // Brackets here; each element or entry adds its comma below.
        Value::Array(_) | Value::Object(_) => 2,
    };
    if size.bytes > max_bytes {
        return Err(TooMuch::Bytes);
    }
    match value {
        Value::Array(items) => {
            let levels = levels.checked_sub(1).ok_or(TooMuch::Nesting)?;
            for item in items {
                size.bytes += 1;
                walk(item, max_bytes, levels, size)?;
            }
        }
        Value::Object(map) => {
            let levels = levels.checked_sub(1).ok_or(TooMuch::Nesting)?;
            for (key, item) in map {
                size.bytes += text_bytes(key) + 2;
                walk(item, max_bytes, levels, size)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn number_bytes(number: &serde_json::Number) -> usize {
    /// A float's usual length in JSON; the longest has 24 characters.
    const FLOAT_BYTES: usize = 18;
    let digits = |n: u64| n.checked_ilog10().unwrap_or(0) as usize + 1;
    match (number.as_u64(), number.as_i64()) {
        (Some(n), _) => digits(n),
        (None, Some(n)) => digits(n.unsigned_abs()) + 1,
        (None, None) => FLOAT_BYTES,
    }
}

/// Length of a text as JSON, with its quotes and escapes.
pub(super) fn text_bytes(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x8 | 0xC => 1,
            0..0x20 => 5,
            _ => 0,
        })
        .sum();
    text.len() + escapes + 2
}
