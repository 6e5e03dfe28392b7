//! Writes the body of a call.

use crate::adapter::{ANSWER_TOOL, Call, Fields, is_rules};
use crate::model::{
    ImagePart, ImageSource, Part, ReasoningEffort, Role, TextPart, Tool, ToolCall, ToolChoice, ToolResult,
};
use crate::presets::{EffortStyle, StructuredMode};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// Fields that the unknown ones may not replace.
const RESERVED: &[&str] = &["model", "messages", "system", "stream", "tools", "max_tokens"];

/// The longest answer when nobody says: what every model of theirs can do.
const MAX_TOKENS: u32 = 4096;

/// The body of a call.
pub(super) struct Body<'a>(pub &'a Call<'a>);

/// How thinking is asked for.
enum Thinking {
    Off,
    Budget(u32),
    Adaptive(&'static str),
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.0;
        let request = call.request;
        let thinking = thinking(call);
        let mut to = Fields {
            map: serializer.serialize_map(None)?,
            call,
        };
        to.map.serialize_entry("model", &call.deployment.model)?;
        let answer = request
            .max_tokens
            .or(call.deployment.max_tokens)
            .unwrap_or(MAX_TOKENS);
        // Their limit counts thinking too; ours is for the answer.
        let limit = match thinking {
            Thinking::Budget(budget) => answer.saturating_add(budget),
            _ => answer,
        };
        to.map.serialize_entry("max_tokens", &limit)?;
        if call.stream {
            to.map.serialize_entry("stream", &true)?;
        }
        put_system(&mut to)?;
        to.map.serialize_entry("messages", &Messages(call))?;
        put_tools(&mut to, !matches!(thinking, Thinking::Off))?;
        put_thinking(&mut to, &thinking)?;
        // Thinking takes neither of these.
        if matches!(thinking, Thinking::Off) {
            to.put_some("temperature", request.temperature)?;
            to.put_some("top_p", request.top_p)?;
        }
        if !request.stop.is_empty() {
            to.put("stop_sequences", &request.stop)?;
        }
        if let Some(user) = request.metadata.get("user_id") {
            to.put("metadata", &json!({"user_id": user}))?;
        }
        to.put_extra(RESERVED)?;
        to.map.end()
    }
}

fn thinking(call: &Call<'_>) -> Thinking {
    let Some(effort) = call.request.reasoning_effort else {
        return Thinking::Off;
    };
    if call.deployment.effort_style() == EffortStyle::Unsupported {
        return Thinking::Off;
    }
    let budget = match effort {
        ReasoningEffort::None => return Thinking::Off,
        ReasoningEffort::Minimal => 1024,
        ReasoningEffort::Low => 2048,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 24576,
    };
    match takes_budget(&call.deployment.model) {
        true => Thinking::Budget(budget),
        false if effort == ReasoningEffort::Minimal => Thinking::Adaptive("low"),
        false => Thinking::Adaptive(effort.as_str()),
    }
}

/// Whether a model is of the generations that think within a budget of tokens.
fn takes_budget(model: &str) -> bool {
    const OLD: &[&str] = &[
        "claude-3",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-2025",
        "claude-sonnet-4-0",
    ];
    const MORE: &[&str] = &[
        "claude-sonnet-4-2025",
        "claude-sonnet-4-5",
        "claude-haiku-4-5",
        "claude-opus-4-5",
    ];
    OLD.iter().chain(MORE).any(|prefix| model.starts_with(prefix))
}

fn put_thinking<M: SerializeMap>(to: &mut Fields<'_, M>, thinking: &Thinking) -> Result<(), M::Error> {
    let mut config = serde_json::Map::new();
    match thinking {
        Thinking::Off => {}
        Thinking::Budget(budget) => {
            to.put("thinking", &json!({"type": "enabled", "budget_tokens": budget}))?
        }
        Thinking::Adaptive(effort) => {
            to.put("thinking", &json!({"type": "adaptive"}))?;
            config.insert("effort".to_owned(), json!(effort));
        }
    }
    if let Some((StructuredMode::Native, format)) = to.call.structured {
        config.insert(
            "format".to_owned(),
            json!({"type": "json_schema", "schema": format.schema}),
        );
    }
    match config.is_empty() || to.call.request.extra.contains_key("output_config") {
        true => Ok(()),
        false => to.put("output_config", &config),
    }
}

/// The rules: all messages of the roles system and developer, wherever they stand; the format has no other place.
fn put_system<M: SerializeMap>(to: &mut Fields<'_, M>) -> Result<(), M::Error> {
    let call = to.call;
    let rules = call
        .messages()
        .filter(|message| is_rules(message.role))
        .flat_map(|message| &message.content);
    let prompt = call.schema_prompt().map(Part::text);
    let blocks: Vec<Block<'_>> = rules.chain(&prompt).filter_map(block).collect();
    match blocks.is_empty() {
        true => Ok(()),
        false => to.map.serialize_entry("system", &blocks),
    }
}

fn put_tools<M: SerializeMap>(to: &mut Fields<'_, M>, thinking: bool) -> Result<(), M::Error> {
    let (call, request) = (to.call, to.call.request);
    let answer = call.schema_tool();
    if request.tools.is_empty() && answer.is_none() {
        return Ok(());
    }
    to.put("tools", &Tools(call))?;
    let mut choice = match (&request.tool_choice, answer) {
        // A forced tool and thinking exclude each other.
        (_, Some(_)) if thinking => json!({"type": "auto"}),
        (Some(ToolChoice::Tool(name)), _) => json!({"type": "tool", "name": name}),
        (Some(ToolChoice::Required), _) => json!({"type": "any"}),
        (None | Some(ToolChoice::Auto), Some(_)) if !request.tools.is_empty() => json!({"type": "any"}),
        (_, Some(_)) => json!({"type": "tool", "name": ANSWER_TOOL}),
        (Some(ToolChoice::None), None) => json!({"type": "none"}),
        (Some(ToolChoice::Auto) | None, None) => json!({"type": "auto"}),
    };
    let asked = request.tool_choice.is_some() || answer.is_some();
    if request.parallel_tool_calls == Some(false) && choice["type"] != "none" {
        choice["disable_parallel_tool_use"] = Value::Bool(true);
    } else if !asked {
        return Ok(());
    }
    to.put("tool_choice", &choice)
}

struct Tools<'a>(&'a Call<'a>);

#[derive(serde::Serialize)]
struct ToolWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
    #[serde(flatten)]
    extra: Option<&'a crate::model::Extra>,
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for Tool {
            name,
            description,
            parameters,
            strict,
            extra,
        } in &self.0.request.tools
        {
            seq.serialize_element(&ToolWire {
                name,
                description: description.as_deref(),
                input_schema: parameters,
                strict: strict.filter(|strict| *strict),
                extra: Some(extra),
            })?;
        }
        if let Some(format) = self.0.schema_tool() {
            seq.serialize_element(&ToolWire {
                name: ANSWER_TOOL,
                description: Some("Gives the answer. Call this once, with the whole answer."),
                input_schema: &format.schema,
                strict: None,
                extra: None,
            })?;
        }
        seq.end()
    }
}

struct Messages<'a>(&'a Call<'a>);

#[derive(serde::Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut turns: Vec<Turn<'_>> = Vec::new();
        for message in self.0.messages().filter(|message| !is_rules(message.role)) {
            let role = if message.role == Role::Assistant {
                "assistant"
            } else {
                "user"
            };
            // The results of parallel calls belong into one turn.
            if turns.last().is_none_or(|turn| turn.role != role) {
                turns.push(Turn {
                    role,
                    content: Vec::new(),
                });
            }
            if let Some(turn) = turns.last_mut() {
                turn.content.extend(message.content.iter().filter_map(block));
            }
        }
        turns.retain(|turn| !turn.content.is_empty());
        turns.serialize(serializer)
    }
}

/// A content block, borrowed.
#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text(&'a TextPart),
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: Input<'a>,
        #[serde(flatten)]
        extra: &'a crate::model::Extra,
    },
    ToolResult {
        tool_use_id: &'a str,
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
    Thinking {
        thinking: &'a str,
        signature: &'a str,
    },
    RedactedThinking {
        data: &'a str,
    },
    #[serde(untagged)]
    Unknown(&'a Value),
}

#[derive(serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

/// The arguments of a call, as the object that they must be.
struct Input<'a>(&'a ToolCall);

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.0.arguments.trim();
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) if text.starts_with('{') => raw.serialize(serializer),
            _ if text.is_empty() => json!({}).serialize(serializer),
            // Broken arguments are shown to the model as what they were.
            _ => json!({"INVALID_JSON": text}).serialize(serializer),
        }
    }
}

fn block(part: &Part) -> Option<Block<'_>> {
    match part {
        // Empty texts are refused.
        Part::Text(text) => (!text.text.is_empty()).then_some(Block::Text(text)),
        Part::Image(image) => Some(Block::Image {
            source: source(image),
        }),
        Part::ToolCall(call) => {
            let ToolCall { id, name, extra, .. } = call;
            Some(Block::ToolUse {
                id,
                name,
                input: Input(call),
                extra,
            })
        }
        Part::ToolResult(ToolResult {
            id,
            content,
            is_error,
        }) => Some(Block::ToolResult {
            tool_use_id: id,
            content: content.iter().filter_map(block).collect(),
            is_error: *is_error,
        }),
        // Without its signature it would be refused; that of another provider has none.
        Part::Thinking(thinking) => {
            let signature = thinking.signature.as_deref()?;
            Some(Block::Thinking {
                thinking: &thinking.text,
                signature,
            })
        }
        Part::RedactedThinking { data } => Some(Block::RedactedThinking { data }),
        Part::Unknown(value) => Some(Block::Unknown(value)),
    }
}

fn source(image: &ImagePart) -> Source<'_> {
    match &image.source {
        ImageSource::Url(url) => Source::Url { url },
        ImageSource::Data(data) => Source::Base64 {
            media_type: image.media_type.as_deref().unwrap_or("image/png"),
            data,
        },
    }
}
