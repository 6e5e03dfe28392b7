//! Configuration: `synapscale.toml`, then `SYNAPSCALE_…` variables, then flags. The only place that reads the environment.

use serde::Deserialize;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::{Error, Result};
use synapscale_engine::outbound::AllowRule;
use synapscale_store::{DatabaseUrl, MasterKey};

/// What kind of place the server runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// A developer's machine: logs for people, and the first start makes an owner.
    Dev,
    /// As production, for trying out.
    Staging,
    /// Production.
    Prod,
}

/// The settings as a file or the environment gives them; all optional.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address to listen on.
    pub listen: Option<String>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// `postgres://…`, or `sqlite:PATH`; a file in the data directory if not given.
    pub database_url: Option<String>,
    /// `api`, `worker`, separated by commas.
    pub roles: Option<String>,
    /// dev, staging or prod.
    pub profile: Option<Profile>,
    /// What clients reach the server by.
    pub public_url: Option<String>,
    /// Private addresses that workflows may call, separated by commas.
    pub http_allow: Option<String>,
    /// Peers whose `X-Forwarded-For` is believed, separated by commas.
    pub trusted_proxies: Option<String>,
    /// Seconds for which a run is a worker's without a sign of life.
    pub lease_seconds: Option<u64>,
    /// Multiplies all rate limits.
    pub rate_factor: Option<u32>,
    /// A filter for logs, such as `info,synapscale_engine=debug`.
    pub log: Option<String>,
}

/// The settings, complete.
#[derive(Clone)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// The database.
    pub database: DatabaseUrl,
    /// Whether requests are served.
    pub api: bool,
    /// Whether runs are run.
    pub worker: bool,
    /// What kind of place it is.
    pub profile: Profile,
    /// What clients reach the server by.
    pub public_url: String,
    /// Private addresses that workflows may call.
    pub http_allow: Vec<AllowRule>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// For how long a run is a worker's without a sign of life.
    pub lease: Duration,
    /// Multiplies all rate limits.
    pub rate_factor: u32,
    /// A filter for logs.
    pub log: String,
    master_key: Option<String>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("listen", &self.listen).field("data", &self.data).finish_non_exhaustive()
    }
}

/// A variable of the environment.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(format!("SYNAPSCALE_{name}")).ok().filter(|value| !value.is_empty())
}

/// The person's own folder.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

fn bad(field: &str, what: &str) -> Error {
    Error::invalid(format!("/{field}"), "configuration", format!("`{field}` {what}."))
}

impl Settings {
    /// Reads the file, if there is one: the one named, else `synapscale.toml` here.
    fn from_file(path: Option<&Path>) -> Result<Self> {
        let named = path.is_some();
        let path = path.unwrap_or(Path::new("synapscale.toml"));
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                // The parser's words would quote the line, which may hold a password.
                Error::invalid("", "configuration", format!("{}: {}", path.display(), error.message()))
            }),
            Err(error) if named => Err(bad("config", &format!("{}: {error}", path.display()))),
            Err(_) => Ok(Self::default()),
        }
    }

    fn from_environment() -> Result<Self> {
        let number = |name: &str, field: &str| {
            variable(name).map(|text| text.parse().map_err(|_| bad(field, "is no number"))).transpose()
        };
        let profile = match variable("PROFILE").as_deref() {
            None => None,
            Some("dev") => Some(Profile::Dev),
            Some("staging") => Some(Profile::Staging),
            Some("prod") => Some(Profile::Prod),
            Some(_) => return Err(bad("profile", "is dev, staging or prod")),
        };
        Ok(Settings {
            listen: variable("LISTEN"),
            data: variable("DATA").map(PathBuf::from),
            database_url: variable("DATABASE_URL"),
            roles: variable("ROLES"),
            profile,
            public_url: variable("PUBLIC_URL"),
            http_allow: variable("HTTP_ALLOW"),
            trusted_proxies: variable("TRUSTED_PROXIES"),
            lease_seconds: number("LEASE_SECONDS", "lease_seconds")?,
            rate_factor: number("RATE_FACTOR", "rate_factor")?.map(|n: u64| u32::try_from(n).unwrap_or(u32::MAX)),
            log: variable("LOG"),
        })
    }

    /// These settings where given, else `other`'s.
    fn over(self, other: Settings) -> Settings {
        Settings {
            listen: self.listen.or(other.listen),
            data: self.data.or(other.data),
            database_url: self.database_url.or(other.database_url),
            roles: self.roles.or(other.roles),
            profile: self.profile.or(other.profile),
            public_url: self.public_url.or(other.public_url),
            http_allow: self.http_allow.or(other.http_allow),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            lease_seconds: self.lease_seconds.or(other.lease_seconds),
            rate_factor: self.rate_factor.or(other.rate_factor),
            log: self.log.or(other.log),
        }
    }
}

impl Config {
    /// Flags over variables over the file over the defaults.
    ///
    /// # Errors
    /// `configuration`, naming the setting.
    pub fn load(flags: Settings, file: Option<&Path>) -> Result<Self> {
        let environment = Settings::from_environment()?;
        let settings = flags.over(environment).over(Settings::from_file(file)?);
        let data = settings.data.unwrap_or_else(|| PathBuf::from("data"));
        let listen = settings.listen.as_deref().unwrap_or("127.0.0.1:8080");
        let listen = listen.parse().map_err(|_| bad("listen", "is no address such as 127.0.0.1:8080"))?;
        let (api, worker) = roles(settings.roles.as_deref())?;
        Ok(Config {
            listen,
            database: DatabaseUrl::parse(settings.database_url.as_deref(), &data)?,
            data,
            api,
            worker,
            profile: settings.profile.unwrap_or(Profile::Dev),
            public_url: settings.public_url.unwrap_or_default(),
            http_allow: list(settings.http_allow.as_deref(), "http_allow")?,
            trusted_proxies: list(settings.trusted_proxies.as_deref(), "trusted_proxies")?,
            lease: Duration::from_secs(settings.lease_seconds.unwrap_or(30).clamp(1, 3600)),
            rate_factor: settings.rate_factor.unwrap_or(1).max(1),
            log: settings.log.unwrap_or_else(|| "info,rmcp=warn,sqlx=warn,hyper=warn".to_owned()),
            master_key: variable("MASTER_KEY"),
        })
    }

    /// The master key, from its variable or its file.
    ///
    /// # Errors
    /// `master_key`.
    pub fn master_key(&self) -> Result<MasterKey> {
        match &self.master_key {
            Some(text) => MasterKey::from_base64(text),
            None => MasterKey::load_or_create(&self.data.join("master.key")),
        }
    }

    /// The local socket.
    pub fn socket(&self) -> PathBuf {
        self.data.join("synapscale.sock")
    }
}

fn roles(text: Option<&str>) -> Result<(bool, bool)> {
    let (mut api, mut worker) = (false, false);
    for role in text.unwrap_or("api,worker").split(',').map(str::trim) {
        match role {
            "api" => api = true,
            "worker" => worker = true,
            _ => return Err(bad("roles", "knows api and worker")),
        }
    }
    Ok((api, worker))
}

fn list<T: std::str::FromStr>(text: Option<&str>, field: &str) -> Result<Vec<T>>
where
    T::Err: fmt::Display,
{
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(|item| item.parse().map_err(|error| bad(field, &format!("has `{item}`: {error}"))))
        .collect()
}
