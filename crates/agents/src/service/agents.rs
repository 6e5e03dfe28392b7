//! What happens to agents: made, found, changed, deleted. A change of the spec makes a new version; versions never change.

pub use super::figures::{Counted, Outcome, count};

use super::{check_revision, figures, maker};
use crate::entity::{agent, version};
use crate::events::{AgentCreated, AgentDeleted, AgentUpdated};
use crate::ops::{CreateAgent, UpdateAgent};
use crate::spec::AgentSpec;
use crate::stow::is_larger;
use crate::view::{AgentStatus, AgentVersion, AgentView};
use serde_json::{Map, Value};
use std::collections::HashMap;
use synapscale_core::{Error, EventPayload, NewEvent, Result, diff, new_id};
use synapscale_ops::{Page, Patch, page};
use synapscale_store::orm::sea_query::{Expr, ExprTrait};
use synapscale_store::orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{DeleteGroup, Scoped, Tx};
use uuid::Uuid;

/// Largest of an agent's own JSON fields, in bytes of compact JSON.
const MAX_OBJECT_BYTES: usize = 64 * 1024;
/// Most agents of one workspace.
const MOST: u64 = 1_000;
/// Serialises who adds agents and names them.
const LOCK: &str = "agents/names";

/// An agent that can run, at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// A line for people.
    pub title: String,
    /// The version.
    pub version: i64,
    /// Always active here.
    pub status: AgentStatus,
    /// What the version is made of.
    pub spec: AgentSpec,
}

/// The agent that `agent` names by id or name, at `version` or the latest, if it takes runs.
///
/// # Errors
/// `not_found`; `agent_paused`, `agent_archived`.
pub async fn resolve(tx: &Tx, agent: &str, version: Option<i64>) -> Result<Resolved> {
    let row = match Uuid::try_parse(agent) {
        Ok(id) => find(tx, id).await?,
        Err(_) => by_name(tx, agent)
            .await?
            .ok_or_else(|| Error::not_found("agent"))?,
    };
    check_active(&row)?;
    let version = version.unwrap_or(row.version);
    Ok(Resolved {
        spec: AgentSpec::read(version_row(tx, row.id, version).await?.spec)?,
        status: AgentStatus::parse(&row.status),
        id: row.id,
        name: row.name,
        title: row.title,
        version,
    })
}

/// Refuses an agent that answers nothing now.
///
/// # Errors
/// `agent_deleted`, `agent_paused`, `agent_archived`.
pub(crate) fn check_active(row: &agent::Model) -> Result<()> {
    let refuse = |code: &'static str, words: &str| {
        Err(Error::conflict(code, format!("The agent `{}` {words}", row.name)))
    };
    if row.deleted_at.is_some() {
        return refuse("agent_deleted", "was deleted.");
    }
    match AgentStatus::parse(&row.status) {
        AgentStatus::Active => Ok(()),
        AgentStatus::Paused => refuse("agent_paused", "is paused. Set its status to active to use it."),
        AgentStatus::Archived => refuse(
            "agent_archived",
            "is archived. Set its status to active to use it.",
        ),
    }
}

/// The living agent of this id.
///
/// # Errors
/// `not_found`.
pub(crate) async fn find(tx: &Tx, id: Uuid) -> Result<agent::Model> {
    let row = any(tx, id).await?.filter(|row| row.deleted_at.is_none());
    row.ok_or_else(|| Error::not_found("agent"))
}

/// The agent of this id, deleted or not.
///
/// # Errors
/// When the database fails.
pub(crate) async fn any(tx: &Tx, id: Uuid) -> Result<Option<agent::Model>> {
    let query = tx.find::<agent::Entity>().filter(agent::Column::Id.eq(id));
    query.row(tx).await
}

async fn by_name(tx: &Tx, name: &str) -> Result<Option<agent::Model>> {
    let query = tx
        .find_live::<agent::Entity>()
        .filter(agent::Column::Name.eq(name));
    query.row(tx).await
}

/// One version of an agent.
///
/// # Errors
/// `not_found`.
pub(crate) async fn version_row(tx: &Tx, agent_id: Uuid, number: i64) -> Result<version::Model> {
    let query = tx
        .find::<version::Entity>()
        .filter(version::Column::AgentId.eq(agent_id))
        .filter(version::Column::Version.eq(number));
    query
        .row(tx)
        .await?
        .ok_or_else(|| Error::not_found("version of this agent"))
}

/// What an agent looks like, with the spec of its latest version.
///
/// # Errors
/// When the database fails.
pub(crate) async fn view(tx: &Tx, row: &agent::Model) -> Result<AgentView> {
    let spec = AgentSpec::read(version_row(tx, row.id, row.version).await?.spec)?;
    let mut sums = figures::sums(tx, &[row.id]).await?;
    Ok(AgentView::of(row, spec, sums.remove(&row.id).unwrap_or_default()))
}

/// The living agents by name.
///
/// # Errors
/// `cursor`.
pub(crate) async fn list(
    tx: &Tx,
    status: Option<AgentStatus>,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<AgentView>> {
    let limit = page::limit(limit);
    let mut query = tx.find_live::<agent::Entity>();
    if let Some(status) = status {
        query = query.filter(agent::Column::Status.eq(status.as_str()));
    }
    if let Some(after) = page::decode_opt::<String>(cursor)? {
        query = query.filter(agent::Column::Name.gt(after));
    }
    let rows = query
        .order_by_asc(agent::Column::Name)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let page = Page::cut(rows, limit, |row| row.name.clone())?;
    let mut specs = latest_specs(tx, &page.items).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.id).collect();
    let mut sums = figures::sums(tx, &ids).await?;
    let next_cursor = page.next_cursor;
    let items = page
        .items
        .iter()
        .map(|row| {
            let spec = specs
                .remove(&row.id)
                .ok_or_else(|| Error::internal("an agent without its version"))?;
            Ok(AgentView::of(row, spec, sums.remove(&row.id).unwrap_or_default()))
        })
        .collect::<Result<_>>()?;
    Ok(Page { items, next_cursor })
}

async fn latest_specs(tx: &Tx, rows: &[agent::Model]) -> Result<HashMap<Uuid, AgentSpec>> {
    use version::Column;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let each = rows.iter().fold(Condition::any(), |any, row| {
        any.add(ExprTrait::and(
            Column::AgentId.eq(row.id),
            Column::Version.eq(row.version),
        ))
    });
    let versions = tx.find::<version::Entity>().filter(each).rows(tx).await?;
    versions
        .into_iter()
        .map(|row| Ok((row.agent_id, AgentSpec::read(row.spec)?)))
        .collect()
}

/// An agent's versions, the newest first.
///
/// # Errors
/// `not_found`, `cursor`.
pub(crate) async fn versions(
    tx: &Tx,
    id: Uuid,
    limit: Option<u32>,
    cursor: Option<&str>,
) -> Result<Page<AgentVersion>> {
    find(tx, id).await?;
    let limit = page::limit(limit);
    let mut query = tx
        .find::<version::Entity>()
        .filter(version::Column::AgentId.eq(id));
    if let Some(before) = page::decode_opt::<i64>(cursor)? {
        query = query.filter(version::Column::Version.lt(before));
    }
    let rows = query
        .order_by_desc(version::Column::Version)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let page = Page::cut(rows, limit, |row| row.version)?;
    let next_cursor = page.next_cursor;
    let items = page
        .items
        .into_iter()
        .map(AgentVersion::of)
        .collect::<Result<_>>()?;
    Ok(Page { items, next_cursor })
}

/// Refuses a name that could be an id: agents are named by either.
fn check_name(name: &str) -> Result<()> {
    match Uuid::try_parse(name) {
        Ok(_) => Err(Error::invalid(
            "/name",
            "name",
            "A name must not look like an id.",
        )),
        Err(_) => Ok(()),
    }
}

async fn check_free(tx: &Tx, name: &str) -> Result<()> {
    match by_name(tx, name).await? {
        Some(_) => Err(Error::conflict("name_taken", "There is an agent of this name already.").at("/name")),
        None => Ok(()),
    }
}

fn object(map: Option<&Map<String, Value>>, pointer: &str) -> Result<Value> {
    let value = Value::Object(map.cloned().unwrap_or_default());
    match is_larger(&value, MAX_OBJECT_BYTES) {
        true => Err(Error::invalid(
            pointer,
            "too_large",
            "This is larger than 64 KiB.",
        )),
        false => Ok(value),
    }
}

/// Makes an agent with its first version.
///
/// # Errors
/// 422 for what the schema cannot say; `name_taken`, `too_many_agents`.
pub(crate) async fn create(tx: &Tx, input: &CreateAgent) -> Result<AgentView> {
    check_name(&input.name)?;
    input.spec.check("/spec")?;
    tx.lock(LOCK).await?;
    check_free(tx, &input.name).await?;
    let others = tx
        .find_live::<agent::Entity>()
        .limit(MOST)
        .select_only()
        .column(agent::Column::Id);
    let others: Vec<(Uuid,)> = synapscale_store::orm::Select::into_tuple(others)
        .all(tx)
        .await
        .map_err(synapscale_store::IntoCore::into_core)?;
    if others.len() as u64 >= MOST {
        let words = format!("A workspace has at most {MOST} agents.");
        return Err(Error::conflict("too_many_agents", words));
    }
    let (now, maker) = (tx.ctx().clock().now(), maker(tx.ctx()));
    let row = agent::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        name: input.name.clone(),
        title: input.title.clone().unwrap_or_else(|| input.name.clone()),
        description: input.description.clone().unwrap_or_default(),
        status: AgentStatus::Active.as_str().to_owned(),
        metadata: object(input.metadata.as_ref(), "/metadata")?,
        capabilities: object(input.capabilities.as_ref(), "/capabilities")?,
        settings: object(input.settings.as_ref(), "/settings")?,
        version: 1,
        created_by_kind: Some(maker.kind.as_str().to_owned()),
        created_by: Some(maker.id),
        revision: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        delete_group: None,
    };
    tx.insert::<agent::Entity>(row.clone()).await?;
    keep_version(tx, &row, &input.spec, input.note.as_deref()).await?;
    let told = AgentCreated {
        name: row.name.clone(),
        version: row.version,
    };
    tell(tx, &Value::Null, &row, &told)?;
    Ok(AgentView::of(&row, input.spec.clone(), Default::default()))
}

async fn keep_version(tx: &Tx, row: &agent::Model, spec: &AgentSpec, note: Option<&str>) -> Result<()> {
    let maker = maker(tx.ctx());
    tx.insert::<version::Entity>(version::Model {
        tenant_id: row.tenant_id,
        agent_id: row.id,
        version: row.version,
        spec: spec.write()?,
        note: note.map(str::to_owned),
        created_by_kind: Some(maker.kind.as_str().to_owned()),
        created_by: Some(maker.id),
        created_at: tx.ctx().clock().now(),
    })
    .await
}

/// An agent's own fields for the log. The spec is left out: the version says that it is another, and versions are kept.
fn shown(row: &agent::Model) -> Result<Value> {
    let view = AgentView::of(row, AgentSpec::default(), Default::default());
    let mut shown = serde_json::to_value(view).map_err(Error::internal)?;
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("spec");
        fields.remove("performance_metrics");
    }
    Ok(shown)
}

fn tell<P: EventPayload>(tx: &Tx, before: &Value, row: &agent::Model, payload: &P) -> Result<()> {
    let changes = diff(before, &shown(row)?);
    tx.emit(NewEvent::new("agent", row.id, payload).with_changes(changes));
    Ok(())
}

/// Changes an agent's fields; a spec that differs becomes the next version.
///
/// # Errors
/// `not_found`, `stale_revision`, and what [`create`] refuses.
pub(crate) async fn update(tx: &Tx, input: &UpdateAgent, expected: Option<i64>) -> Result<AgentView> {
    tx.lock(LOCK).await?;
    let before = find(tx, input.agent_id).await?;
    check_revision("agent", expected, before.revision)?;
    let current = AgentSpec::read(version_row(tx, before.id, before.version).await?.spec)?;
    let mut row = before.clone();
    apply(input, &mut row)?;
    if row.name != before.name {
        check_name(&row.name)?;
        check_free(tx, &row.name).await?;
    }
    let mut spec = current.clone();
    input.spec.apply_required(&mut spec, "/spec")?;
    if spec != current {
        spec.check("/spec")?;
        row.version += 1;
        keep_version(tx, &row, &spec, input.note.as_deref()).await?;
    }
    if row != before {
        save(tx, &before, &mut row).await?;
        let told = AgentUpdated {
            name: row.name.clone(),
            version: row.version,
        };
        tell(tx, &shown(&before)?, &row, &told)?;
    }
    let mut sums = figures::sums(tx, &[row.id]).await?;
    Ok(AgentView::of(
        &row,
        spec,
        sums.remove(&row.id).unwrap_or_default(),
    ))
}

fn apply(input: &UpdateAgent, row: &mut agent::Model) -> Result<()> {
    input.name.apply_required(&mut row.name, "/name")?;
    input.title.apply_required(&mut row.title, "/title")?;
    input
        .description
        .apply_required(&mut row.description, "/description")?;
    let mut status = AgentStatus::parse(&row.status);
    input.status.apply_required(&mut status, "/status")?;
    row.status = status.as_str().to_owned();
    for (field, patch, pointer) in [
        (&mut row.metadata, &input.metadata, "/metadata"),
        (&mut row.capabilities, &input.capabilities, "/capabilities"),
        (&mut row.settings, &input.settings, "/settings"),
    ] {
        if !matches!(patch, Patch::Absent) {
            *field = object(patch.value(), pointer)?;
        }
    }
    Ok(())
}

/// Writes what `after` says over `before`, unless somebody was faster.
async fn save(tx: &Tx, before: &agent::Model, after: &mut agent::Model) -> Result<()> {
    use agent::Column;
    after.revision = before.revision + 1;
    after.updated_at = tx.ctx().clock().now();
    let update = tx
        .update::<agent::Entity>()
        .col_expr(Column::Name, Expr::val(after.name.clone()))
        .col_expr(Column::Title, Expr::val(after.title.clone()))
        .col_expr(Column::Description, Expr::val(after.description.clone()))
        .col_expr(Column::Status, Expr::val(after.status.clone()))
        .col_expr(Column::Metadata, Expr::val(after.metadata.clone()))
        .col_expr(Column::Capabilities, Expr::val(after.capabilities.clone()))
        .col_expr(Column::Settings, Expr::val(after.settings.clone()))
        .col_expr(Column::Version, Expr::val(after.version))
        .col_expr(Column::Revision, Expr::val(after.revision))
        .col_expr(Column::UpdatedAt, Expr::val(after.updated_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::Revision.eq(before.revision))
        .filter(Column::DeletedAt.is_null());
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(Error::stale("agent", before.revision, before.revision + 1)),
    }
}

/// Deletes an agent softly: its name is free again, and conversations with it stay readable.
///
/// # Errors
/// `not_found`, `stale_revision`.
pub(crate) async fn delete(tx: &Tx, id: Uuid, expected: Option<i64>) -> Result<(agent::Model, DeleteGroup)> {
    tx.lock(LOCK).await?;
    let row = find(tx, id).await?;
    check_revision("agent", expected, row.revision)?;
    let group = DeleteGroup::new();
    let mine = ExprTrait::and(
        agent::Column::Id.eq(row.id),
        agent::Column::Revision.eq(row.revision),
    );
    if tx.soft_delete::<agent::Entity>(group, mine).await? != 1 {
        return Err(Error::stale("agent", row.revision, row.revision + 1));
    }
    let told = AgentDeleted {
        name: row.name.clone(),
        delete_group: group.0,
    };
    tx.emit(NewEvent::new("agent", row.id, &told));
    Ok((row, group))
}
