//! Saved filters: a person's own, or shared with the workspace.

use super::TaskFilter;
use crate::events::{FilterDeleted, FilterSaved};
use crate::model::Task;
use crate::{apply, author, query};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use synapscale_core::{Error, NewEvent, Result, new_id};
use synapscale_ops::{Envelope, Method, NoOutput, Operation, Outcome, Page, Patch, Revisioned, page};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::schema::{Table, boolean, integer, json as json_column, text, timestamp, uuid};
use synapscale_store::{EntitySpec, Migration, Scoped, Tx, tenant_entity};
use uuid::Uuid;

/// Most filters of one person.
const MAX_FILTERS: usize = 200;
/// Who may change what others share.
const MANAGE: &str = "filters:manage";

tenant_entity! {
    /// A saved filter.
    saved, "task_filters", [id: Uuid], {
        owner: String,
        name: String,
        shared: bool,
        #[sea_orm(column_type = "JsonBinary")]
        filter: Json,
        sort: Option<String>,
        created_at: DateTimeUtc,
        updated_at: DateTimeUtc,
        revision: i64,
    }
}

pub(crate) fn migration() -> Migration {
    Migration::new("work_0009_filters").create(
        Table::tenant(
            "task_filters",
            [
                uuid("id"),
                text("owner"),
                text("name").max(100),
                boolean("shared").default("false"),
                json_column("filter"),
                text("sort").null().max(20),
                timestamp("created_at"),
                timestamp("updated_at"),
                integer("revision").default("1"),
            ],
        )
        .index("task_filters_by_owner", &["owner", "id"])
        .index("task_filters_by_shared", &["shared", "id"]),
    )
}

pub(crate) fn entities() -> Vec<EntitySpec> {
    vec![EntitySpec::of(saved::Entity)]
}

/// A saved filter.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct SavedFilter {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Whose it is: `user:ID`, or another kind of actor.
    pub owner: String,
    /// Whether everybody in the workspace sees it.
    pub shared: bool,
    /// Which tasks are meant.
    pub filter: TaskFilter,
    /// Their order, as in `tasks.list`.
    pub sort: Option<String>,
    /// When it was saved first.
    pub created_at: DateTime<Utc>,
    /// When it changed last.
    pub updated_at: DateTime<Utc>,
    /// Raised by every change.
    pub revision: i64,
}

impl Revisioned for SavedFilter {
    fn revision(&self) -> i64 {
        self.revision
    }
}

impl From<saved::Model> for SavedFilter {
    fn from(row: saved::Model) -> Self {
        SavedFilter {
            id: row.id,
            name: row.name,
            owner: row.owner,
            shared: row.shared,
            filter: serde_json::from_value(row.filter).unwrap_or_default(),
            sort: row.sort,
            created_at: row.created_at,
            updated_at: row.updated_at,
            revision: row.revision,
        }
    }
}

/// A filter to save.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateFilter {
    /// Its name.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// Which tasks are meant.
    filter: TaskFilter,
    /// Their order, as in `tasks.list`.
    #[serde(default)]
    #[schemars(length(max = 20))]
    sort: Option<String>,
    /// Whether everybody in the workspace sees it.
    #[serde(default)]
    shared: bool,
}

/// What to change of a filter; what is absent stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateFilter {
    /// The filter.
    filter_id: Uuid,
    /// Its name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    name: Patch<String>,
    /// Which tasks are meant.
    #[serde(default)]
    filter: Patch<TaskFilter>,
    /// Their order.
    #[serde(default)]
    #[schemars(length(max = 20))]
    sort: Patch<String>,
    /// Whether everybody in the workspace sees it.
    #[serde(default)]
    shared: Patch<bool>,
}

/// A filter by its id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FilterId {
    /// The filter.
    filter_id: Uuid,
}

/// A page of a saved filter's tasks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunFilter {
    /// The filter.
    filter_id: Uuid,
    /// How many minutes the clock by which days begin is ahead of UTC, instead of the filter's own.
    #[serde(default)]
    #[schemars(range(min = -840, max = 840))]
    utc_offset_minutes: Option<i32>,
    /// Most items to return.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// Pages of filters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct ListFilters {
    /// Most items to return.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schemars(length(max = 1024))]
    cursor: Option<String>,
}

/// Whether the caller sees a filter: it is theirs or shared.
fn visible(tx: &Tx) -> Condition {
    Condition::any()
        .add(saved::Column::Owner.eq(author(tx)))
        .add(saved::Column::Shared.eq(true))
}

async fn seen(tx: &Tx, id: Uuid) -> Result<saved::Model> {
    let row = tx
        .find::<saved::Entity>()
        .filter(saved::Column::Id.eq(id))
        .filter(visible(tx));
    row.row(tx).await?.ok_or_else(|| Error::not_found("filter"))
}

/// A filter that lists could not follow is refused when it is saved.
fn check(tx: &Tx, filter: &TaskFilter, sort: Option<&str>) -> Result<()> {
    filter.select(tx).map_err(|error| error.under("/filter"))?;
    query::task_sort(sort).map(drop)
}

fn kept(filter: &TaskFilter) -> Result<serde_json::Value> {
    serde_json::to_value(filter).map_err(Error::internal)
}

fn told(tx: &Tx, row: &saved::Model) {
    let told = FilterSaved {
        name: row.name.clone(),
        shared: row.shared,
    };
    tx.emit(NewEvent::new("filter", row.id, &told));
}

async fn create(tx: &Tx, input: &CreateFilter) -> Result<SavedFilter> {
    check(tx, &input.filter, input.sort.as_deref())?;
    let owner = author(tx);
    tx.lock(&format!("work/filters/{owner}")).await?;
    let own = tx
        .find::<saved::Entity>()
        .filter(saved::Column::Owner.eq(owner.clone()))
        .rows(tx)
        .await?;
    if own.len() >= MAX_FILTERS {
        let message = format!("You may keep {MAX_FILTERS} filters.");
        return Err(Error::conflict("too_many_filters", message));
    }
    let now = tx.ctx().clock().now();
    let row = saved::Model {
        tenant_id: Uuid::nil(),
        id: new_id(),
        owner,
        name: input.name.clone(),
        shared: input.shared,
        filter: kept(&input.filter)?,
        sort: input.sort.clone(),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    tx.insert::<saved::Entity>(row.clone()).await?;
    told(tx, &row);
    Ok(row.into())
}

async fn update(tx: &Tx, input: &UpdateFilter, envelope: &Envelope) -> Result<SavedFilter> {
    let before = seen(tx, input.filter_id).await?;
    may_change(tx, &before)?;
    if let Some(expected) = envelope.expected_revision.filter(|e| *e != before.revision) {
        return Err(Error::stale("filter", expected, before.revision));
    }
    let mut row = before.clone();
    input.name.apply_required(&mut row.name, "/name")?;
    input.shared.apply_required(&mut row.shared, "/shared")?;
    input.sort.apply(&mut row.sort);
    match &input.filter {
        Patch::Absent => {}
        Patch::Null => row.filter = json!({}),
        Patch::Value(filter) => row.filter = kept(filter)?,
    }
    row.updated_at = tx.ctx().clock().now();
    row.revision += 1;
    let shown = SavedFilter::from(row.clone());
    check(tx, &shown.filter, shown.sort.as_deref())?;
    let update = tx
        .update::<saved::Entity>()
        .col_expr(saved::Column::Name, Expr::val(row.name.clone()))
        .col_expr(saved::Column::Shared, Expr::val(row.shared))
        .col_expr(saved::Column::Filter, Expr::val(row.filter.clone()))
        .col_expr(saved::Column::Sort, Expr::val(row.sort.clone()))
        .col_expr(saved::Column::UpdatedAt, Expr::val(row.updated_at))
        .col_expr(saved::Column::Revision, Expr::val(row.revision))
        .filter(saved::Column::Id.eq(row.id))
        .filter(saved::Column::Revision.eq(before.revision));
    apply::one_hit(tx.run_update(update).await?)?;
    told(tx, &row);
    Ok(shown)
}

fn may_change(tx: &Tx, row: &saved::Model) -> Result<()> {
    match row.owner == author(tx) {
        true => Ok(()),
        false => tx.ctx().require(MANAGE),
    }
}

async fn delete(tx: &Tx, id: Uuid) -> Result<NoOutput> {
    let row = seen(tx, id).await?;
    may_change(tx, &row)?;
    let gone = tx.delete::<saved::Entity>().filter(saved::Column::Id.eq(id));
    tx.run_delete(gone).await?;
    let told = FilterDeleted { name: row.name };
    tx.emit(NewEvent::new("filter", id, &told));
    Ok(NoOutput {})
}

async fn list(tx: &Tx, wanted: &ListFilters) -> Result<Page<SavedFilter>> {
    let limit = page::limit(wanted.limit);
    let mut found = tx.find::<saved::Entity>().filter(visible(tx));
    if let Some(from) = page::decode_opt::<Uuid>(wanted.cursor.as_deref())? {
        found = found.filter(saved::Column::Id.gt(from));
    }
    let found = found.order_by_asc(saved::Column::Id).limit(limit + 1);
    Ok(Page::cut(found.rows(tx).await?, limit, |row| row.id)?.map(SavedFilter::from))
}

async fn run(tx: &Tx, input: &RunFilter) -> Result<Page<Task>> {
    let row = SavedFilter::from(seen(tx, input.filter_id).await?);
    let mut filter = row.filter;
    filter.utc_offset_minutes = input.utc_offset_minutes.or(filter.utc_offset_minutes);
    query::tasks(
        tx,
        &filter,
        row.sort.as_deref(),
        input.limit,
        input.cursor.as_deref(),
    )
    .await
}

pub(crate) fn operations() -> Vec<Operation> {
    vec![
        Operation::write("filters.create", "Save a filter")
            .about("Saves which tasks are meant, by the same words as tasks.list, for the caller or for the whole workspace.")
            .permission("tasks:write")
            .rest(Method::POST, "/filters")
            .revisioned()
            .handle(|tx: Tx, input: Arc<CreateFilter>| async move { create(&tx, &input).await.map(Outcome::Done) }),
        Operation::read("filters.list", "List saved filters")
            .about("Lists the caller's filters and those that are shared.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/filters")
            .handle(|tx: Tx, input: Arc<ListFilters>| async move { list(&tx, &input).await }),
        Operation::read("filters.get", "Get a saved filter")
            .about("Returns a filter of the caller's or a shared one.")
            .one_statement()
            .permission("tasks:read")
            .rest(Method::GET, "/filters/{filter_id}")
            .revisioned()
            .handle(|tx: Tx, input: Arc<FilterId>| async move { seen(&tx, input.filter_id).await.map(SavedFilter::from) }),
        Operation::write("filters.update", "Change a saved filter")
            .about("Changes a filter; what is absent stays. Others' filters need the permission filters:manage, which admins have.")
            .permission("tasks:write")
            .rest(Method::PATCH, "/filters/{filter_id}")
            .revisioned()
            .handle_with(|tx: Tx, input: Arc<UpdateFilter>, envelope: Envelope| async move {
                update(&tx, &input, &envelope).await.map(Outcome::Done)
            }),
        Operation::write("filters.delete", "Delete a saved filter")
            .about("Deletes a filter for good; no task is touched. Others' filters need the permission filters:manage.")
            .permission("tasks:write")
            .destructive()
            .rest(Method::DELETE, "/filters/{filter_id}")
            .handle(|tx: Tx, input: Arc<FilterId>| async move { delete(&tx, input.filter_id).await.map(Outcome::Done) }),
        Operation::read("filters.run", "List the tasks of a saved filter")
            .about("Lists the tasks that a saved filter means now, in its order.")
            .permission("tasks:read")
            .rest(Method::GET, "/filters/{filter_id}/tasks")
            .handle(|tx: Tx, input: Arc<RunFilter>| async move { run(&tx, &input).await }),
    ]
}
