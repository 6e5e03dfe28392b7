//! The event stream: `GET /api/v1/events/stream` replays the workspace's log from a cursor and then follows it. The
//! cursor in the last message is all that a client needs to go on after a broken connection.

use crate::auth::bearer_token;
use crate::edge::Inbound;
use crate::problem::{respond_error, respond_with};
use crate::watch::{Watch, Watched, Wished};
use axum::Router;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{SinkExt, Stream, StreamExt, stream};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use metrics::gauge;
use serde::Serialize;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use synapscale_core::{Channel, Ctx, Error, ErrorKind, Result, TenantId};
use synapscale_store::Store;
use synapscale_store::events::{Cursor, EventFilter, LiveEvent};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Where it is served.
pub const EVENT_STREAM: &str = "/api/v1/events/stream";
/// What the caller must be allowed.
const PERMISSION: &str = "events:read";
/// A quiet stream says so this often.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A revoked key or an ended session loses its stream within this time.
const RECHECK: Duration = Duration::from_secs(30);
/// Re-checks in a row that may fail for reasons which are not the caller's.
const MAX_UNKNOWN: u32 = 3;
/// A client that takes a message no sooner is too slow.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// A farewell may take this long.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);
/// Largest message from a client, in bytes.
const MAX_INCOMING: usize = 4096;
/// Most messages from a client between two re-checks.
const MAX_CHATTER: u32 = 120;
/// Close code: the key is no longer valid, or no longer allowed this.
const CLOSE_UNAUTHENTICATED: u16 = 4401;
/// Close code: events behind the cursor have left the log.
const CLOSE_REPLAY_GAP: u16 = 4410;
/// Close code: the client did not keep up.
const CLOSE_TOO_SLOW: u16 = 4408;

/// What the streams of this server share.
pub(crate) struct Streams {
    pub store: Store,
    pub tasks: TaskTracker,
    pub shutdown: CancellationToken,
    pub most_per_tenant: usize,
    pub open: Arc<Open>,
    pub watch: Option<Arc<dyn Watch>>,
}

/// Open streams by workspace.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<HashMap<TenantId, usize>>);

/// One place among the open streams; given back when dropped.
pub(crate) struct Place {
    open: Arc<Open>,
    tenant: TenantId,
}

impl Open {
    pub fn take(self: &Arc<Self>, tenant: TenantId, most: usize) -> Result<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(tenant).or_default();
        if *count >= most {
            return Err(Error::rate_limited(RECHECK).with_code("too_many_streams"));
        }
        *count += 1;
        gauge!("synapscale_event_streams").increment(1.0);
        Ok(Place {
            open: self.clone(),
            tenant,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.open.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
        gauge!("synapscale_event_streams").decrement(1.0);
    }
}

pub(crate) fn routes(streams: Arc<Streams>) -> Router {
    Router::new().route(EVENT_STREAM, get(open)).with_state(streams)
}

/// Everything that can be refused is refused here, as a problem, before the protocol changes.
async fn open(State(streams): State<Arc<Streams>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let inbound = match Inbound::of(&parts.extensions) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    let session = match Session::prepare(streams, &inbound, &parts).await {
        Ok(session) => session,
        Err(error) => return respond_error(&error, inbound.request_id),
    };
    let upgrade: Result<WebSocketUpgrade, _> = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            tracing::debug!(%rejection, "no WebSocket handshake");
            let words = "Open this address with a WebSocket client.";
            let error = Error::new(ErrorKind::Malformed, "not_a_websocket", words);
            return respond_with(&error, inbound.request_id, StatusCode::UPGRADE_REQUIRED);
        }
    };
    // Held from here on, so that shutdown waits for the farewell.
    let held = session.streams.tasks.token();
    upgrade
        .max_message_size(MAX_INCOMING)
        .max_frame_size(MAX_INCOMING)
        .on_upgrade(move |socket| async move {
            session.run(socket).await;
            drop(held);
        })
}

/// What the query says.
#[derive(Debug)]
struct Wish {
    since: Option<Cursor>,
    filter: EventFilter,
}

impl Wish {
    fn read(query: &str) -> Result<Self> {
        let (mut since, mut kinds, mut subject) = (None, None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*key {
                "since" => &mut since,
                "kinds" => &mut kinds,
                "subject" => &mut subject,
                _ => {
                    let words = "There is no such parameter; these are known: since, kinds, subject.";
                    return Err(Error::invalid(format!("/{key}"), "unknown_field", words));
                }
            };
            if place.replace(value.into_owned()).is_some() {
                let words = "This parameter may be given once only.";
                return Err(Error::invalid(format!("/{key}"), "repeated", words));
            }
        }
        let filter = EventFilter::parse(kinds.as_deref().unwrap_or_default())?;
        Ok(Wish {
            since: since
                .filter(|text| !text.is_empty())
                .map(|text| text.parse())
                .transpose()?,
            filter: EventFilter { subject, ..filter },
        })
    }
}

/// One caller's stream.
struct Session {
    streams: Arc<Streams>,
    inbound: Inbound,
    /// Kept to be checked again; only in memory, and only as long as the stream is open.
    proof: Proof,
    ctx: Ctx,
    filter: EventFilter,
    cursor: Cursor,
    /// Where to go on, when events behind the wished cursor have left the log.
    gap: Option<Cursor>,
    _place: Place,
}

/// Why a stream ends from our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    code: u16,
    reason: &'static str,
}

/// What goes over the wire.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Control {
    Hello {
        cursor: String,
    },
    Heartbeat {
        cursor: String,
    },
    Pong,
    /// Events behind the wished cursor have left the log: load anew, then go on from this one or from the end. The stream
    /// closes after it.
    ReplayGap {
        cursor: String,
    },
    /// A run that cannot be heard, and why.
    Unwatched {
        run_id: Uuid,
        code: String,
    },
}

/// An event on the wire. Its text was made once for everybody; a cursor is of letters that need no escape.
fn frame(cursor: Cursor, event: &str) -> String {
    format!(r#"{{"cursor":"{cursor}","event":{event}}}"#)
}

impl Session {
    async fn prepare(streams: Arc<Streams>, inbound: &Inbound, parts: &Parts) -> Result<Self> {
        let proof = Proof::of(inbound, &parts.headers)?;
        let ctx = proof.check(inbound).await?;
        ctx.require(PERMISSION)?;
        let wish = Wish::read(parts.uri.query().unwrap_or_default())?;
        let short = ctx.with_time_limit(inbound.edge.time_limit);
        let (cursor, gap) = match wish.since {
            None => (streams.store.event_head(&short).await?, None),
            Some(cursor) => {
                // Finds out now whether it is a cursor of this log: later there is no status to say it with.
                streams
                    .store
                    .events_after(&short, Some(&cursor), &wish.filter, 1)
                    .await?;
                (cursor, streams.store.replay_gap(&short, &cursor).await?)
            }
        };
        let place = streams.open.take(ctx.tenant(), streams.most_per_tenant)?;
        Ok(Session {
            proof,
            ctx,
            filter: wish.filter,
            cursor,
            gap,
            _place: place,
            inbound: inbound.clone(),
            streams,
        })
    }

    async fn run(mut self, mut socket: WebSocket) {
        // Nobody is left to tell when the client itself went away.
        let Some(end) = self.talk(&mut socket).await else {
            return;
        };
        tracing::debug!(code = end.code, request_id = %self.inbound.request_id, "event stream closed");
        let frame = CloseFrame {
            code: end.code,
            reason: Utf8Bytes::from_static(end.reason),
        };
        let _ = timeout(CLOSE_WITHIN, socket.send(Message::Close(Some(frame)))).await;
    }

    /// Talks until the stream ends; `None` when the client ended it.
    async fn talk(&mut self, socket: &mut WebSocket) -> Option<End> {
        // Said here rather than by a status: a browser does not show its page the answer to a refused handshake.
        if let Some(gap) = self.gap {
            let cursor = gap.to_string();
            send_control(socket, &Control::ReplayGap { cursor }).await;
            return Some(End {
                code: CLOSE_REPLAY_GAP,
                reason: "events behind this cursor have left the log",
            });
        }
        let batches = self.follow();
        let mut batches = pin!(batches);
        let shutdown = self.streams.shutdown.clone();
        let mut recheck = interval_at(Instant::now() + RECHECK, RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut chatter, mut unknown) = (0, 0);
        let mut watched = Watched::default();
        let hello = Control::Hello {
            cursor: self.cursor.to_string(),
        };
        let mut step = send_control(socket, &hello).await;
        let mut quiet_until = Instant::now() + HEARTBEAT;
        while step == Step::Go {
            step = tokio::select! {
                biased;
                () = shutdown.cancelled() => Step::end(close_code::RESTART, "the server is going down"),
                _ = recheck.tick() => {
                    chatter = 0;
                    let step = self.recheck(&mut unknown).await;
                    watched.recheck(self.streams.watch.as_deref(), &self.ctx).await;
                    step
                }
                incoming = socket.recv() => {
                    chatter += 1;
                    self.hear(socket, incoming, chatter, &mut watched).await
                }
                Some(frame) = watched.next() => {
                    quiet_until = Instant::now() + HEARTBEAT;
                    send_control(socket, &frame).await
                }
                batch = batches.next() => {
                    quiet_until = Instant::now() + HEARTBEAT;
                    self.tell(socket, batch).await
                }
                () = sleep_until(quiet_until) => {
                    quiet_until = Instant::now() + HEARTBEAT;
                    let cursor = self.cursor.to_string();
                    send_control(socket, &Control::Heartbeat { cursor }).await
                }
            };
        }
        match step {
            Step::End(end) => Some(end),
            Step::Go | Step::Gone => None,
        }
    }

    /// The batches as a stream, which keeps a read under way while other things are looked at.
    fn follow(&self) -> impl Stream<Item = Result<Vec<Arc<LiveEvent>>>> + Send + use<> {
        let follower = self
            .streams
            .store
            .follow_live(self.ctx.clone(), self.cursor, self.filter.clone());
        stream::unfold(follower, |mut follower| async move {
            let batch = follower.next_events().await;
            Some((batch, follower))
        })
    }

    /// Whether key or session is still good.
    async fn recheck(&mut self, unknown: &mut u32) -> Step {
        let checked = self.proof.check(&self.inbound).await;
        let refused = match checked {
            Ok(ctx) if ctx.tenant() == self.ctx.tenant() && ctx.require(PERMISSION).is_ok() => {
                *unknown = 0;
                // What is watched from now on goes by the present permissions.
                self.ctx = ctx;
                return Step::Go;
            }
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden),
        };
        *unknown += 1;
        match refused || *unknown >= MAX_UNKNOWN {
            true => Step::end(CLOSE_UNAUTHENTICATED, "the credentials are no longer valid"),
            false => Step::Go,
        }
    }

    async fn hear(
        &self,
        socket: &mut WebSocket,
        incoming: Option<Result<Message, axum::Error>>,
        chatter: u32,
        watched: &mut Watched,
    ) -> Step {
        if chatter > MAX_CHATTER {
            return Step::end(close_code::POLICY, "too many messages");
        }
        match incoming {
            None | Some(Ok(Message::Close(_))) => Step::Gone,
            // Too large a message, bad UTF-8 or a broken connection: a farewell is tried, and often lost.
            Some(Err(_)) => Step::end(close_code::SIZE, "the message is too large or cannot be read"),
            Some(Ok(Message::Text(text))) if is_ping(&text) => send_control(socket, &Control::Pong).await,
            Some(Ok(Message::Text(text))) => self.wished(socket, &text, watched).await,
            Some(Ok(_)) => Step::Go,
        }
    }

    /// A client says which runs it wants to hear live; anything else that it says is let pass.
    async fn wished(&self, socket: &mut WebSocket, text: &str, watched: &mut Watched) -> Step {
        let Some(wish) = Wished::read(text) else {
            return Step::Go;
        };
        let watch = self.streams.watch.clone();
        match watched.follow(watch.as_deref(), &self.ctx, wish).await {
            Ok(()) => Step::Go,
            Err((run_id, error)) => {
                let code = error.code().to_owned();
                send_control(socket, &Control::Unwatched { run_id, code }).await
            }
        }
    }

    async fn tell(&mut self, socket: &mut WebSocket, events: Option<Result<Vec<Arc<LiveEvent>>>>) -> Step {
        let events = match events {
            Some(Ok(events)) => events,
            Some(Err(error)) => {
                tracing::warn!(%error, request_id = %self.inbound.request_id, "event stream cannot read the log");
                return Step::end(close_code::AGAIN, "the log cannot be read now");
            }
            None => return Step::end(close_code::ERROR, "the log ended"),
        };
        for told in &events {
            let cursor = told.event.cursor;
            let message = Message::Text(frame(cursor, &told.json).into());
            // Fed and flushed as one: a replay is not one packet per event.
            match timeout(SEND_WITHIN, socket.feed(message)).await {
                Ok(Ok(())) => self.cursor = cursor,
                Ok(Err(_)) => return Step::Gone,
                Err(_) => return Step::end(CLOSE_TOO_SLOW, "too slow"),
            }
        }
        sent(timeout(SEND_WITHIN, socket.flush()).await)
    }
}

/// What comes after one thing was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Go,
    Gone,
    End(End),
}

impl Step {
    fn end(code: u16, reason: &'static str) -> Self {
        Step::End(End { code, reason })
    }
}

fn sent(outcome: Result<Result<(), axum::Error>, tokio::time::error::Elapsed>) -> Step {
    match outcome {
        Ok(Ok(())) => Step::Go,
        Ok(Err(_)) => Step::Gone,
        Err(_) => Step::end(CLOSE_TOO_SLOW, "too slow"),
    }
}

async fn send_control(socket: &mut WebSocket, control: &impl Serialize) -> Step {
    match text(control) {
        Some(message) => sent(timeout(SEND_WITHIN, socket.send(message)).await),
        None => Step::end(close_code::ERROR, "a message cannot be written"),
    }
}

fn text(content: &impl Serialize) -> Option<Message> {
    let json = serde_json::to_string(content).ok()?;
    Some(Message::Text(json.into()))
}

fn is_ping(text: &str) -> bool {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    read.is_ok_and(|value| value["type"] == "ping")
}

/// What proves who listens. No `Debug`: it is a secret.
pub(crate) enum Proof {
    Bearer(String),
    Session(String),
}

impl Proof {
    /// The bearer token, else the session's cookie. A browser sends the cookie with whatever handshake a page asks for, so
    /// the page must be ours.
    pub fn of(inbound: &Inbound, headers: &HeaderMap) -> Result<Self> {
        let proof = Self::of_page(inbound, headers)?;
        if matches!(proof, Proof::Session(_)) {
            inbound.require_own_origin(headers)?;
        }
        Ok(proof)
    }

    /// As [`Proof::of`], for a plain GET, with which a browser names no origin to a page's own site.
    pub fn of_page(inbound: &Inbound, headers: &HeaderMap) -> Result<Self> {
        if let Some(token) = bearer_token(headers)? {
            return Ok(Proof::Bearer(token.to_owned()));
        }
        let cookie = inbound
            .session_cookie(headers)
            .ok_or_else(Error::unauthenticated)?;
        inbound.require_own_page(headers)?;
        Ok(Proof::Session(cookie.to_owned()))
    }

    pub async fn check(&self, inbound: &Inbound) -> Result<Ctx> {
        match self {
            Proof::Bearer(token) => inbound.authenticate(token, Channel::Ws).await,
            Proof::Session(cookie) => inbound.by_session(cookie, None, true, Channel::Ws).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::new_id;

    #[test]
    fn a_wish_is_read_strictly() {
        let wish = Wish::read("kinds=task.*,run.finished&subject=task:1").expect("read");
        assert_eq!(wish.filter.kinds, ["task.*", "run.finished"]);
        assert_eq!(wish.filter.subject.as_deref(), Some("task:1"));
        assert!(wish.since.is_none());
        for (bad, pointer) in [
            ("since=nonsense", "/since"),
            ("kinds=task", "/kinds"),
            ("kind=task.*", "/kind"),
            ("kinds=task.*&kinds=run.*", "/kinds"),
        ] {
            let error = Wish::read(bad).expect_err(bad);
            assert_eq!(error.fields()[0].pointer, pointer, "{bad}");
        }
    }

    #[test]
    fn places_are_given_back() {
        let open = Arc::new(Open::default());
        let (one, other) = (TenantId(new_id()), TenantId(new_id()));
        let held = open.take(one, 1).expect("a place");
        let error = open.take(one, 1).err().expect("full");
        assert_eq!(error.code(), "too_many_streams");
        assert!(open.take(other, 1).is_ok());
        drop(held);
        assert!(open.take(one, 1).is_ok());
        assert!(open.0.lock().expect("lock").is_empty());
    }

    #[test]
    fn only_a_ping_is_a_ping() {
        assert!(is_ping(r#"{"type":"ping"}"#));
        assert!(!is_ping(r#"{"type":"pong"}"#));
        assert!(!is_ping("ping"));
    }
}
