//! Values for a JSON Schema: those that fit it, with a liking for its edges, and ways to break them.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Longest text that is made of a schema that allows longer ones, in characters.
const LONG: u64 = 20_000;
/// How deep values are made.
const DEEP: u32 = 6;
/// Most values kept for one name.
const KEPT: usize = 24;
/// Texts that have broken programs before.
const WORDS: &[&str] = &[
    "a",
    "Ä",
    "é́́",
    "日本語",
    "👩‍👩‍👧‍👦",
    "\u{202e}right to left",
    "\u{feff}",
    "'; DROP TABLE tasks; --",
    "{{ 1 + 1 }}",
    "%s%n",
    "../../x",
    "<script>",
    "\u{7f}",
    "\t",
    "null",
    "NaN",
    "-0",
    "1e999",
    "\\",
    "\"",
    "%_",
    "ﬁ",
    "İ",
    "ß",
    "\u{1f1e9}\u{1f1ea}",
];
const TIMES: &[&str] = &[
    "2026-02-28T23:59:59.999999Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "1969-12-31T23:59:59-12:00",
    "2024-02-29T12:00:00+14:00",
    "2016-12-31T23:59:60Z",
    "2026-11-01T01:30:00.123456789Z",
    "2026-03-29t02:30:00z",
];
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    255,
    65_536,
    i32::MAX as i64,
    1 << 53,
    i64::MAX,
    i64::MIN,
];

/// Chance with a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Whether it happens, so many times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// Ids and names that the server gave out, by the field they stand in.
#[derive(Default)]
pub struct Pool {
    known: BTreeMap<String, Vec<String>>,
    /// What the caller itself hangs on.
    pub spared: BTreeSet<String>,
}

impl Pool {
    pub fn keep(&mut self, name: &str, value: &str, dice: &mut Dice) {
        if self.spared.contains(value) {
            return;
        }
        let kept = self.known.entry(name.to_owned()).or_default();
        if kept.iter().any(|known| known == value) {
            return;
        }
        match kept.len() < KEPT {
            true => kept.push(value.to_owned()),
            false => kept[dice.below(KEPT as u64) as usize] = value.to_owned(),
        }
    }

    pub fn get(&self, name: &str, dice: &mut Dice) -> Option<String> {
        let kept = self.known.get(name).filter(|kept| !kept.is_empty())?;
        Some(dice.pick(kept).clone())
    }

    /// Keeps what an answer of an operation on `noun` tells.
    pub fn harvest(&mut self, noun: &str, answer: &Value, dice: &mut Dice) {
        match answer {
            Value::Array(items) => items
                .iter()
                .take(5)
                .for_each(|item| self.harvest(noun, item, dice)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(id) if name == "id" => {
                            let one = noun.rsplit('_').next().unwrap_or(noun).trim_end_matches('s');
                            self.keep(&format!("{one}_id"), id, dice);
                        }
                        Some(text) if name.ends_with("_id") || name == "node" => self.keep(name, text, dice),
                        Some(text) if name == "name" && noun == "workflows" => self.keep(name, text, dice),
                        Some(text) if name.ends_with("cursor") => self.keep("cursor", text, dice),
                        _ => self.harvest(noun, value, dice),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Makes values.
pub struct Maker<'a> {
    /// Where references lead.
    pub root: &'a Value,
    pub pool: &'a Pool,
    pub dice: &'a mut Dice,
}

impl Maker<'_> {
    /// A value that fits `schema`, as far as its keywords are known here. `name` is the field's.
    pub fn value(&mut self, schema: &Value, name: &str, depth: u32) -> Value {
        let target = schema["$ref"]
            .as_str()
            .and_then(|target| target.strip_prefix('#'));
        if let Some(found) = target.and_then(|pointer| self.root.pointer(pointer)).cloned() {
            return match depth < DEEP {
                true => self.value(&found, name, depth + 1),
                false => json!({}),
            };
        }
        if let Some(only) = schema.get("const") {
            return only.clone();
        }
        if let Some(words) = schema["enum"].as_array().filter(|words| !words.is_empty()) {
            return self.dice.pick(words).clone();
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(branches) = schema[word].as_array().filter(|branches| !branches.is_empty()) {
                return self.branch(schema, branches, name, depth);
            }
        }
        match self.kind(schema) {
            "null" => Value::Null,
            "boolean" => json!(self.dice.chance(50)),
            "integer" => self.integer(schema),
            "number" => match self.dice.below(4) {
                0 => json!(-0.0),
                1 => json!(1e-300),
                2 => schema.get("maximum").cloned().unwrap_or(json!(1e300)),
                _ => schema.get("minimum").cloned().unwrap_or(json!(0.1)),
            },
            "string" => json!(self.text(schema, name)),
            "array" => self.array(schema, name, depth),
            "object" => self.object(schema, depth),
            _ => self.anything(depth),
        }
    }

    /// One of the branches, and beside it the fields that all have.
    fn branch(&mut self, schema: &Value, branches: &[Value], name: &str, depth: u32) -> Value {
        let branch = self.dice.pick(branches).clone();
        let mut made = self.value(&branch, name, depth + 1);
        if schema.get("properties").is_some()
            && let (Value::Object(made), Value::Object(common)) = (&mut made, self.object(schema, depth))
        {
            common.into_iter().for_each(|(name, value)| {
                made.entry(name).or_insert(value);
            });
        }
        made
    }

    fn kind(&mut self, schema: &Value) -> &'static str {
        const KINDS: [&str; 7] = [
            "null", "boolean", "integer", "number", "string", "array", "object",
        ];
        let named = |word: &Value| KINDS.iter().copied().find(|kind| word == kind).unwrap_or("any");
        match &schema["type"] {
            Value::Array(kinds) if self.dice.chance(15) && kinds.contains(&json!("null")) => "null",
            Value::Array(kinds) => kinds
                .iter()
                .map(named)
                .find(|kind| *kind != "null")
                .unwrap_or("null"),
            Value::Null if schema.get("properties").is_some() => "object",
            word => named(word),
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
        let most = schema["maximum"]
            .as_i64()
            .unwrap_or(match schema["format"].as_str() {
                Some("int32") => i64::from(i32::MAX),
                Some("uint32") => i64::from(u32::MAX),
                _ => i64::MAX,
            });
        match self.dice.below(3) {
            0 => json!(least),
            1 => json!(most),
            _ => json!((*self.dice.pick(NUMBERS)).clamp(least, most)),
        }
    }

    fn text(&mut self, schema: &Value, name: &str) -> String {
        if self.dice.chance(70)
            && let Some(known) = self.pool.get(name, self.dice)
        {
            return known;
        }
        match schema["format"].as_str() {
            Some("uuid") => return self.uuid(),
            Some("date-time") => return (*self.dice.pick(TIMES)).to_owned(),
            Some("date") => return (*self.dice.pick(&["2026-02-28", "0001-01-01", "9999-12-31"])).to_owned(),
            // Names that nobody can ever have (RFC 6761): nothing is to leave this machine.
            Some("uri" | "url") => return "https://nobody.invalid/x?y=z#f".to_owned(),
            Some("email") => return format!("u{}@nobody.invalid", self.dice.below(1000)),
            _ => {}
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            let digits = pattern.starts_with("^[0-9]");
            let number = self.dice.below(99) * 10 + 1;
            return if digits {
                number.to_string()
            } else {
                format!("a{number}")
            };
        }
        let least = schema["minLength"].as_u64().unwrap_or(0);
        let most = schema["maxLength"].as_u64().unwrap_or(200).min(LONG).max(least);
        let length = match self.dice.below(8) {
            0 => least,
            1 => most,
            2 => most.saturating_sub(1).max(least),
            _ => (least + self.dice.below(12)).min(most),
        };
        let word = *self.dice.pick(WORDS);
        let text: String = word.chars().cycle().take(length as usize).collect();
        text
    }

    pub fn uuid(&mut self) -> String {
        match self.dice.below(6) {
            0 => "00000000-0000-0000-0000-000000000000".to_owned(),
            1 => "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
            _ => uuid::Uuid::from_u64_pair(self.dice.next(), self.dice.next()).to_string(),
        }
    }

    fn array(&mut self, schema: &Value, name: &str, depth: u32) -> Value {
        let least = schema["minItems"].as_u64().unwrap_or(0);
        let most = schema["maxItems"].as_u64().unwrap_or(4).max(least);
        let count = match self.dice.below(12) {
            0 => least,
            1 if depth < 2 && most <= 200 => most,
            _ => (least + self.dice.below(3)).min(most),
        };
        let one = name.strip_suffix('s').unwrap_or(name);
        let items = schema.get("items").cloned().unwrap_or(json!(true));
        let made = (0..count).map(|_| match depth < DEEP {
            true => self.value(&items, one, depth + 1),
            false => Value::Null,
        });
        Value::Array(made.collect())
    }

    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let mut made = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let needed = required.iter().any(|word| word == name);
            if needed || (depth < DEEP && self.dice.chance(35)) {
                let value = self.value(field, name, depth + 1);
                made.insert(name.clone(), value);
            }
        }
        let further = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) | None => None,
            Some(further) => Some(further.clone()),
        };
        if let Some(further) = further.filter(|_| depth < DEEP) {
            for _ in 0..self.dice.below(3) {
                let key = format!("k{}", self.dice.below(50));
                let value = self.value(&further, &key, depth + 1);
                made.insert(key, value);
            }
        }
        Value::Object(made)
    }

    fn anything(&mut self, depth: u32) -> Value {
        match self.dice.below(if depth < 3 { 8 } else { 6 }) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(*self.dice.pick(NUMBERS)),
            3 => json!(0.1),
            4 => json!(*self.dice.pick(WORDS)),
            5 => json!(""),
            6 => json!([self.anything(depth + 1), self.anything(depth + 1)]),
            _ => json!({ "a": self.anything(depth + 1), *self.dice.pick(WORDS): 1 }),
        }
    }

    /// Breaks `value` in one way; answers which.
    pub fn spoil(&mut self, value: &mut Map<String, Value>, schema: &Value) -> &'static str {
        let names: Vec<String> = schema["properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        if names.is_empty() || self.dice.chance(15) {
            value.insert("no_such_field".into(), json!(1));
            return "unknown field";
        }
        let name = self.dice.pick(&names).clone();
        let field = schema["properties"][&name].clone();
        match self.dice.below(7) {
            0 if value.remove(&name).is_some() => "field left out",
            1 => {
                let length = field["maxLength"].as_u64().unwrap_or(100_000).min(500_000) + 1;
                value.insert(name, json!("x".repeat(length as usize)));
                "too long"
            }
            2 => {
                let most = field["maximum"].as_i64().unwrap_or(i64::MAX - 1);
                value.insert(name, json!(most + 1));
                "too large"
            }
            3 => {
                value.insert(name, json!("a\u{0}b"));
                "NUL character"
            }
            4 => {
                let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
                value.insert(name, deep);
                "too deep"
            }
            5 => {
                let count = field["maxItems"].as_u64().unwrap_or(1000).min(5000) + 1;
                let items = (0..count).map(|number| json!(format!("i{number}"))).collect();
                value.insert(name, Value::Array(items));
                "too many"
            }
            _ => {
                let others = [
                    json!({ "a": [1] }),
                    json!([[]]),
                    json!(true),
                    json!(-1.5),
                    json!("?"),
                    Value::Null,
                ];
                value.insert(name, self.dice.pick(&others).clone());
                "another type"
            }
        }
    }
}
