//! The OpenAPI 3.1 document of all REST operations, made from the registry once at start.

use crate::codes::{CODES, title_of};
use crate::rest::{BASE, creates, has_body, if_none_match, path_parameters};
use crate::streamed::EVENT_STREAM;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use synapscale_core::Effect;
use synapscale_ops::{Operation, Registry};

/// The failures that are described one by one.
const FAILURES: [u16; 12] = [400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 502, 503];
/// Where the schemas of recursive types are moved to.
const SCHEMAS: &str = "#/components/schemas/";
const DEFS: &str = "#/$defs/";

/// Something that never changes while the server runs, with its tag.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    bytes: Bytes,
    kind: &'static str,
    tag: HeaderValue,
}

impl Fixed {
    pub fn new(bytes: impl Into<Bytes>, kind: &'static str) -> Self {
        let bytes = bytes.into();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let tag = HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()));
        Fixed {
            bytes,
            kind,
            tag: tag.unwrap_or(HeaderValue::from_static("\"0\"")),
        }
    }

    /// The answer: 304 for a caller who has it already.
    pub fn respond(&self, headers: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        if if_none_match(headers, &self.tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            *response.body_mut() = Body::from(self.bytes.clone());
        }
        let out = response.headers_mut();
        out.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        out.insert(ETAG, self.tag.clone());
        out.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// The document as it is served.
pub(crate) fn served(registry: &Registry, version: &str, public_url: &str) -> Fixed {
    let text = document(registry, version, public_url).to_string();
    Fixed::new(text, "application/json")
}

/// The OpenAPI 3.1 document. `public_url` is what clients reach this server by, without a path; may be empty.
pub fn document(registry: &Registry, version: &str, public_url: &str) -> Value {
    let mut schemas = problem_schemas();
    let mut paths: Map<String, Value> = Map::new();
    let mut tags = BTreeSet::new();
    let served = registry
        .listed()
        .filter_map(|operation| operation.rest().map(|(method, path)| (operation, method, path)));
    for (operation, method, path) in served {
        tags.insert(noun(operation.name()));
        let item = paths.entry(path).or_insert_with(|| Value::Object(Map::new()));
        item[method.as_str().to_ascii_lowercase()] = describe(operation, method, path, &mut schemas);
    }
    paths.insert("/call/{operation}".to_owned(), json!({ "post": any_operation() }));
    tags.insert("any");
    let server = format!("{}{BASE}", public_url.trim_end_matches('/'));
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "SynapScale API",
            "version": version,
            "summary": "Every operation of this server that is served by REST.",
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}],
        "tags": tags.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problem_responses(),
            "headers": {
                "RequestId": {"description": "The id under which the log tells of this call.", "schema": {"type": "string", "format": "uuid"}},
                "Revision": {"description": "The revision, to be sent back as If-Match.", "schema": {"type": "string"}},
                "Replayed": {"description": "`true` for the stored answer of an earlier call with the same key.", "schema": {"type": "string"}},
                "RetryAfter": {"description": "Seconds after which to try again.", "schema": {"type": "integer"}},
            },
            "parameters": envelope_parameters(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "An API key or an access token."}},
        },
    })
}

/// Any operation by its name: those without a path of their own, too.
fn any_operation() -> Value {
    let mut described = json!({
        "operationId": "call",
        "tags": ["any"],
        "summary": "Call any operation",
        "description": "Calls the operation of this name with its whole input in the body. `GET /ops` lists them with \
            their schemas.",
        "parameters": [
            {"name": "operation", "in": "path", "required": true, "schema": {"type": "string", "maxLength": 100}},
            {"$ref": "#/components/parameters/IdempotencyKey"},
            {"$ref": "#/components/parameters/IfMatch"},
        ],
        "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": {
                "description": "The operation's output.",
                "content": {"application/json": {"schema": {}}},
                "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            },
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    for status in FAILURES {
        let target = format!("#/components/responses/Problem{status}");
        described["responses"][status.to_string()] = json!({"$ref": target});
    }
    described
}

/// The first part of an operation's name.
pub(crate) fn noun(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn envelope_parameters() -> Value {
    json!({
        "IdempotencyKey": {
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The same key with the same input gets the stored answer for a day instead of a second effect.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        },
        "IfMatch": {
            "name": "If-Match", "in": "header", "required": false,
            "description": "The revision that you have seen, as its ETag. Refused with 412 when it is another by now.",
            "schema": {"type": "string"},
        },
    })
}

/// One operation object.
fn describe(operation: &Operation, method: &Method, path: &str, schemas: &mut Map<String, Value>) -> Value {
    let name = operation.wire_name();
    let mut input = Value::clone(operation.input_schema());
    let mut output = operation.output_schema();
    rehome(&mut input, &format!("{name}_input"), schemas);
    rehome(&mut output, &format!("{name}_output"), schemas);
    let split = Split::of(input, method, path);
    let mut parameters = split.parameters;
    if operation.effect() != Effect::Read {
        parameters.push(json!({"$ref": "#/components/parameters/IdempotencyKey"}));
    }
    if operation.takes_expected_revision() {
        parameters.push(json!({"$ref": "#/components/parameters/IfMatch"}));
    }
    let mut object = json!({
        "operationId": name,
        "summary": operation.title(),
        "description": operation.about(),
        "tags": [noun(operation.name())],
        "parameters": parameters,
        "responses": responses(operation, method, path, output),
        "x-operation": operation.name(),
        "x-effect": operation.effect().as_str(),
        "x-destructive": operation.is_destructive(),
        "x-rate-class": operation.rate_class().as_str(),
    });
    if let Some(permission) = operation.permission() {
        object["x-permission"] = permission.into();
    }
    if operation.is_public() {
        object["security"] = json!([{}, {"bearer": []}]);
    }
    if let Some(body) = split.body {
        // A body without a required field may be left out altogether.
        let required = body.get("required").is_some();
        object["requestBody"] =
            json!({"required": required, "content": {"application/json": {"schema": body}}});
    }
    object
}

/// An input schema taken apart into what the address carries and what the body carries.
struct Split {
    parameters: Vec<Value>,
    body: Option<Value>,
}

impl Split {
    fn of(mut input: Value, method: &Method, path: &str) -> Self {
        let required: Vec<String> = input["required"]
            .as_array()
            .map(|names| {
                names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default();
        let mut properties = match input.get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        let mut parameters: Vec<Value> = path_parameters(path)
            .map(|name| {
                let schema = properties
                    .remove(name)
                    .unwrap_or_else(|| json!({"type": "string"}));
                parameter(name, "path", true, schema)
            })
            .collect();
        if !has_body(method) {
            let query = properties.into_iter();
            parameters.extend(query.map(|(name, schema)| {
                let needed = required.contains(&name);
                parameter(&name, "query", needed, schema)
            }));
            return Split {
                parameters,
                body: None,
            };
        }
        if properties.is_empty() {
            return Split {
                parameters,
                body: None,
            };
        }
        let left: Vec<String> = required
            .into_iter()
            .filter(|name| properties.contains_key(name))
            .collect();
        input["properties"] = Value::Object(properties);
        if let Some(object) = input.as_object_mut() {
            match left.is_empty() {
                true => drop(object.remove("required")),
                false => drop(object.insert("required".to_owned(), left.into())),
            }
        }
        Split {
            parameters,
            body: Some(input),
        }
    }
}

fn parameter(name: &str, place: &str, required: bool, schema: Value) -> Value {
    let mut object = json!({"name": name, "in": place, "required": required});
    if let Some(about) = schema.get("description") {
        object["description"] = about.clone();
    }
    object["schema"] = schema;
    object
}

fn responses(operation: &Operation, method: &Method, path: &str, output: Value) -> Value {
    let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
    if operation.is_revisioned() {
        headers["ETag"] = json!({"$ref": "#/components/headers/Revision"});
    }
    if operation.takes_idempotency_key() {
        headers["Idempotency-Replayed"] = json!({"$ref": "#/components/headers/Replayed"});
    }
    let created = creates(method, operation.name());
    let (status, words) = if created {
        ("201", "Created.")
    } else {
        ("200", "Done.")
    };
    let mut all = Map::new();
    let mut content = json!({"application/json": {"schema": output}});
    if operation.streams() {
        content[EVENT_STREAM] = json!({"schema": {
            "type": "string",
            "description": "Asked for by Accept: an event `chunk` for each chunk, then `result` with what would have been the \
                answer, or `error` with a problem.",
        }});
    }
    all.insert(
        status.to_owned(),
        json!({"description": words, "headers": headers, "content": content}),
    );
    if operation.is_revisioned() && *method == Method::GET {
        let words = "Not changed since the tag in If-None-Match.";
        all.insert("304".to_owned(), json!({"description": words}));
    }
    for status in failures(operation, method, path) {
        let target = format!("#/components/responses/Problem{status}");
        all.insert(status.to_string(), json!({"$ref": target}));
    }
    all.insert(
        "default".to_owned(),
        json!({"$ref": "#/components/responses/Problem"}),
    );
    Value::Object(all)
}

/// The failures that a caller of this operation has to reckon with; all others come under `default`.
fn failures(operation: &Operation, method: &Method, path: &str) -> Vec<u16> {
    let rules = [
        // A header that cannot be read, whatever the operation.
        (400, true),
        (401, true),
        (403, !operation.is_public()),
        (404, path.contains('{') || names_something(operation)),
        // Of a read as well: events that have left the log, a file that is not there yet.
        (409, true),
        (412, operation.takes_expected_revision()),
        (413, has_body(method)),
        (415, has_body(method)),
        (422, true),
        (429, true),
        (502, operation.effect() == Effect::External),
        (503, true),
    ];
    rules
        .into_iter()
        .filter(|(_, may)| *may)
        .map(|(status, _)| status)
        .collect()
}

/// Whether its input may name something that is not there.
fn names_something(operation: &Operation) -> bool {
    let properties = operation.input_schema()["properties"].as_object();
    let mut names = properties.into_iter().flat_map(Map::keys);
    names.any(|name| !["limit", "cursor"].contains(&name.as_str()))
}

fn problem_schemas() -> Map<String, Value> {
    let text = |about: &str| json!({"type": "string", "description": about});
    let codes: Vec<&str> = CODES.iter().map(|entry| entry.code).collect();
    let fields = json!({
        "type": "object",
        "required": ["pointer", "code", "detail"],
        "properties": {
            "pointer": text("JSON pointer into the input; empty for the whole."),
            "code": text("Stable code, such as `required`."),
            "detail": text("What is wrong, in words."),
        },
    });
    let mut code = text("Stable code of the failure. More may be added.");
    code["examples"] = json!(codes);
    let problem = json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
            "title": text("The kind of failure."),
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": text("What went wrong, in words."),
            "code": code,
            "request_id": {"type": "string", "format": "uuid", "description": "The id under which the log tells of the call."},
            "errors": {"type": "array", "items": fields, "description": "The bad fields, all at once."},
            "retry_after": {"type": "integer", "description": "Seconds after which to try again."},
        },
    });
    Map::from_iter([("Problem".to_owned(), problem)])
}

fn problem_responses() -> Value {
    let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    let mut all = Map::new();
    let one = |words: &str| json!({"description": words, "content": content});
    all.insert("Problem".to_owned(), one("Any other failure."));
    for status in FAILURES {
        let mut response = one(title_of(status));
        if [429, 503].contains(&status) {
            response["headers"] = json!({"Retry-After": {"$ref": "#/components/headers/RetryAfter"}});
        }
        all.insert(format!("Problem{status}"), response);
    }
    Value::Object(all)
}

/// Moves the definitions of recursive types out of a schema, whose `#/$defs/…` would mean nothing inside of the document.
fn rehome(schema: &mut Value, prefix: &str, schemas: &mut Map<String, Value>) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("$schema");
    let defs = match object.remove("$defs") {
        Some(Value::Object(defs)) => defs,
        _ => Map::new(),
    };
    let mut itself = point_to(schema, prefix);
    for (name, mut part) in defs {
        itself |= point_to(&mut part, prefix);
        schemas.insert(format!("{prefix}_{name}"), part);
    }
    // `#` is the whole document here, not the schema around it.
    if itself {
        let target = json!({ "$ref": format!("{SCHEMAS}{prefix}") });
        schemas.insert(prefix.to_owned(), std::mem::replace(schema, target));
    }
}

/// Turns references into those of the document; says whether one meant the schema itself.
fn point_to(schema: &mut Value, prefix: &str) -> bool {
    let mut itself = false;
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref") {
                if let Some(name) = target.strip_prefix(DEFS) {
                    *target = format!("{SCHEMAS}{prefix}_{name}");
                } else if target == "#" {
                    itself = true;
                    *target = format!("{SCHEMAS}{prefix}");
                }
            }
            for part in object.values_mut() {
                itself |= point_to(part, prefix);
            }
        }
        Value::Array(parts) => {
            for part in parts {
                itself |= point_to(part, prefix);
            }
        }
        _ => {}
    }
    itself
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["project_id", "title"],
            "properties": {
                "project_id": {"type": "string", "format": "uuid", "description": "The project."},
                "title": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
        })
    }

    #[test]
    fn a_body_keeps_what_the_path_does_not_take() {
        let split = Split::of(input(), &Method::POST, "/projects/{project_id}/tasks");
        assert_eq!(split.parameters.len(), 1);
        assert_eq!(split.parameters[0]["in"], "path");
        assert_eq!(split.parameters[0]["description"], "The project.");
        let body = split.body.expect("a body");
        assert_eq!(body["required"], json!(["title"]));
        assert!(body["properties"].get("project_id").is_none());
        assert_eq!(body["additionalProperties"], false);
    }

    #[test]
    fn a_get_has_it_all_in_the_address() {
        let split = Split::of(input(), &Method::GET, "/projects/{project_id}/tasks");
        assert!(split.body.is_none());
        let told: Vec<_> = split
            .parameters
            .iter()
            .map(|p| {
                (
                    p["name"].as_str().unwrap_or(""),
                    p["in"].as_str().unwrap_or(""),
                    p["required"] == true,
                )
            })
            .collect();
        assert!(told.contains(&("project_id", "path", true)));
        assert!(told.contains(&("title", "query", true)));
        assert!(told.contains(&("tags", "query", false)));
    }

    #[test]
    fn recursive_types_move_to_the_components() {
        let mut schema = json!({
            "$schema": "x",
            "properties": {"root": {"$ref": "#/$defs/Node"}},
            "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}}}},
        });
        let mut schemas = Map::new();
        rehome(&mut schema, "t", &mut schemas);
        assert_eq!(
            schema,
            json!({"properties": {"root": {"$ref": "#/components/schemas/t_Node"}}})
        );
        assert_eq!(
            schemas["t_Node"]["properties"]["next"]["$ref"],
            "#/components/schemas/t_Node"
        );
    }

    #[test]
    fn a_tag_follows_the_content() {
        let (one, same, other) = (
            Fixed::new("a", "x/y"),
            Fixed::new("a", "x/y"),
            Fixed::new("b", "x/y"),
        );
        assert_eq!(one.tag, same.tag);
        assert_ne!(one.tag, other.tag);
        let mut headers = HeaderMap::new();
        headers.insert(http::header::IF_NONE_MATCH, one.tag.clone());
        assert_eq!(one.respond(&headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(other.respond(&headers).status(), StatusCode::OK);
    }
}
