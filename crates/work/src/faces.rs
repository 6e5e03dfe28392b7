//! What this crate's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use crate::activity::Activity;
use crate::comments::Comment;
use crate::filter::SavedFilter;
use crate::model::{Project, Task};
use crate::ops::PatchSetView;
use crate::time::TimeEntry;
use crate::transfer::Import;
use crate::trash::TrashGroup;
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    Faces::default()
        .view(View::of::<Project>("projects"))
        // The group is shown by the trash, which lists both projects and tasks of it.
        .hidden("projects", &["delete_group"])
        .view(View::of::<Task>("tasks").made_of(&[("blocked", &["blockers"])]))
        .view(
            View::of::<TrashGroup>("tasks")
                .made_of(&[("delete_group_id", &["delete_group"])])
                .computed(&["projects", "tasks", "names"]),
        )
        // What lists are sorted and the search is built by.
        .hidden("tasks", &["priority_rank", "indexed", "follows_id"])
        .view(View::of::<PatchSetView>("patch_sets"))
        .hidden("patch_sets", &["inverse"])
        .view(View::of::<Comment>("comments"))
        .view(View::of::<TimeEntry>("time_entries").made_of(&[("date", &["day"])]))
        .view(View::of::<SavedFilter>("task_filters"))
        .view(View::of::<Activity>("events").made_of(&[
            ("actor", &["actor_kind", "actor_id"]),
            ("on_behalf_of", &["principal_kind", "principal_id"]),
        ]))
        .view(View::of::<Import>("imports").computed(&["stopped", "stopped_by"]))
        .hidden("imports", &["options"])
        // What an import keeps for itself: the file, its parts, and where tasks came from.
        .unseen(&["task_links", "task_words", "import_files", "import_parts", "import_origins"])
        .assembled(&[
            "imports.advance",
            "imports.delete",
            "imports.preview",
            "patches.apply",
            "patches.preview",
            "patches.schema",
            "patches.undo",
            "projects.archive",
            "projects.delete",
            "projects.restore",
            "projects.tree",
            "projects.unarchive",
            "tasks.archive",
            "tasks.delete",
            "tasks.dependencies",
            "tasks.export",
            "tasks.restore",
            "tasks.search",
            "tasks.time",
            "tasks.tree",
            "tasks.unarchive",
            "timers.get",
            "timers.start",
            "timers.stop",
            "trash.purge",
            "trash.restore",
        ])
}
