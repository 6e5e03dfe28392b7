//! One request as it came in, and what a script may want to know about it, the same for both vendors.

use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Whose wire format is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// OpenAI, and those compatible with it.
    OpenAi,
    /// Anthropic.
    Anthropic,
}

/// Which endpoint was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `POST /v1/chat/completions`.
    OpenAiChat,
    /// `POST /v1/embeddings`.
    OpenAiEmbeddings,
    /// `GET /v1/models` without `anthropic-version`.
    OpenAiModels,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`.
    AnthropicCountTokens,
    /// `GET /v1/models` with `anthropic-version`.
    AnthropicModels,
    /// `GET /api/tags`.
    OllamaTags,
    /// `GET /api/version`.
    OllamaVersion,
    /// Anything else: a 404.
    Unknown,
}

impl Api {
    pub(crate) fn of(method: &str, path: &str, anthropic: bool) -> Self {
        match (method, path.split('?').next().unwrap_or(path)) {
            ("POST", "/v1/chat/completions") => Api::OpenAiChat,
            ("POST", "/v1/embeddings") => Api::OpenAiEmbeddings,
            ("POST", "/v1/messages") => Api::AnthropicMessages,
            ("POST", "/v1/messages/count_tokens") => Api::AnthropicCountTokens,
            ("GET", "/v1/models") if anthropic => Api::AnthropicModels,
            ("GET", "/v1/models") => Api::OpenAiModels,
            ("GET", "/api/tags") => Api::OllamaTags,
            ("GET", "/api/version") => Api::OllamaVersion,
            _ => Api::Unknown,
        }
    }

    /// Whether a model is to answer with text or tool calls.
    pub fn is_chat(self) -> bool {
        matches!(self, Api::OpenAiChat | Api::AnthropicMessages)
    }

    /// Whether a model works for it, be it for text or for vectors.
    pub fn is_model_call(self) -> bool {
        self.is_chat() || self == Api::OpenAiEmbeddings
    }
}

/// A tool's result that the client sent back.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// The call that it answers.
    pub call_id: String,
    /// The tool, as named by the call; empty if no call has that id.
    pub tool: String,
    /// Its text.
    pub text: String,
    /// Whether it was marked as an error (Anthropic only).
    pub is_error: bool,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Its place in the ledger, from 0.
    pub number: usize,
    /// Which model call it is, from 1; 0 for what is none (lists of models and the like).
    pub nth: usize,
    /// How often the same content was asked, this time included; from 1.
    pub attempt: usize,
    /// When it had come in whole, since the stand-in's start (monotonic).
    pub at: Duration,
    /// The endpoint.
    pub api: Api,
    /// The wire format that errors are told in.
    pub vendor: Vendor,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; `Null` if it is empty or not JSON.
    pub body: Value,
    /// The body's bytes.
    pub raw: Vec<u8>,
    /// The same for the same method, path and body, in whatever order the body's fields are.
    pub content_hash: u64,
}

impl ReceivedRequest {
    pub(crate) fn new(method: String, path: String, headers: Vec<(String, String)>, raw: Vec<u8>) -> Self {
        let anthropic = headers.iter().any(|(name, _)| name == "anthropic-version");
        let api = Api::of(&method, &path, anthropic);
        let anthropic = anthropic || path.starts_with("/v1/messages");
        let body = serde_json::from_slice(&raw).unwrap_or(Value::Null);
        let mut hasher = DefaultHasher::new();
        (&method, &path).hash(&mut hasher);
        if body.is_null() {
            raw.hash(&mut hasher)
        } else {
            hash_value(&body, &mut hasher)
        }
        ReceivedRequest {
            number: 0,
            nth: 0,
            attempt: 0,
            at: Duration::ZERO,
            api,
            vendor: if anthropic {
                Vendor::Anthropic
            } else {
                Vendor::OpenAi
            },
            method,
            path,
            headers,
            body,
            raw,
            content_hash: hasher.finish(),
        }
    }

    /// A header's value, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The model asked for.
    pub fn model(&self) -> &str {
        self.body["model"].as_str().unwrap_or_default()
    }

    /// Whether a stream is wanted.
    pub fn streams(&self) -> bool {
        self.body["stream"].as_bool().unwrap_or_default()
    }

    /// Whether a stream is to end with its usage (Anthropic's always does).
    pub fn wants_usage(&self) -> bool {
        self.vendor == Vendor::Anthropic || self.body["stream_options"]["include_usage"] == true
    }

    /// The messages as sent.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    /// The system prompt: Anthropic's `system`, or OpenAI's `system` and `developer` messages.
    pub fn system_text(&self) -> String {
        let of_messages = self
            .messages()
            .iter()
            .filter(|m| m["role"] == "system" || m["role"] == "developer")
            .map(|m| text_of(&m["content"]));
        let texts: Vec<String> = std::iter::once(text_of(&self.body["system"]))
            .chain(of_messages)
            .filter(|text| !text.is_empty())
            .collect();
        texts.join("\n")
    }

    fn last_user_index(&self) -> Option<usize> {
        let says = |m: &Value| m["role"] == "user" && !text_of(&m["content"]).is_empty();
        self.messages().iter().rposition(says)
    }

    /// What the user said last; tool results are not the user's.
    pub fn last_user_text(&self) -> String {
        let index = self.last_user_index();
        index.map_or_else(String::new, |i| text_of(&self.messages()[i]["content"]))
    }

    /// The tools offered.
    pub fn tool_names(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools
            .iter()
            .filter_map(|tool| {
                tool["name"]
                    .as_str()
                    .or_else(|| tool["function"]["name"].as_str())
            })
            .collect()
    }

    /// How often the model has spoken already.
    pub fn turns(&self) -> usize {
        self.messages()
            .iter()
            .filter(|m| m["role"] == "assistant")
            .count()
    }

    /// Every tool result in the conversation, in order.
    pub fn tool_results(&self) -> Vec<ToolResult> {
        self.results_from(0)
    }

    /// The tool results that came after the user's last text.
    pub fn fresh_tool_results(&self) -> Vec<ToolResult> {
        self.results_from(self.last_user_index().unwrap_or_default())
    }

    fn results_from(&self, start: usize) -> Vec<ToolResult> {
        let mut results = Vec::new();
        for message in &self.messages()[start.min(self.messages().len())..] {
            if message["role"] == "tool" {
                results.push(self.result(&message["tool_call_id"], message));
            }
            for block in message["content"].as_array().into_iter().flatten() {
                if block["type"] == "tool_result" {
                    results.push(self.result(&block["tool_use_id"], block));
                }
            }
        }
        results
    }

    fn result(&self, id: &Value, carrier: &Value) -> ToolResult {
        let call_id = id.as_str().unwrap_or_default().to_owned();
        let call = self.tool_calls().into_iter().find(|(known, _)| *known == call_id);
        ToolResult {
            tool: call.map_or_else(String::new, |(_, name)| name),
            call_id,
            text: text_of(&carrier["content"]),
            is_error: carrier["is_error"] == true,
        }
    }

    /// Every call in the conversation: its id and its tool.
    pub fn tool_calls(&self) -> Vec<(String, String)> {
        let mut calls = Vec::new();
        let mut add = |id: &Value, name: &Value| {
            if let (Some(id), Some(name)) = (id.as_str(), name.as_str()) {
                calls.push((id.to_owned(), name.to_owned()));
            }
        };
        for message in self.messages().iter().filter(|m| m["role"] == "assistant") {
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                add(&call["id"], &call["function"]["name"]);
            }
            for block in message["content"].as_array().into_iter().flatten() {
                if block["type"] == "tool_use" {
                    add(&block["id"], &block["name"]);
                }
            }
        }
        calls
    }

    /// The schema that the answer must fit: OpenAI's `response_format`, Anthropic's `output_config` (or `output_format`).
    pub fn response_schema(&self) -> Option<&Value> {
        let places = [
            "/response_format/json_schema/schema",
            "/output_config/format/schema",
            "/output_format/schema",
        ];
        places.iter().find_map(|place| self.body.pointer(place))
    }
}

/// The text of a message's content, be it a string or blocks.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks
                .iter()
                .filter(|block| block["type"] == "text")
                .filter_map(|block| block["text"].as_str())
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// Sorted by hand: some dependency may turn on `preserve_order` for all.
fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            names.len().hash(hasher);
            for name in names {
                name.hash(hasher);
                hash_value(&fields[name], hasher);
            }
        }
        Value::Array(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| hash_value(item, hasher));
        }
        other => other.to_string().hash(hasher),
    }
}
