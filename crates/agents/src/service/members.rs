//! Who is in a conversation. Only they see it; to everybody else it is not there.

use super::{conversations, person};
use crate::entity::{conversation, member};
use crate::view::MemberRole;
use synapscale_core::{Error, ErrorKind, Result};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most people in a conversation.
const MOST: usize = 100;
/// Longest name that is kept, in characters.
const MAX_NAME: usize = 200;

/// A conversation that the caller takes part in.
pub struct Seat {
    /// The conversation.
    pub conversation: conversation::Model,
    /// The caller in it.
    pub me: member::Model,
}

fn not_there() -> Error {
    Error::not_found("conversation")
}

/// The conversation, if the caller takes part in it.
///
/// # Errors
/// `not_found` for strangers as for what is not there; `person_required`.
pub async fn seat(tx: &Tx, conversation_id: Uuid) -> Result<Seat> {
    let user_id = person(tx.ctx())?;
    let me = find(tx, conversation_id, user_id).await?.ok_or_else(not_there)?;
    let conversation = conversations::find(tx, conversation_id)
        .await?
        .ok_or_else(not_there)?;
    Ok(Seat { conversation, me })
}

/// As [`seat`], and until the transaction ends nobody else changes the conversation; only a reply may end.
///
/// # Errors
/// As [`seat`].
pub async fn locked_seat(tx: &Tx, conversation_id: Uuid) -> Result<Seat> {
    tx.lock(&format!("conversation/{conversation_id}")).await?;
    seat(tx, conversation_id).await
}

impl Seat {
    /// Refuses who is not the owner.
    ///
    /// # Errors
    /// `owner_only` (403).
    pub fn require_owner(&self) -> Result<()> {
        match self.is_owner() {
            true => Ok(()),
            false => Err(owner_only()),
        }
    }

    fn is_owner(&self) -> bool {
        MemberRole::parse(&self.me.role) == MemberRole::Owner
    }
}

fn owner_only() -> Error {
    let message = "Only the conversation's owner may do this.";
    Error::new(ErrorKind::Forbidden, "owner_only", message)
}

async fn find(tx: &Tx, conversation_id: Uuid, user_id: Uuid) -> Result<Option<member::Model>> {
    let query = tx
        .find::<member::Entity>()
        .filter(member::Column::ConversationId.eq(conversation_id))
        .filter(member::Column::UserId.eq(user_id));
    query.row(tx).await
}

/// The members of these conversations, the longest there first.
///
/// # Errors
/// When the database fails.
pub async fn of(tx: &Tx, conversations: impl IntoIterator<Item = Uuid>) -> Result<Vec<member::Model>> {
    let query = tx
        .find::<member::Entity>()
        .filter(member::Column::ConversationId.is_in(conversations))
        .order_by_asc(member::Column::CreatedAt)
        .order_by_asc(member::Column::UserId);
    query.rows(tx).await
}

/// A name as it is kept: one line, not too long.
fn tidy(name: &str) -> String {
    let line: String = name
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    line.trim().chars().take(MAX_NAME).collect()
}

/// Lets somebody in.
///
/// # Errors
/// `already_exists` for somebody who is in.
pub async fn add(tx: &Tx, conversation_id: Uuid, user_id: Uuid, name: &str, role: MemberRole) -> Result<()> {
    tx.insert::<member::Entity>(member::Model {
        tenant_id: tx.ctx().tenant().0,
        conversation_id,
        user_id,
        role: role.as_str().to_owned(),
        name: tidy(name),
        created_at: tx.ctx().clock().now(),
    })
    .await
}

/// The owner lets a member of the workspace in. Somebody who is in already is no fault.
///
/// # Errors
/// `not_found`, `owner_only`, `too_many_participants`.
pub async fn invite(
    tx: &Tx,
    conversation_id: Uuid,
    user_id: Uuid,
    name: Option<&str>,
) -> Result<conversation::Model> {
    let seat = locked_seat(tx, conversation_id).await?;
    seat.require_owner()?;
    // Only now: whoever may not see the conversation is told nothing but that.
    let no_member = || Error::invalid("/user_id", "not_found", "This is no member of the workspace.");
    let name = name.ok_or_else(no_member)?;
    let present = of(tx, [conversation_id]).await?;
    if present.iter().any(|member| member.user_id == user_id) {
        return Ok(seat.conversation);
    }
    if present.len() >= MOST {
        let message = format!("A conversation has at most {MOST} participants.");
        return Err(Error::conflict("too_many_participants", message));
    }
    add(tx, conversation_id, user_id, name, MemberRole::Member).await?;
    conversations::changed(tx, seat.conversation).await
}

/// Takes somebody out: oneself, or anybody if the owner asks. When the owner leaves, the conversation passes to whoever has
/// been in it the longest.
///
/// # Errors
/// `not_found`, `owner_only`; `last_participant`, since nobody could ever open it again.
pub async fn leave(tx: &Tx, conversation_id: Uuid, user_id: Uuid) -> Result<()> {
    let seat = locked_seat(tx, conversation_id).await?;
    if user_id != seat.me.user_id {
        seat.require_owner()?;
    }
    let present = of(tx, [conversation_id]).await?;
    let leaver = present.iter().find(|member| member.user_id == user_id);
    let leaver = leaver.ok_or_else(|| Error::not_found("participant"))?;
    let Some(heir) = present.iter().find(|member| member.user_id != user_id) else {
        let message = "You are the last one here. Delete the conversation instead.";
        return Err(Error::conflict("last_participant", message));
    };
    let mine = |user_id: Uuid| {
        synapscale_store::orm::Condition::all()
            .add(member::Column::ConversationId.eq(conversation_id))
            .add(member::Column::UserId.eq(user_id))
    };
    tx.run_delete(tx.delete::<member::Entity>().filter(mine(user_id)))
        .await?;
    if MemberRole::parse(&leaver.role) == MemberRole::Owner {
        let owner = synapscale_store::orm::sea_query::Expr::val(MemberRole::Owner.as_str());
        let update = tx
            .update::<member::Entity>()
            .col_expr(member::Column::Role, owner)
            .filter(mine(heir.user_id));
        tx.run_update(update).await?;
    }
    conversations::changed(tx, seat.conversation).await?;
    Ok(())
}
