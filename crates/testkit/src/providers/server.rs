//! The server: takes connections, asks the script, sends what it says and keeps the ledger.

use super::answer::{Answer, Event};
use super::fault::{Fault, RetryAfter, VendorError};
use super::ledger::{Ledger, Outcome};
use super::reply::{Pace, Reply, Usage, prompt_tokens};
use super::request::{Api, ReceivedRequest, Vendor};
use super::script::Script;
use super::wire::{Connection, Note, Played, RawRequest, Step, head};
use super::{anthropic, openai, plan, validate};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Whose ways the OpenAI-compatible side has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI: thinking is not told.
    OpenAi,
    /// Ollama: thinking in `reasoning`, each tool call in one piece.
    Ollama,
    /// DeepSeek, and vLLM of old: thinking in `reasoning_content`.
    DeepSeek,
}

impl Dialect {
    pub(crate) fn thinking_field(self) -> Option<&'static str> {
        match self {
            Dialect::OpenAi => None,
            Dialect::Ollama => Some("reasoning"),
            Dialect::DeepSeek => Some("reasoning_content"),
        }
    }
}

/// How a stand-in is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The keys taken; none means that no key is needed.
    pub keys: Vec<String>,
    /// Whether Anthropic's side takes a key as `Authorization: Bearer` too; in life that is for OAuth tokens.
    pub anthropic_bearer: bool,
    /// The models there are, others being a 404; none means that any name will do.
    pub models: Option<Vec<String>>,
    /// The dialect.
    pub dialect: Dialect,
    /// The pace of answers that say no other.
    pub pace: Pace,
    /// The size of vectors where the request says none.
    pub dimensions: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: vec![super::KEY.to_owned()],
            anthropic_bearer: false,
            models: None,
            dialect: Dialect::OpenAi,
            pace: Pace::default(),
            dimensions: 256,
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub options: Options,
    pub script: Mutex<Script>,
    pub ledger: Ledger,
    pub down: AtomicBool,
}

/// Takes connections until it is dropped, and all connections with it.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                if shared.down.load(Ordering::SeqCst) {
                    Connection::new(stream).reset();
                } else {
                    connections.spawn(converse(stream, shared.clone()));
                }
            }
            // So that those which ended do not pile up.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, request by request.
async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection::new(stream);
    let mut last = None;
    loop {
        let raw = match connection.request().await {
            Ok(raw) => raw,
            Err(error) => {
                if let Some(number) = last
                    && error.kind() == io::ErrorKind::ConnectionReset
                {
                    shared
                        .ledger
                        .update(number, |exchange| exchange.reset_after = true);
                }
                return;
            }
        };
        let RawRequest {
            method,
            path,
            headers,
            body,
        } = raw;
        if shared.down.load(Ordering::SeqCst) {
            connection.reset();
            return;
        }
        let request = ReceivedRequest::new(method, path, headers, body);
        let request = shared.ledger.enter(request);
        let planned = respond_or_tell(&request, &shared);
        let sent = if planned.of_use {
            Outcome::Finished
        } else {
            Outcome::Failed
        };
        let ledger = &shared.ledger;
        let played = connection
            .play(planned.steps, |note| match note {
                Note::Told(usage) => ledger.update(request.number, |exchange| exchange.usage = usage),
                Note::Last => ledger.end(request.number, sent),
            })
            .await;
        let outcome = match played {
            Played::Whole => sent,
            Played::Broken => Outcome::Broken,
            Played::HungUp => Outcome::HungUp,
        };
        if !connection.wrote() {
            shared
                .ledger
                .update(request.number, |exchange| exchange.status = 0);
        }
        shared.ledger.end(request.number, outcome);
        if played != Played::Whole {
            return;
        }
        last = Some(request.number);
    }
}

/// What will be done on the wire, and whether the client will have an answer then.
struct Planned {
    steps: Vec<Step>,
    of_use: bool,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the stand-in's clock is the provider's, not the product's"
)]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A panic in a script is the test's: the client gets a 500 that says so, and the ledger an end.
fn respond_or_tell(request: &ReceivedRequest, shared: &Shared) -> Planned {
    let attempt = std::panic::AssertUnwindSafe(|| respond(request, shared));
    std::panic::catch_unwind(attempt).unwrap_or_else(|_| {
        let error = VendorError::new(500, "stand_in_error", None, "the test's script panicked");
        refuse(request, shared, &error, &[])
    })
}

fn respond(request: &ReceivedRequest, shared: &Shared) -> Planned {
    if let Some(error) = validate::refusal(request, &shared.options) {
        return refuse(request, shared, &error, &[]);
    }
    if !request.api.is_model_call() {
        let body = listing(request, &shared.options);
        return send(request, shared, 200, &body.to_string(), Sending::default());
    }
    let script = shared.script.lock().expect("the script").clone();
    let mut reply = script.answer(request);
    let faults = reply.faults.clone();
    faults.iter().for_each(|fault| fault.shape(&mut reply));
    shared.ledger.update(request.number, |exchange| {
        exchange.reply = Some(reply.clone());
        exchange.faults.clone_from(&faults);
    });
    let mut planned = match faults.iter().find_map(|fault| fault.as_error(request.vendor)) {
        Some(error) => refuse(request, shared, &error, &faults),
        None => answer(request, shared, &reply),
    };
    let mut steps: Vec<Step> = reply.gate.map(Step::Hold).into_iter().collect();
    steps.extend(plan::before_head(&faults));
    planned.steps.splice(0..0, steps);
    planned
}

/// What is no work for a model.
fn listing(request: &ReceivedRequest, options: &Options) -> Value {
    let names = options
        .models
        .clone()
        .unwrap_or_else(|| vec!["stand-in".to_owned()]);
    match request.api {
        Api::OpenAiModels => openai::models(&names),
        Api::AnthropicModels => anthropic::models(&names),
        Api::OllamaTags => openai::ollama_tags(&names),
        Api::OllamaVersion => json!({"version": "0.12.3"}),
        _ => json!({"input_tokens": prompt_tokens(&request.body)}),
    }
}

/// Sends an error in the vendor's form.
fn refuse(request: &ReceivedRequest, shared: &Shared, error: &VendorError, faults: &[Fault]) -> Planned {
    let mut extra = Vec::new();
    for fault in faults {
        if let Fault::Status(_, retry_after) = fault {
            extra.extend(retry_header(retry_after));
        }
    }
    let gateway = error.status == 502;
    let body = if gateway {
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center>\
         </body>\r\n</html>\r\n"
            .to_owned()
    } else {
        error.body(request.vendor, &request_id(request)).to_string()
    };
    let sending = Sending {
        faults,
        extra,
        content_type: gateway.then(|| "text/html".to_owned()),
        ..Sending::default()
    };
    send(request, shared, error.status, &body, sending)
}

fn retry_header(retry_after: &RetryAfter) -> Option<(String, String)> {
    let (name, value) = match retry_after {
        RetryAfter::Never => return None,
        RetryAfter::Seconds(seconds) => ("retry-after", seconds.to_string()),
        RetryAfter::Millis(millis) => ("retry-after-ms", millis.to_string()),
        RetryAfter::Date(ahead) => ("retry-after", http_date(now() + *ahead)),
    };
    Some((name.to_owned(), value))
}

fn http_date(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn request_id(request: &ReceivedRequest) -> String {
    format!("req_{:024x}", request.number + 1)
}

/// The headers that the vendor sends with everything.
fn vendor_headers(request: &ReceivedRequest) -> Vec<(String, String)> {
    let now = now();
    let id = request_id(request);
    let reset = (now + Duration::from_secs(1)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let mut headers = vec![("date".to_owned(), http_date(now))];
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    match request.vendor {
        Vendor::Anthropic => {
            add("request-id", &id);
            add(
                "anthropic-organization-id",
                "00000000-0000-0000-0000-000000000001",
            );
            for (kind, limit, left) in [
                ("requests", "1000", "999"),
                ("tokens", "96000", "95000"),
                ("input-tokens", "80000", "79000"),
                ("output-tokens", "16000", "16000"),
            ] {
                add(&format!("anthropic-ratelimit-{kind}-limit"), limit);
                add(&format!("anthropic-ratelimit-{kind}-remaining"), left);
                add(&format!("anthropic-ratelimit-{kind}-reset"), &reset);
            }
        }
        Vendor::OpenAi => {
            add("x-request-id", &id);
            add("openai-organization", "org-stand-in");
            add("openai-processing-ms", "12");
            add("openai-version", "2020-10-01");
            for (kind, limit, left, reset) in [
                ("requests", "10000", "9999", "6ms"),
                ("tokens", "2000000", "1999000", "30ms"),
            ] {
                add(&format!("x-ratelimit-limit-{kind}"), limit);
                add(&format!("x-ratelimit-remaining-{kind}"), left);
                add(&format!("x-ratelimit-reset-{kind}"), reset);
            }
        }
    }
    headers
}

/// How a body is sent.
#[derive(Default)]
struct Sending<'a> {
    faults: &'a [Fault],
    extra: Vec<(String, String)>,
    content_type: Option<String>,
    pace: Option<Pace>,
    usage: Option<Usage>,
}

/// Plans a response that is no stream.
fn send(
    request: &ReceivedRequest,
    shared: &Shared,
    status: u16,
    body: &str,
    sending: Sending<'_>,
) -> Planned {
    let mut headers = vendor_headers(request);
    headers.extend(sending.extra);
    let kind = sending
        .content_type
        .unwrap_or_else(|| "application/json".to_owned());
    headers.push(("content-type".to_owned(), kind));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    shared
        .ledger
        .update(request.number, |exchange| exchange.status = status);
    let of_use = status < 400 && !sending.faults.iter().any(Fault::spoils);
    let pace = sending.pace.unwrap_or_default();
    let head = head(status, &headers);
    let steps = plan::whole(head, body.as_bytes(), sending.faults, pace, sending.usage);
    Planned { steps, of_use }
}

/// Sends what the model says.
fn answer(request: &ReceivedRequest, shared: &Shared, reply: &Reply) -> Planned {
    let faults = &reply.faults;
    let pace = reply.pace.unwrap_or(shared.options.pace);
    let mut usage = reply.usage_for(request);
    if !request.api.is_chat() {
        usage = Usage::new(usage.prompt(), 0);
    }
    shared
        .ledger
        .update(request.number, |exchange| exchange.spent = Some(usage));
    let answer = Answer {
        request,
        reply,
        usage,
        created: now().timestamp(),
        dialect: shared.options.dialect,
        chars: pace.chars,
    };
    let in_body = faults.iter().find_map(|fault| match fault {
        Fault::ErrorInBody(kind, message) => Some((kind.as_str(), message.as_str())),
        _ => None,
    });
    let content_type = faults.iter().find_map(|fault| match fault {
        Fault::WrongContentType(kind) => Some(kind.clone()),
        _ => None,
    });
    if request.streams() && request.api.is_chat() {
        return send_stream(shared, &answer, in_body, content_type, pace);
    }
    // What cannot be in a body that is no stream is as good as an error in it.
    let in_body = in_body.or(faults.iter().find_map(|fault| match fault {
        Fault::ErrorInStream { kind, message, .. } => Some((kind.as_str(), message.as_str())),
        _ => None,
    }));
    let (mut body, mut told) = match (in_body, request.api) {
        (Some((kind, message)), _) => {
            let error = VendorError::new(200, kind, None, message);
            (error.body(request.vendor, &request_id(request)).to_string(), None)
        }
        (None, Api::OpenAiChat) => (openai::completion(&answer).to_string(), answer.told()),
        (None, Api::AnthropicMessages) => (anthropic::whole(&answer).to_string(), answer.told()),
        (None, _) => {
            let size = shared.options.dimensions;
            (
                openai::embeddings(request, size, answer.told()).to_string(),
                answer.told(),
            )
        }
    };
    if faults
        .iter()
        .any(|fault| matches!(fault, Fault::MalformedJson { .. }))
    {
        body = body.chars().take(body.chars().count() * 2 / 3).collect();
        told = None;
    }
    let sending = Sending {
        faults,
        content_type,
        pace: Some(pace),
        usage: told,
        ..Sending::default()
    };
    send(request, shared, 200, &body, sending)
}

/// Plans a stream of events.
fn send_stream(
    shared: &Shared,
    answer: &Answer<'_>,
    in_body: Option<(&str, &str)>,
    content_type: Option<String>,
    pace: Pace,
) -> Planned {
    let request = answer.request;
    let error_event: fn(&str, &str) -> Event = match request.vendor {
        Vendor::OpenAi => openai::error_event,
        Vendor::Anthropic => anthropic::error_event,
    };
    let events = match (in_body, request.vendor) {
        (Some((kind, message)), _) => vec![error_event(kind, message)],
        (None, Vendor::OpenAi) => openai::stream(answer),
        (None, Vendor::Anthropic) => anthropic::stream(answer),
    };
    let mut headers = vendor_headers(request);
    let kind = content_type.unwrap_or_else(|| "text/event-stream; charset=utf-8".to_owned());
    headers.push(("content-type".to_owned(), kind));
    headers.push(("cache-control".to_owned(), "no-cache".to_owned()));
    headers.push(("transfer-encoding".to_owned(), "chunked".to_owned()));
    shared
        .ledger
        .update(request.number, |exchange| exchange.status = 200);
    let faults = &answer.reply.faults;
    Planned {
        steps: plan::stream(head(200, &headers), events, faults, pace, error_event),
        of_use: !faults.iter().any(Fault::spoils),
    }
}
