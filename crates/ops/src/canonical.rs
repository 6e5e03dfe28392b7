//! One text for equal JSON values, whatever the order of their keys, to tell whether a call is the same again.

use aws_lc_rs::digest;
use serde_json::Value;

/// Length of a digest, in bytes.
pub(crate) const DIGEST_BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// SHA-256 over the canonical text of `value`, whose depth has been checked.
pub(crate) fn digest(value: &Value) -> [u8; DIGEST_BYTES] {
    let mut text = Vec::new();
    write(value, &mut text);
    let hash = digest::digest(&digest::SHA256, &text);
    let mut out = [0; DIGEST_BYTES];
    out.copy_from_slice(hash.as_ref());
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                write(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            out.push(b'{');
            for (name, item) in members {
                out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                out.push(b':');
                write(item, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        scalar => out.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> [u8; DIGEST_BYTES] {
        digest(&serde_json::from_str(text).expect("json"))
    }

    #[test]
    fn order_and_space_do_not_count() {
        assert_eq!(
            of(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#),
            of(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#)
        );
    }

    #[test]
    fn everything_else_does() {
        let texts = [
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "[12]",
            "{}",
            "[]",
        ];
        for (index, left) in texts.iter().enumerate() {
            for right in &texts[index + 1..] {
                assert_ne!(of(left), of(right), "{left} {right}");
            }
        }
    }
}
