//! Changes made past the product, by SQL on PostgreSQL, stand in the log.

use crate::{add_note, open, somebody};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use synapscale_core::Ctx;
use synapscale_store::Store;
use synapscale_store::events::{Event, EventFilter};
use synapscale_testkit::db_test;

/// What is told once there are `count` of it: on PostgreSQL an event settles when all transactions that began before it are
/// over, those of other databases too.
async fn told(store: &Store, ctx: &Ctx, count: usize) -> Vec<Event> {
    let filter = EventFilter::parse("database.*").expect("a filter");
    let mut told = Vec::new();
    for _ in 0..400 {
        told = store
            .events_after(ctx, None, &filter, 50)
            .await
            .expect("events")
            .events;
        if told.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    told
}

db_test! {
    async fn a_row_changed_by_hand_is_told_with_who_did_it(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let id = store.write(&ctx, |tx| async move { add_note(&tx, "before").await }).await.expect("written");
        assert!(told(&store, &ctx, 0).await.is_empty(), "the product's own changes are told by itself");
        if !db.is_postgres() {
            return;
        }
        let mut psql = PgConnection::connect(&db.connection_string()).await.expect("a connection");
        // Row security is forced on the owner too; an owner can lift it.
        let sql = format!(
            "ALTER TABLE synapscale_db.notes NO FORCE ROW LEVEL SECURITY; \
             UPDATE synapscale_db.notes SET text = 'after' WHERE id = '{id}'; \
             DELETE FROM synapscale_db.notes WHERE id = '{id}'; \
             ALTER TABLE synapscale_db.notes FORCE ROW LEVEL SECURITY"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut psql).await.expect("changed by hand");
        let told = told(&store, &ctx, 2).await;
        let [updated, deleted] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((updated.kind.as_str(), &updated.subject), ("database.changed", &format!("note:{id}")));
        assert_eq!(updated.changes, json!({ "text": { "before": "before", "after": "after" } }));
        assert_eq!((&updated.data["table"], &updated.data["statement"]), (&json!("notes"), &json!("update")));
        assert!(updated.data["database_user"].as_str().is_some_and(|user| !user.is_empty()));
        assert_eq!(deleted.data["statement"], "delete");
        assert_eq!(deleted.changes["text"], json!({ "before": "after", "after": null }));
        store.check_row_security().await.expect("no hole");
    }

    async fn the_log_tells_when_it_is_changed_itself(db: TestDb) {
        if !db.is_postgres() {
            return;
        }
        let store = open(db).await;
        let ctx = somebody();
        store.write(&ctx, |tx| async move { add_note(&tx, "x").await }).await.expect("written");
        let mut psql = PgConnection::connect(&db.connection_string()).await.expect("a connection");
        let sql = format!(
            "ALTER TABLE synapscale_db.events NO FORCE ROW LEVEL SECURITY; \
             INSERT INTO synapscale_db.events (tenant_id, id, kind, version, subject, actor_kind, actor_id, channel, changes, \
               data, at, correlation) VALUES ('{0}', gen_random_uuid(), 'database.changed', 1, 'note:x', 'system', \
               gen_random_uuid(), 'sql', '{{}}', '{{}}', now(), gen_random_uuid()); \
             DELETE FROM synapscale_db.events WHERE subject = 'note:x'; \
             ALTER TABLE synapscale_db.events FORCE ROW LEVEL SECURITY",
            ctx.tenant().0
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut psql).await.expect("changed by hand");
        let told = told(&store, &ctx, 1).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].data["table"], "events");
    }
}
