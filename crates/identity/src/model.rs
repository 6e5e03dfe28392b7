//! What callers send and see. No secret stands in any answer but the one of `keys.create`, once.

use crate::entity::{api_key, membership, user, workspace};
use crate::roles::Role;
use crate::rules::Object;
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use synapscale_core::{Error, Result};
use synapscale_ops::{Patch, Revisioned};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WorkspaceView {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its short name, unique on this server.
    pub slug: String,
    /// Settings, as set.
    pub settings: Value,
    /// Free data, as set.
    pub metadata: Value,
    /// `active` or `suspended`.
    pub status: String,
    /// The plan, such as `free`.
    pub billing_plan: String,
    /// Limits of the plan.
    pub usage_limits: Value,
    /// Features switched on or off.
    pub features_enabled: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts changes.
    pub revision: i64,
}

impl Revisioned for WorkspaceView {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<workspace::Model> for WorkspaceView {
    fn from(row: workspace::Model) -> Self {
        WorkspaceView {
            id: row.id,
            name: row.name,
            slug: row.slug,
            settings: row.settings,
            metadata: row.metadata,
            status: row.status,
            billing_plan: row.billing_plan,
            usage_limits: row.usage_limits,
            features_enabled: row.features_enabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// A user, as they see themselves.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UserView {
    /// The user's id.
    pub id: Uuid,
    /// The e-mail address, in lower case.
    pub email: String,
    /// The full name.
    pub full_name: Option<String>,
    /// `active` or `suspended`.
    pub status: String,
    /// Free data, as set.
    pub metadata: Value,
    /// When the user last signed in with a password.
    pub last_login_at: Option<DateTime<Utc>>,
    /// How often the user signed in.
    pub login_count: i64,
    /// Failed sign-ins since the last good one.
    pub failed_login_attempts: i64,
    /// Until when signing in is refused.
    pub locked_until: Option<DateTime<Utc>>,
    /// Preferences, as set.
    pub preferences: Value,
    /// The time zone, such as `Europe/Berlin`.
    pub timezone: String,
    /// The language, such as `en`.
    pub language: String,
    /// The address of a picture.
    pub avatar_url: Option<String>,
    /// Whether a second factor is asked for.
    pub two_factor_enabled: bool,
    /// When the user was made.
    pub created_at: DateTime<Utc>,
    /// When the user last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts changes.
    pub revision: i64,
}

impl From<user::Model> for UserView {
    fn from(row: user::Model) -> Self {
        UserView {
            id: row.id,
            email: row.email,
            full_name: row.full_name,
            status: row.status,
            metadata: row.metadata,
            last_login_at: row.last_login_at,
            login_count: row.login_count,
            failed_login_attempts: row.failed_login_attempts,
            locked_until: row.locked_until,
            preferences: row.preferences,
            timezone: row.timezone,
            language: row.language,
            avatar_url: row.avatar_url,
            two_factor_enabled: row.two_factor_enabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MeView {
    /// The user, or the user whose key is used.
    pub user: UserView,
    /// The workspace of this call.
    pub workspace_id: Uuid,
    /// The user's role in it.
    pub role: Role,
}

impl Revisioned for MeView {
    fn revision(&self) -> i64 {
        self.user.revision
    }
}

/// A user, as other members see them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MemberUser {
    /// The user's id.
    pub id: Uuid,
    /// The e-mail address.
    pub email: String,
    /// The full name.
    pub full_name: Option<String>,
    /// `active` or `suspended`.
    pub status: String,
    /// The time zone.
    pub timezone: String,
    /// The language.
    pub language: String,
    /// The address of a picture.
    pub avatar_url: Option<String>,
}

/// A member of the workspace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MemberView {
    /// The user.
    pub user: MemberUser,
    /// The role.
    pub role: Role,
    /// Since when the user is a member.
    pub created_at: DateTime<Utc>,
    /// When the role last changed.
    pub updated_at: DateTime<Utc>,
}

impl MemberView {
    pub(crate) fn of(membership: membership::Model, user: user::Model) -> Result<Self> {
        Ok(MemberView {
            role: Role::parse(&membership.role)?,
            created_at: membership.created_at,
            updated_at: membership.updated_at,
            user: MemberUser {
                id: user.id,
                email: user.email,
                full_name: user.full_name,
                status: user.status,
                timezone: user.timezone,
                language: user.language,
                avatar_url: user.avatar_url,
            },
        })
    }
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeyView {
    /// The key's id.
    pub id: Uuid,
    /// The user whose present permissions bound it.
    pub user_id: Uuid,
    /// Its name.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// The permissions it is narrowed to, such as `tasks:*`.
    pub scopes: Vec<String>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute and up to a minute late.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Who made it: a user or another key.
    pub created_by: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl TryFrom<api_key::Model> for KeyView {
    type Error = Error;

    fn try_from(row: api_key::Model) -> Result<Self> {
        Ok(KeyView {
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            prefix: row.prefix,
            scopes: scopes(row.scopes)?,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }
}

/// The scopes in a row.
pub(crate) fn scopes(column: Value) -> Result<Vec<String>> {
    serde_json::from_value(column).map_err(Error::internal)
}

/// A key just made. The only answer that holds a secret: it is shown now and never again.
#[derive(Clone, Serialize, JsonSchema)]
pub struct KeyCreated {
    /// The key.
    pub key: KeyView,
    /// The whole key, to be sent as `Authorization: Bearer …`. Store it now: it cannot be shown again.
    pub secret: String,
}

impl fmt::Debug for KeyCreated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyCreated")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A password as it comes in. Not shown by Debug, wiped when dropped.
#[derive(Clone)]
pub struct NewPassword(pub(crate) Zeroizing<String>);

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword(not shown)")
    }
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| NewPassword(Zeroizing::new(text)))
    }
}

impl JsonSchema for NewPassword {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NewPassword".into()
    }

    // No lengths here: a validator's message may quote the value that it refuses. The rules are checked before hashing.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "password",
            "writeOnly": true,
            "description": "12 to 128 characters, any of them; common passwords are refused."
        })
    }
}

/// Input of `workspaces.update`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkspace {
    /// The new name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub name: Patch<String>,
    /// The new settings, as a whole.
    #[serde(default)]
    pub settings: Patch<Object>,
    /// The new free data, as a whole.
    #[serde(default)]
    pub metadata: Patch<Object>,
    /// The new feature switches, as a whole.
    #[serde(default)]
    pub features_enabled: Patch<Object>,
}

/// Input of `users.update_me`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMe {
    /// The full name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub full_name: Patch<String>,
    /// `UTC` or an IANA name such as `Europe/Berlin`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub timezone: Patch<String>,
    /// A language tag such as `en` or `pt-BR`.
    #[serde(default)]
    #[schemars(length(min = 2, max = 35))]
    pub language: Patch<String>,
    /// Preferences, as a whole.
    #[serde(default)]
    pub preferences: Patch<Object>,
    /// The http or https address of a picture.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub avatar_url: Patch<String>,
    /// Free data, as a whole.
    #[serde(default)]
    pub metadata: Patch<Object>,
}

/// Input of `members.add`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// The e-mail address. Somebody who is known by it becomes a member; else a user is made.
    #[schemars(length(min = 3, max = 254))]
    pub email: String,
    /// The full name of a new user; somebody who is known keeps theirs.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub full_name: Option<String>,
    /// The role in this workspace.
    pub role: Role,
    /// The password of a new user; somebody who is known keeps theirs.
    #[serde(default)]
    pub password: Option<NewPassword>,
}

/// Input of `members.update`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMember {
    /// The member's user id.
    pub user_id: Uuid,
    /// The new role.
    pub role: Role,
}

/// Input of `members.remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveMember {
    /// The member's user id.
    pub user_id: Uuid,
}

/// Answer of `members.remove`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MemberRemoved {
    /// The user who is no longer a member.
    pub user_id: Uuid,
    /// How many of the user's keys to this workspace were revoked.
    pub keys_revoked: u64,
}

/// Input of `keys.create`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it is for.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// The permissions to narrow it to, such as `tasks:*` or `projects:read`; none may go beyond your own. Without any, it
    /// may do what its user may do, or what the key that makes it may do.
    #[serde(default)]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 64)))]
    pub scopes: Option<Vec<String>>,
    /// From when on it is refused. Without it, it stays good until it is revoked.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// The member whose present permissions bound it: you, unless another is named, whose role is not above yours.
    #[serde(default)]
    pub user_id: Option<Uuid>,
}

/// Input of `keys.list`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListKeys {
    /// Only keys of this user.
    #[serde(default)]
    pub user_id: Option<Uuid>,
    /// Also keys that were revoked.
    #[serde(default)]
    pub include_revoked: bool,
    /// Most items to return: 1 to 200, 50 unless set.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// Where the page before this one ended: its `next_cursor`.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

/// Input of `keys.revoke`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// The key.
    pub key_id: Uuid,
}
