//! A message is sent, and a run begins that replies. One reply at a time is written in a conversation.

use super::members::{self, Seat};
use super::{agents, conversations, messages, tree};
use crate::Agents;
use crate::entity::{agent, conversation, message};
use crate::events::MessageAdded;
use crate::needs::NewReply;
use crate::view::{
    ConversationStatus, ConversationView, MessageRole, MessageStatus, MessageView, ReplyStop, StopReason,
};
use serde_json::json;
use synapscale_core::{Actor, ActorKind, Error, NewEvent, Result, new_id};
use synapscale_store::Tx;
use synapscale_store::orm::sea_query::{Expr, ExprTrait};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use uuid::Uuid;

/// Most messages of a conversation, all branches together: a tree of this size is walked in no time.
const MOST: i64 = 10_000;
/// Longest title taken from a message, in characters.
const MAX_TITLE: usize = 80;

/// What a sent message led to.
pub struct Sent {
    /// The person's message, unless a reply was tried again.
    pub message: Option<MessageView>,
    /// The reply that begins.
    pub reply: MessageView,
    /// The run that writes it.
    pub run_id: Uuid,
}

/// Where and under what to send.
pub enum What<'a> {
    /// A text under this reply, or under the head.
    Text {
        /// The text.
        text: &'a str,
        /// The reply to go on from.
        parent_id: Option<Uuid>,
    },
    /// A text in place of this message of a person.
    Instead {
        /// The text.
        text: &'a str,
        /// The message.
        message_id: Uuid,
    },
    /// Another reply in place of this one.
    Again {
        /// The reply.
        message_id: Uuid,
    },
}

/// A conversation that takes a message now.
struct Ready {
    seat: Seat,
    agent: agent::Model,
}

/// Opens a conversation for a message. Under its lock, so that of two at once only one passes.
async fn ready(agents: &Agents, tx: &Tx, conversation_id: Uuid) -> Result<Ready> {
    let seat = members::locked_seat(tx, conversation_id).await?;
    let row = &seat.conversation;
    if ConversationStatus::parse(&row.status) == ConversationStatus::Archived {
        let message = "The conversation is archived. Set its status to active to go on.";
        return Err(Error::conflict("conversation_archived", message));
    }
    if running(agents, tx, row).await?.is_some() {
        let message = "A reply is under way here. Wait for its end, or stop it.";
        return Err(Error::conflict("conversation_busy", message));
    }
    if row.messages + 2 > MOST {
        let message = format!("A conversation has at most {MOST} messages. Begin a new one.");
        return Err(Error::conflict("conversation_full", message));
    }
    let agent = agents::any(tx, row.agent_id)
        .await?
        .ok_or_else(|| Error::not_found("agent"))?;
    agents::check_active(&agent)?;
    Ok(Ready { seat, agent })
}

/// The reply that is being written, with its run. One whose run is over without a word is ended here.
async fn running(
    agents: &Agents,
    tx: &Tx,
    row: &conversation::Model,
) -> Result<Option<(message::Model, Uuid)>> {
    let Some(reply_id) = row.reply_id else {
        return Ok(None);
    };
    let Some(reply) = tree::find(tx, row.id, reply_id).await? else {
        return Ok(None);
    };
    let states = messages::states(agents, tx, row.run_id.as_slice()).await?;
    let state = row.run_id.and_then(|run_id| states.get(&run_id));
    match (row.run_id, state) {
        (Some(run_id), Some(state)) if !state.status.is_over() => Ok(Some((reply, run_id))),
        (_, state) => messages::settle(tx, &reply, state).await.map(|()| None),
    }
}

/// Sends a message, or asks for another reply.
///
/// # Errors
/// `not_found`; `conversation_busy`, `conversation_archived`, `conversation_full`; `agent_paused`, `agent_archived`,
/// `agent_deleted`; 422 for a message of the wrong kind.
pub async fn send(agents: &Agents, tx: &Tx, conversation_id: Uuid, what: What<'_>) -> Result<Sent> {
    let ready = ready(agents, tx, conversation_id).await?;
    let (sent, parent) = match what {
        What::Text { text, parent_id } => {
            let above = above(tx, &ready.seat.conversation, parent_id).await?;
            let row = say(tx, &ready.seat, above, text).await?;
            (Some(row.clone()), row)
        }
        What::Instead { text, message_id } => {
            let known = of_role(tx, conversation_id, message_id, MessageRole::User).await?;
            let row = say(tx, &ready.seat, known.parent_id, text).await?;
            (Some(row.clone()), row)
        }
        What::Again { message_id } => {
            let known = of_role(tx, conversation_id, message_id, MessageRole::Assistant).await?;
            let parent = known
                .parent_id
                .ok_or_else(|| Error::internal("a reply to nothing"))?;
            let parent = tree::find(tx, conversation_id, parent).await?;
            (None, parent.ok_or_else(|| Error::not_found("message"))?)
        }
    };
    let (reply, run_id) = begin(agents, tx, &ready, &parent, sent.as_ref()).await?;
    let rows: Vec<message::Model> = sent.into_iter().chain([reply]).collect();
    let mut views = messages::views(agents, tx, conversation_id, rows).await?;
    let reply = views
        .pop()
        .ok_or_else(|| Error::internal("a reply without a view"))?;
    Ok(Sent {
        message: views.pop(),
        reply,
        run_id,
    })
}

/// The reply under which a text goes: the one that is named, or the head.
async fn above(tx: &Tx, row: &conversation::Model, named: Option<Uuid>) -> Result<Option<Uuid>> {
    let Some(id) = named.or(row.head) else {
        return Ok(None);
    };
    let wrong = |code: &'static str, message: &str| Err(Error::invalid("/parent_id", code, message));
    match tree::find(tx, row.id, id).await? {
        None => wrong("not_found", "There is no such message here."),
        Some(above) if MessageRole::parse(&above.role) == MessageRole::User => wrong(
            "not_a_reply",
            "A message follows a reply. Edit this message instead.",
        ),
        Some(above) => Ok(Some(above.id)),
    }
}

async fn of_role(tx: &Tx, conversation_id: Uuid, id: Uuid, role: MessageRole) -> Result<message::Model> {
    let row = tree::find(tx, conversation_id, id).await?;
    let row = row.ok_or_else(|| Error::not_found("message"))?;
    if MessageRole::parse(&row.role) == role {
        return Ok(row);
    }
    Err(match role {
        MessageRole::User => Error::invalid(
            "/message_id",
            "not_a_user_message",
            "Only people's messages are edited.",
        ),
        MessageRole::Assistant => {
            Error::invalid("/message_id", "not_a_reply", "Only replies are tried again.")
        }
    })
}

fn blank(conversation_id: Uuid, parent_id: Option<Uuid>, tx: &Tx, author: Actor) -> message::Model {
    let now = tx.ctx().clock().now();
    message::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        conversation_id,
        parent_id,
        role: MessageRole::User.as_str().to_owned(),
        author_kind: author.kind.as_str().to_owned(),
        author_id: author.id,
        author_name: None,
        agent_version: None,
        run_id: None,
        status: MessageStatus::Done.as_str().to_owned(),
        text: String::new(),
        parts: json!([]),
        provider_messages: None,
        model: None,
        input_tokens: None,
        output_tokens: None,
        cost_nano_usd: None,
        stop: None,
        error: None,
        created_at: now,
        finished_at: Some(now),
    }
}

/// Keeps a person's message.
async fn say(tx: &Tx, seat: &Seat, parent_id: Option<Uuid>, text: &str) -> Result<message::Model> {
    if text.trim().is_empty() {
        return Err(Error::invalid("/text", "required", "Say something."));
    }
    let author = Actor::user(seat.me.user_id);
    let row = message::Model {
        author_name: Some(seat.me.name.clone()),
        text: text.to_owned(),
        ..blank(seat.conversation.id, parent_id, tx, author)
    };
    tx.insert::<message::Entity>(row.clone()).await?;
    tell(tx, &row, None);
    Ok(row)
}

fn tell(tx: &Tx, row: &message::Model, run_id: Option<Uuid>) {
    let told = MessageAdded {
        conversation_id: row.conversation_id,
        role: MessageRole::parse(&row.role),
        run_id,
    };
    tx.emit(NewEvent::new("message", row.id, &told));
}

/// The first line of a text that has one, not too long.
fn title_of(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_TITLE).collect::<String>().trim_end().to_owned()
}

/// Keeps an empty reply to `parent` and starts the run that fills it. The rows stand before the run begins, since its first
/// steps may be made at once, in this very transaction.
async fn begin(
    agents: &Agents,
    tx: &Tx,
    ready: &Ready,
    parent: &message::Model,
    sent: Option<&message::Model>,
) -> Result<(message::Model, Uuid)> {
    use conversation::Column;
    let conversation = &ready.seat.conversation;
    let author = Actor {
        kind: ActorKind::Agent,
        id: ready.agent.id,
    };
    let mut reply = message::Model {
        role: MessageRole::Assistant.as_str().to_owned(),
        agent_version: Some(conversation.agent_version),
        status: MessageStatus::Running.as_str().to_owned(),
        finished_at: None,
        ..blank(conversation.id, Some(parent.id), tx, author)
    };
    tx.insert::<message::Entity>(reply.clone()).await?;
    let mut title = conversation.title.clone();
    if let (true, 0, Some(first)) = (title.is_empty(), conversation.messages, sent) {
        title = title_of(&first.text);
    }
    let more = 1 + i64::from(sent.is_some());
    let update = conversations::change(tx, conversation.id)
        .col_expr(Column::Title, Expr::val(title.clone()))
        .col_expr(Column::Head, Expr::val(reply.id))
        .col_expr(Column::ReplyId, Expr::val(reply.id))
        .col_expr(Column::RunId, Expr::val(None::<Uuid>))
        .col_expr(Column::Messages, Expr::col(Column::Messages).add(more));
    tx.run_update(update).await?;
    let wanted = NewReply {
        conversation_id: conversation.id,
        message_id: reply.id,
        agent_id: ready.agent.id,
        version: conversation.agent_version,
        title,
    };
    let run_id = agents.turns()?.start(tx, wanted).await?;
    let update = tx
        .update::<message::Entity>()
        .col_expr(message::Column::RunId, Expr::val(run_id))
        .filter(message::Column::Id.eq(reply.id));
    tx.run_update(update).await?;
    // Not if the run's first steps have ended the reply already.
    let update = tx
        .update::<conversation::Entity>()
        .col_expr(Column::RunId, Expr::val(run_id))
        .filter(Column::Id.eq(conversation.id))
        .filter(Column::ReplyId.eq(reply.id));
    tx.run_update(update).await?;
    tell(tx, &reply, Some(run_id));
    let now = tree::find(tx, conversation.id, reply.id).await?;
    reply = now.ok_or_else(|| Error::internal("a reply that was just kept"))?;
    Ok((reply, run_id))
}

/// Stops the reply that is being written, if one is; what was said so far stays.
///
/// # Errors
/// `not_found`.
pub async fn stop(agents: &Agents, tx: &Tx, conversation_id: Uuid) -> Result<ConversationView> {
    let seat = members::locked_seat(tx, conversation_id).await?;
    if let Some((reply, run_id)) = running(agents, tx, &seat.conversation).await? {
        let said = agents.turns()?.so_far(tx, run_id).await?;
        let stop = ReplyStop {
            reason: StopReason::Cancelled,
            detail: format!("Stopped by {}.", seat.me.name),
        };
        if messages::cut(tx, &reply, said, stop).await? {
            agents
                .turns()?
                .stop(tx, run_id, "Stopped in the conversation.")
                .await?;
        }
    }
    let row = conversations::find(tx, conversation_id).await?;
    let row = row.ok_or_else(|| Error::not_found("conversation"))?;
    conversations::view(agents, tx, row).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_the_first_line() {
        assert_eq!(title_of("\n  Plan the week \nand more"), "Plan the week");
        assert_eq!(title_of(&"ä".repeat(100)), "ä".repeat(80));
        assert_eq!(title_of("a\tb"), "a b");
        assert_eq!(title_of(" \n "), "");
    }
}
