//! JSON by a schema: every way of asking, mending, and the second try.

use crate::standin::*;
use serde_json::json;
use std::sync::Arc;
use synapscale_llm::model::*;
use synapscale_llm::{LlmErrorKind, NoSink, Repair, Route, StructuredMode, discover_ollama};
use tokio_util::sync::CancellationToken;

fn request() -> ChatRequest {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let format = JsonSchemaFormat {
        name: "number".to_owned(),
        schema,
        strict: Some(true),
    };
    ChatRequest {
        response_format: ResponseFormat::JsonSchema(format),
        ..ChatRequest::new(vec![Message::system("Count."), Message::user("one")])
    }
}

#[tokio::test]
async fn native_with_mending_and_one_retry_that_quotes() {
    let scripts =
        [r#"{"n":"one"}"#, "```json\n{\"n\":1,}\n```"].map(|text| answer(200, "", &openai_text(text)));
    let server = StandIn::new(scripts.to_vec()).await;
    let mut sink = Vec::new();
    // The stand-in answers a stream with a whole answer; the sink still gets pieces, but only of what fits.
    let done = router()
        .chat(
            &server.route("openai"),
            &request(),
            &CancellationToken::new(),
            &mut sink,
        )
        .await
        .expect("answer");
    assert_eq!(done.json, Some(json!({"n": 1})));
    assert_eq!(done.repairs, [Repair::Extracted, Repair::Syntax]);
    assert_eq!(
        sink[0],
        Delta::Text {
            text: r#"{"n":1}"#.to_owned()
        }
    );
    assert_eq!(done.attempts.len(), 2);
    let seen = server.seen();
    assert_eq!(seen[0].body["response_format"]["json_schema"]["name"], "number");
    let messages = seen[1].body["messages"].as_array().expect("messages");
    assert_eq!(messages[2]["content"], r#"{"n":"one"}"#);
    assert!(
        messages[3]["content"]
            .as_str()
            .is_some_and(|text| text.contains("/n: \"one\" is not of type"))
    );
}

#[tokio::test]
async fn the_second_wrong_answer_is_an_error() {
    let server = StandIn::new(vec![answer(200, "", &openai_text("no")); 2]).await;
    let failed = router()
        .chat(
            &server.route("openai"),
            &request(),
            &CancellationToken::new(),
            &mut NoSink,
        )
        .await
        .expect_err("wrong");
    assert_eq!(failed.error.kind(), LlmErrorKind::SchemaMismatch);
    assert_eq!(failed.attempts.len(), 2);
}

#[tokio::test]
async fn by_tool_at_anthropic_and_by_prompt() {
    let body = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "Here."},
            {"type": "tool_use", "id": "t", "name": "structured_answer", "input": {"n": 1}}]});
    let server = StandIn::new(vec![
        answer(200, "", &body.to_string()),
        answer(200, "", &openai_text(r#"{"n":2}"#)),
    ])
    .await;
    let done = router()
        .chat(
            &server.route("anthropic"),
            &request(),
            &CancellationToken::new(),
            &mut NoSink,
        )
        .await
        .expect("answer");
    assert_eq!(
        (done.json, done.response.finish.clone()),
        (Some(json!({"n": 1})), Finish::Stop)
    );
    assert_eq!(done.response.message.text(), r#"{"n":1}"#);
    let mut deployment = server.deployment("vllm");
    deployment.structured = Some(StructuredMode::Prompt);
    let route = Route::new("r", vec![Arc::new(deployment)]);
    let done = router()
        .chat(&route, &request(), &CancellationToken::new(), &mut NoSink)
        .await
        .expect("answer");
    assert_eq!(done.json, Some(json!({"n": 2})));
    let seen = server.seen();
    assert_eq!(
        seen[0].body["tool_choice"],
        json!({"type": "tool", "name": "structured_answer"})
    );
    assert_eq!(seen[1].body["messages"][1]["role"], "system");
    assert_eq!(seen[1].body.get("response_format"), None);
}

#[tokio::test]
async fn a_neighbouring_ollama_is_found() {
    let tags = r#"{"models":[{"name":"llama3.2:latest","size":5,"details":{"family":"llama"},"new":1}]}"#;
    let server = StandIn::new(vec![answer(200, "", tags), answer(200, "", "{}")]).await;
    let host = server.url.trim_end_matches("/v1").to_owned();
    let router = router();
    let found = discover_ollama(router.client(), Some(&host))
        .await
        .expect("found");
    assert_eq!(
        (found.base_url, found.models[0].name.as_str()),
        (server.url.clone(), "llama3.2:latest")
    );
    assert!(discover_ollama(router.client(), Some(&host)).await.is_err());
    assert!(
        discover_ollama(router.client(), Some("127.0.0.1:1"))
            .await
            .is_err()
    );
}
