//! What somebody may do in a workspace at present: the membership, if user and workspace are active.

use crate::entity::{api_key, membership, user, workspace};
use crate::key::KeyHash;
use crate::model;
use crate::roles::Role;
use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Query};
use std::sync::Arc;
use synapscale_core::{Error, Grants, PermissionSet, Result, TenantId};
use synapscale_store::Tx;
use uuid::Uuid;

/// The only status in which users and workspaces do anything.
pub const ACTIVE: &str = "active";

/// A key that is not revoked, and what it allows.
#[derive(Debug)]
pub struct KeyHolder {
    pub tenant: TenantId,
    pub key_id: Uuid,
    pub user_id: Uuid,
    /// The key's own scopes.
    pub scopes: Grants,
    /// What the key's user may do at present.
    pub person: Grants,
    pub expires_at: Option<DateTime<Utc>>,
}

#[derive(FromQueryResult)]
struct Standing {
    role: String,
}

/// The present role of a user in a workspace; none when either is not active. For elevated transactions.
///
/// # Errors
/// When the database fails.
pub async fn role_of(tx: &Tx, tenant: TenantId, user_id: Uuid) -> Result<Option<Role>> {
    let query = Query::select()
        .expr_as(
            Expr::col((membership::Entity, membership::Column::Role)),
            Alias::new("role"),
        )
        .from(membership::Entity)
        .inner_join(
            user::Entity,
            Expr::col((user::Entity, user::Column::Id))
                .equals((membership::Entity, membership::Column::UserId)),
        )
        .inner_join(
            workspace::Entity,
            Expr::col((workspace::Entity, workspace::Column::Id))
                .equals((membership::Entity, membership::Column::TenantId)),
        )
        .and_where(Expr::col((membership::Entity, membership::Column::TenantId)).eq(tenant.0))
        .and_where(Expr::col((membership::Entity, membership::Column::UserId)).eq(user_id))
        .and_where(Expr::col((user::Entity, user::Column::Status)).eq(ACTIVE))
        .and_where(Expr::col((workspace::Entity, workspace::Column::Status)).eq(ACTIVE))
        .to_owned();
    let rows: Vec<Standing> = tx.query(&query).await?;
    rows.first().map(|row| Role::parse(&row.role)).transpose()
}

/// The holder of the key with this hash; none when there is no such key or it opens nothing. For elevated transactions.
///
/// # Errors
/// When the database fails.
pub async fn holder_by_hash(tx: &Tx, hash: &KeyHash) -> Result<Option<Arc<KeyHolder>>> {
    use sea_orm::{ColumnTrait, QueryFilter};
    use synapscale_store::Scoped;
    let found = tx
        .find_as_system::<api_key::Entity>()?
        .filter(ColumnTrait::eq(&api_key::Column::Hash, hash.to_vec()))
        .row(tx)
        .await?;
    holder(tx, found).await
}

/// As [`holder_by_hash`], by the key's id.
///
/// # Errors
/// When the database fails.
pub async fn holder_by_id(tx: &Tx, tenant: TenantId, key_id: Uuid) -> Result<Option<Arc<KeyHolder>>> {
    use sea_orm::{ColumnTrait, QueryFilter};
    use synapscale_store::Scoped;
    let found = tx
        .find_as_system::<api_key::Entity>()?
        .filter(ColumnTrait::eq(&api_key::Column::TenantId, tenant.0))
        .filter(ColumnTrait::eq(&api_key::Column::Id, key_id))
        .row(tx)
        .await?;
    holder(tx, found).await
}

async fn holder(tx: &Tx, found: Option<api_key::Model>) -> Result<Option<Arc<KeyHolder>>> {
    let Some(key) = found.filter(|key| key.revoked_at.is_none()) else {
        return Ok(None);
    };
    let tenant = TenantId(key.tenant_id);
    let Some(role) = role_of(tx, tenant, key.user_id).await? else {
        return Ok(None);
    };
    let scopes = PermissionSet::parse(&model::scopes(key.scopes)?).map_err(Error::internal)?;
    Ok(Some(Arc::new(KeyHolder {
        tenant,
        key_id: key.id,
        user_id: key.user_id,
        scopes: Grants::of(scopes),
        person: role.grants()?,
        expires_at: key.expires_at,
    })))
}
