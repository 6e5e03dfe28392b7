//! What of a span leaves this process: the spans and attributes listed here, and nothing else. Whoever adds a field to a
//! span of the log exports nothing by that.

use opentelemetry::trace::Status;
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use std::borrow::Cow;
use tracing::Metadata;

/// Longest text of an attribute or a name, in bytes.
const MAX_TEXT: usize = 256;

/// The spans, by their names in the code.
const SPANS: &[&str] = &["http", "operation", "run", "burst", "step", "chat"];

/// The attributes: the field in the code, and its name in the export.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("error.type", "error.type"),
    ("request_id", "synapscale.request_id"),
    ("http.request.method", "http.request.method"),
    ("http.response.status_code", "http.response.status_code"),
    ("http.route", "http.route"),
    ("url.path", "url.path"),
    ("operation", "synapscale.operation"),
    ("part", "synapscale.operation.part"),
    ("tenant", "synapscale.tenant"),
    ("actor_kind", "synapscale.actor.kind"),
    ("run_id", "synapscale.run.id"),
    ("run_status", "synapscale.run.status"),
    ("correlation", "synapscale.correlation_id"),
    ("workflow", "synapscale.workflow"),
    ("version", "synapscale.workflow.version"),
    ("node", "synapscale.node"),
    ("node_kind", "synapscale.node.kind"),
    ("path", "synapscale.node.path"),
    ("attempt", "synapscale.attempt"),
    ("server.address", "server.address"),
    ("server.port", "server.port"),
    ("gen_ai.operation.name", "gen_ai.operation.name"),
    ("gen_ai.provider.name", "gen_ai.provider.name"),
    ("gen_ai.request.model", "gen_ai.request.model"),
    ("gen_ai.request.max_tokens", "gen_ai.request.max_tokens"),
    ("gen_ai.request.temperature", "gen_ai.request.temperature"),
    ("gen_ai.request.top_p", "gen_ai.request.top_p"),
    ("gen_ai.request.stream", "gen_ai.request.stream"),
    ("gen_ai.output.type", "gen_ai.output.type"),
    ("gen_ai.response.model", "gen_ai.response.model"),
    ("gen_ai.response.id", "gen_ai.response.id"),
    (FINISH_REASONS, FINISH_REASONS),
    ("gen_ai.usage.input_tokens", "gen_ai.usage.input_tokens"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.output_tokens"),
    (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
    ),
    (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ),
    (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    ),
    ("gen_ai.tool.name", "gen_ai.tool.name"),
    ("gen_ai.tool.call.id", "gen_ai.tool.call.id"),
];

/// A list by the conventions; a field of the log is one word.
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";

/// Whether this is a span to be exported. Events never are: their words may say anything.
pub(super) fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("synapscale_") && SPANS.contains(&metadata.name())
}

/// The span as it is exported.
pub(super) fn shaped(mut span: SpanData) -> SpanData {
    span.attributes = std::mem::take(&mut span.attributes)
        .into_iter()
        .filter_map(attribute)
        .collect();
    if span.name == "operation" {
        span.name = operation_name(&span.attributes);
    }
    if span.name.len() > MAX_TEXT {
        span.name = Cow::Owned(cut(&span.name).to_owned());
    }
    // The words of an error may say anything; its type is an attribute.
    if matches!(span.status, Status::Error { .. }) {
        span.status = Status::error("");
    }
    span.events.events.clear();
    span
}

fn attribute(given: KeyValue) -> Option<KeyValue> {
    let (_, name) = ATTRIBUTES
        .iter()
        .find(|(field, _)| *field == given.key.as_str())?;
    let value = match given.value {
        Value::String(text) if *name == FINISH_REASONS => {
            Value::Array(Array::String(vec![cut(text.as_str()).to_owned().into()]))
        }
        Value::String(text) if text.as_str().len() > MAX_TEXT => Value::from(cut(text.as_str()).to_owned()),
        other => other,
    };
    Some(KeyValue::new(*name, value))
}

fn operation_name(attributes: &[KeyValue]) -> Cow<'static, str> {
    let text = |name: &str| {
        let found = attributes.iter().find(|attribute| attribute.key.as_str() == name);
        found.map_or(Cow::Borrowed("operation"), |found| {
            Cow::Owned(found.value.as_str().into_owned())
        })
    };
    let operation = text("synapscale.operation");
    match text("synapscale.operation.part").as_ref() {
        "prepare" => Cow::Owned(format!("{operation} prepare")),
        _ => operation,
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_stays() {
        for field in [
            "input",
            "database_url",
            "gen_ai.input.messages",
            "actor",
            "code.file.path",
        ] {
            assert!(attribute(KeyValue::new(field, "secret")).is_none(), "{field}");
        }
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        let long = "ä".repeat(MAX_TEXT);
        let cut = attribute(KeyValue::new("node", long)).expect("listed");
        assert_eq!(cut.key.as_str(), "synapscale.node");
        assert_eq!(cut.value.as_str().len(), MAX_TEXT);
    }

    #[test]
    fn operations_are_named_after_themselves() {
        let named = |part: &'static str| {
            operation_name(&[
                KeyValue::new("synapscale.operation", "tasks.list"),
                KeyValue::new("synapscale.operation.part", part),
            ])
        };
        assert_eq!(named("call"), "tasks.list");
        assert_eq!(named("prepare"), "tasks.list prepare");
    }

    #[test]
    fn a_reason_to_end_is_a_list() {
        let made = attribute(KeyValue::new(FINISH_REASONS, "stop")).expect("listed");
        assert_eq!(made.value, Value::Array(Array::String(vec!["stop".into()])));
    }
}
