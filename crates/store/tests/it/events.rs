//! The log: cursors and following. Consumers are in `groups`.

use crate::{open, somebody};
use schemars::JsonSchema;
use serde::Serialize;
use std::str::FromStr;
use synapscale_core::{Ctx, Error, EventPayload, NewEvent, Result, new_id};
use synapscale_store::Store;
use synapscale_store::events::{Cursor, Event, EventFilter};
use synapscale_testkit::{TestDb, db_test};

#[derive(Serialize, JsonSchema)]
pub struct NoteAdded {
    pub number: i64,
}

impl EventPayload for NoteAdded {
    const KIND: &'static str = "note.added";
    const ABOUT: &'static str = "A note was added.";
}

pub async fn tell(store: &Store, ctx: &Ctx, number: i64) {
    store
        .write(ctx, |tx| async move {
            tx.emit(NewEvent::new("note", new_id(), &NoteAdded { number }));
            Ok(())
        })
        .await
        .expect("told");
}

pub fn numbers(events: &[Event]) -> Vec<i64> {
    events
        .iter()
        .map(|event| event.data["number"].as_i64().expect("a number"))
        .collect()
}

/// Reads until the log is settled: on PostgreSQL others' running transactions hold it back for a moment.
pub async fn read_all(store: &Store, ctx: &Ctx, since: Option<&Cursor>, wanted: usize) -> Vec<Event> {
    for _ in 0..200 {
        let batch = store
            .events_after(ctx, since, &EventFilter::default(), 1000)
            .await
            .expect("read");
        if batch.events.len() >= wanted {
            return batch.events;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the log never settled");
}

db_test! {
    async fn events_stand_in_order_and_only_after_the_commit(db: TestDb) {
        let store = open(db).await;
        let (ours, theirs) = (somebody(), somebody());
        for number in 0..5 {
            tell(&store, &ours, number).await;
            tell(&store, &theirs, 100 + number).await;
        }
        let failed: Result<()> = store
            .write(&ours, |tx| async move {
                tx.emit(NewEvent::new("note", new_id(), &NoteAdded { number: 99 }));
                Err(Error::conflict("no", "no"))
            })
            .await;
        assert!(failed.is_err());
        let events = read_all(&store, &ours, None, 5).await;
        assert_eq!(numbers(&events), [0, 1, 2, 3, 4]);
        let token = events[1].cursor.to_string();
        let cursor = Cursor::from_str(&token).expect("a token");
        let rest = read_all(&store, &ours, Some(&cursor), 3).await;
        assert_eq!(numbers(&rest), [2, 3, 4]);
    }

    async fn followers_see_each_event_once(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let since = store.event_head(&ctx).await.expect("head");
        let mut follower = store.follow(ctx.clone(), since, EventFilter::parse("note.*").expect("kinds"));
        let writers = (0..50).map(|number| { let (store, ctx) = (store.clone(), ctx.clone()); async move { tell(&store, &ctx, number).await } });
        let reader = async {
            let mut seen = Vec::new();
            while seen.len() < 50 {
                seen.extend(numbers(&follower.next_batch().await.expect("batch").events));
            }
            seen
        };
        let (mut seen, _) = futures::join!(reader, futures::future::join_all(writers));
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
    }

    async fn foreign_and_broken_cursors_are_refused(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        for token in ["", "x", "AAAA", "!!!", &"A".repeat(10_000)] {
            assert_eq!(Cursor::from_str(token).expect_err("refused").code(), "invalid");
        }
        let other = TestDb::sqlite();
        let elsewhere = open(&other).await.event_head(&ctx).await.expect("head");
        let refused = store.events_after(&ctx, Some(&elsewhere), &EventFilter::default(), 10).await;
        assert_eq!(refused.expect_err("refused").code(), "invalid");
    }
}
