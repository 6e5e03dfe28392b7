//! OpenAI's wire format: chat completions, embeddings, models.

use super::answer::{Answer, Event};
use super::fault::Fault;
use super::reply::{Finish, Part, Usage, count_tokens};
use super::request::ReceivedRequest;
use super::server::Dialect;
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};

fn finish_name(answer: &Answer<'_>) -> String {
    match answer.reply.finish_or_default() {
        Finish::Length => "length".to_owned(),
        Finish::Tools => "tool_calls".to_owned(),
        // A model's own refusal is a `stop` with a `refusal`; the filter's has its own name.
        Finish::Refused if answer.reply.finish.is_some() => "content_filter".to_owned(),
        Finish::Stop | Finish::Refused => "stop".to_owned(),
        Finish::Other(name) => name,
    }
}

fn usage_value(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt(),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

fn joined(answer: &Answer<'_>, pick: impl Fn(&Part) -> Option<&String>) -> Option<String> {
    let texts: Vec<&str> = answer
        .reply
        .parts
        .iter()
        .filter_map(|part| pick(part).map(String::as_str))
        .collect();
    (!texts.is_empty()).then(|| texts.concat())
}

fn thinking(answer: &Answer<'_>) -> Option<String> {
    joined(answer, |part| match part {
        Part::Thinking(text, _) => Some(text),
        _ => None,
    })
}

fn text(answer: &Answer<'_>) -> Option<String> {
    joined(answer, |part| match part {
        Part::Text(text) => Some(text),
        _ => None,
    })
}

fn refusal(answer: &Answer<'_>) -> Option<String> {
    joined(answer, |part| match part {
        Part::Refusal(text) => Some(text),
        _ => None,
    })
}

fn add_unknown(value: &mut Value) {
    value["x_unheard_of"] = json!({"nested": [1, "two", null]});
    if value["choices"][0].is_object() {
        value["choices"][0]["x_unheard_of"] = json!("more");
    }
}

/// The head that a completion and its chunks share.
fn head(answer: &Answer<'_>, object: &str) -> Map<String, Value> {
    let fingerprint = match answer.dialect {
        Dialect::Ollama => "fp_ollama",
        Dialect::OpenAi | Dialect::DeepSeek => "fp_50ca9ea1f0",
    };
    let head = json!({
        "id": format!("chatcmpl-{:024x}", answer.request.number + 1),
        "object": object,
        "created": answer.created,
        "model": answer.request.model(),
        "system_fingerprint": fingerprint,
    });
    let mut head = head.as_object().cloned().unwrap_or_default();
    if answer.dialect == Dialect::OpenAi {
        head.insert("service_tier".to_owned(), json!("default"));
    }
    head
}

/// The body of an answer that is no stream.
pub(crate) fn completion(answer: &Answer<'_>) -> Value {
    let mut message = json!({"role": "assistant", "content": text(answer)});
    if answer.dialect == Dialect::OpenAi {
        message["refusal"] = json!(refusal(answer));
        message["annotations"] = json!([]);
    }
    if let (Some(field), Some(thinking)) = (answer.dialect.thinking_field(), thinking(answer)) {
        message[field] = json!(thinking);
    }
    let calls: Vec<Value> = answer
        .reply
        .calls()
        .enumerate()
        .map(|(index, call)| {
            json!({
                "id": answer.call_id("call_", index, call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_text()},
            })
        })
        .collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let mut body = head(answer, "chat.completion");
    let choice = json!({
        "index": 0, "message": message, "logprobs": null, "finish_reason": finish_name(answer),
    });
    body.insert("choices".to_owned(), json!([choice]));
    if let Some(usage) = answer.told() {
        body.insert("usage".to_owned(), usage_value(usage));
    }
    let mut body = Value::Object(body);
    if answer.has(&Fault::ExtraFields) {
        add_unknown(&mut body);
    }
    body
}

/// Collects a stream's chunks.
struct Chunks<'a, 'b> {
    answer: &'a Answer<'b>,
    events: Vec<Event>,
}

impl Chunks<'_, '_> {
    fn push(&mut self, choices: Value, usage: Option<Value>, token: bool) {
        let mut chunk = head(self.answer, "chat.completion.chunk");
        chunk.insert("choices".to_owned(), choices);
        if self.answer.request.wants_usage() {
            chunk.insert("usage".to_owned(), usage.unwrap_or(Value::Null));
        }
        let mut chunk = Value::Object(chunk);
        let extra = self.answer.has(&Fault::ExtraFields);
        if extra {
            add_unknown(&mut chunk);
            chunk["obfuscation"] = json!("aBcD3fGh");
        }
        let comment = if extra { ": KEEP-ALIVE\n\n" } else { "" };
        let event = Event::new(format!("{comment}data: {chunk}\n\n"));
        self.events.push(Event { token, ..event });
    }

    fn delta(&mut self, delta: Value, finish: Option<&str>) {
        let token = finish.is_none() && delta.get("role").is_none();
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        self.push(json!([choice]), None, token);
    }

    fn texts(&mut self, field: &str, text: Option<String>) {
        for piece in self.answer.pieces(&text.unwrap_or_default()) {
            self.delta(json!({field: piece}), None);
        }
    }

    fn calls(&mut self) {
        let answer = self.answer;
        for (index, call) in answer.reply.calls().enumerate() {
            let id = answer.call_id("call_", index, call);
            let whole = answer.dialect == Dialect::Ollama;
            let arguments = call.arguments_text();
            let first = if whole { arguments.as_str() } else { "" };
            let function = json!({"name": call.name, "arguments": first});
            let opening = json!({"index": index, "id": id, "type": "function", "function": function});
            self.delta(json!({"tool_calls": [opening]}), None);
            // Ollama sends each call in one piece.
            for piece in answer.pieces(if whole { "" } else { &arguments }) {
                let part = json!({"index": index, "function": {"arguments": piece}});
                self.delta(json!({"tool_calls": [part]}), None);
            }
        }
    }
}

/// The events of an answer that is a stream, `[DONE]` included.
pub(crate) fn stream(answer: &Answer<'_>) -> Vec<Event> {
    let mut chunks = Chunks {
        answer,
        events: Vec::new(),
    };
    let said = text(answer);
    let opening = if said.is_some() { json!("") } else { Value::Null };
    let mut delta = json!({"role": "assistant", "content": opening});
    if answer.dialect == Dialect::OpenAi {
        delta["refusal"] = Value::Null;
    }
    chunks.delta(delta, None);
    if let Some(field) = answer.dialect.thinking_field() {
        chunks.texts(field, thinking(answer));
    }
    chunks.texts("content", said);
    chunks.texts("refusal", refusal(answer));
    chunks.calls();
    let finish = finish_name(answer);
    chunks.delta(json!({}), Some(&finish));
    if let Some(usage) = answer.told().filter(|_| answer.request.wants_usage()) {
        chunks.push(json!([]), Some(usage_value(usage)), false);
        if let Some(event) = chunks.events.last_mut() {
            event.usage = Some(usage);
        }
    }
    chunks.events.push(Event::new("data: [DONE]\n\n".to_owned()));
    chunks.events
}

/// An error in mid-stream.
pub(crate) fn error_event(kind: &str, message: &str) -> Event {
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": null}});
    Event::new(format!("data: {error}\n\n"))
}

/// The list of models.
pub(crate) fn models(names: &[String]) -> Value {
    let entry = |name: &String| json!({"id": name, "object": "model", "created": 1_686_935_002, "owned_by": "stand-in"});
    json!({"object": "list", "data": names.iter().map(entry).collect::<Vec<_>>()})
}

/// Ollama's list of models.
pub(crate) fn ollama_tags(names: &[String]) -> Value {
    let entry = |name: &String| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        json!({
            "name": name, "model": name, "modified_at": "2025-10-03T23:34:03.409490317-07:00",
            "size": 3_338_801_804_u64, "digest": format!("{:064x}", hasher.finish()),
            "details": {
                "parent_model": "", "format": "gguf", "family": "gemma", "families": ["gemma"],
                "parameter_size": "4.3B", "quantization_level": "Q4_K_M",
            },
        })
    };
    json!({"models": names.iter().map(entry).collect::<Vec<_>>()})
}

/// Vectors for texts: words hashed into buckets, so that texts that share words are near each other. Their usage is
/// told as `prompt_tokens`.
pub(crate) fn embeddings(request: &ReceivedRequest, default_size: usize, usage: Option<Usage>) -> Value {
    let input = &request.body["input"];
    let texts: Vec<String> = match input {
        // Strings are texts, numbers the tokens of one text, arrays each a text's tokens.
        Value::Array(items) if items.iter().any(Value::is_number) => vec![input.to_string()],
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect(),
        other => vec![other.as_str().unwrap_or_default().to_owned()],
    };
    let size = request.body["dimensions"]
        .as_u64()
        .map_or(default_size, |size| size as usize);
    let packed = request.body["encoding_format"] == "base64";
    let entry = |(index, text): (usize, &String)| {
        let vector = vector_of(text, size);
        let embedding = if packed {
            json!(base64(
                &vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()
            ))
        } else {
            json!(vector)
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = texts.iter().enumerate().map(entry).collect();
    let mut body = json!({"object": "list", "data": data, "model": request.model()});
    if let Some(usage) = usage {
        body["usage"] = json!({"prompt_tokens": usage.prompt(), "total_tokens": usage.prompt()});
    }
    body
}

/// The vector that the stand-in gives a text: of length 1.
pub fn vector_of(text: &str, size: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; size.max(1)];
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        let mut hasher = DefaultHasher::new();
        word.to_lowercase().hash(&mut hasher);
        let bucket = (hasher.finish() % vector.len() as u64) as usize;
        vector[bucket] += 1.0;
    }
    // A text without words has a length too.
    if vector.iter().all(|x| *x == 0.0) {
        let bucket = count_tokens(text) as usize % vector.len();
        vector[bucket] = 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

/// By hand, to spare the testkit a dependency.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}
