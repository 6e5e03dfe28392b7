//! The chain of hashes over the log: what is changed afterwards shows.

use crate::events::{NoteAdded, tell};
use crate::{open, somebody};
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::time::Duration;
use synapscale_core::{Ctx, NewEvent, new_id};
use synapscale_store::Store;
use synapscale_store::events::{EventFilter, Verdict};
use synapscale_testkit::db_test;

/// Makes a link once `all` events are there to be read. On PostgreSQL an event settles when all transactions that began before
/// it are over, those of other databases too.
pub async fn link(store: &Store, all: usize) -> u64 {
    let ctx = Ctx::system(store.clock().clone());
    for _ in 0..400 {
        let filter = EventFilter::default();
        let there = store
            .events_after(&ctx, None, &filter, 1000)
            .await
            .expect("events");
        if there.events.len() >= all {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let linked = store.link_events(Duration::from_secs(10)).await.expect("linked");
    linked.events
}

/// Changes the log by hand, as whoever owns the files or the tables can.
pub async fn tamper(db: &synapscale_testkit::TestDb, sql: &str) {
    if !db.is_postgres() {
        let mut conn = SqliteConnection::connect(&db.connection_string())
            .await
            .expect("the file");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
            .execute(&mut conn)
            .await
            .expect("changed");
        return;
    }
    let mut conn = PgConnection::connect(&db.connection_string())
        .await
        .expect("a connection");
    let sql = format!(
        "SET search_path = synapscale_db; SET app.tenant_id = '00000000-0000-0000-0000-000000000001'; \
         ALTER TABLE events NO FORCE ROW LEVEL SECURITY; ALTER TABLE audit_links NO FORCE ROW LEVEL SECURITY; {sql}; \
         ALTER TABLE events FORCE ROW LEVEL SECURITY; ALTER TABLE audit_links FORCE ROW LEVEL SECURITY"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut conn)
        .await
        .expect("changed");
}

async fn events(store: &Store, count: i64) {
    let ctx = somebody();
    for number in 0..count {
        tell(store, &ctx, number).await;
    }
}

db_test! {
    async fn a_whole_log_holds_and_links_follow_one_another(db: TestDb) {
        let store = open(db).await;
        assert_eq!(link(&store, 0).await, 0);
        assert!(store.verify_chain().await.expect("a verdict").head.is_none());
        events(&store, 5).await;
        assert_eq!(link(&store, 5).await, 5);
        events(&store, 3).await;
        assert_eq!((link(&store, 8).await, link(&store, 8).await), (3, 0));
        events(&store, 1).await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert!(verdict.holds(), "{verdict:?}");
        assert_eq!((verdict.links, verdict.events), (2, 8));
        let head = verdict.head.expect("a head");
        assert_eq!((head.number, head.hash.len()), (2, 64));
        assert_eq!(store.chain_link(2).await.expect("asked"), Some(head));
        assert_eq!(store.chain_link(3).await.expect("asked"), None);
    }

    async fn what_is_changed_added_or_taken_away_shows(db: TestDb) {
        let store = open(db).await;
        for linked in 0..3 {
            events(&store, 4).await;
            assert_eq!(link(&store, (linked + 1) * 4).await, 4);
        }
        assert!(store.verify_chain().await.expect("a verdict").holds());
        tamper(db, "UPDATE events SET kind = 'note.forged' WHERE seq = (SELECT min(seq) + 5 FROM events)").await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert_eq!(verdict.faults.iter().map(|fault| fault.number).collect::<Vec<_>>(), [2], "{verdict:?}");
        tamper(db, "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)").await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert_eq!(verdict.faults.iter().map(|fault| fault.number).collect::<Vec<_>>(), [2, 3], "{verdict:?}");
        assert!(verdict.faults[1].what.contains("covered 4 events, 3 are there"), "{verdict:?}");
        // Whoever also makes the links fit is caught by the link after.
        tamper(db, "DELETE FROM audit_links WHERE number = 2").await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert!(verdict.faults.iter().any(|fault| fault.what.contains("link 2 is missing")), "{verdict:?}");
    }

    async fn events_that_left_without_being_archived_show(db: TestDb) {
        let store = open(db).await;
        for linked in 0..3 {
            events(&store, 4).await;
            assert_eq!(link(&store, (linked + 1) * 4).await, 4);
        }
        tamper(db, "DELETE FROM events WHERE seq < (SELECT min(seq) + 8 FROM events)").await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert_eq!(verdict.faults.iter().map(|fault| fault.number).collect::<Vec<_>>(), [1, 2], "{verdict:?}");
    }

    async fn a_flood_is_linked_within_one_turn_and_looked_over_in_parts(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        // More than the twenty links that a turn once made.
        for _ in 0..42 {
            let told = store.write(&ctx, |tx| async move {
                for number in 0..500 {
                    tx.emit(NewEvent::new("note", new_id(), &NoteAdded { number }));
                }
                Ok(())
            });
            told.await.expect("told");
        }
        let mut covered = 0;
        for _ in 0..400 {
            let linked = store.link_events(Duration::from_secs(60)).await.expect("linked");
            covered += linked.events;
            if covered == 21_000 {
                assert_eq!(linked.behind, 0);
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(covered, 21_000);
        let (mut after, mut whole, mut parts) = (0, Verdict::default(), 0);
        loop {
            let page = store.verify_chain_after(after, Duration::ZERO).await.expect("a part");
            whole.add(page.verdict);
            parts += 1;
            let Some(next) = page.next else { break };
            assert!(next > after && page.of >= next);
            after = next;
        }
        assert!(parts > 1 && whole.holds() && whole.events == 21_000, "{parts} {whole:?}");
        assert_eq!(whole, store.verify_chain().await.expect("a verdict"));
    }
}
