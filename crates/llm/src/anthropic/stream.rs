//! Reads a stream of named events.

use super::parse::{block, error_in, finish, message};
use crate::adapter::{MAX_EVENT, StreamReader, malformed, take_string, to_object};
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
    /// Usage as told so far; later events tell more or newer numbers.
    usage: Extra,
    /// The call of a tool that the open block is.
    call: Option<usize>,
    /// The arguments of a block that is kept unread, such as a tool of theirs.
    unknown_input: String,
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
        self.state.done || self.state.response.finish != Finish::Unknown
    }

    fn take(&mut self) -> ChatResponse {
        let state = &mut self.state;
        let mut response = std::mem::take(&mut state.response);
        response.message.content = state.parts.take();
        let usage = std::mem::take(&mut state.usage);
        if !usage.is_empty() {
            response.usage = super::parse::usage(Some(Value::Object(usage)));
        }
        response
    }
}

impl State {
    fn event(&mut self, event: SseEvent, out: &mut Vec<Delta>) -> Result<()> {
        if event.data.trim().is_empty() || self.done || event.event == "ping" {
            return Ok(());
        }
        let mut map = to_object(event.data.as_bytes())?;
        let kind = take_string(&mut map, "type").unwrap_or(event.event);
        match kind.as_str() {
            "message_start" => self.start(map),
            "content_block_start" => self.open(map, out)?,
            "content_block_delta" => self.delta(map, out)?,
            "content_block_stop" => self.close(),
            "message_delta" => self.message_delta(map),
            "message_stop" => self.done = true,
            "error" => return Err(error_in(None, &map)),
            // Pings, and whatever they may invent.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, mut map: Extra) {
        if let Some(Value::Object(mut begun)) = map.remove("message") {
            self.take_usage(begun.remove("usage"));
            self.response = message(begun);
        }
    }

    fn take_usage(&mut self, usage: Option<Value>) {
        if let Some(Value::Object(usage)) = usage {
            self.usage
                .extend(usage.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }

    fn open(&mut self, mut map: Extra, out: &mut Vec<Delta>) -> Result<()> {
        let begun = map
            .remove("content_block")
            .ok_or_else(|| malformed("A block begins without a block."))?;
        self.call = None;
        self.unknown_input.clear();
        match block(begun) {
            Part::ToolCall(mut begun) => {
                let input = begun
                    .parsed
                    .take()
                    .filter(|input| input.as_object().is_some_and(|map| !map.is_empty()));
                let index = self.parts.start_call(begun.id, begun.name, out);
                if let Some(call) = self.parts.call_mut(index) {
                    call.extra = begun.extra;
                }
                if let Some(input) = input {
                    self.parts.arguments(index, input.to_string(), out);
                }
                self.call = Some(index);
            }
            Part::Text(text) => {
                self.parts.open(Part::Text(crate::model::TextPart {
                    text: String::new(),
                    extra: text.extra,
                }));
                self.parts.text(text.text, out);
            }
            Part::Thinking(thinking) => {
                self.parts.open(Part::Thinking(Default::default()));
                self.parts.thinking(thinking.text, out);
                if let Some(signature) = thinking.signature {
                    self.parts.signature(signature, out);
                }
            }
            whole @ Part::RedactedThinking { .. } => self.parts.whole(whole, out),
            // Kept open: its input may follow in pieces.
            unknown => self.parts.open(unknown),
        }
        Ok(())
    }

    fn delta(&mut self, mut map: Extra, out: &mut Vec<Delta>) -> Result<()> {
        let Some(Value::Object(mut delta)) = map.remove("delta") else {
            return Err(malformed("A piece of a block is missing."));
        };
        let kind = take_string(&mut delta, "type").unwrap_or_default();
        let mut text = |key| take_string(&mut delta, key).unwrap_or_default();
        match kind.as_str() {
            "text_delta" => self.parts.text(text("text"), out),
            "thinking_delta" => self.parts.thinking(text("thinking"), out),
            "signature_delta" => self.parts.signature(text("signature"), out),
            "input_json_delta" => match self.call {
                Some(index) => self.parts.arguments(index, text("partial_json"), out),
                None => self.unknown_input.push_str(&text("partial_json")),
            },
            "citations_delta" => {
                if let (Some(part), Some(citation)) = (self.parts.text_mut(), delta.remove("citation")) {
                    let list = part
                        .extra
                        .entry("citations")
                        .or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(list) = list {
                        list.push(citation);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) {
        self.call = None;
        let input = std::mem::take(&mut self.unknown_input);
        if let Some(Part::Unknown(Value::Object(map))) = self.parts.last_mut()
            && let Ok(input) = serde_json::from_str(&input)
        {
            map.insert("input".to_owned(), input);
        }
    }

    fn message_delta(&mut self, mut map: Extra) {
        self.take_usage(map.remove("usage"));
        if let Some(Value::Object(mut delta)) = map.remove("delta") {
            if let Some(word) = take_string(&mut delta, "stop_reason") {
                self.response.finish = finish(Some(word));
            }
            self.response
                .extra
                .extend(delta.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.response
            .extra
            .extend(map.into_iter().filter(|(_, value)| !value.is_null()));
    }
}
