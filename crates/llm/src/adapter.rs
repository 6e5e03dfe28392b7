//! What every provider's code must offer: write a request, read an answer, read a stream, read an error.

use crate::deployment::Deployment;
use crate::error::{LlmError, LlmErrorKind, Result};
use crate::model::{ChatRequest, ChatResponse, Delta, Extra, JsonSchemaFormat, Message, Role};
use crate::presets::{StructuredMode, Wire};
use crate::sse::SseError;
use http::StatusCode;
use serde::ser::{Serialize, SerializeMap};
use serde_json::Value;

/// The tool that carries JSON by a schema where a provider takes no schema.
pub const ANSWER_TOOL: &str = "structured_answer";

/// Largest event of a stream, in bytes.
pub(crate) const MAX_EVENT: usize = 8 << 20;

/// One request to one deployment. Borrows everything: large messages are not copied on the way to the wire.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is asked.
    pub request: &'a ChatRequest,
    /// Where.
    pub deployment: &'a Deployment,
    /// Whether the answer is to come bit by bit.
    pub stream: bool,
    /// How JSON by a schema is asked for, when the request wants that.
    pub structured: Option<(StructuredMode, &'a JsonSchemaFormat)>,
    /// Messages after the request's own: the second try after a wrong answer.
    pub appended: &'a [Message],
}

impl<'a> Call<'a> {
    /// Every message to send.
    pub fn messages(&self) -> impl Iterator<Item = &'a Message> + use<'a> {
        self.request.messages.iter().chain(self.appended)
    }

    /// The text to add to the rules, for providers that take no schema.
    pub fn schema_prompt(&self) -> Option<String> {
        let (mode, format) = self.structured?;
        (mode == StructuredMode::Prompt || mode == StructuredMode::JsonObject).then(|| {
            format!(
                "Answer with one JSON value that fits this JSON Schema, and with nothing else: no code fence, no \
                 words before or after.\n{}",
                format.schema
            )
        })
    }

    /// The schema to send as a tool.
    pub fn schema_tool(&self) -> Option<&'a JsonSchemaFormat> {
        self.structured
            .filter(|(mode, _)| *mode == StructuredMode::Tool)
            .map(|(_, format)| format)
    }

    /// Whether the field may be sent.
    pub fn sends(&self, field: &str) -> bool {
        !self.deployment.unsupported.iter().any(|f| f == field)
    }
}

/// A request as it goes out.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The path after the deployment's address.
    pub path: &'static str,
    /// Headers besides the key and the content type.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The body: JSON.
    pub body: Vec<u8>,
}

/// A provider's wire format.
pub trait Adapter: Send + Sync {
    /// The name of the wire format.
    fn name(&self) -> &'static str;

    /// Writes the request.
    ///
    /// # Errors
    /// `InvalidRequest` when the request cannot be said in this format.
    fn request(&self, call: &Call<'_>) -> Result<WireRequest>;

    /// Reads a whole answer that came with a status of success.
    ///
    /// # Errors
    /// The provider's error when there is one inside; `Malformed` when it is no answer.
    fn parse(&self, body: &[u8]) -> Result<ChatResponse>;

    /// Reads an error.
    fn error(&self, status: StatusCode, body: &[u8]) -> LlmError;

    /// A reader of one stream.
    fn stream(&self) -> Box<dyn StreamReader>;
}

/// Reads one stream as its bytes come.
pub trait StreamReader: Send {
    /// Reads more bytes; new pieces are put at the end of `out` (never `Usage` or `Done`: the router gives these).
    ///
    /// # Errors
    /// The provider's error when one came inside; `Malformed` when an event cannot be read.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<Delta>) -> Result<()>;

    /// Whether nothing more will come.
    fn is_done(&self) -> bool;

    /// Whether the answer may end here: a connection that closes now has not cut it.
    fn is_whole(&self) -> bool;

    /// The answer so far, whole or not. To be called once.
    fn take(&mut self) -> ChatResponse;
}

/// The adapter of a wire format.
pub fn adapter(wire: Wire) -> &'static dyn Adapter {
    match wire {
        Wire::OpenAi => &crate::openai::OpenAi,
        Wire::Anthropic => &crate::anthropic::Anthropic,
    }
}

/// Writes a body field by field, leaving out what a deployment does not take.
pub(crate) struct Fields<'a, M> {
    pub map: M,
    pub call: &'a Call<'a>,
}

impl<M: SerializeMap> Fields<'_, M> {
    /// Writes one field.
    pub fn put(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), M::Error> {
        match self.call.sends(key) {
            true => self.map.serialize_entry(key, value),
            false => Ok(()),
        }
    }

    /// Writes one field if there is a value.
    pub fn put_some(&mut self, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(key, &value))
    }

    /// Writes the unknown fields of the request, then those of the deployment, but none of `reserved`.
    pub fn put_extra(&mut self, reserved: &[&str]) -> Result<(), M::Error> {
        let request = &self.call.request.extra;
        let deployment = &self.call.deployment.extra;
        let more = deployment
            .iter()
            .filter(|(key, _)| !request.contains_key(key.as_str()));
        for (key, value) in request.iter().chain(more) {
            if !reserved.contains(&key.as_str()) {
                self.put(key, value)?;
            }
        }
        Ok(())
    }
}

/// Writes a body.
pub(crate) fn to_body(body: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    match serde_json::to_writer(&mut bytes, body) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(LlmError::new(
            LlmErrorKind::InvalidRequest,
            format!("Not to be written as JSON: {error}"),
        )),
    }
}

/// Reads a JSON object.
pub(crate) fn to_object(bytes: &[u8]) -> Result<Extra> {
    serde_json::from_slice(bytes).map_err(|error| malformed(format!("Not a JSON object: {error}")))
}

pub(crate) fn malformed(message: impl Into<String>) -> LlmError {
    LlmError::new(LlmErrorKind::Malformed, message)
}

impl From<SseError> for LlmError {
    fn from(error: SseError) -> Self {
        match error {
            SseError::TooLarge => malformed("An event of the stream is too large."),
            SseError::NotUtf8 => malformed("The stream is not UTF-8."),
        }
    }
}

/// Takes a string out of an object; null counts as absent.
pub(crate) fn take_string(map: &mut Extra, key: &str) -> Option<String> {
    match map.remove(key)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Whether a role goes into the rules.
pub(crate) fn is_rules(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// The kind of an error by status, code and words. Providers agree on little, so words decide the rest.
pub(crate) fn classify(status: Option<u16>, code: &str, message: &str) -> LlmErrorKind {
    use LlmErrorKind::*;
    let said = |text: &str, words: &[&str]| {
        let text = text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    const LONG: &[&str] = &[
        "context_length",
        "maximum context",
        "context window",
        "context length",
        "context size",
        "prompt is too long",
        "input is too long",
        "too many tokens in",
    ];
    let caller = status.is_none_or(|s| matches!(s, 400 | 413 | 422 | 500));
    if caller && (said(code, &["context_length", "context_window"]) || said(message, LONG)) {
        return ContextTooLong;
    }
    if said(code, &["insufficient_quota", "billing"]) || status == Some(402) {
        return Budget;
    }
    if said(code, &["content_filter", "content_policy"]) {
        return ContentFiltered;
    }
    match status {
        Some(401 | 403) => Unauthorized,
        Some(404) => NotFound,
        Some(408 | 504) => Provider,
        Some(429) => RateLimited,
        Some(503 | 529) => Overloaded,
        Some(400..=499) => InvalidRequest,
        Some(500..) => Provider,
        _ => classify_code(code),
    }
}

/// The kind of an error inside an answer of success, where only the code tells.
fn classify_code(code: &str) -> LlmErrorKind {
    use LlmErrorKind::*;
    match code {
        "overloaded_error" | "overloaded" | "server_overloaded" => Overloaded,
        "rate_limit_error" | "rate_limit_exceeded" | "rate_limited" => RateLimited,
        "authentication_error" | "permission_error" | "invalid_api_key" => Unauthorized,
        "invalid_request_error" | "request_too_large" | "BadRequestError" => InvalidRequest,
        "not_found_error" | "model_not_found" => NotFound,
        _ => Provider,
    }
}
