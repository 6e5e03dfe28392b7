//! Tasks from elsewhere and to elsewhere (ADR 0022). A file comes in by pieces, is read as a whole, shown, and then made
//! part by part by a run of the engine; where each task came from is kept, so that the same file brings nothing twice.

mod arrange;
mod item;
mod kept;
mod look;
mod ops;
mod origins;
mod read;
mod runs;
mod state;
mod step;
mod takeback;
mod write;

pub(crate) use state::{Import, entities, migration};

use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use synapscale_core::{Error, Result};
use synapscale_engine::Engine;
use synapscale_ops::Operation;
use uuid::Uuid;

/// The engine, once it stands.
pub(crate) type Runs = Arc<OnceLock<Engine>>;

fn engine(runs: &Runs) -> Result<&Engine> {
    runs.get()
        .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
}

/// What an import is to do, beside its items.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Options {
    /// Where the file's ids belong.
    pub source: String,
    /// The project that everything goes into; else each task goes into its own.
    pub project_id: Option<Uuid>,
    /// The project of tasks without one.
    pub default_project: String,
}

/// A count as rows keep it.
fn said(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(crate) fn operations(runs: &Runs) -> Vec<Operation> {
    let mut all = ops::operations(runs);
    all.push(write::operation());
    all
}
