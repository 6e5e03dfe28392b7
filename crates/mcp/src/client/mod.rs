//! A live connection to one server: greeted, listed, called, and gone when dropped.

pub(crate) mod fault;
pub(crate) mod pool;
mod process;

use crate::secrets::{Credentials, Scrubber};
use crate::tools::Listing;
use crate::view::{ServerSettings, Told, Transport};
use fault::{Fault, FaultKind};
use http::{HeaderName, HeaderValue};
use process::{MAX_LINE, Process, Program};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CancelledNotificationParam, ClientCapabilities, ClientConfig,
    ClientRequest, Implementation, JsonObject, ListToolsRequest, PaginatedRequestParams, ProtocolVersion,
    RequestId,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt, NotificationContext, PeerRequestOptions,
    RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, Peer, RoleClient};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use synapscale_engine::outbound::Outbound;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Most pages of a list of tools: a server that never ends its list is not believed.
const MAX_PAGES: usize = 100;
/// Largest event of a server's event stream, in bytes.
const MAX_EVENT: usize = MAX_LINE;
/// Where the key goes by which a server can tell a repeated call.
const KEY_FIELD: &str = "synapscale/idempotency-key";

/// How the operator lets servers be reached.
pub(crate) struct Ways {
    pub outbound: Outbound,
    /// The commands that may be started.
    pub commands: Vec<String>,
    /// Where programs are looked for.
    pub path: String,
    /// Where processes live.
    pub scratch: PathBuf,
    pub tasks: TaskTracker,
    pub version: String,
}

impl Ways {
    /// Whether a command may be started.
    pub fn allows(&self, command: &str) -> bool {
        self.commands.iter().any(|allowed| allowed == command)
    }
}

/// One server to connect to.
pub(crate) struct Aim {
    pub transport: Transport,
    pub url: Option<String>,
    pub command: Option<String>,
    pub args: Vec<String>,
    pub credentials: Credentials,
    pub settings: ServerSettings,
    /// The folder of its process, below the scratch folder.
    pub folder: String,
}

/// What hears a server's notifications.
struct Ear {
    info: ClientConfig,
    changed: Arc<Notify>,
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        self.info.clone()
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// A live connection.
pub(crate) struct Session {
    running: RunningService<RoleClient, Ear>,
    process: Option<Process>,
    pub scrubber: Scrubber,
    pub told: Told,
    listing: RwLock<Arc<Listing>>,
    /// Told when the server says that its tools are others.
    pub changed: Arc<Notify>,
    /// Cancelled when nobody holds the connection any more.
    pub over: CancellationToken,
    _over: DropGuard,
    settings: ServerSettings,
    tasks: TaskTracker,
}

impl Session {
    /// Connects and reads the list of tools.
    ///
    /// # Errors
    /// Why there is no connection, in words without credentials.
    pub async fn open(ways: &Ways, aim: &Aim) -> Result<Session, Fault> {
        let scrubber = aim.credentials.scrubber();
        let opened = Self::greeted(ways, aim).await;
        let mut session = opened.map_err(|fault| Fault {
            text: scrubber.text(&fault.text),
            ..fault
        })?;
        for told in [&mut session.told.name, &mut session.told.version] {
            *told = told.as_deref().map(|text| scrubber.text(text));
        }
        session.scrubber = scrubber;
        session.list().await?;
        Ok(session)
    }

    async fn greeted(ways: &Ways, aim: &Aim) -> Result<Session, Fault> {
        // Every server of today knows this greeting; one that refuses it may know the newer one only.
        match Self::connected(ways, aim, ClientLifecycleMode::Initialize).await {
            Err((fault, true)) => {
                let preferred_versions = vec![ProtocolVersion::LATEST];
                let newer = ClientLifecycleMode::Discover { preferred_versions };
                Self::connected(ways, aim, newer).await.map_err(|_| fault)
            }
            other => other.map_err(|(fault, _)| fault),
        }
    }

    /// The failure comes with whether another greeting may be worth a try.
    async fn connected(ways: &Ways, aim: &Aim, mode: ClientLifecycleMode) -> Result<Session, (Fault, bool)> {
        let changed = Arc::new(Notify::new());
        let us = Implementation::new("synapscale", ways.version.clone());
        let ear = Ear {
            info: ClientConfig::new(ClientCapabilities::default(), us),
            changed: changed.clone(),
        };
        let limit = aim.settings.connect_timeout();
        let (started, process) = match aim.transport {
            Transport::Http => {
                let transport = http_transport(ways, aim).map_err(|fault| (fault, false))?;
                let started = tokio::time::timeout(limit, ear.serve_with_lifecycle(transport, mode)).await;
                (started, None)
            }
            Transport::Stdio => {
                let (lines, stdin, process) = start(ways, aim).map_err(|fault| (fault, false))?;
                // Its own bound is above ours, which ends the connection.
                let transport = AsyncRwTransport::new_client(lines, stdin).with_max_line_length(2 * MAX_LINE);
                let started = tokio::time::timeout(limit, ear.serve_with_lifecycle(transport, mode)).await;
                (started, Some(process))
            }
        };
        let failed = |fault: Fault, again: bool| (with_account(fault, process.as_ref()), again);
        let running = match started {
            Err(_) => return Err(failed(Fault::late("the greeting", limit), false)),
            Ok(Err(error)) => {
                // A process that ends while it is greeted has its reason noted a moment later.
                if process.is_some() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let again = matches!(error, ClientInitializeError::JsonRpcError(_));
                return Err(failed(Fault::of_start(&error), again));
            }
            Ok(Ok(running)) => running,
        };
        let told = told_by(running.peer()).map_err(|fault| failed(fault, false))?;
        let over = CancellationToken::new();
        Ok(Session {
            running,
            process,
            scrubber: Scrubber::default(),
            told,
            listing: RwLock::default(),
            changed,
            over: over.clone(),
            _over: over.drop_guard(),
            settings: aim.settings.clone(),
            tasks: ways.tasks.clone(),
        })
    }

    /// Whether it can take no more requests.
    pub fn is_over(&self) -> bool {
        self.running.is_closed() || self.running.is_transport_closed()
    }

    /// The tools as they were listed last.
    pub fn listing(&self) -> Arc<Listing> {
        self.listing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reads the list of tools anew.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn list(&self) -> Result<Arc<Listing>, Fault> {
        let limit = self.settings.list_timeout();
        let deadline = Instant::now() + limit;
        let (mut raw, mut cursors, mut cursor, mut more) = (Vec::new(), HashSet::new(), None, false);
        for page in 0.. {
            let params = PaginatedRequestParams::default().with_cursor(cursor.take());
            let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
            let left = deadline.saturating_duration_since(Instant::now());
            let mut answer = self.ask(request, left).await.map_err(|fault| match fault.kind {
                FaultKind::Late => Fault::late("the list of tools", limit),
                _ => fault,
            })?;
            let Some(Value::Array(tools)) = answer.get_mut("tools").map(Value::take) else {
                return Err(Fault::new(FaultKind::Protocol, "its list of tools is none"));
            };
            // What it was given must not come back as a description.
            raw.extend(tools.into_iter().map(|tool| self.scrubber.value(tool)));
            let next = answer
                .get("nextCursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            let Some(next) = next.filter(|next| !next.is_empty()) else {
                break;
            };
            let enough = raw.len() >= crate::tools::MOST || page + 1 >= MAX_PAGES;
            if enough || !cursors.insert(next.clone()) {
                more = true;
                break;
            }
            cursor = Some(next);
        }
        // Compiling five hundred schemas takes a while.
        let read = tokio::task::spawn_blocking(move || Listing::read(raw, more)).await;
        let listing =
            read.map_err(|_| Fault::new(FaultKind::Protocol, "its list of tools cannot be read"))?;
        let listing = Arc::new(listing);
        *self.listing.write().unwrap_or_else(PoisonError::into_inner) = listing.clone();
        Ok(listing)
    }

    /// Calls a tool and gives its result as it came.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
        key: &str,
        limit: Duration,
    ) -> Result<Value, Fault> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let mut request = CallToolRequest::new(params);
        let mut meta = rmcp::model::RequestMetaObject::default();
        meta.insert(KEY_FIELD.to_owned(), json!(key));
        request.extensions.insert(meta);
        self.ask(ClientRequest::CallToolRequest(request), limit).await
    }

    /// One request and its answer as JSON: what one strict type would refuse whole is read part by part. The server hears
    /// when nobody waits any more.
    async fn ask(&self, request: ClientRequest, limit: Duration) -> Result<Value, Fault> {
        let scrubbed = |fault: Fault| {
            let fault = with_account(fault, self.process.as_ref());
            Fault {
                text: self.scrubber.text(&fault.text),
                ..fault
            }
        };
        let options = PeerRequestOptions::with_timeout(limit);
        let sent = self.running.send_cancellable_request(request, options).await;
        let handle = sent.map_err(|error| scrubbed(Fault::of_request(&error)))?;
        let mut abandoned = Abandoned {
            waiting: Some((self.running.peer().clone(), handle.id.clone())),
            tasks: self.tasks.clone(),
        };
        let answer = handle.await_response().await;
        // Answered, or cancelled by the time-out already.
        abandoned.waiting = None;
        match answer {
            Ok(answer) => serde_json::to_value(answer)
                .map_err(|_| Fault::new(FaultKind::Protocol, "its answer cannot be read")),
            Err(error) => {
                let fault = Fault::of_request(&error);
                if fault.kind == FaultKind::Down && self.process.is_some() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(scrubbed(fault))
            }
        }
    }
}

/// A request that somebody waits for. Dropped before the answer, it is cancelled at the server.
struct Abandoned {
    waiting: Option<(Peer<RoleClient>, RequestId)>,
    tasks: TaskTracker,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if let Some((peer, id)) = self.waiting.take() {
            let why = "Whoever asked does not wait any more.".to_owned();
            let word = CancelledNotificationParam::new(Some(id), Some(why));
            self.tasks.spawn(async move {
                let told = tokio::time::timeout(Duration::from_secs(5), peer.notify_cancelled(word));
                let _ = told.await;
            });
        }
    }
}

/// A server that is gone has told why, perhaps: its process knows more than the pipe.
fn with_account(fault: Fault, process: Option<&Process>) -> Fault {
    match process.and_then(Process::account) {
        Some(account) if fault.kind != FaultKind::Answered => Fault {
            text: format!("{}; {account}", fault.text),
            ..fault
        },
        _ => fault,
    }
}

fn told_by(peer: &Peer<RoleClient>) -> Result<Told, Fault> {
    let info = peer
        .peer_info()
        .ok_or_else(|| Fault::new(FaultKind::Protocol, "it told nothing of itself"))?;
    let protocol = info.protocol_version.to_string();
    if !ProtocolVersion::KNOWN_VERSIONS.contains(&info.protocol_version) {
        let shown = crate::tools::clean(&protocol, 40);
        let text = format!("its version of the protocol is `{shown}`, which is not known here");
        return Err(Fault::new(FaultKind::Protocol, text));
    }
    let own = info.server_info.as_ref();
    Ok(Told {
        name: own.map(|own| crate::tools::clean(&own.name, 200)),
        version: own.map(|own| crate::tools::clean(&own.version, 100)),
        protocol: Some(protocol),
        more_tools: false,
    })
}

fn http_transport(ways: &Ways, aim: &Aim) -> Result<StreamableHttpClientTransport<reqwest::Client>, Fault> {
    let url = aim.url.as_deref().unwrap_or_default();
    let refused = |text: String| Fault::new(FaultKind::Refused, text);
    let client = ways
        .outbound
        .client_for(url)
        .map_err(|error| refused(format!("the address may not be reached: {error}")))?;
    let mut headers = HashMap::new();
    for (name, value) in &aim.credentials.headers {
        let (Ok(name), Ok(mut value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            return Err(refused(format!("the header `{name}` cannot be sent")));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let config = StreamableHttpClientTransportConfig::with_uri(url)
        .custom_headers(headers)
        .max_concurrent_requests(aim.settings.concurrency + 1)
        .max_sse_event_size(MAX_EVENT);
    Ok(StreamableHttpClientTransport::with_client(client, config))
}

fn start(
    ways: &Ways,
    aim: &Aim,
) -> Result<(process::BoundedLines, tokio::process::ChildStdin, Process), Fault> {
    let command = aim.command.as_deref().unwrap_or_default();
    if !ways.allows(command) {
        let text = format!("the operator does not let `{command}` be started (mcp.stdio)");
        return Err(Fault::new(FaultKind::Refused, text));
    }
    let program = Program {
        command,
        args: &aim.args,
        credentials: &aim.credentials,
        path: &ways.path,
        home: ways.scratch.join(&aim.folder),
    };
    Process::start(&program, &ways.tasks).map_err(|error| {
        let text = format!("`{command}` cannot be started ({})", error.kind());
        Fault::new(FaultKind::Down, text)
    })
}
