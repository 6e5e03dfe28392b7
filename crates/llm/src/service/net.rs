//! Which addresses a tenant's provider may stand at: public ones by https always, everything else only where the operator
//! says so (see [`synapscale_core::net`]).
//!
//! Limit: a resolver is not told the port, so that a rule of an address *with* a port opens the address as it is written
//! in a URL, not a name that leads there.

use crate::error::{LlmError, LlmErrorKind};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use synapscale_core::net::{Guard, literal, special};

/// By which client a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that connects to public addresses and to networks opened by address.
    Public,
    /// The one that connects to private addresses too: the operator named the host.
    Named,
}

/// Where a provider's address stands.
///
/// # Errors
/// `BadConfig` in words for people, when it may not be used.
pub fn place(guard: &Guard, base_url: &str) -> Result<Place, LlmError> {
    let bad = |words: &str| LlmError::new(LlmErrorKind::BadConfig, words);
    let url = Url::parse(base_url).map_err(|_| bad("The address is not a URL."))?;
    if url.host_str().is_none() {
        return Err(bad("The address names no host."));
    }
    let plain = match url.scheme() {
        "https" => false,
        "http" => true,
        _ => return Err(bad("The address is not an https URL.")),
    };
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(bad(
            "The address is a plain one: no name, password, query or fragment.",
        ));
    }
    let opened = guard.names(&url);
    match literal(&url) {
        // `localhost` and its like lead inside by name; the resolver would refuse them, and here are the words.
        _ if plain && !opened => Err(bad(
            "Plain http is only for addresses that the operator opened (llm.allow). Use https.",
        )),
        Some(ip) if special(ip).is_some() && !opened => Err(bad(
            "The address is not a public one; the operator can open it (llm.allow).",
        )),
        None if opened => Ok(Place::Named),
        _ => Ok(Place::Public),
    }
}

/// The resolver given to reqwest: looks a name up once and hands on only what may be connected to.
pub struct GuardedResolver {
    /// The operator's rules.
    pub guard: Guard,
    /// Whose client it is.
    pub place: Place,
}

impl GuardedResolver {
    /// Whether a name may lead to `ip`.
    fn permits(&self, ip: IpAddr) -> bool {
        let by_name =
            || self.place == Place::Named && special(ip).is_some_and(|range| range.opened_by_name());
        // Port 0 is none of those that rules name.
        self.guard.permits(None, ip, 0) || by_name()
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let own = GuardedResolver {
            guard: self.guard.clone(),
            place: self.place,
        };
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|at| own.permits(at.ip())).collect();
            match open.is_empty() {
                true => Err("the name stands for no address that may be reached".into()),
                false => Ok(Box::new(open.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(rules: &[&str]) -> Guard {
        Guard::new(rules.iter().map(|rule| rule.parse().expect("a rule")).collect())
    }

    #[test]
    fn tenants_reach_the_public_internet_by_https_only() {
        let none = guard(&[]);
        for good in [
            "https://api.openai.com/v1",
            "https://8.8.8.8/v1",
            "https://[2606:4700::1]:8443",
        ] {
            assert_eq!(place(&none, good).expect(good), Place::Public);
        }
        for bad in [
            "http://api.openai.com/v1",
            "http://127.0.0.1:11434/v1",
            "https://127.0.0.1/v1",
            "https://2130706433/v1",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a9fe:a9fe]/",
            "https://169.254.169.254/latest",
            "https://a:b@api.openai.com/v1",
            "https://api.openai.com/v1?x=1",
            "ftp://api.openai.com",
            "no url",
        ] {
            assert!(place(&none, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operator_opens_hosts_ports_and_networks() {
        let some = guard(&[
            "ollama.lan:11434",
            "10.1.0.0/16",
            "[fd00::5]:8080",
            "192.168.0.9:80",
        ]);
        assert_eq!(
            place(&some, "http://ollama.lan:11434/v1").expect("open"),
            Place::Named
        );
        assert_eq!(
            place(&some, "http://10.1.2.3:8000/v1").expect("open"),
            Place::Public
        );
        assert_eq!(
            place(&some, "http://[fd00::5]:8080/v1").expect("open"),
            Place::Public
        );
        assert_eq!(
            place(&some, "http://192.168.0.9/v1").expect("open"),
            Place::Public
        );
        for shut in [
            "http://ollama.lan/v1",
            "http://10.2.0.1/",
            "http://192.168.0.9:81/",
            "http://xollama.lan:11434",
        ] {
            assert!(place(&some, shut).is_err(), "{shut}");
        }
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        let permits = |place, ip| {
            let guard = some.clone();
            GuardedResolver { guard, place }.permits(ip)
        };
        assert!(permits(Place::Named, ip("127.0.0.1")));
        assert!(!permits(Place::Named, ip("169.254.169.254")));
        assert!(!permits(Place::Public, ip("127.0.0.1")));
        assert!(permits(Place::Public, ip("10.1.9.9")));
        assert!(
            !permits(Place::Public, ip("192.168.0.9")),
            "a rule with a port opens no name"
        );
    }
}
