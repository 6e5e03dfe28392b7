//! Where redirects may lead, and what goes along.

use super::super::client::Hop;
use super::*;

#[tokio::test]
async fn redirects_inside_are_refused() {
    let (inside, received) = server(|_| ok("", b"secret")).await;
    for (to, code) in [
        (format!("http://127.0.0.2:{inside}/"), "forbidden_address"),
        (format!("//[::ffff:127.0.0.2]:{inside}/"), "forbidden_address"),
        (
            "http://169.254.169.254/latest/meta-data/".into(),
            "forbidden_address",
        ),
        ("file:///etc/passwd".into(), "forbidden_scheme"),
        ("gopher://x/".into(), "forbidden_scheme"),
        ("http://user:hidden@127.0.0.1/".into(), "invalid_url"),
        ("http://[bad/".into(), "invalid_url"),
    ] {
        let location = to.clone();
        let (port, _) = server(move |_| redirect(302, &location)).await;
        let error = client(&["127.0.0.1"])
            .send(get(format!("http://127.0.0.1:{port}/")))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{to}: {error:?}");
        // The redirecting server has seen the request.
        assert!(
            error.may_have_reached_server() && !error.to_string().contains("hidden"),
            "{error}"
        );
    }
    assert_eq!(received.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn redirects_keep_to_the_rules_of_http() {
    for (status, method, then, body) in [
        (301, "POST", "GET", false),
        (302, "POST", "GET", false),
        (302, "PUT", "PUT", true),
        (303, "PUT", "GET", false),
        (303, "HEAD", "HEAD", false),
        (307, "POST", "POST", true),
        (308, "POST", "POST", true),
    ] {
        let (port, received) = server(move |request| match request.contains(" /start ") {
            true => redirect(status, "end"),
            false => ok("", b"done"),
        })
        .await;
        let sent = if method == "HEAD" {
            OutboundBody::Empty
        } else {
            OutboundBody::Text("text".into())
        };
        let mut request = post(format!("http://127.0.0.1:{port}/start"), sent);
        request.method = method.parse().unwrap();
        request = with_headers(request, &[("Authorization", "Bearer t")]);
        let outbound = client(&["127.0.0.1"]);
        assert_eq!(outbound.send(request.clone()).await.unwrap().status, 200);
        let last = received.lock().unwrap().last().unwrap().clone();
        assert!(
            last.starts_with(&format!("{then} /end ")),
            "{status} {method}: {last}"
        );
        assert_eq!(
            (last.ends_with("text"), header_of(&last, "content-type").is_some()),
            (body, body)
        );
        assert_eq!(header_of(&last, "authorization"), Some("Bearer t"), "same origin");
        request.follow_redirects = false;
        let response = outbound.send(request).await.unwrap();
        assert_eq!(
            (response.status, response.headers["location"].as_str()),
            (status, "end")
        );
    }
    let (port, received) = server(|_| redirect(302, "/again")).await;
    let error = client(&["127.0.0.1"])
        .send(get(format!("http://127.0.0.1:{port}/")))
        .await
        .unwrap_err();
    assert_eq!(error, OutboundError::TooManyRedirects { limit: 3 });
    assert_eq!(received.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn secrets_stay_with_their_origin() {
    let (back, back_received) = server(|_| ok("", b"")).await;
    let (other, other_received) =
        server(move |_| redirect(307, &format!("http://first.example:{back}/"))).await;
    let (first, first_received) =
        server(move |_| redirect(307, &format!("http://other.example:{other}/"))).await;
    let secrets = [
        ("Authorization", "Bearer t"),
        ("Cookie", "c=1"),
        ("X-Api-Key", "k"),
        ("Accept", "text/x"),
    ];
    let request = post(
        format!("http://first.example:{first}/"),
        OutboundBody::Text("body".into()),
    );
    client(&["127.0.0.1"])
        .send(with_headers(request, &secrets))
        .await
        .unwrap();
    for (received, kept) in [
        (first_received, true),
        (other_received, false),
        (back_received, false),
    ] {
        let request = received.lock().unwrap()[0].clone();
        for name in ["authorization", "cookie", "x-api-key"] {
            assert_eq!(header_of(&request, name).is_some(), kept, "{name}: {request}");
        }
        assert_eq!(header_of(&request, "accept"), Some("text/x"));
        assert!(request.ends_with("body") && header_of(&request, "referer").is_none());
    }
}

#[test]
fn secrets_do_not_go_from_https_to_http() {
    let key: &[(&str, &str)] = &[("X-Api-Key", "k"), ("Accept", "text/x")];
    let text = || OutboundBody::Text("t".into());
    for (headers, body, status, to, passes) in [
        (key, OutboundBody::Empty, 302, "http://a.example/", false),
        (key, OutboundBody::Empty, 302, "https://b.example/", true),
        (&key[1..], OutboundBody::Empty, 302, "http://a.example/", true),
        (&key[1..], text(), 307, "http://a.example/", false),
        (&key[1..], text(), 303, "http://a.example/", true),
    ] {
        let request = with_headers(post("https://a.example/", body), headers);
        let status = http::StatusCode::from_u16(status).unwrap();
        match Hop::new(request, &OutboundPolicy::default())
            .unwrap()
            .redirected(status, to)
        {
            Ok(hop) => assert!(
                passes && hop.headers.len() == 1 && hop.headers.contains_key("accept"),
                "{to}"
            ),
            Err(error) => assert!(!passes && error.code() == "forbidden_scheme", "{to}: {error}"),
        }
    }
}
