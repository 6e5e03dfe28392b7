//! Opening the pool, making roles and schema, and finding out what became of a lost COMMIT.

use crate::config::StoreConfig;
use crate::dialect::postgres as sql;
use crate::errors::IntoCore;
use crate::turnstile::{Pass, Turnstile};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Postgres, Row};
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::time::Duration;
use synapscale_core::{Error, Result, TenantId};

/// Prepared statements kept by each connection.
const STATEMENTS: usize = 512;
/// After this time without a statement a transaction is ended by the server; longer than any of ours waits in between.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(120);
/// How often and how long to ask for the fate of a commit whose answer was lost.
const FATE_TRIES: u32 = 50;
const FATE_PAUSE: Duration = Duration::from_millis(200);

/// Opens the pool.
///
/// # Errors
/// `database_url` for a string that is none, `postgres_version` below 15, `database_unavailable` otherwise.
pub(crate) async fn open(url: &str, config: &StoreConfig) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        // The parser's words may quote the password.
        .map_err(|_| Error::invalid("/database_url", "database_url", "This is no PostgreSQL connection string."))?
        .application_name("synapscale")
        .options([
            ("search_path", sql::SCHEMA.to_owned()),
            ("statement_timeout", config.statement_timeout.as_millis().to_string()),
            // A process that hangs in the middle of a transaction would hold the log's readers and the cleaners back.
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.as_millis().to_string()),
        ])
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(config.connections.max(2))
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .map_err(IntoCore::into_core)?;
    let row = sqlx::query(sql::VERSION)
        .fetch_one(&pool)
        .await
        .map_err(IntoCore::into_core)?;
    let version: i32 = row.try_get(0).map_err(IntoCore::into_core)?;
    if version < sql::MIN_VERSION {
        return Err(Error::unavailable(
            "postgres_version",
            format!(
                "PostgreSQL 15 or newer is needed; this server says {}.",
                version / 10_000
            ),
        ));
    }
    Ok(pool)
}

/// A connection that died or was left inside of a transaction: it is closed, never handed on.
pub(crate) fn close_lost(mut conn: PoolConnection<Postgres>) {
    conn.close_on_drop();
}

/// A connection and the pass that it was lent on.
pub(crate) struct Lent {
    conn: PoolConnection<Postgres>,
    _pass: Option<Pass>,
}

impl Lent {
    /// Waits for a turn, if there is a turnstile, and for a connection.
    ///
    /// # Errors
    /// `database_busy`, or when the database cannot be reached.
    pub async fn new(pool: &PgPool, turnstile: Option<&Turnstile>, tenant: TenantId) -> Result<Self> {
        let pass = match turnstile {
            Some(turnstile) => Some(turnstile.pass(tenant).await?),
            None => None,
        };
        let conn = pool.acquire().await.map_err(IntoCore::into_core)?;
        Ok(Lent { conn, _pass: pass })
    }

    /// Closes it: it died, or was left inside of a transaction.
    pub fn close(self) {
        close_lost(self.conn);
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

/// A connection on which BEGIN is under way. Dropped before [`Opening::opened`], it is closed: the pool would hand on a
/// transaction that it knows nothing of.
pub(crate) struct Opening(Option<Lent>);

impl Opening {
    pub fn new(conn: Lent) -> Self {
        Opening(Some(conn))
    }

    /// The connection, to send BEGIN on.
    pub fn conn(&mut self) -> Result<&mut PgConnection> {
        self.0
            .as_deref_mut()
            .ok_or_else(|| Error::internal("the connection was handed on"))
    }

    /// BEGIN came back.
    pub fn opened(mut self) -> Result<Lent> {
        self.0
            .take()
            .ok_or_else(|| Error::internal("the connection was handed on"))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            conn.close();
        }
    }
}

/// Whether transaction `xid`, whose COMMIT was sent and not answered, took place. It is never simply done again.
///
/// # Errors
/// `commit_unknown` when the database does not come back in time or no longer knows.
pub(crate) async fn was_committed(pool: &PgPool, xid: &str) -> Result<bool> {
    let unknown = || {
        Error::unavailable(
            "commit_unknown",
            "The database went away during the commit; whether it took place is not known.",
        )
    };
    for _ in 0..FATE_TRIES {
        let asked = sqlx::query(sql::XACT_STATUS).bind(xid).fetch_one(pool).await;
        if let Ok(row) = asked {
            let status: Option<String> = row.try_get(0).map_err(IntoCore::into_core)?;
            match status.as_deref() {
                Some("committed") => return Ok(true),
                Some("aborted") => return Ok(false),
                Some(_) => {}
                None => return Err(unknown()),
            }
        }
        tokio::time::sleep(FATE_PAUSE).await;
    }
    Err(unknown())
}
