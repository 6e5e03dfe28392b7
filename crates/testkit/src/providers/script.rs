//! A script: which request gets which answer.

use super::fault::Fault;
use super::reply::{Finish, Reply};
use super::request::ReceivedRequest;
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What thinks up an answer.
pub type Brain = Arc<dyn Fn(&ReceivedRequest) -> Reply + Send + Sync>;

type Test = dyn Fn(&ReceivedRequest) -> bool + Send + Sync;

/// Which requests a rule is for.
#[derive(Clone)]
pub struct Predicate(Arc<Test>);

impl Predicate {
    /// Both.
    #[must_use]
    pub fn and(self, other: Predicate) -> Predicate {
        matching(move |r| self.holds(r) && other.holds(r))
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Predicate) -> Predicate {
        matching(move |r| self.holds(r) || other.holds(r))
    }

    /// The contrary.
    #[must_use]
    pub fn negated(self) -> Predicate {
        matching(move |r| !self.holds(r))
    }

    /// Whether it is for this request.
    pub fn holds(&self, request: &ReceivedRequest) -> bool {
        (self.0)(request)
    }
}

/// Whatever the closure says.
pub fn matching(test: impl Fn(&ReceivedRequest) -> bool + Send + Sync + 'static) -> Predicate {
    Predicate(Arc::new(test))
}

/// Every request.
pub fn any() -> Predicate {
    matching(|_| true)
}

/// The model is this one.
pub fn model(name: impl Into<String>) -> Predicate {
    let name = name.into();
    matching(move |r| r.model() == name)
}

/// The user's last text has this in it.
pub fn user_says(text: impl Into<String>) -> Predicate {
    let text = text.into();
    matching(move |r| r.last_user_text().contains(&text))
}

/// The system prompt has this in it.
pub fn system_says(text: impl Into<String>) -> Predicate {
    let text = text.into();
    matching(move |r| r.system_text().contains(&text))
}

/// A result of this tool is somewhere in the conversation.
pub fn tool_result(tool: impl Into<String>) -> Predicate {
    let tool = tool.into();
    matching(move |r| r.tool_results().iter().any(|result| result.tool == tool))
}

/// A result of this tool came after the user's last text.
pub fn fresh_tool_result(tool: impl Into<String>) -> Predicate {
    let tool = tool.into();
    matching(move |r| r.fresh_tool_results().iter().any(|result| result.tool == tool))
}

/// This tool is offered.
pub fn offers(tool: impl Into<String>) -> Predicate {
    let tool = tool.into();
    matching(move |r| r.tool_names().contains(&tool.as_str()))
}

/// The nth model call to this stand-in, from 1.
pub fn nth(n: usize) -> Predicate {
    matching(move |r| r.nth == n)
}

/// The nth time that the same content is asked, from 1: `attempt(1)` fails what a retry then gets.
pub fn attempt(n: usize) -> Predicate {
    matching(move |r| r.attempt == n)
}

/// The conversation's nth turn of the model, from 1.
pub fn turn(n: usize) -> Predicate {
    matching(move |r| r.turns() + 1 == n)
}

/// The beginning of a rule.
pub fn when(predicate: Predicate) -> When {
    When(predicate)
}

/// A rule that lacks its answer.
pub struct When(Predicate);

impl When {
    /// Answers with this, each time.
    pub fn then(self, reply: Reply) -> Rule {
        self.then_with(move |_| reply.clone())
    }

    /// Answers with what the closure makes of the request.
    pub fn then_with(self, brain: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) -> Rule {
        Rule {
            predicate: self.0,
            brain: Arc::new(brain),
            faults: Vec::new(),
            limit: usize::MAX,
            used: Arc::default(),
            replies: Arc::default(),
        }
    }

    /// Answers with one after the other, each once; then the rule is used up and those below it answer.
    pub fn then_sequence(self, replies: impl IntoIterator<Item = Reply>) -> Rule {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let limit = replies.len();
        Rule {
            replies: Arc::new(replies),
            ..self.then(Reply::default()).times(limit)
        }
    }

    /// Asks for a tool call each turn, with other arguments (`{"turn": n}`), for ever.
    pub fn then_endless_calls(self, tool: impl Into<String>) -> Rule {
        let tool = tool.into();
        self.then_with(move |r| Reply::tool(&tool, json!({"turn": r.turns() + 1})))
    }
}

/// A rule: for which requests, and what they are answered.
#[derive(Clone)]
pub struct Rule {
    predicate: Predicate,
    brain: Brain,
    faults: Vec<Fault>,
    limit: usize,
    used: Arc<AtomicUsize>,
    replies: Arc<Vec<Reply>>,
}

impl Rule {
    /// Answers this many times; then those below it do.
    #[must_use]
    pub fn times(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Lets this go wrong each time.
    #[must_use]
    pub fn faulty(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    fn answer(&self, request: &ReceivedRequest) -> Option<Reply> {
        if !self.predicate.holds(request) {
            return None;
        }
        let take = |used: usize| (used < self.limit).then_some(used + 1);
        let turn = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .ok()?;
        let mut reply = match self.replies.get(turn) {
            Some(reply) => reply.clone(),
            None => (self.brain)(request),
        };
        reply.faults.extend(self.faults.iter().cloned());
        Some(reply)
    }
}

/// Rules, tried in their order; the first that matches answers. Without one the brain does: the script's, or one that
/// calls no tool, says the user's last text again (or an instance of the schema asked for).
#[derive(Clone, Default)]
pub struct Script {
    rules: Vec<Rule>,
    brain: Option<Brain>,
    chances: Vec<(f64, Fault)>,
    seed: u64,
}

impl Script {
    /// No rule.
    pub fn new() -> Self {
        Script::default()
    }

    /// Adds a rule below those it has.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Answers what no rule matches.
    #[must_use]
    pub fn brain(mut self, brain: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static) -> Self {
        self.brain = Some(Arc::new(brain));
        self
    }

    /// Lets this go wrong in so many of all answers (0 to 1). The dice are thrown by the seed, the request's content
    /// and its attempt, so that the order in which parallel requests arrive does not matter.
    #[must_use]
    pub fn sometimes(mut self, share: f64, fault: Fault) -> Self {
        self.chances.push((share, fault));
        self
    }

    /// Throws other dice.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn answer(&self, request: &ReceivedRequest) -> Reply {
        let ruled = self.rules.iter().find_map(|rule| rule.answer(request));
        let mut reply = ruled.unwrap_or_else(|| match &self.brain {
            Some(brain) => brain(request),
            None => echo(request),
        });
        for (index, (share, fault)) in self.chances.iter().enumerate() {
            let dice = (self.seed, index, request.content_hash, request.attempt);
            if unit_interval(dice) < *share {
                reply.faults.push(fault.clone());
            }
        }
        reply
    }
}

/// Even over 0 to 1; the hasher's keys are fixed.
fn unit_interval(dice: impl Hash) -> f64 {
    let mut hasher = DefaultHasher::new();
    dice.hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The answer where nobody said another.
fn echo(request: &ReceivedRequest) -> Reply {
    if let Some(schema) = request.response_schema() {
        return Reply::json(&instance_of(schema));
    }
    let said: String = request.last_user_text().chars().take(60).collect();
    Reply::text(format!("You said: {said}")).finish(Finish::Stop)
}

/// Something small that fits a schema of the kind that structured output takes.
pub fn instance_of(schema: &Value) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[union].get(0) {
            return instance_of(first);
        }
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(
                fields
                    .map(|(name, field)| (name.clone(), instance_of(field)))
                    .collect(),
            )
        }
        Some("array") => match schema["minItems"].as_u64() {
            Some(least) => Value::Array((0..least).map(|_| instance_of(&schema["items"])).collect()),
            None => json!([]),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!("text"),
    }
}
