//! The ledger: what came in, what was answered, and how it ended. It lives in the test's process, so it outlives a
//! client that is killed.

use super::fault::Fault;
use super::reply::{Reply, Usage};
use super::request::ReceivedRequest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not yet.
    InFlight,
    /// An answer was sent whole, and one that is of use.
    Finished,
    /// All was sent, but it is an error, or is of no use: the client may ask again.
    Failed,
    /// The stand-in broke the connection, as told.
    Broken,
    /// The client hung up before all was sent.
    HungUp,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request.
    pub request: Arc<ReceivedRequest>,
    /// The status; 0 if none was sent.
    pub status: u16,
    /// What the script said; none if the request was refused (key, form) or is no chat.
    pub reply: Option<Reply>,
    /// What was meant to go wrong.
    pub faults: Vec<Fault>,
    /// How it ended.
    pub outcome: Outcome,
    /// The usage that was sent to the client, last value sent; none if none was.
    pub usage: Option<Usage>,
    /// The tokens worked for this answer, whether told or not.
    pub spent: Option<Usage>,
    /// The time from the request to the end.
    pub took: Option<Duration>,
    /// After the end the connection was reset: the client died, or went, with bytes unread.
    pub reset_after: bool,
}

#[derive(Default)]
struct Book {
    exchanges: Vec<Exchange>,
    attempts: HashMap<u64, usize>,
    calls: usize,
}

/// All requests of one stand-in.
pub(crate) struct Ledger {
    start: Instant,
    book: Mutex<Book>,
    changes: watch::Sender<u64>,
}

impl Ledger {
    pub fn new() -> Self {
        Ledger {
            start: Instant::now(),
            book: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("the ledger")
    }

    /// Enters a request and gives it its numbers.
    pub fn enter(&self, mut request: ReceivedRequest) -> Arc<ReceivedRequest> {
        let mut book = self.book();
        request.at = self.start.elapsed();
        request.number = book.exchanges.len();
        if request.api.is_model_call() {
            book.calls += 1;
            request.nth = book.calls;
        }
        let attempts = book.attempts.entry(request.content_hash).or_default();
        *attempts += 1;
        request.attempt = *attempts;
        let request = Arc::new(request);
        book.exchanges.push(Exchange {
            request: request.clone(),
            status: 0,
            reply: None,
            faults: Vec::new(),
            outcome: Outcome::InFlight,
            usage: None,
            spent: None,
            took: None,
            reset_after: false,
        });
        drop(book);
        self.changed();
        request
    }

    /// Changes what is known of a request.
    pub fn update(&self, number: usize, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.book().exchanges.get_mut(number) {
            change(exchange);
        }
        self.changed();
    }

    /// Notes the end of a request.
    pub fn end(&self, number: usize, outcome: Outcome) {
        let now = self.start.elapsed();
        self.update(number, |exchange| {
            exchange.outcome = outcome;
            exchange.took = Some(now.saturating_sub(exchange.request.at));
        });
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn all(&self) -> Vec<Exchange> {
        self.book().exchanges.clone()
    }

    /// Forgets everything, attempts and the count of calls too. What is in flight keeps its old number and would be
    /// noted on another's line, so this wants a quiet moment.
    pub fn clear(&self) {
        *self.book() = Book::default();
    }

    pub fn count(&self, test: impl Fn(&Exchange) -> bool) -> usize {
        self.book().exchanges.iter().filter(|e| test(e)).count()
    }

    pub fn sum(&self, part: impl Fn(&Exchange) -> Option<Usage>) -> Usage {
        self.book().exchanges.iter().filter_map(part).sum()
    }

    /// Waits until the ledger looks so; false if it does not in time.
    pub async fn wait_until(&self, timeout: Duration, test: impl Fn(&[Exchange]) -> bool) -> bool {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            while !test(&self.book().exchanges) {
                changes.borrow_and_update();
                if test(&self.book().exchanges) {
                    return;
                }
                // The sender lives as long as the ledger.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(timeout, waiting).await.is_ok()
    }

    /// The requests that were finished more than once, grouped by `key`.
    pub fn finished_twice<K: Eq + std::hash::Hash>(
        &self,
        key: impl Fn(&ReceivedRequest) -> K,
    ) -> Vec<Vec<Exchange>> {
        let mut groups: HashMap<K, Vec<Exchange>> = HashMap::new();
        for exchange in self.book().exchanges.iter() {
            if exchange.outcome == Outcome::Finished && exchange.request.api.is_model_call() {
                groups
                    .entry(key(&exchange.request))
                    .or_default()
                    .push(exchange.clone());
            }
        }
        let mut twice: Vec<Vec<Exchange>> = groups.into_values().filter(|group| group.len() > 1).collect();
        twice.sort_by_key(|group| group[0].request.number);
        twice
    }
}
