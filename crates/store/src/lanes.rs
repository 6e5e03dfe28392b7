//! Who waits for the database: a lane for each tenant. The lanes take turns, so that a tenant with a thousand calls does not
//! make another one's single call wait behind them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use synapscale_core::TenantId;
use tokio::sync::Notify;

/// Things that wait, in bounded number.
pub(crate) struct Lanes<T> {
    inner: Mutex<Inner<T>>,
    came: Notify,
    /// Most that wait in all.
    room: usize,
    /// Most that wait of one tenant: what is left of the room is for the others.
    share: usize,
}

struct Inner<T> {
    lanes: HashMap<TenantId, VecDeque<T>>,
    /// The tenants that wait, whose turn it is first.
    turns: VecDeque<TenantId>,
    waiting: usize,
    closed: bool,
}

/// Why something may not wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The room, or the tenant's share of it, is full.
    Full,
    /// Nobody serves any more.
    Closed,
}

impl<T> Lanes<T> {
    pub fn new(room: usize) -> Self {
        let room = room.max(1);
        Lanes {
            inner: Mutex::new(Inner {
                lanes: HashMap::new(),
                turns: VecDeque::new(),
                waiting: 0,
                closed: false,
            }),
            came: Notify::new(),
            room,
            share: room - room / 4,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts something at the end of the tenant's lane.
    pub fn push(&self, tenant: TenantId, thing: T) -> Result<(), Refused> {
        let mut inner = self.inner();
        if inner.closed {
            return Err(Refused::Closed);
        }
        if inner.waiting >= self.room {
            return Err(Refused::Full);
        }
        let lane = inner.lanes.entry(tenant).or_default();
        if lane.len() >= self.share {
            return Err(Refused::Full);
        }
        lane.push_back(thing);
        if lane.len() == 1 {
            inner.turns.push_back(tenant);
        }
        inner.waiting += 1;
        drop(inner);
        self.came.notify_one();
        Ok(())
    }

    /// The next one in turn, if somebody waits.
    pub fn try_next(&self) -> Option<T> {
        let mut inner = self.inner();
        let tenant = inner.turns.pop_front()?;
        let lane = inner.lanes.get_mut(&tenant)?;
        let thing = lane.pop_front();
        match lane.is_empty() {
            true => drop(inner.lanes.remove(&tenant)),
            false => inner.turns.push_back(tenant),
        }
        inner.waiting -= 1;
        thing
    }

    /// The next one in turn, once there is one; none when nobody waits and nobody will.
    pub async fn next(&self) -> Option<T> {
        loop {
            if let Some(thing) = self.try_next() {
                return Some(thing);
            }
            if self.inner().closed {
                return None;
            }
            // One who came in between has left a permit.
            self.came.notified().await;
        }
    }

    /// Whether nobody may wait any more.
    pub fn is_closed(&self) -> bool {
        self.inner().closed
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.inner().waiting
    }

    /// Lets nobody wait any more; those who do are still served.
    pub fn close(&self) {
        self.inner().closed = true;
        self.came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn tenant(number: u8) -> TenantId {
        TenantId(Uuid::from_u128(u128::from(number)))
    }

    #[test]
    fn who_floods_waits_for_the_others() {
        let lanes = Lanes::new(100);
        for write in 0..75 {
            lanes.push(tenant(1), (1, write)).expect("room");
        }
        assert_eq!(lanes.push(tenant(1), (1, 75)), Err(Refused::Full));
        lanes.push(tenant(2), (2, 0)).expect("the others' room");
        lanes.push(tenant(3), (3, 0)).expect("the others' room");
        let first: Vec<_> = std::iter::from_fn(|| lanes.try_next()).take(5).collect();
        assert_eq!(first, [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]);
        assert_eq!(lanes.waiting(), 72);
    }

    #[tokio::test]
    async fn what_waits_is_served_after_the_end() {
        let lanes = Lanes::new(4);
        lanes.push(tenant(1), 'a').expect("room");
        lanes.close();
        assert_eq!(lanes.push(tenant(1), 'b'), Err(Refused::Closed));
        assert_eq!(lanes.next().await, Some('a'));
        assert_eq!(lanes.next().await, None);
    }

    proptest! {
        /// Each tenant's things come in their order, none is lost, and between two of one tenant comes every other that waits.
        #[test]
        fn lanes_are_fair(pushes in prop::collection::vec(0u8..4, 0..60)) {
            let lanes = Lanes::new(1000);
            for (place, number) in pushes.iter().enumerate() {
                lanes.push(tenant(*number), (*number, place)).expect("room");
            }
            let mut left = pushes.clone();
            let mut last: Option<u8> = None;
            let mut served: Vec<(u8, usize)> = Vec::new();
            while let Some((number, place)) = lanes.try_next() {
                let others = left.iter().any(|other| *other != number);
                prop_assert!(!(others && last == Some(number)), "{number} twice while others wait");
                let at = left.iter().position(|other| *other == number).expect("it waits");
                left.remove(at);
                let before = served.iter().rev().find(|(tenant, _)| *tenant == number);
                prop_assert!(before.is_none_or(|(_, earlier)| *earlier < place));
                served.push((number, place));
                last = Some(number);
            }
            prop_assert_eq!(served.len(), pushes.len());
        }
    }
}
