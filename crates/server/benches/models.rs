//! Our share of a model call: what the service adds to the bare request, in the same process and the same run.

use crate::harness::{Measured, Process};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use futures::future::join_all;
use futures::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_core::{Actor, Channel, Clock, Ctx, Grants, Origin, PermissionSet, TenantId, new_id};
use synapscale_llm::model::{ChatRequest, Delta, Message};
use synapscale_llm::service::{Models, ModelsConfig};
use synapscale_llm::{NoSink, Sink, SinkClosed};
use synapscale_ops::{Envelope, Gate, GateConfig, Registry};
use synapscale_store::{DatabaseUrl, MasterKey, Migrations, SecretBox, Store, StoreConfig};
use tokio_util::sync::CancellationToken;

/// Calls at once.
const CALLERS: usize = 8;
/// How often floor and service take turns, so that both meet the same machine.
const TURNS: u32 = 4;
/// Pieces of the stream.
const CHUNKS: usize = 200;
const QUESTION: &str = "What is the answer to the question that nobody has asked so far?";
const KEY: &str = "sk-of-the-benchmark";

/// A provider that answers the same each time: whole at `/whole`, in pieces at `/pieces`.
#[allow(clippy::disallowed_methods, reason = "the provider ends with the benchmark")]
async fn provider() -> String {
    let usage = json!({ "prompt_tokens": 17, "completion_tokens": 200, "total_tokens": 217 });
    let whole = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "model": "bench", "usage": usage,
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": { "role": "assistant", "content": "Forty-two. ".repeat(18) },
        }],
    });
    let whole = Bytes::from(whole.to_string());
    let event = |delta: Value, finish: Value, usage: Value| {
        let event = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "bench", "usage": usage,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }],
        });
        Bytes::from(format!("data: {event}\n\n"))
    };
    let mut pieces: Vec<Bytes> = (0..CHUNKS)
        .map(|_| event(json!({ "content": "word " }), Value::Null, Value::Null))
        .collect();
    pieces.push(event(json!({}), json!("stop"), usage));
    pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
    let pieces = Arc::new(pieces);
    let router = Router::new()
        .route(
            "/whole/chat/completions",
            post(move || {
                let whole = whole.clone();
                async move { ([(CONTENT_TYPE, "application/json")], whole) }
            }),
        )
        .route(
            "/pieces/chat/completions",
            post(move || {
                let pieces = pieces.clone();
                async move {
                    let all = (0..pieces.len()).map(move |at| Ok::<_, Infallible>(pieces[at].clone()));
                    let body = Body::from_stream(stream::iter(all));
                    ([(CONTENT_TYPE, "text/event-stream")], body)
                }
            }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
    format!("http://{address}")
}

/// The service with one provider for each way of answering.
async fn service(url: &str, folder: &std::path::Path) -> (Models, Ctx) {
    let key = MasterKey::load_or_create(&folder.join("master.key")).expect("a key");
    let secrets = SecretBox::new(&key).expect("a box");
    let config = StoreConfig::new(DatabaseUrl::Sqlite(folder.join("synapscale.db")));
    let store = Store::open(config, secrets, Clock::system(), None)
        .await
        .expect("a database");
    let settings = ModelsConfig {
        allow: vec!["127.0.0.1".parse().expect("a rule")],
        spill: Some(folder.join("usage")),
        ..ModelsConfig::default()
    };
    let models = Models::new(store.clone(), Clock::system(), settings).expect("a service");
    let modules = [synapscale_ops::module(), models.module()];
    let migrations = modules.iter().flat_map(|module| module.migrations.clone());
    Migrations::new(migrations)
        .migrate(&store)
        .await
        .expect("migrated");
    let registry = Arc::new(Registry::new(&modules).expect("a registry"));
    let gate = Gate::new(registry, store, GateConfig::default());
    let ctx = Ctx::authenticated(
        TenantId(new_id()),
        Actor::user(new_id()),
        Grants::of(PermissionSet::all()),
        Origin::of(Channel::Rest),
        Clock::system(),
    );
    for name in ["whole", "pieces"] {
        let input = json!({
            "name": name, "preset": "openai_compatible", "base_url": format!("{url}/{name}"), "key": KEY,
        });
        let sink = synapscale_ops::Sink::none();
        gate.call(&ctx, "providers.create", input, Envelope::default(), sink)
            .await
            .expect("a provider");
    }
    models.start().expect("started");
    (models, ctx)
}

/// Takes the pieces as a listener would, and counts them.
struct Heard(usize);

#[async_trait::async_trait]
impl Sink for Heard {
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed> {
        self.0 += usize::from(matches!(delta, Delta::Text { .. }));
        Ok(())
    }
}

/// What many calls took together.
#[derive(Default)]
struct Sum {
    times: Vec<Duration>,
    span: Duration,
    cpu: f64,
}

impl Sum {
    /// Calls for so long.
    async fn turn<Fut: Future<Output = ()>>(&mut self, span: Duration, call: impl Fn() -> Fut) {
        let process = Process::of(std::process::id());
        let (cpu, began) = (process.cpu(), Instant::now());
        let callers = (0..CALLERS).map(|_| async {
            let mut times = Vec::new();
            while began.elapsed() < span {
                let one = Instant::now();
                call().await;
                times.push(one.elapsed());
            }
            times
        });
        let times = join_all(callers).await;
        self.times.extend(times.into_iter().flatten());
        self.span += began.elapsed();
        self.cpu += process.cpu() - cpu;
    }

    fn measured(self, name: &str, database: &str) -> Measured {
        Measured::new(name, database, self.times, self.span, self.cpu)
    }
}

/// The same request without us.
async fn bare(client: &reqwest::Client, url: &str, body: &Bytes) {
    let request = client
        .post(url)
        .bearer_auth(KEY)
        .header(CONTENT_TYPE, "application/json")
        .body(body.clone());
    let mut answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success());
    while answer.chunk().await.expect("a body").is_some() {}
}

/// Both ways of answering, each with its floor and the difference.
pub async fn measure(span: Duration) -> Vec<Measured> {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let url = provider().await;
    let (models, ctx) = service(&url, folder.path()).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = ChatRequest::new(vec![Message::user(QUESTION)]);
    let nobody = CancellationToken::new();
    let mut rows = Vec::new();
    for (way, title) in [("whole", "whole"), ("pieces", "stream of 200 chunks")] {
        let streams = way == "pieces";
        let body = json!({
            "model": "m", "stream": streams, "messages": [{ "role": "user", "content": QUESTION }],
        });
        let body = Bytes::from(body.to_string());
        let (address, model) = (format!("{url}/{way}/chat/completions"), format!("{way}/m"));
        let floor_call = || bare(&client, &address, &body);
        let own_call = || async {
            let done = if streams {
                let mut heard = Heard(0);
                let done = models.chat(&ctx, &model, &request, &nobody, &mut heard).await;
                assert_eq!(heard.0, CHUNKS);
                done
            } else {
                models.chat(&ctx, &model, &request, &nobody, &mut NoSink).await
            };
            let answer = done.expect("an answer");
            assert_eq!(answer.usage.output, Some(200));
        };
        let warm = Duration::from_secs(1);
        Sum::default().turn(warm, floor_call).await;
        Sum::default().turn(warm, own_call).await;
        let (mut floor, mut own) = (Sum::default(), Sum::default());
        for _ in 0..TURNS {
            floor.turn(span / TURNS, floor_call).await;
            own.turn(span / TURNS, own_call).await;
        }
        let floor = floor.measured(&format!("floor: a bare model call, {title}"), "-");
        let own = own.measured(&format!("a model call, {title}"), "sqlite");
        let share = own.beyond(&floor, &format!("our share of a model call, {title}"));
        rows.extend([floor, own, share]);
    }
    models.stop().await;
    let figures = models.figures().expect("figures");
    assert_eq!(figures.lost(), 0, "usage was written");
    rows
}
