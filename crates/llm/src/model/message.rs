//! Messages and their parts.

use super::Extra;
use schemars::JsonSchema;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The rules set by the product.
    System,
    /// The rules set by the developer; `system` where a provider does not know it.
    Developer,
    /// The person, or what stands for one.
    User,
    /// The model.
    Assistant,
    /// Results of tools.
    Tool,
}

/// One message. `content` is read from a plain string too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    #[serde(default, deserialize_with = "parts_or_text")]
    pub content: Vec<Part>,
    /// Fields not known here, such as `name` or `reasoning_details`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Words.
    Text(TextPart),
    /// A picture.
    Image(ImagePart),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// The model's reasoning, with the provider's signature over it.
    Thinking(ThinkingPart),
    /// Reasoning that the provider shows only encrypted.
    RedactedThinking {
        /// The encrypted reasoning, to be sent back as it is.
        data: String,
    },
    /// Anything else, kept and sent as it came.
    #[serde(untagged)]
    Unknown(Value),
}

/// Words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextPart {
    /// The words.
    pub text: String,
    /// Fields not known here, such as `cache_control` or `citations`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImagePart {
    /// The media type, such as `image/png`; needed with `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Where the picture is.
    #[serde(flatten)]
    pub source: ImageSource,
    /// How closely to look (`low`, `high`, `auto`), where a provider knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Where a picture is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    /// The bytes in base64.
    Data(String),
    /// An address that the provider fetches.
    Url(String),
}

/// A call of a tool that the model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// The id under which the result is given back.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments as the model wrote them; not always JSON.
    pub arguments: String,
    /// The arguments read; `None` when they are broken or were not read yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parsed: Option<Value>,
    /// Fields not known here, such as Gemini's `extra_content` with its thought signature.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The answer: text and pictures; read from a plain string too.
    #[serde(default, deserialize_with = "parts_or_text")]
    pub content: Vec<Part>,
    /// Whether the tool failed.
    #[serde(default)]
    pub is_error: bool,
}

/// The model's reasoning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThinkingPart {
    /// The reasoning; may be empty when the provider shows none and only signs.
    pub text: String,
    /// The provider's signature, without which it will not take the reasoning back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Message {
    /// A message of one text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self::of(role, vec![Part::text(text)])
    }

    /// A message of parts.
    pub fn of(role: Role, content: Vec<Part>) -> Self {
        Message {
            role,
            content,
            extra: Extra::new(),
        }
    }

    /// What the product sets.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, text)
    }

    /// What the person says.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// What the model said.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }

    /// What a tool answered.
    pub fn tool_result(id: impl Into<String>, text: impl Into<String>) -> Self {
        let result = ToolResult {
            id: id.into(),
            content: vec![Part::text(text)],
            is_error: false,
        };
        Self::of(Role::Tool, vec![Part::ToolResult(result)])
    }

    /// All text parts, one after the other.
    pub fn text(&self) -> String {
        let mut all = String::new();
        for part in &self.content {
            if let Part::Text(text) = part {
                all.push_str(&text.text);
            }
        }
        all
    }

    /// The calls of tools, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.content.iter().filter_map(|part| match part {
            Part::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

impl Part {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text(TextPart {
            text: text.into(),
            extra: Extra::new(),
        })
    }

    /// A picture given in base64.
    pub fn image_data(media_type: impl Into<String>, data: impl Into<String>) -> Self {
        let source = ImageSource::Data(data.into());
        Part::Image(ImagePart {
            media_type: Some(media_type.into()),
            source,
            detail: None,
        })
    }

    /// A picture that the provider fetches.
    pub fn image_url(url: impl Into<String>) -> Self {
        let source = ImageSource::Url(url.into());
        Part::Image(ImagePart {
            media_type: None,
            source,
            detail: None,
        })
    }
}

impl ToolCall {
    /// A call whose arguments are read if they can be; no arguments at all count as `{}`.
    pub fn new(id: String, name: String, arguments: String) -> Self {
        let arguments = if arguments.trim().is_empty() {
            "{}".to_owned()
        } else {
            arguments
        };
        let parsed = serde_json::from_str(&arguments).ok();
        ToolCall {
            id,
            name,
            arguments,
            parsed,
            extra: Extra::new(),
        }
    }
}

// By hand, so that a broken part of a known type is an error and not an unknown part.
impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let kind = value
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let known = [
            "text",
            "image",
            "tool_call",
            "tool_result",
            "thinking",
            "redacted_thinking",
        ];
        if !value.is_object() || kind.is_empty() {
            return Err(D::Error::custom("a part is an object with a `type`"));
        }
        if !known.contains(&kind.as_str()) {
            return Ok(Part::Unknown(value));
        }
        if let Some(map) = value.as_object_mut() {
            map.remove("type");
        }
        fn read<T: serde::de::DeserializeOwned, E: serde::de::Error>(value: Value) -> Result<T, E> {
            serde_json::from_value(value).map_err(E::custom)
        }
        match kind.as_str() {
            "text" => read(value).map(Part::Text),
            "image" => read(value).map(Part::Image),
            "tool_call" => read(value).map(Part::ToolCall),
            "tool_result" => read(value).map(Part::ToolResult),
            "thinking" => read(value).map(Part::Thinking),
            _ => match value.get("data").and_then(Value::as_str) {
                Some(data) => Ok(Part::RedactedThinking {
                    data: data.to_owned(),
                }),
                None => Err(D::Error::missing_field("data")),
            },
        }
    }
}

fn parts_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text)]),
        other => serde_json::from_value(other).map_err(D::Error::custom),
    }
}
