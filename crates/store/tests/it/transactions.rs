//! Commit, rollback, groups, savepoints, soft delete and blobs.

use crate::{add_note, note, open, somebody, texts};
use sea_orm::ColumnTrait;
use std::time::Duration;
use synapscale_core::Error;
use synapscale_store::{DeleteGroup, Store};
use synapscale_testkit::{TestDb, db_test};

async fn write_note(store: &Store, ctx: &synapscale_core::Ctx, text: &'static str) {
    store
        .write(ctx, |tx| async move { add_note(&tx, text).await })
        .await
        .expect("written");
}

db_test! {
    async fn failed_work_leaves_nothing(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let failed: Result<(), Error> = store
            .write(&ctx, |tx| async move {
                add_note(&tx, "half").await?;
                Err(Error::conflict("no", "no"))
            })
            .await;
        assert_eq!(failed.expect_err("refused").code(), "no");
        write_note(&store, &ctx, "whole").await;
        assert_eq!(texts(&store, &ctx).await, ["whole"]);
    }

    async fn many_writers_at_once_all_land(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let writers = (0..64).map(|n| {
            let (store, ctx) = (store.clone(), ctx.clone());
            async move {
                let text = format!("{n:02}");
                let text = text.as_str();
                store
                    .write(&ctx, |tx| async move {
                        add_note(&tx, text).await?;
                        if n % 4 == 0 { Err(Error::conflict("odd", "one in four fails")) } else { Ok(()) }
                    })
                    .await
            }
        });
        let outcomes = futures::future::join_all(writers).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 48);
        assert_eq!(texts(&store, &ctx).await.len(), 48);
    }

    async fn a_dropped_writer_does_not_hold_up_the_next(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let stuck = store.write(&ctx, |tx| async move {
            add_note(&tx, "never").await?;
            std::future::pending::<()>().await;
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(100), stuck).await.is_err());
        write_note(&store, &ctx, "after").await;
        assert_eq!(texts(&store, &ctx).await, ["after"]);
    }

    async fn a_savepoint_undoes_only_itself(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        store
            .write(&ctx, |tx| async move {
                let first = add_note(&tx, "kept").await?;
                let inner = tx
                    .savepoint(|tx| async move {
                        add_note(&tx, "undone").await?;
                        let again = note::Model {
                            tenant_id: first, id: first, text: "twice".into(), revision: 1,
                            deleted_at: None, delete_group: None,
                        };
                        tx.insert::<note::Entity>(again).await
                    })
                    .await;
                assert_eq!(inner.expect_err("a double key").code(), "already_exists");
                add_note(&tx, "also kept").await
            })
            .await
            .expect("written");
        assert_eq!(texts(&store, &ctx).await, ["also kept", "kept"]);
    }

    async fn a_delete_group_comes_back_whole_and_alone(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        for text in ["a1", "a2", "b1"] {
            write_note(&store, &ctx, text).await;
        }
        let (first, second) = (DeleteGroup::new(), DeleteGroup::new());
        store
            .write(&ctx, |tx| async move {
                let hidden = tx.soft_delete::<note::Entity>(first, note::Column::Text.eq("a1")).await?;
                assert_eq!(hidden, 1);
                tx.soft_delete::<note::Entity>(second, note::Column::Text.starts_with("a")).await
            })
            .await
            .expect("deleted");
        assert_eq!(texts(&store, &ctx).await, ["b1"]);
        let back = store.write(&ctx, |tx| async move { tx.restore::<note::Entity>(second).await }).await;
        assert_eq!(back.expect("restored"), 1);
        assert_eq!(texts(&store, &ctx).await, ["a2", "b1"]);
    }

    async fn blobs_are_sealed_and_the_tenants_own(db: TestDb) {
        let store = open(db).await;
        let (ours, theirs) = (somebody(), somebody());
        let content = b"quite large, quite secret".repeat(5000);
        let content = content.as_slice();
        let blob = store
            .write(&ours, |tx| async move { tx.put_blob("text/plain", content).await })
            .await
            .expect("kept");
        let read = store.read(&ours, |tx| async move { tx.get_blob(blob.id).await }).await;
        assert_eq!(read.expect("read"), content);
        let stolen = store.read(&theirs, |tx| async move { tx.get_blob(blob.id).await }).await;
        assert_eq!(stolen.expect_err("hidden").code(), "not_found");
    }
}

#[tokio::test]
async fn a_second_process_may_not_open_the_file() {
    let db = TestDb::sqlite();
    let _store = open(&db).await;
    let config = synapscale_store::StoreConfig::new(db.url().clone());
    let key = synapscale_store::MasterKey::random().expect("a key");
    let secrets = synapscale_store::SecretBox::new(&key).expect("a box");
    let second = Store::open(config, secrets, synapscale_core::Clock::system(), None).await;
    assert_eq!(second.err().expect("refused").code(), "database_in_use");
}
