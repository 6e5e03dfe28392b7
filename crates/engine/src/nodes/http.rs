//! `http@1`: a request to the outside, at least once, with a key by which the other side can tell a repetition.

use crate::engine::Engine;
use crate::outbound::{OutboundBody, OutboundError, OutboundRequest, retry_after};
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_core::{Ctx, Error, ErrorKind, Result};

/// Longest time for one request, in seconds.
const MAX_TIMEOUT_S: u64 = 300;
const DEFAULT_TIMEOUT_S: u64 = 30;

/// Sends the request that `config` describes.
pub(crate) async fn call(engine: &Engine, ctx: &Ctx, key: &str, config: &Value) -> Result<Value> {
    let request = request(config, key)?;
    let response = engine
        .outbound()
        .send(request)
        .await
        .map_err(|error| from_outbound(&error))?;
    let output = json!({ "status": response.status, "headers": response.headers, "body": response.body });
    if accepted(config, response.status) {
        return Ok(output);
    }
    let kind = match response.status {
        429 => ErrorKind::RateLimited,
        408 | 500..=599 => ErrorKind::Upstream,
        _ => ErrorKind::Conflict,
    };
    let mut error = Error::new(
        kind,
        "http_status",
        format!("The other side answered {}.", response.status),
    );
    if let Some(after) = retry_after(&response.headers, ctx.clock().now()) {
        error = error.retry_after(after);
    }
    Err(error)
}

fn request(config: &Value, key: &str) -> Result<OutboundRequest> {
    let text = |field: &str| config.get(field).and_then(Value::as_str);
    let method = text("method").unwrap_or("GET").to_ascii_uppercase();
    let method = http::Method::from_bytes(method.as_bytes())
        .map_err(|_| Error::invalid("/with/method", "method", "This is no HTTP method."))?;
    let mut request = OutboundRequest::new(method.clone(), text("url").unwrap_or_default());
    let seconds = config
        .get("timeout")
        .and_then(Value::as_u64)
        .unwrap_or(DEFAULT_TIMEOUT_S);
    request.timeout = Duration::from_secs(seconds.clamp(1, MAX_TIMEOUT_S));
    request.follow_redirects = config
        .get("follow_redirects")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    if let Some(headers) = config.get("headers").and_then(Value::as_object) {
        for (name, value) in headers {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            request.headers.push((name.clone(), value));
        }
    }
    let named = request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
    if !named && method != http::Method::GET && method != http::Method::HEAD {
        request
            .headers
            .push(("idempotency-key".to_owned(), key.to_owned()));
    }
    request.body = match config.get("body") {
        None | Some(Value::Null) => OutboundBody::Empty,
        Some(Value::String(text)) => OutboundBody::Text(text.clone()),
        Some(other) => OutboundBody::Json(other.clone()),
    };
    Ok(request)
}

/// `success` names the accepted statuses: `2xx` (the default), `any`, or a list such as `[200, 404]`.
fn accepted(config: &Value, status: u16) -> bool {
    match config.get("success") {
        Some(Value::String(word)) if word == "any" => true,
        Some(Value::Array(list)) => list.iter().any(|item| item.as_u64() == Some(u64::from(status))),
        _ => (200..300).contains(&status),
    }
}

fn from_outbound(error: &OutboundError) -> Error {
    let kind = match error.code() {
        "timeout" => ErrorKind::Timeout,
        _ if error.is_transient() => ErrorKind::Upstream,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, format!("http_{}", error.code()), error.to_string())
}
