//! Expressions: their syntax, and whether what they read can be there when they are evaluated.

use super::Draft;
use crate::expr::{References, Template};
use crate::graph::config::holds_expression;
use crate::graph::model::Edge;
use crate::graph::parse::{Problems, below, echo, suggestion};
use serde_json::Value;
use std::collections::HashMap;

/// What expressions can read.
const ROOTS: [&str; 3] = ["input", "nodes", "run"];
/// What those that are evaluated for each item of a list can read besides.
const ITEM_ROOTS: [&str; 2] = ["item", "index"];

/// Checks the expressions of all nodes, one string at a time, for a reference has no place of its own.
pub(super) fn check(drafts: &[Draft], edges: &[Edge], problems: &mut Problems) {
    let mut before = vec![Vec::new(); drafts.len()];
    for edge in edges {
        before[edge.to].push(edge.from);
    }
    let by_id: HashMap<&str, usize> = drafts
        .iter()
        .enumerate()
        .map(|(index, draft)| (draft.id.as_str(), index))
        .collect();
    for (index, draft) in drafts.iter().enumerate() {
        if problems.is_full() {
            return;
        }
        if !holds_expression(&draft.with) {
            continue;
        }
        let at = below(&draft.at, "with");
        if draft.is_trigger() {
            let message =
                "A trigger's configuration is read before there is a run: it cannot hold expressions.";
            problems.add(at, "trigger_expression", message);
            continue;
        }
        let ancestors = ancestors(index, &before);
        let is_loose =
            (0..drafts.len()).any(|node| (node == index || ancestors[node]) && drafts[node].is_loose);
        let reader = Reader {
            drafts,
            by_id: &by_id,
            ancestors,
            is_loose,
            own: draft,
        };
        reader.config(&draft.with, &at, problems);
    }
}

/// Which nodes come before `node`, at any distance.
fn ancestors(node: usize, before: &[Vec<usize>]) -> Vec<bool> {
    let mut found = vec![false; before.len()];
    let mut stack = before[node].clone();
    while let Some(next) = stack.pop() {
        if !std::mem::replace(&mut found[next], true) {
            stack.extend(before[next].iter().copied());
        }
    }
    found
}

/// The expressions of one node.
struct Reader<'d> {
    drafts: &'d [Draft],
    by_id: &'d HashMap<&'d str, usize>,
    ancestors: Vec<bool>,
    /// Whether some of its predecessors are not known, so that what comes before it is not either.
    is_loose: bool,
    own: &'d Draft,
}

impl Reader<'_> {
    fn config(&self, with: &Value, at: &str, problems: &mut Problems) {
        let per_item = self.own.kind.as_ref().and_then(|kind| kind.per_item);
        for (key, value) in with.as_object().into_iter().flatten() {
            let has_item = per_item == Some(key.as_str());
            self.strings(value, below(at, key), has_item, problems);
        }
    }

    /// Checks every string of a value. The recursion is bounded by the depth of the file.
    fn strings(&self, value: &Value, at: String, has_item: bool, problems: &mut Problems) {
        match value {
            Value::String(text) if text.contains("{{") => match Template::compile(value) {
                Ok(template) => self.references(&template.references(), &at, has_item, problems),
                Err(errors) => {
                    for error in errors {
                        problems.add(&at, "expression", error.error.to_string());
                    }
                }
            },
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.strings(item, format!("{at}/{index}"), has_item, problems);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.strings(item, below(&at, key), has_item, problems);
                }
            }
            _ => {}
        }
    }

    fn references(&self, references: &References, at: &str, has_item: bool, problems: &mut Problems) {
        let is_known = |root: &str| ROOTS.contains(&root) || (has_item && ITEM_ROOTS.contains(&root));
        for root in references.roots.iter().filter(|root| !is_known(root)) {
            let hint = match self.by_id.contains_key(root.as_str()) {
                true => format!(" The output of the node is `nodes.{root}.output`."),
                false => suggestion(root, ROOTS),
            };
            let message = format!(
                "Expressions read `input`, `nodes` and `run`; there is no `{}` here.{hint}",
                echo(root)
            );
            problems.add(at, "unknown_name", message);
        }
        for id in &references.nodes {
            self.node(id, at, problems);
        }
    }

    fn node(&self, id: &str, at: &str, problems: &mut Problems) {
        match self.by_id.get(id).copied() {
            None => {
                let hint = suggestion(id, self.drafts.iter().map(|draft| draft.id.as_str()));
                problems.add(
                    at,
                    "unknown_reference",
                    format!("There is no node `{}`.{hint}", echo(id)),
                );
            }
            Some(node) if !self.ancestors[node] && !self.is_loose => {
                let own = &self.own.id;
                let message = match id == own {
                    true => format!("`{own}` cannot read its own output."),
                    false => format!("`{id}` does not run before `{own}`: its output cannot be there."),
                };
                problems.add(at, "not_before", message);
            }
            Some(_) => {}
        }
    }
}
