//! Where traces go: nowhere, unless an endpoint is set.

use super::Problems;
use super::layer::OtlpLayer;
use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use std::fmt;
use zeroize::Zeroizing;

/// What traces are told under unless a name is set.
const SERVICE: &str = "synapscale";
/// Where a collector takes traces, below its address.
const TRACES: &str = "/v1/traces";

/// Export of traces by OTLP over HTTP.
#[derive(Clone)]
pub struct OtlpConfig {
    /// Where to, with the path.
    pub endpoint: Url,
    /// Headers for the collector; their values are secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The name of this service in traces.
    pub service: String,
    /// The share of the traces begun here that is exported.
    pub sample_ratio: f64,
}

impl fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpConfig")
            .field("service", &self.service)
            .field("sample_ratio", &self.sample_ratio)
            .finish_non_exhaustive()
    }
}

impl OtlpConfig {
    /// None without an endpoint. No message repeats the endpoint or a header: either may hold a secret.
    pub(super) fn resolve(layer: OtlpLayer, problems: &mut Problems) -> Option<Self> {
        let endpoint = layer.endpoint.filter(|text| !text.trim().is_empty())?;
        let sample_ratio = layer.sample_ratio.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample_ratio) {
            problems.add("otlp/sample_ratio", "From 0.0 to 1.0.");
        }
        let headers = headers(&Zeroizing::new(layer.headers.unwrap_or_default()), problems);
        let service = layer.service.unwrap_or_else(|| SERVICE.to_owned());
        let Some(endpoint) = traces_url(endpoint.trim()) else {
            problems.add(
                "otlp/endpoint",
                "An address such as http://127.0.0.1:4318, for OTLP over HTTP.",
            );
            return None;
        };
        Some(OtlpConfig {
            endpoint,
            headers,
            service,
            sample_ratio,
        })
    }
}

fn traces_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !plain || url.query().is_some() || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    if !path.ends_with(TRACES) {
        let path = format!("{path}{TRACES}");
        url.set_path(&path);
    }
    Some(url)
}

/// Reads `name=value,name=value`; values may be percent-encoded, as the variables of OpenTelemetry have them.
fn headers(text: &str, problems: &mut Problems) -> Vec<(HeaderName, HeaderValue)> {
    let mut read = Vec::new();
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    for (number, pair) in (1..).zip(pairs) {
        match header(pair) {
            Some(header) => read.push(header),
            None => problems.add(
                "otlp/headers",
                format!("Number {number} is not of the form name=value."),
            ),
        }
    }
    read
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let value = Zeroizing::new(percent_decode_str(value.trim()).collect::<Vec<u8>>());
    let mut value = HeaderValue::from_bytes(&value).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(endpoint: &str, headers: &str) -> OtlpLayer {
        OtlpLayer {
            endpoint: Some(endpoint.to_owned()),
            headers: Some(headers.to_owned()),
            ..OtlpLayer::default()
        }
    }

    #[test]
    fn without_an_endpoint_there_is_nothing() {
        let mut problems = Problems::default();
        assert!(OtlpConfig::resolve(OtlpLayer::default(), &mut problems).is_none());
        assert!(problems.0.is_empty());
    }

    #[test]
    fn endpoints_are_addresses_with_the_path_of_traces() {
        for (text, url) in [
            ("http://localhost:4318", Some("http://localhost:4318/v1/traces")),
            (
                "https://otlp.example.com/otlp/",
                Some("https://otlp.example.com/otlp/v1/traces"),
            ),
            (
                "https://otlp.example.com/v1/traces",
                Some("https://otlp.example.com/v1/traces"),
            ),
            ("localhost:4318", None),
            ("http://user:secret@localhost:4318", None),
            ("http://localhost:4318?key=secret", None),
        ] {
            let mut problems = Problems::default();
            let read = OtlpConfig::resolve(layer(text, ""), &mut problems);
            assert_eq!(read.as_ref().map(|read| read.endpoint.as_str()), url, "{text}");
            assert_eq!(problems.0.is_empty(), url.is_some(), "{text}");
            assert!(!format!("{:?}", problems.0).contains("secret"));
        }
    }

    #[test]
    fn headers_are_read_and_never_shown() {
        let mut problems = Problems::default();
        let given = "authorization=Bearer%20s3cret, x-team = a=b ,s3cret";
        let read = OtlpConfig::resolve(layer("http://c:4318", given), &mut problems).expect("settings");
        let values: Vec<_> = read
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        assert_eq!(
            values,
            [("authorization", &b"Bearer s3cret"[..]), ("x-team", b"a=b")]
        );
        assert_eq!(problems.0.len(), 1);
        let shown = format!("{read:?} {:?} {:?}", read.headers, problems.0);
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
