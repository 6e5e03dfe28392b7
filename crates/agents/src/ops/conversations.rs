//! `conversations.*`: begin, read, change and delete conversations, and who is in them.

use crate::Agents;
use crate::service::{conversations as service, members, person};
use crate::view::ConversationStatus;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Ctx, Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, Method, Operation, Patch, Prepare};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(agents: &Agents) -> Vec<Operation> {
    vec![
        create(agents.clone()),
        list(agents.clone()),
        get(agents.clone()),
        update(agents.clone()),
        delete(agents.clone()),
        invite(agents.clone()),
        leave(),
    ]
}

/// A conversation to be begun.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartConversation {
    /// The agent.
    pub agent_id: Uuid,
    /// The version of it that answers; the latest unless given. It stays until the conversation is changed.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub version: Option<i64>,
    /// What it is about; the first line of the first message unless given.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub title: Option<String>,
}

/// A conversation with the name of whoever begins it.
struct Starting {
    input: StartConversation,
    name: String,
}

/// The name of a member of the workspace.
async fn name_of(agents: &Agents, ctx: &Ctx, user_id: Uuid) -> Result<Option<String>> {
    let mut names = agents.people()?.names(ctx, &[user_id]).await?;
    Ok(names.remove(&user_id))
}

fn create(agents: Agents) -> Operation {
    let prepared = agents.clone();
    Operation::write("conversations.create", "Begin a conversation")
        .about("Begins a conversation with an agent, pinned to a version of it. Only who takes part sees it.")
        .permission("agents:run")
        .rest(Method::POST, "/conversations")
        .revisioned()
        .prepare_with(move |cx: Prepare, input: StartConversation| {
            let agents = prepared.clone();
            async move {
                let name = name_of(&agents, &cx.ctx, person(&cx.ctx)?)
                    .await?
                    .unwrap_or_default();
                Ok(Starting { input, name })
            }
        })
        .handle(move |tx: Tx, starting: Arc<Starting>| {
            let agents = agents.clone();
            async move {
                service::create(&agents, &tx, &starting.input, &starting.name)
                    .await
                    .map(Done)
            }
        })
}

/// Which conversations to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListConversations {
    /// Only those with this agent.
    #[serde(default)]
    pub agent_id: Option<Uuid>,
    /// Only those in this status.
    #[serde(default)]
    pub status: Option<ConversationStatus>,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list(agents: Agents) -> Operation {
    Operation::read("conversations.list", "List conversations")
        .about("Lists the conversations that the caller takes part in, the last changed first.")
        .permission("agents:run")
        .rest(Method::GET, "/conversations")
        .handle(move |tx: Tx, input: Arc<ListConversations>| {
            let agents = agents.clone();
            async move { service::list(&agents, &tx, &input).await }
        })
}

/// Which conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversationId {
    /// The conversation's id.
    pub conversation_id: Uuid,
}

fn get(agents: Agents) -> Operation {
    Operation::read("conversations.get", "Get a conversation")
        .about("Gives a conversation with its participants; `conversations.messages` has what was said.")
        .permission("agents:run")
        .rest(Method::GET, "/conversations/{conversation_id}")
        .revisioned()
        .handle(move |tx: Tx, input: Arc<ConversationId>| {
            let agents = agents.clone();
            async move {
                let seat = members::seat(&tx, input.conversation_id).await?;
                service::view(&agents, &tx, seat.conversation).await
            }
        })
}

/// A change of a conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateConversation {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(max = 200))]
    pub title: Patch<String>,
    /// Whether it goes on: active or archived.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub status: Patch<ConversationStatus>,
    /// The version of the agent that answers from now on.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(range(min = 1))]
    pub agent_version: Patch<i64>,
}

fn update(agents: Agents) -> Operation {
    Operation::write("conversations.update", "Change a conversation")
        .about("Changes a conversation's title, puts it away or takes it out again, or pins another version of the agent.")
        .permission("agents:run")
        .rest(Method::PATCH, "/conversations/{conversation_id}")
        .revisioned()
        .handle_with(move |tx: Tx, input: Arc<UpdateConversation>, envelope: Envelope| {
            let agents = agents.clone();
            async move { service::update(&agents, &tx, &input, envelope.expected_revision).await.map(Done) }
        })
}

/// What was deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DeletedConversation {
    /// The conversation's id.
    pub id: Uuid,
}

fn delete(agents: Agents) -> Operation {
    Operation::write("conversations.delete", "Delete a conversation")
        .about("Deletes a conversation with all its messages for good. Its owner's only.")
        .permission("agents:run")
        .rest(Method::DELETE, "/conversations/{conversation_id}")
        .destructive()
        .handle_with(move |tx: Tx, input: Arc<ConversationId>, envelope: Envelope| {
            let agents = agents.clone();
            async move {
                let id = input.conversation_id;
                service::delete(&agents, &tx, id, envelope.expected_revision).await?;
                Ok::<_, Error>(Done(DeletedConversation { id }))
            }
        })
}

/// Whom to let into which conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invite {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// A member of the workspace.
    pub user_id: Uuid,
}

/// An invitation with the name of whoever is invited.
struct Inviting {
    input: Invite,
    /// None for whoever is no member of the workspace.
    name: Option<String>,
}

fn invite(agents: Agents) -> Operation {
    let prepared = agents.clone();
    Operation::write("conversations.invite", "Let somebody into a conversation")
        .about("Lets a member of the workspace into a conversation, with all that was said in it. Its owner's only.")
        .permission("agents:run")
        .rest(Method::POST, "/conversations/{conversation_id}/participants")
        .revisioned()
        .prepare_with(move |cx: Prepare, input: Invite| {
            let agents = prepared.clone();
            async move {
                let name = name_of(&agents, &cx.ctx, input.user_id).await?;
                Ok(Inviting { input, name })
            }
        })
        .handle(move |tx: Tx, inviting: Arc<Inviting>| {
            let agents = agents.clone();
            async move {
                let Invite { conversation_id, user_id } = inviting.input;
                let row = members::invite(&tx, conversation_id, user_id, inviting.name.as_deref()).await?;
                service::view(&agents, &tx, row).await.map(Done)
            }
        })
}

/// Who leaves which conversation.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leave {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// The participant: the caller, or anybody if the owner asks.
    pub user_id: Uuid,
}

/// Who left.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Left {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// Who takes part no more.
    pub user_id: Uuid,
}

fn leave() -> Operation {
    Operation::write("conversations.leave", "Leave a conversation")
        .about(
            "Takes the caller out of a conversation; the owner may take out anybody. When the owner leaves, it passes to \
             whoever has been in it the longest.",
        )
        .permission("agents:run")
        .rest(Method::DELETE, "/conversations/{conversation_id}/participants/{user_id}")
        .handle(|tx: Tx, input: Arc<Leave>| async move {
            let Leave { conversation_id, user_id } = *input;
            members::leave(&tx, conversation_id, user_id).await?;
            Ok::<_, Error>(Done(Left { conversation_id, user_id }))
        })
}
