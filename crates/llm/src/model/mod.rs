//! Provider-neutral types of a call: what is asked, what comes back, and the pieces in between.

mod message;
mod request;
mod response;

pub use message::{
    ImagePart, ImageSource, Message, Part, Role, TextPart, ThinkingPart, ToolCall, ToolResult,
};
pub use request::{ChatRequest, JsonSchemaFormat, ReasoningEffort, ResponseFormat, Tool, ToolChoice};
pub use response::{ChatResponse, Delta, Finish, Usage};

/// Unknown fields, kept as they came.
pub type Extra = serde_json::Map<String, serde_json::Value>;
