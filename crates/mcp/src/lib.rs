//! Other people's MCP servers: kept with sealed credentials, reached over HTTP or as processes, their tools offered as
//! views of one operation, `mcp.call`. A server that is down takes nothing with it but its own tools.
//!
//! *Invariant:* nothing that a server says decides anything here. Its hints show, its schemas bind its own callers, its texts
//! are data, and what it costs is bounded: lines, pages, schemas, results, time, connections.

mod calls;
mod catalogue;
mod client;
mod entity;
mod events;
mod faces;
mod migration;
mod ops;
mod result;
mod secrets;
mod servers;
mod tools;
mod view;

pub use entity::entities;
pub use result::{Part, PartKind, ToolResult};
pub use view::{
    Health, ServerSettings, ServerStatus, ServerTest, ServerView, ToolOverride, ToolView, Transport,
};

use async_trait::async_trait;
use catalogue::{Catalogue, Catalogues};
use client::Ways;
use client::pool::{Patience, Pool};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use synapscale_core::net::AllowRule;
use synapscale_core::{Ctx, Error, Result};
use synapscale_engine::outbound::{Outbound, OutboundPolicy};
use synapscale_ops::{Module, SourceTool, ToolSource};
use synapscale_store::events::Listener;
use synapscale_store::{Store, Tx};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How often idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// What can be set of the client.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// The commands that servers may be started by. Whoever may add servers can run these with any arguments.
    pub stdio: Vec<String>,
    /// Destinations that may be reached although they are not public, or by plain http.
    pub allow: Vec<AllowRule>,
    /// Where programs are looked for: the `PATH` of servers' processes.
    pub path: String,
    /// The folder that servers' processes have their homes in.
    pub scratch: PathBuf,
    /// How long a server that failed three times in a row is left alone.
    pub pause: Duration,
    /// How long a connection may be idle.
    pub idle: Duration,
    /// The version told to servers.
    pub version: String,
}

impl Default for McpConfig {
    fn default() -> Self {
        McpConfig {
            stdio: Vec::new(),
            allow: Vec::new(),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            scratch: std::env::temp_dir().join("synapscale-mcp"),
            pause: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The MCP client of one server. Its tables and operations stand before its settings are known, so it is made first and
/// attached later. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Mcp(Arc<Inner>);

struct Inner {
    store: Store,
    catalogues: Catalogues,
    pool: Pool,
    attached: OnceLock<Attached>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Attached {
    ways: Ways,
    patience: Patience,
}

impl Mcp {
    /// The client without its settings: knows its tables and operations.
    pub fn unattached(store: Store) -> Self {
        Mcp(Arc::new(Inner {
            store,
            catalogues: Catalogues::default(),
            pool: Pool::default(),
            attached: OnceLock::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Gives it its settings; the first ones stay.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn attach(&self, config: McpConfig) -> Result<()> {
        let policy = OutboundPolicy {
            allow: config.allow,
            ..OutboundPolicy::default()
        };
        let outbound =
            Outbound::new(policy).map_err(|error| Error::unavailable("outbound", error.to_string()))?;
        let attached = Attached {
            ways: Ways {
                outbound,
                commands: config.stdio,
                path: config.path,
                scratch: config.scratch,
                tasks: self.0.tasks.clone(),
                version: config.version,
            },
            patience: Patience {
                pause: config.pause,
                idle: config.idle,
            },
        };
        // A second attachment would be a mistake of the composition, and the first one works.
        let _ = self.0.attached.set(attached);
        Ok(())
    }

    /// Tables, events, operations, and the tools of servers.
    pub fn module(&self) -> Module {
        let mut module = Module::new("mcp");
        module.operations = ops::all(self);
        module.events = events::kinds();
        module.faces = faces::faces();
        module.migrations = migration::migrations();
        module.entities = entity::entities();
        let mcp = self.clone();
        let module = module.listener(Listener::new(&["mcp_server.*"], move |event| {
            mcp.0.catalogues.forget(event.tenant);
        }));
        module.tool_source(Arc::new(self.clone()))
    }

    /// Starts what runs beside the calls: the search for idle connections.
    ///
    /// # Errors
    /// `starting` before it is attached.
    pub fn start(&self) -> Result<()> {
        let patience = self.patience()?;
        let (mcp, stop) = (self.clone(), self.0.stop.clone());
        self.0.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(SWEEP.min(patience.idle)) => mcp.0.pool.sweep(patience),
                }
            }
        });
        Ok(())
    }

    /// Ends all connections and processes. To be called when no more calls come.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.pool.clear();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0.pool
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    fn attached(&self) -> Result<&Attached> {
        self.0
            .attached
            .get()
            .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
    }

    pub(crate) fn ways(&self) -> Result<&Ways> {
        self.attached().map(|attached| &attached.ways)
    }

    pub(crate) fn patience(&self) -> Result<Patience> {
        self.attached().map(|attached| attached.patience)
    }

    /// Once `tx` commits, this process reads the tenant's servers afresh, and gives up the connection to one that changed.
    pub(crate) fn forget_after(&self, tx: &Tx, changed: Option<Uuid>) {
        let (mcp, tenant) = (self.clone(), tx.ctx().tenant());
        tx.after_commit(move || {
            mcp.0.catalogues.forget(tenant);
            if let Some(id) = changed {
                mcp.0.pool.forget(tenant, id);
            }
        });
    }

    pub(crate) async fn catalogue(&self, ctx: &Ctx) -> Result<Arc<Catalogue>> {
        self.0.catalogues.get(ctx, &self.0.store).await
    }
}

#[async_trait]
impl ToolSource for Mcp {
    fn family(&self) -> &'static str {
        tools::FAMILY
    }

    async fn list(&self, _: &Store, ctx: &Ctx) -> Result<Vec<Arc<SourceTool>>> {
        Ok(self.catalogue(ctx).await?.tools.clone())
    }

    async fn find(&self, _: &Store, ctx: &Ctx, name: &str) -> Result<Option<Arc<SourceTool>>> {
        if !catalogue::is_of_family(name) {
            return Ok(None);
        }
        Ok(self.catalogue(ctx).await?.tool(name).cloned())
    }
}
