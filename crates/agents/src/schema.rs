//! The schema of a structured answer, checked before it is kept: a stranger wrote it, validators run it, and providers
//! refuse roots that are no plain objects.

use crate::stow::is_larger;
use serde_json::{Map, Value};
use synapscale_core::FieldError;
use synapscale_engine::graph;

/// Largest schema, in bytes of compact JSON.
const MAX_BYTES: usize = 64 * 1024;
/// What makes a root more than a plain object. Providers of models refuse these.
const NOT_PLAIN: [&str; 6] = ["oneOf", "anyOf", "allOf", "not", "if", "$ref"];

/// Checks the schema of an answer. Its depth is bounded already: the gate lets nothing deeper in than the engine's own guard
/// expects.
///
/// # Errors
/// The fault, with its pointer into the schema.
pub fn check_answer(schema: &Map<String, Value>) -> Result<(), FieldError> {
    let fault = |pointer: &str, code: &'static str, message: &str| FieldError {
        pointer: pointer.to_owned(),
        code: code.into(),
        message: message.to_owned(),
    };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let message = "The schema of an answer is an object's: `\"type\": \"object\"`.";
        return Err(fault("/type", "object_schema", message));
    }
    if let Some(word) = NOT_PLAIN.iter().find(|word| schema.contains_key(**word)) {
        let message = format!("`{word}` cannot stand at the root of the schema: wrap it in a property.");
        return Err(fault(&format!("/{word}"), "object_schema", &message));
    }
    let schema = Value::Object(schema.clone());
    if is_larger(&schema, MAX_BYTES) {
        return Err(fault("", "too_large", "The schema is larger than 64 KiB."));
    }
    graph::check_json_schema(&schema)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(schema: Value) -> Option<String> {
        let Value::Object(schema) = schema else {
            panic!("an object");
        };
        check_answer(&schema).err().map(|fault| fault.code.into_owned())
    }

    #[test]
    fn plain_object_schemas_pass_and_others_do_not() {
        let good = json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/n"}]}},
            "$defs": {"n": {"type": "number"}}});
        assert_eq!(code(good), None);
        for (schema, expected) in [
            (json!({}), "object_schema"),
            (json!({"type": ["object", "null"]}), "object_schema"),
            (json!({"type": "object", "oneOf": []}), "object_schema"),
            (
                json!({"type": "object", "properties": {"a": {"type": 7}}}),
                "bad_schema",
            ),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/x"}}}),
                "schema_reference",
            ),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}),
                "recursive_schema",
            ),
            (
                json!({"type": "object", "description": "x".repeat(70_000)}),
                "too_large",
            ),
            (
                json!({"type": "object", "enum": vec![1; 6_000]}),
                "schema_too_large",
            ),
        ] {
            assert_eq!(code(schema.clone()).as_deref(), Some(expected));
        }
    }
}
