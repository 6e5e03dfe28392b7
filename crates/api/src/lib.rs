//! The HTTP kit: REST, OpenAPI, documentation pages, MCP and the event stream, all made from the registry of operations;
//! and what every request passes on its way in and out. It knows operations and no domain.

mod auth;
mod body;
mod browser;
mod call;
mod codes;
mod coerce;
mod docs;
mod edge;
mod mcp;
mod openapi;
mod problem;
mod rest;
mod streamed;
#[cfg(test)]
mod tests;
mod tools;
mod watch;
mod ws;

pub use auth::{Authenticate, Caller, Peer, bearer_token};
pub use body::{read_body, require_json};
pub use browser::{CSRF_HEADER, csrf_failed, csrf_token, is_https, session_cookie_name};
pub use edge::Inbound;
pub use openapi::document;
pub use problem::{Problem, ProblemField, Rejection, respond_error, respond_with, status_of};
pub use rest::BASE;
pub use tools::Toolset;
pub use watch::{Frames, RUN_STREAM, Watch};
pub use ws::EVENT_STREAM;

use crate::edge::Edge;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Error, ErrorKind};
use synapscale_ops::Gate;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What can be set of the HTTP faces.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// What clients reach this server by, such as `https://work.example.org`; empty for wherever they are.
    pub public_url: String,
    /// The version told in OpenAPI and MCP.
    pub version: String,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Most time for one request.
    pub time_limit: Duration,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Names of the operations that `/mcp` always offers as tools.
    pub mcp_core: Vec<&'static str>,
    /// Named groups of tools, beside the nouns themselves.
    pub mcp_toolsets: Vec<Toolset>,
    /// Values of `Host` that `/mcp` answers to; empty for all, since every call carries a token that no page has.
    pub mcp_allowed_hosts: Vec<String>,
    /// Most open event streams per workspace.
    pub max_streams_per_tenant: usize,
    /// Answers a browser that asks for an address which no route serves: a page finds its way by itself. None where the
    /// request is for no page.
    pub page: Option<fn(&HeaderMap) -> Option<Response>>,
    /// What runs tell while they work; none where no run does.
    pub watch: Option<Arc<dyn Watch>>,
    /// Tells a request's span of the caller's trace; none where no traces are exported.
    pub trace_parent: Option<fn(&HeaderMap, &tracing::Span)>,
    /// Counts what outlives a request; the server waits for it at the end.
    pub tasks: TaskTracker,
    /// Cancelled when the server goes down.
    pub shutdown: CancellationToken,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            public_url: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            max_body_bytes: 1024 * 1024,
            time_limit: Duration::from_secs(30),
            trusted_proxies: Vec::new(),
            mcp_core: Vec::new(),
            mcp_toolsets: Vec::new(),
            mcp_allowed_hosts: Vec::new(),
            max_streams_per_tenant: 1000,
            page: None,
            watch: None,
            trace_parent: None,
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
        }
    }
}

/// All HTTP routes. `extra` holds the server's own and the domains' raw ones, with full paths: they pass the same edge
/// (request id, panic guard, body limit, headers, metrics, log) and find an [`Inbound`] in their request.
///
/// Serve it with `into_make_service_with_connect_info::<Peer>()`.
///
/// # Panics
/// As axum does, when `extra` claims a path that is taken.
pub fn router(gate: Gate, auth: Arc<dyn Authenticate>, config: ApiConfig, extra: Router) -> Router {
    let spec = openapi::served(gate.registry(), &config.version, &config.public_url);
    let spec = get(move |headers: HeaderMap| std::future::ready(spec.respond(&headers)));
    let edge = Arc::new(Edge {
        auth,
        clock: gate.store().clock().clone(),
        public_url: config.public_url.clone(),
        trusted_proxies: config.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
        time_limit: config.time_limit,
        max_body_bytes: config.max_body_bytes,
        trace_parent: config.trace_parent,
    });
    let streams = Arc::new(ws::Streams {
        store: gate.store().clone(),
        tasks: config.tasks.clone(),
        shutdown: config.shutdown,
        most_per_tenant: config.max_streams_per_tenant,
        open: Arc::default(),
        watch: config.watch,
    });
    let mcp = mcp::McpSettings {
        core: config.mcp_core,
        toolsets: config.mcp_toolsets,
        allowed_hosts: config.mcp_allowed_hosts,
        max_body_bytes: config.max_body_bytes,
        time_limit: config.time_limit,
        version: config.version,
    };
    rest::routes(&gate)
        .route(&format!("{BASE}/openapi.json"), spec)
        .merge(call::routes(
            gate.clone(),
            config.max_body_bytes,
            config.time_limit,
        ))
        .merge(ws::routes(streams.clone()))
        .merge(watch::routes(streams))
        .merge(mcp::routes(&gate, mcp))
        .merge(docs::routes())
        .merge(extra)
        .fallback(move |request: Request| no_route(request, config.page))
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(middleware::from_fn_with_state(edge, edge::edge))
}

/// Below these nothing is a page, whatever a browser says it would take.
const NO_PAGES: &[&str] = &["/api/", "/docs", "/mcp", "/hooks/", "/v1/", "/assets/", "/local/"];

async fn no_route(request: Request, page: Option<fn(&HeaderMap) -> Option<Response>>) -> Response {
    let path = request.uri().path();
    let may_be_page =
        request.method() == Method::GET && !NO_PAGES.iter().any(|prefix| path.starts_with(prefix));
    if let Some(answer) = page
        .filter(|_| may_be_page)
        .and_then(|page| page(request.headers()))
    {
        return answer;
    }
    let error = Error::new(
        ErrorKind::NotFound,
        "no_such_route",
        "Nothing is served at this address.",
    );
    match Inbound::of(request.extensions()) {
        Ok(inbound) => respond_error(&error, inbound.request_id),
        Err(rejection) => rejection.into_response(),
    }
}

async fn no_method(request: Request) -> Response {
    let words = "This address does not serve this method; the Allow header names those it does.";
    let error = Error::new(ErrorKind::Unsupported, "method_not_allowed", words);
    match Inbound::of(request.extensions()) {
        Ok(inbound) => respond_with(&error, inbound.request_id, StatusCode::METHOD_NOT_ALLOWED),
        Err(rejection) => rejection.into_response(),
    }
}
