//! The list of node kinds with the schemas of their configuration.

use crate::graph::{KindCatalog, KindInfo, NodeClass, PortSpec};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

/// The node kinds of this version.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog;

static KINDS: LazyLock<Vec<KindInfo>> = LazyLock::new(kinds);

impl Catalog {
    /// Every kind.
    pub fn all(self) -> Vec<KindInfo> {
        KINDS.clone()
    }
}

impl KindCatalog for Catalog {
    fn kind(&self, name: &str, version: Option<u32>) -> Option<KindInfo> {
        KINDS
            .iter()
            .find(|kind| kind.name == name && version.is_none_or(|v| v == kind.version))
            .cloned()
    }

    fn names(&self) -> Vec<String> {
        KINDS.iter().map(|kind| kind.name.clone()).collect()
    }
}

fn kind(name: &str, class: NodeClass, schema: Value, ports: PortSpec) -> KindInfo {
    KindInfo {
        name: name.to_owned(),
        version: 1,
        class,
        config_schema: Arc::new(schema),
        ports,
        per_item: None,
    }
}

fn out() -> PortSpec {
    PortSpec::Fixed(vec!["out".to_owned()])
}

fn named(ports: &[&str]) -> PortSpec {
    PortSpec::Fixed(ports.iter().map(|port| (*port).to_owned()).collect())
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// The ports that a switch's own cases name.
fn switch_ports(config: &Value) -> Vec<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let cases = config
        .get("cases")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let otherwise = text(config.get("else")).unwrap_or_else(|| "else".to_owned());
    cases
        .iter()
        .filter_map(|case| text(case.get("port")))
        .chain([otherwise])
        .collect()
}

fn kinds() -> Vec<KindInfo> {
    use NodeClass::*;
    let port = json!({ "type": "string", "pattern": "^[a-z][a-z0-9_]{0,47}$" });
    vec![
        kind("trigger.manual", Trigger, object(json!({}), &[]), out()),
        kind(
            "trigger.webhook",
            Trigger,
            object(
                json!({
                    "scheme": { "enum": ["github", "gitlab", "standard_webhooks", "none"] },
                    "dedupe_hours": { "type": "integer", "minimum": 1, "maximum": 720 },
                }),
                &["scheme"],
            ),
            out(),
        ),
        kind(
            "operation",
            Operation,
            object(
                json!({
                    "operation": { "type": "string", "minLength": 1, "maxLength": 100 },
                    "input": { "type": "object" },
                    "expected_revision": { "type": "integer", "minimum": 1 },
                }),
                &["operation"],
            ),
            out(),
        ),
        kind("http", External, http_schema(), out()),
        kind("set", Pure, json!({ "type": "object" }), out()),
        kind(
            "if",
            Pure,
            object(json!({ "when": { "type": "boolean" } }), &["when"]),
            named(&["true", "false"]),
        ),
        kind(
            "switch",
            Pure,
            object(
                json!({
                    "cases": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 50,
                        "items": object(json!({ "port": port, "when": { "type": "boolean" } }), &["port", "when"]),
                    },
                    "else": port,
                }),
                &["cases"],
            ),
            PortSpec::FromConfig(switch_ports),
        ),
        kind("merge", Pure, object(json!({}), &[]), out()),
        kind(
            "wait",
            Wait,
            object(
                json!({ "seconds": { "type": "number", "minimum": 0 }, "until": { "type": "string" } }),
                &[],
            ),
            out(),
        ),
        kind(
            "approval",
            Approval,
            object(
                json!({
                    "title": { "type": "string", "minLength": 1, "maxLength": 300 },
                    "detail": true,
                    "deadline_hours": { "type": "integer", "minimum": 1, "maximum": 8784 },
                }),
                &["title"],
            ),
            named(&["approved", "rejected"]),
        ),
        kind(
            "respond",
            Respond,
            object(
                json!({
                    "status": { "type": "integer", "minimum": 200, "maximum": 599 },
                    "headers": { "type": "object" },
                    "body": true,
                }),
                &[],
            ),
            out(),
        ),
        kind(
            "fail",
            End,
            object(
                json!({
                    "code": { "type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$" },
                    "message": { "type": "string", "maxLength": 2000 },
                }),
                &[],
            ),
            out(),
        ),
    ]
}

fn http_schema() -> Value {
    object(
        json!({
            "method": { "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] },
            "url": { "type": "string", "minLength": 1, "maxLength": 4096 },
            "headers": { "type": "object" },
            "body": true,
            "timeout": { "type": "integer", "minimum": 1, "maximum": 300 },
            "follow_redirects": { "type": "boolean" },
            "success": {
                "anyOf": [
                    { "enum": ["2xx", "any"] },
                    { "type": "array", "items": { "type": "integer" }, "maxItems": 50 },
                ],
            },
        }),
        &["url"],
    )
}
