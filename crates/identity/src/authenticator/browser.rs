//! Sessions of browsers and access tokens: from what is presented to a [`Ctx`], from the same bounded caches as keys.

use super::Authenticator;
use crate::entity::{refresh_token, session};
use crate::jwt;
use crate::sessions;
use crate::token::{self, TokenHash};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, QueryFilter};
use std::sync::Arc;
use synapscale_api::csrf_failed;
use synapscale_core::{Actor, Channel, Ctx, Error, ErrorKind, Origin, Result, TenantId};
use synapscale_store::Scoped;
use uuid::Uuid;

/// A session that was not ended when it was read.
pub(super) struct SessionHolder {
    session_id: Uuid,
    user_id: Uuid,
    tenant: TenantId,
    last_seen_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Whose a family of refresh tokens is, if it stands.
pub(super) type Family = Option<(Uuid, TenantId)>;

impl Authenticator {
    /// The context of whoever presents this bearer token: an API key or an access token.
    ///
    /// # Errors
    /// `unauthenticated` for what is neither, or no longer good; a database failure on a miss.
    pub async fn by_bearer(&self, presented: &str, origin: Origin) -> Result<Ctx> {
        match jwt::looks_like_one(presented) {
            true => self.by_access_token(presented, origin).await,
            false => self.by_key(presented, origin).await,
        }
    }

    /// The context of the person whose access token this is, with their present permissions.
    ///
    /// # Errors
    /// `unauthenticated` for a token that is forged or over, or whose family was ended; a database failure on a miss.
    pub async fn by_access_token(&self, presented: &str, origin: Origin) -> Result<Ctx> {
        let inner = &self.0;
        let claims = jwt::verify(inner.store.secrets(), presented, inner.store.clock().now())?;
        let family = inner
            .families
            .get(&claims.sid, || self.load_family(claims.sid))
            .await?;
        let tenant = TenantId(claims.tid);
        match family == Some((claims.sub, tenant)) {
            true => self.person(tenant, claims.sub, origin).await,
            false => Err(Error::unauthenticated()),
        }
    }

    /// The context of the session's owner, and the session's id. What is not `safe` needs the CSRF token.
    ///
    /// # Errors
    /// `unauthenticated` for a session that is unknown, over or ended, or whose owner is no member any more;
    /// `csrf_failed`; a database failure on a miss.
    pub async fn by_session(
        &self,
        presented: &str,
        csrf: Option<&str>,
        safe: bool,
        origin: Origin,
    ) -> Result<(Ctx, Uuid)> {
        let hash = token::hash_of(presented).ok_or_else(Error::unauthenticated)?;
        let inner = &self.0;
        if inner.unknown.contains_key(&hash) {
            return Err(Error::unauthenticated());
        }
        let found = inner.sessions.get(&hash, || self.load_session(hash)).await;
        let holder = found.inspect_err(|error| {
            if error.kind() == ErrorKind::Unauthenticated {
                inner.unknown.insert(hash, ());
            }
        })?;
        let now = inner.store.clock().now();
        if !sessions::is_open(holder.last_seen_at, holder.expires_at, now) {
            return Err(Error::unauthenticated());
        }
        if !safe {
            let expected = token::csrf_of(inner.store.secrets(), &hash)?;
            if !csrf.is_some_and(|csrf| token::same(csrf, &expected)) {
                return Err(csrf_failed());
            }
        }
        // A page that is only left open is nobody's use of it.
        let listening = origin.channel == Channel::Ws;
        let ctx = self.person(holder.tenant, holder.user_id, origin).await?;
        if !listening {
            inner.session_uses.note(holder.session_id, now);
        }
        Ok((ctx, holder.session_id))
    }

    /// Forgets what is known of a session or a family of refresh tokens. To be called after the commit that ended it.
    pub(crate) fn invalidate_session(&self, id: Uuid) {
        self.0.changes.mark(id);
    }

    async fn person(&self, tenant: TenantId, user_id: Uuid, origin: Origin) -> Result<Ctx> {
        let grants = self.present_grants(tenant, user_id).await?;
        let grants = grants.ok_or_else(Error::unauthenticated)?;
        let clock = self.0.store.clock().clone();
        Ok(Ctx::authenticated(
            tenant,
            Actor::user(user_id),
            grants,
            origin,
            clock,
        ))
    }

    async fn load_session(&self, hash: TokenHash) -> Result<(Arc<SessionHolder>, [Uuid; 3])> {
        let _turn = self.0.lookups.acquire().await.map_err(Error::internal)?;
        let found = self
            .0
            .store
            .read(&self.system(), move |tx| async move {
                tx.find_as_system::<session::Entity>()?
                    .filter(session::Column::TokenHash.eq(hash.to_vec()))
                    .filter(session::Column::EndedAt.is_null())
                    .row(&tx)
                    .await
            })
            .await?;
        let row = found.ok_or_else(Error::unauthenticated)?;
        let about = [row.id, row.user_id, row.workspace_id];
        let holder = SessionHolder {
            session_id: row.id,
            user_id: row.user_id,
            tenant: TenantId(row.workspace_id),
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        };
        Ok((Arc::new(holder), about))
    }

    async fn load_family(&self, family_id: Uuid) -> Result<(Family, [Uuid; 3])> {
        let _turn = self.0.lookups.acquire().await.map_err(Error::internal)?;
        let found = self
            .0
            .store
            .read(&self.system(), move |tx| async move {
                tx.find_as_system::<refresh_token::Entity>()?
                    .filter(refresh_token::Column::FamilyId.eq(family_id))
                    .filter(refresh_token::Column::RevokedAt.is_null())
                    .row(&tx)
                    .await
            })
            .await?;
        let family = found.map(|row| (row.user_id, TenantId(row.workspace_id)));
        let user_id = family.map_or(family_id, |(user_id, _)| user_id);
        Ok((family, [family_id, user_id, user_id]))
    }
}
