//! The schema owner's door: migrations and the catalogue check. No tenant, no role; nothing else goes through it.

use crate::config::DatabaseUrl;
use crate::dialect::{self, Backend};
use crate::errors::IntoCore;
use crate::store::Store;
use sea_orm::QueryResult;
use sqlx::AssertSqlSafe;
use std::time::Duration;
use synapscale_core::{Error, Result};

/// How often a change of the schema is tried that somebody's lock is in the way of, and the pause before each further try:
/// long enough for those who waited behind it.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_secs(2);

impl Store {
    /// Runs `statements` in one transaction.
    pub(crate) async fn owner_run(&self, statements: &[String]) -> Result<()> {
        match self.pool() {
            Some(pool) => {
                let begin = dialect::postgres::BEGIN_OWNER;
                let batch = format!("{begin}; {}; COMMIT", statements.join("; "));
                for attempt in 1.. {
                    let mut conn = pool.acquire().await.map_err(IntoCore::into_core)?;
                    let done = dialect::postgres::run(&mut conn, &batch).await;
                    let Err(error) = done else { break };
                    crate::postgres::close_lost(conn);
                    let error = error.into_core();
                    if error.code() != "locked" || attempt == LOCK_TRIES {
                        return Err(error);
                    }
                    tracing::warn!(
                        attempt,
                        "somebody holds a table that the schema's change needs; it is tried again"
                    );
                    tokio::time::sleep(LOCK_PAUSE).await;
                }
                Ok(())
            }
            None => {
                let (mut lease, ticket) = self.lend_writer().await?;
                for statement in statements {
                    dialect::sqlite::run(lease.conn()?, statement)
                        .await
                        .map_err(|e| Error::internal(format!("{e} in {statement}")))?;
                }
                lease.release();
                ticket.committed().await
            }
        }
    }

    /// Rows of a catalogue query with at most one text value bound.
    pub(crate) async fn owner_rows(&self, sql: &str, value: Option<&str>) -> Result<Vec<QueryResult>> {
        match self.pool() {
            Some(pool) => {
                let mut query = sqlx::query(AssertSqlSafe(sql));
                if let Some(value) = value {
                    query = query.bind(value.to_owned());
                }
                let rows = query.fetch_all(pool).await.map_err(IntoCore::into_core)?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
            None => {
                let (mut lease, ticket) = self.lend_writer().await?;
                let mut query = sqlx::query(AssertSqlSafe(sql));
                if let Some(value) = value {
                    query = query.bind(value.to_owned());
                }
                let rows = query
                    .fetch_all(lease.conn()?)
                    .await
                    .map_err(IntoCore::into_core)?;
                lease.release();
                ticket.committed().await?;
                Ok(rows.into_iter().map(QueryResult::from).collect())
            }
        }
    }

    /// Refuses a schema whose row security has a hole. Nothing to do on SQLite.
    ///
    /// # Errors
    /// `row_security` naming the tables or roles.
    pub async fn check_row_security(&self) -> Result<()> {
        if self.backend() == Backend::Sqlite {
            return Ok(());
        }
        for (sql, what) in [
            (
                dialect::postgres::UNPROTECTED,
                "tables without forced row security and its policies",
            ),
            (
                dialect::postgres::UNSAFE_ROLES,
                "roles that may pass over row security",
            ),
        ] {
            let rows = self.owner_rows(sql, None).await?;
            let names: Vec<String> = rows
                .iter()
                .map(|row| row.try_get_by_index(0).map_err(IntoCore::into_core))
                .collect::<Result<_>>()?;
            if !names.is_empty() {
                return Err(Error::unavailable(
                    "row_security",
                    format!("Refusing to run: {what}: {}.", names.join(", ")),
                ));
            }
        }
        Ok(())
    }

    /// Where the database is, in words without credentials.
    pub fn describe(&self) -> String {
        match &self.config().url {
            DatabaseUrl::Sqlite(path) => format!("SQLite at {}", path.display()),
            DatabaseUrl::Postgres(_) => "PostgreSQL".to_owned(),
        }
    }
}
