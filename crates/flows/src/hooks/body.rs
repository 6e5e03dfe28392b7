//! The bytes of a delivery: how many are read, which forms are taken, and what the run sees of them.

use super::verify::Verified;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use serde_json::{Map, Value};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, Result};
use synapscale_ops::{JsonLimits, parse_json};

/// The largest body, in bytes. GitHub caps its payloads at 25 MB, and those of issues are far smaller than this.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most levels of lists and objects in a body. The gate's own limit is a little higher: the body arrives inside of more.
const MAX_DEPTH: usize = 60;
/// How long a sender has for its body.
pub const READ_TIME: Duration = Duration::from_secs(10);
/// Parameters of the query that a run sees.
const MAX_QUERY: usize = 64;
/// The longest header value that a run sees, in bytes.
const MAX_HEADER: usize = 1024;

/// Headers that a run sees. None of them carries a signature or a token.
const SHOWN: &[&str] = &[
    "content-type",
    "user-agent",
    "x-request-id",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-github-hook-installation-target-type",
    "x-gitlab-event",
    "x-gitlab-event-uuid",
    "x-gitlab-webhook-uuid",
    "x-gitlab-instance",
];

/// How the body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    /// `application/json`, or another type that ends in `+json`.
    Json,
    /// GitHub's other choice: a form whose field `payload` holds JSON.
    Form,
}

/// The media type that the headers name.
///
/// # Errors
/// `unsupported_media_type` for any other, and for none.
pub(crate) fn media(headers: &HeaderMap) -> Result<Media> {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(Media::Json),
        "application/x-www-form-urlencoded" => Ok(Media::Form),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(Media::Json),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "unsupported_media_type",
            "Send JSON as application/json, or as the field `payload` of an application/x-www-form-urlencoded form.",
        )),
    }
}

/// The JSON in the body.
///
/// # Errors
/// `malformed` when it is none, `too_large` when it is too deep or has too many values, `invalid` for a character that
/// not every database stores.
pub(crate) fn parse(media: Media, bytes: &[u8]) -> Result<Value> {
    let limits = JsonLimits {
        depth: MAX_DEPTH,
        ..JsonLimits::of_bytes(MAX_BODY_BYTES)
    };
    match media {
        Media::Json => parse_json(bytes, &limits),
        Media::Form => {
            let text = std::str::from_utf8(bytes).map_err(|_| Error::malformed("The form is not UTF-8."))?;
            let field = pairs(text).find(|(name, _)| name == "payload");
            let (_, payload) = field.ok_or_else(|| Error::malformed("The form has no field `payload`."))?;
            parse_json(payload.as_bytes(), &limits)
        }
    }
}

/// What expressions see as `input`.
pub(crate) fn run_input(headers: &HeaderMap, uri: &Uri, verified: &Verified, body: Value) -> Value {
    let mut input = Map::new();
    input.insert("headers".to_owned(), shown(headers));
    input.insert("query".to_owned(), query(uri));
    input.insert("event".to_owned(), verified.event.clone().into());
    input.insert("delivery_id".to_owned(), verified.delivery_id.clone().into());
    input.insert("body".to_owned(), body);
    Value::Object(input)
}

fn shown(headers: &HeaderMap) -> Value {
    let value = |name: &&str| {
        let value = headers
            .get(*name)?
            .to_str()
            .ok()
            .filter(|text| text.len() <= MAX_HEADER)?;
        Some(((**name).to_owned(), Value::from(value)))
    };
    Value::Object(SHOWN.iter().filter_map(value).collect())
}

/// The parameters of the query; of those named more than once, the last.
fn query(uri: &Uri) -> Value {
    let pairs = pairs(uri.query().unwrap_or_default()).take(MAX_QUERY);
    let stored = pairs.filter(|(name, value)| !name.contains('\0') && !value.contains('\0'));
    Value::Object(stored.map(|(name, value)| (name, Value::from(value))).collect())
}

/// Names and values of a form or a query.
fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// `+` is a space and `%XX` a byte; what is not UTF-8 becomes the replacement character.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, digit(at), digit(at + 1)) {
            (b'+', ..) => out.push(b' '),
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 2;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use serde_json::json;

    fn with_type(text: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))])
    }

    #[test]
    fn only_json_and_forms_are_taken() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
        ] {
            assert_eq!(media(&with_type(json)).expect("json"), Media::Json, "{json}");
        }
        assert_eq!(
            media(&with_type("application/x-www-form-urlencoded")).expect("form"),
            Media::Form
        );
        for other in ["text/plain", "application/xml", "text/json", ""] {
            assert_eq!(
                media(&with_type(other)).expect_err("refused").kind(),
                ErrorKind::Unsupported,
                "{other}"
            );
        }
        assert!(media(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_form_carries_json_in_its_payload() {
        let form = b"a=1&payload=%7B%22title%22%3A%22gr%C3%BCn+%26+gut%22%7D";
        assert_eq!(
            parse(Media::Form, form).expect("payload"),
            json!({"title": "grün & gut"})
        );
        assert!(parse(Media::Form, b"a=1").is_err());
        assert!(parse(Media::Form, b"payload=no").is_err());
    }

    #[test]
    fn what_cannot_be_stored_is_refused() {
        let cases: [(&[u8], ErrorKind); 5] = [
            (b"{", ErrorKind::Malformed),
            (b"\xff\xfe", ErrorKind::Malformed),
            (br#"{"a": "\u0000"}"#, ErrorKind::Invalid),
            (br#"{"\u0000": 1}"#, ErrorKind::Invalid),
            (&[b'['; 200], ErrorKind::TooLarge),
        ];
        for (bad, kind) in cases {
            assert_eq!(parse(Media::Json, bad).expect_err("refused").kind(), kind);
        }
        // The same six characters as text are fine.
        assert!(parse(Media::Json, br#"{"a": "\\u0000"}"#).is_ok());
    }

    #[test]
    fn a_run_sees_no_signature() {
        let mut headers = with_type("application/json");
        headers.insert("x-hub-signature-256", HeaderValue::from_static("sha256=abc"));
        headers.insert("x-gitlab-token", HeaderValue::from_static("secret"));
        headers.insert("x-github-event", HeaderValue::from_static("issues"));
        let verified = Verified {
            delivery_id: Some("d1".to_owned()),
            event: Some("issues".to_owned()),
            body_digest: [0; 32],
            dedupe_keys: Vec::new(),
        };
        let uri: Uri = "/hooks/x?project=a%20b&project=c".parse().expect("uri");
        let input = run_input(&headers, &uri, &verified, json!({"n": 1}));
        assert_eq!(
            input,
            json!({
                "headers": {"content-type": "application/json", "x-github-event": "issues"},
                "query": {"project": "c"},
                "event": "issues",
                "delivery_id": "d1",
                "body": {"n": 1},
            })
        );
    }
}
