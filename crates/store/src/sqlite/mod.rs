//! SQLite: one file, owned by one process; many readers, one writer that commits in groups.

mod checkpoint;
mod open;
mod readers;
mod writer;

pub(crate) use open::{SqliteFile, open, pages};
pub(crate) use readers::Reader;
pub(crate) use writer::{Lease, Ticket};
