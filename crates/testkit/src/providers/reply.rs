//! What the "model" answers, said once for both vendors, and the tokens it is counted as.

use super::fault::Fault;
use super::request::ReceivedRequest;
use serde_json::Value;
use std::iter::Sum;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Tokens, counted as Anthropic does: what was read from the cache or written to it is not in `input`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt that no cache had a part in.
    pub input: u64,
    /// Tokens of the answer, thinking included.
    pub output: u64,
    /// Tokens of the prompt read from the cache.
    pub cache_read: u64,
    /// Tokens of the prompt written to the cache.
    pub cache_write: u64,
    /// The part of `output` that was thinking.
    pub reasoning: u64,
}

impl Usage {
    /// Without cache and thinking.
    pub fn new(input: u64, output: u64) -> Self {
        Usage {
            input,
            output,
            ..Usage::default()
        }
    }

    /// The whole prompt, as OpenAI counts it.
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    /// Prompt and answer.
    pub fn total(&self) -> u64 {
        self.prompt() + self.output
    }
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            input: self.input + other.input,
            output: self.output + other.output,
            cache_read: self.cache_read + other.cache_read,
            cache_write: self.cache_write + other.cache_write,
            reasoning: self.reasoning + other.reasoning,
        }
    }
}

impl Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(all: I) -> Usage {
        all.fold(Usage::default(), Add::add)
    }
}

/// The tokens of a text: its characters by four, rounded up.
pub fn count_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// The tokens of a prompt: the characters of every string value in `system`, `messages`, `tools` and `input`
/// together (not the fields' names), by four, rounded up.
pub fn prompt_tokens(body: &Value) -> u64 {
    let parts = ["system", "messages", "tools", "input"];
    let chars: usize = parts.iter().map(|part| string_chars(&body[*part])).sum();
    chars.div_ceil(4) as u64
}

fn string_chars(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(string_chars).sum(),
        Value::Object(fields) => fields.values().map(string_chars).sum(),
        _ => 0,
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// Sent in place of `arguments` as they are: for what is no JSON.
    pub raw: Option<String>,
    /// The call's id; made up if not given.
    pub id: Option<String>,
}

impl ToolCall {
    /// The arguments as text.
    pub fn arguments_text(&self) -> String {
        self.raw.clone().unwrap_or_else(|| self.arguments.to_string())
    }
}

/// One piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(String),
    /// Thinking with its signature. OpenAI tells none of it but the tokens, unless the dialect does.
    Thinking(String, String),
    /// A tool call; several make parallel calls.
    Tool(ToolCall),
    /// A refusal: OpenAI's `refusal`, Anthropic's stop reason `refusal`.
    Refusal(String),
}

impl Part {
    fn tokens(&self) -> u64 {
        match self {
            Part::Text(text) | Part::Thinking(text, _) | Part::Refusal(text) => count_tokens(text),
            Part::Tool(call) => count_tokens(&format!("{}{}", call.name, call.arguments_text())),
        }
    }
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// Said all.
    Stop,
    /// Ran into the limit of tokens.
    Length,
    /// Wants tools to be called.
    Tools,
    /// Filtered, or refused.
    Refused,
    /// Whatever the wire shall say.
    Other(String),
}

/// How fast tokens come.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before the first.
    pub first: Duration,
    /// Between one event with tokens and the next.
    pub between: Duration,
    /// Characters in each event.
    pub chars: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            first: Duration::ZERO,
            between: Duration::ZERO,
            chars: 16,
        }
    }
}

/// Holds answers back until the test lets them go: for killing the client while a call is under way.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A gate that is shut.
    pub fn shut() -> Self {
        Gate(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        // The sender lives in `self`, so this waits until `open`.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// An answer of the "model", and what goes wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// Its pieces, in order.
    pub parts: Vec<Part>,
    /// Why it stopped; by its parts if not given.
    pub finish: Option<Finish>,
    /// What is reported as used; counted if not given.
    pub usage: Option<Usage>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Its pace; the stand-in's if not given.
    pub pace: Option<Pace>,
    /// What holds it back, headers and all.
    pub gate: Option<Gate>,
}

impl Reply {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Reply::default().and_text(text)
    }

    /// Structured output: the text is this JSON.
    pub fn json(value: &Value) -> Self {
        Reply::text(value.to_string())
    }

    /// One tool call.
    pub fn tool(name: impl Into<String>, arguments: Value) -> Self {
        Reply::default().and_tool(name, arguments)
    }

    /// Tool calls side by side.
    pub fn tools<'a>(calls: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        calls
            .into_iter()
            .fold(Reply::default(), |reply, (name, arguments)| {
                reply.and_tool(name, arguments)
            })
    }

    /// Thinking, to be followed by something.
    pub fn thinking(text: impl Into<String>) -> Self {
        let text = text.into();
        let signature = format!("sig-{:x}-{:x}", text.len(), count_tokens(&text));
        Reply::default().and(Part::Thinking(text, signature))
    }

    /// A refusal.
    pub fn refusal(text: impl Into<String>) -> Self {
        Reply::default().and(Part::Refusal(text.into()))
    }

    /// Nothing but this fault: for those that leave no answer.
    pub fn fault(fault: Fault) -> Self {
        Reply::text("An answer that something went wrong with.").faulty(fault)
    }

    /// Adds a piece.
    #[must_use]
    pub fn and(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn and_text(self, text: impl Into<String>) -> Self {
        self.and(Part::Text(text.into()))
    }

    /// Adds a tool call.
    #[must_use]
    pub fn and_tool(self, name: impl Into<String>, arguments: Value) -> Self {
        self.and(Part::Tool(ToolCall {
            name: name.into(),
            arguments,
            raw: None,
            id: None,
        }))
    }

    /// Lets this go wrong with it.
    #[must_use]
    pub fn faulty(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Says why it stopped.
    #[must_use]
    pub fn finish(mut self, finish: Finish) -> Self {
        self.finish = Some(finish);
        self
    }

    /// Reports this as used.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Comes at this pace.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Waits for the gate before anything is sent.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The tool calls.
    pub fn calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            Part::Tool(call) => Some(call),
            _ => None,
        })
    }

    /// What is reported as used for this answer to `request`.
    pub fn usage_for(&self, request: &ReceivedRequest) -> Usage {
        let thinking = |part: &&Part| matches!(part, Part::Thinking(..));
        self.usage.unwrap_or_else(|| Usage {
            input: prompt_tokens(&request.body),
            output: self.parts.iter().map(Part::tokens).sum(),
            reasoning: self.parts.iter().filter(thinking).map(Part::tokens).sum(),
            ..Usage::default()
        })
    }

    pub(crate) fn finish_or_default(&self) -> Finish {
        let refuses = |part: &Part| matches!(part, Part::Refusal(_));
        match &self.finish {
            Some(finish) => finish.clone(),
            None if self.calls().next().is_some() => Finish::Tools,
            None if self.parts.iter().any(refuses) => Finish::Refused,
            None => Finish::Stop,
        }
    }
}
