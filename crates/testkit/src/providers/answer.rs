//! What both wire formats are rendered from.

use super::fault::Fault;
use super::reply::{Reply, ToolCall, Usage};
use super::request::ReceivedRequest;
use super::server::Dialect;

/// An answer about to be put in a vendor's words.
pub(crate) struct Answer<'a> {
    pub request: &'a ReceivedRequest,
    pub reply: &'a Reply,
    /// What was used.
    pub usage: Usage,
    /// Seconds since 1970.
    pub created: i64,
    pub dialect: Dialect,
    /// Characters in each event.
    pub chars: usize,
}

/// One event of a stream.
pub(crate) struct Event {
    pub bytes: Vec<u8>,
    /// The usage that a client knows once it has read this.
    pub usage: Option<Usage>,
    /// Whether it brings tokens, so that it comes at the model's pace.
    pub token: bool,
}

impl Event {
    pub fn new(bytes: String) -> Self {
        Event {
            bytes: bytes.into_bytes(),
            usage: None,
            token: false,
        }
    }
}

impl Answer<'_> {
    pub fn has(&self, fault: &Fault) -> bool {
        self.reply.faults.contains(fault)
    }

    /// The usage, unless it is to go untold.
    pub fn told(&self) -> Option<Usage> {
        (!self.has(&Fault::NoUsage)).then_some(self.usage)
    }

    /// A tool call's id: as given, or one that no other call of this stand-in has.
    pub fn call_id(&self, prefix: &str, index: usize, call: &ToolCall) -> String {
        let made_up = || format!("{prefix}{:012x}{index:04x}", self.request.number + 1);
        call.id.clone().unwrap_or_else(made_up)
    }

    /// A text in pieces of the pace's size.
    pub fn pieces(&self, text: &str) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        // A huge text in small pieces would be millions of events.
        let size = self.chars.max(chars.len() / 4096).max(1);
        chars.chunks(size).map(|piece| piece.iter().collect()).collect()
    }
}
