//! Reading: rows by id and group, trees by one recursive query, lists by filters and a stable order.

use crate::comments::comment;
use crate::entity::{patch_set, project, task};
use crate::filter::TaskFilter;
use crate::links;
use crate::model::{Project, Task, TaskNode};
use crate::ops::ListProjects;
use crate::sort::{Key, Sort};
use std::collections::HashMap;
use synapscale_core::{Error, Result};
use synapscale_ops::{Page, page};
use synapscale_store::orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, UnionType,
    WithClause,
};
use synapscale_store::orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Iterable, ModelTrait, Order, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, Select, Value,
};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most tasks of one tree.
const MAX_TREE: u64 = 20_000;
/// Most tasks that are looked at as made by the completion of one.
const MAX_FOLLOWERS: u64 = 100;
/// Ids in one statement: both databases bound the values of one.
const IDS: usize = 1_000;

pub(crate) async fn tasks_by_id(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<task::Model>> {
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(IDS) {
        let query = tx
            .find::<task::Entity>()
            .filter(task::Column::Id.is_in(some.iter().copied()));
        found.extend(query.rows(tx).await?);
    }
    Ok(found)
}

pub(crate) async fn projects_by_id(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<project::Model>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    tx.find::<project::Entity>()
        .filter(project::Column::Id.is_in(ids))
        .rows(tx)
        .await
}

pub(crate) async fn tasks_of_project(tx: &Tx, id: Uuid) -> Result<Vec<task::Model>> {
    let query = tx
        .find_live::<task::Entity>()
        .filter(task::Column::ProjectId.eq(id))
        .limit(MAX_TREE + 1);
    whole(query.rows(tx).await?)
}

/// The living siblings of a task, and itself.
fn siblings(tx: &Tx, of: &task::Model) -> Select<task::Entity> {
    let query = tx
        .find_live::<task::Entity>()
        .filter(task::Column::ProjectId.eq(of.project_id));
    match of.parent_id {
        Some(parent) => query.filter(task::Column::ParentId.eq(parent)),
        None => query.filter(task::Column::ParentId.is_null()),
    }
}

/// Those among a task's siblings that are from before there were places.
pub(crate) async fn unplaced(tx: &Tx, of: &task::Model) -> Result<Vec<task::Model>> {
    let query = siblings(tx, of).filter(task::Column::Position.eq(""));
    whole(query.limit(MAX_TREE + 1).rows(tx).await?)
}

/// The places next to a task's among its siblings, the nearest first.
pub(crate) async fn places_beyond(
    tx: &Tx,
    of: &task::Model,
    after: bool,
    most: u64,
) -> Result<Vec<(Uuid, String)>> {
    let query = siblings(tx, of)
        .select_only()
        .column(task::Column::Id)
        .column(task::Column::Position);
    let query = match after {
        true => query
            .filter(task::Column::Position.gt(of.position.as_str()))
            .order_by_asc(task::Column::Position),
        false => query
            .filter(task::Column::Position.lt(of.position.as_str()))
            .order_by_desc(task::Column::Position),
    };
    let statement = QueryTrait::into_query(query.limit(most));
    tx.query_by(&statement, |row| {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    })
    .await
}

pub(crate) async fn tasks_of_group(tx: &Tx, group: Uuid) -> Result<Vec<task::Model>> {
    tx.find::<task::Entity>()
        .filter(task::Column::DeleteGroup.eq(group))
        .rows(tx)
        .await
}

/// The living tasks that the completion of this one made.
pub(crate) async fn followers(tx: &Tx, id: Uuid) -> Result<Vec<task::Model>> {
    tx.find_live::<task::Entity>()
        .filter(task::Column::FollowsId.eq(id))
        .limit(MAX_FOLLOWERS)
        .rows(tx)
        .await
}

/// Whether the completion of one of these made a task that stands.
pub(crate) async fn is_followed(tx: &Tx, ids: &[Uuid]) -> Result<bool> {
    for some in ids.chunks(IDS) {
        let found = tx
            .find_live::<task::Entity>()
            .filter(task::Column::FollowsId.is_in(some.iter().copied()));
        if found.row(tx).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody has put something below a task, or said something about it.
pub(crate) async fn is_begun(tx: &Tx, id: Uuid) -> Result<bool> {
    let below = tx
        .find_live::<task::Entity>()
        .filter(task::Column::ParentId.eq(id));
    if below.row(tx).await?.is_some() {
        return Ok(true);
    }
    let said = tx
        .find::<comment::Entity>()
        .filter(comment::Column::TaskId.eq(id));
    Ok(said.row(tx).await?.is_some())
}

pub(crate) async fn projects_of_group(tx: &Tx, group: Uuid) -> Result<Vec<project::Model>> {
    tx.find::<project::Entity>()
        .filter(project::Column::DeleteGroup.eq(group))
        .rows(tx)
        .await
}

/// A task and whether it waits for an open one.
pub(crate) type Seen = (task::Model, bool);

/// The rows of a query for whole tasks, each with whether it is blocked.
async fn seen(tx: &Tx, mut query: SelectStatement) -> Result<Vec<Seen>> {
    query.expr(links::blocked_column(tx));
    let last = task::Column::iter().count();
    tx.query_by(&query, |row| {
        let blocked: i64 = row.try_get_by_index(last)?;
        Ok((task::Model::in_order(row)?, blocked == 1))
    })
    .await
}

fn whole<T>(rows: Vec<T>) -> Result<Vec<T>> {
    match rows.len() as u64 > MAX_TREE {
        true => Err(Error::too_large("tree", format!("{MAX_TREE} tasks"))),
        false => Ok(rows),
    }
}

/// The living task and all living ones below it, parents before children.
pub(crate) async fn subtree(tx: &Tx, root: Uuid) -> Result<Vec<task::Model>> {
    whole(
        tx.query_by(&subtree_query(tx, root), task::Model::in_order)
            .await?,
    )
}

/// Only living tasks of this tenant.
fn live(tx: &Tx, query: &mut SelectStatement) {
    query
        .and_where(Expr::col((task::Entity, task::Column::TenantId)).eq(tx.tenant_value()))
        .and_where(Expr::col((task::Entity, task::Column::DeletedAt)).is_null());
}

/// A walk over the living task and all living ones below it: the name of a table of their ids, in the column `id`.
pub(crate) fn walk_down(tx: &Tx, root: Uuid) -> (Alias, WithClause) {
    let tree = Alias::new("tree");
    let id = Alias::new("id");
    let mut first = Query::select();
    first.column((task::Entity, task::Column::Id)).from(task::Entity);
    live(tx, &mut first);
    first.and_where(Expr::col((task::Entity, task::Column::Id)).eq(root));
    // CROSS JOIN keeps SQLite to this order: a walk from the tree into the index, never over all tasks.
    let mut below = Query::select();
    below
        .column((task::Entity, task::Column::Id))
        .from(tree.clone())
        .cross_join(task::Entity)
        .and_where(Expr::col((task::Entity, task::Column::ParentId)).equals((tree.clone(), id.clone())));
    live(tx, &mut below);
    // Distinct: the walk ends even if the rows should ever form a circle.
    let mut walk = CommonTableExpression::new();
    walk.table_name(tree.clone())
        .column(id)
        .query(first.union(UnionType::Distinct, below).to_owned());
    let mut clause = WithClause::new();
    clause.recursive(true).cte(walk);
    (tree, clause)
}

/// As [`subtree`], each with whether it is blocked.
pub(crate) async fn seen_subtree(tx: &Tx, root: Uuid) -> Result<Vec<Seen>> {
    whole(seen(tx, subtree_query(tx, root)).await?)
}

fn subtree_query(tx: &Tx, root: Uuid) -> SelectStatement {
    let (tree, clause) = walk_down(tx, root);
    let mut rows = Query::select();
    rows.columns(task::Column::iter().map(|column| (task::Entity, column)))
        .from(tree.clone())
        .cross_join(task::Entity)
        .and_where(Expr::col((task::Entity, task::Column::Id)).equals((tree, Alias::new("id"))));
    live(tx, &mut rows);
    rows.order_by((task::Entity, task::Column::Depth), Order::Asc)
        .order_by((task::Entity, task::Column::Position), Order::Asc)
        .order_by((task::Entity, task::Column::Id), Order::Asc)
        .limit(MAX_TREE + 1)
        .with_cte(clause);
    rows
}

/// Rows, parents before children, as trees. The roots are those whose parent is not among them.
pub(crate) fn nest(rows: Vec<Seen>) -> Vec<TaskNode> {
    let mut slots: Vec<Option<TaskNode>> = Vec::with_capacity(rows.len());
    let mut index: HashMap<Uuid, usize> = HashMap::with_capacity(rows.len());
    let mut parents: Vec<Option<usize>> = Vec::with_capacity(rows.len());
    for (place, row) in rows.into_iter().enumerate() {
        index.insert(row.0.id, place);
        parents.push(row.0.parent_id.and_then(|parent| index.get(&parent).copied()));
        slots.push(Some(TaskNode {
            task: Task::seen(row),
            children: Vec::new(),
        }));
    }
    let mut roots = Vec::new();
    // From the last to the first, every child is whole before it goes to its parent.
    for place in (0..slots.len()).rev() {
        let Some(mut node) = slots[place].take() else {
            continue;
        };
        node.children.reverse();
        match parents[place].and_then(|parent| slots[parent].as_mut()) {
            Some(parent) => parent.children.push(node),
            None => roots.push(node),
        }
    }
    roots.reverse();
    roots
}

/// All living tasks of a project, parents before children.
pub(crate) async fn project_tree(tx: &Tx, id: Uuid, archived: bool) -> Result<Vec<TaskNode>> {
    let mut query = tx
        .find_live::<task::Entity>()
        .filter(task::Column::ProjectId.eq(id))
        .order_by_asc(task::Column::Depth)
        .order_by_asc(task::Column::Position)
        .order_by_asc(task::Column::Id)
        .limit(MAX_TREE + 1);
    if !archived {
        query = query.filter(task::Column::ArchivedAt.is_null());
    }
    Ok(nest(whole(seen(tx, QueryTrait::into_query(query)).await?)?))
}

pub(crate) async fn live_task(tx: &Tx, id: Uuid) -> Result<task::Model> {
    let row = tx
        .find_live::<task::Entity>()
        .filter(task::Column::Id.eq(id))
        .row(tx)
        .await?;
    row.ok_or_else(|| Error::not_found("task"))
}

/// The living task with whether it is blocked.
pub(crate) async fn seen_task(tx: &Tx, id: Uuid) -> Result<Task> {
    let query = tx.find_live::<task::Entity>().filter(task::Column::Id.eq(id));
    let rows = seen(tx, QueryTrait::into_query(query)).await?;
    let row = rows.into_iter().next().map(Task::seen);
    row.ok_or_else(|| Error::not_found("task"))
}

/// The living ones among the tasks of these ids, each with whether it is blocked.
pub(crate) async fn seen_tasks(tx: &Tx, ids: Vec<Uuid>) -> Result<Vec<Task>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = tx.find_live::<task::Entity>().filter(task::Column::Id.is_in(ids));
    let rows = seen(tx, QueryTrait::into_query(query)).await?;
    Ok(rows.into_iter().map(Task::seen).collect())
}

/// The task, deleted or not.
pub(crate) async fn task_at(tx: &Tx, id: Uuid) -> Result<Option<task::Model>> {
    tx.find::<task::Entity>()
        .filter(task::Column::Id.eq(id))
        .row(tx)
        .await
}

pub(crate) async fn live_project(tx: &Tx, id: Uuid) -> Result<project::Model> {
    let row = tx
        .find_live::<project::Entity>()
        .filter(project::Column::Id.eq(id))
        .row(tx)
        .await?;
    row.ok_or_else(|| Error::not_found("project"))
}

pub(crate) async fn set(tx: &Tx, id: Uuid) -> Result<patch_set::Model> {
    let row = tx
        .find::<patch_set::Entity>()
        .filter(patch_set::Column::Id.eq(id))
        .row(tx)
        .await?;
    row.ok_or_else(|| Error::not_found("patch set"))
}

/// Whether a text holds another, whatever their case. The text's wildcards stand for themselves.
pub(crate) fn contains(column: impl Into<SimpleExpr>, text: &str) -> SimpleExpr {
    let escaped = text
        .to_lowercase()
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let pattern = synapscale_store::orm::sea_query::LikeExpr::new(format!("%{escaped}%")).escape('\\');
    SimpleExpr::from(Func::lower(column.into())).like(pattern)
}

/// Whether a list of tags has this one, letter for letter: as it stands in the JSON text, quotes and all. `LIKE` takes a
/// for A on one of the databases; taking a text out of another is the same on both.
pub(crate) fn tagged(column: SimpleExpr, tag: &str) -> SimpleExpr {
    let quoted = serde_json::to_string(tag).unwrap_or_default();
    let text = column.cast_as(Alias::new("text"));
    let without = Func::cust(Alias::new("replace")).args([text.clone(), Expr::val(quoted), Expr::val("")]);
    text.ne(without)
}

pub(crate) async fn projects(tx: &Tx, wanted: &ListProjects) -> Result<Page<Project>> {
    let limit = page::limit(wanted.limit);
    let mut query = tx.find_live::<project::Entity>();
    if let Some(status) = wanted.status {
        query = query.filter(project::Column::Status.eq(status.as_str()));
    }
    if let Some(priority) = wanted.priority {
        query = query.filter(project::Column::Priority.eq(priority.as_str()));
    }
    if let Some(tag) = &wanted.tag {
        query = query.filter(tagged(Expr::col((project::Entity, project::Column::Tags)), tag));
    }
    if let Some(text) = &wanted.text {
        query = query.filter(contains(
            Expr::col((project::Entity, project::Column::Name)),
            text,
        ));
    }
    let sort = Sort::parse(wanted.sort.as_deref(), project::Column::Id, PROJECT_KEYS)?;
    let query = sort.page(query, wanted.cursor.as_deref())?;
    let rows = query.limit(limit + 1).rows(tx).await?;
    Ok(Page::cut(rows, limit, |row| sort.place(row))?.map(Project::from))
}

const fn key<C>(name: &'static str, column: C) -> Key<C> {
    Key {
        name,
        column,
        gaps: false,
    }
}

const PROJECT_KEYS: &[Key<project::Column>] = &[
    key("created_at", project::Column::CreatedAt),
    key("updated_at", project::Column::UpdatedAt),
    key("name", project::Column::Name),
];

const TASK_KEYS: &[Key<task::Column>] = &[
    key("created_at", task::Column::CreatedAt),
    key("updated_at", task::Column::UpdatedAt),
    Key {
        name: "due_date",
        column: task::Column::DueDate,
        gaps: true,
    },
    Key {
        name: "scheduled_date",
        column: task::Column::ScheduledDate,
        gaps: true,
    },
    key("priority", task::Column::PriorityRank),
    key("title", task::Column::Title),
    key("position", task::Column::Position),
];

/// The order that a caller asked for.
pub(crate) fn task_sort(sort: Option<&str>) -> Result<Sort<task::Entity>> {
    Sort::parse(sort, task::Column::Id, TASK_KEYS)
}

pub(crate) async fn tasks(
    tx: &Tx,
    filter: &TaskFilter,
    sort: Option<&str>,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<Task>> {
    let limit = page::limit(limit);
    let sort = task_sort(sort)?;
    let query = sort.page(filter.select(tx)?, cursor)?;
    let rows = seen(tx, QueryTrait::into_query(query.limit(limit + 1))).await?;
    Ok(Page::cut(rows, limit, |(row, _)| sort.place(row))?.map(Task::seen))
}

/// A page of rows in the order of their ids, which is that in which they were made.
pub(crate) async fn by_id<E>(
    tx: &Tx,
    query: Select<E>,
    id: E::Column,
    order: Order,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<E::Model>>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Sized + Send + Sync,
{
    let limit = page::limit(limit);
    let mut query = query.order_by(id, order.clone()).limit(limit + 1);
    if let Some(from) = page::decode_opt::<Uuid>(cursor)? {
        query = match order {
            Order::Desc => query.filter(id.lt(from)),
            _ => query.filter(id.gt(from)),
        };
    }
    Page::cut(query.rows(tx).await?, limit, |row| match row.get(id) {
        Value::Uuid(id) => id,
        _ => None,
    })
}

pub(crate) async fn sets(
    tx: &Tx,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<patch_set::Model>> {
    let query = tx.find::<patch_set::Entity>();
    by_id(tx, query, patch_set::Column::Id, Order::Desc, limit, cursor).await
}
