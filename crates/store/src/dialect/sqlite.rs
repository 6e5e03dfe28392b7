//! SQLite's own statements.

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

pub(crate) const VERSION: &str = "SELECT sqlite_version()";
#[cfg(test)]
pub(crate) const COMPILE_OPTIONS: &str = "PRAGMA compile_options";
pub(crate) const SYNCHRONOUS: &str = "PRAGMA synchronous";
/// What `PRAGMA synchronous` reads when each commit is flushed.
pub(crate) const SYNCHRONOUS_FULL: i64 = 2;

pub(crate) const BEGIN_GROUP: &str = "BEGIN IMMEDIATE; SAVEPOINT member";
/// Ends a member's work, kept or undone, and either commits the group or opens the next member, in one round trip.
pub(crate) fn end_member(keep: bool, last: bool) -> &'static str {
    match (keep, last) {
        (true, true) => "RELEASE member; COMMIT",
        (true, false) => "RELEASE member; SAVEPOINT member",
        (false, true) => "ROLLBACK TO member; RELEASE member; COMMIT",
        (false, false) => "ROLLBACK TO member",
    }
}
/// Brings pages from the WAL to the database as far as nobody is in the way; answers busy, pages of the WAL, pages done.
pub(crate) const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// The same for all pages, waiting for the writer and for readers, and empties the WAL.
pub(crate) const CHECKPOINT_AND_EMPTY: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
/// Pages of the file, and those of them that hold nothing.
pub(crate) const PAGES: &str =
    "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count";
/// Gives a few empty pages at the file's end back. Does nothing in a file that was made without `auto_vacuum`.
pub(crate) const VACUUM_SLICE: &str = "PRAGMA incremental_vacuum(128)";
pub(crate) const ROLLBACK: &str = "ROLLBACK";

pub(crate) const BEGIN_READ: &str = "BEGIN DEFERRED";
pub(crate) const END_READ: &str = "COMMIT";

/// Tables that are the product's, with the SQL that made them.
pub(crate) const TABLES: &str =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";

/// Columns of one table: name, declared type, not-null flag, place in the primary key.
pub(crate) const COLUMNS: &str = "SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo(?)";

/// Runs one or more statements that take no values.
pub(crate) async fn run(conn: &mut SqliteConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(|_| ())
}
