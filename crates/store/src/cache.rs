//! The cache for values that the database can always give again: in this process, and with Redis between all of them.
//!
//! Each workspace has a generation per cache, in this process and in Redis. A value counts only in the generation that was
//! read before the value was; a change begins the next one. *Invariant:* no value is given out longer than the cache's
//! `ttl` after it was read, whatever fails; Redis that is down or slow costs a read of the database and nothing else.

use crate::redis::Redis;
use crate::store::Store;
use metrics::counter;
use moka::notification::RemovalCause;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use synapscale_core::{Error, Result, TenantId};

/// Generations are counted for so many groups of workspaces.
const COUNTERS: usize = 1024;
/// Most time for Redis; then the database is asked.
const PATIENCE: Duration = Duration::from_millis(100);
/// Largest value kept in Redis, in bytes of JSON.
const MAX_SHARED_BYTES: usize = 64 * 1024;
/// How long Redis remembers a generation, in seconds: far longer than any value.
const GENERATION_SECONDS: u32 = 24 * 3600;

/// A cache's name and bounds.
#[derive(Clone, Copy, Debug)]
pub struct CacheSpec {
    /// Its name in figures and in Redis.
    pub name: &'static str,
    /// The longest time for which a value may be given out after it was read.
    pub ttl: Duration,
    /// Most values in this process.
    pub entries: u64,
}

/// Values of type `V` by workspace and key. Cheap to clone; all clones are one cache.
pub struct Cache<V>(Arc<Inner<V>>);

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Cache(self.0.clone())
    }
}

type Key = (TenantId, u64, String);

struct Inner<V> {
    store: Store,
    spec: CacheSpec,
    values: moka::future::Cache<Key, V>,
    generations: Vec<AtomicU64>,
    /// Workspaces whose change Redis may not have been told of: their values there are not believed.
    doubted: moka::sync::Cache<TenantId, ()>,
}

/// A value as Redis holds it.
#[derive(Serialize, Deserialize)]
struct Shared<V> {
    generation: u64,
    value: V,
}

impl<V> Cache<V>
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// An empty one.
    pub fn new(store: &Store, spec: CacheSpec) -> Self {
        // A value may be as old as half the time when it comes from Redis.
        let life = spec.ttl / 2;
        let values = moka::future::Cache::builder()
            .max_capacity(spec.entries)
            .time_to_live(life)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    counter!("synapscale_cache_evictions_total", "cache" => spec.name).increment(1);
                }
            })
            .build();
        Cache(Arc::new(Inner {
            store: store.clone(),
            spec,
            values,
            generations: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            doubted: moka::sync::Cache::builder()
                .max_capacity(spec.entries)
                .time_to_live(spec.ttl)
                .build(),
        }))
    }

    /// The value of `key`, from this process, from Redis, or else from `load`. Callers that miss the same key at once share
    /// one load. A failure is not kept.
    ///
    /// # Errors
    /// What `load` answers.
    pub async fn get<F>(&self, tenant: TenantId, key: &str, load: F) -> Result<V>
    where
        F: Future<Output = Result<V>>,
    {
        let inner = &self.0;
        let place = (tenant, inner.generation(tenant), key.to_owned());
        if let Some(value) = inner.values.get(&place).await {
            inner.count("hit");
            return Ok(value);
        }
        let loaded = inner
            .values
            .try_get_with(place, inner.load(tenant, key, load))
            .await;
        loaded.map_err(|error| (*error).clone())
    }

    /// Nothing that was read of the workspace until now counts any more, here at once and elsewhere as soon as Redis, or the
    /// log, tells. To be called after the commit, and by a listener for what other processes commit.
    pub fn forget(&self, tenant: TenantId) {
        let inner = self.0.clone();
        if let Some(counter) = inner.counter(tenant) {
            counter.fetch_add(1, Ordering::AcqRel);
        }
        if inner.store.redis().is_none() {
            return;
        }
        inner.doubted.insert(tenant, ());
        let store = inner.store.clone();
        store.spawn(async move {
            // Values that Redis is not told of are gone from there within their time.
            match inner.begin_generation(tenant).await {
                Ok(()) => inner.doubted.invalidate(&tenant),
                Err(error) => {
                    tracing::debug!(cache = inner.spec.name, %error, "Redis was not told of a change")
                }
            }
        });
    }
}

impl<V> Inner<V> {
    fn counter(&self, tenant: TenantId) -> Option<&AtomicU64> {
        // The end of such an id is random.
        self.generations
            .get((tenant.0.as_u128() % COUNTERS as u128) as usize)
    }

    fn generation(&self, tenant: TenantId) -> u64 {
        self.counter(tenant)
            .map_or(0, |counter| counter.load(Ordering::Acquire))
    }

    fn count(&self, outcome: &'static str) {
        counter!("synapscale_cache_requests_total", "cache" => self.spec.name, "outcome" => outcome)
            .increment(1);
    }

    /// The names of the workspace's generation and of the key's value. The braces keep both on one node of a cluster.
    fn names(&self, tenant: TenantId, key: &str) -> Result<[String; 2]> {
        let log = crate::events::identity(&self.store)?.id.simple();
        let place = format!("synapscale:{{{log}:{tenant}}}:cache:{}", self.spec.name);
        Ok([format!("{place}:generation"), format!("{place}:value:{key}")])
    }

    async fn begin_generation(&self, tenant: TenantId) -> Result<()> {
        let Some(redis) = self.store.redis() else {
            return Ok(());
        };
        let [generation, _] = self.names(tenant, "")?;
        let _: i64 = redis.ask(::redis::cmd("INCR").arg(&generation)).await?;
        let mut expire = ::redis::cmd("EXPIRE");
        redis
            .ask::<i64>(expire.arg(&generation).arg(GENERATION_SECONDS))
            .await
            .map(drop)
    }
}

impl<V> Inner<V>
where
    V: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    async fn load(&self, tenant: TenantId, key: &str, load: impl Future<Output = Result<V>>) -> Result<V> {
        let redis = self.store.redis().filter(|_| !self.doubted.contains_key(&tenant));
        let Some(redis) = redis else {
            self.count("miss");
            return load.await;
        };
        let names = self.names(tenant, key)?;
        let generation = match shared::<V>(redis, &names).await {
            Ok((_, Some(value))) => {
                self.count("shared");
                return Ok(value);
            }
            Ok((generation, None)) => Some(generation),
            Err(_) => None,
        };
        self.count("miss");
        let value = load.await?;
        if let Some(generation) = generation {
            let kept = self.keep(redis, &names, generation, &value).await;
            if let Err(error) = kept {
                tracing::debug!(cache = self.spec.name, %error, "a value was not kept in Redis");
            }
        }
        Ok(value)
    }

    async fn keep(&self, redis: &Redis, names: &[String; 2], generation: u64, value: &V) -> Result<()> {
        let kept = Shared { generation, value };
        let json = serde_json::to_string(&kept).map_err(Error::internal)?;
        if json.len() > MAX_SHARED_BYTES {
            return Ok(());
        }
        let millis = u64::try_from((self.spec.ttl / 2).as_millis()).unwrap_or(u64::MAX);
        let mut command = ::redis::cmd("SET");
        command.arg(&names[1]).arg(json).arg("PX").arg(millis);
        redis.ask_within::<String>(&command, PATIENCE).await.map(drop)
    }
}

/// The workspace's generation, and the value if there is one of that generation.
async fn shared<V: DeserializeOwned>(redis: &Redis, names: &[String; 2]) -> Result<(u64, Option<V>)> {
    let (generation, json): (Option<u64>, Option<String>) = redis
        .ask_within(::redis::cmd("MGET").arg(names), PATIENCE)
        .await?;
    let generation = generation.unwrap_or(0);
    let value: Option<Shared<V>> = json.and_then(|json| serde_json::from_str(&json).ok());
    let value = value.filter(|kept| kept.generation == generation);
    Ok((generation, value.map(|kept| kept.value)))
}
