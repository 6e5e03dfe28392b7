//! Which tools an agent has: patterns of its spec, resolved against what there is and what the person may do.

use crate::spec::{Approval, ToolRule};
use synapscale_core::{Effect, Grants};
use synapscale_ops::{Operation, Registry};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 200;

/// What governs the workspace, or would let an agent widen its own means: accounts, keys, members, providers and routes of
/// models, servers of tools, agents and talks with them, decisions in people's names. `*` leaves these out; `members.*` or
/// `members.list` has to be written, so that nobody hands them over by accident.
const GOVERNING: [&str; 15] = [
    "agents",
    "approvals",
    "audit",
    "conversations",
    "hooks",
    "keys",
    "mcp",
    "members",
    "owner_links",
    "providers",
    "routes",
    "sessions",
    "tokens",
    "users",
    "workspaces",
];

/// What no agent ever gets, by whatever pattern: an approval is a person's word about what an agent wants to do.
const NEVER: [&str; 1] = ["approvals.decide"];

/// A tool that an agent has.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The operation.
    pub operation: Operation,
    /// Whether a person is asked before a call.
    pub asks: bool,
}

/// What patterns resolve to.
#[derive(Debug, Default)]
pub struct Resolution {
    /// The tools that the person may use, in the registry's order, each once.
    pub tools: Vec<Granted>,
    /// The patterns that fit nothing, whoever asks.
    pub unknown: Vec<String>,
}

/// Whether `text` can be a pattern: `*`, a dotted name, or the beginning of one followed by `.*`.
///
/// # Errors
/// Code and words.
pub fn check_pattern(text: &str) -> Result<(), (&'static str, String)> {
    let word = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let beginning = text.strip_suffix(".*");
    let good = text == "*"
        || (text.len() <= MAX_PATTERN
            && (beginning.is_some() || text.contains('.'))
            && beginning.unwrap_or(text).split('.').all(word));
    if !good {
        let message = "Name a tool as `tasks.list`, all of a kind as `tasks.*`, or `*`.";
        return Err(("pattern", message.to_owned()));
    }
    if NEVER.contains(&text) {
        return Err((
            "never_a_tool",
            format!("`{text}` is for people and never a tool."),
        ));
    }
    Ok(())
}

/// Whether a tool's dotted name fits a pattern.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => {
            let area = name.split('.').next().unwrap_or_default();
            !GOVERNING.contains(&area)
        }
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

/// The rule for a tool: the longest pattern that fits it.
pub fn rule<'r>(rules: &'r [ToolRule], name: &str) -> Option<&'r ToolRule> {
    if NEVER.contains(&name) {
        return None;
    }
    rules
        .iter()
        .filter(|rule| fits(&rule.name, name))
        .max_by_key(|rule| rule.name.len())
}

/// Whether a person is asked before a call, as the rule says.
pub fn asks(approval: Approval, effect: Effect, destructive: bool) -> bool {
    match approval {
        Approval::Never => false,
        Approval::Always => true,
        Approval::Changes => destructive || effect != Effect::Read,
    }
}

/// The tools that `rules` give an agent that acts for somebody with `grants`. The one place where patterns become tools.
/// Internal operations are for the product's own code and public ones for strangers: neither is a tool.
pub fn resolve(registry: &Registry, grants: &Grants, rules: &[ToolRule]) -> Resolution {
    let mut found = Resolution::default();
    let mut matched = vec![false; rules.len()];
    for operation in registry.listed().filter(|operation| !operation.is_public()) {
        let name = operation.name();
        let Some(rule) = rule(rules, name) else { continue };
        for (rule, matched) in rules.iter().zip(matched.iter_mut()) {
            *matched |= fits(&rule.name, name);
        }
        if operation.permission().is_some_and(|asked| grants.allows(asked)) {
            found.tools.push(Granted {
                asks: asks(rule.approval, operation.effect(), operation.is_destructive()),
                operation: operation.clone(),
            });
        }
    }
    let unknown = rules.iter().zip(matched).filter(|(_, matched)| !matched);
    found.unknown = unknown.map(|(rule, _)| rule.name.clone()).collect();
    found
}
