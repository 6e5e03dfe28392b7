//! A provider on a local port that plays a script per request, packet by packet: what a web framework would smooth
//! over is the point here.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synapscale_llm::{Deployment, RetryPolicy, Route, Router, RouterConfig, Secret, preset};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

pub const KEY: &str = "sk-very-secret-key-0123456789";

/// What to do on the connection.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    Wait(u64),
    Reset,
    /// Notes whether the client closes within so many milliseconds.
    AwaitClose(u64),
}

#[derive(Clone, Debug)]
pub struct Seen {
    pub head: String,
    pub body: Value,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    seen: Mutex<Vec<Seen>>,
    closed: Mutex<Vec<bool>>,
}

pub struct StandIn {
    pub url: String,
    shared: Arc<Shared>,
    tasks: TaskTracker,
}

/// A whole answer.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    vec![Step::Send((head + body).into_bytes())]
}

/// A stream in these packets, ended by closing.
pub fn stream(packets: &[&[u8]]) -> Vec<Step> {
    let mut steps = vec![head()];
    for packet in packets {
        steps.extend([Step::Send(packet.to_vec()), Step::Wait(2)]);
    }
    steps
}

pub fn head() -> Step {
    Step::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec())
}

impl StandIn {
    pub async fn new(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}/v1", listener.local_addr().expect("addr"));
        let shared = Arc::new(Shared {
            scripts: Mutex::new(scripts.into()),
            ..Shared::default()
        });
        let tasks = TaskTracker::new();
        let (inner, spawner) = (Arc::clone(&shared), tasks.clone());
        tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                spawner.spawn(serve(socket, Arc::clone(&inner)));
            }
        });
        StandIn { url, shared, tasks }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("seen").clone()
    }

    /// Waits until a connection was seen to close, or not.
    pub async fn closed(&self) -> bool {
        for _ in 0..300 {
            if let Some(closed) = self.shared.closed.lock().expect("closed").pop() {
                return closed;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    pub fn deployment(&self, preset_name: &str) -> Deployment {
        let preset = preset(preset_name).expect("preset");
        let mut deployment = Deployment::new(format!("d-{}", self.url), preset, "model-x")
            .with_base_url(&self.url)
            .with_key(Secret::new(KEY.to_owned()));
        deployment.retry = RetryPolicy {
            retries: 2,
            base: Duration::from_millis(5),
            cap: Duration::from_secs(2),
        };
        deployment
    }

    pub fn route(&self, preset_name: &str) -> Route {
        Route::new("test", vec![Arc::new(self.deployment(preset_name))])
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.tasks.close();
    }
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) {
    let Some(seen) = read_request(&mut socket).await else {
        return;
    };
    shared.seen.lock().expect("seen").push(seen);
    let script = shared.scripts.lock().expect("scripts").pop_front();
    for step in script.unwrap_or_else(|| answer(500, "", r#"{"error":{"message":"no script left"}}"#)) {
        match step {
            Step::Send(bytes) => {
                if socket.write_all(&bytes).await.is_err() {
                    return;
                }
                let _ = socket.flush().await;
            }
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Step::Reset => {
                let _ = socket.set_zero_linger();
                return;
            }
            Step::AwaitClose(ms) => {
                let mut byte = [0];
                let read = tokio::time::timeout(Duration::from_millis(ms), socket.read(&mut byte)).await;
                let closed = matches!(read, Ok(Ok(0) | Err(_)));
                shared.closed.lock().expect("closed").push(closed);
            }
        }
    }
    let _ = socket.shutdown().await;
}

async fn read_request(socket: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = socket.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        if bytes.len() >= end + 4 + length {
            let body = serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default();
            return Some(Seen { head, body });
        }
    }
}

pub fn router() -> Router {
    Router::new(RouterConfig::default()).expect("router")
}

/// An answer of OpenAI's kind.
pub fn openai_text(text: &str) -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "model-x-1", "system_fingerprint": "fp",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4}}
    })
    .to_string()
}
