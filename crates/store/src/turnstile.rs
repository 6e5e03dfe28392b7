//! A bounded number of passes for connections; those who wait for one are let in by turns of their tenants.

use crate::lanes::{Lanes, Refused};
use metrics::counter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use synapscale_core::{Error, Result, TenantId};
use tokio::sync::{Notify, oneshot};

/// Most calls that wait for a connection at once: who waits costs little, and a busy server's callers may be many.
const ROOM: usize = 16 * 1024;

/// Gives passes out. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Turnstile(Arc<Inner>);

struct Inner {
    /// Passes that nobody has; while there is one, nobody waits.
    free: Mutex<usize>,
    waiting: Lanes<oneshot::Sender<Pass>>,
    timeout: Duration,
    passes: usize,
    /// A pass came back and nobody waited.
    back: Notify,
}

/// The right to one connection; given on to the next in turn when dropped.
pub(crate) struct Pass(Option<Arc<Inner>>);

impl Turnstile {
    /// `passes` at a time; who waits for one waits no longer than `timeout`.
    pub fn new(passes: u32, timeout: Duration) -> Self {
        Self::with_room(passes, ROOM, timeout)
    }

    fn with_room(passes: u32, room: usize, timeout: Duration) -> Self {
        let passes = passes.max(1) as usize;
        Turnstile(Arc::new(Inner {
            free: Mutex::new(passes),
            waiting: Lanes::new(room),
            timeout,
            passes,
            back: Notify::new(),
        }))
    }

    /// How many passes there are.
    pub fn passes(&self) -> usize {
        self.0.passes
    }

    /// How many wait for a pass.
    pub fn waiting(&self) -> usize {
        self.0.waiting.waiting()
    }

    /// Waits for a pass.
    ///
    /// # Errors
    /// `database_busy` at once when too many wait, or when none comes free in time; `shutting_down` after [`Self::close`].
    pub async fn pass(&self, tenant: TenantId) -> Result<Pass> {
        let coming = {
            let mut free = self.0.free();
            if *free > 0 && !self.0.waiting.is_closed() {
                *free -= 1;
                return Ok(Pass(Some(self.0.clone())));
            }
            let (send, coming) = oneshot::channel();
            self.0
                .waiting
                .push(tenant, send)
                .map_err(|refused| match refused {
                    Refused::Full => busy(),
                    Refused::Closed => gone(),
                })?;
            coming
        };
        match tokio::time::timeout(self.0.timeout, coming).await {
            Ok(pass) => pass.map_err(|_| gone()),
            Err(_) => Err(busy()),
        }
    }

    /// Lets nobody in any more, and waits until every pass is back.
    pub async fn close(&self) {
        self.0.waiting.close();
        loop {
            let back = self.0.back.notified();
            if *self.0.free() == self.0.passes {
                return;
            }
            back.await;
        }
    }
}

impl Inner {
    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(inner) = self.0.take() else { return };
        let mut free = inner.free();
        // Who has gone away meanwhile is passed over.
        while let Some(next) = inner.waiting.try_next() {
            match next.send(Pass(Some(inner.clone()))) {
                Ok(()) => return,
                Err(mut refused) => drop(refused.0.take()),
            }
        }
        *free += 1;
        inner.back.notify_one();
    }
}

fn busy() -> Error {
    counter!("synapscale_database_busy_total").increment(1);
    Error::unavailable("database_busy", "All database connections are busy. Try again.")
        .retry_after(Duration::from_secs(1))
}

fn gone() -> Error {
    Error::unavailable("shutting_down", "The server is shutting down.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant(number: u128) -> TenantId {
        TenantId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn passes_go_round_and_who_went_away_takes_none() {
        let turnstile = Turnstile::with_room(1, 8, Duration::from_secs(5));
        let first = turnstile.pass(tenant(1)).await.expect("free");
        let mut one = Box::pin(turnstile.pass(tenant(1)));
        let mut gone = Box::pin(turnstile.pass(tenant(1)));
        let mut other = Box::pin(turnstile.pass(tenant(2)));
        for waiting in [&mut one, &mut gone, &mut other] {
            assert!(futures::poll!(waiting.as_mut()).is_pending());
        }
        drop(gone);
        drop(first);
        let one = one.await.expect("its turn");
        assert!(futures::poll!(other.as_mut()).is_pending());
        drop(one);
        let other = other.await.expect("its turn");
        let late = turnstile.pass(tenant(1));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), late)
                .await
                .is_err()
        );
        drop(other);
        turnstile.pass(tenant(3)).await.expect("free again");
    }

    #[tokio::test]
    async fn too_many_and_too_long_are_told() {
        let turnstile = Turnstile::with_room(1, 2, Duration::from_millis(30));
        let held = turnstile.pass(tenant(1)).await.expect("free");
        let (one, two, three) = tokio::join!(
            turnstile.pass(tenant(1)),
            turnstile.pass(tenant(2)),
            turnstile.pass(tenant(3))
        );
        for refused in [one, two, three] {
            assert_eq!(
                refused.err().map(|error| error.code().to_owned()).as_deref(),
                Some("database_busy")
            );
        }
        let closing = turnstile.close();
        let mut closing = std::pin::pin!(closing);
        assert!(futures::poll!(closing.as_mut()).is_pending());
        drop(held);
        closing.await;
        let after = turnstile.pass(tenant(1)).await;
        assert_eq!(
            after.err().map(|error| error.code().to_owned()).as_deref(),
            Some("shutting_down")
        );
    }
}
