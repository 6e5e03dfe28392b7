//! The long form of `crash`: killed two hundred times on each database, with the book reconciled after each. Not part of
//! `make test`; `make soak` runs it, and `SYNAPSCALE_SOAK_KILLS` says how often.

use crate::crash::Killed;
use std::time::Instant;
use synapscale_testkit::TestDb;

const KILLS: usize = 200;

#[allow(clippy::disallowed_methods, reason = "whoever runs the test says how often")]
fn kills() -> usize {
    let told = std::env::var("SYNAPSCALE_SOAK_KILLS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

async fn soak(name: &str, db: &TestDb) {
    let (kills, began) = (kills(), Instant::now());
    let mut killed = Killed::start(db).await;
    for kill in 0..kills {
        killed.kill(kill).await;
        killed.reconcile().await;
        let (runs, patches) = killed.acknowledged();
        eprintln!(
            "soak: {name}: killed {} of {kills}; {runs} runs and {patches} patch sets acknowledged, all there once; {:.0?}",
            kill + 1,
            began.elapsed()
        );
    }
    let (runs, patches) = killed.acknowledged();
    eprintln!(
        "soak: {name}: WELL after {kills} kills: {runs} runs, {patches} patch sets; {:.0?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes the better part of an hour: make soak"]
async fn sqlite() {
    soak("sqlite", &TestDb::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes the better part of an hour: make soak"]
async fn postgres() {
    let db = TestDb::postgres().await;
    soak("postgres", &db).await;
    db.discard().await;
}
