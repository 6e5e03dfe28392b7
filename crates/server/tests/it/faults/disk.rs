//! A disk that is full, and one that fails: writes are refused with a typed problem, reads go on, and writing goes on by
//! itself as soon as there is room.

use super::Kept;
use crate::process::{Server, bootstrap, command, until};
use reqwest::Method;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use synapscale_testkit::TestDb;

/// Room for the database and a little more.
const ROOM: &str = "size=24m";

/// How this user gets a file system of its own, gone with the process: as root, or in a user namespace.
fn own_mounts() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-rm"]];
    ways.into_iter().find(|way| {
        let mut probe = Command::new(way[0]);
        probe
            .args(&way[1..])
            .args(["sh", "-c", "mount -t tmpfs none /tmp"]);
        probe.stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })
}

/// A folder that the server sees as a small disk, and the way there from outside.
struct SmallDisk {
    folder: PathBuf,
    seen: PathBuf,
}

impl SmallDisk {
    /// Takes all room that is left.
    fn fill(&self) {
        let filler = self.seen.join("filler");
        let mut dd = Command::new("dd");
        dd.args(["if=/dev/zero", "bs=4096"])
            .arg(format!("of={}", filler.display()));
        dd.stdout(Stdio::null()).stderr(Stdio::null());
        assert!(
            !dd.status().expect("dd runs").success(),
            "{} never fills up",
            self.folder.display()
        );
    }

    fn make_room(&self) {
        std::fs::remove_file(self.seen.join("filler")).expect("removed");
    }
}

/// What holds for both: refused and recovered, nothing lost, and a database without a fault.
async fn refused_then_recovered(
    server: &mut Server,
    kept: &mut Kept,
    codes: &[&str],
    mend: impl FnOnce(&Server),
) {
    until("a write is refused", async || match kept.make(server).await {
        Some(code) => {
            assert!(codes.contains(&code.as_str()), "{code}");
            true
        }
        None => false,
    })
    .await;
    for _ in 0..5 {
        assert!(kept.make(server).await.is_some(), "it stays refused");
        server.get("/api/v1/projects?limit=1").await;
        server.get("/api/v1/me").await;
    }
    let alive = server
        .anonymous(Method::GET, "/healthz")
        .send()
        .await
        .expect("an answer");
    assert_eq!(alive.status(), 200);
    mend(server);
    until("writing goes on", async || kept.make(server).await.is_none()).await;
    for _ in 0..5 {
        assert_eq!(kept.make(server).await, None);
    }
    kept.check(server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let Some(way) = own_mounts() else {
        eprintln!("SKIPPED: no file system of one's own can be mounted here");
        return;
    };
    let db = TestDb::sqlite();
    let owner = bootstrap(&db).await;
    let mut kept = Kept::default();
    // The database that was made outside is copied onto the small disk, which only the server's process sees.
    let folder = db.folder().to_str().expect("UTF-8");
    let script = format!(
        "cp -a {folder} {folder}.full && mount -t tmpfs -o {ROOM},mode=0700 none {folder} && \
         cp -a {folder}.full/. {folder}/ && rm -rf {folder}.full && exec \"$@\""
    );
    let under: Vec<&str> = way.iter().copied().chain(["sh", "-c", &script, "sh"]).collect();
    let mut server = Server::start_under(&db, &owner.api_key, &under).await;
    let disk = SmallDisk {
        seen: PathBuf::from(format!("/proc/{}/root{folder}", server.pid())),
        folder: db.folder().to_owned(),
    };
    assert_eq!(kept.make(&server).await, None);
    disk.fill();
    refused_then_recovered(&mut server, &mut kept, &["disk_full"], |_| disk.make_room()).await;
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_refuses_writes_and_is_used_again_when_it_works() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: only Linux sets the limits of a running process");
        return;
    }
    let db = TestDb::sqlite();
    let owner = bootstrap(&db).await;
    let mut kept = Kept::default();
    // With the signal ignored, a write beyond the limit fails as on a broken disk.
    let under = ["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"];
    let limit = |server: &Server, bytes: &str| {
        let mut prlimit = Command::new("prlimit");
        prlimit
            .args(["--pid", &server.pid().to_string()])
            .arg(format!("--fsize={bytes}:"));
        assert!(prlimit.status().expect("prlimit runs").success());
    };
    let mut server = Server::start_under(&db, &owner.api_key, &under).await;
    assert_eq!(kept.make(&server).await, None);
    limit(&server, "1024");
    let codes = ["database_unavailable", "disk_full"];
    refused_then_recovered(&mut server, &mut kept, &codes, |server| {
        limit(server, "unlimited")
    })
    .await;
    server.kill().await;
    let server = Server::start(&db, &owner.api_key, &[]).await;
    kept.check(&server).await;
    drop(server);
    let (code, out, err) = command(&db, &["db", "check"]).await;
    assert_eq!(code, 0, "{out}\n{err}");
}
