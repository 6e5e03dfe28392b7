//! The only door for HTTP requests that leave the engine on a workflow's behalf: the `http` node,
//! callbacks, integrations. A workflow's author chooses the URL, so every address is checked where it is
//! connected to (see [`resolver`]), every redirect is a new request, and every size and duration has a bound.
//!
//! *Invariant:* nothing outside this module builds a `reqwest::Client` for a URL that a tenant can influence.
//! *Invariant:* no message of [`OutboundError`] holds more of a URL than its origin, or any header value.
//! Deliberately absent: proxies, cookies, automatic retries of ours, client certificates.

mod client;
mod resolver;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;
use synapscale_core::net::AllowRule;

pub use client::Outbound;

/// The longest wait that [`retry_after`] reports; a server that asks for more is asked again after a day.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 60 * 60);

/// The time an [`OutboundRequest`] has unless it says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What an operator sets for all outbound requests of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundPolicy {
    /// Destinations that may be reached although they are not public.
    pub allow: Vec<AllowRule>,
    /// The largest response body in bytes, counted after decompression. As JSON values a body takes up to
    /// some fifteen times its size in memory.
    pub max_response_bytes: usize,
    /// The largest request body in bytes.
    pub max_request_bytes: usize,
    /// The time for a lookup, the TCP connection and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How many redirects a request follows before it fails.
    pub max_redirects: usize,
    /// Sent unless the request has a `User-Agent` of its own.
    pub user_agent: String,
}

impl Default for OutboundPolicy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            max_response_bytes: 10 * 1024 * 1024,
            max_request_bytes: 10 * 1024 * 1024,
            connect_timeout: Duration::from_secs(10),
            max_redirects: 5,
            user_agent: concat!("SynapScale/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// One request. Its `Debug` output shows neither header values, body nor the path and query of the URL.
#[derive(Clone, PartialEq)]
pub struct OutboundRequest {
    /// Any method but `CONNECT` and `TRACE`.
    pub method: http::Method,
    /// An absolute `http` or `https` URL without user and password.
    pub url: String,
    /// Sent as given, repeated names included; names the connection needs for itself are refused.
    pub headers: Vec<(String, String)>,
    /// The body; it sets `Content-Type` unless a header does.
    pub body: OutboundBody,
    /// For everything together: redirects, and the last byte of the body.
    pub timeout: Duration,
    /// Whether 301, 302, 303, 307 and 308 are followed; otherwise they are the response.
    pub follow_redirects: bool,
}

impl OutboundRequest {
    /// A request without headers or body that takes [`DEFAULT_TIMEOUT`] and follows redirects.
    pub fn new(method: http::Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: OutboundBody::Empty,
            timeout: DEFAULT_TIMEOUT,
            follow_redirects: true,
        }
    }
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("OutboundRequest")
            .field("method", &self.method)
            .field("origin", &client::origin_of(&self.url))
            .field("headers", &names)
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .field("follow_redirects", &self.follow_redirects)
            .finish()
    }
}

/// The body of a request. Its `Debug` output names the kind only.
#[derive(Clone, PartialEq, Default)]
pub enum OutboundBody {
    /// None.
    #[default]
    Empty,
    /// `application/json`.
    Json(Value),
    /// `text/plain; charset=utf-8`.
    Text(String),
    /// `application/x-www-form-urlencoded`, in the order given.
    Form(Vec<(String, String)>),
    /// `application/octet-stream`.
    Bytes(Bytes),
}

impl fmt::Debug for OutboundBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json(…)",
            Self::Text(_) => "Text(…)",
            Self::Form(_) => "Form(…)",
            Self::Bytes(_) => "Bytes(…)",
        })
    }
}

/// A complete response, whatever its status; it is never truncated.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundResponse {
    /// The status code of the last hop.
    pub status: u16,
    /// Lower-case names; repeated ones joined by `, `. `set-cookie` is dropped: there is no cookie jar.
    pub headers: BTreeMap<String, String>,
    /// The parsed value of a JSON content type, else (or if that does not parse) a string if the bytes are
    /// UTF-8, else `{"base64": "…"}`. `null` without a body.
    pub body: Value,
    /// From the call to the last byte.
    pub duration: Duration,
}

/// What the request was doing when its time ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutPhase {
    /// Looking up the name, connecting or the TLS handshake: the request was certainly not sent.
    Connect,
    /// Sending the request or waiting for the head of the response.
    Response,
    /// Reading the body of the response.
    Body,
}

impl fmt::Display for TimeoutPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Response => "waiting for the response",
            Self::Body => "reading the response body",
        })
    }
}

/// Which message was over its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// The request; it was not sent.
    Request,
    /// The response; it was given up.
    Response,
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// Why there is no response. A status such as 404 or 503 is a response, not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL, or the one a redirect points to, cannot be used.
    #[error("the URL cannot be used: {reason}")]
    InvalidUrl { reason: String },
    /// The scheme is not `http` or `https`, or a redirect leads secrets from the second to the first.
    #[error("the scheme `{scheme}` is refused: {reason}")]
    ForbiddenScheme { scheme: String, reason: &'static str },
    /// The host is, or stands for, an address that is not public and not allowed. The message leaves the
    /// address out, so that workflows cannot read an internal zone; it is here for the operator's log.
    #[error("`{host}` leads to an address that may not be reached; an operator can allow it")]
    ForbiddenAddress { host: String, address: IpAddr },
    /// The name could not be looked up.
    #[error("`{host}` could not be looked up")]
    Dns { host: String },
    /// No connection came about.
    #[error("no connection to {origin}: {reason}")]
    Connect { origin: String, reason: String },
    /// The server's certificate or its TLS was not acceptable.
    #[error("no TLS session with {origin}: {reason}")]
    Tls { origin: String, reason: String },
    /// The time ended.
    #[error("the time ended while {phase}")]
    Timeout { phase: TimeoutPhase },
    /// A body is over the limit, in bytes.
    #[error("the {payload} body is larger than {limit} bytes")]
    TooLarge { payload: Payload, limit: usize },
    /// The server kept redirecting.
    #[error("more than {limit} redirects")]
    TooManyRedirects { limit: usize },
    /// A request header cannot be sent.
    #[error("the header `{name}` cannot be sent: {reason}")]
    InvalidHeader { name: String, reason: &'static str },
    /// `CONNECT` and `TRACE`.
    #[error("the method {method} is not sent")]
    InvalidMethod { method: http::Method },
    /// The caller of [`Outbound::send_until`] no longer wants the answer.
    #[error("the request was cancelled")]
    Cancelled,
    /// The connection broke, the response was malformed, or the client could not be set up.
    #[error("the exchange failed: {message}")]
    Other { message: String, transient: bool },
    /// Any of the above after at least one server had answered with a redirect.
    #[error("after a redirect: {0}")]
    AfterRedirect(Box<OutboundError>),
}

impl OutboundError {
    /// A stable name for conditions in workflows and for the manual.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidUrl { .. } => "invalid_url",
            Self::ForbiddenScheme { .. } => "forbidden_scheme",
            Self::ForbiddenAddress { .. } => "forbidden_address",
            Self::Dns { .. } => "dns",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
            Self::TooManyRedirects { .. } => "too_many_redirects",
            Self::InvalidHeader { .. } => "invalid_header",
            Self::InvalidMethod { .. } => "invalid_method",
            Self::Cancelled => "cancelled",
            Self::Other { .. } => "other",
            Self::AfterRedirect(inner) => inner.code(),
        }
    }

    /// Whether the same request may succeed later. Whether it is safe to send again is for
    /// [`Self::may_have_reached_server`] and the node's own choice.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dns { .. } | Self::Connect { .. } | Self::Timeout { .. } => true,
            Self::Other { transient, .. } => *transient,
            Self::AfterRedirect(inner) => inner.is_transient(),
            _ => false,
        }
    }

    /// `false` only when certainly no server has seen the request.
    pub fn may_have_reached_server(&self) -> bool {
        !matches!(
            self,
            Self::InvalidUrl { .. }
                | Self::ForbiddenScheme { .. }
                | Self::ForbiddenAddress { .. }
                | Self::Dns { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Timeout {
                    phase: TimeoutPhase::Connect
                }
                | Self::TooLarge {
                    payload: Payload::Request,
                    ..
                }
                | Self::InvalidHeader { .. }
                | Self::InvalidMethod { .. }
        )
    }
}

/// How long the server asks to wait: the `retry-after` header of an [`OutboundResponse`], as seconds or as a
/// date in any of the three forms of RFC 9110 §5.6.7, relative to `now`. A date in the past is zero;
/// [`RETRY_AFTER_CAP`] bounds the rest. `None` if there is no such header or it says nothing usable.
pub fn retry_after(headers: &BTreeMap<String, String>, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get("retry-after")?.trim();
    // Two headers were joined by a comma; dates hold one themselves, so only the number form is cut.
    let first = value.split(',').next().unwrap_or_default().trim();
    if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit ask for more than the cap.
        let seconds = first.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_CAP));
    }
    let at = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ]
    .iter()
    .find_map(|form| NaiveDateTime::parse_from_str(value, form).ok())?
    .and_utc();
    let wait = at.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO);
    Some(wait.min(RETRY_AFTER_CAP))
}
