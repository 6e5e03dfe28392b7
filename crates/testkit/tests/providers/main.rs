//! The stand-in providers, tried with a client.

mod faults;
mod formats;
mod ledger;

use futures::StreamExt;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use synapscale_testkit::providers::{KEY, StandIn};

/// What a client got.
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    /// As far as it came.
    pub text: String,
    /// The body's frames as the client's HTTP gave them out.
    pub frames: Vec<Vec<u8>>,
    /// Whether the body ended as it should.
    pub whole: bool,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// The data of a stream's events, those that are JSON.
    pub fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The strings found at a place of each event, joined.
    pub fn joined(&self, pointer: &str) -> String {
        let events = self.events();
        events
            .iter()
            .filter_map(|e| e.pointer(pointer)?.as_str())
            .collect()
    }
}

pub fn request(standin: &StandIn, path: &str, body: &Value) -> reqwest::RequestBuilder {
    let request = reqwest::Client::new().post(standin.url(path)).json(body);
    if path.starts_with("/v1/messages") {
        request
            .header("x-api-key", KEY)
            .header("anthropic-version", "2023-06-01")
    } else {
        request.bearer_auth(KEY)
    }
}

pub async fn receive(request: reqwest::RequestBuilder) -> reqwest::Result<Got> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut stream = response.bytes_stream();
    let (mut frames, mut whole) = (Vec::new(), true);
    while let Some(frame) = stream.next().await {
        match frame {
            Ok(bytes) => frames.push(bytes.to_vec()),
            Err(_) => whole = false,
        }
    }
    let text = String::from_utf8_lossy(&frames.concat()).into_owned();
    Ok(Got {
        status,
        headers,
        text,
        frames,
        whole,
    })
}

pub async fn ask(standin: &StandIn, path: &str, body: &Value) -> Got {
    receive(request(standin, path, body)).await.expect("a response")
}

pub const CHAT: &str = "/v1/chat/completions";
pub const MESSAGES: &str = "/v1/messages";

/// A request for a chat that either vendor takes.
pub fn chat(text: &str, stream: bool) -> Value {
    let mut body = json!({
        "model": "m1", "max_tokens": 100, "stream": stream, "messages": [{"role": "user", "content": text}],
    });
    if stream {
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}
