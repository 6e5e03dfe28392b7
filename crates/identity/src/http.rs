//! `/api/v1/auth/…`: what is no plain operation, since it sets and reads the session's cookie. Each route checks what only
//! it can see, then calls an operation like any other.

use crate::authenticator::Authenticator;
use crate::owner_links::GONE;
use crate::session_ops::names;
use crate::sessions::SESSION_LIFE;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use synapscale_api::{
    BASE, Inbound, csrf_token, read_body, require_json, respond_error, respond_with, session_cookie_name,
};
use synapscale_core::{Channel, Ctx, Error, ErrorKind, Result};
use synapscale_ops::{Envelope, Gate, JsonLimits, Sink, parse_json};
use uuid::Uuid;

/// Largest body: an address, a password and an id.
const MAX_BODY: usize = 16 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// What the routes need. Cheap to clone.
#[derive(Clone)]
struct Auth {
    gate: Gate,
    auth: Authenticator,
}

/// The routes of signing in and out.
pub fn routes(auth: &Authenticator, gate: Gate) -> Router {
    let path = |name: &str| format!("{BASE}/auth/{name}");
    let state = Auth {
        gate,
        auth: auth.clone(),
    };
    Router::new()
        .route(&path("sign-in"), on(|a, c| Box::pin(enter(a, c, names::SIGN_IN))))
        .route(&path("owner-link"), on(|a, c| Box::pin(plain(a, c, names::LOOK))))
        .route(
            &path("owner-link/accept"),
            on(|a, c| Box::pin(enter(a, c, names::ACCEPT))),
        )
        .route(&path("session"), on_get(|a, c| Box::pin(session(a, c))))
        .route(&path("sign-out"), on(|a, c| Box::pin(sign_out(a, c))))
        .route(
            &path("sign-out-everywhere"),
            on(|a, c| Box::pin(sign_out_everywhere(a, c))),
        )
        .route(&path("switch"), on(|a, c| Box::pin(switch(a, c))))
        .route(&path("token"), on(|a, c| Box::pin(plain(a, c, names::TOKENS))))
        .route(&path("refresh"), on(|a, c| Box::pin(plain(a, c, names::REFRESH))))
        .with_state(state)
}

/// A request that the edge has passed.
struct Call {
    head: Head,
    body: Body,
}

/// All of it but the body, which cannot be lent while something is waited for.
struct Head {
    inbound: Inbound,
    parts: Parts,
}

type Answering = std::pin::Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

fn on(handler: fn(Auth, Call) -> Answering) -> axum::routing::MethodRouter<Auth> {
    post(move |State(auth): State<Auth>, request: Request| answer(auth, request, handler))
}

fn on_get(handler: fn(Auth, Call) -> Answering) -> axum::routing::MethodRouter<Auth> {
    get(move |State(auth): State<Auth>, request: Request| answer(auth, request, handler))
}

async fn answer(auth: Auth, request: Request, handler: fn(Auth, Call) -> Answering) -> Response {
    let (parts, body) = request.into_parts();
    let inbound = match Inbound::of(&parts.extensions) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    let id = inbound.request_id;
    let call = Call {
        head: Head { inbound, parts },
        body,
    };
    match handler(auth, call).await {
        Ok(response) => response,
        Err(error) if error.code() == GONE => respond_with(&error, id, StatusCode::GONE),
        Err(error) => respond_error(&error, id),
    }
}

impl Head {
    /// Nobody's context, for a request that says itself who sends it. What another site's page sends is refused: it must
    /// not sign somebody in under a name of its choice.
    fn stranger(&self) -> Result<Ctx> {
        self.inbound.require_own_page(&self.parts.headers)?;
        let ctx = self.inbound.anonymous(Channel::Rest);
        Ok(ctx.with_time_limit(ANSWER_WITHIN))
    }

    /// The session whose cookie came along.
    async fn session(&self, auth: &Authenticator) -> Result<(Ctx, Uuid)> {
        let headers = &self.parts.headers;
        let cookie = self.inbound.session_cookie(headers).ok_or_else(not_signed_in)?;
        let safe = self.inbound.is_safe();
        if !safe {
            self.inbound.require_own_page(headers)?;
        }
        let origin = self.inbound.origin(Channel::Rest);
        let (ctx, id) = auth.by_session(cookie, csrf_token(headers), safe, origin).await?;
        let ctx = ctx.with_request_id(self.inbound.request_id);
        Ok((ctx.with_time_limit(ANSWER_WITHIN), id))
    }

    fn user_agent(&self) -> Option<String> {
        let value = self.parts.headers.get(USER_AGENT)?;
        value.to_str().ok().map(str::to_owned)
    }
}

impl Call {
    /// The body, a JSON object.
    async fn input(self) -> Result<Value> {
        require_json(&self.head.parts.headers)?;
        let bytes = read_body(&self.head.parts.headers, self.body, MAX_BODY, READ_WITHIN).await?;
        parse_json(&bytes, &JsonLimits::of_bytes(MAX_BODY))
    }
}

fn not_signed_in() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        "unauthenticated",
        "Nobody is signed in here.",
    )
}

/// Puts in what the route knows and the sender does not say.
fn with(mut input: Value, name: &str, value: impl Into<Value>) -> Value {
    if let Some(fields) = input.as_object_mut() {
        fields.insert(name.to_owned(), value.into());
    }
    input
}

impl Auth {
    async fn call(&self, ctx: &Ctx, name: &str, input: Value) -> Result<Value> {
        let answer = self
            .gate
            .call(ctx, name, input, Envelope::default(), Sink::none())
            .await?;
        answer.output.to_value()
    }
}

/// Signs in: the answer's token goes into the cookie and nowhere else.
async fn enter(auth: Auth, call: Call, name: &'static str) -> Result<Response> {
    let ctx = call.head.stranger()?;
    let (https, agent) = (call.head.inbound.is_https(), call.head.user_agent());
    let input = with(call.input().await?, "user_agent", agent);
    let answer = auth.call(&ctx, name, input).await?;
    entered(answer, https)
}

fn entered(mut answer: Value, https: bool) -> Result<Response> {
    let session = answer["session"].take();
    let token = answer["token"]
        .as_str()
        .ok_or_else(|| Error::internal("a session without a token"))?;
    let mut response = respond(StatusCode::OK, Some(&session))?;
    // The cookie may outlive the session, never the other way round.
    set_cookie(&mut response, &cookie(token, SESSION_LIFE, https))?;
    Ok(response)
}

async fn plain(auth: Auth, call: Call, name: &'static str) -> Result<Response> {
    let ctx = call.head.stranger()?;
    let answer = auth.call(&ctx, name, call.input().await?).await?;
    respond(StatusCode::OK, Some(&answer))
}

async fn session(auth: Auth, call: Call) -> Result<Response> {
    let (ctx, id) = call.head.session(&auth.auth).await?;
    let input = json!({ "session_id": id });
    let answer = auth.call(&ctx, names::CURRENT, input).await?;
    respond(StatusCode::OK, Some(&answer))
}

async fn sign_out(auth: Auth, call: Call) -> Result<Response> {
    match call.head.session(&auth.auth).await {
        Ok((ctx, id)) => {
            let input = json!({ "session_id": id });
            auth.call(&ctx, names::END, input).await?;
        }
        // Whoever is not signed in is signed out.
        Err(error) if error.kind() == ErrorKind::Unauthenticated => {}
        Err(error) => return Err(error),
    }
    left(call.head.inbound.is_https())
}

/// By cookie or by token.
async fn sign_out_everywhere(auth: Auth, call: Call) -> Result<Response> {
    let ctx = call
        .head
        .inbound
        .ctx(&call.head.parts.headers, Channel::Rest)
        .await?;
    let ctx = ctx.with_time_limit(ANSWER_WITHIN);
    auth.call(&ctx, names::END_ALL, json!({})).await?;
    left(call.head.inbound.is_https())
}

async fn switch(auth: Auth, call: Call) -> Result<Response> {
    let (ctx, id) = call.head.session(&auth.auth).await?;
    let (https, agent) = (call.head.inbound.is_https(), call.head.user_agent());
    let input = with(call.input().await?, "session_id", id.to_string());
    let input = with(input, "user_agent", agent);
    let answer = auth.call(&ctx, names::SWITCH, input).await?;
    entered(answer, https)
}

fn left(https: bool) -> Result<Response> {
    let mut response = respond(StatusCode::NO_CONTENT, None)?;
    set_cookie(&mut response, &cookie("", Duration::ZERO, https))?;
    Ok(response)
}

fn respond(status: StatusCode, answer: Option<&Value>) -> Result<Response> {
    let body = match answer {
        Some(answer) => Body::from(serde_json::to_vec(answer).map_err(Error::internal)?),
        None => Body::empty(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if answer.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn set_cookie(response: &mut Response, text: &str) -> Result<()> {
    let mut value =
        HeaderValue::from_str(text).map_err(|_| Error::internal("a cookie of strange letters"))?;
    // Debug output of headers shows its place and not its content.
    value.set_sensitive(true);
    response.headers_mut().insert(SET_COOKIE, value);
    Ok(())
}

/// Scripts cannot read it, other sites cannot send it. `__Host-` names ask for `Secure`, `Path=/` and no `Domain`.
fn cookie(token: &str, life: Duration, https: bool) -> String {
    let name = session_cookie_name(https);
    let secure = if https { "; Secure" } else { "" };
    let seconds = life.as_secs();
    format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_kept_from_scripts_and_other_sites() {
        assert_eq!(
            cookie("abc", Duration::from_secs(60), false),
            "synapscale_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60"
        );
        assert_eq!(
            cookie("abc", Duration::from_secs(60), true),
            "__Host-synapscale_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=60; Secure"
        );
        assert!(cookie("", Duration::ZERO, false).starts_with("synapscale_session=; "));
    }

    #[test]
    fn what_the_route_knows_is_not_the_senders_to_say() {
        let sent = json!({ "session_id": "theirs", "workspace_id": 1 });
        let input = with(sent, "session_id", "ours");
        assert_eq!(input, json!({ "session_id": "ours", "workspace_id": 1 }));
        assert_eq!(with(json!([]), "a", 1), json!([]));
    }
}
