//! The floors: what the machine does without us.

use crate::harness::{Load, Measured, Process, drive};
use reqwest::Method;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use std::time::{Duration, Instant};

const PORT: &str = "SYNAPSCALE_FLOOR_PORT";

/// Serves a constant, as the child process of [`axum`].
#[allow(
    clippy::disallowed_methods,
    reason = "the parent tells the port by a variable"
)]
pub fn serve_axum() {
    let port: u16 = std::env::var(PORT).expect("a port").parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let router = axum::Router::new().route("/", axum::routing::get(|| async { "{\"ok\":true}" }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .expect("the port");
        axum::serve(listener, router).await.expect("serving");
    });
}

/// A bare axum answer.
pub async fn axum(callers: usize, span: Duration) -> Measured {
    let port = crate::harness::free_port();
    let child = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .arg("--floor-axum")
        .env(PORT, port.to_string())
        .kill_on_drop(true)
        .spawn()
        .expect("a child");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let process = Process::of(child.id().expect("a process id"));
    let load = Load::new("floor: a bare axum answer", Method::GET, "/", None, callers);
    drive(
        "-",
        &process,
        &format!("http://127.0.0.1:{port}"),
        "",
        &load,
        span,
    )
    .await
}

/// Single durable commits on this disk, one after the other.
pub async fn sqlite_commit() -> Measured {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("floor.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut conn = SqliteConnection::connect_with(&options)
        .await
        .expect("a database");
    sqlx::query("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        .execute(&mut conn)
        .await
        .expect("a table");
    let process = Process::of(std::process::id());
    let (cpu, began) = (process.cpu(), Instant::now());
    let mut times = Vec::new();
    while began.elapsed() < Duration::from_secs(3) {
        let one = Instant::now();
        sqlx::query("INSERT INTO t (x) VALUES ('x')")
            .execute(&mut conn)
            .await
            .expect("a row");
        times.push(one.elapsed());
    }
    Measured::new(
        "floor: a bare durable commit",
        "sqlite",
        times,
        began.elapsed(),
        process.cpu() - cpu,
    )
}
