//! Whether an answer is one that the OpenAPI file promises.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use synapscale_ops::CompiledSchema;

/// Longer than a request may take by the server's own limit.
const BOUND: Duration = Duration::from_secs(32);

/// What came back.
pub struct Came {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
    pub took: Duration,
}

/// What an operation's documented answer holds.
enum Holds {
    Nothing,
    Problem,
    Json(CompiledSchema),
}

/// The documented answers of one operation.
pub struct Promised {
    answers: BTreeMap<u16, Holds>,
    problem: Arc<CompiledSchema>,
}

/// The schema of every problem.
pub fn problems(document: &Value) -> Arc<CompiledSchema> {
    Arc::new(compiled(
        &json!({ "$ref": "#/components/schemas/Problem" }),
        document,
    ))
}

/// A schema with the document's components in reach, and closed: a field that is not described is a difference.
fn compiled(schema: &Value, document: &Value) -> CompiledSchema {
    let mut whole = json!({ "allOf": [schema], "components": document["components"] });
    close(&mut whole["allOf"][0]);
    CompiledSchema::compile(&whole, true).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// Fields beside alternatives belong to all of these, so such objects stay open.
fn close(schema: &mut Value) {
    let Value::Object(object) = schema else { return };
    let alternatives = ["oneOf", "anyOf", "allOf"]
        .iter()
        .any(|word| object.contains_key(*word));
    let fields = object.contains_key("properties");
    if fields && !alternatives && !object.contains_key("additionalProperties") {
        object.insert("additionalProperties".into(), json!(false));
    }
    for (word, part) in object.iter_mut() {
        match (word.as_str(), part) {
            ("properties" | "$defs", Value::Object(parts)) => parts.values_mut().for_each(close),
            ("items" | "additionalProperties", part) => close(part),
            ("oneOf" | "anyOf" | "allOf", Value::Array(parts)) if !fields => parts.iter_mut().for_each(close),
            _ => {}
        }
    }
}

impl Promised {
    pub fn of(operation: &Value, document: &Value, problem: Arc<CompiledSchema>) -> Self {
        let resolved = |response: &Value| {
            let target = response["$ref"]
                .as_str()
                .and_then(|target| document.pointer(target.strip_prefix('#')?));
            target.unwrap_or(response).clone()
        };
        let responses = operation["responses"].as_object().expect("responses");
        let numbered = responses
            .iter()
            .filter_map(|(status, response)| Some((status.parse().ok()?, response)));
        let answers = numbered.map(|(status, response): (u16, &Value)| {
            let content = resolved(response)["content"].clone();
            let holds = match (
                content.get("application/json"),
                content.get("application/problem+json"),
            ) {
                (Some(json), None) => Holds::Json(compiled(&json["schema"], document)),
                (None, Some(_)) => Holds::Problem,
                _ => Holds::Nothing,
            };
            (status, holds)
        });
        Promised {
            answers: answers.collect(),
            problem,
        }
    }

    /// What is wrong with the answer, if anything. `off_road` is a request that may well have met no operation.
    pub fn judge(&self, came: &Came, off_road: bool) -> Result<(), String> {
        let status = came.status;
        if came.took > BOUND {
            return Err(format!("took {:?}", came.took));
        }
        if status >= 500 && !(status == 503 || (status == 502 && self.answers.contains_key(&502))) {
            return Err(format!("a fault of ours: {status}"));
        }
        let refused = off_road && (400..500).contains(&status);
        let schema = match self.answers.get(&status) {
            Some(Holds::Json(schema)) => schema,
            Some(Holds::Problem) => &self.problem,
            Some(Holds::Nothing) if came.body.is_empty() => return Ok(()),
            Some(Holds::Nothing) => return Err(format!("{status} is documented without a body")),
            None if refused => &self.problem,
            None => return Err(format!("{status} is not documented")),
        };
        let wanted = if status < 400 {
            "application/json"
        } else {
            "application/problem+json"
        };
        if came.kind != wanted {
            return Err(format!("{status} comes as `{}`, not {wanted}", came.kind));
        }
        let body: Value =
            serde_json::from_slice(&came.body).map_err(|error| format!("{status}: no JSON: {error}"))?;
        if let Some(error) = schema.errors(&body).next() {
            return Err(format!(
                "{status}: the body does not fit at {}: {error}",
                error.instance_path()
            ));
        }
        match status >= 400 && body["status"] != json!(status) {
            true => Err(format!("{status} calls itself {}", body["status"])),
            false => Ok(()),
        }
    }
}

/// Whether an object fits the schema of a request's body.
pub struct Wanted(CompiledSchema);

impl Wanted {
    pub fn of(schema: &Value, document: &Value) -> Self {
        let whole = json!({ "allOf": [schema], "components": document["components"] });
        Wanted(CompiledSchema::compile(&whole, true).unwrap_or_else(|error| panic!("{error}: {schema}")))
    }

    pub fn takes(&self, body: &Map<String, Value>) -> bool {
        self.0.is_valid(&Value::Object(body.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        json!({
            "components": {
                "schemas": { "Problem": {
                    "type": "object", "required": ["status", "code"],
                    "properties": { "status": { "type": "integer" }, "code": { "type": "string" } },
                } },
                "responses": { "P": { "content": { "application/problem+json": {
                    "schema": { "$ref": "#/components/schemas/Problem" },
                } } } },
            },
        })
    }

    fn judged(status: u16, kind: &str, body: &str) -> Result<(), String> {
        let operation = json!({ "responses": {
            "200": { "content": { "application/json": { "schema": {
                "type": "object", "required": ["id"],
                "properties": { "id": { "type": "string", "format": "uuid" }, "at": { "type": ["string", "null"] } },
            } } } },
            "304": {},
            "404": { "$ref": "#/components/responses/P" },
            "503": { "$ref": "#/components/responses/P" },
        } });
        let promised = Promised::of(&operation, &document(), problems(&document()));
        let came = Came {
            status,
            kind: kind.into(),
            body: body.into(),
            took: Duration::ZERO,
        };
        promised.judge(&came, false)
    }

    #[test]
    fn answers_as_documented_are_let_through() {
        let id = r#"{"id": "01a1ffc1-9422-7167-9a89-1fb9b34b68dc"}"#;
        judged(200, "application/json", id).expect("fits");
        judged(304, "", "").expect("fits");
        judged(404, "application/problem+json", r#"{"status": 404, "code": "x"}"#).expect("fits");
        judged(503, "application/problem+json", r#"{"status": 503, "code": "x"}"#).expect("fits");
    }

    #[test]
    fn answers_that_differ_are_found() {
        let json = "application/json";
        let problem = "application/problem+json";
        for (status, kind, body, words) in [
            (200, json, "{}", "does not fit"),
            (200, json, r#"{"id": "no uuid"}"#, "does not fit"),
            (
                200,
                json,
                r#"{"id": "01a1ffc1-9422-7167-9a89-1fb9b34b68dc", "more": 1}"#,
                "does not fit",
            ),
            (200, json, "{", "no JSON"),
            (200, "text/html", "{}", "comes as"),
            (304, "", "x", "without a body"),
            (404, json, "{}", "comes as"),
            (404, problem, r#"{"status": 400, "code": "x"}"#, "calls itself"),
            (409, problem, r#"{"status": 409, "code": "x"}"#, "not documented"),
            (500, problem, r#"{"status": 500, "code": "x"}"#, "fault of ours"),
            (502, problem, r#"{"status": 502, "code": "x"}"#, "fault of ours"),
        ] {
            let why = judged(status, kind, body).expect_err(body);
            assert!(why.contains(words), "{status} {body}: {why}");
        }
    }
}
