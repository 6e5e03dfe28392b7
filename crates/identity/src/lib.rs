//! Users, workspaces, memberships, passwords, API keys, sessions and access tokens; and the authentication of every request from a bounded cache.

mod api_keys;
mod authenticator;
mod bootstrap;
mod cache;
mod caller;
mod entity;
mod events;
mod faces;
mod http;
mod jwt;
mod key;
mod key_uses;
mod members;
mod migration;
mod model;
mod ops;
mod owner_links;
mod password;
mod refresh;
mod roles;
mod rules;
mod session_model;
mod session_ops;
mod sessions;
mod sign_in;
mod standing;
mod token;
mod users;
mod workspaces;

pub use authenticator::Authenticator;
pub use bootstrap::{BootstrapInput, Bootstrapped, bootstrap};
pub use cache::REVOCATION_BOUND;
pub use http::routes;
pub use jwt::ACCESS_TOKEN_LIFE;
pub use migration::migrations;
pub use model::{KeyCreated, KeyView, MeView, MemberUser, MemberView, NewPassword, UserView, WorkspaceView};
pub use owner_links::{OWNER_LINK_LIFE, OwnerLink, OwnerLinkInput, make_owner_link};
pub use password::{Passwords, Verdict};
pub use refresh::REFRESH_TOKEN_LIFE;
pub use roles::Role;
pub use sessions::{SESSION_IDLE, SESSION_LIFE};
pub use sign_in::{LOCK_AFTER, LOCK_FOR, record_sign_in};

use synapscale_ops::Module;
use synapscale_store::EntitySpec;
use synapscale_store::events::Listener;

/// The entities of this crate, for the check of the schema.
pub fn entities() -> Vec<EntitySpec> {
    vec![
        EntitySpec::of(entity::user::Entity),
        EntitySpec::of(entity::user_secret::Entity),
        EntitySpec::of(entity::workspace::Entity),
        EntitySpec::of(entity::membership::Entity),
        EntitySpec::of(entity::api_key::Entity),
        EntitySpec::of(entity::session::Entity),
        EntitySpec::of(entity::refresh_token::Entity),
        EntitySpec::of(entity::owner_link::Entity),
    ]
}

/// The module. `auth` is the server's one authenticator: handlers tell it what they revoke.
pub fn module(auth: &Authenticator) -> Module {
    let mut module = Module::new("identity");
    module.operations = [ops::operations(auth), session_ops::operations(auth)].concat();
    module.events = events::kinds();
    module.faces = faces::faces();
    module.migrations = migrations();
    module.entities = entities();
    let auth = auth.clone();
    module.listener(Listener::new(REVOKING, move |event| auth.hear(event)))
}

/// Events after which a key, a session or a role may allow less than it did.
const REVOKING: &[&str] = &[
    "key.revoked",
    "member.*",
    "session.ended",
    "token.reused",
    "user.updated",
    "workspace.updated",
];
