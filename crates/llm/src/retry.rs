//! How long to wait before trying again.

use crate::deployment::RetryPolicy;
use chrono::{DateTime, Utc};
use http::HeaderMap;
use std::time::Duration;

/// What the provider asks for: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let at = DateTime::parse_from_rfc2822(value).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// The pause before retry number `retry` (from nought): what the provider asks for, else a random time between half
/// of the doubled base and all of it. `None` when the pause would be over the policy's cap.
pub(crate) fn pause(
    policy: &RetryPolicy,
    retry: u32,
    asked: Option<Duration>,
    random: u64,
) -> Option<Duration> {
    if let Some(asked) = asked {
        return (asked <= policy.cap).then_some(asked);
    }
    let full = policy
        .base
        .saturating_mul(1_u32.checked_shl(retry.min(20)).unwrap_or(u32::MAX))
        .min(policy.cap);
    // 53 bits of chance: what a float holds.
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    Some(full.mul_f64(0.5 + share / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            name.parse().expect("name"),
            HeaderValue::from_str(value).expect("value"),
        )])
    }

    #[test]
    fn seconds_dates_and_nonsense() {
        let now = DateTime::parse_from_rfc3339("1994-11-06T08:49:07Z")
            .expect("now")
            .with_timezone(&Utc);
        let after = |value: &str| retry_after(&headers("retry-after", value), now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after(" 1.5 "), Some(Duration::from_millis(1500)));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(after("Sun, 06 Nov 1994 08:48:37 GMT"), Some(Duration::ZERO));
        for bad in ["", "-3", "soon", "NaN", "inf", "1e300"] {
            assert_eq!(after(bad), None, "{bad}");
        }
        assert_eq!(
            retry_after(&headers("retry-after-ms", "250"), now),
            Some(Duration::from_millis(250))
        );
    }

    #[test]
    fn pauses_double_and_are_capped() {
        let policy = RetryPolicy {
            retries: 9,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(1),
        };
        assert_eq!(
            pause(&policy, 0, None, u64::MAX).map(|d| d.as_millis()),
            Some(100)
        );
        assert_eq!(pause(&policy, 2, None, 0).map(|d| d.as_millis()), Some(200));
        assert_eq!(pause(&policy, 60, None, 0).map(|d| d.as_millis()), Some(500));
        assert_eq!(
            pause(&policy, 0, Some(Duration::from_secs(1)), 0),
            Some(Duration::from_secs(1))
        );
        assert_eq!(pause(&policy, 0, Some(Duration::from_secs(2)), 0), None);
    }
}
