//! The four roles and what each allows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synapscale_core::{Error, Grants, PermissionSet, Result};

/// A role in a workspace; greater means more power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees the work.
    Viewer,
    /// Does the work.
    Member,
    /// Does everything but make and unmake owners.
    Admin,
    /// Does everything.
    Owner,
}

/// What a viewer may. `users:write` covers nobody but oneself. Audit, keys and ownership are left out on purpose, which is
/// why the list is written out instead of `*:read`.
const VIEWER: &[&str] = &[
    "workspaces:read",
    "members:read",
    "users:read",
    "users:write",
    "projects:read",
    "tasks:read",
    "patches:read",
    "workflows:read",
    "runs:read",
    "models:read",
    "agents:read",
    "mcp:read",
    "approvals:read",
    "hooks:read",
    "events:read",
    "ops:read",
];

/// What a member may on top of a viewer.
const MEMBER: &[&str] = &[
    "projects:*",
    "tasks:*",
    "patches:*",
    "workflows:*",
    "runs:*",
    "approvals:decide",
    "llm:chat",
    "agents:run",
    "mcp:call",
    "usage:read",
];

impl Role {
    /// The word used on the wire and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role that [`Role::as_str`] names.
    ///
    /// # Errors
    /// `internal` for a word that the schema does not allow.
    pub fn parse(word: &str) -> Result<Self> {
        [Role::Viewer, Role::Member, Role::Admin, Role::Owner]
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| Error::internal(format!("`{word}` is not a role")))
    }

    /// The permissions of the role. Admins have the owners'; that only owners touch owners is a rule of the members'
    /// operations, since it depends on whom they touch.
    ///
    /// # Errors
    /// Never: the lists are patterns, and a test reads them all.
    pub fn permissions(self) -> Result<PermissionSet> {
        PermissionSet::parse(&self.patterns()).map_err(Error::internal)
    }

    /// The same as patterns, such as `tasks:*`.
    pub(crate) fn patterns(self) -> Vec<&'static str> {
        match self {
            Role::Viewer => VIEWER.to_vec(),
            Role::Member => [VIEWER, MEMBER].concat(),
            Role::Admin | Role::Owner => vec!["*"],
        }
    }

    /// The permissions as grants.
    pub(crate) fn grants(self) -> Result<Grants> {
        self.permissions().map(Grants::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(role: Role, permission: &str) -> bool {
        role.grants().expect("grants").allows(permission)
    }

    #[test]
    fn every_role_parses_back() {
        for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(Role::parse(role.as_str()).expect("a role"), role);
        }
        assert!(Role::parse("root").is_err());
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Member && Role::Member > Role::Viewer);
    }

    #[test]
    fn viewers_change_nothing_of_the_workspace() {
        assert!(allows(Role::Viewer, "tasks:read"));
        for refused in [
            "tasks:write",
            "runs:write",
            "workflows:run",
            "approvals:decide",
            "keys:read",
            "audit:read",
            "members:manage",
            "workspaces:write",
        ] {
            assert!(!allows(Role::Viewer, refused), "{refused}");
        }
    }

    #[test]
    fn members_work_and_do_not_govern() {
        for granted in [
            "tasks:write",
            "workflows:run",
            "approvals:decide",
            "projects:read",
            "users:write",
        ] {
            assert!(allows(Role::Member, granted), "{granted}");
        }
        for refused in [
            "keys:manage",
            "keys:read",
            "audit:read",
            "members:manage",
            "hooks:manage",
        ] {
            assert!(!allows(Role::Member, refused), "{refused}");
        }
        assert!(allows(Role::Admin, "members:manage"));
        assert!(allows(Role::Owner, "audit:read"));
    }
}
