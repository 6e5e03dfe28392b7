//! What a place should not be run with: weak secrets, no TLS in front, no limits, a log that tells requests. `prod` refuses
//! to start with it, `staging` warns of the same, `dev` only of what is dangerous on a developer's machine too.

use super::{Config, MasterKeySource, Profile};
use reqwest::Url;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use synapscale_core::net::Guard;
use synapscale_core::{Error, FieldError, Result};
use synapscale_store::{DatabaseUrl, MasterKey};

/// Fewer characters than this are guessed.
const MIN_PASSWORD: usize = 12;
/// Passwords that stand in examples all over the world.
const KNOWN_PASSWORDS: &[&str] = &[
    "changeme",
    "change-me",
    "default",
    "example",
    "password",
    "passw0rd",
    "postgres",
    "redis",
    "secret",
    "synapscale",
    "admin",
    "letmein",
    "qwerty",
    "123456",
];
/// Parts of the program that write whole requests, statements or headers when they are asked for details.
const TELLING: &[&str] = &["rmcp", "hyper", "h2", "sqlx", "reqwest", "tower_http"];
/// Commands that run whatever they are told.
const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "busybox", "env", "sudo", "python", "python3", "perl",
];
/// Where clouds give credentials to whoever asks.
const METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// Holds the profile that a data directory was made by.
const MARK: &str = "profile";

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Somebody should look.
    Warn,
    /// `prod` does not start.
    Refused,
    /// No profile starts.
    RefusedEverywhere,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The setting, as a path into the settings file: `limits/rate_factor`.
    pub setting: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong. Never a secret.
    pub what: String,
    /// How to mend it.
    pub mend: &'static str,
}

impl Finding {
    /// Whether a server of this profile does not start.
    pub fn refuses(&self, profile: Profile) -> bool {
        match self.severity {
            Severity::Warn => false,
            Severity::Refused => profile == Profile::Prod,
            Severity::RefusedEverywhere => true,
        }
    }
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(
        &mut self,
        severity: Severity,
        setting: &'static str,
        what: impl Into<String>,
        mend: &'static str,
    ) {
        self.0.push(Finding {
            setting,
            severity,
            what: what.into(),
            mend,
        });
    }

    fn refuse(&mut self, setting: &'static str, what: impl Into<String>, mend: &'static str) {
        self.add(Severity::Refused, setting, what, mend);
    }

    fn warn(&mut self, setting: &'static str, what: impl Into<String>, mend: &'static str) {
        self.add(Severity::Warn, setting, what, mend);
    }
}

impl Config {
    /// What this place should not be run with, by its profile.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Findings::default();
        other_places_data(self, &mut found);
        if self.profile == Profile::Dev {
            open_developer(self, &mut found);
            return found.0;
        }
        if self.roles.api {
            front(self, &mut found);
        }
        master_key(&self.master_key, &mut found);
        if let DatabaseUrl::Postgres(url) = &self.database {
            database(url, &mut found);
        }
        if let Some(url) = &self.redis_url {
            redis(url, &mut found);
        }
        log(&self.log.filter, &mut found);
        bounds(self, &mut found);
        outside(self, &mut found);
        found.0
    }

    /// Refuses a start that the profile does not allow, and warns in the log of everything else that was found.
    ///
    /// # Errors
    /// `config` with every setting to be mended, and how.
    pub fn guard(&self) -> Result<()> {
        let (refused, told): (Vec<_>, Vec<_>) = self
            .findings()
            .into_iter()
            .partition(|finding| finding.refuses(self.profile));
        for finding in told {
            tracing::warn!(setting = finding.setting, mend = finding.mend, "{}", finding.what);
        }
        if refused.is_empty() {
            return Ok(());
        }
        let fields = refused.into_iter().map(|finding| FieldError {
            pointer: format!("/{}", finding.setting),
            code: "config".into(),
            message: format!("{} {}", finding.what, finding.mend),
        });
        Err(Error::invalid_fields(fields.collect()).with_code("config"))
    }

    /// Writes into the data directory whose it is. The first profile that uses it keeps it.
    ///
    /// # Errors
    /// `data_directory` when it cannot be written.
    pub fn mark_data(&self) -> Result<()> {
        let path = self.data.join(MARK);
        let made = fs::File::create_new(&path);
        let written =
            made.and_then(|mut file| io::Write::write_all(&mut file, self.profile.as_str().as_bytes()));
        match written {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                let message = format!("{}: {error}", path.display());
                Err(Error::unavailable("data_directory", message))
            }
            _ => Ok(()),
        }
    }
}

/// Production's data in another profile, or another profile's in production: somebody took the wrong directory.
fn other_places_data(config: &Config, found: &mut Findings) {
    let Some(made_by) = fs::read_to_string(config.data.join(MARK)).ok() else {
        return;
    };
    let Some(made_by) = Profile::named(made_by.trim()).filter(|made_by| *made_by != config.profile) else {
        return;
    };
    let what = format!(
        "{} holds the data of the {} profile.",
        config.data.display(),
        made_by.as_str()
    );
    let mend = "Name another directory by data or --data; if it is meant to change its profile, delete the file \
        `profile` in it.";
    let severity = match made_by == Profile::Prod || config.profile == Profile::Prod {
        true => Severity::RefusedEverywhere,
        false => Severity::Warn,
    };
    found.add(severity, "data", what, mend);
}

fn open_developer(config: &Config, found: &mut Findings) {
    if !config.listen.ip().is_loopback() && config.roles.api {
        found.warn(
            "profile",
            "The dev profile listens beyond this machine: it prints the first owner's key and link, and guards nothing.",
            "Use the staging or prod profile, or listen at 127.0.0.1.",
        );
    }
}

/// TLS, and whose addresses are believed.
fn front(config: &Config, found: &mut Findings) {
    if !synapscale_api::is_https(&config.public_url) {
        found.refuse(
            "public_url",
            "No https:// address is set: nothing stands for TLS in front, and cookies are sent without Secure.",
            "Put a proxy that speaks TLS in front, and set public_url (SYNAPSCALE_PUBLIC_URL) to its https:// address.",
        );
    }
    if !config.trusted_proxies.is_empty() {
        return;
    }
    let mend = "Set trusted_proxies (SYNAPSCALE_TRUSTED_PROXIES) to the addresses of the proxy in front, or listen at \
        127.0.0.1 and put the proxy on this machine.";
    match config.listen.ip().is_loopback() {
        true => found.warn(
            "trusted_proxies",
            "No proxy is trusted: all callers behind it look like one, and share its limits.",
            "Set trusted_proxies (SYNAPSCALE_TRUSTED_PROXIES) to the proxy's address, such as 127.0.0.1.",
        ),
        false => found.refuse(
            "trusted_proxies",
            format!(
                "The server listens at {}, beyond this machine, and no proxy is trusted.",
                config.listen
            ),
            mend,
        ),
    }
}

/// A key that cannot be read at all is told of elsewhere.
fn master_key(source: &MasterKeySource, found: &mut Findings) {
    let key = match source {
        MasterKeySource::Given(text) => MasterKey::from_base64(text),
        MasterKeySource::File(path) if Path::new(path).exists() => MasterKey::load_or_create(path),
        MasterKeySource::File(_) => return,
    };
    if let Some(weakness) = key.ok().and_then(|key| key.weakness()) {
        found.refuse(
            "master_key",
            format!("The master key {weakness}: whoever guesses it reads every secret."),
            "Make one by `openssl rand -base64 32` for SYNAPSCALE_MASTER_KEY, or let the first start make master.key. \
             What was sealed under the old key is lost.",
        );
    }
}

/// Why a password is weak.
fn weakness(password: &str, user: &str) -> Option<&'static str> {
    let plain = password.to_ascii_lowercase();
    if plain == user.to_ascii_lowercase() || KNOWN_PASSWORDS.contains(&plain.as_str()) {
        return Some("is one that everybody tries first");
    }
    if password.chars().count() < MIN_PASSWORD {
        return Some("is shorter than 12 characters");
    }
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    (distinct.len() < 6).then_some("repeats a few characters")
}

/// A server's address, and whether it is on this machine.
struct Address {
    url: Url,
    local: bool,
}

impl Address {
    fn of(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let local = host.is_empty()
            || host == "localhost"
            || host.starts_with('/')
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        Some(Address { url, local })
    }

    fn password(&self) -> Option<String> {
        let raw = self.url.password()?;
        Some(
            percent_encoding::percent_decode_str(raw)
                .decode_utf8_lossy()
                .into_owned(),
        )
    }

    fn weak_password(&self) -> Option<&'static str> {
        weakness(&self.password()?, self.url.username())
    }
}

fn database(url: &str, found: &mut Findings) {
    let Some(address) = Address::of(url) else {
        return;
    };
    if let Some(weakness) = address.weak_password() {
        found.refuse(
            "database_url",
            format!("The password of the PostgreSQL login {weakness}."),
            "Give the login a long random one by ALTER ROLE, and set it in SYNAPSCALE_DATABASE_URL.",
        );
    }
    let modes = ["require", "verify-ca", "verify-full"];
    let sealed = address
        .url
        .query_pairs()
        .any(|(name, mode)| name == "sslmode" && modes.contains(&mode.as_ref()));
    if !address.local && !sealed {
        found.warn(
            "database_url",
            "Rows may travel to PostgreSQL in clear.",
            "Add ?sslmode=verify-full (or require) to the URL.",
        );
    }
}

fn redis(url: &str, found: &mut Findings) {
    let Some(address) = Address::of(url) else {
        return;
    };
    let mend =
        "Set requirepass or an ACL user in Redis, and put a long random password into SYNAPSCALE_REDIS_URL.";
    match (address.password(), address.weak_password()) {
        (None, _) if !address.local => {
            found.refuse(
                "redis/url",
                "Redis on another machine is used without a password.",
                mend,
            );
        }
        (_, Some(weakness)) => found.refuse("redis/url", format!("The password of Redis {weakness}."), mend),
        _ => {}
    }
    if !address.local && address.url.scheme() != "rediss" {
        found.warn(
            "redis/url",
            "Events travel to Redis in clear.",
            "Use rediss:// and let Redis speak TLS.",
        );
    }
}

/// Only parts that tell of more than ids and names are refused: `info,synapscale_engine=debug` is an operator's right.
fn log(filter: &str, found: &mut Findings) {
    let telling = filter.split(',').map(str::trim).find(|directive| {
        let (target, level) = directive.rsplit_once('=').unwrap_or(("", directive));
        let detailed = ["debug", "trace"].contains(&level.trim().to_ascii_lowercase().as_str());
        let of_all = target.is_empty() || TELLING.iter().any(|name| target.starts_with(name));
        detailed && of_all
    });
    if let Some(directive) = telling {
        found.refuse(
            "log/filter",
            format!("With `{directive}` the log holds whole requests and statements."),
            "Name single parts of the product instead, such as info,synapscale_engine=debug.",
        );
    }
}

fn bounds(config: &Config, found: &mut Findings) {
    if config.limits.rate_factor == 0 {
        found.refuse(
            "limits/rate_factor",
            "No caller is limited.",
            "Leave it out, or set how many times the usual limits a caller may have (SYNAPSCALE_RATE_FACTOR).",
        );
    }
}

/// What workflows, models and MCP servers of tenants may reach.
fn outside(config: &Config, found: &mut Findings) {
    let lists = [
        ("http/allow", &config.http_allow),
        ("llm/allow", &config.models.allow),
        ("mcp/allow", &config.mcp.allow),
    ];
    for (setting, rules) in lists {
        if Guard::new(rules.clone()).permits(None, METADATA, 80) {
            found.refuse(
                setting,
                format!("Tenants may reach {METADATA}, where clouds give out credentials."),
                "Name only the hosts that are needed.",
            );
        }
    }
    let shell = config.mcp.stdio.iter().find(|command| {
        let name = command.rsplit('/').next().unwrap_or_default();
        SHELLS.contains(&name)
    });
    if let Some(shell) = shell {
        found.warn(
            "mcp/stdio",
            format!("`{shell}` runs whatever a workspace tells it to."),
            "Name the MCP servers' own programs.",
        );
    }
    let collector = config.otlp.as_ref().filter(|otlp| !otlp.headers.is_empty());
    let clear = collector.is_some_and(|otlp| {
        otlp.endpoint.scheme() == "http"
            && Address::of(otlp.endpoint.as_str()).is_some_and(|address| !address.local)
    });
    if clear {
        found.warn(
            "otlp/endpoint",
            "The collector's headers travel in clear.",
            "Use an https:// endpoint.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use zeroize::Zeroizing;

    fn prod() -> Config {
        let listen: SocketAddr = "127.0.0.1:8080".parse().expect("an address");
        let mut config = Config::dev("/nowhere/at/all".into(), listen);
        config.profile = Profile::Prod;
        config.public_url = "https://work.example.org".into();
        config.trusted_proxies = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        config
    }

    fn settings(config: &Config) -> Vec<(&'static str, bool)> {
        let found = config.findings();
        found
            .iter()
            .map(|found| (found.setting, found.refuses(Profile::Prod)))
            .collect()
    }

    #[test]
    fn a_place_that_is_well_is_left_alone() {
        assert_eq!(settings(&prod()), []);
        prod().guard().expect("nothing to refuse");
    }

    #[test]
    fn passwords_are_judged() {
        for weak in [
            "postgres",
            "PASSWORD",
            "ada",
            "short",
            "abcabcabcabcabc",
            "11111111111111111",
        ] {
            assert!(weakness(weak, "ada").is_some(), "{weak}");
        }
        assert_eq!(weakness("vK3p-0wLq7_ZtR", "ada"), None);
    }

    #[test]
    fn urls_of_databases_are_judged() {
        let of = |url: &str| {
            let mut config = prod();
            config.database = DatabaseUrl::Postgres(url.into());
            settings(&config)
        };
        assert_eq!(of("postgres://ada@127.0.0.1/x"), []);
        assert_eq!(of("postgres://ada:vK3p-0wLq7_ZtR@[::1]:5432/x"), []);
        assert_eq!(of("postgres:///x?host=/run/postgresql"), []);
        assert_eq!(
            of("postgres://ada:postgres@localhost/x"),
            [("database_url", true)]
        );
        assert_eq!(
            of("postgres://ada:p%6Fstgres@localhost/x"),
            [("database_url", true)]
        );
        assert_eq!(
            of("postgres://ada:vK3p-0wLq7_ZtR@db/x"),
            [("database_url", false)]
        );
        assert_eq!(of("postgres://ada:vK3p-0wLq7_ZtR@db/x?sslmode=verify-full"), []);
    }

    #[test]
    fn urls_of_redis_are_judged() {
        let of = |url: &str| {
            let mut config = prod();
            config.redis_url = Some(Zeroizing::new(url.into()));
            settings(&config)
        };
        assert_eq!(of("redis://127.0.0.1:6379"), []);
        assert_eq!(of("rediss://:vK3p-0wLq7_ZtR@cache"), []);
        assert_eq!(of("redis://:redis@127.0.0.1"), [("redis/url", true)]);
        assert_eq!(of("redis://cache"), [("redis/url", true), ("redis/url", false)]);
    }

    #[test]
    fn logs_that_tell_requests_are_told_from_others() {
        let of = |filter: &str| {
            let mut config = prod();
            config.log.filter = filter.into();
            !settings(&config).is_empty()
        };
        for telling in ["debug", "info,rmcp=trace", "trace", "warn, hyper_util=debug"] {
            assert!(of(telling), "{telling}");
        }
        for quiet in ["info", "info,synapscale_engine=debug", "warn,rmcp=info"] {
            assert!(!of(quiet), "{quiet}");
        }
    }

    #[test]
    fn what_is_dangerous_everywhere_is_told_of_everywhere() {
        let mut config = prod();
        config.limits.rate_factor = 0;
        config.http_allow = vec!["169.254.0.0/16".parse().expect("a rule")];
        config.mcp.stdio = vec!["/bin/bash".into()];
        let found = [
            ("limits/rate_factor", true),
            ("http/allow", true),
            ("mcp/stdio", false),
        ];
        assert_eq!(settings(&config), found);
        let error = config.guard().expect_err("refused");
        assert_eq!(error.fields().len(), 2);
        config.profile = Profile::Staging;
        config.guard().expect("warned of only");
        config.profile = Profile::Dev;
        assert_eq!(settings(&config), []);
        config.listen.set_ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        assert_eq!(settings(&config), [("profile", false)]);
    }

    #[test]
    fn a_directory_belongs_to_the_profile_that_made_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = prod();
        config.data = folder.path().to_owned();
        config.profile = Profile::Staging;
        config.mark_data().expect("marked");
        config.profile = Profile::Dev;
        config.mark_data().expect("the first mark stays");
        config.guard().expect("warned of only");
        config.profile = Profile::Prod;
        assert_eq!(settings(&config), [("data", true)]);
    }
}
