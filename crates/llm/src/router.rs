//! Sends a call along its route: order, retries, failover, breakers, deadlines, and JSON by a schema.

use crate::adapter::Call;
use crate::attempt::{Run, pieces};
use crate::breaker::{Breaker, BreakerConfig, BreakerState, Verdict};
use crate::client::{ClientConfig, timed_out};
use crate::deployment::Deployment;
use crate::error::{LlmError, LlmErrorKind, Result, Stage};
use crate::model::{ChatRequest, ChatResponse, Delta, JsonSchemaFormat, Message, ResponseFormat};
use crate::price::PriceBook;
use crate::retry::pause;
use crate::route::{Completed, Failed, Route, Sink, Strategy};
use crate::structured::{Checked, Repair, Schemas, ask_again, check};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use synapscale_core::{Clock, new_id};
use tokio_util::sync::CancellationToken;

/// Deployments whose health is remembered. Those of routes and providers that are gone are among them.
const MOST_KNOWN: usize = 20_000;

/// How a router is made.
#[derive(Clone, Debug, Default)]
pub struct RouterConfig {
    /// The shared client.
    pub client: ClientConfig,
    /// The breaker of every deployment.
    pub breaker: BreakerConfig,
    /// The clock of records, breakers and dates.
    pub clock: Clock,
    /// The prices; those that come with the product if `None`.
    pub prices: Option<Arc<PriceBook>>,
}

/// Sends calls along routes. One for the whole process; remembers how each deployment fares.
#[derive(Debug)]
pub struct Router {
    client: reqwest::Client,
    clock: Clock,
    prices: Option<Arc<PriceBook>>,
    breaker: BreakerConfig,
    health: RwLock<HashMap<String, Arc<Health>>>,
    schemas: Schemas,
    chance: AtomicU64,
}

/// How a deployment fares.
#[derive(Debug)]
struct Health {
    breaker: Breaker,
    /// A moving mean of the time to the first token, in microseconds; nought when not known.
    latency_us: AtomicU64,
    /// Until when the provider asked to be left alone, in microseconds since 1970.
    rest_until: AtomicI64,
}

/// A call that a breaker let through; tells the breaker even when it is dropped.
struct Permit<'a> {
    health: &'a Health,
    clock: &'a Clock,
    verdict: Verdict,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.health.breaker.report(self.verdict, self.clock.now());
    }
}

/// What the rounds of a call yield.
struct Won {
    response: ChatResponse,
    deployment: String,
    json: Option<Value>,
    repairs: Vec<Repair>,
}

impl Router {
    /// A router.
    ///
    /// # Errors
    /// `BadConfig` when the client cannot be made.
    pub fn new(config: RouterConfig) -> Result<Self> {
        let client = config.client.build()?;
        Ok(Self::with_client(client, config))
    }

    /// A router over a client of one's own, which must not follow redirects.
    pub fn with_client(client: reqwest::Client, config: RouterConfig) -> Self {
        let RouterConfig {
            breaker,
            clock,
            prices,
            ..
        } = config;
        let chance = AtomicU64::new(new_id().as_u128() as u64);
        let (health, schemas) = (RwLock::default(), Schemas::default());
        Router {
            client,
            clock,
            prices,
            breaker,
            health,
            schemas,
            chance,
        }
    }

    /// The shared client, for discovery.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The prices in use.
    pub fn prices(&self) -> &PriceBook {
        self.prices.as_deref().unwrap_or_else(|| PriceBook::built_in())
    }

    /// How the breaker of a deployment stands; `None` before its first call.
    pub fn breaker_state(&self, deployment: &str) -> Option<BreakerState> {
        let health = self
            .health
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        health.get(deployment).map(|health| health.breaker.state())
    }

    /// Makes a call. Another attempt is made only while the sink has been given nothing. Dropping the future, or
    /// cancelling, closes the connection to the provider. JSON by a schema is checked before the sink gets any of it.
    ///
    /// # Errors
    /// With every attempt and, when the answer broke off, what had come of it.
    pub async fn chat(
        &self,
        route: &Route,
        request: &ChatRequest,
        cancel: &CancellationToken,
        sink: &mut dyn Sink,
    ) -> Result<Completed, Failed> {
        let buffered = matches!(request.response_format, ResponseFormat::JsonSchema(_));
        let mut run = Run::new(sink, self.prices(), &self.clock, &self.client, buffered);
        let result = {
            let work = tokio::time::timeout(route.total, self.rounds(&mut run, route, request));
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(LlmError::new(LlmErrorKind::Cancelled, "The call was cancelled.")),
                result = work => result.unwrap_or_else(|_| Err(timed_out(Stage::Total))),
            }
        };
        match result {
            Ok(won) => self.finish(run, won, cancel).await,
            Err(error) => Err(fail(&mut run, error)),
        }
    }

    async fn finish(
        &self,
        mut run: Run<'_>,
        won: Won,
        cancel: &CancellationToken,
    ) -> Result<Completed, Failed> {
        let Won {
            response,
            deployment,
            json,
            repairs,
        } = won;
        let mut last = match run.buffered {
            true => pieces(&response, false),
            false => Vec::new(),
        };
        if !response.usage.is_empty() {
            last.push(Delta::Usage {
                usage: response.usage.clone(),
            });
        }
        let response = Arc::new(response);
        if run.sink.streams() {
            last.push(Delta::Done {
                response: Arc::clone(&response),
            });
            let give = async {
                for delta in last {
                    run.hand(delta).await?;
                }
                Ok(())
            };
            let given = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(LlmError::new(LlmErrorKind::Cancelled, "The call was cancelled.")),
                given = give => given,
            };
            if let Err(error) = given {
                return Err(fail(&mut run, error));
            }
        }
        let attempts = std::mem::take(&mut run.attempts);
        Ok(Completed {
            response,
            json,
            repairs,
            deployment,
            attempts,
        })
    }

    async fn rounds<'a>(&self, run: &mut Run<'a>, route: &'a Route, request: &ChatRequest) -> Result<Won> {
        let format = match &request.response_format {
            ResponseFormat::Text => {
                let (response, deployment) = self.round(run, route, request, None, &[]).await?;
                return Ok(Won {
                    response,
                    deployment,
                    json: None,
                    repairs: Vec::new(),
                });
            }
            ResponseFormat::JsonSchema(format) => format,
        };
        let validator = self.schemas.get(&format.schema)?;
        let mut appended = Vec::new();
        loop {
            let (mut response, deployment) = self.round(run, route, request, Some(format), &appended).await?;
            match check(&mut response, &validator) {
                Checked::Tools => {
                    return Ok(Won {
                        response,
                        deployment,
                        json: None,
                        repairs: Vec::new(),
                    });
                }
                Checked::Fits(json, repairs) => {
                    return Ok(Won {
                        response,
                        deployment,
                        json: Some(json),
                        repairs,
                    });
                }
                Checked::Declined(error) => return Err(error),
                Checked::Wrong(faults) if appended.is_empty() => {
                    tracing::debug!(
                        deployment,
                        faults,
                        "the answer does not fit its schema; asking once more"
                    );
                    appended = ask_again(&response, &faults, format);
                }
                Checked::Wrong(faults) => {
                    let words = format!("The answer does not fit the schema: {faults}");
                    return Err(LlmError::new(LlmErrorKind::SchemaMismatch, words));
                }
            }
        }
    }

    /// One answer, from whichever deployment gives one.
    async fn round<'a>(
        &self,
        run: &mut Run<'a>,
        route: &'a Route,
        request: &ChatRequest,
        format: Option<&JsonSchemaFormat>,
        appended: &[Message],
    ) -> Result<(ChatResponse, String)> {
        let order = self.order(route);
        let (mut last, mut shut): (Option<LlmError>, Option<Duration>) = (None, None);
        for (place, &(index, ref health)) in order.iter().enumerate() {
            let deployment: &'a Deployment = &route.deployments[index];
            let call = Call {
                request,
                deployment,
                stream: run.sink.streams(),
                structured: format.map(|format| (deployment.structured_mode(), format)),
                appended,
            };
            let others = place + 1 < order.len();
            match self.persist(run, health, deployment, &call, others).await {
                Ok(response) => return Ok((response, deployment.id.clone())),
                Err(Stop::Shut(wait)) => shut = Some(shut.map_or(wait, |old| old.min(wait))),
                Err(Stop::Failed(error)) if run.given || !error.failover() => return Err(error),
                Err(Stop::Failed(error)) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            let words = match shut {
                Some(_) => "Every deployment of the route is resting after faults.",
                None => "The route has no deployment.",
            };
            LlmError::new(LlmErrorKind::NoDeployment, words).with_retry_after(shut)
        }))
    }

    /// Tries one deployment, and again as its policy says.
    async fn persist<'a>(
        &self,
        run: &mut Run<'a>,
        health: &Health,
        deployment: &'a Deployment,
        call: &Call<'_>,
        others: bool,
    ) -> Result<ChatResponse, Stop> {
        let policy = &deployment.retry;
        let mut retry = 0;
        let mut before = None;
        loop {
            if let Err(wait) = health.breaker.admit(self.clock.now()) {
                return Err(before.map_or(Stop::Shut(wait), Stop::Failed));
            }
            let mut permit = Permit {
                health,
                clock: &self.clock,
                verdict: Verdict::Neutral,
            };
            let error = match run.attempt(deployment, call).await {
                Ok(response) => {
                    permit.verdict = Verdict::Good;
                    health.learn(run);
                    return Ok(response);
                }
                Err(error) => error,
            };
            if error.provider_fault() {
                permit.verdict = Verdict::Fault;
            }
            drop(permit);
            if error.kind() == LlmErrorKind::RateLimited {
                health.rest(error.retry_after(), &self.clock);
            }
            let pause = pause(policy, retry, error.retry_after(), self.random());
            match pause {
                Some(pause) if !run.given && error.retryable() && retry < policy.retries => {
                    // Rather another deployment now than this one after a long rest.
                    if others && error.retry_after().is_some() && pause > Duration::from_secs(2) {
                        return Err(Stop::Failed(error));
                    }
                    tracing::debug!(deployment = deployment.id, %error, ?pause, "trying again");
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(Stop::Failed(error)),
            }
            retry += 1;
            before = Some(error);
        }
    }

    /// The deployments in the order in which to try them; those that asked for rest last.
    fn order(&self, route: &Route) -> Vec<(usize, Arc<Health>)> {
        let all = route.deployments.iter().enumerate();
        let mut order: Vec<(usize, Arc<Health>)> = all.map(|(at, d)| (at, self.health(&d.id))).collect();
        match route.strategy {
            Strategy::Ordered => {}
            Strategy::LeastLatency => {
                order.sort_by_key(|(_, health)| health.latency_us.load(Ordering::Relaxed))
            }
            Strategy::Cheapest => {
                let prices = self.prices();
                order.sort_by_key(|(at, _)| route.deployments[*at].rank_price(prices).unwrap_or(u64::MAX));
            }
            Strategy::Weighted => self.shuffle(route, &mut order),
        }
        if order.len() > 1 {
            let now = self.clock.now().timestamp_micros();
            order.sort_by_key(|(_, health)| health.rest_until.load(Ordering::Relaxed) > now);
        }
        order
    }

    /// Draws one after the other, each by its weight among those left.
    fn shuffle(&self, route: &Route, order: &mut [(usize, Arc<Health>)]) {
        for place in 0..order.len() {
            let weight = |at: usize| u64::from(route.deployments[at].weight);
            let total: u64 = order[place..].iter().map(|(at, _)| weight(*at)).sum();
            if total == 0 {
                return;
            }
            let mut ticket = self.random() % total;
            let drawn = order[place..].iter().position(|(at, _)| {
                let won = ticket < weight(*at);
                ticket = ticket.saturating_sub(weight(*at));
                won
            });
            order[place..=place + drawn.unwrap_or(0)].rotate_right(1);
        }
    }

    fn health(&self, id: &str) -> Arc<Health> {
        let known = self
            .health
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(health) = known.get(id) {
            return Arc::clone(health);
        }
        drop(known);
        let mut all = self
            .health
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if all.len() >= MOST_KNOWN {
            let well = BreakerState::Closed { failures: 0 };
            all.retain(|_, health| Arc::strong_count(health) > 1 || health.breaker.state() != well);
            // What is learnt again costs a few calls; looking through all of them for each new one would cost more.
            if all.len() > MOST_KNOWN / 2 {
                all.clear();
            }
        }
        let fresh = || Health {
            breaker: Breaker::new(self.breaker),
            latency_us: AtomicU64::new(0),
            rest_until: AtomicI64::new(0),
        };
        Arc::clone(all.entry(id.to_owned()).or_insert_with(|| Arc::new(fresh())))
    }

    /// Chance for pauses and weights (SplitMix64); nothing secret hangs on it.
    fn random(&self) -> u64 {
        let mut z = self.chance.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Why a deployment gave no answer.
enum Stop {
    /// Its breaker is open for so long.
    Shut(Duration),
    /// It failed.
    Failed(LlmError),
}

impl Health {
    /// Learns from the last attempt how fast the deployment is.
    fn learn(&self, run: &Run<'_>) {
        let Some(last) = run.attempts.last() else {
            return;
        };
        let new = last
            .first_token_ms
            .unwrap_or(last.total_ms)
            .saturating_mul(1000)
            .max(1);
        let old = self.latency_us.load(Ordering::Relaxed);
        let mean = if old == 0 {
            new
        } else {
            (old / 5).saturating_mul(4).saturating_add(new / 5).max(1)
        };
        self.latency_us.store(mean, Ordering::Relaxed);
    }

    fn rest(&self, asked: Option<Duration>, clock: &Clock) {
        let asked = asked
            .unwrap_or(Duration::from_secs(1))
            .min(Duration::from_secs(300));
        let until = clock
            .now()
            .timestamp_micros()
            .saturating_add(asked.as_micros() as i64);
        self.rest_until.store(until, Ordering::Relaxed);
    }
}

fn fail(run: &mut Run<'_>, error: LlmError) -> Failed {
    run.end(Some(error.clone()), None);
    let partial = run.take_partial();
    Failed {
        error,
        attempts: std::mem::take(&mut run.attempts),
        partial,
    }
}
