//! Reads whole answers, usage and errors. Fields that are known are taken out; what is left is kept.

use crate::adapter::{classify, malformed, take_string, to_object};
use crate::error::{LlmError, Result};
use crate::model::{ChatResponse, Extra, Finish, Message, Part, Role, ThinkingPart, ToolCall, Usage};
use serde_json::Value;

pub(super) fn response(body: &[u8]) -> Result<ChatResponse> {
    let mut map = to_object(body)?;
    if map.get("error").is_some_and(|error| !error.is_null()) {
        return Err(error_in(None, &map));
    }
    let Some(Value::Array(choices)) = map.remove("choices") else {
        return Err(error_or_malformed(&map));
    };
    let Some(Value::Object(mut choice)) = choices.into_iter().next() else {
        return Err(malformed("The answer holds no choice."));
    };
    if choice.get("error").is_some_and(|error| !error.is_null()) {
        return Err(error_in(None, &choice));
    }
    let Some(Value::Object(message)) = choice.remove("message") else {
        return Err(malformed("The choice holds no message."));
    };
    let message = read_message(message);
    let mut response = ChatResponse {
        message,
        ..ChatResponse::default()
    };
    response.finish = finish(take_string(&mut choice, "finish_reason"), &response.message);
    response.usage = usage(map.remove("usage"));
    response.model = take_string(&mut map, "model");
    response.provider_id = take_string(&mut map, "id");
    choice.retain(|key, value| key != "index" && !value.is_null());
    map.retain(|key, value| key != "object" && !value.is_null());
    map.extend(choice);
    response.extra = map;
    Ok(response)
}

fn error_or_malformed(map: &Extra) -> LlmError {
    // vLLM of old: {"object":"error","message":…,"type":…,"code":400}
    match map.get("object").and_then(Value::as_str) {
        Some("error") => error_in(None, map),
        _ => malformed("The answer holds no choices."),
    }
}

fn read_message(mut map: Extra) -> Message {
    let mut parts = Vec::new();
    if let Some(text) = take_reasoning(&mut map) {
        parts.push(Part::Thinking(ThinkingPart {
            text,
            signature: None,
        }));
    }
    match map.remove("content") {
        Some(Value::String(text)) if !text.is_empty() => parts.push(Part::text(text)),
        Some(Value::Array(items)) => parts.extend(items.into_iter().map(content_part)),
        _ => {}
    }
    if let Some(Value::Array(calls)) = map.remove("tool_calls") {
        parts.extend(calls.into_iter().filter_map(read_call).map(Part::ToolCall));
    }
    map.remove("role");
    map.retain(|_, value| !value.is_null());
    Message {
        role: Role::Assistant,
        content: parts,
        extra: map,
    }
}

/// Reasoning, under whichever of its names; providers that send both send the same text twice.
pub(super) fn take_reasoning(map: &mut Extra) -> Option<String> {
    let one = take_string(map, "reasoning_content");
    let two = take_string(map, "reasoning");
    one.filter(|text| !text.is_empty())
        .or(two)
        .filter(|text| !text.is_empty())
}

/// A part of a content that is a list, as Mistral's.
pub(super) fn content_part(value: Value) -> Part {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => match value.get("text").and_then(Value::as_str) {
            Some(text) => Part::text(text),
            None => Part::Unknown(value),
        },
        Some("thinking") => {
            let text = match value.get("thinking") {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Array(items)) => items
                    .iter()
                    .filter_map(|item| item.get("text").and_then(Value::as_str))
                    .collect(),
                _ => return Part::Unknown(value),
            };
            Part::Thinking(ThinkingPart {
                text,
                signature: None,
            })
        }
        _ => Part::Unknown(value),
    }
}

fn read_call(value: Value) -> Option<ToolCall> {
    let Value::Object(mut map) = value else {
        return None;
    };
    let Some(Value::Object(mut function)) = map.remove("function") else {
        return None;
    };
    let id = call_id(take_string(&mut map, "id"));
    let name = take_string(&mut function, "name").unwrap_or_default();
    let mut call = ToolCall::new(id, name, arguments(function.remove("arguments")));
    map.retain(|key, value| !matches!(key.as_str(), "type" | "index") && !value.is_null());
    call.extra = map;
    Some(call)
}

/// The id of a call; some providers give none, and the result needs one to answer to.
pub(super) fn call_id(given: Option<String>) -> String {
    match given.filter(|id| !id.is_empty()) {
        Some(id) => id,
        None => format!("call_{}", synapscale_core::new_id().simple()),
    }
}

/// Arguments as text; some providers send the object itself.
pub(super) fn arguments(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

pub(super) fn finish(word: Option<String>, message: &Message) -> Finish {
    let finish = match word.as_deref() {
        None | Some("") => Finish::Unknown,
        Some("stop" | "end_turn" | "eos") => Finish::Stop,
        Some("length" | "max_tokens" | "model_length") => Finish::Length,
        Some("tool_calls" | "function_call") => Finish::ToolCalls,
        Some("content_filter") => Finish::ContentFilter,
        Some(other) => Finish::Other(other.to_owned()),
    };
    let called = message.tool_calls().next().is_some();
    let refused = message
        .extra
        .get("refusal")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    match finish {
        // Some providers stop with calls in hand.
        Finish::Stop | Finish::Unknown if called => Finish::ToolCalls,
        Finish::Stop if refused => Finish::Refusal,
        other => other,
    }
}

pub(super) fn usage(value: Option<Value>) -> Usage {
    let Some(Value::Object(mut map)) = value else {
        return Usage::default();
    };
    let take = |map: &mut Extra, key: &str| map.remove(key).and_then(|value| value.as_u64());
    let mut usage = Usage {
        input: take(&mut map, "prompt_tokens"),
        output: take(&mut map, "completion_tokens"),
        ..Usage::default()
    };
    let inner =
        |map: &Extra, key: &str, field: &str| map.get(key).and_then(|d| d.get(field)).and_then(Value::as_u64);
    usage.cached_input = inner(&map, "prompt_tokens_details", "cached_tokens")
        .or_else(|| map.get("prompt_cache_hit_tokens").and_then(Value::as_u64));
    usage.cache_write = inner(&map, "prompt_tokens_details", "cache_write_tokens");
    usage.reasoning = inner(&map, "completion_tokens_details", "reasoning_tokens");
    map.remove("total_tokens");
    map.retain(|_, value| !value.is_null());
    usage.extra = map;
    usage
}

/// Reads an error's body, whatever it looks like.
pub(super) fn error(status: Option<u16>, body: &[u8]) -> LlmError {
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(map)) => error_in(status, &map),
        // Gemini wraps its errors in a list.
        Ok(Value::Array(list)) => match list.first().and_then(Value::as_object) {
            Some(map) => error_in(status, map),
            None => text_error(status, body),
        },
        _ => text_error(status, body),
    }
}

fn text_error(status: Option<u16>, body: &[u8]) -> LlmError {
    let text = String::from_utf8_lossy(&body[..body.len().min(2000)]);
    let text = text.trim();
    let text = if text.is_empty() {
        "The provider gave no reason."
    } else {
        text
    };
    finish_error(status, "", text)
}

/// Reads `{"error": {…}}`, `{"error": "…"}`, `{"message": …}` and `{"detail": …}`.
pub(super) fn error_in(status: Option<u16>, map: &Extra) -> LlmError {
    let inner = match map.get("error") {
        Some(Value::Object(inner)) => inner,
        Some(Value::String(text)) => return finish_error(status, "", text),
        _ => map,
    };
    let message = ["message", "detail", "msg"]
        .iter()
        .find_map(|key| inner.get(*key));
    let message = match message {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "The provider gave no reason.".to_owned(),
    };
    // OpenRouter and vLLM give the HTTP status as a number in `code`.
    let number = inner
        .get("code")
        .and_then(Value::as_u64)
        .and_then(|code| u16::try_from(code).ok());
    let status = status.or(number.filter(|code| (400..600).contains(code)));
    let words = ["code", "type"]
        .iter()
        .filter_map(|key| inner.get(*key).and_then(Value::as_str));
    let code = words.clone().find(|word| !word.is_empty()).unwrap_or_default();
    finish_error(status, code, &message)
}

fn finish_error(status: Option<u16>, code: &str, message: &str) -> LlmError {
    let error = LlmError::new(classify(status, code, message), message);
    let error = error.with_code((!code.is_empty()).then(|| code.to_owned()));
    match status {
        Some(status) => error.with_status(status),
        None => error,
    }
}
