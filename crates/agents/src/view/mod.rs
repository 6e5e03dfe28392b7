//! What the API shows of agents, conversations and messages.

mod agent;
mod conversation;
mod message;

pub use agent::{AgentStatus, AgentTool, AgentTools, AgentVersion, AgentView, PerformanceMetrics};
pub use conversation::{ConversationStatus, ConversationView, MemberRole, Participant};
pub(crate) use message::outcome;
pub use message::{
    CallStatus, MessageRole, MessageStatus, MessageView, Part, ReplyError, ReplyStop, ReplyUsage, StopReason,
};

use synapscale_core::{Actor, ActorKind};
use uuid::Uuid;

/// Declares an enum of words with its two directions; the first word stands for one that is none.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $first:ident = $first_word:literal $first_about:literal, $($variant:ident = $word:literal $about:literal,)* }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            #[doc = $first_about]
            $first,
            $(#[doc = $about] $variant,)*
        }

        impl $name {
            /// The word in the database and on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $name::$first => $first_word,
                    $($name::$variant => $word,)*
                }
            }

            /// What `word` names.
            #[allow(dead_code, reason = "not every kind of word is read back")]
            pub(crate) fn parse(word: &str) -> Self {
                match word {
                    $($word => $name::$variant,)*
                    _ => $name::$first,
                }
            }
        }
    };
}
pub(crate) use words;

/// The actor that two columns name, if they name one.
pub(crate) fn actor(kind: Option<&str>, id: Option<Uuid>) -> Option<Actor> {
    Some(Actor {
        kind: ActorKind::parse(kind?)?,
        id: id?,
    })
}
