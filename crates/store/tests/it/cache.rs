//! The cache, in one process and shared by Redis: one load, no value of another workspace, none from before a change, and
//! Redis that is gone costs a read.

use crate::events::tell;
use crate::{open, somebody};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use synapscale_core::{Ctx, Error, TenantId, new_id};
use synapscale_store::events::{Listener, Listening};
use synapscale_store::{Cache, CacheSpec, Redis, Store};
use synapscale_testkit::{Proxy, TestDb, redis_url};

const SPEC: CacheSpec = CacheSpec {
    name: "test",
    ttl: Duration::from_secs(20),
    entries: 100,
};

async fn shared_store(db: &TestDb, url: &str) -> Store {
    let store = open(db).await;
    store.attach_redis(Redis::new(url).expect("a URL"));
    store
}

/// The value of "key", which each load counts up.
async fn get(cache: &Cache<u32>, tenant: TenantId, loads: &AtomicU32) -> u32 {
    let load = async { Ok(loads.fetch_add(1, Ordering::SeqCst)) };
    cache.get(tenant, "key", load).await.expect("a value")
}

#[tokio::test]
async fn one_load_for_all_who_miss_and_workspaces_apart() {
    let db = TestDb::sqlite();
    let cache = Cache::<u32>::new(&open(&db).await, SPEC);
    let (ours, theirs) = (TenantId(new_id()), TenantId(new_id()));
    let loads = AtomicU32::new(0);
    let all = (0..50).map(|_| {
        cache.get(ours, "key", async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(loads.fetch_add(1, Ordering::SeqCst))
        })
    });
    let values = futures::future::join_all(all).await;
    assert!(values.into_iter().all(|value| value.expect("a value") == 0));
    assert_eq!(get(&cache, theirs, &loads).await, 1);
    assert_eq!(get(&cache, ours, &loads).await, 0);
    cache.forget(ours);
    assert_eq!(get(&cache, ours, &loads).await, 2);
    assert_eq!(get(&cache, theirs, &loads).await, 1);
    let failed = cache
        .get(ours, "other", async { Err(Error::not_found("value")) })
        .await;
    assert_eq!(failed.expect_err("failed").code(), "not_found");
    let then = cache.get(ours, "other", async { Ok(7) }).await;
    assert_eq!(then.expect("a value"), 7);
}

#[tokio::test]
async fn a_load_that_a_change_overtook_is_not_kept() {
    let (db, other) = (TestDb::sqlite(), TestDb::sqlite());
    for store in [open(&db).await, shared_store(&other, &redis_url()).await] {
        let cache = Cache::<u32>::new(&store, SPEC);
        let tenant = TenantId(new_id());
        let old = cache.get(tenant, "key", async {
            cache.forget(tenant);
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(1)
        });
        assert_eq!(old.await.expect("the one that was under way"), 1);
        let new = cache.get(tenant, "key", async { Ok(2) });
        assert_eq!(new.await.expect("a value"), 2);
        // Nor is it in Redis, for another process.
        let elsewhere = Cache::<u32>::new(&store, SPEC);
        let seen = elsewhere.get(tenant, "key", async { Ok(3) });
        assert_ne!(seen.await.expect("a value"), 1);
    }
}

#[tokio::test]
async fn processes_share_by_redis_and_forget_by_the_log() {
    let db = TestDb::sqlite();
    let store = shared_store(&db, &redis_url()).await;
    let (here, there) = (Cache::<u32>::new(&store, SPEC), Cache::<u32>::new(&store, SPEC));
    let ctx: Ctx = somebody();
    let (tenant, loads) = (ctx.tenant(), AtomicU32::new(0));
    assert_eq!(get(&here, tenant, &loads).await, 0);
    assert_eq!(get(&there, tenant, &loads).await, 0);
    let told = there.clone();
    let listener = Listener::new(&["note.*"], move |event| told.forget(event.tenant));
    let listening = Listening::start(&store, vec![listener]).await.expect("listening");
    tell(&store, &ctx, 1).await;
    here.forget(tenant);
    let began = Instant::now();
    while get(&there, tenant, &loads).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(3), "it never heard");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    listening.stop().await;
    assert!(get(&here, tenant, &loads).await > 0);
}

#[tokio::test]
async fn redis_cut_off_costs_a_read_and_brings_nothing_old_back() {
    let server = redis_url();
    let proxy = Proxy::to(server.trim_start_matches("redis://")).await;
    let db = TestDb::sqlite();
    let store = shared_store(&db, &format!("redis://{}", proxy.address())).await;
    let cache = Cache::<u32>::new(&store, SPEC);
    let (tenant, loads) = (TenantId(new_id()), AtomicU32::new(0));
    assert_eq!(get(&cache, tenant, &loads).await, 0);
    proxy.cut();
    // What this process has it keeps; what it has not it reads.
    assert_eq!(get(&cache, tenant, &loads).await, 0);
    cache.forget(tenant);
    let began = Instant::now();
    for value in 1..50 {
        cache.forget(tenant);
        assert_eq!(get(&cache, tenant, &loads).await, value);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    proxy.mend();
    // Redis still holds the first value, which this process knows to be old.
    cache.forget(tenant);
    assert_ne!(get(&cache, tenant, &loads).await, 0);
}
