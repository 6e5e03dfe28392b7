//! Puts an answer together from its pieces, and passes the pieces on.

use crate::model::{Delta, Part, TextPart, ThinkingPart, ToolCall};

/// The parts of an answer under way.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    parts: Vec<Part>,
    /// Which part is the n-th call of a tool.
    calls: Vec<usize>,
}

impl Assembler {
    pub fn text(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.text.push_str(&text),
            _ => self.parts.push(Part::text(text.as_str())),
        }
        out.push(Delta::Text { text });
    }

    pub fn thinking(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Thinking(last)) => last.text.push_str(&text),
            _ => self.parts.push(Part::Thinking(ThinkingPart {
                text: text.clone(),
                signature: None,
            })),
        }
        out.push(Delta::Thinking { text });
    }

    pub fn signature(&mut self, signature: String, out: &mut Vec<Delta>) {
        if let Some(Part::Thinking(last)) = self.parts.last_mut() {
            last.signature.get_or_insert_default().push_str(&signature);
        }
        out.push(Delta::Signature { signature });
    }

    /// Begins a new part, so that two blocks of the same kind stay two.
    pub fn open(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// A part that came whole.
    pub fn whole(&mut self, part: Part, out: &mut Vec<Delta>) {
        self.parts.push(part.clone());
        out.push(Delta::Part { part });
    }

    /// Begins a call; gives its number.
    pub fn start_call(&mut self, id: String, name: String, out: &mut Vec<Delta>) -> usize {
        let index = self.calls.len();
        self.calls.push(self.parts.len());
        let call = ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            parsed: None,
            extra: Default::default(),
        };
        self.parts.push(Part::ToolCall(call));
        out.push(Delta::ToolCallStart { index, id, name });
        index
    }

    pub fn call_mut(&mut self, index: usize) -> Option<&mut ToolCall> {
        match self.parts.get_mut(*self.calls.get(index)?)? {
            Part::ToolCall(call) => Some(call),
            _ => None,
        }
    }

    pub fn text_mut(&mut self) -> Option<&mut TextPart> {
        match self.parts.last_mut()? {
            Part::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn last_mut(&mut self) -> Option<&mut Part> {
        self.parts.last_mut()
    }

    pub fn arguments(&mut self, index: usize, fragment: String, out: &mut Vec<Delta>) {
        if fragment.is_empty() {
            return;
        }
        if let Some(call) = self.call_mut(index) {
            call.arguments.push_str(&fragment);
            out.push(Delta::ToolCallArguments { index, fragment });
        }
    }

    /// The parts, without empty ones, and with the arguments read.
    pub fn take(&mut self) -> Vec<Part> {
        self.calls.clear();
        let mut parts = std::mem::take(&mut self.parts);
        parts.retain(|part| match part {
            Part::Text(text) => !text.text.is_empty(),
            Part::Thinking(thinking) => !thinking.text.is_empty() || thinking.signature.is_some(),
            _ => true,
        });
        for part in &mut parts {
            if let Part::ToolCall(call) = part {
                let extra = std::mem::take(&mut call.extra);
                let (id, name) = (std::mem::take(&mut call.id), std::mem::take(&mut call.name));
                *call = ToolCall::new(id, name, std::mem::take(&mut call.arguments));
                call.extra = extra;
            }
        }
        parts
    }
}
