//! Who calls, as a member: the rules on who may touch whom ask for roles, which permissions do not tell apart.

use crate::entity::membership;
use crate::roles::Role;
use sea_orm::{ColumnTrait, QueryFilter};
use synapscale_core::{Actor, ActorKind, Ctx, Error, ErrorKind, Result};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// The user for whom a call is made: the one acted for, such as a key's user, else the actor.
///
/// # Errors
/// `not_found` when there is no person behind the call.
pub fn user_of(ctx: &Ctx) -> Result<Uuid> {
    let persons = [ctx.principal(), Some(ctx.actor())];
    persons
        .into_iter()
        .flatten()
        .find(|actor| actor.kind == ActorKind::User)
        .map(|actor| actor.id)
        .ok_or_else(|| Error::not_found("user behind this call"))
}

/// The role of the caller; the lesser one when one person acts for another. The product itself counts as an owner.
///
/// # Errors
/// `not_a_member` for a caller who is no member.
pub async fn role(tx: &Tx) -> Result<Role> {
    let ctx = tx.ctx();
    let mut least = (ctx.actor() == Actor::SYSTEM).then_some(Role::Owner);
    for actor in [Some(ctx.actor()), ctx.principal()].into_iter().flatten() {
        if actor.kind == ActorKind::User {
            let role = role_here(tx, actor.id).await?.ok_or_else(stranger)?;
            least = Some(least.map_or(role, |known| known.min(role)));
        }
    }
    least.ok_or_else(stranger)
}

fn stranger() -> Error {
    Error::new(
        ErrorKind::Forbidden,
        "not_a_member",
        "You are not a member of this workspace.",
    )
}

/// The role of a user in this workspace.
///
/// # Errors
/// When the database fails.
pub async fn role_here(tx: &Tx, user_id: Uuid) -> Result<Option<Role>> {
    let found = find(tx, user_id).await?;
    found.map(|row| Role::parse(&row.role)).transpose()
}

/// The membership of a user in this workspace.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &Tx, user_id: Uuid) -> Result<Option<membership::Model>> {
    tx.find::<membership::Entity>()
        .filter(membership::Column::UserId.eq(user_id))
        .row(tx)
        .await
}
