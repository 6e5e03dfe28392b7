//! `workflows.*`: check, apply, read, run, change and delete.

use crate::entity::{version, workflow};
use crate::file::Summary;
use crate::service::{self, Applying};
use crate::view::{AppliedWorkflow, VersionView, WorkflowDetail, WorkflowStatus, WorkflowView};
use crate::{Flows, pinned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use synapscale_core::{Error, FieldError, Result};
use synapscale_engine::graph::{self, Problem};
use synapscale_engine::{NewRun, Started, WantedWorkflow};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, Method, Operation, Page, Patch, Prepare, page};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// A name that a route of its own stands for.
const RESERVED: &str = "validate";

pub(super) fn all(flows: &Flows) -> Vec<Operation> {
    vec![
        validate(flows.clone()),
        apply(flows.clone()),
        list(),
        get(),
        versions(),
        run(flows.clone()),
        update(flows.clone()),
        delete(flows.clone()),
    ]
}

/// A workflow file to be checked.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateWorkflow {
    /// The workflow file as JSON.
    pub file: Map<String, Value>,
}

/// One fault of a workflow file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ProblemView {
    /// JSON pointer into the file.
    pub pointer: String,
    /// Stable code.
    pub code: String,
    /// What is wrong, in words.
    pub message: String,
}

/// What a good file holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GraphSummary {
    /// How many nodes.
    pub nodes: usize,
    /// How many edges.
    pub edges: usize,
    /// The nodes that a run can begin with.
    pub triggers: Vec<String>,
    /// Whether some node answers the caller.
    pub responds: bool,
}

/// What the check found.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Validation {
    /// Whether the file could be applied.
    pub valid: bool,
    /// Every fault at once.
    pub problems: Vec<ProblemView>,
    /// What the file holds, if it is good.
    pub graph: Option<GraphSummary>,
}

fn validate(flows: Flows) -> Operation {
    Operation::read("workflows.validate", "Check a workflow file")
        .about("Checks a workflow file without keeping it, and tells every fault at once with its place in the file.")
        .permission("workflows:read")
        .rest(Method::POST, "/workflows/validate")
        .handle(move |_: Tx, input: Arc<ValidateWorkflow>| {
            let flows = flows.clone();
            async move { check(&flows, &input.file) }
        })
}

fn check(flows: &Flows, file: &Map<String, Value>) -> Result<Validation> {
    let problems = flows
        .engine()?
        .compile(&Value::Object(file.clone()))
        .err()
        .unwrap_or_default();
    let summary = Summary::of(file);
    let view = |problem: Problem| ProblemView {
        pointer: problem.pointer,
        code: problem.code.to_string(),
        message: problem.message,
    };
    Ok(Validation {
        valid: problems.is_empty(),
        graph: problems.is_empty().then_some(GraphSummary {
            nodes: summary.nodes,
            edges: summary.edges,
            triggers: summary.triggers,
            responds: summary.responds,
        }),
        problems: problems.into_iter().map(view).collect(),
    })
}

/// A workflow file to be applied.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyWorkflow {
    /// The workflow's name, which the file has too: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = "^[a-z0-9-]{1,64}$"))]
    pub name: String,
    /// The workflow file as JSON.
    pub file: Map<String, Value>,
}

fn apply(flows: Flows) -> Operation {
    let prepared = flows.clone();
    Operation::write("workflows.apply", "Apply a workflow file")
        .about(
            "Creates the workflow, or makes the file its new version. Versions never change, and the same content \
             again makes none. Runs act as whoever applied the version. Webhook triggers get a URL that stays the \
             same, and a secret that is told only in the answer that makes it.",
        )
        .permission("workflows:write")
        .rest(Method::PUT, "/workflows/{name}")
        .revisioned()
        .prepare_with(move |_: Prepare, input: ApplyWorkflow| {
            let flows = prepared.clone();
            async move { read_file(&flows, input) }
        })
        .handle_with(move |tx: Tx, applying: Arc<Applying>, envelope: Envelope| {
            let flows = flows.clone();
            async move {
                let expected = envelope.expected_revision;
                let applied: AppliedWorkflow = service::apply(&flows, &tx, &applying, expected).await?;
                Ok::<_, Error>(Done(applied))
            }
        })
}

/// Compiles the file before the transaction, where it keeps nobody waiting.
fn read_file(flows: &Flows, input: ApplyWorkflow) -> Result<Applying> {
    if input.name == RESERVED {
        return Err(Error::invalid(
            "/name",
            "reserved",
            format!("`{RESERVED}` cannot name a workflow."),
        ));
    }
    let named = input.file.get("name").and_then(Value::as_str);
    if let Some(named) = named.filter(|named| *named != input.name) {
        let message = format!(
            "The file names itself `{named}`, and is applied as `{}`.",
            input.name
        );
        return Err(Error::invalid("/file/name", "mismatch", message));
    }
    let summary = Summary::of(&input.file);
    let file = Value::Object(input.file);
    let graph = flows.engine()?.compile(&file).map_err(faults)?;
    // A later version of a node kind must not change what was applied.
    let file = graph::pin(&file, &graph);
    Ok(Applying {
        name: input.name,
        file,
        summary,
    })
}

fn faults(problems: Vec<Problem>) -> Error {
    let field = |problem: Problem| FieldError {
        pointer: format!("/file{}", problem.pointer),
        code: problem.code.into(),
        message: problem.message,
    };
    Error::invalid_fields(problems.into_iter().map(field).collect()).with_code("invalid_graph")
}

/// Which workflows to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListWorkflows {
    /// Only those in this status.
    #[serde(default)]
    pub status: Option<WorkflowStatus>,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list() -> Operation {
    Operation::read("workflows.list", "List workflows")
        .about("Lists the workspace's workflows by name.")
        .permission("workflows:read")
        .rest(Method::GET, "/workflows")
        .handle(|tx: Tx, input: Arc<ListWorkflows>| async move {
            let limit = page::limit(input.limit);
            let mut query = tx.find_live::<workflow::Entity>();
            if let Some(status) = input.status {
                query = query.filter(workflow::Column::Status.eq(status.as_str()));
            }
            if let Some(after) = page::decode_opt::<String>(input.cursor.as_deref())? {
                query = query.filter(workflow::Column::Name.gt(after));
            }
            let rows = query
                .order_by_asc(workflow::Column::Name)
                .limit(limit + 1)
                .rows(&tx)
                .await?;
            let page = Page::cut(rows, limit, |row| row.name.clone())?;
            Ok::<_, Error>(page.map(|row| WorkflowView::from(&row)))
        })
}

/// Which workflow to read.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetWorkflow {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// The version whose file to read; the current one unless given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
}

fn get() -> Operation {
    Operation::read("workflows.get", "Get a workflow")
        .about("Gives a workflow with the file of its current or an earlier version, as it was applied.")
        .permission("workflows:read")
        .rest(Method::GET, "/workflows/{name}")
        .revisioned()
        .handle(|tx: Tx, input: Arc<GetWorkflow>| async move {
            let row = service::by_name(&tx, &input.name).await?;
            let version = service::version_of(&tx, row.id, input.version.unwrap_or(row.version)).await?;
            Ok::<_, Error>(WorkflowDetail {
                workflow: WorkflowView::from(&row),
                version: version.version,
                file: version.file,
            })
        })
}

/// Which workflow's versions to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListVersions {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn versions() -> Operation {
    Operation::read("workflows.versions", "List a workflow's versions")
        .about(
            "Lists a workflow's versions, the newest first. `workflows.get` with a version gives its file.",
        )
        .permission("workflows:read")
        .rest(Method::GET, "/workflows/{name}/versions")
        .handle(|tx: Tx, input: Arc<ListVersions>| async move {
            let row = service::by_name(&tx, &input.name).await?;
            let limit = page::limit(input.limit);
            let mut query = tx
                .find::<version::Entity>()
                .filter(version::Column::WorkflowId.eq(row.id));
            if let Some(before) = page::decode_opt::<i64>(input.cursor.as_deref())? {
                query = query.filter(version::Column::Version.lt(before));
            }
            let rows = query
                .order_by_desc(version::Column::Version)
                .limit(limit + 1)
                .rows(&tx)
                .await?;
            let page = Page::cut(rows, limit, |row| row.version)?;
            Ok::<_, Error>(page.map(VersionView::from))
        })
}

/// A run to be started by hand.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunWorkflow {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// What expressions see as `input`; an empty object unless given.
    #[serde(default)]
    pub input: Value,
    /// The version to run; the current one unless given.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    /// The trigger node to begin with; the only manual one unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub trigger: Option<String>,
    /// Higher goes first; 0 unless given.
    #[serde(default)]
    #[schemars(range(min = -100, max = 100))]
    pub priority: Option<i64>,
}

fn run(flows: Flows) -> Operation {
    Operation::write("workflows.run", "Run a workflow")
        .about(
            "Starts a run and answers at once; `runs.get` tells how it goes. It acts as the version's publisher, \
             with no more than the caller may do.",
        )
        .permission("workflows:run")
        .rest(Method::POST, "/workflows/{name}/runs")
        .handle(move |tx: Tx, input: Arc<RunWorkflow>| {
            let flows = flows.clone();
            async move { start(&flows, &tx, &input).await.map(Done) }
        })
}

async fn start(flows: &Flows, tx: &Tx, input: &RunWorkflow) -> Result<Started> {
    let wanted = WantedWorkflow {
        name: input.name.clone(),
        version: input.version,
        trigger: input.trigger.clone(),
    };
    let pinned = pinned::pin(tx, &wanted).await?;
    let caller = tx.ctx().actor();
    let run = NewRun {
        id: None,
        graph_id: pinned.graph_id,
        trigger: pinned.trigger,
        input: if input.input.is_null() {
            Value::Object(Map::new())
        } else {
            input.input.clone()
        },
        workflow: Some(pinned.workflow),
        principal: pinned.publisher,
        // A run that starts another does so for whoever it runs for itself: what that person could do directly, no more.
        on_behalf_of: Some(tx.ctx().principal().unwrap_or(caller)).filter(|whom| *whom != pinned.publisher),
        priority: input.priority.unwrap_or(0),
        correlation: Some(tx.ctx().correlation()),
        private_to: None,
        parent: None,
        cause: None,
    };
    flows.engine()?.start(tx, run).await
}

/// A change of a workflow's own fields. The graph changes by `workflows.apply`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateWorkflow {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 200))]
    pub title: Patch<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 10_000))]
    pub description: Patch<String>,
    /// Whether it takes runs: active, paused or archived.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub status: Patch<WorkflowStatus>,
    /// Whatever its owner keeps with it; replaces what was there.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub metadata: Patch<Map<String, Value>>,
}

fn update(flows: Flows) -> Operation {
    Operation::write("workflows.update", "Change a workflow's fields")
        .about("Changes title, description, status or metadata. A paused workflow takes neither runs nor deliveries.")
        .permission("workflows:write")
        .rest(Method::PATCH, "/workflows/{name}")
        .revisioned()
        .handle_with(move |tx: Tx, input: Arc<UpdateWorkflow>, envelope: Envelope| {
            let flows = flows.clone();
            async move {
                let expected = envelope.expected_revision;
                let change = |row: &mut workflow::Model| patch(row, &input);
                service::update(flows.hook_cache(), &tx, &input.name, expected, change).await.map(Done)
            }
        })
}

fn patch(row: &mut workflow::Model, input: &UpdateWorkflow) -> Result<()> {
    input.title.apply_required(&mut row.title, "/title")?;
    input
        .description
        .apply_required(&mut row.description, "/description")?;
    let mut status = WorkflowStatus::parse(&row.status);
    input.status.apply_required(&mut status, "/status")?;
    if status == WorkflowStatus::Draft && row.graph_id.is_some() {
        let message = "A workflow that was applied is no draft any more; pause or archive it.";
        return Err(Error::invalid("/status", "status", message));
    }
    row.status = status.as_str().to_owned();
    match &input.metadata {
        Patch::Absent => {}
        Patch::Null => row.metadata = Value::Object(Map::new()),
        Patch::Value(map) => row.metadata = Value::Object(map.clone()),
    }
    Ok(())
}

/// Which workflow to delete.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteWorkflow {
    /// The workflow's name.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
}

/// What was deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeletedWorkflow {
    /// The workflow's id.
    pub id: Uuid,
    /// Its name, which is free again.
    pub name: String,
    /// The group under which it was deleted.
    pub delete_group: Uuid,
}

fn delete(flows: Flows) -> Operation {
    Operation::write("workflows.delete", "Delete a workflow")
        .about("Deletes a workflow and closes its hooks. Runs that are under way go on; history stays.")
        .permission("workflows:write")
        .rest(Method::DELETE, "/workflows/{name}")
        .destructive()
        .handle_with(move |tx: Tx, input: Arc<DeleteWorkflow>, envelope: Envelope| {
            let flows = flows.clone();
            async move {
                let expected = envelope.expected_revision;
                let (row, group) = service::delete(flows.hook_cache(), &tx, &input.name, expected).await?;
                Ok::<_, Error>(Done(DeletedWorkflow {
                    id: row.id,
                    name: row.name,
                    delete_group: group.0,
                }))
            }
        })
}
