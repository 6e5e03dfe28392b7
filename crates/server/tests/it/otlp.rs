//! Exported traces: a request's whole way to a model and back, nothing said by anybody in it, and no harm from a collector
//! that is ill.

use crate::process::{Server, bootstrap};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use synapscale_testkit::collector::{Collector, Exported, Health};
use synapscale_testkit::providers::{Fault, KEY, Reply, RetryAfter, Script, StandIn, any, nth, when};
use synapscale_testkit::{TestDb, db_test};

/// How long spans may take on a busy test machine.
const SOON: Duration = Duration::from_secs(20);
const QUESTION: &str = "wherehidesthequestion";
const ANSWER: &str = "heretheanswerhides";
const HEADER: &str = "s3cret-of-the-collector";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

async fn traced(db: &TestDb, key: &str, collector: &Collector, more: &[(&str, &str)]) -> Server {
    let endpoint = collector.endpoint();
    let headers = format!("authorization=Bearer%20{HEADER}");
    let mut variables = vec![
        ("SYNAPSCALE_OTLP_ENDPOINT", endpoint.as_str()),
        ("SYNAPSCALE_OTLP_HEADERS", &headers),
        ("SYNAPSCALE_LLM_ALLOW", "127.0.0.1"),
    ];
    variables.extend_from_slice(more);
    Server::start_in(db, key, &[], &variables, db.folder()).await
}

async fn provider(server: &Server, model: &StandIn) {
    let provider =
        json!({ "name": "stand-in", "preset": "openai", "base_url": model.url("/v1"), "key": KEY });
    server
        .ask(Method::POST, "/api/v1/models/providers", provider)
        .await;
}

fn question() -> Value {
    json!({
        "model": "stand-in/gpt-4o-mini",
        "messages": [{ "role": "user", "content": QUESTION }],
        "temperature": 0.5,
        "max_tokens": 77,
    })
}

fn log(db: &TestDb) -> String {
    std::fs::read_to_string(db.folder().join("server.log")).expect("a log")
}

/// The span of that name whose parent is `parent`.
fn below<'a>(spans: &'a [Exported], parent: &str, name: &str) -> &'a Exported {
    let found = spans
        .iter()
        .find(|span| span.parent == parent && span.name == name);
    found.unwrap_or_else(|| panic!("no `{name}` below {parent}: {spans:#?}"))
}

fn attribute<'a>(span: &'a Exported, name: &str) -> &'a Value {
    span.attributes
        .get(name)
        .unwrap_or_else(|| panic!("no {name}: {span:#?}"))
}

db_test! {
    async fn a_question_is_one_tree_from_the_request_to_the_model(db: TestDb) {
        let owner = bootstrap(db).await;
        let (collector, model) = (Collector::start().await, StandIn::start().await);
        model.script(
            Script::new()
                .rule(when(nth(1)).then(Reply::fault(Fault::Status(503, RetryAfter::Never))))
                .rule(when(any()).then(Reply::text(ANSWER))),
        );
        let mut server = traced(db, &owner.api_key, &collector, &[]).await;
        provider(&server, &model).await;
        let nowhere = server.anonymous(Method::GET, "/api/v1/in-the-path?token=in-the-query");
        assert_eq!(nowhere.send().await.expect("an answer").status(), 404);
        let answer = server
            .request(Method::POST, "/api/v1/models/chat")
            .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
            .json(&question())
            .send()
            .await
            .expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        assert_eq!(answer["message"]["content"][0]["text"], ANSWER, "{answer}");
        // The stop sends what is left.
        assert_eq!(server.stop().await, Some(0));

        let all = collector.spans();
        let spans: Vec<_> = all.iter().filter(|span| span.trace_id == TRACE).cloned().collect();
        let tree = spans.iter().filter(|span| span.parent == CALLER).collect::<Vec<_>>();
        let request = tree.last().expect("a request below its caller");
        assert_eq!((request.name.as_str(), request.kind), ("POST /api/v1/models/chat", 2));
        assert_eq!(attribute(request, "http.request.method"), "POST");
        assert_eq!(attribute(request, "url.path"), "/api/v1/models/chat");
        assert_eq!(attribute(request, "http.response.status_code"), 200);
        assert_eq!(request.resource["service.name"], "synapscale");

        let operation = below(&spans, &request.span_id, "llm.chat");
        assert_eq!(attribute(operation, "synapscale.operation"), "llm.chat");
        assert_eq!(attribute(operation, "synapscale.tenant"), &json!(owner.workspace_id));
        let first = below(&spans, &operation.span_id, "burst");
        let run = below(&spans, &operation.span_id, "run");
        assert_eq!(attribute(run, "synapscale.run.status"), "succeeded");
        assert_eq!(attribute(run, "synapscale.run.id"), attribute(first, "synapscale.run.id"));
        below(&spans, &run.span_id, "burst");
        let step = below(&spans, &run.span_id, "step call");
        assert_eq!(attribute(step, "synapscale.node"), "call");
        assert_eq!(attribute(step, "synapscale.attempt"), 1);
        assert_eq!(attribute(step, "synapscale.run.id"), attribute(run, "synapscale.run.id"));
        attribute(step, "synapscale.node.path");
        attribute(step, "synapscale.correlation_id");
        let performed = below(&spans, &step.span_id, "llm.chat");

        let mut attempts: Vec<_> = spans.iter().filter(|span| span.parent == performed.span_id).collect();
        attempts.sort_by_key(|span| std::cmp::Reverse(span.status));
        let [failed, chat] = attempts[..] else { panic!("two attempts, not {attempts:#?}") };
        for attempt in [failed, chat] {
            assert_eq!((attempt.name.as_str(), attempt.kind), ("chat gpt-4o-mini", 3));
            assert_eq!(attribute(attempt, "gen_ai.operation.name"), "chat");
            assert_eq!(attribute(attempt, "gen_ai.provider.name"), "openai");
            assert_eq!(attribute(attempt, "gen_ai.request.model"), "gpt-4o-mini");
            assert_eq!(attribute(attempt, "gen_ai.request.max_tokens"), 77);
            assert_eq!(attribute(attempt, "gen_ai.request.temperature"), 0.5);
            assert_eq!(attribute(attempt, "server.address"), "127.0.0.1");
            assert!(attribute(attempt, "server.port").is_i64());
        }
        assert_eq!((failed.status, attribute(failed, "error.type")), (2, &json!("llm_overloaded")));
        assert_eq!(chat.status, 0);
        assert_eq!(attribute(chat, "gen_ai.response.finish_reasons"), &json!(["stop"]));
        attribute(chat, "gen_ai.response.model");
        attribute(chat, "gen_ai.response.id");
        let usage = model.served_usage();
        assert_eq!(attribute(chat, "gen_ai.usage.input_tokens"), usage.prompt());
        assert_eq!(attribute(chat, "gen_ai.usage.output_tokens"), usage.output);

        // Nothing that somebody said, and nothing secret, is anywhere in what went out.
        assert!(all.iter().all(|span| span.events == 0));
        let bytes = collector.bodies().concat();
        let text = String::from_utf8_lossy(&bytes);
        let database = db.connection_string();
        for secret in [QUESTION, ANSWER, HEADER, KEY, "in-the-query", "in-the-path", owner.api_key.as_str(), &database] {
            assert!(!text.contains(secret), "{secret} was exported");
        }
        let requests = collector.requests();
        assert!(requests.iter().all(|(uri, _)| uri.path() == "/v1/traces"));
        let (_, headers) = requests.first().expect("a request");
        assert_eq!(headers["authorization"], format!("Bearer {HEADER}"));
        assert_eq!(headers["content-type"], "application/x-protobuf");
        // The provider is not told of the trace.
        let calls = model.calls();
        assert!(calls.iter().all(|call| !call.headers.iter().any(|(name, _)| name == "traceparent")));

        // The log's lines name the trace, and no secret either.
        let log = log(db);
        assert!(!log.contains(HEADER) && !log.contains(QUESTION));
        let line = log.lines().find(|line| line.contains("\"route\":\"/api/v1/models/chat\"") && line.contains(TRACE));
        let line: Value = serde_json::from_str(line.expect("a line with the trace")).expect("JSON");
        assert_eq!(line["trace_id"], TRACE);
        assert_eq!(line["span_id"].as_str().map(str::len), Some(16));
    }

    async fn a_run_of_a_workflow_is_told_with_its_story(db: TestDb) {
        let owner = bootstrap(db).await;
        let collector = Collector::start().await;
        // What the log shows is no matter to traces.
        let quiet = [("SYNAPSCALE_LOG", "error")];
        let server = traced(db, &owner.api_key, &collector, &quiet).await;
        server
            .apply(json!({
                "name": "told",
                "retry": { "max_attempts": 1 },
                "nodes": {
                    "start": { "kind": "trigger.manual@1" },
                    "pause": { "kind": "wait@1", "after": "start", "with": { "seconds": 0.05 } },
                    "call": { "kind": "http@1", "after": "pause", "with": {
                        "method": "GET", "url": "http://127.0.0.1:1/secret-path",
                    } },
                },
            }))
            .await;
        let run = server.ask(Method::POST, "/api/v1/workflows/told/runs", json!({ "input": {} })).await;
        let run_id = run["run_id"].as_str().expect("an id").to_owned();
        server.ended(&run_id).await;
        let spans = collector
            .wait(SOON, |spans| spans.iter().any(|span| span.name == "run told" && span.status == 2))
            .await;
        let run = spans.iter().find(|span| span.name == "run told" && span.status == 2).expect("a run");
        assert_eq!(attribute(run, "synapscale.run.id"), &json!(run_id));
        attribute(run, "synapscale.correlation_id");
        assert_eq!(attribute(run, "synapscale.workflow"), "told");
        assert_eq!(attribute(run, "synapscale.run.status"), "failed");
        let step = below(&spans, &run.span_id, "step call");
        assert_eq!((step.status, attribute(step, "synapscale.node.kind")), (2, &json!("http")));
        attribute(step, "error.type");
        let bytes = collector.bodies().concat();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret-path"));
    }
}

/// An ill collector costs neither requests nor the end.
async fn bears(health: Option<Health>) {
    let db = &TestDb::sqlite();
    let owner = bootstrap(db).await;
    let collector = Collector::start().await;
    let endpoint = collector.endpoint();
    let ill = match health {
        Some(health) => {
            collector.set(health);
            Some(collector)
        }
        None => {
            drop(collector);
            None
        }
    };
    let variables = [
        ("SYNAPSCALE_OTLP_ENDPOINT", endpoint.as_str()),
        ("SYNAPSCALE_OTLP_HEADERS", HEADER),
    ];
    // A header that is none is a wrong setting, and told without its text.
    let (code, _, told) = crate::process::command_with(db, &["serve"], &variables).await;
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("otlp/headers") && !told.contains(HEADER), "{told}");

    let mut server = Server::start_in(db, &owner.api_key, &[], &variables[..1], db.folder()).await;
    let began = Instant::now();
    for _ in 0..3 {
        server.project("Inbox").await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "requests waited for the collector"
    );
    let began = Instant::now();
    assert_eq!(server.stop().await, Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "the end took {:?}",
        began.elapsed()
    );
    let complaints = log(db).matches("spans did not reach").count();
    assert_eq!(complaints, 1, "one warning a minute:\n{}", log(db));
    drop(ill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_refuses_is_borne() {
    bears(Some(Health::Refusing(503))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_is_borne() {
    bears(Some(Health::Hanging)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_is_borne() {
    bears(None).await;
}
