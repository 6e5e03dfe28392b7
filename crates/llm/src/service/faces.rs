//! What the model service's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use super::usage::query::UsageView;
use super::view::{ProviderView, RouteView};
use synapscale_ops::{Faces, View};

pub(super) fn faces() -> Faces {
    Faces::default()
        .view(View::of::<ProviderView>("llm_providers").made_of(&[("has_key", &["key_sealed"])]))
        .view(View::of::<RouteView>("llm_routes"))
        .view(View::of::<UsageView>("llm_usage"))
        // What sums are grouped by.
        .hidden("llm_usage", &["day"])
        .assembled(&[
            "llm.chat",
            "models.list",
            "providers.delete",
            "providers.test",
            "routes.delete",
            "usage.summary",
        ])
}
