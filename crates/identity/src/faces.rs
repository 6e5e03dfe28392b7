//! What this crate's operations show of its tables; `synapscale db check` holds it against schemas and entities.

use crate::model::{KeyView, MemberView, UserView, WorkspaceView};
use crate::session_model::SessionInfo;
use synapscale_ops::{Faces, View};

pub(crate) fn faces() -> Faces {
    Faces::default()
        .view(View::of::<WorkspaceView>("workspaces"))
        .view(View::of::<UserView>("users"))
        .view(View::of::<MemberView>("memberships").made_of(&[("user", &["user_id"])]))
        .view(View::of::<KeyView>("api_keys"))
        .hidden("api_keys", &["hash"])
        .view(View::of::<SessionInfo>("sessions"))
        .assembled(&[
            "keys.create",
            "members.remove",
            "sessions.end",
            "sessions.end_all",
            "sessions.list",
            "users.me",
            "users.update_me",
        ])
}
