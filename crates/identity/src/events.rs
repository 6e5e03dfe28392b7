//! What happens here. Payloads carry ids and words of the schema; personal fields stand only in `changes`.

use schemars::JsonSchema;
use serde::Serialize;
use synapscale_core::{EventKind, EventPayload};
use uuid::Uuid;

use crate::roles::Role;

/// Every kind of event of this crate.
pub fn kinds() -> Vec<EventKind> {
    vec![
        EventKind::of::<WorkspaceCreated>(),
        EventKind::of::<WorkspaceUpdated>(),
        EventKind::of::<UserCreated>(),
        EventKind::of::<UserUpdated>(),
        EventKind::of::<MemberAdded>(),
        EventKind::of::<MemberUpdated>(),
        EventKind::of::<MemberRemoved>(),
        EventKind::of::<KeyCreated>(),
        EventKind::of::<KeyRevoked>(),
    ]
}

/// Declares a payload.
macro_rules! payload {
    ($name:ident, $kind:literal, $about:literal, { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        #[doc = $about]
        #[derive(Serialize, JsonSchema)]
        pub struct $name {
            $($(#[$meta])* pub $field: $type,)*
        }

        impl EventPayload for $name {
            const KIND: &'static str = $kind;
            const ABOUT: &'static str = $about;
        }
    };
}

payload!(WorkspaceCreated, "workspace.created", "A workspace was made.", {
    /// Its name.
    name: String,
    /// Its slug.
    slug: String,
});

payload!(WorkspaceUpdated, "workspace.updated", "Fields of the workspace changed.", {
    /// Its revision after the change.
    revision: i64,
});

payload!(UserCreated, "user.created", "A user was made.", {
    /// Whether a password was set.
    has_password: bool,
});

payload!(UserUpdated, "user.updated", "A user changed their profile.", {
    /// The user's revision after the change.
    revision: i64,
});

payload!(MemberAdded, "member.added", "A user became a member of the workspace.", {
    /// The user.
    user_id: Uuid,
    /// The role given.
    role: Role,
});

payload!(MemberUpdated, "member.updated", "A member got another role.", {
    /// The user.
    user_id: Uuid,
    /// The new role.
    role: Role,
});

payload!(MemberRemoved, "member.removed", "A user is no longer a member of the workspace.", {
    /// The user.
    user_id: Uuid,
    /// The role until then.
    role: Role,
});

payload!(KeyCreated, "key.created", "An API key was made.", {
    /// The key's name.
    name: String,
    /// The user whose permissions bound the key.
    user_id: Uuid,
    /// The permissions it is narrowed to.
    scopes: Vec<String>,
});

payload!(KeyRevoked, "key.revoked", "An API key was revoked.", {
    /// The key's name.
    name: String,
    /// The user whose permissions bounded the key.
    user_id: Uuid,
});
