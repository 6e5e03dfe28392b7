//! Calls that are heard while they are done: an operation that streams, asked with `Accept: text/event-stream`, answers
//! server-sent events, `chunk` for each chunk and then `result` or `error`. Whoever goes away ends the call.

use crate::problem::Problem;
use crate::watch::KEEP_ALIVE;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use http::HeaderMap;
use http::header::ACCEPT;
use serde_json::Value;
use std::convert::Infallible;
use synapscale_core::{Ctx, Result};
use synapscale_ops::{Answer, Envelope, Gate, Sink};
use tokio::sync::mpsc;
use uuid::Uuid;

/// The media type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// A listener so many chunks behind slows the operation down.
const ROOM: usize = 64;

/// Whether the caller asks for events.
pub(crate) fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|media| media.split(';').next())
        .any(|media| media.trim().eq_ignore_ascii_case(EVENT_STREAM))
}

/// A call of an operation that streams.
pub(crate) struct StreamedCall {
    pub gate: Gate,
    pub ctx: Ctx,
    pub name: &'static str,
    pub input: Value,
    pub envelope: Envelope,
}

impl StreamedCall {
    /// Answers the events of the call.
    ///
    /// # Errors
    /// Why it was not done, if it was not before its first chunk: such a failure has a status of its own. A later one is the
    /// event `error`.
    pub async fn serve(self, request_id: Uuid) -> Result<Response> {
        let (sink, chunks) = Sink::channel(ROOM);
        let call = async move {
            let StreamedCall {
                gate,
                ctx,
                name,
                input,
                envelope,
            } = self;
            gate.call(&ctx, name, input, envelope, sink).await
        };
        let mut heard = Heard {
            call: Some(call.boxed()),
            chunks,
            answer: None,
        };
        let first = match heard.next().await {
            Some(Said::Answer(Err(error))) => return Err(error),
            first => first,
        };
        let rest = stream::unfold(heard, |mut heard| async move {
            let said = heard.next().await?;
            Some((said, heard))
        });
        let events = stream::iter(first)
            .chain(rest)
            .map(move |said| Ok::<_, Infallible>(said.event(request_id)));
        Ok(Sse::new(events)
            .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
            .into_response())
    }
}

enum Said {
    Chunk(Value),
    Answer(Result<Answer>),
}

impl Said {
    fn event(&self, request_id: Uuid) -> Event {
        let (name, data) = match self {
            Said::Chunk(chunk) => ("chunk", Ok(chunk.to_string())),
            Said::Answer(Ok(answer)) => (
                "result",
                answer
                    .output
                    .to_bytes()
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            ),
            Said::Answer(Err(error)) => ("error", Ok(problem(error, request_id))),
        };
        match data {
            Ok(data) => Event::default().event(name).data(data),
            Err(error) => Event::default().event("error").data(problem(&error, request_id)),
        }
    }
}

fn problem(error: &synapscale_core::Error, request_id: Uuid) -> String {
    serde_json::json!(Problem::of(error, request_id)).to_string()
}

/// What comes of a call: its chunks in order, then its answer, then nothing.
struct Heard {
    call: Option<BoxFuture<'static, Result<Answer>>>,
    chunks: mpsc::Receiver<Value>,
    answer: Option<Result<Answer>>,
}

impl Heard {
    async fn next(&mut self) -> Option<Said> {
        if let Some(call) = &mut self.call {
            tokio::select! {
                biased;
                Some(chunk) = self.chunks.recv() => return Some(Said::Chunk(chunk)),
                answer = call => self.answer = Some(answer),
            }
            self.call = None;
        }
        // The answer may come while chunks still wait.
        match self.chunks.try_recv() {
            Ok(chunk) => Some(Said::Chunk(chunk)),
            Err(_) => self.answer.take().map(Said::Answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn events_are_asked_for_by_their_media_type() {
        for (text, is) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.9", true),
            ("*/*", false),
            ("application/json", false),
            ("text/event-streams", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(text));
            assert_eq!(wanted(&headers), is, "{text}");
        }
        assert!(!wanted(&HeaderMap::new()));
    }
}
