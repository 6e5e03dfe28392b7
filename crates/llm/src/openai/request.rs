//! Writes the body of a call. Everything is borrowed: a picture is copied once, into the body.

use crate::adapter::{ANSWER_TOOL, Call, Fields};
use crate::model::{ImagePart, ImageSource, Message, Part, Role, ToolCall, ToolChoice, ToolResult};
use crate::presets::{EffortStyle, StructuredMode};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::json;

/// Fields that the unknown ones may not replace.
const RESERVED: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "response_format",
];

/// The body of a call.
pub(super) struct Body<'a>(pub &'a Call<'a>);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.0;
        let (request, quirks) = (call.request, &call.deployment.preset.quirks);
        let mut to = Fields {
            map: serializer.serialize_map(None)?,
            call,
        };
        to.map.serialize_entry("model", &call.deployment.model)?;
        to.map.serialize_entry("messages", &Messages(call))?;
        if call.stream {
            to.map.serialize_entry("stream", &true)?;
            if quirks.stream_usage {
                to.put("stream_options", &json!({"include_usage": true}))?;
            }
        }
        put_tools(&mut to)?;
        put_format(&mut to)?;
        to.put_some("temperature", request.temperature)?;
        to.put_some("top_p", request.top_p)?;
        to.put_some(
            quirks.max_tokens_field,
            request.max_tokens.or(call.deployment.max_tokens),
        )?;
        if !request.stop.is_empty() {
            to.put("stop", &request.stop)?;
        }
        to.put_some("seed", request.seed)?;
        if let Some(effort) = request.reasoning_effort {
            match call.deployment.effort_style() {
                EffortStyle::Field => to.put("reasoning_effort", effort.as_str())?,
                EffortStyle::Object => to.put("reasoning", &json!({"effort": effort.as_str()}))?,
                EffortStyle::Thinking | EffortStyle::Unsupported => {}
            }
        }
        if quirks.metadata && !request.metadata.is_empty() {
            to.put("metadata", &request.metadata)?;
        }
        to.put_extra(RESERVED)?;
        to.map.end()
    }
}

fn put_tools<M: SerializeMap>(to: &mut Fields<'_, M>) -> Result<(), M::Error> {
    let (call, request) = (to.call, to.call.request);
    let answer = call.schema_tool();
    if request.tools.is_empty() && answer.is_none() {
        return Ok(());
    }
    to.put("tools", &Tools(call))?;
    match (&request.tool_choice, answer) {
        // With other tools at hand the model may use them first, but it must not answer in words.
        (None | Some(ToolChoice::Auto), Some(_)) if !request.tools.is_empty() => {
            to.put("tool_choice", "required")?
        }
        (Some(ToolChoice::Tool(name)), _) => to.put("tool_choice", &choose(name))?,
        (Some(ToolChoice::Required), _) => to.put("tool_choice", "required")?,
        (_, Some(_)) => to.put("tool_choice", &choose(ANSWER_TOOL))?,
        (Some(ToolChoice::Auto), None) => to.put("tool_choice", "auto")?,
        (Some(ToolChoice::None), None) => to.put("tool_choice", "none")?,
        (None, None) => {}
    }
    if call.deployment.preset.quirks.parallel_tool_calls {
        to.put_some("parallel_tool_calls", request.parallel_tool_calls)?;
    }
    Ok(())
}

fn choose(name: &str) -> serde_json::Value {
    json!({"type": "function", "function": {"name": name}})
}

fn put_format<M: SerializeMap>(to: &mut Fields<'_, M>) -> Result<(), M::Error> {
    match to.call.structured {
        Some((StructuredMode::Native, format)) => to.put(
            "response_format",
            &Object([
                ("type", Node::Text("json_schema")),
                ("json_schema", Node::Any(format)),
            ]),
        ),
        Some((StructuredMode::JsonObject, _)) => to.put("response_format", &json!({"type": "json_object"})),
        _ => Ok(()),
    }
}

/// A small object of borrowed values.
struct Object<'a, const N: usize>([(&'a str, Node<'a>); N]);

enum Node<'a> {
    Text(&'a str),
    Any(&'a crate::model::JsonSchemaFormat),
}

impl<const N: usize> Serialize for Object<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(N))?;
        for (key, node) in &self.0 {
            match node {
                Node::Text(text) => map.serialize_entry(key, text)?,
                Node::Any(any) => map.serialize_entry(key, any)?,
            }
        }
        map.end()
    }
}

struct Tools<'a>(&'a Call<'a>);

struct Function<'a> {
    name: &'a str,
    description: Option<&'a str>,
    parameters: &'a serde_json::Value,
    strict: Option<bool>,
}

impl Serialize for Function<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        if let Some(text) = self.description {
            map.serialize_entry("description", text)?;
        }
        map.serialize_entry("parameters", self.parameters)?;
        if let Some(strict) = self.strict {
            map.serialize_entry("strict", &strict)?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct ToolWire<'a> {
    r#type: &'a str,
    function: Function<'a>,
}

impl Serialize for Tools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for tool in &self.0.request.tools {
            let function = Function {
                name: &tool.name,
                description: tool.description.as_deref(),
                parameters: &tool.parameters,
                strict: tool.strict,
            };
            seq.serialize_element(&ToolWire {
                r#type: "function",
                function,
            })?;
        }
        if let Some(format) = self.0.schema_tool() {
            let function = Function {
                name: ANSWER_TOOL,
                description: Some("Gives the answer. Call this once, with the whole answer."),
                parameters: &format.schema,
                strict: format.strict,
            };
            seq.serialize_element(&ToolWire {
                r#type: "function",
                function,
            })?;
        }
        seq.end()
    }
}

struct Messages<'a>(&'a Call<'a>);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = self.0;
        let mut seq = serializer.serialize_seq(None)?;
        let mut prompt = call.schema_prompt();
        for message in call.messages() {
            // The schema goes in front of the conversation, behind the rules.
            if !crate::adapter::is_rules(message.role)
                && let Some(text) = prompt.take()
            {
                seq.serialize_element(&json!({"role": "system", "content": text}))?;
            }
            write_message(&mut seq, call, message)?;
        }
        if let Some(text) = prompt {
            seq.serialize_element(&json!({"role": "system", "content": text}))?;
        }
        seq.end()
    }
}

/// One message of ours can be several of theirs: each result of a tool is one.
fn write_message<S: SerializeSeq>(seq: &mut S, call: &Call<'_>, message: &Message) -> Result<(), S::Error> {
    let mut results = false;
    for part in &message.content {
        if let Part::ToolResult(result) = part {
            results = true;
            seq.serialize_element(&ResultWire(result))?;
        }
    }
    let mut rest: Vec<&Part> = Vec::with_capacity(message.content.len());
    for part in &message.content {
        match part {
            // Their tool messages hold only text, so pictures follow as the user's.
            Part::ToolResult(result) => {
                rest.extend(result.content.iter().filter(|p| matches!(p, Part::Image(_))))
            }
            other => rest.push(other),
        }
    }
    if results && rest.is_empty() {
        return Ok(());
    }
    seq.serialize_element(&MessageWire {
        call,
        message,
        parts: rest,
    })
}

struct ResultWire<'a>(&'a ToolResult);

impl Serialize for ResultWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for part in &self.0.content {
            match part {
                Part::Text(part) => text.push_str(&part.text),
                Part::Image(_) => text.push_str("[The picture follows.]"),
                Part::Unknown(value) => text.push_str(&value.to_string()),
                _ => {}
            }
        }
        if self.0.is_error {
            text.insert_str(0, "Error: ");
        }
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("role", "tool")?;
        map.serialize_entry("tool_call_id", &self.0.id)?;
        map.serialize_entry("content", &text)?;
        map.end()
    }
}

struct MessageWire<'a> {
    call: &'a Call<'a>,
    message: &'a Message,
    parts: Vec<&'a Part>,
}

impl MessageWire<'_> {
    fn role(&self) -> &'static str {
        match self.message.role {
            Role::Developer if self.call.deployment.preset.quirks.developer_role => "developer",
            Role::System | Role::Developer => "system",
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
        }
    }

    fn extra_goes(&self, key: &str) -> bool {
        let echo = self.call.deployment.preset.quirks.echo;
        !matches!(key, "role" | "content" | "tool_calls")
            && (self.message.role != Role::Assistant || echo.contains(&key))
    }
}

impl Serialize for MessageWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", self.role())?;
        let calls: Vec<&ToolCall> = self.message.tool_calls().collect();
        let has_words = self
            .parts
            .iter()
            .any(|part| matches!(part, Part::Text(_) | Part::Image(_)));
        match has_words || calls.is_empty() {
            true => map.serialize_entry("content", &Content(&self.parts, self.message.role))?,
            false => map.serialize_entry("content", &())?,
        }
        if !calls.is_empty() {
            let calls: Vec<CallWire<'_>> = calls.into_iter().map(CallWire).collect();
            map.serialize_entry("tool_calls", &calls)?;
            if let Some(field) = self.call.deployment.preset.quirks.echo_reasoning {
                let thinking: String = self
                    .parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Thinking(thinking) => Some(thinking.text.as_str()),
                        _ => None,
                    })
                    .collect();
                map.serialize_entry(field, &thinking)?;
            }
        }
        for (key, value) in self.message.extra.iter().filter(|(key, _)| self.extra_goes(key)) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

struct CallWire<'a>(&'a ToolCall);

impl Serialize for CallWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Named<'a> {
            name: &'a str,
            arguments: &'a str,
        }
        let ToolCall {
            id,
            name,
            arguments,
            extra,
            ..
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &Named { name, arguments })?;
        for (key, value) in extra
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "id" | "type" | "function"))
        {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The content: a string where that is enough, since some providers know nothing else.
struct Content<'a>(&'a [&'a Part], Role);

impl Serialize for Content<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let assistant = self.1 == Role::Assistant;
        let plain = |part: &&Part| match part {
            Part::Text(text) => text.extra.is_empty(),
            Part::Image(_) => false,
            Part::Unknown(_) => assistant,
            _ => true,
        };
        if self.0.iter().all(plain) {
            let mut texts = self.0.iter().filter_map(|part| match part {
                Part::Text(text) => Some(text.text.as_str()),
                _ => None,
            });
            return match (texts.next(), texts.next()) {
                (None, _) => serializer.serialize_str(""),
                (Some(one), None) => serializer.serialize_str(one),
                (Some(one), Some(two)) => {
                    let all: Vec<&str> = [one, two].into_iter().chain(texts).collect();
                    serializer.serialize_str(&all.join("\n"))
                }
            };
        }
        let mut seq = serializer.serialize_seq(None)?;
        for part in self.0 {
            match part {
                Part::Text(text) => seq.serialize_element(&TextWire { r#type: "text", text })?,
                Part::Image(image) => seq.serialize_element(&ImageWire(image))?,
                Part::Unknown(value) if !assistant => seq.serialize_element(value)?,
                _ => {}
            }
        }
        seq.end()
    }
}

#[derive(serde::Serialize)]
struct TextWire<'a> {
    r#type: &'a str,
    #[serde(flatten)]
    text: &'a crate::model::TextPart,
}

struct ImageWire<'a>(&'a ImagePart);

impl Serialize for ImageWire<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Url<'a>(&'a ImagePart);
        impl Serialize for Url<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match &self.0.source {
                    ImageSource::Url(url) => serializer.serialize_str(url),
                    ImageSource::Data(data) => {
                        let media = self.0.media_type.as_deref().unwrap_or("image/png");
                        serializer.collect_str(&format_args!("data:{media};base64,{data}"))
                    }
                }
            }
        }
        #[derive(serde::Serialize)]
        struct Inner<'a> {
            url: Url<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", "image_url")?;
        map.serialize_entry(
            "image_url",
            &Inner {
                url: Url(self.0),
                detail: self.0.detail.as_deref(),
            },
        )?;
        map.end()
    }
}
