//! Reading a file field by field, so that one wrong field hides no other. `serde` would stop at the first.

use super::limits::{self, ConcurrencyFile, LimitsFile, RateFile};
use super::model::{After, GraphFile, Join, NodeFile, RetryFile};
use super::{MAX_DEPTH, MAX_FILE_BYTES, MAX_NODES, MAX_PROBLEMS};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;

/// Longest part of the file that is repeated in a message, in characters.
const MAX_ECHO: usize = 100;
/// Longest pointer and longest message, in characters.
const MAX_TEXT: usize = 500;

pub(super) const GRAPH_FIELDS: [&str; 8] = [
    "name",
    "title",
    "description",
    "execution_timeout",
    "retry",
    "limits",
    "input",
    "nodes",
];
const CONCURRENCY_FIELDS: [&str; 4] = ["max", "key", "scope", "when_full"];
const RATE_FIELDS: [&str; 5] = ["max", "per_seconds", "key", "scope", "when_full"];
pub(super) const NODE_FIELDS: [&str; 8] = [
    "kind",
    "with",
    "after",
    "join",
    "retry",
    "timeout",
    "on_error",
    "unknown_outcome",
];
pub(super) const RETRY_FIELDS: [&str; 6] = [
    "max_attempts",
    "initial_delay_ms",
    "factor",
    "max_delay_ms",
    "jitter",
    "then",
];

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// JSON pointer (RFC 6901) into the file, such as `/nodes/save/after/0`; empty for the whole.
    pub pointer: String,
    /// Stable machine code, such as `unknown_kind`.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one, unless there are too many already.
    pub fn add(&mut self, pointer: impl AsRef<str>, code: &'static str, message: impl AsRef<str>) {
        if self.0.len() < MAX_PROBLEMS {
            let pointer = short(pointer.as_ref(), MAX_TEXT).into_owned();
            self.0.push(Problem {
                pointer,
                code,
                message: short(message.as_ref(), MAX_TEXT).into_owned(),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_PROBLEMS
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// Reads a file; none when it is over a limit or no object. Fields that are wrong are left out, so that the rest can be
/// checked: a node without a readable kind has an empty one, an unreadable entry of `after` is empty.
pub(super) fn read(file: &Value, problems: &mut Problems) -> Option<GraphFile> {
    if !within_limits(file, problems) {
        return None;
    }
    let mut top = Fields::open(file, "", &GRAPH_FIELDS, problems)?;
    let name = top.required_text("name", 64).unwrap_or_default();
    if !name.is_empty() && !is_slug(&name) {
        top.wrong(
            "name",
            "bad_name",
            "`name` is of lower-case letters, digits and hyphens, such as `issue-triage`.",
        );
    }
    let title = top.text("title", 200);
    let description = top.text("description", 10_000);
    let execution_timeout = top.integer("execution_timeout", 1..=604_800);
    let retry = top.retry();
    let limits = top.limits();
    let input = top.get("input").cloned();
    let nodes = top.nodes()?;
    Some(GraphFile {
        name,
        title,
        description,
        execution_timeout,
        retry,
        limits,
        input,
        nodes,
    })
}

fn within_limits(file: &Value, problems: &mut Problems) -> bool {
    // Depth first: what follows recurses.
    if is_deeper(file, MAX_DEPTH) {
        problems.add(
            "",
            "too_deep",
            format!("The file is nested more than {MAX_DEPTH} levels deep."),
        );
        return false;
    }
    if serde_json::to_writer(Counter(MAX_FILE_BYTES), file).is_err() {
        problems.add(
            "",
            "too_large",
            format!("The file is longer than {} KiB of JSON.", MAX_FILE_BYTES / 1024),
        );
        return false;
    }
    true
}

/// Whether a value has more than `levels` levels of objects and arrays.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut stack = vec![(value, 0)];
    while let Some((value, above)) = stack.pop() {
        let depth = above + 1;
        match value {
            Value::Array(_) | Value::Object(_) if depth > levels => return true,
            Value::Array(items) => stack.extend(items.iter().map(|item| (item, depth))),
            Value::Object(map) => stack.extend(map.values().map(|item| (item, depth))),
            _ => {}
        }
    }
    false
}

/// A writer that fails once so many bytes have been written.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other("over the limit"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An object of the file while it is read. Null is the same as absent, as in YAML's `title:`.
struct Fields<'v, 'p> {
    map: &'v Map<String, Value>,
    at: String,
    problems: &'p mut Problems,
}

impl<'v, 'p> Fields<'v, 'p> {
    /// Begins to read an object, and tells of fields that it cannot have.
    fn open(value: &'v Value, at: &str, known: &[&str], problems: &'p mut Problems) -> Option<Self> {
        let Some(map) = value.as_object() else {
            problems.add(
                at,
                "type",
                format!("This has to be an object, not {}.", described(value)),
            );
            return None;
        };
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            let hint = suggestion(name, known.iter().copied());
            problems.add(
                below(at, name),
                "unknown_field",
                format!("There is no field `{}` here.{hint}", echo(name)),
            );
        }
        Some(Fields {
            map,
            at: at.to_owned(),
            problems,
        })
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, name: &str, code: &'static str, message: impl AsRef<str>) {
        self.problems.add(below(&self.at, name), code, message);
    }

    fn wrong_type(&mut self, name: &str, wanted: &str, found: &Value) {
        self.wrong(
            name,
            "type",
            format!("`{name}` has to be {wanted}, not {}.", described(found)),
        );
    }

    fn required_text(&mut self, name: &str, max: usize) -> Option<String> {
        if self.get(name).is_none() {
            self.wrong(name, "required", format!("`{name}` is required."));
            return None;
        }
        self.text(name, max)
    }

    fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let value = self.get(name)?;
        let Some(text) = value.as_str() else {
            self.wrong_type(name, "text", value);
            return None;
        };
        if text.is_empty() || text.chars().count() > max {
            self.wrong(name, "length", format!("`{name}` has 1 to {max} characters."));
            return None;
        }
        Some(text.to_owned())
    }

    fn integer(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(name)?;
        let Some(number) = value.as_i64() else {
            self.wrong_type(name, "a whole number", value);
            return None;
        };
        let number = u64::try_from(number).ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.wrong(
                name,
                "range",
                format!("`{name}` is from {} to {}.", range.start(), range.end()),
            );
        }
        number
    }

    fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.get(name)?;
        let Some(number) = value.as_f64() else {
            self.wrong_type(name, "a number", value);
            return None;
        };
        if !range.contains(&number) {
            self.wrong(
                name,
                "range",
                format!("`{name}` is from {} to {}.", range.start(), range.end()),
            );
            return None;
        }
        Some(number)
    }

    /// One of a few words.
    fn word<T: DeserializeOwned>(&mut self, name: &str, words: &str) -> Option<T> {
        let value = self.get(name)?;
        let word = <T as serde::Deserialize<'_>>::deserialize(value).ok();
        if word.is_none() {
            self.wrong(name, "one_of", format!("`{name}` is one of: {words}."));
        }
        word
    }

    fn retry(&mut self) -> Option<RetryFile> {
        let value = self.get("retry")?;
        let at = below(&self.at, "retry");
        let mut fields = Fields::open(value, &at, &RETRY_FIELDS, self.problems)?;
        Some(RetryFile {
            max_attempts: fields
                .integer("max_attempts", 1..=100)
                .and_then(|number| u32::try_from(number).ok()),
            initial_delay_ms: fields.integer("initial_delay_ms", 0..=86_400_000),
            factor: fields.number("factor", 1.0..=10.0),
            max_delay_ms: fields.integer("max_delay_ms", 0..=86_400_000),
            jitter: fields.number("jitter", 0.0..=1.0),
            then: fields.word("then", "fail, pause"),
        })
    }

    fn limits(&mut self) -> Option<LimitsFile> {
        let value = self.get("limits")?;
        let at = below(&self.at, "limits");
        let fields = Fields::open(value, &at, &["concurrency", "rate"], self.problems)?;
        let (concurrency, rate) = (fields.get("concurrency"), fields.get("rate"));
        Some(LimitsFile {
            concurrency: concurrency.and_then(|value| concurrency_limit(value, &at, self.problems)),
            rate: rate.and_then(|value| rate_limit(value, &at, self.problems)),
        })
    }

    /// A whole number that has to be there.
    fn required_integer(&mut self, name: &str, most: u64) -> Option<u64> {
        if self.get(name).is_none() {
            self.wrong(name, "required", format!("`{name}` is required."));
        }
        self.integer(name, 1..=most)
    }

    fn nodes(&mut self) -> Option<BTreeMap<String, NodeFile>> {
        let Some(value) = self.get("nodes") else {
            self.wrong("nodes", "required", "`nodes` is required.");
            return None;
        };
        let Some(map) = value.as_object() else {
            self.wrong_type("nodes", "an object of nodes by their ids", value);
            return None;
        };
        if map.len() > MAX_NODES {
            let message = format!(
                "A graph has at most {MAX_NODES} nodes; this one has {}.",
                map.len()
            );
            self.wrong("nodes", "too_many_nodes", message);
            return None;
        }
        let at = below(&self.at, "nodes");
        let mut nodes = BTreeMap::new();
        for (id, value) in map {
            nodes.insert(id.clone(), node(value, &below(&at, id), self.problems));
        }
        Some(nodes)
    }

    fn with(&mut self) -> Map<String, Value> {
        match self.get("with") {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(other) => {
                self.wrong_type("with", "an object", other);
                Map::new()
            }
        }
    }

    fn after(&mut self) -> After {
        match self.get("after") {
            None => After::default(),
            Some(Value::String(entry)) => {
                self.entry("", entry);
                After::One(entry.clone())
            }
            Some(Value::Array(list)) => {
                let entries = list.iter().enumerate().map(|(index, item)| {
                    let entry = item.as_str().unwrap_or_default();
                    self.entry(&format!("/{index}"), entry);
                    entry.to_owned()
                });
                After::Many(entries.collect())
            }
            Some(other) => {
                self.wrong_type("after", "a node or a list of nodes", other);
                // Something was meant here, so the node is not one that nothing leads to.
                After::One(String::new())
            }
        }
    }

    fn entry(&mut self, place: &str, entry: &str) {
        if entry.is_empty() {
            let at = format!("{}{place}", below(&self.at, "after"));
            self.problems.add(
                at,
                "type",
                "Each entry of `after` is a text: `node` or `node.port`.",
            );
        }
    }

    fn join(&mut self) -> Join {
        match self.get("join") {
            Some(Value::Number(number)) => {
                let count = number
                    .as_u64()
                    .and_then(|count| u32::try_from(count).ok())
                    .filter(|count| *count > 0);
                if count.is_none() {
                    self.wrong("join", "range", "`join` as a number is a whole one from 1.");
                }
                count.map(Join::Count).unwrap_or_default()
            }
            _ => self.word("join", "all, any, or a number").unwrap_or_default(),
        }
    }
}

fn concurrency_limit(value: &Value, at: &str, problems: &mut Problems) -> Option<ConcurrencyFile> {
    let mut fields = Fields::open(value, &below(at, "concurrency"), &CONCURRENCY_FIELDS, problems)?;
    let max = fields.required_integer("max", limits::MOST);
    Some(ConcurrencyFile {
        key: fields.text("key", limits::KEY_CHARS),
        scope: fields.word("scope", "workflow, workspace").unwrap_or_default(),
        when_full: fields
            .word("when_full", "queue, drop, cancel_oldest")
            .unwrap_or_default(),
        max: u32::try_from(max?).ok()?,
    })
}

fn rate_limit(value: &Value, at: &str, problems: &mut Problems) -> Option<RateFile> {
    let mut fields = Fields::open(value, &below(at, "rate"), &RATE_FIELDS, problems)?;
    let max = fields.required_integer("max", limits::MOST);
    let per_seconds = fields.required_integer("per_seconds", limits::LONGEST_S);
    Some(RateFile {
        key: fields.text("key", limits::KEY_CHARS),
        scope: fields.word("scope", "workflow, workspace").unwrap_or_default(),
        when_full: fields.word("when_full", "queue, drop").unwrap_or_default(),
        max: u32::try_from(max?).ok()?,
        per_seconds: per_seconds?,
    })
}

fn node(value: &Value, at: &str, problems: &mut Problems) -> NodeFile {
    let Some(mut fields) = Fields::open(value, at, &NODE_FIELDS, problems) else {
        return NodeFile {
            after: After::One(String::new()),
            ..NodeFile::default()
        };
    };
    NodeFile {
        kind: fields.required_text("kind", 100).unwrap_or_default(),
        with: fields.with(),
        after: fields.after(),
        join: fields.join(),
        retry: fields.retry(),
        timeout: fields.integer("timeout", 1..=3_600),
        on_error: fields
            .word("on_error", "fail, branch, continue")
            .unwrap_or_default(),
        unknown_outcome: fields
            .word("unknown_outcome", "retry, ask, fail")
            .unwrap_or_default(),
    }
}

fn is_slug(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a name is `[a-z][a-z0-9_]{0,47}`: what ids of nodes and ports look like.
pub(super) fn is_identifier(name: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.len() <= 48
        && name
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
        && name.bytes().all(rest)
}

fn described(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The pointer of a member.
pub(super) fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A text of the file for a message, cut if it is long.
pub(super) fn echo(text: &str) -> std::borrow::Cow<'_, str> {
    short(text, MAX_ECHO)
}

fn short(text: &str, chars: usize) -> std::borrow::Cow<'_, str> {
    match text
        .char_indices()
        .nth(chars)
        .and_then(|(end, _)| text.get(..end))
    {
        Some(start) => format!("{start}…").into(),
        None => text.into(),
    }
}

/// A sentence that names the option nearest to `word`; empty if none is near.
pub(super) fn suggestion<'o>(word: &str, options: impl IntoIterator<Item = &'o str>) -> String {
    nearest(word, options)
        .map(|option| format!(" Did you mean `{option}`?"))
        .unwrap_or_default()
}

/// The option that `word` is the last part of (`webhook` of `trigger.webhook`), or the one with the fewest edits.
fn nearest<'o>(word: &str, options: impl IntoIterator<Item = &'o str>) -> Option<&'o str> {
    if word.len() > 64 {
        return None;
    }
    let most = ((word.chars().count() + 1) / 3).max(1);
    let rank = |option: &'o str| {
        let is_part = !word.is_empty()
            && option
                .strip_suffix(word)
                .is_some_and(|start| start.ends_with('.'));
        (if is_part { 0 } else { distance(word, option) }, option)
    };
    options
        .into_iter()
        .map(rank)
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, option)| option)
}

/// The number of characters to insert, remove or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(100).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.iter().zip(row.iter().skip(1)) {
            left = (corner + usize::from(from != *to)).min(above + 1).min(left + 1);
            next.push(left);
            corner = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
