//! JSON by a schema: finding it in what a model wrote, mending small faults, checking it, and asking once more.

use crate::adapter::ANSWER_TOOL;
use crate::error::{LlmError, LlmErrorKind, Result};
use crate::model::{ChatResponse, Finish, JsonSchemaFormat, Message, Part};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use synapscale_ops::CompiledSchema;

/// How many compiled schemas are kept.
const MAX_SCHEMAS: usize = 256;
/// How many faults are quoted to the model.
const MAX_FAULTS: usize = 8;
/// How much of a wrong answer is quoted to the model, in bytes.
const MAX_QUOTE: usize = 32 << 10;

/// What was mended to read an answer as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Repair {
    /// It stood between code fences or words.
    Extracted,
    /// Small faults of writing: commas too many, comments, words such as `None`, line ends in strings.
    Syntax,
    /// It broke off, and the open brackets were closed.
    Truncated,
}

/// Compiled schemas. Compiling costs a thousand times more than checking.
#[derive(Debug, Default)]
pub(crate) struct Schemas(Mutex<HashMap<Value, Arc<CompiledSchema>>>);

impl Schemas {
    pub fn get(&self, schema: &Value) -> Result<Arc<CompiledSchema>> {
        if let Some(validator) = self.lock().get(schema) {
            return Ok(Arc::clone(validator));
        }
        // Formats are told to the model and not held against it: providers do not keep to them.
        let compiled = CompiledSchema::compile(schema, false).map_err(|error| {
            LlmError::new(
                LlmErrorKind::InvalidRequest,
                format!("Not a JSON Schema: {error}"),
            )
        })?;
        let compiled = Arc::new(compiled);
        let mut all = self.lock();
        if all.len() >= MAX_SCHEMAS {
            all.clear();
        }
        all.insert(schema.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Value, Arc<CompiledSchema>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What a check found.
#[derive(Debug)]
pub(crate) enum Checked {
    /// The model asks for the caller's tools first.
    Tools,
    /// It fits.
    Fits(Value, Vec<Repair>),
    /// It does not, for these reasons.
    Wrong(String),
    /// The model or a filter declined.
    Declined(LlmError),
}

/// Checks an answer. What fits is put into the message as clean JSON.
pub(crate) fn check(response: &mut ChatResponse, validator: &CompiledSchema) -> Checked {
    unwrap_tool(response);
    if response.message.tool_calls().next().is_some() {
        return Checked::Tools;
    }
    if matches!(response.finish, Finish::Refusal | Finish::ContentFilter) {
        let words = "The model or the provider's filter declined to answer.";
        return Checked::Declined(LlmError::new(LlmErrorKind::ContentFiltered, words));
    }
    let text = response.message.text();
    let Some((value, repairs)) = read_json(&text) else {
        return Checked::Wrong("The answer is not JSON.".to_owned());
    };
    let faults: Vec<String> = validator
        .errors(&value)
        .take(MAX_FAULTS)
        .map(|error| {
            let at = error.instance_path().to_string();
            let mut words = error.to_string();
            if let Some((end, _)) = words.char_indices().nth(300) {
                words.truncate(end);
            }
            format!("{}: {words}", if at.is_empty() { "(the whole)" } else { &at })
        })
        .collect();
    if !faults.is_empty() {
        return Checked::Wrong(faults.join("\n"));
    }
    if !repairs.is_empty() {
        response
            .message
            .content
            .retain(|part| !matches!(part, Part::Text(_)));
        response.message.content.push(Part::text(value.to_string()));
    }
    Checked::Fits(value, repairs)
}

/// Turns the call of the answer's tool into the text that it stands for.
fn unwrap_tool(response: &mut ChatResponse) {
    let mut answered = false;
    response.message.content.retain_mut(|part| match part {
        Part::ToolCall(call) if call.name == ANSWER_TOOL => {
            let first = !std::mem::replace(&mut answered, true);
            *part = Part::text(std::mem::take(&mut call.arguments));
            first
        }
        _ => true,
    });
    if answered {
        let mut last = None;
        // Words beside the tool are not the answer.
        response.message.content.retain_mut(|part| match part {
            Part::Text(_) => {
                last = Some(std::mem::replace(part, Part::text("")));
                false
            }
            _ => true,
        });
        response.message.content.extend(last);
        response.finish = if response.finish == Finish::ToolCalls {
            Finish::Stop
        } else {
            response.finish.clone()
        };
    }
}

/// The two messages that quote a wrong answer and what is wrong with it.
pub(crate) fn ask_again(response: &ChatResponse, faults: &str, format: &JsonSchemaFormat) -> Vec<Message> {
    let mut said = response.message.text();
    if said.len() > MAX_QUOTE {
        let end = (0..=MAX_QUOTE)
            .rev()
            .find(|end| said.is_char_boundary(*end))
            .unwrap_or(0);
        said.truncate(end);
    }
    if said.trim().is_empty() {
        said = "(no answer)".to_owned();
    }
    let ask = format!(
        "That answer does not fit the schema `{}`:\n{faults}\nAnswer again, with the whole corrected JSON and \
         nothing else.",
        format.name
    );
    vec![Message::assistant(said), Message::user(ask)]
}

/// Finds JSON in what a model wrote. `None` when there is none to be found.
pub fn read_json(text: &str) -> Option<(Value, Vec<Repair>)> {
    let trimmed = text.trim().trim_start_matches('\u{feff}');
    if let Ok(value) = serde_json::from_str(trimmed) {
        return Some((value, Vec::new()));
    }
    let inner = unfence(trimmed);
    if let Ok(value) = serde_json::from_str(inner) {
        return Some((value, vec![Repair::Extracted]));
    }
    let start = inner.find(['{', '['])?;
    let candidate = &inner[start..];
    let mut stream = serde_json::Deserializer::from_str(candidate).into_iter::<Value>();
    if let Some(Ok(value)) = stream.next() {
        return Some((value, vec![Repair::Extracted]));
    }
    let (mended, truncated) = mend(candidate);
    let value = serde_json::from_str(&mended).ok()?;
    let mut repairs = Vec::new();
    if inner.len() != trimmed.len() || start > 0 {
        repairs.push(Repair::Extracted);
    }
    repairs.push(if truncated {
        Repair::Truncated
    } else {
        Repair::Syntax
    });
    Some((value, repairs))
}

/// What stands between the first pair of code fences, if there is one.
fn unfence(text: &str) -> &str {
    let Some((before, rest)) = text.split_once("```") else {
        return text;
    };
    // A fence inside of JSON belongs to a string.
    if before.contains(['{', '[']) {
        return text;
    }
    let body = rest
        .split_once('\n')
        .filter(|(word, _)| !word.contains(['{', '[']))
        .map_or(rest, |(_, body)| body);
    match body.rfind("```") {
        Some(end) => body[..end].trim(),
        None => body.trim(),
    }
}

/// Rewrites nearly-JSON as JSON, up to the end of its first value. Tells whether it had broken off.
fn mend(text: &str) -> (String, bool) {
    let mut mender = Mender {
        out: String::with_capacity(text.len() + 16),
        open: Vec::new(),
    };
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                if !mender.string(&mut chars) {
                    return mender.close();
                }
            }
            '{' | '[' => {
                mender.open.push(if c == '{' { '}' } else { ']' });
                mender.out.push(c);
            }
            '}' | ']' => {
                mender.drop_comma();
                // A bracket of the wrong kind closes what is open.
                mender.out.push(mender.open.pop().unwrap_or(c));
                if mender.open.is_empty() {
                    return (mender.out, false);
                }
            }
            '/' if text[at..].starts_with("//") => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '/' if text[at..].starts_with("/*") => {
                let end = text[at..].find("*/").map_or(text.len(), |end| at + end + 2);
                while chars.next_if(|(at, _)| *at < end).is_some() {}
            }
            c if c.is_alphabetic() => {
                let mut end = at + c.len_utf8();
                while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() || *c == '_') {
                    end = at + c.len_utf8();
                }
                mender.word(&text[at..end], chars.peek().is_none());
            }
            c => mender.out.push(c),
        }
    }
    mender.close()
}

struct Mender {
    out: String,
    open: Vec<char>,
}

impl Mender {
    /// Copies a string; false when it broke off.
    fn string(&mut self, chars: &mut impl Iterator<Item = (usize, char)>) -> bool {
        self.out.push('"');
        while let Some((_, c)) = chars.next() {
            match c {
                '"' => {
                    self.out.push('"');
                    return true;
                }
                '\\' => match chars.next() {
                    Some((_, next)) => self.out.extend(['\\', next]),
                    None => break,
                },
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c => self.out.push(c),
            }
        }
        // Half an escape such as `\u12` cannot be closed.
        if let Some(at) = self.out.rfind("\\u")
            && self.out.len() - at < 6
        {
            self.out.truncate(at);
        }
        self.out.push('"');
        false
    }

    fn word(&mut self, word: &str, at_end: bool) {
        match word {
            "None" | "undefined" | "NaN" => self.out.push_str("null"),
            "True" => self.out.push_str("true"),
            "False" => self.out.push_str("false"),
            word if at_end && "true".starts_with(word) => self.out.push_str("true"),
            word if at_end && "false".starts_with(word) => self.out.push_str("false"),
            word if at_end && "null".starts_with(word) => self.out.push_str("null"),
            word => self.out.push_str(word),
        }
    }

    fn drop_comma(&mut self) {
        let end = self.out.trim_end().len();
        if self.out[..end].ends_with(',') {
            self.out.truncate(end - 1);
        }
    }

    /// Closes what is open, after what was only begun is taken back.
    fn close(mut self) -> (String, bool) {
        self.drop_comma();
        let end = self.out.trim_end().len();
        self.out.truncate(end);
        if self.out.ends_with(':') {
            self.out.push_str("null");
        } else if self.out.ends_with(['-', '.']) {
            self.out.push('0');
        }
        // A name without its value.
        if self.open.last() == Some(&'}') && self.out.ends_with('"') {
            let mut probe = self.out.clone();
            probe.extend(self.open.iter().rev());
            if serde_json::from_str::<serde::de::IgnoredAny>(&probe).is_err() {
                self.out.push_str(":null");
            }
        }
        while let Some(bracket) = self.open.pop() {
            self.out.push(bracket);
        }
        (self.out, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_found_and_mended() {
        let read = |text: &str| read_json(text).map(|(value, _)| value);
        let want = Some(json!({"a": [1, 2], "b": "x"}));
        for text in [
            r#"{"a":[1,2],"b":"x"}"#,
            "Here it is:\n```json\n{\"a\":[1,2],\"b\":\"x\"}\n```\nDone.",
            "```\n{\"a\":[1,2],\"b\":\"x\"}",
            r#"Sure! {"a":[1,2],"b":"x"} I hope this helps {you}."#,
            r#"{"a":[1,2,],"b":"x",}"#,
            "{\"a\":[1, // one\n2], /* two */ \"b\":\"x\"}",
            r#"{"a":[1,2],"b":"x""#,
            r#"{"a":[1,2],"b":"x"#,
        ] {
            assert_eq!(read(text), want, "{text}");
        }
        assert_eq!(
            read(r#"{"t":True,"n":None,"s":"a```b"}"#),
            Some(json!({"t":true,"n":null,"s":"a```b"}))
        );
        assert_eq!(read("{\"s\":\"two\nlines\"}"), Some(json!({"s":"two\nlines"})));
        assert_eq!(
            read(r#"{"a":{"b":[1,{"c":tr"#),
            Some(json!({"a":{"b":[1,{"c":true}]}}))
        );
        assert_eq!(read("no json at all"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn every_truncation_is_survived() {
        let whole = r#"{"a":[1,-2.5e3,{"x":"ä\u00e9\"q"}],"b":null,"c":true}"#;
        let mut read = 0;
        for end in (1..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            if let Some((_, repairs)) = read_json(&whole[..end]) {
                assert_eq!(repairs, [Repair::Truncated]);
                read += 1;
            }
        }
        assert!(read > whole.len() * 3 / 4, "only {read} of {}", whole.len());
    }

    #[test]
    fn answers_are_checked() {
        let schemas = Schemas::default();
        let schema = json!({"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}});
        let validator = schemas.get(&schema).expect("schema");
        assert!(Arc::ptr_eq(&validator, &schemas.get(&schema).expect("schema")));
        let answer = |text: &str| ChatResponse {
            message: Message::assistant(text),
            ..ChatResponse::default()
        };
        let mut good = answer("```json\n{\"n\":1}\n```");
        assert!(matches!(check(&mut good, &validator), Checked::Fits(_, _)));
        assert_eq!(good.message.text(), r#"{"n":1}"#);
        let Checked::Wrong(faults) = check(&mut answer(r#"{"n":"x"}"#), &validator) else {
            panic!("fits");
        };
        assert!(faults.contains("/n"), "{faults}");
        assert!(schemas.get(&json!({"type": 7})).is_err());
    }
}
