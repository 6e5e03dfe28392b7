//! How often one caller may call: a token bucket per caller and rate class.

use crate::operation::RateClass;
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use synapscale_core::{Actor, ActorKind, Channel, Ctx, Error, Result, TenantId};

/// After so many calls the buckets that are full again are dropped. Bounds the memory: a bucket that is not full was
/// used within the time that it takes to fill.
const SWEEP_CALLS: u32 = 10_000;

/// So many calls in so much time, and twice as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls.
    pub calls: NonZeroU32,
    /// Time over which they are spread.
    pub per: Duration,
}

impl Rate {
    /// So many calls a second; at least one.
    pub const fn per_second(calls: u32) -> Self {
        Rate {
            calls: at_least_one(calls),
            per: Duration::from_secs(1),
        }
    }

    /// So many calls a minute; at least one.
    pub const fn per_minute(calls: u32) -> Self {
        Rate {
            calls: at_least_one(calls),
            per: Duration::from_secs(60),
        }
    }

    fn quota(self) -> Option<Quota> {
        let burst = self.calls.saturating_mul(NonZeroU32::MIN.saturating_add(1));
        // None only for a time of zero, which means no limit.
        Quota::with_period(self.per / self.calls.get()).map(|quota| quota.allow_burst(burst))
    }
}

const fn at_least_one(calls: u32) -> NonZeroU32 {
    match NonZeroU32::new(calls) {
        Some(calls) => calls,
        None => NonZeroU32::MIN,
    }
}

/// The rate of each class; none for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Cheap reads; 600 a second.
    pub light: Option<Rate>,
    /// Most operations; 200 a second.
    pub normal: Option<Rate>,
    /// Costly ones; 20 a second.
    pub heavy: Option<Rate>,
    /// Tries of a password, code or token; 10 a minute.
    pub sign_in: Option<Rate>,
}

impl Default for Rates {
    fn default() -> Self {
        Rates {
            light: Some(Rate::per_second(600)),
            normal: Some(Rate::per_second(200)),
            heavy: Some(Rate::per_second(20)),
            sign_in: Some(Rate::per_minute(10)),
        }
    }
}

impl Rates {
    /// No limits, for load tests.
    pub fn unlimited() -> Self {
        Rates {
            light: None,
            normal: None,
            heavy: None,
            sign_in: None,
        }
    }
}

/// Who shares a bucket. All of nobody's calls share one per network, not one for the whole world: else a stranger could
/// keep everybody from signing in.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Caller {
    tenant: TenantId,
    actor: Actor,
    network: Option<IpAddr>,
}

impl Caller {
    fn of(ctx: &Ctx) -> Self {
        let actor = ctx.actor();
        let network = match actor.kind {
            ActorKind::Anonymous => ctx.origin().ip.map(network),
            _ => None,
        };
        Caller {
            tenant: ctx.tenant(),
            actor,
            network,
        }
    }
}

/// The address itself, or the /64 that one customer gets in IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

struct Buckets {
    limiter: DefaultKeyedRateLimiter<Caller>,
    calls: AtomicU32,
}

impl Buckets {
    fn new(rate: Rate) -> Option<Self> {
        rate.quota().map(|quota| Buckets {
            limiter: RateLimiter::keyed(quota),
            calls: AtomicU32::new(0),
        })
    }

    fn check(&self, caller: &Caller) -> Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % SWEEP_CALLS == SWEEP_CALLS - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(caller).map_err(|until| {
            let wait = until.wait_time_from(self.limiter.clock().now());
            Error::rate_limited(whole_seconds(wait))
        })
    }
}

/// Rounded up: `Retry-After` is in seconds.
fn whole_seconds(wait: Duration) -> Duration {
    let up = u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(wait.as_secs().saturating_add(up).max(1))
}

/// The buckets of all classes.
pub(crate) struct Limits {
    light: Option<Buckets>,
    normal: Option<Buckets>,
    heavy: Option<Buckets>,
    sign_in: Option<Buckets>,
}

impl Limits {
    pub fn new(rates: &Rates) -> Self {
        let buckets = |rate: Option<Rate>| rate.and_then(Buckets::new);
        Limits {
            light: buckets(rates.light),
            normal: buckets(rates.normal),
            heavy: buckets(rates.heavy),
            sign_in: buckets(rates.sign_in),
        }
    }

    /// Takes one call from the caller's bucket. The product itself has no limit.
    ///
    /// # Errors
    /// 429 `rate_limited` with the whole seconds to wait.
    pub fn check(&self, ctx: &Ctx, class: RateClass) -> Result<()> {
        let buckets = match class {
            RateClass::Light => &self.light,
            RateClass::Normal => &self.normal,
            RateClass::Heavy => &self.heavy,
            RateClass::SignIn => &self.sign_in,
        };
        match buckets {
            // Whoever started a run was limited then; the engine limits what runs do.
            Some(buckets)
                if ctx.actor().kind != ActorKind::System && ctx.origin().channel != Channel::Run =>
            {
                buckets.check(&Caller::of(ctx))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::{Clock, ErrorKind, Grants, Origin, new_id};

    fn ctx(actor: Actor) -> Ctx {
        let origin = Origin::of(Channel::Rest);
        Ctx::authenticated(TenantId(new_id()), actor, Grants::none(), origin, Clock::system())
    }

    fn nobody(ip: &str) -> Ctx {
        let origin = Origin {
            ip: Some(ip.parse().expect("address")),
            ..Origin::of(Channel::Rest)
        };
        Ctx::anonymous(origin, Clock::system())
    }

    #[test]
    fn a_bucket_holds_twice_the_rate() {
        let limits = Limits::new(&Rates::default());
        let ctx = ctx(Actor::user(new_id()));
        for _ in 0..20 {
            assert!(limits.check(&ctx, RateClass::SignIn).is_ok());
        }
        let error = limits.check(&ctx, RateClass::SignIn).expect_err("empty");
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(6)));
        assert!(limits.check(&ctx, RateClass::Normal).is_ok());
    }

    #[test]
    fn callers_do_not_share() {
        let hourly = Rate {
            calls: NonZeroU32::MIN,
            per: Duration::from_secs(3600),
        };
        let rates = Rates {
            heavy: Some(hourly),
            ..Rates::default()
        };
        let limits = Limits::new(&rates);
        let drain = |ctx: &Ctx| {
            (0..3)
                .filter(|_| limits.check(ctx, RateClass::Heavy).is_ok())
                .count()
        };
        assert_eq!(drain(&ctx(Actor::user(new_id()))), 2);
        assert_eq!(drain(&ctx(Actor::user(new_id()))), 2);
        assert_eq!(drain(&nobody("192.0.2.1")), 2);
        assert_eq!(drain(&nobody("192.0.2.2")), 2);
        assert_eq!(drain(&nobody("2001:db8::1")), 2);
        assert_eq!(drain(&nobody("2001:db8::2")), 0);
        assert_eq!(drain(&Ctx::system(Clock::system())), 3);
        let limits = Limits::new(&Rates::unlimited());
        let free = |_: &i32| limits.check(&nobody("192.0.2.1"), RateClass::Heavy).is_ok();
        assert_eq!((0..9).filter(free).count(), 9);
    }

    #[test]
    fn waits_are_whole_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), Duration::from_secs(1));
        assert_eq!(whole_seconds(Duration::from_millis(2001)), Duration::from_secs(3));
        assert_eq!(whole_seconds(Duration::from_secs(2)), Duration::from_secs(2));
    }
}
