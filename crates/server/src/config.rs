//! Settings: `synapscale.toml`, then `SYNAPSCALE_…` variables, then flags; checked together, so that all problems are told
//! at once. The only place that reads the environment.

mod guard;
mod layer;
mod otlp;
mod words;

pub use guard::{Finding, Severity};
pub use layer::{ServeFlags, StoreFlags};
pub use otlp::OtlpConfig;

use layer::Layer;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::net::AllowRule;
use synapscale_core::{Error, FieldError, Result};
use synapscale_ops::{Rate, Rates};
use synapscale_store::{DatabaseUrl, MasterKey, Redis, SecretBox, StoreConfig};
use words::{log_format, profile, public_url, roles};
use zeroize::Zeroizing;

/// Where the server listens unless told otherwise.
pub const LISTEN: &str = "127.0.0.1:8080";
/// The data directory of the dev profile unless told otherwise.
const DATA: &str = "data";
/// Days for which runs are kept after their end, unless the configuration says otherwise.
const KEEP_RUNS_DAYS: u64 = 90;
/// The settings file that is read when it is there, and no `synapscale.PROFILE.toml` is.
const FILE: &str = "synapscale.toml";
/// Where the programs of MCP servers are looked for when nothing says so.
const MCP_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What the log shows unless told otherwise. `rmcp` logs whole requests.
const LOG: &str = "info,rmcp=warn,sqlx=warn,hyper=warn";

/// What kind of place the server runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A developer's machine: logs for people, and the first start makes an owner.
    Dev,
    /// As production, for trying out.
    Staging,
    /// Production.
    Prod,
}

impl Profile {
    /// The word in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Dev => "dev",
            Profile::Staging => "staging",
            Profile::Prod => "prod",
        }
    }

    /// The profile of that name.
    pub fn named(word: &str) -> Option<Self> {
        [Profile::Dev, Profile::Staging, Profile::Prod]
            .into_iter()
            .find(|profile| profile.as_str() == word)
    }

    /// The data directory unless told otherwise: each profile has its own, so that trying something out never meets what is
    /// in use.
    fn data(self) -> PathBuf {
        match self {
            Profile::Dev => PathBuf::from(DATA),
            other => PathBuf::from(format!("{DATA}-{}", other.as_str())),
        }
    }
}

/// What this process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Serves requests.
    pub api: bool,
    /// Runs runs.
    pub worker: bool,
    /// Keeps the consumer groups of the event log going.
    pub relay: bool,
}

impl Roles {
    /// The words in settings.
    pub fn names(self) -> Vec<&'static str> {
        [(self.api, "api"), (self.worker, "worker"), (self.relay, "relay")]
            .into_iter()
            .filter_map(|(on, name)| on.then_some(name))
            .collect()
    }
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// How it looks.
    pub format: LogFormat,
    /// What it shows.
    pub filter: String,
}

/// The model service.
#[derive(Clone, Debug, Default)]
pub struct ModelsSettings {
    /// Private addresses that providers of models may stand at.
    pub allow: Vec<AllowRule>,
    /// Whether an Ollama on this machine is offered to workspaces without a provider.
    pub local_ollama: bool,
    /// Where that Ollama listens, in any form that `OLLAMA_HOST` may have; its usual port unless given.
    pub ollama_host: Option<String>,
}

/// The client of other people's MCP servers.
#[derive(Clone, Debug, Default)]
pub struct McpSettings {
    /// The commands that MCP servers may be started by; none unless named.
    pub stdio: Vec<String>,
    /// Private addresses that MCP servers may stand at.
    pub allow: Vec<AllowRule>,
    /// Where their programs are looked for.
    pub path: String,
}

/// Limits that can be set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Most time for one request.
    pub request: Duration,
    /// Most open event streams per workspace.
    pub event_streams: usize,
    /// Runs in memory at once.
    pub worker_slots: usize,
    /// Runs of one workspace at work at once, over all processes; 0 for as many as there are places.
    pub tenant_running: u32,
    /// Runs of one workspace that may be queued; 0 for any number.
    pub tenant_queued: u32,
    /// Database connections; the store's own number if none.
    pub database_connections: Option<u32>,
    /// Writes that may wait for SQLite's writer; the store's own number if none.
    pub write_queue: Option<usize>,
    /// How long requests and runs have at the end.
    pub drain: Duration,
    /// Multiplies all rate limits but that of sign-in; 0 for none.
    pub rate_factor: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 1 << 20,
            request: Duration::from_secs(30),
            event_streams: 1000,
            worker_slots: 256,
            tenant_running: 0,
            tenant_queued: 100_000,
            database_connections: None,
            write_queue: None,
            drain: Duration::from_secs(25),
            rate_factor: 1,
        }
    }
}

impl Limits {
    /// How often one caller may call.
    pub fn rates(&self) -> Rates {
        let usual = Rates::default();
        let Some(factor) = NonZeroU32::new(self.rate_factor) else {
            return Rates {
                sign_in: usual.sign_in,
                ..Rates::unlimited()
            };
        };
        let times = |rate: Option<Rate>| {
            rate.map(|rate| Rate {
                calls: rate.calls.saturating_mul(factor),
                ..rate
            })
        };
        Rates {
            light: times(usual.light),
            normal: times(usual.normal),
            heavy: times(usual.heavy),
            sign_in: usual.sign_in,
        }
    }
}

/// Where the master key comes from.
#[derive(Clone)]
pub enum MasterKeySource {
    /// From the variable.
    Given(Zeroizing<String>),
    /// From a file, made by the first start.
    File(PathBuf),
}

/// The settings, complete and checked.
#[derive(Clone)]
pub struct Config {
    /// What kind of place it is.
    pub profile: Profile,
    /// The address.
    pub listen: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// The database.
    pub database: DatabaseUrl,
    /// The Redis server, if one is named.
    pub redis: Option<Redis>,
    /// Its URL, which may hold a password: the guards look at it.
    redis_url: Option<Zeroizing<String>>,
    /// What this process does.
    pub roles: Roles,
    /// What clients reach the server by; empty for wherever they are.
    pub public_url: String,
    /// Whether a start applies missing migrations.
    pub auto_migrate: bool,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Private addresses that workflows may call.
    pub http_allow: Vec<AllowRule>,
    /// The model service.
    pub models: ModelsSettings,
    /// The client of other people's MCP servers.
    pub mcp: McpSettings,
    /// The log.
    pub log: LogConfig,
    /// Where traces go, if anywhere.
    pub otlp: Option<OtlpConfig>,
    /// Limits.
    pub limits: Limits,
    /// For how long a run is a worker's without a sign of life.
    pub lease: Duration,
    /// For how long runs are kept after their end.
    pub keep_runs: Duration,
    /// For how long events stay in the log before they are archived; for ever if none.
    pub keep_events: Option<Duration>,
    /// The master key.
    pub master_key: MasterKeySource,
}

/// So many days: one at least, a hundred years at most.
fn days(days: u64) -> Duration {
    Duration::from_secs(days.clamp(1, 36_500) * 24 * 3600)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("profile", &self.profile)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// What is wrong with the settings.
#[derive(Default)]
struct Problems(Vec<FieldError>);

impl Problems {
    fn add(&mut self, setting: &str, message: impl Into<String>) {
        self.0.push(FieldError {
            pointer: format!("/{setting}"),
            code: "config".into(),
            message: message.into(),
        });
    }

    fn list<T: std::str::FromStr>(&mut self, setting: &str, texts: Option<Vec<String>>) -> Vec<T>
    where
        T::Err: fmt::Display,
    {
        let mut read = Vec::new();
        for text in texts
            .unwrap_or_default()
            .iter()
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
        {
            match text.parse() {
                Ok(item) => read.push(item),
                Err(error) => self.add(setting, format!("`{text}`: {error}")),
            }
        }
        read
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether the person asked for no colours, by the variable that many programs heed.
pub fn no_colour() -> bool {
    environment("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// A model provider's key that the environment holds: the preset, a model for a start, and the key.
pub fn provider_key() -> Option<(&'static str, &'static str, Zeroizing<String>)> {
    let known = [
        ("OPENAI_API_KEY", "openai", "gpt-4.1-mini"),
        ("ANTHROPIC_API_KEY", "anthropic", "claude-haiku-4-5"),
    ];
    known.into_iter().find_map(|(variable, preset, model)| {
        let key = environment(variable).filter(|key| !key.trim().is_empty())?;
        Some((preset, model, Zeroizing::new(key)))
    })
}

/// What the environment tells client commands.
pub struct ClientEnv {
    /// The server.
    pub server: Option<String>,
    /// The key.
    pub key: Option<Zeroizing<String>>,
    /// The data directory.
    pub data: PathBuf,
    /// The person's own profile file.
    pub profile: Option<PathBuf>,
}

/// Reads what client commands need.
pub fn client_env() -> ClientEnv {
    let text = |name: &str| environment(name).filter(|text| !text.trim().is_empty());
    ClientEnv {
        server: text("SYNAPSCALE_SERVER"),
        key: text("SYNAPSCALE_KEY").map(Zeroizing::new),
        data: text("SYNAPSCALE_DATA").map_or_else(|| PathBuf::from(DATA), PathBuf::from),
        profile: text("HOME").map(|home| Path::new(&home).join(".config/synapscale/profile.toml")),
    }
}

/// The settings file in the working directory: the profile's own if there is one, which is how one place holds the settings of
/// all three.
fn file_of(flags: &ServeFlags) -> Option<PathBuf> {
    let word = flags.store.profile.clone();
    let word = word.or_else(|| environment("SYNAPSCALE_PROFILE"));
    let place = word.as_deref().map_or(Some(Profile::Dev), Profile::named);
    let own = place.map(|place| PathBuf::from(format!("synapscale.{}.toml", place.as_str())));
    let files = [own, Some(PathBuf::from(FILE))].into_iter().flatten();
    files.into_iter().find(|file| file.exists())
}

/// The local socket of a server with that data directory.
pub fn socket_in(data: &Path) -> PathBuf {
    data.join("synapscale.sock")
}

impl Config {
    /// Flags over variables over the file over the defaults.
    ///
    /// # Errors
    /// `config` with every problem.
    pub fn load(flags: &ServeFlags) -> Result<Self> {
        let mut problems = Problems::default();
        let from_env = Layer::from_env(&environment, &mut problems);
        let named = flags
            .store
            .config
            .clone()
            .or_else(|| environment("SYNAPSCALE_CONFIG").map(PathBuf::from));
        let from_file = match named {
            Some(path) => Layer::from_file(&path)?,
            None => match file_of(flags) {
                Some(path) => Layer::from_file(&path)?,
                None => Layer::default(),
            },
        };
        let layer = Layer::from_flags(flags)
            .over(from_env)
            .over(from_file)
            .over(Layer::from_shared_env(&environment));
        Self::resolve(layer, problems)
    }

    /// As [`Config::load`], for commands that only open the store.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_store(flags: &StoreFlags) -> Result<Self> {
        Self::load(&ServeFlags {
            store: flags.clone(),
            ..ServeFlags::default()
        })
    }

    /// Where people's browsers find the server: the public address, else the one that this machine reaches it by.
    pub fn page_url(&self) -> String {
        match self.public_url.is_empty() {
            true => url_of(self.listen),
            false => self.public_url.clone(),
        }
    }

    /// The defaults of the dev profile, whatever file and environment say.
    pub fn dev(data: PathBuf, listen: SocketAddr) -> Self {
        Config {
            profile: Profile::Dev,
            listen,
            database: DatabaseUrl::Sqlite(data.join("synapscale.db")),
            redis: None,
            redis_url: None,
            roles: Roles {
                api: true,
                worker: true,
                relay: true,
            },
            public_url: String::new(),
            auto_migrate: true,
            trusted_proxies: Vec::new(),
            http_allow: Vec::new(),
            models: ModelsSettings {
                allow: Vec::new(),
                local_ollama: true,
                ollama_host: None,
            },
            mcp: McpSettings::default(),
            log: LogConfig {
                format: LogFormat::Human,
                filter: LOG.to_owned(),
            },
            otlp: None,
            limits: Limits::default(),
            lease: Duration::from_secs(30),
            keep_runs: days(KEEP_RUNS_DAYS),
            keep_events: None,
            master_key: MasterKeySource::File(data.join("master.key")),
            data,
        }
    }

    fn resolve(layer: Layer, mut problems: Problems) -> Result<Self> {
        let place = profile(layer.profile.as_deref(), &mut problems);
        let data = layer.data.unwrap_or_else(|| place.data());
        let listen = layer.listen.as_deref().unwrap_or(LISTEN);
        let address = listen.parse().unwrap_or_else(|_| {
            problems.add("listen", format!("`{listen}` is no address such as {LISTEN}."));
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        let mut config = Config::dev(data, address);
        config.profile = place;
        config.roles = roles(layer.roles, &mut problems);
        match DatabaseUrl::parse(layer.database_url.as_deref(), &config.data) {
            Ok(database) => config.database = database,
            Err(error) => problems.add("database_url", error.message().to_owned()),
        }
        match layer.redis.url.as_deref().map(Redis::new).transpose() {
            Ok(redis) => config.redis = redis,
            Err(_) => problems.add(
                "redis/url",
                "A URL such as redis://host:6379, or rediss://… over TLS.",
            ),
        }
        config.redis_url = layer.redis.url.map(Zeroizing::new);
        config.public_url = public_url(layer.public_url.as_deref(), &mut problems);
        config.auto_migrate = layer.auto_migrate.unwrap_or(true);
        config.trusted_proxies = problems.list("trusted_proxies", layer.trusted_proxies);
        config.http_allow = problems.list("http/allow", layer.http.allow);
        config.models.allow = problems.list("llm/allow", layer.llm.allow);
        // On a developer's machine what runs there is the developer's; elsewhere the operator decides.
        let own_machine = config.profile == Profile::Dev;
        config.models.local_ollama = layer.llm.local_ollama.unwrap_or(own_machine);
        config.models.ollama_host = layer.llm.ollama_host;
        config.mcp.stdio = layer.mcp.stdio.unwrap_or_default();
        config.mcp.stdio.retain(|command| !command.is_empty());
        config.mcp.allow = problems.list("mcp/allow", layer.mcp.allow);
        let path = layer.mcp.path.or_else(|| environment("PATH"));
        config.mcp.path = path.unwrap_or_else(|| MCP_PATH.to_owned());
        config.log.format = log_format(layer.log.format.as_deref(), config.profile, &mut problems);
        config.log.filter = layer.log.filter.unwrap_or_else(|| LOG.to_owned());
        config.otlp = OtlpConfig::resolve(layer.otlp, &mut problems);
        config.lease = Duration::from_secs(layer.limits.lease_seconds.unwrap_or(30).clamp(1, 3600));
        config.keep_runs = days(layer.limits.keep_runs_days.unwrap_or(KEEP_RUNS_DAYS));
        let keep_events = layer.limits.keep_events_days.filter(|days| *days > 0);
        config.keep_events = keep_events.map(days);
        config.limits = layer.limits.resolve(&mut problems);
        if let Some(key) = environment("SYNAPSCALE_MASTER_KEY").filter(|key| !key.trim().is_empty()) {
            config.master_key = MasterKeySource::Given(Zeroizing::new(key));
        }
        match problems.0.is_empty() {
            true => Ok(config),
            false => Err(Error::invalid_fields(problems.0).with_code("config")),
        }
    }

    /// Makes the data directory, for its owner alone.
    ///
    /// # Errors
    /// When the file system does not allow it.
    pub fn make_data(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.data)
            .map_err(|error| {
                Error::unavailable("data_directory", format!("{}: {error}", self.data.display()))
            })
    }

    /// The secret box under the master key.
    ///
    /// # Errors
    /// `master_key`.
    pub fn secrets(&self) -> Result<SecretBox> {
        let key = match &self.master_key {
            MasterKeySource::Given(text) => MasterKey::from_base64(text)?,
            MasterKeySource::File(path) => MasterKey::load_or_create(path)?,
        };
        SecretBox::new(&key)
    }

    /// How the store is opened.
    pub fn store(&self) -> StoreConfig {
        let mut store = StoreConfig::new(self.database.clone());
        store.connections = self.limits.database_connections.unwrap_or(store.connections);
        store.write_queue = self.limits.write_queue.unwrap_or(store.write_queue);
        store.keep_events = self.keep_events;
        store
    }

    /// The local socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.data)
    }
}

/// How a client on this machine reaches `address`.
pub(crate) fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}
