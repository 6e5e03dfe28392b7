//! The one list of modules. A new domain is one line here.

use std::sync::Arc;
use synapscale_agents::Agents;
use synapscale_core::{Error, Result};
use synapscale_engine::Engine;
use synapscale_flows::Flows;
use synapscale_identity::Authenticator;
use synapscale_llm::service::Models;
use synapscale_mcp::Mcp;
use synapscale_ops::{Mismatch, Module, Registry, check_faces};
use synapscale_store::{EntitySpec, Migrations, Store, own_entities};
use synapscale_work::Work;

/// All modules of one server, and what the server itself holds of them.
pub struct Modules {
    /// The modules. Tables are made in this order, so a module stands after those whose tables it refers to.
    pub list: Vec<Module>,
    /// Who calls.
    pub auth: Authenticator,
    /// Projects and tasks; the engine is attached once it stands.
    pub work: Work,
    /// Workflows; the engine is attached once it stands.
    pub flows: Flows,
    /// Agents and conversations; the engine is attached once it stands.
    pub agents: Agents,
    /// The model service; its settings are attached once they are known.
    pub models: Models,
    /// Other people's MCP servers; its settings are attached once they are known.
    pub mcp: Mcp,
}

impl Modules {
    /// The modules over `store`.
    pub fn new(store: &Store) -> Self {
        let auth = Authenticator::new(store.clone());
        let work = Work::new();
        let flows = Flows::new();
        let agents = Agents::new();
        let models = Models::unattached(store.clone());
        let mcp = Mcp::unattached(store.clone());
        let list = vec![
            synapscale_ops::module(),
            Engine::module(),
            synapscale_identity::module(&auth),
            models.module(),
            mcp.module(),
            work.module(),
            flows.module(),
            agents.module(),
        ];
        Modules {
            list,
            auth,
            work,
            flows,
            agents,
            models,
            mcp,
        }
    }

    /// All migrations, in order.
    pub fn migrations(&self) -> Migrations {
        Migrations::new(self.list.iter().flat_map(|module| module.migrations.clone()))
    }

    /// What the code believes of all tables.
    pub fn entities(&self) -> Vec<EntitySpec> {
        self.list
            .iter()
            .flat_map(|module| module.entities.clone())
            .collect()
    }

    /// What the operations show of the tables, against what they declare. An empty list is what is wanted.
    pub fn check_faces(&self) -> Vec<Mismatch> {
        let entities: Vec<EntitySpec> = own_entities().into_iter().chain(self.entities()).collect();
        check_faces(&self.list, &entities)
    }

    /// All operations and events.
    ///
    /// # Errors
    /// `internal` for a mistake in a module.
    pub fn registry(&self) -> Result<Arc<Registry>> {
        Registry::new(&self.list).map(Arc::new).map_err(Error::internal)
    }
}
