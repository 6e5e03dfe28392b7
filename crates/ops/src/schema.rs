//! JSON Schemas from types, and what is said of inputs that break them.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::borrow::Cow;
use synapscale_core::{Error, FieldError, Result};

/// Most faults told of at once.
const MAX_FIELDS: usize = 50;
/// Longest part of a caller's text that is repeated in a message, in characters.
const MAX_ECHO: usize = 100;
/// Longest pointer, in characters.
const MAX_POINTER: usize = 500;
/// How deep alternatives within alternatives are looked into for the fault that was meant.
const MAX_ALTERNATIVES: usize = 4;
/// What in a root schema makes it more than a plain object. Models' providers refuse these.
const NOT_PLAIN: [&str; 6] = ["oneOf", "anyOf", "allOf", "not", "if", "$ref"];

/// The schema of what is read as an `I`.
pub(crate) fn input<I: JsonSchema>() -> Value {
    root::<I>(settings().for_deserialize())
}

/// The schema of what an `O` is written as.
pub(crate) fn output<O: JsonSchema>() -> Value {
    root::<O>(settings().for_serialize())
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

fn root<T: JsonSchema>(settings: SchemaSettings) -> Value {
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Why these schemas cannot be an operation's, if they cannot.
pub(crate) fn problem(input: &Value, output: &Value) -> Option<String> {
    let plain = |what: &str, schema: &Value| {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Some(format!("the {what} is not an object"));
        }
        let extra = NOT_PLAIN.iter().find(|word| schema.get(**word).is_some());
        extra.map(|word| format!("the {what} has `{word}` at its root"))
    };
    let open = || {
        (input.get("additionalProperties") != Some(&Value::Bool(false)))
            .then(|| "the input takes unknown fields: add #[serde(deny_unknown_fields)]".to_owned())
    };
    plain("input", input)
        .or_else(|| plain("output", output))
        .or_else(open)
}

/// A JSON Schema, compiled. The validator's code is generic and large: this is the only place that makes it, or the binary
/// would hold it once for each crate that checks something.
#[derive(Debug)]
pub struct CompiledSchema(Validator);

impl CompiledSchema {
    /// Compiles `schema`, by draft 7 if it says so and by 2020-12 otherwise; `formats` says whether `format` is checked or
    /// only told. Patterns run in linear time and nothing is fetched. Whether a stranger's schema is bounded at all is to be
    /// found out before: references that multiply are not seen here.
    ///
    /// # Errors
    /// Why it is no schema.
    pub fn compile(schema: &Value, formats: bool) -> Result<Self, ValidationError<'static>> {
        let named = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        let draft = match named.contains("draft-07") || named.contains("draft-06") {
            true => jsonschema::Draft::Draft7,
            false => jsonschema::Draft::Draft202012,
        };
        let patterns = PatternOptions::regex()
            .size_limit(MAX_PATTERN_BYTES)
            .dfa_size_limit(MAX_PATTERN_BYTES);
        jsonschema::options()
            .with_draft(draft)
            .should_validate_formats(formats)
            .with_pattern_options(patterns)
            .offline()
            .build(schema)
            .map(CompiledSchema)
    }

    /// What is wrong with `value`.
    pub fn errors<'v>(&'v self, value: &'v Value) -> Box<dyn Iterator<Item = ValidationError<'v>> + 'v> {
        Box::new(self.0.iter_errors(value))
    }

    /// Whether `value` fits.
    pub fn is_valid(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }
}

/// The compiled schema of an input.
#[derive(Debug)]
pub(crate) struct InputCheck(Option<CompiledSchema>);

impl InputCheck {
    /// Compiles `schema`; the text says why it could not.
    pub fn compile(schema: &Value) -> (Self, Option<String>) {
        match CompiledSchema::compile(schema, true) {
            Ok(validator) => (InputCheck(Some(validator)), None),
            Err(error) => (InputCheck(None), Some(error.to_string())),
        }
    }

    /// Checks an input, whose depth has been checked before.
    ///
    /// # Errors
    /// 422 with one field error per fault, at most fifty.
    pub fn validate(&self, input: &Value) -> Result<()> {
        let Some(validator) = &self.0 else {
            return Err(Error::internal("the operation's input schema did not compile"));
        };
        let mut fields = Vec::new();
        for error in validator.errors(input) {
            describe(&error, MAX_ALTERNATIVES, &mut fields);
            if fields.len() >= MAX_FIELDS {
                break;
            }
        }
        fields.truncate(MAX_FIELDS);
        match fields.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid_fields(fields)),
        }
    }
}

/// Longest compiled pattern of a stranger's schema, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// A stranger's schema, compiled. Whether it is bounded at all is to be found out before: references that multiply are not
/// seen here.
#[derive(Debug)]
pub struct SchemaCheck(InputCheck);

impl SchemaCheck {
    /// Compiles `schema`, by draft 7 if it says so and by 2020-12 otherwise. Patterns run in linear time and nothing is
    /// fetched.
    ///
    /// # Errors
    /// Why it is no schema, in words that quote nothing of it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        CompiledSchema::compile(schema, true)
            .map(|validator| SchemaCheck(InputCheck(Some(validator))))
            .map_err(|error| short(&format!("{}.", error.masked_with("The value")), 4 * MAX_ECHO))
    }

    /// Checks a value, whose depth has been checked before.
    ///
    /// # Errors
    /// 422 with one field error per fault, at most fifty.
    pub fn validate(&self, value: &Value) -> Result<()> {
        self.0.validate(value)
    }
}

/// Adds what `error` says of its field or fields.
fn describe(error: &ValidationError<'_>, depth: usize, fields: &mut Vec<FieldError>) {
    let at = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_FIELDS) {
                let message = format!("There is no field `{}` here.", short(name, MAX_ECHO));
                fields.push(field(&below(at, name), "unknown_field", message));
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            fields.push(field(
                &below(at, name),
                "required",
                format!("`{name}` is required."),
            ));
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            match meant(context, at).filter(|_| depth > 0) {
                Some(branch) => branch.iter().for_each(|error| describe(error, depth - 1, fields)),
                None => fields.push(field(at, "shape", "The value has none of the allowed forms.")),
            }
        }
        kind => {
            // Masked: the value itself may be a secret, and errors are logged.
            let message = format!("{}.", error.masked_with("The value"));
            fields.push(field(at, code(kind), short(&message, 4 * MAX_ECHO)));
        }
    }
}

/// The alternative that a caller had in mind: the one with the fewest faults among those whose type and fixed values
/// fit. None when no alternative stands out in that way.
fn meant<'e>(
    alternatives: &'e [Vec<ValidationError<'static>>],
    at: &str,
) -> Option<&'e Vec<ValidationError<'static>>> {
    alternatives
        .iter()
        .filter(|errors| !errors.is_empty() && !errors.iter().any(|error| misses(error, at)))
        .min_by_key(|errors| errors.len())
}

/// Whether `error` shows that its alternative was not meant: another type, or another fixed value, such as a tag.
fn misses(error: &ValidationError<'_>, at: &str) -> bool {
    let path = error.instance_path().as_str();
    match error.kind() {
        Kind::Type { .. } | Kind::Enum { .. } => path == at,
        Kind::Constant { .. } => true,
        _ => false,
    }
}

/// The stable code for a broken keyword.
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

fn field(pointer: &str, code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError {
        pointer: short(pointer, MAX_POINTER),
        code: Cow::Borrowed(code),
        message: message.into(),
    }
}

/// The pointer of a member.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn short(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Make {
        #[schemars(length(min = 1, max = 5))]
        title: String,
        #[schemars(range(min = 1, max = 9))]
        priority: Option<i64>,
        id: Option<uuid::Uuid>,
        #[schemars(regex(pattern = "^[a-z]+$"))]
        slug: Option<String>,
        owner: Option<Owner>,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Owner {
        name: String,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Either {
        A { a: i64 },
        B { b: i64 },
    }

    fn faults(input: Value) -> Vec<(String, String)> {
        let schema = super::input::<Make>();
        let (check, broken) = InputCheck::compile(&schema);
        assert_eq!(broken, None);
        let Err(error) = check.validate(&input) else {
            return Vec::new();
        };
        let pairs = error
            .fields()
            .iter()
            .map(|f| (f.pointer.clone(), f.code.to_string()));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort();
        pairs
    }

    fn pair(pointer: &str, code: &str) -> (String, String) {
        (pointer.to_owned(), code.to_owned())
    }

    #[test]
    fn a_good_input_passes() {
        let owner = json!({"name": "o"});
        assert!(faults(json!({"title": "a", "priority": 3, "owner": owner, "slug": null})).is_empty());
    }

    #[test]
    fn every_fault_has_its_pointer_and_code() {
        assert_eq!(faults(json!({})), [pair("/title", "required")]);
        assert_eq!(
            faults(json!({"title": "a", "a/b": 1, "x~": 2})),
            [pair("/a~1b", "unknown_field"), pair("/x~0", "unknown_field")]
        );
        assert_eq!(faults(json!({"title": 1})), [pair("/title", "type")]);
        assert_eq!(faults(json!({"title": ""})), [pair("/title", "length")]);
        assert_eq!(faults(json!({"title": "abcdef"})), [pair("/title", "length")]);
        assert_eq!(
            faults(json!({"title": "a", "priority": 10})),
            [pair("/priority", "range")]
        );
        assert_eq!(faults(json!({"title": "a", "id": "no"})), [pair("/id", "format")]);
        assert_eq!(
            faults(json!({"title": "a", "slug": "A"})),
            [pair("/slug", "pattern")]
        );
        assert_eq!(
            faults(json!({"title": "a", "tags": ["b", 3]})),
            [pair("/tags/1", "type")]
        );
        assert_eq!(faults(json!([])), [pair("", "type")]);
    }

    #[test]
    fn faults_within_an_optional_object_are_told() {
        assert_eq!(
            faults(json!({"title": "a", "owner": {"nam": 1}})),
            [
                pair("/owner/nam", "unknown_field"),
                pair("/owner/name", "required")
            ]
        );
    }

    #[test]
    fn values_are_not_repeated_and_faults_are_counted() {
        let (check, _) = InputCheck::compile(&super::input::<Make>());
        let error = check
            .validate(&json!({"title": "hunter2-hunter2"}))
            .expect_err("too long");
        assert!(!format!("{error:?}").contains("hunter2"));
        let many = vec![1; 1000];
        let error = check
            .validate(&json!({"title": "a", "tags": many}))
            .expect_err("numbers");
        assert_eq!(error.fields().len(), MAX_FIELDS);
    }

    #[test]
    fn roots_are_plain_objects() {
        let make = super::input::<Make>();
        assert_eq!(problem(&make, &make), None);
        assert!(problem(&super::input::<Either>(), &make).is_some());
        assert!(problem(&make, &super::output::<Vec<Owner>>()).is_some());
        assert!(problem(&json!({"type": "object"}), &make).is_some());
        assert!(!make.to_string().contains("$ref"));
    }
}
