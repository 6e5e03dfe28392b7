//! Every operation of the served OpenAPI file, with inputs that fit its schema and with broken ones, against the real server:
//! no fault of ours, no answer that is not documented, none that does not fit its schema, none that is late.
//!
//! `SYNAPSCALE_FUZZ_SEED` sets the seed, which a failure prints; `SYNAPSCALE_FUZZ_ROUNDS` how often each operation's turn
//! comes (`make fuzz` sets both).

mod judge;
mod values;

use crate::foreign::{Theirs, furnish, sent_by};
use crate::process::{Server, bootstrap};
use judge::{Came, Promised, Wanted, problems};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use synapscale_testkit::{TestDb, db_test};
use values::{Dice, Maker, Pool};

/// The usual seed and number of rounds.
const SEED: u64 = 20_261_121;
const ROUNDS: u64 = 2;
/// Requests of an operation in a round: so many that fit, so many that are broken.
const GOOD: u64 = 2;
const BROKEN: u64 = 4;
/// No more differences are told of at once.
const TOLD: usize = 25;
/// Nobody listens there, on this machine.
const NOWHERE: &str = "http://127.0.0.1:9";

#[allow(
    clippy::disallowed_methods,
    reason = "whoever runs the test says how long and from where"
)]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// One operation as the document describes it.
struct Target {
    name: String,
    noun: String,
    method: Method,
    path: String,
    parameters: Vec<Value>,
    body: Option<Value>,
    /// It would call others: it is given ids that nothing has.
    external: bool,
    promised: Promised,
    wanted: Option<Wanted>,
    /// A body that it takes, if one is known.
    sample: Map<String, Value>,
}

impl Target {
    fn of(
        path: &str,
        method: &str,
        operation: &Value,
        document: &Value,
        problem: &std::sync::Arc<synapscale_ops::CompiledSchema>,
    ) -> Self {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let body = operation
            .pointer("/requestBody/content/application~1json/schema")
            .cloned();
        Target {
            name: operation["operationId"].as_str().expect("an id").to_owned(),
            noun: operation["tags"][0].as_str().unwrap_or_default().to_owned(),
            method: method.to_uppercase().parse().expect("a method"),
            path: path.to_owned(),
            parameters,
            external: operation["x-effect"] == "external",
            promised: Promised::of(operation, document, problem.clone()),
            wanted: body.as_ref().map(|schema| Wanted::of(schema, document)),
            body,
            sample: Map::new(),
        }
    }
}

/// A request, not yet sent.
struct Draft {
    how: &'static str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    /// Content type and bytes.
    body: Option<(Option<&'static str>, Vec<u8>)>,
    /// Whether an answer of success would be wrong.
    must_fail: bool,
    /// Whether it may have met no operation at all.
    off_road: bool,
}

fn segment(text: &str) -> String {
    match text {
        // A client would take these for steps through the tree.
        "" | "." | ".." => "%20".to_owned(),
        text => utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
    }
}

/// Whatever the operation, what it would call is not to be reached.
fn tame(name: &str, body: &mut Map<String, Value>) {
    if name.starts_with("providers_") && (body.contains_key("preset") || body.contains_key("base_url")) {
        body.insert("base_url".into(), json!(NOWHERE));
    }
}

impl Draft {
    /// A request that fits the description.
    fn good(
        target: &Target,
        document: &Value,
        pool: &Pool,
        dice: &mut Dice,
    ) -> (Self, Option<Map<String, Value>>) {
        let none = Pool::default();
        let pool = if target.external { &none } else { pool };
        let mut maker = Maker {
            root: document,
            pool,
            dice,
        };
        let mut path = target.path.clone();
        let mut query = Vec::new();
        let mut headers = Vec::new();
        for parameter in &target.parameters {
            let Some(name) = parameter["name"].as_str() else {
                if parameter["$ref"]
                    .as_str()
                    .is_some_and(|target| target.ends_with("IdempotencyKey"))
                    && maker.dice.chance(20)
                {
                    headers.push(("idempotency-key", format!("k{}", maker.dice.below(50))));
                }
                continue;
            };
            let value = maker.value(&parameter["schema"], name, 0);
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &segment(&text(&value))),
                _ if !(parameter["required"] == true || maker.dice.chance(40)) => {}
                _ => match &value {
                    Value::Null => {}
                    Value::Array(items) => {
                        query.extend(items.iter().take(20).map(|item| (name.to_owned(), text(item))))
                    }
                    value => query.push((name.to_owned(), text(value))),
                },
            }
        }
        let body = target
            .body
            .as_ref()
            .map(|schema| match maker.value(schema, &target.noun, 0) {
                Value::Object(body) => body,
                _ => Map::new(),
            });
        let body = body.map(|made| match target.sample.is_empty() || maker.dice.chance(60) {
            true => made,
            false => target.sample.clone(),
        });
        let body = body.map(|mut body| {
            tame(&target.name, &mut body);
            body
        });
        let bytes = body
            .as_ref()
            .map(|body| (Some("application/json"), json!(body).to_string().into_bytes()));
        let draft = Draft {
            how: "fits",
            path,
            query,
            headers,
            body: bytes,
            must_fail: false,
            off_road: false,
        };
        (draft, body)
    }

    /// The same, broken in one way.
    fn broken(target: &Target, document: &Value, pool: &Pool, dice: &mut Dice) -> Self {
        let (mut draft, body) = Self::good(target, document, pool, dice);
        match (dice.below(3), body) {
            (0 | 1, Some(body)) => draft.break_body(target, body, document, pool, dice),
            (0, None) | (2, _) => draft.break_head(dice),
            _ => draft.break_address(target, dice),
        }
        draft
    }

    fn break_body(
        &mut self,
        target: &Target,
        mut body: Map<String, Value>,
        document: &Value,
        pool: &Pool,
        dice: &mut Dice,
    ) {
        let schema = target.body.as_ref().expect("a body");
        let json = Some("application/json");
        if dice.chance(60) {
            let mut maker = Maker {
                root: document,
                pool,
                dice,
            };
            self.how = maker.spoil(&mut body, schema);
            self.must_fail = target.wanted.as_ref().is_some_and(|wanted| !wanted.takes(&body));
            tame(&target.name, &mut body);
            self.body = Some((json, Value::Object(body).to_string().into_bytes()));
            return;
        }
        let whole = Value::Object(body).to_string().into_bytes();
        let cut = dice.below(whole.len() as u64) as usize;
        let texts: [(&'static str, Option<&'static str>, Vec<u8>); 12] = [
            ("cut off", json, whole[..cut].to_vec()),
            ("no UTF-8", json, b"{\"a\": \"\xff\xfe\"}".to_vec()),
            ("a lone surrogate", json, b"{\"a\": \"\\ud800\"}".to_vec()),
            ("an array", json, b"[]".to_vec()),
            ("null", json, b"null".to_vec()),
            ("a huge number", json, b"{\"a\": 1e99999}".to_vec()),
            ("a field twice", json, b"{\"a\": 1, \"a\": 2}".to_vec()),
            ("too deep", json, [vec![b'['; 2000], vec![b']'; 2000]].concat()),
            ("two values", json, b"{} {}".to_vec()),
            ("no content type", None, whole.clone()),
            (
                "a form",
                Some("application/x-www-form-urlencoded"),
                b"a=b".to_vec(),
            ),
            (
                "another charset",
                Some("application/json; charset=utf-16"),
                whole.clone(),
            ),
        ];
        let (how, kind, bytes) = dice.pick(&texts).clone();
        self.how = how;
        // Nothing at all is the empty object.
        self.must_fail = !bytes.is_empty() && bytes != whole;
        self.must_fail |= kind != json && !bytes.is_empty();
        self.body = Some((kind, bytes));
    }

    fn break_head(&mut self, dice: &mut Dice) {
        let heads: [(&'static str, &'static str, String, bool); 8] = [
            ("an overlong key", "idempotency-key", "k".repeat(300), false),
            ("a key of no text", "idempotency-key", "é".repeat(5), false),
            ("an empty key", "idempotency-key", String::new(), false),
            ("a revision that is none", "if-match", "*".into(), true),
            ("a revision of long ago", "if-match", "\"99999999\"".into(), false),
            ("an overlong header", "x-anything", "y".repeat(14_000), false),
            (
                "a request id that is none",
                "x-request-id",
                "not one".into(),
                false,
            ),
            ("a coded body", "content-encoding", "gzip".into(), false),
        ];
        let (how, name, value, must_fail) = dice.pick(&heads).clone();
        self.how = how;
        self.must_fail = must_fail;
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
    }

    fn break_address(&mut self, target: &Target, dice: &mut Dice) {
        self.off_road = true;
        let template = target.path.clone();
        let parameter = template.split('/').find(|part| part.starts_with('{'));
        if let (Some(parameter), true) = (parameter, dice.chance(60)) {
            let long = "z".repeat(3000);
            let ids = [
                "%00",
                "%ff",
                "%2e%2e%2fme",
                "null",
                "-1",
                "00000000",
                "%F0%9F%94%91",
                "a%20b",
                long.as_str(),
                "%7B%7D",
            ];
            self.how = "an id that is none";
            let place = template
                .split('/')
                .position(|part| part == parameter)
                .expect("its place");
            let mut parts: Vec<&str> = self.path.split('/').collect();
            parts[place] = *dice.pick(&ids);
            self.path = parts.join("/");
            return;
        }
        let long = "q".repeat(30_000);
        let queries = [
            ("an unknown parameter", "no_such_parameter", "1"),
            ("a cursor that is none", "cursor", "AAAA"),
            ("a cursor of another kind", "cursor", "W10"),
            ("a place that is none", "since", "zzzz"),
            ("a limit of nothing", "limit", "0"),
            ("a limit that is no number", "limit", "1e3"),
            ("a limit beyond numbers", "limit", "99999999999999999999"),
            ("an overlong query", "q", long.as_str()),
            ("an empty cursor", "cursor", ""),
        ];
        let (how, name, value) = *dice.pick(&queries);
        self.how = how;
        self.query.push((name.to_owned(), value.to_owned()));
        if dice.chance(20) {
            self.how = "a parameter twice";
            self.query.push((name.to_owned(), "2".to_owned()));
        }
    }

    fn shown(&self, target: &Target) -> String {
        let mut text = format!(
            "{} {} {:?} {:?}",
            target.method, self.path, self.query, self.headers
        );
        if let Some((kind, bytes)) = &self.body {
            text += &format!(" {kind:?} {}", String::from_utf8_lossy(bytes));
        }
        text.chars().take(700).collect()
    }

    async fn send(&self, server: &Server, target: &Target) -> Option<Came> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let mark = if pairs.is_empty() { "" } else { "?" };
        let address = format!("/api/v1{}{mark}{}", self.path, pairs.join("&"));
        let mut request = server.request(target.method.clone(), &address);
        for (name, value) in &self.headers {
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            request = request.header(*name, value);
        }
        if let Some((kind, bytes)) = &self.body {
            request = request.body(bytes.clone());
            if let Some(kind) = kind {
                request = request.header("content-type", *kind);
            }
        }
        let began = Instant::now();
        let answer = request.timeout(Duration::from_secs(60)).send().await.ok()?;
        let status = answer.status().as_u16();
        let kind = answer
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.to_owned();
        let body = answer.bytes().await.ok()?.to_vec();
        Some(Came {
            status,
            kind,
            body,
            took: began.elapsed(),
        })
    }
}

/// The operations of the document, and those that only `call` reaches.
async fn targets(server: &Server, document: &Value, theirs: &Theirs) -> Vec<Target> {
    let problem = problems(document);
    let mut targets = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let mut target = Target::of(path, method, operation, document, &problem);
            if let Some(Value::Object(sample)) = operation["x-operation"]
                .as_str()
                .map(|name| sent_by(name, theirs))
            {
                target.sample = sample;
            }
            targets.push(target);
        }
    }
    let by_call = document["paths"]["/call/{operation}"]["post"].clone();
    let listed = server.get("/api/v1/ops?schemas=true").await;
    for info in listed["operations"].as_array().expect("operations") {
        // The references of recursive types mean nothing inside of the document.
        if info["rest"].is_null() && info["input_schema"].get("$defs").is_none() {
            let mut operation = by_call.clone();
            operation["requestBody"]["content"]["application/json"]["schema"] = info["input_schema"].clone();
            operation["x-effect"] = info["effect"].clone();
            let name = info["name"].as_str().expect("a name");
            operation["operationId"] = json!(name);
            let path = format!("/call/{name}");
            targets.push(Target::of(&path, "post", &operation, document, &problem));
        }
    }
    targets
}

/// What was tried, and what was wrong.
#[derive(Default)]
struct Report {
    sent: usize,
    unanswered: usize,
    /// Told to come back later.
    away: usize,
    well: BTreeSet<String>,
    wrong: BTreeMap<(String, String), String>,
}

impl Report {
    fn add(&mut self, target: &Target, draft: &Draft, came: Option<Came>) -> Option<Value> {
        self.sent += 1;
        let Some(came) = came else {
            // The server may close before it has read what it refuses.
            self.unanswered += 1;
            return None;
        };
        let mut judged = target.promised.judge(&came, draft.off_road);
        if judged.is_ok() && draft.must_fail && came.status < 400 {
            judged = Err(format!("{} took what is broken", came.status));
        }
        if let Err(why) = judged {
            let answer: String = String::from_utf8_lossy(&came.body).chars().take(500).collect();
            let text = format!(
                "{} ({}): {why}\n  {}\n  -> {answer}",
                target.name,
                draft.how,
                draft.shown(target)
            );
            self.wrong.entry((target.name.clone(), why)).or_insert(text);
            return None;
        }
        self.away += usize::from(came.status == 503);
        if came.status >= 300 {
            return None;
        }
        self.well.insert(target.name.clone());
        serde_json::from_slice(&came.body).ok()
    }
}

async fn pool_of(db: &TestDb, server: &Server, dice: &mut Dice) -> (Pool, Theirs) {
    let owner = server.get("/api/v1/me").await;
    let user = owner["user"]["id"].as_str().expect("an id").to_owned();
    let mut pool = Pool::default();
    pool.spared.insert(user.clone());
    for key in server.get("/api/v1/keys").await["items"]
        .as_array()
        .expect("keys")
    {
        pool.spared.insert(key["id"].as_str().expect("an id").to_owned());
    }
    let owner = crate::process::Owner {
        workspace_id: String::new(),
        user_id: user,
        api_key: server.key.clone(),
    };
    let theirs = furnish(db, server, &owner).await;
    for (name, id) in &theirs.ids {
        pool.keep(name, id, dice);
    }
    for name in ["tasks.list", "projects.create", "agents.list", "no.such"] {
        pool.keep("operation", name, dice);
    }
    // They lead to providers outside: they go, and only their ids stay.
    for path in ["models/routes", "models/providers"] {
        let listed = server.get(&format!("/api/v1/{path}")).await;
        for one in listed["items"].as_array().expect("items") {
            let path = format!("/api/v1/{path}/{}", one["id"].as_str().expect("an id"));
            server.ask(Method::DELETE, &path, Value::Null).await;
        }
    }
    (pool, theirs)
}

async fn fuzz(db: &TestDb) {
    let seed = number("SYNAPSCALE_FUZZ_SEED", SEED);
    let rounds = number("SYNAPSCALE_FUZZ_ROUNDS", ROUNDS);
    let mut dice = Dice::new(seed);
    let owner = bootstrap(db).await;
    let variables = [
        ("SYNAPSCALE_RATE_FACTOR", "0"),
        ("SYNAPSCALE_LLM_LOCAL_OLLAMA", "false"),
    ];
    let server = Server::start_in(db, &owner.api_key, &[], &variables, db.folder()).await;
    let (mut pool, theirs) = pool_of(db, &server, &mut dice).await;
    let document = server.get("/api/v1/openapi.json").await;
    let mut targets = targets(&server, &document, &theirs).await;
    let began = Instant::now();
    let mut report = Report::default();
    for round in 0..rounds {
        // What makes things comes first in the first round, and in any order later.
        targets.sort_by_cached_key(|target| match round {
            0 => (u64::from(target.method == Method::DELETE), dice.next()),
            _ => (0, dice.next()),
        });
        for target in &targets {
            for number in 0..GOOD + BROKEN {
                let draft = match number < GOOD {
                    true => Draft::good(target, &document, &pool, &mut dice).0,
                    false => Draft::broken(target, &document, &pool, &mut dice),
                };
                let came = draft.send(&server, target).await;
                if let Some(answer) = report.add(target, &draft, came) {
                    pool.harvest(&target.noun, &answer, &mut dice);
                }
            }
        }
        if rounds > 1 {
            eprintln!(
                "fuzz: round {} of {rounds}, {} requests, {} differences",
                round + 1,
                report.sent,
                report.wrong.len()
            );
        }
    }
    let took = began.elapsed();
    eprintln!(
        "fuzz: seed {seed}, {} operations, {} requests in {took:.1?}, {} without an answer; {} operations succeeded at least once",
        targets.len(),
        report.sent,
        report.unanswered,
        report.well.len()
    );
    let told: Vec<&str> = report.wrong.values().take(TOLD).map(String::as_str).collect();
    assert!(
        told.is_empty(),
        "SYNAPSCALE_FUZZ_SEED={seed}: {} differences\n{}",
        report.wrong.len(),
        told.join("\n")
    );
    assert!(
        report.unanswered * 20 < report.sent,
        "{} of {} went unanswered",
        report.unanswered,
        report.sent
    );
    assert!(
        report.away * 50 < report.sent,
        "{} of {} were sent away",
        report.away,
        report.sent
    );
    assert!(
        report.well.len() * 2 > targets.len(),
        "only these succeeded: {:?}",
        report.well
    );
    // Whatever was sent, the server goes on and the caller may still come in.
    server.get("/api/v1/me").await;
    let log = std::fs::read_to_string(db.folder().join("server.log")).expect("a log");
    assert!(!log.contains("panic"), "a panic is in the log of seed {seed}");
}

db_test! {
    async fn every_answer_is_a_documented_one(db: TestDb) {
        fuzz(db).await;
    }
}
