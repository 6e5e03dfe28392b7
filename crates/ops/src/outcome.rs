//! What comes out of a call, and what goes along with its input.

use crate::output::Output;
use serde_json::Value;
use synapscale_core::{Error, Result};
use tokio::sync::mpsc;

/// What a write handler decided. Both are committed: a refusal may have counted something.
#[derive(Clone, Debug)]
pub enum Outcome<O> {
    /// Done, with the answer.
    Done(O),
    /// Not done; the caller gets the error, and what the handler wrote stays.
    Refused(Error),
}

impl<O> Outcome<O> {
    /// The same with the answer turned into another.
    pub fn map<U>(self, change: impl FnOnce(O) -> U) -> Outcome<U> {
        match self {
            Outcome::Done(value) => Outcome::Done(change(value)),
            Outcome::Refused(error) => Outcome::Refused(error),
        }
    }
}

/// What goes along with an input: headers in REST, reserved fields elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The same key and input again get the stored answer for a day. Honoured by write operations of callers who are
    /// signed in; 1 to 255 printable ASCII characters.
    pub idempotency_key: Option<String>,
    /// The revision that the caller has seen; the operation refuses with `stale_revision` when it is another.
    pub expected_revision: Option<i64>,
}

/// The answer of a call that was done.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The output.
    pub output: Output,
    /// Its revision, for operations that carry one.
    pub revision: Option<i64>,
    /// Whether it is the stored answer of an earlier call with the same idempotency key.
    pub replayed: bool,
}

impl Answer {
    /// A fresh answer.
    pub fn new(output: Output) -> Self {
        Answer {
            revision: output.revision(),
            output,
            replayed: false,
        }
    }
}

/// What came of a call inside of a caller's transaction. A refusal is no failure here: what it wrote is to be committed.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The output, or the refusal.
    pub outcome: Result<Output>,
    /// The output's revision, for operations that carry one.
    pub revision: Option<i64>,
    /// Whether it is the stored outcome of an earlier call with the same idempotency key.
    pub replayed: bool,
}

impl Applied {
    pub(crate) fn fresh(outcome: Outcome<Output>) -> Self {
        match outcome {
            Outcome::Done(output) => Applied {
                revision: output.revision(),
                outcome: Ok(output),
                replayed: false,
            },
            Outcome::Refused(error) => Applied {
                outcome: Err(error),
                revision: None,
                replayed: false,
            },
        }
    }

    /// The answer, with a refusal as the error.
    ///
    /// # Errors
    /// The refusal.
    pub fn into_answer(self) -> Result<Answer> {
        let Applied {
            outcome,
            revision,
            replayed,
        } = self;
        outcome.map(|output| Answer {
            output,
            revision,
            replayed,
        })
    }
}

/// Where a streaming operation puts its chunks: JSON values, in order, to one listener. Chunks are live only; the result
/// that follows them holds everything, so a listener who comes late or goes early loses nothing.
#[derive(Clone, Debug, Default)]
pub struct Sink(Option<mpsc::Sender<Value>>);

/// The listener has gone away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard;

impl Sink {
    /// A sink that nobody reads.
    pub fn none() -> Self {
        Sink(None)
    }

    /// A sink and its listener. A listener that is `room` chunks behind slows the operation down.
    pub fn channel(room: usize) -> (Self, mpsc::Receiver<Value>) {
        let (sender, receiver) = mpsc::channel(room.max(1));
        (Sink(Some(sender)), receiver)
    }

    /// Whether anybody listens: whether it is worth streaming at all.
    pub fn is_heard(&self) -> bool {
        self.0.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Hands on one chunk; nobody listening from the start is no fault.
    ///
    /// # Errors
    /// [`Unheard`] when the listener has gone.
    pub async fn send(&self, chunk: Value) -> std::result::Result<(), Unheard> {
        match &self.0 {
            None => Ok(()),
            Some(sender) => sender.send(chunk).await.map_err(|_| Unheard),
        }
    }
}
