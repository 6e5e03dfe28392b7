//! The service against a provider that behaves as badly as providers do.

mod anthropic;
mod faults;
mod openai;
mod standin;
mod structured;
