//! Operations as MCP tools: made once, listed by toolset and permission, found by words.

use crate::openapi::noun;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::sync::Arc;
use synapscale_core::Effect;
use synapscale_ops::{Operation, Registry, Tool as Callable};

/// The tool that finds operations.
pub(crate) const SEARCH: &str = "ops_search";
/// The tool that calls any operation.
pub(crate) const CALL: &str = "ops_call";
/// The reserved field with the idempotency key.
pub(crate) const KEY: &str = "_idempotency_key";
/// The reserved field with the expected revision.
pub(crate) const REVISION: &str = "_expected_revision";
/// The toolset that is all of them.
const ALL: &str = "all";

/// A named group of tools: all operations of some nouns. Each noun is a set of its own name too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolset {
    /// What `?toolsets=` names it by, such as `work`.
    pub name: &'static str,
    /// The first parts of the operations' names, such as `tasks`.
    pub nouns: &'static [&'static str],
}

/// All tools of this server.
pub(crate) struct Shelf {
    entries: Vec<Entry>,
    toolsets: Vec<Toolset>,
    search: Tool,
    call: Tool,
}

struct Entry {
    operation: Operation,
    tool: Tool,
    core: bool,
    /// Name and title in lower case, then the description: what a search looks at.
    name: String,
    about: String,
}

impl Shelf {
    pub fn new(registry: &Registry, core: &[&'static str], toolsets: Vec<Toolset>) -> Self {
        let entries = registry
            .listed()
            .map(|operation| Entry {
                tool: tool(operation),
                core: core.contains(&operation.name()),
                name: format!("{} {}", operation.name(), operation.title()).to_lowercase(),
                about: operation.about().to_lowercase(),
                operation: operation.clone(),
            })
            .collect();
        Shelf {
            entries,
            toolsets,
            search: search_tool(),
            call: call_tool(),
        }
    }

    /// The core set and the named sets, as far as the caller may use them. An unknown name adds nothing.
    pub fn list(&self, sets: &[String], permitted: impl Fn(&Operation) -> bool) -> Vec<Tool> {
        let all = sets.iter().any(|set| set == ALL);
        let chosen = self
            .entries
            .iter()
            .filter(|entry| all || entry.core || self.named(sets, noun(entry.operation.name())))
            .filter(|entry| permitted(&entry.operation))
            .map(|entry| entry.tool.clone());
        [self.search.clone(), self.call.clone()]
            .into_iter()
            .chain(chosen)
            .collect()
    }

    fn named(&self, sets: &[String], noun: &str) -> bool {
        let group = |name: &str| self.toolsets.iter().find(|set| set.name == name);
        sets.iter()
            .any(|name| name == noun || group(name).is_some_and(|set| set.nouns.contains(&noun)))
    }

    /// Operations and further tools that match the words of `query`, best first.
    pub fn search(
        &self,
        query: &str,
        permitted: impl Fn(&Operation) -> bool,
        further: Vec<Callable>,
    ) -> impl Iterator<Item = Callable> {
        let query = query.to_lowercase();
        let words: Vec<&str> = query
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        let own = self
            .entries
            .iter()
            .filter(|entry| permitted(&entry.operation))
            .map(|entry| (entry.score(&words), Callable::of(entry.operation.clone())));
        let further = further.into_iter().map(|tool| {
            let name = format!("{} {}", tool.name(), tool.title()).to_lowercase();
            (score(&name, &tool.description().to_lowercase(), &words), tool)
        });
        let mut found: Vec<(usize, Callable)> = own.chain(further).filter(|(score, _)| *score > 0).collect();
        // Stable: equals stay in the registry's order.
        found.sort_by_key(|(score, _)| Reverse(*score));
        found.into_iter().map(|(_, tool)| tool)
    }
}

/// Whether the sets ask for the tools of a source of this family.
pub(crate) fn names_family(sets: &[String], family: &str) -> bool {
    sets.iter().any(|set| set == ALL || set == family)
}

impl Entry {
    fn score(&self, words: &[&str]) -> usize {
        score(&self.name, &self.about, words)
    }
}

/// A word in the name counts three times as much as one in the description. Both are in lower case.
fn score(name: &str, about: &str, words: &[&str]) -> usize {
    let word = |word: &&str| {
        // `task` shall find `tasks`, and `tasks` find `task`.
        let stem = word
            .strip_suffix('s')
            .filter(|stem| stem.len() > 2)
            .unwrap_or(word);
        3 * usize::from(name.contains(stem)) + usize::from(about.contains(stem))
    };
    words.iter().map(word).sum()
}

/// Whether tool inputs may carry an idempotency key.
pub(crate) fn takes_key(operation: &Operation) -> bool {
    operation.effect() != Effect::Read
}

fn tool(operation: &Operation) -> Tool {
    described(&Callable::of(operation.clone()))
}

/// An operation or a source's tool as a tool of ours.
pub(crate) fn described(callable: &Callable) -> Tool {
    let read = callable.effect() == Effect::Read;
    let annotations = ToolAnnotations::new()
        .read_only(read)
        .destructive(callable.is_destructive())
        .idempotent(read)
        .open_world(callable.effect() == Effect::External);
    let tool = Tool::new(
        callable.wire_name().to_owned(),
        callable.description().to_owned(),
        Arc::new(input(callable)),
    )
    .with_title(callable.title())
    .with_annotations(annotations);
    match callable.output_schema() {
        Value::Object(schema) => tool.with_raw_output_schema(Arc::new(schema)),
        _ => tool,
    }
}

/// The input schema with the reserved fields that the operation honours.
fn input(callable: &Callable) -> JsonObject {
    let operation = callable.operation();
    let mut schema = callable.input_schema().as_object().cloned().unwrap_or_default();
    let properties = schema.entry("properties").or_insert_with(|| json!({}));
    if takes_key(operation) {
        properties[KEY] = json!({
            "type": "string", "minLength": 1, "maxLength": 255,
            "description": "The same key with the same input has one effect, however often it is sent.",
        });
    }
    if operation.takes_expected_revision() {
        properties[REVISION] = json!({
            "type": "integer",
            "description": "The revision that you have read; refused when it is another by now.",
        });
    }
    schema
}

fn object(value: Value) -> Arc<JsonObject> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

fn search_tool() -> Tool {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["query"],
        "properties": {
            "query": {"type": "string", "description": "Words for what is to be done, such as `archive project`."},
            "limit": {"type": "integer", "minimum": 1, "maximum": 25, "default": 8},
        },
    });
    let about = "Finds operations by words. Gives their names, effects and input schemas, to be called with ops_call.";
    Tool::new(SEARCH, about, object(schema))
        .with_title("Find operations")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(true)
                .idempotent(true)
                .open_world(false),
        )
}

fn call_tool() -> Tool {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["operation"],
        "properties": {
            "operation": {"type": "string", "description": "The operation's name, such as `tasks.create`."},
            "input": {"type": "object", "description": "Its input, by the schema that ops_search gives."},
            "idempotency_key": {"type": "string", "minLength": 1, "maxLength": 255,
                "description": "For writes: the same key with the same input has one effect."},
            "expected_revision": {"type": "integer",
                "description": "Where taken: the revision that you have read."},
        },
    });
    let about = "Calls any operation by name. Permissions, limits and validation are the same as everywhere.";
    Tool::new(CALL, about, object(schema))
        .with_title("Call an operation")
        .with_annotations(
            ToolAnnotations::new()
                .read_only(false)
                .destructive(true)
                .open_world(true),
        )
}
