//! What a domain brings along: the one thing that `modules.rs` of the server collects.

use crate::faces::Faces;
use crate::operation::Operation;
use crate::sources::{Source, ToolSource};
use std::fmt;
use std::sync::Arc;
use synapscale_core::{EventKind, EventPayload};
use synapscale_store::events::{Consumer, Listener};
use synapscale_store::{EntitySpec, Migration};

/// A consumer group that the server keeps going.
#[derive(Clone)]
pub struct EventConsumer(pub Arc<dyn Consumer>);

impl fmt::Debug for EventConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventConsumer({})", self.0.name())
    }
}

/// Operations, events, migrations and entities of one module.
#[derive(Debug, Default)]
pub struct Module {
    /// The module's name.
    pub name: &'static str,
    /// What it can do.
    pub operations: Vec<Operation>,
    /// What it tells of.
    pub events: Vec<EventKind>,
    /// Its tables, in the order in which they are made.
    pub migrations: Vec<Migration>,
    /// What its code believes of its tables.
    pub entities: Vec<EntitySpec>,
    /// What its operations show of its tables.
    pub faces: Faces,
    /// What acts on events.
    pub consumers: Vec<EventConsumer>,
    /// What each process keeps in memory, and is told by events to forget.
    pub listeners: Vec<Listener>,
    /// Where further tools come from at run time.
    pub(crate) sources: Vec<Source>,
}

impl Module {
    /// A module with nothing in it.
    pub fn new(name: &'static str) -> Self {
        Module {
            name,
            ..Module::default()
        }
    }

    /// With one more operation.
    #[must_use]
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }

    /// With more operations.
    #[must_use]
    pub fn operations(mut self, operations: impl IntoIterator<Item = Operation>) -> Self {
        self.operations.extend(operations);
        self
    }

    /// With one more kind of event.
    #[must_use]
    pub fn event<P: EventPayload>(mut self) -> Self {
        self.events.push(EventKind::of::<P>());
        self
    }

    /// With more kinds of events.
    #[must_use]
    pub fn events(mut self, events: impl IntoIterator<Item = EventKind>) -> Self {
        self.events.extend(events);
        self
    }

    /// With one more consumer group.
    #[must_use]
    pub fn consumer(mut self, consumer: Arc<dyn Consumer>) -> Self {
        self.consumers.push(EventConsumer(consumer));
        self
    }

    /// With one more listener to what any process commits.
    #[must_use]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listeners.push(listener);
        self
    }

    /// With migrations, after those it has.
    #[must_use]
    pub fn migrations(mut self, migrations: impl IntoIterator<Item = Migration>) -> Self {
        self.migrations.extend(migrations);
        self
    }

    /// With entities.
    #[must_use]
    pub fn entities(mut self, entities: impl IntoIterator<Item = EntitySpec>) -> Self {
        self.entities.extend(entities);
        self
    }

    /// With what its operations show of its tables.
    #[must_use]
    pub fn faces(mut self, faces: Faces) -> Self {
        self.faces = faces;
        self
    }

    /// With tools that come and go while the server runs.
    #[must_use]
    pub fn tool_source(mut self, source: Arc<dyn ToolSource>) -> Self {
        self.sources.push(Source(source));
        self
    }
}
