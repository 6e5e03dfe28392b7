//! The web pages, embedded in the binary: files by their content's hash for good, everything else asked for anew. With no
//! Node at build time there are none, and the page at `/` says so.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;
use std::fmt::Write;
use tower_http::compression::CompressionLayer;

/// What `npm run build` left in `web/dist`.
#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

const INDEX: &str = "index.html";
/// The name of such a file holds a hash of its content.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ANEW: HeaderValue = HeaderValue::from_static("no-cache");
/// Only what comes from here runs, looks or is asked.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Whether this binary holds the pages.
pub(crate) fn is_there() -> bool {
    Dist::get(INDEX).is_some()
}

/// The files.
pub(crate) fn routes() -> Router {
    Router::new()
        .route(
            "/assets/{*path}",
            get(async |Path(path): Path<String>, headers: HeaderMap| {
                file(&format!("assets/{path}"), FOR_GOOD, &headers)
            }),
        )
        .route(
            "/favicon.svg",
            get(async |headers: HeaderMap| file("favicon.svg", ANEW, &headers)),
        )
        .layer(CompressionLayer::new().gzip(true))
}

/// The page for every address that is a page's: the pages find their way by themselves. None for whoever wants no HTML.
pub(crate) fn page(headers: &HeaderMap) -> Option<Response> {
    let wants = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    (wants && is_there()).then(|| file(INDEX, ANEW, headers))
}

fn file(path: &str, keep: HeaderValue, asked: &HeaderMap) -> Response {
    let Some(file) = Dist::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = tag_of(&file);
    if asked.get(IF_NONE_MATCH).is_some_and(|seen| *seen == tag) {
        // Its headers take the place of those that the browser kept; without the policy, the API's would shut the page.
        let headers = [(ETAG, tag), (CACHE_CONTROL, keep), (CONTENT_SECURITY_POLICY, CSP)];
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let body = match file.data {
        Cow::Borrowed(bytes) => axum::body::Body::from(bytes),
        Cow::Owned(bytes) => axum::body::Body::from(bytes),
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, keep),
        (ETAG, tag),
        (CONTENT_SECURITY_POLICY, CSP),
    ];
    (headers, body).into_response()
}

fn tag_of(file: &EmbeddedFile) -> HeaderValue {
    let mut tag = String::with_capacity(34);
    tag.push('"');
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"0\""))
}
