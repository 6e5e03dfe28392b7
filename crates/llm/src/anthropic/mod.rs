//! Anthropic Messages.

mod parse;
mod request;
mod stream;

use crate::adapter::{Adapter, Call, StreamReader, WireRequest, to_body};
use crate::error::{LlmError, Result};
use crate::model::ChatResponse;
use http::StatusCode;

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl Adapter for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn request(&self, call: &Call<'_>) -> Result<WireRequest> {
        let body = to_body(&request::Body(call))?;
        Ok(WireRequest {
            path: "/messages",
            headers: vec![("anthropic-version", "2023-06-01")],
            body,
        })
    }

    fn parse(&self, body: &[u8]) -> Result<ChatResponse> {
        parse::response(body)
    }

    fn error(&self, status: StatusCode, body: &[u8]) -> LlmError {
        parse::error(Some(status.as_u16()), body)
    }

    fn stream(&self) -> Box<dyn StreamReader> {
        Box::new(stream::Reader::new())
    }
}
