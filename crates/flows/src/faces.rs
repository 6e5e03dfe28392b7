//! What this crate's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use crate::triggers::{EventTriggerView, ScheduleView};
use crate::view::{HookView, VersionView, WorkflowView};
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    let publisher: &[(&str, &[&str])] = &[("publisher", &["publisher_kind", "publisher_id"])];
    Faces::default()
        .view(View::of::<WorkflowView>("workflows").made_of(publisher))
        .hidden("workflows", &["deleted_at", "delete_group"])
        .view(View::of::<VersionView>("workflow_versions").made_of(publisher))
        .hidden("workflow_versions", &["workflow_id", "file"])
        .view(View::of::<HookView>("hooks").made_of(&[
            ("url_path", &["token_sealed"]),
            ("previous_secret_until", &["previous_until"]),
        ]))
        .hidden(
            "hooks",
            &["token_hash", "secret_sealed", "previous_sealed", "responds"],
        )
        .view(View::of::<ScheduleView>("schedules"))
        .hidden("schedules", &["active", "created_at"])
        .view(View::of::<EventTriggerView>("event_triggers"))
        .hidden("event_triggers", &["place", "active", "created_at"])
        .unseen(&["hook_deliveries"])
        .assembled(&[
            "expressions.functions",
            "hooks.rotate_secret",
            "nodes.list",
            "runs.cancel_many",
            "runs.rerun",
            "runs.rerun_many",
            "runs.resume_many",
            "runs.step",
            "runs.steps",
            "triggers.list",
            "triggers.preview",
            "workflows.apply",
            "workflows.delete",
            "workflows.get",
            "workflows.run",
            "workflows.validate",
        ])
}
