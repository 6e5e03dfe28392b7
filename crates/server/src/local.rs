//! What the local socket serves beside the API: new workspaces with their owners. Whoever may open the socket owns the files anyway.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use synapscale_api::{read_body, respond_error};
use synapscale_core::{Error, Result, new_id};
use synapscale_identity::{BootstrapInput, Bootstrapped, bootstrap};
use synapscale_ops::{JsonLimits, parse_json};
use synapscale_store::Store;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Where it is served.
pub(crate) const BOOTSTRAP: &str = "/local/bootstrap";
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

/// The route, for the socket alone.
pub(crate) fn routes(store: Store) -> Router {
    Router::new()
        .route(BOOTSTRAP, post(first_owner))
        .with_state(store)
}

async fn first_owner(State(store): State<Store>, request: Request) -> Response {
    match answer(&store, request).await {
        Ok(made) => Json(made).into_response(),
        Err(error) => respond_error(&error, new_id()),
    }
}

async fn answer(store: &Store, request: Request) -> Result<MadeOwner> {
    let (parts, body) = request.into_parts();
    let bytes = read_body(&parts.headers, body, MAX_BODY, READ_WITHIN).await?;
    let input = parse_json(&bytes, &JsonLimits::of_bytes(MAX_BODY))?;
    let owner: FirstOwner = serde_json::from_value(input)
        // The parser's words may quote a value.
        .map_err(|_| Error::malformed("Send email, workspace and, if wanted, password and further."))?;
    owner.make(store).await
}
