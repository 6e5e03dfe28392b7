//! The wire format of Anthropic.

use crate::standin::*;
use serde_json::json;
use synapscale_llm::model::*;
use synapscale_llm::{LlmErrorKind, NoSink};
use tokio_util::sync::CancellationToken;

fn request() -> ChatRequest {
    serde_json::from_value(json!({
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}}]},
            {"role": "user", "content": [{"type": "image", "media_type": "image/png", "data": "AAAA"},
                {"type": "document", "source": 1}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "text": "hmm", "signature": "sig"}, {"type": "thinking", "text": "unsigned"},
                {"type": "redacted_thinking", "data": "zzz"},
                {"type": "tool_call", "id": "c1", "name": "f", "arguments": "{\"x\": 1}"},
                {"type": "tool_call", "id": "c2", "name": "f", "arguments": "{bro"}]},
            {"role": "tool", "content": [{"type": "tool_result", "id": "c1", "content": "one"}]},
            {"role": "tool", "content": [{"type": "tool_result", "id": "c2", "content": "two", "is_error": true}]},
            {"role": "user", "content": "go on"},
        ],
        "tools": [{"name": "f", "parameters": {"type": "object"}, "cache_control": {"type": "ephemeral"}}],
        "parallel_tool_calls": false, "reasoning_effort": "medium", "temperature": 0.1, "top_k": 5,
        "metadata": {"user_id": "u", "other": "o"},
    }))
    .expect("request")
}

#[tokio::test]
async fn requests_and_whole_answers() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
        "content": [{"type": "thinking", "thinking": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "hi", "citations": null},
            {"type": "tool_use", "id": "tu", "name": "f", "input": {"a": 1}}, {"type": "server_thing", "x": 1}],
        "stop_reason": "tool_use", "stop_sequence": null, "container": {"id": 1},
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20,
            "output_tokens": 5, "service_tier": "standard"}});
    let server = StandIn::new(vec![answer(200, "request-id: req_9\r\n", &body.to_string())]).await;
    let done = router()
        .chat(
            &server.route("anthropic"),
            &request(),
            &CancellationToken::new(),
            &mut NoSink,
        )
        .await
        .expect("answer");
    let response = &done.response;
    assert_eq!(done.attempts[0].request_id.as_deref(), Some("req_9"));
    assert_eq!(response.message.content.len(), 5);
    assert_eq!(response.finish, Finish::ToolCalls);
    assert_eq!(
        (response.usage.input, response.usage.cached_input),
        (Some(130), Some(100))
    );
    assert_eq!(response.usage.extra["service_tier"], "standard");
    assert_eq!(response.extra["container"], json!({"id": 1}));
    let seen = &server.seen()[0];
    assert!(seen.head.contains("anthropic-version: 2023-06-01") && seen.head.contains("x-api-key: "));
    let body = &seen.body;
    assert_eq!(body["system"][0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(
        body["messages"][0]["content"][0]["source"]["media_type"],
        "image/png"
    );
    assert_eq!(
        body["messages"][0]["content"][1],
        json!({"type": "document", "source": 1})
    );
    let turn = &body["messages"][1]["content"];
    assert_eq!(
        turn[0],
        json!({"type": "thinking", "thinking": "hmm", "signature": "sig"})
    );
    assert_eq!(turn[1], json!({"type": "redacted_thinking", "data": "zzz"}));
    assert_eq!(
        turn[2],
        json!({"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}})
    );
    assert_eq!(turn[3]["input"], json!({"INVALID_JSON": "{bro"}));
    let results = &body["messages"][2];
    assert_eq!(
        (
            results["role"].as_str(),
            results["content"].as_array().map(Vec::len)
        ),
        (Some("user"), Some(3))
    );
    assert_eq!(results["content"][1]["is_error"], true);
    assert_eq!(
        body["tool_choice"],
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(body["thinking"], json!({"type": "adaptive"}));
    assert_eq!(body["output_config"], json!({"effort": "medium"}));
    assert_eq!((body.get("temperature"), &body["top_k"]), (None, &json!(5)));
    assert_eq!(body["metadata"], json!({"user_id": "u"}));
}

fn events() -> String {
    let block = |index: u32, block: serde_json::Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u32, delta: serde_json::Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    [
        json!({"type": "message_start", "message": {"id": "msg", "type": "message", "role": "assistant", "content": [],
            "model": "claude", "stop_reason": null, "usage": {"input_tokens": 9, "cache_read_input_tokens": 1, "output_tokens": 1}}}),
        block(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        json!({"type": "ping"}),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "SIG"})),
        json!({"type": "content_block_stop", "index": 0}),
        block(1, json!({"type": "redacted_thinking", "data": "RED"})),
        block(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "Hällo"})),
        delta(2, json!({"type": "future_delta", "x": 1})),
        block(3, json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"a\":"})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "1}"})),
        json!({"type": "content_block_stop", "index": 3}),
        block(4, json!({"type": "tool_use", "id": "t2", "name": "g", "input": {}})),
        json!({"type": "content_block_stop", "index": 4}),
        json!({"type": "future_event"}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 42}}),
        json!({"type": "message_stop"}),
    ]
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
    .concat()
}

#[tokio::test]
async fn streams_keep_signatures_and_calls() {
    let all = events();
    for size in [all.len(), 11] {
        let packets: Vec<&[u8]> = all.as_bytes().chunks(size).collect();
        let server = StandIn::new(vec![stream(&packets)]).await;
        let mut sink = Vec::new();
        let done = router()
            .chat(
                &server.route("anthropic"),
                &request(),
                &CancellationToken::new(),
                &mut sink,
            )
            .await
            .expect("answer");
        let content = &done.response.message.content;
        assert_eq!(
            content[0],
            Part::Thinking(ThinkingPart {
                text: "hm".into(),
                signature: Some("SIG".into())
            })
        );
        assert_eq!(content[1], Part::RedactedThinking { data: "RED".into() });
        assert_eq!(content[2], Part::text("Hällo"));
        let calls: Vec<_> = done
            .response
            .message
            .tool_calls()
            .map(|c| c.arguments.as_str())
            .collect();
        assert_eq!(calls, [r#"{"a":1}"#, "{}"]);
        let usage = &done.response.usage;
        assert_eq!(
            (usage.input, usage.cached_input, usage.output),
            (Some(10), Some(1), Some(42))
        );
        assert_eq!(done.response.finish, Finish::ToolCalls);
        assert!(sink.contains(&Delta::Signature {
            signature: "SIG".into()
        }));
    }
}

#[tokio::test]
async fn errors_inside_and_outside() {
    let error =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_1"}"#;
    let event = format!("event: error\ndata: {error}\n\n");
    let server = StandIn::new(vec![
        answer(529, "", error),
        stream(&[event.as_bytes()]),
        stream(&[events().as_bytes()]),
    ])
    .await;
    let mut sink = Vec::new();
    let done = router()
        .chat(
            &server.route("anthropic"),
            &request(),
            &CancellationToken::new(),
            &mut sink,
        )
        .await
        .expect("answer");
    for attempt in &done.attempts[..2] {
        assert_eq!(
            attempt.error.as_ref().map(|e| e.kind()),
            Some(LlmErrorKind::Overloaded)
        );
        assert_eq!(attempt.request_id.as_deref(), Some("req_1"));
    }
    let cut = &events()[..events().len() - 200];
    let server = StandIn::new(vec![stream(&[cut.as_bytes()])]).await;
    let failed = router()
        .chat(
            &server.route("anthropic"),
            &request(),
            &CancellationToken::new(),
            &mut Vec::new(),
        )
        .await
        .expect_err("cut");
    assert_eq!(failed.error.kind(), LlmErrorKind::CutStream);
    assert_eq!(
        failed.attempts[0].usage.input,
        Some(10),
        "what was paid for is known"
    );
}
