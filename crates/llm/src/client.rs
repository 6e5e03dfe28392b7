//! One exchange with one deployment: headers out, bytes in, each wait with its limit.

use crate::adapter::{Adapter, WireRequest};
use crate::deployment::Deployment;
use crate::error::{LlmError, LlmErrorKind, Result, Stage};
use crate::presets::Auth;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest error that is read, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// How the shared client connects.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// A proxy, as `http://host:port`; those of the environment are never used.
    pub proxy: Option<String>,
    /// How the product calls itself.
    pub user_agent: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            connect_timeout: Duration::from_secs(10),
            proxy: None,
            user_agent: concat!("synapscale/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

impl ClientConfig {
    /// Makes the client: no redirects (a key must not follow one), no proxy of the environment.
    ///
    /// # Errors
    /// `BadConfig` when the proxy is no address or TLS cannot be set up.
    pub fn build(&self) -> Result<reqwest::Client> {
        self.builder()?.build().map_err(unusable)
    }

    /// The client before it is made, for what else must be set.
    ///
    /// # Errors
    /// `BadConfig` when the proxy is no address.
    pub(crate) fn builder(&self) -> Result<reqwest::ClientBuilder> {
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect_timeout)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(&self.user_agent);
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(unusable)?);
        }
        Ok(builder)
    }
}

fn unusable(error: reqwest::Error) -> LlmError {
    LlmError::new(LlmErrorKind::BadConfig, error.without_url().to_string())
}

/// The limits of one exchange, as points in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For the head of the answer and, in a stream, the first token.
    pub first: Instant,
    /// Between two packets.
    pub idle: Duration,
}

/// The head of an answer of success.
pub(crate) struct Head {
    pub response: reqwest::Response,
    pub is_stream: bool,
    pub request_id: Option<String>,
}

/// Sends a request and reads the head of the answer.
pub(crate) async fn open(
    client: &reqwest::Client,
    deployment: &Deployment,
    wire: WireRequest,
    stream: bool,
    limits: Limits,
    adapter: &dyn Adapter,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Head> {
    let url = format!("{}{}", deployment.base_url, wire.path);
    let mut request = client
        .post(url)
        .headers(headers(deployment, &wire)?)
        .body(wire.body);
    if stream {
        // Packers hold bytes back until they have enough of them.
        request = request.header(ACCEPT_ENCODING, "identity");
    }
    let response = timeout_at(limits.first, request.send())
        .await
        .map_err(|_| timed_out(Stage::FirstToken))?
        .map_err(transport)?;
    let request_id = ["x-request-id", "request-id", "x-generation-id"]
        .iter()
        .find_map(|name| response.headers().get(*name)?.to_str().ok())
        .map(str::to_owned);
    let status = response.status();
    if !status.is_success() {
        let after = crate::retry::retry_after(response.headers(), now);
        let body = read_error(response, limits).await;
        let error = adapter.error(status, &body).with_retry_after(after);
        return Err(match error.request_id() {
            None => error.with_request_id(request_id),
            Some(_) => error,
        });
    }
    let media = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_json = media.starts_with("application/json");
    // Some send a stream without saying so.
    let is_stream = media.starts_with("text/event-stream") || (stream && !is_json);
    Ok(Head {
        response,
        is_stream,
        request_id,
    })
}

pub(crate) fn headers(deployment: &Deployment, wire: &WireRequest) -> Result<HeaderMap> {
    let bad = |what: &str| LlmError::new(LlmErrorKind::BadConfig, what);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &wire.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in &deployment.headers {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("A header's name cannot be one."))?;
        let value =
            HeaderValue::from_str(value.expose()).map_err(|_| bad("A header's value cannot be one."))?;
        headers.insert(name, sensitive(value));
    }
    if let Some(key) = &deployment.key {
        let no_header = |_| bad("The key holds signs that no header can hold.");
        let (name, value) = match deployment.preset.auth {
            Auth::Bearer => (
                AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {}", key.expose())),
            ),
            Auth::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key.expose())),
        };
        headers.insert(name, sensitive(value.map_err(no_header)?));
    }
    Ok(headers)
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

async fn read_error(mut response: reqwest::Response, limits: Limits) -> Vec<u8> {
    let mut body = Vec::new();
    let end = Instant::now() + limits.idle;
    while let Ok(Ok(Some(bytes))) = timeout_at(end, response.chunk()).await {
        let room = MAX_ERROR - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if body.len() == MAX_ERROR {
            break;
        }
    }
    body
}

/// Reads a whole body.
pub(crate) async fn read_whole(head: &mut Head, idle: Duration, max: usize) -> Result<Vec<u8>> {
    let expected = head
        .response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    if expected > max {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(expected.min(1 << 20));
    loop {
        let chunk = timeout_at(Instant::now() + idle, head.response.chunk()).await;
        match chunk.map_err(|_| timed_out(Stage::Idle))?.map_err(cut)? {
            None => return Ok(body),
            Some(bytes) if body.len() + bytes.len() > max => return Err(too_large()),
            Some(bytes) => body.extend_from_slice(&bytes),
        }
    }
}

pub(crate) fn too_large() -> LlmError {
    LlmError::new(LlmErrorKind::TooLarge, "The answer is larger than is read.")
}

pub(crate) fn timed_out(stage: Stage) -> LlmError {
    let words = match stage {
        Stage::Connect => "No connection came in time.",
        Stage::FirstToken => "The answer did not begin in time.",
        Stage::Idle => "The answer stopped coming.",
        Stage::Attempt | Stage::Total => "The answer did not end in time.",
    };
    LlmError::new(LlmErrorKind::Timeout(stage), words)
}

/// A connection that failed before the answer.
pub(crate) fn transport(error: reqwest::Error) -> LlmError {
    let error = error.without_url();
    match () {
        () if error.is_connect() && error.is_timeout() => timed_out(Stage::Connect),
        () if error.is_connect() => LlmError::new(LlmErrorKind::Connect, "No connection could be made."),
        () if error.is_builder() => LlmError::new(LlmErrorKind::BadConfig, "The request cannot be made."),
        () if error.is_timeout() => timed_out(Stage::FirstToken),
        () => LlmError::new(LlmErrorKind::CutStream, "The connection broke before the answer."),
    }
}

/// A connection that failed within the answer. The client tells a broken connection and broken packing alike.
pub(crate) fn cut(_error: reqwest::Error) -> LlmError {
    LlmError::new(LlmErrorKind::CutStream, "The answer broke off.")
}
