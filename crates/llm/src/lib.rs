//! The model service: one call to many providers, in this process. The modules beside `service` know only the wire, no
//! database and no operations; `service` keeps providers, routes and usage, and offers them as operations.

pub mod adapter;
mod anthropic;
mod assemble;
mod attempt;
mod breaker;
mod client;
mod deployment;
mod discover;
mod error;
pub mod model;
mod openai;
mod presets;
mod price;
mod retry;
mod route;
mod router;
mod secret;
pub mod service;
mod spans;
mod sse;
mod structured;

pub use breaker::{Breaker, BreakerConfig, BreakerState, Verdict};
pub use client::ClientConfig;
pub use deployment::{Deployment, RetryPolicy, Timeouts};
pub use discover::{FoundOllama, OllamaDetails, OllamaModel, discover_ollama};
pub use error::{LlmError, LlmErrorKind, Result, Stage};
pub use presets::{Auth, EffortStyle, PRESETS, Preset, Quirks, StructuredMode, Wire, preset};
pub use price::{Cost, Price, PriceBook, Pricing};
pub use retry::retry_after;
pub use route::{Attempt, Completed, Failed, NoSink, Route, Sink, SinkClosed, Strategy};
pub use router::{Router, RouterConfig};
pub use secret::Secret;
pub use service::{Models, ModelsConfig};
pub use sse::{SseError, SseEvent, SseParser};
pub use structured::{Repair, read_json};
