//! From database errors to the product's: what broke a rule, what to try again, what is our fault.

use sea_orm::{DbErr, RuntimeErr};
use synapscale_core::{Error, ErrorKind};

/// Turns a database failure into the product's error.
pub trait IntoCore {
    /// The product's error for this failure.
    fn into_core(self) -> Error;
}

impl IntoCore for DbErr {
    fn into_core(self) -> Error {
        match &self {
            DbErr::RecordNotUpdated => Error::not_found("record"),
            DbErr::Exec(RuntimeErr::SqlxError(error))
            | DbErr::Query(RuntimeErr::SqlxError(error))
            | DbErr::Conn(RuntimeErr::SqlxError(error)) => from_sqlx(error),
            _ => Error::internal(self),
        }
    }
}

impl IntoCore for sqlx::Error {
    fn into_core(self) -> Error {
        from_sqlx(&self)
    }
}

/// How a database names its failures.
enum Class {
    Unique,
    Reference,
    Check,
    Retry,
    Late,
    Locked,
    Full,
    Other,
}

fn from_sqlx(error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(db) => {
            let code = db.code().unwrap_or_default();
            let constraint = db.constraint().unwrap_or_default();
            match classify(db.kind(), &code) {
                Class::Unique => Error::conflict("already_exists", "This exists already.")
                    .with_source(format!("{constraint} {error}")),
                Class::Reference => Error::new(
                    ErrorKind::Conflict,
                    "reference",
                    "This refers to something that is not there, or is still referred to.",
                )
                .with_source(format!("{constraint} {error}")),
                Class::Check => Error::invalid("", "constraint", "A value breaks a rule of the schema.")
                    .with_source(format!("{constraint} {error}")),
                Class::Retry => unavailable(error).transient(),
                Class::Late => Error::deadline_exceeded()
                    .with_code("statement_timeout")
                    .with_source(error),
                Class::Locked => {
                    Error::unavailable("locked", "Somebody else holds what this needs. Try again.")
                        .with_source(error)
                        .retry_after(std::time::Duration::from_secs(1))
                }
                Class::Full => {
                    Error::unavailable("disk_full", "The database's disk is full.").with_source(error)
                }
                Class::Other => Error::internal(error),
            }
        }
        sqlx::Error::PoolTimedOut => {
            Error::unavailable("database_busy", "All database connections are busy. Try again.")
                .retry_after(std::time::Duration::from_secs(1))
        }
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            unavailable(error).transient()
        }
        sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) => unavailable(error).transient(),
        _ => Error::internal(error),
    }
}

fn unavailable(error: &sqlx::Error) -> Error {
    Error::unavailable(
        "database_unavailable",
        "The database cannot be reached. Try again.",
    )
    .with_source(error)
    .retry_after(std::time::Duration::from_secs(1))
}

fn classify(kind: sqlx::error::ErrorKind, code: &str) -> Class {
    use sqlx::error::ErrorKind as Kind;
    match kind {
        Kind::UniqueViolation => return Class::Unique,
        Kind::ForeignKeyViolation => return Class::Reference,
        Kind::NotNullViolation | Kind::CheckViolation => return Class::Check,
        _ => {}
    }
    match code {
        // PostgreSQL: serialisation failure, deadlock, shutdown, a transaction that was idle for too long, connection
        // failures.
        "40001" | "40P01" | "57P01" | "57P02" | "57P03" | "25P03" | "08000" | "08003" | "08006" => {
            Class::Retry
        }
        "57014" => Class::Late,
        "55P03" => Class::Locked,
        "53100" => Class::Full,
        // A string too long for its column, a bad text form, a number out of range.
        "22001" | "22P02" | "22003" | "22021" => Class::Check,
        _ => match code.parse::<u32>() {
            // SQLite: primary result code in the low byte; 5 busy, 6 locked, 10 I/O, 13 full, 19 constraint.
            Ok(sqlite) if code.len() < 5 => match sqlite & 0xff {
                5 | 6 | 10 => Class::Retry,
                13 => Class::Full,
                19 => Class::Check,
                _ => Class::Other,
            },
            _ => Class::Other,
        },
    }
}
