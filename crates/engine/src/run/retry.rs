//! When to try a failed step again: exponential delays with jitter, never sooner than the other side asked for.

use crate::graph::RetryPolicy;
use aws_lc_rs::digest;
use chrono::Duration;
use synapscale_core::{Error, ErrorKind};

/// No single delay is longer, whatever policy or Retry-After say.
const LONGEST: i64 = 24 * 3600 * 1000;

/// The delay before the next try; none when the step has failed for good.
pub(crate) fn delay(policy: &RetryPolicy, attempt: i64, error: &Error, seed: &str) -> Option<Duration> {
    if attempt >= i64::from(policy.max_attempts) || !worth_another_try(error.kind()) {
        return None;
    }
    let doubled =
        policy.initial_delay_ms as f64 * policy.factor.powi(i32::try_from(attempt - 1).unwrap_or(i32::MAX));
    let capped = doubled.min(policy.max_delay_ms as f64);
    let jittered = capped * (1.0 + policy.jitter * spread(seed, attempt));
    let asked = error
        .retry_delay()
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(LONGEST));
    let millis = (jittered.max(0.0) as i64).max(asked).min(LONGEST);
    Some(Duration::milliseconds(millis))
}

/// What another try cannot mend is not tried again.
fn worth_another_try(kind: ErrorKind) -> bool {
    use ErrorKind::*;
    matches!(kind, RateLimited | Upstream | Unavailable | Timeout | Internal)
}

/// A number between -1 and 1 that is the same whenever the same try is looked at.
fn spread(seed: &str, attempt: i64) -> f64 {
    let hash = digest::digest(&digest::SHA256, format!("{seed}#{attempt}").as_bytes());
    let byte = hash.as_ref().first().copied().unwrap_or(128);
    f64::from(byte) / 127.5 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as Std;

    fn policy() -> RetryPolicy {
        RetryPolicy {
            max_attempts: 3,
            initial_delay_ms: 1000,
            factor: 2.0,
            max_delay_ms: 1500,
            jitter: 0.0,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn delays_grow_and_end() {
        let error = Error::unavailable("x", "x");
        assert_eq!(
            delay(&policy(), 1, &error, "s"),
            Some(Duration::milliseconds(1000))
        );
        assert_eq!(
            delay(&policy(), 2, &error, "s"),
            Some(Duration::milliseconds(1500))
        );
        assert_eq!(delay(&policy(), 3, &error, "s"), None);
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        assert_eq!(delay(&policy(), 1, &Error::not_found("task"), "s"), None);
    }

    #[test]
    fn the_other_side_is_heard() {
        let error = Error::rate_limited(Std::from_secs(30));
        assert_eq!(delay(&policy(), 1, &error, "s"), Some(Duration::seconds(30)));
    }
}
