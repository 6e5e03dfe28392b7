//! A stand-in for a collector of traces: takes OTLP over HTTP, keeps the spans, and can be told to be ill.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How the collector is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Takes everything.
    #[default]
    Well,
    /// Answers this status.
    Refusing(u16),
    /// Takes connections and never answers.
    Hanging,
}

/// One exported span, in plain values.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its name.
    pub name: String,
    /// The trace's id, in hex.
    pub trace_id: String,
    /// Its id, in hex.
    pub span_id: String,
    /// Its parent's id, in hex; empty for none.
    pub parent: String,
    /// The number of its kind: 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// The number of its status: 0 unset, 1 good, 2 failed.
    pub status: i32,
    /// The number of its events.
    pub events: usize,
    /// Its attributes.
    pub attributes: Map<String, Value>,
    /// The attributes of the process.
    pub resource: Map<String, Value>,
}

#[derive(Default)]
struct Inner {
    health: Mutex<Health>,
    requests: Mutex<Vec<(Uri, HeaderMap, Vec<u8>)>>,
}

/// The collector, on a free port of the loopback address.
pub struct Collector {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Starts listening.
    #[allow(clippy::disallowed_methods, reason = "the stand-in ends with its test")]
    pub async fn start() -> Self {
        let inner = Arc::new(Inner::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(take).with_state(inner.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Collector { address, inner, task }
    }

    /// Its address, as a setting.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it is like this.
    pub fn set(&self, health: Health) {
        *self.inner.health.lock().expect("health") = health;
    }

    /// Path and headers of every request, refused ones too.
    pub fn requests(&self) -> Vec<(Uri, HeaderMap)> {
        let requests = self.inner.requests.lock().expect("requests");
        requests
            .iter()
            .map(|(uri, headers, _)| (uri.clone(), headers.clone()))
            .collect()
    }

    /// The bodies of every request, as they came.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        let requests = self.inner.requests.lock().expect("requests");
        requests.iter().map(|(_, _, body)| body.clone()).collect()
    }

    /// Every span that came, again for a batch that came again.
    pub fn spans(&self) -> Vec<Exported> {
        let bodies = self.bodies();
        let requests = bodies
            .iter()
            .map(|body| ExportTraceServiceRequest::decode(&body[..]).expect("an export request"));
        requests
            .flat_map(|request| request.resource_spans)
            .flat_map(exported)
            .collect()
    }

    /// Waits until `enough` of what came, and answers it.
    pub async fn wait(&self, within: Duration, enough: impl Fn(&[Exported]) -> bool) -> Vec<Exported> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if enough(&spans) {
                return spans;
            }
            let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
            assert!(
                began.elapsed() < within,
                "the spans never came; there are {names:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn take(State(inner): State<Arc<Inner>>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    inner
        .requests
        .lock()
        .expect("requests")
        .push((uri, headers, body.to_vec()));
    let health = *inner.health.lock().expect("health");
    match health {
        Health::Well => StatusCode::OK,
        Health::Refusing(status) => StatusCode::from_u16(status).expect("a status"),
        Health::Hanging => std::future::pending().await,
    }
}

fn exported(of: ResourceSpans) -> Vec<Exported> {
    let resource = plain(of.resource.unwrap_or_default().attributes);
    let spans = of.scope_spans.into_iter().flat_map(|scope| scope.spans);
    spans.map(|span| read(span, &resource)).collect()
}

fn read(span: Span, resource: &Map<String, Value>) -> Exported {
    Exported {
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind,
        status: span.status.map_or(0, |status| status.code),
        events: span.events.len(),
        attributes: plain(span.attributes),
        resource: resource.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn plain(attributes: Vec<KeyValue>) -> Map<String, Value> {
    let pairs = attributes.into_iter();
    pairs
        .map(|pair| (pair.key, pair.value.map_or(Value::Null, value)))
        .collect()
}

fn value(value: AnyValue) -> Value {
    match value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(list)) => Value::Array(list.values.into_iter().map(self::value).collect()),
        Some(Any::KvlistValue(list)) => Value::Object(plain(list.values)),
        _ => Value::Null,
    }
}
