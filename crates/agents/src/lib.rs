//! Agents, their versions, and people's conversations with them. What an agent does when it answers is a run of the engine;
//! this crate keeps who it is, what was said, and what came of it.

mod entity;
mod events;
mod faces;
mod migration;
mod needs;
mod ops;
mod schema;
pub mod service;
mod spec;
mod stow;
mod tools;
mod turns;
pub mod view;

pub use needs::{NewReply, People, RunStanding, RunState, Turns};
pub use spec::{AgentLimits, AgentSpec, Approval, Effort, ToolRule};
pub use view::{
    AgentStatus, AgentView, ConversationStatus, ConversationView, MessageRole, MessageStatus, MessageView,
};

use std::sync::{Arc, OnceLock};
use synapscale_core::{Error, Result};
use synapscale_engine::{Engine, Unfold};
use synapscale_llm::Models;
use synapscale_ops::{Module, Tools};
use turns::ops::Means;
use turns::runs::{Conversations, EngineTurns};

/// The domain of one server. Its operations need the engine's tool loop, the engine needs the gate, and the gate needs the
/// operations: so the module is made first, and the rest attached when it stands. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Agents(Arc<OnceLock<Attached>>, Means);

/// What is there once the server stands.
struct Attached {
    turns: Arc<dyn Turns>,
    people: Arc<dyn People>,
    tools: Tools,
}

impl Agents {
    /// A domain without its tool loop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Attaches the tool loop, the names of people, and the operations that can be tools; the first ones stay.
    pub fn attach(&self, turns: Arc<dyn Turns>, people: Arc<dyn People>, tools: Tools) {
        // A second attachment would be a mistake of the composition, and the first one works.
        let _ = self.0.set(Attached { turns, people, tools });
    }

    /// Attaches the engine, the model service, everything that can be a tool, and the names of people; the first ones stay.
    pub fn connect(&self, engine: Engine, models: Models, tools: Tools, people: Arc<dyn People>) {
        engine.set_privacy(Arc::new(Conversations));
        self.1.attach(engine.clone(), models, tools.clone());
        self.attach(Arc::new(EngineTurns(engine)), people, tools);
    }

    /// The kinds of nodes that the engine is to have: `agent@1`, `llm@1` and the domain's own.
    pub fn kinds() -> Vec<Arc<dyn Unfold>> {
        turns::kinds()
    }

    /// Tables, events and operations.
    pub fn module(&self) -> Module {
        let mut module = Module::new("agents");
        module.operations = ops::all(self);
        module.operations.extend(turns::ops::all(&self.1));
        module.events = events::kinds();
        module.faces = faces::faces();
        module.migrations = migration::migrations();
        module.entities = entity::entities();
        module
    }

    fn attached(&self) -> Result<&Attached> {
        self.0
            .get()
            .ok_or_else(|| Error::unavailable("starting", "The server is still starting. Try again."))
    }

    pub(crate) fn turns(&self) -> Result<&dyn Turns> {
        Ok(&*self.attached()?.turns)
    }

    pub(crate) fn people(&self) -> Result<&dyn People> {
        Ok(&*self.attached()?.people)
    }

    pub(crate) fn tools(&self) -> Result<&Tools> {
        Ok(&self.attached()?.tools)
    }
}
