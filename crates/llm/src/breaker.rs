//! A breaker: after several faults in a row a deployment is left alone for a while, then tried by one call.
//!
//! Faults come back sooner than answers: of two hundred calls sent at once to a provider that refuses one in ten, the
//! first twenty to return are faults. So a row of faults counts only when it is as long as the calls still under way.

use chrono::{DateTime, Utc};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Faults in a row that open it, once they are as many as the calls still under way; nought for never.
    pub failures: u32,
    /// For how long nothing is sent.
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        BreakerConfig {
            failures: 5,
            open_for: Duration::from_secs(30),
        }
    }
}

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// All calls pass; so many faults in a row so far.
    Closed {
        /// Faults in a row.
        failures: u32,
    },
    /// No call passes until then.
    Open {
        /// When one call may try.
        until: DateTime<Utc>,
    },
    /// One call tries; no other passes.
    HalfOpen,
}

/// What became of a call, as far as the breaker cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider answered.
    Good,
    /// The provider failed.
    Fault,
    /// Nothing about the provider: cancelled, or the caller's own fault.
    Neutral,
}

/// The breaker of one deployment.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: BreakerState,
    /// Calls let through that were not reported yet.
    under_way: u32,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Breaker {
            config,
            inner: Mutex::new(Inner {
                state: BreakerState::Closed { failures: 0 },
                under_way: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How it stands.
    pub fn state(&self) -> BreakerState {
        self.lock().state
    }

    /// Whether a call may be made; every call let through must be followed by [`Breaker::report`].
    ///
    /// # Errors
    /// How long to wait, when it may not.
    pub fn admit(&self, now: DateTime<Utc>) -> Result<(), Duration> {
        let mut inner = self.lock();
        match inner.state {
            BreakerState::Closed { .. } => {}
            BreakerState::Open { until } if now >= until => inner.state = BreakerState::HalfOpen,
            BreakerState::Open { until } => return Err((until - now).to_std().unwrap_or_default()),
            BreakerState::HalfOpen => return Err(Duration::from_secs(1)),
        }
        inner.under_way = inner.under_way.saturating_add(1);
        Ok(())
    }

    /// Tells what became of a call that was let through.
    pub fn report(&self, verdict: Verdict, now: DateTime<Utc>) {
        let mut inner = self.lock();
        inner.under_way = inner.under_way.saturating_sub(1);
        let opened = || {
            let pause = chrono::Duration::from_std(self.config.open_for).unwrap_or(chrono::Duration::MAX);
            BreakerState::Open {
                until: now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC),
            }
        };
        inner.state = match (inner.state, verdict) {
            (BreakerState::HalfOpen, Verdict::Fault) => opened(),
            // The trial told nothing, so that the next call may try at once.
            (BreakerState::HalfOpen, Verdict::Neutral) => BreakerState::Open { until: now },
            (BreakerState::HalfOpen | BreakerState::Closed { .. }, Verdict::Good) => {
                BreakerState::Closed { failures: 0 }
            }
            (BreakerState::Closed { failures }, Verdict::Fault) => {
                let failures = failures.saturating_add(1);
                match self.config.failures {
                    0 => BreakerState::Closed { failures },
                    limit if failures >= limit.max(inner.under_way) => opened(),
                    _ => BreakerState::Closed { failures },
                }
            }
            // A call that began before it opened.
            (state, _) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::TestClock;

    #[test]
    fn a_few_quick_faults_among_many_calls_do_not_open_it() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..100 {
            breaker.admit(now).expect("closed");
        }
        for _ in 0..20 {
            breaker.report(Verdict::Fault, now);
        }
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 20 });
        // When half of them have failed, and not one was answered, it is the provider.
        for _ in 0..30 {
            breaker.report(Verdict::Fault, now);
        }
        assert!(matches!(breaker.state(), BreakerState::Open { .. }));
    }

    #[test]
    fn opens_tries_and_closes() {
        let test = TestClock::at(DateTime::<Utc>::UNIX_EPOCH);
        let clock = test.clock();
        let config = BreakerConfig {
            failures: 2,
            open_for: Duration::from_secs(10),
        };
        let breaker = Breaker::new(config);
        let fault = || breaker.report(Verdict::Fault, clock.now());
        fault();
        breaker.report(Verdict::Good, clock.now());
        fault();
        breaker.report(Verdict::Neutral, clock.now());
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 1 });
        fault();
        assert_eq!(breaker.admit(clock.now()), Err(Duration::from_secs(10)));
        test.advance(chrono::Duration::seconds(10));
        assert!(breaker.admit(clock.now()).is_ok());
        assert!(breaker.admit(clock.now()).is_err(), "only one call tries");
        breaker.report(Verdict::Neutral, clock.now());
        assert!(
            breaker.admit(clock.now()).is_ok(),
            "a cancelled trial gives its turn back"
        );
        fault();
        assert!(breaker.admit(clock.now()).is_err());
        test.advance(chrono::Duration::seconds(10));
        assert!(breaker.admit(clock.now()).is_ok());
        breaker.report(Verdict::Good, clock.now());
        assert_eq!(breaker.state(), BreakerState::Closed { failures: 0 });
    }
}
