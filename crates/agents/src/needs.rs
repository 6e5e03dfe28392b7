//! What the domain needs of others, as traits: the tool loop that answers messages, and the names of people.

use crate::view::{MessageStatus, Part};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::HashMap;
use synapscale_core::{Ctx, Result};
use synapscale_store::Tx;
use uuid::Uuid;

/// A reply to be written by a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReply {
    /// The conversation.
    pub conversation_id: Uuid,
    /// The assistant's message that is to be filled.
    pub message_id: Uuid,
    /// The agent that answers.
    pub agent_id: Uuid,
    /// The version of it.
    pub version: i64,
    /// The conversation's title, for people who look at runs.
    pub title: String,
}

/// Where a run stands, as far as a conversation cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStanding {
    /// It goes on.
    Running,
    /// It waits, such as for an approval.
    Waiting,
    /// It ended well.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

impl RunStanding {
    /// Whether nothing more will come.
    pub fn is_over(self) -> bool {
        !matches!(self, RunStanding::Running | RunStanding::Waiting)
    }

    /// How a reply stands whose run stands like this and that nobody finished.
    pub(crate) fn of_reply(self) -> MessageStatus {
        match self {
            RunStanding::Running => MessageStatus::Running,
            RunStanding::Waiting => MessageStatus::Waiting,
            RunStanding::Succeeded => MessageStatus::Done,
            RunStanding::Failed => MessageStatus::Failed,
            RunStanding::Cancelled => MessageStatus::Stopped,
        }
    }
}

/// The state of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    /// Where it stands.
    pub status: RunStanding,
    /// The error of one that failed: an object with `code` and `message`.
    pub error: Option<Value>,
}

/// What the domain asks of the tool loop.
#[async_trait]
pub trait Turns: Send + Sync {
    /// Starts the run that answers a message, in the caller's transaction; answers the run's id.
    ///
    /// # Errors
    /// When the run cannot be started; the message is not kept then.
    async fn start(&self, tx: &Tx, reply: NewReply) -> Result<Uuid>;

    /// Asks a run to end. A run that is over already is no fault.
    ///
    /// # Errors
    /// When the database fails.
    async fn stop(&self, tx: &Tx, run_id: Uuid, reason: &str) -> Result<()>;

    /// What has come so far of a run that is not over: the turns and calls that are finished, and behind them the words of
    /// the present turn, if this process hears them.
    ///
    /// # Errors
    /// When the database fails.
    async fn so_far(&self, tx: &Tx, run_id: Uuid) -> Result<Vec<Part>>;

    /// Where these runs stand. A run that is not there is left out, and counts as one that is over.
    ///
    /// # Errors
    /// When the database fails.
    async fn states(&self, tx: &Tx, runs: &[Uuid]) -> Result<HashMap<Uuid, RunState>>;
}

/// Who people are: asked before a transaction, never within one.
#[async_trait]
pub trait People: Send + Sync {
    /// The display names of those among `users` who are members of the caller's workspace.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn names(&self, ctx: &Ctx, users: &[Uuid]) -> Result<HashMap<Uuid, String>>;
}
