//! Which addresses a server that acts for many tenants may reach: the table of special ranges, the operator's exceptions,
//! and the judgement by both. Public addresses are open; everything else only where the operator says so, since the server
//! stands in a network that tenants must not see into.
//!
//! *Invariant:* an address is judged where it is used. Names go through a resolver that asks [`Guard::permits`] of what it
//! found, so that there is no second lookup for a hostile name server to answer differently; literal addresses never reach
//! a resolver (hyper-util parses them first), so clients ask [`Guard::check_literal`] before each hop.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use url::Url;

/// IPv4 ranges that are not the public internet: first address, prefix length, what it is.
/// Source: IANA special-purpose registry, plus the one public address clouds use for host services.
const SPECIAL_V4: &[(Ipv4Addr, u32, Special)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, Special::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Special::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Special::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Special::Loopback),
    // Azure's wire server: a public address that is always the own host.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Special::Metadata),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Special::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Special::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Special::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Special::Documentation),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Special::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Special::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Special::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Special::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Special::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Special::Multicast),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Special::Broadcast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Special::Reserved),
];

/// IPv6 ranges that are not the public internet. Everything outside 2000::/3 is refused as reserved
/// even when it is not listed; listing gives it the right name.
const SPECIAL_V6: &[(Ipv6Addr, u32, Special)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, Special::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Special::Loopback),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        Special::Documentation,
    ),
    (
        Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0),
        48,
        Special::Benchmarking,
    ),
    // IETF assignments, Teredo and ORCHID among them: nothing that anybody calls lives here.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Special::Reserved),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        Special::Documentation,
    ),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Special::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Special::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Special::Private),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Special::Multicast),
];

/// Why an address is not an ordinary address of the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// 0.0.0.0/8 and `::`, which the kernel takes for this host.
    Unspecified,
    /// This host.
    Loopback,
    /// RFC 1918, unique local and the old site-local addresses.
    Private,
    /// Carrier-grade NAT, 100.64/10.
    Shared,
    /// 169.254/16 and fe80::/10: the cloud metadata services live here.
    LinkLocal,
    /// Host services of a cloud on an otherwise public address.
    Metadata,
    /// Groups, not hosts.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Addresses for examples.
    Documentation,
    /// Addresses for network tests.
    Benchmarking,
    /// Everything else that is not routed publicly.
    Reserved,
    /// An IPv6 form that carries an IPv4 address which itself is special (6to4, NAT64, ISATAP, …).
    Embedded,
}

impl Special {
    /// Whether a rule that names a *host* opens this range. A trusted name may well stand for an internal
    /// service, but never for the metadata service or a group: those take a rule with the address itself.
    pub fn opened_by_name(self) -> bool {
        matches!(self, Self::Loopback | Self::Private | Self::Shared)
    }
}

/// What is special about `ip`, or `None` for an ordinary public address.
pub fn special(ip: IpAddr) -> Option<Special> {
    match ip.to_canonical() {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<Special> {
    let bits = ip.to_bits();
    SPECIAL_V4
        .iter()
        .find(|(net, prefix, _)| bits >> (32 - prefix) == net.to_bits() >> (32 - prefix))
        .map(|(_, _, special)| *special)
}

fn special_v6(ip: Ipv6Addr) -> Option<Special> {
    let bits = ip.to_bits();
    let listed = SPECIAL_V6
        .iter()
        .find(|(net, prefix, _)| bits >> (128 - prefix) == net.to_bits() >> (128 - prefix));
    if let Some((_, _, special)) = listed {
        return Some(*special);
    }
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    // NAT64 with the well-known prefix is how IPv6-only hosts reach public IPv4, so it is judged by what it carries.
    if s[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return special_v4(v4(s[6], s[7])).map(|_| Special::Embedded);
    }
    // 6to4: the IPv4 address of the relay follows the prefix.
    if s[0] == 0x2002 && special_v4(v4(s[1], s[2])).is_some() {
        return Some(Special::Embedded);
    }
    // ISATAP: the IPv4 address is the end of the interface identifier.
    if matches!(s[4], 0 | 0x200) && s[5] == 0x5efe && special_v4(v4(s[6], s[7])).is_some() {
        return Some(Special::Embedded);
    }
    // IPv4-compatible, IPv4-translated, local NAT64, discard, SRv6 and everything unassigned.
    (s[0] >> 13 != 0b001).then_some(Special::Reserved)
}

/// One exception the operator made: a destination that may be reached although it is not public.
///
/// Forms: `host`, `host:port`, `*.suffix`, `*.suffix:port`, `10.0.0.5`, `10.0.0.5:8080`, `fd00::5`,
/// `[fd00::5]:8080`, `10.0.0.0/8`. A rule with a name opens loopback, private and shared addresses behind
/// that name; link-local (metadata) and reserved ones open only to a rule with the address or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowRule {
    target: Target,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Host(String),
    /// Kept with the leading dot, so that `*.a.b` cannot match `xa.b`.
    Suffix(String),
    Net(IpNet),
}

/// Why a text is not an [`AllowRule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}` is not an outbound rule: {reason}")]
pub struct AllowRuleError {
    /// The text as given.
    pub rule: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl AllowRule {
    /// The port the rule is limited to, if it is.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    fn opens_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    fn opens_host(&self, host: &str) -> bool {
        match &self.target {
            Target::Host(own) => own == host,
            Target::Suffix(own) => host.len() > own.len() && host.ends_with(own.as_str()),
            Target::Net(_) => false,
        }
    }

    fn opens_address(&self, ip: IpAddr) -> bool {
        matches!(&self.target, Target::Net(net) if net.contains(&ip))
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_rule(text.trim()).map_err(|reason| {
            // What looks like userinfo is kept out of logs.
            let rule = if text.contains('@') { "…@…" } else { text };
            AllowRuleError {
                rule: rule.to_owned(),
                reason,
            }
        })
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        match &self.target {
            Target::Host(host) => write!(f, "{host}{port}"),
            Target::Suffix(suffix) => write!(f, "*{suffix}{port}"),
            Target::Net(net) if net.prefix_len() != net.max_prefix_len() => write!(f, "{net}"),
            Target::Net(net) if net.addr().is_ipv6() && self.port.is_some() => {
                write!(f, "[{}]{port}", net.addr())
            }
            Target::Net(net) => write!(f, "{}{port}", net.addr()),
        }
    }
}

fn parse_rule(text: &str) -> Result<AllowRule, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.contains("://") || text.contains('@') {
        return Err("give a host, an address or a network, not a URL");
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(AllowRule {
            target: Target::Net(ip.to_canonical().into()),
            port: None,
        });
    }
    if text.contains('/') {
        let net: IpNet = text
            .parse()
            .map_err(|_| "the network is not of the form address/prefix")?;
        if net.prefix_len() == 0 {
            return Err("a rule for every address would switch the guard off");
        }
        if net.trunc() != net {
            return Err("the network has bits set behind its prefix");
        }
        if matches!(net, IpNet::V6(v6) if v6.network().to_ipv4_mapped().is_some()) {
            return Err("write IPv4 networks as IPv4");
        }
        return Ok(AllowRule {
            target: Target::Net(net),
            port: None,
        });
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or("the closing bracket is missing")?;
        let ip: Ipv6Addr = inside
            .parse()
            .map_err(|_| "only an IPv6 address stands in brackets")?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if after.is_empty() => None,
            None => return Err("only a port may follow the bracket"),
        };
        return Ok(AllowRule {
            target: Target::Net(IpAddr::V6(ip).to_canonical().into()),
            port,
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(parse_port(port)?)),
        None => (text, None),
    };
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(AllowRule {
            target: Target::Net(ip.into()),
            port,
        });
    }
    let target = match host.strip_prefix('*') {
        Some(suffix) => {
            let name = suffix
                .strip_prefix('.')
                .ok_or("a wildcard is written `*.suffix`")?;
            Target::Suffix(format!(".{}", parse_name(name)?))
        }
        None => Target::Host(parse_name(host)?),
    };
    Ok(AllowRule { target, port })
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(port) if digits && port != 0 => Ok(port),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

/// Normalises a name the way the URL parser will normalise the one it is compared with.
fn parse_name(text: &str) -> Result<String, &'static str> {
    const NOT_A_NAME: &str = "the host is not a name";
    let url = Url::parse(&format!("http://{text}/")).map_err(|_| NOT_A_NAME)?;
    let name = plain_name(url.host_str().unwrap_or_default());
    if name.parse::<IpAddr>().is_ok() {
        return Err("write the address in its usual form");
    }
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // The second condition refuses anything the URL parser took for something other than the host.
    if name.len() > 253
        || !name.split('.').all(label_ok)
        || text.contains(['/', '\\', '?', '#', '\t', '\n', '\r'])
    {
        return Err(NOT_A_NAME);
    }
    Ok(name.to_owned())
}

/// A host as the URL parser writes it, without the final dot that means the same name.
fn plain_name(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// The address a URL's host literally is, in any notation the URL parser accepts.
pub fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

/// Decides about addresses; cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    rules: Arc<[AllowRule]>,
}

impl Guard {
    /// A guard with the operator's exceptions.
    pub fn new(rules: Vec<AllowRule>) -> Self {
        Self { rules: rules.into() }
    }

    /// Whether `ip`, found under the name `host`, may be connected to on `port`.
    pub fn permits(&self, host: Option<&str>, ip: IpAddr, port: u16) -> bool {
        let ip = ip.to_canonical();
        let Some(special) = special(ip) else { return true };
        let host = host.map(plain_name);
        self.rules
            .iter()
            .filter(|rule| rule.opens_port(port))
            .any(|rule| {
                rule.opens_address(ip)
                    || (special.opened_by_name() && host.is_some_and(|host| rule.opens_host(host)))
            })
    }

    /// Whether a rule names the very host or address in `url`, with its port.
    pub fn names(&self, url: &Url) -> bool {
        let port = url.port_or_known_default().unwrap_or_default();
        let (ip, host) = (literal(url), url.host_str().map(plain_name));
        self.rules
            .iter()
            .filter(|rule| rule.opens_port(port))
            .any(|rule| match ip {
                Some(ip) => rule.opens_address(ip.to_canonical()),
                None => host.is_some_and(|host| rule.opens_host(host)),
            })
    }

    /// Refuses an address that is written in `url` itself and may not be reached.
    ///
    /// # Errors
    /// The address.
    pub fn check_literal(&self, url: &Url) -> Result<(), IpAddr> {
        match (literal(url), url.port_or_known_default()) {
            (Some(ip), Some(port)) if !self.permits(None, ip, port) => Err(ip),
            (Some(ip), None) => Err(ip),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
