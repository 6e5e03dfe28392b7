//! `GET /metrics` for Prometheus: from this machine, or with a key that has `ops:read`.

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use synapscale_api::{Authenticate, Peer, bearer_token, respond_error};
use synapscale_core::{Channel, Error, Origin, Result, new_id};

/// What the caller from elsewhere must be allowed.
const PERMISSION: &str = "ops:read";
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Figures {
    handle: PrometheusHandle,
    auth: Arc<dyn Authenticate>,
}

/// The route.
pub(crate) fn routes(handle: PrometheusHandle, auth: Arc<dyn Authenticate>) -> Router {
    Router::new()
        .route("/metrics", get(serve))
        .with_state(Figures { handle, auth })
}

async fn serve(State(figures): State<Figures>, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0);
    match admit(&figures, peer, request.headers()).await {
        Ok(()) => ([(CONTENT_TYPE, FORMAT)], figures.handle.render()).into_response(),
        Err(error) => respond_error(&error, new_id()),
    }
}

async fn admit(figures: &Figures, peer: Option<Peer>, headers: &HeaderMap) -> Result<()> {
    if is_local(peer, headers) {
        return Ok(());
    }
    let token = bearer_token(headers)?.ok_or_else(Error::unauthenticated)?;
    let ctx = figures.auth.bearer(token, Origin::of(Channel::Rest)).await?;
    ctx.require(PERMISSION)
}

/// A proxy on this machine makes everybody look local, but says for whom it asks.
fn is_local(peer: Option<Peer>, headers: &HeaderMap) -> bool {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    let near = match peer {
        Some(Peer::Unix) => true,
        Some(Peer::Tcp(address)) => address.ip().to_canonical().is_loopback(),
        None => false,
    };
    near && !forwarded.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Option<Peer> {
        Some(Peer::Tcp(address.parse().expect("an address")))
    }

    #[test]
    fn only_this_machine_needs_no_key() {
        let none = HeaderMap::new();
        assert!(is_local(tcp("127.0.0.1:9"), &none));
        assert!(is_local(tcp("[::1]:9"), &none));
        assert!(is_local(tcp("[::ffff:127.0.0.1]:9"), &none));
        assert!(is_local(Some(Peer::Unix), &none));
        assert!(!is_local(tcp("192.0.2.1:9"), &none));
        assert!(!is_local(None, &none));
        let mut proxied = HeaderMap::new();
        proxied.insert("x-forwarded-for", "192.0.2.1".parse().expect("a value"));
        assert!(!is_local(tcp("127.0.0.1:9"), &proxied));
    }
}
