//! What happens to conversations: begun, listed, changed, deleted.

use super::members::{self, Seat};
use super::{agents, check_revision, maker, messages, person, tree};
use crate::Agents;
use crate::entity::{agent, conversation, member, message};
use crate::events::{ConversationCreated, ConversationDeleted, ConversationUpdated};
use crate::ops::{ListConversations, StartConversation, UpdateConversation};
use crate::view::{ConversationStatus, ConversationView, MemberRole};
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use synapscale_core::{Error, NewEvent, Result, new_id};
use synapscale_ops::{Page, page};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Query};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect, UpdateMany};
use synapscale_store::{Scoped, Tenanted, Tx};
use uuid::Uuid;

/// The conversation of this id, whoever asks.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &Tx, id: Uuid) -> Result<Option<conversation::Model>> {
    let query = tx
        .find::<conversation::Entity>()
        .filter(conversation::Column::Id.eq(id));
    query.row(tx).await
}

/// What a conversation looks like.
///
/// # Errors
/// When the database fails.
pub async fn view(agents: &Agents, tx: &Tx, row: conversation::Model) -> Result<ConversationView> {
    let views = views(agents, tx, vec![row]).await?;
    views
        .into_iter()
        .next()
        .ok_or_else(|| Error::not_found("conversation"))
}

async fn views(agents: &Agents, tx: &Tx, rows: Vec<conversation::Model>) -> Result<Vec<ConversationView>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: HashSet<Uuid> = rows.iter().map(|row| row.agent_id).collect();
    let known = tx
        .find::<agent::Entity>()
        .filter(agent::Column::Id.is_in(ids))
        .rows(tx)
        .await?;
    let known: HashMap<Uuid, agent::Model> = known.into_iter().map(|row| (row.id, row)).collect();
    let mut present: HashMap<Uuid, Vec<member::Model>> = HashMap::new();
    for member in members::of(tx, rows.iter().map(|row| row.id)).await? {
        present.entry(member.conversation_id).or_default().push(member);
    }
    let runs: Vec<Uuid> = rows.iter().filter_map(|row| row.run_id).collect();
    let states = messages::states(agents, tx, &runs).await?;
    let goes_on = |run_id: &Uuid| states.get(run_id).is_some_and(|state| !state.status.is_over());
    Ok(rows
        .into_iter()
        .map(|row| {
            let run_id = row.run_id.filter(goes_on);
            let members = present.remove(&row.id).unwrap_or_default();
            let agent = known.get(&row.agent_id);
            ConversationView::of(row, agent, members, run_id)
        })
        .collect())
}

/// Begins a conversation; the caller, whose name is given, owns it.
///
/// # Errors
/// `not_found` for agent or version; `agent_paused`, `agent_archived`.
pub async fn create(
    agents: &Agents,
    tx: &Tx,
    input: &StartConversation,
    name: &str,
) -> Result<ConversationView> {
    let user_id = person(tx.ctx())?;
    let agent = agents::find(tx, input.agent_id).await?;
    agents::check_active(&agent)?;
    let version = input.version.unwrap_or(agent.version);
    agents::version_row(tx, agent.id, version).await?;
    let (now, maker) = (tx.ctx().clock().now(), maker(tx.ctx()));
    let row = conversation::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        agent_id: agent.id,
        agent_version: version,
        title: input.title.as_deref().unwrap_or_default().trim().to_owned(),
        status: ConversationStatus::Active.as_str().to_owned(),
        head: None,
        reply_id: None,
        run_id: None,
        messages: 0,
        created_by_kind: Some(maker.kind.as_str().to_owned()),
        created_by: Some(maker.id),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    tx.insert::<conversation::Entity>(row.clone()).await?;
    members::add(tx, row.id, user_id, name, MemberRole::Owner).await?;
    let told = ConversationCreated {
        agent_id: row.agent_id,
        agent_version: row.agent_version,
    };
    tx.emit(NewEvent::new("conversation", row.id, &told));
    view(agents, tx, row).await
}

/// The caller's conversations, the last changed first.
///
/// # Errors
/// `cursor`.
pub async fn list(agents: &Agents, tx: &Tx, input: &ListConversations) -> Result<Page<ConversationView>> {
    use conversation::Column;
    let limit = page::limit(input.limit);
    let mut mine = Query::select();
    mine.column(member::Column::ConversationId)
        .from(member::Entity)
        .and_where(member::Entity::tenant_column().eq(tx.ctx().tenant().0))
        .and_where(member::Column::UserId.eq(person(tx.ctx())?));
    let mut query = tx
        .find::<conversation::Entity>()
        .filter(Column::Id.in_subquery(mine));
    if let Some(agent_id) = input.agent_id {
        query = query.filter(Column::AgentId.eq(agent_id));
    }
    if let Some(status) = input.status {
        query = query.filter(Column::Status.eq(status.as_str()));
    }
    if let Some((at, id)) = page::decode_opt::<(DateTime<Utc>, Uuid)>(input.cursor.as_deref())? {
        let before = Condition::any()
            .add(Column::UpdatedAt.lt(at))
            .add(ExprTrait::and(Column::UpdatedAt.eq(at), Column::Id.lt(id)));
        query = query.filter(before);
    }
    let rows = query
        .order_by_desc(Column::UpdatedAt)
        .order_by_desc(Column::Id)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let Page { items, next_cursor } = Page::cut(rows, limit, |row| (row.updated_at, row.id))?;
    let items = views(agents, tx, items).await?;
    Ok(Page { items, next_cursor })
}

/// A change of this conversation's row that raises its revision. Changes are relative, so that a reply may end meanwhile.
pub fn change(tx: &Tx, id: Uuid) -> UpdateMany<conversation::Entity> {
    use conversation::Column;
    tx.update::<conversation::Entity>()
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(tx.ctx().clock().now()))
        .filter(Column::Id.eq(id))
}

/// Writes a change and reads the row as it is now.
///
/// # Errors
/// `not_found`.
pub async fn write(
    tx: &Tx,
    id: Uuid,
    update: UpdateMany<conversation::Entity>,
) -> Result<conversation::Model> {
    tx.run_update(update).await?;
    find(tx, id)
        .await?
        .ok_or_else(|| Error::not_found("conversation"))
}

/// Tells of a change that stands elsewhere, such as of participants.
///
/// # Errors
/// When the database fails.
pub async fn changed(tx: &Tx, row: conversation::Model) -> Result<conversation::Model> {
    let row = write(tx, row.id, change(tx, row.id)).await?;
    tell(tx, &row);
    Ok(row)
}

fn tell(tx: &Tx, row: &conversation::Model) {
    let told = ConversationUpdated {
        agent_id: row.agent_id,
        agent_version: row.agent_version,
        status: ConversationStatus::parse(&row.status),
    };
    tx.emit(NewEvent::new("conversation", row.id, &told));
}

/// Changes a conversation's own fields.
///
/// # Errors
/// `not_found`, also for a version that the agent does not have; `stale_revision`.
pub async fn update(
    agents: &Agents,
    tx: &Tx,
    input: &UpdateConversation,
    expected: Option<i64>,
) -> Result<ConversationView> {
    use conversation::Column;
    let Seat {
        conversation: before, ..
    } = members::locked_seat(tx, input.conversation_id).await?;
    check_revision("conversation", expected, before.revision)?;
    let mut row = before.clone();
    input.title.apply_required(&mut row.title, "/title")?;
    row.title = row.title.trim().to_owned();
    let mut status = ConversationStatus::parse(&row.status);
    input.status.apply_required(&mut status, "/status")?;
    row.status = status.as_str().to_owned();
    input
        .agent_version
        .apply_required(&mut row.agent_version, "/agent_version")?;
    if row.agent_version != before.agent_version {
        agents::version_row(tx, row.agent_id, row.agent_version).await?;
    }
    if row != before {
        let update = change(tx, row.id)
            .col_expr(Column::Title, Expr::val(row.title.clone()))
            .col_expr(Column::Status, Expr::val(row.status.clone()))
            .col_expr(Column::AgentVersion, Expr::val(row.agent_version));
        row = write(tx, row.id, update).await?;
        tell(tx, &row);
    }
    view(agents, tx, row).await
}

/// Shows the branch of another message: the head becomes the newest leaf below it.
///
/// # Errors
/// `not_found`.
pub async fn switch(agents: &Agents, tx: &Tx, id: Uuid, message_id: Uuid) -> Result<ConversationView> {
    let Seat {
        conversation: mut row,
        ..
    } = members::locked_seat(tx, id).await?;
    let target = tree::find(tx, id, message_id).await?;
    target.ok_or_else(|| Error::not_found("message"))?;
    let head = tree::newest_leaf(tx, id, message_id).await?;
    if row.head != Some(head) {
        let update = change(tx, id).col_expr(conversation::Column::Head, Expr::val(head));
        row = write(tx, id, update).await?;
        tell(tx, &row);
    }
    view(agents, tx, row).await
}

/// Deletes a conversation with its messages for good; a reply under way is stopped.
///
/// # Errors
/// `not_found`, `owner_only`, `stale_revision`.
pub async fn delete(agents: &Agents, tx: &Tx, id: Uuid, expected: Option<i64>) -> Result<()> {
    let seat = members::locked_seat(tx, id).await?;
    seat.require_owner()?;
    let row = seat.conversation;
    check_revision("conversation", expected, row.revision)?;
    // While the caller still sees the run.
    if let Some(run_id) = row.run_id {
        agents
            .turns()?
            .stop(tx, run_id, "The conversation was deleted.")
            .await?;
    }
    messages::delete_blobs(tx, id).await?;
    let gone = tx
        .delete::<message::Entity>()
        .filter(message::Column::ConversationId.eq(id));
    tx.run_delete(gone).await?;
    let gone = tx
        .delete::<member::Entity>()
        .filter(member::Column::ConversationId.eq(id));
    tx.run_delete(gone).await?;
    let gone = tx
        .delete::<conversation::Entity>()
        .filter(conversation::Column::Id.eq(id));
    tx.run_delete(gone).await?;
    let told = ConversationDeleted {
        agent_id: row.agent_id,
    };
    tx.emit(NewEvent::new("conversation", id, &told));
    Ok(())
}
