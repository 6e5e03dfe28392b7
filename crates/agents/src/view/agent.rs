//! Agents, their versions and their tools.

use super::{actor, words};
use crate::entity::{agent, version};
use crate::spec::AgentSpec;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use synapscale_core::{Actor, Effect, Result};
use synapscale_ops::Revisioned;
use uuid::Uuid;

words! {
    /// Whether an agent answers.
    AgentStatus {
        Active = "active" "It answers.",
        Paused = "paused" "It answers nothing for now.",
        Archived = "archived" "Kept for its history.",
    }
}

/// What an agent's runs came to. Counted when a run ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PerformanceMetrics {
    /// Runs that ended.
    pub runs: i64,
    /// Those that came to an answer.
    pub succeeded: i64,
    /// Those that failed.
    pub failed: i64,
    /// Those that a limit or a person stopped.
    pub stopped: i64,
    /// Calls of models.
    pub turns: i64,
    /// Calls of tools.
    pub tool_calls: i64,
    /// Calls of tools that failed.
    pub tool_errors: i64,
    /// Tokens read.
    pub input_tokens: i64,
    /// Tokens written.
    pub output_tokens: i64,
    /// What is known of the cost, in nano-USD.
    pub cost_nano_usd: i64,
    /// How long a run took on average, in milliseconds; null before the first.
    pub mean_ms: Option<i64>,
    /// When the last run ended.
    pub last_run_at: Option<DateTime<Utc>>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentView {
    /// Its id.
    pub id: Uuid,
    /// Its name: what people and workflows call it.
    pub name: String,
    /// A line for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Whether it answers.
    pub status: AgentStatus,
    /// Whatever its owner keeps with it.
    pub metadata: Map<String, Value>,
    /// What it is good at, in its owner's terms.
    pub capabilities: Map<String, Value>,
    /// Settings of its owner's.
    pub settings: Map<String, Value>,
    /// What its runs came to.
    pub performance_metrics: PerformanceMetrics,
    /// The latest version.
    pub version: i64,
    /// What that version is made of.
    pub spec: AgentSpec,
    /// Who made it.
    pub created_by: Option<Actor>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Raised by each change.
    pub revision: i64,
}

impl Revisioned for AgentView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

impl AgentView {
    pub(crate) fn of(row: &agent::Model, spec: AgentSpec, performance_metrics: PerformanceMetrics) -> Self {
        AgentView {
            id: row.id,
            name: row.name.clone(),
            title: row.title.clone(),
            description: row.description.clone(),
            status: AgentStatus::parse(&row.status),
            metadata: object(&row.metadata),
            capabilities: object(&row.capabilities),
            settings: object(&row.settings),
            performance_metrics,
            version: row.version,
            spec,
            created_by: actor(row.created_by_kind.as_deref(), row.created_by),
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// One version of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentVersion {
    /// Its number, from 1.
    pub version: i64,
    /// What it is made of.
    pub spec: AgentSpec,
    /// Who made it.
    pub created_by: Option<Actor>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it changes, in its maker's words.
    pub note: Option<String>,
}

impl AgentVersion {
    pub(crate) fn of(row: version::Model) -> Result<Self> {
        Ok(AgentVersion {
            version: row.version,
            spec: AgentSpec::read(row.spec)?,
            created_by: actor(row.created_by_kind.as_deref(), row.created_by),
            created_at: row.created_at,
            note: row.note,
        })
    }
}

/// A tool of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentTool {
    /// The operation.
    pub name: String,
    /// Its name as models see it.
    pub wire_name: String,
    /// A few words for people.
    pub title: String,
    /// What it does.
    pub description: String,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether it takes away something that does not come back by itself.
    pub destructive: bool,
    /// Whether a person is asked before a call.
    pub asks: bool,
}

/// The tools of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentTools {
    /// Those that the caller's permissions allow; a run has those of whoever it acts for.
    pub items: Vec<AgentTool>,
    /// Patterns that fit no tool.
    pub unknown: Vec<String>,
    /// The families of tools that cannot be listed now.
    pub unavailable: Vec<String>,
}
