//! What happens to agents, conversations and messages. The tool loop calls [`agents::resolve`], [`agents::count`],
//! [`messages::history`] and [`messages::finish`]; the rest is called by the operations.

pub mod agents;
pub(crate) mod conversations;
pub mod figures;
pub(crate) mod members;
pub mod messages;
pub(crate) mod replies;
mod tree;

use synapscale_core::{Actor, ActorKind, Ctx, Error, ErrorKind, Result};
use uuid::Uuid;

/// The person for whom a call is made: the one acted for, such as a key's user or the person behind an agent, else the actor.
///
/// # Errors
/// `person_required` (403) when nobody stands behind the call: conversations are people's.
pub(crate) fn person(ctx: &Ctx) -> Result<Uuid> {
    [ctx.principal(), Some(ctx.actor())]
        .into_iter()
        .flatten()
        .find(|actor| actor.kind == ActorKind::User)
        .map(|actor| actor.id)
        .ok_or_else(|| {
            let message = "Conversations are people's, and no person stands behind this call.";
            Error::new(ErrorKind::Forbidden, "person_required", message)
        })
}

/// Who makes things, for their rows: the one acted for, else the actor.
fn maker(ctx: &Ctx) -> Actor {
    ctx.principal().unwrap_or(ctx.actor())
}

/// Refuses a change that was meant for another revision.
///
/// # Errors
/// `stale_revision`.
fn check_revision(what: &str, expected: Option<i64>, found: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != found => Err(Error::stale(what, expected, found)),
        _ => Ok(()),
    }
}
