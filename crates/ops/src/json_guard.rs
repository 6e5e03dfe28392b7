//! JSON from outside: size, depth and number of values are bounded before anything is built from it.

use serde_json::Value;
use std::str;
use synapscale_core::{Error, ErrorKind, Result};

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;
/// Most values in one document: scalars, arrays and objects.
pub const MAX_NODES: usize = 200_000;
/// Largest document, in bytes, unless a face says otherwise.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Bounds of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Most bytes of text.
    pub bytes: usize,
    /// Deepest nesting; never above [`MAX_DEPTH`] in effect, since the gate checks that again.
    pub depth: usize,
    /// Most values.
    pub nodes: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        JsonLimits {
            bytes: MAX_BYTES,
            depth: MAX_DEPTH,
            nodes: MAX_NODES,
        }
    }
}

impl JsonLimits {
    /// The usual bounds with another size, in bytes.
    pub fn of_bytes(bytes: usize) -> Self {
        JsonLimits {
            bytes,
            ..Self::default()
        }
    }
}

/// Parses one JSON document. Of a repeated key the last value counts.
///
/// # Errors
/// 413 `too_large` over a bound; 400 `malformed` for what is not UTF-8 or not JSON; 422 `nul_character`.
pub fn parse_json(bytes: &[u8], limits: &JsonLimits) -> Result<Value> {
    if bytes.len() > limits.bytes {
        return Err(Error::too_large(
            "JSON document",
            format_args!("{} bytes", limits.bytes),
        ));
    }
    let text = str::from_utf8(bytes).map_err(|_| Error::malformed("The JSON is not valid UTF-8."))?;
    scan(text.as_bytes(), limits)?;
    let value = serde_json::from_str(text)
        .map_err(|error| Error::malformed(format!("This is not valid JSON: {error}.")))?;
    check(&value, limits)?;
    Ok(value)
}

/// Checks a value that did not come through [`parse_json`] against the usual depth and number of values.
///
/// # Errors
/// 413 `too_large`; 422 `nul_character` for text that not every database can keep.
pub fn check_value(value: &Value) -> Result<()> {
    check(value, &JsonLimits::default())
}

fn too_deep(limits: &JsonLimits) -> Error {
    Error::too_large(
        "nesting of the JSON document",
        format_args!("{} levels", limits.depth),
    )
}

fn too_many(limits: &JsonLimits) -> Error {
    Error::too_large("number of values in the JSON document", limits.nodes)
}

/// Counts depth and values without building anything. Wrong syntax is left to the parser.
fn scan(bytes: &[u8], limits: &JsonLimits) -> Result<()> {
    let (mut depth, mut nodes) = (0_usize, 1_usize);
    let (mut in_text, mut escaped, mut opened) = (false, false, false);
    for byte in bytes {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        let closes = matches!(byte, b']' | b'}');
        if opened && !byte.is_ascii_whitespace() {
            // The first member of an array or object has no comma before it.
            opened = false;
            nodes += usize::from(!closes);
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                opened = true;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
        if depth > limits.depth {
            return Err(too_deep(limits));
        }
        if nodes > limits.nodes {
            return Err(too_many(limits));
        }
    }
    Ok(())
}

fn check(value: &Value, limits: &JsonLimits) -> Result<()> {
    let mut nodes = 0;
    walk(value, limits, 0, &mut nodes)
}

/// Goes no deeper than the bound, so the stack is safe whatever the value.
fn walk(value: &Value, limits: &JsonLimits, depth: usize, nodes: &mut usize) -> Result<()> {
    *nodes += 1;
    if *nodes > limits.nodes {
        return Err(too_many(limits));
    }
    match value {
        Value::String(text) => no_nul(text),
        Value::Array(_) | Value::Object(_) if depth >= limits.depth => Err(too_deep(limits)),
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            walk(item, limits, depth + 1, nodes).map_err(|error| under(error, &index.to_string()))
        }),
        Value::Object(members) => members.iter().try_for_each(|(name, item)| {
            no_nul(name)?;
            walk(item, limits, depth + 1, nodes).map_err(|error| under(error, name))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// PostgreSQL keeps no NUL in text or JSON; SQLite does. It is refused for both.
fn no_nul(text: &str) -> Result<()> {
    match text.contains('\0') {
        true => Err(Error::invalid(
            "",
            "nul_character",
            "Text must not contain the NUL character.",
        )),
        false => Ok(()),
    }
}

fn under(error: Error, member: &str) -> Error {
    match error.kind() {
        ErrorKind::Invalid => error.under(&format!("/{}", member.replace('~', "~0").replace('/', "~1"))),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(text: &str) -> Result<Value> {
        parse_json(text.as_bytes(), &JsonLimits::default())
    }

    #[test]
    fn what_is_json_is_read() {
        let text = r#" {"a": [1, "[[\"[", {}], "b": null} "#;
        assert_eq!(
            parse(text).expect("json"),
            json!({"a": [1, "[[\"[", {}], "b": null})
        );
        assert_eq!(parse(r#"{"a": 1, "a": 2}"#).expect("json"), json!({"a": 2}));
    }

    #[test]
    fn what_is_not_is_malformed() {
        for text in ["", "{", "[1,]", "{a: 1}", "1 2", "\u{feff}{}", "1e999"] {
            assert_eq!(parse(text).expect_err(text).kind(), ErrorKind::Malformed);
        }
        let error = parse_json(&[b'"', 0xff, b'"'], &JsonLimits::default()).expect_err("no UTF-8");
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            parse(&nested(MAX_DEPTH + 1)).expect_err("deep").code(),
            "too_large"
        );
        assert_eq!(parse(&"[".repeat(500_000)).expect_err("deep").code(), "too_large");
        let objects = r#"{"a":"#.repeat(100_000);
        assert_eq!(parse(&objects).expect_err("deep").code(), "too_large");
    }

    #[test]
    fn built_values_are_checked_too() {
        let mut value = json!(1);
        for _ in 0..MAX_DEPTH {
            value = json!([value]);
        }
        assert!(check_value(&value).is_ok());
        assert_eq!(
            check_value(&json!([value])).expect_err("deep").code(),
            "too_large"
        );
        assert_eq!(
            check_value(&json!(vec![0; MAX_NODES])).expect_err("many").code(),
            "too_large"
        );
        assert!(check_value(&json!(vec![0; MAX_NODES - 1])).is_ok());
    }

    #[test]
    fn size_and_count_are_bounded() {
        let limits = JsonLimits {
            bytes: 20,
            depth: 2,
            nodes: 4,
        };
        assert!(parse_json(b"[1,2,[ ]]", &limits).is_ok());
        assert_eq!(
            parse_json(b"[1,2,[3]]", &limits).expect_err("five").code(),
            "too_large"
        );
        assert_eq!(
            parse_json(&[b' '; 21], &limits).expect_err("long").code(),
            "too_large"
        );
    }

    #[test]
    fn nul_is_refused_where_it_stands() {
        let error = parse(r#"{"a": ["x", "\u0000"]}"#).expect_err("nul");
        assert_eq!(error.code(), "invalid");
        assert_eq!(error.fields()[0].pointer, "/a/1");
        assert_eq!(error.fields()[0].code, "nul_character");
    }
}
