//! Errors on the wire: RFC 9457 problems, the same for REST, WebSocket handshakes, raw routes and MCP tools.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use synapscale_core::{Error, ErrorKind};
use uuid::Uuid;

/// The media type of a problem.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Most bad fields told of at once.
const MAX_FIELDS: usize = 100;

/// What a client reads of an error.
#[derive(Debug, Serialize)]
pub struct Problem<'a> {
    /// Where the code is explained: a URI reference below this server.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The kind, in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, in words.
    pub detail: &'a str,
    /// The stable code.
    pub code: &'a str,
    /// The id under which the log tells of this call.
    pub request_id: Uuid,
    /// The bad fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField<'a>>,
    /// Whole seconds after which to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// One bad field.
#[derive(Debug, Serialize)]
pub struct ProblemField<'a> {
    /// JSON pointer into the input.
    pub pointer: &'a str,
    /// The stable code.
    pub code: &'a str,
    /// What is wrong, in words.
    pub detail: &'a str,
}

impl<'a> Problem<'a> {
    /// The problem that tells of `error`.
    pub fn of(error: &'a Error, request_id: Uuid) -> Self {
        let errors = error.fields().iter().take(MAX_FIELDS);
        Problem {
            type_uri: format!("/docs/errors#{}", error.code()),
            title: title(error.kind()),
            status: status_of(error.kind()).as_u16(),
            detail: error.message(),
            code: error.code(),
            request_id,
            errors: errors
                .map(|field| ProblemField {
                    pointer: &field.pointer,
                    code: &field.code,
                    detail: &field.message,
                })
                .collect(),
            retry_after: retry_seconds(error),
        }
    }
}

/// The HTTP status of a kind of error.
pub fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Malformed => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        // 499 has no name in the registry; the caller is gone and only the log sees it.
        ErrorKind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Upstream => StatusCode::BAD_GATEWAY,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

fn title(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed => "The request cannot be read",
        ErrorKind::Unauthenticated => "Not signed in",
        ErrorKind::Forbidden => "Not allowed",
        ErrorKind::NotFound => "Not found",
        ErrorKind::Conflict => "In conflict with the present state",
        ErrorKind::Stale => "Changed in the meantime",
        ErrorKind::TooLarge => "Too large",
        ErrorKind::Unsupported => "Not supported",
        ErrorKind::Invalid => "Not valid",
        ErrorKind::RateLimited => "Too many calls",
        ErrorKind::Cancelled => "Cancelled",
        ErrorKind::Internal => "A fault on our side",
        ErrorKind::Upstream => "An outside service failed",
        ErrorKind::Unavailable => "Not available now",
        ErrorKind::Timeout => "Took too long",
    }
}

fn retry_seconds(error: &Error) -> Option<u64> {
    let wait = error.retry_delay()?;
    // Rounded up: a client that waits the told time must not come too early.
    let part = u64::from(wait.subsec_nanos() > 0);
    Some(wait.as_secs().saturating_add(part).max(1))
}

/// The response that tells of `error`. A fault of ours goes to the log with what lies underneath.
pub fn respond_error(error: &Error, request_id: Uuid) -> Response {
    respond_with(error, request_id, status_of(error.kind()))
}

/// The same under another status, for what has no kind of its own (405, 410, 426).
pub fn respond_with(error: &Error, request_id: Uuid, status: StatusCode) -> Response {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(%request_id, source = error.source_text(), "internal error");
    }
    let mut problem = Problem::of(error, request_id);
    problem.status = status.as_u16();
    let retry = problem.retry_after;
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = retry {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // What is left of the body is not read, so the connection cannot be used again.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"synapscale\""),
        );
    }
    response
}

/// An error with the id of its request: what handlers of raw routes return.
#[derive(Debug)]
pub struct Rejection {
    /// What went wrong.
    pub error: Error,
    /// The request's id.
    pub request_id: Uuid,
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        respond_error(&self.error, self.request_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn wire(error: &Error) -> Value {
        serde_json::to_value(Problem::of(error, Uuid::nil())).expect("a problem is JSON")
    }

    #[test]
    fn every_kind_has_its_status() {
        let expected = [
            (ErrorKind::Malformed, 400),
            (ErrorKind::Unauthenticated, 401),
            (ErrorKind::Forbidden, 403),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Stale, 412),
            (ErrorKind::TooLarge, 413),
            (ErrorKind::Unsupported, 415),
            (ErrorKind::Invalid, 422),
            (ErrorKind::RateLimited, 429),
            (ErrorKind::Cancelled, 499),
            (ErrorKind::Internal, 500),
            (ErrorKind::Upstream, 502),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Timeout, 504),
        ];
        for (kind, status) in expected {
            assert_eq!(status_of(kind).as_u16(), status, "{kind:?}");
        }
    }

    #[test]
    fn a_bad_field_keeps_its_pointer_and_code() {
        let got = wire(&Error::invalid("/title", "required", "Give a title."));
        assert_eq!(got["type"], "/docs/errors#invalid");
        assert_eq!(got["status"], 422);
        assert_eq!(
            got["errors"],
            json!([{"pointer": "/title", "code": "required", "detail": "Give a title."}])
        );
    }

    #[test]
    fn the_source_stays_inside() {
        let got = wire(&Error::internal("password=hunter2"));
        assert!(!got.to_string().contains("hunter2"));
        assert!(got.get("errors").is_none());
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        let error = Error::rate_limited(Duration::from_millis(1200));
        assert_eq!(wire(&error)["retry_after"], 2);
        let response = respond_error(&error, Uuid::nil());
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let soon = Error::rate_limited(Duration::ZERO);
        assert_eq!(wire(&soon)["retry_after"], 1);
    }

    #[test]
    fn not_signed_in_says_how_to() {
        let response = respond_error(&Error::unauthenticated(), Uuid::nil());
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }
}
