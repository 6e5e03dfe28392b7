//! Functions on text. Positions and lengths count characters (Unicode scalar values), never bytes.

use serde_json::Value;

use super::{Args, Builtin, Eval, Result, Val, array_value, span, text_value, truth};
use crate::expr::meter::{BYTES_PER_STEP, VALUE_BYTES};

pub(super) const TABLE: &[Builtin] = &[
    Builtin::new(
        ["lower", "lower(text)", "The text in lower case."],
        [r#"lower("ÄBC")"#, r#""äbc""#],
        (1, 1),
        lower,
    ),
    Builtin::new(
        ["upper", "upper(text)", "The text in upper case."],
        [r#"upper("straße")"#, r#""STRASSE""#],
        (1, 1),
        upper,
    ),
    Builtin::new(
        ["trim", "trim(text)", "The text without white space at both ends."],
        [r#"trim("  a b \n")"#, r#""a b""#],
        (1, 1),
        trim,
    ),
    Builtin::new(
        [
            "split",
            "split(text, separator)",
            "The parts between the separators; the separator cannot be empty.",
        ],
        [r#"split("a,b,,c", ",")"#, r#"["a","b","","c"]"#],
        (2, 2),
        split,
    ),
    Builtin::new(
        [
            "join",
            "join(list, separator)",
            "Strings, numbers, booleans and nulls (empty) as one text.",
        ],
        [r#"join(["a", 1, true], "-")"#, r#""a-1-true""#],
        (2, 2),
        join,
    ),
    Builtin::new(
        [
            "replace",
            "replace(text, from, to)",
            "The text with every `from`, which cannot be empty, replaced by `to`.",
        ],
        [r#"replace("a-b-c", "-", "+")"#, r#""a+b+c""#],
        (3, 3),
        replace,
    ),
    Builtin::new(
        [
            "contains",
            "contains(x, part)",
            "Whether a text holds a text, an array an element, or an object a key.",
        ],
        [r#"contains("workflow", "flow")"#, "true"],
        (2, 2),
        contains,
    ),
    Builtin::new(
        [
            "starts_with",
            "starts_with(text, start)",
            "Whether the text starts so.",
        ],
        [r#"starts_with("refs/heads/main", "refs/")"#, "true"],
        (2, 2),
        starts_with,
    ),
    Builtin::new(
        ["ends_with", "ends_with(text, end)", "Whether the text ends so."],
        [r#"ends_with("report.pdf", ".pdf")"#, "true"],
        (2, 2),
        ends_with,
    ),
    Builtin::new(
        [
            "substr",
            "substr(text, start, [length])",
            "Characters from `start`, which may count from the end (-1).",
        ],
        [r#"substr("äöüß", 1, 2)"#, r#""öü""#],
        (2, 3),
        substr,
    ),
    Builtin::new(
        [
            "pad_start",
            "pad_start(text, length, [fill])",
            "The text filled up at its start; the fill is one character.",
        ],
        [r#"pad_start("7", 3, "0")"#, r#""007""#],
        (2, 3),
        pad_start,
    ),
    Builtin::new(
        [
            "pad_end",
            "pad_end(text, length, [fill])",
            "The text filled up at its end; the fill is one character.",
        ],
        [r#"pad_end("ab", 4, ".")"#, r#""ab..""#],
        (2, 3),
        pad_end,
    ),
    Builtin::new(
        [
            "matches",
            "matches(text, glob)",
            "Whether the whole text matches; `*` is any text, `?` one character.",
        ],
        [r#"matches("feature/login", "feature/*")"#, "true"],
        (2, 2),
        matches,
    ),
];

/// Charges a change of letter case. One character can become three, and take three times its bytes.
fn charge_case(eval: &mut Eval<'_>, text: &str) -> Result<()> {
    let growth = if text.is_ascii() { 1 } else { 3 };
    eval.scratch(text.len().saturating_mul(growth))
}

fn lower<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    charge_case(eval, text)?;
    text_value(text.to_lowercase())
}

fn upper<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    charge_case(eval, text)?;
    text_value(text.to_uppercase())
}

fn trim<'a>(eval: &mut Eval<'a>, mut args: Args<'a>) -> Result<Val<'a>> {
    let text = args.str(eval, 0)?;
    let trimmed = text.trim();
    if trimmed.len() == text.len() {
        return Ok(args.take(0));
    }
    eval.scratch(trimmed.len())?;
    text_value(trimmed)
}

fn split<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, separator) = (args.str(eval, 0)?, args.str(eval, 1)?);
    if separator.is_empty() {
        return Err(args.bad(eval, "the separator is empty"));
    }
    eval.reading(text.len())?;
    let parts = text.matches(separator).count() + 1;
    eval.fuel(parts)?;
    eval.scratch(text.len().saturating_add(parts.saturating_mul(VALUE_BYTES)))?;
    array_value(text.split(separator).map(Value::from).collect())
}

fn join<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (items, separator) = (args.array(eval, 0)?, args.str(eval, 1)?);
    let mut out = String::new();
    for (index, item) in items.iter().enumerate() {
        if matches!(item, Value::Array(_) | Value::Object(_)) {
            return Err(args.bad(eval, "the list holds an array or an object; map it to text first"));
        }
        eval.fuel(1)?;
        let text = eval.text(item)?;
        let separator = if index == 0 { "" } else { separator };
        eval.scratch(text.len().saturating_add(separator.len()))?;
        out.push_str(separator);
        out.push_str(&text);
    }
    text_value(out)
}

fn replace<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, from, to) = (args.str(eval, 0)?, args.str(eval, 1)?, args.str(eval, 2)?);
    if from.is_empty() {
        return Err(args.bad(eval, "the text to replace is empty"));
    }
    eval.reading(text.len())?;
    let count = text.matches(from).count();
    eval.scratch(text.len().saturating_add(count.saturating_mul(to.len())))?;
    text_value(text.replace(from, to))
}

fn contains<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    truth(eval.member(args.get(1), args.get(0))?)
}

fn starts_with<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, start) = (args.str(eval, 0)?, args.str(eval, 1)?);
    eval.reading(start.len())?;
    truth(text.starts_with(start))
}

fn ends_with<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, end) = (args.str(eval, 0)?, args.str(eval, 1)?);
    eval.reading(end.len())?;
    truth(text.ends_with(end))
}

fn substr<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, start) = (args.str(eval, 0)?, args.int(eval, 1)?);
    let length = if args.has(2) {
        Some(args.int(eval, 2)?)
    } else {
        None
    };
    let Ok(length) = length.map_or(Ok(usize::MAX), usize::try_from) else {
        return Err(args.bad(eval, "the length is negative"));
    };
    eval.reading(text.len())?;
    let chars = text.chars().count();
    let start = span(start, None, chars).start;
    characters(eval, text, start..start.saturating_add(length).min(chars))
}

/// The characters of a range, as a new text.
pub(super) fn characters<'a>(
    eval: &mut Eval<'a>,
    text: &str,
    range: std::ops::Range<usize>,
) -> Result<Val<'a>> {
    eval.reading(text.len())?;
    let byte = |at| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let part = text.get(byte(range.start)..byte(range.end)).unwrap_or("");
    eval.scratch(part.len())?;
    text_value(part)
}

fn pad_start<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let fill = fill(eval, &args)?;
    let text = args.str(eval, 0)?;
    text_value([fill.as_str(), text].concat())
}

fn pad_end<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let fill = fill(eval, &args)?;
    let text = args.str(eval, 0)?;
    text_value([text, fill.as_str()].concat())
}

/// What is missing to the wanted length; charges it and the padded text.
fn fill<'a>(eval: &mut Eval<'a>, args: &Args<'a>) -> Result<String> {
    let (text, length) = (args.str(eval, 0)?, args.int(eval, 1)?);
    let fill = if args.has(2) { args.str(eval, 2)? } else { " " };
    let mut chars = fill.chars();
    let (Some(fill), None) = (chars.next(), chars.next()) else {
        return Err(args.bad(eval, "the fill must be one character"));
    };
    eval.reading(text.len())?;
    let missing = usize::try_from(length)
        .unwrap_or(0)
        .saturating_sub(text.chars().count());
    let bytes = missing.saturating_mul(fill.len_utf8());
    eval.scratch(bytes.saturating_mul(2).saturating_add(text.len()))?;
    Ok(std::iter::repeat_n(fill, missing).collect())
}

fn matches<'a>(eval: &mut Eval<'a>, args: Args<'a>) -> Result<Val<'a>> {
    let (text, glob) = (args.str(eval, 0)?, args.str(eval, 1)?);
    truth(glob_matches(eval, text, glob)?)
}

/// Goes back to the last `*` only, so the worst case is text times pattern, and that is charged as it goes.
fn glob_matches(eval: &mut Eval<'_>, text: &str, glob: &str) -> Result<bool> {
    let (mut rest, mut pattern) = (text, glob);
    let mut last_star: Option<(&str, &str)> = None;
    let mut rounds = 0_usize;
    loop {
        rounds += 1;
        if rounds.is_multiple_of(BYTES_PER_STEP) {
            eval.fuel(1)?;
        }
        let (mut text_chars, mut glob_chars) = (rest.chars(), pattern.chars());
        let (c, wanted) = (text_chars.next(), glob_chars.next());
        match (c, wanted) {
            (_, Some('*')) => {
                pattern = glob_chars.as_str();
                last_star = Some((rest, pattern));
            }
            (None, None) => return Ok(true),
            (Some(c), Some(wanted)) if wanted == '?' || wanted == c => {
                (rest, pattern) = (text_chars.as_str(), glob_chars.as_str());
            }
            _ => {
                // Let the last star take one character more.
                let Some((at, after)) = last_star else {
                    return Ok(false);
                };
                let mut chars = at.chars();
                if chars.next().is_none() {
                    return Ok(false);
                }
                (rest, pattern) = (chars.as_str(), after);
                last_star = Some((rest, after));
            }
        }
    }
}
