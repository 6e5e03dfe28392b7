//! Finished spans on their way to the collector: a bounded queue that never makes anybody wait, and one task that sends
//! batches. What finds no room, or no collector, is lost and counted.

use super::shape::shaped;
use crate::config::OtlpConfig;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use opentelemetry::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;
use reqwest::{Client, Url};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use synapscale_core::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Most spans that wait.
const QUEUE: usize = 8192;
/// Most spans of one request.
const BATCH: usize = 512;
/// How long a finished span waits at most while the collector keeps up.
const PERIOD: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);
/// Pauses before a batch is sent again, while the collector is believed to be there.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// The longest pause, however long the collector asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often at most the log says that spans are lost.
const COMPLAIN: Duration = Duration::from_secs(60);
/// Most bytes of the collector's answer that are read.
const ANSWER: usize = 64 << 10;

/// Takes finished spans.
#[derive(Debug)]
pub(super) struct Outbox {
    spans: mpsc::Sender<SpanData>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Spans for which there was no room.
    no_room: AtomicU64,
    /// Told when the queue is half full: then the sender does not wait for its turn.
    filling: Notify,
}

impl SpanProcessor for Outbox {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        // No log line here: it would be written while the span is being closed.
        if !span.span_context.is_sampled() {
            return;
        }
        if self.spans.try_send(span).is_err() {
            self.shared.no_room.fetch_add(1, Ordering::Relaxed);
        }
        if self.spans.capacity() < QUEUE / 2 {
            self.shared.filling.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        // The sender's end sends what is left, within a time of ours.
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what the outbox takes. On this process's own runtime and with its own client: no second thread, no second TLS.
pub(super) struct Sender {
    spans: mpsc::Receiver<SpanData>,
    shared: Arc<Shared>,
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    resource: ResourceAttributesWithSchema,
    stop: CancellationToken,
    /// The last batch did not arrive.
    failing: bool,
    /// Spans that were sent in vain since the last complaint, and why the last of them were.
    refused: u64,
    why: String,
    complained: Option<Instant>,
}

/// Why a batch did not arrive.
struct Refused {
    why: String,
    again: bool,
    after: Option<Duration>,
}

/// The queue's two ends.
pub(super) fn outbox(
    config: &OtlpConfig,
    resource: &Resource,
    stop: CancellationToken,
) -> Result<(Outbox, Sender)> {
    // The collector is the operator's: no proxy of the environment, and no secret header after a redirect.
    let client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(REQUEST / 2)
        .timeout(REQUEST)
        .build()
        .map_err(|error| Error::new(ErrorKind::Unavailable, "otlp", error.without_url().to_string()))?;
    let (spans, receiver) = mpsc::channel(QUEUE);
    let shared = Arc::new(Shared::default());
    let outbox = Outbox {
        spans,
        shared: shared.clone(),
    };
    let sender = Sender {
        spans: receiver,
        shared,
        client,
        endpoint: config.endpoint.clone(),
        headers: config.headers.iter().cloned().collect(),
        resource: resource.into(),
        stop,
        failing: false,
        refused: 0,
        why: String::new(),
        complained: None,
    };
    Ok((outbox, sender))
}

impl Sender {
    /// Sends until told to stop, then what is left.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = self.shared.filling.notified() => {}
                () = tokio::time::sleep(PERIOD) => {}
            }
            // Before the queue is looked at: what was put there before the stop is sent.
            let ending = self.stop.is_cancelled();
            loop {
                let batch = self.next_batch();
                if batch.is_empty() {
                    break;
                }
                self.deliver(batch).await;
            }
            self.complain();
            if ending {
                return;
            }
        }
    }

    fn next_batch(&mut self) -> Vec<SpanData> {
        std::iter::from_fn(|| self.spans.try_recv().ok())
            .take(BATCH)
            .map(shaped)
            .collect()
    }

    async fn deliver(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        // `Bytes`, so that another try copies nothing.
        let body = axum::body::Bytes::from(request.encode_to_vec());
        let mut pauses = PAUSES.into_iter().filter(|_| !self.failing);
        let refused = loop {
            let refused = match self.send(body.clone()).await {
                Ok(rejected) => {
                    self.arrived(rejected);
                    return;
                }
                Err(refused) => refused,
            };
            let pause = pauses.next().filter(|_| refused.again);
            let Some(pause) = pause else { break refused };
            let pause = refused.after.unwrap_or(pause).min(LONGEST_PAUSE);
            tokio::select! {
                () = self.stop.cancelled() => break refused,
                () = tokio::time::sleep(pause) => {}
            }
        };
        drop(pauses);
        self.failing = true;
        self.refused += count;
        self.why = refused.why;
        self.complain();
    }

    /// One request; answers how many spans the collector did not want.
    async fn send(&self, body: axum::body::Bytes) -> Result<u64, Refused> {
        let broken = |error: reqwest::Error| Refused {
            why: match () {
                () if error.is_timeout() => "it did not answer in time",
                () if error.is_connect() => "no connection could be made",
                () => "the connection broke",
            }
            .to_owned(),
            again: true,
            after: None,
        };
        let mut answer = self
            .client
            .post(self.endpoint.clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(body)
            .send()
            .await
            .map_err(broken)?;
        let status = answer.status();
        if !status.is_success() {
            let after = answer.headers().get(RETRY_AFTER);
            let after = after.and_then(|after| after.to_str().ok()?.parse().ok());
            return Err(Refused {
                why: format!("it answered {}", status.as_u16()),
                again: passes(status),
                after: after.map(Duration::from_secs),
            });
        }
        let mut read = Vec::new();
        // Read to its end, so that the connection can be used again.
        while let Ok(Some(bytes)) = answer.chunk().await {
            if read.len() + bytes.len() > ANSWER {
                return Ok(0);
            }
            read.extend_from_slice(&bytes);
        }
        let partial = ExportTraceServiceResponse::decode(&read[..]).ok();
        let rejected = partial.and_then(|answer| Some(answer.partial_success?.rejected_spans));
        Ok(rejected.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    fn arrived(&mut self, rejected: u64) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("traces reach their collector again");
        }
        if rejected > 0 {
            self.refused += rejected;
            self.why = "it did not take all of them".to_owned();
            self.complain();
        }
    }

    /// Says now and then that spans were lost.
    fn complain(&mut self) {
        if self.complained.is_some_and(|last| last.elapsed() < COMPLAIN) {
            return;
        }
        let no_room = self.shared.no_room.swap(0, Ordering::Relaxed);
        let refused = std::mem::take(&mut self.refused);
        if no_room + refused > 0 {
            self.complained = Some(Instant::now());
            let why = std::mem::take(&mut self.why);
            tracing::warn!(
                refused,
                no_room,
                why,
                "spans did not reach the collector of traces"
            );
        }
    }
}

/// Whether the same may be taken in a moment.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}
