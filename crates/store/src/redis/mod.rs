//! Redis, when a URL names one: transport of the event log and the shared cache. Never the truth: emptied, stopped or
//! started anew, it costs time and loses nothing.

mod group;
mod relay;
mod streams;
mod trim;

pub(crate) use group::Reader;
pub use relay::Relay;
pub(crate) use streams::Streams;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisError, Value};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use synapscale_core::{Error, Result};

/// Most time to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Most time for an answer; longer than any command of ours blocks.
const ANSWER: Duration = Duration::from_secs(5);
/// After a failure nobody tries for this long: whoever asks is told at once.
const REST: Duration = Duration::from_secs(1);
/// What the log's transport needs; Redis has them all since 6.2.
const NEEDED: [&str; 5] = ["XADD", "XTRIM", "XREADGROUP", "XAUTOCLAIM", "EVAL"];

/// A Redis server. Cheap to clone; it connects when first used, and again after a failure.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    client: Client,
    shared: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    failed: Mutex<Option<(Instant, Error)>>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.write_str("Redis")
    }
}

impl Redis {
    /// The server at `redis://…` or, over TLS, `rediss://…`. Nothing is sent yet.
    ///
    /// # Errors
    /// `redis_url` for anything else.
    pub fn new(url: &str) -> Result<Self> {
        let good = url.starts_with("redis://") || url.starts_with("rediss://");
        let client = good.then(|| Client::open(url)).and_then(std::result::Result::ok);
        let client = client.ok_or_else(|| {
            let words =
                "A Redis URL looks like redis://host:6379/0 or, over TLS, rediss://user:password@host:6379.";
            Error::invalid("/redis/url", "redis_url", words)
        })?;
        // Two providers are linked, so that rustls asks for one by name. A second call finds it set.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Ok(Redis(Arc::new(Inner {
            client,
            shared: tokio::sync::Mutex::new(None),
            failed: Mutex::new(None),
        })))
    }

    /// Whether the server answers and knows what is needed; answers its version.
    ///
    /// # Errors
    /// `redis_down`, or `redis_too_old` for one before 6.2.
    pub async fn check(&self) -> Result<String> {
        let mut connection = self.connection().await?;
        self.offers(&mut connection).await
    }

    /// A connection that all share: nothing that blocks may be sent over it.
    pub(crate) async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut shared = self.0.shared.lock().await;
        if let Some(connection) = &*shared {
            return Ok(connection.clone());
        }
        let connection = self.own().await?;
        *shared = Some(connection.clone());
        Ok(connection)
    }

    /// A connection of the caller's own, over which it may block.
    pub(crate) async fn own(&self) -> Result<MultiplexedConnection> {
        if let Some(error) = self.resting() {
            return Err(error);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        let connected = self
            .0
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let outcome = match connected {
            Ok(mut connection) => self.offers(&mut connection).await.map(|_| connection),
            Err(error) => Err(down(&error)),
        };
        if let Err(error) = &outcome {
            self.note(Some(error.clone()));
        }
        outcome
    }

    /// Sends a command over the shared connection.
    pub(crate) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        let mut connection = self.connection().await?;
        let answer = command.query_async(&mut connection).await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                if is_lost(&error) {
                    *self.0.shared.lock().await = None;
                    self.note(Some(down(&error)));
                }
                Err(refused(&error))
            }
        }
    }

    /// As [`Redis::ask`], for what can do without the answer: `patience` is all the time there is, and after one answer
    /// that was too late nobody waits for a moment.
    pub(crate) async fn ask_within<T: FromRedisValue>(&self, command: &Cmd, patience: Duration) -> Result<T> {
        if let Some(error) = self.resting() {
            return Err(error);
        }
        match tokio::time::timeout(patience, self.ask(command)).await {
            Ok(answer) => answer,
            Err(_) => {
                let error = Error::unavailable("redis_slow", "Redis does not answer in time.");
                self.note(Some(error.clone()));
                Err(error)
            }
        }
    }

    fn resting(&self) -> Option<Error> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = failed.as_ref()?;
        (at.elapsed() < REST).then(|| error.clone())
    }

    fn note(&self, error: Option<Error>) {
        let mut failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = error.map(|error| (Instant::now(), error));
    }

    async fn offers(&self, connection: &mut MultiplexedConnection) -> Result<String> {
        let info: String = ::redis::cmd("INFO")
            .arg("server")
            .query_async(connection)
            .await
            .map_err(|error| down(&error))?;
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"))
            .unwrap_or("unknown")
            .trim()
            .to_owned();
        let known: Vec<Value> = ::redis::cmd("COMMAND")
            .arg("INFO")
            .arg(&NEEDED[..])
            .query_async(connection)
            .await
            .map_err(|error| down(&error))?;
        let missing = NEEDED.iter().zip(known).find(|(_, known)| {
            matches!(known, Value::Nil) || matches!(known, Value::Array(parts) if parts.is_empty())
        });
        match missing {
            None => {
                self.note(None);
                Ok(version)
            }
            Some((command, _)) => Err(Error::unavailable(
                "redis_too_old",
                format!("Redis {version} does not know {command}: use Redis 6.2 or newer, or Valkey."),
            )),
        }
    }
}

/// Whether the connection is of no more use.
pub(crate) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || error.is_timeout()
}

fn down(error: &RedisError) -> Error {
    Error::unavailable("redis_down", "Redis does not answer.").with_source(error)
}

pub(crate) fn refused(error: &RedisError) -> Error {
    match is_lost(error) {
        true => down(error),
        false => Error::unavailable("redis_refused", "Redis refuses a command.").with_source(error),
    }
}
