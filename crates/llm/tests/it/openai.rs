//! The wire format of OpenAI, with its dialects.

use crate::standin::*;
use serde_json::json;
use synapscale_llm::model::*;
use synapscale_llm::{NoSink, Sink};
use tokio_util::sync::CancellationToken;

async fn call(server: &StandIn, preset: &str, request: &ChatRequest, sink: &mut dyn Sink) -> ChatResponse {
    let route = server.route(preset);
    let done = router()
        .chat(&route, request, &CancellationToken::new(), sink)
        .await
        .expect("answer");
    (*done.response).clone()
}

fn full_request() -> ChatRequest {
    serde_json::from_value(json!({
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image", "media_type": "image/png", "data": "AAAA"},
                {"type": "image", "url": "https://example.com/x.png"},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "text": "hmm", "signature": "sig"},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": "{\"x\":1}"},
                {"type": "tool_call", "id": "c2", "name": "look", "arguments": "{bro"},
            ], "reasoning_details": [1]},
            {"role": "tool", "content": [
                {"type": "tool_result", "id": "c1", "content": "one"},
                {"type": "tool_result", "id": "c2", "content": [{"type": "text", "text": "bad"}], "is_error": true},
            ]},
        ],
        "tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}],
        "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 77, "reasoning_effort": "low",
        "temperature": 0.5, "stop": ["END"], "seed": 3, "frequency_penalty": 0.25, "model": "evil",
    }))
    .expect("request")
}

#[tokio::test]
async fn requests_are_written_by_the_presets_habits() {
    let server = StandIn::new(vec![answer(200, "", &openai_text("a")); 3]).await;
    let request = full_request();
    for preset in ["openai", "deepseek", "openrouter"] {
        call(&server, preset, &request, &mut NoSink).await;
    }
    let seen: Vec<_> = server.seen().into_iter().map(|seen| seen.body).collect();
    let body = &seen[0];
    assert_eq!(body["model"], "model-x");
    assert_eq!(body["max_completion_tokens"], 77);
    assert_eq!(body["frequency_penalty"], 0.25);
    assert_eq!(
        body["messages"][0],
        json!({"role": "developer", "content": "Be brief."})
    );
    let parts = &body["messages"][1]["content"];
    assert_eq!(
        parts[1],
        json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})
    );
    assert_eq!(parts[2]["image_url"]["url"], "https://example.com/x.png");
    assert_eq!(
        body["messages"][2]["tool_calls"][1]["function"]["arguments"],
        "{bro"
    );
    assert_eq!(body["messages"][2].get("reasoning_details"), None);
    assert_eq!(
        body["messages"][3],
        json!({"role": "tool", "tool_call_id": "c1", "content": "one"})
    );
    assert_eq!(body["messages"][4]["content"], "Error: bad");
    assert_eq!(body["tool_choice"], "required");
    assert_eq!(body["parallel_tool_calls"], false);
    assert_eq!(body["reasoning_effort"], "low");
    assert_eq!(body.get("stream"), None);
    assert_eq!(seen[1]["messages"][0]["role"], "system");
    assert_eq!(seen[1]["messages"][2]["reasoning_content"], "hmm");
    assert_eq!(seen[1]["max_tokens"], 77);
    assert_eq!(seen[2]["reasoning"], json!({"effort": "low"}));
    assert_eq!(seen[2]["messages"][2]["reasoning_details"], json!([1]));
}

#[tokio::test]
async fn whole_answers_keep_everything() {
    let body = json!({"id": "x", "model": "m-1", "service_tier": "flex", "choices": [{"index": 0,
        "finish_reason": "weird", "logprobs": null, "message": {"role": "assistant", "content": null,
        "reasoning_content": "why", "reasoning": "why", "annotations": [1], "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}, "extra_content": 5},
            {"type": "function", "function": {"name": "g", "arguments": {"b": 2}}},
            {"id": "c", "type": "function", "function": {"name": "h", "arguments": "{\"broken"}}]}}]});
    let server = StandIn::new(vec![answer(200, "", &body.to_string())]).await;
    let response = call(&server, "openai", &full_request(), &mut NoSink).await;
    assert_eq!(response.finish, Finish::Other("weird".to_owned()));
    assert_eq!(response.usage, Usage::default());
    assert_eq!(response.extra["service_tier"], "flex");
    assert_eq!(response.message.extra["annotations"], json!([1]));
    assert_eq!(response.message.content.len(), 4);
    let calls: Vec<_> = response.message.tool_calls().collect();
    assert_eq!(
        (calls[0].extra["extra_content"].clone(), &calls[0].parsed),
        (json!(5), &Some(json!({"a": 1})))
    );
    assert!(calls[1].id.starts_with("call_") && calls[1].arguments == r#"{"b":2}"#);
    assert_eq!(
        (calls[2].arguments.as_str(), &calls[2].parsed),
        ("{\"broken", &None)
    );
}

fn chunks() -> String {
    let chunk = |value: serde_json::Value| format!("data: {value}\r\n\r\n");
    let delta =
        |delta: serde_json::Value| chunk(json!({"id": "c", "model": "m", "choices": [{"delta": delta}]}));
    [
        delta(json!({"role": "assistant", "content": ""})),
        delta(json!({"reasoning": "th"})),
        delta(json!({"reasoning_content": "ink"})),
        ": ping\n\n".to_owned(),
        delta(json!({"content": "Grüß "})),
        delta(json!({"content": "Gott 🦀"})),
        delta(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"y\""}}]}),
        ),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"x\":1}"}}]})),
        delta(json!({"tool_calls": [{"index": 1, "function": {"arguments": ":2}"}}]})),
        chunk(json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})),
        chunk(
            json!({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "cost": 0.5,
            "completion_tokens_details": {"reasoning_tokens": 2}}}),
        ),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

#[tokio::test]
async fn streams_read_the_same_in_any_packets() {
    let all = chunks();
    let bytes = all.as_bytes();
    let mut answers = Vec::new();
    for size in [bytes.len(), 7, 100] {
        let packets: Vec<&[u8]> = bytes.chunks(size).collect();
        let server = StandIn::new(vec![stream(&packets)]).await;
        let mut sink: Vec<Delta> = Vec::new();
        let response = call(&server, "openai", &full_request(), &mut sink).await;
        assert_eq!(
            server.seen()[0].body["stream_options"],
            json!({"include_usage": true})
        );
        assert!(matches!(sink.last(), Some(Delta::Done { .. })));
        assert!(
            sink.iter()
                .any(|d| matches!(d, Delta::ToolCallStart { index: 1, .. }))
        );
        answers.push(response);
    }
    let first = &answers[0];
    assert!(answers.iter().all(|answer| answer == first));
    assert_eq!(first.message.text(), "Grüß Gott 🦀");
    assert_eq!(
        first.message.content[0],
        Part::Thinking(ThinkingPart {
            text: "think".into(),
            signature: None
        })
    );
    let args: Vec<_> = first
        .message
        .tool_calls()
        .map(|call| call.parsed.clone())
        .collect();
    assert_eq!(args, [Some(json!({"x": 1})), Some(json!({"y": 2}))]);
    assert_eq!(
        (first.usage.input, first.usage.reasoning, first.finish.clone()),
        (Some(7), Some(2), Finish::ToolCalls)
    );
    assert_eq!(first.usage.extra["cost"], 0.5);
}

#[tokio::test]
async fn a_stream_may_end_without_done_and_usage() {
    let data = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n";
    let server = StandIn::new(vec![
        stream(&[data.as_bytes()]),
        answer(200, "", &openai_text("json")),
    ])
    .await;
    let mut sink: Vec<Delta> = Vec::new();
    let response = call(&server, "openai", &full_request(), &mut sink).await;
    assert!(response.usage.is_empty() && response.finish == Finish::Stop);
    let mut sink: Vec<Delta> = Vec::new();
    call(&server, "openai", &full_request(), &mut sink).await;
    assert_eq!(
        sink[0],
        Delta::Text {
            text: "json".to_owned()
        },
        "a whole answer to a stream is given in pieces"
    );
}

#[tokio::test]
async fn parallel_calls_that_all_have_the_number_nought() {
    let data = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\
        \"f\",\"arguments\":\"{}\"}},{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\
        \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let server = StandIn::new(vec![stream(&[data.as_bytes()])]).await;
    let response = call(&server, "gemini", &full_request(), &mut Vec::<Delta>::new()).await;
    assert_eq!(response.message.tool_calls().count(), 2);
    assert_eq!(response.finish, Finish::ToolCalls);
}
