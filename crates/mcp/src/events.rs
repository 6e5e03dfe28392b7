//! What is told of MCP servers. No event holds a credential, nor what a tool was called with.

use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};

/// Declares a kind with its payload.
macro_rules! told {
    ($($(#[$meta:meta])* $name:ident, $kind:literal, $about:literal, { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* };)*) => {$(
        $(#[$meta])*
        #[derive(Serialize, JsonSchema)]
        pub struct $name {
            /// The server's name at that time.
            pub name: String,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl EventPayload for $name {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
        }
    )*};
}

told! {
    /// A server was added.
    ServerCreated, "mcp_server.created", "An MCP server was added.", {};
    /// A server changed.
    ServerUpdated, "mcp_server.updated", "Address, credentials, settings or status of an MCP server changed.", {};
    /// A server was removed.
    ServerDeleted, "mcp_server.deleted", "An MCP server was removed, and its credentials and tools with it.", {};
    /// A server's list of tools changed.
    ServerRefreshed, "mcp_server.refreshed", "An MCP server listed other tools than before.", {
        /// How many tools it has now.
        tools: usize,
        /// How many of them cannot be used.
        unusable: usize,
        /// Names of tools that are new, fifty at most.
        added: Vec<String>,
        /// Names of tools that are gone, fifty at most.
        removed: Vec<String>,
        /// Names of tools whose schema or description changed, fifty at most.
        changed: Vec<String>,
    };
    /// A server that could be reached cannot be any more.
    ServerFailed, "mcp_server.failed", "An MCP server could not be reached; its tools are down.", {
        /// The stable code of the failure.
        code: String,
    };
    /// A server that could not be reached can be again.
    ServerRecovered, "mcp_server.recovered", "An MCP server that was down answers again.", {};
}

/// Every kind declared here.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<ServerCreated>(),
        EventKind::of::<ServerUpdated>(),
        EventKind::of::<ServerDeleted>(),
        EventKind::of::<ServerRefreshed>(),
        EventKind::of::<ServerFailed>(),
        EventKind::of::<ServerRecovered>(),
    ]
}
