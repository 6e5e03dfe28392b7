//! The same connections for protocols that need more than one exchange.

use super::{MAX_URL_BYTES, Outbound, checked, forbidden, invalid_url};
use crate::outbound::OutboundError;
use reqwest::{Client, Url};

impl Outbound {
    /// A client for a URL that a tenant chose, for protocols that need more than one exchange: it connects to permitted
    /// addresses only, follows no redirect, uses no proxy, and has no time limit but that for connecting. What it reads is
    /// the caller's to bound. It is for this URL's host and port alone.
    pub fn client_for(&self, url: &str) -> Result<Client, OutboundError> {
        if url.len() > MAX_URL_BYTES {
            return Err(invalid_url("it is too long"));
        }
        let url = checked(Url::parse(url).map_err(invalid_url)?)?;
        let inner = &self.inner;
        inner
            .guard
            .check_literal(&url)
            .map_err(|address| forbidden(&url, address))?;
        if url.scheme() == "http" && !inner.guard.names(&url) {
            return Err(OutboundError::ForbiddenScheme {
                scheme: "http".to_owned(),
                reason: "plain http is only for hosts that an operator allowed",
            });
        }
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(inner.by_port.get(&port).unwrap_or(&inner.any_port).clone())
    }
}
