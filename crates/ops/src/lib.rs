//! Operations: what can be done. Each is written once, with its types, permission and effect; the registry knows them
//! all, and the gate is the single door through which REST, MCP, command line, engine and domains call them.

mod builtin;
mod canonical;
mod consumers;
mod denied;
mod draft;
mod faces;
mod gate;
mod idempotency;
pub mod json_guard;
mod limits;
mod log;
mod module;
mod operation;
mod outcome;
mod output;
mod own_faces;
pub mod page;
mod patch;
mod prepared;
mod registry;
mod schema;
mod sources;
mod tools;

pub use builtin::{ListOperations, OperationInfo, OperationList, RestInfo, module};
pub use denied::AccessDenied;
pub use draft::{Draft, ExternalKind, Input, Plain, ReadKind, Reply, SlowDraft, WithRevision, WriteKind};
pub use faces::{Faces, Mismatch, View, check_faces};
pub use gate::{ExternalRunner, Gate, GateConfig};
pub use json_guard::{JsonLimits, check_value, parse_json};
pub use limits::{Rate, Rates};
pub use module::{EventConsumer, Module};
pub use operation::{Operation, RateClass};
pub use outcome::Outcome::{Done, Refused};
pub use outcome::{Answer, Applied, Envelope, Outcome, Sink, Unheard};
pub use output::{NoInput, NoOutput, Output, RevisionOf, Revisioned};
pub use page::{Page, PageQuery};
pub use patch::Patch;
pub use prepared::{ExternalCx, Prepare, Prepared};
pub use registry::{Registry, RegistryError};
pub use schema::{CompiledSchema, SchemaCheck};
pub use sources::{SourceTool, ToolSource, hashed_wire_name_of, wire_name_of};
pub use tools::{Tool, ToolListing, Tools, is_pattern, pattern_matches};

/// What a REST operation names its method with.
pub use http::Method;
