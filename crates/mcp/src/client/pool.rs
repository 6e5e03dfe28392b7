//! Live connections, one for each server that is in use: made when needed, given up when idle, and not tried again and again
//! while the server is ill.

use crate::client::fault::Fault;
use crate::client::{Aim, Session, Ways};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use synapscale_core::{Error, ErrorKind, Result, TenantId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

/// Most connections of one tenant, and of all.
const MOST_OF_ONE: usize = 50;
const MOST: usize = 1_000;
/// Failures in a row after which a server is left alone.
const FAILURES: u32 = 3;
/// The wait after a first failure; each further one doubles it.
const BACK_OFF: Duration = Duration::from_millis(200);

/// What can be set of the pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long a server that keeps failing is left alone.
    pub pause: Duration,
    /// How long a connection may be idle.
    pub idle: Duration,
}

/// Whether a server is worth a try.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    not_before: Option<Instant>,
    last: Option<Fault>,
}

impl Breaker {
    fn failed(&mut self, fault: &Fault, now: Instant, pause: Duration) {
        self.failures = self.failures.saturating_add(1);
        let wait = match self.failures >= FAILURES {
            true => pause,
            false => BACK_OFF * (1 << self.failures.min(4)),
        };
        self.not_before = Some(now + wait);
        self.last = Some(fault.clone());
    }

    fn worked(&mut self) {
        *self = Breaker::default();
    }

    /// How long to wait before the next try: nothing, a moment, or so long that the call is better refused.
    fn wait(&self, now: Instant) -> Result<Duration, (Fault, Duration)> {
        let left = self
            .not_before
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        match &self.last {
            Some(fault) if self.failures >= FAILURES && !left.is_zero() => Err((fault.clone(), left)),
            _ => Ok(left),
        }
    }
}

/// The connection to one server in one state of its settings.
pub(crate) struct Slot {
    revision: i64,
    name: String,
    permits: Arc<Semaphore>,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    breaker: Mutex<Breaker>,
    used: Mutex<Instant>,
    patience: Patience,
}

impl Slot {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the calls of this server.
    ///
    /// # Errors
    /// `mcp_server_busy` when none gets free within `limit`.
    pub async fn permit(&self, limit: Duration) -> Result<OwnedSemaphorePermit> {
        let place = tokio::time::timeout(limit, self.permits.clone().acquire_owned()).await;
        place.ok().and_then(Result::ok).ok_or_else(|| {
            let words = format!(
                "The MCP server `{}` has as many calls as it may at a time.",
                self.name
            );
            Error::new(ErrorKind::RateLimited, "mcp_server_busy", words).retry_after(Duration::from_secs(1))
        })
    }

    /// The live connection, made if there is none. Who comes meanwhile waits for the same one. The answer says whether it
    /// is new.
    ///
    /// # Errors
    /// Why there is none; at once while the server is left alone.
    pub async fn session(
        &self,
        ways: &Ways,
        aim: impl FnOnce() -> Result<Aim>,
    ) -> Result<(Arc<Session>, bool), Trouble> {
        self.touch();
        let refused = || {
            self.breaker()
                .wait(Instant::now())
                .map_err(|(fault, left)| Trouble::Down(fault, left))
        };
        refused()?;
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.is_over()) {
            return Ok((session.clone(), false));
        }
        *held = None;
        let wait = refused()?;
        tokio::time::sleep(wait).await;
        let aim = aim().map_err(Trouble::Ours)?;
        match Session::open(ways, &aim).await {
            Ok(session) => {
                self.touch();
                let session = Arc::new(session);
                *held = Some(session.clone());
                Ok((session, true))
            }
            Err(fault) => Err(Trouble::Fresh(fault)),
        }
    }

    /// Notes a failure, and says how long the server is left alone, and whether it failed too often in a row. A connection
    /// that may be broken is given up.
    pub async fn failed(&self, fault: &Fault) -> (Duration, bool) {
        let wait = {
            let mut breaker = self.breaker();
            breaker.failed(fault, Instant::now(), self.patience.pause);
            breaker
                .not_before
                .map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
        };
        let mut held = self.session.lock().await;
        let tired = self.breaker().failures >= FAILURES;
        if tired || held.as_ref().is_some_and(|session| session.is_over()) {
            *held = None;
        }
        (wait.max(Duration::from_secs(1)), tired)
    }

    /// Notes that the server answered.
    pub fn worked(&self) {
        self.breaker().worked();
        self.touch();
    }
}

/// Why there is no connection.
pub(crate) enum Trouble {
    /// The server is left alone for this long.
    Down(Fault, Duration),
    /// It was tried just now.
    Fresh(Fault),
    /// The fault is here.
    Ours(Error),
}

/// All connections of this process.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<(TenantId, Uuid), Arc<Slot>>>);

impl Pool {
    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<(TenantId, Uuid), Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of one server's connection.
    ///
    /// # Errors
    /// `mcp_too_many` when there is room for none more.
    pub fn slot(
        &self,
        tenant: TenantId,
        id: Uuid,
        revision: i64,
        name: &str,
        concurrency: usize,
        patience: Patience,
    ) -> Result<Arc<Slot>> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&(tenant, id)).filter(|slot| slot.revision == revision) {
            return Ok(slot.clone());
        }
        slots.remove(&(tenant, id));
        let of_tenant = slots.keys().filter(|(owner, _)| *owner == tenant).count();
        if of_tenant >= MOST_OF_ONE || slots.len() >= MOST {
            // The one that was not used for the longest time goes, unless somebody is at it.
            let idle = slots
                .iter()
                .filter(|((owner, _), slot)| {
                    (of_tenant < MOST_OF_ONE || *owner == tenant) && Arc::strong_count(slot) == 1
                })
                .min_by_key(|(_, slot)| slot.used())
                .map(|(key, _)| *key);
            match idle {
                Some(key) => drop(slots.remove(&key)),
                None => {
                    let words = "Too many MCP servers are in use at the moment.";
                    return Err(Error::unavailable("mcp_too_many", words).retry_after(Duration::from_secs(5)));
                }
            }
        }
        let slot = Arc::new(Slot {
            revision,
            name: name.to_owned(),
            permits: Arc::new(Semaphore::new(concurrency.max(1))),
            session: tokio::sync::Mutex::new(None),
            breaker: Mutex::default(),
            used: Mutex::new(Instant::now()),
            patience,
        });
        slots.insert((tenant, id), slot.clone());
        Ok(slot)
    }

    /// Gives up a server's connection. Calls under way end as they began.
    pub fn forget(&self, tenant: TenantId, id: Uuid) {
        self.slots().remove(&(tenant, id));
    }

    /// Gives up connections that nobody used for a while. A server that is left alone stays known.
    pub fn sweep(&self, patience: Patience) {
        let now = Instant::now();
        self.slots().retain(|_, slot| {
            let idle = now.saturating_duration_since(slot.used());
            idle < patience.idle.max(patience.pause) || Arc::strong_count(slot) > 1
        });
    }

    /// Gives up all connections.
    pub fn clear(&self) {
        self.slots().clear();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.slots().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fault::FaultKind;
    use synapscale_core::new_id;

    const PATIENCE: Patience = Patience {
        pause: Duration::from_secs(30),
        idle: Duration::from_secs(300),
    };

    #[test]
    fn three_failures_in_a_row_are_enough() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        let fault = Fault::new(FaultKind::Down, "x");
        for _ in 0..2 {
            breaker.failed(&fault, now, PATIENCE.pause);
            assert!(breaker.wait(now).is_ok_and(|wait| wait < Duration::from_secs(2)));
        }
        breaker.failed(&fault, now, PATIENCE.pause);
        let (_, left) = breaker.wait(now).expect_err("left alone");
        assert_eq!(left, PATIENCE.pause);
        let later = now + PATIENCE.pause;
        assert!(
            breaker.wait(later).is_ok_and(|wait| wait.is_zero()),
            "one more try"
        );
        breaker.failed(&fault, later, PATIENCE.pause);
        assert!(breaker.wait(later).is_err(), "and left alone again");
        breaker.worked();
        assert!(breaker.wait(later).is_ok_and(|wait| wait.is_zero()));
    }

    #[tokio::test]
    async fn the_pool_is_bounded_per_tenant() {
        let (pool, tenant) = (Pool::default(), TenantId(new_id()));
        let slot = |id, revision| pool.slot(tenant, id, revision, "x", 1, PATIENCE);
        let held: Vec<_> = (0..MOST_OF_ONE)
            .map(|_| slot(new_id(), 1).expect("a slot"))
            .collect();
        assert_eq!(slot(new_id(), 1).err().expect("full").code(), "mcp_too_many");
        drop(held);
        assert!(slot(new_id(), 1).is_ok());
        assert_eq!(pool.len(), MOST_OF_ONE);
        let id = new_id();
        let first = slot(id, 1).expect("a slot");
        assert!(Arc::ptr_eq(&first, &slot(id, 1).expect("the same")));
        assert!(!Arc::ptr_eq(&first, &slot(id, 2).expect("another")));
        let _place = first.permit(Duration::from_millis(5)).await.expect("a place");
        let busy = first.permit(Duration::from_millis(5)).await.expect_err("busy");
        assert_eq!(busy.code(), "mcp_server_busy");
    }
}
