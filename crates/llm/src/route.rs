//! A route: a name for people and programs that stands for deployments; and the record of every attempt.

use crate::deployment::Deployment;
use crate::error::LlmError;
use crate::model::{ChatResponse, Delta, Usage};
use crate::price::Cost;
use crate::structured::Repair;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Which deployment is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As they stand.
    #[default]
    Ordered,
    /// By chance, each according to its weight.
    Weighted,
    /// The one that answered fastest of late; those not yet tried first.
    LeastLatency,
    /// The cheapest; those without a known price last.
    Cheapest,
}

/// An alias and where its calls go.
#[derive(Clone, Debug)]
pub struct Route {
    /// The name.
    pub alias: String,
    /// The deployments, in order.
    pub deployments: Vec<Arc<Deployment>>,
    /// Which is tried first.
    pub strategy: Strategy,
    /// The time for the whole call, all attempts and pauses.
    pub total: Duration,
}

impl Route {
    /// A route that tries its deployments in order.
    pub fn new(alias: impl Into<String>, deployments: Vec<Arc<Deployment>>) -> Self {
        let total = Duration::from_secs(900);
        Route {
            alias: alias.into(),
            deployments,
            strategy: Strategy::Ordered,
            total,
        }
    }
}

/// One attempt at one deployment, whatever became of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The deployment's id.
    pub deployment: String,
    /// The preset's name.
    pub provider: &'static str,
    /// The model asked for.
    pub model: String,
    /// When it began.
    pub started: DateTime<Utc>,
    /// When the first token came, in milliseconds after the start; only for streams.
    pub first_token_ms: Option<u64>,
    /// How long it took, in milliseconds.
    pub total_ms: u64,
    /// `None` when it succeeded.
    pub error: Option<LlmError>,
    /// What the provider says that it took.
    pub usage: Usage,
    /// What it cost, when that is known.
    pub cost: Option<Cost>,
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

/// A call that succeeded.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The answer.
    pub response: Arc<ChatResponse>,
    /// The JSON, when a schema was asked for and no tool was.
    pub json: Option<Value>,
    /// What had to be mended to read the JSON.
    pub repairs: Vec<Repair>,
    /// The id of the deployment that answered.
    pub deployment: String,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Why.
    pub error: LlmError,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// What had come of the answer when it broke off.
    pub partial: Option<Box<ChatResponse>>,
}

/// The one that wants the answer has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkClosed;

/// Takes the pieces of an answer.
#[async_trait]
pub trait Sink: Send {
    /// Takes one piece. The provider is not read while this waits.
    ///
    /// # Errors
    /// When nobody wants more; the call is then cancelled.
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed>;

    /// Whether pieces are wanted at all; if not, the provider is asked for the whole answer at once.
    fn streams(&self) -> bool {
        true
    }

    /// Learns of an attempt when it ends, also when the whole call is dropped. Must be quick.
    fn attempt(&mut self, _attempt: &Attempt) {}
}

/// Wants no pieces.
#[derive(Clone, Copy, Debug)]
pub struct NoSink;

#[async_trait]
impl Sink for NoSink {
    async fn delta(&mut self, _delta: Delta) -> Result<(), SinkClosed> {
        Ok(())
    }

    fn streams(&self) -> bool {
        false
    }
}

#[async_trait]
impl Sink for Vec<Delta> {
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed> {
        self.push(delta);
        Ok(())
    }
}

#[async_trait]
impl Sink for tokio::sync::mpsc::Sender<Delta> {
    async fn delta(&mut self, delta: Delta) -> Result<(), SinkClosed> {
        self.send(delta).await.map_err(|_| SinkClosed)
    }
}
