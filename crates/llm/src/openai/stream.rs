//! Reads a stream of chunks.

use super::parse::{arguments, call_id, content_part, error_in, finish, take_reasoning, usage};
use crate::adapter::{MAX_EVENT, StreamReader, take_string, to_object};
use crate::assemble::Assembler;
use crate::error::Result;
use crate::model::{ChatResponse, Delta, Extra, Finish, Part};
use crate::sse::{SseEvent, SseParser};
use serde_json::Value;

/// The reader of one stream.
pub(super) struct Reader {
    sse: SseParser,
    state: State,
}

#[derive(Default)]
struct State {
    parts: Assembler,
    response: ChatResponse,
    /// The provider's number and id of each call, in our order.
    calls: Vec<(Option<u64>, String)>,
    finish: Option<String>,
    done: bool,
}

impl Reader {
    pub fn new() -> Self {
        Reader {
            sse: SseParser::new(MAX_EVENT),
            state: State::default(),
        }
    }
}

impl StreamReader for Reader {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Delta>) -> Result<()> {
        let state = &mut self.state;
        self.sse.feed(bytes, |event| state.event(event, out))
    }

    fn is_done(&self) -> bool {
        self.state.done
    }

    fn is_whole(&self) -> bool {
        // Some providers close without [DONE]; the reason to end is enough.
        self.state.done || self.state.finish.is_some()
    }

    fn take(&mut self) -> ChatResponse {
        let state = &mut self.state;
        let mut response = std::mem::take(&mut state.response);
        response.message.content = state.parts.take();
        response.finish = match state.finish.take() {
            None if !state.done => Finish::Unknown,
            word => finish(word, &response.message),
        };
        response
    }
}

impl State {
    fn event(&mut self, event: SseEvent, out: &mut Vec<Delta>) -> Result<()> {
        let data = event.data.trim();
        if data.is_empty() || self.done {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let mut chunk = to_object(data.as_bytes())?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(error_in(None, &chunk));
        }
        if event.event == "error" {
            return Err(error_in(None, &chunk));
        }
        self.take_usage(&mut chunk);
        if let Some(Value::Array(choices)) = chunk.remove("choices")
            && let Some(Value::Object(choice)) = choices.into_iter().next()
        {
            self.choice(choice, out)?;
        }
        self.keep(chunk);
        Ok(())
    }

    fn take_usage(&mut self, chunk: &mut Extra) {
        let groq = chunk
            .get_mut("x_groq")
            .and_then(|x| x.get_mut("usage"))
            .map(Value::take);
        let given = chunk
            .remove("usage")
            .filter(Value::is_object)
            .or(groq.filter(Value::is_object));
        if given.is_some() {
            self.response.usage = usage(given);
        }
    }

    fn keep(&mut self, mut chunk: Extra) {
        if let Some(id) = take_string(&mut chunk, "id").filter(|id| !id.is_empty()) {
            self.response.provider_id.get_or_insert(id);
        }
        if let Some(model) = take_string(&mut chunk, "model").filter(|model| !model.is_empty()) {
            self.response.model.get_or_insert(model);
        }
        // Padding against guessing by size is not worth keeping.
        chunk.retain(|key, value| !matches!(key.as_str(), "object" | "obfuscation") && !value.is_null());
        self.response.extra.extend(chunk);
    }

    fn choice(&mut self, mut choice: Extra, out: &mut Vec<Delta>) -> Result<()> {
        if choice.get("error").is_some_and(|error| !error.is_null()) {
            return Err(error_in(None, &choice));
        }
        if let Some(Value::Object(delta)) = choice.remove("delta") {
            self.delta(delta, out);
        }
        if let Some(word) = take_string(&mut choice, "finish_reason").filter(|word| !word.is_empty()) {
            self.finish = Some(word);
        }
        choice.retain(|key, value| key != "index" && !value.is_null());
        for (key, value) in choice {
            merge(&mut self.response.extra, key, value);
        }
        Ok(())
    }

    fn delta(&mut self, mut delta: Extra, out: &mut Vec<Delta>) {
        if let Some(text) = take_reasoning(&mut delta) {
            self.parts.thinking(text, out);
        }
        match delta.remove("content") {
            Some(Value::String(text)) => self.parts.text(text, out),
            Some(Value::Array(items)) => items.into_iter().for_each(|item| match content_part(item) {
                Part::Text(part) => self.parts.text(part.text, out),
                Part::Thinking(part) => self.parts.thinking(part.text, out),
                part => self.parts.whole(part, out),
            }),
            _ => {}
        }
        if let Some(Value::Array(calls)) = delta.remove("tool_calls") {
            for call in calls {
                if let Value::Object(call) = call {
                    self.call(call, out);
                }
            }
        }
        delta.remove("role");
        delta.retain(|_, value| !value.is_null());
        for (key, value) in delta {
            merge(&mut self.response.message.extra, key, value);
        }
    }

    fn call(&mut self, mut map: Extra, out: &mut Vec<Delta>) {
        let mut function = match map.remove("function") {
            Some(Value::Object(function)) => function,
            _ => Extra::new(),
        };
        let number = map.remove("index").and_then(|index| index.as_u64());
        let id = take_string(&mut map, "id").filter(|id| !id.is_empty());
        let name = take_string(&mut function, "name").filter(|name| !name.is_empty());
        let index = match self.find_call(number, id.as_deref(), name.is_some()) {
            Some(index) => index,
            None => {
                let id = call_id(id);
                self.calls.push((number, id.clone()));
                self.parts.start_call(id, name.unwrap_or_default(), out)
            }
        };
        self.parts
            .arguments(index, arguments(function.remove("arguments")), out);
        map.retain(|key, value| key != "type" && !value.is_null());
        if let Some(call) = self.parts.call_mut(index) {
            call.extra.extend(map);
        }
    }

    /// The call that a piece belongs to. Some providers give all parallel calls the number nought, but each its own
    /// id and name; some give no number and mean the last.
    fn find_call(&self, number: Option<u64>, id: Option<&str>, named: bool) -> Option<usize> {
        if let Some(id) = id
            && let Some(index) = self.calls.iter().rposition(|(_, known)| known == id)
        {
            return Some(index);
        }
        if id.is_some() && named {
            return None;
        }
        match number {
            Some(_) => self.calls.iter().rposition(|(known, _)| *known == number),
            None if named => None,
            None => self.calls.len().checked_sub(1),
        }
    }
}

/// Unknown fields of deltas: texts and lists grow, everything else is replaced.
fn merge(into: &mut Extra, key: String, value: Value) {
    match (into.get_mut(&key), value) {
        (Some(Value::String(old)), Value::String(new)) => old.push_str(&new),
        (Some(Value::Array(old)), Value::Array(new)) => old.extend(new),
        (_, value) => {
            into.insert(key, value);
        }
    }
}
