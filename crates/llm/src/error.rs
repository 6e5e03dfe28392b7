//! What can go wrong with a call of a model, and what to do about it. No error holds a key.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use synapscale_core::{Error, ErrorKind as CoreKind};

/// Longest text of a provider that an error keeps, in characters.
const MAX_MESSAGE: usize = 1000;

/// `Result` with [`LlmError`].
pub type Result<T, E = LlmError> = std::result::Result<T, E>;

/// How far a call had come when its time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Waiting for the connection.
    Connect,
    /// Waiting for the first token.
    FirstToken,
    /// Waiting for the next bytes.
    Idle,
    /// The time for one attempt.
    Attempt,
    /// The time for the whole call.
    Total,
}

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LlmErrorKind {
    /// Too many calls; see `retry_after`.
    RateLimited,
    /// The provider has too much to do (503, 529).
    Overloaded,
    /// The key is missing, wrong, or may not do this.
    Unauthorized,
    /// The account with the provider is used up.
    Budget,
    /// The provider refuses the request as it is.
    InvalidRequest,
    /// The provider does not know the model or the address.
    NotFound,
    /// The conversation does not fit the model's window.
    ContextTooLong,
    /// The provider's filter refused the request or the answer.
    ContentFiltered,
    /// Time ran out.
    Timeout(Stage),
    /// No connection could be made.
    Connect,
    /// The answer broke off.
    CutStream,
    /// The answer cannot be read.
    Malformed,
    /// The answer is over the limit of size.
    TooLarge,
    /// A fault of the provider (5xx).
    Provider,
    /// The caller cancelled, or went away.
    Cancelled,
    /// The answer does not fit the schema, even at the second try.
    SchemaMismatch,
    /// The route has no deployment that may be tried now.
    NoDeployment,
    /// The deployment or the request cannot be used as it is: a fault of the caller.
    BadConfig,
}

/// A failed call.
#[derive(Clone, Debug)]
pub struct LlmError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: LlmErrorKind,
    message: String,
    status: Option<u16>,
    code: Option<String>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
}

impl LlmError {
    /// An error of `kind`; the message is cut to a bearable length and rid of what cannot be stored.
    pub fn new(kind: LlmErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // Errors are journalled, and PostgreSQL keeps no NUL in text.
        message.retain(|sign| sign != '\0');
        if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
            message.truncate(end);
        }
        LlmError(Box::new(Inner {
            kind,
            message,
            status: None,
            code: None,
            retry_after: None,
            request_id: None,
        }))
    }

    /// With the HTTP status that came.
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// With the provider's own code.
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.0.code = code;
        self
    }

    /// With the time after which to try again.
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    /// With the provider's id of the request.
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// With every occurrence of `secret` taken out: providers like to quote the key that they refuse.
    pub fn scrubbed(mut self, secret: &str) -> Self {
        if secret.len() >= 4 {
            for text in [Some(&mut self.0.message), self.0.code.as_mut()]
                .into_iter()
                .flatten()
            {
                if text.contains(secret) {
                    *text = text.replace(secret, "[key]");
                }
            }
        }
        self
    }

    /// The kind.
    pub fn kind(&self) -> LlmErrorKind {
        self.0.kind
    }

    /// The words, the provider's where it gave some.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status, where there was one.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The provider's own code, where it gave one.
    pub fn provider_code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// When to try again, as the provider asked.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The provider's id of the request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Whether the same deployment may be tried again with the same request.
    pub fn retryable(&self) -> bool {
        use LlmErrorKind::*;
        matches!(
            self.0.kind,
            RateLimited
                | Overloaded
                | Connect
                | CutStream
                | Malformed
                | Provider
                | Timeout(Stage::Connect | Stage::FirstToken | Stage::Idle)
        )
    }

    /// Whether another deployment may do better.
    pub fn failover(&self) -> bool {
        use LlmErrorKind::*;
        self.retryable()
            || matches!(
                self.0.kind,
                Unauthorized
                    | Budget
                    | NotFound
                    | ContextTooLong
                    | TooLarge
                    | BadConfig
                    | Timeout(Stage::Attempt)
            )
    }

    /// Whether the provider is to blame, for the breaker: never the caller's own faults, nor its rate.
    pub fn provider_fault(&self) -> bool {
        use LlmErrorKind::*;
        match self.0.kind {
            Overloaded | Connect | CutStream | Malformed | Provider => true,
            Timeout(stage) => stage != Stage::Total,
            _ => false,
        }
    }

    /// The stable word for the kind.
    pub fn word(&self) -> &'static str {
        use LlmErrorKind::*;
        match self.0.kind {
            RateLimited => "llm_rate_limited",
            Overloaded => "llm_overloaded",
            Unauthorized => "llm_unauthorized",
            Budget => "llm_budget",
            InvalidRequest => "llm_invalid_request",
            NotFound => "llm_not_found",
            ContextTooLong => "llm_context_too_long",
            ContentFiltered => "llm_content_filtered",
            Timeout(_) => "llm_timeout",
            Connect => "llm_connect",
            CutStream => "llm_cut_stream",
            Malformed => "llm_malformed",
            TooLarge => "llm_too_large",
            Provider => "llm_provider",
            Cancelled => "llm_cancelled",
            SchemaMismatch => "llm_schema_mismatch",
            NoDeployment => "llm_no_deployment",
            BadConfig => "llm_bad_config",
        }
    }
}

impl fmt::Display for LlmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.word())
    }
}

impl std::error::Error for LlmError {}

impl From<LlmError> for Error {
    fn from(error: LlmError) -> Self {
        use LlmErrorKind::*;
        let kind = match error.kind() {
            RateLimited => CoreKind::RateLimited,
            InvalidRequest | ContextTooLong | ContentFiltered | BadConfig => CoreKind::Invalid,
            Timeout(_) => CoreKind::Timeout,
            Cancelled => CoreKind::Cancelled,
            Overloaded | NoDeployment => CoreKind::Unavailable,
            _ => CoreKind::Upstream,
        };
        let mut core = Error::new(kind, error.word(), error.message());
        if let Some(after) = error.retry_after() {
            core = core.retry_after(after);
        }
        if error.retryable() { core.transient() } else { core }
    }
}
