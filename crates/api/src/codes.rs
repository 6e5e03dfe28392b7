//! The stable error codes that clients meet on every route, with what to do about them. Domains add their own, which
//! explain themselves in their message; `/docs/errors` lists these.

use synapscale_core::{Error, ErrorKind};

/// One code.
pub(crate) struct Code {
    pub code: &'static str,
    pub status: u16,
    pub means: &'static str,
    pub advice: &'static str,
}

const fn code(code: &'static str, status: u16, means: &'static str, advice: &'static str) -> Code {
    Code {
        code,
        status,
        means,
        advice,
    }
}

/// The codes of the whole request.
pub(crate) const CODES: &[Code] = &[
    code(
        "malformed",
        400,
        "The request cannot be read: bad JSON, bad UTF-8 or a body where none belongs.",
        "Correct the request; sending the same again will not help.",
    ),
    code(
        "bad_header",
        400,
        "A header has a value that cannot be read, or comes more than once.",
        "Send If-Match as one revision, such as \"7\", and each header once.",
    ),
    code(
        "unauthenticated",
        401,
        "No valid credentials: the header is missing or the key is unknown, expired or revoked.",
        "Send a valid API key as Authorization: Bearer.",
    ),
    code(
        "forbidden",
        403,
        "You are known and lack the permission that the message names.",
        "Ask for a role or a key with that permission.",
    ),
    code(
        "csrf_failed",
        403,
        "A change by cookie came from another site, or without the session's CSRF token.",
        "Send csrf_token of GET /api/v1/auth/session as X-CSRF-Token, from a page of this server.",
    ),
    code(
        "not_found",
        404,
        "There is no such thing, or it is not in your workspace.",
        "Check the id; list the things to find the right one.",
    ),
    code(
        "no_such_route",
        404,
        "Nothing is served at this address.",
        "Look the path up in /docs.",
    ),
    code(
        "method_not_allowed",
        405,
        "The address exists and does not serve this method.",
        "Use a method that the Allow header names.",
    ),
    code(
        "already_exists",
        409,
        "There is one already with the same key or name.",
        "Use the existing one, or choose another name.",
    ),
    code(
        "reference",
        409,
        "It refers to something that is not there, or something still refers to it.",
        "Create or remove the other thing first.",
    ),
    code(
        "stale_revision",
        412,
        "It changed since you read it.",
        "Read it again, apply your change to what you find, and send the new revision.",
    ),
    code(
        "too_large",
        413,
        "A stated limit of size, depth or count is exceeded.",
        "Send less, or in several requests.",
    ),
    code(
        "unsupported_media_type",
        415,
        "The body is not plain JSON.",
        "Send it as Content-Type: application/json, without compression.",
    ),
    code(
        "invalid",
        422,
        "One or more fields break a rule; errors names each with a JSON pointer.",
        "Correct the named fields.",
    ),
    code(
        "not_a_websocket",
        426,
        "This address serves WebSockets only.",
        "Open it with a WebSocket client.",
    ),
    code(
        "rate_limited",
        429,
        "Too many calls.",
        "Wait for the seconds in Retry-After, then try again.",
    ),
    code(
        "too_many_streams",
        429,
        "Your workspace has too many open event streams.",
        "Close streams that nobody reads.",
    ),
    code(
        "cancelled",
        499,
        "The caller went away, or it was cancelled.",
        "Nothing; call again if you still want it.",
    ),
    code(
        "internal",
        500,
        "A fault on our side.",
        "Try once more; if it stays, report the request id.",
    ),
    code(
        "outcome_unknown",
        503,
        "The connection to the database was lost while committing.",
        "Read the state, or send the same again with the same Idempotency-Key.",
    ),
    code(
        "operation_secret",
        422,
        "A step of a workflow calls an operation that takes or gives a secret, which the run would keep.",
        "Call the operation yourself, and give the workflow what it needs of the result.",
    ),
    code(
        "database_busy",
        503,
        "The database has more to do than it can.",
        "Wait a moment and try again.",
    ),
    code(
        "database_unavailable",
        503,
        "The database cannot be reached.",
        "Wait a moment and try again.",
    ),
    code(
        "disk_full",
        503,
        "The database's disk is full; reading goes on.",
        "Make room on it; writing goes on by itself.",
    ),
    code(
        "write_queue_full",
        503,
        "Too many writes are waiting.",
        "Wait a moment and try again.",
    ),
    code(
        "shutting_down",
        503,
        "This server is going down.",
        "Try again; another server or the next start answers.",
    ),
    code(
        "deadline_exceeded",
        504,
        "It took longer than it may.",
        "Ask for less at once, then try again.",
    ),
    code(
        "body_timeout",
        504,
        "The body did not arrive in time.",
        "Send it again over a faster connection, or send less.",
    ),
];

/// The codes of single fields in `errors`.
pub(crate) const FIELD_CODES: &[(&str, &str)] = &[
    ("required", "The field is missing or empty."),
    ("unknown_field", "There is no such field or parameter."),
    ("repeated", "The parameter came more than once."),
    ("given_twice", "The field came in the address and in the body."),
    ("type", "The value is of the wrong JSON type."),
    (
        "format",
        "The text is not of the format, such as uuid or date-time.",
    ),
    ("pattern", "The text does not match the pattern."),
    ("length", "The text is too short or too long."),
    ("range", "The number is too small or too large."),
    ("count", "Too few or too many items or fields."),
    ("one_of", "The value is none of the listed ones."),
    ("unique", "The items are not all different."),
    ("shape", "The value has none of the allowed forms."),
    ("cursor", "The cursor was not given out by this list or log."),
    (
        "event_kind",
        "A kind of event is not written as task.created or task.*.",
    ),
    ("nul_character", "The text contains a NUL character."),
    (
        "invalid",
        "The value breaks another rule; the message says which.",
    ),
];

/// What an HTTP status says of a failure, in words.
pub(crate) fn title_of(status: u16) -> &'static str {
    let known = CODES.iter().find(|entry| entry.status == status);
    match status {
        502 => "An outside service failed.",
        503 => {
            "Not available now: the database is busy or away, or the server goes down. Retry-After says when to try again."
        }
        409 => "It does not fit the present state.",
        _ => known.map_or("Another failure.", |entry| entry.means),
    }
}

/// What a caller can do about `error`.
pub(crate) fn advice(error: &Error) -> &'static str {
    let by_code = CODES.iter().find(|entry| entry.code == error.code());
    by_code.map_or_else(|| advice_of_kind(error.kind()), |entry| entry.advice)
}

fn advice_of_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Malformed | ErrorKind::Unsupported => {
            "Correct the request; sending the same again will not help."
        }
        ErrorKind::Unauthenticated => "Sign in, or use another key.",
        ErrorKind::Forbidden => "Do not try again; ask for the permission.",
        ErrorKind::NotFound => "Check the id; list the things to find the right one.",
        ErrorKind::Conflict => "Read the present state and decide anew.",
        ErrorKind::Stale => "Read it again and send the new revision.",
        ErrorKind::TooLarge => "Ask for less or send less.",
        ErrorKind::Invalid => "Correct the named fields and call again.",
        ErrorKind::RateLimited => "Wait, then try again.",
        ErrorKind::Cancelled => "Call again if it is still wanted.",
        ErrorKind::Internal => "Try once more; if it stays, report the request id.",
        ErrorKind::Upstream | ErrorKind::Unavailable | ErrorKind::Timeout => "Wait a moment and try again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique() {
        let codes: HashSet<_> = CODES.iter().map(|entry| entry.code).collect();
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn an_unknown_code_is_advised_by_its_kind() {
        assert_eq!(
            advice(&Error::conflict("brand_new", "x")),
            advice_of_kind(ErrorKind::Conflict)
        );
        assert!(advice(&Error::stale("task", 1, 2)).contains("new revision"));
    }
}
