//! The span of one attempt, by OpenTelemetry's conventions for calls of models. What is asked and answered is never part
//! of it, and nothing of it goes to the provider.

use crate::adapter::Call;
use crate::error::LlmError;
use crate::model::{ChatResponse, Finish, ResponseFormat};
use http::Uri;
use std::borrow::Cow;
use tracing::Span;
use tracing::field::{Empty, display};

/// The span of an attempt that begins. Of the level `debug`: it costs nothing where no traces are exported.
pub(crate) fn chat(call: &Call<'_>) -> Span {
    let (request, deployment) = (call.request, call.deployment);
    let span = tracing::debug_span!(
        "chat",
        otel.name = %format_args!("chat {}", deployment.model),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider(deployment.preset.name),
        gen_ai.request.model = deployment.model.as_str(),
        gen_ai.request.max_tokens = request.max_tokens.or(deployment.max_tokens).map(i64::from),
        gen_ai.request.temperature = request.temperature,
        gen_ai.request.top_p = request.top_p,
        gen_ai.request.stream = call.stream,
        gen_ai.output.type = output(&request.response_format),
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        server.address = Empty,
        server.port = Empty,
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    if !span.is_disabled()
        && let Ok(address) = deployment.base_url.parse::<Uri>()
        && let Some(host) = address.host()
    {
        let usual = if address.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        span.record("server.address", host)
            .record("server.port", i64::from(address.port_u16().unwrap_or(usual)));
    }
    span
}

/// Tells the span what came of the attempt: all of an answer, the part that came, or nothing.
pub(crate) fn ended(span: &Span, error: Option<&LlmError>, response: Option<&ChatResponse>) {
    if span.is_disabled() {
        return;
    }
    if let Some(error) = error {
        span.record("otel.status_code", "ERROR")
            .record("error.type", error.word());
    }
    let Some(response) = response else { return };
    span.record("gen_ai.response.model", response.model.as_deref())
        .record("gen_ai.response.id", response.provider_id.as_deref());
    if response.finish != Finish::Unknown {
        span.record(
            "gen_ai.response.finish_reasons",
            display(finish(&response.finish)),
        );
    }
    let usage = &response.usage;
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", usage.input),
        ("gen_ai.usage.output_tokens", usage.output),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ] {
        if let Some(tokens) = tokens.and_then(|tokens| i64::try_from(tokens).ok()) {
            span.record(name, tokens);
        }
    }
}

/// The conventions' own word for a provider, where they have one that differs from ours.
fn provider(name: &'static str) -> &'static str {
    match name {
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    }
}

fn output(format: &ResponseFormat) -> &'static str {
    match format {
        ResponseFormat::Text => "text",
        ResponseFormat::JsonSchema(_) => "json",
    }
}

fn finish(finish: &Finish) -> Cow<'_, str> {
    match finish {
        Finish::Other(word) => Cow::Borrowed(word),
        known => match serde_json::to_value(known) {
            Ok(serde_json::Value::String(word)) => Cow::Owned(word),
            _ => Cow::Borrowed("unknown"),
        },
    }
}
