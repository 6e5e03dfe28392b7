//! Words of a text and how alike two texts are by them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Args, Builtin, Eval, Result, Val, array_value};
use crate::expr::meter::VALUE_BYTES;

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        [
            "words",
            "words(text)",
            "The words in lower case: runs of letters and digits of any script.",
        ],
        [
            r#"words("Login fails, again (500)!")"#,
            r#"["login","fails","again","500"]"#,
        ],
        (1, 1),
        words,
    ),
    Builtin::new(
        [
            "similarity",
            "similarity(a, b)",
            "How alike two texts are, 0.0 to 1.0: twice the number of common words over the sum of both \
             numbers of \
             words, each word counted once (Dice's coefficient, L. R. Dice 1945). 0.0 when neither has a \
              word.",
        ],
        [
            r#"similarity("Login page fails", "login fails again")"#,
            "0.6666666666666666",
        ],
        (2, 2),
        similarity,
    ),
];

/// The words of argument `index`, charged as they are found.
fn list<'a>(eval: &mut Eval<'a>, args: &Args<'a>, index: usize) -> Result<Vec<String>> {
    let text = args.str(eval, index)?;
    eval.reading(text.len())?;
    let mut out = Vec::new();
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        eval.fuel(1)?;
        // Lower case takes at most three times the bytes.
        eval.scratch(word.len().saturating_mul(3).saturating_add(VALUE_BYTES))?;
        out.push(word.to_lowercase());
    }
    Ok(out)
}

fn words<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let words = list(eval, &args, 0)?;
    eval.reserve(words.len())?;
    array_value(words.into_iter().map(Value::String).collect())
}

fn similarity<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let a: BTreeSet<String> = list(eval, &args, 0)?.into_iter().collect();
    let b: BTreeSet<String> = list(eval, &args, 1)?.into_iter().collect();
    let all = a.len() + b.len();
    if all == 0 {
        return eval.float(0.0);
    }
    let common = a.intersection(&b).count();
    eval.float(2.0 * common as f64 / all as f64)
}
