//! One transaction: owned, cheap to clone into a future, dead after its end.

use crate::dialect::{self, Backend};
use crate::errors::IntoCore;
use crate::postgres;
use crate::sqlite::{Lease, Reader};
use crate::store::Shared;
use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx::AssertSqlSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use synapscale_core::{Ctx, Error, NewEvent, Result};

/// The connection under a transaction.
pub(crate) enum Conn {
    Reader(Reader),
    Writer(Lease),
    Postgres(postgres::Lent),
}

/// A transaction of one [`Ctx`]. Clones share it; after commit or rollback every use is an error.
#[derive(Clone)]
pub struct Tx {
    ctx: Ctx,
    inner: Arc<Inner>,
}

/// Work that waits for the commit.
type AfterCommit = Box<dyn FnOnce() + Send>;

struct Inner {
    backend: Backend,
    shared: Arc<Shared>,
    conn: tokio::sync::Mutex<Option<Conn>>,
    events: Mutex<Vec<(Ctx, NewEvent)>>,
    after: Mutex<Vec<AfterCommit>>,
    wakes: Mutex<Vec<&'static str>>,
    savepoints: AtomicU32,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Only a future that was dropped half-way leaves a connection here.
        if let Some(Conn::Postgres(conn)) = self.conn.get_mut().take() {
            conn.close();
        }
    }
}

impl Tx {
    pub(crate) fn new(ctx: Ctx, backend: Backend, shared: Arc<Shared>, conn: Conn) -> Self {
        let inner = Inner {
            backend,
            shared,
            conn: tokio::sync::Mutex::new(Some(conn)),
            events: Mutex::new(Vec::new()),
            after: Mutex::new(Vec::new()),
            wakes: Mutex::new(Vec::new()),
            savepoints: AtomicU32::new(0),
        };
        Tx {
            ctx,
            inner: Arc::new(inner),
        }
    }

    /// The context that the transaction belongs to.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// Which database it is, for the few callers whose statement must differ.
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Appends an event to the log when the transaction commits; the only way to tell of a change.
    pub fn emit(&self, event: NewEvent) {
        self.inner
            .events
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .push((self.ctx.clone(), event));
    }

    /// Runs `work` once the transaction has committed, and never otherwise.
    pub fn after_commit(&self, work: impl FnOnce() + Send + 'static) {
        self.inner
            .after
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .push(Box::new(work));
    }

    /// The same transaction for another actor of the same tenant: a run's step beside its caller.
    ///
    /// # Errors
    /// For another tenant or another privilege, which the database would not follow.
    pub fn acting_as(&self, ctx: &Ctx) -> Result<Tx> {
        if ctx.tenant() != self.ctx.tenant() || ctx.privilege() != self.ctx.privilege() {
            return Err(Error::internal(
                "a transaction cannot change its tenant or its privilege",
            ));
        }
        Ok(Tx {
            ctx: ctx.clone(),
            inner: self.inner.clone(),
        })
    }

    /// The database's time: one clock for all processes on PostgreSQL, the process's own on SQLite.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>> {
        if self.inner.backend == Backend::Sqlite {
            return Ok(self.ctx.clock().now());
        }
        let statement = Statement::from_string(DbBackend::Postgres, dialect::postgres::NOW);
        let row = self.query_one_raw(statement).await.map_err(IntoCore::into_core)?;
        let row = row.ok_or_else(|| Error::internal("the database has no time"))?;
        row.try_get_by_index(0).map_err(IntoCore::into_core)
    }

    /// Wakes whoever waits on `topic` once the transaction has committed.
    pub fn wake(&self, topic: &'static str) {
        let mut wakes = self.inner.wakes.lock().unwrap_or_else(|p| p.into_inner());
        if !wakes.contains(&topic) {
            wakes.push(topic);
        }
    }

    /// The database's time in `ahead`, as a value for a statement: leases of many processes need one clock.
    pub fn time_in(&self, ahead: chrono::Duration) -> sea_orm::sea_query::SimpleExpr {
        match self.inner.backend {
            Backend::Sqlite => sea_orm::sea_query::Expr::val(self.ctx.clock().now() + ahead),
            Backend::Postgres => dialect::postgres::time_in(ahead),
        }
    }

    pub(crate) fn take_after(&self) -> Vec<AfterCommit> {
        std::mem::take(&mut *self.inner.after.lock().unwrap_or_else(|p| p.into_inner()))
    }

    pub(crate) fn take_events(&self) -> Vec<(Ctx, NewEvent)> {
        std::mem::take(&mut *self.inner.events.lock().unwrap_or_else(|p| p.into_inner()))
    }

    pub(crate) fn take_wakes(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.inner.wakes.lock().unwrap_or_else(|p| p.into_inner()))
    }

    pub(crate) async fn take_conn(&self) -> Option<Conn> {
        self.inner.conn.lock().await.take()
    }

    /// Serialises writers of `key` within the tenant until the transaction ends. SQLite has one writer anyway.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock(&self, key: &str) -> Result<()> {
        if self.inner.backend == Backend::Sqlite {
            return Ok(());
        }
        self.advisory_lock(
            dialect::postgres::ADVISORY_LOCK,
            format!("{}/{key}", self.ctx.tenant()),
        )
        .await
    }

    /// As [`Tx::lock`], but side by side with others that take it shared: it keeps away only who takes the whole lock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_shared(&self, key: &str) -> Result<()> {
        if self.inner.backend == Backend::Sqlite {
            return Ok(());
        }
        let key = format!("{}/{key}", self.ctx.tenant());
        self.advisory_lock(dialect::postgres::ADVISORY_LOCK_SHARED, key)
            .await
    }

    /// As [`Tx::lock`], over all tenants.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock_globally(&self, key: &str) -> Result<()> {
        if self.inner.backend == Backend::Sqlite {
            return Ok(());
        }
        self.advisory_lock(dialect::postgres::ADVISORY_LOCK, key.to_owned())
            .await
    }

    async fn advisory_lock(&self, lock: &'static str, key: String) -> Result<()> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, lock, [key.into()]);
        self.execute_raw(statement)
            .await
            .map(|_| ())
            .map_err(IntoCore::into_core)
    }

    /// Runs `work` so that its failure undoes only itself: statements, events and all.
    ///
    /// # Errors
    /// What `work` answers.
    pub async fn savepoint<T, F, Fut>(&self, work: F) -> Result<T>
    where
        F: FnOnce(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let name = format!("inner_{}", self.inner.savepoints.fetch_add(1, Ordering::Relaxed));
        let events = self.inner.events.lock().unwrap_or_else(|p| p.into_inner()).len();
        let after = self.inner.after.lock().unwrap_or_else(|p| p.into_inner()).len();
        self.unprepared(&format!("SAVEPOINT {name}")).await?;
        let outcome = work(self.clone()).await;
        match &outcome {
            Ok(_) => self.unprepared(&format!("RELEASE SAVEPOINT {name}")).await?,
            Err(_) => {
                let undone = async {
                    self.unprepared(&format!("ROLLBACK TO SAVEPOINT {name}")).await?;
                    self.unprepared(&format!("RELEASE SAVEPOINT {name}")).await
                };
                if let Err(error) = undone.await {
                    // SQLite undoes the whole transaction when its disk is full; what came after would stand alone,
                    // each statement for itself. Nothing more may be sent here.
                    match self.take_conn().await {
                        Some(Conn::Postgres(conn)) => conn.close(),
                        other => drop(other),
                    }
                    return Err(error.transient());
                }
                self.inner
                    .events
                    .lock()
                    .unwrap_or_else(|p| p.into_inner())
                    .truncate(events);
                self.inner
                    .after
                    .lock()
                    .unwrap_or_else(|p| p.into_inner())
                    .truncate(after);
            }
        }
        outcome
    }

    async fn unprepared(&self, sql: &str) -> Result<()> {
        self.execute_unprepared(sql)
            .await
            .map(|_| ())
            .map_err(IntoCore::into_core)
    }

    fn observe(&self, sql: &str) -> Result<(), DbErr> {
        match &self.inner.shared.observer {
            None => Ok(()),
            Some(observer) => observer.observe(&self.ctx, sql).map_err(DbErr::Custom),
        }
    }
}

/// Builds the typed query for one driver.
macro_rules! query {
    ($statement:expr) => {
        sqlx::query_with(
            AssertSqlSafe($statement.sql),
            SqlxValues($statement.values.unwrap_or(sea_orm::Values(Vec::new()))),
        )
    };
}

fn dead() -> DbErr {
    DbErr::Custom("the transaction has ended".to_owned())
}

fn exec_err(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error)))
}

fn query_err(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn internal(error: Error) -> DbErr {
    DbErr::Custom(error.to_string())
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.backend.orm()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.observe(&statement.sql)?;
        let mut conn = self.inner.conn.lock().await;
        match conn.as_mut().ok_or_else(dead)? {
            Conn::Reader(reader) => {
                let conn = reader.spend().map_err(internal)?;
                query!(statement)
                    .execute(conn)
                    .await
                    .map(Into::into)
                    .map_err(exec_err)
            }
            Conn::Writer(lease) => {
                let conn = lease.conn().map_err(internal)?;
                query!(statement)
                    .execute(conn)
                    .await
                    .map(Into::into)
                    .map_err(exec_err)
            }
            Conn::Postgres(conn) => query!(statement)
                .execute(&mut **conn)
                .await
                .map(Into::into)
                .map_err(exec_err),
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut conn = self.inner.conn.lock().await;
        let raw = sqlx::raw_sql(AssertSqlSafe(sql));
        match conn.as_mut().ok_or_else(dead)? {
            Conn::Reader(reader) => {
                let conn = reader.spend().map_err(internal)?;
                raw.execute(conn).await.map(Into::into).map_err(exec_err)
            }
            Conn::Writer(lease) => {
                let conn = lease.conn().map_err(internal)?;
                raw.execute(conn).await.map(Into::into).map_err(exec_err)
            }
            Conn::Postgres(conn) => raw.execute(&mut **conn).await.map(Into::into).map_err(exec_err),
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.observe(&statement.sql)?;
        let mut conn = self.inner.conn.lock().await;
        match conn.as_mut().ok_or_else(dead)? {
            Conn::Reader(reader) => {
                let conn = reader.spend().map_err(internal)?;
                let row = query!(statement).fetch_optional(conn).await.map_err(query_err)?;
                Ok(row.map(Into::into))
            }
            Conn::Writer(lease) => {
                let conn = lease.conn().map_err(internal)?;
                let row = query!(statement).fetch_optional(conn).await.map_err(query_err)?;
                Ok(row.map(Into::into))
            }
            Conn::Postgres(conn) => {
                let row = query!(statement)
                    .fetch_optional(&mut **conn)
                    .await
                    .map_err(query_err)?;
                Ok(row.map(Into::into))
            }
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.observe(&statement.sql)?;
        let mut conn = self.inner.conn.lock().await;
        match conn.as_mut().ok_or_else(dead)? {
            Conn::Reader(reader) => {
                let conn = reader.spend().map_err(internal)?;
                let rows = query!(statement).fetch_all(conn).await.map_err(query_err)?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
            Conn::Writer(lease) => {
                let conn = lease.conn().map_err(internal)?;
                let rows = query!(statement).fetch_all(conn).await.map_err(query_err)?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
            Conn::Postgres(conn) => {
                let rows = query!(statement)
                    .fetch_all(&mut **conn)
                    .await
                    .map_err(query_err)?;
                Ok(rows.into_iter().map(Into::into).collect())
            }
        }
    }
}
