//! The binary as a child process: started, asked, killed, started again.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use synapscale_testkit::TestDb;
use tokio::process::{Child, Command};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_synapscale");
/// How long a start may take on a busy test machine.
const START: Duration = Duration::from_secs(30);

/// What `admin bootstrap` prints.
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Owner {
    pub workspace_id: String,
    pub user_id: String,
    pub api_key: String,
}

/// A running server.
pub struct Server {
    child: Child,
    pub url: String,
    pub key: String,
    client: Client,
}

/// Runs a command of the binary to its end.
pub async fn command(db: &TestDb, args: &[&str]) -> (i32, String, String) {
    command_with(db, args, &[]).await
}

/// As [`command`], with more variables.
pub async fn command_with(db: &TestDb, args: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let output = base(db)
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Waits until `done` says so: longer than anything here takes on a busy machine.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Starts a command of the binary, to be killed.
pub fn spawned(db: &TestDb, args: &[&str]) -> Child {
    let mut command = base(db);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.kill_on_drop(true).spawn().expect("the binary starts")
}

/// The binary, about to run on that database.
pub fn base(db: &TestDb) -> Command {
    base_under(db, &[])
}

/// The binary as the last argument of the command `under`, or by itself.
fn base_under(db: &TestDb, under: &[&str]) -> Command {
    let mut command = match under.split_first() {
        None => Command::new(BINARY),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(BINARY);
            command
        }
    };
    command
        .current_dir(db.folder())
        .env("HOME", db.folder())
        .env("SYNAPSCALE_DATABASE_URL", db.connection_string())
        .env("SYNAPSCALE_DATA", db.folder())
        .env("RUST_BACKTRACE", "1");
    command
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Makes the first owner.
pub async fn bootstrap(db: &TestDb) -> Owner {
    owner(db, "bootstrap", "owner@example.com").await
}

/// Makes a further workspace, beside a running server or without one.
pub async fn further(db: &TestDb, email: &str) -> Owner {
    owner(db, "workspace", email).await
}

async fn owner(db: &TestDb, verb: &str, email: &str) -> Owner {
    let args = ["admin", verb, "--email", email, "--workspace", "Test", "--json"];
    let (code, out, err) = command(db, &args).await;
    assert_eq!(code, 0, "{out}\n{err}");
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

impl Server {
    /// Bootstraps and starts.
    pub async fn fresh(db: &TestDb) -> Self {
        let owner = bootstrap(db).await;
        Self::start(db, &owner.api_key, &[]).await
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(db: &TestDb, key: &str, args: &[&str]) -> Self {
        Self::start_in(db, key, args, &[], db.folder()).await
    }

    /// As [`Server::start`], with more variables and a data directory of its own.
    pub async fn start_in(
        db: &TestDb,
        key: &str,
        args: &[&str],
        variables: &[(&str, &str)],
        data: &Path,
    ) -> Self {
        Self::launch(db, key, &[], args, variables, data).await
    }

    /// As [`Server::start`], by a command that becomes the server, such as a tracer or one that sets limits.
    pub async fn start_under(db: &TestDb, key: &str, under: &[&str]) -> Self {
        Self::launch(db, key, under, &[], &[], db.folder()).await
    }

    /// As [`Server::start_in`] and [`Server::start_under`] at once.
    pub async fn launch(
        db: &TestDb,
        key: &str,
        under: &[&str],
        args: &[&str],
        variables: &[(&str, &str)],
        data: &Path,
    ) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(data).expect("a folder");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data.join("server.log"))
            .expect("a log file");
        let child = base_under(db, under)
            .args(["serve", "--listen", &listen])
            .args(args)
            .env("SYNAPSCALE_PROFILE", "staging")
            .env("SYNAPSCALE_HTTP_ALLOW", "127.0.0.1")
            .env("SYNAPSCALE_LLM_ALLOW", "127.0.0.1")
            .env("SYNAPSCALE_DATA", data)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        let mut server = Server {
            child,
            url: format!("http://{listen}"),
            key: key.to_owned(),
            client,
        };
        server.wait_ready(data).await;
        server
    }

    async fn wait_ready(&mut self, folder: &Path) {
        let began = Instant::now();
        loop {
            let ready = self.client.get(format!("{}/readyz", self.url)).send().await;
            if ready.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                return;
            }
            let exited = self.child.try_wait().expect("a child");
            if exited.is_some() || began.elapsed() > START {
                let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
                panic!("the server did not become ready ({exited:?}):\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("a running child")
    }

    /// `kill -9`.
    pub async fn kill(&mut self) {
        self.child.start_kill().expect("killed");
        self.child.wait().await.expect("gone");
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        self.signal("-TERM").await;
        self.child.wait().await.expect("gone").code()
    }

    /// Sends the process a signal, such as `-STOP`.
    pub async fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.expect("kill runs").success());
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// A request without any.
    pub fn anonymous(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends JSON and wants JSON with a good status.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.try_ask(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends JSON and takes whatever comes.
    pub async fn try_ask(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.request(method.clone(), path);
        let bare = [Method::GET, Method::DELETE].contains(&method);
        let request = if bare { request } else { request.json(&body) };
        let answer = request.send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, Value::Null).await
    }

    /// Makes a project; answers its id.
    pub async fn project(&self, name: &str) -> String {
        let made = self
            .ask(Method::POST, "/api/v1/projects", json!({ "name": name }))
            .await;
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Applies a patch set.
    pub async fn patch(&self, set: Value) -> Value {
        self.ask(Method::POST, "/api/v1/patches", set).await
    }

    /// Applies a workflow.
    pub async fn apply(&self, file: Value) -> Value {
        let name = file["name"].as_str().expect("a name").to_owned();
        self.ask(
            Method::PUT,
            &format!("/api/v1/workflows/{name}"),
            json!({ "file": file }),
        )
        .await
    }

    /// Waits until a run has ended.
    pub async fn ended(&self, run_id: &str) -> Value {
        let began = Instant::now();
        // Shorter at first: most runs are quick, and many that are waited for at once are not to be a flood.
        let mut pause = Duration::from_millis(20);
        loop {
            let run = self.get(&format!("/api/v1/runs/{run_id}")).await;
            let status = run["status"].as_str().unwrap_or_default().to_owned();
            if ["succeeded", "failed", "cancelled", "paused"].contains(&status.as_str()) {
                return run;
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the run never ended: {run}"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_millis(500));
        }
    }
}

/// The events of a stream of server-sent events: their names and their data, which is JSON.
pub fn sse_events(text: &str) -> Vec<(String, Value)> {
    let field = |event: &str, name: &str| {
        let mut lines = event.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    text.split("\n\n")
        .filter(|event| event.contains("event:"))
        .map(|event| {
            let data = serde_json::from_str(&field(event, "data:")).expect("JSON");
            (field(event, "event:"), data)
        })
        .collect()
}
