//! The client of the command line: where the server is, whose key to send, and calls by operation name.

use super::Failure;
use crate::config::{self, LISTEN};
use clap::Args;
use reqwest::header::{CONTENT_TYPE, HeaderMap, IF_MATCH};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use synapscale_core::{Error, Result};
use synapscale_flows::parse_yaml;
use synapscale_ops::Envelope;
use zeroize::Zeroizing;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for an answer; external operations take their time.
const ANSWER: Duration = Duration::from_secs(120);
/// Largest input file, in bytes.
const MAX_INPUT: u64 = 64 * 1024 * 1024;
/// The file in the data directory that the dev profile writes.
const DATA_PROFILE: &str = "cli.toml";

/// Flags of commands that talk to a server.
#[derive(Args, Clone, Debug, Default)]
pub struct ServerFlags {
    /// The server's address, such as https://work.example.org [SYNAPSCALE_SERVER]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// An API key; better in SYNAPSCALE_KEY or a profile file, since others can see a command's arguments
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub key: Option<String>,
    /// The server's data directory, whose cli.toml names server and key [SYNAPSCALE_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// A file with a server and a key. No `Debug`: it holds the key.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The server's address.
    pub server: Option<String>,
    /// The API key.
    pub key: Option<String>,
}

impl Profile {
    /// Where the profile of a data directory is.
    pub fn path_in(data: &Path) -> PathBuf {
        data.join(DATA_PROFILE)
    }

    /// Reads `path`; none when it is not there.
    ///
    /// # Errors
    /// `config` for a file that is none of this kind.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Ok(text) = std::fs::read_to_string(path).map(Zeroizing::new) else {
            return Ok(None);
        };
        toml::from_str(&text).map(Some).map_err(|error| {
            // Not the error's own rendering, which quotes the line.
            Error::invalid("", "config", format!("{}: {}", path.display(), error.message()))
                .with_code("config")
        })
    }

    /// Writes `path`, readable by this user alone.
    ///
    /// # Errors
    /// `data_directory` when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed =
            |e: std::io::Error| Error::unavailable("data_directory", format!("{}: {e}", path.display()));
        let text = Zeroizing::new(toml::to_string(self).map_err(Error::internal)?);
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        // The mode above holds for new files only.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }
}

/// A server to talk to.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    key: Option<Zeroizing<String>>,
}

/// An answer as it came.
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Client {
    /// The client that flags, variables and files name. A key is only ever sent to the server that it was given for.
    ///
    /// # Errors
    /// For a profile file that cannot be read.
    pub fn find(flags: &ServerFlags) -> Result<Self, Failure> {
        let env = config::client_env();
        let data = flags.data.clone().unwrap_or(env.data);
        let given_server = flags.server.clone().or(env.server);
        let given_key = flags.key.clone().map(Zeroizing::new).or(env.key);
        let files = [Some(Profile::path_in(&data)), env.profile];
        let mut profile = Profile::default();
        for path in files.into_iter().flatten() {
            let Some(found) = Profile::read(&path)? else {
                continue;
            };
            let fits = match (&given_server, &found.server) {
                (Some(wanted), Some(server)) => same_server(wanted, server),
                (Some(_), None) => false,
                (None, _) => true,
            };
            if fits {
                profile = found;
                break;
            }
        }
        let own_key = given_key.is_some();
        let server = match given_server {
            Some(server) => server,
            // A key that was given by hand goes to no address that a file in some folder names.
            None if own_key => format!("http://{LISTEN}"),
            None => profile
                .server
                .clone()
                .unwrap_or_else(|| format!("http://{LISTEN}")),
        };
        let key = given_key.or_else(|| profile.key.map(Zeroizing::new));
        Self::new(server, key)
    }

    /// A client of `server`.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(server: String, key: Option<Zeroizing<String>>) -> Result<Self, Failure> {
        let server = server.trim_end_matches('/').to_owned();
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(Failure::usage(format!(
                "`{server}` is no server's address: it begins with http:// or https://."
            )));
        }
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        let builder = match server.starts_with("http://") {
            // Nothing is encrypted, so no root certificates have to be there.
            true => builder.tls_certs_only(Vec::new()),
            false => builder,
        };
        let builder = if is_loopback(&server) {
            builder.no_proxy()
        } else {
            builder
        };
        let http = builder.build().map_err(Error::internal)?;
        Ok(Client { http, server, key })
    }

    /// The server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Calls an operation.
    ///
    /// # Errors
    /// The server's refusal, or that it cannot be reached.
    pub async fn call(&self, operation: &str, input: &Value) -> Result<Value, Failure> {
        self.call_with(operation, input, &Envelope::default()).await
    }

    /// As [`Client::call`], with what goes along with the input.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_with(
        &self,
        operation: &str,
        input: &Value,
        envelope: &Envelope,
    ) -> Result<Value, Failure> {
        let known = operation
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !known || operation.is_empty() {
            return Err(Failure::usage(format!(
                "`{operation}` is no name of an operation, such as tasks.list."
            )));
        }
        let request = self.http.post(format!("{}/api/v1/call/{operation}", self.server));
        let request = match &self.key {
            Some(key) => request.bearer_auth(key.as_str()),
            None => request,
        };
        let request = match &envelope.idempotency_key {
            Some(once) => request.header("idempotency-key", once),
            None => request,
        };
        let request = match envelope.expected_revision {
            Some(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            None => request,
        };
        self.answer(request.json(input)).await
    }

    /// Sends raw bytes to a path of the server, without the key.
    ///
    /// # Errors
    /// That it cannot be reached.
    pub async fn post_raw(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<RawAnswer, Failure> {
        let request = self.http.post(format!("{}{path}", self.server)).headers(headers);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(RawAnswer {
            status,
            headers,
            body,
        })
    }

    /// Reads a public path; answers status and body.
    ///
    /// # Errors
    /// That it cannot be reached.
    pub async fn get(&self, path: &str) -> Result<(u16, Value), Failure> {
        let request = self.http.get(format!("{}{path}", self.server));
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(Failure::of_answer(status.as_u16(), &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|_| Failure::of_answer(status.as_u16(), b""))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let what = match error {
            error if error.is_timeout() => "did not answer in time",
            error if error.is_connect() => "does not answer",
            _ => "broke off",
        };
        Failure::unreachable(format!("The server at {} {what}.", self.server))
    }
}

/// A call over the local socket of a server whose data directory is `data`; none when no server answers there.
///
/// # Errors
/// The server's refusal.
pub async fn call_local(data: &Path, path: &str, input: &impl Serialize) -> Result<Option<Value>, Failure> {
    let socket = config::socket_in(data);
    if std::os::unix::net::UnixStream::connect(&socket).is_err() {
        return Ok(None);
    }
    let builder = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only(Vec::new())
        .timeout(ANSWER);
    let http = builder.unix_socket(socket).build().map_err(Error::internal)?;
    let gone = |_| Failure::unreachable("The server broke off on its local socket.");
    // The host is only a name here.
    let answer = http
        .post(format!("http://localhost{path}"))
        .json(input)
        .send()
        .await
        .map_err(gone)?;
    let status = answer.status();
    let bytes = answer.bytes().await.map_err(gone)?;
    match status.is_success() {
        true => Ok(Some(serde_json::from_slice(&bytes).map_err(Error::internal)?)),
        false => Err(Failure::of_answer(status.as_u16(), &bytes)),
    }
}

/// Reads `JSON`, `@FILE` or `-` (the standard input).
///
/// # Errors
/// What cannot be read.
pub fn read_json(text: &str) -> Result<Value, Failure> {
    let (source, bytes) = match (text, text.strip_prefix('@')) {
        ("-", _) => ("the standard input".to_owned(), read_stdin()?),
        (_, Some(path)) => (path.to_owned(), read_file(Path::new(path))?),
        _ => ("--input".to_owned(), text.as_bytes().to_vec()),
    };
    if source.ends_with(".yaml") || source.ends_with(".yml") {
        let text =
            String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{source} is no text in UTF-8.")))?;
        return parse_yaml(&text).map_err(Failure::from);
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{source} is not valid JSON: {error}.")))
}

/// Reads a file, or the standard input for `-`.
///
/// # Errors
/// What cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        return read_stdin();
    }
    let failed = |error: std::io::Error| Failure::usage(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_INPUT).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads the standard input.
///
/// # Errors
/// When it cannot be read.
pub fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_INPUT).read_to_end(&mut bytes);
    read.map_err(|error| Failure::usage(format!("The standard input cannot be read: {error}")))?;
    Ok(bytes)
}

fn same_server(one: &str, other: &str) -> bool {
    one.trim_end_matches('/')
        .eq_ignore_ascii_case(other.trim_end_matches('/'))
}

fn is_loopback(server: &str) -> bool {
    let url = reqwest::Url::parse(server).ok();
    url.as_ref().and_then(reqwest::Url::host_str).is_some_and(|host| {
        let bare = host.trim_matches(['[', ']']);
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read() {
        assert_eq!(read_json("{\"a\": 1}").expect("read")["a"], 1);
        assert_eq!(read_json("{").expect_err("none").exit_code(), 2);
        assert_eq!(read_json("@/nowhere/at/all").expect_err("none").exit_code(), 2);
    }

    #[test]
    fn loopback_is_told_from_the_world() {
        assert!(
            is_loopback("http://127.0.0.1:8080")
                && is_loopback("http://[::1]:1")
                && is_loopback("http://localhost")
        );
        assert!(!is_loopback("https://work.example.org"));
    }

    #[test]
    fn profiles_are_private() {
        let path = std::env::temp_dir().join(format!("{}.toml", synapscale_core::new_id()));
        let profile = Profile {
            server: Some("http://h".into()),
            key: Some("k".into()),
        };
        profile.write(&path).expect("written");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            Profile::read(&path).expect("read").expect("there").key.as_deref(),
            Some("k")
        );
        std::fs::remove_file(&path).expect("clean");
        assert!(Profile::read(&path).expect("read").is_none());
    }
}
