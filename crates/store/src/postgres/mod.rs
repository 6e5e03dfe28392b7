//! PostgreSQL: a pool whose transactions enter a role without ownership and name their tenant first.

mod figures;
mod open;
mod wake;

pub(crate) use figures::figures;
pub(crate) use open::{Lent, Opening, close_lost, open, was_committed};
pub(crate) use wake::{listen, notify_loop};
