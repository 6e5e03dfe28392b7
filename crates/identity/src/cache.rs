//! A bounded cache whose entries are never older than a stated time and never older than a change that this process made.

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use std::hash::Hash;
use std::time::{Duration, Instant};
use synapscale_core::Result;
use uuid::Uuid;

/// The longest time for which a revoked key, a removed member or a lowered role may still pass. In the process that
/// revokes, it is gone with the commit; other processes hear of it from the log, ordinarily within a second, and this bound
/// holds when they do not.
pub const REVOCATION_BOUND: Duration = Duration::from_secs(30);

/// Most entries of one cache.
const ENTRIES: u64 = 10_000;
/// Most remembered changes. When more come within the bound, the oldest are forgotten and the bound alone holds for them.
const CHANGES: u64 = 100_000;
/// Tries to get a value that no change overtook, before the last is taken as it was read.
const TRIES: u32 = 2;

/// A value with the time at which reading it began.
#[derive(Clone)]
struct Dated<V> {
    value: V,
    since: Instant,
    about: [Uuid; 3],
}

/// Which ids changed, and when the change was committed.
#[derive(Clone)]
pub struct ChangeLog(moka::sync::Cache<Uuid, Instant>);

impl ChangeLog {
    /// An empty one.
    pub fn new() -> Self {
        let changes = moka::sync::Cache::builder()
            .max_capacity(CHANGES)
            // The usual policy may turn away what it has never seen; a change must not be turned away.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(REVOCATION_BOUND * 2)
            .build();
        ChangeLog(changes)
    }

    /// Everything read about `id` until now is out of date. To be called after the commit.
    pub fn mark(&self, id: Uuid) {
        self.0.insert(id, Instant::now());
    }

    /// A reader that began before a commit and ends after it holds the old state: hence the time at which it began.
    fn is_overtaken<V>(&self, dated: &Dated<V>) -> bool {
        dated
            .about
            .iter()
            .any(|id| self.0.get(id).is_some_and(|changed| changed >= dated.since))
    }
}

/// Values that depend on up to three things, by key.
pub struct Fresh<K, V> {
    entries: Cache<K, Dated<V>>,
    changes: ChangeLog,
}

impl<K, V> Fresh<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty cache that listens to `changes`.
    pub fn new(changes: ChangeLog) -> Self {
        let entries = Cache::builder()
            .max_capacity(ENTRIES)
            .time_to_live(REVOCATION_BOUND)
            .build();
        Fresh { entries, changes }
    }

    /// The value, from the cache or from `load`, which also names what the value is about. Callers that miss the same key
    /// at once share one load. A failed load is not kept.
    ///
    /// # Errors
    /// What `load` answers.
    pub async fn get<F, Fut>(&self, key: &K, load: F) -> Result<V>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<(V, [Uuid; 3])>>,
    {
        for _ in 0..TRIES {
            let loaded = self.entries.try_get_with_by_ref(key, dated(&load)).await;
            let found = loaded.map_err(|error| (*error).clone())?;
            // The cache's own clock starts when the value came in; ours when reading it began.
            if found.since.elapsed() < REVOCATION_BOUND && !self.changes.is_overtaken(&found) {
                return Ok(found.value);
            }
            self.entries.invalidate(key).await;
        }
        Ok(dated(&load).await?.value)
    }
}

async fn dated<V, F, Fut>(load: &F) -> Result<Dated<V>>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(V, [Uuid; 3])>>,
{
    let since = Instant::now();
    let (value, about) = load().await?;
    Ok(Dated { value, since, about })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use synapscale_core::Error;

    const THING: Uuid = Uuid::from_u128(7);

    #[tokio::test]
    async fn loads_once_until_a_change() {
        let changes = ChangeLog::new();
        let cache = Fresh::<u32, u32>::new(changes.clone());
        let loads = AtomicU32::new(0);
        let get = || {
            cache.get(&1, || async {
                Ok((
                    loads.fetch_add(1, Ordering::Relaxed),
                    [THING, Uuid::nil(), Uuid::nil()],
                ))
            })
        };
        assert_eq!(get().await.expect("loaded"), 0);
        assert_eq!(get().await.expect("kept"), 0);
        changes.mark(Uuid::from_u128(8));
        assert_eq!(get().await.expect("kept"), 0);
        changes.mark(THING);
        assert_eq!(get().await.expect("loaded again"), 1);
        assert_eq!(get().await.expect("kept"), 1);
    }

    #[tokio::test]
    async fn misses_at_once_share_a_load() {
        let cache = Fresh::<u32, u32>::new(ChangeLog::new());
        let loads = AtomicU32::new(0);
        let all = (0..50).map(|_| {
            cache.get(&1, || async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok((loads.fetch_add(1, Ordering::Relaxed), [Uuid::nil(); 3]))
            })
        });
        let values = futures::future::join_all(all).await;
        assert!(values.into_iter().all(|value| value.expect("loaded") == 0));
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_change_overtakes_a_read_under_way() {
        let changes = ChangeLog::new();
        let cache = Fresh::<u32, u32>::new(changes.clone());
        let loads = AtomicU32::new(0);
        let value = cache
            .get(&1, || async {
                let load = loads.fetch_add(1, Ordering::Relaxed);
                if load == 0 {
                    changes.mark(THING);
                }
                Ok((load, [THING, Uuid::nil(), Uuid::nil()]))
            })
            .await;
        assert_eq!(value.expect("loaded"), 1);
    }

    #[tokio::test]
    async fn failures_are_not_kept() {
        let cache = Fresh::<u32, u32>::new(ChangeLog::new());
        let failed = cache.get(&1, || async { Err(Error::unauthenticated()) }).await;
        assert_eq!(failed.expect_err("failed").code(), "unauthenticated");
        let value = cache.get(&1, || async { Ok((5, [Uuid::nil(); 3])) }).await;
        assert_eq!(value.expect("loaded"), 5);
    }
}
