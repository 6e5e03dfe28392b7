//! How an agent acts: a loop of turns and tool calls, carried out and journalled by the engine. `fold` decides, `model`
//! asks, `ops` keeps, `node` offers it to workflows, `runs` starts it for people.

mod fold;
mod model;
mod node;
pub(crate) mod ops;
mod prompt;
pub(crate) mod runs;
mod shape;

pub(crate) use node::kinds;
