//! What an agent is made of: model, instructions, tools and limits. A version of an agent is one of these and never changes.

use crate::{schema, tools};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use synapscale_core::{Error, FieldError, Result};
use synapscale_llm::model::ReasoningEffort;

/// The model of an agent that names none: the workspace's default route.
const MODEL: &str = "default";

/// Whether a person is asked before a tool is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Never.
    Never,
    /// Before every call.
    Always,
    /// Before whatever writes, destroys or reaches outside; not before reads.
    #[default]
    Changes,
}

/// Tools that an agent may use, and whether it has to ask first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolRule {
    /// A tool's name as `tasks.list`, all of a kind as `tasks.*` or `mcp.github.*`, or `*`. `*` leaves out what governs the
    /// workspace (members, keys, providers, agents and the like): those have to be named.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// Whether a person is asked before a call. Of several patterns that fit a tool the longest counts.
    #[serde(default)]
    pub approval: Approval,
}

/// When a run of the agent ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentLimits {
    /// Most calls of the model.
    #[schemars(range(min = 1, max = 200))]
    pub turns: u32,
    /// Most tokens, read and written together.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub tokens: u64,
    /// Longest time at work, in seconds; waiting for people does not count.
    #[schemars(range(min = 1, max = 86_400))]
    pub seconds: u32,
    /// Most that it may cost, in nano-USD (a billion is one dollar); null for no limit.
    #[schemars(range(min = 0, max = 9_000_000_000_000_000_i64))]
    pub cost_nano_usd: Option<i64>,
    /// Most tools called at once.
    #[schemars(range(min = 1, max = 32))]
    pub parallel_tool_calls: u32,
}

impl Default for AgentLimits {
    fn default() -> Self {
        AgentLimits {
            turns: 20,
            tokens: 500_000,
            seconds: 600,
            cost_nano_usd: None,
            parallel_tool_calls: 8,
        }
    }
}

/// How long the model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// Somewhat.
    Medium,
    /// Long.
    High,
}

impl From<Effort> for ReasoningEffort {
    fn from(effort: Effort) -> Self {
        match effort {
            Effort::Minimal => ReasoningEffort::Minimal,
            Effort::Low => ReasoningEffort::Low,
            Effort::Medium => ReasoningEffort::Medium,
            Effort::High => ReasoningEffort::High,
        }
    }
}

/// What an agent is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSpec {
    /// The model: a route's alias, or `provider/model`.
    #[schemars(length(min = 1, max = 200))]
    pub model: String,
    /// What the agent is told of its work.
    #[schemars(length(max = 100_000))]
    pub instructions: String,
    /// The tools that it may use.
    #[schemars(length(max = 100))]
    pub tools: Vec<ToolRule>,
    /// When a run of it ends by itself.
    pub limits: AgentLimits,
    /// JSON Schema of a structured answer: an object's; null for plain text.
    pub answer_schema: Option<Map<String, Value>>,
    /// How freely the model chooses words; null for its own.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Longest answer of the model, in tokens; null for its own.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_output_tokens: Option<u32>,
    /// How long the model thinks; null for its own.
    pub reasoning_effort: Option<Effort>,
}

impl Default for AgentSpec {
    fn default() -> Self {
        AgentSpec {
            model: MODEL.to_owned(),
            instructions: String::new(),
            tools: Vec::new(),
            limits: AgentLimits::default(),
            answer_schema: None,
            temperature: None,
            max_output_tokens: None,
            reasoning_effort: None,
        }
    }
}

impl AgentSpec {
    /// The spec of a version's row.
    ///
    /// # Errors
    /// `internal` for one that this server does not understand.
    pub(crate) fn read(spec: Value) -> Result<Self> {
        serde_json::from_value(spec).map_err(Error::internal)
    }

    /// As it stands in a version's row.
    ///
    /// # Errors
    /// Never: it is plain data.
    pub(crate) fn write(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(Error::internal)
    }

    /// Refuses what the input's own schema cannot: patterns that are none or come twice, and an unusable answer schema.
    ///
    /// # Errors
    /// 422 with every fault, below `at`.
    pub(crate) fn check(&self, at: &str) -> Result<()> {
        let mut faults = Vec::new();
        if self.model.trim() != self.model || self.model.is_empty() {
            let message = "A route's alias or provider/model, without spaces around it.";
            faults.push(fault("/model".to_owned(), "model", message));
        }
        let mut seen = HashSet::new();
        for (index, rule) in self.tools.iter().enumerate() {
            let pointer = format!("/tools/{index}/name");
            if let Err((code, message)) = tools::check_pattern(&rule.name) {
                faults.push(fault(pointer, code, message));
            } else if !seen.insert(rule.name.as_str()) {
                faults.push(fault(pointer, "duplicate", "This pattern is there twice."));
            }
        }
        if let Some(schema) = &self.answer_schema
            && let Err(found) = schema::check_answer(schema)
        {
            faults.push(FieldError {
                pointer: format!("/answer_schema{}", found.pointer),
                ..found
            });
        }
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid_fields(faults).under(at)),
        }
    }
}

fn fault(pointer: String, code: &'static str, message: impl Into<String>) -> FieldError {
    FieldError {
        pointer,
        code: code.into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_empty_spec_has_the_defaults_and_comes_back() {
        let spec: AgentSpec = serde_json::from_value(json!({})).expect("a spec");
        assert_eq!(spec, AgentSpec::default());
        assert_eq!((spec.limits.turns, spec.limits.parallel_tool_calls), (20, 8));
        assert_eq!(AgentSpec::read(spec.write().expect("json")).expect("spec"), spec);
        assert!(spec.check("/spec").is_ok());
        let partial: AgentSpec = serde_json::from_value(json!({"limits": {"turns": 3}})).expect("a spec");
        assert_eq!((partial.limits.turns, partial.limits.tokens), (3, 500_000));
        assert!(serde_json::from_value::<AgentSpec>(json!({"model": "m", "nonsense": 1})).is_err());
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let spec: AgentSpec = serde_json::from_value(json!({
            "model": " x",
            "tools": [{"name": "tasks.*"}, {"name": "tasks"}, {"name": "tasks.*", "approval": "never"}, {"name": "approvals.decide"}],
            "answer_schema": {"type": "string"},
        }))
        .expect("a spec");
        let error = spec.check("/spec").expect_err("refused");
        let found: Vec<_> = error
            .fields()
            .iter()
            .map(|f| (f.pointer.as_str(), &*f.code))
            .collect();
        assert_eq!(
            found,
            [
                ("/spec/model", "model"),
                ("/spec/tools/1/name", "pattern"),
                ("/spec/tools/2/name", "duplicate"),
                ("/spec/tools/3/name", "never_a_tool"),
                ("/spec/answer_schema/type", "object_schema"),
            ]
        );
    }
}
