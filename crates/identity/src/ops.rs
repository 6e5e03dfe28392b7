//! The operations. Those that touch users run elevated, since that table has no tenant; what they may see of it is bounded
//! by the memberships of the caller's workspace.

use crate::authenticator::Authenticator;
use crate::model::{
    AddMember, CreateKey, ListKeys, RemoveMember, RevokeKey, UpdateMe, UpdateMember, UpdateWorkspace,
};
use crate::{api_keys, members, users, workspaces};
use std::sync::Arc;
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, Method, NoInput, Operation, PageQuery, Prepare, RateClass};
use synapscale_store::Tx;

/// All of them.
pub fn operations(auth: &Authenticator) -> Vec<Operation> {
    vec![
        workspaces_get(),
        workspaces_update(),
        users_me(),
        users_update_me(),
        members_list(),
        members_add(auth.clone()),
        members_update(auth.clone()),
        members_remove(auth.clone()),
        keys_create(),
        keys_list(),
        keys_revoke(auth.clone()),
    ]
}

fn workspaces_get() -> Operation {
    Operation::read("workspaces.get", "Show the workspace")
        .about("Shows the workspace of this call: name, settings, plan, limits and feature switches.")
        .one_statement()
        .permission("workspaces:read")
        .rest(Method::GET, "/workspace")
        .rate(RateClass::Light)
        .revisioned()
        .handle(|tx: Tx, _: Arc<NoInput>| async move { workspaces::get(&tx).await })
}

fn workspaces_update() -> Operation {
    Operation::write("workspaces.update", "Change the workspace")
        .about(
            "Changes name, settings, metadata or feature switches. A JSON field that is sent replaces the \
             old one as a whole.",
        )
        .permission("workspaces:write")
        .rest(Method::PATCH, "/workspace")
        .revisioned()
        .handle_with(|tx: Tx, input: Arc<UpdateWorkspace>, env: Envelope| async move {
            workspaces::update(&tx, &input, env.expected_revision)
                .await
                .map(Done)
        })
}

fn users_me() -> Operation {
    Operation::read("users.me", "Show who calls")
        .about("Shows the user of this call, or the user whose key is used, with the role in this workspace.")
        .permission("users:read")
        .rest(Method::GET, "/me")
        .rate(RateClass::Light)
        .elevated()
        .revisioned()
        .handle(|tx: Tx, _: Arc<NoInput>| async move { users::me(&tx).await })
}

fn users_update_me() -> Operation {
    Operation::write("users.update_me", "Change your profile")
        .about(
            "Changes the caller's own name, time zone, language, preferences, picture or metadata. A JSON \
             field that is sent replaces the old one as a whole.",
        )
        .permission("users:write")
        .rest(Method::PATCH, "/me")
        .elevated()
        .revisioned()
        .handle_with(|tx: Tx, input: Arc<UpdateMe>, env: Envelope| async move {
            users::update_me(&tx, &input, env.expected_revision)
                .await
                .map(Done)
        })
}

fn members_list() -> Operation {
    Operation::read("members.list", "List members")
        .about("Lists the members of the workspace with their roles.")
        .permission("members:read")
        .rest(Method::GET, "/members")
        .elevated()
        .handle(|tx: Tx, query: Arc<PageQuery>| async move { members::list(&tx, &query).await })
}

fn members_add(auth: Authenticator) -> Operation {
    let hashing = auth.clone();
    Operation::write("members.add", "Add a member")
        .about(
            "Makes somebody a member of the workspace by e-mail address, and makes the user when nobody \
             is known by it. Nobody is told by e-mail yet. Only an owner adds owners.",
        )
        .permission("members:manage")
        .secret()
        .rest(Method::POST, "/members")
        .rate(RateClass::Heavy)
        .elevated()
        .prepare_with(move |_: Prepare, input: AddMember| {
            let auth = hashing.clone();
            async move { members::prepare(&auth, input).await }
        })
        .handle(move |tx: Tx, new: Arc<members::Newcomer>| {
            let auth = auth.clone();
            async move { members::add(&tx, &auth, &new).await.map(Done) }
        })
}

fn members_update(auth: Authenticator) -> Operation {
    Operation::write("members.update", "Change a member's role")
        .about(
            "Gives a member another role: owner, admin, member or viewer. Only an owner makes or unmakes \
             owners; one always stays.",
        )
        .permission("members:manage")
        .rest(Method::PATCH, "/members/{user_id}")
        .elevated()
        .handle(move |tx: Tx, input: Arc<UpdateMember>| {
            let auth = auth.clone();
            async move {
                members::update(&tx, &auth, input.user_id, input.role)
                    .await
                    .map(Done)
            }
        })
}

fn members_remove(auth: Authenticator) -> Operation {
    Operation::write("members.remove", "Remove a member")
        .about("Takes a member out of the workspace and revokes their keys to it. The last owner stays.")
        .permission("members:manage")
        .rest(Method::DELETE, "/members/{user_id}")
        .destructive()
        .elevated()
        .handle(move |tx: Tx, input: Arc<RemoveMember>| {
            let auth = auth.clone();
            async move { members::remove(&tx, &auth, input.user_id).await.map(Done) }
        })
}

fn keys_create() -> Operation {
    Operation::write("keys.create", "Create an API key")
        .about(
            "Makes an API key for the caller, or for a member whose role is not above the caller's. The \
             secret is in the answer and is never shown again. The key allows what its scopes and its \
             user's present role both allow.",
        )
        .permission("keys:manage")
        .secret()
        .rest(Method::POST, "/keys")
        .handle(|tx: Tx, input: Arc<CreateKey>| async move { api_keys::create(&tx, &input).await.map(Done) })
}

fn keys_list() -> Operation {
    Operation::read("keys.list", "List API keys")
        .about("Lists the workspace's API keys, without their secrets; revoked ones only when asked for.")
        .one_statement()
        .permission("keys:read")
        .rest(Method::GET, "/keys")
        .handle(|tx: Tx, input: Arc<ListKeys>| async move { api_keys::list(&tx, &input).await })
}

fn keys_revoke(auth: Authenticator) -> Operation {
    Operation::write("keys.revoke", "Revoke an API key")
        .about(
            "Makes a key invalid for good: at once on the server that is asked, within 30 seconds on \
             others.",
        )
        .permission("keys:manage")
        .rest(Method::DELETE, "/keys/{key_id}")
        .destructive()
        .handle(move |tx: Tx, input: Arc<RevokeKey>| {
            let auth = auth.clone();
            async move { api_keys::revoke(&tx, &auth, input.key_id).await.map(Done) }
        })
}
