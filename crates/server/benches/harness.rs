//! Starting the binary, driving it, counting.

use futures::StreamExt;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Clock ticks of /proc in a second, on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// A WebSocket to the server.
pub type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// One kind of request, from so many callers.
pub struct Load {
    name: String,
    method: Method,
    path: String,
    body: Option<Value>,
    callers: usize,
}

impl Load {
    pub fn new(name: &str, method: Method, path: &str, body: Option<Value>, callers: usize) -> Self {
        Load {
            name: name.to_owned(),
            method,
            path: path.to_owned(),
            body,
            callers,
        }
    }
}

impl Load {
    /// The same under another name.
    pub fn named(&self, name: &str) -> Self {
        Load::new(
            name,
            self.method.clone(),
            &self.path,
            self.body.clone(),
            self.callers,
        )
    }
}

/// A figure.
pub struct Measured {
    name: String,
    database: String,
    figures: String,
    /// CPU of each, in milliseconds.
    cpu_each: f64,
}

impl Measured {
    pub fn new(name: &str, database: &str, mut times: Vec<Duration>, span: Duration, cpu: f64) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let index = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        let count = times.len().max(1) as f64;
        let figures = format!(
            "{:.0} | {:.3} | {:.2} | {:.2} | {:.2}",
            count / span.as_secs_f64(),
            cpu * 1000.0 / count,
            cpu * 1000.0 / count,
            at(0.5),
            at(0.99)
        );
        Measured {
            name: name.to_owned(),
            database: database.to_owned(),
            figures,
            cpu_each: cpu * 1000.0 / count,
        }
    }

    /// What this takes beyond the floor below it.
    pub fn beyond(&self, floor: &Measured, name: &str) -> Self {
        self.each_of(1, floor, name)
    }

    /// What each of the `more` things takes that this does beyond the other.
    pub fn each_of(&self, more: u32, other: &Measured, name: &str) -> Self {
        let share = (self.cpu_each - other.cpu_each) / f64::from(more);
        Measured {
            name: name.to_owned(),
            database: self.database.clone(),
            figures: format!("| {share:.3} | {share:.2} | |"),
            cpu_each: share,
        }
    }

    fn single(name: &str, database: &str, text: String) -> Self {
        Measured {
            name: name.to_owned(),
            database: database.to_owned(),
            figures: format!("{text} | | | |"),
            cpu_each: 0.0,
        }
    }
}

/// Prints the table of docs/benchmarks.md.
pub fn report(rows: &[Measured]) {
    println!("| what | database | a second | server CPU ms each | CPU s per 1,000 | p50 ms | p99 ms |");
    println!("|---|---|---|---|---|---|---|");
    for row in rows {
        println!("| {} | {} | {} |", row.name, row.database, row.figures);
    }
}

/// A process as the kernel sees it.
pub struct Process(PathBuf);

impl Process {
    pub fn of(pid: u32) -> Self {
        Process(PathBuf::from(format!("/proc/{pid}")))
    }

    /// CPU seconds so far, user and system.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(self.0.join("stat")).expect("a running process");
        let (_, rest) = stat.rsplit_once(')').expect("a stat line");
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / TICKS
    }

    /// Resident memory, in MiB.
    pub fn resident(&self) -> f64 {
        let status = std::fs::read_to_string(self.0.join("status")).expect("a running process");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .expect("a VmRSS line");
        let kib: f64 = line
            .split_whitespace()
            .nth(1)
            .expect("a number")
            .parse()
            .expect("a number");
        kib / 1024.0
    }
}

pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Sends the load from its callers until the span is over.
pub async fn drive(
    database: &str,
    process: &Process,
    url: &str,
    key: &str,
    load: &Load,
    span: Duration,
) -> Measured {
    let client = Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(load.callers)
        .build()
        .expect("a client");
    let url = Arc::new(format!("{url}{}", load.path));
    let caller = |until: Instant| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let request = client.request(load.method.clone(), url.as_str());
                let request = if key.is_empty() {
                    request
                } else {
                    request.bearer_auth(key)
                };
                let request = match &load.body {
                    Some(body) => request.json(body),
                    None => request,
                };
                let one = Instant::now();
                let answer = request.send().await.expect("an answer");
                let status = answer.status();
                let body = answer.bytes().await.expect("a body");
                assert!(
                    status.is_success(),
                    "{status}: {}",
                    String::from_utf8_lossy(&body)
                );
                times.push(one.elapsed());
            }
            times
        }
    };
    let warm = Instant::now() + Duration::from_secs(1);
    futures::future::join_all((0..load.callers).map(|_| caller(warm))).await;
    let (cpu, began) = (process.cpu(), Instant::now());
    let until = began + span;
    let times = futures::future::join_all((0..load.callers).map(|_| caller(until))).await;
    Measured::new(
        &load.name,
        database,
        times.concat(),
        began.elapsed(),
        process.cpu() - cpu,
    )
}

/// The server to measure: the release build that the script tells of. The benchmark's own is not linked as one program.
#[allow(clippy::disallowed_methods, reason = "the script tells of it by a variable")]
fn binary() -> PathBuf {
    let told = std::env::var_os("SYNAPSCALE_BENCH_BINARY");
    told.map_or_else(|| env!("CARGO_BIN_EXE_synapscale").into(), PathBuf::from)
}

/// A database to measure on.
pub struct Target {
    name: &'static str,
    folder: tempfile::TempDir,
    url: String,
}

impl Target {
    pub async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let url = format!("sqlite:{}", folder.path().join("synapscale.db").display());
        Some(Target {
            name: "sqlite",
            folder,
            url,
        })
    }

    /// None, with a word, when no test server is told of.
    #[allow(
        clippy::disallowed_methods,
        reason = "the script tells of its server by a variable"
    )]
    pub async fn postgres() -> Option<Self> {
        if std::env::var("SYNAPSCALE_TEST_POSTGRES_URL").is_err() {
            eprintln!("PostgreSQL is left out: SYNAPSCALE_TEST_POSTGRES_URL is not set");
            return None;
        }
        let db = synapscale_testkit::TestDb::postgres().await;
        let folder = tempfile::tempdir().expect("a scratch folder");
        Some(Target {
            name: "postgres",
            folder,
            url: db.connection_string(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .current_dir(self.folder.path())
            .env("HOME", self.folder.path())
            .env("SYNAPSCALE_DATABASE_URL", &self.url)
            .env("SYNAPSCALE_DATA", self.folder.path())
            // Measured is the work, not the limiter.
            .env("SYNAPSCALE_RATE_FACTOR", "1000")
            .env("SYNAPSCALE_LLM_ALLOW", "127.0.0.1")
            .env("SYNAPSCALE_EVENT_STREAMS", "10000")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Bootstraps, starts once to migrate, and starts again: that start is the cold one.
    pub async fn start(&self) -> Server {
        let made = self
            .command()
            .args([
                "admin",
                "bootstrap",
                "--email",
                "bench@example.com",
                "--workspace",
                "Bench",
                "--json",
            ])
            .output()
            .await
            .expect("the binary runs");
        let owner: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        let key = owner["api_key"].as_str().expect("a key").to_owned();
        let port = free_port();
        let client = Client::builder().no_proxy().build().expect("a client");
        let url = format!("http://127.0.0.1:{port}");
        let began = Instant::now();
        let child = self
            .command()
            .args([
                "serve",
                "--profile",
                "prod",
                "--listen",
                &format!("127.0.0.1:{port}"),
            ])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        while client.get(format!("{url}/healthz")).send().await.is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the server did not start"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let cold = began.elapsed();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let process = Process::of(child.id().expect("a process id"));
        let idle = process.resident();
        Server {
            name: self.name,
            _child: child,
            process,
            url,
            key,
            client,
            cold,
            idle,
        }
    }
}

/// The server under measurement.
pub struct Server {
    name: &'static str,
    _child: Child,
    process: Process,
    url: String,
    key: String,
    client: Client,
    cold: Duration,
    idle: f64,
}

impl Server {
    pub fn cold_start(&self) -> Measured {
        Measured::single(
            "cold start to /healthz",
            self.name,
            format!("{:.0} ms", self.cold.as_secs_f64() * 1000.0),
        )
    }

    pub fn idle_memory(&self) -> Measured {
        Measured::single("idle resident memory", self.name, format!("{:.0} MiB", self.idle))
    }

    /// CPU seconds so far.
    pub fn cpu(&self) -> f64 {
        self.process.cpu()
    }

    /// A figure of this server.
    pub fn measured(&self, name: &str, times: Vec<Duration>, span: Duration, cpu: f64) -> Measured {
        Measured::new(name, self.name, times, span, cpu)
    }

    /// What it holds in memory now.
    pub fn memory(&self, name: &str) -> Measured {
        Measured::single(name, self.name, format!("{:.0} MiB", self.process.resident()))
    }

    /// A WebSocket that follows the workspace's log, greeted already.
    pub async fn follow(&self, query: &str) -> Socket {
        let url = format!("{}/api/v1/events/stream?{query}", self.url.replace("http", "ws"));
        let mut request = url.into_client_request().expect("a URL");
        let bearer = format!("Bearer {}", self.key).parse().expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("a stream");
        let greeting = socket.next().await.expect("a greeting").expect("a message");
        assert!(
            greeting.to_text().is_ok_and(|text| text.contains("hello")),
            "{greeting}"
        );
        socket
    }

    /// A run's live stream, which ends with the run.
    pub async fn listen(
        &self,
        run: &str,
    ) -> impl futures::Stream<Item = reqwest::Result<axum::body::Bytes>> + Unpin + use<> {
        let request = self
            .client
            .get(format!("{}/api/v1/runs/{run}/stream", self.url))
            .bearer_auth(&self.key);
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        Box::pin(answer.bytes_stream())
    }

    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let request = self.client.request(method, format!("{}{path}", self.url));
        self.answer(path, request.json(&body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url));
        self.answer(path, request).await
    }

    async fn answer(&self, path: &str, request: reqwest::RequestBuilder) -> Value {
        let request = request.bearer_auth(&self.key);
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        let answer: Value = answer.json().await.expect("JSON");
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// The workflow of the first figure; answers its hook's path.
    pub async fn apply_hook(&self) -> String {
        let file = json!({
            "name": "bench",
            "nodes": {
                "hook": { "kind": "trigger.webhook@1", "with": { "scheme": "none" } },
                "fields": { "kind": "set@1", "after": "hook", "with": { "n": "{{ input.body.n + 1 }}" } },
                "answer": { "kind": "respond@1", "after": "fields", "with": { "body": { "n": "{{ nodes.fields.output.n }}" } } },
            },
        });
        let applied = self
            .ask(Method::PUT, "/api/v1/workflows/bench", json!({ "file": file }))
            .await;
        applied["hooks"][0]["url_path"]
            .as_str()
            .expect("a path")
            .to_owned()
    }

    /// A task with `size` tasks below it, by patch sets.
    pub async fn tree(&self, project: &str, size: usize) -> String {
        let path = format!("/api/v1/projects/{project}/tasks");
        let root = self.ask(Method::POST, &path, json!({ "title": "Root" })).await;
        let root = root["id"].as_str().expect("an id").to_owned();
        let mut made = 1;
        while made < size {
            let count = (size - made).min(400);
            let patches: Vec<Value> = (0..count)
                .map(|number| {
                    json!({
                        "op": "create", "project_id": project, "parent_id": root,
                        "body": { "title": format!("Task {}", made + number), "tags": ["bench"] },
                    })
                })
                .collect();
            self.ask(
                Method::POST,
                "/api/v1/patches",
                json!({ "task_patches": patches }),
            )
            .await;
            made += count;
        }
        root
    }

    pub async fn measure(&self, load: &Load, span: Duration) -> Measured {
        drive(self.name, &self.process, &self.url, &self.key, load, span).await
    }
}
