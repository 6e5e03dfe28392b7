//! The run of one call: its attempts, told of in success, failure and silence alike.

use crate::adapter::{Adapter, Call, StreamReader, adapter};
use crate::client::{self, Head, Limits};
use crate::deployment::Deployment;
use crate::error::{LlmError, LlmErrorKind, Result, Stage};
use crate::model::{ChatResponse, Delta, Part};
use crate::price::PriceBook;
use crate::route::{Attempt, Sink};
use crate::spans;
use synapscale_core::Clock;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

/// The run of one call.
pub(crate) struct Run<'a> {
    pub sink: &'a mut dyn Sink,
    pub prices: &'a PriceBook,
    pub clock: &'a Clock,
    pub client: &'a reqwest::Client,
    /// Hold the pieces back: the answer must be checked as a whole first.
    pub buffered: bool,
    /// Whether the sink has been given something, so that no other attempt may be made.
    pub given: bool,
    pub attempts: Vec<Attempt>,
    open: Option<Open<'a>>,
    partial: Option<Box<ChatResponse>>,
}

/// An attempt under way.
struct Open<'a> {
    deployment: &'a Deployment,
    attempt: Attempt,
    began: Instant,
    reader: Option<Box<dyn StreamReader>>,
    span: Span,
}

impl<'a> Run<'a> {
    pub fn new(
        sink: &'a mut dyn Sink,
        prices: &'a PriceBook,
        clock: &'a Clock,
        client: &'a reqwest::Client,
        buffered: bool,
    ) -> Self {
        Run {
            sink,
            prices,
            clock,
            client,
            buffered,
            given: false,
            attempts: Vec::new(),
            open: None,
            partial: None,
        }
    }

    /// Makes one attempt and records it.
    pub async fn attempt(&mut self, deployment: &'a Deployment, call: &Call<'_>) -> Result<ChatResponse> {
        let adapter = adapter(deployment.preset.wire);
        deployment.validate()?;
        let wire = adapter.request(call)?;
        let span = spans::chat(call);
        self.begin(deployment, span.clone());
        let began = Instant::now();
        let times = deployment.timeouts;
        // A whole answer comes when it is finished, so that only the attempt's own limit holds for its head.
        let first = if call.stream {
            times.first_token.min(times.attempt)
        } else {
            times.attempt
        };
        let limits = Limits {
            first: began + first,
            idle: times.idle,
        };
        let exchange = async {
            let now = self.clock.now();
            let http = deployment.client.as_ref().unwrap_or(self.client);
            let head = client::open(http, deployment, wire, call.stream, limits, adapter, now).await?;
            self.read(head, limits, adapter, deployment.max_response_bytes)
                .await
        };
        let result = match timeout_at(began + times.attempt, exchange.instrument(span)).await {
            Ok(result) => result,
            Err(_) => Err(client::timed_out(Stage::Attempt)),
        };
        match result {
            Ok(response) => {
                self.end(None, Some(&response));
                Ok(response)
            }
            Err(error) => {
                let error = deployment.scrub(error);
                self.end(Some(error.clone()), None);
                Err(error)
            }
        }
    }

    fn begin(&mut self, deployment: &'a Deployment, span: Span) {
        self.partial = None;
        let attempt = Attempt {
            deployment: deployment.id.clone(),
            provider: deployment.preset.name,
            model: deployment.model.clone(),
            started: self.clock.now(),
            first_token_ms: None,
            total_ms: 0,
            error: None,
            usage: Default::default(),
            cost: None,
            request_id: None,
        };
        self.open = Some(Open {
            deployment,
            attempt,
            began: Instant::now(),
            reader: None,
            span,
        });
    }

    /// Ends the open attempt, if there is one, and tells the sink.
    pub fn end(&mut self, error: Option<LlmError>, response: Option<&ChatResponse>) {
        let Some(Open {
            deployment,
            mut attempt,
            began,
            reader,
            span,
        }) = self.open.take()
        else {
            return;
        };
        let partial = reader.map(|mut reader| Box::new(reader.take()));
        attempt.total_ms = millis(began);
        attempt.error = error;
        spans::ended(&span, attempt.error.as_ref(), response.or(partial.as_deref()));
        if let Some(response) = response.or(partial.as_deref()) {
            attempt.usage = response.usage.clone();
            attempt.cost = deployment.cost(self.prices, &attempt.usage);
        }
        if attempt.request_id.is_none() {
            attempt.request_id = attempt
                .error
                .as_ref()
                .and_then(|e| e.request_id().map(str::to_owned));
        }
        self.partial = partial.filter(|partial| !partial.message.content.is_empty());
        self.sink.attempt(&attempt);
        self.attempts.push(attempt);
    }

    /// What had come when the last attempt broke off.
    pub fn take_partial(&mut self) -> Option<Box<ChatResponse>> {
        self.partial.take()
    }

    async fn read(
        &mut self,
        mut head: Head,
        limits: Limits,
        adapter: &dyn Adapter,
        max: usize,
    ) -> Result<ChatResponse> {
        if let Some(open) = &mut self.open {
            open.attempt.request_id = head.request_id.take();
        }
        if head.is_stream {
            return self.read_stream(head, limits, adapter, max).await;
        }
        let body = client::read_whole(&mut head, limits.idle, max).await?;
        let response = adapter.parse(&body)?;
        self.give(&mut pieces(&response, self.buffered || !self.sink.streams()))
            .await?;
        Ok(response)
    }

    async fn read_stream(
        &mut self,
        mut head: Head,
        limits: Limits,
        adapter: &dyn Adapter,
        max: usize,
    ) -> Result<ChatResponse> {
        let mut reader = adapter.stream();
        let (mut out, mut size, mut seen) = (Vec::new(), 0_usize, false);
        while !reader.is_done() {
            let (end, stage) = match seen {
                true => (Instant::now() + limits.idle, Stage::Idle),
                false => (limits.first, Stage::FirstToken),
            };
            // The reader lies in the open attempt while we wait: who drops us still learns what had come.
            let got = {
                let whole = reader.is_whole();
                self.park(reader);
                let got = timeout_at(end, head.response.chunk()).await;
                reader = self
                    .unpark()
                    .ok_or_else(|| LlmError::new(LlmErrorKind::Cancelled, "Ended."))?;
                match got {
                    Ok(Ok(Some(bytes))) => Ok(bytes),
                    // What comes after the reason to end may be lost.
                    _ if whole => break,
                    Ok(Ok(None)) => Err(LlmError::new(LlmErrorKind::CutStream, "The answer broke off.")),
                    Ok(Err(error)) => Err(client::cut(error)),
                    Err(_) => Err(client::timed_out(stage)),
                }
            };
            let fed = got.and_then(|bytes| {
                size = size.saturating_add(bytes.len());
                if size > max {
                    Err(client::too_large())
                } else {
                    reader.feed(&bytes, &mut out)
                }
            });
            seen |= !out.is_empty();
            self.park(reader);
            // A first packet with an error in it is no first byte: another deployment may still answer.
            if fed.is_ok() || self.given {
                self.give(&mut out).await?;
            }
            fed?;
            reader = self
                .unpark()
                .ok_or_else(|| LlmError::new(LlmErrorKind::Cancelled, "Ended."))?;
        }
        Ok(reader.take())
    }

    fn park(&mut self, reader: Box<dyn StreamReader>) {
        if let Some(open) = &mut self.open {
            open.reader = Some(reader);
        }
    }

    fn unpark(&mut self) -> Option<Box<dyn StreamReader>> {
        self.open.as_mut()?.reader.take()
    }

    /// Gives pieces to the sink.
    async fn give(&mut self, out: &mut Vec<Delta>) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        if let Some(open) = &mut self.open {
            open.attempt
                .first_token_ms
                .get_or_insert_with(|| millis(open.began));
        }
        if self.buffered || !self.sink.streams() {
            out.clear();
            return Ok(());
        }
        self.given = true;
        for delta in out.drain(..) {
            self.hand(delta).await?;
        }
        Ok(())
    }

    /// Gives one piece to the sink.
    pub async fn hand(&mut self, delta: Delta) -> Result<()> {
        let gone = |_| LlmError::new(LlmErrorKind::Cancelled, "Nobody wants the answer any more.");
        self.sink.delta(delta).await.map_err(gone)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        // The call was dropped in the middle: the provider may still want its money for this attempt.
        self.end(
            Some(LlmError::new(LlmErrorKind::Cancelled, "The call was dropped.")),
            None,
        );
    }
}

/// A whole answer as pieces.
pub(crate) fn pieces(response: &ChatResponse, none: bool) -> Vec<Delta> {
    let mut out = Vec::new();
    let mut index = 0;
    for part in response.message.content.iter().filter(|_| !none) {
        match part {
            Part::Text(text) => out.push(Delta::Text {
                text: text.text.clone(),
            }),
            Part::Thinking(thinking) => {
                out.push(Delta::Thinking {
                    text: thinking.text.clone(),
                });
                out.extend(
                    thinking
                        .signature
                        .clone()
                        .map(|signature| Delta::Signature { signature }),
                );
            }
            Part::ToolCall(call) => {
                let (id, name) = (call.id.clone(), call.name.clone());
                out.push(Delta::ToolCallStart { index, id, name });
                out.push(Delta::ToolCallArguments {
                    index,
                    fragment: call.arguments.clone(),
                });
                index += 1;
            }
            other => out.push(Delta::Part { part: other.clone() }),
        }
    }
    out
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
