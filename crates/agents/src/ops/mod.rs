//! The operations of this domain.

mod agents;
mod conversations;
mod messages;

pub(crate) use agents::{CreateAgent, UpdateAgent};
pub(crate) use conversations::{ListConversations, StartConversation, UpdateConversation};
pub(crate) use messages::ListMessages;

use crate::Agents;
use synapscale_ops::Operation;

/// All of them, in the order of lists and documents.
pub(crate) fn all(agents: &Agents) -> Vec<Operation> {
    let mut all = agents::all(agents);
    all.extend(conversations::all(agents));
    all.extend(messages::all(agents));
    all
}
