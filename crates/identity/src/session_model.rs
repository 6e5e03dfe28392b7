//! What sessions and tokens are asked with and answered by. Answers with a token are never given out as they are: the
//! routes put a session's token into its cookie.

use crate::entity::session;
use crate::model::NewPassword;
use crate::roles::Role;
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A password or token as it comes in to be checked. Not shown by Debug, wiped when dropped.
#[derive(Clone)]
pub struct Presented(pub(crate) Zeroizing<String>);

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(not shown)")
    }
}

impl<'de> Deserialize<'de> for Presented {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Presented(Zeroizing::new(text)))
    }
}

impl JsonSchema for Presented {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Presented".into()
    }

    // No lengths here: a validator's message may quote the value that it refuses.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password", "writeOnly": true })
    }
}

/// Input of `sessions.sign_in` and `tokens.create`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The e-mail address.
    pub email: Presented,
    /// The password.
    pub password: Presented,
    /// The workspace to open; without it, the one that the user has belonged to longest.
    #[serde(default)]
    pub workspace_id: Option<Uuid>,
    /// What the client says it is.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// Input of `sessions.current`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThisSession {
    /// The session.
    pub session_id: Uuid,
}

/// Input of `sessions.end`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndSession {
    /// The session.
    pub session_id: Uuid,
}

/// Input of `sessions.switch`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchSession {
    /// The session, which ends.
    pub session_id: Uuid,
    /// The workspace to open.
    pub workspace_id: Uuid,
    /// What the client says it is.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// Input of `owner_links.look`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookAtLink {
    /// The link's token.
    pub token: Presented,
}

/// Input of `owner_links.accept`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptLink {
    /// The link's token.
    pub token: Presented,
    /// The owner's new password.
    pub password: NewPassword,
    /// What the client says it is.
    #[serde(default)]
    pub user_agent: Option<String>,
}

/// Input of `tokens.refresh`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshTokens {
    /// The refresh token, which is used up.
    pub refresh_token: Presented,
}

/// Who is signed in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionUser {
    /// The user's id.
    pub id: Uuid,
    /// The e-mail address.
    pub email: String,
    /// The full name.
    pub display_name: Option<String>,
    /// The time zone.
    pub timezone: String,
    /// The language.
    pub language: String,
    /// The address of a picture.
    pub avatar_url: Option<String>,
}

/// A workspace that the user may open.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionWorkspace {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The user's role in it.
    pub role: Role,
}

/// A session as its page sees it.
#[derive(Clone, Serialize, JsonSchema)]
pub struct SessionView {
    /// Who is signed in.
    pub user: SessionUser,
    /// The workspace that is open.
    pub workspace: SessionWorkspace,
    /// All workspaces that the user may open.
    pub workspaces: Vec<SessionWorkspace>,
    /// What the user may do in the open one, as patterns.
    pub permissions: Vec<String>,
    /// To be sent as X-CSRF-Token with whatever is not GET.
    pub csrf_token: String,
    /// When the session ends at the latest.
    pub expires_at: DateTime<Utc>,
}

/// A session just made, with its token.
#[derive(Serialize, JsonSchema)]
pub struct SignedIn {
    /// The session.
    pub session: SessionView,
    /// What goes into the cookie.
    pub token: String,
}

/// A session in a list.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionInfo {
    /// Its id.
    pub id: Uuid,
    /// The workspace that it opens.
    pub workspace_id: Uuid,
    /// Since when it is there.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute and up to a minute late.
    pub last_seen_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// What the client said it is.
    pub user_agent: Option<String>,
    /// The address that it was made from.
    pub ip: Option<String>,
}

impl From<session::Model> for SessionInfo {
    fn from(row: session::Model) -> Self {
        SessionInfo {
            id: row.id,
            workspace_id: row.workspace_id,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
            user_agent: row.user_agent,
            ip: row.ip,
        }
    }
}

/// The open sessions of the caller.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SessionList {
    /// The newest first, at most 100.
    pub items: Vec<SessionInfo>,
}

/// What was ended.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct Ended {
    /// Sessions.
    pub sessions: u64,
    /// Families of refresh tokens.
    pub token_families: u64,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct Purged {
    /// Rows.
    pub removed: u64,
}

/// Tokens for a client that is no browser.
#[derive(Serialize, JsonSchema)]
pub struct TokensView {
    /// To be sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// `Bearer`.
    pub token_type: &'static str,
    /// For how many seconds the access token is good.
    pub expires_in: u64,
    /// Good once, for the next pair.
    pub refresh_token: String,
    /// Until when it is.
    pub refresh_expires_at: DateTime<Utc>,
    /// The workspace that the tokens open.
    pub workspace_id: Uuid,
}

/// Whom an owner link is for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LinkView {
    /// The owner's address.
    pub email: String,
    /// The workspace.
    pub workspace_id: Uuid,
    /// Its name.
    pub workspace_name: String,
    /// Whether the owner has a password, which the link replaces.
    pub password_set: bool,
}
