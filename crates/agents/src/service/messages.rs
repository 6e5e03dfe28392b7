//! Messages: shown, given to the tool loop as history, and finished by it.

use super::{conversations, members, tree};
use crate::Agents;
use crate::entity::{conversation, message};
use crate::events::MessageFinished;
use crate::needs::RunState;
use crate::ops::ListMessages;
use crate::stow;
use crate::view::{
    MessageRole, MessageStatus, MessageView, Part, ReplyError, ReplyStop, ReplyUsage, outcome,
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use synapscale_core::{Error, NewEvent, Result};
use synapscale_llm::model::Message;
use synapscale_ops::{Page, page};
use synapscale_store::orm::sea_query::{Alias, Expr, ExprTrait, Query};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, UpdateMany};
use synapscale_store::{Scoped, Tenanted, Tx};
use uuid::Uuid;

/// Messages of a branch that are read at once.
const STRETCH: u64 = 200;
/// Most of a history, in bytes: beyond what any model reads. The oldest messages are left out first.
const MAX_HISTORY_BYTES: usize = 16 << 20;
/// Longest model name that is kept, in characters.
const MAX_MODEL: usize = 200;
/// Blobs deleted by one statement.
const BLOBS_AT_ONCE: usize = 500;

/// How a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is whole.
    Done,
    /// A limit or a person stopped it.
    Stopped,
    /// The run failed.
    Failed,
}

impl From<Ended> for MessageStatus {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Done => MessageStatus::Done,
            Ended::Stopped => MessageStatus::Stopped,
            Ended::Failed => MessageStatus::Failed,
        }
    }
}

/// A reply as the tool loop ends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// How it ended.
    pub status: Ended,
    /// The provider messages of this reply, in order: the model's turns and the tools' results.
    pub messages: Vec<Message>,
    /// The final text.
    pub text: String,
    /// What people are shown.
    pub parts: Vec<Part>,
    /// The model that answered last.
    pub model: Option<String>,
    /// What it took.
    pub usage: Option<ReplyUsage>,
    /// What it cost, if that is known.
    pub cost_nano_usd: Option<i64>,
    /// What stopped it.
    pub stop: Option<ReplyStop>,
    /// Why it failed.
    pub error: Option<ReplyError>,
}

/// One message of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Who said it, where several people talk to the agent; none for the agent's own messages.
    pub author: Option<String>,
    /// What was said.
    pub message: Message,
}

/// What was said before the reply `message_id`: the branch from its root down to the message that is to be answered. A whole
/// reply comes with its calls of tools and their results; one that failed or was stopped with its text only, since providers
/// refuse calls without results. What is more than 16 MiB is left out from the oldest on, up to a person's message.
///
/// # Errors
/// `not_found`; a database failure.
pub async fn history(tx: &Tx, message_id: Uuid) -> Result<Vec<Said>> {
    let reply = find(tx, message_id)
        .await?
        .ok_or_else(|| Error::not_found("message"))?;
    let (mut next, mut room, mut read) = (reply.parent_id, MAX_HISTORY_BYTES, Vec::new());
    'branch: while let Some(from) = next {
        let rows = tree::branch(tx, reply.conversation_id, from, STRETCH).await?;
        next = rows
            .last()
            .filter(|_| rows.len() as u64 == STRETCH)
            .and_then(|row| row.parent_id);
        for row in rows {
            let said = said(tx, row).await?;
            let size = said.size;
            read.push(said);
            match room.checked_sub(size) {
                Some(left) => room = left,
                None => break 'branch,
            }
        }
    }
    while room < MAX_HISTORY_BYTES && read.len() > 1 && read.last().is_some_and(|row| !row.is_user) {
        // What is cut in the middle must not begin with the agent's words.
        read.pop();
    }
    let authors: HashSet<&Uuid> = read
        .iter()
        .filter(|row| row.is_user)
        .map(|row| &row.author_id)
        .collect();
    let several = authors.len() > 1 || members::of(tx, [reply.conversation_id]).await?.len() > 1;
    let mut all = Vec::new();
    for row in read.into_iter().rev() {
        let author = row.author.filter(|_| several);
        all.extend(row.messages.into_iter().map(|message| Said {
            author: author.clone(),
            message,
        }));
    }
    Ok(all)
}

/// A message of the branch, read.
struct Read {
    is_user: bool,
    author_id: Uuid,
    author: Option<String>,
    messages: Vec<Message>,
    size: usize,
}

async fn said(tx: &Tx, row: message::Model) -> Result<Read> {
    let is_user = MessageRole::parse(&row.role) == MessageRole::User;
    let whole = MessageStatus::parse(&row.status) == MessageStatus::Done;
    let mut size = row.text.len();
    let messages = match row.provider_messages.filter(|_| whole) {
        Some(kept) => {
            let kept = stow::get(tx, kept).await?;
            size = stow::size(&kept);
            serde_json::from_value(kept).map_err(Error::internal)?
        }
        None if is_user => vec![Message::user(row.text)],
        None if row.text.trim().is_empty() => Vec::new(),
        None => vec![Message::assistant(row.text)],
    };
    Ok(Read {
        is_user,
        author_id: row.author_id,
        author: row.author_name.filter(|name| is_user && !name.is_empty()),
        messages,
        size,
    })
}

/// A history as a model reads it: people's texts carry their name where it is given, and texts of people that follow one
/// another, as after a reply that came to nothing, are one message, because some providers want the speakers to alternate.
pub fn as_messages(history: Vec<Said>) -> Vec<Message> {
    use synapscale_llm::model::{Part, Role};
    let mut all: Vec<Message> = Vec::with_capacity(history.len());
    for Said { author, mut message } in history {
        if let (Some(author), Role::User) = (&author, message.role) {
            message = Message::user(format!("{author}: {}", message.text()));
        }
        match all.last_mut() {
            Some(last) if last.role == Role::User && message.role == Role::User => {
                last.content.push(Part::text("\n\n"));
                last.content.extend(message.content);
            }
            _ => all.push(message),
        }
    }
    for message in &mut all {
        let parts = message.content.len();
        if message.role == Role::User && parts > 1 {
            message.content = vec![Part::text(message.text())];
        }
    }
    all
}

async fn find(tx: &Tx, id: Uuid) -> Result<Option<message::Model>> {
    let query = tx.find::<message::Entity>().filter(message::Column::Id.eq(id));
    query.row(tx).await
}

/// Where these runs stand.
///
/// # Errors
/// When the database fails.
pub async fn states(agents: &Agents, tx: &Tx, runs: &[Uuid]) -> Result<HashMap<Uuid, RunState>> {
    match runs.is_empty() {
        true => Ok(HashMap::new()),
        false => agents.turns()?.states(tx, runs).await,
    }
}

fn json<T: serde::Serialize>(value: Option<T>) -> Result<Option<Value>> {
    let value = value
        .map(serde_json::to_value)
        .transpose()
        .map_err(Error::internal)?;
    Ok(value.map(stow::clean))
}

/// A change of a message that is in this status still.
fn change(tx: &Tx, id: Uuid, from: MessageStatus) -> UpdateMany<message::Entity> {
    tx.update::<message::Entity>()
        .filter(message::Column::Id.eq(id))
        .filter(message::Column::Status.eq(from.as_str()))
}

/// Ends a reply. Only a reply that is being written ends, so a second call changes nothing; one that a person stopped
/// meanwhile stays stopped and takes what was kept of it. A message that is gone with its conversation is no fault.
///
/// # Errors
/// When the database fails.
pub async fn finish(tx: &Tx, message_id: Uuid, reply: Reply) -> Result<()> {
    use message::Column;
    let Some(row) = find(tx, message_id).await? else {
        return Ok(());
    };
    let list = |value: std::result::Result<Value, serde_json::Error>| match value {
        Ok(Value::Array(items)) => Ok(items),
        Ok(_) => Err(Error::internal("a list is no list")),
        Err(error) => Err(Error::internal(error)),
    };
    let from = match MessageStatus::parse(&row.status) {
        MessageStatus::Running => MessageStatus::Running,
        MessageStatus::Stopped if row.provider_messages.is_none() => MessageStatus::Stopped,
        _ => return Ok(()),
    };
    let parts = stow::put(tx, list(serde_json::to_value(&reply.parts))?).await?;
    let kept = stow::put(tx, list(serde_json::to_value(&reply.messages))?).await?;
    let model = reply
        .model
        .map(|model| stow::clean_text(model.chars().take(MAX_MODEL).collect()));
    let tokens = |of: fn(ReplyUsage) -> u64| {
        reply
            .usage
            .map(|usage| i64::try_from(of(usage)).unwrap_or(i64::MAX))
    };
    let mut update = change(tx, message_id, from)
        .col_expr(Column::Parts, Expr::val(parts))
        .col_expr(Column::ProviderMessages, Expr::val(kept))
        .col_expr(Column::Model, Expr::val(model))
        .col_expr(Column::InputTokens, Expr::val(tokens(|usage| usage.input)))
        .col_expr(Column::OutputTokens, Expr::val(tokens(|usage| usage.output)))
        .col_expr(Column::CostNanoUsd, Expr::val(reply.cost_nano_usd));
    let text = stow::clean_text(reply.text);
    if from == MessageStatus::Running || text.len() > row.text.len() {
        update = update.col_expr(Column::Text, Expr::val(text));
    }
    if from == MessageStatus::Stopped {
        let update = update.filter(Column::ProviderMessages.is_null());
        tx.run_update(update).await?;
        return Ok(());
    }
    let update = update
        .col_expr(Column::Stop, Expr::val(json(reply.stop)?))
        .col_expr(Column::Error, Expr::val(json(reply.error)?));
    end(tx, &row, update, reply.status.into()).await?;
    Ok(())
}

/// Ends a reply by `update`, which adds to the row; says whether it was still being written.
///
/// # Errors
/// When the database fails.
pub async fn end(
    tx: &Tx,
    row: &message::Model,
    update: UpdateMany<message::Entity>,
    status: MessageStatus,
) -> Result<bool> {
    use message::Column;
    let update = update
        .col_expr(Column::Status, Expr::val(status.as_str()))
        .col_expr(Column::FinishedAt, Expr::val(tx.ctx().clock().now()));
    if tx.run_update(update).await? == 0 {
        return Ok(false);
    }
    let over = conversations::change(tx, row.conversation_id)
        .col_expr(conversation::Column::ReplyId, Expr::val(None::<Uuid>))
        .col_expr(conversation::Column::RunId, Expr::val(None::<Uuid>))
        .filter(conversation::Column::ReplyId.eq(row.id));
    tx.run_update(over).await?;
    let told = MessageFinished {
        conversation_id: row.conversation_id,
        run_id: row.run_id.or(tx.ctx().origin().run),
        status,
    };
    tx.emit(NewEvent::new("message", row.id, &told));
    Ok(true)
}

/// Ends a reply whose run is over although nobody finished it, as its run tells.
///
/// # Errors
/// When the database fails.
pub async fn settle(tx: &Tx, row: &message::Model, state: Option<&RunState>) -> Result<()> {
    let (status, error) = outcome(state);
    let update =
        change(tx, row.id, MessageStatus::Running).col_expr(message::Column::Error, Expr::val(json(error)?));
    end(tx, row, update, status).await.map(|_| ())
}

/// Ends a reply because a person said so, with what was said so far. Says whether it was still being written.
///
/// # Errors
/// When the database fails.
pub async fn cut(tx: &Tx, row: &message::Model, said: String, stop: ReplyStop) -> Result<bool> {
    let text = stow::clean_text(said);
    let mut update = change(tx, row.id, MessageStatus::Running)
        .col_expr(message::Column::Stop, Expr::val(json(Some(stop))?));
    // Parts in a blob would be lost when the loop's own record comes after.
    if !text.is_empty() && text.len() < synapscale_store::BLOB_THRESHOLD_BYTES / 8 {
        let parts = serde_json::to_value([Part::Text { text: text.clone() }]).map_err(Error::internal)?;
        update = update.col_expr(message::Column::Parts, Expr::val(parts));
    }
    let update = update.col_expr(message::Column::Text, Expr::val(text));
    end(tx, row, update, MessageStatus::Stopped).await
}

/// What messages look like, in the order given.
///
/// # Errors
/// When the database fails.
pub async fn views(
    agents: &Agents,
    tx: &Tx,
    conversation_id: Uuid,
    rows: Vec<message::Model>,
) -> Result<Vec<MessageView>> {
    let siblings = tree::siblings(tx, conversation_id, rows.iter().map(|row| row.parent_id)).await?;
    let running = |row: &&message::Model| row.status == MessageStatus::Running.as_str();
    let runs: Vec<Uuid> = rows.iter().filter(running).filter_map(|row| row.run_id).collect();
    let states = states(agents, tx, &runs).await?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let parts = stow::get(tx, row.parts.clone()).await?;
        let beside = siblings.get(&row.parent_id).cloned().unwrap_or_default();
        let state = row.run_id.and_then(|run_id| states.get(&run_id));
        views.push(MessageView::of(row, parts, beside, state)?);
    }
    Ok(views)
}

/// A branch, the newest message first.
///
/// # Errors
/// `not_found`, `cursor`.
pub async fn list(agents: &Agents, tx: &Tx, input: &ListMessages) -> Result<Page<MessageView>> {
    let row = members::seat(tx, input.conversation_id).await?.conversation;
    let limit = page::limit(input.limit);
    let from = match page::decode_opt::<Uuid>(input.cursor.as_deref())? {
        Some(next) => Some(next),
        None => input.head.or(row.head),
    };
    let Some(from) = from else {
        return Ok(Page {
            items: Vec::new(),
            next_cursor: None,
        });
    };
    let rows = tree::branch(tx, row.id, from, limit).await?;
    if rows.is_empty() {
        return Err(Error::not_found("message"));
    }
    let more = rows
        .last()
        .filter(|_| rows.len() as u64 == limit)
        .and_then(|row| row.parent_id);
    Ok(Page {
        items: views(agents, tx, row.id, rows).await?,
        next_cursor: more.map(|next| page::encode(&next)).transpose()?,
    })
}

/// Deletes the blobs that a conversation's messages own.
///
/// # Errors
/// When the database fails.
pub async fn delete_blobs(tx: &Tx, conversation_id: Uuid) -> Result<()> {
    use message::Column;
    // What is kept here is a list, and a reference is an object.
    let refers = |column: Column| Expr::col(column).cast_as(Alias::new("text")).like("{%");
    let mut query = Query::select();
    query
        .columns([Column::Parts, Column::ProviderMessages])
        .from(message::Entity)
        .and_where(message::Entity::tenant_column().eq(tx.ctx().tenant().0))
        .and_where(Column::ConversationId.eq(conversation_id))
        .cond_where(
            Condition::any()
                .add(refers(Column::Parts))
                .add(refers(Column::ProviderMessages)),
        );
    let owned = tx
        .query_by(&query, |row| {
            let values: [Option<Value>; 2] = [row.try_get_by_index(0)?, row.try_get_by_index(1)?];
            Ok(values)
        })
        .await?;
    let owned: Vec<Uuid> = owned
        .iter()
        .flatten()
        .flatten()
        .filter_map(stow::blob_of)
        .collect();
    for some in owned.chunks(BLOBS_AT_ONCE) {
        tx.delete_blobs(some).await?;
    }
    Ok(())
}
