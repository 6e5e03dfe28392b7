//! The tools that a server lists: read leniently, bounded, named, and each checked by itself, so that one bad tool takes
//! nothing from the others.

use crate::view::{ServerSettings, ToolOverride};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use synapscale_core::{Effect, Result};
use synapscale_engine::graph::check_schema;
use synapscale_ops::{SchemaCheck, SourceTool, check_value, hashed_wire_name_of, wire_name_of};

/// The first part of the tools' names.
pub(crate) const FAMILY: &str = "mcp";
/// The operation that every tool goes through.
pub(crate) const CARRIER: &str = "mcp.call";
/// Most tools of one server.
pub(crate) const MOST: usize = 500;
/// Largest schema, in bytes.
const MAX_SCHEMA: usize = 64 * 1024;
/// All schemas of one server together, in bytes.
const MAX_SCHEMAS: usize = 2 * 1024 * 1024;
/// Longest name, in characters, as the protocol has it.
const MAX_NAME: usize = 128;
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 4_000;
/// What models' providers refuse at the root of a schema. The check before a call holds to it all the same.
const NOT_PLAIN: &[&str] = &[
    "oneOf", "anyOf", "allOf", "not", "if", "then", "else", "$id", "$schema", "$comment",
];

/// A tool as it was listed. This is how it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredTool {
    /// The server's own name for it.
    pub name: String,
    /// The last part of its name here: lower case, unique on its server.
    pub key: String,
    pub title: String,
    pub description: String,
    pub input_schema: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// By the server's hints, which decide nothing but what is shown.
    pub destructive: bool,
    /// Why it cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl StoredTool {
    pub fn dotted(&self, server: &str) -> String {
        format!("{FAMILY}.{server}.{}", self.key)
    }

    /// A server's name has no `__` in it and does not end in `_`, so the first `__` parts server and tool, and no two
    /// tools of a tenant share a name.
    pub fn wire(&self, server: &str) -> String {
        wire_name_of(&format!("{FAMILY}_{server}__{}", self.key))
    }

    pub fn effect(&self, own: Option<&ToolOverride>) -> Effect {
        own.and_then(|own| own.effect).unwrap_or(Effect::External)
    }

    pub fn is_destructive(&self, own: Option<&ToolOverride>) -> bool {
        own.and_then(|own| own.destructive).unwrap_or(self.destructive)
    }

    /// The tool as agents and clients see it; none when it cannot be used.
    pub fn as_source(&self, server: &str, settings: &ServerSettings) -> Option<SourceTool> {
        if self.problem.is_some() || !settings.uses(&self.name) {
            return None;
        }
        let own = settings.tools.get(&self.name);
        let mut fixed = Map::new();
        fixed.insert("server".to_owned(), json!(server));
        fixed.insert("tool".to_owned(), json!(self.name));
        let said = match self.description.as_str() {
            "" => &self.title,
            said => said,
        };
        Some(SourceTool {
            name: self.dotted(server),
            wire_name: self.wire(server),
            title: self.title.clone(),
            description: format!("Tool of the MCP server `{server}`, which describes it so: {said}"),
            input_schema: Arc::new(plain_root(&self.input_schema)),
            output_schema: self.output_schema.clone(),
            effect: self.effect(own),
            destructive: self.is_destructive(own),
            always_ask: own.and_then(|own| own.always_ask).unwrap_or(false),
            carrier: CARRIER,
            fixed,
            field: "arguments",
        })
    }
}

/// The schema as a model's provider takes it.
fn plain_root(schema: &Value) -> Value {
    let mut plain = schema.as_object().cloned().unwrap_or_default();
    plain.retain(|name, _| !NOT_PLAIN.contains(&name.as_str()));
    plain.entry("properties").or_insert_with(|| json!({}));
    Value::Object(plain)
}

/// A tool ready to be called.
#[derive(Debug)]
pub(crate) struct Listed {
    pub tool: StoredTool,
    input: Option<SchemaCheck>,
    output: Option<SchemaCheck>,
}

impl Listed {
    /// # Errors
    /// 422 with a pointer into the arguments per fault.
    pub fn check_arguments(&self, arguments: &Value) -> Result<()> {
        check_value(arguments)?;
        self.input
            .as_ref()
            .map_or(Ok(()), |check| check.validate(arguments))
    }

    /// Whether a structured result is what the server said it would be.
    pub fn fits_output(&self, structured: &Value) -> bool {
        let check = self.output.as_ref();
        check.is_none_or(|check| check.validate(structured).is_ok())
    }
}

/// What a server listed, by its own names.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub tools: Vec<Arc<Listed>>,
    by_name: HashMap<String, usize>,
    /// Whether the server has more than were taken.
    pub more: bool,
}

impl Listing {
    pub fn get(&self, name: &str) -> Option<&Arc<Listed>> {
        self.by_name.get(name).and_then(|at| self.tools.get(*at))
    }

    pub fn unusable(&self) -> usize {
        self.tools
            .iter()
            .filter(|listed| listed.tool.problem.is_some())
            .count()
    }

    pub fn stored(&self) -> Vec<&StoredTool> {
        self.tools.iter().map(|listed| &listed.tool).collect()
    }

    /// Reads what a server listed: the items of its `tools`, as they came.
    pub fn read(raw: Vec<Value>, more: bool) -> Self {
        let more = more || raw.len() > MOST;
        let mut tools: Vec<Listed> = Vec::new();
        let mut names = HashSet::new();
        let mut room = MAX_SCHEMAS;
        for (index, item) in raw.into_iter().take(MOST).enumerate() {
            let mut listed = one(&item, index, &mut room);
            if !names.insert(listed.tool.name.clone()) {
                listed.tool.problem = Some("The server lists two tools of this name.".to_owned());
            }
            tools.push(listed);
        }
        name_apart(&mut tools);
        let mut by_name = HashMap::new();
        for (at, listed) in tools.iter().enumerate() {
            by_name.entry(listed.tool.name.clone()).or_insert(at);
        }
        Listing {
            tools: tools.into_iter().map(Arc::new).collect(),
            by_name,
            more,
        }
    }
}

/// Gives every tool a key of its own. A name that is a key already keeps it; of others that come to the same, each takes a
/// hash of its own name, so that none depends on the order of the list.
fn name_apart(tools: &mut [Listed]) {
    let mut users: BTreeMap<String, usize> = BTreeMap::new();
    for listed in tools.iter_mut() {
        listed.tool.key = wire_name_of(&listed.tool.name);
        *users.entry(listed.tool.key.clone()).or_default() += 1;
    }
    for listed in tools.iter_mut() {
        let shared = users.get(&listed.tool.key).is_some_and(|users| *users > 1);
        if shared && listed.tool.key != listed.tool.name {
            listed.tool.key = hashed_wire_name_of(&listed.tool.name, &listed.tool.name);
        }
    }
}

fn one(item: &Value, index: usize, room: &mut usize) -> Listed {
    let text =
        |value: Option<&Value>, most: usize| clean(value.and_then(Value::as_str).unwrap_or_default(), most);
    let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
    let hints = item.get("annotations");
    let hint = |name: &str| hints.and_then(|hints| hints.get(name)).and_then(Value::as_bool);
    let title = item
        .get("title")
        .or_else(|| hints.and_then(|hints| hints.get("title")));
    let mut listed = Listed {
        tool: StoredTool {
            name: name.to_owned(),
            key: String::new(),
            title: text(title, MAX_TITLE),
            description: text(item.get("description"), MAX_DESCRIPTION),
            input_schema: json!({"type": "object"}),
            output_schema: None,
            // As the protocol has it: what says nothing may destroy.
            destructive: hint("readOnlyHint") != Some(true) && hint("destructiveHint") != Some(false),
            problem: None,
        },
        input: None,
        output: None,
    };
    let tool = &mut listed.tool;
    let odd = |c: char| c.is_control() || c.is_whitespace();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(odd) {
        // The name is what it is called by; one that is unfit is not shown either.
        tool.name = format!("unnamed_{index}");
        tool.problem = Some("Its name is empty, over 128 characters, or has spaces in it.".to_owned());
        return listed;
    }
    if tool.title.is_empty() {
        tool.title = clean(name, MAX_TITLE);
    }
    match usable(item.get("inputSchema"), room) {
        Ok((schema, check)) => {
            tool.input_schema = schema;
            listed.input = Some(check);
        }
        Err(why) => {
            tool.problem = Some(format!("Its input schema cannot be used: {why}"));
            return listed;
        }
    }
    // Without a usable one its results are not checked, and it works all the same.
    if let Some(given) = item.get("outputSchema").filter(|given| !given.is_null())
        && let Ok((schema, check)) = usable(Some(given), room)
    {
        tool.output_schema = Some(schema);
        listed.output = Some(check);
    }
    listed
}

fn usable(schema: Option<&Value>, room: &mut usize) -> Result<(Value, SchemaCheck), String> {
    let schema = schema.ok_or("there is none.")?;
    let size = serde_json::to_vec(schema).map_or(usize::MAX, |bytes| bytes.len());
    if size > MAX_SCHEMA {
        return Err(format!("it is over {} KiB.", MAX_SCHEMA / 1024));
    }
    if size > *room {
        return Err(format!(
            "all schemas together are over {} MiB.",
            MAX_SCHEMAS >> 20
        ));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err("it is not of the type `object`.".to_owned());
    }
    check_value(schema).map_err(|error| error.message().to_owned())?;
    check_schema(schema)?;
    let check = SchemaCheck::compile(schema)?;
    *room -= size;
    Ok((schema.clone(), check))
}

/// A stranger's text for people and models: without control characters, and without those that hide or reorder others.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e007f}')
    };
    let mut kept: String = text.chars().filter(|c| !hidden(*c)).take(most + 1).collect();
    if kept.chars().count() > most {
        kept.pop();
        kept.pop();
        kept.push('…');
    }
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, schema: Value) -> Value {
        json!({"name": name, "description": "d", "inputSchema": schema})
    }

    fn object() -> Value {
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
    }

    #[test]
    fn one_bad_tool_takes_nothing_from_the_others() {
        let deep = (0..80).fold(
            json!({"type": "string"}),
            |inner, _| json!({"type": "array", "items": inner}),
        );
        let raw = vec![
            tool("good", object()),
            json!({"name": "no_schema"}),
            tool("a_list", json!({"type": "array"})),
            tool("true", json!(true)),
            tool("no_type", json!({})),
            tool(
                "bad_type",
                json!({"type": "object", "properties": {"a": {"type": "nothing"}}}),
            ),
            tool(
                "itself",
                json!({"type": "object", "properties": {"a": {"$ref": "#"}}}),
            ),
            tool(
                "elsewhere",
                json!({"type": "object", "properties": {"a": {"$ref": "https://x.example/s"}}}),
            ),
            tool("deep", json!({"type": "object", "properties": {"a": deep}})),
            tool(
                "large",
                json!({"type": "object", "description": "x".repeat(70_000)}),
            ),
            tool("good", object()),
            tool("", object()),
            tool("a b", object()),
            json!("no tool"),
            json!({"name": "odd_output", "inputSchema": object(), "outputSchema": {"type": "nothing"}}),
        ];
        let listing = Listing::read(raw, false);
        assert_eq!(listing.tools.len(), 15);
        let usable: Vec<&str> = listing
            .tools
            .iter()
            .filter(|listed| listed.tool.problem.is_none())
            .map(|listed| listed.tool.name.as_str())
            .collect();
        assert_eq!(usable, ["good", "odd_output"]);
        let good = listing.get("good").expect("the first");
        assert!(good.check_arguments(&json!({"a": 1})).is_ok());
        let error = good.check_arguments(&json!({"a": "x"})).expect_err("no number");
        assert_eq!(error.fields()[0].pointer, "/a");
        assert!(
            listing
                .get("odd_output")
                .expect("there")
                .fits_output(&json!({"any": 1}))
        );
    }

    #[test]
    fn lists_are_bounded() {
        let many: Vec<Value> = (0..600).map(|n| tool(&format!("t{n}"), object())).collect();
        let listing = Listing::read(many, false);
        assert!(listing.tools.len() == MOST && listing.more);
        let large = || json!({"type": "object", "description": "x".repeat(60_000)});
        let heavy: Vec<Value> = (0..60).map(|n| tool(&format!("t{n}"), large())).collect();
        let listing = Listing::read(heavy, false);
        assert!((20..40).contains(&listing.unusable()), "{}", listing.unusable());
    }

    #[test]
    fn keys_are_apart_whatever_the_order() {
        let names = ["getUser", "get_user", "get.user", "GETUSER", "list"];
        let keys = |names: &[&str]| {
            let listing = Listing::read(names.iter().map(|name| tool(name, object())).collect(), false);
            let pairs = listing
                .tools
                .iter()
                .map(|l| (l.tool.name.clone(), l.tool.key.clone()));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let one = keys(&names);
        let mut reversed = names;
        reversed.reverse();
        assert_eq!(one, keys(&reversed));
        assert_eq!(one["get_user"], "get_user");
        assert_eq!(one["list"], "list");
        let apart: HashSet<_> = one.values().collect();
        assert_eq!(apart.len(), names.len());
        assert!(one.values().all(|key| {
            key.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        }));
    }

    #[test]
    fn a_tool_is_a_view_of_the_call() {
        let mut raw = tool(
            "Create.Issue",
            json!({"$schema": "x", "type": "object", "anyOf": [{"required": ["a"]}]}),
        );
        raw["annotations"] = json!({"readOnlyHint": true, "title": "Make\u{202e} it"});
        let listing = Listing::read(vec![raw], false);
        let stored = &listing.tools[0].tool;
        let settings = ServerSettings::default();
        let source = stored.as_source("github", &settings).expect("usable");
        assert_eq!(source.name, "mcp.github.create_issue");
        assert_eq!(source.wire_name, "mcp_github__create_issue");
        assert_eq!(source.title, "Make it");
        assert_eq!(*source.input_schema, json!({"type": "object", "properties": {}}));
        assert_eq!(source.effect, Effect::External, "hints widen nothing");
        assert!(!source.destructive);
        assert!(
            listing.tools[0].check_arguments(&json!({})).is_err(),
            "the whole schema is checked"
        );
        let denied = ServerSettings {
            denied_tools: vec!["Create*".to_owned()],
            ..settings
        };
        assert!(stored.as_source("github", &denied).is_none());
    }
}
