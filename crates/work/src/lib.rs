//! Projects and tasks. Every change, single or in a set, is one plan: made in memory against the rows it touches, shown as
//! a diff, applied whole or not at all.

mod apply;
mod entity;
mod events;
mod model;
mod ops;
mod patch;
mod plan;
mod query;
mod sort;
mod undo;

pub use model::{Priority, Project, ProjectStatus, Task, TaskNode, TaskStatus};
pub use patch::{Op, PatchResult, PatchSet, ProjectBody, ProjectPatch, TaskBody, TaskPatch};

use synapscale_ops::Module;

/// The module.
pub fn module() -> Module {
    let mut module = Module::new("work");
    module.operations = ops::all();
    module.events = events::kinds();
    module.migrations = vec![entity::migration()];
    module.entities = entity::entities();
    module
}
