//! Turns an answer and its faults into steps on the wire.

use super::answer::Event;
use super::fault::Fault;
use super::reply::{Pace, Usage};
use super::wire::{LAST_CHUNK, Step, chunk};
use std::time::Duration;

/// Long enough for what was written to be a packet of its own, and for a client to read it before a reset.
const APART: Duration = Duration::from_millis(5);

/// Beyond so many pieces there is no wait between them: byte by byte would take for ever. Each is still written by
/// itself, and a chunk of its own.
const MANY: usize = 16;

/// The steps before the headers. Nothing follows those that end the connection.
pub(crate) fn before_head(faults: &[Fault]) -> Vec<Step> {
    let steps = faults.iter().filter_map(|fault| match fault {
        Fault::ResetBeforeHeaders => Some(Step::Reset),
        Fault::CloseBeforeHeaders => Some(Step::Close),
        Fault::SlowHeaders(time) => Some(Step::Wait(*time)),
        _ => None,
    });
    steps.collect()
}

/// How many packets each event is cut into.
fn split_into(faults: &[Fault]) -> usize {
    let pieces = faults.iter().find_map(|fault| match fault {
        Fault::SplitEvents { pieces } => Some((*pieces).max(1)),
        _ => None,
    });
    pieces.unwrap_or(1)
}

/// How many events each packet takes.
fn batch_of(faults: &[Fault]) -> usize {
    let batch = faults.iter().find_map(|fault| match fault {
        Fault::EventsPerPacket(count) => Some((*count).max(1)),
        _ => None,
    });
    batch.unwrap_or(1)
}

/// Where a fault of a stream strikes.
fn place(fault: &Fault) -> Option<usize> {
    match fault {
        Fault::ResetMidBody { after }
        | Fault::CutInEvent { after, .. }
        | Fault::EndsEarly { after }
        | Fault::Stall { after, .. }
        | Fault::ErrorInStream { after, .. }
        | Fault::MalformedJson { after } => Some(*after),
        _ => None,
    }
}

/// Breaks an event's JSON off in its midst and keeps its frame.
fn malformed(event: &mut Event) {
    let whole = String::from_utf8_lossy(&event.bytes).into_owned();
    let kept = whole.trim_end().chars().count() * 2 / 3;
    event.bytes = whole
        .chars()
        .take(kept)
        .chain("\n\n".chars())
        .collect::<String>()
        .into_bytes();
    event.usage = None;
}

struct Stream {
    steps: Vec<Step>,
    packet: Vec<u8>,
    waiting: usize,
    usage: Option<Usage>,
    pieces: usize,
    batch: usize,
}

impl Stream {
    /// Writes what is waiting.
    fn flush(&mut self) {
        let packet = std::mem::take(&mut self.packet);
        self.waiting = 0;
        if !packet.is_empty() {
            let size = packet.len().div_ceil(self.pieces).max(1);
            for (index, piece) in packet.chunks(size).enumerate() {
                if index > 0 && self.pieces <= MANY {
                    self.steps.push(Step::Wait(APART / 2));
                }
                self.steps.push(Step::Write(chunk(piece)));
            }
        }
        if let Some(usage) = self.usage.take() {
            self.steps.push(Step::Told(usage));
        }
    }

    fn wait(&mut self, time: Duration) {
        if !time.is_zero() {
            self.flush();
            self.steps.push(Step::Wait(time));
        }
    }

    fn event(&mut self, event: &Event) {
        self.packet.extend_from_slice(&event.bytes);
        self.usage = event.usage.or(self.usage);
        self.waiting += 1;
        if self.waiting >= self.batch {
            self.flush();
        }
    }

    /// Ends as a whole body does, the last packet and the body's end in one: a client that reads no further than the
    /// last event finds the connection clean.
    fn end(mut self) -> Vec<Step> {
        self.flush();
        let last = self.steps.iter_mut().rev().find_map(|step| match step {
            Step::Write(bytes) => Some(bytes),
            _ => None,
        });
        match last {
            Some(bytes) => bytes.extend_from_slice(LAST_CHUNK),
            None => self.steps.push(Step::Write(LAST_CHUNK.to_vec())),
        }
        self.steps
    }

    fn broken(mut self, step: Step) -> Vec<Step> {
        self.flush();
        self.steps.push(Step::Wait(APART));
        self.steps.push(step);
        self.steps
    }
}

/// The steps of a stream of events.
pub(crate) fn stream(
    head: Vec<u8>,
    events: Vec<Event>,
    faults: &[Fault],
    pace: Pace,
    error_event: impl Fn(&str, &str) -> Event,
) -> Vec<Step> {
    let mut out = Stream {
        steps: vec![Step::Write(head)],
        packet: Vec::new(),
        waiting: 0,
        usage: None,
        pieces: split_into(faults),
        batch: batch_of(faults),
    };
    let slow = faults.iter().find_map(|fault| match fault {
        Fault::SlowFirstToken(time) => Some(*time),
        _ => None,
    });
    let mut first = Some(pace.first.max(slow.unwrap_or_default()));
    let last = events.len().saturating_sub(1);
    for (index, mut event) in events.into_iter().enumerate() {
        if event.token {
            out.wait(first.take().unwrap_or(pace.between));
        }
        for fault in faults
            .iter()
            .filter(|fault| place(fault).is_some_and(|at| at.min(last) == index))
        {
            match fault {
                Fault::Stall { lasting, .. } => out.wait(*lasting),
                Fault::ResetMidBody { .. } => return out.broken(Step::Reset),
                Fault::EndsEarly { .. } => return out.end(),
                Fault::CutInEvent { clean, .. } => {
                    event.bytes.truncate(event.bytes.len() / 2);
                    event.usage = None;
                    out.event(&event);
                    return if *clean {
                        out.end()
                    } else {
                        out.broken(Step::Close)
                    };
                }
                Fault::ErrorInStream { kind, message, .. } => {
                    out.event(&error_event(kind, message));
                    return out.end();
                }
                Fault::MalformedJson { .. } => malformed(&mut event),
                _ => {}
            }
        }
        out.event(&event);
    }
    out.end()
}

/// The steps of a body sent at once.
pub(crate) fn whole(
    head: Vec<u8>,
    body: &[u8],
    faults: &[Fault],
    pace: Pace,
    usage: Option<Usage>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let (front, back) = body.split_at(body.len() / 2);
    let slow = faults.iter().find_map(|fault| match fault {
        Fault::SlowFirstToken(time) => Some(*time),
        _ => None,
    });
    let first = pace.first.max(slow.unwrap_or_default());
    if !first.is_zero() {
        steps.push(Step::Wait(first));
    }
    for fault in faults {
        let cut = match fault {
            Fault::ResetMidBody { .. } => Step::Reset,
            // A body whose length was announced cannot end clean before it.
            Fault::CutInEvent { .. } | Fault::EndsEarly { .. } => Step::Close,
            Fault::Stall { lasting, .. } => {
                let rest = [Step::Wait(*lasting), Step::Write(back.to_vec())];
                steps.push(Step::Write([&head, front].concat()));
                steps.extend(rest);
                steps.extend(usage.map(Step::Told));
                return steps;
            }
            _ => continue,
        };
        steps.extend([Step::Write([&head, front].concat()), Step::Wait(APART), cut]);
        return steps;
    }
    let pieces = split_into(faults);
    if pieces == 1 {
        steps.push(Step::Write([&head, body].concat()));
    } else {
        steps.push(Step::Write(head));
        for piece in body.chunks(body.len().div_ceil(pieces).max(1)) {
            if pieces <= MANY {
                steps.push(Step::Wait(APART / 2));
            }
            steps.push(Step::Write(piece.to_vec()));
        }
    }
    steps.extend(usage.map(Step::Told));
    steps
}
