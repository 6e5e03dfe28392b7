//! What this domain reads of a workflow file. Whether the file is a good one is the engine's to say: everything here is
//! read from files that compiled.

use crate::hooks::scheme_of;
use crate::hooks::verify::Scheme;
use serde_json::{Map, Value};

/// Most hours for which a repeated delivery is recognised.
pub(crate) const MAX_DEDUPE_HOURS: i64 = 720;
/// Hours unless the node names others.
const DEDUPE_HOURS: i64 = 24;
/// Longest title and description that are kept beside the file, in characters.
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 4000;
/// How long a run may work unless the file says otherwise, in seconds.
const EXECUTION_TIMEOUT_S: i64 = 3600;

/// A webhook trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookNode {
    pub node: String,
    pub scheme: Scheme,
    pub dedupe_hours: i64,
}

/// What a workflow's row repeats of its file, for lists and for people.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    pub title: String,
    pub description: String,
    pub execution_timeout: i64,
    pub retry_policy: Value,
    pub triggers: Vec<String>,
    pub hooks: Vec<HookNode>,
    /// Whether some node answers the caller.
    pub responds: bool,
    pub nodes: usize,
    pub edges: usize,
}

impl Summary {
    /// Reads `file`.
    pub fn of(file: &Map<String, Value>) -> Self {
        let nodes: Vec<(String, &Value)> = nodes(file);
        let is = |node: &Value, name: &str| kind(node) == name;
        let ids = |name: &str| nodes.iter().filter(|(_, node)| is(node, name)).map(|(id, _)| id.clone()).collect();
        let manual: Vec<String> = ids("trigger.manual");
        let hooks: Vec<HookNode> =
            nodes.iter().filter(|(_, node)| is(node, "trigger.webhook")).map(|(id, node)| hook(id, node)).collect();
        let text = |field: &str, most: usize| -> String {
            file.get(field).and_then(Value::as_str).unwrap_or_default().chars().take(most).collect()
        };
        Summary {
            title: text("title", MAX_TITLE),
            description: text("description", MAX_DESCRIPTION),
            execution_timeout: file.get("execution_timeout").and_then(seconds).unwrap_or(EXECUTION_TIMEOUT_S),
            retry_policy: file.get("retry").cloned().unwrap_or_else(|| Value::Object(Map::new())),
            triggers: manual.into_iter().chain(hooks.iter().map(|hook| hook.node.clone())).collect(),
            responds: nodes.iter().any(|(_, node)| is(node, "respond")),
            nodes: nodes.len(),
            edges: file.get("edges").and_then(Value::as_array).map_or(0, Vec::len),
            hooks,
        }
    }

    /// The trigger of a run by hand: the only manual one, or else the only one.
    pub fn default_trigger(&self) -> Option<&str> {
        let manual: Vec<&String> =
            self.triggers.iter().filter(|id| !self.hooks.iter().any(|hook| hook.node == **id)).collect();
        match (manual.as_slice(), self.triggers.as_slice()) {
            ([one], _) => Some(one),
            ([], [one]) => Some(one),
            _ => None,
        }
    }
}

/// The nodes with their ids, from a map by id or from a list of nodes that carry theirs.
fn nodes(file: &Map<String, Value>) -> Vec<(String, &Value)> {
    match file.get("nodes") {
        Some(Value::Object(map)) => map.iter().map(|(id, node)| (id.clone(), node)).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|node| Some((node.get("id")?.as_str()?.to_owned(), node)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The kind without its version.
fn kind(node: &Value) -> &str {
    let kind = node.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.split('@').next().unwrap_or_default()
}

fn hook(id: &str, node: &Value) -> HookNode {
    let config = |field: &str| node.get("with").and_then(|with| with.get(field));
    HookNode {
        node: id.to_owned(),
        scheme: config("scheme").and_then(Value::as_str).map_or(Scheme::None, scheme_of),
        dedupe_hours: config("dedupe_hours")
            .and_then(Value::as_i64)
            .unwrap_or(DEDUPE_HOURS)
            .clamp(1, MAX_DEDUPE_HOURS),
    }
}

fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary(file: Value) -> Summary {
        Summary::of(file.as_object().expect("object"))
    }

    #[test]
    fn triggers_and_hooks_are_found() {
        let read = summary(json!({
            "title": "T",
            "nodes": {
                "by_hand": {"kind": "trigger.manual@1"},
                "hook": {"kind": "trigger.webhook@1", "with": {"scheme": "github", "dedupe_hours": 48}},
                "say": {"kind": "respond@1"},
            },
            "edges": [{"from": "hook", "to": "say"}],
        }));
        assert_eq!(read.triggers, ["by_hand", "hook"]);
        assert_eq!(read.hooks, [HookNode { node: "hook".to_owned(), scheme: Scheme::Github, dedupe_hours: 48 }]);
        assert_eq!((read.nodes, read.edges, read.responds), (3, 1, true));
        assert_eq!(read.default_trigger(), Some("by_hand"));
        assert_eq!((read.title.as_str(), read.execution_timeout), ("T", 3600));
    }

    #[test]
    fn a_trigger_is_only_chosen_when_it_is_the_only_one() {
        let webhook = json!({"kind": "trigger.webhook@1", "with": {"scheme": "none"}});
        assert_eq!(summary(json!({"nodes": {"a": webhook}})).default_trigger(), Some("a"));
        assert_eq!(summary(json!({"nodes": {"a": webhook, "b": webhook}})).default_trigger(), None);
        assert_eq!(summary(json!({"nodes": {}})).default_trigger(), None);
    }
}
