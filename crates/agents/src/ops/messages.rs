//! `conversations.*`: what is said in a conversation.

use super::conversations::ConversationId;
use crate::Agents;
use crate::service::replies::{self, What};
use crate::service::{conversations, messages};
use crate::view::MessageView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Method, Operation};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(agents: &Agents) -> Vec<Operation> {
    vec![
        list(agents.clone()),
        send(agents.clone()),
        edit(agents.clone()),
        retry(agents.clone()),
        switch(agents.clone()),
        stop(agents.clone()),
    ]
}

/// Which messages to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListMessages {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// The last message of the branch; the conversation's head unless given.
    #[serde(default)]
    pub head: Option<Uuid>,
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
    Operation::read("conversations.messages", "List a conversation's messages")
        .about("Lists a branch of a conversation, the newest message first. `siblings` tells what stands beside each.")
        .permission("agents:run")
        .rest(Method::GET, "/conversations/{conversation_id}/messages")
        .handle(move |tx: Tx, input: Arc<ListMessages>| {
            let agents = agents.clone();
            async move { messages::list(&agents, &tx, &input).await }
        })
}

/// A message to be sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendMessage {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// What to say.
    #[schemars(length(min = 1, max = 200_000))]
    pub text: String,
    /// The reply to go on from; the conversation's head unless given.
    #[serde(default)]
    pub parent_id: Option<Uuid>,
}

/// A message, and the reply that begins.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SentMessage {
    /// The message.
    pub message: MessageView,
    /// The reply, which is empty yet.
    pub reply: MessageView,
    /// The run that writes it.
    pub run_id: Uuid,
}

async fn say(agents: &Agents, tx: &Tx, conversation_id: Uuid, what: What<'_>) -> Result<SentMessage> {
    let sent = replies::send(agents, tx, conversation_id, what).await?;
    Ok(SentMessage {
        message: sent
            .message
            .ok_or_else(|| Error::internal("a message that was not kept"))?,
        reply: sent.reply,
        run_id: sent.run_id,
    })
}

fn send(agents: Agents) -> Operation {
    Operation::write("conversations.send", "Send a message")
        .about(
            "Sends a message to the agent and begins its reply, which acts for the sender. One reply at a time: while one \
             is under way or waits for an approval, this answers `conversation_busy`.",
        )
        .permission("agents:run")
        .rest(Method::POST, "/conversations/{conversation_id}/messages")
        .handle(move |tx: Tx, input: Arc<SendMessage>| {
            let agents = agents.clone();
            async move {
                let what = What::Text {
                    text: &input.text,
                    parent_id: input.parent_id,
                };
                say(&agents, &tx, input.conversation_id, what).await.map(Done)
            }
        })
}

/// A message to be said another way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditMessage {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// A message of a person.
    pub message_id: Uuid,
    /// What to say instead.
    #[schemars(length(min = 1, max = 200_000))]
    pub text: String,
}

fn edit(agents: Agents) -> Operation {
    Operation::write("conversations.edit", "Say a message another way")
        .about("Sends another text in place of a message and begins a reply to it. The first message stays, on a branch of its own.")
        .permission("agents:run")
        .rest(Method::POST, "/conversations/{conversation_id}/messages/{message_id}/edit")
        .handle(move |tx: Tx, input: Arc<EditMessage>| {
            let agents = agents.clone();
            async move {
                let what = What::Instead {
                    text: &input.text,
                    message_id: input.message_id,
                };
                say(&agents, &tx, input.conversation_id, what).await.map(Done)
            }
        })
}

/// Which message.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageId {
    /// The conversation's id.
    pub conversation_id: Uuid,
    /// The message's id.
    pub message_id: Uuid,
}

/// Another reply that begins.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RetriedReply {
    /// The reply, which is empty yet.
    pub reply: MessageView,
    /// The run that writes it.
    pub run_id: Uuid,
}

fn retry(agents: Agents) -> Operation {
    Operation::write("conversations.retry", "Ask for another reply")
        .about("Begins another reply in place of this one. The first reply stays, on a branch of its own.")
        .permission("agents:run")
        .rest(
            Method::POST,
            "/conversations/{conversation_id}/messages/{message_id}/retry",
        )
        .handle(move |tx: Tx, input: Arc<MessageId>| {
            let agents = agents.clone();
            async move {
                let what = What::Again {
                    message_id: input.message_id,
                };
                let sent = replies::send(&agents, &tx, input.conversation_id, what).await?;
                Ok::<_, Error>(Done(RetriedReply {
                    reply: sent.reply,
                    run_id: sent.run_id,
                }))
            }
        })
}

fn switch(agents: Agents) -> Operation {
    Operation::write("conversations.switch", "Show another branch")
        .about("Makes the newest message below this one the conversation's head, for everybody in it.")
        .permission("agents:run")
        .rest(
            Method::POST,
            "/conversations/{conversation_id}/messages/{message_id}/switch",
        )
        .revisioned()
        .handle(move |tx: Tx, input: Arc<MessageId>| {
            let agents = agents.clone();
            async move {
                conversations::switch(&agents, &tx, input.conversation_id, input.message_id)
                    .await
                    .map(Done)
            }
        })
}

fn stop(agents: Agents) -> Operation {
    Operation::write("conversations.stop", "Stop the reply")
        .about("Stops the reply that is being written, if one is. What was said so far stays.")
        .permission("agents:run")
        .rest(Method::POST, "/conversations/{conversation_id}/stop")
        .revisioned()
        .handle(move |tx: Tx, input: Arc<ConversationId>| {
            let agents = agents.clone();
            async move { replies::stop(&agents, &tx, input.conversation_id).await.map(Done) }
        })
}
