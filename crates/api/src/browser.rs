//! What is asked of browsers: the session's cookie, the CSRF token, and whether a request comes from a page of ours.
//! A cookie goes along with requests that other sites cause, so a cookie alone never changes anything.

use crate::edge::Inbound;
use http::header::{COOKIE, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method};
use synapscale_core::{Error, ErrorKind, Result};

/// The cookie's name where the server is reached by plain HTTP.
const PLAIN: &str = "synapscale_session";
/// Its name where it is reached by HTTPS: browsers take it from this host only, by HTTPS only, for the whole host only.
const PREFIXED: &str = "__Host-synapscale_session";
/// Longest cookie value that is looked at, in bytes.
const MAX_COOKIE: usize = 256;
/// The header that carries the CSRF token.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether clients reach the server by HTTPS; empty `public_url` means plain HTTP on this machine.
pub fn is_https(public_url: &str) -> bool {
    public_url.starts_with("https://")
}

/// The name of the session's cookie.
pub fn session_cookie_name(https: bool) -> &'static str {
    if https { PREFIXED } else { PLAIN }
}

/// The refusal of what a page of ours did not send.
pub fn csrf_failed() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "csrf_failed",
        "The request does not come from a page of this server, or lacks the session's X-CSRF-Token.",
    )
}

/// The CSRF token that came along.
pub fn csrf_token(headers: &HeaderMap) -> Option<&str> {
    headers.get(CSRF_HEADER)?.to_str().ok()
}

/// The value of the one cookie of this name; none when there are two, of which one is not ours.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = None;
    for line in headers.get_all(COOKIE) {
        for pair in line.to_str().ok()?.split(';') {
            let Some((key, value)) = pair.trim().split_once('=') else {
                continue;
            };
            if key == name && found.replace(value).is_some() {
                return None;
            }
        }
    }
    found.filter(|value| !value.is_empty() && value.len() <= MAX_COOKIE)
}

/// Host and port of an origin, the port left out where it is the scheme's own; none for what is no web origin.
fn authority(origin: &str) -> Option<&str> {
    let (scheme, rest) = origin.split_once("://")?;
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    Some(rest.strip_suffix(port).unwrap_or(rest)).filter(|rest| !rest.is_empty() && !rest.contains('/'))
}

/// Whether `origin` is the place that was asked, or the place that the server is known by.
fn is_own(origin: &str, host: Option<&str>, public_url: &str) -> bool {
    let Some(theirs) = authority(origin) else {
        return false;
    };
    let public = public_url.split('/').take(3).collect::<Vec<_>>().join("/");
    if origin.eq_ignore_ascii_case(&public) {
        return true;
    }
    host.is_some_and(|host| {
        let default = if origin.starts_with("https") {
            ":443"
        } else {
            ":80"
        };
        host.strip_suffix(default)
            .unwrap_or(host)
            .eq_ignore_ascii_case(theirs)
    })
}

impl Inbound {
    /// The session's cookie, if there is exactly one.
    pub fn session_cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie(headers, session_cookie_name(is_https(&self.edge.public_url)))
    }

    /// Whether the method changes nothing.
    pub fn is_safe(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether clients reach the server by HTTPS.
    pub fn is_https(&self) -> bool {
        is_https(&self.edge.public_url)
    }

    /// Refuses a request that a browser says came from another site. Browsers set these headers, pages cannot; a client
    /// that is no browser sends neither, and has no cookie that it did not ask for.
    ///
    /// # Errors
    /// `csrf_failed`.
    pub fn require_own_page(&self, headers: &HeaderMap) -> Result<()> {
        if let Some(site) = headers.get(FETCH_SITE) {
            let own = site == "same-origin" || site == "none";
            return if own { Ok(()) } else { Err(csrf_failed()) };
        }
        match headers.get(ORIGIN) {
            None => Ok(()),
            Some(_) => self.require_own_origin(headers),
        }
    }

    /// Refuses what does not name a page of ours as its origin: a WebSocket's handshake, which no CSRF token protects.
    ///
    /// # Errors
    /// `csrf_failed`.
    pub fn require_own_origin(&self, headers: &HeaderMap) -> Result<()> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let origin = origins.next().and_then(|value| value.to_str().ok());
        let named = headers.get(HOST).and_then(|value| value.to_str().ok());
        let host = named.or_else(|| self.authority.as_ref().map(http::uri::Authority::as_str));
        let own = origin.is_some_and(|origin| is_own(origin, host, &self.edge.public_url));
        if own && origins.next().is_none() {
            return Ok(());
        }
        Err(csrf_failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn cookies(lines: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(COOKIE, HeaderValue::from_static(line));
        }
        map
    }

    #[test]
    fn exactly_one_cookie_counts() {
        let found = |lines: &[&'static str]| cookie(&cookies(lines), PLAIN).map(str::to_owned);
        assert_eq!(found(&["a=b; synapscale_session=x; c=d"]).as_deref(), Some("x"));
        assert_eq!(found(&["a=b", "synapscale_session=x"]).as_deref(), Some("x"));
        for bad in [
            &[][..],
            &["synapscale_session="],
            &["synapscale_session"],
            &["synapscale_session=x; synapscale_session=y"],
            &["synapscale_session=x", "synapscale_session=x"],
            &["__Host-synapscale_session=x"],
            &["xsynapscale_session=x"],
        ] {
            assert_eq!(found(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_name_says_whether_it_is_https() {
        assert_eq!(session_cookie_name(is_https("")), PLAIN);
        assert_eq!(session_cookie_name(is_https("http://a.example")), PLAIN);
        assert_eq!(session_cookie_name(is_https("https://a.example")), PREFIXED);
    }

    #[test]
    fn own_origins_are_told_from_others() {
        let host = Some("a.example:8080");
        for (origin, host, public) in [
            ("http://a.example:8080", host, ""),
            ("http://A.example:8080", host, ""),
            ("https://a.example", Some("a.example"), ""),
            ("https://a.example", Some("a.example:443"), ""),
            ("https://work.example", host, "https://work.example"),
            ("https://work.example", host, "https://work.example/path"),
        ] {
            assert!(is_own(origin, host, public), "{origin} {host:?} {public}");
        }
        for (origin, host, public) in [
            ("null", host, ""),
            ("", host, ""),
            ("http://a.example", host, ""),
            ("http://a.example:8081", host, ""),
            ("http://b.a.example:8080", host, ""),
            ("http://a.example:8080.evil.example", host, ""),
            ("file://a.example:8080", host, ""),
            ("https://work.example.evil", host, "https://work.example"),
            ("http://work.example", host, "https://work.example"),
            ("http://a.example:8080", None, ""),
        ] {
            assert!(!is_own(origin, host, public), "{origin} {host:?} {public}");
        }
    }
}
