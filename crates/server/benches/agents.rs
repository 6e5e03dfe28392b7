//! What an agent costs beyond its model: turns and tool calls, all journalled; and the memory of many that speak at once.

use crate::harness::{Measured, Server};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use futures::future::join_all;
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// Agents at work at the same time.
const CALLERS: usize = 64;
/// Agents that speak at once while memory is read.
const STREAMS: usize = 200;

fn event(delta: &Value, finish: Option<&str>, usage: Option<&Value>) -> Bytes {
    let event = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "bench", "usage": usage,
        "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
    });
    Bytes::from(format!("data: {event}\n\n"))
}

/// How often the tool is to be called: the number that the agent's task ends with.
fn wanted(messages: &[Value]) -> usize {
    let task = messages.iter().rev().find(|message| message["role"] == "user");
    let digit = task.and_then(|task| task.to_string().chars().rev().find_map(|c| c.to_digit(10)));
    digit.map_or(1, |digit| digit as usize)
}

/// As many calls of a tool as are wanted, one a turn, then an answer; to who asks for it, a word every 50 ms without end.
async fn answer(body: Bytes) -> ([(axum::http::HeaderName, &'static str); 1], Body) {
    let asked: Value = serde_json::from_slice(&body).expect("JSON");
    let messages = asked["messages"].as_array().expect("messages");
    let kind = [(CONTENT_TYPE, "text/event-stream")];
    if messages
        .iter()
        .any(|message| message.to_string().contains("endless"))
    {
        let words = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((
                Ok::<_, Infallible>(event(&json!({ "content": "word " }), None, None)),
                (),
            ))
        });
        return (kind, Body::from_stream(words));
    }
    let usage = json!({ "prompt_tokens": 200, "completion_tokens": 20, "total_tokens": 220 });
    let called = messages
        .iter()
        .filter(|message| message["role"] == "tool")
        .count();
    let (delta, finish) = match called >= wanted(messages) {
        true => (json!({ "content": "There is one project." }), "stop"),
        false => {
            // Never twice the same, which would be taken for a circle.
            let arguments = json!({ "limit": called + 1 }).to_string();
            let function = json!({ "name": "projects_list", "arguments": arguments });
            let id = format!("call_{called}");
            let call = json!({ "index": 0, "id": id, "type": "function", "function": function });
            (json!({ "tool_calls": [call] }), "tool_calls")
        }
    };
    let mut all = event(&delta, None, None).to_vec();
    all.extend_from_slice(&event(&json!({}), Some(finish), Some(&usage)));
    all.extend_from_slice(b"data: [DONE]\n\n");
    (kind, Body::from(all))
}

#[allow(clippy::disallowed_methods, reason = "the provider ends with the benchmark")]
async fn provider() -> String {
    let router = Router::new().route("/v1/chat/completions", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
    format!("http://{address}/v1")
}

async fn start(server: &Server, input: &str) -> String {
    let task = json!({ "agent": "bench", "input": input });
    let started = server.ask(Method::POST, "/api/v1/agents/run", task).await;
    started["run_id"].as_str().expect("a run").to_owned()
}

/// One agent from its start to its end: as many calls of a tool, and a turn more.
async fn work(server: &Server, calls: usize) -> Duration {
    let began = Instant::now();
    let run = start(server, &format!("What is there? Look as often: {calls}")).await;
    let mut ended = server.listen(&run).await;
    while let Some(Ok(_)) = ended.next().await {}
    began.elapsed()
}

/// Agents side by side, each with that many calls of a tool.
async fn many(server: &Server, name: &str, calls: usize, span: Duration) -> Measured {
    let (began, cpu) = (Instant::now(), server.cpu());
    let callers = (0..CALLERS).map(|_| async {
        let mut times = Vec::new();
        while began.elapsed() < span {
            times.push(work(server, calls).await);
        }
        times
    });
    let times: Vec<Duration> = join_all(callers).await.into_iter().flatten().collect();
    server.measured(name, times, began.elapsed(), server.cpu() - cpu)
}

/// The figures of agents on this server.
pub async fn measure(server: &Server, span: Duration) -> Vec<Measured> {
    let provider = json!({
        "name": "bench", "preset": "openai_compatible", "base_url": provider().await, "key": "sk-bench",
        "settings": { "default_model": "bench" },
    });
    server
        .ask(Method::POST, "/api/v1/models/providers", provider)
        .await;
    let agent = json!({ "name": "bench", "spec": { "tools": [{ "name": "projects.list" }] } });
    server.ask(Method::POST, "/api/v1/agents", agent).await;
    work(server, 1).await;
    let run = many(server, "an agent: two turns, one tool call", 1, span).await;
    let longer = many(server, "an agent: six turns, five tool calls", 5, span).await;
    let turn = longer.each_of(4, &run, "an agent's turn with one tool call");
    let runs = join_all((0..STREAMS).map(|_| start(server, "endless"))).await;
    let mut heard = join_all(runs.iter().map(|run| server.listen(run))).await;
    for stream in &mut heard {
        stream.next().await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let memory = server.memory("resident memory, 200 agents speaking and heard");
    drop(heard);
    let cancel = |run: &String| {
        let path = format!("/api/v1/runs/{run}/cancel");
        async move { server.ask(Method::POST, &path, json!({})).await }
    };
    join_all(runs.iter().map(cancel)).await;
    vec![run, longer, turn, memory]
}
