//! What every request passes, whatever its route: request id, panic guard, security headers, metrics and the log line.

use crate::auth::{Authenticate, Peer, REQUEST_ID, client_ip, request_id};
use crate::problem::{Rejection, respond_error};
use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::FutureExt;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{Extensions, HeaderMap, HeaderValue, Method};
use metrics::{SharedString, counter, histogram};
use std::any::Any;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Channel, Clock, Error, Origin, new_id};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};
use uuid::Uuid;

/// Answers are data: nothing in them may run, and no other page may frame them.
const STRICT_CSP: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The route in metrics and log of what no route matched.
const UNMATCHED: &str = "unmatched";

/// What the edge knows for the life of the server.
pub(crate) struct Edge {
    pub auth: Arc<dyn Authenticate>,
    pub clock: Clock,
    /// What clients reach the server by; empty for wherever they are.
    pub public_url: String,
    pub trusted_proxies: Vec<IpAddr>,
    pub time_limit: Duration,
    pub max_body_bytes: usize,
    pub trace_parent: Option<fn(&HeaderMap, &Span)>,
}

/// What the edge found out about a request; in the request's extensions for every handler.
#[derive(Clone)]
pub struct Inbound {
    /// The request's id.
    pub request_id: Uuid,
    /// The caller's address, if it came over the network.
    pub ip: Option<IpAddr>,
    /// The other end, if known.
    pub peer: Option<Peer>,
    pub(crate) method: Method,
    /// The host that HTTP/2 names in place of a `Host` header.
    pub(crate) authority: Option<Authority>,
    pub(crate) edge: Arc<Edge>,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbound")
            .field("request_id", &self.request_id)
            .field("ip", &self.ip)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Inbound {
    /// The request's own, put there by the edge.
    ///
    /// # Errors
    /// `internal` on a route that was not built by [`crate::router`].
    pub fn of(extensions: &Extensions) -> Result<&Self, Rejection> {
        extensions.get::<Inbound>().ok_or_else(|| Rejection {
            error: Error::internal("this route is outside of the API's router"),
            request_id: new_id(),
        })
    }

    /// Where the call came from; what comes over the local socket is local whatever its route.
    pub fn origin(&self, channel: Channel) -> Origin {
        let channel = match self.peer {
            Some(Peer::Unix) => Channel::Local,
            _ => channel,
        };
        Origin {
            ip: self.ip,
            ..Origin::of(channel)
        }
    }

    /// `error` as the answer to this request.
    pub fn reject(&self, error: Error) -> Rejection {
        Rejection {
            error,
            request_id: self.request_id,
        }
    }
}

fn peer_of(extensions: &Extensions) -> Option<Peer> {
    let real = extensions.get::<ConnectInfo<Peer>>().map(|info| info.0);
    real.or_else(|| extensions.get::<MockConnectInfo<Peer>>().map(|info| info.0))
}

/// The middleware around all routes.
pub(crate) async fn edge(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let peer = peer_of(request.extensions());
    let ip = client_ip(peer, request.headers(), &edge.trusted_proxies);
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    let trace = trace(method, route, id);
    if let Some(adopt) = edge.trace_parent.filter(|_| !trace.is_disabled()) {
        adopt(request.headers(), &trace);
    }
    let inbound = Inbound {
        request_id: id,
        ip,
        peer,
        method: request.method().clone(),
        authority: request.uri().authority().cloned(),
        edge,
    };
    request.extensions_mut().insert(inbound);
    let span = tracing::info_span!("request", request_id = %id);
    let outcome = AssertUnwindSafe(next.run(request).instrument(span).instrument(trace.clone()))
        .catch_unwind()
        .await;
    let mut response = outcome.unwrap_or_else(|panic| respond_panic(&*panic, id));
    add_headers(response.headers_mut(), id);
    let status = response.status();
    trace.record("http.response.status_code", i64::from(status.as_u16()));
    // What a client did wrong is no failure of the server.
    if status.is_server_error() {
        trace.record("error.type", status.as_str());
        trace.record("otel.status_code", "ERROR");
    }
    trace.in_scope(|| record(method, route, &response, started.elapsed(), id));
    response
}

/// The request in exported traces: the route and not the path, which may hold a token, and no query string. Beside the
/// log's own span, which holds the id alone; of the level `debug`, so that it costs nothing where none are exported.
fn trace(method: &'static str, route: &str, id: Uuid) -> Span {
    let span = tracing::debug_span!(
        "http",
        otel.kind = "server",
        otel.name = Empty,
        http.request.method = method,
        http.route = Empty,
        url.path = Empty,
        request_id = %id,
        http.response.status_code = Empty,
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    match route {
        UNMATCHED => span.record("otel.name", method),
        _ => span
            .record("otel.name", display(format_args!("{method} {route}")))
            .record("http.route", route)
            .record("url.path", route),
    };
    span
}

fn respond_panic(panic: &(dyn Any + Send), id: Uuid) -> Response {
    let text = panic_text(panic);
    respond_error(&Error::internal(format!("panic: {text}")), id)
}

/// What a panic said, for the log.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no words")
}

fn add_headers(headers: &mut HeaderMap, id: Uuid) {
    let mut buffer = Uuid::encode_buffer();
    let text: &str = id.hyphenated().encode_lower(&mut buffer);
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // A page of ours brings its own policy.
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(STRICT_CSP);
}

/// Labels are a closed set: a made-up method must not make a time series.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn record(method: &'static str, route: &str, response: &Response, took: Duration, id: Uuid) {
    let status = response.status();
    let label = SharedString::from_shared(Arc::from(route));
    counter!(
        "synapscale_http_requests_total",
        "method" => method,
        "route" => label.clone(),
        "status" => status.as_str().to_owned(),
    )
    .increment(1);
    histogram!("synapscale_http_request_seconds", "route" => label).record(took.as_secs_f64());
    // Neither query string nor headers: they may hold secrets.
    tracing::info!(
        target: "synapscale_api::access",
        method,
        route,
        status = status.as_u16(),
        ms = took.as_secs_f64() * 1000.0,
        request_id = %id,
        "request"
    );
}
