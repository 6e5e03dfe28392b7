//! Who calls: the peer's address, the request id, and the context that a bearer token or a session's cookie stands for.

use crate::browser::csrf_token;
use crate::edge::Inbound;
use crate::problem::Rejection;
use async_trait::async_trait;
use axum::extract::FromRequestParts;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};
use synapscale_core::{Channel, Ctx, Error, ErrorKind, Origin, Result, new_id};
use tokio::net::TcpListener;
use uuid::Uuid;

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 4096;
/// The header that carries the request id, both ways.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Finds out whose a token is. The server wires it to the identity domain.
#[async_trait]
pub trait Authenticate: Send + Sync {
    /// The context of the token's owner.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is unknown, expired or revoked; others when it cannot be looked up.
    async fn bearer(&self, token: &str, origin: Origin) -> Result<Ctx>;

    /// The context of whoever the session belongs to. A method that is not `safe` needs the session's `csrf` token; that
    /// the request came from a page of ours has been looked at before.
    ///
    /// # Errors
    /// `unauthenticated` for a session that is unknown, over or ended; `csrf_failed`; others when it cannot be looked up.
    async fn session(&self, cookie: &str, csrf: Option<&str>, safe: bool, origin: Origin) -> Result<Ctx> {
        // Who has no sessions knows none.
        let _ = (cookie, csrf, safe, origin);
        Err(Error::unauthenticated())
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over the network.
    Tcp(SocketAddr),
    /// Over the local socket.
    Unix,
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Peer::Tcp(*stream.remote_addr())
    }
}

#[cfg(unix)]
impl Connected<IncomingStream<'_, tokio::net::UnixListener>> for Peer {
    fn connect_info(_: IncomingStream<'_, tokio::net::UnixListener>) -> Self {
        Peer::Unix
    }
}

/// The caller's address. `X-Forwarded-For` counts only when the peer itself is a trusted proxy; then the last address
/// that is no trusted proxy is the caller.
pub(crate) fn client_ip(peer: Option<Peer>, headers: &HeaderMap, trusted: &[IpAddr]) -> Option<IpAddr> {
    let Some(Peer::Tcp(address)) = peer else {
        return None;
    };
    let ip = address.ip().to_canonical();
    if !trusted.contains(&ip) {
        return Some(ip);
    }
    let mut nearest = ip;
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        for part in value.to_str().unwrap_or_default().rsplit(',') {
            // What cannot be read cannot be trusted: stop at the last address that a proxy vouched for.
            let Ok(hop) = part.trim().parse::<IpAddr>() else {
                return Some(nearest);
            };
            nearest = hop.to_canonical();
            if !trusted.contains(&nearest) {
                return Some(nearest);
            }
        }
    }
    Some(nearest)
}

/// The caller's request id if it is a UUID, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> Uuid {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| Uuid::try_parse(text).ok())
        .filter(|id| !id.is_nil())
        .unwrap_or_else(new_id)
}

/// The bearer token, if there is an `Authorization` header.
///
/// # Errors
/// `unauthenticated` for another scheme, for more than one header, or for a token that cannot be one.
pub fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>> {
    let refuse = |message: &str| Error::new(ErrorKind::Unauthenticated, "unauthenticated", message);
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(refuse("Send exactly one Authorization header."));
    }
    let text = value
        .to_str()
        .map_err(|_| refuse("The Authorization header is not ASCII."))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refuse("Only `Authorization: Bearer …` is understood here."));
    }
    let token = token.trim();
    let readable =
        !token.is_empty() && token.len() <= MAX_TOKEN && token.bytes().all(|b| b.is_ascii_graphic());
    if !readable {
        return Err(refuse("The bearer token is empty or not readable."));
    }
    Ok(Some(token))
}

impl Inbound {
    /// The context of the caller: of the token's owner, else of whoever the session's cookie belongs to, else of nobody.
    /// MCP takes tokens only: it is no place for browsers.
    ///
    /// # Errors
    /// `unauthenticated` for a bad header or token; `csrf_failed` for a change by cookie that a page of ours did not make.
    pub async fn ctx(&self, headers: &HeaderMap, channel: Channel) -> Result<Ctx> {
        if let Some(token) = bearer_token(headers)? {
            return self.authenticate(token, channel).await;
        }
        let cookie = match channel {
            Channel::Mcp => None,
            _ => self.session_cookie(headers),
        };
        let Some(cookie) = cookie else {
            return Ok(self.anonymous(channel));
        };
        let safe = self.is_safe();
        if !safe {
            self.require_own_page(headers)?;
        }
        match self.by_session(cookie, csrf_token(headers), safe, channel).await {
            // A session that is over is nobody's: what anybody may do stays possible, and the rest is refused by the gate.
            Err(error) if error.kind() == ErrorKind::Unauthenticated => Ok(self.anonymous(channel)),
            found => found,
        }
    }

    /// The context of the session's owner, under this request's id.
    ///
    /// # Errors
    /// Those of [`Authenticate::session`].
    pub(crate) async fn by_session(
        &self,
        cookie: &str,
        csrf: Option<&str>,
        safe: bool,
        channel: Channel,
    ) -> Result<Ctx> {
        let origin = self.origin(channel);
        let ctx = self.edge.auth.session(cookie, csrf, safe, origin).await?;
        Ok(ctx.with_request_id(self.request_id))
    }

    /// The context of the owner of `token`, under this request's id.
    ///
    /// # Errors
    /// Those of [`Authenticate::bearer`].
    pub async fn authenticate(&self, token: &str, channel: Channel) -> Result<Ctx> {
        let ctx = self.edge.auth.bearer(token, self.origin(channel)).await?;
        Ok(ctx.with_request_id(self.request_id))
    }

    /// The context of nobody, under this request's id.
    pub fn anonymous(&self, channel: Channel) -> Ctx {
        Ctx::anonymous(self.origin(channel), self.edge.clock.clone()).with_request_id(self.request_id)
    }
}

/// Extractor for raw routes: the caller's context (of nobody without a token), with the server's time limit.
#[derive(Clone, Debug)]
pub struct Caller(pub Ctx);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let inbound = Inbound::of(&parts.extensions)?;
        match inbound.ctx(&parts.headers, Channel::Rest).await {
            Ok(ctx) => Ok(Caller(ctx.with_time_limit(inbound.edge.time_limit))),
            Err(error) => Err(inbound.reject(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn tcp(ip: &str) -> Option<Peer> {
        Some(Peer::Tcp(SocketAddr::new(ip.parse().expect("ip"), 9)))
    }

    #[test]
    fn only_one_bearer_token_counts() {
        assert_eq!(bearer_token(&headers(&[])).expect("none"), None);
        let one = headers(&[("authorization", "bearer ss_abc")]);
        assert_eq!(bearer_token(&one).expect("one"), Some("ss_abc"));
        for bad in [
            &[("authorization", "Basic YTpi")][..],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
        ] {
            let error = bearer_token(&headers(bad)).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{bad:?}");
        }
    }

    #[test]
    fn a_request_id_must_be_a_uuid() {
        let good = "0190f0a0-0000-7000-8000-000000000001";
        assert_eq!(request_id(&headers(&[("x-request-id", good)])).to_string(), good);
        for bad in ["", "1; drop", "00000000-0000-0000-0000-000000000000"] {
            let map = headers(&[("x-request-id", bad)]);
            assert_ne!(request_id(&map).to_string(), bad);
        }
    }

    #[test]
    fn forwarded_addresses_need_a_trusted_peer() {
        let proxy: IpAddr = "10.0.0.1".parse().expect("ip");
        let spoofed = headers(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]);
        let ip = |peer, map: &HeaderMap| client_ip(peer, map, &[proxy]).map(|ip| ip.to_string());
        assert_eq!(ip(tcp("9.9.9.9"), &spoofed).as_deref(), Some("9.9.9.9"));
        assert_eq!(ip(tcp("10.0.0.1"), &spoofed).as_deref(), Some("2.2.2.2"));
        assert_eq!(ip(tcp("::ffff:10.0.0.1"), &spoofed).as_deref(), Some("2.2.2.2"));
        let chained = headers(&[("x-forwarded-for", "3.3.3.3, nonsense, 10.0.0.1")]);
        assert_eq!(ip(tcp("10.0.0.1"), &chained).as_deref(), Some("10.0.0.1"));
        assert_eq!(ip(Some(Peer::Unix), &spoofed), None);
    }
}
