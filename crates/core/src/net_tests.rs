//! The table of ranges, the rules, and what they open.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rules(texts: &[&str]) -> Vec<AllowRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
#[rustfmt::skip] // one row, one line
fn special_addresses_are_known() {
    use Special::*;
    let table: &[(Special, &[&str])] = &[
        (Unspecified, &["0.0.0.0", "0.1.2.3", "::", "::ffff:0.0.0.0"]),
        (Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"]),
        (Private, &["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1"]),
        (Private, &["::ffff:10.1.2.3", "fc00::1", "fd00:ec2::254", "fdff::1", "fec0::1", "feff::1"]),
        (Shared, &["100.64.0.1", "100.100.100.200", "100.127.255.255"]),
        (LinkLocal, &["169.254.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "febf::1"]),
        (Metadata, &["168.63.129.16"]),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"]),
        (Broadcast, &["255.255.255.255"]),
        (Documentation, &["192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "3fff::1", "3fff:fff::1"]),
        (Benchmarking, &["198.18.0.1", "198.19.255.255", "2001:2::1"]),
        (Reserved, &["192.0.0.192", "192.88.99.1", "240.0.0.1", "255.255.255.254"]),
        // IPv4-compatible, IPv4-translated, local NAT64, discard, SRv6, unassigned.
        (Reserved, &["::127.0.0.1", "::8.8.8.8", "::ffff:0:8.8.8.8", "64:ff9b:1::1", "100::1", "5f00::1", "4000::1"]),
        // Teredo, whatever it embeds, and ORCHID.
        (Reserved, &["2001::1", "2001:0:7f00:1::80ff:fffe", "2001:20::1", "2001:1ff::1"]),
        (Embedded, &["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::0.0.0.0"]),
        (Embedded, &["2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"]),
        (Embedded, &["2607:f8b0::5efe:10.0.0.1", "2607:f8b0::200:5efe:192.168.0.1"]),
    ];
    for (expected, addresses) in table {
        for address in *addresses {
            assert_eq!(special(ip(address)), Some(*expected), "{address}");
            assert!(!Guard::new(Vec::new()).permits(Some("public.example"), ip(address), 443), "{address}");
        }
    }
    let public = [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
        "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "203.0.112.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
        "2001:200::1", "2001:4860:4860::8888", "2002:808:808::1", "2606:4700::1111", "2607:f8b0::5efe:8.8.8.8",
    ];
    for address in public {
        assert_eq!(special(ip(address)), None, "{address}");
        assert!(Guard::new(Vec::new()).permits(None, ip(address), 443), "{address}");
    }
}

#[test]
#[rustfmt::skip] // one row, one line
fn every_notation_of_an_address_is_read_as_the_address() {
    let loopback = [
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
        "127.0.0.1.", "%31%32%37.0.0.1", "127。0。0。1", "１２７.0.0.1", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]",
    ];
    for host in loopback {
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        assert_eq!(literal(&url).map(|ip| ip.to_canonical()), Some(ip("127.0.0.1")), "{host}");
        assert!(Guard::new(Vec::new()).check_literal(&url).is_err(), "{host}");
    }
    for url in ["http://[::1]:80/", "https://0/", "http://[fe80::1]/", "http://169.254.169.254/latest/"] {
        assert!(Guard::new(Vec::new()).check_literal(&Url::parse(url).unwrap()).is_err(), "{url}");
    }
    assert_eq!(literal(&Url::parse("http://example.com/").unwrap()), None);
}

#[test]
#[rustfmt::skip] // one row, one line
fn rules_are_read_and_written() {
    let good = [
        ("crm.internal", "crm.internal"), (" CRM.Internal. ", "crm.internal"), ("crm:8080", "crm:8080"),
        ("*.svc.cluster.local", "*.svc.cluster.local"), ("*.local:443", "*.local:443"),
        ("bücher.example", "xn--bcher-kva.example"), ("my_host", "my_host"),
        ("10.0.0.5", "10.0.0.5"), ("10.0.0.5:8080", "10.0.0.5:8080"), ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.5/32", "10.0.0.5"), ("fd00::5", "fd00::5"), ("[fd00::5]", "fd00::5"),
        ("[fd00::5]:8080", "[fd00::5]:8080"), ("fd00::/8", "fd00::/8"), ("::ffff:10.0.0.5", "10.0.0.5"),
    ];
    for (text, written) in good {
        let rule: AllowRule = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(rule.to_string(), written);
        assert_eq!(written.parse::<AllowRule>().as_ref(), Ok(&rule));
    }
    let nonsense = [
        "", "  ", "*", "*.", "*local", "a.*.b", "http://crm.internal", "crm.internal/path", "user@crm.internal",
        "crm.internal:", "crm.internal:0", "crm.internal:+80", "crm.internal:65536", "crm.internal:http", ":80",
        "a b", "a\tb", "a\\b", "a?b", "a#b", "a..b", ".a", "a,b", "-:80:80", "2130706433", "0x7f.1", "127.1",
        "0.0.0.0/0", "::/0", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/8:80", "::ffff:10.0.0.0/104",
        "[fd00::5", "[fd00::5]80", "[fd00::5]:x", "[10.0.0.5]", "[crm]", "300.1.1.1", "*.10.0.0.1",
    ];
    for text in nonsense {
        assert!(text.parse::<AllowRule>().is_err(), "{text:?} is taken for a rule");
    }
    let error = "http://me:secret@crm".parse::<AllowRule>().unwrap_err();
    assert!(!error.to_string().contains("secret"));
}

#[test]
#[rustfmt::skip] // one row, one line
fn rules_open_what_they_name_and_no_more() {
    let guard = Guard::new(rules(&["crm.internal", "erp:8080", "*.svc.local", "10.0.0.5", "10.0.0.6:81", "172.16.0.0/12"]));
    let table = [
        (Some("crm.internal"), "10.9.9.9", 80, true), (Some("crm.internal."), "127.0.0.1", 1, true),
        (Some("crm.internal"), "fd00::1", 80, true), (Some("xcrm.internal"), "10.9.9.9", 80, false),
        (Some("a.crm.internal"), "10.9.9.9", 80, false), (Some("erp"), "10.9.9.9", 8080, true),
        (Some("erp"), "10.9.9.9", 80, false), (Some("a.svc.local"), "10.9.9.9", 80, true),
        (Some("b.a.svc.local"), "10.9.9.9", 80, true), (Some("svc.local"), "10.9.9.9", 80, false),
        (Some("asvc.local"), "10.9.9.9", 80, false), (Some("other"), "10.0.0.5", 80, true),
        (None, "10.0.0.5", 80, true), (None, "::ffff:10.0.0.5", 80, true), (None, "10.0.0.6", 81, true),
        (None, "10.0.0.6", 82, false), (None, "172.31.0.1", 9, true), (None, "172.32.0.1", 9, true),
        (None, "10.0.0.7", 80, false), (None, "64:ff9b::10.0.0.5", 80, false),
        // A trusted name does not open the metadata service, nor this host's catch-all address.
        (Some("crm.internal"), "169.254.169.254", 80, false), (Some("crm.internal"), "0.0.0.0", 80, false),
        (Some("crm.internal"), "168.63.129.16", 80, false), (Some("crm.internal"), "::7f00:1", 80, false),
    ];
    for (host, address, port, expected) in table {
        assert_eq!(guard.permits(host, ip(address), port), expected, "{host:?} {address} {port}");
    }
    assert!(Guard::new(rules(&["169.254.169.254"])).permits(None, ip("169.254.169.254"), 80));
}
