//! Limits of a workflow: how many of its runs go on at once, and how often one begins.

use super::parse::Problems;
use crate::expr::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Most runs at once, and most beginnings in a time, that a limit may name.
pub(super) const MOST: u64 = 1_000;
/// Longest time of a rate, in seconds.
pub(super) const LONGEST_S: u64 = 86_400;
/// Longest key as it stands in a file, in characters.
pub(super) const KEY_CHARS: usize = 1_000;
/// What the expressions of a key can read.
const ROOTS: [&str; 2] = ["input", "run"];

/// How many runs of a workflow go on at once, and how often one begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsFile {
    /// How many go on at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencyFile>,
    /// How often one begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateFile>,
}

/// How many runs go on at once: from their beginning to their end, waiting included. A paused run does not count until it is
/// resumed. A run that such a run started and waits for goes on under the same limit and needs no place of its own there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencyFile {
    /// So many.
    #[schemars(range(min = 1, max = 1_000))]
    pub max: u32,
    /// What is counted apart, such as `{{ input.customer }}`: `max` runs for each value. It sees `input` and `run`. All runs
    /// together unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000))]
    pub key: Option<String>,
    /// Whose runs are counted together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: LimitScope,
    /// What becomes of a run that finds all places taken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_full: WhenFull,
}

/// How often a run begins. In no time of `per_seconds` more than `max` do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateFile {
    /// So many.
    #[schemars(range(min = 1, max = 1_000))]
    pub max: u32,
    /// In so many seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub per_seconds: u64,
    /// What is counted apart, as for `concurrency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1_000))]
    pub key: Option<String>,
    /// Whose runs are counted together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scope: LimitScope,
    /// What becomes of a run that comes too early.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_full: WhenEarly,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whose runs a limit counts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Those of the workflow, of all its versions.
    #[default]
    Workflow,
    /// Those of all workflows of the workspace that name the same key in this scope.
    Workspace,
}

/// What becomes of a run that finds all places taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits for a place, in the order of priority and age.
    #[default]
    Queue,
    /// It is cancelled with the error `dropped_at_limit`.
    Drop,
    /// It waits, and the oldest of those that hold or wait for a place are cancelled to make room.
    CancelOldest,
}

/// What becomes of a run that comes too early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenEarly {
    /// It waits for its time.
    #[default]
    Queue,
    /// It is cancelled with the error `dropped_at_limit`.
    Drop,
}

/// The limits of a compiled graph.
#[derive(Clone, Debug)]
pub struct GraphLimits {
    /// How many runs go on at once.
    pub concurrency: Option<Limited<ConcurrencyFile>>,
    /// How often one begins.
    pub rate: Option<Limited<RateFile>>,
}

/// A limit and its key, compiled.
#[derive(Clone, Debug)]
pub struct Limited<T> {
    /// As it stands in the file.
    pub file: T,
    /// Its key, if it has one.
    pub key: Option<Template>,
}

/// Compiles a file's limits; none if it has none. What is wrong is told.
pub(super) fn compile(file: Option<LimitsFile>, problems: &mut Problems) -> Option<GraphLimits> {
    let file = file?;
    let concurrency = file.concurrency.map(|file| Limited {
        key: key(file.key.as_deref(), file.scope, "/limits/concurrency", problems),
        file,
    });
    let rate = file.rate.map(|file| Limited {
        key: key(file.key.as_deref(), file.scope, "/limits/rate", problems),
        file,
    });
    (concurrency.is_some() || rate.is_some()).then_some(GraphLimits { concurrency, rate })
}

fn key(text: Option<&str>, scope: LimitScope, at: &str, problems: &mut Problems) -> Option<Template> {
    let at = format!("{at}/key");
    let Some(text) = text else {
        if scope == LimitScope::Workspace {
            let words = "A limit that several workflows share is known by its `key`.";
            problems.add(at, "required", words);
        }
        return None;
    };
    match Template::compile(&Value::String(text.to_owned())) {
        Ok(template) => {
            for root in template.references().roots {
                if !ROOTS.contains(&root.as_str()) {
                    let words =
                        "The key of a limit is known before the first step: it reads `input` and `run`.";
                    problems.add(&at, "unknown_name", words);
                }
            }
            Some(template)
        }
        Err(errors) => {
            for error in errors {
                problems.add(&at, "expression", error.error.to_string());
            }
            None
        }
    }
}
