//! What it costs to tell many who listen: WebSockets that follow one workspace while ten things happen in it each second.

use crate::harness::{Measured, Server};
use futures::StreamExt;
use futures::future::join_all;
use reqwest::Method;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Barrier;

/// Things that happen in a second.
const A_SECOND: u32 = 10;
/// Handshakes under way at once.
const AT_ONCE: usize = 100;
/// How each thing's title begins; its number follows.
const MARK: &str = "\"title\":\"beat ";

/// The number in an event's text.
fn beat(text: &str) -> Option<usize> {
    let (_, rest) = text.split_once(MARK)?;
    let (number, _) = rest.split_once('"')?;
    number.parse().ok()
}

/// Hears so many beats; when each came.
#[allow(clippy::disallowed_methods, reason = "followers end with the benchmark")]
fn listen(
    mut socket: crate::harness::Socket,
    beats: usize,
    ready: Arc<Barrier>,
) -> tokio::task::JoinHandle<Vec<(usize, Instant)>> {
    tokio::spawn(async move {
        ready.wait().await;
        let mut heard = Vec::with_capacity(beats);
        while heard.len() < beats {
            let Some(Ok(message)) = socket.next().await else {
                break;
            };
            let number = message.to_text().ok().and_then(beat);
            heard.extend(number.map(|number| (number, Instant::now())));
        }
        heard
    })
}

/// The figure of that many followers.
pub async fn measure(server: &Server, project: &str, count: usize, span: Duration) -> Measured {
    let beats = span.as_secs() as usize * A_SECOND as usize;
    let ready = Arc::new(Barrier::new(count + 1));
    let mut followers = Vec::with_capacity(count);
    while followers.len() < count {
        let some = AT_ONCE.min(count - followers.len());
        let opened = join_all((0..some).map(|_| server.follow("kinds=task.created"))).await;
        followers.extend(
            opened
                .into_iter()
                .map(|socket| listen(socket, beats, ready.clone())),
        );
    }
    ready.wait().await;
    let (cpu, began) = (server.cpu(), Instant::now());
    let path = format!("/api/v1/projects/{project}/tasks");
    let mut sent = Vec::with_capacity(beats);
    for number in 0..beats {
        tokio::time::sleep_until((began + Duration::from_secs(1) / A_SECOND * number as u32).into()).await;
        sent.push(Instant::now());
        server
            .ask(Method::POST, &path, json!({ "title": format!("beat {number}") }))
            .await;
    }
    let mut times = Vec::with_capacity(beats * count);
    for follower in followers {
        let heard = follower.await.expect("a follower");
        assert_eq!(heard.len(), beats, "a follower missed something");
        times.extend(
            heard
                .into_iter()
                .map(|(number, at)| at.duration_since(sent[number])),
        );
    }
    let name = format!("an event, told to {count} followers");
    server.measured(&name, times, began.elapsed(), server.cpu() - cpu)
}
