//! The ledger, and many streams at once.

use super::{CHAT, MESSAGES, ask, chat, request};
use futures::StreamExt;
use std::time::{Duration, Instant};
use synapscale_testkit::providers::*;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_client_that_hangs_up_is_seen() {
    let standin = StandIn::start().await;
    let pace = Pace {
        between: Duration::from_millis(20),
        ..Pace::default()
    };
    let reply = Reply::text("x".repeat(2000)).paced(pace);
    standin.script(Script::new().rule(when(any()).then(reply)));
    for path in [CHAT, MESSAGES] {
        let response = request(&standin, path, &chat("x", true))
            .send()
            .await
            .expect("headers");
        let mut stream = response.bytes_stream();
        assert!(stream.next().await.is_some());
        assert_eq!(standin.in_flight(), 1);
        drop(stream);
        assert!(standin.wait_idle(SOON).await);
    }
    assert!(standin.log().iter().all(|e| e.outcome == Outcome::HungUp));
    assert_eq!(standin.served_usage(), Usage::default());
    assert!(
        standin.told_usage().input > 0,
        "Anthropic tells the prompt's tokens at the start"
    );
}

#[tokio::test]
async fn what_was_finished_twice_is_found() {
    let standin = StandIn::start().await;
    standin.script(Script::new().rule(when(attempt(1)).then(Reply::fault(Fault::status(500)))));
    for _ in 0..2 {
        ask(&standin, CHAT, &chat("a", false)).await;
    }
    assert!(standin.finished_twice().is_empty(), "the first time was an error");
    assert_eq!(standin.count_finished(|r| r.last_user_text() == "a"), 1);
    ask(&standin, CHAT, &chat("a", false)).await;
    let twice = standin.finished_twice();
    assert_eq!((twice.len(), twice[0].len()), (1, 2));
    assert_eq!(twice[0][1].request.attempt, 3);
    assert!(standin.finished_twice_by(|r| r.number).is_empty());
}

#[tokio::test]
async fn a_gate_holds_answers_back() {
    let standin = StandIn::start().await;
    let gate = Gate::shut();
    standin.script(Script::new().rule(when(any()).then(Reply::text("now").held(&gate))));
    let mut held = tokio::task::JoinSet::new();
    held.spawn(request(&standin, CHAT, &chat("x", false)).send());
    assert!(standin.wait_for_calls(1, SOON).await);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(held.try_join_next().is_none() && standin.in_flight() == 1);
    gate.open();
    let response = held.join_all().await.remove(0);
    assert_eq!(response.expect("a response").status(), 200);
}

#[tokio::test]
async fn down_and_dropped() {
    let standin = StandIn::start().await;
    standin.set_down(true);
    assert!(request(&standin, CHAT, &chat("x", false)).send().await.is_err());
    standin.set_down(false);
    assert_eq!(ask(&standin, CHAT, &chat("x", false)).await.status, 200);
    let again = request(&standin, CHAT, &chat("x", false));
    drop(standin);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(again.send().await.is_err());
}

#[tokio::test]
async fn a_panic_in_a_script_ends_the_request() {
    let standin = StandIn::start().await;
    standin.script(Script::new().brain(|_| panic!("on purpose")));
    assert_eq!(ask(&standin, CHAT, &chat("x", false)).await.status, 500);
    assert_eq!(standin.log()[0].outcome, Outcome::Failed);
}

#[tokio::test]
async fn many_streams_at_once() {
    let standin = StandIn::start().await;
    let pace = Pace {
        first: Duration::from_millis(100),
        between: Duration::from_millis(10),
        chars: 8,
    };
    let reply = Reply::text("y".repeat(400)).paced(pace);
    standin.script(Script::new().rule(when(any()).then(reply)));
    let start = Instant::now();
    let client = reqwest::Client::new();
    let asks = (0..300).map(|n| {
        let (path, body) = ([CHAT, MESSAGES][n % 2], chat(&format!("{n}"), true));
        let post = client.post(standin.url(path)).bearer_auth(KEY).json(&body);
        let post = post
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01");
        async move {
            post.send()
                .await
                .expect("a response")
                .text()
                .await
                .expect("a body")
        }
    });
    let texts = futures::future::join_all(asks).await;
    assert!(
        texts
            .iter()
            .all(|text| text.contains("[DONE]") || text.contains("message_stop"))
    );
    assert_eq!(standin.count_finished(|_| true), 300);
    assert_eq!(standin.served_usage().output, 300 * 100);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_knows_what_the_client_knows() {
    let standin = StandIn::start().await;
    let mut sum = Usage::default();
    for n in 1..=200 {
        let (path, body) = ([CHAT, MESSAGES][n % 2], chat("x", n % 3 == 0));
        assert_eq!(ask(&standin, path, &body).await.status, 200);
        sum = sum + Usage::new(prompt_tokens(&body), count_tokens("You said: x"));
        assert_eq!((standin.count_finished(|_| true), standin.in_flight()), (n, 0));
        assert_eq!(standin.served_usage(), sum);
    }
}
