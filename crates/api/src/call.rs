//! `POST /api/v1/call/{operation}`: any operation by its name, through the gate, with its whole input in the body. The
//! command line uses it, since not every operation has a REST path of its own.

use crate::body::{read_body, require_json};
use crate::edge::Inbound;
use crate::problem::respond_error;
use crate::rest::{BASE, REPLAYED, envelope};
use crate::streamed::{self, StreamedCall};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use std::time::Duration;
use synapscale_core::{Channel, Error, Result};
use synapscale_ops::{Answer, Envelope, Gate, JsonLimits, Operation, Sink, parse_json};

#[derive(Clone)]
struct Calls {
    gate: Gate,
    body_bytes: usize,
    within: Duration,
}

/// The route.
pub(crate) fn routes(gate: Gate, body_bytes: usize, within: Duration) -> Router {
    Router::new()
        .route(&format!("{BASE}/call/{{operation}}"), post(call))
        .with_state(Calls {
            gate,
            body_bytes,
            within,
        })
}

async fn call(State(calls): State<Calls>, Path(name): Path<String>, request: Request) -> Response {
    let inbound = match Inbound::of(request.extensions()) {
        Ok(inbound) => inbound.clone(),
        Err(rejection) => return rejection.into_response(),
    };
    let answer = calls.answer(&inbound, &name, request).await;
    answer.unwrap_or_else(|error| respond_error(&error, inbound.request_id))
}

impl Calls {
    async fn answer(&self, inbound: &Inbound, name: &str, request: Request) -> Result<Response> {
        let (parts, body) = request.into_parts();
        let ctx = inbound
            .ctx(&parts.headers, Channel::Rest)
            .await?
            .with_time_limit(self.within);
        // What only the product's own code calls is not there for anybody else.
        if self.gate.registry().get(name).is_some_and(Operation::is_internal) {
            return Err(Error::not_found("operation"));
        }
        let tool = self.gate.tools().find(&ctx, name).await?;
        if let Some(tool) = &tool {
            // A stranger's body is not read.
            if let Some(permission) = tool.permission().filter(|_| !tool.is_permitted(&ctx)) {
                let refused = self.gate.call(
                    &ctx,
                    tool.operation().name(),
                    serde_json::Value::Null,
                    Envelope::default(),
                    Sink::none(),
                );
                return Err(refused
                    .await
                    .err()
                    .unwrap_or_else(|| Error::forbidden(permission)));
            }
        }
        let envelope = envelope(&parts.headers)?;
        require_json(&parts.headers)?;
        let bytes = read_body(&parts.headers, body, self.body_bytes, self.within).await?;
        let input = match bytes.is_empty() {
            true => serde_json::json!({}),
            false => parse_json(&bytes, &JsonLimits::of_bytes(self.body_bytes))?,
        };
        let answer = match tool {
            Some(tool) => {
                let (name, input) = (tool.operation().name(), tool.bind(input));
                if tool.operation().streams() && streamed::wanted(&parts.headers) {
                    let call = StreamedCall {
                        gate: self.gate.clone(),
                        ctx,
                        name,
                        input,
                        envelope,
                    };
                    return call.serve(inbound.request_id).await;
                }
                let called = self.gate.call(&ctx, name, input, envelope, Sink::none());
                called.await.map_err(|error| tool.unbind(error))?
            }
            // It says which name was meant.
            None => self.gate.call(&ctx, name, input, envelope, Sink::none()).await?,
        };
        respond(&answer)
    }
}

fn respond(answer: &Answer) -> Result<Response> {
    let mut response = Response::new(Body::from(answer.output.to_bytes()?));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(revision) = answer.revision {
        let tag = HeaderValue::from_str(&format!("\"{revision}\"")).map_err(Error::internal)?;
        headers.insert(ETAG, tag);
    }
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}
