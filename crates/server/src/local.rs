//! What the local socket serves beside the API: new workspaces with their owners, one-time links for owners, and a look at
//! the audit trail's chain. Whoever may open the socket owns the files anyway.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use synapscale_api::{read_body, respond_error};
use synapscale_core::{Error, Result, new_id};
use synapscale_identity::{BootstrapInput, Bootstrapped, OwnerLinkInput, bootstrap, make_owner_link};
use synapscale_ops::{JsonLimits, parse_json};
use synapscale_store::Store;
use synapscale_store::events::{ChainPage, Verdict};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Where it is served.
pub(crate) const BOOTSTRAP: &str = "/local/bootstrap";
/// Where links for owners are made.
pub(crate) const OWNER_LINK: &str = "/local/owner-link";
/// Where the audit trail's chain is looked over.
pub(crate) const AUDIT: &str = "/local/audit";
/// How long one part of a look over the chain takes.
const AUDIT_PART: Duration = Duration::from_secs(3);
const MAX_BODY: usize = 16 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(10);

/// Who is first. No `Debug`: it may hold a password.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstOwner {
    /// The owner's e-mail address.
    pub email: String,
    /// The workspace's name.
    pub workspace: String,
    /// The owner's password, if there is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether this is a further workspace.
    #[serde(default)]
    pub further: bool,
}

impl FirstOwner {
    /// Makes workspace, owner and key.
    ///
    /// # Errors
    /// `already_bootstrapped`, or what is wrong with a field.
    pub async fn make(self, store: &Store) -> Result<MadeOwner> {
        let input = BootstrapInput {
            email: self.email,
            workspace: self.workspace,
            password: self.password.map(Zeroizing::new),
            further: self.further,
        };
        bootstrap(store, store.clock(), input)
            .await
            .map(|made| MadeOwner::of(&made))
    }
}

/// What was made; shown once. No `Debug`: it holds the key.
#[derive(Serialize, Deserialize)]
pub(crate) struct MadeOwner {
    /// The workspace.
    pub workspace_id: Uuid,
    /// Its owner.
    pub user_id: Uuid,
    /// The owner's key.
    pub api_key: String,
}

impl MadeOwner {
    fn of(made: &Bootstrapped) -> Self {
        MadeOwner {
            workspace_id: made.workspace_id.0,
            user_id: made.user_id,
            api_key: made.api_key.to_string(),
        }
    }
}

/// For whom a one-time link is wanted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LinkWish {
    /// The owner's address; without it, the first owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Only if the owner has no password yet.
    #[serde(default)]
    pub only_without_password: bool,
}

/// A link just made; shown once. No `Debug`: it holds the token.
#[derive(Serialize, Deserialize)]
pub(crate) struct MadeLink {
    /// Where to go with a browser.
    pub url: String,
    /// The owner's address.
    pub email: String,
    /// The workspace.
    pub workspace_id: Uuid,
    /// Until when the link is good.
    pub expires_at: chrono::DateTime<chrono::Utc>,
}

impl LinkWish {
    /// Makes a link to the pages at `page`; none when it is not to be.
    ///
    /// # Errors
    /// `not_found` when there is no such owner.
    pub async fn make(self, store: &Store, page: &str) -> Result<Option<MadeLink>> {
        let input = OwnerLinkInput {
            email: self.email,
            only_without_password: self.only_without_password,
        };
        let made = make_owner_link(store, store.clock(), input).await?;
        Ok(made.map(|made| MadeLink {
            // In the fragment: browsers keep it to themselves.
            url: format!("{page}/#owner={}", made.token.as_str()),
            email: made.email,
            workspace_id: made.workspace_id.0,
            expires_at: made.expires_at,
        }))
    }
}

/// What is to be looked over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditWish {
    /// A link that was kept elsewhere: number and hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<(i64, String)>,
    /// Links up to this one were looked over already.
    #[serde(default)]
    pub after: i64,
}

/// What came of a part.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AuditedPart {
    /// The part.
    pub part: ChainPage,
    /// With the last part: whether the link that was kept elsewhere is the one that is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_expected: Option<bool>,
}

/// What came of all parts.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Audited {
    /// The chain.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Whether the link that was kept elsewhere is the one that is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_expected: Option<bool>,
}

impl Audited {
    /// Whether nothing was found wrong.
    pub fn is_well(&self) -> bool {
        self.verdict.holds() && self.as_expected != Some(false)
    }
}

impl AuditWish {
    /// Looks a part of the chain over, for a few seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn make(&self, store: &Store) -> Result<AuditedPart> {
        let part = store.verify_chain_after(self.after, AUDIT_PART).await?;
        let as_expected = match &self.expect {
            Some((number, hash)) if part.next.is_none() => {
                let link = store.chain_link(*number).await?;
                Some(link.is_some_and(|link| link.hash.eq_ignore_ascii_case(hash)))
            }
            _ => None,
        };
        Ok(AuditedPart { part, as_expected })
    }
}

#[derive(Clone)]
struct Local {
    store: Store,
    page: String,
}

/// The routes, for the socket alone. `page` is where people's browsers find the server.
pub(crate) fn routes(store: Store, page: String) -> Router {
    Router::new()
        .route(BOOTSTRAP, post(first_owner))
        .route(OWNER_LINK, post(owner_link))
        .route(AUDIT, post(audit))
        .with_state(Local { store, page })
}

async fn first_owner(State(local): State<Local>, request: Request) -> Response {
    let made = async {
        let owner: FirstOwner = read(
            request,
            "Send email, workspace and, if wanted, password and further.",
        )
        .await?;
        owner.make(&local.store).await
    };
    respond(made.await)
}

async fn owner_link(State(local): State<Local>, request: Request) -> Response {
    let made = async {
        let wish: LinkWish = read(request, "Send email, if wanted, and nothing else.").await?;
        wish.make(&local.store, &local.page).await
    };
    respond(made.await)
}

async fn audit(State(local): State<Local>, request: Request) -> Response {
    let made = async {
        let wish: AuditWish = read(
            request,
            "Send expect, if wanted: a link's number and hash; and after: where to go on.",
        )
        .await?;
        wish.make(&local.store).await
    };
    respond(made.await)
}

fn respond(made: Result<impl Serialize>) -> Response {
    match made {
        Ok(made) => Json(made).into_response(),
        Err(error) => respond_error(&error, new_id()),
    }
}

async fn read<T: DeserializeOwned>(request: Request, advice: &'static str) -> Result<T> {
    let (parts, body) = request.into_parts();
    let bytes = read_body(&parts.headers, body, MAX_BODY, READ_WITHIN).await?;
    let input = parse_json(&bytes, &JsonLimits::of_bytes(MAX_BODY))?;
    // The parser's words may quote a value.
    serde_json::from_value(input).map_err(|_| Error::malformed(advice))
}
