//! A gate over the module, with a runner that performs external calls on the spot, and a stand-in server over HTTP.

use crate::standin::{Act, Standin};
use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{
    Actor, Channel, Clock, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, new_id,
};
use synapscale_mcp::{Mcp, McpConfig};
use synapscale_ops::{Answer, Envelope, ExternalRunner, Gate, GateConfig, Prepared, Registry, Sink};
use synapscale_store::Migrations;
use synapscale_testkit::TestDb;

/// The stand-in's binary.
pub const STANDIN: &str = env!("CARGO_BIN_EXE_mcp-standin");
/// A credential that must show nowhere.
pub const TOKEN: &str = "hunter2-hunter2";

/// Performs external calls without a run around them.
struct OnTheSpot(Gate);

#[async_trait]
impl ExternalRunner for OnTheSpot {
    async fn run_external(&self, _: &Ctx, prepared: Prepared) -> Result<Answer> {
        self.0.perform(&prepared, format!("key-{}", new_id())).await
    }
}

/// Everything that a test needs.
pub struct Home {
    pub gate: Gate,
    pub mcp: Mcp,
    pub ctx: Ctx,
    pub scratch: tempfile::TempDir,
}

/// A caller of a new tenant.
pub fn caller(permissions: &[&str]) -> Ctx {
    let grants = Grants::of(PermissionSet::parse(permissions).expect("permissions"));
    let origin = Origin::of(Channel::Rest);
    Ctx::authenticated(
        TenantId(new_id()),
        Actor::user(new_id()),
        grants,
        origin,
        Clock::system(),
    )
}

impl Home {
    pub async fn new(db: &TestDb) -> Self {
        Self::with(db, |_| {}).await
    }

    pub async fn with(db: &TestDb, change: impl FnOnce(&mut McpConfig)) -> Self {
        let scratch = tempfile::tempdir().expect("a folder");
        let mut config = McpConfig {
            stdio: vec![STANDIN.to_owned()],
            allow: vec!["127.0.0.1".parse().expect("a rule")],
            scratch: scratch.path().to_owned(),
            pause: Duration::from_millis(1500),
            ..McpConfig::default()
        };
        change(&mut config);
        let ops = synapscale_ops::module();
        // The module needs a store, and the check of statements the module's tables.
        let entities: Vec<_> = ops
            .entities
            .iter()
            .cloned()
            .chain(synapscale_mcp::entities())
            .collect();
        let store = db.open_bare(&entities).await;
        let mcp = Mcp::unattached(store.clone());
        mcp.attach(config).expect("attached");
        mcp.start().expect("started");
        let modules = [ops, mcp.module()];
        let migrations = modules.iter().flat_map(|module| module.migrations.clone());
        Migrations::new(migrations)
            .migrate(&store)
            .await
            .expect("migrated");
        let registry = Registry::new(&modules).expect("a registry");
        let gate = Gate::new(Arc::new(registry), store, GateConfig::default());
        gate.set_external(Arc::new(OnTheSpot(gate.clone())));
        Home {
            gate,
            mcp,
            ctx: caller(&["*"]),
            scratch,
        }
    }

    pub async fn call_as(&self, ctx: &Ctx, name: &str, input: Value) -> Result<Value> {
        let answer = self
            .gate
            .call(ctx, name, input, Envelope::default(), Sink::none())
            .await?;
        answer.output.to_value()
    }

    pub async fn call(&self, name: &str, input: Value) -> Result<Value> {
        self.call_as(&self.ctx, name, input).await
    }

    pub async fn ok(&self, name: &str, input: Value) -> Value {
        self.call(name, input)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Adds the stand-in as a process.
    pub async fn process(&self, name: &str, faults: &[&str], settings: Value) -> Value {
        let args: Vec<String> = faults.iter().map(|fault| format!("--fault={fault}")).collect();
        let input = json!({
            "name": name, "transport": "stdio", "command": STANDIN, "args": args,
            "env": {"STANDIN_TOKEN": TOKEN}, "settings": settings,
        });
        self.ok("mcp.servers.create", input).await
    }

    /// Adds a server over HTTP.
    pub async fn remote(&self, name: &str, server: &Remote, settings: Value) -> Value {
        let input = json!({
            "name": name, "transport": "http", "url": server.url(),
            "headers": {"Authorization": format!("Bearer {TOKEN}")}, "settings": settings,
        });
        self.ok("mcp.servers.create", input).await
    }

    /// Calls a tool by the carrier.
    pub async fn tool(&self, server: &str, tool: &str, arguments: Value) -> Result<Value> {
        self.call(
            "mcp.call",
            json!({"server": server, "tool": tool, "arguments": arguments}),
        )
        .await
    }

    pub async fn tool_fails(&self, server: &str, tool: &str, arguments: Value) -> Error {
        match self.tool(server, tool, arguments).await {
            Ok(answer) => panic!("{server}.{tool} answered {answer}"),
            Err(error) => error,
        }
    }

    /// The log as text, once it holds all of `words`: on PostgreSQL it waits for older transactions of others.
    pub async fn log_with(&self, words: &[&str]) -> String {
        for _ in 0..200 {
            let log = self.ok("events.list", json!({"limit": 200})).await.to_string();
            if words.iter().all(|word| log.contains(word)) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the log never holds {words:?}");
    }

    /// Waits for something to come true.
    pub async fn until<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
        for _ in 0..200 {
            if check().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never: {what}");
    }
}

/// The stand-in over HTTP.
pub struct Remote {
    address: SocketAddr,
    pub standin: Arc<Standin>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Remote {
    #[allow(clippy::disallowed_methods, reason = "the stand-in ends with its test")]
    pub async fn start() -> Self {
        let standin = Arc::new(Standin::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(serve).with_state(standin.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving");
        });
        Remote {
            address,
            standin,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }
}

fn with_type(kind: &'static str, body: String) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn serve(
    State(standin): State<Arc<Standin>>,
    method: axum::http::Method,
    headers: HeaderMap,
    body: String,
) -> Response {
    if method != axum::http::Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    if standin.has("unauthorized") {
        let shown = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let body = format!("not you: {shown}");
        return (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer")],
            body,
        )
            .into_response();
    }
    if standin.has("forbidden") {
        return StatusCode::FORBIDDEN.into_response();
    }
    if standin.has("busy") {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    if standin.has("broken") {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    if standin.has("redirect") {
        return (
            StatusCode::TEMPORARY_REDIRECT,
            [(header::LOCATION, "http://127.0.0.1:1/")],
        )
            .into_response();
    }
    if standin.has("flood") {
        return with_type(
            "application/json",
            format!("{{\"x\": \"{}\"}}", "y".repeat(20 << 20)),
        );
    }
    let message: Value = serde_json::from_str(&body).unwrap_or_default();
    let shown = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())));
    let surroundings = Value::Object(shown.collect());
    match standin.act(&message, &surroundings) {
        Act::Send(answer) => with_type("application/json", answer.to_string()),
        Act::SendBoth(first, answer) => with_type(
            "text/event-stream",
            format!("data: {first}\n\ndata: {answer}\n\n"),
        ),
        Act::Later(wait, answer) => {
            tokio::time::sleep(wait).await;
            with_type("application/json", answer.to_string())
        }
        Act::Raw(text) => with_type("text/html", text),
        Act::Die => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Act::Nothing if message.get("id").is_none() => StatusCode::ACCEPTED.into_response(),
        Act::Nothing => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            StatusCode::GATEWAY_TIMEOUT.into_response()
        }
    }
}
