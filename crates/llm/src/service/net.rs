//! Which addresses a tenant's provider may stand at. Public ones by https always; everything else only where the operator
//! says so, since the server stands in a network that tenants must not see into.
//!
//! *Invariant:* an address is judged where it is used. Names go through [`GuardedResolver`], so that there is no second
//! lookup for a hostile name server to answer differently; literal addresses never reach a resolver and are judged by
//! [`AddressPolicy::place`] before each call. Limit: a resolver is not told the port, so that a rule of an address *with*
//! a port opens the address as it is written in a URL, not a name that leads there.

use crate::error::{LlmError, LlmErrorKind};
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// What an address is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of the public internet.
    Public,
    /// Loopback, private and shared: a trusted name may well stand for these.
    Inner,
    /// Link-local (where clouds tell secrets), groups, reserved: opened by no name.
    Other,
}

fn kind(ip: IpAddr) -> Kind {
    match ip.to_canonical() {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Kind {
    let [a, b, c, d] = ip.octets();
    if ip.is_loopback() || ip.is_private() || (a == 100 && b & 0xc0 == 64) {
        return Kind::Inner;
    }
    let special = a == 0
        || a >= 224
        || ip.is_link_local()
        || ip.is_documentation()
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        // Azure's wire server: a public address that is always the own host.
        || [a, b, c, d] == [168, 63, 129, 16];
    if special { Kind::Other } else { Kind::Public }
}

fn kind_v6(ip: Ipv6Addr) -> Kind {
    let s = ip.segments();
    if ip.is_loopback() || s[0] & 0xfe00 == 0xfc00 {
        return Kind::Inner;
    }
    // NAT64 is how IPv6-only hosts reach public IPv4, so it is judged by what it carries.
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [a, b] = s[6].to_be_bytes();
        let [c, d] = s[7].to_be_bytes();
        return match kind_v4(Ipv4Addr::new(a, b, c, d)) {
            Kind::Public => Kind::Public,
            _ => Kind::Other,
        };
    }
    let special = s[0] >> 13 != 1
        // IETF's own and Teredo, documentation, 6to4, ISATAP: no provider lives there.
        || (s[0] == 0x2001 && (s[1] < 0x200 || s[1] == 0xdb8))
        || s[0] == 0x2002
        || (s[0] == 0x3fff && s[1] < 0x1000)
        || (matches!(s[4], 0 | 0x200) && s[5] == 0x5efe);
    if special { Kind::Other } else { Kind::Public }
}

/// One exception of the operator's: `host`, `host:port`, `10.0.0.5`, `10.0.0.5:8080`, `[fd00::5]:8080`, `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    target: Target,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Host(String),
    Net(IpNet),
}

impl FromStr for Allowed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(net) = text.parse::<IpNet>() {
            return match net.prefix_len() {
                0 => Err("a rule for every address would switch the guard off".to_owned()),
                _ => Ok(Allowed {
                    target: Target::Net(net.trunc()),
                    port: None,
                }),
            };
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Allowed {
                target: Target::Net(ip.to_canonical().into()),
                port: None,
            });
        }
        // The rest is read as a URL would be, so that names compare as they will be written there.
        let bad = || "give host, host:port, an address or a network".to_owned();
        if text.is_empty() || text.contains(['/', '@', '?', '#', '\\']) || text.contains(char::is_whitespace)
        {
            return Err(bad());
        }
        // A scheme without a usual port, so that every written port is told; its hosts are not normalised, so lower.
        let url = Url::parse(&format!("x://{}/", text.to_ascii_lowercase())).map_err(|_| bad())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let target = match bare(host).parse::<IpAddr>() {
            Ok(ip) => Target::Net(ip.to_canonical().into()),
            Err(_) => Target::Host(host.trim_end_matches('.').to_owned()),
        };
        Ok(Allowed {
            target,
            port: url.port(),
        })
    }
}

/// What may be reached.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    /// The operator's exceptions.
    pub allow: Vec<Allowed>,
}

/// By which client a provider is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that connects to public addresses and to networks opened by address.
    Public,
    /// The one that connects to private addresses too: the operator named the host.
    Named,
}

/// An address's host without the brackets of IPv6.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl AddressPolicy {
    /// Where a provider's address stands.
    ///
    /// # Errors
    /// `BadConfig` in words for people, when it may not be used.
    pub fn place(&self, base_url: &str) -> Result<Place, LlmError> {
        let bad = |words: &str| LlmError::new(LlmErrorKind::BadConfig, words);
        let url = Url::parse(base_url).map_err(|_| bad("The address is not a URL."))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(bad("The address names no host."));
        };
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
        let literal = bare(host).parse::<IpAddr>().ok();
        let host = host.trim_end_matches('.');
        let opens = |rule: &Allowed| match &rule.target {
            _ if rule.port.is_some_and(|own| own != port) => false,
            Target::Host(own) => own == host,
            Target::Net(net) => literal.is_some_and(|ip| net.contains(&ip.to_canonical())),
        };
        let opened = self.allow.iter().any(opens);
        match literal {
            // `localhost` and its like lead inside by name; the resolver would refuse them, and here are the words.
            _ if plain && !opened => Err(bad(
                "Plain http is only for addresses that the operator opened (llm.allow). Use https.",
            )),
            Some(ip) if kind(ip) != Kind::Public && !opened => Err(bad(
                "The address is not a public one; the operator can open it (llm.allow).",
            )),
            None if opened => Ok(Place::Named),
            _ => Ok(Place::Public),
        }
    }

    /// Whether a name may lead to `ip`.
    fn permits(&self, place: Place, ip: IpAddr) -> bool {
        let by_net = |rule: &Allowed| match &rule.target {
            Target::Net(net) => rule.port.is_none() && net.contains(&ip.to_canonical()),
            Target::Host(_) => false,
        };
        match kind(ip) {
            Kind::Public => true,
            Kind::Inner if place == Place::Named => true,
            _ => self.allow.iter().any(by_net),
        }
    }
}

/// The resolver given to reqwest: looks a name up once and hands on only what may be connected to.
pub struct GuardedResolver {
    /// The operator's rules.
    pub policy: Arc<AddressPolicy>,
    /// Whose client it is.
    pub place: Place,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, place) = (self.policy.clone(), self.place);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let open: Vec<SocketAddr> = found.filter(|at| policy.permits(place, at.ip())).collect();
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

    fn policy(rules: &[&str]) -> AddressPolicy {
        AddressPolicy {
            allow: rules.iter().map(|rule| rule.parse().expect("a rule")).collect(),
        }
    }

    #[test]
    fn tenants_reach_the_public_internet_by_https_only() {
        let none = policy(&[]);
        for good in [
            "https://api.openai.com/v1",
            "https://8.8.8.8/v1",
            "https://[2606:4700::1]:8443",
        ] {
            assert_eq!(none.place(good).expect(good), Place::Public);
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
            assert!(none.place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_operator_opens_hosts_ports_and_networks() {
        let some = policy(&[
            "ollama.lan:11434",
            "10.1.0.0/16",
            "[fd00::5]:8080",
            "192.168.0.9:80",
        ]);
        assert_eq!(
            some.place("http://ollama.lan:11434/v1").expect("open"),
            Place::Named
        );
        assert_eq!(
            some.place("http://10.1.2.3:8000/v1").expect("open"),
            Place::Public
        );
        assert_eq!(
            some.place("http://[fd00::5]:8080/v1").expect("open"),
            Place::Public
        );
        assert_eq!(some.place("http://192.168.0.9/v1").expect("open"), Place::Public);
        for shut in [
            "http://ollama.lan/v1",
            "http://10.2.0.1/",
            "http://192.168.0.9:81/",
            "http://xollama.lan:11434",
        ] {
            assert!(some.place(shut).is_err(), "{shut}");
        }
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        assert!(some.permits(Place::Named, ip("127.0.0.1")));
        assert!(!some.permits(Place::Named, ip("169.254.169.254")));
        assert!(!some.permits(Place::Public, ip("127.0.0.1")));
        assert!(some.permits(Place::Public, ip("10.1.9.9")));
        assert!(
            !some.permits(Place::Public, ip("192.168.0.9")),
            "a rule with a port opens no name"
        );
        assert!("0.0.0.0/0".parse::<Allowed>().is_err() && "http://x".parse::<Allowed>().is_err());
    }
}
