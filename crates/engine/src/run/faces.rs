//! What operations show of the engine's tables; `synapscale db check` holds it against schemas and entities.

use crate::run::model::{ApprovalView, RunView};
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    Faces::default()
        .view(View::of::<RunView>("runs").made_of(&[
            ("actor", &["principal_kind", "principal_id"]),
            ("on_behalf_of", &["behalf_kind", "behalf_id"]),
            ("trigger", &["entry"]),
        ])
        .computed(&["waits_for"]))
        .hidden("runs", &["parent_path"])
        .view(
            View::of::<ApprovalView>("approvals").made_of(&[("decided_by", &["decided_by_kind", "decided_by_id"])]),
        )
        .hidden("approvals", &["path"])
        // Steps are folded from the journal; graphs are the workflows' files.
        // Places at limits are told of by `waits_for`.
        .unseen(&["graphs", "journal", "run_queue", "run_signals", "run_slots", "run_starts"])
}
