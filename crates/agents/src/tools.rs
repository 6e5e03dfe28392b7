//! Which tools an agent has: patterns of its spec, resolved against what there is and what the person may do.

use crate::spec::{Approval, ToolRule};
use synapscale_core::{Ctx, Effect};
use synapscale_ops::{Tool, Tools};

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

/// Most tools that a model is shown: more drown it, and providers refuse.
const MAX_TOOLS: usize = 128;

/// A tool that an agent has.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The tool.
    pub tool: Tool,
    /// Whether a person is asked before a call.
    pub asks: bool,
}

/// What an agent's rules resolve to.
#[derive(Debug, Default)]
pub struct Toolbox {
    /// The tools that the person may use, operations first, each once.
    pub tools: Vec<Granted>,
    /// The patterns that fit nothing, whoever asks.
    pub unknown: Vec<String>,
    /// The families of tools that cannot be listed now.
    pub unavailable: Vec<String>,
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

/// The tools that `rules` give an agent that acts for whoever `ctx` is. The one place where patterns become tools.
pub async fn toolbox(tools: &Tools, ctx: &Ctx, rules: &[ToolRule]) -> Toolbox {
    if rules.is_empty() {
        return Toolbox::default();
    }
    let patterns: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let found = tools.list(ctx, &patterns).await;
    let mut granted = granted(found.tools, rules);
    if granted.len() > MAX_TOOLS {
        tracing::warn!(
            tools = granted.len(),
            most = MAX_TOOLS,
            "an agent has more tools than a model is shown"
        );
        granted.truncate(MAX_TOOLS);
    }
    Toolbox {
        tools: granted,
        unknown: found.unmatched,
        unavailable: found
            .failed
            .into_iter()
            .map(|(family, _)| family.to_owned())
            .collect(),
    }
}

/// Those of `found` that a rule gives. Public operations are for strangers and no tools.
fn granted(found: Vec<Tool>, rules: &[ToolRule]) -> Vec<Granted> {
    let grant = |tool: Tool| {
        let rule = rule(rules, tool.name())
            .filter(|_| !tool.operation().is_public() && !tool.operation().is_secret())?;
        let asks = tool.always_asks() || asks(rule.approval, tool.effect(), tool.is_destructive());
        Some(Granted { tool, asks })
    };
    found.into_iter().filter_map(grant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use synapscale_core::{Grants, PermissionSet};
    use synapscale_ops::{Module, NoInput, NoOutput, Operation, Outcome, Registry};
    use synapscale_store::Tx;

    fn read(name: &'static str, permission: &'static str) -> Operation {
        Operation::read(name, "A read")
            .permission(permission)
            .handle(|_: Tx, _: Arc<NoInput>| async { Ok(NoOutput {}) })
    }

    fn write(name: &'static str, permission: &'static str) -> Operation {
        Operation::write(name, "A write")
            .permission(permission)
            .handle(|_: Tx, _: Arc<NoInput>| async { Ok(Outcome::Done(NoOutput {})) })
    }

    fn registry() -> Registry {
        let nothing = |_: Tx, _: Arc<NoInput>| async { Ok(NoOutput {}) };
        let operations = vec![
            read("tasks.list", "tasks:read"),
            write("tasks.create", "tasks:write"),
            Operation::read("tasks.burn", "A read that burns")
                .permission("tasks:read")
                .destructive()
                .handle(nothing),
            Operation::read("tasks.hidden", "Internal")
                .permission("tasks:read")
                .internal()
                .handle(nothing),
            Operation::read("tasks.open", "Public").public().handle(nothing),
            read("tasks2.list", "tasks:read"),
            read("members.list", "members:read"),
            write("keys.create", "keys:manage"),
            write("approvals.decide", "approvals:decide"),
            read("approvals.list", "approvals:read"),
        ];
        Registry::new(&[Module::new("things").operations(operations)]).expect("a registry")
    }

    fn rules(patterns: &[(&str, Approval)]) -> Vec<ToolRule> {
        let rule = |(name, approval): &(&str, Approval)| ToolRule {
            name: (*name).to_owned(),
            approval: *approval,
        };
        patterns.iter().map(rule).collect()
    }

    /// Names and whether they ask, and what fits nothing.
    fn found(permissions: &[&str], patterns: &[(&str, Approval)]) -> (Vec<(String, bool)>, Vec<String>) {
        let grants = Grants::of(PermissionSet::parse(permissions).expect("permissions"));
        let (registry, rules) = (registry(), rules(patterns));
        let permitted =
            |operation: &&Operation| operation.permission().is_none_or(|asked| grants.allows(asked));
        let candidates = registry
            .listed()
            .filter(permitted)
            .cloned()
            .map(Tool::of)
            .collect();
        let tools = granted(candidates, &rules)
            .into_iter()
            .map(|granted| (granted.tool.name().to_owned(), granted.asks));
        let fits_none = |rule: &&ToolRule| !registry.listed().any(|known| fits(&rule.name, known.name()));
        let unknown = rules.iter().filter(fits_none).map(|rule| rule.name.clone());
        (tools.collect(), unknown.collect())
    }

    fn tool(name: &str, asks: bool) -> (String, bool) {
        (name.to_owned(), asks)
    }

    #[test]
    fn patterns_have_a_form() {
        for good in [
            "*",
            "tasks.list",
            "tasks.*",
            "mcp.github.*",
            "mcp.github.create_issue",
        ] {
            assert!(check_pattern(good).is_ok(), "{good}");
        }
        let long = format!("tasks.{}", "a".repeat(200));
        for bad in [
            "",
            "tasks",
            "tasks.",
            ".list",
            "*.list",
            "tasks*",
            "tasks.l*",
            "a..b",
            "a.*.b",
            "Tasks.list",
            "**",
            "tasks .x",
            &long,
        ] {
            assert_eq!(check_pattern(bad).expect_err(bad).0, "pattern");
        }
        assert_eq!(
            check_pattern("approvals.decide").expect_err("never").0,
            "never_a_tool"
        );
    }

    #[test]
    fn a_star_leaves_out_what_governs_and_what_is_no_tool() {
        let (tools, unknown) = found(&["*"], &[("*", Approval::Changes)]);
        let expected = [
            tool("tasks.list", false),
            tool("tasks.create", true),
            tool("tasks.burn", true),
            tool("tasks2.list", false),
        ];
        assert_eq!((tools.as_slice(), unknown.len()), (&expected[..], 0));
        let (tools, _) = found(
            &["*"],
            &[
                ("*", Approval::Never),
                ("members.*", Approval::Always),
                ("keys.create", Approval::Changes),
                ("approvals.*", Approval::Never),
            ],
        );
        let named: Vec<_> = tools.into_iter().skip(4).collect();
        let expected = [
            tool("members.list", true),
            tool("keys.create", true),
            tool("approvals.list", false),
        ];
        assert_eq!(named, expected, "deciding is never a tool");
    }

    #[test]
    fn the_longest_pattern_counts_whatever_the_order() {
        let mut patterns = [
            ("*", Approval::Never),
            ("tasks.*", Approval::Always),
            ("tasks.list", Approval::Never),
        ];
        for _ in 0..2 {
            let (tools, _) = found(&["*"], &patterns);
            let expected = [
                tool("tasks.list", false),
                tool("tasks.create", true),
                tool("tasks.burn", true),
                tool("tasks2.list", false),
            ];
            assert_eq!(tools, expected);
            patterns.reverse();
        }
    }

    #[test]
    fn permissions_narrow_and_do_not_make_a_pattern_unknown() {
        let patterns = [
            ("tasks.*", Approval::Changes),
            ("keys.create", Approval::Changes),
            ("tasks.hidden", Approval::Changes),
            ("tasks.open", Approval::Changes),
            ("nobody.*", Approval::Changes),
        ];
        let (tools, unknown) = found(&["tasks:read"], &patterns);
        assert_eq!(tools, [tool("tasks.list", false), tool("tasks.burn", true)]);
        assert_eq!(unknown, ["tasks.hidden", "nobody.*"]);
        assert!(found(&[], &patterns).0.is_empty());
    }

    #[test]
    fn asking_follows_the_effect() {
        for (approval, effect, destructive, expected) in [
            (Approval::Never, Effect::External, true, false),
            (Approval::Always, Effect::Read, false, true),
            (Approval::Changes, Effect::Read, false, false),
            (Approval::Changes, Effect::Read, true, true),
            (Approval::Changes, Effect::Write, false, true),
            (Approval::Changes, Effect::External, false, true),
        ] {
            assert_eq!(asks(approval, effect, destructive), expected);
        }
    }
}
