//! The list of node kinds with the schemas of their configuration.

use crate::graph::{KindCatalog, KindInfo, MAX_ROUNDS, NodeClass, PortSpec};
use crate::nodes::triggers;
use crate::schedule::{MAX_CRON, MAX_ZONE};
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
        check: None,
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
        KindInfo {
            check: Some(triggers::schedule_faults),
            ..kind("trigger.schedule", Trigger, schedule_schema(), out())
        },
        KindInfo {
            check: Some(triggers::event_faults),
            ..kind("trigger.event", Trigger, event_schema(), out())
        },
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
        kind(
            "merge",
            Pure,
            object(
                json!({ "max_iterations": {
                    "description": "Most rounds of the cycle that this merge is the entry of; 1,000 unless given. One more fails with `too_many_rounds`.",
                    "type": "integer", "minimum": 1, "maximum": MAX_ROUNDS,
                } }),
                &[],
            ),
            out(),
        ),
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

fn schedule_schema() -> Value {
    object(
        json!({
            "cron": {
                "description": "Minute, hour, day of month, month, day of week, such as `30 9 * * MON-FRI`. A fixed time that a change to summer time leaves out comes right after the gap; one that a change back repeats comes once.",
                "type": "string", "minLength": 1, "maxLength": MAX_CRON,
            },
            "timezone": {
                "description": "An IANA time zone, such as `Europe/Berlin`; UTC unless given.",
                "type": "string", "minLength": 1, "maxLength": MAX_ZONE,
            },
            "missed": {
                "description": "What becomes of turns that came while nothing ran: `once` (unless given) makes one run for the last of them, `skip` none for those more than five minutes late, `all` one for each of the last 100.",
                "enum": ["skip", "once", "all"],
            },
        }),
        &["cron"],
    )
}

fn event_schema() -> Value {
    object(
        json!({
            "kinds": {
                "description": "Kinds of events, such as `task.created`, or nouns, such as `task.*`. The publisher needs the permission `events:read`.",
                "type": "array", "minItems": 1, "maxItems": 20,
                "items": { "type": "string", "pattern": "^[a-z][a-z0-9_]*(\\.[a-z0-9_]+)*\\.(\\*|[a-z0-9_]+)$", "maxLength": 100 },
            },
            "filter": {
                "description": "An expression over `event` (`kind`, `subject`, `actor`, `data`, `changes`, `at`), without braces, that gives true for those to take; all unless given. Events that a run of this workflow causes are never taken.",
                "type": "string", "minLength": 1, "maxLength": 2000,
            },
        }),
        &["kinds"],
    )
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
