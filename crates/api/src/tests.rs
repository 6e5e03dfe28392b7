//! The whole router over a registry of three operations.

use crate::{ApiConfig, Authenticate, document, router};
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::{Method, Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use synapscale_core::{Actor, Clock, Ctx, Error, Grants, Origin, PermissionSet, Result, TenantId, new_id};
use synapscale_ops::{Gate, GateConfig, Module, Operation, Outcome, Registry, Revisioned};
use synapscale_store::{Migrations, Tx};
use synapscale_testkit::TestDb;
use tower::ServiceExt;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetNote {
    id: i64,
    #[serde(default)]
    tags: Vec<String>,
    /// Text to look for.
    #[serde(default)]
    query: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateNote {
    project_id: String,
    #[schemars(length(min = 1, max = 20))]
    title: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Serialize, JsonSchema)]
struct Note {
    id: i64,
    text: String,
    revision: i64,
}

impl Revisioned for Note {
    fn revision(&self) -> i64 {
        self.revision
    }
}

fn note(id: i64, text: String) -> Note {
    Note {
        id,
        text,
        revision: 7,
    }
}

fn registry() -> Arc<Registry> {
    let get = Operation::read("notes.get", "Get a note")
        .about("Reads one note.")
        .permission("notes:read")
        .rest(Method::GET, "/notes/{id}")
        .revisioned()
        .handle(|_: Tx, input: Arc<GetNote>| async move {
            let text = [input.tags.join("+"), input.query.clone().unwrap_or_default()].join("/");
            Ok(note(input.id, text))
        });
    let create = Operation::write("notes.create", "Create a note")
        .permission("notes:write")
        .rest(Method::POST, "/projects/{project_id}/notes")
        .handle(|_: Tx, input: Arc<CreateNote>| async move {
            let text = format!("{}: {}", input.project_id, input.title);
            Ok(Outcome::Done(note(1, text)))
        });
    let hidden = Operation::read("notes.hidden", "Hidden")
        .permission("notes:read")
        .rest(Method::GET, "/hidden")
        .internal()
        .handle(|_: Tx, _: Arc<Nothing>| async move { Ok(note(0, String::new())) });
    let module = Module::new("notes").operations([get, create, hidden]);
    Arc::new(Registry::new(&[module, synapscale_ops::module()]).expect("a registry"))
}

struct Keys;

#[async_trait]
impl Authenticate for Keys {
    async fn bearer(&self, token: &str, origin: Origin) -> Result<Ctx> {
        let grants = match token {
            "all" => PermissionSet::all(),
            "none" => PermissionSet::none(),
            _ => return Err(Error::unauthenticated()),
        };
        let (tenant, actor) = (TenantId(new_id()), Actor::user(new_id()));
        Ok(Ctx::authenticated(
            tenant,
            actor,
            Grants::of(grants),
            origin,
            Clock::system(),
        ))
    }
}

struct App {
    router: Router,
    _db: TestDb,
}

impl App {
    async fn new() -> Self {
        let db = TestDb::sqlite();
        let ops = synapscale_ops::module();
        let store = db.open(&Migrations::new(ops.migrations), &ops.entities).await;
        let gate = Gate::new(registry(), store, GateConfig::default());
        let config = ApiConfig {
            mcp_core: vec!["notes.get"],
            ..ApiConfig::default()
        };
        let panics = axum::routing::get(|| async {
            if true {
                panic!("secret words");
            }
        });
        let extra = Router::new().route("/boom", panics);
        App {
            router: router(gate, Arc::new(Keys), config, extra),
            _db: db,
        }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        self.router.clone().oneshot(request).await.expect("infallible")
    }
}

async fn json_of(response: Response) -> Value {
    let bytes = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    serde_json::from_slice(&bytes).expect("JSON")
}

const KEY: (&str, &str) = ("authorization", "Bearer all");
const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn the_document_tells_of_every_rest_operation() {
    let registry = registry();
    let doc = document(&registry, "1.2.3", "https://example.test/");
    assert_eq!(doc["openapi"], "3.1.0");
    assert_eq!(doc["info"]["version"], "1.2.3");
    assert_eq!(doc["servers"][0]["url"], "https://example.test/api/v1");
    assert!(doc["paths"].get("/hidden").is_none());
    let get = &doc["paths"]["/notes/{id}"]["get"];
    assert_eq!(get["operationId"], "notes_get");
    assert_eq!(get["x-permission"], "notes:read");
    assert_eq!(get["tags"], json!(["notes"]));
    assert!(get.get("requestBody").is_none());
    assert!(get["responses"]["200"]["headers"].get("ETag").is_some());
    let create = &doc["paths"]["/projects/{project_id}/notes"]["post"];
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["required"], json!(["title"]));
    assert!(create["responses"].get("201").is_some());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let doc = document(&registry(), "1", "");
    let mut todo = vec![&doc];
    let mut seen = 0;
    while let Some(value) = todo.pop() {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            seen += 1;
            let pointer = target.strip_prefix('#').expect("a local reference");
            assert!(doc.pointer(pointer).is_some(), "{target}");
        }
        match value {
            Value::Object(object) => todo.extend(object.values()),
            Value::Array(items) => todo.extend(items),
            _ => {}
        }
    }
    assert!(seen > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_takes_path_and_query_and_gives_a_tag() {
    let app = App::new().await;
    let path = "/api/v1/notes/5?tags=a&tags=b&query=1";
    let response = app.send("GET", path, &[KEY], "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["etag"], "\"7\"");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(
        json_of(response).await,
        json!({"id": 5, "text": "a+b/1", "revision": 7})
    );

    let again = app
        .send("GET", path, &[KEY, ("if-none-match", "\"7\"")], "")
        .await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let head = app.send("HEAD", path, &[KEY], "").await;
    assert_eq!(head.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_takes_path_and_body() {
    let app = App::new().await;
    let path = "/api/v1/projects/p/notes";
    let response = app.send("POST", path, &[KEY, JSON], r#"{"title":"t"}"#).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(json_of(response).await["text"], "p: t");

    let text = app
        .send("POST", path, &[KEY, ("content-type", "text/plain")], "{}")
        .await;
    assert_eq!(text.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let twice = app
        .send("POST", path, &[KEY, JSON], r#"{"title":"t","project_id":"q"}"#)
        .await;
    assert_eq!(twice.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json_of(twice).await["errors"][0]["pointer"], "/project_id");
    let empty = app.send("POST", path, &[KEY], "").await;
    assert_eq!(empty.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let list = app.send("POST", path, &[KEY, JSON], "[]").await;
    assert_eq!(list.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let long = format!("{{\"title\":\"{}\"}}", "x".repeat(1 << 20));
    let large = app.send("POST", path, &[KEY, JSON], &long).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_problems() {
    let app = App::new().await;
    let id = "0190f0a0-0000-7000-8000-000000000001";
    let cases = [
        ("GET", "/api/v1/notes/5", vec![], 401, "unauthenticated"),
        (
            "GET",
            "/api/v1/notes/5",
            vec![("authorization", "Bearer no")],
            401,
            "unauthenticated",
        ),
        (
            "GET",
            "/api/v1/notes/5",
            vec![("authorization", "Basic eDp5")],
            401,
            "unauthenticated",
        ),
        (
            "GET",
            "/api/v1/notes/5",
            vec![("authorization", "Bearer none")],
            403,
            "forbidden",
        ),
        ("GET", "/api/v1/notes/five", vec![KEY], 422, "invalid"),
        ("GET", "/api/v1/notes/5?colour=red", vec![KEY], 422, "invalid"),
        (
            "GET",
            "/api/v1/notes/5",
            vec![KEY, ("if-match", "*")],
            400,
            "bad_header",
        ),
        ("GET", "/api/v1/hidden", vec![KEY], 404, "no_such_route"),
        ("PUT", "/api/v1/notes/5", vec![KEY], 405, "method_not_allowed"),
        ("GET", "/boom", vec![], 500, "internal"),
        ("GET", "/api/v1/events/stream", vec![], 401, "unauthenticated"),
        (
            "GET",
            "/api/v1/events/stream",
            vec![("authorization", "Bearer none")],
            403,
            "forbidden",
        ),
        ("GET", "/api/v1/events/stream?since=x", vec![KEY], 422, "invalid"),
        ("GET", "/api/v1/events/stream", vec![KEY], 426, "not_a_websocket"),
        ("POST", "/mcp", vec![], 401, "unauthenticated"),
    ];
    for (method, path, mut headers, status, code) in cases {
        headers.push(("x-request-id", id));
        let response = app.send(method, path, &headers, "").await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        assert_eq!(response.headers()["x-request-id"], id);
        assert_eq!(response.headers().contains_key("www-authenticate"), status == 401);
        let problem = json_of(response).await;
        assert_eq!(problem["code"], code, "{method} {path}: {problem}");
        assert_eq!(problem["request_id"], id);
        assert!(!problem.to_string().contains("secret"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_document_are_served_with_a_tag() {
    let app = App::new().await;
    for path in [
        "/docs",
        "/docs/app.js",
        "/docs/style.css",
        "/docs/errors",
        "/api/v1/openapi.json",
    ] {
        let response = app.send("GET", path, &[], "").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let tag = response.headers()["etag"].to_str().expect("text").to_owned();
        let again = app.send("GET", path, &[("if-none-match", &tag)], "").await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.headers().contains_key("content-security-policy"));
    }
}

async fn mcp(app: &App, path: &str, method: &str, params: Value) -> Value {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let accept = ("accept", "application/json, text/event-stream");
    let response = app
        .send("POST", path, &[KEY, JSON, accept, ("host", "localhost")], &call)
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    json_of(response).await["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_lists_the_core_and_calls_anything() {
    let app = App::new().await;
    let names = |listed: &Value| -> Vec<String> {
        let tools = listed["tools"].as_array().cloned().unwrap_or_default();
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap_or("").to_owned())
            .collect()
    };
    let core = mcp(&app, "/mcp", "tools/list", json!({})).await;
    assert_eq!(names(&core), ["ops_search", "ops_call", "notes_get"]);
    let more = mcp(&app, "/mcp?toolsets=notes", "tools/list", json!({})).await;
    assert_eq!(
        names(&more),
        ["ops_search", "ops_call", "notes_get", "notes_create"]
    );

    let input = json!({"project_id": "p", "title": "t", "_idempotency_key": "k"});
    let direct = mcp(
        &app,
        "/mcp",
        "tools/call",
        json!({"name": "notes_create", "arguments": input}),
    )
    .await;
    assert_eq!(direct["structuredContent"]["text"], "p: t", "{direct}");
    let found = mcp(
        &app,
        "/mcp",
        "tools/call",
        json!({"name": "ops_search", "arguments": {"query": "create notes"}}),
    )
    .await;
    assert_eq!(
        found["structuredContent"]["operations"][0]["operation"],
        "notes.create"
    );
    let arguments = json!({"operation": "notes.get", "input": {"id": "five"}});
    let failed = mcp(
        &app,
        "/mcp",
        "tools/call",
        json!({"name": "ops_call", "arguments": arguments}),
    )
    .await;
    assert_eq!(failed["isError"], true);
    assert_eq!(failed["structuredContent"]["errors"][0]["pointer"], "/input/id");
    let hidden = mcp(&app, "/mcp", "tools/call", json!({"name": "notes_hidden"})).await;
    assert_eq!(hidden["structuredContent"]["code"], "not_found");
}
