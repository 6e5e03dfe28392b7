//! Soft delete: rows that go together carry one delete-group id, and exactly that group comes back.

use crate::scoped::Tenanted;
use crate::tx::Tx;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, QueryFilter};
use synapscale_core::{Result, new_id};
use uuid::Uuid;

/// The id that rows deleted together share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteGroup(pub Uuid);

impl DeleteGroup {
    /// A new group.
    #[allow(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        DeleteGroup(new_id())
    }
}

/// An entity whose rows are hidden before they are removed.
pub trait SoftDelete: Tenanted {
    /// When the row was deleted; null while it lives.
    fn deleted_at() -> Self::Column;
    /// With which others it was deleted.
    fn delete_group() -> Self::Column;
    /// The revision, which a delete and a restore raise like any other change.
    fn revision() -> Self::Column;
}

impl Tx {
    /// Selects this tenant's rows that are not deleted.
    pub fn find_live<E: SoftDelete>(&self) -> sea_orm::Select<E> {
        self.find::<E>().filter(E::deleted_at().is_null())
    }

    /// Hides the living rows that meet `condition` under `group`; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn soft_delete<E: SoftDelete>(&self, group: DeleteGroup, condition: SimpleExpr) -> Result<u64> {
        let update = self
            .update::<E>()
            .col_expr(E::deleted_at(), Expr::val(self.ctx().clock().now()))
            .col_expr(E::delete_group(), Expr::val(group.0))
            .col_expr(E::revision(), Expr::col(E::revision()).add(1))
            .filter(E::deleted_at().is_null())
            .filter(condition);
        self.run_update(update).await
    }

    /// Brings back exactly the rows of `group`; answers how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn restore<E: SoftDelete>(&self, group: DeleteGroup) -> Result<u64> {
        let update = self
            .update::<E>()
            .col_expr(E::deleted_at(), Expr::cust("NULL"))
            .col_expr(E::delete_group(), Expr::cust("NULL"))
            .col_expr(E::revision(), Expr::col(E::revision()).add(1))
            .filter(E::delete_group().eq(group.0));
        self.run_update(update).await
    }
}
