//! The engine: what the product holds of it, and the worker.

use crate::graph::{CompiledGraph, KindCatalog, KindInfo, Problem, compile, pin};
use crate::nodes::{self, Catalog};
use crate::outbound::Outbound;
use crate::run::direct::{Caller, Directs, Runner};
use crate::run::limits::{self, Freed, Quota};
use crate::run::live::Live;
use crate::run::privacy::Privacy;
use crate::run::{claim, drive, entity, events, faces};
use crate::unfold::Unfold;
use crate::workflows::Workflows;
use async_trait::async_trait;
use aws_lc_rs::digest;
use moka::sync::Cache;
use serde_json::Value;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use synapscale_core::{Actor, Channel, Ctx, Error, FieldError, Result, TenantId, new_id};
use synapscale_ops::{Gate, Module};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Store, Tx};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A graph as it is kept.
struct Pinned {
    file: Value,
    digest: Vec<u8>,
    graph: Arc<CompiledGraph>,
}

fn sha256(file: &Value) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(file).map_err(Error::internal)?;
    Ok(digest::digest(&digest::SHA256, &bytes).as_ref().to_vec())
}

/// The topic that every change of the run queue wakes.
pub const RUNS: &str = "runs";
/// Compiled graphs kept in memory.
const GRAPHS: u64 = 1_000;
/// Of those that were just put.
const PINNED: u64 = 64;

/// Says what somebody may do now: a run has its publisher's present permissions.
#[async_trait]
pub trait Principals: Send + Sync {
    /// The context of a run of `principal`, narrowed to `on_behalf_of` if somebody else started it.
    async fn ctx_for(&self, tenant: TenantId, principal: Actor, on_behalf_of: Option<Actor>) -> Result<Ctx>;
}

/// How the engine works.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Whether this process runs runs.
    pub worker: bool,
    /// Runs in memory at once.
    pub worker_slots: usize,
    /// How long a run is a worker's without a sign of life.
    pub lease: Duration,
    /// How often the queue is looked at when nothing wakes the worker.
    pub poll: Duration,
    /// How long runs are kept after their end.
    pub keep_runs: Duration,
    /// Most runs of one workspace at work at once, over all processes; 0 for as many as there are places. Runs that wait for
    /// time, people or other runs do not count.
    pub tenant_running: u32,
    /// Most runs of one workspace that may be queued; 0 for any number.
    pub tenant_queued: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            worker: true,
            worker_slots: 256,
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            keep_runs: Duration::from_secs(90 * 24 * 3600),
            tenant_running: 0,
            tenant_queued: 100_000,
        }
    }
}

/// The engine; cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    gate: Gate,
    principals: Arc<dyn Principals>,
    outbound: Outbound,
    config: EngineConfig,
    kinds: Kinds,
    live: Live,
    graphs: Cache<(TenantId, Uuid), Arc<CompiledGraph>>,
    /// By the digest of the file as it was given.
    pinned: Cache<Vec<u8>, Arc<Pinned>>,
    /// This process, in leases.
    owner: Uuid,
    slots: Arc<Semaphore>,
    /// Runs accepted here, on their way to the worker.
    adopted: mpsc::UnboundedSender<drive::Held>,
    arrivals: tokio::sync::Mutex<Option<mpsc::UnboundedReceiver<drive::Held>>>,
    /// What became free here, on its way to whoever waits for it.
    freed: mpsc::UnboundedSender<Freed>,
    told: tokio::sync::Mutex<Option<mpsc::UnboundedReceiver<Freed>>>,
    quota: Quota,
    /// When the worker last looked at the queue, in milliseconds of the Unix epoch.
    heartbeat: AtomicI64,
    /// Who waits here for a run that is a single call.
    directs: Directs,
    /// Runs in hand and their outside calls.
    tasks: TaskTracker,
    /// Who sees private runs; nobody until it is set.
    privacy: OnceLock<Arc<dyn Privacy>>,
    /// Who finds workflows by their names; nobody until it is set.
    workflows: OnceLock<Arc<dyn Workflows>>,
}

/// The engine's own kinds of nodes, and those registered with it.
struct Kinds(Vec<Arc<dyn Unfold>>);

impl Kinds {
    fn all(&self) -> Vec<KindInfo> {
        let further = self.0.iter().map(|unfold| unfold.kind());
        Catalog.all().into_iter().chain(further).collect()
    }
}

impl KindCatalog for Kinds {
    fn kind(&self, name: &str, version: Option<u32>) -> Option<KindInfo> {
        let further = || {
            let kinds = self.0.iter().map(|unfold| unfold.kind());
            kinds
                .filter(|kind| kind.name == name && version.is_none_or(|v| v == kind.version))
                .max_by_key(|kind| kind.version)
        };
        Catalog.kind(name, version).or_else(further)
    }

    fn names(&self) -> Vec<String> {
        self.all().into_iter().map(|kind| kind.name).collect()
    }
}

/// An engine that may be gone.
pub(crate) struct WeakEngine(Weak<Inner>);

impl WeakEngine {
    pub fn upgrade(&self) -> Option<Engine> {
        self.0.upgrade().map(Engine)
    }
}

impl Engine {
    /// An engine over `gate` with `further` kinds of nodes; it takes the gate's external operations on itself.
    pub fn new(
        gate: Gate,
        principals: Arc<dyn Principals>,
        outbound: Outbound,
        config: EngineConfig,
        further: Vec<Arc<dyn Unfold>>,
    ) -> Engine {
        let (adopted, arrivals) = mpsc::unbounded_channel();
        let (freed, told) = mpsc::unbounded_channel();
        let engine = Engine(Arc::new(Inner {
            slots: Arc::new(Semaphore::new(if config.worker {
                config.worker_slots
            } else {
                0
            })),
            gate: gate.clone(),
            principals,
            outbound,
            config,
            kinds: Kinds(nodes::composites().into_iter().chain(further).collect()),
            live: Live::default(),
            graphs: Cache::new(GRAPHS),
            pinned: Cache::new(PINNED),
            owner: new_id(),
            adopted,
            arrivals: tokio::sync::Mutex::new(Some(arrivals)),
            freed,
            told: tokio::sync::Mutex::new(Some(told)),
            quota: Quota::default(),
            heartbeat: AtomicI64::new(0),
            directs: Directs::default(),
            tasks: TaskTracker::new(),
            privacy: OnceLock::new(),
            workflows: OnceLock::new(),
        }));
        gate.set_external(Arc::new(Runner::of(&engine)));
        engine
    }

    /// Tables and events; the operations over them are the flows' domain.
    pub fn module() -> Module {
        let mut module = Module::new("engine");
        module.migrations = entity::migrations();
        module.entities = entity::entities();
        module.events = events::kinds();
        module.faces = faces::faces();
        module
    }

    /// Sets who decides about private runs; the first one stays.
    pub fn set_privacy(&self, privacy: Arc<dyn Privacy>) {
        let _ = self.0.privacy.set(privacy);
    }

    /// Sets who finds workflows for the steps that start them; the first one stays.
    pub fn set_workflows(&self, workflows: Arc<dyn Workflows>) {
        let _ = self.0.workflows.set(workflows);
    }

    /// # Errors
    /// `unavailable` while the server starts.
    pub(crate) fn workflows(&self) -> Result<&Arc<dyn Workflows>> {
        let starting = || Error::unavailable("starting", "The server is still starting. Try again.");
        self.0.workflows.get().ok_or_else(starting)
    }

    pub(crate) fn privacy(&self) -> Option<&Arc<dyn Privacy>> {
        self.0.privacy.get()
    }

    /// Compiles a workflow file, or tells all that is wrong with it.
    ///
    /// # Errors
    /// Every problem with its place.
    pub fn compile(&self, file: &Value) -> std::result::Result<CompiledGraph, Vec<Problem>> {
        compile(file, &self.0.kinds)
    }

    /// The node kinds.
    pub fn kinds(&self) -> Vec<KindInfo> {
        self.0.kinds.all()
    }

    /// Keeps a graph for good; the same content has the same id within a tenant.
    ///
    /// # Errors
    /// `invalid_graph` with every problem and its place.
    pub async fn put_graph(&self, tx: &Tx, file: &Value) -> Result<Uuid> {
        let pinned = self.pinned(file)?;
        let same = || {
            tx.find::<entity::graph::Entity>()
                .filter(entity::graph::Column::Digest.eq(pinned.digest.clone()))
        };
        if let Some(found) = same().row(tx).await? {
            return Ok(found.id);
        }
        let id = new_id();
        let row = entity::graph::Model {
            tenant_id: tx.ctx().tenant().0,
            id,
            digest: pinned.digest.clone(),
            file: pinned.file.clone(),
            created_at: tx.ctx().clock().now(),
        };
        if !tx.insert_new::<entity::graph::Entity>(row).await? {
            // Another transaction kept the same one just now, as when a workspace's first calls come side by side.
            let found = same().row(tx).await?;
            let gone = || Error::internal("a graph that stands is not found");
            return found.map(|found| found.id).ok_or_else(gone);
        }
        let (cache, key) = (self.0.graphs.clone(), (tx.ctx().tenant(), id));
        let graph = pinned.graph.clone();
        tx.after_commit(move || cache.insert(key, graph));
        Ok(id)
    }

    /// A file compiled and pinned. The product's own graphs are put again with every run that they are of.
    fn pinned(&self, file: &Value) -> Result<Arc<Pinned>> {
        let given = sha256(file)?;
        if let Some(pinned) = self.0.pinned.get(&given) {
            return Ok(pinned);
        }
        let graph = self.compile(file).map_err(problems)?;
        // A later version of a node kind must not change what was kept.
        let file = pin(file, &graph);
        let pinned = Arc::new(Pinned {
            digest: sha256(&file)?,
            graph: Arc::new(graph),
            file,
        });
        self.0.pinned.insert(given, pinned.clone());
        Ok(pinned)
    }

    /// A kept graph, compiled.
    ///
    /// # Errors
    /// `not_found` for an id that is none of this tenant's.
    pub(crate) async fn graph(&self, tx: &Tx, id: Uuid) -> Result<Arc<CompiledGraph>> {
        let key = (tx.ctx().tenant(), id);
        if let Some(graph) = self.0.graphs.get(&key) {
            return Ok(graph);
        }
        let row = tx
            .find::<entity::graph::Entity>()
            .filter(entity::graph::Column::Id.eq(id))
            .row(tx)
            .await?
            .ok_or_else(|| Error::not_found("graph"))?;
        let graph = Arc::new(self.compile(&row.file).map_err(problems)?);
        self.0.graphs.insert(key, graph.clone());
        Ok(graph)
    }

    /// The context that a run acts under, with the permissions of this moment.
    pub(crate) async fn run_ctx(&self, head: &crate::run::state::RunHead) -> Result<Ctx> {
        let ctx = self
            .0
            .principals
            .ctx_for(head.tenant, head.principal, head.on_behalf_of)
            .await?;
        let mut origin = ctx.origin().clone();
        origin.run = Some(head.id);
        origin.private_to = head.private_to;
        origin.channel = Channel::Run;
        Ok(ctx.with_origin(origin).with_correlation(head.correlation))
    }

    /// What a publisher may do at present, as a run of theirs.
    ///
    /// # Errors
    /// `forbidden` when there is no such person any more, or the database's.
    pub async fn publisher_ctx(&self, tenant: TenantId, publisher: Actor) -> Result<Ctx> {
        self.0.principals.ctx_for(tenant, publisher, None).await
    }

    pub(crate) fn downgrade(&self) -> WeakEngine {
        WeakEngine(Arc::downgrade(&self.0))
    }

    /// The kind of that name and version, if it unfolds.
    pub(crate) fn unfold(&self, name: &str, version: u32) -> Option<&Arc<dyn Unfold>> {
        self.0.kinds.0.iter().find(|unfold| {
            let kind = unfold.kind();
            kind.name == name && kind.version == version
        })
    }

    /// What steps under way tell while they work.
    pub fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn directs(&self) -> &Directs {
        &self.0.directs
    }

    /// Who waits in this process for that run, if it is a single call.
    pub(crate) fn direct(&self, run_id: Uuid) -> Option<Caller> {
        self.0.directs.get(run_id)
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// The store that its runs are kept in.
    pub fn store(&self) -> &Store {
        self.0.gate.store()
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    pub(crate) fn owner(&self) -> Uuid {
        self.0.owner
    }

    /// A place for one more run in memory, if this process has a worker and the worker has room.
    pub(crate) fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.0.slots.clone().try_acquire_owned().ok()
    }

    /// Hands a run that this process accepted to its worker.
    pub(crate) fn adopt(&self, held: drive::Held) {
        // Without a worker the lease runs out and another process goes on.
        let _ = self.0.adopted.send(held);
    }

    /// Says after the commit what has become free. Without a worker here another process finds it.
    pub(crate) fn freed(&self, tx: &Tx, freed: Freed) {
        if self.0.config.worker {
            let sender = self.0.freed.clone();
            tx.after_commit(move || {
                let _ = sender.send(freed);
            });
        }
    }

    /// How many runs workspaces have queued, as far as this process knows.
    pub(crate) fn quota(&self) -> &Quota {
        &self.0.quota
    }

    /// Milliseconds since the worker last looked at the queue; none before its first look.
    pub fn worker_age(&self, now_ms: i64) -> Option<i64> {
        let last = self.0.heartbeat.load(Ordering::Relaxed);
        (last > 0).then_some(now_ms - last)
    }

    /// What the worker waits for before it ends.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Runs runs until `shutdown`, then finishes what is between two commits and returns.
    ///
    /// # Errors
    /// When another call already works, or the database fails at the start.
    pub async fn work(&self, shutdown: CancellationToken) -> Result<()> {
        let taken = self.0.arrivals.lock().await.take();
        let mut arrivals = taken.ok_or_else(|| Error::internal("the worker is already at work"))?;
        claim::recover(self).await?;
        let tasks = self.tasks();
        if let Some(told) = self.0.told.lock().await.take() {
            tasks.spawn(limits::keep(self.clone(), told, shutdown.clone()));
        }
        let mut wake = self.store().watch(RUNS);
        loop {
            self.0
                .heartbeat
                .store(self.store().clock().now().timestamp_millis(), Ordering::Relaxed);
            let begin = |held| {
                tasks.spawn(drive::drive(self.clone(), held, shutdown.clone()));
            };
            let next = match claim::claim(self, begin).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the run queue could not be read");
                    self.config().poll
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(held) = arrivals.recv() => {
                    tasks.spawn(drive::drive(self.clone(), held, shutdown.clone()));
                    // Whatever else has arrived needs no look at the queue either.
                    while let Ok(held) = arrivals.try_recv() {
                        tasks.spawn(drive::drive(self.clone(), held, shutdown.clone()));
                    }
                }
                _ = wake.changed() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

fn problems(problems: Vec<Problem>) -> Error {
    let field = |problem: Problem| FieldError {
        pointer: problem.pointer,
        code: problem.code.into(),
        message: problem.message,
    };
    Error::invalid_fields(problems.into_iter().map(field).collect()).with_code("invalid_graph")
}
