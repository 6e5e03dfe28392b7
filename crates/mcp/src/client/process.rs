//! A server as a process of ours: a clean environment, a process group of its own, bounded lines, and an end for the whole
//! group whatever happens.

use crate::secrets::Credentials;
use crate::tools::clean;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long it may take to end by itself once its input is closed.
const GRACE: Duration = Duration::from_millis(500);
/// How much of what it complains of is kept, in bytes.
const TAIL: usize = 4 * 1024;
/// Longest line, in bytes.
pub(crate) const MAX_LINE: usize = 8 * 1024 * 1024;

/// What is to be started.
pub(crate) struct Program<'a> {
    pub command: &'a str,
    pub args: &'a [String],
    pub credentials: &'a Credentials,
    /// Where programs are looked for.
    pub path: &'a str,
    /// Its home and working directory.
    pub home: PathBuf,
}

/// A running process. Dropped, its whole group ends.
pub(crate) struct Process {
    notes: Arc<Notes>,
    _stop: DropGuard,
}

/// What is known of a process.
#[derive(Default)]
struct Notes {
    tail: Mutex<VecDeque<u8>>,
    exit: Mutex<Option<String>>,
    long_line: AtomicBool,
}

impl Process {
    /// Starts `program`. Its end is awaited by a task.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Program<'_>,
        tasks: &TaskTracker,
    ) -> io::Result<(BoundedLines, ChildStdin, Process)> {
        std::fs::create_dir_all(&program.home)?;
        let mut command = Command::new(program.command);
        command
            .args(program.args)
            .env_clear()
            .env("PATH", program.path)
            .env("HOME", &program.home)
            .env("TMPDIR", &program.home)
            .env("LANG", "C.UTF-8")
            .envs(&program.credentials.env)
            .current_dir(&program.home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let gone = || io::Error::other("its pipes are gone");
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let notes = Arc::<Notes>::default();
        let stop = CancellationToken::new();
        tasks.spawn(listen(stderr, notes.clone()));
        tasks.spawn(watch(child, stop.clone(), notes.clone()));
        let lines = BoundedLines {
            inner: stdout,
            run: 0,
            notes: notes.clone(),
        };
        let process = Process {
            notes,
            _stop: stop.drop_guard(),
        };
        Ok((lines, stdin, process))
    }

    /// What became of it, and what it said last, as the end of a sentence.
    pub fn account(&self) -> Option<String> {
        if self.notes.long_line.load(Ordering::Acquire) {
            return Some(format!("it wrote a line of more than {MAX_LINE} bytes"));
        }
        let locked = self.notes.exit.lock();
        let exit = locked.unwrap_or_else(PoisonError::into_inner).clone();
        let tail: Vec<u8> = {
            let tail = self.notes.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.iter().copied().collect()
        };
        let said = clean(&String::from_utf8_lossy(&tail), TAIL).replace(['\n', '\t'], " ");
        match (exit, said.is_empty()) {
            (None, true) => None,
            (Some(exit), true) => Some(exit),
            (exit, false) => {
                let from = said.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
                let exit = exit.unwrap_or_else(|| "it still runs".to_owned());
                Some(format!(
                    "{exit}; it last complained: {}",
                    said[from..].trim_end_matches('.')
                ))
            }
        }
    }
}

/// Awaits the end of a process, or brings it about. What it left behind in its group ends with it.
async fn watch(mut child: Child, stop: CancellationToken, notes: Arc<Notes>) {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let ended = tokio::select! {
        ended = child.wait() => Some(ended),
        () = stop.cancelled() => tokio::time::timeout(GRACE, child.wait()).await.ok(),
    };
    if let Some(group) = group {
        // An empty group is none, which is as good.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let ended = match ended {
        Some(ended) => ended,
        None => child.wait().await,
    };
    let text = match ended {
        Ok(status) => format!("its process ended ({status})"),
        Err(_) => "its process is gone".to_owned(),
    };
    *notes.exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
}

/// Keeps the end of what a process complains of.
async fn listen(mut stderr: ChildStderr, notes: Arc<Notes>) {
    let mut buffer = [0_u8; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let mut tail = notes.tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend(buffer.iter().take(read));
        let over = tail.len().saturating_sub(TAIL);
        tail.drain(..over);
    }
}

/// The output of a process, which ends at a line that is too long: dropping the line alone would leave its reader waiting.
pub(crate) struct BoundedLines {
    inner: ChildStdout,
    run: usize,
    notes: Arc<Notes>,
}

impl AsyncRead for BoundedLines {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &polled {
            let fresh = buf.filled().get(before..).unwrap_or_default();
            this.run = match fresh.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => fresh.len() - at - 1,
                None => this.run + fresh.len(),
            };
            if this.run > MAX_LINE {
                this.notes.long_line.store(true, Ordering::Release);
                return Poll::Ready(Err(io::Error::other("a line is too long")));
            }
        }
        polled
    }
}
