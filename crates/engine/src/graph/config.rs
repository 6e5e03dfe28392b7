//! JSON Schemas: a node's `with` against its kind's, and the file's own schema for the input of runs.
//!
//! A configuration is validated as it stands in the file, with its expressions, and what an expression may still mend is
//! left out of the faults (see [`is_excused`]). The alternative, a copy with the expressions taken out, would break
//! `required` and `items`; and no stand-in value fits every type, range and pattern.

use super::kinds::KindInfo;
use super::parse::{Problems, below, echo};
use super::schema_guard;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use synapscale_core::FieldError;
use synapscale_ops::CompiledSchema;

/// Most faults told of one value.
const MAX_FAULTS: usize = 50;

/// Validators of the kinds of one file, each compiled once.
#[derive(Default)]
pub(super) struct KindSchemas(HashMap<(String, u32), Option<CompiledSchema>>);

impl KindSchemas {
    /// Checks a node's `with`, which stands at `at`; says whether it passed.
    pub fn check(&mut self, kind: &KindInfo, with: &Value, at: &str, problems: &mut Problems) -> bool {
        let key = (kind.name.clone(), kind.version);
        let validator = self
            .0
            .entry(key)
            .or_insert_with(|| CompiledSchema::compile(&kind.config_schema, true).ok());
        let Some(validator) = validator else {
            let message = format!(
                "The schema of `{}@{}` is broken; that is a fault of the engine.",
                kind.name, kind.version
            );
            problems.add(at, "kind_schema", message);
            return false;
        };
        let before = problems.len();
        for error in validator.errors(with).filter(|error| !is_excused(error)) {
            if problems.is_full() {
                return false;
            }
            describe(&error, &mut |pointer, code, message| {
                problems.add(format!("{at}{pointer}"), code, message)
            });
        }
        problems.len() == before
    }
}

/// Whether what an expression gives may mend this fault. The keys of objects and the number of a list's items never come
/// from expressions, so missing, unknown and too many members stay faults; the exception are schemas that ask for them
/// only under a condition. Anything else is excused if the value at fault holds an expression.
fn is_excused(error: &ValidationError<'_>) -> bool {
    let value: &Value = error.instance();
    if !holds_expression(value) {
        return false;
    }
    let is_conditional = error
        .schema_path()
        .as_str()
        .split('/')
        .any(|step| matches!(step, "then" | "else" | "not"));
    let is_about_members = matches!(
        error.kind(),
        Kind::Required { .. }
            | Kind::AdditionalProperties { .. }
            | Kind::PropertyNames { .. }
            | Kind::MinItems { .. }
            | Kind::MaxItems { .. }
            | Kind::MinProperties { .. }
            | Kind::MaxProperties { .. }
            | Kind::Type { .. }
    );
    value.is_string() || is_conditional || !is_about_members
}

/// Whether any string of a value holds `{{`. The file's depth has been checked.
pub(super) fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(map) => map.values().any(holds_expression),
        _ => false,
    }
}

/// The validator of a run's input, if the schema at `at` is one.
pub(super) fn input_check(schema: &Value, at: &str, problems: &mut Problems) -> Option<CompiledSchema> {
    if !schema.is_object() {
        problems.add(
            at,
            "type",
            "The schema of the input has to be an object, a JSON Schema.",
        );
        return None;
    }
    if let Err(refused) = schema_guard::check(schema) {
        problems.add(at, refused.code, refused.message);
        return None;
    }
    match CompiledSchema::compile(schema, true) {
        Ok(validator) => Some(validator),
        Err(error) => {
            let at = format!("{at}{}", error.instance_path().as_str());
            problems.add(
                at,
                "bad_schema",
                format!("This is no JSON Schema: {}.", error.masked_with("the value")),
            );
            None
        }
    }
}

/// What is wrong with `value`, at most fifty faults.
pub(super) fn faults(check: &CompiledSchema, value: &Value) -> Vec<FieldError> {
    let mut fields = Vec::new();
    for error in check.errors(value) {
        describe(&error, &mut |pointer, code, message| {
            fields.push(FieldError {
                pointer,
                code: Cow::Borrowed(code),
                message,
            });
        });
        if fields.len() >= MAX_FAULTS {
            break;
        }
    }
    fields.truncate(MAX_FAULTS);
    fields
}

/// Gives each fault of `error` to `tell`: its pointer into the value, its code and its words.
fn describe(error: &ValidationError<'_>, tell: &mut dyn FnMut(String, &'static str, String)) {
    let at = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_FAULTS) {
                tell(
                    below(at, name),
                    "unknown_field",
                    format!("There is no field `{}` here.", echo(name)),
                );
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            tell(
                below(at, name),
                "required",
                format!("`{}` is required.", echo(name)),
            );
        }
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => {
            tell(
                at.to_owned(),
                "shape",
                "The value has none of the allowed forms.".to_owned(),
            );
        }
        // Masked: the value itself may be a secret, and errors are logged.
        kind => tell(
            at.to_owned(),
            code(kind),
            format!("{}.", error.masked_with("The value")),
        ),
    }
}

/// The stable code for a broken keyword; the same words as for an operation's input.
fn code(kind: &Kind) -> &'static str {
    match kind {
        Kind::Type { .. } => "type",
        Kind::Format { .. } | Kind::ContentEncoding { .. } | Kind::ContentMediaType { .. } => "format",
        Kind::Pattern { .. } | Kind::BacktrackLimitExceeded { .. } => "pattern",
        Kind::MinLength { .. } | Kind::MaxLength { .. } => "length",
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. } => "range",
        Kind::MinItems { .. }
        | Kind::MaxItems { .. }
        | Kind::MinProperties { .. }
        | Kind::MaxProperties { .. }
        | Kind::AdditionalItems { .. } => "count",
        Kind::Enum { .. } | Kind::Constant { .. } => "one_of",
        Kind::UniqueItems => "unique",
        Kind::PropertyNames { .. } => "field_name",
        Kind::OneOfMultipleValid { .. } => "shape",
        _ => "invalid",
    }
}
