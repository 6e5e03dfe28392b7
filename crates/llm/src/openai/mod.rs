//! OpenAI Chat Completions, as spoken by OpenAI and by everybody who copied it.

mod parse;
mod request;
mod stream;

use crate::adapter::{Adapter, Call, StreamReader, WireRequest, to_body};
use crate::error::{LlmError, Result};
use crate::model::ChatResponse;
use http::StatusCode;

/// The adapter.
#[derive(Clone, Copy, Debug)]
pub struct OpenAi;

impl Adapter for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn request(&self, call: &Call<'_>) -> Result<WireRequest> {
        let body = to_body(&request::Body(call))?;
        Ok(WireRequest {
            path: "/chat/completions",
            headers: Vec::new(),
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
