//! No acknowledgement before its data is on disk: the real server on SQLite, watched by strace. For each answered write, the
//! frame of the write-ahead log that holds its row, then a commit frame, then an fsync of the log that begins after it, all
//! came before the answer's first byte went to the socket.
//!
//! Where strace cannot watch, the test says SKIPPED; `scripts/strace.sh`, which `make test` runs, installs it and says why not.

use crate::process::{Server, bootstrap};
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use synapscale_core::new_id;
use synapscale_testkit::TestDb;

/// Callers at the same time, and requests of each.
const CALLERS: usize = 6;
const REQUESTS: usize = 8;
/// Longer than a page of the database with its name in hexadecimal.
const SHOWN: &str = "5000";
const CALLS: &str = "trace=write,writev,sendto,sendmsg,pwrite64,pwritev,fdatasync,fsync";
/// A frame of the log begins with so many bytes of its own; the second four are not zero where it commits.
const FRAME_HEAD: usize = 24;

fn strace_works() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-D", "-f", "-o", "/dev/null", "true"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// What a system call of interest was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A write to the write-ahead log.
    Log,
    /// A flush of it.
    Flush,
    /// A write to a socket.
    Socket,
}

/// A system call: the lines of the trace on which it began and ended, and what it wrote.
#[derive(Debug)]
struct Call {
    what: What,
    began: usize,
    ended: usize,
    bytes: Vec<u8>,
}

/// The bytes of all quoted parts, which strace writes as `"\x61\x62"`.
fn bytes_of(text: &str) -> Vec<u8> {
    let quoted = text.split('"').skip(1).step_by(2);
    quoted.flat_map(unescaped).collect()
}

fn unescaped(hex: &str) -> Vec<u8> {
    let codes = hex.split("\\x").skip(1);
    codes
        .filter_map(|code| u8::from_str_radix(code.get(..2)?, 16).ok())
        .collect()
}

/// Reads `PID call(FD<path>, …) = n`, also where it is cut into `<unfinished ...>` and `<... call resumed>`.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, rest)) = text.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if rest.starts_with("<...") {
            if let Some(index) = open.remove(thread) {
                calls[index].ended = line;
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        let place = arguments
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let Some((place, arguments)) = place else { continue };
        let place = String::from_utf8_lossy(&unescaped(place)).into_owned();
        let flush = ["fdatasync", "fsync"].contains(&name);
        let what = match (
            place.ends_with("-wal"),
            place.contains("socket:") || place.contains("TCP"),
            flush,
        ) {
            (true, _, true) => What::Flush,
            (true, _, false) => What::Log,
            (_, true, _) => What::Socket,
            _ => continue,
        };
        let unfinished = text.ends_with("<unfinished ...>");
        if unfinished {
            open.insert(thread, calls.len());
        }
        calls.push(Call {
            what,
            began: line,
            // Until its end is seen it has none.
            ended: if unfinished { usize::MAX } else { line },
            bytes: bytes_of(arguments),
        });
    }
    calls
}

fn holds(call: &Call, text: &str) -> bool {
    call.bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// Why the answer that carries `id` came too early for the row that holds `mark`, if it did.
fn too_early(calls: &[Call], id: &str, mark: &str) -> Option<String> {
    let answer = calls
        .iter()
        .find(|call| call.what == What::Socket && holds(call, id));
    let Some(answer) = answer else {
        return Some(format!("no answer with {id} was seen"));
    };
    let log = || {
        calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.what == What::Log)
    };
    let Some((row, _)) = log().find(|(_, call)| call.bytes.len() > FRAME_HEAD && holds(call, mark)) else {
        return Some(format!("{mark} was never written to the log"));
    };
    // The head of a committing frame; it may be that of the row's own page, which is written just after its head.
    let commits = |call: &Call| call.bytes.len() == FRAME_HEAD && call.bytes[4..8] != [0; 4];
    let first = row.saturating_sub(1);
    let Some((head, _)) = log().find(|(index, call)| *index >= first && commits(call)) else {
        return Some(format!("the commit of {mark} was never written"));
    };
    let page = log().find(|(index, _)| *index > head).map(|(_, call)| call.ended);
    let flushed = calls
        .iter()
        .filter(|call| call.what == What::Flush && page.is_some_and(|page| call.began > page))
        .any(|call| call.ended < answer.began);
    (!flushed).then(|| {
        format!(
            "{mark} was acknowledged on line {} before it was flushed",
            answer.began
        )
    })
}

/// One write each: its request id and the text that its row holds.
async fn caller(server: &Server, number: usize, project: &str) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for turn in 0..REQUESTS {
        let (id, mark) = (
            new_id().to_string(),
            format!("mark-{number}-{turn}-{}", new_id().simple()),
        );
        let (path, body) = match turn % 3 {
            0 => ("/api/v1/projects".to_owned(), json!({ "name": mark })),
            1 => (
                format!("/api/v1/projects/{project}/tasks"),
                json!({ "title": mark }),
            ),
            _ => {
                let task = json!({ "op": "create", "project_id": project, "body": { "title": mark } });
                ("/api/v1/patches".to_owned(), json!({ "task_patches": [task] }))
            }
        };
        let request = server
            .request(Method::POST, &path)
            .header("x-request-id", &id)
            .json(&body);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        told.push((id, mark));
    }
    told
}

/// The tracer is no child of ours: it has written everything when it has written that the server ended.
async fn whole_trace(path: &Path, pid: u32) -> String {
    let end = format!("{pid} +++ exited");
    for _ in 0..2400 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if text.lines().any(|line| line.starts_with(&end)) {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the trace of {pid} never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_it_is_flushed() {
    if !strace_works() {
        eprintln!("SKIPPED: strace cannot watch a process here (scripts/strace.sh says why)");
        return;
    }
    let db = TestDb::sqlite();
    let owner = bootstrap(&db).await;
    let trace = db.folder().join("strace.txt");
    let out = trace.to_str().expect("UTF-8").to_owned();
    let under = [
        "strace",
        "-D",
        "-f",
        "-y",
        "-xx",
        "-s",
        SHOWN,
        "--seccomp-bpf",
        "-e",
        CALLS,
        "-o",
        &out,
    ];
    let mut server = Server::start_under(&db, &owner.api_key, &under).await;
    let pid = server.pid();
    let project = server.project("durable").await;
    let told = join_all((0..CALLERS).map(|number| caller(&server, number, &project))).await;
    let seen = server
        .ask(Method::GET, "/api/v1/tasks?limit=1", Value::Null)
        .await;
    assert_eq!(seen["items"].as_array().expect("items").len(), 1);
    server.stop().await;
    let calls = calls(&whole_trace(&trace, pid).await);
    let early: Vec<String> = told
        .iter()
        .flatten()
        .filter_map(|(id, mark)| too_early(&calls, id, mark))
        .collect();
    assert!(
        early.is_empty(),
        "{} of {}: {early:#?}",
        early.len(),
        CALLERS * REQUESTS
    );
    let flushes = calls.iter().filter(|call| call.what == What::Flush).count();
    assert!(flushes > 2, "{flushes} flushes");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `text` as strace writes it with `-xx`.
    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn head(commit: bool) -> String {
        let mut head = [0_u8; FRAME_HEAD];
        head[7] = u8::from(commit);
        head.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    fn trace(lines: &[&str]) -> Vec<Call> {
        let (log, page) = (
            hex("/d/synapscale.db-wal"),
            hex("a long page of the database that holds mark-1"),
        );
        let lines = lines.iter().map(|line| match *line {
            "head" => format!("7 pwrite64(9<{log}>, \"{}\", 24, 0) = 24", head(false)),
            "commit" => format!("7 pwrite64(9<{log}>, \"{}\", 24, 0) = 24", head(true)),
            "row" => format!("7 pwrite64(9<{log}>, \"{page}\", 4096, 24) = 4096"),
            "page" => format!(
                "7 pwrite64(9<{log}>, \"{}\", 4096, 24) = 4096",
                hex("another page of the database")
            ),
            "flush" => format!("7 fsync(9<{log}>) = 0"),
            "flush begins" => format!("7 fsync(9<{log}> <unfinished ...>"),
            "flush ends" => "7 <... fsync resumed>) = 0".to_owned(),
            "answer" => format!(
                "8 writev(20<{}>, [{{iov_base=\"{}\", iov_len=9}}], 1) = 9",
                hex("socket:[1]"),
                hex("HTTP id-1")
            ),
            other => panic!("{other}"),
        });
        calls(&lines.collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn an_answer_after_the_flush_is_well() {
        for good in [
            &["head", "row", "commit", "page", "flush", "answer"][..],
            &["commit", "row", "flush", "answer"],
            &[
                "head",
                "row",
                "commit",
                "page",
                "flush begins",
                "flush ends",
                "answer",
            ],
        ] {
            assert_eq!(too_early(&trace(good), "id-1", "mark-1"), None, "{good:?}");
        }
    }

    #[test]
    fn an_answer_before_the_flush_is_found() {
        for bad in [
            &["head", "row", "commit", "page", "answer", "flush"][..],
            &["flush", "head", "row", "commit", "page", "answer"],
            &["head", "row", "flush", "commit", "page", "answer"],
            &["head", "row", "commit", "flush", "page", "answer"],
            &[
                "head",
                "row",
                "commit",
                "page",
                "flush begins",
                "answer",
                "flush ends",
            ],
            &["head", "row", "flush", "answer"],
            &["answer", "flush"],
            &["head", "row", "commit", "page", "flush"],
        ] {
            assert!(too_early(&trace(bad), "id-1", "mark-1").is_some(), "{bad:?}");
        }
    }
}
