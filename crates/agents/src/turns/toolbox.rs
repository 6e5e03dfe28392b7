//! Which tools an agent has: those that its patterns name, that whoever it acts for may call, and that exist.

use crate::spec::AgentSpec;
use crate::tools::{asks, rule};
use synapscale_core::{Ctx, Error};
use synapscale_ops::{Tool, ToolListing, Tools};

/// Most tools that a model is shown: more drown it, and providers refuse.
pub(crate) const MAX_TOOLS: usize = 128;

/// A tool of an agent.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub tool: Tool,
    /// Whether a person is asked before each call.
    pub asks: bool,
}

/// The tools of an agent.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    pub tools: Vec<Granted>,
    /// Patterns that fit nothing.
    pub unmatched: Vec<String>,
    /// Families of tools that cannot be listed now.
    pub failed: Vec<(&'static str, Error)>,
}

/// The tools that `spec` grants to whoever `ctx` is.
pub(crate) async fn toolbox(tools: &Tools, ctx: &Ctx, spec: &AgentSpec) -> Toolbox {
    if spec.tools.is_empty() {
        return Toolbox::default();
    }
    let patterns: Vec<&str> = spec.tools.iter().map(|grant| grant.name.as_str()).collect();
    let ToolListing {
        tools: found,
        unmatched,
        failed,
    } = tools.list(ctx, &patterns).await;
    let granted = found.into_iter().filter_map(|tool| grant(tool, spec));
    let mut granted: Vec<Granted> = granted.collect();
    let left_out = granted.len().saturating_sub(MAX_TOOLS);
    granted.truncate(MAX_TOOLS);
    if left_out > 0 {
        tracing::warn!(left_out, "an agent has more tools than a model is shown");
    }
    Toolbox {
        tools: granted,
        unmatched,
        failed,
    }
}

/// The tool with the rule that names it; none if none does.
fn grant(tool: Tool, spec: &AgentSpec) -> Option<Granted> {
    if tool.operation().is_public() {
        return None;
    }
    let rule = rule(&spec.tools, tool.name())?;
    let asks = tool.always_asks() || asks(rule.approval, tool.effect(), tool.is_destructive());
    Some(Granted { tool, asks })
}
