//! The trash: what was deleted together lies together, comes back together, or goes for good together.

use crate::archive::Kept;
use crate::comments::comment;
use crate::entity::{project, task};
use crate::events::{ProjectPurged, TaskPurged};
use crate::links::link;
use crate::patch::{Op, PatchSet, ProjectPatch, TaskPatch};
use crate::plan::Sequence;
use crate::search::token;
use crate::time::entry;
use crate::{apply, query};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use synapscale_core::{Error, NewEvent, Result};
use synapscale_ops::{Method, Operation, Outcome, Page, page};
use synapscale_store::orm::sea_query::{
    Alias, Expr, ExprTrait, Func, Query, SelectStatement, SimpleExpr, WindowStatement,
};
use synapscale_store::orm::{ColumnTrait, Order, QueryFilter};
use synapscale_store::{Scoped, SoftDelete, Tenanted, Tx};
use uuid::Uuid;

/// Most tasks that are purged in one go.
const MAX_PURGE: usize = 20_000;
/// Rows of one statement.
const CHUNK: usize = 500;
/// Names that are shown of a group.
const NAMES: i64 = 3;

/// Which part of the trash to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListTrash {
    /// Most groups to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// A group by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GroupId {
    /// What was deleted together.
    delete_group_id: Uuid,
}

/// One of the things at the top of a group.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Trashed {
    /// `project` or `task`.
    kind: &'static str,
    /// Its id.
    id: Uuid,
    /// Its name or title.
    name: String,
}

/// What was deleted together.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TrashGroup {
    /// By which it comes back or is purged.
    delete_group_id: Uuid,
    /// When it was deleted.
    deleted_at: DateTime<Utc>,
    /// How many projects.
    projects: i64,
    /// How many tasks.
    tasks: i64,
    /// What stands at its top: three projects at most, or as many tasks.
    names: Vec<Trashed>,
}

/// What went for good.
#[derive(Debug, Serialize, JsonSchema)]
struct Purged {
    /// How many projects.
    projects: usize,
    /// How many tasks, with those below them that had been deleted earlier.
    tasks: usize,
}

/// Groups with their numbers of rows, the newest first.
fn groups<E: SoftDelete>(tx: &Tx, before: Option<Uuid>, limit: u64) -> SelectStatement {
    let group = || Expr::col((E::default(), E::delete_group()));
    let mut query = Query::select();
    query
        .expr(group())
        .expr(Func::count(Expr::col((E::default(), E::delete_group()))))
        .from(E::default())
        .and_where(Expr::col((E::default(), E::tenant_column())).eq(tx.tenant_value()))
        .and_where(group().is_not_null())
        .add_group_by([group()])
        .order_by((E::default(), E::delete_group()), Order::Desc)
        .limit(limit);
    if let Some(before) = before {
        query.and_where(group().lt(before));
    }
    query
}

/// The first rows of each of `groups`: their group, id, name and time.
fn heads<E: SoftDelete>(
    tx: &Tx,
    groups: &[Uuid],
    name: E::Column,
    order: &[E::Column],
    id: E::Column,
) -> SelectStatement {
    let place = Alias::new("place");
    let ranked = Alias::new("ranked");
    let mut window = WindowStatement::partition_by((E::default(), E::delete_group()));
    for column in order {
        window.order_by((E::default(), *column), Order::Asc);
    }
    let columns = [E::delete_group(), id, name, E::deleted_at()];
    let mut inner = Query::select();
    for column in columns {
        inner.column((E::default(), column));
    }
    inner
        .expr_window_as(Func::cust(Alias::new("row_number")), window, place.clone())
        .from(E::default())
        .and_where(Expr::col((E::default(), E::tenant_column())).eq(tx.tenant_value()))
        .and_where(Expr::col((E::default(), E::delete_group())).is_in(groups.iter().copied()));
    let mut outer = Query::select();
    for column in columns {
        outer.column((ranked.clone(), column));
    }
    outer
        .from_subquery(inner, ranked.clone())
        .and_where(Expr::col((ranked.clone(), place.clone())).lte(NAMES))
        .order_by((ranked, place), Order::Asc);
    outer
}

type Counted = (Uuid, i64);
type Head = (Uuid, Uuid, String, DateTime<Utc>);

async fn counted(tx: &Tx, query: &SelectStatement) -> Result<Vec<Counted>> {
    tx.query_by(query, |row| {
        Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))
    })
    .await
}

async fn named(tx: &Tx, query: &SelectStatement) -> Result<Vec<Head>> {
    tx.query_by(query, |row| {
        Ok((
            row.try_get_by_index(0)?,
            row.try_get_by_index(1)?,
            row.try_get_by_index(2)?,
            row.try_get_by_index(3)?,
        ))
    })
    .await
}

async fn list(tx: &Tx, wanted: &ListTrash) -> Result<Page<TrashGroup>> {
    let limit = page::limit(wanted.limit);
    let before: Option<Uuid> = page::decode_opt(wanted.cursor.as_deref())?;
    let mut numbers: BTreeMap<Uuid, (i64, i64)> = BTreeMap::new();
    for (group, count) in counted(tx, &groups::<project::Entity>(tx, before, limit + 1)).await? {
        numbers.entry(group).or_default().0 = count;
    }
    for (group, count) in counted(tx, &groups::<task::Entity>(tx, before, limit + 1)).await? {
        numbers.entry(group).or_default().1 = count;
    }
    let newest: Vec<(Uuid, (i64, i64))> = numbers.into_iter().rev().collect();
    let newest = Page::cut(newest, limit, |(group, _)| *group)?;
    let ids: Vec<Uuid> = newest.items.iter().map(|(group, _)| *group).collect();
    if ids.is_empty() {
        return Ok(newest.map(|(group, numbers)| shown(group, numbers, &[], &[])));
    }
    let by_id = [project::Column::Id];
    let projects = heads::<project::Entity>(tx, &ids, project::Column::Name, &by_id, project::Column::Id);
    let projects = named(tx, &projects).await?;
    let by_depth = [task::Column::Depth, task::Column::Id];
    let tasks = heads::<task::Entity>(tx, &ids, task::Column::Title, &by_depth, task::Column::Id);
    let tasks = named(tx, &tasks).await?;
    Ok(newest.map(|(group, numbers)| shown(group, numbers, &projects, &tasks)))
}

fn shown(group: Uuid, (projects, tasks): (i64, i64), heads: &[Head], below: &[Head]) -> TrashGroup {
    let kind = if projects > 0 { "project" } else { "task" };
    let top = if projects > 0 { heads } else { below };
    let of_group = || top.iter().filter(|(of, ..)| *of == group);
    let deleted_at = of_group().map(|(.., at)| *at).max().unwrap_or_default();
    let names = of_group().map(|(_, id, name, _)| Trashed {
        kind,
        id: *id,
        name: name.clone(),
    });
    TrashGroup {
        delete_group_id: group,
        deleted_at,
        projects,
        tasks,
        names: names.collect(),
    }
}

async fn restore(tx: &Tx, group: Uuid) -> Result<Kept> {
    tx.lock("work/tree").await?;
    let project = tx
        .find::<project::Entity>()
        .filter(project::Column::DeleteGroup.eq(group))
        .row(tx)
        .await?;
    let task = tx
        .find::<task::Entity>()
        .filter(task::Column::DeleteGroup.eq(group))
        .row(tx)
        .await?;
    let mut set = PatchSet::default();
    match (project, task) {
        (Some(project), _) => {
            tx.ctx().require("projects:write")?;
            set.project_patches.push(ProjectPatch {
                op: Op::Restore,
                project_id: Some(project.id.to_string()),
                temp_id: None,
                body: None,
                expected_revision: None,
            });
        }
        (None, Some(task)) => set.task_patches.push(TaskPatch::of(Op::Restore, Some(task.id))),
        (None, None) => return Err(Error::not_found("group in the trash")),
    }
    apply::apply(tx, &set, Sequence::Own).await.map(Kept::from)
}

/// The group's tasks and all below them, whenever those were deleted: they have nowhere to come back to.
async fn doomed(tx: &Tx, group: Uuid, projects: &[Uuid]) -> Result<Vec<task::Model>> {
    let mut found = query::tasks_of_group(tx, group).await?;
    let mut inside = Vec::new();
    for ids in projects.chunks(CHUNK) {
        let own = task::Column::ProjectId.is_in(ids.iter().copied());
        inside.extend(tx.find::<task::Entity>().filter(own).rows(tx).await?);
    }
    found.extend(send_home(tx, group, inside).await?);
    let mut known: HashSet<Uuid> = HashSet::new();
    found.retain(|row| known.insert(row.id));
    let mut level: Vec<Uuid> = known.iter().copied().collect();
    while !level.is_empty() {
        let mut next = Vec::new();
        for ids in level.chunks(CHUNK) {
            let below = task::Column::ParentId.is_in(ids.iter().copied());
            for row in tx.find::<task::Entity>().filter(below).rows(tx).await? {
                if known.insert(row.id) {
                    next.push(row.id);
                    found.push(row);
                }
            }
        }
        if found.len() > MAX_PURGE {
            return Err(Error::too_large("group", format!("{MAX_PURGE} tasks")));
        }
        level = next;
    }
    // Children before their parents, which they refer to. Not by the depth that a row remembers: its parent may have moved
    // since it was deleted.
    let parents: HashMap<Uuid, Option<Uuid>> = found.iter().map(|row| (row.id, row.parent_id)).collect();
    let above = |id: &Uuid| std::iter::successors(Some(*id), |id| parents.get(id).copied().flatten()).count();
    found.sort_by_cached_key(|row| std::cmp::Reverse(above(&row.id)));
    Ok(found)
}

/// Those of a project's tasks that go with it. A task that was deleted before its parent moved to another project remembers
/// the old one; it comes back below its parent, and so is taken along there now.
async fn send_home(tx: &Tx, group: Uuid, inside: Vec<task::Model>) -> Result<Vec<task::Model>> {
    let here: HashSet<Uuid> = inside.iter().map(|row| row.id).collect();
    let elsewhere = |row: &&task::Model| {
        let parent = row.parent_id.filter(|parent| !here.contains(parent));
        parent.is_some() && row.delete_group != Some(group)
    };
    let strays: Vec<task::Model> = inside.iter().filter(elsewhere).cloned().collect();
    if strays.is_empty() {
        return Ok(inside);
    }
    let parents = query::tasks_by_id(tx, strays.iter().filter_map(|row| row.parent_id).collect()).await?;
    let homes: HashMap<Uuid, Uuid> = parents.into_iter().map(|row| (row.id, row.project_id)).collect();
    let mut moving: HashMap<Uuid, Uuid> = strays
        .iter()
        .filter_map(|row| Some((row.id, *homes.get(&row.parent_id?)?)))
        .collect();
    // With all that is below them here, level by level.
    loop {
        let known = moving.len();
        for row in &inside {
            if let Some(home) = row.parent_id.and_then(|parent| moving.get(&parent)).copied() {
                moving.entry(row.id).or_insert(home);
            }
        }
        if moving.len() == known {
            break;
        }
    }
    for (id, home) in &moving {
        let update = tx
            .update::<task::Entity>()
            .col_expr(task::Column::ProjectId, Expr::val(*home))
            .filter(task::Column::Id.eq(*id));
        tx.run_update(update).await?;
    }
    Ok(inside
        .into_iter()
        .filter(|row| !moving.contains_key(&row.id))
        .collect())
}

async fn forget<E: Tenanted>(tx: &Tx, condition: SimpleExpr) -> Result<u64> {
    tx.run_delete(tx.delete::<E>().filter(condition)).await
}

/// Takes the rows away that belong to tasks.
async fn forget_around(tx: &Tx, ids: &[Uuid]) -> Result<()> {
    let ids = || ids.iter().copied();
    let waiting = tx
        .find::<link::Entity>()
        .filter(link::Column::BlockerId.is_in(ids()))
        .rows(tx)
        .await?;
    let linked = link::Column::BlockerId.is_in(ids());
    forget::<link::Entity>(tx, linked.or(link::Column::BlockedId.is_in(ids()))).await?;
    let waiting: HashSet<Uuid> = waiting.into_iter().map(|row| row.blocked_id).collect();
    for one in waiting {
        let left = tx
            .find::<link::Entity>()
            .filter(link::Column::BlockedId.eq(one))
            .rows(tx)
            .await?
            .len();
        let update = tx
            .update::<task::Entity>()
            .col_expr(
                task::Column::Blockers,
                Expr::val(i64::try_from(left).unwrap_or(0)),
            )
            .filter(task::Column::Id.eq(one));
        tx.run_update(update).await?;
    }
    forget::<comment::Entity>(tx, comment::Column::TaskId.is_in(ids())).await?;
    forget::<entry::Entity>(tx, entry::Column::TaskId.is_in(ids())).await?;
    forget::<token::Entity>(tx, token::Column::TaskId.is_in(ids())).await?;
    Ok(())
}

async fn purge(tx: &Tx, group: Uuid) -> Result<Purged> {
    tx.lock("work/tree").await?;
    let projects = query::projects_of_group(tx, group).await?;
    let project_ids: Vec<Uuid> = projects.iter().map(|row| row.id).collect();
    let tasks = doomed(tx, group, &project_ids).await?;
    if projects.is_empty() && tasks.is_empty() {
        return Err(Error::not_found("group in the trash"));
    }
    if tasks.iter().any(|row| row.deleted_at.is_none()) {
        return Err(Error::internal("a living task stands below a deleted one"));
    }
    let ids: Vec<Uuid> = tasks.iter().map(|row| row.id).collect();
    for ids in ids.chunks(CHUNK) {
        forget_around(tx, ids).await?;
        forget::<task::Entity>(tx, task::Column::Id.is_in(ids.iter().copied())).await?;
    }
    for ids in project_ids.chunks(CHUNK) {
        forget::<project::Entity>(tx, project::Column::Id.is_in(ids.iter().copied())).await?;
    }
    for row in &tasks {
        let title = row.title.clone();
        tx.emit(NewEvent::new("task", row.id, &TaskPurged { title }));
    }
    for row in &projects {
        let name = row.name.clone();
        tx.emit(NewEvent::new("project", row.id, &ProjectPurged { name }));
    }
    Ok(Purged {
        projects: projects.len(),
        tasks: tasks.len(),
    })
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::read("trash.list", "List the trash")
            .about("Lists what was deleted and can be restored, grouped by what was deleted together, the latest first.")
            .permission("tasks:read")
            .rest(Method::GET, "/trash")
            .handle(|tx: Tx, input: Arc<ListTrash>| async move { list(&tx, &input).await }),
        Operation::write("trash.restore", "Restore from the trash")
            .about("Brings back everything that was deleted together. Undo the answered patch set to delete it again.")
            .permission("tasks:write")
            .rest(Method::POST, "/trash/{delete_group_id}/restore")
            .handle(|tx: Tx, input: Arc<GroupId>| async move {
                restore(&tx, input.delete_group_id).await.map(Outcome::Done)
            }),
        Operation::write("trash.purge", "Purge from the trash")
            .about("Takes what was deleted together away for good, with its comments and logged time. Nothing brings it back.")
            .permission("trash:purge")
            .destructive()
            .rest(Method::DELETE, "/trash/{delete_group_id}")
            .handle(|tx: Tx, input: Arc<GroupId>| async move {
                purge(&tx, input.delete_group_id).await.map(Outcome::Done)
            }),
    ]
}
