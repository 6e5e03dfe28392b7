//! Anthropic's wire format: messages, models.

use super::answer::{Answer, Event};
use super::fault::Fault;
use super::reply::{Finish, Part, ToolCall, Usage};
use serde_json::{Value, json};

fn stop_reason(answer: &Answer<'_>) -> String {
    match answer.reply.finish_or_default() {
        Finish::Stop => "end_turn".to_owned(),
        Finish::Length => "max_tokens".to_owned(),
        Finish::Tools => "tool_use".to_owned(),
        Finish::Refused => "refusal".to_owned(),
        Finish::Other(name) => name,
    }
}

fn usage_value(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    })
}

/// The message without what comes later in a stream.
fn message(answer: &Answer<'_>) -> Value {
    let mut message = json!({
        "id": format!("msg_{:024x}", answer.request.number + 1),
        "type": "message",
        "role": "assistant",
        "model": answer.request.model(),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    });
    if answer.has(&Fault::ExtraFields) {
        message["x_unheard_of"] = json!({"nested": [1, "two", null]});
    }
    message
}

/// A call's input: an object, as it is sent whole; arguments that are broken come as a string.
fn input_of(call: &ToolCall) -> Value {
    match &call.raw {
        Some(raw) if raw.is_empty() => json!({}),
        Some(raw) => serde_json::from_str(raw).unwrap_or_else(|_| json!(raw)),
        None => call.arguments.clone(),
    }
}

fn block(answer: &Answer<'_>, index: usize, part: &Part) -> Value {
    match part {
        Part::Text(text) | Part::Refusal(text) => json!({"type": "text", "text": text}),
        Part::Thinking(text, signature) => {
            json!({"type": "thinking", "thinking": text, "signature": signature})
        }
        Part::Tool(call) => json!({
            "type": "tool_use",
            "id": answer.call_id("toolu_", index, call),
            "name": call.name,
            "input": input_of(call),
        }),
    }
}

/// The body of an answer that is no stream.
pub(crate) fn whole(answer: &Answer<'_>) -> Value {
    let mut body = message(answer);
    let blocks = answer.reply.parts.iter().enumerate();
    let blocks: Vec<Value> = blocks.map(|(index, part)| block(answer, index, part)).collect();
    body["content"] = json!(blocks);
    body["stop_reason"] = json!(stop_reason(answer));
    if let Some(usage) = answer.told() {
        body["usage"] = usage_value(usage);
        body["usage"]["service_tier"] = json!("standard");
    }
    body
}

fn event(data: &Value) -> Event {
    let name = data["type"].as_str().unwrap_or_default();
    Event::new(format!("event: {name}\ndata: {data}\n\n"))
}

fn delta(index: usize, delta: Value) -> Event {
    let data = json!({"type": "content_block_delta", "index": index, "delta": delta});
    Event {
        token: true,
        ..event(&data)
    }
}

/// A block as it starts, and its deltas.
fn block_events(answer: &Answer<'_>, index: usize, part: &Part) -> Vec<Event> {
    let (opening, deltas) = match part {
        Part::Text(text) | Part::Refusal(text) => {
            let pieces = answer.pieces(text).into_iter();
            let deltas: Vec<Value> = pieces.map(|p| json!({"type": "text_delta", "text": p})).collect();
            (json!({"type": "text", "text": ""}), deltas)
        }
        Part::Thinking(text, signature) => {
            let pieces = answer.pieces(text).into_iter();
            let mut deltas: Vec<Value> = pieces
                .map(|p| json!({"type": "thinking_delta", "thinking": p}))
                .collect();
            deltas.push(json!({"type": "signature_delta", "signature": signature}));
            (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                deltas,
            )
        }
        Part::Tool(call) => {
            let mut opening = block(answer, index, part);
            opening["input"] = json!({});
            // The first delta is empty, in life too.
            let pieces = std::iter::once(String::new()).chain(answer.pieces(&call.arguments_text()));
            let deltas = pieces.map(|p| json!({"type": "input_json_delta", "partial_json": p}));
            (opening, deltas.collect())
        }
    };
    let start = json!({"type": "content_block_start", "index": index, "content_block": opening});
    let mut events = vec![event(&start)];
    events.extend(deltas.into_iter().map(|d| delta(index, d)));
    events.push(event(&json!({"type": "content_block_stop", "index": index})));
    events
}

/// The events of an answer that is a stream.
pub(crate) fn stream(answer: &Answer<'_>) -> Vec<Event> {
    let mut opening = message(answer);
    // What the vendor tells first: the prompt's tokens, and one of the answer's.
    let first = answer.told().map(|usage| Usage {
        output: usage.output.min(1),
        reasoning: 0,
        ..usage
    });
    if let Some(first) = first {
        opening["usage"] = usage_value(first);
        opening["usage"]["service_tier"] = json!("standard");
    }
    let start = event(&json!({"type": "message_start", "message": opening}));
    let mut events = vec![Event {
        usage: first,
        ..start
    }];
    if answer.has(&Fault::ExtraFields) {
        events.push(event(
            &json!({"type": "x_unheard_of", "nested": [1, "two", null]}),
        ));
    }
    for (index, part) in answer.reply.parts.iter().enumerate() {
        let mut block = block_events(answer, index, part);
        if index == 0 {
            block.insert(1, event(&json!({"type": "ping"})));
        }
        events.extend(block);
    }
    let mut end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
    });
    if let Some(usage) = answer.told() {
        end["usage"] = usage_value(usage);
    }
    events.push(Event {
        usage: answer.told(),
        ..event(&end)
    });
    events.push(event(&json!({"type": "message_stop"})));
    events
}

/// An error in mid-stream.
pub(crate) fn error_event(kind: &str, message: &str) -> Event {
    event(&json!({"type": "error", "error": {"type": kind, "message": message}}))
}

/// The list of models.
pub(crate) fn models(names: &[String]) -> Value {
    let entry = |name: &String| json!({"type": "model", "id": name, "display_name": name, "created_at": "2025-02-19T00:00:00Z"});
    json!({
        "data": names.iter().map(entry).collect::<Vec<_>>(),
        "has_more": false,
        "first_id": names.first(),
        "last_id": names.last(),
    })
}
