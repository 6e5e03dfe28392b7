//! REST from the registry: one route per operation that has one. What the schema says is read out once, at start; a
//! request then costs one look-up of the path, one input object and one serialisation.

use crate::body::{read_body, require_json};
use crate::coerce::{Coerce, merge_body, read_query};
use crate::edge::Inbound;
use crate::problem::respond_error;
use crate::streamed::{self, StreamedCall};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use synapscale_core::{Channel, Ctx, Error, Result};
use synapscale_ops::{Answer, Envelope, Gate, JsonLimits, Operation, Sink, parse_json};

/// Where all REST paths begin.
pub const BASE: &str = "/api/v1";
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The routes of all operations that are served by REST. The registry has made sure that no two are in each other's way.
pub(crate) fn routes(gate: &Gate) -> Router {
    let mut router = Router::new();
    for operation in gate.registry().listed() {
        let Some((method, path)) = operation.rest() else {
            continue;
        };
        let Ok(filter) = MethodFilter::try_from(method.clone()) else {
            tracing::error!(operation = operation.name(), %method, "no route: unknown method");
            continue;
        };
        let endpoint = Arc::new(Endpoint::new(gate.clone(), operation, method, path));
        let handler = move |request: Request| {
            let endpoint = endpoint.clone();
            async move { endpoint.serve(request).await }
        };
        router = router.route(&format!("{BASE}{path}"), on(filter, handler));
    }
    router
}

/// The names of the parameters of a path template, in order.
pub(crate) fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// Whether a method carries its input in a body.
pub(crate) fn has_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Whether a call that was done is answered 201.
pub(crate) fn creates(method: &Method, name: &str) -> bool {
    *method == Method::POST && name.ends_with(".create")
}

/// One operation behind one method of one path.
struct Endpoint {
    gate: Gate,
    name: &'static str,
    permission: Option<&'static str>,
    status: StatusCode,
    has_body: bool,
    is_get: bool,
    streams: bool,
    /// Path parameters in the order of the path.
    path: Vec<(Box<str>, Coerce)>,
    /// Everything else that the input has.
    query: HashMap<Box<str>, Coerce>,
}

impl Endpoint {
    fn new(gate: Gate, operation: &Operation, method: &Method, path: &str) -> Self {
        let schema = operation.input_schema();
        let coerce = |name: &str| match schema["properties"].get(name) {
            Some(part) => Coerce::of(part, schema),
            None => Coerce::TEXT,
        };
        let path: Vec<(Box<str>, Coerce)> = path_parameters(path)
            .map(|name| (name.into(), coerce(name)))
            .collect();
        let names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        let query = names
            .filter(|name| !path.iter().any(|(taken, _)| **taken == ***name))
            .map(|name| (name.as_str().into(), coerce(name)))
            .collect();
        let created = creates(method, operation.name());
        Endpoint {
            gate,
            name: operation.name(),
            permission: operation.permission(),
            status: if created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            },
            has_body: has_body(method),
            is_get: *method == Method::GET,
            streams: operation.streams(),
            path,
            query,
        }
    }

    async fn serve(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let inbound = match Inbound::of(&parts.extensions) {
            Ok(inbound) => inbound.clone(),
            Err(rejection) => return rejection.into_response(),
        };
        match self.answer(&inbound, &mut parts, body).await {
            Ok(response) => response,
            Err(error) => respond_error(&error, inbound.request_id),
        }
    }

    async fn answer(&self, inbound: &Inbound, parts: &mut Parts, body: Body) -> Result<Response> {
        let edge = &inbound.edge;
        let ctx = inbound
            .ctx(&parts.headers, Channel::Rest)
            .await?
            .with_time_limit(edge.time_limit);
        let envelope = envelope(&parts.headers)?;
        let input = if self.permitted(&ctx) {
            self.input(inbound, parts, body).await?
        } else {
            // The gate refuses, and counts the try, before it looks at the input: no need to read a stranger's body.
            Value::Null
        };
        if self.streams && streamed::wanted(&parts.headers) {
            let call = StreamedCall {
                gate: self.gate.clone(),
                ctx,
                name: self.name,
                input,
                envelope,
            };
            return call.serve(inbound.request_id).await;
        }
        let answer = self
            .gate
            .call(&ctx, self.name, input, envelope, Sink::none())
            .await?;
        self.respond(&parts.headers, &answer)
    }

    fn permitted(&self, ctx: &Ctx) -> bool {
        self.permission
            .is_none_or(|permission| ctx.grants().allows(permission))
    }

    /// Path, query and body as one object.
    async fn input(&self, inbound: &Inbound, parts: &mut Parts, body: Body) -> Result<Value> {
        let mut input = Map::new();
        let mut wrong = Vec::new();
        if !self.path.is_empty() {
            let params = RawPathParams::from_request_parts(parts, &())
                .await
                .map_err(|_| Error::malformed("The address is not UTF-8."))?;
            // Both in the order of the path, so nothing is looked up by name.
            for ((name, coerce), (_, text)) in self.path.iter().zip(&params) {
                input.insert(name.to_string(), coerce.one(text));
            }
        }
        if let Some(query) = parts.uri.query() {
            read_query(query, &self.query, &mut input, &mut wrong);
        }
        if self.has_body {
            let sent = read_object(inbound, &parts.headers, body).await?;
            merge_body(sent, &mut input, &mut wrong);
        } else if !axum::body::HttpBody::is_end_stream(&body) {
            return Err(Error::malformed(
                "This method takes no body; give the input in the address.",
            ));
        }
        match wrong.is_empty() {
            true => Ok(Value::Object(input)),
            false => Err(Error::invalid_fields(wrong)),
        }
    }

    fn respond(&self, headers: &HeaderMap, answer: &Answer) -> Result<Response> {
        let tag = answer.revision.and_then(etag);
        let unchanged = self.is_get && tag.as_ref().is_some_and(|tag| if_none_match(headers, tag));
        let mut response = Response::new(Body::empty());
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(answer.output.to_bytes()?);
            *response.status_mut() = self.status;
        }
        let out = response.headers_mut();
        if !unchanged {
            out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // What has a tag may be kept by the caller if asked about each time; the rest is not kept at all.
        let keep = if tag.is_some() {
            "private, no-cache"
        } else {
            "no-store"
        };
        out.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
        if let Some(tag) = tag {
            out.insert(ETAG, tag);
        }
        if answer.replayed {
            out.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

async fn read_object(inbound: &Inbound, headers: &HeaderMap, body: Body) -> Result<Map<String, Value>> {
    let edge = &inbound.edge;
    let bytes: Bytes = read_body(headers, body, edge.max_body_bytes, edge.time_limit).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    require_json(headers)?;
    match parse_json(&bytes, &JsonLimits::of_bytes(edge.max_body_bytes))? {
        Value::Object(object) => Ok(object),
        _ => Err(Error::invalid("", "type", "The body must be a JSON object.")),
    }
}

/// What the headers say beside the input.
pub(crate) fn envelope(headers: &HeaderMap) -> Result<Envelope> {
    let key = single(headers, &IDEMPOTENCY_KEY)?.map(str::to_owned);
    let revision = match single(headers, &IF_MATCH)? {
        None => None,
        Some(text) => Some(revision(text).ok_or_else(|| {
            Error::malformed("If-Match must be one revision, such as \"7\".").with_code("bad_header")
        })?),
    };
    Ok(Envelope {
        idempotency_key: key,
        expected_revision: revision,
    })
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let bad = || Error::malformed(format!("Send the header {name} once, in ASCII.")).with_code("bad_header");
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text.trim())),
        _ => Err(bad()),
    }
}

/// Reads `"7"`, `W/"7"` and `7`.
fn revision(text: &str) -> Option<i64> {
    let text = text.strip_prefix("W/").unwrap_or(text);
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let digits = inner.unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn etag(revision: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{revision}\"")).ok()
}

/// Whether the caller already has what `tag` names; weak and strong tags compare alike here (RFC 9110 §13.1.2).
pub(crate) fn if_none_match(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let listed = headers.get_all(IF_NONE_MATCH).iter();
    listed
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(name.clone(), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn if_match_takes_one_revision() {
        for good in ["7", "\"7\"", "W/\"7\"", " \"7\" "] {
            let got = envelope(&headers(IF_MATCH, &[good])).expect("read");
            assert_eq!(got.expected_revision, Some(7), "{good}");
        }
        for bad in [
            "*",
            "",
            "\"\"",
            "-1",
            "+1",
            "\"7\", \"8\"",
            "\"7",
            "99999999999999999999",
        ] {
            assert!(envelope(&headers(IF_MATCH, &[bad])).is_err(), "{bad}");
        }
        assert!(envelope(&headers(IF_MATCH, &["1", "1"])).is_err());
    }

    #[test]
    fn a_tag_is_found_in_a_list() {
        let tag = HeaderValue::from_static("\"3\"");
        for (text, found) in [
            ("\"3\"", true),
            ("W/\"3\"", true),
            ("\"1\", \"3\"", true),
            ("*", true),
            ("\"4\"", false),
        ] {
            assert_eq!(
                if_none_match(&headers(IF_NONE_MATCH, &[text]), &tag),
                found,
                "{text}"
            );
        }
    }

    #[test]
    fn parameters_are_read_off_the_path() {
        let names: Vec<_> = path_parameters("/projects/{project_id}/tasks/{id}/done").collect();
        assert_eq!(names, ["project_id", "id"]);
    }

    #[test]
    fn only_creation_by_post_is_201() {
        assert!(creates(&Method::POST, "tasks.create"));
        assert!(!creates(&Method::POST, "tasks.complete"));
        assert!(!creates(&Method::PUT, "tasks.create"));
    }
}
