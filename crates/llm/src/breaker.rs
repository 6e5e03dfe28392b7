//! A breaker: after several faults in a row a deployment is left alone for a while, then tried by one call.

use chrono::{DateTime, Utc};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Faults in a row that open it; nought for never.
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
    state: Mutex<BreakerState>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Breaker {
            config,
            state: Mutex::new(BreakerState::Closed { failures: 0 }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BreakerState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// How it stands.
    pub fn state(&self) -> BreakerState {
        *self.lock()
    }

    /// Whether a call may be made; every call let through must be followed by [`Breaker::report`].
    ///
    /// # Errors
    /// How long to wait, when it may not.
    pub fn admit(&self, now: DateTime<Utc>) -> Result<(), Duration> {
        let mut state = self.lock();
        match *state {
            BreakerState::Closed { .. } => Ok(()),
            BreakerState::Open { until } if now >= until => {
                *state = BreakerState::HalfOpen;
                Ok(())
            }
            BreakerState::Open { until } => Err((until - now).to_std().unwrap_or_default()),
            BreakerState::HalfOpen => Err(Duration::from_secs(1)),
        }
    }

    /// Tells what became of a call that was let through.
    pub fn report(&self, verdict: Verdict, now: DateTime<Utc>) {
        let mut state = self.lock();
        let opened = || {
            let pause = chrono::Duration::from_std(self.config.open_for).unwrap_or(chrono::Duration::MAX);
            BreakerState::Open {
                until: now.checked_add_signed(pause).unwrap_or(DateTime::<Utc>::MAX_UTC),
            }
        };
        *state = match (*state, verdict) {
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
                    limit if failures >= limit => opened(),
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
