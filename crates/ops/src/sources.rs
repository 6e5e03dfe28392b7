//! Tools that come and go while the server runs: those of MCP servers, workflows, nodes from a market. Each is a named view
//! of one operation, its carrier, with part of that operation's input filled in beforehand.
//!
//! *Invariant:* a source adds names and schemas, never a way in. Whoever calls a tool calls its carrier through the gate, so
//! permission, limits, validation, the journal and the count of denied tries are the carrier's.

use async_trait::async_trait;
use aws_lc_rs::digest;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Ctx, Effect, Result};
use synapscale_store::Store;

/// Longest name on the wire, in bytes: what every model provider accepts.
pub(crate) const MAX_WIRE_NAME: usize = 48;
/// Digits of the hash that stands for what a shortened name has lost.
const HASH_DIGITS: usize = 8;

/// Where tools come from at run time. Registered with [`crate::Module::tool_source`].
#[async_trait]
pub trait ToolSource: Send + Sync {
    /// The first part of its tools' names, such as `mcp`: it is asked for names of this family only.
    fn family(&self) -> &'static str;

    /// The tools of the caller's tenant, usable ones only, in a stable order. It is asked for each list that a model gets,
    /// so it answers from memory or by one short read, and never by calling out.
    ///
    /// # Errors
    /// When they cannot be read; other sources' tools are listed all the same.
    async fn list(&self, store: &Store, ctx: &Ctx) -> Result<Vec<Arc<SourceTool>>>;

    /// The tool that `name` names, either way: `mcp.github.create_issue` or `mcp_github__create_issue`.
    ///
    /// # Errors
    /// As [`ToolSource::list`].
    async fn find(&self, store: &Store, ctx: &Ctx, name: &str) -> Result<Option<Arc<SourceTool>>> {
        let tools = self.list(store, ctx).await?;
        Ok(tools
            .into_iter()
            .find(|tool| tool.name == name || tool.wire_name == name))
    }
}

/// One tool of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceTool {
    /// Its dotted name, which begins with the source's family: `mcp.github.create_issue`.
    pub name: String,
    /// Its name where dots are refused: `[a-z0-9_]{1,48}`, unique in the tenant and the same tomorrow. [`wire_name_of`]
    /// makes one.
    pub wire_name: String,
    /// A few words for people.
    pub title: String,
    /// What it does, for a model. Words of strangers: data, not instructions.
    pub description: String,
    /// JSON Schema of the input: an object.
    pub input_schema: Arc<Value>,
    /// JSON Schema of what comes out, where the source knows it.
    pub output_schema: Option<Value>,
    /// What it does to the world, as far as the workspace vouches for it: never by the tool's own word.
    pub effect: Effect,
    /// Whether it is taken to destroy things.
    pub destructive: bool,
    /// Whether a person is to be asked before each call, whatever the caller's own rule says.
    pub always_ask: bool,
    /// The operation that it goes through, such as `mcp.call`.
    pub carrier: &'static str,
    /// The carrier's fields that are settled by the tool.
    pub fixed: Map<String, Value>,
    /// The carrier's field that takes the tool's own input.
    pub field: &'static str,
}

impl SourceTool {
    /// The carrier's input for a call of this tool with `input`.
    pub fn bind(&self, input: Value) -> Value {
        let mut bound = self.fixed.clone();
        bound.insert(self.field.to_owned(), input);
        Value::Object(bound)
    }
}

/// A source as modules and the registry hold it.
#[derive(Clone)]
pub(crate) struct Source(pub Arc<dyn ToolSource>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.0.family()).finish()
    }
}

/// `text` as a name on the wire: `[a-z0-9_]`, 48 characters at most. A text that is too long keeps its beginning and ends in
/// a hash of the whole, so that the same text has the same name always and two long ones have two names.
pub fn wire_name_of(text: &str) -> String {
    let plain: String = text.chars().map(plain).collect();
    match plain.len() <= MAX_WIRE_NAME && !plain.is_empty() {
        true => plain,
        false => hashed(&plain, text),
    }
}

/// As [`wire_name_of`], and always with the hash of `whole` behind: for names that would be another's otherwise.
pub fn hashed_wire_name_of(text: &str, whole: &str) -> String {
    let plain: String = text.chars().map(plain).collect();
    hashed(&plain, whole)
}

fn plain(c: char) -> char {
    match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '_',
    }
}

fn hashed(plain: &str, whole: &str) -> String {
    let digest = digest::digest(&digest::SHA256, whole.as_bytes());
    let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let room = MAX_WIRE_NAME - HASH_DIGITS - 1;
    let kept = plain.get(..room.min(plain.len())).unwrap_or_default();
    let kept = kept.trim_end_matches('_');
    format!("{kept}_{}", hash.get(..HASH_DIGITS).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wire_names_are_plain_short_and_stable() {
        assert_eq!(wire_name_of("mcp.github.create_issue"), "mcp_github_create_issue");
        assert_eq!(wire_name_of("Größe-1"), "gr__e_1");
        let long = format!("mcp.github.{}", "a".repeat(60));
        let other = format!("{long}b");
        let (one, two) = (wire_name_of(&long), wire_name_of(&other));
        assert_eq!(one.len(), MAX_WIRE_NAME);
        assert_ne!(one, two);
        assert_eq!(one, wire_name_of(&long));
        assert!(one.starts_with("mcp_github_aaa"), "{one}");
        assert_eq!(wire_name_of("").len(), 1 + HASH_DIGITS);
        assert_ne!(hashed_wire_name_of("a", "a.b"), hashed_wire_name_of("a", "a_b"));
    }

    #[test]
    fn a_tool_fills_in_its_carriers_input() {
        let mut fixed = Map::new();
        fixed.insert("server".to_owned(), json!("github"));
        fixed.insert("tool".to_owned(), json!("create_issue"));
        let tool = SourceTool {
            name: "mcp.github.create_issue".to_owned(),
            wire_name: "mcp_github__create_issue".to_owned(),
            title: String::new(),
            description: String::new(),
            input_schema: Arc::new(json!({"type": "object"})),
            output_schema: None,
            effect: Effect::External,
            destructive: true,
            always_ask: false,
            carrier: "mcp.call",
            fixed,
            field: "arguments",
        };
        assert_eq!(
            tool.bind(json!({"title": "x", "server": "other"})),
            json!({"server": "github", "tool": "create_issue", "arguments": {"title": "x", "server": "other"}})
        );
    }
}
