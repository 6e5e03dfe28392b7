//! What is sent, and what is not, because of the guard's judgement.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::resolver::system_lookup;
use super::*;

#[tokio::test]
async fn private_addresses_are_refused_by_default() {
    let (port, received) = server(|_| ok("", b"secret")).await;
    let outbound = client(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "localhost",
        "rebind.example",
        "0.0.0.0",
    ] {
        let error = outbound
            .send(get(format!("http://{host}:{port}/?key=hidden")))
            .await
            .unwrap_err();
        assert!(
            matches!(error, OutboundError::ForbiddenAddress { .. }),
            "{host}: {error:?}"
        );
        assert_eq!(error.code(), "forbidden_address");
        assert!(!error.may_have_reached_server() && !error.is_transient());
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let error = outbound
        .send(get(format!("https://rebind.example:{port}/")))
        .await
        .unwrap_err();
    assert!(matches!(error, OutboundError::ForbiddenAddress { address, .. } if address == ip("127.0.0.1")));
    let system = Outbound::with_lookup(OutboundPolicy::default(), system_lookup()).unwrap();
    let error = system
        .send(get(format!("http://localhost:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "forbidden_address");
    assert_eq!(received.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn rules_let_requests_through() {
    let (port, received) = server(|_| ok("", b"hello")).await;
    let (host_rule, port_rule) = (format!("127.0.0.1:{port}"), format!("crm.internal:{port}"));
    for (allow, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "any.example"),
        ("crm.internal", "crm.internal"),
        ("*.internal", "CRM.internal"),
        (&host_rule, "127.0.0.1"),
        (&host_rule, "any.example"),
        (&port_rule, "crm.internal"),
    ] {
        let response = client(&[allow])
            .send(get(format!("http://{host}:{port}/a?b=c")))
            .await
            .unwrap();
        assert_eq!(
            (response.status, response.body),
            (200, Value::from("hello")),
            "{allow}"
        );
    }
    assert!(
        received
            .lock()
            .unwrap()
            .iter()
            .all(|request| request.starts_with("GET /a?b=c HTTP/1.1\r\n"))
    );
    for allow in ["127.0.0.1:1", "crm.internal:1", "10.0.0.0/8", "other.internal"] {
        let error = client(&[allow])
            .send(get(format!("http://crm.internal:{port}/")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "forbidden_address", "{allow}");
    }
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_only_open_addresses_remain() {
    let (port, received) = server(|_| ok("", b"")).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    // The first answer is harmless, the next one would lead inside: the classic rebinding server.
    let lookup: Lookup = Arc::new(move |_| {
        let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            Ok(vec![
                ip(if first { "127.0.0.1" } else { "169.254.169.254" }),
                ip("10.0.0.1"),
            ])
        })
    });
    let policy = OutboundPolicy {
        allow: rules(&["127.0.0.1"]),
        ..OutboundPolicy::default()
    };
    let outbound = Outbound::with_lookup(policy, lookup).unwrap();
    outbound
        .send(get(format!("http://x.example:{port}/")))
        .await
        .unwrap();
    assert_eq!(
        (count.load(Ordering::SeqCst), received.lock().unwrap().len()),
        (1, 1)
    );
    let error = outbound
        .send(get(format!("http://y.example:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "forbidden_address");
}
