//! Why a command could not be carried out, in plain words: what happened, its code, the places, and what to do.

use serde_json::Value;
use synapscale_core::{Error, ErrorKind, FieldError};

/// Why a command could not be carried out.
#[derive(Debug)]
pub struct Failure {
    error: Error,
    /// The server's id for the request, if there was one.
    request_id: Option<String>,
    /// Lines that are printed instead of the error's own fields.
    places: Option<Vec<String>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure {
            error,
            request_id: None,
            places: None,
        }
    }
}

impl Failure {
    /// Wrong usage or input of a command.
    pub fn usage(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Malformed, "usage", message).into()
    }

    /// A server that could not be talked to.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Error::unavailable("server_unreachable", message).into()
    }

    /// What a server answered with `status`: a problem, or anything else.
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| problem.get(name).and_then(Value::as_str).map(str::to_owned);
        let message = text("detail").unwrap_or_else(|| format!("The server answered {status}."));
        let code = text("code").unwrap_or_else(|| "unexpected_answer".to_owned());
        let mut fields = Vec::new();
        for field in problem
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let part = |name: &str| {
                field
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            fields.push(FieldError {
                pointer: part("pointer"),
                code: part("code").into(),
                message: part("detail"),
            });
        }
        let error = match fields.is_empty() {
            true => Error::new(kind_of(status), code, message),
            // The fields' own message is the server's, too.
            false => Error::invalid_fields(fields).with_code(code),
        };
        Failure {
            error,
            request_id: text("request_id"),
            places: None,
        }
    }

    /// The error.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// With `places` printed instead of the error's fields.
    #[must_use]
    pub fn with_places(mut self, places: Vec<String>) -> Self {
        self.places = Some(places);
        self
    }

    /// The exit code; [`super::AFTER`] lists them.
    pub fn exit_code(&self) -> u8 {
        match self.error.code() {
            "usage" | "config" => return 2,
            _ => {}
        }
        match self.error.kind() {
            ErrorKind::Malformed | ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Unsupported => 2,
            ErrorKind::Unavailable | ErrorKind::Upstream | ErrorKind::Timeout | ErrorKind::Internal => 4,
            _ => 1,
        }
    }

    /// Prints it on the error output.
    pub fn print(&self) {
        eprint!("{}", self.render());
    }

    fn render(&self) -> String {
        let mut text = format!("error: {} ({})\n", self.error.message(), self.error.code());
        match &self.places {
            Some(places) => places
                .iter()
                .for_each(|place| text.push_str(&format!("  {place}\n"))),
            None => {
                for field in self.error.fields() {
                    let pointer = if field.pointer.is_empty() {
                        "(the whole)"
                    } else {
                        &field.pointer
                    };
                    text.push_str(&format!("  {pointer}: {} ({})\n", field.message, field.code));
                }
            }
        }
        if let Some(source) = self.error.source_text() {
            text.push_str(&format!("  cause: {source}\n"));
        }
        if let Some(id) = &self.request_id {
            text.push_str(&format!("  request id: {id}\n"));
        }
        if let Some(advice) = advice(self.error.code()) {
            text.push_str(&format!("  advice: {advice}\n"));
        }
        text
    }
}

fn kind_of(status: u16) -> ErrorKind {
    match status {
        400 => ErrorKind::Malformed,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::Stale,
        413 => ErrorKind::TooLarge,
        415 => ErrorKind::Unsupported,
        422 => ErrorKind::Invalid,
        429 => ErrorKind::RateLimited,
        502 => ErrorKind::Upstream,
        503 => ErrorKind::Unavailable,
        504 => ErrorKind::Timeout,
        _ => ErrorKind::Internal,
    }
}

/// What to do about it.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "server_unreachable" => {
            "Start the server with `synapscale serve`, or name another with --server or SYNAPSCALE_SERVER."
        }
        "unauthenticated" => {
            "Set SYNAPSCALE_KEY to an API key, or write it into ~/.config/synapscale/profile.toml. Without any key yet: \
             `synapscale admin bootstrap --email E --workspace NAME`."
        }
        "forbidden" => {
            "Use the key of somebody who may do this; `synapscale call users.me` shows who you are."
        }
        "database_in_use" => "Stop the other process, or use a command that goes through the running server.",
        "migrations_pending" => "Run `synapscale db migrate`, or set auto_migrate = true.",
        "schema_newer" => "Start the newer version again, or restore the backup that was made before it.",
        "row_security" => {
            "Run `synapscale db check`; somebody changed the schema by hand. The server does not run unprotected."
        }
        "listen" => "Name another address with --listen, or stop what uses this one.",
        "master_key" => {
            "Restore data/master.key from your backup, or set SYNAPSCALE_MASTER_KEY to its content."
        }
        "secret_unreadable" => {
            "The master key is another one than the data was sealed with: restore the old one."
        }
        "already_bootstrapped" => {
            "Make further users and keys with `members.add` and `keys.create`, further workspaces with `admin workspace`."
        }
        "config" => "`synapscale serve --help` lists the settings.",
        "stale_revision" => "Read it again and repeat the change on what is there now.",
        "rate_limited" => "Wait a moment and try again.",
        "disk_full" => "Make room on the disk of the data directory.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_places() {
        let body = br#"{"detail": "2 fields are not valid.", "code": "invalid", "request_id": "r1",
            "errors": [{"pointer": "/a", "code": "type", "detail": "Not a number."},
                       {"pointer": "/b", "code": "required", "detail": "Is missing."}]}"#;
        let failure = Failure::of_answer(422, body);
        assert_eq!(failure.exit_code(), 2);
        let text = failure.render();
        assert!(
            text.contains("/a: Not a number. (type)") && text.contains("request id: r1"),
            "{text}"
        );
    }

    #[test]
    fn answers_of_strangers_are_no_problem() {
        let failure = Failure::of_answer(502, b"<html>");
        assert_eq!(
            (failure.exit_code(), failure.error().code()),
            (4, "unexpected_answer")
        );
        assert_eq!(
            Failure::of_answer(404, b"{\"code\": \"not_found\"}").exit_code(),
            1
        );
        assert!(
            Failure::unreachable("gone")
                .render()
                .contains("advice: Start the server")
        );
    }
}
