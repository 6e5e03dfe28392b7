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
        EventKind::of::<SessionStarted>(),
        EventKind::of::<SessionEnded>(),
        EventKind::of::<SessionRefused>(),
        EventKind::of::<TokenCreated>(),
        EventKind::of::<TokenReused>(),
        EventKind::of::<OwnerLinkCreated>(),
        EventKind::of::<OwnerLinkUsed>(),
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

// What happens before it is known who calls stands in the system tenant's log.

payload!(SessionStarted, "session.started", "Somebody signed in, or changed to this workspace.", {
    /// The user.
    user_id: Uuid,
    /// The workspace that the session opens.
    workspace_id: Uuid,
});

payload!(SessionEnded, "session.ended", "Sessions of a user were ended.", {
    /// The user.
    user_id: Uuid,
    /// How many sessions.
    sessions: u64,
    /// How many families of refresh tokens.
    token_families: u64,
});

payload!(SessionRefused, "session.refused", "A sign-in by password was refused.", {
    /// The user whose address was given, if there is one.
    user_id: Option<Uuid>,
    /// Whether the account was locked at that time.
    locked: bool,
});

payload!(TokenCreated, "token.created", "Somebody signed in for an access token and a refresh token.", {
    /// The user.
    user_id: Uuid,
    /// The workspace that the tokens open.
    workspace_id: Uuid,
});

payload!(TokenReused, "token.reused", "A used refresh token came again: its whole family was revoked.", {
    /// The user.
    user_id: Uuid,
    /// The family.
    family_id: Uuid,
});

payload!(OwnerLinkCreated, "owner_link.created", "A one-time link for an owner was made.", {
    /// The owner.
    user_id: Uuid,
});

payload!(OwnerLinkUsed, "owner_link.used", "An owner set a password by a one-time link.", {
    /// The owner.
    user_id: Uuid,
});
