//! Deaths at the worst moment: a migration killed half-way, a write-ahead log whose last frame was half written.

use super::Kept;
use crate::process::{Server, bootstrap, command, spawned};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use synapscale_testkit::{TestDb, db_test};

/// A frame's own head, and a page as this product makes databases.
const HEAD: usize = 24;
const PAGE: usize = 4096;
/// The log's own head.
const LOG_HEAD: usize = 32;

db_test! {
    async fn a_migration_that_was_killed_is_finished_by_the_next(db: TestDb) {
        let mut killed = 0;
        // Moments spread over the whole of it, which takes longer on a busy machine.
        for moment in [5, 15, 25, 40, 60, 90, 130, 180, 260] {
            let mut child = spawned(db, &["db", "migrate"]);
            tokio::time::sleep(Duration::from_millis(moment)).await;
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            child.start_kill().expect("killed");
            child.wait().await.expect("gone");
            killed += 1;
        }
        assert!(killed > 0, "it was over before it could be killed");
        let (code, out, err) = command(db, &["db", "migrate"]).await;
        assert_eq!(code, 0, "{out}\n{err}");
        let (code, out, err) = command(db, &["db", "check"]).await;
        assert_eq!(code, 0, "{out}\n{err}");
        let owner = bootstrap(db).await;
        let server = Server::start(db, &owner.api_key, &[]).await;
        let mut kept = Kept::default();
        assert_eq!(kept.make(&server).await, None);
        kept.check(&server).await;
    }
}

/// Where the last whole commit of a log ends: frames follow one another as long as their salts are the log's.
fn end_of_log(log: &[u8]) -> usize {
    let salts = &log[16..24];
    let mut end = LOG_HEAD;
    let mut place = LOG_HEAD;
    while let Some(frame) = log.get(place..place + HEAD + PAGE) {
        if &frame[8..16] != salts {
            break;
        }
        place += HEAD + PAGE;
        if frame[4..8] != [0; 4] {
            end = place;
        }
    }
    end
}

/// Writes behind the last commit what a machine may leave that lost power while writing the next one.
fn tear(path: &Path, half: &[u8]) {
    let mut log = fs::read(path).expect("a log");
    let end = end_of_log(&log);
    assert!(end > LOG_HEAD, "the log holds a commit");
    let torn = [&log[end - HEAD - PAGE..end - PAGE], half].concat();
    log.truncate(end);
    log.extend_from_slice(&torn);
    let mut file = fs::File::create(path).expect("the log");
    file.write_all(&log).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_end_of_the_log_costs_nothing_that_was_acknowledged() {
    let db = TestDb::sqlite();
    let owner = bootstrap(&db).await;
    let mut kept = Kept::default();
    let path = db.folder().join("synapscale.db-wal");
    // Half a page; a whole page that is not what its checksum says; a commit's head and nothing behind it.
    for half in [vec![7; PAGE / 2], vec![7; PAGE], Vec::new()] {
        let mut server = Server::start(&db, &owner.api_key, &[]).await;
        for _ in 0..4 {
            assert_eq!(kept.make(&server).await, None);
        }
        server.kill().await;
        tear(&path, &half);
        let mut server = Server::start(&db, &owner.api_key, &[]).await;
        kept.check(&server).await;
        assert_eq!(kept.make(&server).await, None);
        server.kill().await;
    }
    let (code, out, err) = command(&db, &["db", "check"]).await;
    assert_eq!(code, 0, "{out}\n{err}");
}
