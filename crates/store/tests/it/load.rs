//! Many writers at once: who waits for whom.

use crate::{add_note, open, somebody};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use synapscale_testkit::db_test;

db_test! {
    async fn a_flood_of_one_workspace_does_not_hold_up_another(db: TestDb) {
        let store = open(db).await;
        let (flooding, other) = (somebody(), somebody());
        let done = AtomicUsize::new(0);
        let flood = futures::future::join_all((0..300).map(|_| async {
            let written = store.write(&flooding, |tx| async move {
                tokio::time::sleep(Duration::from_millis(2)).await;
                add_note(&tx, "one of many").await
            });
            written.await.expect("written");
            done.fetch_add(1, Ordering::SeqCst);
        }));
        let one = async {
            // Behind all of the flood in time.
            tokio::time::sleep(Duration::from_millis(20)).await;
            store.write(&other, |tx| async move { add_note(&tx, "one alone").await }).await.expect("written");
            done.load(Ordering::SeqCst)
        };
        let (_, before) = futures::join!(flood, one);
        assert!(before < 150, "{before} of 300 went first");
    }
}
