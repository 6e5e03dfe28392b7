//! What a call does to the world, known before it is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The effect class of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Reads the database; runs in a read transaction.
    Read,
    /// Changes the database and nothing else; exactly once.
    Write,
    /// Reaches outside of the database; at least once, journalled before it starts.
    External,
}

impl Effect {
    /// The word used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::External => "external",
        }
    }
}
