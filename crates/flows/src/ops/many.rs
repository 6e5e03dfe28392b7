//! The same for many runs: each by itself, with its own outcome.

use super::runs::{Rerun, again};
use crate::{Flows, service};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_engine::{RunFilter, RunStatus};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Method, Operation};
use synapscale_store::Tx;
use uuid::Uuid;

/// Most runs of one call.
const MOST: usize = 100;

pub(super) fn all(flows: &Flows) -> Vec<Operation> {
    vec![cancel(flows.clone()), rerun(flows.clone()), resume(flows.clone())]
}

/// Which runs: named ones, or those that a filter finds, the newest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WhichRuns {
    /// These runs; with them no filter.
    #[schemars(length(min = 1, max = 100))]
    pub run_ids: Option<Vec<Uuid>>,
    /// Runs of the workflow of this name.
    #[schemars(length(min = 1, max = 64))]
    pub workflow: Option<String>,
    /// Runs in this status.
    pub status: Option<RunStatus>,
    /// Runs that were accepted before this time.
    pub before: Option<DateTime<Utc>>,
    /// Runs that were accepted at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// Go on behind the runs of an earlier answer: its `next_cursor`.
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
    /// Most runs that a filter finds; 100 unless given. Call again while `more` is true, with `cursor` if there is one: runs
    /// that are run again stay as they were, and would be found once more.
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<u32>,
}

/// Which runs to end, and why.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelMany {
    /// Which runs. A filter finds those that have not ended.
    pub runs: WhichRuns,
    /// Why, for whoever looks at the runs later.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub reason: Option<String>,
}

/// Which runs to run again.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RerunMany {
    /// Which runs. A filter finds those that failed unless it names a status.
    pub runs: WhichRuns,
    /// The node to go on from; whole runs unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 48))]
    pub from_node: Option<String>,
    /// Whether they are run on their workflows' current versions; each on its own unless given.
    #[serde(default)]
    pub latest: bool,
}

/// Which runs to resume.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeMany {
    /// Which runs. A filter finds those that are paused.
    pub runs: WhichRuns,
}

/// What became of one run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OneOfMany {
    /// The run that was named or found.
    pub run_id: Uuid,
    /// Whether it was done.
    pub done: bool,
    /// The new run, where one was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_run_id: Option<Uuid>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// What became of each run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Many {
    /// The runs, in the order in which they were named or found.
    pub items: Vec<OneOfMany>,
    /// Whether the filter may find more.
    pub more: bool,
    /// Pass it as `cursor` to go on; none when nothing more is there, or when runs of several statuses were looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// The runs that are meant.
struct Meant {
    ids: Vec<Uuid>,
    more: bool,
    next_cursor: Option<String>,
}

async fn find(flows: &Flows, tx: &Tx, which: &WhichRuns, usual: &'static [RunStatus]) -> Result<Meant> {
    let has_filter = which.workflow.is_some()
        || which.status.is_some()
        || which.before.is_some()
        || which.since.is_some()
        || which.limit.is_some()
        || which.cursor.is_some();
    if let Some(ids) = &which.run_ids {
        if has_filter {
            return Err(Error::invalid(
                "/runs/run_ids",
                "shape",
                "Name runs or give a filter, not both.",
            ));
        }
        let mut ids = ids.clone();
        ids.truncate(MOST);
        return Ok(Meant {
            ids,
            more: false,
            next_cursor: None,
        });
    }
    if !has_filter {
        let words = "Name runs in `run_ids`, or say by a filter which are meant.";
        return Err(Error::invalid("/runs", "required", words));
    }
    let workflow_id = match &which.workflow {
        Some(name) => Some(service::by_name(tx, name).await?.id),
        None => None,
    };
    let limit = which
        .limit
        .map_or(MOST, |limit| usize::try_from(limit).unwrap_or(MOST))
        .min(MOST);
    let engine = flows.engine()?;
    let mut ids = Vec::new();
    let own = which.status.map(|status| vec![status]);
    let statuses = own.as_deref().unwrap_or(usual);
    let single = statuses.len() == 1;
    if which.cursor.is_some() && !single {
        let words = "Runs of several statuses are found anew by each call; leave the cursor out.";
        return Err(Error::invalid("/runs/cursor", "shape", words));
    }
    let (mut more, mut next_cursor) = (false, None);
    for status in statuses {
        let page = engine
            .list_runs(
                tx,
                RunFilter {
                    workflow_id,
                    status: Some(*status),
                    top_level: false,
                    before: which.before,
                    since: which.since,
                    limit: u32::try_from(limit).ok(),
                    cursor: which.cursor.clone(),
                },
            )
            .await?;
        more |= page.next_cursor.is_some();
        next_cursor = page.next_cursor.filter(|_| single);
        ids.extend(page.items.into_iter().map(|run| run.id));
    }
    more |= ids.len() > limit;
    ids.truncate(limit);
    Ok(Meant {
        ids,
        more,
        next_cursor,
    })
}

impl Meant {
    fn told(self, items: Vec<OneOfMany>) -> Many {
        Many {
            items,
            more: self.more,
            next_cursor: self.next_cursor,
        }
    }
}

fn one(run_id: Uuid, outcome: Result<Option<Uuid>>) -> Result<OneOfMany> {
    match outcome {
        Ok(new_run_id) => Ok(OneOfMany {
            run_id,
            done: true,
            new_run_id,
            error: None,
        }),
        // A database that is away is no run's fault.
        Err(error) if error.is_transient() => Err(error),
        Err(error) => Ok(OneOfMany {
            run_id,
            done: false,
            new_run_id: None,
            error: serde_json::to_value(error).ok(),
        }),
    }
}

fn cancel(flows: Flows) -> Operation {
    const OPEN: &[RunStatus] = &[
        RunStatus::Queued,
        RunStatus::Running,
        RunStatus::Waiting,
        RunStatus::Paused,
    ];
    Operation::write("runs.cancel_many", "Cancel many runs")
        .about("Asks up to a hundred runs to end, and tells of each whether it will.")
        .permission("runs:write")
        .rest(Method::POST, "/runs/cancel")
        .handle(move |tx: Tx, input: Arc<CancelMany>| {
            let flows = flows.clone();
            async move {
                let meant = find(&flows, &tx, &input.runs, OPEN).await?;
                let (engine, reason) = (flows.engine()?, input.reason.as_deref().unwrap_or_default());
                let mut items = Vec::with_capacity(meant.ids.len());
                for id in meant.ids.iter().copied() {
                    let done = tx.savepoint(|tx| async move { engine.cancel(&tx, id, reason).await });
                    items.push(one(id, done.await.map(|_| None))?);
                }
                Ok::<_, Error>(Done(meant.told(items)))
            }
        })
}

fn rerun(flows: Flows) -> Operation {
    Operation::write("runs.rerun_many", "Run many runs again")
        .about("Runs up to a hundred runs again, whole or from one node on, and tells of each the new run or why there is none.")
        .permission("workflows:run")
        .rest(Method::POST, "/runs/rerun")
        .handle(move |tx: Tx, input: Arc<RerunMany>| {
            let flows = flows.clone();
            async move {
                let meant = find(&flows, &tx, &input.runs, &[RunStatus::Failed]).await?;
                let flows = &flows;
                let mut items = Vec::with_capacity(meant.ids.len());
                for id in meant.ids.iter().copied() {
                    let one_of = Rerun {
                        run_id: id,
                        from_node: input.from_node.clone(),
                        version: None,
                        latest: input.latest,
                    };
                    let done = tx.savepoint(|tx| async move { again(flows, &tx, &one_of, true).await });
                    items.push(one(id, done.await.map(|started| Some(started.run_id)))?);
                }
                Ok::<_, Error>(Done(meant.told(items)))
            }
        })
}

fn resume(flows: Flows) -> Operation {
    Operation::write("runs.resume_many", "Resume many runs")
        .about("Lets up to a hundred paused runs go on, and tells of each whether it does.")
        .permission("runs:write")
        .rest(Method::POST, "/runs/resume")
        .handle(move |tx: Tx, input: Arc<ResumeMany>| {
            let flows = flows.clone();
            async move {
                let meant = find(&flows, &tx, &input.runs, &[RunStatus::Paused]).await?;
                let engine = flows.engine()?;
                let mut items = Vec::with_capacity(meant.ids.len());
                for id in meant.ids.iter().copied() {
                    let done = tx.savepoint(|tx| async move { engine.resume(&tx, id).await });
                    items.push(one(id, done.await.map(|_| None))?);
                }
                Ok::<_, Error>(Done(meant.told(items)))
            }
        })
}
