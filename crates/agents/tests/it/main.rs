//! Agents and conversations through the gate, on both databases, with a stand-in for the tool loop.

mod agents;
mod conversations;
mod history;
mod replies;
mod rig;
mod trees;
