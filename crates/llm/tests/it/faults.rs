//! Faults: what is tried again, what goes elsewhere, what is told.

use crate::standin::*;
use std::sync::Arc;
use std::time::Duration;
use synapscale_llm::model::{ChatRequest, Delta, Message};
use synapscale_llm::{BreakerState, Completed, Failed, LlmErrorKind, NoSink, Route, Stage};
use tokio_util::sync::CancellationToken;

const ERROR: &str = r#"{"error":{"message":"no","type":"x","code":null}}"#;
const HELLO: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
const END: &[u8] = b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::user("hi")])
}

async fn whole(route: &Route) -> Result<Completed, Failed> {
    router()
        .chat(route, &request(), &CancellationToken::new(), &mut NoSink)
        .await
}

async fn streamed(route: &Route) -> (Result<Completed, Failed>, Vec<Delta>) {
    let mut sink = Vec::new();
    let result = router()
        .chat(route, &request(), &CancellationToken::new(), &mut sink)
        .await;
    (result, sink)
}

#[tokio::test]
async fn every_status_that_passes_is_tried_again() {
    for (status, headers) in [
        (429, ""),
        (429, "retry-after: 0\r\n"),
        (500, ""),
        (502, ""),
        (503, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
        (529, ""),
        (408, ""),
    ] {
        let server = StandIn::new(vec![
            answer(status, headers, ERROR),
            answer(200, "", &openai_text("ok")),
        ])
        .await;
        let done = whole(&server.route("openai")).await.expect("answer");
        assert_eq!(done.response.message.text(), "ok");
        assert_eq!(done.attempts.len(), 2, "{status}");
        assert!(done.attempts[0].error.is_some() && done.attempts[1].error.is_none());
        assert_eq!(done.attempts[1].usage.cached_input, Some(4));
    }
}

#[tokio::test]
async fn retry_after_is_kept_and_capped() {
    let server = StandIn::new(vec![
        answer(429, "retry-after-ms: 300\r\n", ERROR),
        answer(200, "", &openai_text("ok")),
    ])
    .await;
    let began = std::time::Instant::now();
    whole(&server.route("openai")).await.expect("answer");
    assert!(began.elapsed() >= Duration::from_millis(300));
    let server = StandIn::new(vec![answer(429, "retry-after: 3600\r\n", ERROR)]).await;
    let failed = whole(&server.route("openai")).await.expect_err("too long");
    assert_eq!(failed.error.kind(), LlmErrorKind::RateLimited);
    assert_eq!(failed.error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(failed.attempts.len(), 1);
}

#[tokio::test]
async fn the_callers_faults_are_not_tried_again_and_keys_are_not_told() {
    for (status, body, kind) in [
        (400, ERROR.to_owned(), LlmErrorKind::InvalidRequest),
        (
            401,
            format!(r#"{{"error":{{"message":"Incorrect API key: {KEY}"}}}}"#),
            LlmErrorKind::Unauthorized,
        ),
        (404, ERROR.to_owned(), LlmErrorKind::NotFound),
        (
            429,
            r#"{"error":{"message":"q","code":"insufficient_quota"}}"#.to_owned(),
            LlmErrorKind::Budget,
        ),
        (
            400,
            r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#.to_owned(),
            LlmErrorKind::ContextTooLong,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 9"}"#.to_owned(),
            LlmErrorKind::ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"message":"x","code":"content_filter"}}"#.to_owned(),
            LlmErrorKind::ContentFiltered,
        ),
        (302, String::new(), LlmErrorKind::Provider),
    ] {
        let server = StandIn::new(vec![
            answer(status, "location: http://127.0.0.1:1/\r\n", &body);
            3
        ])
        .await;
        let failed = whole(&server.route("openai")).await.expect_err("refused");
        assert_eq!(failed.error.kind(), kind, "{body}");
        assert_eq!(failed.error.status(), Some(status));
        assert!(!format!("{failed:?}").contains(KEY));
        if status != 302 {
            assert_eq!(failed.attempts.len(), 1);
        }
        assert!(
            server.seen()[0]
                .head
                .contains(&format!("authorization: bearer {KEY}"))
        );
    }
}

#[tokio::test]
async fn failover_goes_to_the_next_deployment() {
    let bad = StandIn::new(vec![answer(401, "", ERROR)]).await;
    let broken = StandIn::new(vec![vec![Step::Reset]; 3]).await;
    let good = StandIn::new(vec![answer(200, "", &openai_text("ok"))]).await;
    let mut nobody = good.deployment("vllm").with_base_url("http://127.0.0.1:1/v1");
    nobody.id = "nobody".to_owned();
    let all = [
        bad.deployment("groq"),
        nobody,
        broken.deployment("vllm"),
        good.deployment("ollama"),
    ];
    let done = whole(&Route::new("r", all.map(Arc::new).to_vec()))
        .await
        .expect("answer");
    let kinds: Vec<_> = done
        .attempts
        .iter()
        .map(|a| a.error.as_ref().map(|e| e.kind()))
        .collect();
    use LlmErrorKind::*;
    let cut = Some(CutStream);
    let want = [
        Some(Unauthorized),
        Some(Connect),
        Some(Connect),
        Some(Connect),
        cut,
        cut,
        cut,
        None,
    ];
    assert_eq!(kinds, want);
    assert_eq!(done.attempts[7].cost.map(|c| c.nano_usd), Some(0));
}

#[tokio::test]
async fn an_error_inside_of_success_is_an_error() {
    let inside = r#"{"error":{"message":"down","code":502}}"#;
    let server = StandIn::new(vec![answer(200, "", inside), answer(200, "", &openai_text("ok"))]).await;
    assert_eq!(
        whole(&server.route("openrouter"))
            .await
            .expect("answer")
            .attempts
            .len(),
        2
    );
    let event = b"data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n";
    let server = StandIn::new(vec![stream(&[b": PROCESSING\n\n", event]), stream(&[HELLO, END])]).await;
    let (result, deltas) = streamed(&server.route("openrouter")).await;
    let done = result.expect("answer");
    assert_eq!(
        done.attempts[0].error.as_ref().map(|e| e.kind()),
        Some(LlmErrorKind::RateLimited)
    );
    assert_eq!(deltas.len(), 2);
}

#[tokio::test]
async fn broken_answers_are_malformed() {
    for body in ["", "{", "[]", "{}", r#"{"choices":[]}"#, "<html>"] {
        let server = StandIn::new(vec![answer(200, "", body); 3]).await;
        let failed = whole(&server.route("openai")).await.expect_err("broken");
        assert_eq!(failed.error.kind(), LlmErrorKind::Malformed, "{body}");
        assert_eq!(failed.attempts.len(), 3);
    }
}

#[tokio::test]
async fn time_outs_have_stages() {
    let mut slow = vec![Step::Wait(5000)];
    slow.extend(stream(&[HELLO, END]));
    for (script, stage, given) in [
        (slow, Stage::FirstToken, 0),
        (vec![head(), Step::Wait(5000)], Stage::FirstToken, 0),
        (
            vec![head(), Step::Send(HELLO.to_vec()), Step::Wait(5000)],
            Stage::Idle,
            1,
        ),
    ] {
        let server = StandIn::new(vec![script]).await;
        let mut deployment = server.deployment("openai");
        deployment.timeouts.first_token = Duration::from_millis(80);
        deployment.timeouts.idle = Duration::from_millis(60);
        deployment.retry.retries = 0;
        let (result, deltas) = streamed(&Route::new("r", vec![Arc::new(deployment)])).await;
        let failed = result.expect_err("slow");
        assert_eq!(failed.error.kind(), LlmErrorKind::Timeout(stage));
        assert_eq!(deltas.len(), given);
        assert_eq!(failed.partial.is_some(), given > 0);
    }
    let server = StandIn::new(vec![vec![Step::Wait(5000)]]).await;
    let mut route = server.route("openai");
    route.total = Duration::from_millis(60);
    let failed = whole(&route).await.expect_err("slow");
    assert_eq!(failed.error.kind(), LlmErrorKind::Timeout(Stage::Total));
    assert_eq!(failed.attempts.len(), 1);
}

#[tokio::test]
async fn a_cut_stream_is_tried_again_only_before_the_first_piece() {
    let half = b"data: {\"choices\":[{\"del";
    let server = StandIn::new(vec![stream(&[half]), stream(&[HELLO, half])]).await;
    let (result, deltas) = streamed(&server.route("openai")).await;
    let failed = result.expect_err("cut");
    assert_eq!(failed.error.kind(), LlmErrorKind::CutStream);
    assert_eq!(failed.attempts.len(), 2);
    assert_eq!(
        deltas,
        [Delta::Text {
            text: "Hel".to_owned()
        }]
    );
    assert_eq!(failed.partial.expect("partial").message.text(), "Hel");
    let mut reset = vec![head(), Step::Send(HELLO.to_vec()), Step::Wait(50), Step::Reset];
    reset.extend([]);
    let server = StandIn::new(vec![reset]).await;
    let failed = streamed(&server.route("openai")).await.0.expect_err("reset");
    assert_eq!(failed.error.kind(), LlmErrorKind::CutStream);
}

#[tokio::test]
async fn cancelling_and_dropping_reach_the_provider() {
    let script = || vec![head(), Step::Send(HELLO.to_vec()), Step::AwaitClose(3000)];
    let server = StandIn::new(vec![script(), script(), script()]).await;
    let (router, route, cancel) = (router(), server.route("openai"), CancellationToken::new());
    let mut sink = Vec::new();
    let request = request();
    let (result, ()) = tokio::join!(router.chat(&route, &request, &cancel, &mut sink), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let failed = result.expect_err("cancelled");
    assert_eq!(failed.error.kind(), LlmErrorKind::Cancelled);
    assert_eq!(failed.attempts.len(), 1);
    assert!(server.closed().await);

    let token = CancellationToken::new();
    let mut told = Told::default();
    let call = router.chat(&route, &request, &token, &mut told);
    assert!(
        tokio::time::timeout(Duration::from_millis(100), call)
            .await
            .is_err()
    );
    assert!(server.closed().await);
    assert_eq!(told.0, [Some(LlmErrorKind::Cancelled)]);

    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let mut sender = sender;
    let failed = router
        .chat(&route, &request, &token, &mut sender)
        .await
        .expect_err("gone");
    assert_eq!(failed.error.kind(), LlmErrorKind::Cancelled);
    assert!(server.closed().await);
}

#[derive(Default)]
struct Told(Vec<Option<LlmErrorKind>>);

#[async_trait::async_trait]
impl synapscale_llm::Sink for Told {
    async fn delta(&mut self, _delta: Delta) -> Result<(), synapscale_llm::SinkClosed> {
        Ok(())
    }

    fn attempt(&mut self, attempt: &synapscale_llm::Attempt) {
        self.0.push(attempt.error.as_ref().map(|error| error.kind()));
    }
}

#[tokio::test]
async fn the_breaker_opens_for_faults_of_the_provider_only() {
    let mut scripts = vec![answer(400, "", ERROR); 6];
    scripts.extend(vec![answer(500, "", ERROR); 6]);
    let server = StandIn::new(scripts).await;
    let (router, mut deployment) = (router(), server.deployment("openai"));
    deployment.retry.retries = 0;
    let route = Route::new("r", vec![Arc::new(deployment)]);
    for _ in 0..11 {
        let _ = router
            .chat(&route, &request(), &CancellationToken::new(), &mut NoSink)
            .await;
    }
    assert!(matches!(
        router.breaker_state(&route.deployments[0].id),
        Some(BreakerState::Open { .. })
    ));
    let failed = router
        .chat(&route, &request(), &CancellationToken::new(), &mut NoSink)
        .await
        .expect_err("open");
    assert_eq!(failed.error.kind(), LlmErrorKind::NoDeployment);
    assert!(failed.error.retry_after().is_some() && failed.attempts.is_empty());
    assert_eq!(server.seen().len(), 11);
}

#[tokio::test]
async fn large_answers_are_not_read() {
    let server = StandIn::new(vec![answer(200, "", &openai_text(&"x".repeat(5000)))]).await;
    let mut deployment = server.deployment("openai");
    deployment.max_response_bytes = 4000;
    let failed = whole(&Route::new("r", vec![Arc::new(deployment)]))
        .await
        .expect_err("large");
    assert_eq!(failed.error.kind(), LlmErrorKind::TooLarge);
}
