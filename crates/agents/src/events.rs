//! What this domain tells the log. Everybody who may read events sees these, and only participants see a conversation: so no
//! event holds a title or a text of one.

use crate::view::{ConversationStatus, MessageRole, MessageStatus};
use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};
use uuid::Uuid;

/// Declares a kind whose payload is given field by field.
macro_rules! told {
    ($($(#[$meta:meta])* $name:ident, $kind:literal, $about:literal, {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$meta])*
            #[derive(Serialize, JsonSchema)]
            pub struct $name {
                $($(#[$field_meta])* pub $field: $type,)*
            }

            impl EventPayload for $name {
                const KIND: &'static str = $kind;
                const ABOUT: &'static str = $about;
            }
        )*

        /// Every kind declared here.
        pub fn kinds() -> Vec<EventKind> {
            vec![$(EventKind::of::<$name>()),*]
        }
    };
}

told! {
    /// An agent was made.
    AgentCreated, "agent.created", "An agent was made.", {
        /// Its name.
        name: String,
        /// Its first version.
        version: i64,
    }
    /// An agent changed.
    AgentUpdated, "agent.updated", "An agent's fields changed, or it got a new version.", {
        /// Its name.
        name: String,
        /// The latest version.
        version: i64,
    }
    /// An agent was deleted.
    AgentDeleted, "agent.deleted", "An agent was deleted; conversations with it stay readable.", {
        /// Its name, which is free again.
        name: String,
        /// The group under which it was deleted.
        delete_group: Uuid,
    }
    /// A conversation was begun.
    ConversationCreated, "conversation.created", "A conversation with an agent was begun.", {
        /// The agent.
        agent_id: Uuid,
        /// The version that it is pinned to.
        agent_version: i64,
    }
    /// A conversation changed.
    ConversationUpdated, "conversation.updated", "A conversation's title, status, version, participants or branch changed.", {
        /// The agent.
        agent_id: Uuid,
        /// The version that it is pinned to.
        agent_version: i64,
        /// Whether it is archived.
        status: ConversationStatus,
    }
    /// A conversation was deleted.
    ConversationDeleted, "conversation.deleted", "A conversation was deleted with its messages.", {
        /// The agent.
        agent_id: Uuid,
    }
    /// A message was added.
    MessageAdded, "message.added", "A message was added to a conversation: a person's, or a reply that begins.", {
        /// The conversation.
        conversation_id: Uuid,
        /// Who speaks.
        role: MessageRole,
        /// The run that writes the reply.
        run_id: Option<Uuid>,
    }
    /// A reply ended.
    MessageFinished, "message.finished", "An agent's reply ended.", {
        /// The conversation.
        conversation_id: Uuid,
        /// The run that wrote it.
        run_id: Option<Uuid>,
        /// How it ended.
        status: MessageStatus,
    }
}
