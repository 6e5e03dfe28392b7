//! SQLite over a long time: the WAL stays bounded whoever reads, empty pages go back, and a full queue says so at once.

use crate::{add_note, migrations, note_migration, open, somebody};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sqlx::{Connection, PgConnection};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use synapscale_core::{Clock, ErrorKind};
use synapscale_store::schema::text;
use synapscale_store::{
    DatabaseUrl, IntoCore, MasterKey, Migration, Migrations, SecretBox, Store, StoreConfig,
};
use synapscale_testkit::TestDb;

fn file(db: &TestDb) -> PathBuf {
    match db.url() {
        DatabaseUrl::Sqlite(path) => path.clone(),
        DatabaseUrl::Postgres(_) => panic!("a file is wanted"),
    }
}

fn size(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Writes so many blobs of 64 KiB; answers their ids.
async fn fill(store: &Store, count: usize) -> Vec<uuid::Uuid> {
    let (ctx, content) = (somebody(), vec![7; 64 * 1024]);
    let mut ids = Vec::new();
    for _ in 0..count / 8 {
        let written = store.write(&ctx, |tx| {
            let content = content.clone();
            async move {
                let mut ids = Vec::new();
                for _ in 0..8 {
                    ids.push(tx.put_blob("text/plain", &content).await?.id);
                }
                Ok(ids)
            }
        });
        ids.extend(written.await.expect("written"));
    }
    let removed = ids.clone();
    store
        .write(&ctx, |tx| {
            let removed = removed.clone();
            async move { tx.delete_blobs(&removed).await }
        })
        .await
        .expect("removed");
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_stays_bounded_under_constant_readers() {
    let db = TestDb::sqlite();
    let store = open(&db).await;
    let wal = file(&db).with_extension("db-wal");
    let stop = AtomicBool::new(false);
    let ctx = somebody();
    // At every moment at least one of them is in the middle of reading.
    let reader = |offset: u64| {
        let (store, ctx, stop) = (&store, &ctx, &stop);
        async move {
            tokio::time::sleep(Duration::from_millis(offset)).await;
            while !stop.load(Ordering::Relaxed) {
                let read = store.read(ctx, |tx| async move {
                    tx.consumer_groups().await?;
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    tx.consumer_groups().await
                });
                read.await.expect("read");
            }
        }
    };
    let writer = async {
        let mut largest = 0;
        for _ in 0..20 {
            fill(&store, 128).await;
            largest = largest.max(size(&wal));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.store(true, Ordering::Relaxed);
        largest
    };
    let ((), (), (), largest) = tokio::join!(reader(0), reader(10), reader(20), writer);
    // Twice 80 MiB and more were written.
    assert!(largest < 100 << 20, "{} MiB", largest >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_pages_are_given_back_while_others_write() {
    let db = TestDb::sqlite();
    let store = open(&db).await;
    fill(&store, 640).await;
    let ctx = somebody();
    let done = AtomicBool::new(false);
    let upkeep = async {
        let given = store
            .give_pages_back(Duration::from_secs(30))
            .await
            .expect("given back");
        done.store(true, Ordering::Relaxed);
        given
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        while !done.load(Ordering::Relaxed) {
            let began = Instant::now();
            store
                .write(&ctx, |tx| async move { add_note(&tx, "meanwhile").await })
                .await
                .expect("written");
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest
    };
    let (given, slowest) = tokio::join!(upkeep, others);
    assert!(given > 8_000, "{given} pages");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(
        store
            .give_pages_back(Duration::from_secs(1))
            .await
            .expect("nothing left"),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_on_postgres_end_in_time() {
    let db = TestDb::postgres().await;
    let secrets = SecretBox::new(&MasterKey::random().expect("a key")).expect("a box");
    let config = StoreConfig {
        statement_timeout: Duration::from_millis(300),
        ..StoreConfig::new(db.url().clone())
    };
    let store = Store::open(config, secrets, Clock::system(), None)
        .await
        .expect("open");
    migrations().migrate(&store).await.expect("migrated");
    let ctx = somebody();
    let began = Instant::now();
    let slept = store.write(&ctx, |tx| async move {
        add_note(&tx, "undone").await?;
        let sleep = Statement::from_string(DbBackend::Postgres, "SELECT pg_sleep(20)");
        tx.query_one_raw(sleep)
            .await
            .map_err(IntoCore::into_core)
            .map(drop)
    });
    let error = slept.await.expect_err("too long");
    assert_eq!(
        (error.code(), error.kind()),
        ("statement_timeout", ErrorKind::Timeout)
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(crate::texts(&store, &ctx).await.is_empty());
    db.discard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_waits_for_no_lock_for_long_and_lets_others_through() {
    let db = TestDb::postgres().await;
    let store = open(&db).await;
    let ctx = somebody();
    store
        .write(&ctx, |tx| async move { add_note(&tx, "before").await })
        .await
        .expect("written");
    // Somebody reads the table in a transaction that stays open for longer than the migration would wait.
    let mut holder = PgConnection::connect(&db.connection_string())
        .await
        .expect("connected");
    sqlx::raw_sql("BEGIN; LOCK TABLE synapscale_db.notes IN ACCESS SHARE MODE")
        .execute(&mut holder)
        .await
        .expect("held");
    let changed = Migrations::new([
        note_migration(),
        Migration::new("test_0002_more").add_column("notes", text("more").null()),
    ]);
    let others = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        store
            .write(&ctx, |tx| async move { add_note(&tx, "meanwhile").await })
            .await
            .expect("written");
        let waited = began.elapsed();
        tokio::time::sleep(Duration::from_secs(3)).await;
        sqlx::raw_sql("COMMIT")
            .execute(&mut holder)
            .await
            .expect("let go");
        waited
    };
    let (migrated, waited) = tokio::join!(changed.migrate(&store), others);
    assert_eq!(migrated.expect("migrated"), ["test_0002_more"]);
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    db.discard().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let db = TestDb::sqlite();
    let secrets = SecretBox::new(&MasterKey::random().expect("a key")).expect("a box");
    let config = StoreConfig {
        write_queue: 8,
        ..StoreConfig::new(db.url().clone())
    };
    let store = Store::open(config, secrets, Clock::system(), None)
        .await
        .expect("open");
    migrations().migrate(&store).await.expect("migrated");
    let began = Instant::now();
    let writes = (0..40).map(|number| {
        // Each of a workspace of its own, so that no share of the queue is what is full.
        let (store, ctx) = (store.clone(), somebody());
        async move {
            let written = store.write(&ctx, |tx| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                add_note(&tx, "one of many").await
            });
            (number, written.await, began.elapsed())
        }
    });
    let answers = futures::future::join_all(writes).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|(_, answer, at)| Some((answer.as_ref().err()?, at)))
        .collect();
    assert!(refused.len() >= 20 && refused.len() <= 36, "{}", refused.len());
    for (error, at) in refused {
        assert_eq!(
            (error.code(), error.kind()),
            ("write_queue_full", ErrorKind::Unavailable)
        );
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(1)));
        assert!(*at < Duration::from_millis(500), "{at:?}");
    }
}
