//! The readers: a fixed number of read-only connections, opened when first needed, lent one at a time.

use crate::errors::IntoCore;
use crate::turnstile::{Pass, Turnstile};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use synapscale_core::{Error, Result, SYSTEM_TENANT, TenantId};

/// Pause before a pass is asked for again.
const PAUSE: Duration = Duration::from_millis(50);

/// The lender.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Inner>);

struct Inner {
    options: SqliteConnectOptions,
    turnstile: Turnstile,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A lent connection; it goes back when dropped.
pub(crate) struct Reader {
    conn: Option<SqliteConnection>,
    /// A transaction or a statement may be open: the connection is closed, not reused, if it comes back like that.
    pub in_use: bool,
    /// How many statements may still be sent; any number unless set.
    left: Option<u32>,
    home: Arc<Inner>,
    _pass: Pass,
}

impl Readers {
    pub fn new(options: SqliteConnectOptions, turnstile: Turnstile) -> Self {
        Readers(Arc::new(Inner {
            options,
            turnstile,
            idle: Mutex::new(Vec::new()),
        }))
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// `database_busy` when none comes free in time.
    pub async fn lend(&self, tenant: TenantId) -> Result<Reader> {
        let pass = self.0.turnstile.pass(tenant).await?;
        let idle = self.0.idle.lock().unwrap_or_else(|p| p.into_inner()).pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.0.options.connect().await.map_err(IntoCore::into_core)?,
        };
        Ok(Reader {
            conn: Some(conn),
            in_use: false,
            left: None,
            home: self.0.clone(),
            _pass: pass,
        })
    }

    /// Waits until nobody reads; until what this answers is dropped, whoever wants to waits.
    pub async fn hold_all(&self) -> Vec<Pass> {
        let mut held = Vec::new();
        while held.len() < self.0.turnstile.passes() {
            match self.0.turnstile.pass(SYSTEM_TENANT).await {
                Ok(pass) => held.push(pass),
                // Many wait, or the end is near.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        held
    }

    /// Refuses further lending and waits for the lent ones.
    pub async fn close(&self) {
        self.0.turnstile.close().await;
        self.0.idle.lock().unwrap_or_else(|p| p.into_inner()).clear();
    }
}

impl Reader {
    /// Notes what it is lent for: a transaction, or a single statement without one.
    pub fn lent_for(&mut self, single: bool) {
        self.in_use = true;
        self.left = single.then_some(1);
    }

    /// Whether it is lent for a single statement.
    pub fn is_single(&self) -> bool {
        self.left.is_some()
    }

    /// The connection for one more statement.
    ///
    /// # Errors
    /// When a single one was declared and has been sent.
    pub fn spend(&mut self) -> Result<&mut SqliteConnection> {
        match &mut self.left {
            Some(0) => return Err(Error::internal("a read of one statement sent a second")),
            Some(left) => *left -= 1,
            None => {}
        }
        self.conn()
    }

    /// The connection.
    ///
    /// # Errors
    /// Never while lent; typed so that no caller can panic.
    pub fn conn(&mut self) -> Result<&mut SqliteConnection> {
        self.conn
            .as_mut()
            .ok_or_else(|| Error::internal("a reader was used after its return"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take()
            && !self.in_use
        {
            self.home
                .idle
                .lock()
                .unwrap_or_else(|p| p.into_inner())
                .push(conn);
        }
    }
}
