//! From the token in a URL to everything a delivery needs, without the database while nothing changes.

use super::secret::{self, TokenHash};
use super::verify::Scheme;
use crate::entity::{hook, workflow};
use crate::service::publisher;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Actor, Ctx, Error, Result, TenantId};
use synapscale_engine::WorkflowRef;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Store};
use tokio::sync::Semaphore;
use uuid::Uuid;
use zeroize::Zeroizing;

/// For how long an entry is believed. In the process that made a change it counts at once; in others a deleted
/// workflow, a new version or a rotated secret counts as soon as the log tells, and after this time at the latest.
pub const HOOK_CACHE_TTL: Duration = Duration::from_secs(10);
/// Entries, of known and of unknown tokens each.
const ENTRIES: u64 = 10_000;
/// Look-ups of tokens not in the cache that may run at once: a flood of made-up tokens must not take every reader.
const LOOK_UPS: usize = 8;
/// How long a look-up waits for its turn.
const LOOK_UP_WAIT: Duration = Duration::from_secs(2);

/// A hook as a delivery needs it. Without `Debug`: it holds secrets.
pub(crate) struct Hook {
    pub id: Uuid,
    pub tenant: TenantId,
    pub node: String,
    pub scheme: Scheme,
    pub workflow: WorkflowRef,
    pub graph_id: Uuid,
    /// As whom the run runs.
    pub publisher: Actor,
    pub dedupe_hours: i64,
    /// Whether the graph has a `respond` node, so that waiting for an answer makes sense.
    pub responds: bool,
    current: Option<Zeroizing<Vec<u8>>>,
    previous: Option<(Zeroizing<Vec<u8>>, DateTime<Utc>)>,
}

impl Hook {
    /// The secrets that open it at `now`: the current one, and the one before while it is being replaced.
    pub fn secrets(&self, now: DateTime<Utc>) -> Vec<&[u8]> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        let all = self.current.iter().chain(previous.map(|(secret, _)| secret));
        all.map(|secret| secret.as_slice()).collect()
    }
}

/// Hooks by the digest of their token. Cheap to clone; all clones are one cache.
#[derive(Clone)]
pub struct HookCache(Arc<Inner>);

struct Inner {
    known: Cache<TokenHash, Arc<Hook>>,
    unknown: Cache<TokenHash, ()>,
    look_ups: Semaphore,
}

impl Default for HookCache {
    fn default() -> Self {
        HookCache(Arc::new(Inner {
            known: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(HOOK_CACHE_TTL)
                .build(),
            unknown: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(HOOK_CACHE_TTL)
                .build(),
            look_ups: Semaphore::new(LOOK_UPS),
        }))
    }
}

/// Why there is no entry. Only a hook that was found is kept as known.
enum Miss {
    Unknown,
    Failed(Error),
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Miss::Failed(error)
    }
}

impl HookCache {
    /// Forgets everything: a hook or its workflow changed in this process.
    pub(crate) fn clear(&self) {
        self.0.known.invalidate_all();
        self.0.unknown.invalidate_all();
    }

    /// The hook of `token`, if there is one and its workflow takes deliveries.
    pub(crate) async fn find(&self, store: &Store, token: &str) -> Result<Option<Arc<Hook>>> {
        if !secret::is_token(token) {
            return Ok(None);
        }
        let hash = secret::hash(token);
        if let Some(hook) = self.0.known.get(&hash).await {
            return Ok(Some(hook));
        }
        if self.0.unknown.contains_key(&hash) {
            return Ok(None);
        }
        let loaded = self.0.known.try_get_with(hash, self.load(store, hash)).await;
        match loaded {
            Ok(hook) => Ok(Some(hook)),
            Err(miss) => match &*miss {
                Miss::Unknown => {
                    self.0.unknown.insert(hash, ()).await;
                    Ok(None)
                }
                Miss::Failed(error) => Err(error.clone()),
            },
        }
    }

    async fn load(&self, store: &Store, hash: TokenHash) -> Result<Arc<Hook>, Miss> {
        let turn = tokio::time::timeout(LOOK_UP_WAIT, self.0.look_ups.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Miss::Failed(Error::rate_limited(LOOK_UP_WAIT)));
        };
        // Nobody knows the tenant yet, so this one read is the system's; the next one is the tenant's own.
        let system = Ctx::system(store.clock().clone());
        let row = store.read(&system, move |tx| async move {
            let query = tx.find_as_system::<hook::Entity>()?;
            let query = query.filter(hook::Column::TokenHash.eq(hash.to_vec()));
            query.filter(hook::Column::Active.eq(true)).row(&tx).await
        });
        let row = row.await?.ok_or(Miss::Unknown)?;
        let (tenant, workflow_id) = (TenantId(row.tenant_id), row.workflow_id);
        let own = system.system_in(tenant);
        let flow = store.read(&own, move |tx| async move {
            let query = tx
                .find_live::<workflow::Entity>()
                .filter(workflow::Column::Id.eq(workflow_id));
            query.filter(workflow::Column::Status.eq("active")).row(&tx).await
        });
        let flow = flow.await?.ok_or(Miss::Unknown)?;
        Ok(Arc::new(open(store, tenant, row, flow)?))
    }
}

fn open(store: &Store, tenant: TenantId, row: hook::Model, flow: workflow::Model) -> Result<Hook, Miss> {
    let open = |sealed: &String| secret::open_secret(store.secrets(), tenant, sealed);
    let previous = match (&row.previous_sealed, row.previous_until) {
        (Some(sealed), Some(until)) => Some((open(sealed)?, until)),
        _ => None,
    };
    Ok(Hook {
        id: row.id,
        tenant,
        node: row.node,
        scheme: super::scheme_of(&row.scheme),
        publisher: publisher(&flow).ok_or(Miss::Unknown)?,
        graph_id: flow.graph_id.ok_or(Miss::Unknown)?,
        workflow: WorkflowRef {
            id: flow.id,
            version: flow.version,
            name: flow.name,
        },
        dedupe_hours: row.dedupe_hours,
        responds: row.responds,
        current: row.secret_sealed.as_ref().map(open).transpose()?,
        previous,
    })
}
