//! The persistent half of the model service: providers with sealed keys, routes by alias, and a row of usage for every
//! attempt; as operations, and as [`Models`] for the engine's own nodes.

mod catalogue;
mod chat;
mod clients;
mod entity;
mod events;
mod faces;
mod migration;
mod net;
mod ops;
mod probe;
mod providers;
mod routes;
pub mod usage;
pub mod view;

pub use chat::{AttemptView, ChatAnswer, ChatMessage, OpSink};
pub use probe::ProviderTest;
pub use usage::query::{UsageSum, UsageSummary, UsageView};
pub use usage::writer::Figures;

use crate::client::ClientConfig;
use crate::discover::{FoundOllama, discover_ollama};
use crate::price::PriceBook;
use crate::router::{Router, RouterConfig};
use catalogue::{Catalogue, Catalogues, DEFAULT, Known, Target};
use clients::Clients;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;
use synapscale_core::net::{AllowRule, Guard};
use synapscale_core::{Clock, Ctx, Error, Result};
use synapscale_ops::Module;
use synapscale_store::events::Listener;
use synapscale_store::{EntitySpec, Store, Tx};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use usage::UsageRow;
use usage::spill::Spill;
use usage::writer::{Ledger, Outlet, ROOM, Writer};

/// How often this machine is looked over for an Ollama: one may be started after the server.
const LOOK: Duration = Duration::from_secs(60);

/// What can be set of the model service.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// The addresses beyond the public internet that tenants' providers may stand at.
    pub allow: Vec<AllowRule>,
    /// The folder in which usage waits while the database is away; none to go without.
    pub spill: Option<PathBuf>,
    /// Most bytes of it.
    pub spill_bytes: u64,
    /// Looks for an Ollama on this machine's loopback, and offers it to tenants without any provider. For a developer's
    /// own machine: everybody with `llm:chat` may use it.
    pub local_ollama: bool,
    /// Where that Ollama listens, in any form that `OLLAMA_HOST` may have; its usual place if none. The operator's word:
    /// it is reached whatever `allow` says.
    pub ollama_host: Option<String>,
    /// The prices; those that come with the product if none.
    pub prices: Option<Arc<PriceBook>>,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        ModelsConfig {
            allow: Vec::new(),
            spill: None,
            spill_bytes: 256 << 20,
            local_ollama: false,
            ollama_host: None,
            prices: None,
        }
    }
}

/// The model service of one server. Its tables and operations stand before its settings are known, so it is made first and
/// attached later. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    store: Store,
    catalogues: Catalogues,
    attached: OnceLock<Attached>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

pub(crate) struct Attached {
    pub router: Router,
    pub clients: Clients,
    pub ledger: Ledger,
    pub outlet: Arc<Outlet>,
    local_ollama: bool,
    ollama_host: Option<String>,
    ollama: RwLock<Option<FoundOllama>>,
    /// Until the writer starts.
    receiver: Mutex<Option<Receiver<UsageRow>>>,
}

impl Attached {
    fn take_receiver(&self) -> Option<Receiver<UsageRow>> {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Models {
    /// The service over `store`, ready to be called.
    ///
    /// # Errors
    /// As [`Models::attach`].
    pub fn new(store: Store, clock: Clock, config: ModelsConfig) -> Result<Self> {
        let models = Self::unattached(store);
        models.attach(clock, config)?;
        Ok(models)
    }

    /// The service without its settings: knows its tables and operations.
    pub fn unattached(store: Store) -> Self {
        Models(Arc::new(Inner {
            store,
            catalogues: Catalogues::default(),
            attached: OnceLock::new(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        }))
    }

    /// Gives it its settings; the first ones stay.
    ///
    /// # Errors
    /// When TLS cannot be set up or the spill's folder cannot be had.
    pub fn attach(&self, clock: Clock, config: ModelsConfig) -> Result<()> {
        let client = ClientConfig::default();
        let clients = Clients::new(Guard::new(config.allow), &client)?;
        let settings = RouterConfig {
            client,
            clock,
            prices: config.prices,
            ..RouterConfig::default()
        };
        let spill = match &config.spill {
            None => None,
            Some(folder) => Some(Spill::open(folder, config.spill_bytes).map_err(|error| {
                Error::unavailable("usage_spill", format!("{}: {error}", folder.display()))
            })?),
        };
        let outlet = Arc::new(Outlet {
            spill,
            figures: Arc::default(),
        });
        let (sender, receiver) = channel(ROOM);
        let attached = Attached {
            router: Router::with_client(clients.public().clone(), settings),
            clients,
            ledger: Ledger::new(sender, outlet.clone()),
            outlet,
            local_ollama: config.local_ollama,
            ollama_host: config.ollama_host,
            ollama: RwLock::default(),
            receiver: Mutex::new(Some(receiver)),
        };
        // A second attachment would be a mistake of the composition, and the first one works.
        let _ = self.0.attached.set(attached);
        Ok(())
    }

    /// What the code believes of its tables; known before there is a database.
    pub fn entities() -> Vec<EntitySpec> {
        entity::entities()
    }

    /// Tables, events and operations.
    pub fn module(&self) -> Module {
        let mut module = Module::new("llm");
        module.operations = ops::all(self);
        module.events = events::kinds();
        module.faces = faces::faces();
        module.migrations = migration::migrations();
        module.entities = Self::entities();
        let models = self.clone();
        module.listener(Listener::new(
            &["model_provider.*", "model_route.*"],
            move |event| {
                models.0.catalogues.forget(event.tenant);
            },
        ))
    }

    /// Starts what runs beside the calls: the writer of usage, and the search for a local Ollama.
    ///
    /// # Errors
    /// `starting` before it is attached.
    pub fn start(&self) -> Result<()> {
        let attached = self.attached()?;
        if let Some(receiver) = attached.take_receiver() {
            let (store, outlet) = (self.0.store.clone(), attached.outlet.clone());
            let writer = Writer::new(store, outlet, receiver, self.0.stop.clone());
            self.0.tasks.spawn(writer.run());
        }
        if attached.local_ollama {
            let (models, stop) = (self.clone(), self.0.stop.clone());
            self.0.tasks.spawn(async move { models.search(stop).await });
        }
        self.0.tasks.close();
        Ok(())
    }

    /// Stops the tasks and writes what is still in memory. To be called when no more calls come; the usage of those that
    /// do goes to the spill.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        // Never started: what was recorded waits on disk for a process that is.
        if let Ok(attached) = self.attached()
            && let Some(receiver) = attached.take_receiver()
        {
            attached.outlet.keep_unread(receiver);
        }
    }

    /// What became of the rows of usage.
    ///
    /// # Errors
    /// `starting` before it is attached.
    pub fn figures(&self) -> Result<Arc<Figures>> {
        Ok(self.attached()?.outlet.figures.clone())
    }

    async fn search(&self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let Ok(attached) = self.attached() else { return };
            let host = attached.ollama_host.as_deref();
            let found = discover_ollama(attached.clients.named(), host).await.ok();
            let mut known = attached.ollama.write().unwrap_or_else(PoisonError::into_inner);
            if found.is_some() != known.is_some() {
                let models = found.as_ref().map_or(0, |found| found.models.len());
                tracing::info!(there = found.is_some(), models, "an Ollama on this machine");
            }
            *known = found;
        }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn attached(&self) -> Result<&Attached> {
        self.0
            .attached
            .get()
            .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
    }

    /// Once `tx` commits, this process reads the tenant's providers and routes afresh.
    pub(crate) fn forget_after(&self, tx: &Tx) {
        let (models, tenant) = (self.clone(), tx.ctx().tenant());
        tx.after_commit(move || models.0.catalogues.forget(tenant));
    }

    pub(crate) async fn catalogue(&self, ctx: &Ctx) -> Result<Arc<Catalogue>> {
        let clients = &self.attached()?.clients;
        self.0.catalogues.get(ctx, &self.0.store, clients).await
    }

    /// The Ollama that was found, for tenants that have nothing else.
    pub(crate) fn found_ollama(&self) -> Result<Option<FoundOllama>> {
        let known = self
            .attached()?
            .ollama
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(known.clone())
    }

    /// The way of a call to `model`.
    pub(crate) async fn target(&self, ctx: &Ctx, model: &str) -> Result<Arc<Target>> {
        let catalogue = self.catalogue(ctx).await?;
        if !catalogue.empty {
            return catalogue.target(model);
        }
        let nothing = || {
            let words = "This workspace has no provider of models yet: add one with providers.create.";
            Error::invalid("/model", "no_provider", words)
        };
        let found = self.found_ollama()?.ok_or_else(nothing)?;
        let (model, alias) = match (model.strip_prefix("ollama/"), found.models.first()) {
            (Some(model), _) => (model.to_owned(), None),
            (None, Some(first)) if model == DEFAULT => (first.name.clone(), Some(DEFAULT)),
            _ => return Err(nothing()),
        };
        let client = self.attached()?.clients.named().clone();
        let ollama = Known::ollama(found.base_url, client).ok_or_else(nothing)?;
        ollama.target(&model, alias).map(Arc::new)
    }
}

/// Refuses what cannot be a provider's name or a route's alias: it stands before the slash in `provider/model`.
pub(crate) fn check_name(name: &str, pointer: &str) -> Result<()> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    match first && rest && name.len() <= 64 {
        true => Ok(()),
        false => {
            let words = "Lower-case letters, digits, `-`, `_` and `.`, 64 at most, a letter or digit first.";
            Err(Error::invalid(pointer, "name", words))
        }
    }
}
