//! Everything that a model or a client may call by name: the operations, and beside them the tools of the sources.

use crate::operation::Operation;
use crate::registry::Registry;
use crate::sources::{Source, SourceTool};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use synapscale_core::{Ctx, Effect, Error, ErrorKind, Result};
use synapscale_store::Store;

/// Longest part of an unknown name that is repeated, in characters.
const MAX_ECHO: usize = 64;
/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 200;

/// The operations and the sources' tools. Cheap to clone; [`crate::Gate::tools`] gives it.
#[derive(Clone)]
pub struct Tools {
    registry: Arc<Registry>,
    store: Store,
}

/// One thing to call: an operation, or a source's tool that goes through one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tool {
    operation: Operation,
    view: Option<Arc<SourceTool>>,
}

/// What [`Tools::list`] found.
#[derive(Debug, Default)]
pub struct ToolListing {
    /// What the caller may call, operations first, each once.
    pub tools: Vec<Tool>,
    /// The patterns that fit nothing, whoever asks.
    pub unmatched: Vec<String>,
    /// The families whose tools could not be listed, and why. All others are complete.
    pub failed: Vec<(&'static str, Error)>,
}

impl Tools {
    pub(crate) fn new(registry: Arc<Registry>, store: Store) -> Self {
        Tools { registry, store }
    }

    /// What fits one of `patterns` and is permitted to the caller. A pattern is a dotted name, or a beginning of one as
    /// `tasks.*` and `mcp.github.*`, or `*`. A source whose family no pattern names is not asked.
    pub async fn list(&self, ctx: &Ctx, patterns: &[impl AsRef<str>]) -> ToolListing {
        let patterns: Vec<&str> = patterns.iter().map(AsRef::as_ref).collect();
        let mut found = ToolListing::default();
        let mut matched = vec![false; patterns.len()];
        let mut seen = HashSet::new();
        let mut offer = |tool: Tool, tools: &mut Vec<Tool>| {
            let mut fits = false;
            for (pattern, matched) in patterns.iter().zip(matched.iter_mut()) {
                if pattern_matches(pattern, tool.name()) {
                    (*matched, fits) = (true, true);
                }
            }
            if fits && tool.is_permitted(ctx) && seen.insert(tool.wire_name().to_owned()) {
                tools.push(tool);
            }
        };
        for operation in self.registry.listed() {
            offer(Tool::of(operation.clone()), &mut found.tools);
        }
        for Source(source) in self.registry.sources() {
            let family = source.family();
            if !patterns.iter().any(|pattern| may_name(pattern, family)) {
                continue;
            }
            match source.list(&self.store, ctx).await {
                Ok(tools) => {
                    let tools = tools.into_iter().filter_map(|tool| self.through(tool));
                    tools.for_each(|tool| offer(tool, &mut found.tools));
                }
                Err(error) => {
                    tracing::warn!(family, %error, "the tools of a source cannot be listed");
                    found.failed.push((family, error));
                }
            }
        }
        let unmatched = patterns.iter().zip(&matched).filter(|(_, matched)| !**matched);
        found.unmatched = unmatched.map(|(pattern, _)| (*pattern).to_owned()).collect();
        found
    }

    /// The sources' tools that are permitted to the caller: what comes beside the operations, which never change. A source
    /// that fails is left out.
    pub async fn sourced(&self, ctx: &Ctx) -> Vec<Tool> {
        let mut found = Vec::new();
        for Source(source) in self.registry.sources() {
            match source.list(&self.store, ctx).await {
                Ok(tools) => found.extend(tools.into_iter().filter_map(|tool| self.through(tool))),
                Err(error) => {
                    tracing::warn!(family = source.family(), %error, "the tools of a source cannot be listed")
                }
            }
        }
        found.retain(|tool| tool.is_permitted(ctx));
        found
    }

    /// What `name` names, dotted or as on the wire. Whether the caller may call it is the gate's to say.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub async fn find(&self, ctx: &Ctx, name: &str) -> Result<Option<Tool>> {
        let operation = self.registry.get(name).or_else(|| self.registry.wire(name));
        if let Some(operation) = operation {
            // What only the product's own code calls is not there for anybody else.
            return Ok(Some(Tool::of(operation.clone())).filter(|_| !operation.is_internal()));
        }
        for Source(source) in self.registry.sources() {
            let rest = name.strip_prefix(source.family()).unwrap_or_default();
            if rest.starts_with(['.', '_'])
                && let Some(tool) = source.find(&self.store, ctx, name).await?
            {
                return Ok(self.through(tool));
            }
        }
        Ok(None)
    }

    /// As [`Tools::find`], for whoever needs it to be there.
    ///
    /// # Errors
    /// `not_found`, with the name that was meant if one is near.
    pub async fn resolve(&self, ctx: &Ctx, name: &str) -> Result<Tool> {
        self.find(ctx, name).await?.ok_or_else(|| {
            let near = self.registry.nearest(name);
            let hint = near.map(|near| format!(" Did you mean `{near}`?"));
            let name: String = name.chars().take(MAX_ECHO).collect();
            let message = format!("There is no tool `{name}`.{}", hint.unwrap_or_default());
            Error::new(ErrorKind::NotFound, "not_found", message)
        })
    }

    /// The tool on its carrier; none, and a word in the log, when the source names a carrier that is not there.
    fn through(&self, view: Arc<SourceTool>) -> Option<Tool> {
        let operation = self.registry.get(view.carrier).cloned();
        if operation.is_none() {
            tracing::error!(
                tool = view.name,
                carrier = view.carrier,
                "a tool without its carrier"
            );
        }
        operation.map(|operation| Tool {
            operation,
            view: Some(view),
        })
    }
}

impl Tool {
    /// An operation as a tool.
    pub fn of(operation: Operation) -> Self {
        Tool {
            operation,
            view: None,
        }
    }

    /// The operation to call, with [`Tool::bind`]'s answer as its input: the tool itself, or its carrier.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The source's tool, where it is one.
    pub fn view(&self) -> Option<&SourceTool> {
        self.view.as_deref()
    }

    /// Its dotted name.
    pub fn name(&self) -> &str {
        self.view
            .as_ref()
            .map_or(self.operation.name(), |view| &view.name)
    }

    /// Its name where dots are refused.
    pub fn wire_name(&self) -> &str {
        let own = || self.operation.wire_name();
        self.view.as_ref().map_or_else(own, |view| &view.wire_name)
    }

    /// A few words for people.
    pub fn title(&self) -> &str {
        self.view
            .as_ref()
            .map_or(self.operation.title(), |view| &view.title)
    }

    /// What it does, in sentences for a model. Those of a source's tool are a stranger's.
    pub fn description(&self) -> &str {
        match &self.view {
            Some(view) => &view.description,
            None if self.operation.about().is_empty() => self.operation.title(),
            None => self.operation.about(),
        }
    }

    /// JSON Schema of the input.
    pub fn input_schema(&self) -> &Arc<Value> {
        let own = || self.operation.input_schema();
        self.view.as_ref().map_or_else(own, |view| &view.input_schema)
    }

    /// JSON Schema of the operation's answer. A source's tool answers with what its carrier does.
    pub fn output_schema(&self) -> Value {
        self.operation.output_schema()
    }

    /// What it does to the world.
    pub fn effect(&self) -> Effect {
        self.view
            .as_ref()
            .map_or(self.operation.effect(), |view| view.effect)
    }

    /// Whether it takes away, or is taken to take away, something that does not come back by itself.
    pub fn is_destructive(&self) -> bool {
        let own = self.operation.is_destructive();
        self.view.as_ref().map_or(own, |view| view.destructive)
    }

    /// Whether a person is to be asked before each call, whatever the caller's own rule says.
    pub fn always_asks(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.always_ask)
    }

    /// The permission it asks for; none when it is public.
    pub fn permission(&self) -> Option<&'static str> {
        self.operation.permission()
    }

    /// Whether the caller has that permission. The gate asks again.
    pub fn is_permitted(&self, ctx: &Ctx) -> bool {
        self.permission()
            .is_none_or(|permission| ctx.grants().allows(permission))
    }

    /// The operation's input for a call of this tool with `input`.
    pub fn bind(&self, input: Value) -> Value {
        match &self.view {
            Some(view) => view.bind(input),
            None => input,
        }
    }

    /// The operation's refusal in the terms of the tool's own input: pointers lose the part that [`Tool::bind`] added.
    pub fn unbind(&self, error: Error) -> Error {
        let Some(view) = &self.view else { return error };
        if error.kind() != ErrorKind::Invalid || error.code() != "invalid" {
            return error;
        }
        let prefix = format!("/{}", view.field);
        let mut fields = error.fields().to_vec();
        for field in &mut fields {
            if let Some(rest) = field.pointer.strip_prefix(&prefix)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                field.pointer = rest.to_owned();
            }
        }
        match fields.is_empty() {
            true => error,
            false => Error::invalid_fields(fields),
        }
    }
}

/// Whether `text` can be a pattern: `*`, a dotted name, or the beginning of one followed by `.*`.
pub fn is_pattern(text: &str) -> bool {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let beginning = text.strip_suffix(".*");
    text == "*"
        || (text.len() <= MAX_PATTERN
            && (beginning.is_some() || text.contains('.'))
            && beginning.unwrap_or(text).split('.').all(word))
}

/// Whether a dotted name fits a pattern.
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(beginning) => beginning.ends_with('.') && name.starts_with(beginning),
        None => pattern == name,
    }
}

/// Whether a tool of `family` could fit `pattern`.
fn may_name(pattern: &str, family: &str) -> bool {
    let rest = pattern.strip_prefix(family);
    pattern == "*" || rest.is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_or_beginnings() {
        for good in [
            "*",
            "tasks.*",
            "tasks.list",
            "mcp.github.*",
            "mcp.github.create_issue",
        ] {
            assert!(is_pattern(good), "{good}");
        }
        for bad in [
            "",
            "tasks",
            "tasks*",
            "*.list",
            "tasks..x",
            ".*",
            "Tasks.list",
            "a.*.b",
            "tasks.l*",
        ] {
            assert!(!is_pattern(bad), "{bad}");
        }
        assert!(pattern_matches("mcp.github.*", "mcp.github.create_issue"));
        assert!(!pattern_matches("mcp.github.*", "mcp.github2.create_issue"));
        assert!(!pattern_matches("tasks*", "tasks.list"));
        assert!(pattern_matches("*", "a.b") && pattern_matches("a.b", "a.b"));
        assert!(may_name("mcp.x.y", "mcp") && may_name("*", "mcp") && !may_name("mcps.x", "mcp"));
    }
}
