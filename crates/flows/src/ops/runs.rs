//! `runs.*`: look at runs and end them.

use crate::{Flows, pinned, service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_engine::{RunFilter, RunStatus, Started, StepView};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{ExternalCx, Method, NoInput, Operation};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(flows: &Flows) -> Vec<Operation> {
    vec![
        list(flows.clone()),
        get(flows.clone()),
        steps(flows.clone()),
        step(flows.clone()),
        cancel(flows.clone()),
        rerun(flows.clone()),
        resume(flows.clone()),
        purge(flows.clone()),
    ]
}

/// Which runs to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRuns {
    /// Only runs of the workflow of this name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub workflow: Option<String>,
    /// Only runs in this status.
    #[serde(default)]
    pub status: Option<RunStatus>,
    /// Only runs that no other run started and waits for.
    #[serde(default)]
    pub top_level: bool,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list(flows: Flows) -> Operation {
    Operation::read("runs.list", "List runs")
        .about("Lists runs, the newest first. Inputs and outputs are left out; `runs.get` has them.")
        .permission("runs:read")
        .rest(Method::GET, "/runs")
        .handle(move |tx: Tx, input: Arc<ListRuns>| {
            let flows = flows.clone();
            async move {
                let workflow_id = match &input.workflow {
                    Some(name) => Some(service::by_name(&tx, name).await?.id),
                    None => None,
                };
                let (status, limit, cursor) = (input.status, input.limit, input.cursor.clone());
                flows
                    .engine()?
                    .list_runs(
                        &tx,
                        RunFilter {
                            workflow_id,
                            status,
                            top_level: input.top_level,
                            before: None,
                            since: None,
                            limit,
                            cursor,
                        },
                    )
                    .await
            }
        })
}

/// Which run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetRun {
    /// The run's id.
    pub run_id: Uuid,
}

fn get(flows: Flows) -> Operation {
    Operation::read("runs.get", "Get a run")
        .about("Gives a run with its input, status, answer, and its output or error.")
        .permission("runs:read")
        .rest(Method::GET, "/runs/{run_id}")
        .handle(move |tx: Tx, input: Arc<GetRun>| {
            let flows = flows.clone();
            async move { flows.engine()?.run(&tx, input.run_id).await }
        })
}

/// A run's steps.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunSteps {
    /// The steps, in the graph's order.
    pub steps: Vec<StepView>,
}

fn steps(flows: Flows) -> Operation {
    Operation::read("runs.steps", "List a run's steps")
        .about("Gives every step of a run: where it stands, the port it left by, its output or error.")
        .permission("runs:read")
        .rest(Method::GET, "/runs/{run_id}/steps")
        .handle(move |tx: Tx, input: Arc<GetRun>| {
            let flows = flows.clone();
            async move {
                let steps = flows.engine()?.steps(&tx, input.run_id).await?;
                Ok::<_, Error>(RunSteps { steps })
            }
        })
}

/// Which step of a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetStep {
    /// The run's id.
    pub run_id: Uuid,
    /// The node's id.
    #[schemars(length(min = 1, max = 48))]
    pub node: String,
    /// The iteration or the child, such as `t1.c0`; the node itself unless given.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub path: Option<String>,
}

fn step(flows: Flows) -> Operation {
    Operation::read("runs.step", "Look at a step of a run")
        .about("Gives a step of a run with what it was given and each of its tries: when it began and ended, and why it failed.")
        .permission("runs:read")
        .rest(Method::GET, "/runs/{run_id}/steps/{node}")
        .handle(move |tx: Tx, input: Arc<GetStep>| {
            let flows = flows.clone();
            async move {
                let path = input.path.as_deref().unwrap_or_default();
                flows.engine()?.step(&tx, input.run_id, &input.node, path).await
            }
        })
}

/// Which run to end, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelRun {
    /// The run's id.
    pub run_id: Uuid,
    /// Why, for whoever looks at the run later.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

fn cancel(flows: Flows) -> Operation {
    Operation::write("runs.cancel", "Cancel a run")
        .about("Asks a run to end. What its steps did stays done; a run that waits ends at once, others at their next commit.")
        .permission("runs:write")
        .rest(Method::POST, "/runs/{run_id}/cancel")
        .handle(move |tx: Tx, input: Arc<CancelRun>| {
            let flows = flows.clone();
            async move {
                let reason = input.reason.as_deref().unwrap_or_default();
                flows.engine()?.cancel(&tx, input.run_id, reason).await.map(Done)
            }
        })
}

/// Which run to run again, and from where.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerun {
    /// The run's id.
    pub run_id: Uuid,
    /// The node to go on from: what came before it is taken over and not done again. The whole run unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 48))]
    pub from_node: Option<String>,
    /// The version of its workflow to run it on; its own unless given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    /// Whether it is run on its workflow's current version.
    #[serde(default)]
    pub latest: bool,
}

fn rerun(flows: Flows) -> Operation {
    Operation::write("runs.rerun", "Run a run again")
        .about("Starts a new run with the input of a run that has ended or is paused, on the same version or another one of its workflow: whole, or from one of its nodes on with what came before taken over. Another version has to have the same nodes before that one (`version_differs`). From a node of a cycle on the whole cycle is done again.")
        .permission("workflows:run")
        .rest(Method::POST, "/runs/{run_id}/rerun")
        .handle(move |tx: Tx, input: Arc<Rerun>| {
            let flows = flows.clone();
            async move {
                again(&flows, &tx, &input, false).await.map(Done)
            }
        })
}

/// Runs a run again, on a version of its workflow.
pub(super) async fn again(flows: &Flows, tx: &Tx, input: &Rerun, later: bool) -> Result<Started> {
    let (engine, run_id) = (flows.engine()?, input.run_id);
    let mut how = synapscale_engine::Rerun {
        from: input.from_node.as_deref(),
        onto: None,
        later,
    };
    if input.version.is_none() && !input.latest {
        return engine.rerun(tx, run_id, how).await;
    }
    let run = engine.run(tx, run_id).await?;
    let no_workflow = || {
        Error::conflict(
            "no_workflow",
            "This run is no workflow's: there is no other version of it.",
        )
    };
    let workflow_id = run.workflow_id.ok_or_else(no_workflow)?;
    let version = input.version.filter(|_| !input.latest);
    let onto = pinned::version(tx, workflow_id, version, &run.trigger).await?;
    how.onto = Some(&onto);
    engine.rerun(tx, run_id, how).await
}

fn resume(flows: Flows) -> Operation {
    Operation::write("runs.resume", "Resume a paused run")
        .about("Lets a paused run go on: the step whose failure paused it is tried again, with all its tries, and what had not been reached follows.")
        .permission("runs:write")
        .rest(Method::POST, "/runs/{run_id}/resume")
        .handle(move |tx: Tx, input: Arc<GetRun>| {
            let flows = flows.clone();
            async move { flows.engine()?.resume(&tx, input.run_id).await.map(Done) }
        })
}

/// What left.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PurgedRuns {
    /// How many runs.
    pub removed: u64,
}

fn purge(flows: Flows) -> Operation {
    Operation::external("runs.purge", "Remove old runs")
        .about("Removes runs that ended longer ago than runs are kept (90 days unless set), with their journals, blobs and approvals.")
        .permission("runs:write")
        .internal()
        .handle_external(move |_: ExternalCx, _: Arc<NoInput>| {
            let flows = flows.clone();
            async move {
                let removed = flows.engine()?.purge_runs().await?;
                Ok::<_, Error>(PurgedRuns { removed })
            }
        })
}
