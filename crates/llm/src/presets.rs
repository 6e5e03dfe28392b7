//! Providers as data: address, way of signing, and habits. A new OpenAI-compatible provider is one entry here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The wire format that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wire {
    /// OpenAI Chat Completions.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
}

/// Where the key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of this name.
    Header(&'static str),
}

/// How JSON by a schema is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StructuredMode {
    /// The provider takes the schema itself.
    Native,
    /// The provider promises JSON; the schema goes into the prompt.
    JsonObject,
    /// A tool whose arguments are the answer.
    Tool,
    /// Only asked for in the prompt.
    Prompt,
}

/// How the length of thinking is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffortStyle {
    /// `reasoning_effort: "low"`.
    Field,
    /// `reasoning: {"effort": "low"}`.
    Object,
    /// Anthropic: by a budget of tokens for old models, by `output_config.effort` for new ones.
    Thinking,
    /// Not at all.
    Unsupported,
}

/// A provider's habits.
#[derive(Clone, Copy, Debug)]
pub struct Quirks {
    /// The name of the field for the longest answer.
    pub max_tokens_field: &'static str,
    /// Whether the role `developer` is known.
    pub developer_role: bool,
    /// Whether `stream_options.include_usage` is known.
    pub stream_usage: bool,
    /// Whether `metadata` is known.
    pub metadata: bool,
    /// Whether `parallel_tool_calls` is known.
    pub parallel_tool_calls: bool,
    /// How the length of thinking is asked for.
    pub effort: EffortStyle,
    /// The field in which reasoning goes back with calls of tools, present even when empty.
    pub echo_reasoning: Option<&'static str>,
    /// Unknown fields of the model's messages that go back with them.
    pub echo: &'static [&'static str],
    /// How JSON by a schema is asked for.
    pub structured: StructuredMode,
}

/// A provider as data.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The stable name; also the provider's name in the price file.
    pub name: &'static str,
    /// What to call it in front of people.
    pub label: &'static str,
    /// What it speaks.
    pub wire: Wire,
    /// Its address, without a slash at the end; empty when there is no usual one.
    pub base_url: &'static str,
    /// Where the key goes.
    pub auth: Auth,
    /// Whether calls without a key make sense.
    pub key_optional: bool,
    /// Whether it usually runs on one's own machine.
    pub local: bool,
    /// Its habits.
    pub quirks: Quirks,
}

const PLAIN: Quirks = Quirks {
    max_tokens_field: "max_tokens",
    developer_role: false,
    stream_usage: true,
    metadata: false,
    parallel_tool_calls: true,
    effort: EffortStyle::Field,
    echo_reasoning: None,
    echo: &[],
    structured: StructuredMode::Native,
};

const fn compatible(
    name: &'static str,
    label: &'static str,
    base_url: &'static str,
    quirks: Quirks,
) -> Preset {
    let (wire, auth) = (Wire::OpenAi, Auth::Bearer);
    Preset {
        name,
        label,
        wire,
        base_url,
        auth,
        key_optional: false,
        local: false,
        quirks,
    }
}

const fn local(mut preset: Preset) -> Preset {
    preset.key_optional = true;
    preset.local = true;
    preset
}

/// Every preset.
pub const PRESETS: &[Preset] = &[
    compatible(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        Quirks {
            max_tokens_field: "max_completion_tokens",
            developer_role: true,
            metadata: true,
            ..PLAIN
        },
    ),
    Preset {
        name: "anthropic",
        label: "Anthropic",
        wire: Wire::Anthropic,
        base_url: "https://api.anthropic.com/v1",
        auth: Auth::Header("x-api-key"),
        key_optional: false,
        local: false,
        // A tool works with every model of theirs; deployments of newer models may set `native`.
        quirks: Quirks {
            effort: EffortStyle::Thinking,
            structured: StructuredMode::Tool,
            metadata: true,
            ..PLAIN
        },
    },
    local(compatible(
        "ollama",
        "Ollama",
        "http://127.0.0.1:11434/v1",
        Quirks {
            parallel_tool_calls: false,
            ..PLAIN
        },
    )),
    local(compatible("vllm", "vLLM", "http://127.0.0.1:8000/v1", PLAIN)),
    local(compatible(
        "llamacpp",
        "llama.cpp",
        "http://127.0.0.1:8080/v1",
        PLAIN,
    )),
    local(compatible(
        "lmstudio",
        "LM Studio",
        "http://127.0.0.1:1234/v1",
        PLAIN,
    )),
    compatible("groq", "Groq", "https://api.groq.com/openai/v1", PLAIN),
    compatible(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com/v1",
        Quirks {
            parallel_tool_calls: false,
            echo_reasoning: Some("reasoning_content"),
            structured: StructuredMode::JsonObject,
            ..PLAIN
        },
    ),
    compatible(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        Quirks {
            effort: EffortStyle::Object,
            echo: &["reasoning_details"],
            ..PLAIN
        },
    ),
    compatible(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        Quirks {
            stream_usage: false,
            effort: EffortStyle::Unsupported,
            ..PLAIN
        },
    ),
    compatible("together", "Together", "https://api.together.xyz/v1", PLAIN),
    compatible(
        "fireworks",
        "Fireworks",
        "https://api.fireworks.ai/inference/v1",
        PLAIN,
    ),
    compatible("xai", "xAI", "https://api.x.ai/v1", PLAIN),
    compatible(
        "gemini",
        "Google Gemini",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        Quirks {
            parallel_tool_calls: false,
            ..PLAIN
        },
    ),
    Preset {
        key_optional: true,
        ..compatible(
            "openai_compatible",
            "OpenAI-compatible",
            "",
            Quirks {
                effort: EffortStyle::Field,
                ..PLAIN
            },
        )
    },
];

/// The preset of this name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}
