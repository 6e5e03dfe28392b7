//! Listening to runs while they work, such as to a model's words: on the event stream's WebSocket by
//! `{"type": "watch", "run_id": …}`, and as server-sent events at `GET /api/v1/runs/{run_id}/stream`. Live only: the
//! run's steps keep what came of it.

use crate::edge::Inbound;
use crate::problem::respond_error;
use crate::ws::{Place, Proof, Streams};
use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream::{AbortHandle, Abortable, BoxStream, SelectAll};
use futures::{Stream, StreamExt, stream};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Ctx, Error, ErrorKind, Result};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Where one run's live stream is served.
pub const RUN_STREAM: &str = "/api/v1/runs/{run_id}/stream";
/// Most runs that one WebSocket listens to.
const MAX_WATCHED: usize = 20;
/// How often a stream looks whether its run has ended: it may be another process that works on it.
const LOOK: Duration = Duration::from_millis(500);
/// When one looks that just heard its run: the process that works on it tells the end as well.
const LOOK_WHEN_TOLD: Duration = Duration::from_secs(5);
/// How often it is checked who listens.
const RECHECK: Duration = Duration::from_secs(30);
/// A quiet stream says so this often.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a run tells, as it goes over the wire: objects with a `type`.
pub type Frames = BoxStream<'static, Value>;

/// Runs that can be listened to.
#[async_trait]
pub trait Watch: Send + Sync {
    /// Listens to a run: first what its steps under way have said so far, then what they say. The last frame is of the type
    /// `end`, if the run ends in this process; else it does not end by itself.
    ///
    /// # Errors
    /// `not_found` or `forbidden` for a run that the caller may not see.
    async fn watch(&self, ctx: &Ctx, run_id: Uuid) -> Result<Frames>;

    /// The last frame, once nothing more will come of the run.
    ///
    /// # Errors
    /// As [`Watch::watch`].
    async fn ended(&self, ctx: &Ctx, run_id: Uuid) -> Result<Option<Value>>;
}

impl fmt::Debug for dyn Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// What a client says on its WebSocket.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Wished {
    Watch { run_id: Uuid },
    Unwatch { run_id: Uuid },
}

impl Wished {
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// The runs that one WebSocket listens to.
#[derive(Default)]
pub(crate) struct Watched {
    frames: SelectAll<Abortable<Frames>>,
    handles: HashMap<Uuid, AbortHandle>,
}

impl Watched {
    /// Does what the client wants.
    ///
    /// # Errors
    /// The run and why it cannot be listened to.
    pub async fn follow(
        &mut self,
        watch: Option<&dyn Watch>,
        ctx: &Ctx,
        wish: Wished,
    ) -> std::result::Result<(), (Uuid, Error)> {
        let run_id = match wish {
            Wished::Watch { run_id } => run_id,
            Wished::Unwatch { run_id } => {
                self.leave(run_id);
                return Ok(());
            }
        };
        if self.handles.len() >= MAX_WATCHED && !self.handles.contains_key(&run_id) {
            let error = Error::too_large("list of watched runs", "20").with_code("too_many_watched");
            return Err((run_id, error));
        }
        let watch = watch.ok_or_else(|| (run_id, Error::not_found("run")))?;
        let frames = watch.watch(ctx, run_id).await.map_err(|error| (run_id, error))?;
        // Asked for again: told again from the start.
        self.leave(run_id);
        let (handle, registration) = AbortHandle::new_pair();
        self.frames.push(Abortable::new(frames, registration));
        self.handles.insert(run_id, handle);
        Ok(())
    }

    /// Leaves the runs that have ended, and those that the caller may not see any more.
    pub async fn recheck(&mut self, watch: Option<&dyn Watch>, ctx: &Ctx) {
        let Some(watch) = watch else { return };
        let runs: Vec<Uuid> = self.handles.keys().copied().collect();
        for run_id in runs {
            let over = match watch.ended(ctx, run_id).await {
                Ok(end) => end.is_some(),
                Err(error) => matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::NotFound),
            };
            if over {
                self.leave(run_id);
            }
        }
    }

    fn leave(&mut self, run_id: Uuid) {
        if let Some(handle) = self.handles.remove(&run_id) {
            handle.abort();
        }
    }

    /// The next frame of any of them; none while there is none to listen to.
    pub async fn next(&mut self) -> Option<Value> {
        self.frames.next().await
    }
}

pub(crate) fn routes(streams: Arc<Streams>) -> Router {
    Router::new().route(RUN_STREAM, get(open)).with_state(streams)
}

async fn open(State(streams): State<Arc<Streams>>, Path(run_id): Path<String>, request: Request) -> Response {
    let inbound = match Inbound::of(request.extensions()) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    match listen(&streams, &inbound, request.headers(), &run_id).await {
        Ok(events) => Sse::new(events)
            .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
            .into_response(),
        Err(error) => respond_error(&error, inbound.request_id),
    }
}

/// One caller's stream of one run.
struct Listening {
    streams: Arc<Streams>,
    inbound: Inbound,
    proof: Proof,
    ctx: Ctx,
    run_id: Uuid,
    frames: Frames,
    look: Interval,
    checked: Instant,
    shutdown: CancellationToken,
    over: bool,
    _place: Place,
}

async fn listen(
    streams: &Arc<Streams>,
    inbound: &Inbound,
    headers: &HeaderMap,
    run_id: &str,
) -> Result<impl Stream<Item = std::result::Result<Event, Infallible>> + use<>> {
    let run_id: Uuid = run_id.parse().map_err(|_| Error::not_found("run"))?;
    let watch = streams.watch.as_ref().ok_or_else(|| Error::not_found("run"))?;
    let proof = Proof::of_page(inbound, headers)?;
    let ctx = proof.check(inbound).await?;
    let frames = watch.watch(&ctx, run_id).await?;
    let mut look = interval_at(Instant::now() + LOOK, LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listening = Listening {
        _place: streams.open.take(ctx.tenant(), streams.most_per_tenant)?,
        shutdown: streams.shutdown.clone(),
        streams: streams.clone(),
        inbound: inbound.clone(),
        proof,
        ctx,
        run_id,
        frames,
        look,
        checked: Instant::now(),
        over: false,
    };
    Ok(stream::unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok(event), listening))
    }))
}

impl Listening {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            // Whose key was taken away, or who signed out, hears no more, however much the run has to say.
            if self.checked.elapsed() >= RECHECK {
                self.checked = Instant::now();
                self.ctx = self.proof.check(&self.inbound).await.ok()?;
                if let Some(end) = self.end().await? {
                    return Some(end);
                }
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                Some(frame) = self.frames.next() => {
                    self.look.reset_after(LOOK_WHEN_TOLD);
                    self.over = frame.get("type").and_then(Value::as_str) == Some("end");
                    return Some(event(if self.over { "end" } else { "chunk" }, &frame));
                }
                _ = self.look.tick() => {
                    if let Some(end) = self.end().await? {
                        return Some(end);
                    }
                }
            }
        }
    }
}

impl Listening {
    /// The last event, if the run has ended. None outside when the caller may not hear it any more.
    async fn end(&mut self) -> Option<Option<Event>> {
        let watch = self.streams.watch.as_ref()?;
        let end = watch.ended(&self.ctx, self.run_id).await.ok()?;
        self.over = end.is_some();
        Some(end.map(|end| event("end", &end)))
    }
}

fn event(name: &str, data: &Value) -> Event {
    Event::default().event(name).data(data.to_string())
}
