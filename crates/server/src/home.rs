//! The page at `/`: the web pages, or, in a binary that was built without them, what runs here and where to go on.

use crate::VERSION;
use crate::config::Config;
use crate::web;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;
use synapscale_store::Backend;

const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The route.
pub(crate) fn routes(config: &Config, backend: Backend) -> Router {
    let page: Arc<str> = page(config, backend).into();
    Router::new().route(
        "/",
        get(move |headers: HeaderMap| {
            let page = page.clone();
            async move { web::page(&headers).unwrap_or_else(|| respond(&page)) }
        }),
    )
}

fn respond(page: &str) -> Response {
    let mut response = Html(page.to_owned()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, CSP);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Everything in it is ours, so nothing needs escaping; where the database is, is nobody's business here.
fn page(config: &Config, backend: Backend) -> String {
    let database = match backend {
        Backend::Sqlite => "SQLite",
        Backend::Postgres => "PostgreSQL",
    };
    let (roles, profile) = (config.roles.names().join(", "), config.profile.as_str());
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SynapScale</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<main>
<h1>SynapScale</h1>
<p>Version {VERSION} runs here on {database}, with the roles {roles}, in the profile {profile}.</p>
<ul>
<li><a href="/docs">What it can do</a>: every operation, with its input and output</li>
<li><a href="/api/v1/openapi.json">The same as OpenAPI 3.1</a></li>
<li><a href="/readyz">Whether its parts are well</a></li>
</ul>
<p>Agents and other clients find the tools at <code>/mcp</code>; events come from <code>/api/v1/events/stream</code>.
This server was built without its web pages: build it again with Node 20 or newer installed.</p>
</main>
</body>
</html>
"#
    )
}
