//! What this domain reads of a workflow file. Whether the file is a good one is the engine's to say: everything here is
//! read from files that compiled.

use crate::hooks::scheme_of;
use crate::hooks::verify::Scheme;
use serde_json::{Map, Value, json};

/// Most hours for which a repeated delivery is recognised.
pub(crate) const MAX_DEDUPE_HOURS: i64 = 720;
/// Hours unless the node names others.
const DEDUPE_HOURS: i64 = 24;
/// Longest title and description that are kept beside the file, in characters.
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 10_000;
/// How long a run may work unless the file says otherwise, in seconds.
const EXECUTION_TIMEOUT_S: i64 = 3600;

/// A webhook trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookNode {
    pub node: String,
    pub scheme: Scheme,
    pub dedupe_hours: i64,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleNode {
    pub node: String,
    pub cron: String,
    pub timezone: String,
    pub missed: String,
}

/// An event trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventNode {
    pub node: String,
    /// A list of texts.
    pub kinds: Value,
    pub filter: Option<String>,
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
    pub schedules: Vec<ScheduleNode>,
    pub events: Vec<EventNode>,
    /// Whether some node answers the caller.
    pub responds: bool,
    pub nodes: usize,
    pub edges: usize,
}

impl Summary {
    /// Reads `file`.
    pub fn of(file: &Map<String, Value>) -> Self {
        let empty = Map::new();
        let nodes = file.get("nodes").and_then(Value::as_object).unwrap_or(&empty);
        let of_kind = |name: &'static str| nodes.iter().filter(move |(_, node)| kind(node) == name);
        let manual: Vec<String> = of_kind("trigger.manual").map(|(id, _)| id.clone()).collect();
        let hooks: Vec<HookNode> = of_kind("trigger.webhook")
            .map(|(id, node)| hook(id, node))
            .collect();
        let schedules: Vec<ScheduleNode> = of_kind("trigger.schedule")
            .map(|(id, node)| schedule(id, node))
            .collect();
        let events: Vec<EventNode> = of_kind("trigger.event")
            .map(|(id, node)| event(id, node))
            .collect();
        let text = |field: &str, most: usize| -> String {
            file.get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .chars()
                .take(most)
                .collect()
        };
        Summary {
            title: text("title", MAX_TITLE),
            description: text("description", MAX_DESCRIPTION),
            execution_timeout: file
                .get("execution_timeout")
                .and_then(Value::as_i64)
                .unwrap_or(EXECUTION_TIMEOUT_S),
            retry_policy: file
                .get("retry")
                .filter(|retry| retry.is_object())
                .cloned()
                .unwrap_or_else(|| json!({})),
            triggers: manual
                .into_iter()
                .chain(hooks.iter().map(|hook| hook.node.clone()))
                .chain(schedules.iter().map(|schedule| schedule.node.clone()))
                .chain(events.iter().map(|event| event.node.clone()))
                .collect(),
            responds: of_kind("respond").next().is_some(),
            nodes: nodes.len(),
            edges: nodes.values().map(edges_into).sum(),
            hooks,
            schedules,
            events,
        }
    }

    fn starts_by_itself(&self, id: &str) -> bool {
        self.hooks.iter().any(|hook| hook.node == id)
            || self.schedules.iter().any(|schedule| schedule.node == id)
            || self.events.iter().any(|event| event.node == id)
    }

    /// The trigger of a run by hand: the only manual one, or else the only one.
    pub fn default_trigger(&self) -> Option<&str> {
        let manual: Vec<&String> = self
            .triggers
            .iter()
            .filter(|id| !self.starts_by_itself(id))
            .collect();
        match (manual.as_slice(), self.triggers.as_slice()) {
            ([one], _) => Some(one),
            ([], [one]) => Some(one),
            _ => None,
        }
    }
}

fn config<'a>(node: &'a Value, field: &str) -> Option<&'a Value> {
    node.get("with").and_then(|with| with.get(field))
}

fn schedule(id: &str, node: &Value) -> ScheduleNode {
    let text = |field: &str, usual: &str| {
        config(node, field)
            .and_then(Value::as_str)
            .unwrap_or(usual)
            .to_owned()
    };
    ScheduleNode {
        node: id.to_owned(),
        cron: text("cron", ""),
        timezone: text("timezone", "UTC"),
        missed: text("missed", "once"),
    }
}

fn event(id: &str, node: &Value) -> EventNode {
    EventNode {
        node: id.to_owned(),
        kinds: config(node, "kinds").cloned().unwrap_or_else(|| json!([])),
        filter: config(node, "filter").and_then(Value::as_str).map(str::to_owned),
    }
}

/// How many predecessors a node names.
fn edges_into(node: &Value) -> usize {
    match node.get("after") {
        Some(Value::String(_)) => 1,
        Some(Value::Array(list)) => list.len(),
        _ => 0,
    }
}

/// The kind without its version.
fn kind(node: &Value) -> &str {
    let kind = node.get("kind").and_then(Value::as_str).unwrap_or_default();
    kind.split('@').next().unwrap_or_default()
}

fn hook(id: &str, node: &Value) -> HookNode {
    HookNode {
        node: id.to_owned(),
        scheme: config(node, "scheme")
            .and_then(Value::as_str)
            .map_or(Scheme::None, scheme_of),
        dedupe_hours: config(node, "dedupe_hours")
            .and_then(Value::as_i64)
            .unwrap_or(DEDUPE_HOURS)
            .clamp(1, MAX_DEDUPE_HOURS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "say": {"kind": "respond@1", "after": ["hook", "by_hand"]},
            },
        }));
        assert_eq!(read.triggers, ["by_hand", "hook"]);
        assert_eq!(
            read.hooks,
            [HookNode {
                node: "hook".to_owned(),
                scheme: Scheme::Github,
                dedupe_hours: 48
            }]
        );
        assert_eq!((read.nodes, read.edges, read.responds), (3, 2, true));
        assert_eq!(read.default_trigger(), Some("by_hand"));
        assert_eq!((read.title.as_str(), read.execution_timeout), ("T", 3600));
    }

    #[test]
    fn a_trigger_is_only_chosen_when_it_is_the_only_one() {
        let webhook = json!({"kind": "trigger.webhook@1", "with": {"scheme": "none"}});
        assert_eq!(
            summary(json!({"nodes": {"a": webhook}})).default_trigger(),
            Some("a")
        );
        assert_eq!(
            summary(json!({"nodes": {"a": webhook, "b": webhook}})).default_trigger(),
            None
        );
        assert_eq!(summary(json!({"nodes": {}})).default_trigger(), None);
    }
}
