//! Reads whole answers, usage and errors.

use crate::adapter::{classify, malformed, take_string, to_object};
use crate::error::{LlmError, Result};
use crate::model::{ChatResponse, Extra, Finish, Part, TextPart, ThinkingPart, ToolCall, Usage};
use serde_json::Value;

pub(super) fn response(body: &[u8]) -> Result<ChatResponse> {
    let map = to_object(body)?;
    if map.get("type").and_then(Value::as_str) == Some("error")
        || map.get("error").is_some_and(Value::is_object)
    {
        return Err(error_in(None, &map));
    }
    if !map.get("content").is_some_and(Value::is_array) {
        return Err(malformed("The answer holds no content."));
    }
    Ok(message(map))
}

/// Reads a message, whole or only begun.
pub(super) fn message(mut map: Extra) -> ChatResponse {
    let mut response = ChatResponse::default();
    if let Some(Value::Array(blocks)) = map.remove("content") {
        response.message.content = blocks.into_iter().map(block).collect();
    }
    response.finish = finish(take_string(&mut map, "stop_reason"));
    response.usage = usage(map.remove("usage"));
    response.model = take_string(&mut map, "model");
    response.provider_id = take_string(&mut map, "id");
    map.retain(|key, value| !matches!(key.as_str(), "type" | "role") && !value.is_null());
    response.extra = map;
    response
}

/// Reads a content block.
pub(super) fn block(value: Value) -> Part {
    let Value::Object(mut map) = value else {
        return Part::Unknown(value);
    };
    let kind = map
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    match kind.as_str() {
        "text" => {
            map.remove("type");
            let text = take_string(&mut map, "text").unwrap_or_default();
            map.retain(|_, value| !value.is_null());
            Part::Text(TextPart { text, extra: map })
        }
        "thinking" => {
            let text = take_string(&mut map, "thinking").unwrap_or_default();
            let signature = take_string(&mut map, "signature").filter(|text| !text.is_empty());
            Part::Thinking(ThinkingPart { text, signature })
        }
        "redacted_thinking" => Part::RedactedThinking {
            data: take_string(&mut map, "data").unwrap_or_default(),
        },
        "tool_use" => {
            map.remove("type");
            let id = take_string(&mut map, "id").unwrap_or_default();
            let name = take_string(&mut map, "name").unwrap_or_default();
            let input = map.remove("input").unwrap_or_default();
            let arguments = if input.is_null() {
                "{}".to_owned()
            } else {
                input.to_string()
            };
            map.retain(|_, value| !value.is_null());
            Part::ToolCall(ToolCall {
                id,
                name,
                arguments,
                parsed: Some(input),
                extra: map,
            })
        }
        _ => Part::Unknown(Value::Object(map)),
    }
}

pub(super) fn finish(word: Option<String>) -> Finish {
    match word.as_deref() {
        None => Finish::Unknown,
        Some("end_turn" | "stop_sequence") => Finish::Stop,
        Some("max_tokens" | "model_context_window_exceeded") => Finish::Length,
        Some("tool_use") => Finish::ToolCalls,
        Some("refusal") => Finish::Refusal,
        Some("pause_turn") => Finish::Pause,
        Some(other) => Finish::Other(other.to_owned()),
    }
}

/// Reads usage. Theirs counts cached tokens apart; ours counts all that was read, and the cached as a share of it.
pub(super) fn usage(value: Option<Value>) -> Usage {
    let Some(Value::Object(mut map)) = value else {
        return Usage::default();
    };
    let take = |map: &mut Extra, key: &str| map.remove(key).and_then(|value| value.as_u64());
    let plain = take(&mut map, "input_tokens");
    let cached_input = take(&mut map, "cache_read_input_tokens");
    let cache_write = take(&mut map, "cache_creation_input_tokens");
    let output = take(&mut map, "output_tokens");
    map.retain(|_, value| !value.is_null());
    Usage {
        input: plain.map(|plain| plain + cached_input.unwrap_or(0) + cache_write.unwrap_or(0)),
        output,
        cached_input,
        cache_write,
        reasoning: None,
        extra: map,
    }
}

pub(super) fn error(status: Option<u16>, body: &[u8]) -> LlmError {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(map)) => error_in(status, &map),
        _ => {
            let text = String::from_utf8_lossy(&body[..body.len().min(2000)]);
            let text = if text.trim().is_empty() {
                "The provider gave no reason."
            } else {
                text.trim()
            };
            with(status, LlmError::new(classify(status, "", text), text))
        }
    }
}

/// Reads `{"type": "error", "error": {"type": …, "message": …}, "request_id": …}`.
pub(super) fn error_in(status: Option<u16>, map: &Extra) -> LlmError {
    let inner = map.get("error").and_then(Value::as_object).unwrap_or(map);
    let text = |map: &Extra, key: &str| map.get(key).and_then(Value::as_str).map(str::to_owned);
    let code = text(inner, "type");
    let message = text(inner, "message").unwrap_or_else(|| "The provider gave no reason.".to_owned());
    let kind = classify(status, code.as_deref().unwrap_or_default(), &message);
    let error = LlmError::new(kind, message)
        .with_code(code)
        .with_request_id(text(map, "request_id"));
    with(status, error)
}

fn with(status: Option<u16>, error: LlmError) -> LlmError {
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}
