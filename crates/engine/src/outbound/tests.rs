//! The client against real TCP servers on the loopback address: bodies, bounds and failures here, the rest below.

mod guard;
mod redirects;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::origin_of;
use super::resolver::Lookup;
use super::*;

/// `{"ok":true}`.
const GZIPPED_JSON: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xca\xcf\x56\xb2\x2a\x29\x2a\x4d\xad\x05\x00\x90\x5f\xd4\xa7\x0b\x00\x00\x00";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn rules(texts: &[&str]) -> Vec<AllowRule> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A server's task; it ends with the test's runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "a test's server has no component to belong to"
)]
fn background(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// What a server was sent, one entry a request.
type Received = Arc<Mutex<Vec<String>>>;

/// A server on 127.0.0.1 that answers each request with what `answer` makes of it and then closes.
async fn server(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (u16, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Received::default();
    let (log, answer) = (received.clone(), Arc::new(answer));
    background(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (log, answer) = (log.clone(), answer.clone());
            background(async move {
                let request = read_request(&mut socket).await;
                let response = answer(&request);
                log.lock().unwrap().push(request);
                // The client may hang up early; that is what some tests are about.
                let _ = socket.write_all(&response).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    (port, received)
}

async fn read_request(socket: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header_of(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match socket.read(&mut buffer).await.unwrap_or(0) {
            0 => return text,
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

fn header_of<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    request
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!(
        "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Every name stands for these addresses.
fn names(addresses: &[&str]) -> Lookup {
    let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
    Arc::new(move |_| {
        let addresses = addresses.clone();
        Box::pin(async move { Ok(addresses) })
    })
}

/// A client that may reach what `allow` says and that finds every name on 127.0.0.1.
fn client(allow: &[&str]) -> Outbound {
    let policy = OutboundPolicy {
        allow: rules(allow),
        max_response_bytes: 1000,
        max_request_bytes: 1000,
        max_redirects: 3,
        connect_timeout: Duration::from_secs(2),
        ..OutboundPolicy::default()
    };
    Outbound::with_lookup(policy, names(&["127.0.0.1"])).unwrap()
}

fn get(url: impl Into<String>) -> OutboundRequest {
    OutboundRequest {
        timeout: Duration::from_secs(5),
        ..OutboundRequest::new(http::Method::GET, url)
    }
}

fn post(url: impl Into<String>, body: OutboundBody) -> OutboundRequest {
    OutboundRequest {
        method: http::Method::POST,
        body,
        ..get(url)
    }
}

fn with_headers(mut request: OutboundRequest, headers: &[(&str, &str)]) -> OutboundRequest {
    request.headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    request
}

#[test]
#[rustfmt::skip] // one row, one line
fn retry_after_takes_seconds_and_dates() {
    let now = "1994-11-06T08:49:00Z".parse().unwrap();
    let table = [
        ("120", Some(120)), ("0", Some(0)), (" 7 ", Some(7)), ("60, 120", Some(60)), ("9999999", Some(86_400)),
        ("99999999999999999999999", Some(86_400)), ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)), ("Sun Nov  6 08:49:37 1994", Some(37)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)), ("Wed, 06 Nov 2019 08:00:00 GMT", Some(86_400)),
        ("", None), ("-1", None), ("1.5", None), ("soon", None), ("Sun, 06 Foo 1994 08:49:37 GMT", None),
    ];
    for (value, seconds) in table {
        let headers = BTreeMap::from([("retry-after".to_owned(), value.to_owned())]);
        assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value:?}");
    }
    assert_eq!(retry_after(&BTreeMap::new(), now), None);
}

#[tokio::test]
async fn responses_become_values() {
    let cases: &[(&str, &[u8], Value)] = &[
        (
            "content-type: application/json\r\n",
            b"{\"a\":[1]}",
            serde_json::json!({"a": [1]}),
        ),
        (
            "content-type: application/problem+json; charset=utf-8\r\n",
            b"\xef\xbb\xbf1",
            Value::from(1),
        ),
        (
            "content-type: application/json\r\n",
            b"{oops",
            Value::from("{oops"),
        ),
        ("content-type: application/json\r\n", b"", Value::Null),
        (
            "content-type: text/html\r\n",
            "<p>ü".as_bytes(),
            Value::from("<p>ü"),
        ),
        ("content-type: text/plain\r\n", b"{}", Value::from("{}")),
        ("", b"\xff\xfe\x00", serde_json::json!({"base64": "//4A"})),
        (
            "content-type: application/json\r\ncontent-encoding: gzip\r\n",
            GZIPPED_JSON,
            serde_json::json!({"ok": true}),
        ),
    ];
    for (headers, body, expected) in cases {
        let (port, _) = server(|_| ok(headers, body)).await;
        let response = client(&["127.0.0.1"])
            .send(get(format!("http://127.0.0.1:{port}/")))
            .await
            .unwrap();
        assert_eq!(response.body, *expected, "{headers}");
    }
    let (port, _) = server(|_| {
        b"HTTP/1.1 503 Busy\r\nX-A: 1\r\nSet-Cookie: s=1\r\nx-a: 2\r\nRetry-After: 3\r\n\r\n".to_vec()
    })
    .await;
    let response = client(&["127.0.0.1"])
        .send(get(format!("http://127.0.0.1:{port}/")))
        .await
        .unwrap();
    let headers = BTreeMap::from([("x-a".into(), "1, 2".into()), ("retry-after".into(), "3".into())]);
    assert_eq!(
        (response.status, response.headers, response.body),
        (503, headers, Value::Null)
    );
    // A response to HEAD says how long the body would be, and how it would be packed.
    let (port, _) =
        server(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\ncontent-encoding: gzip\r\n\r\n".to_vec())
            .await;
    let request = OutboundRequest {
        method: http::Method::HEAD,
        ..get(format!("http://127.0.0.1:{port}/"))
    };
    assert_eq!(
        client(&["127.0.0.1"]).send(request).await.unwrap().body,
        Value::Null
    );
}

#[tokio::test]
async fn bodies_are_encoded() {
    let form = vec![
        ("a b".to_owned(), "1&2".to_owned()),
        ("ü".to_owned(), String::new()),
    ];
    for (body, content_type, expected) in [
        (
            OutboundBody::Json(serde_json::json!({"a": 1})),
            "application/json",
            "{\"a\":1}",
        ),
        (OutboundBody::Text("t".into()), "text/plain; charset=utf-8", "t"),
        (
            OutboundBody::Form(form),
            "application/x-www-form-urlencoded",
            "a+b=1%262&%C3%BC=",
        ),
        (
            OutboundBody::Bytes(Bytes::from_static(b"xyz")),
            "application/octet-stream",
            "xyz",
        ),
    ] {
        let (port, received) = server(|_| ok("", b"")).await;
        let request = post(format!("http://127.0.0.1:{port}/"), body);
        let outbound = client(&["127.0.0.1"]);
        outbound.send(request.clone()).await.unwrap();
        outbound
            .send(with_headers(request, &[("content-type", "own/type")]))
            .await
            .unwrap();
        let received = received.lock().unwrap();
        assert_eq!(header_of(&received[0], "content-type"), Some(content_type));
        assert_eq!(header_of(&received[1], "content-type"), Some("own/type"));
        assert!(
            received
                .iter()
                .all(|request| request.ends_with(&format!("\r\n\r\n{expected}")))
        );
        assert!(
            header_of(&received[0], "user-agent")
                .unwrap()
                .starts_with("SynapScale/")
        );
    }
}

/// Gzip of `megabytes` of zeros: one literal, then runs of 258, in deflate's fixed code.
fn bomb(megabytes: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    // Final block, fixed code; the literal 0; then per run the length 285 and the distance 1.
    bits.extend([true, true, false]);
    bits.extend([false, false, true, true, false, false, false, false]);
    for _ in 0..megabytes * 1024 * 1024 / 258 {
        bits.extend([true, true, false, false, false, true, false, true]);
        bits.extend([false; 5]);
    }
    bits.extend([false; 7]);
    let mut bytes = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff".to_vec();
    bytes.extend(bits.chunks(8).map(|byte| {
        byte.iter()
            .enumerate()
            .fold(0, |all, (i, bit)| all | u8::from(*bit) << i)
    }));
    bytes
}

#[tokio::test]
async fn sizes_are_bounded() {
    let bomb = bomb(8);
    let cases: Vec<(Vec<u8>, bool)> = vec![
        (ok("", &[b'a'; 1000]), true),
        (ok("", &[b'a'; 1001]), false),
        (
            [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; 1001]].concat(),
            false,
        ),
        (ok("content-encoding: gzip\r\n", &bomb), false),
    ];
    for (response, fits) in cases {
        let (port, _) = server(move |_| response.clone()).await;
        let result = client(&["127.0.0.1"])
            .send(get(format!("http://127.0.0.1:{port}/")))
            .await;
        let expected = OutboundError::TooLarge {
            payload: Payload::Response,
            limit: 1000,
        };
        assert_eq!(result.is_ok(), fits, "{result:?}");
        assert!(fits || result.unwrap_err() == expected);
        assert!(expected.may_have_reached_server());
    }
    let error = client(&[])
        .send(post(
            "http://public.example/",
            OutboundBody::Text("a".repeat(1001)),
        ))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        OutboundError::TooLarge {
            payload: Payload::Request,
            limit: 1000
        }
    );
    assert!(!error.may_have_reached_server());
}

#[tokio::test]
async fn time_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    background(async move {
        let mut kept = Vec::new();
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            if read_request(&mut socket).await.contains("/body") {
                socket
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow")
                    .await
                    .unwrap();
            }
            kept.push(socket);
        }
    });
    let outbound = client(&["127.0.0.1"]);
    for (path, phase) in [("head", TimeoutPhase::Response), ("body", TimeoutPhase::Body)] {
        let request = OutboundRequest {
            timeout: Duration::from_millis(200),
            ..get(format!("http://127.0.0.1:{port}/{path}"))
        };
        let error = outbound.send(request).await.unwrap_err();
        assert_eq!(error, OutboundError::Timeout { phase });
        assert!(error.is_transient() && error.may_have_reached_server());
    }
    let request = OutboundRequest {
        timeout: Duration::MAX,
        ..get(format!("http://127.0.0.1:{port}/head"))
    };
    let error = outbound
        .send_until(request, tokio::time::sleep(Duration::from_millis(50)))
        .await
        .unwrap_err();
    assert_eq!(error, OutboundError::Cancelled);
    // The server takes the connection and never answers the handshake, so connecting itself runs out.
    let policy = OutboundPolicy {
        allow: rules(&["127.0.0.1"]),
        connect_timeout: Duration::from_millis(100),
        ..OutboundPolicy::default()
    };
    let error = Outbound::new(policy)
        .unwrap()
        .send(get(format!("https://127.0.0.1:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        OutboundError::Timeout {
            phase: TimeoutPhase::Connect
        }
    );
    assert!(!error.may_have_reached_server());
}

#[tokio::test]
async fn failures_are_told_apart() {
    let outbound = client(&["127.0.0.1"]);
    for response in [
        "HTTP/9 what\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort",
    ] {
        let (port, _) = server(move |_| response.into()).await;
        let error = outbound
            .send(get(format!("http://127.0.0.1:{port}/hidden")))
            .await
            .unwrap_err();
        assert!(
            error.code() == "other" && error.may_have_reached_server(),
            "{response:?}: {error:?}"
        );
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let (port, _) = server(|_| ok("content-encoding: gzip\r\n", b"this is not gzip")).await;
    let error = outbound
        .send(get(format!("http://127.0.0.1:{port}/")))
        .await
        .unwrap_err();
    assert!(error.code() == "other" && !error.is_transient(), "{error:?}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = plain.local_addr().unwrap().port();
    background(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        socket
            .write_all(b"HTTP/1.1 400 This is not TLS\r\n\r\n")
            .await
            .unwrap();
        socket.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let no_names: Lookup = Arc::new(|_| Box::pin(async { Err(std::io::Error::other("no such name")) }));
    let unnamed = Outbound::with_lookup(OutboundPolicy::default(), no_names).unwrap();
    let empty = Outbound::with_lookup(OutboundPolicy::default(), names(&[])).unwrap();
    for (outbound, url, code, transient) in [
        (
            &outbound,
            format!("https://127.0.0.1:{port}/hidden"),
            "tls",
            false,
        ),
        (
            &outbound,
            format!("http://127.0.0.1:{closed}/hidden"),
            "connect",
            true,
        ),
        (&unnamed, "http://x.example/hidden".into(), "dns", true),
        (&unnamed, "https://x.example/hidden".into(), "dns", true),
        (&empty, "http://x.example/hidden".into(), "dns", true),
    ] {
        let error = outbound.send(get(url)).await.unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            (code, transient),
            "{error:?}"
        );
        assert!(
            !error.may_have_reached_server() && !error.to_string().contains("hidden"),
            "{error}"
        );
    }
}

#[tokio::test]
#[rustfmt::skip] // one row, one line
async fn unusable_requests_are_refused_before_anything_is_sent() {
    let outbound = client(&["127.0.0.1"]);
    for (url, code) in [
        ("", "invalid_url"), ("/relative", "invalid_url"), ("http://", "invalid_url"), ("http://a b/", "invalid_url"),
        ("http://user:hidden@x.example/", "invalid_url"), ("http://hidden@x.example/", "invalid_url"),
        ("http://x.example:0/", "invalid_url"), ("http://x.example:hidden/", "invalid_url"),
        ("ftp://x.example/hidden", "forbidden_scheme"), ("file:///hidden", "forbidden_scheme"),
        ("data:hidden", "forbidden_scheme"), ("unix:/hidden", "forbidden_scheme"),
    ] {
        let error = outbound.send(get(url)).await.unwrap_err();
        assert_eq!((error.code(), error.may_have_reached_server()), (code, false), "{url}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for (name, value) in [
        ("Host", "x"), ("content-LENGTH", "1"), ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("TE", "x"),
        ("Upgrade", "x"), ("Expect", "100-continue"), ("Proxy-Authorization", "x"), ("proxy-anything", "x"),
        ("", "x"), ("a b", "x"), ("a:", "x"), ("x\r\ny", "z"), ("x-a", "hidden\r\nx-b: 1"), ("x-a", "hidden\0"),
        ("x-a", &"v".repeat(70_000)),
    ] {
        let error = outbound.send(with_headers(get("http://x.example/"), &[(name, value)])).await.unwrap_err();
        assert_eq!((error.code(), error.may_have_reached_server()), ("invalid_header", false), "{name}");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    for method in [http::Method::CONNECT, http::Method::TRACE] {
        let request = OutboundRequest { method, ..get("http://x.example/") };
        assert_eq!(outbound.send(request).await.unwrap_err().code(), "invalid_method");
    }
    let secret = with_headers(post("http://u:hidden@h/hidden?hidden", OutboundBody::Text("hidden".into())), &[("a", "hidden")]);
    assert!(!format!("{secret:?}").contains("hidden"));
    assert_eq!(origin_of("https://u:p@h.example/x?y"), "https://h.example");
    let policy = OutboundPolicy { user_agent: "a\nb".into(), ..OutboundPolicy::default() };
    assert_eq!(Outbound::new(policy).unwrap_err().code(), "invalid_header");
}
