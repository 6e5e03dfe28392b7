//! `agents.*`: make, read, change and delete agents.

use crate::service::agents as service;
use crate::spec::AgentSpec;
use crate::view::{AgentStatus, AgentTool, AgentTools};
use crate::{Agents, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, Method, Operation, Patch, Prepare};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(agents: &Agents) -> Vec<Operation> {
    vec![
        create(),
        list(),
        get(),
        update(),
        delete(),
        versions(),
        tools(agents.clone()),
    ]
}

/// An agent to be made.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAgent {
    /// What people and workflows call it; unique in the workspace.
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,63}$"))]
    pub name: String,
    /// A line for people; the name unless given.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub description: Option<String>,
    /// Whatever its owner keeps with it; 64 KiB at most.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// What it is good at, in its owner's terms; 64 KiB at most.
    #[serde(default)]
    pub capabilities: Option<Map<String, Value>>,
    /// Settings of its owner's; 64 KiB at most.
    #[serde(default)]
    pub settings: Option<Map<String, Value>>,
    /// What it is made of: its first version.
    pub spec: AgentSpec,
    /// A line on the version.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub note: Option<String>,
}

fn create() -> Operation {
    Operation::write("agents.create", "Create an agent")
        .about(
            "Makes an agent: a model with instructions, tools and limits. It acts for whoever talks to it or runs it, with \
             no more than that person may do.",
        )
        .permission("agents:write")
        .rest(Method::POST, "/agents")
        .revisioned()
        .handle(|tx: Tx, input: Arc<CreateAgent>| async move { service::create(&tx, &input).await.map(Done) })
}

/// Which agents to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAgents {
    /// Only those in this status.
    #[serde(default)]
    pub status: Option<AgentStatus>,
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
    Operation::read("agents.list", "List agents")
        .about("Lists the workspace's agents by name, each with its latest version and its figures.")
        .permission("agents:read")
        .rest(Method::GET, "/agents")
        .handle(|tx: Tx, input: Arc<ListAgents>| async move {
            service::list(&tx, input.status, input.limit, input.cursor.as_deref()).await
        })
}

/// Which agent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentId {
    /// The agent's id.
    pub agent_id: Uuid,
}

fn get() -> Operation {
    Operation::read("agents.get", "Get an agent")
        .about("Gives an agent with its latest version and its figures.")
        .permission("agents:read")
        .rest(Method::GET, "/agents/{agent_id}")
        .revisioned()
        .handle(|tx: Tx, input: Arc<AgentId>| async move {
            let row = service::find(&tx, input.agent_id).await?;
            service::view(&tx, &row).await
        })
}

/// A change of an agent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateAgent {
    /// The agent's id.
    pub agent_id: Uuid,
    /// What people and workflows call it.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(regex(pattern = "^[a-z][a-z0-9_-]{0,63}$"))]
    pub name: Patch<String>,
    /// A line for people.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(min = 1, max = 200))]
    pub title: Patch<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 10_000))]
    pub description: Patch<String>,
    /// Whether it answers: active, paused or archived.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub status: Patch<AgentStatus>,
    /// Whatever its owner keeps with it; replaces what was there.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub metadata: Patch<Map<String, Value>>,
    /// What it is good at; replaces what was there.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub capabilities: Patch<Map<String, Value>>,
    /// Settings of its owner's; replaces what was there.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub settings: Patch<Map<String, Value>>,
    /// The whole spec. One that differs from the latest version becomes the next.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub spec: Patch<AgentSpec>,
    /// A line on the new version.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub note: Option<String>,
}

fn update() -> Operation {
    Operation::write("agents.update", "Change an agent")
        .about(
            "Changes an agent's fields. A spec that differs becomes its next version; conversations and workflows that are \
             pinned to an earlier one keep it. A paused or archived agent answers nothing.",
        )
        .permission("agents:write")
        .rest(Method::PATCH, "/agents/{agent_id}")
        .revisioned()
        .handle_with(|tx: Tx, input: Arc<UpdateAgent>, envelope: Envelope| async move {
            service::update(&tx, &input, envelope.expected_revision).await.map(Done)
        })
}

/// What was deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeletedAgent {
    /// The agent's id.
    pub id: Uuid,
    /// Its name, which is free again.
    pub name: String,
    /// The group under which it was deleted.
    pub delete_group: Uuid,
}

fn delete() -> Operation {
    Operation::write("agents.delete", "Delete an agent")
        .about(
            "Deletes an agent: it is gone from lists and its name is free. Conversations with it stay readable and take no \
             more messages.",
        )
        .permission("agents:write")
        .rest(Method::DELETE, "/agents/{agent_id}")
        .destructive()
        .handle_with(|tx: Tx, input: Arc<AgentId>, envelope: Envelope| async move {
            let (row, group) = service::delete(&tx, input.agent_id, envelope.expected_revision).await?;
            Ok::<_, Error>(Done(DeletedAgent {
                id: row.id,
                name: row.name,
                delete_group: group.0,
            }))
        })
}

/// Which agent's versions to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListVersions {
    /// The agent's id.
    pub agent_id: Uuid,
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
    Operation::read("agents.versions", "List an agent's versions")
        .about("Lists an agent's versions with what each is made of, the newest first.")
        .permission("agents:read")
        .rest(Method::GET, "/agents/{agent_id}/versions")
        .handle(|tx: Tx, input: Arc<ListVersions>| async move {
            service::versions(&tx, input.agent_id, input.limit, input.cursor.as_deref()).await
        })
}

fn tools(agents: Agents) -> Operation {
    Operation::read("agents.tools", "List an agent's tools")
        .about(
            "Tells which tools the latest version of an agent has when it acts for the caller, which of them ask a person \
             first, and which patterns fit no tool.",
        )
        .permission("agents:read")
        .rest(Method::GET, "/agents/{agent_id}/tools")
        .handle_outside(move |cx: Prepare, input: AgentId| {
            let agents = agents.clone();
            async move {
                let spec = cx.store.read(&cx.ctx, |tx| latest_spec(tx, input.agent_id)).await?;
                let found = tools::toolbox(agents.tools()?, &cx.ctx, &spec.tools).await;
                Ok::<_, Error>(AgentTools {
                    items: found.tools.iter().map(shown).collect(),
                    unknown: found.unknown,
                    unavailable: found.unavailable,
                })
            }
        })
}

async fn latest_spec(tx: Tx, agent_id: Uuid) -> Result<AgentSpec> {
    let row = service::find(&tx, agent_id).await?;
    let version = service::version_row(&tx, row.id, row.version).await?;
    AgentSpec::read(version.spec)
}

fn shown(granted: &tools::Granted) -> AgentTool {
    let tool = &granted.tool;
    AgentTool {
        name: tool.name().to_owned(),
        wire_name: tool.wire_name().to_owned(),
        title: tool.title().to_owned(),
        description: tool.description().to_owned(),
        effect: tool.effect(),
        destructive: tool.is_destructive(),
        asks: granted.asks,
    }
}
