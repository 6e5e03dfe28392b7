//! `POST /hooks/{token}`: bytes and signature are checked here, then an operation is called like any other.

use super::answer;
use super::body;
use super::cache::{Hook, HookCache};
use super::deliver::{self, DELIVER, Delivery, PERMISSION, REPEATED};
use super::verify::{self, Verified, VerifyError, verify};
use crate::Flows;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use metrics::counter;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use synapscale_api::{Inbound, read_body, respond_error};
use synapscale_core::{Actor, Channel, Ctx, Error, ErrorKind, Grants, PermissionSet, Result};
use synapscale_engine::{Engine, Response as RunResponse, Started};
use synapscale_ops::{Envelope, Gate, Sink};
use synapscale_store::Store;
use uuid::Uuid;

/// How long a sender is kept waiting for the run's own answer before it gets 202.
pub const RESPOND_WITHIN: Duration = Duration::from_secs(8);

/// What the route needs. Cheap to clone.
#[derive(Clone)]
pub struct HookState(Arc<Inner>);

struct Inner {
    gate: Gate,
    engine: Engine,
    cache: HookCache,
    grants: Grants,
}

impl HookState {
    /// The state of one server; `flows` is the module's, so that a change made here is seen here at once.
    ///
    /// # Errors
    /// Before [`Flows::attach`].
    pub fn new(flows: &Flows, gate: Gate) -> Result<Self> {
        let grants = PermissionSet::parse(&[PERMISSION]).map_err(Error::internal)?;
        Ok(HookState(Arc::new(Inner {
            gate,
            engine: flows.engine()?.clone(),
            cache: flows.hook_cache().clone(),
            grants: Grants::of(grants),
        })))
    }

    fn store(&self) -> &Store {
        self.0.gate.store()
    }
}

/// The route. It stands beside the API, not below `/api/v1`.
pub fn routes(state: HookState) -> Router {
    Router::new()
        .route("/hooks/{token}", post(receive))
        .with_state(state)
}

/// A delivery's run, and its answer if the first burst gave one.
struct Accepted {
    run_id: Uuid,
    response: Option<RunResponse>,
    repeated: bool,
}

async fn receive(State(state): State<HookState>, Path(token): Path<String>, request: Request) -> Response {
    let inbound = match Inbound::of(request.extensions()) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    match answer_delivery(&state, &token, &inbound, request).await {
        Ok(response) => response,
        Err(error) => {
            count(outcome_of(&error));
            respond_error(&error, inbound.request_id)
        }
    }
}

fn count(outcome: &'static str) {
    counter!("synapscale_hook_deliveries_total", "outcome" => outcome).increment(1);
}

fn outcome_of(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "unknown",
        ErrorKind::RateLimited => "limited",
        ErrorKind::Unauthenticated => "forged",
        ErrorKind::Malformed | ErrorKind::Unsupported | ErrorKind::TooLarge | ErrorKind::Invalid => {
            "malformed"
        }
        _ => "failed",
    }
}

async fn answer_delivery(
    state: &HookState,
    token: &str,
    inbound: &Inbound,
    request: Request,
) -> Result<Response> {
    let began = Instant::now();
    let hook = state
        .0
        .cache
        .find(state.store(), token)
        .await?
        .ok_or_else(|| Error::not_found("hook"))?;
    let (parts, raw) = request.into_parts();
    let media = body::media(&parts.headers)?;
    let bytes = read_body(&parts.headers, raw, body::MAX_BODY_BYTES, body::READ_TIME).await?;
    let now = state.store().clock().now();
    let sent = verify::Delivery {
        headers: &parts.headers,
        body: &bytes,
        now,
    };
    let verified = verify(hook.scheme, &hook.secrets(now), &sent).map_err(refused)?;
    let input = body::run_input(&parts.headers, &parts.uri, &verified, body::parse(media, &bytes)?);
    drop(bytes);

    let ctx = delivery_ctx(state, &hook, inbound);
    let accepted = accept(state, &ctx, &hook, verified, input).await?;
    count(if accepted.repeated { "repeated" } else { "started" });
    let run_id = accepted.run_id;
    if let Some(response) = &accepted.response {
        return Ok(answer::from_run(response, run_id));
    }
    if !hook.responds {
        return Ok(answer::accepted(run_id));
    }
    // For a repetition this is the first copy's answer, which usually stands already.
    let left = RESPOND_WITHIN.saturating_sub(began.elapsed());
    let response = state.0.engine.wait_response(&ctx, run_id, left).await?;
    Ok(response.map_or_else(
        || answer::accepted(run_id),
        |response| answer::from_run(&response, run_id),
    ))
}

/// The hook itself acts, with one permission. It counts as a key, not as the product: the gate limits keys.
fn delivery_ctx(state: &HookState, hook: &Hook, inbound: &Inbound) -> Ctx {
    let clock = state.store().clock().clone();
    let origin = inbound.origin(Channel::Webhook);
    Ctx::authenticated(
        hook.tenant,
        Actor::key(hook.id),
        state.0.grants.clone(),
        origin,
        clock,
    )
    .with_request_id(inbound.request_id)
}

/// Hands the delivery to the gate; a repetition gets the run of the first.
async fn accept(
    state: &HookState,
    ctx: &Ctx,
    hook: &Hook,
    verified: Verified,
    input: Value,
) -> Result<Accepted> {
    let delivery = Delivery {
        hook_id: hook.id,
        workflow: hook.workflow.clone(),
        graph_id: hook.graph_id,
        node: hook.node.clone(),
        publisher: hook.publisher,
        dedupe_keys: verified.dedupe_keys,
        dedupe_hours: hook.dedupe_hours,
        input: Value::Null,
    };
    let mut call = serde_json::to_value(&delivery).map_err(Error::internal)?;
    if let Some(fields) = call.as_object_mut() {
        // Moved, not copied: it may be a megabyte.
        fields.insert("input".to_owned(), input);
    }
    match state
        .0
        .gate
        .call(ctx, DELIVER, call, Envelope::default(), Sink::none())
        .await
    {
        Ok(answer) => {
            let started: Started =
                serde_json::from_value(answer.output.to_value()?).map_err(Error::internal)?;
            Ok(Accepted {
                run_id: started.run_id,
                response: started.response,
                repeated: false,
            })
        }
        Err(error) if error.code() == REPEATED => {
            let run_id = deliver::first_run(state.store(), ctx, &delivery).await?;
            Ok(Accepted {
                run_id,
                response: None,
                repeated: true,
            })
        }
        Err(error) => Err(error),
    }
}

/// A refused delivery as an error. What is missing or does not fit is a matter of credentials; what cannot be read is not.
fn refused(error: VerifyError) -> Error {
    let kind = match error {
        VerifyError::MissingHeader(_) | VerifyError::BadSignature | VerifyError::Expired { .. } => {
            ErrorKind::Unauthenticated
        }
        VerifyError::DuplicateHeader(_) | VerifyError::HeaderTooLong(_) | VerifyError::Malformed(_) => {
            ErrorKind::Malformed
        }
        VerifyError::NoUsableSecret => ErrorKind::Unavailable,
    };
    Error::new(kind, error.code(), format!("The delivery is refused: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        for (error, kind) in [
            (VerifyError::BadSignature, ErrorKind::Unauthenticated),
            (
                VerifyError::MissingHeader("x-hub-signature-256"),
                ErrorKind::Unauthenticated,
            ),
            (VerifyError::Malformed("webhook-id"), ErrorKind::Malformed),
            (VerifyError::NoUsableSecret, ErrorKind::Unavailable),
        ] {
            let code = error.code();
            let refused = refused(error);
            assert_eq!(refused.kind(), kind);
            assert_eq!(refused.code(), code);
        }
    }
}
