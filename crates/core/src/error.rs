//! The one error that crosses layers: a kind for machines, a stable code, words for people, a pointer per bad field.
//! The wire shows these and never the source.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; each has one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Not to be read at all (400).
    Malformed,
    /// Nobody proved who they are (401).
    Unauthenticated,
    /// Known, and not allowed (403).
    Forbidden,
    /// No such thing, or none of this tenant's (404).
    NotFound,
    /// Does not fit the present state (409).
    Conflict,
    /// Changed since it was read (412).
    Stale,
    /// Over a stated limit of size, depth or count (413).
    TooLarge,
    /// A media type or a method that is not served (415).
    Unsupported,
    /// Read, and breaks a rule (422).
    Invalid,
    /// Too many calls (429).
    RateLimited,
    /// The caller went away or cancelled (499).
    Cancelled,
    /// A fault of ours (500).
    Internal,
    /// An outside service failed (502).
    Upstream,
    /// For now not possible; try again (503).
    Unavailable,
    /// Took too long (504).
    Timeout,
}

/// One bad field: where, what, and a stable code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the input; empty for the whole.
    pub pointer: String,
    /// Stable machine code, such as `required` or `unknown_field`.
    pub code: Cow<'static, str>,
    /// What is wrong, in words.
    pub message: String,
}

/// A failure. Cheap to move; the details are boxed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error(Box<Inner>);

#[derive(Clone, Serialize, Deserialize)]
struct Inner {
    kind: ErrorKind,
    code: Cow<'static, str>,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// For logs only: what lies underneath. Never serialised.
    #[serde(skip)]
    source: Option<String>,
    /// Trying the same again may work.
    #[serde(skip)]
    transient: bool,
}

impl Error {
    /// An error of `kind` with a stable `code` and words for people.
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            code: code.into(),
            message: message.into(),
            fields: Vec::new(),
            retry_after_ms: None,
            source: None,
            transient: false,
        }))
    }

    /// 400: the input cannot be read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, "malformed", message)
    }

    /// 401.
    pub fn unauthenticated() -> Self {
        Self::new(
            ErrorKind::Unauthenticated,
            "unauthenticated",
            "No valid credentials. Send an API key as `Authorization: Bearer …`.",
        )
    }

    /// 403.
    pub fn forbidden(permission: &str) -> Self {
        let message = format!("This needs the permission `{permission}`, which you do not have here.");
        Self::new(ErrorKind::Forbidden, "forbidden", message)
    }

    /// 404: `what` is a noun, such as `task`.
    pub fn not_found(what: &str) -> Self {
        Self::new(
            ErrorKind::NotFound,
            "not_found",
            format!("There is no such {what}."),
        )
    }

    /// 409.
    pub fn conflict(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, message)
    }

    /// 412: it changed since it was read.
    pub fn stale(what: &str, expected: i64, found: i64) -> Self {
        let message = format!(
            "The {what} changed since you read it: you expected revision {expected}, it is at {found}."
        );
        Self::new(ErrorKind::Stale, "stale_revision", message)
    }

    /// The same, of one field of the input.
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        let field = FieldError {
            pointer: pointer.into(),
            code: self.code().to_owned().into(),
            message: self.message().to_owned(),
        };
        self.0.fields = vec![field];
        self
    }

    /// 422 for one field.
    pub fn invalid(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self::invalid_fields(vec![FieldError {
            pointer: pointer.into(),
            code: code.into(),
            message: message.into(),
        }])
    }

    /// 422 with all bad fields at once.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let message = match fields.as_slice() {
            [one] if one.pointer.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.pointer, one.message),
            many => format!("{} fields are not valid.", many.len()),
        };
        let mut error = Self::new(ErrorKind::Invalid, "invalid", message);
        error.0.fields = fields;
        error
    }

    /// 413.
    pub fn too_large(what: &str, limit: impl fmt::Display) -> Self {
        let message = format!("The {what} is over the limit of {limit}.");
        Self::new(ErrorKind::TooLarge, "too_large", message)
    }

    /// 429.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::new(
            ErrorKind::RateLimited,
            "rate_limited",
            "Too many calls. Wait and try again.",
        )
        .retry_after(retry_after)
    }

    /// 503: try again.
    pub fn unavailable(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, message)
    }

    /// 504.
    pub fn deadline_exceeded() -> Self {
        Self::new(
            ErrorKind::Timeout,
            "deadline_exceeded",
            "This took longer than it may.",
        )
    }

    /// 500: a fault of ours. `source` goes to the log and nowhere else.
    pub fn internal(source: impl fmt::Display) -> Self {
        let mut error = Self::new(
            ErrorKind::Internal,
            "internal",
            "Something went wrong on our side. The request id finds it in the log.",
        );
        error.0.source = Some(source.to_string());
        error
    }

    /// As another kind.
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// With another code.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code.into();
        self
    }

    /// With what lies underneath, for the log.
    pub fn with_source(mut self, source: impl fmt::Display) -> Self {
        self.0.source = Some(source.to_string());
        self
    }

    /// With the time after which to try again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after_ms = Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Marked as worth another try of the same.
    pub fn transient(mut self) -> Self {
        self.0.transient = true;
        self
    }

    /// With `prefix` in front of every field's pointer.
    pub fn under(mut self, prefix: &str) -> Self {
        for field in &mut self.0.fields {
            field.pointer.insert_str(0, prefix);
        }
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The words.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The bad fields.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// When to try again.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after_ms.map(Duration::from_millis)
    }

    /// What lies underneath; for logs only.
    pub fn source_text(&self) -> Option<&str> {
        self.0.source.as_deref()
    }

    /// Whether the same may work if tried again at once.
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0.message, self.0.code)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.0.kind, self.0.code, self.0.message)?;
        if !self.0.fields.is_empty() {
            write!(f, " {:?}", self.0.fields)?;
        }
        match &self.0.source {
            Some(source) => write!(f, " [{source}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
