//! Opening the file: the lock that makes one process its owner, the pragmas, and reading them back.

use super::checkpoint::{self, Commits};
use super::readers::Readers;
use super::writer::Writer;
use crate::config::StoreConfig;
use crate::dialect::sqlite as sql;
use crate::errors::IntoCore;
use crate::turnstile::Turnstile;
use rustix::fs::{FlockOperation, flock};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Error, Result};

/// The oldest SQLite without the WAL-reset corruption.
const MIN_VERSION: (u32, u32, u32) = (3, 51, 3);
/// How long a connection waits for another process's lock, such as a backup's.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 512;

/// Pages in the WAL from which on the writer itself checkpoints after a commit: it finds most of them done.
const AUTO_CHECKPOINT: &str = "4000";
/// How long a checkpoint waits for the writer.
const CHECKPOINT_BUSY: Duration = Duration::from_millis(500);

/// Page cache of the connection that writes and of each that reads, in KiB.
const WRITER_CACHE: &str = "-8192";
const READER_CACHE: &str = "-4096";

/// Rows on their way from a connection's thread: with few, the two threads wait for one another at every step.
const ROWS: usize = 2048;

/// The open database file.
pub(crate) struct SqliteFile {
    pub readers: Readers,
    pub writer: Writer,
    /// Held for as long as the file is open; the lock goes with it.
    _lock: File,
}

/// Opens (and creates) the file at `path`.
///
/// # Errors
/// `database_in_use` when another process owns the file; `sqlite_version` for a SQLite that is too old.
pub(crate) async fn open(path: &Path, config: &StoreConfig) -> Result<SqliteFile> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| Error::unavailable("data_directory", format!("{}: {e}", folder.display())))?;
    }
    let lock = take_lock(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS)
        .pragma("temp_store", "memory")
        .pragma("trusted_schema", "off")
        .disable_statement_logging();
    let writing = options
        .clone()
        .pragma("cache_size", WRITER_CACHE)
        .pragma("wal_autocheckpoint", AUTO_CHECKPOINT)
        // Heeded by a new file only: its pages can be given back bit by bit.
        .auto_vacuum(SqliteAutoVacuum::Incremental);
    let mut conn = writing.connect().await.map_err(IntoCore::into_core)?;
    check_version(&mut conn).await?;
    check_durability(&mut conn).await?;
    let commits = Arc::new(Commits::default());
    let checkpoints = options
        .clone()
        .busy_timeout(CHECKPOINT_BUSY)
        .connect()
        .await
        .map_err(IntoCore::into_core)?;
    let writer = Writer::start(conn, config.write_queue, config.acquire_timeout, commits.clone());
    let readers = Readers::new(
        options
            .pragma("query_only", "on")
            .pragma("cache_size", READER_CACHE),
        Turnstile::new(config.connections, config.acquire_timeout),
    );
    serve_checkpoints(checkpoints, commits, readers.clone());
    Ok(SqliteFile {
        readers,
        writer,
        _lock: lock,
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "the task ends with the writer, which ends with the store"
)]
fn serve_checkpoints(conn: SqliteConnection, commits: Arc<Commits>, readers: Readers) {
    tokio::spawn(checkpoint::serve(conn, commits, readers));
}

fn take_lock(path: &Path) -> Result<File> {
    let lock_path = path.with_extension("lock");
    let refuse =
        |e: std::io::Error| Error::unavailable("data_directory", format!("{}: {e}", lock_path.display()));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(refuse)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::unavailable(
            "database_in_use",
            format!(
                "Another process has {} open. One process owns a SQLite file; commands beside a running server go \
                 through its local socket.",
                path.display()
            ),
        )
    })?;
    Ok(file)
}

/// Pages of the file, and those of them that hold nothing.
pub(crate) async fn pages(conn: &mut SqliteConnection) -> Result<(u64, u64)> {
    let row = sqlx::query(sql::PAGES)
        .fetch_one(conn)
        .await
        .map_err(IntoCore::into_core)?;
    let number = |at: usize| row.try_get::<i64, _>(at).map_err(IntoCore::into_core);
    Ok((number(0)?.unsigned_abs(), number(1)?.unsigned_abs()))
}

async fn check_version(conn: &mut SqliteConnection) -> Result<()> {
    let row = sqlx::query(sql::VERSION)
        .fetch_one(conn)
        .await
        .map_err(IntoCore::into_core)?;
    let text: String = row.try_get(0).map_err(IntoCore::into_core)?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    let found = (next(), next(), next());
    if found < MIN_VERSION {
        return Err(Error::unavailable(
            "sqlite_version",
            format!("SQLite {text} can corrupt a WAL on reset; 3.51.3 or newer is needed."),
        ));
    }
    Ok(())
}

/// `kill -9` spares the page cache, so tests cannot tell FULL from OFF: the setting is read back instead.
async fn check_durability(conn: &mut SqliteConnection) -> Result<()> {
    let row = sqlx::query(sql::SYNCHRONOUS)
        .fetch_one(conn)
        .await
        .map_err(IntoCore::into_core)?;
    let level: i64 = row.try_get(0).map_err(IntoCore::into_core)?;
    if level < sql::SYNCHRONOUS_FULL {
        return Err(Error::unavailable(
            "sqlite_synchronous",
            format!("SQLite reports synchronous={level}; commits would not be durable."),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sqlite_is_built_as_config_toml_says() {
        let mut conn = SqliteConnectOptions::new().connect().await.expect("in memory");
        let rows = sqlx::query(sql::COMPILE_OPTIONS).fetch_all(&mut conn).await;
        let options: Vec<String> = rows.expect("options").iter().map(|row| row.get(0)).collect();
        let has = |option: &str| options.iter().any(|own| own == option);
        assert!(
            has("ENABLE_QPSG") && has("ENABLE_FTS5") && has("DQS=0"),
            "{options:?}"
        );
        assert!(
            !has("ENABLE_STAT4") && !has("ENABLE_MEMORY_MANAGEMENT"),
            "{options:?}"
        );
    }
}
