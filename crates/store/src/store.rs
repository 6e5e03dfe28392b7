//! The store: two doors, group commit and the fate of a lost COMMIT behind them, and the wake-ups after them.

use crate::blobs;
use crate::config::{DatabaseUrl, StoreConfig};
use crate::dialect::{self, Backend};
use crate::errors::IntoCore;
use crate::events;
use crate::postgres;
use crate::redis::Redis;
use crate::secrets::SecretBox;
use crate::sqlite::{self, SqliteFile};
use crate::statement::StatementObserver;
use crate::turnstile::Turnstile;
use crate::tx::{Conn, Tx};
use metrics::{counter, gauge, histogram};
use sqlx::Row;
use sqlx::postgres::PgPool;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use synapscale_core::{Clock, Ctx, Error, Privilege, Result, SYSTEM_TENANT};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

/// Most tries of one write before a transient fault becomes the caller's.
const WRITE_TRIES: u32 = 4;
/// Pause before the second try; doubles.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Empty pages that stay in SQLite's file for what comes next: so many, or one in so many.
const SPARE_PAGES: u64 = 1024;
const SPARE_SHARE: u64 = 20;

/// The database, opened. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    engine: Engine,
    shared: Arc<Shared>,
    config: StoreConfig,
    redis: std::sync::OnceLock<Redis>,
    tail: events::Tail,
    tasks: TaskTracker,
}

enum Engine {
    Sqlite(SqliteFile),
    Postgres {
        pool: PgPool,
        /// For the system's own reads. A write that holds one of `pool` may need one, such as for its publisher's
        /// permissions; with a single pool, enough writers at once would wait for one another for ever.
        control: PgPool,
        /// Before `pool`.
        turnstile: Turnstile,
    },
}

/// Connections for the system's own reads on PostgreSQL.
const CONTROL_CONNECTIONS: u32 = 4;

/// What every transaction needs from its store.
pub(crate) struct Shared {
    pub secrets: SecretBox,
    pub observer: Option<Arc<dyn StatementObserver>>,
    pub wakes: Wakes,
    /// Names the log in cursors, so that a cursor of another database is refused. Set once at start.
    pub log: std::sync::OnceLock<events::LogIdentity>,
    pub clock: Clock,
}

/// Wake-ups by topic. Hints only: whoever waits also polls.
#[derive(Clone, Default)]
pub(crate) struct Wakes {
    topics: Arc<Mutex<HashMap<&'static str, watch::Sender<u64>>>>,
    dirty: Arc<Notify>,
}

impl Wakes {
    fn topic(&self, name: &'static str) -> watch::Receiver<u64> {
        let mut topics = self.topics.lock().unwrap_or_else(|p| p.into_inner());
        topics
            .entry(name)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    fn wake(&self, names: &[&'static str]) {
        let topics = self.topics.lock().unwrap_or_else(|p| p.into_inner());
        for topic in names.iter().filter_map(|name| topics.get(name)) {
            topic.send_modify(|count| *count = count.wrapping_add(1));
        }
        if !names.is_empty() {
            self.dirty.notify_one();
        }
    }

    /// Another process committed something.
    pub fn wake_local(&self) {
        let topics = self.topics.lock().unwrap_or_else(|p| p.into_inner());
        for topic in topics.values() {
            topic.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// How the database does.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Health {
    /// Which database.
    pub backend: Backend,
    /// Time of one small read, in milliseconds.
    pub latency_ms: f64,
}

impl Store {
    /// Opens the database. Tables may not exist yet: see [`crate::Migrations`].
    ///
    /// # Errors
    /// When it cannot be opened, is too old, or is another process's.
    pub async fn open(
        config: StoreConfig,
        secrets: SecretBox,
        clock: Clock,
        observer: Option<Arc<dyn StatementObserver>>,
    ) -> Result<Self> {
        let engine = match &config.url {
            DatabaseUrl::Sqlite(path) => Engine::Sqlite(sqlite::open(path, &config).await?),
            DatabaseUrl::Postgres(url) => {
                let few = StoreConfig {
                    connections: CONTROL_CONNECTIONS,
                    ..config.clone()
                };
                Engine::Postgres {
                    pool: postgres::open(url, &config).await?,
                    control: postgres::open(url, &few).await?,
                    turnstile: Turnstile::new(config.connections.max(2), config.acquire_timeout),
                }
            }
        };
        let shared = Arc::new(Shared {
            secrets,
            observer,
            wakes: Wakes::default(),
            log: std::sync::OnceLock::new(),
            clock,
        });
        let tasks = TaskTracker::new();
        if let Engine::Postgres { control: pool, .. } = &engine {
            tasks.spawn(postgres::notify_loop(pool.clone(), shared.wakes.dirty.clone()));
            tasks.spawn(postgres::listen(pool.clone(), shared.wakes.clone()));
        }
        if let Engine::Postgres {
            pool,
            control,
            turnstile,
        } = &engine
        {
            tasks.spawn(postgres::figures(
                pool.clone(),
                control.clone(),
                turnstile.clone(),
            ));
        }
        Ok(Store(Arc::new(Inner {
            engine,
            shared,
            config,
            redis: std::sync::OnceLock::new(),
            tail: events::Tail::default(),
            tasks,
        })))
    }

    /// Which database it is.
    pub fn backend(&self) -> Backend {
        match self.0.engine {
            Engine::Sqlite(_) => Backend::Sqlite,
            Engine::Postgres { .. } => Backend::Postgres,
        }
    }

    /// Lets Redis carry events and share cached values; the first one stays.
    pub fn attach_redis(&self, redis: Redis) {
        // A second one in the same process would be a mistake of the composition, and the first one works.
        let _ = self.0.redis.set(redis);
    }

    /// The Redis server, if there is one.
    pub fn redis(&self) -> Option<&Redis> {
        self.0.redis.get()
    }

    pub(crate) fn tail(&self) -> &events::Tail {
        &self.0.tail
    }

    /// Work that outlives its caller by a moment, such as telling Redis of a change.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(work);
    }

    /// The secret box.
    pub fn secrets(&self) -> &SecretBox {
        &self.0.shared.secrets
    }

    /// The clock that everything above the store reads too.
    pub fn clock(&self) -> &Clock {
        &self.0.shared.clock
    }

    /// Changes whenever a commit woke `topic`.
    pub fn watch(&self, topic: &'static str) -> watch::Receiver<u64> {
        self.0.shared.wakes.topic(topic)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// How it was opened.
    pub fn config(&self) -> &StoreConfig {
        &self.0.config
    }

    pub(crate) async fn lend_writer(&self) -> Result<(sqlite::Lease, sqlite::Ticket)> {
        match &self.0.engine {
            Engine::Sqlite(file) => file.writer.lend(SYSTEM_TENANT).await,
            Engine::Postgres { .. } => Err(Error::internal("PostgreSQL has no single writer")),
        }
    }

    /// Gives pages that hold nothing back to the file system, a few in each transaction, so that nobody's write waits for
    /// long; leaves some for what comes next. Answers how many; none on PostgreSQL, whose own cleaners do it.
    ///
    /// # Errors
    /// When the database fails; what was given back until then stays so.
    pub async fn give_pages_back(&self, within: Duration) -> Result<u64> {
        if self.backend() == Backend::Postgres {
            return Ok(0);
        }
        let (began, mut before, mut given) = (Instant::now(), None, 0);
        loop {
            let (mut lease, ticket) = self.lend_writer().await?;
            let (pages, free) = sqlite::pages(lease.conn()?).await?;
            gauge!("synapscale_sqlite_free_pages").set(free as f64);
            given += before.map_or(0, |before: u64| before.saturating_sub(free));
            let spare = (pages / SPARE_SHARE).max(SPARE_PAGES);
            // A file that was made without `auto_vacuum` gives nothing.
            let done = free <= spare || before.is_some_and(|before| before <= free);
            if done || began.elapsed() > within {
                return Ok(given);
            }
            dialect::sqlite::run(lease.conn()?, dialect::sqlite::VACUUM_SLICE)
                .await
                .map_err(IntoCore::into_core)?;
            lease.release();
            ticket.committed().await?;
            before = Some(free);
            tokio::time::sleep(RETRY_PAUSE / 4).await;
        }
    }

    pub(crate) fn pool(&self) -> Option<&PgPool> {
        match &self.0.engine {
            Engine::Postgres { pool, .. } => Some(pool),
            Engine::Sqlite(_) => None,
        }
    }

    /// Runs `work` in a read transaction: one snapshot, nothing to commit.
    ///
    /// # Errors
    /// What `work` answers, or a database failure. Transient faults are tried again.
    pub async fn read<T, F, Fut>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.read_as(ctx, false, work).await
    }

    /// As [`Store::read`] for `work` that sends one statement at most, which is a snapshot by itself: SQLite is spared
    /// beginning and ending a transaction, two of three trips to its thread. A second statement is an error.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_one<T, F, Fut>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        self.read_as(ctx, true, work).await
    }

    async fn read_as<T, F, Fut>(&self, ctx: &Ctx, single: bool, work: F) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let mut pause = RETRY_PAUSE;
        for attempt in 1.. {
            ctx.time_left()?;
            let tx = self.begin_read(ctx, single).await;
            let outcome = match tx {
                Ok(tx) => {
                    let outcome = work(tx.clone()).await;
                    self.end_read(tx).await;
                    outcome
                }
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if error.is_transient() && attempt < WRITE_TRIES => {
                    counter!("synapscale_store_retries_total", "kind" => "read").increment(1);
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => return done,
            }
        }
        Err(Error::internal("unreachable: the loop returns"))
    }

    async fn begin_read(&self, ctx: &Ctx, single: bool) -> Result<Tx> {
        let conn = match &self.0.engine {
            Engine::Sqlite(file) => {
                let mut reader = file.readers.lend(ctx.tenant()).await?;
                reader.lent_for(single);
                if !single {
                    dialect::sqlite::run(reader.conn()?, dialect::sqlite::BEGIN_READ)
                        .await
                        .map_err(IntoCore::into_core)?;
                }
                Conn::Reader(reader)
            }
            Engine::Postgres {
                pool,
                control,
                turnstile,
            } => {
                let (pool, turnstile) = match ctx.privilege() {
                    Privilege::Tenant => (pool, Some(turnstile)),
                    Privilege::System => (control, None),
                };
                let conn = postgres::Lent::new(pool, turnstile, ctx.tenant()).await?;
                let mut opening = postgres::Opening::new(conn);
                dialect::postgres::run(opening.conn()?, &dialect::postgres::begin_read(ctx))
                    .await
                    .map_err(IntoCore::into_core)?;
                Conn::Postgres(opening.opened()?)
            }
        };
        Ok(Tx::new(ctx.clone(), self.backend(), self.0.shared.clone(), conn))
    }

    async fn end_read(&self, tx: Tx) {
        match tx.take_conn().await {
            Some(Conn::Reader(mut reader)) if reader.is_single() => reader.in_use = false,
            Some(Conn::Reader(mut reader)) => {
                let ended = match reader.conn() {
                    Ok(conn) => dialect::sqlite::run(conn, dialect::sqlite::END_READ)
                        .await
                        .is_ok(),
                    Err(_) => false,
                };
                reader.in_use = !ended;
            }
            Some(Conn::Postgres(mut conn)) => {
                let ended = dialect::postgres::run(&mut conn, "COMMIT").await;
                ended.unwrap_or_else(|_| conn.close());
            }
            _ => {}
        }
    }

    /// Runs `work` in a write transaction and commits it with the events it emitted, then wakes subscribers. When this
    /// answers, the change is durable. `work` may run more than once; only one run is kept.
    ///
    /// # Errors
    /// What `work` answers, with nothing kept; or a database failure.
    pub async fn write<T, F, Fut>(&self, ctx: &Ctx, work: F) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let started = Instant::now();
        let mut pause = RETRY_PAUSE;
        for attempt in 1.. {
            ctx.time_left()?;
            let outcome = match &self.0.engine {
                Engine::Sqlite(file) => self.write_sqlite(ctx, file, &work).await,
                Engine::Postgres { pool, turnstile, .. } => {
                    self.write_postgres(ctx, pool, turnstile, &work).await
                }
            };
            match outcome {
                Err(error) if error.is_transient() && attempt < WRITE_TRIES => {
                    counter!("synapscale_store_retries_total", "kind" => "write").increment(1);
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                done => {
                    histogram!("synapscale_store_write_seconds").record(started.elapsed().as_secs_f64());
                    return done;
                }
            }
        }
        Err(Error::internal("unreachable: the loop returns"))
    }

    async fn write_sqlite<T, F, Fut>(&self, ctx: &Ctx, file: &SqliteFile, work: &F) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let (lease, ticket) = file.writer.lend(ctx.tenant()).await?;
        let tx = Tx::new(
            ctx.clone(),
            Backend::Sqlite,
            self.0.shared.clone(),
            Conn::Writer(lease),
        );
        // Past this time the future is dropped, the lease with it, and the member is rolled back.
        let outcome = tokio::time::timeout(self.0.config.write_hold, async {
            let value = work(tx.clone()).await?;
            events::flush(&tx).await?;
            Ok(value)
        })
        .await
        .unwrap_or_else(|_| {
            tracing::error!("a write transaction held the writer for too long and was rolled back");
            Err(Error::deadline_exceeded())
        });
        let conn = tx.take_conn().await;
        let value = outcome?;
        match conn {
            Some(Conn::Writer(lease)) => lease.release(),
            // A savepoint that could not be undone took it, whatever the caller made of that.
            _ => return Err(Error::internal("the transaction lost its connection")),
        }
        // The group commits whether the caller stays or not, so what hangs on the commit must not hang on the caller.
        let store = self.clone();
        let ended = self.0.tasks.spawn(async move {
            ticket.committed().await?;
            store.committed(&tx);
            Ok::<(), Error>(())
        });
        ended.await.map_err(Error::internal)??;
        Ok(value)
    }

    async fn write_postgres<T, F, Fut>(
        &self,
        ctx: &Ctx,
        pool: &PgPool,
        turnstile: &Turnstile,
        work: &F,
    ) -> Result<T>
    where
        F: Fn(Tx) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let conn = postgres::Lent::new(pool, Some(turnstile), ctx.tenant()).await?;
        let mut opening = postgres::Opening::new(conn);
        let begin = dialect::postgres::begin_write(ctx);
        let begun = sqlx::raw_sql(sqlx::AssertSqlSafe(begin))
            .fetch_one(&mut *opening.conn()?)
            .await;
        let xid: String = begun
            .and_then(|row| row.try_get(1))
            .map_err(IntoCore::into_core)?;
        let conn = opening.opened()?;
        let tx = Tx::new(
            ctx.clone(),
            Backend::Postgres,
            self.0.shared.clone(),
            Conn::Postgres(conn),
        );
        let outcome = async {
            let value = work(tx.clone()).await?;
            events::flush(&tx).await?;
            Ok(value)
        }
        .await;
        let Some(Conn::Postgres(mut conn)) = tx.take_conn().await else {
            return Err(Error::internal("the transaction lost its connection"));
        };
        let value = match outcome {
            Ok(value) => value,
            Err(error) => {
                if dialect::postgres::run(&mut conn, "ROLLBACK").await.is_err() {
                    conn.close();
                }
                return Err(error);
            }
        };
        // A COMMIT that was sent takes place whether the caller stays or not, and so does what hangs on it.
        let (store, pool) = (self.clone(), pool.clone());
        let ended = self.0.tasks.spawn(async move {
            if let Err(error) = dialect::postgres::run(&mut conn, "COMMIT").await {
                conn.close();
                let lost = !matches!(error, sqlx::Error::Database(_));
                if !lost || !postgres::was_committed(&pool, &xid).await? {
                    return Err(error.into_core());
                }
            }
            store.committed(&tx);
            Ok::<(), Error>(())
        });
        ended.await.map_err(Error::internal)??;
        Ok(value)
    }

    fn committed(&self, tx: &Tx) {
        for work in tx.take_after() {
            work();
        }
        self.0.shared.wakes.wake(&tx.take_wakes());
    }

    /// Reads once, to see how the database does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn health(&self) -> Result<Health> {
        let started = Instant::now();
        let ctx = Ctx::system(self.clock().clone());
        self.read(&ctx, |tx| async move { blobs::touch(&tx).await })
            .await?;
        Ok(Health {
            backend: self.backend(),
            latency_ms: started.elapsed().as_secs_f64() * 1000.0,
        })
    }

    /// Waits for lent connections and closes. Further use answers `shutting_down`.
    pub async fn close(&self) {
        match &self.0.engine {
            Engine::Sqlite(file) => file.readers.close().await,
            Engine::Postgres { pool, control, .. } => {
                pool.close().await;
                control.close().await;
            }
        }
        self.0.tasks.close();
    }
}
