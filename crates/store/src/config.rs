//! Where the database is and how large its pools and queues are.

use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::{Error, Result};

/// Where the rows live.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL connection string; may hold a password, so it is never printed.
    Postgres(String),
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite {}", path.display()),
            DatabaseUrl::Postgres(_) => f.write_str("postgres (connection string not shown)"),
        }
    }
}

impl DatabaseUrl {
    /// Reads `postgres://…`, `postgresql://…`, `sqlite:PATH` or nothing (a file in the data directory).
    ///
    /// # Errors
    /// `database_url` for any other scheme.
    pub fn parse(url: Option<&str>, data: &Path) -> Result<Self> {
        match url {
            None | Some("") => Ok(DatabaseUrl::Sqlite(data.join("synapscale.db"))),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(DatabaseUrl::Postgres(url.to_owned()))
            }
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => Ok(DatabaseUrl::Sqlite(PathBuf::from(
                    path.strip_prefix("//").unwrap_or(path),
                ))),
                None => Err(Error::invalid(
                    "/database_url",
                    "database_url",
                    "A database URL begins with postgres:// or sqlite:.",
                )),
            },
        }
    }
}

/// Sizes and limits of the store. The defaults suit one server of 2 to 8 cores.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where the rows live.
    pub url: DatabaseUrl,
    /// Connections that read (SQLite) or do everything (PostgreSQL).
    pub connections: u32,
    /// Writes that may wait for SQLite's writer before callers are told to come back.
    pub write_queue: usize,
    /// Longest wait for a connection or a place in the queue.
    pub acquire_timeout: Duration,
    /// Longest time that one write transaction may hold SQLite's writer.
    pub write_hold: Duration,
    /// Longest time of one statement on PostgreSQL; migrations take the time they take.
    pub statement_timeout: Duration,
    /// How long events stay in the log before they are archived; for ever if none.
    pub keep_events: Option<Duration>,
}

impl StoreConfig {
    /// The defaults for `url`.
    pub fn new(url: DatabaseUrl) -> Self {
        StoreConfig {
            connections: match url {
                DatabaseUrl::Sqlite(_) => 4,
                DatabaseUrl::Postgres(_) => 16,
            },
            url,
            write_queue: 1024,
            acquire_timeout: Duration::from_secs(10),
            write_hold: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            keep_events: None,
        }
    }
}
