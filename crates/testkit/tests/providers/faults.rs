//! Each fault, as a client sees it.

use super::{CHAT, Got, MESSAGES, ask, chat, receive, request};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synapscale_testkit::providers::*;

const LONG: &str = "A text that is long enough for several events of a stream, äöü included.";

async fn with(reply: Reply) -> StandIn {
    let standin = StandIn::start().await;
    standin.script(Script::new().rule(when(any()).then(reply)));
    standin
}

async fn faulty(fault: Fault) -> StandIn {
    with(Reply::text(LONG).faulty(fault)).await
}

async fn both(fault: Fault, stream: bool) -> [Got; 2] {
    let standin = faulty(fault).await;
    let body = chat("x", stream);
    [
        ask(&standin, CHAT, &body).await,
        ask(&standin, MESSAGES, &body).await,
    ]
}

/// Where the text is in each vendor's events.
const TEXTS: [&str; 2] = ["/choices/0/delta/content", "/delta/text"];

#[tokio::test]
async fn statuses() {
    for (status, openai, anthropic) in [
        (429, "requests", "rate_limit_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "api_error"),
        (529, "server_error", "overloaded_error"),
    ] {
        let [a, b] = both(Fault::status(status), true).await;
        assert_eq!((a.status, b.status), (status, status));
        assert_eq!(a.json()["error"]["type"], openai);
        assert_eq!(b.json()["error"]["type"], anthropic);
        assert_eq!(a.header("retry-after"), "");
        assert_eq!(b.json()["request_id"], b.header("request-id"));
    }
    let [a, _] = both(Fault::status(502), false).await;
    assert_eq!((a.status, a.header("content-type")), (502, "text/html"));
    let [a, b] = both(Fault::QuotaExhausted, false).await;
    assert_eq!(a.json()["error"]["code"], "insufficient_quota");
    assert_eq!(b.json()["error"]["type"], "billing_error");
    let [a, b] = both(Fault::ContextTooLong, false).await;
    assert_eq!(a.json()["error"]["code"], "context_length_exceeded");
    assert_eq!(b.status, 400);
}

#[tokio::test]
async fn when_to_come_again() {
    let [a, b] = both(Fault::rate_limited(RetryAfter::Seconds(3)), false).await;
    assert_eq!((a.header("retry-after"), b.header("retry-after")), ("3", "3"));
    let [a, _] = both(
        Fault::rate_limited(RetryAfter::Date(Duration::from_secs(5))),
        false,
    )
    .await;
    assert!(a.header("retry-after").ends_with(" GMT") && a.header("retry-after").len() == 29);
    let [a, _] = both(Fault::rate_limited(RetryAfter::Millis(250)), false).await;
    assert_eq!(a.header("retry-after-ms"), "250");
}

#[tokio::test]
async fn no_headers() {
    for (fault, reset) in [
        (Fault::ResetBeforeHeaders, true),
        (Fault::CloseBeforeHeaders, false),
    ] {
        let standin = faulty(fault).await;
        let result = receive(request(&standin, CHAT, &chat("x", true))).await;
        let error = format!("{:?}", result.err().expect("no response"));
        assert_eq!(error.contains("ConnectionReset"), reset, "{error}");
        assert!(standin.wait_idle(Duration::from_secs(1)).await);
        let log = standin.log();
        assert_eq!((log[0].outcome, log[0].status), (Outcome::Broken, 0));
    }
}

#[tokio::test]
async fn broken_off() {
    for stream in [true, false] {
        for fault in [
            Fault::ResetMidBody { after: 3 },
            Fault::CutInEvent {
                after: 3,
                clean: false,
            },
        ] {
            let standin = faulty(fault).await;
            for path in [CHAT, MESSAGES] {
                let got = ask(&standin, path, &chat("x", stream)).await;
                assert!(got.status == 200 && !got.whole && !got.text.is_empty());
            }
            assert!(standin.wait_idle(Duration::from_secs(1)).await);
            assert!(standin.log().iter().all(|e| e.outcome == Outcome::Broken));
            assert_eq!(standin.served_usage(), Usage::default());
        }
    }
    for got in both(
        Fault::CutInEvent {
            after: 3,
            clean: true,
        },
        true,
    )
    .await
    {
        assert!(got.whole && !got.text.ends_with('\n') && got.events().len() == 3);
    }
    for got in both(Fault::EndsEarly { after: 3 }, true).await {
        assert!(got.whole && got.text.ends_with("\n\n") && got.events().len() == 3);
    }
}

#[tokio::test]
async fn slowness() {
    let late = Duration::from_millis(120);
    for fault in [
        Fault::SlowHeaders(late),
        Fault::SlowFirstToken(late),
        Fault::Stall {
            after: 4,
            lasting: late,
        },
    ] {
        for stream in [true, false] {
            let start = Instant::now();
            let standin = faulty(fault.clone()).await;
            let got = ask(&standin, MESSAGES, &chat("x", stream)).await;
            assert!(got.whole && start.elapsed() >= late, "{fault:?}");
            assert_eq!(standin.log()[0].outcome, Outcome::Finished);
        }
    }
    let standin = faulty(Fault::SlowFirstToken(late)).await;
    let start = Instant::now();
    let response = request(&standin, MESSAGES, &chat("x", true))
        .send()
        .await
        .expect("headers");
    assert!(start.elapsed() < late, "the headers do not wait");
    drop(response);
}

#[tokio::test]
async fn packets() {
    for (got, text) in both(Fault::SplitEvents { pieces: 5 }, true)
        .await
        .iter()
        .zip(TEXTS)
    {
        assert!(got.frames.len() > got.events().len() * 3);
        assert_eq!(got.joined(text), LONG);
    }
    for (got, text) in both(Fault::SplitEvents { pieces: usize::MAX }, true)
        .await
        .iter()
        .zip(TEXTS)
    {
        assert_eq!(got.joined(text), LONG);
    }
    let whole = both(Fault::EventsPerPacket(1000), true).await;
    for (got, text) in whole.iter().zip(TEXTS) {
        assert_eq!(got.frames.len(), 1);
        assert_eq!(got.joined(text), LONG);
    }
    for got in both(Fault::SplitEvents { pieces: 5 }, false).await {
        assert!(got.json().is_object());
    }
}

#[tokio::test]
async fn usage_missing() {
    for stream in [true, false] {
        let standin = faulty(Fault::NoUsage).await;
        for path in [CHAT, MESSAGES] {
            let got = ask(&standin, path, &chat("x", stream)).await;
            assert!(!got.text.contains("_tokens\""), "{}", got.text);
        }
        assert!(
            standin
                .log()
                .iter()
                .all(|e| e.usage.is_none() && e.spent.is_some())
        );
    }
}

#[tokio::test]
async fn errors_inside() {
    let inside = Fault::ErrorInBody("overloaded_error".into(), "Overloaded".into());
    for got in both(inside.clone(), false).await {
        assert_eq!(
            (got.status, &got.json()["error"]["type"]),
            (200, &json!("overloaded_error"))
        );
    }
    for got in both(inside, true).await {
        assert_eq!((got.status, got.events().len()), (200, 1));
    }
    let midway = Fault::ErrorInStream {
        after: 4,
        kind: "overloaded_error".into(),
        message: "Overloaded".into(),
    };
    let [a, b] = both(midway.clone(), true).await;
    assert_eq!(
        a.events().last().expect("an event")["error"]["message"],
        "Overloaded"
    );
    assert!(b.whole && b.text.contains("event: error\ndata: {") && !b.text.contains("message_stop"));
    let standin = faulty(midway).await;
    ask(&standin, MESSAGES, &chat("x", true)).await;
    assert_eq!(
        (standin.log()[0].outcome, standin.log()[0].status),
        (Outcome::Failed, 200)
    );
}

#[tokio::test]
async fn malformed() {
    for got in both(Fault::MalformedJson { after: 0 }, false).await {
        assert!(got.whole && serde_json::from_str::<Value>(&got.text).is_err());
    }
    for got in both(Fault::MalformedJson { after: 3 }, true).await {
        let data = got.text.lines().filter_map(|line| line.strip_prefix("data: "));
        let broken = data.filter(|d| *d != "[DONE]" && serde_json::from_str::<Value>(d).is_err());
        assert_eq!(broken.count(), 1);
    }
    for got in both(Fault::WrongContentType("text/html".into()), true).await {
        assert_eq!(got.header("content-type"), "text/html");
    }
    for (stream, least) in [(true, 300_000), (false, 300_000)] {
        for got in both(Fault::HugeBody(300_000), stream).await {
            assert!(got.whole && got.text.len() > least);
        }
    }
}

#[tokio::test]
async fn odd_tool_calls() {
    let call = || Reply::tool("weather", json!({"city": "Paris"}));
    let standin = with(call().faulty(Fault::BrokenArguments)).await;
    let got = ask(&standin, CHAT, &chat("x", false)).await.json();
    let arguments = got["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].clone();
    assert!(serde_json::from_str::<Value>(arguments.as_str().expect("text")).is_err());
    let streamed = ask(&standin, MESSAGES, &chat("x", true)).await;
    assert!(serde_json::from_str::<Value>(&streamed.joined("/delta/partial_json")).is_err());
    let standin = with(call().faulty(Fault::UnknownTool("nowhere".into()))).await;
    let got = ask(&standin, MESSAGES, &chat("x", false)).await.json();
    assert_eq!(got["content"][0]["name"], "nowhere");
    let standin = with(call().faulty(Fault::EmptyArguments)).await;
    let got = ask(&standin, MESSAGES, &chat("x", true)).await;
    assert_eq!(got.joined("/delta/partial_json"), "");
}

#[tokio::test]
async fn endless_calls() {
    let standin = StandIn::start().await;
    standin.script(Script::new().rule(when(any()).then_endless_calls("search")));
    let mut body = chat("x", false);
    for turn in 1..=5 {
        let got = ask(&standin, MESSAGES, &body).await.json();
        assert_eq!(got["content"][0]["input"], json!({"turn": turn}));
        let id = &got["content"][0]["id"];
        let result = json!([{"type": "tool_result", "tool_use_id": id, "content": "nothing"}]);
        let messages = body["messages"].as_array_mut().expect("messages");
        messages.push(json!({"role": "assistant", "content": got["content"]}));
        messages.push(json!({"role": "user", "content": result}));
    }
}

#[tokio::test]
async fn unheard_of() {
    for stream in [true, false] {
        for got in both(Fault::ExtraFields, stream).await {
            assert!(got.text.contains("x_unheard_of"));
        }
        for got in both(Fault::UnknownFinishReason("tired".into()), stream).await {
            assert!(got.text.contains("\"tired\""));
        }
    }
}

#[tokio::test]
async fn by_chance_and_by_sequence() {
    let standin = StandIn::start().await;
    standin.script(Script::new().seed(7).sometimes(0.5, Fault::status(500)));
    let mut failed = Vec::new();
    for round in 0..2 {
        standin.clear_log();
        for text in 0..40 {
            let got = ask(&standin, CHAT, &chat(&format!("text {text}"), false)).await;
            if got.status == 500 {
                failed.push((round, text));
            }
        }
    }
    let of = |round| {
        failed
            .iter()
            .filter(move |(r, _)| *r == round)
            .map(|(_, text)| *text)
    };
    assert!(
        (10..=30).contains(&of(0).count()) && of(0).eq(of(1)),
        "the dice are the same each time"
    );
    let replies = [Reply::fault(Fault::overloaded()), Reply::text("second")];
    standin.script(Script::new().rule(when(any()).then_sequence(replies)));
    let statuses = [529, 200, 200];
    for (status, text) in statuses.into_iter().zip(["Overloaded", "second", "You said"]) {
        let got = ask(&standin, MESSAGES, &chat("x", false)).await;
        assert!(got.status == status && got.text.contains(text), "{}", got.text);
    }
}
