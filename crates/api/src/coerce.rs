//! Text from paths and queries made into JSON values by the operation's input schema. What does not fit stays text: the
//! gate's validation then says what is wrong, in the same words as for a body.

use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use synapscale_core::FieldError;

/// How deep `$ref`, `anyOf` and the like are followed.
const MAX_DEPTH: u32 = 8;

/// The kinds of value that a schema allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds {
    string: bool,
    integer: bool,
    number: bool,
    boolean: bool,
    array: bool,
    object: bool,
}

/// How the text of one parameter becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coerce {
    one: Scalar,
    many: Option<Scalar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    Text,
    Integer,
    Number,
    Boolean,
    Json,
}

impl Kinds {
    fn of(schema: &Value, root: &Value, depth: u32) -> Self {
        let mut kinds = Kinds::default();
        if depth < MAX_DEPTH {
            kinds.add(schema, root, depth);
        }
        kinds
    }

    fn add(&mut self, schema: &Value, root: &Value, depth: u32) {
        match &schema["type"] {
            Value::String(name) => self.name(name),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .for_each(|name| self.name(name)),
            _ => {}
        }
        let listed = schema["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
        for value in listed.iter().chain(schema.get("const")) {
            self.value(value);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            let parts = schema[word].as_array().map(Vec::as_slice).unwrap_or_default();
            for part in parts {
                self.merge(Kinds::of(part, root, depth + 1));
            }
        }
        if let Some(target) = resolve(schema, root) {
            self.merge(Kinds::of(target, root, depth + 1));
        }
    }

    fn name(&mut self, name: &str) {
        match name {
            "string" => self.string = true,
            "integer" => self.integer = true,
            "number" => self.number = true,
            "boolean" => self.boolean = true,
            "array" => self.array = true,
            "object" => self.object = true,
            _ => {}
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(_) => self.string = true,
            Value::Number(_) => self.number = true,
            Value::Bool(_) => self.boolean = true,
            _ => {}
        }
    }

    fn merge(&mut self, other: Kinds) {
        self.string |= other.string;
        self.integer |= other.integer;
        self.number |= other.number;
        self.boolean |= other.boolean;
        self.array |= other.array;
        self.object |= other.object;
    }

    /// Text wins where it is allowed, so that a search for `123` stays a search for text.
    fn scalar(self) -> Scalar {
        match self {
            Kinds { string: true, .. } => Scalar::Text,
            Kinds { number: true, .. } => Scalar::Number,
            Kinds { integer: true, .. } => Scalar::Integer,
            Kinds { boolean: true, .. } => Scalar::Boolean,
            Kinds { object: true, .. } => Scalar::Json,
            _ => Scalar::Text,
        }
    }
}

fn resolve<'a>(schema: &Value, root: &'a Value) -> Option<&'a Value> {
    let pointer = schema["$ref"].as_str()?.strip_prefix('#')?;
    root.pointer(pointer)
}

/// The schema of the items, wherever the array sits.
fn items<'a>(schema: &'a Value, root: &'a Value, depth: u32) -> Option<&'a Value> {
    if depth >= MAX_DEPTH {
        return None;
    }
    if let Some(items) = schema.get("items") {
        return Some(items);
    }
    let parts = ["anyOf", "oneOf", "allOf"].into_iter();
    let parts = parts.filter_map(|word| schema[word].as_array()).flatten();
    parts
        .chain(resolve(schema, root))
        .find_map(|part| items(part, root, depth + 1))
}

impl Coerce {
    /// The way for a parameter with `schema`, a part of the input schema `root`.
    pub fn of(schema: &Value, root: &Value) -> Self {
        let kinds = Kinds::of(schema, root, 0);
        let many = kinds.array.then(|| match items(schema, root, 0) {
            Some(items) => Kinds::of(items, root, 0).scalar(),
            None => Scalar::Text,
        });
        Coerce {
            one: kinds.scalar(),
            many,
        }
    }

    /// Plain text, for a parameter that the schema does not know.
    pub const TEXT: Coerce = Coerce {
        one: Scalar::Text,
        many: None,
    };

    /// The value of a path parameter.
    pub fn one(self, text: &str) -> Value {
        self.one.value(text)
    }
}

impl Scalar {
    fn value(self, text: &str) -> Value {
        let read = match self {
            Scalar::Text => None,
            Scalar::Integer => integer(text),
            Scalar::Number => integer(text).or_else(|| {
                let number = text.parse::<f64>().ok().and_then(Number::from_f64);
                number.map(Value::Number)
            }),
            Scalar::Boolean => match text {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            Scalar::Json => serde_json::from_str(text).ok().filter(Value::is_object),
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

fn integer(text: &str) -> Option<Value> {
    let signed = text.parse::<i64>().ok().map(Value::from);
    signed.or_else(|| text.parse::<u64>().ok().map(Value::from))
}

/// Reads a query string into `into` by the parameters that the operation knows. A key that `into` already has came from
/// the path.
pub(crate) fn read_query(
    query: &str,
    known: &HashMap<Box<str>, Coerce>,
    into: &mut Map<String, Value>,
    wrong: &mut Vec<FieldError>,
) {
    // Keys of this query whose value may not come twice.
    let mut seen: Vec<String> = Vec::new();
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        let Some(coerce) = known.get(&*key) else {
            wrong.push(unknown_field(&key));
            continue;
        };
        if let Some(item) = coerce.many {
            let list = into
                .entry(key.into_owned())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(item.value(&text));
            }
            continue;
        }
        if seen.iter().any(|name| *name == *key) {
            wrong.push(field(&key, "repeated", "This parameter may be given once only."));
            continue;
        }
        seen.push(key.clone().into_owned());
        into.insert(key.into_owned(), coerce.one(&text));
    }
}

/// Merges a body into the input that path and query made.
pub(crate) fn merge_body(
    body: Map<String, Value>,
    input: &mut Map<String, Value>,
    wrong: &mut Vec<FieldError>,
) {
    if input.is_empty() {
        *input = body;
        return;
    }
    for (key, value) in body {
        if input.contains_key(&key) {
            let words = "This field is already given by the address; leave it out of the body.";
            wrong.push(field(&key, "given_twice", words));
        } else {
            input.insert(key, value);
        }
    }
}

fn unknown_field(key: &str) -> FieldError {
    field(key, "unknown_field", "There is no such parameter.")
}

fn field(key: &str, code: &'static str, message: &str) -> FieldError {
    FieldError {
        pointer: format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        code: code.into(),
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "format": "uuid"},
                "limit": {"type": ["integer", "null"]},
                "ratio": {"type": "number"},
                "done": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
                "status": {"oneOf": [{"const": "open"}, {"const": "done"}]},
                "tags": {"type": "array", "items": {"type": "string"}},
                "years": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Year"}}, {"type": "null"}]},
                "where": {"type": "object"},
                "mixed": {"type": ["string", "integer"]},
            },
            "$defs": {"Year": {"type": "integer"}}
        })
    }

    fn known() -> HashMap<Box<str>, Coerce> {
        let root = schema();
        let properties = root["properties"].as_object().expect("properties");
        properties
            .iter()
            .map(|(name, part)| (name.as_str().into(), Coerce::of(part, &root)))
            .collect()
    }

    fn read(query: &str) -> (Value, Vec<FieldError>) {
        let (mut input, mut wrong) = (Map::new(), Vec::new());
        read_query(query, &known(), &mut input, &mut wrong);
        (Value::Object(input), wrong)
    }

    #[test]
    fn values_take_the_types_of_the_schema() {
        let (input, wrong) = read(
            "limit=20&ratio=0.5&done=true&status=open&tags=a&tags=b%20c&years=2024&where=%7B%22a%22%3A1%7D&mixed=7",
        );
        assert_eq!(wrong, []);
        let expected = json!({
            "limit": 20, "ratio": 0.5, "done": true, "status": "open", "tags": ["a", "b c"],
            "years": [2024], "where": {"a": 1}, "mixed": "7",
        });
        assert_eq!(input, expected);
    }

    #[test]
    fn what_does_not_fit_stays_text_for_the_validation() {
        let (input, wrong) = read("limit=many&done=1&ratio=NaN&where=%5B%5D&id=123");
        assert_eq!(wrong, []);
        let expected = json!({"limit": "many", "done": "1", "ratio": "NaN", "where": "[]", "id": "123"});
        assert_eq!(input, expected);
    }

    #[test]
    fn large_whole_numbers_stay_whole() {
        let (input, _) = read("limit=18446744073709551615");
        assert_eq!(input["limit"], json!(u64::MAX));
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused_with_a_pointer() {
        let (_, wrong) = read("limit=1&limit=2&a/b=3");
        let told: Vec<_> = wrong.iter().map(|f| (f.pointer.as_str(), &*f.code)).collect();
        assert_eq!(told, [("/limit", "repeated"), ("/a~1b", "unknown_field")]);
    }

    #[test]
    fn the_body_may_not_repeat_the_address() {
        let mut input = Map::from_iter([("id".to_owned(), json!("x"))]);
        let body = Map::from_iter([("id".to_owned(), json!("y")), ("title".to_owned(), json!("t"))]);
        let mut wrong = Vec::new();
        merge_body(body, &mut input, &mut wrong);
        assert_eq!(Value::Object(input), json!({"id": "x", "title": "t"}));
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].pointer, "/id");
    }
}
