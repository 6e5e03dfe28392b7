//! The durable graph engine. A run is pinned to an immutable graph; its journal is append-only; one transaction holds
//! journal rows, the step's own change, events, successors and timers. Every background job of the product is a run.

mod engine;
pub mod expr;
pub mod graph;
mod nodes;
pub mod outbound;
mod run;
pub mod schedule;
mod unfold;
mod workflows;

pub use engine::{Engine, EngineConfig, Principals, RUNS};
pub use nodes::{Catalog, EventFilter};
pub use run::direct::{named_id, whose};
pub use run::job::Job;
pub use run::live::{Live, Place};
pub use run::model::{
    ApprovalFilter, ApprovalStatus, ApprovalView, NewRun, Parent, Response, RunFilter, RunStatus, RunView,
    Started, StepDetail, StepStatus, StepView, TryView, WaitsFor, WaitsForWhat, WorkflowRef,
};
pub use run::privacy::Privacy;
pub use run::rerun::Rerun;
pub use unfold::{
    Act, Child, ChildAsk, ChildCall, ChildRun, Children, Outcome, PerItem, Unfold, Unfolding, Wish,
};
pub use workflows::{PinnedWorkflow, WantedWorkflow, Workflows};
