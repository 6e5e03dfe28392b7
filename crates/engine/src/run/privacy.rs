//! Who sees a run. A workspace's runs are seen by all who may read runs, except those that belong to something private,
//! such as a conversation: these are seen by whoever sees that.

use crate::engine::Engine;
use crate::run::entity::{approval, run};
use async_trait::async_trait;
use synapscale_core::{Actor, ActorKind, Ctx, Error, Result};
use synapscale_store::orm::sea_query::{Expr, ExprTrait, Query};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter};
use synapscale_store::{Scoped, Tenanted, Tx};
use uuid::Uuid;

/// Decides about what runs are private to.
#[async_trait]
pub trait Privacy: Send + Sync {
    /// Whether the caller sees it, and with it its runs.
    ///
    /// # Errors
    /// When the database fails.
    async fn sees(&self, tx: &Tx, private_to: Uuid) -> Result<bool>;
}

impl Engine {
    /// A run that the caller may see.
    ///
    /// # Errors
    /// `not_found`, for a private run as for one that is not there.
    pub(crate) async fn visible(&self, tx: &Tx, run_id: Uuid) -> Result<run::Model> {
        let row = tx
            .find::<run::Entity>()
            .filter(run::Column::Id.eq(run_id))
            .row(tx)
            .await?
            .ok_or_else(not_there)?;
        match row.private_to {
            Some(private_to) if !self.sees(tx, private_to).await? => Err(not_there()),
            _ => Ok(row),
        }
    }

    /// An approval of a run that the caller may see.
    ///
    /// # Errors
    /// `not_found`.
    pub(crate) async fn visible_approval(&self, tx: &Tx, id: Uuid) -> Result<approval::Model> {
        let not_there = || Error::not_found("approval");
        let row = tx
            .find::<approval::Entity>()
            .filter(approval::Column::Id.eq(id))
            .row(tx)
            .await?
            .ok_or_else(not_there)?;
        match self.visible(tx, row.run_id).await {
            Err(error) if error.code() == "not_found" => Err(not_there()),
            other => other.map(|_| row),
        }
    }

    async fn sees(&self, tx: &Tx, private_to: Uuid) -> Result<bool> {
        match self.privacy() {
            _ if is_system(tx.ctx()) => Ok(true),
            Some(privacy) => privacy.sees(tx, private_to).await,
            None => Ok(false),
        }
    }
}

fn not_there() -> Error {
    Error::not_found("run")
}

/// The product itself, as in its periodic tasks.
fn is_system(ctx: &Ctx) -> bool {
    ctx.actor().kind == ActorKind::System
}

/// The runs of a list: those that are not private, and the caller's own. What others began in a shared conversation stands
/// in that conversation; asking about each conversation here would cost a look at every one.
pub(crate) fn listed(ctx: &Ctx) -> Condition {
    match is_system(ctx) {
        true => Condition::all(),
        false => Condition::any()
            .add(run::Column::PrivateTo.is_null())
            .add(mine(ctx)),
    }
}

/// As [`listed`], for the approvals of runs.
pub(crate) fn listed_approvals(ctx: &Ctx) -> Condition {
    if is_system(ctx) {
        return Condition::all();
    }
    let mut hidden = Query::select();
    hidden
        .expr(Expr::val(1))
        .from(run::Entity)
        .and_where(run::Entity::tenant_column().eq(ctx.tenant().0))
        .and_where(
            Expr::col((run::Entity, run::Column::Id)).equals((approval::Entity, approval::Column::RunId)),
        )
        .and_where(run::Column::PrivateTo.is_not_null())
        .cond_where(mine(ctx).not());
    Condition::all().add(Expr::exists(hidden).not())
}

/// Runs that the caller began: those that run for the caller, or as the caller for nobody else. What runs as the publisher of
/// a workflow for another is that other's.
fn mine(ctx: &Ctx) -> Condition {
    let Actor { id, .. } = ctx.principal().unwrap_or(ctx.actor());
    let own = run::Column::BehalfId
        .is_null()
        .and(run::Column::PrincipalId.eq(id));
    // Told apart from null: a negation of it has to be true or false.
    let for_them = run::Column::BehalfId
        .is_not_null()
        .and(run::Column::BehalfId.eq(id));
    Condition::any().add(own).add(for_them)
}
