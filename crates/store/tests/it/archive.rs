//! Old events leave the log for the archive, and nothing of them is lost: the chain holds across it, a workspace's own look
//! at its past finds them, and who would miss some is told.

use crate::chain::{link, tamper};
use crate::events::{numbers, read_all, tell};
use crate::groups::{Fault, Recorder, Rig, Via, group_of};
use crate::{open, somebody};
use std::time::Duration;
use synapscale_core::Ctx;
use synapscale_store::Store;
use synapscale_store::events::{Archived, Event, EventFilter};
use synapscale_testkit::db_test;

const LONG: Duration = Duration::from_secs(60);

async fn archive(store: &Store) -> Archived {
    store
        .archive_events(Duration::ZERO, LONG, |_| Box::pin(async {}))
        .await
        .expect("archived")
}

/// A workspace's whole past, in pages.
async fn past(store: &Store, ctx: &Ctx, newest_first: bool, page: u32) -> Vec<Event> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let batch = store.read(ctx, |tx| async move {
            tx.events_and_archived(from.as_ref(), &EventFilter::default(), page, newest_first)
                .await
        });
        let batch = batch.await.expect("read");
        all.extend(batch.events);
        if !batch.more {
            return all;
        }
        from = Some(batch.next);
    }
}

db_test! {
    async fn what_is_old_is_archived_and_found_again(db: TestDb) {
        let store = open(db).await;
        let (ours, theirs) = (somebody(), somebody());
        for number in 0..6 {
            tell(&store, &ours, number).await;
            tell(&store, &theirs, 100 + number).await;
        }
        assert_eq!(link(&store, 12).await, 12);
        let before = past(&store, &ours, false, 100).await;
        assert_eq!(archive(&store).await, Archived { spans: 1, events: 12, removed: 12, more: false });
        // One event told of it; that one stays, being in no link yet.
        assert_eq!(archive(&store).await, Archived::default());
        for number in 6..9 {
            tell(&store, &ours, number).await;
        }
        read_all(&store, &ours, None, 3).await;
        assert_eq!(numbers(&past(&store, &ours, false, 100).await), (0..9).collect::<Vec<_>>());
        for page in [1, 2, 4, 100] {
            assert_eq!(numbers(&past(&store, &ours, false, page).await), (0..9).collect::<Vec<_>>(), "{page}");
            assert_eq!(numbers(&past(&store, &ours, true, page).await), (0..9).rev().collect::<Vec<_>>(), "{page}");
        }
        let again = past(&store, &ours, false, 100).await;
        let json = |events: &[Event]| serde_json::to_string(&events[..6]).expect("JSON");
        assert_eq!(json(&before), json(&again));
        assert_eq!(before[5].cursor, again[5].cursor);
        let listed = store.read(&ours, |tx| async move { tx.archives(None, 10).await }).await.expect("archives");
        assert_eq!(listed.iter().map(|archive| archive.events).collect::<Vec<_>>(), [6]);
        assert_eq!(listed[0].until, before[5].cursor);
        assert_eq!(store.read(&somebody(), |tx| async move { tx.archives(None, 10).await }).await.expect("archives").len(), 0);
        // Live readers go on as before; whoever stands before the archive's end is told.
        for there in [again[7].cursor, before[5].cursor] {
            assert_eq!(store.replay_gap(&ours, &there).await.expect("asked"), None);
        }
        assert_eq!(store.replay_gap(&ours, &before[4].cursor).await.expect("asked"), Some(before[5].cursor));
        let missed = before[4].cursor;
        let gap = store.read(&ours, |tx| async move { tx.check_cursor(&missed).await }).await.expect_err("a gap");
        assert!(gap.code() == "replay_gap" && gap.message().contains(&before[5].cursor.to_string()), "{gap}");
        assert_eq!(store.replay_gap(&somebody(), &missed).await.expect("asked"), None);
        // A workspace whose events all left still has an end.
        let end = store.event_head(&theirs).await.expect("a cursor");
        assert_eq!(store.replay_gap(&theirs, &end).await.expect("asked"), None);
    }

    async fn the_chain_holds_across_the_archive_and_shows_a_changed_one(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        for round in 0..3 {
            for number in 0..4 {
                tell(&store, &ctx, number).await;
            }
            link(&store, 4 * (round + 1)).await;
        }
        archive(&store).await;
        tell(&store, &ctx, 9).await;
        for _ in 0..400 {
            if link(&store, 2).await > 0 {
                break;
            }
        }
        let verdict = store.verify_chain().await.expect("a verdict");
        assert!(verdict.holds() && verdict.archived == 3 && verdict.events >= 13, "{verdict:?}");
        // Whoever changes an object is found out by the chain, not by what stands beside the object.
        tamper_archives(db, "UPDATE event_archives SET sha256 = sha256, events = events - 1, blob_id = blob_id").await;
        assert!(store.verify_chain().await.expect("a verdict").holds());
        let flip = match db.is_postgres() {
            true => "UPDATE event_archives SET sha256 = decode('00', 'hex')",
            false => "UPDATE event_archives SET sha256 = x'00'",
        };
        tamper_archives(db, flip).await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert_eq!(verdict.faults.iter().map(|fault| fault.number).collect::<Vec<_>>(), [1, 2, 3], "{verdict:?}");
        assert!(verdict.faults[0].what.contains("archive_changed"), "{verdict:?}");
        tamper_archives(db, "DELETE FROM event_archives").await;
        let verdict = store.verify_chain().await.expect("a verdict");
        assert!(verdict.faults[0].what.contains("covered 4 events, 0 are there"), "{verdict:?}");
    }

    async fn archiving_goes_on_wherever_it_was_ended(db: TestDb) {
        let store = open(db).await;
        let ctx = somebody();
        for number in 0..30 {
            tell(&store, &ctx, number).await;
            if number % 3 == 2 {
                link(&store, usize::try_from(number + 1).expect("a number")).await;
            }
        }
        // Ended at any point: at each await of the work, so to speak.
        for wait in 0..60 {
            let work = store.archive_events(Duration::ZERO, LONG, |_| Box::pin(async {}));
            if tokio::time::timeout(Duration::from_millis(wait), work).await.is_ok() {
                break;
            }
        }
        archive(&store).await;
        assert_eq!(numbers(&past(&store, &ctx, false, 7).await), (0..30).collect::<Vec<_>>());
        let verdict = store.verify_chain().await.expect("a verdict");
        assert!(verdict.holds() && verdict.archived == 10, "{verdict:?}");
    }

    async fn what_a_group_has_not_settled_stays_unless_it_is_abandoned(db: TestDb) {
        let rig = Rig::over(db, Via::Log).await;
        let ctx = somebody();
        let recorder = Recorder::new("behind", &[(1, Fault::Fails)]);
        rig.turn(&group_of(&recorder)).await.expect("a turn");
        for number in 0..4 {
            tell(&rig.store, &ctx, number).await;
        }
        assert_eq!(link(&rig.store, 4).await, 4);
        assert_eq!(archive(&rig.store).await, Archived::default());
        rig.until(&recorder, 3).await;
        // The dead letter's own event comes after the link.
        assert_eq!(archive(&rig.store).await.events, 4);
        // What is archived can still be handled again.
        let letters = rig.store.read(&ctx, |tx| async move { tx.dead_letters(None, None, 10).await });
        let id = letters.await.expect("letters")[0].id;
        recorder.mend();
        rig.store.write(&ctx, |tx| async move { tx.replay_dead_letters(&[id]).await }).await.expect("queued");
        rig.until(&recorder, 4).await;
        assert_eq!(recorder.numbers(), [0, 2, 3, 1]);
        // A group that was away for too long holds nothing up, and goes on behind what has left.
        rig.abandon("behind").await;
        tell(&rig.store, &ctx, 4).await;
        while numbers_left(&rig.store, &ctx).await == 0 {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        for _ in 0..400 {
            link(&rig.store, 1).await;
            archive(&rig.store).await;
            if numbers_left(&rig.store, &ctx).await == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        tell(&rig.store, &ctx, 5).await;
        rig.elsewhere().until(&recorder, 5).await;
        assert_eq!(recorder.numbers(), [0, 2, 3, 1, 5]);
    }
}

/// Live events of the kind that the tests tell.
async fn numbers_left(store: &Store, ctx: &Ctx) -> usize {
    let filter = EventFilter::parse("note.*").expect("kinds");
    store
        .events_after(ctx, None, &filter, 100)
        .await
        .expect("events")
        .events
        .len()
}

async fn tamper_archives(db: &synapscale_testkit::TestDb, sql: &str) {
    let sql = match db.is_postgres() {
        true => format!(
            "ALTER TABLE event_archives NO FORCE ROW LEVEL SECURITY; {sql}; \
             ALTER TABLE event_archives FORCE ROW LEVEL SECURITY"
        ),
        false => sql.to_owned(),
    };
    tamper(db, &sql).await;
}
