//! Conversations and who is in them.

use super::{actor, words};
use crate::entity::{agent, conversation, member};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::Actor;
use synapscale_ops::Revisioned;
use uuid::Uuid;

words! {
    /// Whether a conversation goes on.
    ConversationStatus {
        Active = "active" "It goes on.",
        Archived = "archived" "Put away; takes no messages.",
    }
}

words! {
    /// What somebody may do in a conversation.
    MemberRole {
        Member = "member" "Reads and writes.",
        Owner = "owner" "Also invites, removes and deletes.",
    }
}

/// Somebody who takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Participant {
    /// The user.
    pub user_id: Uuid,
    /// The user's name at the time of joining.
    pub name: String,
    /// What they may do.
    pub role: MemberRole,
}

/// A conversation with an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationView {
    /// Its id.
    pub id: Uuid,
    /// The agent.
    pub agent_id: Uuid,
    /// The agent's name.
    pub agent_name: String,
    /// The agent's title.
    pub agent_title: String,
    /// The version of the agent that answers.
    pub agent_version: i64,
    /// What it is about; empty before the first message unless somebody gave it one.
    pub title: String,
    /// Whether it goes on.
    pub status: ConversationStatus,
    /// The last message of the branch that is shown; null before the first.
    pub head: Option<Uuid>,
    /// The run that writes the newest reply, while it is not over.
    pub run_id: Option<Uuid>,
    /// Who takes part, the longest there first.
    pub participants: Vec<Participant>,
    /// Who began it.
    pub created_by: Option<Actor>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Raised by each change.
    pub revision: i64,
}

impl Revisioned for ConversationView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl ConversationView {
    /// `run_id` is the run if it is not over; the members come in their order.
    pub(crate) fn of(
        row: conversation::Model,
        agent: Option<&agent::Model>,
        members: Vec<member::Model>,
        run_id: Option<Uuid>,
    ) -> Self {
        let participant = |member: member::Model| Participant {
            user_id: member.user_id,
            name: member.name,
            role: MemberRole::parse(&member.role),
        };
        ConversationView {
            id: row.id,
            agent_id: row.agent_id,
            agent_name: agent.map(|agent| agent.name.clone()).unwrap_or_default(),
            agent_title: agent.map(|agent| agent.title.clone()).unwrap_or_default(),
            agent_version: row.agent_version,
            title: row.title,
            status: ConversationStatus::parse(&row.status),
            head: row.head,
            run_id,
            participants: members.into_iter().map(participant).collect(),
            created_by: actor(row.created_by_kind.as_deref(), row.created_by),
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}
