//! `synapscale doctor`: looks at everything that a server needs, one line each, with what to do about it.

use super::client::Client;
use super::serve::url_of;
use super::{Ended, Outcome, output};
use crate::config::{Config, Finding, LogConfig, LogFormat, MasterKeySource, Profile, StoreFlags};
use crate::health::{DISK_LOW_BYTES, free_bytes};
use crate::modules::Modules;
use clap::Args;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use synapscale_core::{Clock, Ctx, Error, Result};
use synapscale_store::{Backend, DatabaseUrl, MasterKey, SecretBox, Store, StoreConfig};

/// Fewer open files than this are too few for many connections.
const FEW_FILES: u64 = 4096;
/// A clock that shows an earlier year was never set.
const FIRST_YEAR: i32 = 2025;
/// The server's clock and the database's may differ by so much, in milliseconds.
const CLOCKS_APART_MS: i64 = 2_000;

const AFTER: &str = "\
Examples:
  synapscale doctor
  synapscale doctor --profile prod --config /etc/synapscale.toml
  synapscale doctor --data /var/lib/synapscale --json | jq '.[] | select(.status != \"ok\")'

Exits 1 when something fails; a warning is no failure.";

/// Looks whether everything is in place.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    store: StoreFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// One line.
#[derive(Debug, Serialize)]
struct Line {
    check: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

impl Line {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Line {
            check,
            status: Status::Ok,
            detail: detail.into(),
            advice: None,
        }
    }

    fn warn(check: &'static str, detail: impl Into<String>, advice: &'static str) -> Self {
        Line {
            check,
            status: Status::Warn,
            detail: detail.into(),
            advice: Some(advice),
        }
    }

    fn fail(check: &'static str, detail: impl Into<String>, advice: &'static str) -> Self {
        Line {
            check,
            status: Status::Fail,
            detail: detail.into(),
            advice: Some(advice),
        }
    }
}

impl Doctor {
    pub async fn run(self) -> Outcome {
        // What the store would warn of, the lines tell.
        let log = LogConfig {
            format: LogFormat::Human,
            filter: "error".to_owned(),
        };
        crate::telemetry::start_log(&log)?;
        let lines = match Config::load_store(&self.store) {
            Ok(config) => examine(&config).await,
            Err(error) => vec![Line::fail(
                "settings",
                error.message(),
                "Mend synapscale.toml or the SYNAPSCALE_… variable.",
            )],
        };
        if self.json {
            output::json_pretty(&lines)?;
        } else {
            lines.iter().for_each(print);
        }
        let failed = lines.iter().any(|line| line.status == Status::Fail);
        Ok(if failed { Ended::Badly } else { Ended::Well })
    }
}

fn print(line: &Line) {
    let word = match line.status {
        Status::Ok => "ok  ",
        Status::Warn => "warn",
        Status::Fail => "FAIL",
    };
    output::line(format!("{word}  {:<16} {}", line.check, line.detail));
    if let Some(advice) = line.advice {
        output::line(format!("      {:<16} {advice}", ""));
    }
}

async fn examine(config: &Config) -> Vec<Line> {
    let mut lines = vec![
        Line::ok(
            "settings",
            format!(
                "profile {}, roles {}",
                config.profile.as_str(),
                config.roles.names().join(", ")
            ),
        ),
        data_directory(&config.data),
        disk(&config.data),
        master_key(config),
    ];
    lines.extend(guards(config));
    let server = port(config).await;
    let serving = server.status == Status::Ok && server.detail.starts_with("our server");
    lines.push(server);
    lines.extend(database(config, serving).await);
    lines.extend(redis(config).await);
    lines.push(clock());
    lines.push(open_files());
    lines
}

/// What the profile's guards say, which decide whether a server starts.
fn guards(config: &Config) -> Vec<Line> {
    const NAME: &str = "guards";
    let found = config.findings();
    if found.is_empty() {
        let words = match config.profile {
            Profile::Dev => "on a developer's machine little is asked",
            Profile::Staging | Profile::Prod => "nothing that prod refuses",
        };
        return vec![Line::ok(NAME, words)];
    }
    let line = |finding: &Finding| {
        let detail = format!("{}: {}", finding.setting, finding.what);
        match finding.refuses(config.profile) {
            true => Line::fail(NAME, detail, finding.mend),
            false => Line::warn(NAME, detail, finding.mend),
        }
    };
    found.iter().map(line).collect()
}

/// How Redis does, if one is named.
async fn redis(config: &Config) -> Option<Line> {
    const NAME: &str = "redis";
    Some(match config.redis.as_ref()?.check().await {
        Ok(version) => Line::ok(NAME, format!("version {version} answers")),
        Err(error) if error.code() == "redis_too_old" => {
            Line::fail(NAME, error.message(), "Install Redis 6.2 or newer, or Valkey.")
        }
        Err(error) => Line::warn(
            NAME,
            error.message(),
            "Start it, or mend redis.url; until then events are read from the database.",
        ),
    })
}

fn data_directory(data: &Path) -> Line {
    const NAME: &str = "data directory";
    if !data.exists() {
        return Line::ok(
            NAME,
            format!("{} is not there yet; the first start makes it", data.display()),
        );
    }
    let probe = data.join(".doctor");
    let written = std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe));
    if let Err(error) = written {
        let detail = format!("{}: {error}", data.display());
        return Line::fail(NAME, detail, "Give it to the user that the server runs as.");
    }
    match std::fs::metadata(data).map(|meta| meta.permissions().mode() & 0o077) {
        Ok(0) => Line::ok(NAME, format!("{} is writable, and private", data.display())),
        Ok(_) => Line::warn(
            NAME,
            format!("{} is writable, and other users can look into it", data.display()),
            "Run chmod 700 on it.",
        ),
        Err(error) => Line::fail(NAME, error.to_string(), "Look at the directory's rights."),
    }
}

fn disk(data: &Path) -> Line {
    let place = data
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("."));
    match free_bytes(place) {
        Ok(free) if free < DISK_LOW_BYTES => Line::warn(
            "disk",
            format!("only {} MiB free", free >> 20),
            "Make room before the database runs full.",
        ),
        Ok(free) => Line::ok("disk", format!("{} MiB free", free >> 20)),
        Err(error) => Line::warn("disk", error.to_string(), "Look whether the disk is mounted."),
    }
}

fn master_key(config: &Config) -> Line {
    const NAME: &str = "master key";
    match &config.master_key {
        MasterKeySource::Given(text) => match MasterKey::from_base64(text) {
            Ok(_) => Line::ok(NAME, "from SYNAPSCALE_MASTER_KEY"),
            Err(error) => Line::fail(
                NAME,
                error.message(),
                "Set it to 32 bytes in base64: openssl rand -base64 32",
            ),
        },
        MasterKeySource::File(path) if !path.exists() => Line::ok(
            NAME,
            format!("{} is not there yet; the first start makes it", path.display()),
        ),
        MasterKeySource::File(path) => match MasterKey::load_or_create(path) {
            Ok(_) => Line::ok(
                NAME,
                format!(
                    "{} is readable by its owner alone; is it in your backup?",
                    path.display()
                ),
            ),
            Err(error) => Line::fail(
                NAME,
                error.message(),
                "Run chmod 600 on it, or restore it from your backup.",
            ),
        },
    }
}

/// Whether the port is free, or ours already.
async fn port(config: &Config) -> Line {
    const NAME: &str = "address";
    let listen = config.listen;
    let taken = match TcpListener::bind(listen) {
        Ok(_) => return Line::ok(NAME, format!("{listen} is free")),
        Err(error) => error,
    };
    let answer = match Client::new(url_of(listen), None) {
        Ok(client) => client.get("/readyz").await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok((200, _)) => Line::ok(NAME, format!("our server answers at {listen}, and is ready")),
        Ok((503, report)) if report["components"].is_array() => {
            let failing = report["components"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|part| part["status"] == "fail");
            let names: Vec<&str> = failing.filter_map(|part| part["name"].as_str()).collect();
            let detail = format!(
                "our server answers at {listen}, and is not ready: {}",
                names.join(", ")
            );
            Line::fail(NAME, detail, "Its log says more.")
        }
        _ => Line::fail(
            NAME,
            format!("{listen}: {taken}"),
            "Stop what uses it, or name another with --listen.",
        ),
    }
}

async fn database(config: &Config, serving: bool) -> Vec<Line> {
    const NAME: &str = "database";
    match &config.database {
        DatabaseUrl::Sqlite(path) if !path.exists() => {
            vec![Line::ok(
                NAME,
                format!("{} is not there yet; the first start makes it", path.display()),
            )]
        }
        _ => match opened(config).await {
            Ok(store) => {
                let lines = look_into(&store).await;
                store.close().await;
                lines
            }
            Err(error) if error.code() == "database_in_use" && serving => {
                vec![Line::ok(
                    NAME,
                    "SQLite; the running server has it open, and says that it is well",
                )]
            }
            Err(error) => {
                let cause = error
                    .source_text()
                    .map(|source| format!(" [{source}]"))
                    .unwrap_or_default();
                let detail = format!("{}{cause}", error.message());
                vec![Line::fail(
                    NAME,
                    detail,
                    "Look at the database's own log, and at SYNAPSCALE_DATABASE_URL.",
                )]
            }
        },
    }
}

/// Under a key of its own: nothing is unsealed here, and no key file is to be made.
async fn opened(config: &Config) -> Result<Store> {
    let secrets = SecretBox::new(&MasterKey::random()?)?;
    let settings = StoreConfig {
        connections: 2,
        ..config.store()
    };
    Store::open(settings, secrets, Clock::system(), None).await
}

async fn look_into(store: &Store) -> Vec<Line> {
    let mut lines = Vec::new();
    match store.health().await {
        Ok(health) => {
            // Opening refuses older versions, and a SQLite that does not flush its commits.
            let words = match health.backend {
                Backend::Sqlite => "SQLite 3.51.3 or newer; synchronous=FULL was read back",
                Backend::Postgres => "PostgreSQL 15 or newer",
            };
            lines.push(Line::ok(
                "database",
                format!("{words}; answers in {:.1} ms", health.latency_ms),
            ));
        }
        Err(error) => lines.push(not_known("database", &error)),
    }
    lines.push(schema(store).await);
    lines.push(consumers(store).await);
    if store.backend() == Backend::Postgres {
        lines.push(match store.check_row_security().await {
            Ok(()) => Line::ok("row security", "forced on every table; no role may pass over it"),
            Err(error) => Line::fail("row security", error.message(), "Run synapscale db check."),
        });
        lines.push(clocks(store).await);
    }
    lines
}

fn not_known(check: &'static str, error: &Error) -> Line {
    let cause = error
        .source_text()
        .map(|source| format!(" [{source}]"))
        .unwrap_or_default();
    Line::fail(
        check,
        format!("{}{cause}", error.message()),
        "On PostgreSQL the login must own the schema and may create roles.",
    )
}

async fn schema(store: &Store) -> Line {
    let states = match Modules::new(store).migrations().status(store).await {
        Ok(states) => states,
        Err(error) => return not_known("schema", &error),
    };
    let missing = states.iter().filter(|state| state.applied_at.is_none()).count();
    let unknown = states.iter().filter(|state| !state.known).count();
    match (missing, unknown) {
        (0, 0) => Line::ok("schema", format!("all {} migrations stand", states.len())),
        (missing, 0) => Line::warn(
            "schema",
            format!("{missing} migrations are missing"),
            "Run synapscale db migrate, or start the server.",
        ),
        (_, unknown) => Line::fail(
            "schema",
            format!("{unknown} migrations are of a newer version"),
            "Use the newer version.",
        ),
    }
}

/// Consumers of events that nobody works for any more: what they gave up stays, and events are archived without them.
async fn consumers(store: &Store) -> Line {
    const NAME: &str = "consumers";
    let ctx = Ctx::system(Clock::system());
    // Only a database that was migrated has them; the line above says so else.
    let Ok(groups) = store
        .read(&ctx, |tx| async move { tx.consumer_places().await })
        .await
    else {
        return Line::ok(NAME, "none yet");
    };
    let gone: Vec<&str> = groups
        .iter()
        .filter(|group| group.abandoned)
        .map(|group| group.name.as_str())
        .collect();
    match gone.is_empty() {
        true => Line::ok(
            NAME,
            format!("{} groups, each seen within seven days", groups.len()),
        ),
        false => Line::warn(
            NAME,
            format!("nobody has worked for seven days for: {}", gone.join(", ")),
            "Start a server with the role relay; without one, events leave the log before they are handled.",
        ),
    }
}

async fn clocks(store: &Store) -> Line {
    let ctx = Ctx::system(Clock::system());
    let theirs = store.read(&ctx, |tx| async move { tx.now().await }).await;
    match theirs {
        Ok(theirs) => {
            let apart = (Clock::system().now() - theirs).num_milliseconds().abs();
            match apart > CLOCKS_APART_MS {
                true => Line::warn(
                    "clocks",
                    format!("database and server are {apart} ms apart"),
                    "Let both keep time by NTP.",
                ),
                false => Line::ok("clocks", format!("database and server are {apart} ms apart")),
            }
        }
        Err(error) => not_known("clocks", &error),
    }
}

fn clock() -> Line {
    use chrono::Datelike;
    let now = Clock::system().now();
    match now.year() < FIRST_YEAR {
        true => Line::fail(
            "clock",
            format!("shows {now}"),
            "Set the clock: signatures and expiries depend on it.",
        ),
        false => Line::ok("clock", now.format("%Y-%m-%d %H:%M:%S UTC").to_string()),
    }
}

fn open_files() -> Line {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < FEW_FILES => Line::warn(
            "open files",
            format!("{limit} at most"),
            "Raise it for many connections: ulimit -n 65536, or LimitNOFILE.",
        ),
        Some(limit) => Line::ok("open files", format!("{limit} at most")),
        None => Line::ok("open files", "no limit"),
    }
}
