//! One source of settings: what it says, and nothing for what it does not. File, variables and flags are laid over one
//! another and checked together.

use super::{Limits, Problems};
use clap::Args;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, Result};

/// Flags that say which database, and whose settings.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreFlags {
    /// Settings file; ./synapscale.PROFILE.toml or ./synapscale.toml is read when it is there [SYNAPSCALE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// dev, staging or prod: whose settings, data and guards; dev unless given [SYNAPSCALE_PROFILE]
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Directory for database, keys and the local socket; ./data, ./data-staging or ./data-prod unless given
    /// [SYNAPSCALE_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// postgres://… or sqlite:PATH; a file in the data directory unless given. A URL with a password is better put into
    /// the variable, since others can see a command's arguments [SYNAPSCALE_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
}

/// Flags of the server.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeFlags {
    // A doc comment here would become the command's own help.
    #[command(flatten)]
    pub store: StoreFlags,
    /// Address and port; 127.0.0.1:8080 unless given [SYNAPSCALE_LISTEN]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// What this process does, of api, worker and relay; all of it unless given [SYNAPSCALE_ROLES]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Option<Vec<String>>,
    /// human or json [SYNAPSCALE_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What the log shows, such as debug or info,synapscale_engine=debug [SYNAPSCALE_LOG]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

/// No `Debug`: the database URL may hold a password.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Layer {
    pub profile: Option<String>,
    pub listen: Option<String>,
    pub data: Option<PathBuf>,
    pub database_url: Option<String>,
    pub roles: Option<Vec<String>>,
    pub public_url: Option<String>,
    pub auto_migrate: Option<bool>,
    pub trusted_proxies: Option<Vec<String>>,
    pub log: LogLayer,
    pub redis: RedisLayer,
    pub http: HttpLayer,
    pub llm: LlmLayer,
    pub mcp: McpLayer,
    pub otlp: OtlpLayer,
    pub limits: LimitsLayer,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogLayer {
    pub format: Option<String>,
    pub filter: Option<String>,
}

/// No `Debug`: the URL may hold a password.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RedisLayer {
    pub url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpLayer {
    pub allow: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LlmLayer {
    pub allow: Option<Vec<String>>,
    pub local_ollama: Option<bool>,
    pub ollama_host: Option<String>,
}

/// No `Debug`: the headers are secret.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OtlpLayer {
    pub endpoint: Option<String>,
    pub headers: Option<String>,
    pub service: Option<String>,
    pub sample_ratio: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct McpLayer {
    pub stdio: Option<Vec<String>>,
    pub allow: Option<Vec<String>>,
    pub path: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsLayer {
    pub body_bytes: Option<u64>,
    pub request_seconds: Option<u64>,
    pub event_streams: Option<u64>,
    pub worker_slots: Option<u64>,
    pub tenant_running: Option<u64>,
    pub tenant_queued: Option<u64>,
    pub database_connections: Option<u64>,
    pub write_queue: Option<u64>,
    pub drain_seconds: Option<u64>,
    pub rate_factor: Option<u64>,
    pub lease_seconds: Option<u64>,
    pub keep_runs_days: Option<u64>,
    pub keep_events_days: Option<u64>,
}

impl Layer {
    /// What `path` says.
    pub fn from_file(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::new(ErrorKind::Invalid, "config", format!("{shown}: {e}")))?;
        toml::from_str(&text).map_err(|error| {
            // Not the error's own rendering: it quotes the line, which may hold a password.
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Error::new(
                ErrorKind::Invalid,
                "config",
                format!("{shown}, line {line}: {}", error.message()),
            )
        })
    }

    pub fn from_flags(flags: &ServeFlags) -> Self {
        Layer {
            profile: flags.store.profile.clone(),
            listen: flags.listen.clone(),
            data: flags.store.data.clone(),
            database_url: flags.store.database_url.clone(),
            roles: flags.roles.clone(),
            log: LogLayer {
                format: flags.log_format.clone(),
                filter: flags.log.clone(),
            },
            ..Layer::default()
        }
    }

    pub fn from_env(env: &dyn Fn(&str) -> Option<String>, problems: &mut Problems) -> Self {
        let text = |name: &str| env(&format!("SYNAPSCALE_{name}")).filter(|text| !text.trim().is_empty());
        let list = |name: &str| -> Option<Vec<String>> {
            text(name).map(|text| text.split(',').map(|part| part.trim().to_owned()).collect())
        };
        let mut flag = |name: &str, setting: &str| match text(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                problems.add(setting, format!("SYNAPSCALE_{name} is true or false."));
                None
            }
        };
        let auto_migrate = flag("AUTO_MIGRATE", "auto_migrate");
        let local_ollama = flag("LLM_LOCAL_OLLAMA", "llm/local_ollama");
        let ratio = text("OTLP_SAMPLE_RATIO").map(|text| text.trim().parse::<f64>());
        let otlp = OtlpLayer {
            endpoint: text("OTLP_ENDPOINT"),
            headers: text("OTLP_HEADERS"),
            service: text("OTLP_SERVICE"),
            sample_ratio: ratio.as_ref().and_then(|ratio| ratio.as_ref().ok().copied()),
        };
        let mut number = |name: &str, setting: &str| {
            let text = text(name)?;
            let read = text.trim().parse::<u64>();
            if read.is_err() {
                problems.add(setting, format!("SYNAPSCALE_{name} is no whole number."));
            }
            read.ok()
        };
        let limits = LimitsLayer {
            body_bytes: number("BODY_BYTES", "limits/body_bytes"),
            request_seconds: number("REQUEST_SECONDS", "limits/request_seconds"),
            event_streams: number("EVENT_STREAMS", "limits/event_streams"),
            worker_slots: number("WORKER_SLOTS", "limits/worker_slots"),
            tenant_running: number("TENANT_RUNNING", "limits/tenant_running"),
            tenant_queued: number("TENANT_QUEUED", "limits/tenant_queued"),
            database_connections: number("DATABASE_CONNECTIONS", "limits/database_connections"),
            write_queue: number("WRITE_QUEUE", "limits/write_queue"),
            drain_seconds: number("DRAIN_SECONDS", "limits/drain_seconds"),
            rate_factor: number("RATE_FACTOR", "limits/rate_factor"),
            lease_seconds: number("LEASE_SECONDS", "limits/lease_seconds"),
            keep_runs_days: number("KEEP_RUNS_DAYS", "limits/keep_runs_days"),
            keep_events_days: number("KEEP_EVENTS_DAYS", "limits/keep_events_days"),
        };
        if ratio.is_some_and(|ratio| ratio.is_err()) {
            problems.add("otlp/sample_ratio", "SYNAPSCALE_OTLP_SAMPLE_RATIO is no number.");
        }
        Layer {
            profile: text("PROFILE"),
            listen: text("LISTEN"),
            data: text("DATA").map(PathBuf::from),
            database_url: text("DATABASE_URL"),
            roles: list("ROLES"),
            public_url: text("PUBLIC_URL"),
            auto_migrate,
            trusted_proxies: list("TRUSTED_PROXIES"),
            log: LogLayer {
                format: text("LOG_FORMAT"),
                filter: text("LOG"),
            },
            redis: RedisLayer {
                url: text("REDIS_URL"),
            },
            http: HttpLayer {
                allow: list("HTTP_ALLOW"),
            },
            llm: LlmLayer {
                allow: list("LLM_ALLOW"),
                local_ollama,
                ollama_host: text("LLM_OLLAMA_HOST").or_else(|| env("OLLAMA_HOST")),
            },
            mcp: McpLayer {
                stdio: list("MCP_STDIO"),
                allow: list("MCP_ALLOW"),
                path: text("MCP_PATH"),
            },
            otlp,
            limits,
        }
    }

    /// The variables that many programs share: they count where nothing of ours speaks.
    pub fn from_shared_env(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| env(name).filter(|text| !text.trim().is_empty());
        Layer {
            otlp: OtlpLayer {
                endpoint: text("OTEL_EXPORTER_OTLP_ENDPOINT"),
                headers: text("OTEL_EXPORTER_OTLP_HEADERS"),
                service: text("OTEL_SERVICE_NAME"),
                sample_ratio: None,
            },
            ..Layer::default()
        }
    }

    /// This layer, and `below` where it says nothing.
    pub fn over(self, below: Layer) -> Layer {
        Layer {
            profile: self.profile.or(below.profile),
            listen: self.listen.or(below.listen),
            data: self.data.or(below.data),
            database_url: self.database_url.or(below.database_url),
            roles: self.roles.or(below.roles),
            public_url: self.public_url.or(below.public_url),
            auto_migrate: self.auto_migrate.or(below.auto_migrate),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            log: LogLayer {
                format: self.log.format.or(below.log.format),
                filter: self.log.filter.or(below.log.filter),
            },
            redis: RedisLayer {
                url: self.redis.url.or(below.redis.url),
            },
            http: HttpLayer {
                allow: self.http.allow.or(below.http.allow),
            },
            llm: LlmLayer {
                allow: self.llm.allow.or(below.llm.allow),
                local_ollama: self.llm.local_ollama.or(below.llm.local_ollama),
                ollama_host: self.llm.ollama_host.or(below.llm.ollama_host),
            },
            mcp: McpLayer {
                stdio: self.mcp.stdio.or(below.mcp.stdio),
                allow: self.mcp.allow.or(below.mcp.allow),
                path: self.mcp.path.or(below.mcp.path),
            },
            otlp: OtlpLayer {
                endpoint: self.otlp.endpoint.or(below.otlp.endpoint),
                headers: self.otlp.headers.or(below.otlp.headers),
                service: self.otlp.service.or(below.otlp.service),
                sample_ratio: self.otlp.sample_ratio.or(below.otlp.sample_ratio),
            },
            limits: self.limits.over(below.limits),
        }
    }
}

impl LimitsLayer {
    fn over(self, below: LimitsLayer) -> LimitsLayer {
        LimitsLayer {
            body_bytes: self.body_bytes.or(below.body_bytes),
            request_seconds: self.request_seconds.or(below.request_seconds),
            event_streams: self.event_streams.or(below.event_streams),
            worker_slots: self.worker_slots.or(below.worker_slots),
            tenant_running: self.tenant_running.or(below.tenant_running),
            tenant_queued: self.tenant_queued.or(below.tenant_queued),
            database_connections: self.database_connections.or(below.database_connections),
            write_queue: self.write_queue.or(below.write_queue),
            drain_seconds: self.drain_seconds.or(below.drain_seconds),
            rate_factor: self.rate_factor.or(below.rate_factor),
            lease_seconds: self.lease_seconds.or(below.lease_seconds),
            keep_runs_days: self.keep_runs_days.or(below.keep_runs_days),
            keep_events_days: self.keep_events_days.or(below.keep_events_days),
        }
    }

    /// The limits, each within what makes sense.
    pub fn resolve(self, problems: &mut Problems) -> Limits {
        let usual = Limits::default();
        let mut within = |setting: &str, value: Option<u64>, least: u64, most: u64| {
            let value = value?;
            if !(least..=most).contains(&value) {
                problems.add(
                    &format!("limits/{setting}"),
                    format!("From {least} to {most}, not {value}."),
                );
                return None;
            }
            Some(value)
        };
        let size = |value: Option<u64>, otherwise: usize| {
            value
                .and_then(|value| usize::try_from(value).ok())
                .unwrap_or(otherwise)
        };
        Limits {
            body_bytes: size(
                within("body_bytes", self.body_bytes, 1024, 64 << 20),
                usual.body_bytes,
            ),
            request: within("request_seconds", self.request_seconds, 1, 600)
                .map_or(usual.request, Duration::from_secs),
            event_streams: size(
                within("event_streams", self.event_streams, 1, 100_000),
                usual.event_streams,
            ),
            worker_slots: size(
                within("worker_slots", self.worker_slots, 1, 100_000),
                usual.worker_slots,
            ),
            tenant_running: within("tenant_running", self.tenant_running, 0, 100_000)
                .and_then(|value| u32::try_from(value).ok())
                .unwrap_or(usual.tenant_running),
            tenant_queued: within("tenant_queued", self.tenant_queued, 0, 100_000_000)
                .and_then(|value| u32::try_from(value).ok())
                .unwrap_or(usual.tenant_queued),
            database_connections: within("database_connections", self.database_connections, 2, 1000)
                .and_then(|value| u32::try_from(value).ok()),
            write_queue: within("write_queue", self.write_queue, 1, 1_000_000)
                .and_then(|value| usize::try_from(value).ok()),
            drain: within("drain_seconds", self.drain_seconds, 0, 3600)
                .map_or(usual.drain, Duration::from_secs),
            rate_factor: within("rate_factor", self.rate_factor, 0, 1_000_000)
                .and_then(|value| u32::try_from(value).ok())
                .unwrap_or(usual.rate_factor),
        }
    }
}
