//! Following one workspace with many others: the log's end from memory, what is further back from the database.

use crate::events::{NoteAdded, tell};
use crate::{open, somebody};
use futures::future::join_all;
use std::time::Duration;
use synapscale_core::{Ctx, NewEvent, new_id};
use synapscale_store::Store;
use synapscale_store::events::{Cursor, EventFilter, LiveFollower};
use synapscale_testkit::db_test;

const SOON: Duration = Duration::from_secs(30);

async fn head(store: &Store, ctx: &Ctx) -> Cursor {
    store.event_head(ctx).await.expect("head")
}

fn all() -> EventFilter {
    EventFilter::default()
}

/// So many numbers as a follower hears them; its text says the same.
async fn hear(follower: &mut LiveFollower, count: usize) -> Vec<i64> {
    let hearing = async {
        let mut heard = Vec::new();
        while heard.len() < count {
            for told in follower.next_events().await.expect("events") {
                let number = told.event.data["number"].as_i64().expect("a number");
                assert!(
                    told.json.contains(&format!("\"number\":{number}")),
                    "{}",
                    told.json
                );
                heard.push(number);
            }
        }
        heard
    };
    tokio::time::timeout(SOON, hearing).await.expect("in time")
}

/// Several events in one transaction.
async fn tell_all(store: &Store, ctx: &Ctx, numbers: std::ops::Range<i64>) {
    store
        .write(ctx, |tx| {
            let numbers = numbers.clone();
            async move {
                for number in numbers {
                    tx.emit(NewEvent::new("note", new_id(), &NoteAdded { number }));
                }
                Ok(())
            }
        })
        .await
        .expect("told");
}

db_test! {
    async fn all_followers_hear_all_of_their_own_in_order(db: TestDb) {
        let store = open(db).await;
        let workspaces = [somebody(), somebody()];
        let mut followers = Vec::new();
        for (place, ctx) in workspaces.iter().enumerate() {
            let since = head(&store, ctx).await;
            for _ in 0..20 {
                followers.push((place, store.follow_live(ctx.clone(), since, all())));
            }
        }
        let telling = workspaces.iter().enumerate().map(|(place, ctx)| {
            let (store, first) = (&store, place as i64 * 1000);
            async move {
                for number in first..first + 40 {
                    tell(store, ctx, number).await;
                }
            }
        });
        let hearing = followers.iter_mut().map(|(place, follower)| {
            let first = *place as i64 * 1000;
            async move { assert_eq!(hear(follower, 40).await, (first..first + 40).collect::<Vec<_>>()) }
        });
        futures::join!(join_all(telling), join_all(hearing));
    }

    async fn who_is_far_behind_catches_up_and_then_hears_the_rest(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let since = head(&store, &ctx).await;
        // One is there from the start, so that the end is kept in memory; more comes than is kept.
        let mut early = store.follow_live(ctx.clone(), since, all());
        for part in 0..13 {
            tell_all(&store, &ctx, part * 100..(part + 1) * 100).await;
        }
        let mut late = store.follow_live(ctx.clone(), since, all());
        let wanted: Vec<i64> = (0..1301).collect();
        let (one, other, ()) = futures::join!(hear(&mut early, 1301), hear(&mut late, 1301), tell(&store, &ctx, 1300));
        assert_eq!((&one, &other), (&wanted, &wanted));
    }

    async fn followers_come_and_go(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let since = head(&store, &ctx).await;
        let mut first = store.follow_live(ctx.clone(), since, all());
        tell(&store, &ctx, 0).await;
        assert_eq!(hear(&mut first, 1).await, [0]);
        drop(first);
        for round in 1..4 {
            // Nobody hears this one at once.
            tell(&store, &ctx, 2 * round - 1).await;
            let mut next = store.follow_live(ctx.clone(), since, all());
            let before: Vec<i64> = (0..2 * round).collect();
            assert_eq!(hear(&mut next, before.len()).await, before);
            tell(&store, &ctx, 2 * round).await;
            assert_eq!(hear(&mut next, 1).await, [2 * round]);
        }
    }

    async fn a_filter_passes_over_what_is_not_wanted(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        let since = head(&store, &ctx).await;
        let mut none = store.follow_live(ctx.clone(), since, EventFilter::parse("task.*").expect("kinds"));
        let mut some = store.follow_live(ctx.clone(), since, EventFilter::parse("note.added").expect("kinds"));
        for number in 0..5 {
            tell(&store, &ctx, number).await;
        }
        assert_eq!(hear(&mut some, 5).await, [0, 1, 2, 3, 4]);
        let quiet = tokio::time::timeout(Duration::from_millis(300), none.next_events()).await;
        assert!(quiet.is_err(), "nothing of that kind happened");
    }
}
