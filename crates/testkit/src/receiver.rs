//! A stand-in for somebody's HTTP endpoint: keeps what it was sent and answers as told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub uri: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

#[derive(Clone)]
struct Plan {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    delay: Duration,
}

#[derive(Default)]
struct Inner {
    received: Mutex<Vec<Received>>,
    plans: Mutex<VecDeque<Plan>>,
}

/// The endpoint, on a free port of the loopback address.
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Starts listening; answers 200 until told otherwise.
    #[allow(clippy::disallowed_methods, reason = "the stand-in ends with its test")]
    pub async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Receiver { address, inner, task }
    }

    /// Its URL with `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers the next unplanned request with `status` after `delay`, with `headers`.
    pub fn plan(&self, status: u16, delay: Duration, headers: Vec<(&'static str, String)>) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.inner.plans.lock().expect("plans").push_back(Plan {
            status,
            headers,
            delay,
        });
    }

    /// What came in so far.
    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().expect("received").clone()
    }
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, &'static str) {
    let received = Received {
        method,
        uri: uri.to_string(),
        headers,
        body: body.to_vec(),
    };
    inner.received.lock().expect("received").push(received);
    let plan = inner.plans.lock().expect("plans").pop_front();
    let Some(plan) = plan else {
        return (StatusCode::OK, HeaderMap::new(), "{\"ok\":true}");
    };
    tokio::time::sleep(plan.delay).await;
    let mut headers = HeaderMap::new();
    for (name, value) in plan.headers {
        headers.insert(name, value.parse().expect("a header value"));
    }
    (plan.status, headers, "{\"planned\":true}")
}
