//! The resolver that applies the guard to the very addresses that are connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use synapscale_core::net::Guard;

/// Turns a name into addresses: the system's resolver, or a table in tests.
pub(crate) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's resolver.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The resolver given to reqwest: looks a name up once and hands on only what may be connected to.
pub(crate) struct GuardedResolver {
    pub(crate) guard: Guard,
    /// The port of every connection of the client this resolver serves. reqwest does not tell a resolver
    /// the port, so there is one client per port that rules name; 0 stands for all others.
    pub(crate) port: u16,
    pub(crate) lookup: Lookup,
}

/// Found in the error chain when a name has only addresses that may not be reached.
#[derive(Debug, thiserror::Error)]
#[error("the name stands for an address that may not be reached")]
pub(crate) struct AddressRefused(pub(crate) IpAddr);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, port) = (self.guard.clone(), self.port);
        let looked_up = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let all = looked_up.await?;
            let (open, refused): (Vec<_>, Vec<_>) = all
                .into_iter()
                .partition(|ip| guard.permits(Some(name.as_str()), *ip, port));
            match (open.is_empty(), refused.first()) {
                (true, Some(ip)) => Err(AddressRefused(*ip).into()),
                (true, None) => Err("the name has no address".into()),
                _ => Ok(Box::new(open.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs),
            }
        })
    }
}
