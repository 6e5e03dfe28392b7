//! What the gate's own operations show of the log's tables; `synapscale db check` holds it against schemas and entities.

use crate::consumers::DeadLetterView;
use crate::faces::{Faces, View};
use crate::log::EventView;

pub(crate) fn faces() -> Faces {
    Faces::default()
        .view(View::of::<EventView>("events").made_of(&[
            ("actor", &["actor_kind", "actor_id"]),
            ("on_behalf_of", &["principal_kind", "principal_id"]),
            ("cursor", &["seq"]),
        ]))
        .hidden("events", &["causation"])
        .view(View::of::<DeadLetterView>("dead_letters").made_of(&[("queued", &["state"]), ("queued_until", &["queued_at"])]))
        .hidden("dead_letters", &["cursor"])
        // Archives are told of by their place and size, in the words of `audit.archives`.
        .unseen(&["blobs", "consumer_marks", "event_archives", "idempotency_keys"])
        .assembled(&[
            "audit.archives",
            "consumers.list",
            "dead_letters.drop",
            "dead_letters.replay",
            "ops.list",
        ])
}
