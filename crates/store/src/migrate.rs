//! Migrations: hand-written steps, up and down, each in one transaction, in the order in which the modules give them.

use crate::dialect::{self, Backend, ddl};
use crate::errors::IntoCore;
use crate::schema::{Column, Index, Table};
use crate::store::Store;
use crate::{blobs, events};
use chrono::{DateTime, Utc};
use synapscale_core::{Error, Result};

#[derive(Clone, Debug)]
enum Step {
    Create(Box<Table>),
    AddColumn(&'static str, Box<Column>),
    MayDelete(&'static str),
    AddIndex(&'static str, Box<Index>),
    DropIndex(&'static str, Box<Index>),
    LogOrder,
}

/// One migration: a name that sorts after its elders' and steps that can be undone.
#[derive(Clone, Debug)]
pub struct Migration {
    name: &'static str,
    steps: Vec<Step>,
}

impl Migration {
    /// A migration named `<crate>_<number>_<what>`.
    pub fn new(name: &'static str) -> Self {
        Migration {
            name,
            steps: Vec::new(),
        }
    }

    /// Makes a table; undone by taking it away.
    pub fn create(mut self, table: Table) -> Self {
        self.steps.push(Step::Create(Box::new(table)));
        self
    }

    /// Adds a column, nullable or with a default; undone by taking it away.
    pub fn add_column(mut self, table: &'static str, column: Column) -> Self {
        self.steps.push(Step::AddColumn(table, Box::new(column)));
        self
    }

    /// Lets rows of an append-only tenant table be deleted, as when they are old; they still never change.
    pub fn may_delete(mut self, table: &'static str) -> Self {
        self.steps.push(Step::MayDelete(table));
        self
    }

    /// Adds an index to a tenant table; undone by taking it away.
    pub fn add_index(mut self, table: &'static str, index: Index) -> Self {
        self.steps.push(Step::AddIndex(table, Box::new(index)));
        self
    }

    /// Takes an index of a tenant table away that nothing reads any more; undone by adding it.
    pub fn drop_index(mut self, table: &'static str, index: Index) -> Self {
        self.steps.push(Step::DropIndex(table, Box::new(index)));
        self
    }

    /// Gives the event log indexes in the order in which it is read, which on PostgreSQL is not that of its key.
    pub(crate) fn log_order(mut self) -> Self {
        self.steps.push(Step::LogOrder);
        self
    }

    fn up(&self, backend: Backend) -> Vec<String> {
        self.steps
            .iter()
            .flat_map(|step| match step {
                Step::Create(table) => ddl::create(backend, table),
                Step::AddColumn(table, column) => vec![ddl::add_column(backend, table, column)],
                Step::MayDelete(table) => ddl::may_delete(backend, table, true),
                Step::AddIndex(table, index) => ddl::add_index(backend, table, index),
                Step::DropIndex(_, index) => vec![ddl::drop_index(index)],
                Step::LogOrder => ddl::log_order(backend, true),
            })
            .collect()
    }

    fn down(&self, backend: Backend) -> Vec<String> {
        self.steps
            .iter()
            .rev()
            .flat_map(|step| match step {
                Step::Create(table) => ddl::drop(backend, table),
                Step::AddColumn(table, column) => vec![ddl::drop_column(table, column.name)],
                Step::MayDelete(table) => ddl::may_delete(backend, table, false),
                Step::AddIndex(_, index) => vec![ddl::drop_index(index)],
                Step::DropIndex(table, index) => ddl::add_index(backend, table, index),
                Step::LogOrder => ddl::log_order(backend, false),
            })
            .collect()
    }
}

/// A migration and whether it stands in the database.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MigrationState {
    /// Its name.
    pub name: String,
    /// When it was applied; none if it was not.
    pub applied_at: Option<DateTime<Utc>>,
    /// Whether this binary knows it; a newer one may have been here.
    pub known: bool,
}

/// All migrations of the product, the store's own first.
#[derive(Clone, Debug)]
pub struct Migrations(Vec<Migration>);

impl Migrations {
    /// The store's migrations, then `modules` in their order.
    pub fn new(modules: impl IntoIterator<Item = Migration>) -> Self {
        Migrations(
            [
                events::migration(),
                blobs::migration(),
                events::groups_migration(),
                events::chain_migration(),
                events::archive_migration(),
            ]
            .into_iter()
            .chain(modules)
            .collect(),
        )
    }

    /// Applies what is missing; answers the names.
    ///
    /// # Errors
    /// `schema_newer` when the database holds migrations that this binary does not know.
    pub async fn migrate(&self, store: &Store) -> Result<Vec<&'static str>> {
        let mut guard = prepare(store).await?;
        let done = match self.apply(store).await {
            Ok(done) => watch_tables(store).await.map(|()| done),
            Err(error) => Err(error),
        };
        guard.release().await;
        let done = done?;
        events::identify(store).await?;
        Ok(done)
    }

    async fn apply(&self, store: &Store) -> Result<Vec<&'static str>> {
        let applied = applied(store).await?;
        let strangers: Vec<_> = applied
            .iter()
            .filter(|row| !self.0.iter().any(|m| m.name == row.name))
            .collect();
        if let Some(stranger) = strangers.first() {
            return Err(Error::unavailable(
                "schema_newer",
                format!(
                    "The database was migrated by a newer version (`{}`).",
                    stranger.name
                ),
            ));
        }
        let mut done = Vec::new();
        for migration in &self.0 {
            if applied.iter().any(|row| row.name == migration.name) {
                continue;
            }
            tracing::info!(migration = migration.name, "migrating");
            run(store, migration.up(store.backend()), Mark::Set(migration.name)).await?;
            done.push(migration.name);
        }
        Ok(done)
    }

    /// Undoes the last `count` migrations; answers their names, the newest first.
    ///
    /// # Errors
    /// When a step cannot be undone; the migrations undone before it stay undone.
    pub async fn rollback(&self, store: &Store, count: usize) -> Result<Vec<&'static str>> {
        let mut guard = prepare(store).await?;
        let done = self.undo(store, count).await;
        guard.release().await;
        done
    }

    async fn undo(&self, store: &Store, count: usize) -> Result<Vec<&'static str>> {
        let applied = applied(store).await?;
        let mut done = Vec::new();
        for migration in self.0.iter().rev() {
            if done.len() == count {
                break;
            }
            if applied.iter().any(|row| row.name == migration.name) {
                run(
                    store,
                    migration.down(store.backend()),
                    Mark::Clear(migration.name),
                )
                .await?;
                done.push(migration.name);
            }
        }
        Ok(done)
    }

    /// What stands and what is missing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self, store: &Store) -> Result<Vec<MigrationState>> {
        let mut guard = prepare(store).await?;
        let applied = applied(store).await;
        guard.release().await;
        let applied = applied?;
        let at = |name: &str| {
            applied
                .iter()
                .find(|row| row.name == name)
                .map(|row| row.applied_at)
        };
        let known = self.0.iter().map(|migration| MigrationState {
            name: migration.name.to_owned(),
            applied_at: at(migration.name),
            known: true,
        });
        let strangers = applied
            .iter()
            .filter(|row| !self.0.iter().any(|m| m.name == row.name));
        let strangers = strangers.map(|row| MigrationState {
            name: row.name.clone(),
            applied_at: Some(row.applied_at),
            known: false,
        });
        Ok(known.chain(strangers).collect())
    }
}

/// On PostgreSQL: has every table tell the log of changes that are made past the product.
async fn watch_tables(store: &Store) -> Result<()> {
    use dialect::audit;
    if store.pool().is_none() {
        return Ok(());
    }
    let rows = store.owner_rows(audit::UNWATCHED, None).await?;
    let mut statements = vec![audit::MAKE_FUNCTION.to_owned(), audit::MAKE_POLICY.to_owned()];
    for row in rows {
        let table: String = row.try_get_by_index(0).map_err(IntoCore::into_core)?;
        statements.extend(audit::watch(&table));
    }
    store.owner_run(&statements).await
}

enum Mark {
    Set(&'static str),
    Clear(&'static str),
}

/// Keeps other servers from migrating at the same time.
struct MigrationGuard(Option<sqlx::pool::PoolConnection<sqlx::Postgres>>);

impl MigrationGuard {
    async fn release(&mut self) {
        if let Some(mut conn) = self.0.take() {
            let freed = dialect::postgres::run(&mut conn, dialect::postgres::MIGRATION_UNLOCK).await;
            if freed.is_err() {
                crate::postgres::close_lost(conn);
            }
        }
    }
}

/// Roles, schema and the table of migrations; and the lock.
async fn prepare(store: &Store) -> Result<MigrationGuard> {
    let mut guard = MigrationGuard(None);
    if let Some(pool) = store.pool() {
        let mut conn = pool.acquire().await.map_err(IntoCore::into_core)?;
        for sql in [
            dialect::postgres::MIGRATION_LOCK,
            dialect::postgres::ROLES,
            dialect::postgres::MAKE_SCHEMA,
        ] {
            dialect::postgres::run(&mut conn, sql)
                .await
                .map_err(IntoCore::into_core)?;
        }
        guard.0 = Some(conn);
    }
    store.owner_run(&[ddl::migrations_table(store.backend())]).await?;
    Ok(guard)
}

async fn applied(store: &Store) -> Result<Vec<ddl::Applied>> {
    let rows = store.owner_rows(ddl::APPLIED, None).await?;
    rows.iter()
        .map(|row| {
            Ok(ddl::Applied {
                name: row.try_get_by_index(0).map_err(IntoCore::into_core)?,
                applied_at: row.try_get_by_index(1).map_err(IntoCore::into_core)?,
            })
        })
        .collect()
}

async fn run(store: &Store, mut statements: Vec<String>, mark: Mark) -> Result<()> {
    statements.push(match mark {
        Mark::Set(name) => ddl::mark(name, store.clock().now()),
        Mark::Clear(name) => ddl::unmark(name),
    });
    store.owner_run(&statements).await
}
