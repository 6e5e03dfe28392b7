//! What this crate's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use crate::view::{AgentVersion, AgentView, ConversationView, MessageView, Participant, PerformanceMetrics};
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    let maker: &[(&str, &[&str])] = &[("created_by", &["created_by_kind", "created_by"])];
    Faces::default()
        .view(
            View::of::<AgentView>("agents")
                .made_of(maker)
                // Figures and the present version stand in tables of their own.
                .computed(&["performance_metrics", "spec"]),
        )
        .hidden("agents", &["deleted_at", "delete_group"])
        .view(View::of::<AgentVersion>("agent_versions").made_of(maker))
        .hidden("agent_versions", &["agent_id"])
        .view(View::of::<PerformanceMetrics>("agent_figures").made_of(&[("mean_ms", &["ms", "runs"])]))
        .hidden("agent_figures", &["agent_id", "shard"])
        .view(
            View::of::<ConversationView>("conversations")
                .made_of(maker)
                .computed(&["agent_name", "agent_title", "participants"]),
        )
        .hidden("conversations", &["reply_id", "messages"])
        .view(View::of::<Participant>("conversation_members"))
        .hidden("conversation_members", &["conversation_id", "created_at"])
        .view(
            View::of::<MessageView>("conversation_messages")
                .made_of(&[
                    ("author", &["author_kind", "author_id", "author_name"]),
                    ("usage", &["input_tokens", "output_tokens"]),
                ])
                .computed(&["siblings"]),
        )
        // As the provider wants to see them again; the parts tell the same.
        .hidden("conversation_messages", &["agent_version", "provider_messages"])
        .assembled(&[
            "agents.delete",
            "agents.run",
            "agents.tools",
            "conversations.delete",
            "conversations.edit",
            "conversations.leave",
            "conversations.retry",
            "conversations.send",
        ])
}
