//! A database of its own for each test: a SQLite file or a PostgreSQL database, gone afterwards.

use crate::guard::TenantGuard;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::path::Path;
use std::sync::Arc;
use synapscale_core::{Clock, new_id};
use synapscale_store::{
    DatabaseUrl, EntitySpec, MasterKey, Migrations, SecretBox, Store, StoreConfig, own_entities,
};
use tempfile::TempDir;

/// Names the PostgreSQL server that `scripts/test.sh` starts.
const POSTGRES: &str = "SYNAPSCALE_TEST_POSTGRES_URL";

/// Names the Redis server that `scripts/test.sh` starts.
const REDIS: &str = "SYNAPSCALE_TEST_REDIS_URL";

/// One test's database.
pub struct TestDb {
    folder: TempDir,
    url: DatabaseUrl,
    name: Option<String>,
}

/// The test server's URL, as given by `scripts/test.sh`.
#[allow(
    clippy::disallowed_methods,
    reason = "the test runner tells of its server by a variable"
)]
pub fn postgres_url() -> String {
    std::env::var(POSTGRES).unwrap_or_else(|_| {
        panic!("{POSTGRES} is not set: run the tests by `make test`, or eval \"$(scripts/postgres.sh env)\"")
    })
}

/// The test Redis's URL, as given by `scripts/test.sh`.
#[allow(
    clippy::disallowed_methods,
    reason = "the test runner tells of its server by a variable"
)]
pub fn redis_url() -> String {
    std::env::var(REDIS).unwrap_or_else(|_| {
        panic!("{REDIS} is not set: run the tests by `make test`, or eval \"$(scripts/redis.sh env)\"")
    })
}

fn with_database(url: &str, name: &str) -> String {
    let (base, _) = url.rsplit_once('/').expect("a URL with a database");
    format!("{base}/{name}")
}

impl TestDb {
    /// A new SQLite file.
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let url = DatabaseUrl::Sqlite(folder.path().join("synapscale.db"));
        TestDb {
            folder,
            url,
            name: None,
        }
    }

    /// A new PostgreSQL database.
    pub async fn postgres() -> Self {
        Self::postgres_at(&postgres_url()).await
    }

    /// A new database of the PostgreSQL server at `server`, a URL with a database; it goes with its server.
    pub async fn postgres_at(server: &str) -> Self {
        let name = format!("t_{}", new_id().simple());
        let mut admin = PgConnection::connect(server).await.expect("the test server");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .expect("a new database");
        let url = DatabaseUrl::Postgres(with_database(server, &name));
        TestDb {
            folder: tempfile::tempdir().expect("a scratch folder"),
            url,
            name: Some(name),
        }
    }

    /// Removes the PostgreSQL database, with whoever is still connected.
    pub async fn discard(&self) {
        if let Some(name) = &self.name {
            let mut admin = PgConnection::connect(&postgres_url())
                .await
                .expect("the test server");
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            // The server's own cleaners may be at work in it for a moment, and only its owner may send them away.
            for _ in 0..100 {
                let dropped = sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut admin);
                if dropped.await.is_ok() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            panic!("{name} could not be dropped");
        }
    }

    /// Changes rows past the product, as the app's role within a tenant: what a test cannot wait for. PostgreSQL only.
    pub async fn execute_in(&self, tenant: &str, sql: &str) -> u64 {
        let mut conn = PgConnection::connect(&self.connection_string())
            .await
            .expect("connected");
        let mut tx = conn.begin().await.expect("begun");
        for set in [
            "SET LOCAL search_path TO synapscale_db".to_owned(),
            format!("SELECT set_config('app.tenant_id', '{tenant}', true)"),
            "SET LOCAL ROLE synapscale_app".to_owned(),
        ] {
            sqlx::raw_sql(AssertSqlSafe(set))
                .execute(&mut *tx)
                .await
                .expect("set");
        }
        let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut *tx)
            .await;
        let rows = done.expect("executed").rows_affected();
        tx.commit().await.expect("committed");
        rows
    }

    /// The test's own folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the database is.
    pub fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// Whether it is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.name.is_some()
    }

    /// The connection string, for a process of the test's.
    pub fn connection_string(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }

    /// Opens and migrates, with every statement's tenant checked.
    pub async fn open(&self, migrations: &Migrations, entities: &[EntitySpec]) -> Store {
        let store = self.open_bare(entities).await;
        migrations.migrate(&store).await.expect("migrated");
        store
    }

    /// Opens without migrating.
    pub async fn open_bare(&self, entities: &[EntitySpec]) -> Store {
        let key = MasterKey::load_or_create(&self.folder().join("master.key")).expect("a key");
        let secrets = SecretBox::new(&key).expect("a box");
        let guard = TenantGuard::new(own_entities().iter().chain(entities));
        Store::open(
            StoreConfig::new(self.url.clone()),
            secrets,
            Clock::system(),
            Some(Arc::new(guard)),
        )
        .await
        .expect("an open store")
    }
}
