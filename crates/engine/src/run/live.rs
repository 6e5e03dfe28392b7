//! What steps tell while they work, such as a model's words: live only, to whoever listens in this process. A listener
//! who comes in the middle is first told what the steps under way have said so far; the journal keeps the result.

use futures::{Stream, stream};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use synapscale_core::Result;
use synapscale_ops::Sink;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

/// Chunks between a step and its listeners.
const ROOM: usize = 64;
/// Chunks that a listener may be behind before it is told everything again. Each run that speaks keeps room for as many.
const BEHIND: usize = 128;
/// Most that is kept of what a step has said, in bytes of text.
const MAX_SAID: usize = 512 * 1024;

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The run.
    pub run_id: Uuid,
    /// The node.
    pub node: String,
    /// The iteration or the child.
    pub path: String,
}

/// A piece of what a step says. The first one of each try is `{"type": "begin"}`: what was heard of the step before it is
/// void.
#[derive(Clone, Debug)]
pub struct LiveChunk {
    /// The step.
    pub place: Arc<Place>,
    /// The piece, as the operation sent it.
    pub chunk: Value,
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// A step said something.
    Chunk(LiveChunk),
    /// The run is over and has this status; nothing more comes.
    End(&'static str),
}

/// The live channel of one process. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<HashMap<Uuid, Channel>>>);

/// One run's: there while a step says something or somebody listens.
struct Channel {
    steps: Vec<Said>,
    listeners: broadcast::Sender<Heard>,
}

/// What a step under way has said, neighbouring texts put together.
struct Said {
    place: Arc<Place>,
    chunks: Vec<Value>,
    bytes: usize,
}

/// Somebody who listens to a run.
pub(crate) struct Listener {
    /// What was said before, in order.
    pub so_far: VecDeque<LiveChunk>,
    /// What comes.
    pub next: broadcast::Receiver<Heard>,
}

impl Default for Channel {
    fn default() -> Self {
        Channel {
            steps: Vec::new(),
            listeners: broadcast::channel(BEHIND).0,
        }
    }
}

impl Live {
    fn channels(&self) -> MutexGuard<'_, HashMap<Uuid, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call whose chunks go to whoever listens to the run.
    pub(crate) async fn carry<Fut>(&self, place: Place, call: impl FnOnce(Sink) -> Fut) -> Result<Value>
    where
        Fut: Future<Output = Result<Value>>,
    {
        let speaking = Speaking::start(self, place);
        let (sink, mut chunks) = Sink::channel(ROOM);
        let mut done = pin!(call(sink));
        loop {
            tokio::select! {
                biased;
                Some(chunk) = chunks.recv() => speaking.say(chunk),
                outcome = &mut done => {
                    while let Ok(chunk) = chunks.try_recv() {
                        speaking.say(chunk);
                    }
                    return outcome;
                }
            }
        }
    }

    /// What a run says from now on as frames, after what its steps under way have said so far; the last one is
    /// `{"type": "end"}`, if the run ends in this process. A listener that falls behind hears the steps from their beginning
    /// again.
    pub fn frames(&self, run_id: Uuid) -> impl Stream<Item = Value> + Send + use<> {
        let Listener { so_far, next } = self.listen(run_id);
        stream::unfold(Some((self.clone(), so_far, next)), move |listening| async move {
            let (live, mut so_far, mut next) = listening?;
            loop {
                if let Some(chunk) = so_far.pop_front() {
                    return Some((chunk.frame(), Some((live, so_far, next))));
                }
                match next.recv().await {
                    Ok(Heard::Chunk(chunk)) => so_far.push_back(chunk),
                    Ok(Heard::End(status)) => return Some((Live::end_frame(run_id, status), None)),
                    Err(RecvError::Lagged(_)) => Listener { so_far, next } = live.listen(run_id),
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// The frame that tells the end of a run.
    pub fn end_frame(run_id: Uuid, status: &str) -> Value {
        json!({ "type": "end", "run_id": run_id, "status": status })
    }

    /// Tells who listens that a run is over.
    pub(crate) fn end(&self, run_id: Uuid, status: &'static str) {
        if let Some(channel) = self.channels().get(&run_id) {
            // Nobody there is no fault.
            let _ = channel.listeners.send(Heard::End(status));
        }
    }

    /// Listens to a run, whether or not it says something now. Whoever calls has made sure that the run may be seen.
    fn listen(&self, run_id: Uuid) -> Listener {
        let mut channels = self.channels();
        // Those that nobody speaks in or listens to any more.
        channels.retain(|_, channel| !channel.steps.is_empty() || channel.listeners.receiver_count() > 0);
        let channel = channels.entry(run_id).or_default();
        let so_far = channel.steps.iter().flat_map(Said::chunks).collect();
        Listener {
            so_far,
            next: channel.listeners.subscribe(),
        }
    }

    /// The text that a run's steps under way have said so far; none where nothing is known of it.
    pub fn text(&self, run_id: Uuid) -> Option<String> {
        let channels = self.channels();
        let said = channels.get(&run_id)?.steps.iter().flat_map(|said| &said.chunks);
        let texts = said.filter(|chunk| chunk.get("type").and_then(Value::as_str) == Some("text"));
        Some(texts.filter_map(text_of).collect())
    }
}

fn text_of(chunk: &Value) -> Option<&str> {
    chunk.get("text").and_then(Value::as_str)
}

impl Said {
    fn chunks(&self) -> impl Iterator<Item = LiveChunk> + '_ {
        self.chunks.iter().map(|chunk| LiveChunk {
            place: self.place.clone(),
            chunk: chunk.clone(),
        })
    }

    fn add(&mut self, chunk: &Value) {
        let text = text_of(chunk).unwrap_or_default();
        let bytes = match text.is_empty() {
            true => chunk.to_string().len(),
            false => text.len(),
        };
        if self.bytes + bytes > MAX_SAID {
            return;
        }
        self.bytes += bytes;
        // The same but for the text: one longer text.
        if let Some(last) = self.chunks.last_mut()
            && !text.is_empty()
            && same_but_text(last, chunk)
            && let Some(Value::String(said)) = last.get_mut("text")
        {
            said.push_str(text);
            return;
        }
        self.chunks.push(chunk.clone());
    }
}

fn same_but_text(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else {
        return false;
    };
    one.len() == other.len()
        && one
            .iter()
            .all(|(key, value)| key == "text" || other.get(key) == Some(value))
}

/// A step that speaks; forgotten when it is over, however that comes.
struct Speaking {
    live: Live,
    place: Arc<Place>,
}

impl Speaking {
    fn start(live: &Live, place: Place) -> Self {
        let place = Arc::new(place);
        let mut channels = live.channels();
        channels.entry(place.run_id).or_default().steps.push(Said {
            place: place.clone(),
            chunks: Vec::new(),
            bytes: 0,
        });
        drop(channels);
        let speaking = Speaking {
            live: live.clone(),
            place,
        };
        speaking.say(json!({ "type": "begin" }));
        speaking
    }

    fn say(&self, chunk: Value) {
        let mut channels = self.live.channels();
        let Some(channel) = channels.get_mut(&self.place.run_id) else {
            return;
        };
        let said = channel.steps.iter_mut();
        if let Some(said) = said.into_iter().find(|said| said.place == self.place) {
            said.add(&chunk);
        }
        if channel.listeners.receiver_count() > 0 {
            // Nobody there any more is no fault.
            let place = self.place.clone();
            let _ = channel.listeners.send(Heard::Chunk(LiveChunk { place, chunk }));
        }
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        let mut channels = self.live.channels();
        let Some(channel) = channels.get_mut(&self.place.run_id) else {
            return;
        };
        channel.steps.retain(|said| said.place != self.place);
        if channel.listeners.receiver_count() == 0 && channel.steps.is_empty() {
            channels.remove(&self.place.run_id);
        }
    }
}

impl LiveChunk {
    /// As it goes over the wire.
    pub fn frame(&self) -> Value {
        json!({
            "type": "chunk",
            "run_id": self.place.run_id,
            "node": self.place.node,
            "path": self.place.path,
            "chunk": self.chunk,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;

    fn place(run_id: Uuid) -> Place {
        Place {
            run_id,
            node: "agent".to_owned(),
            path: "t1".to_owned(),
        }
    }

    fn text(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[tokio::test]
    async fn who_comes_late_hears_what_was_said() {
        let (live, run) = (Live::default(), Uuid::from_u128(1));
        let (started, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
        let call = live.carry(place(run), |sink| {
            let (started, go) = (&started, &go);
            async move {
                sink.send(text("Hello, ")).await.ok();
                sink.send(text("wor")).await.ok();
                sink.send(json!({ "type": "tool_call_start", "index": 0 }))
                    .await
                    .ok();
                started.notify_one();
                go.notified().await;
                sink.send(text("ld")).await.ok();
                Ok(json!(1))
            }
        });
        let listen = async {
            started.notified().await;
            while live.listen(run).so_far.len() < 3 {
                tokio::task::yield_now().await;
            }
            let mut listener = live.listen(run);
            let so_far: Vec<_> = listener.so_far.iter().map(|chunk| chunk.chunk.clone()).collect();
            assert_eq!(
                so_far,
                [
                    json!({ "type": "begin" }),
                    text("Hello, wor"),
                    json!({ "type": "tool_call_start", "index": 0 })
                ]
            );
            assert_eq!(live.text(run).as_deref(), Some("Hello, wor"));
            go.notify_one();
            let Ok(Heard::Chunk(heard)) = listener.next.recv().await else {
                panic!("no chunk");
            };
            assert_eq!(heard.chunk, text("ld"));
        };
        let (done, ()) = tokio::join!(call, listen);
        assert_eq!(done.expect("done"), json!(1));
        assert!(
            live.text(run).is_none_or(|said| said.is_empty()),
            "over is forgotten"
        );
        assert!(live.listen(run).so_far.is_empty());
    }

    #[tokio::test]
    async fn who_falls_behind_and_who_is_tried_again_hear_it_from_the_beginning() {
        let (live, run) = (Live::default(), Uuid::from_u128(3));
        let mut frames = pin!(live.frames(run));
        let say = |words: usize| {
            live.carry(place(run), move |sink| async move {
                for word in 0..words {
                    sink.send(text(&format!("{word} "))).await.ok();
                }
                std::future::pending().await
            })
        };
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, say(2)).await.is_err());
        let mut again = pin!(say(BEHIND * 2));
        assert!(tokio::time::timeout(soon, &mut again).await.is_err());
        let mut heard = String::new();
        while let Ok(Some(frame)) = tokio::time::timeout(soon, frames.next()).await {
            let chunk = &frame["chunk"];
            match chunk["type"].as_str() {
                Some("begin") => heard.clear(),
                _ => heard.push_str(chunk["text"].as_str().expect("text")),
            }
        }
        let all: String = (0..BEHIND * 2).map(|word| format!("{word} ")).collect();
        assert_eq!(heard, all);
    }

    #[tokio::test]
    async fn the_end_of_a_run_ends_what_is_heard_of_it() {
        let (live, run) = (Live::default(), Uuid::from_u128(4));
        live.end(run, "failed");
        let mut frames = pin!(live.frames(run));
        live.end(run, "succeeded");
        let last = json!({ "type": "end", "run_id": run, "status": "succeeded" });
        assert_eq!(frames.next().await, Some(last));
        assert_eq!(frames.next().await, None);
    }

    #[tokio::test]
    async fn a_step_that_is_dropped_is_forgotten() {
        let (live, run) = (Live::default(), Uuid::from_u128(2));
        let call = live.carry(place(run), |sink| async move {
            sink.send(text("half")).await.ok();
            std::future::pending().await
        });
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(20), call)
                .await
                .is_err()
        );
        assert!(live.channels().is_empty());
    }
}
