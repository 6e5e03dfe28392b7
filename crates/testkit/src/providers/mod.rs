//! Stand-ins for the providers of language models: OpenAI (and those compatible with it) and Anthropic, in one server.
//!
//! A test starts one, scripts what the "model" says and what goes wrong on the wire, points the product at it, and reads
//! in its ledger what came of it. Tokens are counted by [`count_tokens`] and [`prompt_tokens`], so that sums can be
//! compared exactly.

mod answer;
mod anthropic;
mod fault;
mod ledger;
mod openai;
mod plan;
mod reply;
mod request;
mod script;
mod server;
mod validate;
mod wire;

pub use fault::{Fault, RetryAfter};
pub use ledger::{Exchange, Outcome};
pub use openai::vector_of;
pub use reply::{Finish, Gate, Pace, Part, Reply, ToolCall, Usage, count_tokens, prompt_tokens};
pub use request::{Api, ReceivedRequest, ToolResult, Vendor};
pub use script::{
    Brain, Predicate, Rule, Script, When, any, attempt, fresh_tool_result, instance_of, matching, model, nth,
    offers, system_says, tool_result, turn, user_says, when,
};
pub use server::{Dialect, Options};

use ledger::Ledger;
use server::Shared;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// The key that a stand-in takes unless told otherwise.
pub const KEY: &str = "sk-stand-in";

/// A provider on a free port of the loopback address; gone when dropped.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    /// Starts one that takes [`KEY`] and any model, and echoes.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts one set up so.
    #[allow(clippy::disallowed_methods, reason = "the stand-in ends with its test")]
    pub async fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            options,
            script: Mutex::default(),
            ledger: Ledger::new(),
            down: AtomicBool::new(false),
        });
        let task = tokio::spawn(server::serve(listener, shared.clone()));
        StandIn {
            address,
            shared,
            task,
        }
    }

    /// Its URL with `path`. Anthropic's and Ollama's base is `url("")`, OpenAI's `url("/v1")`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers by this script from now on, and by no other; what is being answered is not changed.
    pub fn script(&self, script: Script) {
        *self.shared.script.lock().expect("the script") = script;
    }

    /// While down, it resets each new connection, and each old one at its next request.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::SeqCst);
    }

    /// All that came in, in order, and what became of it.
    pub fn log(&self) -> Vec<Exchange> {
        self.shared.ledger.all()
    }

    /// Forgets what came in, attempts and counts too. Only while nothing is in flight.
    pub fn clear_log(&self) {
        self.shared.ledger.clear();
    }

    /// The model calls that came in.
    pub fn calls(&self) -> Vec<Arc<ReceivedRequest>> {
        let calls = self.log().into_iter().map(|exchange| exchange.request);
        calls.filter(|request| request.api.is_model_call()).collect()
    }

    /// The usage told with answers that were finished.
    pub fn served_usage(&self) -> Usage {
        self.shared
            .ledger
            .sum(|e| e.usage.filter(|_| e.outcome == Outcome::Finished))
    }

    /// All usage told, that of broken and abandoned answers too (Anthropic tells some at the start).
    pub fn told_usage(&self) -> Usage {
        self.shared.ledger.sum(|e| e.usage)
    }

    /// The model calls that were finished and for which this holds.
    pub fn count_finished(&self, test: impl Fn(&ReceivedRequest) -> bool) -> usize {
        self.shared
            .ledger
            .count(|e| e.outcome == Outcome::Finished && e.request.api.is_model_call() && test(&e.request))
    }

    /// The model calls that are being answered.
    pub fn in_flight(&self) -> usize {
        self.shared.ledger.count(|e| e.outcome == Outcome::InFlight)
    }

    /// Model calls of the same content that were finished more than once: empty if no finished call was asked again.
    pub fn finished_twice(&self) -> Vec<Vec<Exchange>> {
        self.finished_twice_by(|request| request.content_hash)
    }

    /// The same, where `key` says which calls are one: a header, say.
    pub fn finished_twice_by<K: Eq + Hash>(&self, key: impl Fn(&ReceivedRequest) -> K) -> Vec<Vec<Exchange>> {
        self.shared.ledger.finished_twice(key)
    }

    /// Waits until the ledger looks so; false if it does not in time.
    pub async fn wait_until(&self, timeout: Duration, test: impl Fn(&[Exchange]) -> bool) -> bool {
        self.shared.ledger.wait_until(timeout, test).await
    }

    /// Waits until so many model calls have come in; false if they do not in time.
    pub async fn wait_for_calls(&self, count: usize, timeout: Duration) -> bool {
        let is_call = |e: &&Exchange| e.request.api.is_model_call();
        self.wait_until(timeout, |log| log.iter().filter(is_call).count() >= count)
            .await
    }

    /// Waits until nothing is in flight; false if something still is after that time.
    pub async fn wait_idle(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |log| log.iter().all(|e| e.outcome != Outcome::InFlight))
            .await
    }
}
