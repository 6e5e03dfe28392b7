//! Sends one request: checks it, follows its redirects hop by hop, and reads a bounded response.

mod lasting;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::iter;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use reqwest::{Client, Url, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::resolver::{AddressRefused, GuardedResolver, Lookup, system_lookup};
use super::{
    OutboundBody, OutboundError, OutboundPolicy, OutboundRequest, OutboundResponse, Payload, TimeoutPhase,
};
use synapscale_core::net::{AllowRule, Guard};

/// No request takes longer, whatever it asks for; it keeps the deadline computable.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest URL in bytes; servers commonly stop at half of this.
const MAX_URL_BYTES: usize = 16 * 1024;
/// All request headers together, in bytes; servers commonly stop at half of this.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// The longest reason taken from a library's error, in characters.
const MAX_REASON_CHARS: usize = 300;
/// Idle connections kept for each origin, and for how long.
const IDLE_PER_HOST: usize = 8;
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Request headers that belong to the connection; those beginning with `proxy-` too.
const CONNECTION_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers that go along to another origin. Any other may be a secret: not only `Authorization` and
/// `Cookie`, but `X-Api-Key` and whatever else a service has invented.
const HARMLESS_HEADERS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "prefer",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
];

/// Headers that describe a body and go with it.
const BODY_HEADERS: &[&str] = &[
    "content-encoding",
    "content-language",
    "content-location",
    "content-type",
];

/// Sends requests under one policy; cheap to clone, and clones share connections.
#[derive(Clone)]
pub struct Outbound {
    inner: Arc<Inner>,
}

struct Inner {
    policy: OutboundPolicy,
    guard: Guard,
    any_port: Client,
    /// For the ports that rules name; see [`GuardedResolver::port`].
    by_port: BTreeMap<u16, Client>,
}

impl Outbound {
    /// Sets up the connections' TLS and the guard. Fails if the system has no root certificates or the
    /// user agent cannot be a header value.
    pub fn new(policy: OutboundPolicy) -> Result<Self, OutboundError> {
        Self::with_lookup(policy, system_lookup())
    }

    /// As [`Self::new`], with another source of addresses than the system.
    pub(crate) fn with_lookup(policy: OutboundPolicy, lookup: Lookup) -> Result<Self, OutboundError> {
        if HeaderValue::from_str(&policy.user_agent).is_err() {
            return Err(invalid_header(
                "user-agent",
                "the value has characters a header cannot carry",
            ));
        }
        let guard = Guard::new(policy.allow.clone());
        let build = |port| {
            let resolver = GuardedResolver {
                guard: guard.clone(),
                port,
                lookup: lookup.clone(),
            };
            Client::builder()
                .no_proxy()
                .redirect(redirect::Policy::none())
                .referer(false)
                .gzip(true)
                .dns_resolver(Arc::new(resolver))
                .connect_timeout(policy.connect_timeout)
                .pool_max_idle_per_host(IDLE_PER_HOST)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .user_agent(policy.user_agent.as_str())
                .build()
                .map_err(|error| OutboundError::Other {
                    message: reason_of(&error),
                    transient: false,
                })
        };
        let ports = policy.allow.iter().filter_map(AllowRule::port);
        let by_port = ports
            .map(|port| Ok((port, build(port)?)))
            .collect::<Result<_, OutboundError>>()?;
        let any_port = build(0)?;
        Ok(Self {
            inner: Arc::new(Inner {
                policy,
                guard,
                any_port,
                by_port,
            }),
        })
    }

    /// Sends `request` and reads the whole response. Dropping the future gives the request up.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let started = Instant::now();
        let deadline = started + request.timeout.min(MAX_TIMEOUT);
        let follow = request.follow_redirects;
        let mut hop = Hop::new(request, &self.inner.policy)?;
        let mut followed = 0;
        loop {
            let after = |error| {
                if followed == 0 {
                    error
                } else {
                    after_redirect(error)
                }
            };
            let response = self.exchange(&hop, deadline).await.map_err(after)?;
            let Some(location) = location_of(&response).filter(|_| follow) else {
                return self.read(&hop, response, started, deadline).await.map_err(after);
            };
            let limit = self.inner.policy.max_redirects;
            if followed == limit {
                return Err(OutboundError::TooManyRedirects { limit });
            }
            hop = hop
                .redirected(response.status(), &location)
                .map_err(after_redirect)?;
            followed += 1;
        }
    }

    /// As [`Self::send`], but fails with [`OutboundError::Cancelled`] as soon as `cancel` is ready.
    pub async fn send_until(
        &self,
        request: OutboundRequest,
        cancel: impl Future<Output = ()>,
    ) -> Result<OutboundResponse, OutboundError> {
        tokio::select! {
            biased;
            () = cancel => Err(OutboundError::Cancelled),
            response = self.send(request) => response,
        }
    }

    /// One request and the head of its response.
    async fn exchange(&self, hop: &Hop, deadline: Instant) -> Result<reqwest::Response, OutboundError> {
        let inner = &self.inner;
        inner
            .guard
            .check_literal(&hop.url)
            .map_err(|address| forbidden(&hop.url, address))?;
        let port = hop.url.port_or_known_default().unwrap_or_default();
        let client = inner.by_port.get(&port).unwrap_or(&inner.any_port);
        let mut request = reqwest::Request::new(hop.method.clone(), hop.url.clone());
        *request.headers_mut() = hop.headers.clone();
        if let Some(body) = &hop.body {
            *request.body_mut() = Some(body.clone().into());
        }
        match timeout_at(deadline, client.execute(request)).await {
            Err(_) => Err(OutboundError::Timeout {
                phase: TimeoutPhase::Response,
            }),
            Ok(Err(error)) => Err(classify(error, &hop.url)),
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// The response as a value. The limit counts decoded bytes, chunk by chunk, so a bomb is given up early.
    async fn read(
        &self,
        hop: &Hop,
        mut response: reqwest::Response,
        started: Instant,
        deadline: Instant,
    ) -> Result<OutboundResponse, OutboundError> {
        let limit = self.inner.policy.max_response_bytes;
        let too_large = OutboundError::TooLarge {
            payload: Payload::Response,
            limit,
        };
        let (status, headers) = (response.status().as_u16(), readable_headers(response.headers()));
        let mut body = Vec::new();
        // A response to HEAD describes a body that does not follow.
        if hop.method != Method::HEAD {
            if response
                .content_length()
                .is_some_and(|length| length > limit as u64)
            {
                return Err(too_large);
            }
            loop {
                match timeout_at(deadline, response.chunk()).await {
                    Err(_) => {
                        return Err(OutboundError::Timeout {
                            phase: TimeoutPhase::Body,
                        });
                    }
                    Ok(Err(error)) => return Err(broken(&error)),
                    Ok(Ok(None)) => break,
                    Ok(Ok(Some(chunk))) if chunk.len() > limit - body.len() => return Err(too_large),
                    Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                }
            }
        }
        let body = body_value(headers.get("content-type").map_or("", String::as_str), body);
        Ok(OutboundResponse {
            status,
            headers,
            body,
            duration: started.elapsed(),
        })
    }
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("policy", &self.inner.policy)
            .finish_non_exhaustive()
    }
}

/// A request as it goes to one server; a redirect makes the next one of it.
pub(super) struct Hop {
    method: Method,
    url: Url,
    pub(super) headers: HeaderMap,
    body: Option<Bytes>,
}

impl Hop {
    pub(super) fn new(request: OutboundRequest, policy: &OutboundPolicy) -> Result<Self, OutboundError> {
        let OutboundRequest {
            method,
            url,
            headers,
            body,
            ..
        } = request;
        if url.len() > MAX_URL_BYTES {
            return Err(invalid_url("it is too long"));
        }
        let url = checked(Url::parse(&url).map_err(invalid_url)?)?;
        if method == Method::CONNECT || method == Method::TRACE {
            return Err(OutboundError::InvalidMethod { method });
        }
        let mut headers = request_headers(&headers)?;
        let (body, content_type) = encode(body)?;
        if let Some(content_type) = content_type {
            headers
                .entry(header::CONTENT_TYPE)
                .or_insert(HeaderValue::from_static(content_type));
        }
        let limit = policy.max_request_bytes;
        if body.as_ref().is_some_and(|body| body.len() > limit) {
            return Err(OutboundError::TooLarge {
                payload: Payload::Request,
                limit,
            });
        }
        Ok(Self {
            method,
            url,
            headers,
            body,
        })
    }

    /// The request a redirect asks for: method and body as RFC 9110 §15.4 has them, secrets left behind.
    pub(super) fn redirected(mut self, status: StatusCode, location: &str) -> Result<Self, OutboundError> {
        if location.len() > MAX_URL_BYTES {
            return Err(invalid_url("it is too long"));
        }
        let url = checked(self.url.join(location).map_err(invalid_url)?)?;
        let to_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
            self.body = None;
            BODY_HEADERS.iter().for_each(|name| {
                self.headers.remove(*name);
            });
        }
        if url.origin() != self.url.origin() {
            let harmless = self.headers.keys().all(is_harmless) && self.body.is_none();
            if self.url.scheme() == "https" && url.scheme() == "http" && !harmless {
                return Err(OutboundError::ForbiddenScheme {
                    scheme: url.scheme().to_owned(),
                    reason: "a redirect from https may not take headers or a body of the request there",
                });
            }
            self.headers = self.headers.iter().filter(|(name, _)| is_harmless(name)).fold(
                HeaderMap::new(),
                |mut kept, (name, value)| {
                    kept.append(name, value.clone());
                    kept
                },
            );
        }
        Ok(Self { url, ..self })
    }
}

/// What holds for every URL that is requested, the first and those of redirects.
fn checked(url: Url) -> Result<Url, OutboundError> {
    if !matches!(url.scheme(), "http" | "https") {
        let scheme = url.scheme().chars().take(20).collect();
        return Err(OutboundError::ForbiddenScheme {
            scheme,
            reason: "only http and https are sent",
        });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid_url(
            "user and password belong in the Authorization header",
        ));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid_url("it has no host"));
    }
    if url.port() == Some(0) {
        return Err(invalid_url("port 0 cannot be connected to"));
    }
    Ok(url)
}

fn request_headers(given: &[(String, String)]) -> Result<HeaderMap, OutboundError> {
    if given
        .iter()
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum::<usize>()
        > MAX_HEADER_BYTES
    {
        return Err(invalid_header("*", "the headers together are too long"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
            let shown: String = name.chars().filter(|char| !char.is_control()).take(50).collect();
            return Err(invalid_header(&shown, "this is not a header name"));
        };
        if CONNECTION_HEADERS.contains(&key.as_str()) || key.as_str().starts_with("proxy-") {
            return Err(invalid_header(
                key.as_str(),
                "it belongs to the connection and is set for it",
            ));
        }
        let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
            let reason = "the value has characters a header cannot carry, such as a line break";
            return Err(invalid_header(key.as_str(), reason));
        };
        value.set_sensitive(!is_harmless(&key));
        headers.append(key, value);
    }
    Ok(headers)
}

fn is_harmless(name: &HeaderName) -> bool {
    HARMLESS_HEADERS.contains(&name.as_str())
}

/// The bytes of a body and the content type it has unless a header says otherwise.
fn encode(body: OutboundBody) -> Result<(Option<Bytes>, Option<&'static str>), OutboundError> {
    Ok(match body {
        OutboundBody::Empty => (None, None),
        OutboundBody::Json(value) => {
            let bytes = serde_json::to_vec(&value).map_err(|error| OutboundError::Other {
                message: error.to_string(),
                transient: false,
            })?;
            (Some(bytes.into()), Some("application/json"))
        }
        OutboundBody::Text(text) => (Some(text.into()), Some("text/plain; charset=utf-8")),
        OutboundBody::Form(pairs) => {
            // A URL's query is written in the form encoding; the URL itself goes nowhere.
            let mut carrier = Url::parse("http://form.invalid/").map_err(invalid_url)?;
            carrier.query_pairs_mut().extend_pairs(pairs);
            let bytes = Bytes::from(carrier.query().unwrap_or_default().to_owned());
            (Some(bytes), Some("application/x-www-form-urlencoded"))
        }
        OutboundBody::Bytes(bytes) => (Some(bytes), Some("application/octet-stream")),
    })
}

/// Where a response redirects to, if it does.
fn location_of(response: &reqwest::Response) -> Option<String> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(header::LOCATION)?;
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}

fn readable_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut readable = BTreeMap::<String, String>::new();
    for (name, value) in headers.iter().filter(|(name, _)| *name != header::SET_COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        readable
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    readable
}

fn body_value(content_type: &str, bytes: Vec<u8>) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_json = matches!(essence.as_str(), "application/json" | "text/json") || essence.ends_with("+json");
    if is_json {
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if let Ok(value) = serde_json::from_slice(text) {
            return value;
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Value::String(text),
        Err(error) => json!({ "base64": STANDARD.encode(error.as_bytes()) }),
    }
}

/// What may be told of a URL: scheme, host and port. Paths and queries are often secrets.
pub(super) fn origin_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "?".to_owned(), |url| url.origin().ascii_serialization())
}

fn invalid_url(reason: impl ToString) -> OutboundError {
    OutboundError::InvalidUrl {
        reason: reason.to_string(),
    }
}

fn invalid_header(name: &str, reason: &'static str) -> OutboundError {
    OutboundError::InvalidHeader {
        name: name.to_owned(),
        reason,
    }
}

fn forbidden(url: &Url, address: IpAddr) -> OutboundError {
    OutboundError::ForbiddenAddress {
        host: url.host_str().unwrap_or_default().to_owned(),
        address,
    }
}

fn after_redirect(error: OutboundError) -> OutboundError {
    OutboundError::AfterRedirect(Box::new(error))
}

/// Tells the errors before a response apart, above all those before anything was sent.
fn classify(error: reqwest::Error, url: &Url) -> OutboundError {
    if let Some(AddressRefused(address)) = chain(&error).find_map(|error| error.downcast_ref()) {
        return forbidden(url, *address);
    }
    if error.is_builder() {
        return invalid_url("it cannot be put into a request");
    }
    if !error.is_connect() {
        return broken(&error);
    }
    if error.is_dns() {
        return OutboundError::Dns {
            host: url.host_str().unwrap_or_default().to_owned(),
        };
    }
    if error.is_timeout() {
        return OutboundError::Timeout {
            phase: TimeoutPhase::Connect,
        };
    }
    let (origin, reason) = (url.origin().ascii_serialization(), reason_of(&error));
    // rustls reports what it cannot accept as invalid data; a connection that breaks during the
    // handshake has another kind and may well work the next time.
    let is_tls = chain(&error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::InvalidData);
    match is_tls {
        true => OutboundError::Tls { origin, reason },
        false => OutboundError::Connect { origin, reason },
    }
}

/// An error once the connection stood. A body that does not decode will not do so the next time; a
/// connection that broke may.
fn broken(error: &reqwest::Error) -> OutboundError {
    let transient = !chain(error)
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .any(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            )
        });
    OutboundError::Other {
        message: reason_of(error),
        transient,
    }
}

/// An error and its causes. What an `io::Error` wraps is a cause too, though `source` skips it.
fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    iter::successors(Some(error), |error| {
        let error: &'e (dyn StdError + 'static) = *error;
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}

/// The causes in words. reqwest's own line is left out: it says nothing and holds the URL.
fn reason_of(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    for cause in chain(error).skip(1).filter(|cause| !cause.is::<reqwest::Error>()) {
        let cause = cause.to_string();
        if !causes.iter().any(|known| known.contains(&cause)) {
            causes.push(cause);
        }
    }
    let all = if causes.is_empty() {
        "no further cause".to_owned()
    } else {
        causes.join(": ")
    };
    all.chars().take(MAX_REASON_CHARS).collect()
}
