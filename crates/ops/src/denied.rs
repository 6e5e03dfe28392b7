//! Denied tries: counted in bounded memory and told as events once a while, so that a flood costs no commits.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use synapscale_core::{Actor, Ctx, EventPayload, NewEvent, SYSTEM_TENANT, TenantId};

/// Most keys counted apart between two flushes.
const MAX_KEYS: usize = 10_000;
/// The operation and the code under which the rest is counted.
const ANY_OPERATION: &str = "*";
const OVERFLOW: &str = "overflow";

/// Somebody tried what they may not do, or too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessDenied {
    /// The operation; `*` with the code `overflow` for tries that were not counted apart.
    pub operation: String,
    /// Why: `forbidden`, `unauthenticated`, `rate_limited` or `overflow`.
    pub code: String,
    /// How often within the minute. Several events may tell of one minute; their counts add up.
    pub count: u64,
    /// The minute's beginning.
    pub minute: DateTime<Utc>,
    /// Who tried.
    pub actor: Actor,
}

impl EventPayload for AccessDenied {
    const KIND: &'static str = "access.denied";
    const ABOUT: &'static str = "Calls of an operation were denied, counted by caller and minute.";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    actor: Actor,
    operation: &'static str,
    code: &'static str,
    /// Minutes since 1970.
    minute: i64,
}

impl Key {
    pub fn event(&self, count: u64) -> NewEvent {
        let payload = AccessDenied {
            operation: self.operation.to_owned(),
            code: self.code.to_owned(),
            count,
            minute: DateTime::from_timestamp(self.minute * 60, 0).unwrap_or_default(),
            actor: self.actor,
        };
        NewEvent::new("actor", self.actor.id, &payload)
    }
}

/// What was counted, by tenant.
pub(crate) type Taken = BTreeMap<TenantId, Vec<(Key, u64)>>;

#[derive(Default)]
struct Counts {
    by_key: HashMap<(TenantId, Key), u64>,
    overflow: u64,
}

impl Counts {
    fn add(&mut self, tenant: TenantId, key: Key, count: u64) {
        if let Some(total) = self.by_key.get_mut(&(tenant, key)) {
            *total = total.saturating_add(count);
        } else if self.by_key.len() < MAX_KEYS {
            self.by_key.insert((tenant, key), count);
        } else {
            self.overflow = self.overflow.saturating_add(count);
        }
    }
}

/// The counters.
#[derive(Default)]
pub(crate) struct Denied(Mutex<Counts>);

impl Denied {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Counts one denied try.
    pub fn count(&self, ctx: &Ctx, operation: &'static str, code: &'static str) {
        let minute = minute(ctx.clock().now());
        self.counts().add(
            ctx.tenant(),
            Key {
                actor: ctx.actor(),
                operation,
                code,
                minute,
            },
            1,
        );
    }

    /// Takes everything counted so far. What was not counted apart comes under the system tenant and `now`.
    pub fn take(&self, now: DateTime<Utc>) -> Taken {
        let Counts { by_key, overflow } = std::mem::take(&mut *self.counts());
        let mut taken = Taken::new();
        for ((tenant, key), count) in by_key {
            taken.entry(tenant).or_default().push((key, count));
        }
        if overflow > 0 {
            let key = Key {
                actor: Actor::SYSTEM,
                operation: ANY_OPERATION,
                code: OVERFLOW,
                minute: minute(now),
            };
            taken.entry(SYSTEM_TENANT).or_default().push((key, overflow));
        }
        taken
    }

    /// Counts again what could not be told.
    pub fn put_back(&self, tenant: TenantId, counted: &[(Key, u64)]) {
        let mut counts = self.counts();
        for (key, count) in counted {
            counts.add(tenant, *key, *count);
        }
    }
}

fn minute(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use synapscale_core::{Channel, Clock, Grants, Origin, new_id};

    fn ctx() -> Ctx {
        let origin = Origin::of(Channel::Rest);
        Ctx::authenticated(
            TenantId(new_id()),
            Actor::user(new_id()),
            Grants::none(),
            origin,
            Clock::system(),
        )
    }

    #[test]
    fn counts_by_caller_and_comes_back() {
        let denied = Denied::default();
        let ctx = ctx();
        let now = ctx.clock().now();
        denied.count(&ctx, "tasks.list", "forbidden");
        denied.count(&ctx, "tasks.list", "rate_limited");
        let taken = denied.take(now);
        let ours = taken.get(&ctx.tenant()).expect("ours");
        assert_eq!(ours.len(), 2);
        assert!(denied.take(now).is_empty());
        denied.put_back(ctx.tenant(), ours);
        denied.put_back(ctx.tenant(), ours);
        let again = denied.take(now);
        assert_eq!(
            again
                .get(&ctx.tenant())
                .expect("ours")
                .iter()
                .map(|(_, count)| count)
                .sum::<u64>(),
            4
        );
        let event = ours[0].0.event(4);
        assert_eq!(event.kind, "access.denied");
        assert_eq!(event.data["count"], 4);
    }

    #[test]
    fn memory_is_bounded() {
        let denied = Denied::default();
        for _ in 0..MAX_KEYS + 5 {
            denied.count(&ctx(), "tasks.list", "forbidden");
        }
        let taken = denied.take(Clock::system().now());
        let all: Vec<_> = taken.values().flatten().collect();
        assert_eq!(all.len(), MAX_KEYS + 1);
        assert!(all.iter().any(|(key, count)| key.code == OVERFLOW && *count == 5));
    }
}
