//! Tenants stay apart: by the storage layer on SQLite, by row security beneath it on PostgreSQL.

use crate::{add_note, entities, migrations, note, open, somebody, texts};
use sea_orm::{ConnectionTrait, EntityTrait, Statement};
use sqlx::{Connection, Executor, PgConnection, Row};
use synapscale_testkit::{TestDb, db_test, policies};

db_test! {
    async fn a_tenant_sees_its_own(db: TestDb) {
        let store = open(db).await;
        let (ours, theirs) = (somebody(), somebody());
        for (ctx, text) in [(&ours, "ours"), (&theirs, "theirs")] {
            store.write(ctx, |tx| async move { add_note(&tx, text).await }).await.expect("written");
        }
        assert_eq!(texts(&store, &ours).await, ["ours"]);
        let deleted = store
            .write(&ours, |tx| async move { let all = tx.delete::<note::Entity>(); tx.run_delete(all).await })
            .await;
        assert_eq!(deleted.expect("deleted"), 1);
        assert_eq!(texts(&store, &theirs).await, ["theirs"]);
    }

    #[allow(clippy::disallowed_methods)]
    async fn statements_without_a_tenant_are_caught(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let caught = store
            .read(&ctx, |tx| async move {
                let all = note::Entity::find().all(&tx).await;
                Ok(all.expect_err("caught").to_string())
            })
            .await
            .expect("read");
        assert!(caught.contains("belongs to tenants"), "{caught}");
    }

    async fn a_tenants_transaction_cannot_ask_for_all(db: TestDb) {
        let store = open(db).await;
        let refused = store
            .read(&somebody(), |tx| async move { tx.find_as_system::<note::Entity>().map(|_| ()) })
            .await;
        assert_eq!(refused.expect_err("refused").code(), "internal");
    }
}

async fn owner(db: &TestDb) -> PgConnection {
    let mut conn = PgConnection::connect(&db.connection_string())
        .await
        .expect("connected");
    conn.execute("SET search_path TO synapscale_db")
        .await
        .expect("path");
    conn
}

#[tokio::test]
async fn row_security_holds_without_a_where() {
    let db = TestDb::postgres().await;
    let store = open(&db).await;
    let (ours, theirs) = (somebody(), somebody());
    for ctx in [&ours, &theirs] {
        store
            .write(ctx, |tx| async move { add_note(&tx, "note").await })
            .await
            .expect("written");
    }
    let mut conn = owner(&db).await;
    let count = "SELECT count(*) FROM notes";
    // Forced: even the owner sees nothing, and the app role nothing before it names a tenant.
    let seen: i64 = conn.fetch_one(count).await.expect("count").get(0);
    assert_eq!(seen, 0);
    conn.execute("SET ROLE synapscale_app").await.expect("role");
    let seen: i64 = conn.fetch_one(count).await.expect("count").get(0);
    assert_eq!(seen, 0);
    let tenant = format!("SELECT set_config('app.tenant_id', '{}', false)", ours.tenant());
    conn.execute(sqlx::AssertSqlSafe(tenant)).await.expect("tenant");
    let seen: i64 = conn.fetch_one(count).await.expect("count").get(0);
    assert_eq!(seen, 1);
    let changed = conn
        .execute("UPDATE notes SET text = 'mine'")
        .await
        .expect("update");
    assert_eq!(changed.rows_affected(), 1);
    let smuggled = format!(
        "INSERT INTO notes (tenant_id, id, text) VALUES ('{}', gen_random_uuid(), 'x')",
        theirs.tenant()
    );
    assert!(conn.execute(sqlx::AssertSqlSafe(smuggled)).await.is_err());
    assert!(
        conn.execute("DELETE FROM events").await.is_err(),
        "the log is append-only"
    );
    assert!(conn.execute("SET ROLE postgres").await.is_err());
    db.discard().await;
}

#[tokio::test]
async fn dropping_any_one_policy_is_noticed() {
    let db = TestDb::postgres().await;
    let store = open(&db).await;
    store.check_row_security().await.expect("whole");
    assert!(
        policies::each_is_missed(&db, &store).await > 10,
        "every tenant table and partition has one"
    );
    store.check_row_security().await.expect("whole again");
    db.discard().await;
}

#[tokio::test]
async fn the_check_sees_what_went_down_and_up() {
    for db in [TestDb::sqlite(), TestDb::postgres().await] {
        let store = open(&db).await;
        assert_eq!(
            migrations().rollback(&store, 1).await.expect("down"),
            ["test_0001_notes"]
        );
        let drift = store.check_schema(&entities()).await.expect("check");
        assert_eq!(drift.len(), 1, "{drift:?}");
        assert_eq!(
            migrations().migrate(&store).await.expect("up"),
            ["test_0001_notes"]
        );
        assert_eq!(store.check_schema(&entities()).await.expect("check"), []);
        let one = Statement::from_string(sea_orm::DbBackend::Sqlite, "SELECT 1");
        let alive = store
            .read(&somebody(), |tx| {
                let one = one.clone();
                async move { Ok(tx.query_one_raw(one).await.is_ok()) }
            })
            .await;
        assert!(alive.expect("read"));
        db.discard().await;
    }
}
