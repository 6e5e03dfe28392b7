//! Projects and tasks. Every change, single or in a set, is one plan: made in memory against the rows it touches, shown as
//! a diff, applied whole or not at all.

mod activity;
mod apply;
mod archive;
mod comments;
mod entity;
mod events;
mod faces;
mod filter;
mod links;
mod model;
mod ops;
mod patch;
mod plan;
mod position;
mod query;
mod recurrence;
mod search;
mod sort;
mod time;
mod transfer;
mod trash;
mod undo;
mod words;

pub use model::{Priority, Project, ProjectStatus, Task, TaskNode, TaskStatus};
pub use patch::{Op, PatchResult, PatchSet, ProjectBody, ProjectPatch, TaskBody, TaskPatch};
pub use recurrence::Recurrence;

use synapscale_engine::Engine;
use synapscale_ops::Module;
use synapscale_store::Tx;

/// The domain of one server. Imports are runs of the engine, the engine needs the gate, and the gate needs the operations:
/// so the module is made first and the engine attached when it stands. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Work(transfer::Runs);

impl Work {
    /// A domain without its engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches the engine; the first one stays.
    pub fn attach(&self, engine: Engine) {
        // A second engine in the same process would be a mistake of the composition, and the first one works.
        let _ = self.0.set(engine);
    }

    /// Tables, events and operations.
    pub fn module(&self) -> Module {
        let mut module = Module::new("work");
        let backlog = search::Backlog::default();
        module.operations = [
            ops::all(&backlog),
            search::operations(&backlog),
            comments::operations(&backlog),
            activity::operations(),
            time::operations(),
            links::operations(),
            archive::operations(),
            trash::operations(),
            filter::operations(),
            transfer::operations(&self.0),
        ]
        .concat();
        module.events = events::kinds();
        module.faces = faces::faces();
        module.migrations = vec![
            entity::migration(),
            comments::migration(),
            time::migration(),
            links::migration(),
            archive::migration(),
            recurrence::migration(),
            search::migration(),
            position::migration(),
            filter::migration(),
            recurrence::follows(),
            transfer::migration(),
        ];
        module.entities = [
            entity::entities(),
            comments::entities(),
            time::entities(),
            links::entities(),
            search::entities(),
            filter::entities(),
            transfer::entities(),
        ]
        .concat();
        module
    }
}

/// For whom the call is made, as rows name people: `user:ID`, also when a key or an agent acts for them.
pub(crate) fn author(tx: &Tx) -> String {
    let actor = tx.ctx().principal().unwrap_or(tx.ctx().actor());
    format!("{}:{}", actor.kind.as_str(), actor.id)
}
