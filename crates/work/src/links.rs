//! Dependencies between tasks: which task waits for which, and whether one of those is still open.

use crate::entity::task;
use crate::model::TaskStatus;
use crate::query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Envelope;
use synapscale_ops::{Method, Operation, Outcome};
use synapscale_store::orm::sea_query::{
    Alias, CaseStatement, CommonTableExpression, Expr, ExprTrait, Query, SelectStatement, SimpleExpr,
    UnionType, WithClause,
};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::schema::{Table, integer, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Tx, tenant_entity};
use uuid::Uuid;

/// Most tasks that one task waits for.
pub(crate) const MAX_BLOCKERS: usize = 50;
/// Most dependencies that a check for circles walks.
const MAX_WALK: u64 = 20_000;
/// Most tasks that a list of dependencies shows on each side.
const MAX_SHOWN: u64 = 200;

tenant_entity! {
    /// One task waits for another.
    link, "task_links", [blocked_id: Uuid, blocker_id: Uuid], {
        created_at: DateTimeUtc,
    }
}

pub(crate) fn migration() -> Migration {
    Migration::new("work_0004_dependencies")
        .add_column("tasks", integer("blockers").default("0"))
        .create(
            Table::tenant(
                "task_links",
                [uuid("blocked_id"), uuid("blocker_id"), timestamp("created_at")],
            )
            .key(&["blocked_id", "blocker_id"])
            .owned_by("blocked_id", "tasks")
            .owned_by("blocker_id", "tasks")
            .check("task_links_not_itself", "blocked_id <> blocker_id")
            .index("task_links_by_blocker", &["blocker_id", "blocked_id"]),
        )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(link::Entity)]
}

/// Whether a task that others wait for still keeps them waiting.
pub(crate) fn is_open(row: &task::Model) -> bool {
    let over = [TaskStatus::Done.as_str(), TaskStatus::Cancelled.as_str()];
    row.deleted_at.is_none() && !over.contains(&row.status.as_str())
}

/// Whether the row of a statement over tasks waits for an open one. Rows that wait for none cost no look.
pub(crate) fn is_blocked(tx: &Tx) -> SimpleExpr {
    let blocker = Alias::new("blocker");
    let open = Query::select()
        .expr(Expr::val(1))
        .from(link::Entity)
        .from_as(task::Entity, blocker.clone())
        .and_where(Expr::col((link::Entity, link::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(
            Expr::col((link::Entity, link::Column::BlockedId)).equals((task::Entity, task::Column::Id)),
        )
        .and_where(Expr::col((blocker.clone(), task::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(
            Expr::col((blocker.clone(), task::Column::Id)).equals((link::Entity, link::Column::BlockerId)),
        )
        .and_where(Expr::col((blocker.clone(), task::Column::DeletedAt)).is_null())
        .and_where(
            Expr::col((blocker, task::Column::Status))
                .is_not_in([TaskStatus::Done.as_str(), TaskStatus::Cancelled.as_str()]),
        )
        .to_owned();
    Expr::col((task::Entity, task::Column::Blockers))
        .gt(0)
        .and(Expr::exists(open))
}

/// [`is_blocked`] as a column: 1 or 0.
pub(crate) fn blocked_column(tx: &Tx) -> SimpleExpr {
    CaseStatement::new()
        .case(is_blocked(tx), Expr::val(1_i64))
        .finally(Expr::val(0_i64))
        .into()
}

/// The dependencies of `blocked`, by who waits.
pub(crate) async fn of(tx: &Tx, blocked: &[Uuid]) -> Result<Vec<link::Model>> {
    let mut found = Vec::new();
    for ids in blocked.chunks(500) {
        let query = tx
            .find::<link::Entity>()
            .filter(link::Column::BlockedId.is_in(ids.iter().copied()));
        found.extend(query.rows(tx).await?);
    }
    Ok(found)
}

/// Every dependency that can be reached from `starts` in the direction of who waits. Those of deleted tasks count too: they
/// may come back.
pub(crate) async fn reachable(tx: &Tx, starts: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>> {
    if starts.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query_by(&reach_query(tx, starts), |row| {
            let (blocker, blocked): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok((blocker, blocked))
        })
        .await?;
    match rows.len() as u64 > MAX_WALK {
        true => Err(Error::too_large(
            "web of dependencies",
            format!("{MAX_WALK} dependencies"),
        )),
        false => Ok(rows),
    }
}

fn reach_query(tx: &Tx, starts: &[Uuid]) -> SelectStatement {
    let (reach, id) = (Alias::new("reach"), Alias::new("id"));
    let own = Expr::col((link::Entity, link::Column::TenantId)).eq(tx.tenant_value());
    let first = Query::select()
        .column((link::Entity, link::Column::BlockerId))
        .from(link::Entity)
        .and_where(own.clone())
        .and_where(Expr::col((link::Entity, link::Column::BlockerId)).is_in(starts.iter().copied()))
        .to_owned();
    let beyond = Query::select()
        .column((link::Entity, link::Column::BlockedId))
        .from(reach.clone())
        .cross_join(link::Entity)
        .and_where(Expr::col((link::Entity, link::Column::BlockerId)).equals((reach.clone(), id.clone())))
        .and_where(own.clone())
        .to_owned();
    let mut walk = CommonTableExpression::new();
    walk.table_name(reach.clone())
        .column(id.clone())
        .query(first.to_owned().union(UnionType::Distinct, beyond).to_owned());
    let mut clause = WithClause::new();
    clause.recursive(true).cte(walk);
    Query::select()
        .column((link::Entity, link::Column::BlockerId))
        .column((link::Entity, link::Column::BlockedId))
        .from(reach.clone())
        .cross_join(link::Entity)
        .and_where(Expr::col((link::Entity, link::Column::BlockerId)).equals((reach, id)))
        .and_where(own)
        .limit(MAX_WALK + 1)
        .with_cte(clause)
        .to_owned()
}

/// Whether `from` leads to `to` by `edges` of who waits for whom.
pub(crate) fn leads(edges: &HashMap<Uuid, HashSet<Uuid>>, from: Uuid, to: Uuid) -> bool {
    let (mut seen, mut open) = (HashSet::from([from]), vec![from]);
    while let Some(next) = open.pop() {
        if next == to {
            return true;
        }
        for beyond in edges.get(&next).into_iter().flatten() {
            if seen.insert(*beyond) {
                open.push(*beyond);
            }
        }
    }
    false
}

/// A task on the other side of a dependency.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Dependency {
    /// The task.
    pub task_id: Uuid,
    /// Its project.
    pub project_id: Uuid,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether it is neither done nor cancelled.
    pub open: bool,
}

/// What a task waits for, and what waits for it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Dependencies {
    /// The task.
    pub task_id: Uuid,
    /// Whether one of the tasks that it waits for is open.
    pub blocked: bool,
    /// The tasks that it waits for.
    pub blocked_by: Vec<Dependency>,
    /// The tasks that wait for it; 200 at most.
    pub blocks: Vec<Dependency>,
    /// Whether more tasks wait for it than are shown.
    pub more: bool,
}

/// The living tasks on one side of a task's dependencies.
async fn side(tx: &Tx, of: link::Column, shown: link::Column, id: Uuid) -> Result<Vec<Dependency>> {
    let mut query = Query::select();
    for column in [
        task::Column::Id,
        task::Column::ProjectId,
        task::Column::Title,
        task::Column::Status,
    ] {
        query.column((task::Entity, column));
    }
    query
        .from(link::Entity)
        .cross_join(task::Entity)
        .and_where(Expr::col((link::Entity, link::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(Expr::col((link::Entity, of)).eq(id))
        .and_where(Expr::col((task::Entity, task::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(Expr::col((task::Entity, task::Column::Id)).equals((link::Entity, shown)))
        .and_where(Expr::col((task::Entity, task::Column::DeletedAt)).is_null())
        .order_by((link::Entity, shown), synapscale_store::orm::Order::Asc)
        .limit(MAX_SHOWN + 1);
    tx.query_by(&query, |row| {
        let status: String = row.try_get_by_index(3)?;
        let status = TaskStatus::parse(&status);
        Ok(Dependency {
            task_id: row.try_get_by_index(0)?,
            project_id: row.try_get_by_index(1)?,
            title: row.try_get_by_index(2)?,
            status,
            open: !matches!(status, TaskStatus::Done | TaskStatus::Cancelled),
        })
    })
    .await
}

async fn dependencies(tx: &Tx, id: Uuid) -> Result<Dependencies> {
    query::live_task(tx, id).await?;
    let blocked_by = side(tx, link::Column::BlockedId, link::Column::BlockerId, id).await?;
    let mut blocks = side(tx, link::Column::BlockerId, link::Column::BlockedId, id).await?;
    let shown = usize::try_from(MAX_SHOWN).unwrap_or(usize::MAX);
    let more = blocks.len() > shown;
    blocks.truncate(shown);
    Ok(Dependencies {
        task_id: id,
        blocked: blocked_by.iter().any(|other| other.open),
        blocked_by,
        blocks,
        more,
    })
}

/// A task and one that it waits for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// The task that waits.
    pub task_id: Uuid,
    /// The task that it waits for.
    pub blocker_id: Uuid,
}

/// A task by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DependenciesOf {
    /// The task.
    task_id: Uuid,
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::read("tasks.dependencies", "List a task's dependencies")
            .about("Lists the tasks that a task waits for and those that wait for it, and says whether it is blocked.")
            .permission("tasks:read")
            .rest(Method::GET, "/tasks/{task_id}/dependencies")
            .handle(|tx: Tx, input: Arc<DependenciesOf>| async move { dependencies(&tx, input.task_id).await }),
        Operation::write("tasks.block", "Let a task wait for another")
            .about("Makes a task wait for another. Circles are refused. It is blocked until the other is done, cancelled or deleted.")
            .permission("tasks:write")
            .rest(Method::POST, "/tasks/{task_id}/blockers")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<Pair>, envelope: Envelope| async move {
                crate::ops::block(&tx, &input, &envelope, true).await.map(Outcome::Done)
            }),
        Operation::write("tasks.unblock", "Let a task wait no more")
            .about("Takes away that a task waits for another.")
            .permission("tasks:write")
            .rest(Method::DELETE, "/tasks/{task_id}/blockers/{blocker_id}")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<Pair>, envelope: Envelope| async move {
                crate::ops::block(&tx, &input, &envelope, false).await.map(Outcome::Done)
            }),
    ]
}
