//! A stand-in for somebody's MCP server: a few tools, and faults on command. It knows messages and no transport.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What to do with a message.
pub enum Act {
    /// Answer it.
    Send(Value),
    /// Answer it and tell of something first.
    SendBoth(Value, Value),
    /// Answer it later.
    Later(Duration, Value),
    /// Write this, whatever it is.
    Raw(String),
    /// End at once.
    Die,
    /// Nothing.
    Nothing,
}

/// One server.
#[derive(Default)]
pub struct Standin {
    faults: Mutex<BTreeSet<String>>,
    seen: Mutex<Vec<Value>>,
    changed: AtomicBool,
    pub requests: AtomicU64,
}

impl Standin {
    /// Commands a fault.
    pub fn fault(&self, name: &str) {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned());
    }

    /// Takes all faults back.
    #[allow(dead_code, reason = "the process takes none back")]
    pub fn heal(&self) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a fault is commanded.
    pub fn has(&self, name: &str) -> bool {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }

    fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What becomes of one message. `surroundings` is what the tool `env` tells: variables or headers.
    pub fn act(&self, message: &Value, surroundings: &Value) -> Act {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let method = message["method"].as_str().unwrap_or_default();
        if message.get("id").is_none() {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(message.clone());
            return Act::Nothing;
        }
        if self.has("hang") {
            return Act::Nothing;
        }
        if self.has("garbage") {
            return Act::Raw("<html>nothing of yours</html>".to_owned());
        }
        let answer = |result: Value| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        match method {
            "initialize" => {
                let asked = message["params"]["protocolVersion"].clone();
                let version = match self.has("wrong_version") {
                    true => json!("1999-12-31"),
                    false => asked,
                };
                Act::Send(answer(json!({
                    "protocolVersion": version,
                    "capabilities": {"tools": {"listChanged": true}},
                    "serverInfo": {"name": "stand-in", "version": "7"},
                })))
            }
            "tools/list" if self.has("list_error") => Act::Send(json!({
                "jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "no list today"},
            })),
            "tools/list" if self.has("list_none") => Act::Send(answer(json!({"tools": "many"}))),
            "tools/list" => Act::Send(answer(self.list(&message["params"]))),
            "tools/call" => self.call(message, surroundings, &answer),
            "ping" => Act::Send(answer(json!({}))),
            _ => Act::Send(json!({
                "jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "unknown"},
            })),
        }
    }

    fn list(&self, params: &Value) -> Value {
        let page: u64 = params["cursor"]
            .as_str()
            .and_then(|cursor| cursor.parse().ok())
            .unwrap_or_default();
        if self.has("endless") {
            let tool = json!({"name": format!("t{page}"), "inputSchema": {"type": "object"}});
            return json!({"tools": [tool], "nextCursor": (page + 1).to_string()});
        }
        let mut tools = tools();
        if self.has("bad_schemas") {
            tools.insert(0, json!({"name": "no_schema"}));
            tools.push(json!({"name": "true_schema", "inputSchema": true}));
            tools.push(json!({"name": "itself", "inputSchema": {"type": "object", "properties": {"a": {"$ref": "#"}}}}));
            tools.push(json!({"name": 7}));
        }
        if self.changed.load(Ordering::Relaxed) {
            tools.push(json!({"name": "brand_new", "inputSchema": {"type": "object"}}));
        }
        // Two pages, so that paging is always used.
        let half = tools.len() / 2;
        match page {
            0 => json!({"tools": tools[..half], "nextCursor": "1"}),
            _ => json!({"tools": tools[half..]}),
        }
    }

    fn call(&self, message: &Value, surroundings: &Value, answer: &dyn Fn(Value) -> Value) -> Act {
        let arguments = &message["params"]["arguments"];
        let text = |text: String| answer(json!({"content": [{"type": "text", "text": text}]}));
        if self.has("hang_calls") {
            return Act::Nothing;
        }
        match message["params"]["name"].as_str().unwrap_or_default() {
            "echo" => {
                let said = json!({"text": arguments["text"]});
                let shown = said.to_string();
                Act::Send(answer(
                    json!({"content": [{"type": "text", "text": shown}], "structuredContent": said}),
                ))
            }
            "fail" => Act::Send(answer(
                json!({"content": [{"type": "text", "text": "it went wrong"}], "isError": true}),
            )),
            "slow" => {
                let wait = Duration::from_millis(arguments["ms"].as_u64().unwrap_or(1000));
                Act::Later(wait, text("at last".to_owned()))
            }
            "huge" => {
                let bytes = arguments["bytes"].as_u64().unwrap_or_default() as usize;
                Act::Send(text("x".repeat(bytes)))
            }
            "env" => Act::Send(answer(json!({"content": [], "structuredContent": surroundings}))),
            "die" => Act::Die,
            "odd_output" => Act::Send(answer(json!({"content": [], "structuredContent": {"text": 7}}))),
            "odd_part" => Act::Send(answer(json!({"content": [
                {"type": "hologram", "rays": 3}, {"type": "text", "text": "beside it"},
            ]}))),
            "nothing" => Act::Send(answer(json!({}))),
            "rpc_error" => Act::Send(json!({
                "jsonrpc": "2.0", "id": message["id"], "error": {"code": -32603, "message": "the disk is full"},
            })),
            "change" => {
                self.changed.store(true, Ordering::Relaxed);
                let word = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
                Act::SendBoth(word, text("changed".to_owned()))
            }
            "seen" => Act::Send(answer(
                json!({"content": [], "structuredContent": {"seen": self.seen()}}),
            )),
            "meta" => Act::Send(answer(
                json!({"content": [], "structuredContent": message["params"]["_meta"]}),
            )),
            _ => Act::Send(json!({
                "jsonrpc": "2.0", "id": message["id"], "error": {"code": -32602, "message": "no such tool"},
            })),
        }
    }
}

fn tools() -> Vec<Value> {
    let tool = |name: &str, properties: Value, required: Value| {
        json!({
            "name": name,
            "description": format!("The tool {name}."),
            "inputSchema": {"type": "object", "properties": properties, "required": required},
        })
    };
    let text = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let mut echo = tool(
        "echo",
        json!({"text": {"type": "string", "maxLength": 100}}),
        json!(["text"]),
    );
    echo["outputSchema"] = text.clone();
    echo["annotations"] = json!({"readOnlyHint": true});
    let mut odd = tool("odd_output", json!({}), json!([]));
    odd["outputSchema"] = text;
    let mut all = vec![
        echo,
        odd,
        tool("slow", json!({"ms": {"type": "integer"}}), json!([])),
        tool("huge", json!({"bytes": {"type": "integer"}}), json!(["bytes"])),
    ];
    let rest = [
        "fail",
        "env",
        "die",
        "odd_part",
        "nothing",
        "rpc_error",
        "change",
        "seen",
        "meta",
        "notListed",
    ];
    all.extend(rest.iter().map(|name| tool(name, json!({}), json!([]))));
    all
}
