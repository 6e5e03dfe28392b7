//! Who calls: from a presented key to a [`Ctx`], without the database once a key is known.

mod browser;

use crate::cache::{ChangeLog, Fresh};
use crate::key::{self, KeyHash};
use crate::key_uses::{KeyUses, Used};
use crate::password::Passwords;
use crate::roles::Role;
use crate::sign_in::Strangers;
use crate::standing::{self, KeyHolder};
use crate::token::TokenHash;
use browser::{Family, SessionHolder};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Actor, ActorKind, Ctx, Error, ErrorKind, Grants, Origin, Result, TenantId};
use synapscale_store::events::Event;
use synapscale_store::{Cache, CacheSpec, SecretBox, Store};
use tokio::sync::Semaphore;
use uuid::Uuid;

/// How long a key that is none of ours is remembered as such.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
/// Most such keys remembered.
const UNKNOWN_ENTRIES: u64 = 10_000;
/// What people are called. A name that was changed in another workspace shows the old one for so long.
const NAMES: CacheSpec = CacheSpec {
    name: "names",
    ttl: Duration::from_secs(60),
    entries: 10_000,
};
/// Look-ups at once: a flood of made-up keys must not take every connection of the database.
const LOOKUPS: usize = 8;

/// Authenticates. Cheap to clone; a server has one.
///
/// Answers come from bounded caches. What the same process revokes is refused from the commit on; what another process
/// revokes, within [`crate::REVOCATION_BOUND`].
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    store: Store,
    passwords: Passwords,
    changes: ChangeLog,
    by_hash: Fresh<KeyHash, Arc<KeyHolder>>,
    by_id: Fresh<(TenantId, Uuid), Option<Arc<KeyHolder>>>,
    roles: Fresh<(TenantId, Uuid), Option<Role>>,
    unknown: moka::sync::Cache<KeyHash, ()>,
    names: Cache<Option<String>>,
    lookups: Semaphore,
    uses: KeyUses,
    sessions: Fresh<TokenHash, Arc<SessionHolder>>,
    families: Fresh<Uuid, Family>,
    session_uses: KeyUses,
    strangers: Strangers,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator")
    }
}

impl Authenticator {
    /// An authenticator over `store`, with empty caches.
    pub fn new(store: Store) -> Self {
        let changes = ChangeLog::new();
        let unknown = moka::sync::Cache::builder()
            .max_capacity(UNKNOWN_ENTRIES)
            .time_to_live(UNKNOWN_FOR)
            .build();
        Authenticator(Arc::new(Inner {
            names: Cache::new(&store, NAMES),
            store,
            passwords: Passwords::new(),
            by_hash: Fresh::new(changes.clone()),
            by_id: Fresh::new(changes.clone()),
            roles: Fresh::new(changes.clone()),
            sessions: Fresh::new(changes.clone()),
            families: Fresh::new(changes.clone()),
            changes,
            unknown,
            lookups: Semaphore::new(LOOKUPS),
            uses: KeyUses::new(Used::Keys),
            session_uses: KeyUses::new(Used::Sessions),
            strangers: Strangers::new(),
        }))
    }

    /// The hashing of passwords, bounded over the whole server.
    pub fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// The context of whoever presents this key. The key acts for its user: permissions are the key's scopes and the
    /// user's present role at once.
    ///
    /// # Errors
    /// `unauthenticated` for what is not a good key, whatever the reason; a database failure on a miss.
    pub async fn by_key(&self, presented: &str, origin: Origin) -> Result<Ctx> {
        let hash = key::hash_of(presented).ok_or_else(Error::unauthenticated)?;
        let inner = &self.0;
        if inner.unknown.contains_key(&hash) {
            return Err(Error::unauthenticated());
        }
        let found = inner.by_hash.get(&hash, || self.load_by_hash(hash)).await;
        let holder = found.inspect_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated {
                inner.unknown.insert(hash, ());
            }
        })?;
        let ctx = self.ctx_of(&holder, origin).ok_or_else(Error::unauthenticated)?;
        inner.uses.note(holder.key_id, inner.store.clock().now());
        Ok(ctx)
    }

    /// What a user may do in a workspace at present; none when the user is no member or either is not active.
    ///
    /// # Errors
    /// A database failure on a miss.
    pub async fn present_grants(&self, tenant: TenantId, user_id: Uuid) -> Result<Option<Grants>> {
        let role = self
            .0
            .roles
            .get(&(tenant, user_id), || self.load_role(tenant, user_id))
            .await?;
        role.map(Role::grants).transpose()
    }

    /// The context of somebody for whom a claimed run acts, with that person's or key's present permissions.
    ///
    /// # Errors
    /// `principal_gone` (403) when they may do nothing here any more; a database failure on a miss.
    pub async fn ctx_for_principal(&self, tenant: TenantId, actor: Actor, origin: Origin) -> Result<Ctx> {
        let clock = self.0.store.clock().clone();
        let ctx = match actor.kind {
            ActorKind::User => {
                let grants = self.present_grants(tenant, actor.id).await?;
                grants.map(|grants| Ctx::authenticated(tenant, actor, grants, origin, clock))
            }
            ActorKind::Key => {
                let key = (tenant, actor.id);
                let holder = self
                    .0
                    .by_id
                    .get(&key, || self.load_by_id(tenant, actor.id))
                    .await?;
                holder.and_then(|holder| self.ctx_of(&holder, origin))
            }
            ActorKind::System => Some(Ctx::system(clock).system_in(tenant).with_origin(origin)),
            ActorKind::Agent | ActorKind::Bot | ActorKind::Anonymous => None,
        };
        ctx.ok_or_else(|| {
            Error::new(
                ErrorKind::Forbidden,
                "principal_gone",
                "Whoever this runs for is no active member of the workspace any more.",
            )
        })
    }

    /// Forgets what is known of a key. To be called after the commit that changed it.
    pub fn invalidate_key(&self, key_id: Uuid) {
        self.0.changes.mark(key_id);
    }

    /// Forgets what is known of a user, keys and roles in all workspaces included. To be called after the commit.
    pub fn invalidate_user(&self, user_id: Uuid) {
        self.0.changes.mark(user_id);
    }

    /// Forgets what is known of everybody in a workspace. To be called after the commit.
    pub fn invalidate_workspace(&self, tenant: TenantId) {
        self.0.changes.mark(tenant.0);
    }

    /// Writes when keys and sessions were last used; answers for how many. The server calls it about once a minute, and at
    /// its end.
    ///
    /// # Errors
    /// When the database fails; nothing is lost then.
    pub async fn flush_last_used(&self) -> Result<usize> {
        let system = self.system();
        let keys = self.0.uses.flush(&self.0.store, &system).await?;
        let sessions = self.0.session_uses.flush(&self.0.store, &system).await?;
        Ok(keys + sessions)
    }

    /// What people call those of `users` who are members of the caller's workspace.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn names(&self, ctx: &Ctx, users: &[Uuid]) -> Result<HashMap<Uuid, String>> {
        let mut known = HashMap::new();
        for &user in users {
            let load = self.load_name(ctx, user);
            let name = self.0.names.get(ctx.tenant(), &user.to_string(), load).await?;
            known.extend(name.map(|name| (user, name)));
        }
        Ok(known)
    }

    async fn load_name(&self, ctx: &Ctx, user: Uuid) -> Result<Option<String>> {
        // Names stand in the users' table, which belongs to no workspace; who is a member here is looked up first.
        let elevated = ctx.elevated();
        let read = self.0.store.read(&elevated, |tx| async move {
            let mut names = crate::members::names(&tx, &[user]).await?;
            Ok(names.remove(&user))
        });
        read.await
    }

    /// Some process committed a change: whatever it is about is read afresh here.
    pub(crate) fn hear(&self, event: &Event) {
        let about = event.subject.rsplit(':').next();
        let user = event.data.get("user_id").and_then(|id| id.as_str());
        for id in [about, user].into_iter().flatten() {
            if let Ok(id) = id.parse() {
                self.0.changes.mark(id);
            }
        }
        if event.kind.starts_with("member.") || event.kind == "user.updated" {
            self.0.names.forget(event.tenant);
        }
    }

    /// What the server's secrets are sealed by and its tokens signed with.
    pub(crate) fn secrets(&self) -> &SecretBox {
        self.0.store.secrets()
    }

    /// The failed tries of addresses that nobody has.
    pub(crate) fn strangers(&self) -> &Strangers {
        &self.0.strangers
    }

    fn system(&self) -> Ctx {
        Ctx::system(self.0.store.clock().clone())
    }

    /// None for a key that has expired.
    fn ctx_of(&self, holder: &KeyHolder, origin: Origin) -> Option<Ctx> {
        let clock = self.0.store.clock();
        if holder.expires_at.is_some_and(|end| end <= clock.now()) {
            return None;
        }
        let key = Actor::key(holder.key_id);
        let ctx = Ctx::authenticated(holder.tenant, key, holder.scopes.clone(), origin, clock.clone());
        Some(ctx.on_behalf_of(Actor::user(holder.user_id), &holder.person))
    }

    async fn load_by_hash(&self, hash: KeyHash) -> Result<(Arc<KeyHolder>, [Uuid; 3])> {
        let _turn = self.0.lookups.acquire().await.map_err(Error::internal)?;
        let found = self
            .0
            .store
            .read(&self.system(), move |tx| async move {
                standing::holder_by_hash(&tx, &hash).await
            })
            .await?;
        let holder = found.ok_or_else(Error::unauthenticated)?;
        let about = [holder.key_id, holder.user_id, holder.tenant.0];
        Ok((holder, about))
    }

    async fn load_by_id(
        &self,
        tenant: TenantId,
        key_id: Uuid,
    ) -> Result<(Option<Arc<KeyHolder>>, [Uuid; 3])> {
        let found = self
            .0
            .store
            .read(&self.system(), move |tx| async move {
                standing::holder_by_id(&tx, tenant, key_id).await
            })
            .await?;
        let user_id = found.as_ref().map_or(key_id, |holder| holder.user_id);
        Ok((found, [key_id, user_id, tenant.0]))
    }

    async fn load_role(&self, tenant: TenantId, user_id: Uuid) -> Result<(Option<Role>, [Uuid; 3])> {
        let role = self
            .0
            .store
            .read(&self.system(), move |tx| async move {
                standing::role_of(&tx, tenant, user_id).await
            })
            .await?;
        Ok((role, [user_id, tenant.0, tenant.0]))
    }
}
