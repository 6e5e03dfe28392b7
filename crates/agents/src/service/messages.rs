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
/// refuse calls without results. What is more than 16 MiB is left out as [`history_within`] does.
///
/// # Errors
/// `not_found`; a database failure.
pub async fn history(tx: &Tx, message_id: Uuid) -> Result<Vec<Said>> {
    history_within(tx, message_id, MAX_HISTORY_BYTES).await
}

/// As [`history`], with at most `bytes` of messages: the oldest are left out, and what stays begins with a person's words.
/// The message that is to be answered always stays.
///
/// # Errors
/// As [`history`].
pub async fn history_within(tx: &Tx, message_id: Uuid, bytes: usize) -> Result<Vec<Said>> {
    let reply = find(tx, message_id)
        .await?
        .ok_or_else(|| Error::not_found("message"))?;
    let (mut next, mut room, mut read) = (reply.parent_id, bytes, Vec::new());
    'branch: while let Some(from) = next {
        let rows = tree::branch(tx, reply.conversation_id, from, STRETCH).await?;
        next = rows
            .last()
            .filter(|_| rows.len() as u64 == STRETCH)
            .and_then(|row| row.parent_id);
        for row in rows {
            let said = said(tx, row).await?;
            match room.checked_sub(said.size) {
                None if !read.is_empty() => break 'branch,
                left => room = left.unwrap_or_default(),
            }
            read.push(said);
        }
    }
    while read.len() > 1 && read.last().is_some_and(|row| !row.is_user) {
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
    let mut all: Vec<Message> = Vec::with_capacity(history.len());
    for Said { author, mut message } in history {
        if let (Some(author), Some(text)) = (&author, words(&message)) {
            message = Message::user(format!("{author}: {text}"));
        }
        let before = all.last().and_then(words);
        match (all.last_mut(), before, words(&message)) {
            (Some(last), Some(before), Some(text)) => *last = Message::user(format!("{before}\n\n{text}")),
            _ => all.push(message),
        }
    }
    all
}

/// The text of a person's message that is nothing but text.
fn words(message: &Message) -> Option<String> {
    use synapscale_llm::model::{Part, Role};
    let plain = message.content.iter().all(|part| matches!(part, Part::Text(_)));
    (message.role == Role::User && plain).then(|| message.text())
}

async fn find(tx: &Tx, id: Uuid) -> Result<Option<message::Model>> {
    let query = tx.find::<message::Entity>().filter(message::Column::Id.eq(id));
    query.row(tx).await
}

/// Where these runs stand.
///
/// # Errors
/// When the database fails.
pub(crate) async fn states(agents: &Agents, tx: &Tx, runs: &[Uuid]) -> Result<HashMap<Uuid, RunState>> {
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
    let Some(mut row) = find(tx, message_id).await? else {
        return Ok(());
    };
    if !is_open(&row) {
        return Ok(());
    }
    let record = Record::of(tx, reply).await?;
    // A stop may commit between the look and the change; then the record goes to the reply that was stopped.
    for _ in 0..2 {
        if record.put(tx, &row).await? {
            return Ok(());
        }
        match find(tx, message_id).await?.filter(is_open) {
            Some(now) => row = now,
            None => break,
        }
    }
    let owned: Vec<Uuid> = [&record.parts, &record.messages]
        .into_iter()
        .filter_map(stow::blob_of)
        .collect();
    tx.delete_blobs(&owned).await
}

/// Whether a reply can still take a record: it is being written, or was stopped before there was one.
fn is_open(row: &message::Model) -> bool {
    match MessageStatus::parse(&row.status) {
        MessageStatus::Running => true,
        MessageStatus::Stopped => row.provider_messages.is_none(),
        _ => false,
    }
}

/// A reply as it goes into its row.
struct Record {
    status: MessageStatus,
    parts: Value,
    messages: Value,
    text: String,
    model: Option<String>,
    input_tokens: Option<i64>,
    output_tokens: Option<i64>,
    cost_nano_usd: Option<i64>,
    stop: Option<Value>,
    error: Option<Value>,
}

impl Record {
    async fn of(tx: &Tx, reply: Reply) -> Result<Self> {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let model = |model: String| stow::clean_text(model.chars().take(MAX_MODEL).collect());
        Ok(Record {
            status: reply.status.into(),
            parts: stow::put(tx, values(&reply.parts)?).await?,
            messages: stow::put(tx, values(&reply.messages)?).await?,
            text: stow::clean_text(reply.text),
            model: reply.model.map(model),
            input_tokens: reply.usage.map(|usage| tokens(usage.input)),
            output_tokens: reply.usage.map(|usage| tokens(usage.output)),
            cost_nano_usd: reply.cost_nano_usd,
            stop: json(reply.stop)?,
            error: json(reply.error)?,
        })
    }

    /// Puts the record into the row, unless that has changed since it was read.
    async fn put(&self, tx: &Tx, row: &message::Model) -> Result<bool> {
        use message::Column;
        let from = MessageStatus::parse(&row.status);
        let mut update = change(tx, row.id, from)
            .col_expr(Column::Parts, Expr::val(self.parts.clone()))
            .col_expr(Column::ProviderMessages, Expr::val(self.messages.clone()))
            .col_expr(Column::Model, Expr::val(self.model.clone()))
            .col_expr(Column::InputTokens, Expr::val(self.input_tokens))
            .col_expr(Column::OutputTokens, Expr::val(self.output_tokens))
            .col_expr(Column::CostNanoUsd, Expr::val(self.cost_nano_usd));
        let is_running = from == MessageStatus::Running;
        if is_running || self.text.len() > row.text.len() {
            update = update.col_expr(Column::Text, Expr::val(self.text.clone()));
        }
        if !is_running {
            let update = update.filter(Column::ProviderMessages.is_null());
            return Ok(tx.run_update(update).await? > 0);
        }
        let update = update
            .col_expr(Column::Stop, Expr::val(self.stop.clone()))
            .col_expr(Column::Error, Expr::val(self.error.clone()));
        end(tx, row, update, self.status).await
    }
}

fn values<T: serde::Serialize>(items: &[T]) -> Result<Vec<Value>> {
    let items = items.iter().map(serde_json::to_value);
    items
        .collect::<std::result::Result<_, _>>()
        .map_err(Error::internal)
}

/// Ends a reply by `update`, which adds to the row; says whether it was still being written.
///
/// # Errors
/// When the database fails.
pub(crate) async fn end(
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
pub(crate) async fn settle(tx: &Tx, row: &message::Model, state: Option<&RunState>) -> Result<()> {
    let (status, error) = outcome(state);
    let update =
        change(tx, row.id, MessageStatus::Running).col_expr(message::Column::Error, Expr::val(json(error)?));
    end(tx, row, update, status).await.map(|_| ())
}

/// Ends a reply because a person said so, with what was said so far. Says whether it was still being written.
///
/// # Errors
/// When the database fails.
pub(crate) async fn cut(tx: &Tx, row: &message::Model, said: Vec<Part>, stop: ReplyStop) -> Result<bool> {
    // Of its texts the last one, as of a reply that came to its end.
    let text = said.iter().rev().find_map(|part| match part {
        Part::Text { text } => Some(stow::clean_text(text.clone())),
        _ => None,
    });
    let text = text.unwrap_or_default();
    let mut update = change(tx, row.id, MessageStatus::Running)
        .col_expr(message::Column::Stop, Expr::val(json(Some(stop))?));
    let parts = stow::clean(Value::Array(values(&said)?));
    // Parts in a blob would be lost when the loop's own record comes after.
    if !said.is_empty() && stow::size(&parts) < synapscale_store::BLOB_THRESHOLD_BYTES {
        update = update.col_expr(message::Column::Parts, Expr::val(parts));
    }
    let update = update.col_expr(message::Column::Text, Expr::val(text));
    end(tx, row, update, MessageStatus::Stopped).await
}

/// What messages look like, in the order given.
///
/// # Errors
/// When the database fails.
pub(crate) async fn views(
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
pub(crate) async fn list(agents: &Agents, tx: &Tx, input: &ListMessages) -> Result<Page<MessageView>> {
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
pub(crate) async fn delete_blobs(tx: &Tx, conversation_id: Uuid) -> Result<()> {
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
