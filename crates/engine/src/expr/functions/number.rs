//! Functions on numbers.

use super::{Args, Builtin, Eval, Result, Val};
use crate::expr::ExprErrorCode;
use crate::expr::ops::Num;

/// Most decimal places `round` takes; a float has no more.
const ROUND_PLACES: i64 = 15;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        ["abs", "abs(number)", "The number without its sign."],
        ["abs(-3)", "3"],
        (1, 1),
        abs,
    ),
    Builtin::new(
        [
            "round",
            "round(number, [places])",
            "The nearest integer, halves away from zero; with 1 to 15 decimal places a float.",
        ],
        ["round(2.675, 1)", "2.7"],
        (1, 2),
        round,
    ),
    Builtin::new(
        [
            "floor",
            "floor(number)",
            "The largest integer that is not greater.",
        ],
        ["floor(-1.5)", "-2"],
        (1, 1),
        floor,
    ),
    Builtin::new(
        ["ceil", "ceil(number)", "The smallest integer that is not less."],
        ["ceil(1.2)", "2"],
        (1, 1),
        ceil,
    ),
];

fn abs<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    match args.num(eval, 0)? {
        Num::Int(int) => eval.int(int.abs()),
        Num::Float(float) => eval.float(float.abs()),
    }
}

/// A float without fraction as an integer.
pub(super) fn whole<'a>(eval: &Eval<'a>, float: f64) -> Result<Val<'a>> {
    // The cast saturates, far outside of 64 bits.
    if float.is_finite() {
        return eval.int(float as i128);
    }
    Err(eval.error(ExprErrorCode::Overflow, "the result is not a finite number"))
}

fn to_whole<'a>(eval: &mut Eval<'a>, args: &Args<'a>, how: fn(f64) -> f64) -> Result<Val<'a>> {
    match args.num(eval, 0)? {
        Num::Int(int) => eval.int(int),
        Num::Float(float) => whole(eval, how(float)),
    }
}

fn round<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let places = if args.has(1) { args.int(eval, 1)? } else { 0 };
    if !(0..=ROUND_PLACES).contains(&places) {
        return Err(args.bad(eval, format!("the places must be 0 to {ROUND_PLACES}")));
    }
    match args.num(eval, 0)? {
        Num::Float(float) if places > 0 => {
            let scaled = float * 10_f64.powi(places as i32);
            // A float too large to scale has no decimal places.
            let rounded = if scaled.is_finite() {
                scaled.round() / 10_f64.powi(places as i32)
            } else {
                float
            };
            eval.float(rounded)
        }
        _ => to_whole(eval, &args, f64::round),
    }
}

fn floor<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    to_whole(eval, &args, f64::floor)
}

fn ceil<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    to_whole(eval, &args, f64::ceil)
}
