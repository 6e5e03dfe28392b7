//! SQLite: one file, owned by one process; many readers, one writer that commits in groups.

mod open;
mod readers;
mod writer;

pub(crate) use open::{SqliteFile, open};
pub(crate) use readers::Reader;
pub(crate) use writer::{Lease, Ticket};
