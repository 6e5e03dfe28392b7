//! What the engine tells the log: few events, one for each burst, so that following a run costs little.

use crate::run::model::RunStatus;
use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};
use uuid::Uuid;

/// A run was accepted.
#[derive(Serialize, JsonSchema)]
pub struct RunStarted {
    /// The workflow's name, if it is one's.
    pub workflow: Option<String>,
    /// The workflow's version.
    pub version: Option<i64>,
    /// The trigger node.
    pub trigger: String,
}

impl EventPayload for RunStarted {
    const KIND: &'static str = "run.started";
    const ABOUT: &'static str = "A run was accepted and will end, whatever happens to the machine.";
}

/// A settled step.
#[derive(Clone, Serialize, JsonSchema)]
pub struct StepProgress {
    /// The node's id.
    pub node: String,
    /// The iteration.
    pub path: String,
    /// started, completed, failed or waiting.
    pub what: String,
    /// The port it left by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Which try.
    pub attempt: i64,
}

/// Steps of a run moved on.
#[derive(Serialize, JsonSchema)]
pub struct RunProgressed {
    /// The steps, in the journal's order.
    pub steps: Vec<StepProgress>,
}

impl EventPayload for RunProgressed {
    const KIND: &'static str = "run.progressed";
    const ABOUT: &'static str = "Steps of a run moved on; one event for each commit of the run's journal.";
}

/// A run ended.
#[derive(Serialize, JsonSchema)]
pub struct RunFinished {
    /// How it ended.
    pub status: RunStatus,
    /// The error's code, if it failed.
    pub code: Option<String>,
}

impl EventPayload for RunFinished {
    const KIND: &'static str = "run.finished";
    const ABOUT: &'static str = "A run ended: well, with an error, or cancelled.";
}

/// A run was paused.
#[derive(Serialize, JsonSchema)]
pub struct RunPaused {
    /// Why.
    pub reason: String,
}

impl EventPayload for RunPaused {
    const KIND: &'static str = "run.paused";
    const ABOUT: &'static str = "A run was set aside until somebody looks at it.";
}

/// A paused run goes on.
#[derive(Serialize, JsonSchema)]
pub struct RunResumed {
    /// The nodes whose steps are tried again.
    pub nodes: Vec<String>,
}

impl EventPayload for RunResumed {
    const KIND: &'static str = "run.resumed";
    const ABOUT: &'static str = "Somebody resumed a paused run: what had failed is tried again.";
}

/// A person is asked.
#[derive(Serialize, JsonSchema)]
pub struct ApprovalRequested {
    /// The run that waits.
    pub run_id: Uuid,
    /// The question.
    pub title: String,
}

impl EventPayload for ApprovalRequested {
    const KIND: &'static str = "approval.requested";
    const ABOUT: &'static str = "A run waits for a person's decision.";
}

/// A person decided.
#[derive(Serialize, JsonSchema)]
pub struct ApprovalDecided {
    /// The run that waited.
    pub run_id: Uuid,
    /// approved or rejected.
    pub decision: String,
}

impl EventPayload for ApprovalDecided {
    const KIND: &'static str = "approval.decided";
    const ABOUT: &'static str = "A person decided what a run was waiting for.";
}

/// Every kind declared here.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<RunStarted>(),
        EventKind::of::<RunProgressed>(),
        EventKind::of::<RunFinished>(),
        EventKind::of::<RunPaused>(),
        EventKind::of::<RunResumed>(),
        EventKind::of::<ApprovalRequested>(),
        EventKind::of::<ApprovalDecided>(),
    ]
}
