//! MCP at `/mcp`: streamable HTTP without sessions. A core set of operations is offered as tools, more by `?toolsets=`,
//! and all of them through `ops_search` and `ops_call`.

use crate::codes::advice;
use crate::edge::{Inbound, panic_text};
use crate::openapi::noun;
use crate::problem::Problem;
use crate::tools::{self, Shelf, Toolset};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{ActorKind, Channel, Ctx, Error, ErrorKind, Result};
use synapscale_ops::{Envelope, Gate, Operation, Sink, Tool as Callable, Tools};
use uuid::Uuid;

/// Largest answer given to a model, in bytes of JSON.
const MAX_OUTPUT: usize = 256 * 1024;
/// Matches given by `ops_search` when no number is named, and at most.
const DEFAULT_MATCHES: u64 = 8;
const MAX_MATCHES: u64 = 25;
/// Most tools of sources in one list: the rest are found with `ops_search`.
const MAX_SOURCED: usize = 200;
const INSTRUCTIONS: &str = "Tools are operations of SynapScale in the caller's workspace. Only some are listed: find \
    others with ops_search, then call them with ops_call. A failed call says what to correct. Writes take \
    _idempotency_key, so that a repeated call has one effect, and where listed _expected_revision, so that nobody's \
    change is overwritten.";

/// What the endpoint needs of the configuration.
pub(crate) struct McpSettings {
    pub core: Vec<&'static str>,
    pub toolsets: Vec<Toolset>,
    pub allowed_hosts: Vec<String>,
    pub max_body_bytes: usize,
    pub time_limit: Duration,
    pub version: String,
}

/// The route, with sign-in in front.
pub(crate) fn routes(gate: &Gate, settings: McpSettings) -> Router {
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .with_max_request_body_bytes(settings.max_body_bytes);
    // A page that rebinds its name to this server still has no bearer token, so any host may be asked for by default.
    config = match settings.allowed_hosts.is_empty() {
        true => config.disable_allowed_hosts(),
        false => config.with_allowed_hosts(settings.allowed_hosts.clone()),
    };
    let mcp = Mcp(Arc::new(Inner::new(gate.clone(), settings)));
    let service = StreamableHttpService::new(
        move || Ok(mcp.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new()
        .route_service("/mcp", service)
        .route_layer(middleware::from_fn(sign_in))
}

/// Lets only callers in who proved who they are; the tools find their context in the request.
async fn sign_in(mut request: Request, next: Next) -> Response {
    let inbound = match Inbound::of(request.extensions()) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    match inbound.ctx(request.headers(), Channel::Mcp).await {
        Ok(ctx) if ctx.actor().kind == ActorKind::Anonymous => {
            inbound.reject(Error::unauthenticated()).into_response()
        }
        Ok(ctx) => {
            request.extensions_mut().insert(ctx);
            next.run(request).await
        }
        Err(error) => inbound.reject(error).into_response(),
    }
}

/// The server as rmcp calls it. Cheap to clone.
#[derive(Clone)]
struct Mcp(Arc<Inner>);

struct Inner {
    gate: Gate,
    tools: Tools,
    shelf: Shelf,
    version: String,
    time_limit: Duration,
}

impl Inner {
    fn new(gate: Gate, settings: McpSettings) -> Self {
        let shelf = Shelf::new(gate.registry(), &settings.core, settings.toolsets);
        Inner {
            tools: gate.tools(),
            gate,
            shelf,
            version: settings.version,
            time_limit: settings.time_limit,
        }
    }

    async fn call(&self, ctx: &Ctx, name: &str, arguments: JsonObject) -> Result<CallToolResult> {
        match name {
            tools::SEARCH => self.search(ctx, &arguments).await,
            tools::CALL => self.call_any(ctx, arguments).await,
            _ => {
                let tool = self.find(ctx, name).await?;
                let mut arguments = arguments;
                let envelope = take_envelope(tool.operation(), &mut arguments)?;
                self.run(ctx, &tool, arguments.into(), envelope).await
            }
        }
    }

    async fn find(&self, ctx: &Ctx, name: &str) -> Result<Callable> {
        self.tools.find(ctx, name).await?.ok_or_else(|| {
            let short: String = name.chars().take(64).collect();
            let message = format!("There is no tool or operation `{short}`. Find one with ops_search.");
            Error::new(ErrorKind::NotFound, "not_found", message)
        })
    }

    async fn run(
        &self,
        ctx: &Ctx,
        tool: &Callable,
        input: Value,
        envelope: Envelope,
    ) -> Result<CallToolResult> {
        let (name, input) = (tool.operation().name(), tool.bind(input));
        let called = self.gate.call(ctx, name, input, envelope, Sink::none());
        let answer = called.await.map_err(|error| tool.unbind(error))?;
        let bytes = answer.output.to_bytes()?;
        if bytes.len() > MAX_OUTPUT {
            return Err(too_much());
        }
        let text = String::from_utf8(bytes.to_vec()).map_err(Error::internal)?;
        let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
        result.structured_content = Some(answer.output.to_value()?);
        Ok(result)
    }

    async fn search(&self, ctx: &Ctx, arguments: &JsonObject) -> Result<CallToolResult> {
        only(arguments, &["query", "limit"])?;
        let query = required_text(arguments, "query")?;
        let limit = match arguments.get("limit") {
            None | Some(Value::Null) => DEFAULT_MATCHES,
            Some(value) => value
                .as_u64()
                .filter(|limit| (1..=MAX_MATCHES).contains(limit))
                .ok_or_else(|| Error::invalid("/limit", "range", "Give a whole number from 1 to 25."))?,
        };
        let further = self.tools.sourced(ctx).await;
        let found = self
            .shelf
            .search(query, |operation| permitted(ctx, operation), further);
        let found: Vec<Value> = found
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|tool| describe(&tool))
            .collect();
        Ok(CallToolResult::structured(json!({"operations": found})))
    }

    async fn call_any(&self, ctx: &Ctx, mut arguments: JsonObject) -> Result<CallToolResult> {
        only(
            &arguments,
            &["operation", "input", "idempotency_key", "expected_revision"],
        )?;
        let tool = self.find(ctx, required_text(&arguments, "operation")?).await?;
        let envelope = Envelope {
            idempotency_key: optional_text(&arguments, "idempotency_key")?,
            expected_revision: optional_integer(&arguments, "expected_revision")?,
        };
        let input = match arguments.remove("input") {
            None | Some(Value::Null) => json!({}),
            Some(input @ Value::Object(_)) => input,
            Some(_) => return Err(Error::invalid("/input", "type", "The input must be an object.")),
        };
        self.run(ctx, &tool, input, envelope)
            .await
            .map_err(|error| error.under("/input"))
    }
}

fn too_much() -> Error {
    let message =
        "The answer is over 256 KiB. Narrow it: ask for fewer items with `limit`, filter, or read one thing.";
    Error::new(ErrorKind::TooLarge, "answer_too_large", message)
}

fn permitted(ctx: &Ctx, operation: &Operation) -> bool {
    operation
        .permission()
        .is_none_or(|permission| ctx.grants().allows(permission))
}

fn describe(tool: &Callable) -> Value {
    let operation = tool.operation();
    json!({
        "operation": tool.name(),
        "title": tool.title(),
        "about": tool.description(),
        "effect": tool.effect().as_str(),
        "destructive": tool.is_destructive(),
        "takes_idempotency_key": operation.takes_idempotency_key(),
        "takes_expected_revision": operation.takes_expected_revision(),
        "input_schema": tool.input_schema(),
    })
}

/// Takes the reserved fields out of a tool's input; an operation that does not know them gets to see them, and refuses.
fn take_envelope(operation: &Operation, arguments: &mut JsonObject) -> Result<Envelope> {
    let mut envelope = Envelope::default();
    if tools::takes_key(operation) {
        envelope.idempotency_key = optional_text(arguments, tools::KEY)?;
        arguments.remove(tools::KEY);
    }
    if operation.takes_expected_revision() {
        envelope.expected_revision = optional_integer(arguments, tools::REVISION)?;
        arguments.remove(tools::REVISION);
    }
    Ok(envelope)
}

fn only(arguments: &JsonObject, known: &[&str]) -> Result<()> {
    match arguments.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let message = format!("There is no such field; these are known: {}.", known.join(", "));
            Err(Error::invalid(format!("/{name}"), "unknown_field", message))
        }
    }
}

fn required_text<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str> {
    match arguments.get(name).and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(Error::invalid(format!("/{name}"), "required", "Give some text.")),
    }
}

fn optional_text(arguments: &JsonObject, name: &str) -> Result<Option<String>> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("/{name}"), "type", "This must be text.")),
    }
}

fn optional_integer(arguments: &JsonObject, name: &str) -> Result<Option<i64>> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(Error::invalid(
                format!("/{name}"),
                "type",
                "This must be a whole number.",
            )),
        },
    }
}

/// A failure as a tool's result: words that a model can act on, and the same problem that REST gives.
fn failed(error: &Error, request_id: Uuid) -> CallToolResult {
    if error.kind() == ErrorKind::Internal {
        tracing::error!(%request_id, source = error.source_text(), "internal error");
    }
    let problem = Problem::of(error, request_id);
    // Writing to a String cannot fail.
    let mut text = format!("{} (code {}, request {request_id})", problem.detail, problem.code);
    for field in &problem.errors {
        let _ = write!(text, "\n- {}: {} ({})", field.pointer, field.detail, field.code);
    }
    let _ = write!(text, "\nWhat to do: {}", advice(error));
    if let Some(seconds) = problem.retry_after {
        let _ = write!(text, " Wait {seconds} s first.");
    }
    let mut result = CallToolResult::error(vec![ContentBlock::text(text)]);
    result.structured_content = serde_json::to_value(&problem).ok();
    result
}

fn parts(cx: &RequestContext<RoleServer>) -> Result<(&Parts, &Ctx), ErrorData> {
    let parts = cx.extensions.get::<Parts>();
    parts
        .and_then(|parts| Some((parts, parts.extensions.get::<Ctx>()?)))
        .ok_or_else(|| ErrorData::internal_error("the request came in by another door", None))
}

/// The sets named by `?toolsets=a,b`.
fn toolsets(parts: &Parts) -> Vec<String> {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "toolsets")
        .flat_map(|(_, value)| {
            value
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

impl ServerHandler for Mcp {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("synapscale", self.0.version.clone()))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        cx: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (parts, ctx) = parts(&cx)?;
        let sets = toolsets(parts);
        let mut tools: Vec<Tool> = self.0.shelf.list(&sets, |operation| permitted(ctx, operation));
        let families = self.0.gate.registry().families();
        if families.iter().any(|family| tools::names_family(&sets, family)) {
            let further = self.0.tools.sourced(ctx).await;
            let of_sets = further
                .iter()
                .filter(|tool| tools::names_family(&sets, noun(tool.name())));
            tools.extend(of_sets.take(MAX_SOURCED).map(tools::described));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        cx: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (_, ctx) = parts(&cx)?;
        let ctx = ctx.with_time_limit(self.0.time_limit);
        let work = self
            .0
            .call(&ctx, &request.name, request.arguments.unwrap_or_default());
        // rmcp gives no answer at all to a call that panics, so panics end here.
        let guarded = AssertUnwindSafe(work).catch_unwind();
        let outcome = tokio::select! {
            outcome = guarded => outcome,
            () = cx.ct.cancelled() => Ok(Err(cancelled())),
        };
        let result = outcome.unwrap_or_else(|panic| {
            let text = panic_text(&*panic);
            Err(Error::internal(format!("panic: {text}")))
        });
        let result = result.unwrap_or_else(|error| failed(&error, ctx.request_id()));
        Ok(result.into())
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "cancelled", "The call was cancelled.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> JsonObject {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_failure_tells_a_model_what_to_do() {
        let error = Error::invalid("/title", "required", "Give a title.");
        let result = failed(&error, Uuid::nil());
        assert_eq!(result.is_error, Some(true));
        let text = result.content[0].as_text().expect("text").text.clone();
        assert!(text.contains("/title") && text.contains("What to do"), "{text}");
        let problem = result.structured_content.expect("a problem");
        assert_eq!(problem["errors"][0]["code"], "required");
    }

    #[test]
    fn fields_are_read_strictly() {
        let given = object(json!({"query": " ", "limit": 3, "x": 1}));
        assert!(required_text(&given, "query").is_err());
        assert!(only(&given, &["query", "limit"]).is_err());
        assert_eq!(optional_integer(&given, "limit").expect("number"), Some(3));
        assert!(optional_text(&given, "limit").is_err());
        assert_eq!(optional_text(&given, "none").expect("absent"), None);
    }

    #[test]
    fn toolsets_are_a_list() {
        let request = http::Request::builder().uri("/mcp?toolsets=work,%20agents,&toolsets=all");
        let (parts, ()) = request.body(()).expect("request").into_parts();
        assert_eq!(toolsets(&parts), ["work", "agents", "all"]);
    }
}
