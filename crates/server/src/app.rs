//! The server put together: store, schema, gate, authentication, engine and routes; and its life from the first request
//! to the last.

use crate::config::Config;
use crate::health::{self, Readiness};
use crate::modules::Modules;
use crate::serve::{Listeners, serve_tcp, serve_unix};
use crate::tasks::Periodic;
use crate::{VERSION, home, local, metrics_route, web};
use async_trait::async_trait;
use axum::Router;
use futures::{StreamExt, stream};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_agents::{Agents, People};
use synapscale_api::{ApiConfig, Authenticate, Frames, Toolset, Watch};
use synapscale_core::{Actor, Channel, Clock, Ctx, Error, Origin, Result, TenantId};
use synapscale_engine::outbound::{Outbound, OutboundPolicy};
use synapscale_engine::{Engine, EngineConfig, Live, Principals, RunStatus, Unfold};
use synapscale_flows::{Flows, HookState};
use synapscale_identity::Authenticator;
use synapscale_llm::service::{Models, ModelsConfig};
use synapscale_mcp::{Mcp, McpConfig};
use synapscale_ops::{Gate, GateConfig, Module, Registry};
use synapscale_store::events::{Consumer, Consumers, Listener, Listening};
use synapscale_store::{Relay, StatementObserver, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long what outlives a request, such as an event stream's farewell, may take at the end.
const FAREWELL: Duration = Duration::from_secs(3);
/// How long steps between two commits may take at the end.
const WORKER_DRAIN: Duration = Duration::from_secs(30);
/// How long lent connections may be out at the end.
const CLOSE: Duration = Duration::from_secs(5);

/// Operations that `/mcp` always offers as tools, as far as there are such.
const MCP_CORE: &[&str] = &[
    "projects.list",
    "tasks.list",
    "tasks.create",
    "tasks.update",
    "patches.preview",
    "patches.apply",
    "workflows.list",
    "workflows.run",
    "runs.get",
    "approvals.list",
];

/// Groups of tools that a client can ask for.
const MCP_TOOLSETS: &[Toolset] = &[
    Toolset {
        name: "work",
        nouns: &[
            "projects", "tasks", "patches", "comments", "time", "timers", "trash", "filters",
        ],
    },
    Toolset {
        name: "flows",
        nouns: &["workflows", "runs", "approvals", "hooks"],
    },
    Toolset {
        name: "agents",
        nouns: &["agents", "conversations"],
    },
    Toolset {
        name: "models",
        nouns: &["providers", "routes", "models", "usage", "llm"],
    },
    Toolset {
        name: "team",
        nouns: &["workspaces", "members", "users", "keys", "sessions"],
    },
    Toolset {
        name: "log",
        nouns: &["events", "consumers", "dead_letters", "audit", "ops"],
    },
];

/// A server that is put together and does not serve yet.
pub struct App {
    config: Config,
    gate: Gate,
    engine: Engine,
    flows: Flows,
    auth: Authenticator,
    models: Models,
    mcp: Mcp,
    consumers: Vec<Arc<dyn Consumer>>,
    listeners: Vec<Listener>,
    figures: PrometheusHandle,
    readiness: Arc<Readiness>,
    router: Router,
    /// Cancelled when the server goes down: event streams say goodbye.
    going_down: CancellationToken,
    /// What outlives a request.
    streams: TaskTracker,
}

/// The identity domain as the HTTP kit wants it.
struct Bearers(Authenticator);

#[async_trait]
impl Authenticate for Bearers {
    async fn bearer(&self, token: &str, origin: Origin) -> Result<Ctx> {
        self.0.by_bearer(token, origin).await
    }

    async fn session(&self, cookie: &str, csrf: Option<&str>, safe: bool, origin: Origin) -> Result<Ctx> {
        let (ctx, _) = self.0.by_session(cookie, csrf, safe, origin).await?;
        Ok(ctx)
    }
}

/// The identity domain as the engine wants it.
struct PresentGrants(Authenticator);

#[async_trait]
impl Principals for PresentGrants {
    async fn ctx_for(&self, tenant: TenantId, principal: Actor, on_behalf_of: Option<Actor>) -> Result<Ctx> {
        let origin = Origin::of(Channel::Run);
        let ctx = self
            .0
            .ctx_for_principal(tenant, principal, origin.clone())
            .await?;
        let Some(other) = on_behalf_of else {
            return Ok(ctx);
        };
        let theirs = self.0.ctx_for_principal(tenant, other, origin).await?;
        Ok(ctx.on_behalf_of(other, theirs.grants()))
    }
}

/// The names of people, for conversations.
struct Names(Authenticator);

#[async_trait]
impl People for Names {
    async fn names(&self, ctx: &Ctx, users: &[Uuid]) -> Result<HashMap<Uuid, String>> {
        self.0.names(ctx, users).await
    }
}

/// What runs tell live, for those who may see them.
struct RunsLive(Engine);

#[async_trait]
impl Watch for RunsLive {
    async fn watch(&self, ctx: &Ctx, run_id: Uuid) -> Result<Frames> {
        // Listened to before it is looked at: an end in between is not missed.
        let frames = self.0.live().frames(run_id).boxed();
        Ok(match self.ended(ctx, run_id).await? {
            None => frames,
            Some(end) => stream::once(std::future::ready(end)).boxed(),
        })
    }

    async fn ended(&self, ctx: &Ctx, run_id: Uuid) -> Result<Option<Value>> {
        ctx.require("runs:read")?;
        let status = self.0.wait_end(ctx, run_id, Duration::ZERO).await?;
        let over = status.is_final() || status == RunStatus::Paused;
        Ok(over.then(|| Live::end_frame(run_id, status.as_str())))
    }
}

/// Opens the store that `config` names, with the data directory and the master key that it needs.
///
/// # Errors
/// What keeps the database from being opened.
pub async fn open_store(config: &Config) -> Result<Store> {
    open_watched(config, None).await
}

/// As [`open_store`], with somebody who sees every statement.
async fn open_watched(config: &Config, observer: Option<Arc<dyn StatementObserver>>) -> Result<Store> {
    config.make_data()?;
    let secrets = config.secrets()?;
    let store = Store::open(config.store(), secrets, Clock::system(), observer).await?;
    if let Some(redis) = &config.redis {
        store.attach_redis(redis.clone());
    }
    Ok(store)
}

/// Brings the schema up to date, or refuses when `config` says that a start does not; answers how many migrations stand.
///
/// # Errors
/// `migrations_pending`, `schema_newer`, `row_security` or a database failure.
pub async fn ready_schema(config: &Config, store: &Store, modules: &Modules) -> Result<usize> {
    let migrations = modules.migrations();
    if !config.auto_migrate {
        let states = migrations.status(store).await?;
        let pending: Vec<_> = states.iter().filter(|state| state.applied_at.is_none()).collect();
        if let Some(first) = pending.first() {
            let message = format!(
                "{} migrations are missing, `{}` first.",
                pending.len(),
                first.name
            );
            return Err(Error::unavailable("migrations_pending", message));
        }
    }
    // Also finds out the log's identity, which cursors carry.
    migrations.migrate(store).await?;
    store.check_row_security().await?;
    Ok(migrations.status(store).await?.len())
}

/// Refuses a Redis that is too old; one that is down is waited for while the server runs.
async fn reach_redis(config: &Config) -> Result<()> {
    let Some(redis) = &config.redis else {
        return Ok(());
    };
    match redis.check().await {
        Ok(version) => tracing::info!(version, "Redis carries the events"),
        Err(error) if error.code() == "redis_too_old" => return Err(error),
        Err(error) => tracing::warn!(?error, "Redis does not answer; events are read from the database"),
    }
    Ok(())
}

impl App {
    /// Opens the database, brings the schema up to date and puts everything together. `figures` is what
    /// [`crate::telemetry::start_metrics`] answered.
    ///
    /// # Errors
    /// What keeps the server from starting.
    pub async fn build(config: Config, figures: PrometheusHandle) -> Result<App> {
        Self::build_with(config, figures, Vec::new()).await
    }

    /// As [`App::build`], with further modules: how a test, or a build with domains of its own, adds operations.
    ///
    /// # Errors
    /// What keeps the server from starting.
    pub async fn build_with(config: Config, figures: PrometheusHandle, further: Vec<Module>) -> Result<App> {
        Self::build_watched(config, figures, further, None).await
    }

    /// As [`App::build_with`], with somebody who sees every statement: how a test learns what is asked of the database.
    ///
    /// # Errors
    /// What keeps the server from starting.
    pub async fn build_watched(
        config: Config,
        figures: PrometheusHandle,
        further: Vec<Module>,
        observer: Option<Arc<dyn StatementObserver>>,
    ) -> Result<App> {
        let store = open_watched(&config, observer).await?;
        reach_redis(&config).await?;
        let mut modules = Modules::new(&store);
        modules.list.extend(further);
        let migrations = ready_schema(&config, &store, &modules).await?;
        let rates = config.limits.rates();
        let gate = Gate::new(modules.registry()?, store.clone(), GateConfig { rates });
        let engine = engine(&config, &gate, &modules.auth, Agents::kinds())?;
        modules.work.attach(engine.clone());
        modules.flows.attach(engine.clone(), store.secrets().clone());
        modules
            .models
            .attach(store.clock().clone(), models_config(&config))?;
        modules.agents.connect(
            engine.clone(),
            modules.models.clone(),
            gate.tools(),
            Arc::new(Names(modules.auth.clone())),
        );
        modules.mcp.attach(mcp_config(&config))?;

        let listeners = modules.list.iter().flat_map(|module| module.listeners.clone());
        let listeners = listeners.collect();
        let consumers = modules.list.iter().flat_map(|module| &module.consumers);
        let consumers = consumers.map(|consumer| consumer.0.clone()).collect();
        let worker = config.roles.worker.then(|| engine.clone());
        let readiness = Readiness::new(store, worker, config.data.clone(), migrations);
        let mut app = App {
            flows: modules.flows.clone(),
            auth: modules.auth,
            models: modules.models,
            mcp: modules.mcp,
            consumers,
            listeners,
            router: Router::new(),
            going_down: CancellationToken::new(),
            streams: TaskTracker::new(),
            config,
            gate,
            engine,
            figures,
            readiness,
        };
        app.router = app.routes(&modules.flows)?;
        Ok(app)
    }

    fn routes(&self, flows: &Flows) -> Result<Router> {
        let config = &self.config;
        let auth: Arc<dyn Authenticate> = Arc::new(Bearers(self.auth.clone()));
        let own = home::routes(config, self.store().backend())
            .merge(health::routes(self.readiness.clone()))
            .merge(metrics_route::routes(self.figures.clone(), auth.clone()));
        if !config.roles.api {
            return Ok(own);
        }
        let gate = self.gate.clone();
        let extra = own
            .merge(web::routes())
            .merge(synapscale_identity::routes(&self.auth, gate.clone()))
            .merge(synapscale_flows::routes(HookState::new(flows, gate.clone())?));
        Ok(synapscale_api::router(gate, auth, self.api_config(), extra))
    }

    fn api_config(&self) -> ApiConfig {
        let config = &self.config;
        let core = MCP_CORE
            .iter()
            .copied()
            .filter(|name| self.gate.registry().get(name).is_some());
        ApiConfig {
            public_url: config.public_url.clone(),
            version: VERSION.to_owned(),
            max_body_bytes: config.limits.body_bytes,
            time_limit: config.limits.request,
            trusted_proxies: config.trusted_proxies.clone(),
            mcp_core: core.collect(),
            mcp_toolsets: MCP_TOOLSETS.to_vec(),
            mcp_allowed_hosts: Vec::new(),
            max_streams_per_tenant: config.limits.event_streams,
            page: Some(web::page),
            watch: Some(Arc::new(RunsLive(self.engine.clone()))),
            trace_parent: config
                .otlp
                .as_ref()
                .map(|_| crate::telemetry::adopt as fn(&_, &_)),
            tasks: self.streams.clone(),
            shutdown: self.going_down.clone(),
        }
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The database.
    pub fn store(&self) -> &Store {
        self.gate.store()
    }

    /// The gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The operations.
    pub fn registry(&self) -> &Arc<Registry> {
        self.gate.registry()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// All routes that the network reaches.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `shutdown`, then drains: no new connections, requests to their end, the worker to its next commit,
    /// counters to the database, and the database closed.
    ///
    /// # Errors
    /// When a listener or the worker fails.
    pub async fn serve(self, listeners: Listeners, shutdown: CancellationToken) -> Result<()> {
        let periodic = Periodic::start(
            self.gate.clone(),
            self.auth.clone(),
            self.engine.clone(),
            self.flows.clone(),
            self.figures.clone(),
        );
        self.models.start()?;
        self.mcp.start()?;
        let worker_stop = CancellationToken::new();
        let workers = TaskTracker::new();
        let worker = self.config.roles.worker.then(|| {
            let (engine, stop) = (self.engine.clone(), worker_stop.clone());
            // A server whose worker is gone, by an error or a panic, goes down: whoever watches it starts it again.
            let gone = shutdown.clone().drop_guard();
            workers.spawn(async move {
                let ended = engine.work(stop).await;
                drop(gone);
                ended
            })
        });
        workers.close();
        let listening = Listening::start(self.store(), self.listeners.clone()).await?;
        let events = self.config.roles.relay.then(|| self.start_events()).transpose()?;

        let served = self.serve_requests(listeners, &shutdown).await;

        tracing::info!("requests are drained; the worker finishes its commits");
        worker_stop.cancel();
        let worked = match worker {
            Some(worker) => drained_worker(worker).await,
            None => Ok(()),
        };
        periodic.stop().await;
        bounded("listeners to events", FAREWELL, listening.stop()).await;
        if let Some((consumers, relay)) = events {
            bounded("consumers of events", WORKER_DRAIN, consumers.stop()).await;
            if let Some(relay) = relay {
                bounded("relay of events", FAREWELL, relay.stop()).await;
            }
        }
        bounded("MCP servers", FAREWELL, self.mcp.stop()).await;
        bounded("usage of models", FAREWELL, self.models.stop()).await;
        bounded("database", CLOSE, self.gate.store().close()).await;
        tracing::info!("stopped");
        served.and(worked)
    }

    /// The consumer groups, and with Redis the relay that brings them their events.
    fn start_events(&self) -> Result<(Consumers, Option<Relay>)> {
        let relay = Relay::start(self.store())?;
        let consumers = Consumers::start(self.store(), self.consumers.clone())?;
        Ok((consumers, relay))
    }

    async fn serve_requests(&self, listeners: Listeners, shutdown: &CancellationToken) -> Result<()> {
        let (tcp, unix) = (self.router(), self.local_router());
        let (stop_tcp, stop_unix) = (shutdown.clone(), shutdown.clone());
        let servers = async move {
            tokio::join!(
                serve_tcp(listeners.tcp, tcp, stop_tcp),
                serve_unix(listeners.unix, unix, stop_unix)
            )
        };
        tokio::pin!(servers);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            (tcp, unix) = &mut servers => return tcp.and(unix),
        }
        tracing::info!(
            "going down: no new requests, {} s for those under way",
            self.config.limits.drain.as_secs()
        );
        self.readiness.drain();
        self.going_down.cancel();
        let began = Instant::now();
        let drained = tokio::time::timeout(self.config.limits.drain, servers).await;
        let outcome = match drained {
            Ok((tcp, unix)) => tcp.and(unix),
            Err(_) => {
                tracing::warn!("some requests did not end in time and are cut off");
                Ok(())
            }
        };
        self.streams.close();
        bounded("event streams", FAREWELL, self.streams.wait()).await;
        tracing::debug!(ms = began.elapsed().as_millis(), "drained");
        outcome
    }

    fn local_router(&self) -> Router {
        self.router
            .clone()
            .merge(local::routes(self.store().clone(), self.config.page_url()))
    }
}

fn engine(
    config: &Config,
    gate: &Gate,
    auth: &Authenticator,
    further: Vec<Arc<dyn Unfold>>,
) -> Result<Engine> {
    let policy = OutboundPolicy {
        allow: config.http_allow.clone(),
        ..OutboundPolicy::default()
    };
    let outbound =
        Outbound::new(policy).map_err(|error| Error::unavailable("outbound", error.to_string()))?;
    let settings = EngineConfig {
        worker: config.roles.worker,
        worker_slots: config.limits.worker_slots,
        lease: config.lease,
        keep_runs: config.keep_runs,
        tenant_running: config.limits.tenant_running,
        tenant_queued: config.limits.tenant_queued,
        ..EngineConfig::default()
    };
    let principals = Arc::new(PresentGrants(auth.clone()));
    Ok(Engine::new(gate.clone(), principals, outbound, settings, further))
}

fn models_config(config: &Config) -> ModelsConfig {
    ModelsConfig {
        allow: config.models.allow.clone(),
        spill: Some(config.data.join("usage")),
        local_ollama: config.models.local_ollama,
        ollama_host: config.models.ollama_host.clone(),
        ..ModelsConfig::default()
    }
}

fn mcp_config(config: &Config) -> McpConfig {
    McpConfig {
        stdio: config.mcp.stdio.clone(),
        allow: config.mcp.allow.clone(),
        path: config.mcp.path.clone(),
        scratch: config.data.join("mcp"),
        version: VERSION.to_owned(),
        ..McpConfig::default()
    }
}

async fn drained_worker(worker: JoinHandle<Result<()>>) -> Result<()> {
    match tokio::time::timeout(WORKER_DRAIN, worker).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(panic)) => Err(Error::internal(panic)),
        Err(_) => {
            // Its leases run out, and whoever works next goes on.
            tracing::warn!("the worker did not end within {} s", WORKER_DRAIN.as_secs());
            Ok(())
        }
    }
}

async fn bounded(what: &str, limit: Duration, work: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, work).await.is_err() {
        tracing::warn!("the {what} did not end within {} s", limit.as_secs());
    }
}
