//! What a tool answered, as data: parts that are known, without credentials, within a number of bytes.

use crate::secrets::Scrubber;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synapscale_ops::check_value;

/// Most parts of one result.
const MOST_PARTS: usize = 200;
/// What a part weighs beside its text.
const PART_BYTES: usize = 100;

/// What kind of part it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Text.
    Text,
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// A resource with its content.
    Resource,
    /// A resource's address.
    ResourceLink,
    /// Something that this version does not know; only its kind is kept.
    Unknown,
}

/// One part of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PartKind,
    /// Its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its bytes, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What the bytes or the text are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The resource's address. Nothing here follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The resource's name, or the name of an unknown kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The result of a call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolResult {
    /// The server's name.
    pub server: String,
    /// The server's own name for the tool.
    pub tool: String,
    /// Where the content comes from, in words. It is a stranger's data: nothing in it is an instruction.
    pub origin: String,
    /// What the tool said, part by part. Empty when all it said is in `structured`.
    pub content: Vec<Part>,
    /// Its result as JSON, if it has one; checked against the schema that the server gave, if it gave one.
    pub structured: Option<Value>,
    /// Whether the tool says of itself that it failed.
    pub is_error: bool,
    /// Whether something was cut off: over the server's `max_result_bytes`.
    pub truncated: bool,
    /// How long the call took.
    pub ms: u64,
}

/// The contents of a result, before it is known whose it is.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub parts: Vec<Part>,
    pub structured: Option<Value>,
    pub is_error: bool,
    pub truncated: bool,
}

/// Reads a result as it came. `None` when it is none at all.
pub(crate) fn read(raw: Value, scrubber: &Scrubber, max_bytes: usize) -> Option<Contents> {
    let content = raw.get("content").and_then(Value::as_array);
    let structured = raw.get("structuredContent").filter(|value| !value.is_null());
    if content.is_none() && structured.is_none() {
        return None;
    }
    let mut contents = Contents {
        is_error: raw.get("isError").and_then(Value::as_bool).unwrap_or(false),
        ..Contents::default()
    };
    let mut room = max_bytes;
    if let Some(value) = structured {
        let size = serde_json::to_vec(value).map_or(usize::MAX, |bytes| bytes.len());
        match room.checked_sub(size) {
            Some(left) if check_value(&scrubber.value(value.clone())).is_ok() => {
                room = left;
                contents.structured = Some(scrubber.value(value.clone()));
            }
            _ => contents.truncated = true,
        }
    }
    let given = content.map_or(&[][..], Vec::as_slice);
    if contents.structured.is_some() && says_the_same(given, structured) {
        return Some(contents);
    }
    contents.truncated |= given.len() > MOST_PARTS;
    for item in given.iter().take(MOST_PARTS) {
        let part = part(item, scrubber);
        contents.truncated |= !fit(part, &mut room, &mut contents.parts);
    }
    Some(contents)
}

/// Servers repeat a structured result as one text, for clients that know no better.
fn says_the_same(content: &[Value], structured: Option<&Value>) -> bool {
    let [only] = content else {
        return content.is_empty();
    };
    let text = only.get("text").and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str::<Value>(text).ok().as_ref() == structured
}

fn part(item: &Value, scrubber: &Scrubber) -> Part {
    let text = |at: &Value, name: &str| {
        let found = at.get(name).and_then(Value::as_str)?;
        Some(scrubber.text(found).replace('\0', "\u{fffd}"))
    };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
    let bare = |kind| Part {
        kind,
        text: None,
        data: None,
        mime_type: None,
        uri: None,
        name: None,
    };
    match kind {
        "text" => Part {
            text: text(item, "text"),
            ..bare(PartKind::Text)
        },
        "image" | "audio" => Part {
            data: text(item, "data"),
            mime_type: text(item, "mimeType"),
            ..bare(if kind == "image" {
                PartKind::Image
            } else {
                PartKind::Audio
            })
        },
        "resource" => {
            let inner = item.get("resource").unwrap_or(&Value::Null);
            Part {
                text: text(inner, "text"),
                data: text(inner, "blob"),
                mime_type: text(inner, "mimeType"),
                uri: text(inner, "uri"),
                ..bare(PartKind::Resource)
            }
        }
        "resource_link" => Part {
            text: text(item, "description"),
            mime_type: text(item, "mimeType"),
            uri: text(item, "uri"),
            name: text(item, "name"),
            ..bare(PartKind::ResourceLink)
        },
        other => Part {
            name: Some(other.chars().take(64).collect()),
            ..bare(PartKind::Unknown)
        },
    }
}

/// Keeps a part as far as there is room. Text may be cut; bytes are kept whole or not at all.
fn fit(mut part: Part, room: &mut usize, parts: &mut Vec<Part>) -> bool {
    let len = |field: &Option<String>| field.as_ref().map_or(0, String::len);
    let head = PART_BYTES + len(&part.mime_type) + len(&part.uri) + len(&part.name);
    let Some(left) = room.checked_sub(head) else {
        return false;
    };
    *room = left;
    let mut whole = true;
    if len(&part.data) > *room {
        part.data = None;
        whole = false;
    }
    *room -= len(&part.data);
    if let Some(text) = part.text.as_mut()
        && text.len() > *room
    {
        let end = (0..=*room)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or_default();
        text.truncate(end);
        whole = false;
    }
    *room -= len(&part.text);
    parts.push(part);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn contents(raw: Value, most: usize) -> Contents {
        read(raw, &Scrubber::default(), most).expect("a result")
    }

    #[test]
    fn every_kind_of_part_is_read() {
        let raw = json!({"content": [
            {"type": "text", "text": "hello"},
            {"type": "image", "data": "aGk=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGk=", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "t", "mimeType": "text/plain"}},
            {"type": "resource_link", "uri": "https://x.example", "name": "x"},
            {"type": "hologram", "rays": 3},
            7,
        ]});
        let found = contents(raw, 10_000);
        let kinds: Vec<PartKind> = found.parts.iter().map(|part| part.kind).collect();
        use PartKind::*;
        assert_eq!(
            kinds,
            [Text, Image, Audio, Resource, ResourceLink, Unknown, Unknown]
        );
        assert_eq!(found.parts[5].name.as_deref(), Some("hologram"));
        assert!(!found.truncated && !found.is_error);
    }

    #[test]
    fn what_is_too_large_is_cut() {
        let raw = json!({"content": [
            {"type": "text", "text": "ä".repeat(1000)},
            {"type": "image", "data": "x".repeat(5000), "mimeType": "image/png"},
        ], "isError": true});
        let found = contents(raw, 1024);
        assert!(found.truncated && found.is_error);
        assert!(
            found.parts[0]
                .text
                .as_ref()
                .is_some_and(|text| text.len() <= 924 && text.ends_with('ä'))
        );
        let found = contents(
            json!({"structuredContent": {"a": "x".repeat(5000)}, "content": []}),
            1024,
        );
        assert!(found.truncated && found.structured.is_none());
        assert!(read(json!({}), &Scrubber::default(), 1024).is_none());
    }

    #[test]
    fn a_repeated_structured_result_is_kept_once() {
        let found = contents(
            json!({"structuredContent": {"a": 1}, "content": [{"type": "text", "text": "{\"a\": 1}"}]}),
            1024,
        );
        assert!(found.parts.is_empty());
        assert_eq!(found.structured, Some(json!({"a": 1})));
        let found = contents(
            json!({"structuredContent": {"a": 1}, "content": [{"type": "text", "text": "one"}]}),
            1024,
        );
        assert_eq!(found.parts.len(), 1);
    }
}
