//! Reading request bodies: bounded in bytes and in time. Raw routes that check signatures use it too.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, Result};

/// Reads a whole body of at most `limit` bytes, to be there `within` the given time.
///
/// # Errors
/// `too_large` over the limit, `body_timeout` when it takes too long, `malformed` when the connection breaks.
pub async fn read_body(headers: &HeaderMap, body: Body, limit: usize, within: Duration) -> Result<Bytes> {
    let too_large = || Error::too_large("body", format_args!("{limit} bytes"));
    if declared_length(headers).is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let read = async {
        let mut stream = body.into_data_stream();
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| {
                Error::malformed("The body ended before it was complete.").with_source(error)
            })?;
            if first.len() + rest.len() + chunk.len() > limit {
                return Err(too_large());
            }
            // Most bodies are one chunk, which is then never copied.
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        Ok(join(first, &rest))
    };
    match tokio::time::timeout(within, read).await {
        Ok(read) => read,
        Err(_) => Err(Error::new(
            ErrorKind::Timeout,
            "body_timeout",
            "The body did not arrive in time.",
        )),
    }
}

fn join(first: Bytes, rest: &[u8]) -> Bytes {
    if rest.is_empty() {
        return first;
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(rest);
    whole.freeze()
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses what is not plain UTF-8 JSON by its own word.
///
/// # Errors
/// `unsupported_media_type`.
pub fn require_json(headers: &HeaderMap) -> Result<()> {
    let refuse = |message: &str| Error::new(ErrorKind::Unsupported, "unsupported_media_type", message);
    let encoded = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(refuse("Send the body without a content encoding."));
    }
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind {
        Some(kind) if is_json(kind) => Ok(()),
        _ => Err(refuse("Send the body as `Content-Type: application/json`.")),
    }
}

fn is_json(kind: &str) -> bool {
    let mut parts = kind.split(';').map(str::trim);
    let json = parts
        .next()
        .is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    json && parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    const SOON: Duration = Duration::from_secs(5);

    fn chunks(parts: &[&'static str]) -> Body {
        let parts: Vec<Result<&'static str, io::Error>> = parts.iter().map(|part| Ok(*part)).collect();
        Body::from_stream(futures::stream::iter(parts))
    }

    #[tokio::test]
    async fn chunks_are_joined_up_to_the_limit() {
        let none = HeaderMap::new();
        let read = |body, limit| {
            let none = none.clone();
            async move { read_body(&none, body, limit, SOON).await }
        };
        assert_eq!(read(chunks(&["ab", "cd", "e"]), 5).await.expect("read"), "abcde");
        assert_eq!(read(Body::empty(), 0).await.expect("read"), "");
        let error = read(chunks(&["ab", "cd", "e"]), 4).await.expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn a_declared_length_is_enough_to_refuse() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, http::HeaderValue::from_static("99"));
        let error = read_body(&headers, chunks(&["a"]), 10, SOON)
            .await
            .expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, io::Error>>());
        let error = read_body(&HeaderMap::new(), body, 10, Duration::from_millis(20))
            .await
            .expect_err("late");
        assert_eq!(error.code(), "body_timeout");
    }

    #[test]
    fn json_is_told_by_its_media_type() {
        for good in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=\"utf-8\"",
        ] {
            assert!(is_json(good), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonx",
            "application/json; charset=latin1",
        ] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
