//! Users, workspaces, memberships, passwords and API keys; and the authentication of every request from a bounded cache.

mod api_keys;
mod authenticator;
mod bootstrap;
mod cache;
mod caller;
mod entity;
mod events;
mod key;
mod key_uses;
mod members;
mod migration;
mod model;
mod ops;
mod password;
mod roles;
mod rules;
mod sign_in;
mod standing;
mod users;
mod workspaces;

pub use authenticator::Authenticator;
pub use bootstrap::{BootstrapInput, Bootstrapped, bootstrap};
pub use cache::REVOCATION_BOUND;
pub use migration::migrations;
pub use model::{KeyCreated, KeyView, MeView, MemberUser, MemberView, NewPassword, UserView, WorkspaceView};
pub use password::{Passwords, Verdict};
pub use roles::Role;
pub use sign_in::{LOCK_AFTER, LOCK_FOR, record_sign_in};

use synapscale_ops::Module;
use synapscale_store::EntitySpec;

/// The entities of this crate, for the check of the schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(entity::user::Entity),
        EntitySpec::of(entity::user_secret::Entity),
        EntitySpec::of(entity::workspace::Entity),
        EntitySpec::of(entity::membership::Entity),
        EntitySpec::of(entity::api_key::Entity),
    ]
}

/// The module. `auth` is the server's one authenticator: handlers tell it what they revoke.
pub fn module(auth: &Authenticator) -> Module {
    Module {
        name: "identity",
        operations: ops::operations(auth),
        events: events::kinds(),
        migrations: migrations(),
        entities: entities(),
    }
}
