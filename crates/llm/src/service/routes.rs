//! Routes: added, changed, removed.

use crate::route::Strategy;
use crate::service::entity::{provider, route};
use crate::service::events::{RouteCreated, RouteDeleted, RouteUpdated};
use crate::service::ops::{CreateRoute, UpdateRoute};
use crate::service::providers::LOCK;
use crate::service::view::{RouteDeployment, RouteView};
use crate::service::{Models, check_name};
use serde_json::Value;
use std::collections::HashSet;
use synapscale_core::{Error, FieldError, NewEvent, Result, diff, new_id};
use synapscale_ops::Patch;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most routes of one tenant.
const MOST: u64 = 200;
/// The time for a whole call unless a route says another, in milliseconds.
const TOTAL_MS: i64 = 900_000;

/// The word of a strategy in the database.
fn word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Ordered => "ordered",
        Strategy::Weighted => "weighted",
        Strategy::LeastLatency => "least_latency",
        Strategy::Cheapest => "cheapest",
    }
}

/// Refuses deployments at providers that are not there.
async fn check(tx: &Tx, deployments: &[RouteDeployment]) -> Result<()> {
    let ids: Vec<Uuid> = deployments.iter().map(|d| d.provider_id).collect();
    let found = tx
        .find::<provider::Entity>()
        .filter(provider::Column::Id.is_in(ids));
    let found: HashSet<Uuid> = found.rows(tx).await?.into_iter().map(|row| row.id).collect();
    let missing = deployments
        .iter()
        .enumerate()
        .filter(|(_, d)| !found.contains(&d.provider_id));
    let wrong: Vec<_> = missing
        .map(|(index, _)| FieldError {
            pointer: format!("/deployments/{index}/provider_id"),
            code: "not_found".into(),
            message: "There is no such provider.".to_owned(),
        })
        .collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid_fields(wrong)),
    }
}

fn shown(row: &route::Model) -> Result<Value> {
    serde_json::to_value(RouteView::try_from(row)?).map_err(Error::internal)
}

fn alias_taken() -> Error {
    Error::conflict("alias_taken", "There is a route of this alias already.").at("/alias")
}

/// Adds a route.
///
/// # Errors
/// 422 for a bad alias or an unknown provider; `alias_taken`, `too_many_routes`.
pub(crate) async fn create(models: &Models, tx: &Tx, input: &CreateRoute) -> Result<RouteView> {
    check_name(&input.alias, "/alias")?;
    tx.lock(LOCK).await?;
    check(tx, &input.deployments).await?;
    let others = tx.find::<route::Entity>().limit(MOST).rows(tx).await?;
    if others.len() as u64 >= MOST {
        let words = format!("A workspace has at most {MOST} routes.");
        return Err(Error::conflict("too_many_routes", words));
    }
    if others.iter().any(|other| other.alias == input.alias) {
        return Err(alias_taken());
    }
    let now = tx.ctx().clock().now();
    let row = route::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        alias: input.alias.clone(),
        strategy: word(input.strategy).to_owned(),
        deployments: serde_json::to_value(&input.deployments).map_err(Error::internal)?,
        total_timeout_ms: input.total_timeout_ms.unwrap_or(TOTAL_MS),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    tx.insert::<route::Entity>(row.clone()).await?;
    let told = RouteCreated {
        name: row.alias.clone(),
    };
    let changes = diff(&Value::Null, &shown(&row)?);
    tx.emit(NewEvent::new("model_route", row.id, &told).with_changes(changes));
    models.forget_after(tx);
    RouteView::try_from(&row)
}

/// The row of a route.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find(tx: &Tx, id: Uuid) -> Result<route::Model> {
    let query = tx.find::<route::Entity>().filter(route::Column::Id.eq(id));
    query.row(tx).await?.ok_or_else(|| Error::not_found("route"))
}

/// All of a tenant's routes, by alias. They are few.
pub(crate) async fn all(tx: &Tx) -> Result<Vec<route::Model>> {
    let query = tx.find::<route::Entity>().order_by_asc(route::Column::Alias);
    query.rows(tx).await
}

/// Changes a route.
///
/// # Errors
/// `not_found`, `stale_revision`, and what [`create`] refuses.
pub(crate) async fn update(
    models: &Models,
    tx: &Tx,
    input: &UpdateRoute,
    expected: Option<i64>,
) -> Result<RouteView> {
    tx.lock(LOCK).await?;
    let before = find(tx, input.route_id).await?;
    if let Some(expected) = expected.filter(|expected| *expected != before.revision) {
        return Err(Error::stale("route", expected, before.revision));
    }
    let mut row = before.clone();
    input.alias.apply_required(&mut row.alias, "/alias")?;
    if let Some(strategy) = input.strategy {
        row.strategy = word(strategy).to_owned();
    }
    if let Some(deployments) = &input.deployments {
        check(tx, deployments).await?;
        row.deployments = serde_json::to_value(deployments).map_err(Error::internal)?;
    }
    match input.total_timeout_ms {
        Patch::Absent => {}
        Patch::Null => row.total_timeout_ms = TOTAL_MS,
        Patch::Value(total) => row.total_timeout_ms = total,
    }
    if row == before {
        return RouteView::try_from(&row);
    }
    if row.alias != before.alias {
        check_name(&row.alias, "/alias")?;
        let same = route::Column::Alias.eq(row.alias.as_str());
        if tx.find::<route::Entity>().filter(same).row(tx).await?.is_some() {
            return Err(alias_taken());
        }
    }
    row.revision += 1;
    row.updated_at = tx.ctx().clock().now();
    save(tx, &before, &row).await?;
    let told = RouteUpdated {
        name: row.alias.clone(),
    };
    let changes = diff(&shown(&before)?, &shown(&row)?);
    tx.emit(NewEvent::new("model_route", row.id, &told).with_changes(changes));
    models.forget_after(tx);
    RouteView::try_from(&row)
}

async fn save(tx: &Tx, before: &route::Model, after: &route::Model) -> Result<()> {
    use route::Column;
    let update = tx
        .update::<route::Entity>()
        .col_expr(Column::Alias, Expr::val(after.alias.clone()))
        .col_expr(Column::Strategy, Expr::val(after.strategy.clone()))
        .col_expr(Column::Deployments, Expr::val(after.deployments.clone()))
        .col_expr(Column::TotalTimeoutMs, Expr::val(after.total_timeout_ms))
        .col_expr(Column::Revision, Expr::val(after.revision))
        .col_expr(Column::UpdatedAt, Expr::val(after.updated_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::Revision.eq(before.revision));
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(Error::stale("route", before.revision, before.revision + 1)),
    }
}

/// Removes a route. Calls under way end as they began.
///
/// # Errors
/// `not_found`.
pub(crate) async fn delete(models: &Models, tx: &Tx, id: Uuid) -> Result<()> {
    let row = find(tx, id).await?;
    let gone = tx.delete::<route::Entity>().filter(route::Column::Id.eq(id));
    tx.run_delete(gone).await?;
    let told = RouteDeleted { name: row.alias };
    tx.emit(NewEvent::new("model_route", id, &told));
    models.forget_after(tx);
    Ok(())
}
