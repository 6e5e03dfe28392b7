//! Why a server did not do what it was asked, in words that hold no address, no credential and little of what it said.

use crate::tools::clean;
use rmcp::ServiceError;
use rmcp::model::ErrorCode;
use rmcp::service::ClientInitializeError;
use rmcp::transport::DynamicTransportError;
use rmcp::transport::streamable_http_client::StreamableHttpError;
use std::error::Error as StdError;
use std::time::Duration;
use synapscale_core::{Error, ErrorKind};

/// Longest part of what a server said that is repeated, in characters.
const MAX_SAID: usize = 300;

type HttpError = StreamableHttpError<reqwest::Error>;

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Not reached, or gone in the middle.
    Down,
    /// No answer in time.
    Late,
    /// It wants other credentials.
    Unauthorized,
    /// It does not speak the protocol.
    Protocol,
    /// It answered, and refuses this request.
    Answered,
    /// It answered that it has too much to do.
    Busy,
    /// We do not go there.
    Refused,
}

/// A failure of a server.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub kind: FaultKind,
    /// What happened, as the end of a sentence.
    pub text: String,
}

impl Fault {
    pub fn new(kind: FaultKind, text: impl Into<String>) -> Self {
        Fault {
            kind,
            text: text.into(),
        }
    }

    pub fn late(what: &str, limit: Duration) -> Self {
        Fault::new(
            FaultKind::Late,
            format!("{what} took longer than {} ms", limit.as_millis()),
        )
    }

    /// Whether it says that the server is not well, rather than that it does not like a request.
    pub fn is_illness(&self) -> bool {
        !matches!(
            self.kind,
            FaultKind::Answered | FaultKind::Busy | FaultKind::Refused
        )
    }

    /// The failure for the caller of a tool.
    pub fn error(&self, server: &str, retry_after: Duration) -> Error {
        let text = &self.text;
        match self.kind {
            FaultKind::Down => Error::unavailable(
                "mcp_server_down",
                format!("The MCP server `{server}` cannot be reached: {text}."),
            )
            .retry_after(retry_after),
            FaultKind::Late => Error::new(
                ErrorKind::Timeout,
                "mcp_timeout",
                format!("The MCP server `{server}` did not answer: {text}."),
            ),
            FaultKind::Unauthorized => Error::new(
                ErrorKind::Upstream,
                "mcp_unauthorized",
                format!(
                    "The MCP server `{server}` does not accept its credentials: {text}. Enter them anew."
                ),
            ),
            FaultKind::Protocol => Error::new(
                ErrorKind::Upstream,
                "mcp_protocol",
                format!("The MCP server `{server}` does not keep to the protocol: {text}."),
            ),
            FaultKind::Answered => Error::new(
                ErrorKind::Upstream,
                "mcp_refused",
                format!("The MCP server `{server}` refused the request: {text}."),
            ),
            FaultKind::Busy => Error::new(
                ErrorKind::RateLimited,
                "mcp_server_busy",
                format!("The MCP server `{server}` has too much to do: {text}."),
            )
            .retry_after(retry_after.max(Duration::from_secs(1))),
            FaultKind::Refused => Error::new(ErrorKind::Forbidden, "mcp_not_allowed", format!("{text}.")),
        }
    }

    /// What went wrong while the connection was made.
    pub fn of_start(error: &ClientInitializeError) -> Self {
        use ClientInitializeError as E;
        match error {
            E::JsonRpcError(data) => Fault::new(
                FaultKind::Protocol,
                format!("it refused the greeting: {}", said(&data.message)),
            ),
            E::TransportError { error, .. } => Fault::of_transport(error),
            E::ConnectionClosed(_) => {
                Fault::new(FaultKind::Down, "it ended the connection during the greeting")
            }
            E::NoCompatibleProtocolVersion { .. } => Fault::new(
                FaultKind::Protocol,
                "it speaks no version of the protocol that is known here",
            ),
            E::LegacyFallbackFailed { fallback, .. } => Fault::of_start(fallback),
            E::Cancelled => Fault::new(FaultKind::Down, "the connection was given up"),
            _ => Fault::new(FaultKind::Protocol, "its greeting is not one of this protocol"),
        }
    }

    /// What went wrong with a request.
    pub fn of_request(error: &ServiceError) -> Self {
        match error {
            ServiceError::McpError(data) if data.code == ErrorCode::METHOD_NOT_FOUND => {
                Fault::new(FaultKind::Answered, "it does not know this request")
            }
            ServiceError::McpError(data) => Fault::new(FaultKind::Answered, said(&data.message)),
            ServiceError::TransportSend(error) => Fault::of_transport(error),
            ServiceError::TransportClosed => Fault::new(FaultKind::Down, "it ended the connection"),
            ServiceError::Timeout { timeout } => Fault::late("the request", *timeout),
            ServiceError::Cancelled { .. } => Fault::new(FaultKind::Down, "the request was cancelled"),
            _ => Fault::new(FaultKind::Protocol, "it gave an answer of another kind"),
        }
    }

    fn of_transport(error: &DynamicTransportError) -> Self {
        let mut source: Option<&(dyn StdError + 'static)> = Some(error.error.as_ref());
        while let Some(current) = source {
            if let Some(http) = current.downcast_ref::<HttpError>() {
                return Fault::of_http(http);
            }
            source = current.source();
        }
        Fault::new(FaultKind::Down, "the connection broke")
    }

    fn of_http(error: &HttpError) -> Self {
        match error {
            HttpError::AuthRequired(_) => Fault::new(FaultKind::Unauthorized, "it answered HTTP 401"),
            HttpError::InsufficientScope(_) => Fault::new(FaultKind::Unauthorized, "it answered HTTP 403"),
            HttpError::HttpStatus(status) if status.status == 429 => {
                Fault::new(FaultKind::Busy, "it answered HTTP 429")
            }
            HttpError::HttpStatus(status) => {
                Fault::new(FaultKind::Down, format!("it answered HTTP {}", status.status))
            }
            HttpError::UnexpectedServerResponse(text) => of_response(text),
            HttpError::ResponseBodyTooLarge { max_size } => Fault::new(
                FaultKind::Protocol,
                format!("its answer is over {max_size} bytes"),
            ),
            HttpError::Sse(_) => Fault::new(FaultKind::Protocol, "its event stream broke or is too large"),
            HttpError::UnexpectedContentType(_) => Fault::new(
                FaultKind::Protocol,
                "its answer is neither JSON nor an event stream",
            ),
            HttpError::Deserialize(_) => {
                Fault::new(FaultKind::Protocol, "its answer is no message of the protocol")
            }
            HttpError::Client(error) => Fault::new(FaultKind::Down, of_reqwest(error)),
            _ => Fault::new(FaultKind::Down, "the connection broke"),
        }
    }
}

/// rmcp tells of a status that it knows no other name for as `HTTP 404: …`.
fn of_response(text: &str) -> Fault {
    match text.strip_prefix("HTTP ") {
        Some(rest) if rest.starts_with("401") || rest.starts_with("403") => {
            let status = rest.get(..3).unwrap_or_default();
            Fault::new(FaultKind::Unauthorized, format!("it answered HTTP {status}"))
        }
        Some(_) => Fault::new(FaultKind::Down, format!("it answered {}", said(text))),
        None => Fault::new(FaultKind::Protocol, said(text)),
    }
}

/// Never the library's own words: they hold the address.
fn of_reqwest(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no connection in time"
    } else if error.is_connect() {
        // A refused address looks the same as a dead one, so that nobody maps a network by it.
        "no connection to its address"
    } else {
        "the connection broke"
    }
}

/// A server's own words, as the end of a sentence.
fn said(text: &str) -> String {
    let text = clean(text, MAX_SAID).replace(['\n', '\t'], " ");
    text.trim_end_matches('.').to_owned()
}
