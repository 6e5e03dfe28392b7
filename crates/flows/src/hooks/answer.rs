//! What the sender of a delivery reads: the run's own answer, or 202 and where to look.

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use synapscale_engine::Response as RunResponse;
use uuid::Uuid;

/// Names the run that a delivery started, or that its first copy started.
const RUN_HEADER: HeaderName = HeaderName::from_static("x-synapscale-run");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Most headers that a run may set.
const MAX_HEADERS: usize = 32;
/// `x-` headers that a proxy in front of the server would act on, and those that are the server's own.
const RESERVED: &[&str] = &[
    "x-accel-",
    "x-sendfile",
    "x-lighttpd-",
    "x-reproxy-",
    "x-synapscale-",
    "x-request-id",
    "x-frame-",
    "x-content-type-",
    "x-xss-",
];

/// The run is accepted and will end; its status is told at `status_url`.
pub(crate) fn accepted(run_id: Uuid) -> Response {
    let status_url = format!("/api/v1/runs/{run_id}");
    let body = json!({ "run_id": run_id, "status_url": status_url }).to_string();
    let mut response = build(StatusCode::ACCEPTED, JSON, body, run_id);
    if let Ok(value) = HeaderValue::from_str(&status_url) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// What the run's `respond` node said. A body of text under `text/plain` goes out as it is, anything else as JSON; no
/// other type is possible, so that an answer can never be a page that runs in somebody's browser.
pub(crate) fn from_run(answer: &RunResponse, run_id: Uuid) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    let mut media = JSON;
    for (name, value) in answer.headers.as_object().into_iter().flatten().take(MAX_HEADERS) {
        let Some((name, value)) = header(name, value) else {
            continue;
        };
        if name == CONTENT_TYPE {
            media = value;
        } else {
            headers.insert(name, value);
        }
    }
    let (media, body) = match &answer.body {
        Value::String(text) if is_plain_text(&media) => (media, text.clone()),
        _ if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED => (JSON, String::new()),
        value => (if is_json(&media) { media } else { JSON }, value.to_string()),
    };
    let mut response = build(status, media, body, run_id);
    response.headers_mut().extend(headers);
    response
}

fn build(status: StatusCode, media: HeaderValue, body: String, run_id: Uuid) -> Response {
    let empty = body.is_empty();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !empty {
        headers.insert(CONTENT_TYPE, media);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&run_id.to_string()) {
        headers.insert(RUN_HEADER, value);
    }
    response
}

/// A header that a run may set: `content-type`, `location`, and `x-` headers that nobody acts on.
fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let name = name.to_ascii_lowercase();
    let own = name.starts_with("x-") && !RESERVED.iter().any(|start| name.starts_with(start));
    if !own && name != "content-type" && name != "location" {
        return None;
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    Some((
        HeaderName::from_bytes(name.as_bytes()).ok()?,
        HeaderValue::from_str(&text).ok()?,
    ))
}

fn essence(media: &HeaderValue) -> String {
    let text = media.to_str().unwrap_or_default();
    text.split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn is_plain_text(media: &HeaderValue) -> bool {
    essence(media) == "text/plain"
}

fn is_json(media: &HeaderValue) -> bool {
    let essence = essence(media);
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: Value, body: Value) -> Response {
        from_run(
            &RunResponse {
                status,
                headers,
                body,
            },
            Uuid::nil(),
        )
    }

    #[test]
    fn only_harmless_headers_pass() {
        let headers = json!({
            "X-Kind": "bug", "x-count": 3, "Location": "/x", "Set-Cookie": "a=b", "x-accel-redirect": "/etc/passwd",
            "content-length": "9", "x-synapscale-run": "forged", "x-bad": "a\nb",
        });
        let response = answer(201, headers, json!({"ok": true}));
        assert_eq!(response.status(), StatusCode::CREATED);
        let headers = response.headers();
        assert_eq!(headers["x-kind"], "bug");
        assert_eq!(headers["x-count"], "3");
        assert_eq!(headers["location"], "/x");
        assert_eq!(headers["x-synapscale-run"], Uuid::nil().to_string());
        for absent in ["set-cookie", "x-accel-redirect", "x-bad", "content-length"] {
            assert!(!headers.contains_key(absent), "{absent}");
        }
    }

    #[test]
    fn an_answer_is_never_a_page() {
        let page = answer(200, json!({"content-type": "text/html"}), json!("<script>"));
        assert_eq!(page.headers()[CONTENT_TYPE], "application/json");
        let text = answer(
            200,
            json!({"content-type": "text/plain; charset=utf-8"}),
            json!("fine"),
        );
        assert_eq!(text.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        let problem = answer(
            409,
            json!({"content-type": "application/problem+json"}),
            json!({}),
        );
        assert_eq!(problem.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(
            !answer(204, json!({}), json!(null))
                .headers()
                .contains_key(CONTENT_TYPE)
        );
    }

    #[test]
    fn an_accepted_delivery_says_where_to_look() {
        let response = accepted(Uuid::nil());
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(
            response.headers()[LOCATION],
            format!("/api/v1/runs/{}", Uuid::nil())
        );
    }
}
