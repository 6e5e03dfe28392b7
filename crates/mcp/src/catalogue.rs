//! What one tenant has, ready for lists and calls, kept in memory: agents ask for their tools at every turn.

use crate::client::Aim;
use crate::entity::{server, tool_list};
use crate::secrets::Credentials;
use crate::tools::{FAMILY, StoredTool};
use crate::view::{ServerSettings, ServerView, Transport, read};
use chrono::{DateTime, Utc};
use moka::sync::Cache;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synapscale_core::{Ctx, Error, ErrorKind, Result, TenantId};
use synapscale_ops::SourceTool;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Store};
use uuid::Uuid;

/// For how long another process's change may go unseen.
const TTL: Duration = Duration::from_secs(30);
/// What all catalogues together may take, in bytes of JSON.
const ROOM: u64 = 64 * 1024 * 1024;
/// Counters of changes; tenants share them by chance, which only costs a reload.
const COUNTERS: usize = 1024;

/// A server ready to be called.
pub(crate) struct Known {
    pub id: Uuid,
    pub tenant: TenantId,
    pub name: String,
    pub revision: i64,
    pub settings: ServerSettings,
    pub active: bool,
    pub failed_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    transport: Transport,
    url: Option<String>,
    command: Option<String>,
    args: Vec<String>,
    sealed: Option<String>,
}

impl Known {
    pub fn of(row: &server::Model) -> Result<Self> {
        let view = ServerView::try_from(row)?;
        Ok(Known {
            id: row.id,
            tenant: TenantId(row.tenant_id),
            name: view.name,
            revision: row.revision,
            settings: view.settings,
            active: row.status == "active",
            failed_at: row.failed_at,
            last_error: view.last_error,
            transport: view.transport,
            url: view.url,
            command: view.command,
            args: view.args,
            sealed: row.secrets_sealed.clone(),
        })
    }

    /// What a connection needs, with the credentials opened.
    ///
    /// # Errors
    /// `secret_unreadable` when the master key is another.
    pub fn aim(&self, store: &Store) -> Result<Aim> {
        Ok(Aim {
            transport: self.transport,
            url: self.url.clone(),
            command: self.command.clone(),
            args: self.args.clone(),
            credentials: Credentials::open(store.secrets(), self.tenant, self.sealed.as_deref())?,
            settings: self.settings.clone(),
            folder: format!("{}/{}", self.tenant, self.id),
        })
    }

    /// # Errors
    /// `mcp_server_disabled`.
    pub fn must_be_active(&self) -> Result<()> {
        match self.active {
            true => Ok(()),
            false => {
                let words = format!("The MCP server `{}` is disabled.", self.name);
                Err(Error::conflict("mcp_server_disabled", words))
            }
        }
    }

    /// # Errors
    /// `mcp_tool_denied` when the workspace does not use the tool.
    pub fn must_use(&self, tool: &str) -> Result<()> {
        match self.settings.uses(tool) {
            true => Ok(()),
            false => {
                let words = format!(
                    "This workspace does not use the tool `{tool}` of `{}`.",
                    self.name
                );
                Err(Error::new(ErrorKind::Forbidden, "mcp_tool_denied", words).at("/tool"))
            }
        }
    }
}

/// What one tenant has.
pub(crate) struct Catalogue {
    servers: HashMap<String, Arc<Known>>,
    /// The usable tools of active servers, in the order of names.
    pub tools: Vec<Arc<SourceTool>>,
    by_name: HashMap<String, usize>,
    generation: u64,
    weight: usize,
}

impl Catalogue {
    /// # Errors
    /// `not_found`.
    pub fn server(&self, name: &str) -> Result<&Arc<Known>> {
        self.servers.get(name).ok_or_else(|| {
            let name: String = name.chars().take(64).collect();
            let words = format!("There is no MCP server `{name}`; mcp.servers.list shows them.");
            Error::new(ErrorKind::NotFound, "not_found", words)
        })
    }

    /// A tool by either of its names.
    pub fn tool(&self, name: &str) -> Option<&Arc<SourceTool>> {
        self.by_name.get(name).and_then(|at| self.tools.get(*at))
    }

    fn assemble(servers: &[server::Model], lists: Vec<tool_list::Model>, generation: u64) -> Result<Self> {
        let mut lists: HashMap<Uuid, tool_list::Model> =
            lists.into_iter().map(|list| (list.id, list)).collect();
        let mut made = Catalogue {
            servers: HashMap::new(),
            tools: Vec::new(),
            by_name: HashMap::new(),
            generation,
            weight: 1_000,
        };
        for row in servers {
            let known = Known::of(row)?;
            made.weight += 4_000;
            if let Some(list) = lists.remove(&row.id).filter(|_| known.active) {
                made.weight += list.tools.to_string().len() * 2;
                // A list of an older version that cannot be read any more is read anew from the server.
                let stored: Vec<StoredTool> = read(&list.tools).unwrap_or_default();
                let usable = stored
                    .iter()
                    .filter_map(|tool| tool.as_source(&known.name, &known.settings));
                made.tools.extend(usable.map(Arc::new));
            }
            made.servers.insert(known.name.clone(), Arc::new(known));
        }
        made.tools.sort_by(|a, b| a.name.cmp(&b.name));
        for (at, tool) in made.tools.iter().enumerate() {
            made.by_name.insert(tool.name.clone(), at);
            made.by_name.insert(tool.wire_name.clone(), at);
        }
        Ok(made)
    }
}

/// Catalogues by tenant. What was read before a change is never believed after it, in this process; elsewhere it is for
/// [`TTL`] at most.
pub(crate) struct Catalogues {
    known: Cache<TenantId, Arc<Catalogue>>,
    changes: Arc<[AtomicU64]>,
}

impl Default for Catalogues {
    fn default() -> Self {
        let weigh = |_: &TenantId, made: &Arc<Catalogue>| u32::try_from(made.weight).unwrap_or(u32::MAX);
        Catalogues {
            known: Cache::builder()
                .weigher(weigh)
                .max_capacity(ROOM)
                .time_to_live(TTL)
                .build(),
            changes: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Catalogues {
    fn counter(&self, tenant: TenantId) -> Option<&AtomicU64> {
        // The end of such an id is random.
        self.changes.get((tenant.0.as_u128() % COUNTERS as u128) as usize)
    }

    /// Makes this process forget what it knows of a tenant. To be called after the commit.
    pub fn forget(&self, tenant: TenantId) {
        if let Some(counter) = self.counter(tenant) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The tenant's catalogue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, ctx: &Ctx, store: &Store) -> Result<Arc<Catalogue>> {
        let tenant = ctx.tenant();
        // Read before the rows: a change in between makes what is loaded old at once.
        let generation = self
            .counter(tenant)
            .map_or(0, |counter| counter.load(Ordering::Acquire));
        if let Some(found) = self.known.get(&tenant)
            && found.generation == generation
        {
            return Ok(found);
        }
        let (servers, lists) = store
            .read(&ctx.system_in(tenant), |tx| async move {
                let servers = tx.find::<server::Entity>().rows(&tx).await?;
                let active = servers
                    .iter()
                    .filter(|row| row.status == "active")
                    .map(|row| row.id);
                let active: Vec<Uuid> = active.collect();
                if active.is_empty() {
                    return Ok((servers, Vec::new()));
                }
                let lists = tx
                    .find::<tool_list::Entity>()
                    .filter(tool_list::Column::Id.is_in(active));
                Ok((servers, lists.rows(&tx).await?))
            })
            .await?;
        let made = Arc::new(Catalogue::assemble(&servers, lists, generation)?);
        self.known.insert(tenant, made.clone());
        Ok(made)
    }
}

/// The server's name in a tool's dotted or wire name, if it can be one.
pub(crate) fn is_of_family(name: &str) -> bool {
    let rest = name.strip_prefix(FAMILY).unwrap_or_default();
    rest.starts_with(['.', '_']) && name.len() <= 300
}
