//! What the model service tells the log. No event holds a key, nor a part of one.

use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};

/// Declares a kind whose payload is the thing's name.
macro_rules! named {
    ($($(#[$meta:meta])* $name:ident, $kind:literal, $about:literal;)*) => {$(
        $(#[$meta])*
        #[derive(Serialize, JsonSchema)]
        pub struct $name {
            /// The name at that time.
            pub name: String,
        }

        impl EventPayload for $name {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
        }
    )*};
}

named! {
    /// A provider was added.
    ProviderCreated, "model_provider.created", "A provider of models was added.";
    /// A provider changed.
    ProviderUpdated, "model_provider.updated", "Address, key, settings or status of a provider of models changed.";
    /// A provider was removed.
    ProviderDeleted, "model_provider.deleted", "A provider of models was removed, and its key with it.";
    /// A route was added.
    RouteCreated, "model_route.created", "A route to models was added.";
    /// A route changed.
    RouteUpdated, "model_route.updated", "A route to models changed.";
    /// A route was removed.
    RouteDeleted, "model_route.deleted", "A route to models was removed.";
}

/// Every kind declared here.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<ProviderCreated>(),
        EventKind::of::<ProviderUpdated>(),
        EventKind::of::<ProviderDeleted>(),
        EventKind::of::<RouteCreated>(),
        EventKind::of::<RouteUpdated>(),
        EventKind::of::<RouteDeleted>(),
    ]
}
