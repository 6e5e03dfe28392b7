//! Workflows, their versions and hooks, runs and approvals as operations over the engine. A workflow is a file that
//! somebody applied; every version of it is immutable and runs as whoever published it.

mod catalog;
mod entity;
mod events;
mod faces;
mod file;
pub mod hooks;
mod migration;
mod ops;
mod pinned;
mod service;
mod triggers;
mod view;
mod yaml;

pub use hooks::cache::{HOOK_CACHE_TTL, HookCache};
pub use hooks::http::{HookState, RESPOND_WITHIN, routes};
pub use view::{AppliedHook, AppliedWorkflow, WorkflowStatus, WorkflowView};
pub use yaml::{MAX_FILE_BYTES, locate, parse_yaml};

use std::sync::{Arc, OnceLock};
use synapscale_core::{Error, Result};
use synapscale_engine::Engine;
use synapscale_ops::Module;
use synapscale_store::events::Listener;
use synapscale_store::{SecretBox, Store};

/// The domain of one server. Its operations need the engine, the engine needs the gate, and the gate needs the operations:
/// so the module is made first and the engine attached when it stands. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Flows(Arc<Inner>);

#[derive(Default)]
struct Inner {
    attached: OnceLock<(Engine, SecretBox)>,
    cache: HookCache,
}

impl Flows {
    /// A domain without its engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches the engine, and the box that opens its store's secrets; the first ones stay.
    pub fn attach(&self, engine: Engine, secrets: SecretBox) {
        engine.set_workflows(Arc::new(pinned::Named));
        // A second engine in the same process would be a mistake of the composition, and the first one works.
        let _ = self.0.attached.set((engine, secrets));
    }

    /// Tables, events and operations. To be registered after the engine's module, whose tables it refers to.
    pub fn module(&self) -> Module {
        let mut module = Module::new("flows");
        module.operations = ops::all(self);
        module.events = events::kinds();
        module.faces = faces::faces();
        module.migrations = migration::migrations();
        module.entities = entity::entities();
        let cache = self.0.cache.clone();
        module.listener(Listener::new(&["workflow.*", "hook.*"], move |_| cache.clear()))
    }

    fn attached(&self) -> Result<&(Engine, SecretBox)> {
        self.0
            .attached
            .get()
            .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
    }

    pub(crate) fn engine(&self) -> Result<&Engine> {
        Ok(&self.attached()?.0)
    }

    pub(crate) fn store(&self) -> Result<&Store> {
        Ok(self.engine()?.store())
    }

    pub(crate) fn secrets(&self) -> Result<&SecretBox> {
        Ok(&self.attached()?.1)
    }

    pub(crate) fn hook_cache(&self) -> &HookCache {
        &self.0.cache
    }
}
