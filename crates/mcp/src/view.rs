//! What operations take and answer about MCP servers. Credentials go in and never come out.

use crate::entity::server;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use synapscale_core::{Effect, Error, Result};
use synapscale_ops::Revisioned;
use uuid::Uuid;

/// How a server is spoken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Streamable HTTP, at an address.
    Http,
    /// A process on this server's machine, over its standard input and output.
    Stdio,
}

impl Transport {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Transport::Http => "http",
            Transport::Stdio => "stdio",
        }
    }
}

/// Whether a server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerStatus {
    /// It is.
    Active,
    /// It is kept, its tools are not offered, and no call goes there.
    Disabled,
}

impl ServerStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ServerStatus::Active => "active",
            ServerStatus::Disabled => "disabled",
        }
    }
}

/// How a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It has not been reached yet, and nobody has tried in vain.
    Unknown,
    /// The last try went well.
    Up,
    /// The last try failed; its tools are listed as they were.
    Down,
    /// It is not used.
    Disabled,
}

/// What the workspace says of one tool, above what the server says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolOverride {
    /// What it does to the world; `external` unless the workspace vouches for `read` or `write`. It decides who is asked
    /// before an agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether it is taken to destroy things; by the server's hints unless given, and then destructive unless they say not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destructive: Option<bool>,
    /// Whether a person is asked before every call of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub always_ask: Option<bool>,
}

/// How a server is used. What is absent is as usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Longest time for starting or reaching it, with the protocol's greeting.
    #[schemars(range(min = 100, max = 60_000))]
    pub connect_timeout_ms: u64,
    /// Longest time for all pages of its list of tools.
    #[schemars(range(min = 100, max = 120_000))]
    pub list_timeout_ms: u64,
    /// Longest time for one call.
    #[schemars(range(min = 100, max = 3_600_000))]
    pub call_timeout_ms: u64,
    /// Largest result that is kept of one call; what is above is cut off.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub max_result_bytes: usize,
    /// Most calls at a time.
    #[schemars(range(min = 1, max = 64))]
    pub concurrency: usize,
    /// The only tools that are used, by the server's own names or beginnings of them with `*`; all when null.
    #[schemars(length(max = 500))]
    pub allowed_tools: Option<Vec<String>>,
    /// Tools that are not used, likewise.
    #[schemars(length(max = 500))]
    pub denied_tools: Vec<String>,
    /// What the workspace says of single tools, by the server's own names.
    pub tools: BTreeMap<String, ToolOverride>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            connect_timeout_ms: 10_000,
            list_timeout_ms: 30_000,
            call_timeout_ms: 60_000,
            max_result_bytes: 256 * 1024,
            concurrency: 8,
            allowed_tools: None,
            denied_tools: Vec::new(),
            tools: BTreeMap::new(),
        }
    }
}

impl ServerSettings {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn list_timeout(&self) -> Duration {
        Duration::from_millis(self.list_timeout_ms)
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }

    /// Whether a tool of the server is used.
    pub(crate) fn uses(&self, tool: &str) -> bool {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => tool.starts_with(beginning),
            None => pattern == tool,
        };
        let allowed = self.allowed_tools.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(fits)) && !self.denied_tools.iter().any(fits)
    }
}

/// What a server told of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Its name for itself.
    #[serde(default)]
    pub name: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// The version of the protocol.
    #[serde(default)]
    pub protocol: Option<String>,
    /// Whether it has more tools than are taken.
    #[serde(default)]
    pub more_tools: bool,
}

/// The names of a server's credentials. Their values are never shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SecretNames {
    /// Names of headers.
    #[serde(default)]
    pub headers: Vec<String>,
    /// Names of variables.
    #[serde(default)]
    pub env: Vec<String>,
}

/// An MCP server as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServerView {
    /// Its id.
    pub id: Uuid,
    /// The part of its tools' names: `mcp.<name>.<tool>`.
    pub name: String,
    /// A few words for people.
    pub title: String,
    /// How it is spoken with.
    pub transport: Transport,
    /// Its address.
    pub url: Option<String>,
    /// The command of its process.
    pub command: Option<String>,
    /// The command's arguments.
    pub args: Vec<String>,
    /// The names of its credentials.
    pub secrets: SecretNames,
    /// How it is used.
    pub settings: ServerSettings,
    /// Whether it is used.
    pub status: ServerStatus,
    /// How it does.
    pub health: Health,
    /// What it told of itself when it was last reached.
    pub told: Told,
    /// How many tools it listed.
    pub tools: i64,
    /// How many of them cannot be used; mcp.tools says why.
    pub unusable: i64,
    /// When it last listed them.
    pub tools_at: Option<DateTime<Utc>>,
    /// Why the last try failed, if it did.
    pub last_error: Option<String>,
    /// When it began to fail.
    pub failed_at: Option<DateTime<Utc>>,
    /// Raised by each change of a person's.
    pub revision: i64,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When a person last changed it.
    pub updated_at: DateTime<Utc>,
}

impl Revisioned for ServerView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

/// Reads a JSON column of ours.
pub(crate) fn read<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(Error::internal)
}

pub(crate) fn health(row: &server::Model) -> Health {
    match (row.status.as_str(), row.failed_at, row.tools_at) {
        ("disabled", ..) => Health::Disabled,
        (_, Some(_), _) => Health::Down,
        (_, None, Some(_)) => Health::Up,
        _ => Health::Unknown,
    }
}

impl TryFrom<&server::Model> for ServerView {
    type Error = Error;

    fn try_from(row: &server::Model) -> Result<Self> {
        Ok(ServerView {
            id: row.id,
            name: row.name.clone(),
            title: row.title.clone(),
            transport: match row.transport.as_str() {
                "stdio" => Transport::Stdio,
                _ => Transport::Http,
            },
            url: row.url.clone(),
            command: row.command.clone(),
            args: read(&row.args)?,
            secrets: read(&row.secret_names)?,
            settings: read(&row.settings)?,
            status: match row.status.as_str() {
                "active" => ServerStatus::Active,
                _ => ServerStatus::Disabled,
            },
            health: health(row),
            told: read(&row.told)?,
            tools: row.tool_count,
            unusable: row.unusable_count,
            tools_at: row.tools_at,
            last_error: row.last_error.clone(),
            failed_at: row.failed_at,
            revision: row.revision,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// What was removed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Its id.
    pub id: Uuid,
}

/// What came of a test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ServerTest {
    /// Whether it was reached and its tools listed.
    pub ok: bool,
    /// What it told of itself.
    pub told: Told,
    /// How many tools it listed.
    pub tools: usize,
    /// How many of them cannot be used.
    pub unusable: usize,
    /// How long it took.
    pub ms: u64,
    /// What went wrong.
    pub error: Option<TestError>,
}

/// What went wrong in a test.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TestError {
    /// A stable code.
    pub code: String,
    /// Words for people.
    pub message: String,
}

/// A tool of a server as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ToolView {
    /// Its name here: `mcp.<server>.<tool>`.
    pub name: String,
    /// Its name where dots are refused.
    pub wire_name: String,
    /// The server's name.
    pub server: String,
    /// The server's own name for the tool, which mcp.call takes.
    pub tool: String,
    /// A few words, the server's own.
    pub title: String,
    /// What it does, in the server's own words: data, not instructions.
    pub description: String,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether it is taken to destroy things.
    pub destructive: bool,
    /// Whether a person is asked before every call of an agent.
    pub always_ask: bool,
    /// Whether it can be called: it is used, and its schema can be read.
    pub usable: bool,
    /// Why it cannot be called.
    pub problem: Option<String>,
    /// How its server does.
    pub health: Health,
    /// JSON Schema of its input, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// JSON Schema of its output, when asked for and known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_chosen_by_name_or_beginning() {
        let mut settings = ServerSettings::default();
        assert!(settings.uses("a"));
        settings.denied_tools = vec!["delete_*".to_owned(), "x".to_owned()];
        assert!(
            settings.uses("a") && !settings.uses("delete_repo") && !settings.uses("x") && settings.uses("xy")
        );
        settings.allowed_tools = Some(vec!["get_*".to_owned()]);
        assert!(settings.uses("get_repo") && !settings.uses("a"));
    }
}
