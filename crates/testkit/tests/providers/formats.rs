//! The vendors' formats.

use super::{CHAT, Got, MESSAGES, ask, chat, receive, request};
use serde_json::{Value, json};
use synapscale_testkit::providers::*;

fn weather() -> Reply {
    Reply::text("Let me look. ")
        .and_tool("weather", json!({"city": "Paris"}))
        .and_tool("weather", json!({"city": "Köln"}))
}

#[tokio::test]
async fn openai_answers_in_json() {
    let standin = StandIn::start().await;
    standin.script(Script::new().rule(when(user_says("weather")).then(weather())));
    let body = chat("the weather?", false);
    let got = ask(&standin, CHAT, &body).await;
    assert_eq!(
        (got.status, got.header("content-type")),
        (200, "application/json")
    );
    assert!(got.header("x-request-id").starts_with("req_"));
    let json = got.json();
    let choice = &json["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[1]["function"]["arguments"], "{\"city\":\"Köln\"}");
    assert_ne!(calls[0]["id"], calls[1]["id"]);
    let output = count_tokens("Let me look. ")
        + count_tokens("weather{\"city\":\"Paris\"}")
        + count_tokens("weather{\"city\":\"Köln\"}");
    assert_eq!(json["usage"]["completion_tokens"], output);
    assert_eq!(json["usage"]["prompt_tokens"], prompt_tokens(&body));
    assert_eq!(standin.served_usage(), Usage::new(prompt_tokens(&body), output));
    let echo = ask(&standin, CHAT, &chat("hello", false)).await.json();
    assert_eq!(echo["choices"][0]["message"]["content"], "You said: hello");
    assert_eq!(echo["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn openai_streams() {
    let standin = StandIn::start().await;
    standin.script(Script::new().rule(when(any()).then(weather())));
    let got = ask(&standin, CHAT, &chat("x", true)).await;
    assert!(got.whole && got.text.ends_with("data: [DONE]\n\n"));
    assert_eq!(got.joined("/choices/0/delta/content"), "Let me look. ");
    let events = got.events();
    let mut arguments = [String::new(), String::new()];
    for event in &events {
        for call in event["choices"][0]["delta"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let index = call["index"].as_u64().expect("an index") as usize;
            arguments[index].push_str(call["function"]["arguments"].as_str().expect("arguments"));
        }
    }
    assert_eq!(arguments, ["{\"city\":\"Paris\"}", "{\"city\":\"Köln\"}"]);
    let last = events.last().expect("a last event");
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].as_u64() > Some(0));
    assert!(events[0].get("usage").is_some_and(Value::is_null));
    let mut body = chat("x", true);
    body["stream_options"] = Value::Null;
    let bare = ask(&standin, CHAT, &body).await;
    assert!(bare.events().iter().all(|event| event.get("usage").is_none()));
    assert_eq!(standin.log()[1].usage, None);
}

#[tokio::test]
async fn anthropic_answers_in_json() {
    let standin = StandIn::start().await;
    let reply = Reply::thinking("Hm, weather.")
        .and_tool("weather", json!({"city": "Paris"}))
        .usage(Usage {
            cache_read: 7,
            ..Usage::new(3, 5)
        });
    standin.script(Script::new().rule(when(any()).then(reply)));
    let got = ask(&standin, MESSAGES, &chat("x", false)).await;
    assert!(got.header("request-id").starts_with("req_"));
    assert_eq!(got.header("anthropic-ratelimit-requests-limit"), "1000");
    let json = got.json();
    assert_eq!(
        (&json["type"], &json["stop_reason"]),
        (&json!("message"), &json!("tool_use"))
    );
    assert_eq!(json["content"][0]["thinking"], "Hm, weather.");
    assert!(json["content"][0]["signature"].is_string());
    assert_eq!(json["content"][1]["input"], json!({"city": "Paris"}));
    assert_eq!(json["usage"]["cache_read_input_tokens"], 7);
    assert_eq!(standin.served_usage().prompt(), 10);
}

#[tokio::test]
async fn anthropic_streams() {
    let standin = StandIn::start().await;
    let reply = Reply::thinking("Hm, weather.")
        .and_text("I shall look it up.")
        .and_tool("weather", json!({"city": "Paris"}));
    standin.script(Script::new().rule(when(any()).then(reply)));
    let got = ask(&standin, MESSAGES, &chat("x", true)).await;
    assert_eq!(got.joined("/delta/thinking"), "Hm, weather.");
    assert_eq!(got.joined("/delta/text"), "I shall look it up.");
    assert_eq!(got.joined("/delta/partial_json"), "{\"city\":\"Paris\"}");
    assert!(got.joined("/delta/signature").starts_with("sig-"));
    let events = got.events();
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(kinds[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(kinds[kinds.len() - 2..], ["message_delta", "message_stop"]);
    let end = &events[events.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert!(got.text.contains("event: message_stop\ndata: {"));
    let told = standin.log()[0].usage.expect("usage");
    assert_eq!(end["usage"]["output_tokens"], told.output);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], told.input);
}

#[tokio::test]
async fn keys_are_checked() {
    let standin = StandIn::start().await;
    let client = reqwest::Client::new();
    let got = receive(
        client
            .post(standin.url(CHAT))
            .bearer_auth("wrong")
            .json(&chat("x", false)),
    )
    .await
    .expect("a response");
    assert_eq!(
        (got.status, &got.json()["error"]["code"]),
        (401, &json!("invalid_api_key"))
    );
    let plain = |key: &'static str| {
        let post = client.post(standin.url(MESSAGES)).json(&chat("x", false));
        receive(post.header("x-api-key", key))
    };
    let got = plain("wrong").await.expect("a response");
    assert_eq!(got.status, 401);
    assert_eq!(got.json()["error"]["type"], "authentication_error");
    assert_eq!(got.json()["type"], "error");
    let got = plain(KEY).await.expect("a response");
    assert_eq!(
        (got.status, &got.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    assert_eq!(standin.count_finished(|_| true), 0);
    assert_eq!(standin.log()[0].outcome, Outcome::Failed);
}

#[tokio::test]
async fn lists_and_vectors() {
    let standin = StandIn::start_with(Options {
        models: Some(vec!["m1".to_owned()]),
        ..Options::default()
    })
    .await;
    let get = |path: &str| reqwest::Client::new().get(standin.url(path)).bearer_auth(KEY);
    let models = receive(get("/v1/models")).await.expect("models").json();
    assert_eq!(models["data"][0]["id"], "m1");
    let tags = receive(get("/api/tags")).await.expect("tags").json();
    assert_eq!(tags["models"][0]["name"], "m1");
    let anthropic = get("/v1/models")
        .header("anthropic-version", "2023-06-01")
        .header("x-api-key", KEY);
    assert_eq!(
        receive(anthropic).await.expect("models").json()["data"][0]["type"],
        "model"
    );
    let missing = ask(&standin, CHAT, &json!({"model": "m2", "messages": []})).await;
    assert_eq!(
        (missing.status, &missing.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    let body = json!({"model": "m1", "input": ["big red dog", "big red cat", "tax law"], "dimensions": 64});
    let vectors = ask(&standin, "/v1/embeddings", &body).await.json();
    let vector = |i: usize| -> Vec<f64> {
        let numbers = vectors["data"][i]["embedding"].as_array().expect("a vector");
        numbers.iter().filter_map(Value::as_f64).collect()
    };
    let near = |a: usize, b: usize| -> f64 { vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum() };
    assert!(near(0, 1) > near(0, 2) && vector(0).len() == 64);
    assert_eq!(vectors["usage"]["prompt_tokens"], prompt_tokens(&body));
    let mut packed = body.clone();
    packed["encoding_format"] = json!("base64");
    let packed = ask(&standin, "/v1/embeddings", &packed).await.json();
    assert_eq!(packed["data"][0]["embedding"].as_str().map(str::len), Some(344));
    let counted = ask(&standin, "/v1/messages/count_tokens", &chat("x", false))
        .await
        .json();
    assert!(counted["input_tokens"].as_u64() > Some(0));
}

#[tokio::test]
async fn schemas_are_met() {
    let standin = StandIn::start().await;
    let schema =
        json!({"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}});
    let mut body = chat("x", false);
    body["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let got = ask(&standin, CHAT, &body).await.json();
    let text = got["choices"][0]["message"]["content"].as_str().expect("text");
    assert_eq!(
        serde_json::from_str::<Value>(text).expect("JSON"),
        json!({"name": "text", "n": 1})
    );
}

fn conversation(vendor: Vendor, with_result: bool) -> Value {
    let mut body = chat("weather?", false);
    let messages = body["messages"].as_array_mut().expect("messages");
    let (call, result) = match vendor {
        Vendor::OpenAi => (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "weather", "arguments": "{}"}}]}),
            json!({"role": "tool", "tool_call_id": "c1", "content": "sunny"}),
        ),
        Vendor::Anthropic => (
            json!({"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "weather", "input": {}}]}),
            json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "sunny"}]}),
        ),
    };
    messages.push(call);
    if with_result {
        messages.push(result);
    }
    body
}

#[tokio::test]
async fn tool_results_are_seen_and_must_be_there() {
    let standin = StandIn::start().await;
    let script = Script::new()
        .rule(when(fresh_tool_result("weather")).then_with(|r| Reply::text(&r.tool_results()[0].text)))
        .brain(|r| Reply::text(format!("turn {}", r.turns())));
    standin.script(script);
    for (vendor, path) in [(Vendor::OpenAi, CHAT), (Vendor::Anthropic, MESSAGES)] {
        let said = |got: Got| got.text.contains("sunny");
        assert!(said(ask(&standin, path, &conversation(vendor, true)).await));
        assert_eq!(
            ask(&standin, path, &conversation(vendor, false)).await.status,
            400
        );
        assert!(
            ask(&standin, path, &chat("x", false))
                .await
                .text
                .contains("turn 0")
        );
    }
}

#[tokio::test]
async fn a_body_in_chunks_is_read() {
    let standin = StandIn::start().await;
    let parts = [
        "{\"model\":\"m1\",\"mess",
        "ages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    ];
    let stream = futures::stream::iter(parts.map(|part| Ok::<_, std::io::Error>(part.to_owned())));
    let post = request(&standin, CHAT, &json!({})).body(reqwest::Body::wrap_stream(stream));
    let got = receive(post).await.expect("a response");
    assert!(got.text.contains("You said: hi"), "{}", got.text);
}
