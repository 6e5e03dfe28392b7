//! Looking at runs, steps and approvals, and waiting for them.

use crate::engine::{Engine, RUNS};
use crate::graph::StepKey;
use crate::run::entity::{approval, run};
use crate::run::load::{actor, with_rows};
use crate::run::model::{
    ApprovalFilter, ApprovalStatus, ApprovalView, Response, RunFilter, RunStatus, RunView, StepStatus,
    StepView,
};
use crate::run::state::{Row, RunState, What, error_value};
use crate::run::{entity, journal, limits, privacy};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Result};
use synapscale_ops::{Page, page};
use synapscale_store::orm::{ColumnTrait, Condition, ExprTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most that the large outputs of one answer come to, in bytes of JSON; one of them is always shown.
const MAX_SHOWN: usize = 33 * 1024 * 1024;
/// How often a waiting caller looks when nothing wakes it.
const LOOK: Duration = Duration::from_millis(500);

impl Engine {
    /// One run.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run(&self, tx: &Tx, run_id: Uuid) -> Result<RunView> {
        let mut view = view(tx, self.visible(tx, run_id).await?).await?;
        view.waits_for = limits::waits_for(self, tx, run_id, view.status).await?;
        Ok(view)
    }

    /// Where these runs stand, and why those that failed did. Those that are not there are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn statuses(&self, tx: &Tx, ids: &[Uuid]) -> Result<Vec<(Uuid, RunStatus, Option<Value>)>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = tx.find::<run::Entity>();
        let rows = query
            .filter(run::Column::Id.is_in(ids.iter().copied()))
            .rows(tx)
            .await?;
        let told = |row: run::Model| (row.id, RunStatus::parse(&row.status), row.error);
        Ok(rows.into_iter().map(told).collect())
    }

    /// Runs, the newest first. Inputs and outputs stay out of lists, and so do private runs that somebody else began.
    ///
    /// # Errors
    /// `cursor` for one that is none.
    pub async fn list_runs(&self, tx: &Tx, filter: RunFilter) -> Result<Page<RunView>> {
        let limit = page::limit(filter.limit);
        let mut query = tx
            .find::<run::Entity>()
            .filter(privacy::listed(tx.ctx()))
            .order_by_desc(run::Column::CreatedAt)
            .order_by_desc(run::Column::Id)
            .limit(limit + 1);
        if let Some(id) = filter.workflow_id {
            query = query.filter(run::Column::WorkflowId.eq(id));
        }
        if let Some(status) = filter.status {
            query = query.filter(run::Column::Status.eq(status.as_str()));
        }
        if filter.top_level {
            query = query.filter(run::Column::ParentRunId.is_null());
        }
        if let Some(before) = filter.before {
            query = query.filter(run::Column::CreatedAt.lt(before));
        }
        if let Some(since) = filter.since {
            query = query.filter(run::Column::CreatedAt.gte(since));
        }
        if let Some(cursor) = &filter.cursor {
            let (at, id): (DateTime<Utc>, Uuid) = page::decode(cursor)?;
            query = query.filter(
                Condition::any()
                    .add(run::Column::CreatedAt.lt(at))
                    .add(run::Column::CreatedAt.eq(at).and(run::Column::Id.lt(id))),
            );
        }
        let mut rows = query.rows(tx).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = rows.last().filter(|_| more).map(|row| (row.created_at, row.id));
        let next_cursor = last.map(|place| page::encode(&place)).transpose()?;
        let items = rows.into_iter().map(brief).collect();
        Ok(Page { items, next_cursor })
    }

    /// A run's steps, in the graph's order.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn steps(&self, tx: &Tx, run_id: Uuid) -> Result<Vec<StepView>> {
        self.visible(tx, run_id).await?;
        let (state, rows) = with_rows(self, tx, run_id).await?;
        let mut steps = steps(&state, rows);
        show(tx, &mut steps).await?;
        Ok(steps)
    }

    /// Approvals, the newest first; those of private runs for whoever began these, or who asks for the run's own.
    ///
    /// # Errors
    /// `cursor` for one that is none, `not_found` for a run that is not there.
    pub async fn approvals(&self, tx: &Tx, filter: ApprovalFilter) -> Result<Page<ApprovalView>> {
        let limit = page::limit(filter.limit);
        let mut query = tx
            .find::<approval::Entity>()
            .order_by_desc(approval::Column::Id)
            .limit(limit + 1);
        if let Some(status) = filter.status {
            query = query.filter(approval::Column::Status.eq(status.as_str()));
        }
        query = match filter.run_id {
            None => query.filter(privacy::listed_approvals(tx.ctx())),
            Some(run_id) => {
                self.visible(tx, run_id).await?;
                query.filter(approval::Column::RunId.eq(run_id))
            }
        };
        if let Some(cursor) = &filter.cursor {
            let before: Uuid = page::decode(cursor)?;
            query = query.filter(approval::Column::Id.lt(before));
        }
        let mut rows = query.rows(tx).await?;
        let more = rows.len() as u64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = rows.last().filter(|_| more).map(|row| row.id);
        let next_cursor = last.map(|id| page::encode(&id)).transpose()?;
        let items = rows.into_iter().map(approval).collect::<Result<_>>()?;
        Ok(Page { items, next_cursor })
    }

    /// One approval.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn approval(&self, tx: &Tx, id: Uuid) -> Result<ApprovalView> {
        approval(self.visible_approval(tx, id).await?)
    }

    /// The run's answer once there is one; none when the run neither answered nor ended in time.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn wait_response(&self, ctx: &Ctx, run_id: Uuid, within: Duration) -> Result<Option<Response>> {
        let view = self
            .wait(ctx, run_id, within, |view| view.response.is_some() || ended(view))
            .await?;
        Ok(view.response)
    }

    /// The run's status once it has ended or stands still for a person, else the present one.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn wait_end(&self, ctx: &Ctx, run_id: Uuid, within: Duration) -> Result<RunStatus> {
        Ok(self.wait(ctx, run_id, within, ended).await?.status)
    }

    async fn wait(
        &self,
        ctx: &Ctx,
        run_id: Uuid,
        within: Duration,
        enough: impl Fn(&RunView) -> bool,
    ) -> Result<RunView> {
        let until = Instant::now() + within;
        let mut wake = self.store().watch(RUNS);
        loop {
            wake.borrow_and_update();
            let view = self
                .store()
                .read(ctx, |tx| {
                    let engine = self.clone();
                    async move { Ok(brief(engine.visible(&tx, run_id).await?)) }
                })
                .await?;
            let left = until.saturating_duration_since(Instant::now());
            if enough(&view) || left.is_zero() {
                return Ok(view);
            }
            // A wake-up may be of another process and lost; looking again now and then mends that.
            let _ = tokio::time::timeout(left.min(LOOK), wake.changed()).await;
        }
    }
}

/// The steps of a run by its journal, in the graph's order.
pub(crate) fn steps(state: &RunState, rows: Vec<Row>) -> Vec<StepView> {
    // By node; behind it its children in the order in which they began.
    let mut steps: BTreeMap<(usize, usize), StepView> = (0..state.head.graph.len())
        .map(|node| ((node, 0), pending(state, node)))
        .collect();
    let mut places: HashMap<StepKey, usize> = HashMap::new();
    for row in rows {
        let node = row.key.node;
        let whole = row.key.parent().unwrap_or_else(|| row.key.clone());
        if let Some(step) = steps
            .get_mut(&(node, 0))
            .filter(|step| step.path != whole.path.as_str())
        {
            // Another round of a cycle: of each node the latest one is shown.
            *step = StepView {
                path: whole.path.to_string(),
                status: StepStatus::Pending,
                ..pending(state, node)
            };
            steps.retain(|place, _| place.0 != node || place.1 == 0);
        }
        let place = match row.key.child_name() {
            None => 0,
            Some(_) => {
                if let Some(parent) = steps.get_mut(&(node, 0)) {
                    parent.started_at.get_or_insert(row.at);
                    parent.status = StepStatus::Running;
                }
                let next = places.len() + 1;
                *places.entry(row.key.clone()).or_insert(next)
            }
        };
        let step = steps
            .entry((node, place))
            .or_insert_with(|| StepView::child(state, &row));
        step.started_at.get_or_insert(row.at);
        step.attempts = Ord::max(step.attempts, row.attempt);
        follow(step, row.what, row.at);
    }
    steps.into_values().collect()
}

/// Fetches the large outputs of steps, as long as they are not too much together.
pub(crate) async fn show(tx: &Tx, steps: &mut [StepView]) -> Result<()> {
    let mut left = Some(MAX_SHOWN);
    let away = |output: &&mut Value| journal::is_away(output);
    for output in steps
        .iter_mut()
        .filter_map(|step| step.output.as_mut())
        .filter(away)
    {
        left = left.and_then(|left| left.checked_sub(journal::weight(output, true)));
        *output = match left {
            Some(_) => journal::fetch(tx, output.take()).await?,
            None => serde_json::json!({ "$omitted": "over 33 MiB in all; runs.step has it" }),
        };
    }
    Ok(())
}

fn ended(view: &RunView) -> bool {
    view.status.is_final() || view.status == RunStatus::Paused
}

async fn view(tx: &Tx, row: entity::run::Model) -> Result<RunView> {
    let (input, output) = (row.input.clone(), row.output.clone());
    let mut view = brief(row);
    view.input = journal::fetch(tx, input).await?;
    view.output = match output {
        Some(output) => Some(journal::fetch(tx, output).await?),
        None => None,
    };
    Ok(view)
}

fn brief(row: entity::run::Model) -> RunView {
    RunView {
        id: row.id,
        graph_id: row.graph_id,
        workflow_id: row.workflow_id,
        workflow_version: row.workflow_version,
        workflow_name: row.workflow_name,
        trigger: row.entry,
        status: RunStatus::parse(&row.status),
        input: Value::Null,
        output: None,
        error: row.error,
        response: row.response.and_then(|value| serde_json::from_value(value).ok()),
        priority: row.priority,
        actor: actor(&row.principal_kind, row.principal_id),
        on_behalf_of: row
            .behalf_kind
            .as_deref()
            .zip(row.behalf_id)
            .map(|(kind, id)| actor(kind, id)),
        correlation: row.correlation,
        private_to: row.private_to,
        parent_run_id: row.parent_run_id,
        parent_node: row.parent_node,
        depth: row.depth.unwrap_or(0),
        work_ms: row.work_ms,
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        waits_for: None,
    }
}

fn pending(state: &RunState, node: usize) -> StepView {
    let described = state.head.graph.node(node);
    let key = state.frontier.key(node);
    let skipped = state.frontier.is_skipped(&key);
    StepView {
        node: described.id.clone(),
        path: key.path.to_string(),
        kind: described.kind.to_string(),
        status: if skipped {
            StepStatus::Skipped
        } else {
            StepStatus::Pending
        },
        port: None,
        attempts: 0,
        output: None,
        error: None,
        started_at: None,
        finished_at: None,
        wait_until: None,
        call: None,
    }
}

impl StepView {
    /// A child of an unfolding step, by its first row.
    fn child(state: &RunState, row: &Row) -> Self {
        let call = row.call.as_ref().map(|call| (**call).clone());
        StepView {
            path: row.key.path.to_string(),
            kind: child_kind(call.as_ref()).to_owned(),
            call,
            ..pending(state, row.key.node)
        }
    }
}

fn child_kind(call: Option<&Value>) -> &'static str {
    match call {
        None => "ask",
        Some(call) if call.get("workflow").is_some() => "run",
        Some(_) => "call",
    }
}

fn follow(step: &mut StepView, what: What, at: DateTime<Utc>) {
    step.wait_until = None;
    match what {
        What::Started => step.status = StepStatus::Running,
        What::Resumed => {
            step.status = StepStatus::Pending;
            step.finished_at = None;
        }
        What::Waiting { until, .. } | What::Called { until, .. } => {
            step.status = StepStatus::Waiting;
            step.wait_until = Some(until);
        }
        What::Completed { port, output } => {
            step.status = StepStatus::Succeeded;
            step.port = Some(port);
            step.output = Some((*output).clone());
            step.finished_at = Some(at);
        }
        What::Failed { error, retry_at } => {
            step.error = Some(error_value(&error));
            step.wait_until = retry_at;
            step.status = if retry_at.is_some() {
                StepStatus::Waiting
            } else {
                StepStatus::Failed
            };
            step.finished_at = retry_at.is_none().then_some(at);
        }
    }
}

pub(crate) fn approval(row: approval::Model) -> Result<ApprovalView> {
    Ok(ApprovalView {
        id: row.id,
        run_id: row.run_id,
        node: row.node,
        title: row.title,
        detail: row.detail,
        status: ApprovalStatus::parse(&row.status),
        decided_by: row
            .decided_by_kind
            .as_deref()
            .zip(row.decided_by_id)
            .map(|(kind, id)| actor(kind, id)),
        decided_at: row.decided_at,
        comment: row.comment,
        deadline: row.deadline,
        created_at: row.created_at,
    })
}
