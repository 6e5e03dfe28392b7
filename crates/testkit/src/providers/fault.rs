//! What can go wrong between a provider and its client, on command.

use super::reply::{Reply, ToolCall};
use super::request::Vendor;
use serde_json::{Value, json};
use std::time::Duration;

/// How an error says when to come again.
#[derive(Clone, Debug, PartialEq)]
pub enum RetryAfter {
    /// It does not.
    Never,
    /// In so many seconds.
    Seconds(u64),
    /// At a date, so far from now; dates know whole seconds.
    Date(Duration),
    /// In milliseconds, by the `retry-after-ms` that OpenAI's clients read first.
    Millis(u64),
}

/// One fault. `after` counts the events of a stream that were sent whole before it; in an answer that is no stream half
/// of the body was. Where `after` is more than there are, it strikes before the last event.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An error in the vendor's form; 502 is a gateway's page of HTML, as it is in life.
    Status(u16, RetryAfter),
    /// 429 that no waiting mends: `insufficient_quota`, Anthropic's 402 `billing_error`.
    QuotaExhausted,
    /// 400: the prompt is too long for the model.
    ContextTooLong,
    /// The connection is reset (RST) before there are headers.
    ResetBeforeHeaders,
    /// The connection is closed (FIN) before there are headers.
    CloseBeforeHeaders,
    /// Reset in the body.
    ResetMidBody { after: usize },
    /// Closed in the midst of an event; if `clean` the body ends as if it were whole.
    CutInEvent { after: usize, clean: bool },
    /// Between two events the stream ends as if it were whole: no `[DONE]`, no `message_stop`.
    EndsEarly { after: usize },
    /// The headers come late.
    SlowHeaders(Duration),
    /// Headers and opening events come at once, the first token late; without a stream all of it is late.
    SlowFirstToken(Duration),
    /// Silence in mid-stream.
    Stall { after: usize, lasting: Duration },
    /// Each event in so many packets, cut without regard for characters.
    SplitEvents { pieces: usize },
    /// So many events in each packet.
    EventsPerPacket(usize),
    /// No usage is told.
    NoUsage,
    /// Status 200, and the body (or the first event) is an error; this is its type and message.
    ErrorInBody(String, String),
    /// An error in the stream, which ends with it; this is its type and message.
    ErrorInStream {
        after: usize,
        kind: String,
        message: String,
    },
    /// What should be JSON breaks off: the body, or the data of the event after so many.
    MalformedJson { after: usize },
    /// The tool calls' arguments are broken JSON.
    BrokenArguments,
    /// The tool calls name a tool that was not offered.
    UnknownTool(String),
    /// The content type is this.
    WrongContentType(String),
    /// The text has at least this many characters.
    HugeBody(usize),
    /// Fields, events and comments that nobody has heard of.
    ExtraFields,
    /// Stopped for this reason.
    UnknownFinishReason(String),
    /// The arguments of each call are an empty string, which some servers send for tools without parameters.
    EmptyArguments,
}

impl Fault {
    /// An error with this status and no `retry-after`.
    pub fn status(status: u16) -> Self {
        Fault::Status(status, RetryAfter::Never)
    }

    /// 429.
    pub fn rate_limited(retry_after: RetryAfter) -> Self {
        Fault::Status(429, retry_after)
    }

    /// 529 `overloaded_error`.
    pub fn overloaded() -> Self {
        Fault::status(529)
    }

    /// Whether a client that got all that was sent still has no answer, so that it may ask again.
    pub fn spoils(&self) -> bool {
        matches!(
            self,
            Fault::Status(..)
                | Fault::QuotaExhausted
                | Fault::ContextTooLong
                | Fault::CutInEvent { .. }
                | Fault::EndsEarly { .. }
                | Fault::ErrorInBody(..)
                | Fault::ErrorInStream { .. }
                | Fault::MalformedJson { .. }
                | Fault::WrongContentType(_)
        )
    }

    /// The status and body of an error that comes in place of an answer.
    pub(crate) fn as_error(&self, vendor: Vendor) -> Option<VendorError> {
        let anthropic = vendor == Vendor::Anthropic;
        Some(match self {
            Fault::Status(status, _) => VendorError::of_status(*status, vendor),
            Fault::QuotaExhausted if anthropic => VendorError::new(
                402,
                "billing_error",
                None,
                "Your credit balance is too low to access the API.",
            ),
            Fault::QuotaExhausted => VendorError::new(
                429,
                "insufficient_quota",
                Some("insufficient_quota"),
                "You exceeded your current quota, please check your plan and billing details.",
            ),
            Fault::ContextTooLong if anthropic => VendorError::new(
                400,
                "invalid_request_error",
                None,
                "prompt is too long: 200001 tokens > 200000 maximum",
            ),
            Fault::ContextTooLong => VendorError {
                param: Some("messages"),
                ..VendorError::new(
                    400,
                    "invalid_request_error",
                    Some("context_length_exceeded"),
                    "This model's maximum context length is 128000 tokens. However, your messages resulted in 128001 tokens.",
                )
            },
            _ => return None,
        })
    }

    /// Changes what the model says, for the faults that are the model's.
    pub(crate) fn shape(&self, reply: &mut Reply) {
        use super::reply::Part;
        let rename = |call: &mut ToolCall| match self {
            Fault::UnknownTool(name) => call.name = name.clone(),
            Fault::EmptyArguments => call.raw = Some(String::new()),
            Fault::BrokenArguments => {
                let whole = call.arguments_text();
                let kept = whole.chars().count().saturating_sub(2);
                call.raw = Some(whole.chars().take(kept).chain("\\q".chars()).collect());
            }
            _ => {}
        };
        match self {
            Fault::UnknownTool(name) if reply.calls().next().is_none() => {
                reply.parts.push(Part::Tool(ToolCall {
                    name: name.clone(),
                    arguments: json!({}),
                    raw: None,
                    id: None,
                }));
            }
            Fault::HugeBody(chars) => reply.parts.push(Part::Text("x".repeat(*chars))),
            Fault::UnknownFinishReason(reason) => {
                reply.finish = Some(super::reply::Finish::Other(reason.clone()));
            }
            _ => {}
        }
        let calls = reply.parts.iter_mut().filter_map(|part| match part {
            Part::Tool(call) => Some(call),
            _ => None,
        });
        calls.for_each(rename);
    }
}

/// An error as a vendor tells it.
#[derive(Clone, Debug)]
pub(crate) struct VendorError {
    pub status: u16,
    pub kind: String,
    pub code: Option<&'static str>,
    pub param: Option<&'static str>,
    pub message: String,
}

impl VendorError {
    pub fn new(status: u16, kind: &str, code: Option<&'static str>, message: &str) -> Self {
        VendorError {
            status,
            kind: kind.to_owned(),
            code,
            param: None,
            message: message.to_owned(),
        }
    }

    /// A request that the vendor would not take.
    pub fn invalid(message: &str) -> Self {
        VendorError::new(400, "invalid_request_error", None, message)
    }

    fn of_status(status: u16, vendor: Vendor) -> Self {
        if vendor == Vendor::Anthropic {
            let (kind, message) = match status {
                400 => ("invalid_request_error", "The request was invalid."),
                401 => ("authentication_error", "invalid x-api-key"),
                402 => ("billing_error", "There is an issue with your billing."),
                403 => (
                    "permission_error",
                    "Your API key does not have permission to use this resource.",
                ),
                404 => ("not_found_error", "The requested resource could not be found."),
                413 => (
                    "request_too_large",
                    "Request exceeds the maximum allowed number of bytes.",
                ),
                429 => (
                    "rate_limit_error",
                    "This request would exceed your organization's rate limit.",
                ),
                504 => ("timeout_error", "The request timed out while processing."),
                529 => ("overloaded_error", "Overloaded"),
                _ => ("api_error", "Internal server error"),
            };
            return VendorError::new(status, kind, None, message);
        }
        let (kind, code, message) = match status {
            401 => (
                "invalid_request_error",
                Some("invalid_api_key"),
                "Incorrect API key provided.",
            ),
            403 => (
                "invalid_request_error",
                Some("unsupported_country_region_territory"),
                "Not supported here.",
            ),
            404 => (
                "invalid_request_error",
                Some("model_not_found"),
                "The model does not exist.",
            ),
            429 => (
                "requests",
                Some("rate_limit_exceeded"),
                "Rate limit reached for requests per min (RPM).",
            ),
            400..=499 => ("invalid_request_error", None, "The request was invalid."),
            503 | 529 => (
                "server_error",
                None,
                "That model is currently overloaded with other requests.",
            ),
            _ => (
                "server_error",
                None,
                "The server had an error while processing your request. Sorry about that!",
            ),
        };
        VendorError::new(status, kind, code, message)
    }

    /// The body in the vendor's form.
    pub fn body(&self, vendor: Vendor, request_id: &str) -> Value {
        match vendor {
            Vendor::Anthropic => json!({
                "type": "error",
                "error": {"type": self.kind, "message": self.message},
                "request_id": request_id,
            }),
            Vendor::OpenAi => json!({"error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
        }
    }
}
