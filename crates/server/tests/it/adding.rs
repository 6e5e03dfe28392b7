//! Adding an operation is one definition: it is at once in REST, OpenAPI, MCP, the command line and workflows.

use crate::process::BINARY;
use reqwest::{Client, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use synapscale_core::{Clock, Error};
use synapscale_identity::{BootstrapInput, bootstrap};
use synapscale_ops::{ExternalCx, Module, Operation, Outcome};
use synapscale_server::serve::Listeners;
use synapscale_server::{App, Config, telemetry};
use synapscale_store::{Redis, Tx};
use tokio_util::sync::CancellationToken;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Greet {
    /// Whom to greet.
    #[schemars(length(min = 1, max = 20))]
    name: String,
}

#[derive(Serialize, JsonSchema)]
struct Greeting {
    /// The words.
    text: String,
}

/// The one definition.
fn greet() -> Operation {
    Operation::write("greetings.create", "Greet somebody")
        .about("Greets somebody by name.")
        .permission("greetings:write")
        .rest(Method::POST, "/greetings/{name}")
        .handle(|_: Tx, input: Arc<Greet>| async move {
            let text = format!("Hello {}", input.name);
            Ok(Outcome::Done(Greeting { text }))
        })
}

/// How often the outside was called.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// One that reaches out of the database.
fn send() -> Operation {
    Operation::external("greetings.send", "Send a greeting")
        .about("Sends a greeting to the outside.")
        .permission("greetings:write")
        .rest(Method::POST, "/greetings/{name}/send")
        .handle_external(|_: ExternalCx, input: Arc<Greet>| async move {
            CALLS.fetch_add(1, Ordering::SeqCst);
            match input.name.as_str() {
                "Nobody" => Err(Error::unavailable("nobody", "Nobody is there.")),
                name => Ok(Greeting {
                    text: format!("Sent to {name}"),
                }),
            }
        })
}

pub struct Running {
    pub url: String,
    key: String,
    pub client: Client,
    pub stop: CancellationToken,
    served: tokio::task::JoinHandle<synapscale_core::Result<()>>,
    _folder: tempfile::TempDir,
}

async fn start() -> Running {
    let mut module = Module::new("greetings");
    module.operations = vec![greet(), send()];
    start_with(module, None).await
}

/// A server with one more module.
#[allow(clippy::disallowed_methods, reason = "the server ends with its test")]
pub async fn start_with(module: Module, redis: Option<Redis>) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut config = Config::dev(folder.path().to_owned(), any);
    config.redis = redis;
    let figures = telemetry::start_metrics().expect("metrics");
    let app = App::build_with(config, figures, vec![module])
        .await
        .expect("an app");
    let input = BootstrapInput {
        email: "owner@example.com".into(),
        workspace: "Test".into(),
        password: None,
        further: false,
    };
    let made = bootstrap(app.store(), &Clock::system(), input)
        .await
        .expect("an owner");
    let listeners = Listeners::bind(any, None).await.expect("a port");
    let url = format!("http://{}", listeners.address().expect("an address"));
    let stop = CancellationToken::new();
    let served = tokio::spawn(app.serve(listeners, stop.clone()));
    let client = Client::builder().no_proxy().build().expect("a client");
    Running {
        url,
        key: made.api_key.to_string(),
        client,
        stop,
        served,
        _folder: folder,
    }
}

impl Running {
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let bare = method == Method::GET;
        let request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
            .header("accept", "application/json, text/event-stream");
        let request = if bare { request } else { request.json(&body) };
        let answer = request.send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json().await.unwrap_or(Value::Null),
        )
    }

    pub async fn cli(&self, args: &[&str]) -> String {
        let output = tokio::process::Command::new(BINARY)
            .args(args)
            .args(["--server", &self.url, "--key", &self.key])
            .output()
            .await
            .expect("the binary runs");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {out}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        out
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_definition_is_met_everywhere() {
    let server = start().await;
    let hello = json!({ "text": "Hello Ada" });

    assert_eq!(
        server.ask(Method::POST, "/api/v1/greetings/Ada", json!({})).await,
        (201, hello.clone())
    );
    let (status, problem) = server
        .ask(Method::POST, "/api/v1/greetings/Ada", json!({ "nmae": 1 }))
        .await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (422, &json!("/nmae")),
        "{problem}"
    );

    let (_, openapi) = server.ask(Method::GET, "/api/v1/openapi.json", Value::Null).await;
    let paths = openapi["paths"].as_object().expect("paths");
    let path = paths
        .get("/api/v1/greetings/{name}")
        .or_else(|| paths.get("/greetings/{name}"));
    assert_eq!(path.expect("the path")["post"]["operationId"], "greetings_create");

    let call = |method: &str, params: Value| {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let server = &server;
        async move { server.ask(Method::POST, "/mcp", body).await.1["result"].clone() }
    };
    let found = call(
        "tools/call",
        json!({ "name": "ops_search", "arguments": { "query": "greet somebody" } }),
    )
    .await;
    assert_eq!(
        found["structuredContent"]["operations"][0]["operation"], "greetings.create",
        "{found}"
    );
    let called = call(
        "tools/call",
        json!({ "name": "greetings_create", "arguments": { "name": "Ada" } }),
    )
    .await;
    assert_eq!(called["structuredContent"], hello, "{called}");

    assert!(server.cli(&["ops"]).await.contains("greetings.create"));
    let called = server
        .cli(&["call", "greetings.create", "--input", r#"{"name":"Ada"}"#])
        .await;
    assert_eq!(serde_json::from_str::<Value>(&called).expect("JSON"), hello);

    let file = json!({ "name": "greeter", "nodes": {
        "start": { "kind": "trigger.manual@1" },
        "greet": { "kind": "operation@1", "after": "start", "with": {
            "operation": "greetings.create", "input": { "name": "{{ input.who }}" },
        } },
    } });
    let (status, applied) = server
        .ask(Method::PUT, "/api/v1/workflows/greeter", json!({ "file": file }))
        .await;
    assert!([200, 201].contains(&status), "{applied}");
    let input = json!({ "input": { "who": "Ada" } });
    let (_, started) = server
        .ask(Method::POST, "/api/v1/workflows/greeter/runs", input)
        .await;
    let path = format!(
        "/api/v1/runs/{}",
        started["run_id"].as_str().unwrap_or_else(|| panic!("{started}"))
    );
    let mut run = Value::Null;
    for _ in 0..200 {
        run = server.ask(Method::GET, &path, Value::Null).await.1;
        if run["status"] == "succeeded" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(run["output"], hello, "{run}");

    server.stop.cancel();
    server.served.await.expect("no panic").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_call_is_a_run_of_one_node() {
    let server = start().await;
    let (status, sent) = server
        .ask(Method::POST, "/api/v1/greetings/Ada/send", json!({}))
        .await;
    assert_eq!(
        (status, &sent),
        (200, &json!({ "text": "Sent to Ada" })),
        "{sent}"
    );
    let (_, runs) = server.ask(Method::GET, "/api/v1/runs", Value::Null).await;
    assert_eq!(runs["items"][0]["status"], "succeeded", "{runs}");
    let path = format!(
        "/api/v1/runs/{}/steps",
        runs["items"][0]["id"].as_str().expect("an id")
    );
    let (_, steps) = server.ask(Method::GET, &path, Value::Null).await;
    assert_eq!(steps["steps"][0]["node"], "call", "{steps}");

    let (status, refused) = server
        .ask(Method::POST, "/api/v1/greetings/Nobody/send", json!({}))
        .await;
    assert_eq!((status, &refused["code"]), (503, &json!("nobody")), "{refused}");

    let before = CALLS.load(Ordering::SeqCst);
    let keyed = async |name: &str| {
        let url = format!("{}/api/v1/greetings/{name}/send", server.url);
        let request = server
            .client
            .post(url)
            .bearer_auth(&server.key)
            .header("idempotency-key", "once");
        let answer = request.json(&json!({})).send().await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.expect("JSON"),
        )
    };
    assert_eq!(keyed("Eve").await, (200, json!({ "text": "Sent to Eve" })));
    assert_eq!(keyed("Eve").await, (200, json!({ "text": "Sent to Eve" })));
    assert_eq!(
        CALLS.load(Ordering::SeqCst),
        before + 1,
        "the same key is the same call"
    );
    assert_eq!(keyed("Bob").await.0, 422, "the same key with another input");

    server.stop.cancel();
    server.served.await.expect("no panic").expect("a clean end");
}
