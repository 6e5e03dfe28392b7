//! Servers: added, changed, removed, and what is known of their health. Credentials are sealed on their way in.

use crate::Mcp;
use crate::catalogue::Known;
use crate::client::fault::Fault;
use crate::entity::{server, tool_list};
use crate::events::{
    ServerCreated, ServerDeleted, ServerFailed, ServerRecovered, ServerRefreshed, ServerUpdated,
};
use crate::ops::{CreateServer, UpdateServer};
use crate::secrets::{Credentials, headers, variables};
use crate::tools::{Listing, StoredTool};
use crate::view::{SecretNames, ServerSettings, ServerView, Told, Transport, read};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use synapscale_core::{Ctx, Error, NewEvent, Result, diff, new_id};
use synapscale_ops::Patch;
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

/// Most servers of one tenant.
const MOST: u64 = 50;
/// Most arguments of a command, and all of them in bytes.
const MOST_ARGS: usize = 50;
const MAX_ARGS: usize = 8 * 1024;
/// Serialises changes that must agree with one another.
const LOCK: &str = "mcp/servers";
/// Longest name.
const MAX_NAME: usize = 24;
/// Names that are parts of operations' names.
const RESERVED: &[&str] = &["servers", "tools", "call"];
/// Most names in an event.
const MOST_TOLD: usize = 50;
/// Longest text of a failure, in characters.
const MAX_ERROR: usize = 1_000;

/// Refuses what cannot stand in a tool's name.
fn check_name(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !first || !rest || name.len() > MAX_NAME || name.ends_with('_') || name.contains("__") {
        let words = "Lower-case letters, digits and single `_` between them, 24 at most, a letter first.";
        return Err(Error::invalid("/name", "name", words));
    }
    match RESERVED.contains(&name) {
        true => Err(Error::invalid(
            "/name",
            "name",
            "This name is taken by the product itself.",
        )),
        false => Ok(()),
    }
}

fn check_settings(settings: &ServerSettings) -> Result<()> {
    let names = settings
        .allowed_tools
        .iter()
        .flatten()
        .chain(&settings.denied_tools);
    let fits = names
        .chain(settings.tools.keys())
        .all(|name| !name.is_empty() && name.len() <= 512);
    match fits && settings.tools.len() <= crate::tools::MOST {
        true => Ok(()),
        false => Err(Error::invalid(
            "/settings",
            "tools",
            "Names of tools are 1 to 512 bytes, and 500 at most.",
        )),
    }
}

/// Refuses what could never be reached, before anybody waits for it.
fn check_target(mcp: &Mcp, row: &server::Model, credentials: &Credentials) -> Result<()> {
    let ways = mcp.ways()?;
    let only = |field: &str, of: &str| {
        Error::invalid(
            format!("/{field}"),
            "transport",
            format!("This is only for servers over {of}."),
        )
    };
    if row.transport == Transport::Http.as_str() {
        let url = row
            .url
            .as_deref()
            .ok_or_else(|| Error::invalid("/url", "required", "Give its address."))?;
        ways.outbound
            .client_for(url)
            .map_err(|error| Error::invalid("/url", "address", format!("It may not be reached: {error}.")))?;
        if row.command.is_some() || row.args != json!([]) {
            return Err(only("command", "stdio"));
        }
        return match credentials.env.is_empty() {
            true => Ok(()),
            false => Err(only("env", "stdio")),
        };
    }
    let command = row
        .command
        .as_deref()
        .ok_or_else(|| Error::invalid("/command", "required", "Give its command."))?;
    if !ways.allows(command) {
        let words = match ways.commands.is_empty() {
            true => "This server starts no processes for MCP. Its operator can name commands in mcp.stdio."
                .to_owned(),
            false => format!(
                "The operator does not let this command be started. There are: {} (mcp.stdio).",
                ways.commands.join(", ")
            ),
        };
        return Err(Error::invalid("/command", "stdio_not_allowed", words));
    }
    let args: Vec<String> = read(&row.args)?;
    let bytes: usize = args.iter().map(String::len).sum();
    if args.len() > MOST_ARGS || bytes > MAX_ARGS || args.iter().any(|arg| arg.contains('\0')) {
        return Err(Error::invalid(
            "/args",
            "count",
            "Fifty arguments and 8 KiB at most.",
        ));
    }
    if row.url.is_some() {
        return Err(only("url", "http"));
    }
    match credentials.headers.is_empty() {
        true => Ok(()),
        false => Err(only("headers", "http")),
    }
}

fn names_of(credentials: &Credentials) -> Result<Value> {
    let names = |all: &BTreeMap<String, String>| all.keys().cloned().collect();
    let names = SecretNames {
        headers: names(&credentials.headers),
        env: names(&credentials.env),
    };
    serde_json::to_value(names).map_err(Error::internal)
}

/// What an event tells of a row: no health, which changes by itself.
fn shown(row: &server::Model) -> Result<Value> {
    let mut value = serde_json::to_value(ServerView::try_from(row)?).map_err(Error::internal)?;
    if let Some(members) = value.as_object_mut() {
        for own in [
            "health",
            "told",
            "tools",
            "unusable",
            "tools_at",
            "last_error",
            "failed_at",
        ] {
            members.remove(own);
        }
    }
    Ok(value)
}

fn name_taken() -> Error {
    Error::conflict("name_taken", "There is an MCP server of this name already.").at("/name")
}

async fn is_taken(tx: &Tx, name: &str) -> Result<bool> {
    let same = tx.find::<server::Entity>().filter(server::Column::Name.eq(name));
    Ok(same.row(tx).await?.is_some())
}

/// Adds a server.
///
/// # Errors
/// For what could never be reached; `name_taken`; `too_many`.
pub(crate) async fn create(mcp: &Mcp, tx: &Tx, input: &CreateServer) -> Result<ServerView> {
    check_name(&input.name)?;
    check_settings(&input.settings)?;
    tx.lock(LOCK).await?;
    let few = tx.find::<server::Entity>().limit(MOST).rows(tx).await?;
    if few.len() as u64 >= MOST {
        return Err(Error::conflict(
            "too_many",
            format!("There are {MOST} MCP servers already."),
        ));
    }
    if is_taken(tx, &input.name).await? {
        return Err(name_taken());
    }
    let credentials = Credentials {
        headers: headers(&input.headers)?,
        env: variables(&input.env)?,
    };
    let now = tx.ctx().clock().now();
    let row = server::Model {
        tenant_id: tx.ctx().tenant().0,
        id: new_id(),
        name: input.name.clone(),
        title: input.title.clone().unwrap_or_else(|| input.name.clone()),
        transport: input.transport.as_str().to_owned(),
        url: input.url.clone(),
        command: input.command.clone(),
        args: json!(input.args),
        secrets_sealed: credentials.seal(mcp.store().secrets(), tx.ctx().tenant())?,
        secret_names: names_of(&credentials)?,
        settings: serde_json::to_value(&input.settings).map_err(Error::internal)?,
        status: "active".to_owned(),
        told: json!({}),
        tool_count: 0,
        unusable_count: 0,
        tools_at: None,
        last_error: None,
        failed_at: None,
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    check_target(mcp, &row, &credentials)?;
    tx.insert::<server::Entity>(row.clone()).await?;
    let told = ServerCreated {
        name: row.name.clone(),
    };
    let changes = diff(&Value::Null, &shown(&row)?);
    tx.emit(NewEvent::new("mcp_server", row.id, &told).with_changes(changes));
    mcp.forget_after(tx, None);
    ServerView::try_from(&row)
}

/// The row of a server.
///
/// # Errors
/// `not_found`, of another tenant's too.
pub(crate) async fn find(tx: &Tx, id: Uuid) -> Result<server::Model> {
    let query = tx.find::<server::Entity>().filter(server::Column::Id.eq(id));
    query.row(tx).await?.ok_or_else(|| Error::not_found("MCP server"))
}

/// All of a tenant's servers, by name. They are few.
pub(crate) async fn all(tx: &Tx) -> Result<Vec<server::Model>> {
    tx.find::<server::Entity>()
        .order_by_asc(server::Column::Name)
        .rows(tx)
        .await
}

/// The tools that a server listed last.
pub(crate) async fn tools_of(tx: &Tx, id: Uuid) -> Result<Vec<StoredTool>> {
    let query = tx
        .find::<tool_list::Entity>()
        .filter(tool_list::Column::Id.eq(id));
    let row = query.row(tx).await?;
    Ok(row
        .map(|row| read(&row.tools).unwrap_or_default())
        .unwrap_or_default())
}

/// Changes a server.
///
/// # Errors
/// `not_found`, `stale_revision`, and what [`create`] refuses.
pub(crate) async fn update(
    mcp: &Mcp,
    tx: &Tx,
    input: &UpdateServer,
    expected: Option<i64>,
) -> Result<ServerView> {
    tx.lock(LOCK).await?;
    let before = find(tx, input.server_id).await?;
    if let Some(expected) = expected.filter(|expected| *expected != before.revision) {
        return Err(Error::stale("MCP server", expected, before.revision));
    }
    let mut row = before.clone();
    change(mcp, tx, input, &mut row)?;
    if row == before {
        return ServerView::try_from(&row);
    }
    if row.name != before.name {
        check_name(&row.name)?;
        if is_taken(tx, &row.name).await? {
            return Err(name_taken());
        }
    }
    let moved = row.url != before.url || row.command != before.command || row.args != before.args;
    if moved || row.secrets_sealed != before.secrets_sealed {
        // What was known of its health was of another place, or of other credentials.
        (row.last_error, row.failed_at) = (None, None);
    }
    row.revision += 1;
    row.updated_at = tx.ctx().clock().now();
    save(tx, &before, &row).await?;
    let told = ServerUpdated {
        name: row.name.clone(),
    };
    let changes = diff(&shown(&before)?, &shown(&row)?);
    tx.emit(NewEvent::new("mcp_server", row.id, &told).with_changes(changes));
    mcp.forget_after(tx, Some(row.id));
    ServerView::try_from(&row)
}

fn change(mcp: &Mcp, tx: &Tx, input: &UpdateServer, row: &mut server::Model) -> Result<()> {
    input.name.apply_required(&mut row.name, "/name")?;
    input.title.apply_required(&mut row.title, "/title")?;
    let place = (row.url.clone(), row.command.clone(), row.args.clone());
    input.url.apply(&mut row.url);
    input.command.apply(&mut row.command);
    match &input.args {
        Patch::Absent => {}
        Patch::Null => row.args = json!([]),
        Patch::Value(args) => row.args = json!(args),
    }
    let moved = place != (row.url.clone(), row.command.clone(), row.args.clone());
    // Credentials must not go to a place that whoever entered them never saw.
    if moved && row.secrets_sealed.is_some() && input.headers.is_absent() && input.env.is_absent() {
        let field = if row.transport == "stdio" {
            "/env"
        } else {
            "/headers"
        };
        let words = "Enter the credentials again (or null to drop them) when the address or command changes.";
        return Err(Error::invalid(field, "required", words));
    }
    let (secrets, tenant) = (mcp.store().secrets(), tx.ctx().tenant());
    let fresh = !input.headers.is_absent() || !input.env.is_absent();
    if fresh || moved {
        let mut credentials = Credentials::open(secrets, tenant, row.secrets_sealed.as_deref())?;
        match &input.headers {
            Patch::Absent => {}
            Patch::Null => credentials.headers.clear(),
            Patch::Value(given) => credentials.headers = headers(given)?,
        }
        match &input.env {
            Patch::Absent => {}
            Patch::Null => credentials.env.clear(),
            Patch::Value(given) => credentials.env = variables(given)?,
        }
        if fresh {
            row.secrets_sealed = credentials.seal(secrets, tenant)?;
            row.secret_names = names_of(&credentials)?;
        }
        check_target(mcp, row, &credentials)?;
    }
    match &input.settings {
        Patch::Absent => {}
        Patch::Null => row.settings = json!({}),
        Patch::Value(settings) => {
            check_settings(settings)?;
            row.settings = serde_json::to_value(settings).map_err(Error::internal)?;
        }
    }
    if let Some(status) = input.status {
        row.status = status.as_str().to_owned();
    }
    Ok(())
}

async fn save(tx: &Tx, before: &server::Model, after: &server::Model) -> Result<()> {
    use server::Column;
    let update = tx
        .update::<server::Entity>()
        .col_expr(Column::Name, Expr::val(after.name.clone()))
        .col_expr(Column::Title, Expr::val(after.title.clone()))
        .col_expr(Column::Url, Expr::val(after.url.clone()))
        .col_expr(Column::Command, Expr::val(after.command.clone()))
        .col_expr(Column::Args, Expr::val(after.args.clone()))
        .col_expr(Column::SecretsSealed, Expr::val(after.secrets_sealed.clone()))
        .col_expr(Column::SecretNames, Expr::val(after.secret_names.clone()))
        .col_expr(Column::Settings, Expr::val(after.settings.clone()))
        .col_expr(Column::Status, Expr::val(after.status.clone()))
        .col_expr(Column::LastError, Expr::val(after.last_error.clone()))
        .col_expr(Column::FailedAt, Expr::val(after.failed_at))
        .col_expr(Column::Revision, Expr::val(after.revision))
        .col_expr(Column::UpdatedAt, Expr::val(after.updated_at))
        .filter(Column::Id.eq(before.id))
        .filter(Column::Revision.eq(before.revision));
    match tx.run_update(update).await? {
        1 => Ok(()),
        _ => Err(Error::stale("MCP server", before.revision, before.revision + 1)),
    }
}

/// Removes a server, its credentials and its tools for good.
///
/// # Errors
/// `not_found`.
pub(crate) async fn delete(mcp: &Mcp, tx: &Tx, id: Uuid) -> Result<()> {
    tx.lock(LOCK).await?;
    let row = find(tx, id).await?;
    let list = tx
        .delete::<tool_list::Entity>()
        .filter(tool_list::Column::Id.eq(id));
    tx.run_delete(list).await?;
    let gone = tx.delete::<server::Entity>().filter(server::Column::Id.eq(id));
    tx.run_delete(gone).await?;
    tx.emit(NewEvent::new("mcp_server", id, &ServerDeleted { name: row.name }));
    mcp.forget_after(tx, Some(id));
    Ok(())
}

/// Keeps what a server listed, and that it can be reached. It is no change of a person's: the revision stays.
///
/// # Errors
/// When the database fails.
pub(crate) async fn keep_listing(
    mcp: &Mcp,
    ctx: &Ctx,
    known: &Known,
    told: &Told,
    listing: &Listing,
) -> Result<()> {
    let tools = serde_json::to_value(listing.stored()).map_err(Error::internal)?;
    let told = Told {
        more_tools: listing.more,
        ..told.clone()
    };
    let told = serde_json::to_value(told).map_err(Error::internal)?;
    let (id, revision, count, unusable) = (known.id, known.revision, listing.tools.len(), listing.unusable());
    let (tools, told) = (std::sync::Arc::new(tools), std::sync::Arc::new(told));
    let own = ctx.system_in(known.tenant);
    let write = mcp.store().write(&own, |tx| {
        let (mcp, tools, told) = (mcp.clone(), tools.clone(), told.clone());
        async move {
            let now = tx.ctx().clock().now();
            let update = tx
                .update::<server::Entity>()
                .col_expr(server::Column::Told, Expr::val((*told).clone()))
                .col_expr(server::Column::ToolCount, Expr::val(count as i64))
                .col_expr(server::Column::UnusableCount, Expr::val(unusable as i64))
                .col_expr(server::Column::ToolsAt, Expr::val(Some(now)))
                .col_expr(server::Column::LastError, Expr::val(None::<String>))
                .col_expr(server::Column::FailedAt, Expr::val(None::<DateTime<Utc>>))
                .filter(server::Column::Id.eq(id))
                .filter(server::Column::Revision.eq(revision));
            let before = find(&tx, id).await?;
            // Changed or removed meanwhile: what was listed is of another server.
            if tx.run_update(update).await? == 0 {
                return Ok(());
            }
            if before.failed_at.is_some() {
                let told = ServerRecovered {
                    name: before.name.clone(),
                };
                tx.emit(NewEvent::new("mcp_server", id, &told));
            }
            let query = tx
                .find::<tool_list::Entity>()
                .filter(tool_list::Column::Id.eq(id));
            let kept = query.row(&tx).await?;
            if kept.as_ref().is_none_or(|kept| kept.tools != *tools) {
                let old: Vec<StoredTool> = kept
                    .as_ref()
                    .map(|kept| read(&kept.tools).unwrap_or_default())
                    .unwrap_or_default();
                let new: Vec<StoredTool> = read(&tools)?;
                match kept {
                    Some(_) => {
                        let update = tx
                            .update::<tool_list::Entity>()
                            .col_expr(tool_list::Column::Tools, Expr::val((*tools).clone()))
                            .filter(tool_list::Column::Id.eq(id));
                        tx.run_update(update).await?;
                    }
                    None => {
                        let row = tool_list::Model {
                            tenant_id: before.tenant_id,
                            id,
                            tools: (*tools).clone(),
                        };
                        tx.insert::<tool_list::Entity>(row).await?;
                    }
                }
                tx.emit(NewEvent::new(
                    "mcp_server",
                    id,
                    &refreshed(&before.name, &old, &new, unusable),
                ));
            }
            mcp.forget_after(&tx, None);
            Ok(())
        }
    });
    write.await
}

fn refreshed(name: &str, old: &[StoredTool], new: &[StoredTool], unusable: usize) -> ServerRefreshed {
    let by_name = |tools: &[StoredTool]| -> BTreeMap<String, StoredTool> {
        tools
            .iter()
            .map(|tool| (tool.name.clone(), tool.clone()))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let missing = |from: &BTreeMap<String, StoredTool>, other: &BTreeMap<String, StoredTool>| {
        let names = from.keys().filter(|name| !other.contains_key(*name)).cloned();
        names.take(MOST_TOLD).collect()
    };
    let changed = after
        .iter()
        .filter(|(name, tool)| before.get(*name).is_some_and(|old| old != *tool));
    ServerRefreshed {
        name: name.to_owned(),
        tools: new.len(),
        unusable,
        added: missing(&after, &before),
        removed: missing(&before, &after),
        changed: changed.map(|(name, _)| name.clone()).take(MOST_TOLD).collect(),
    }
}

/// Keeps that a server could not be reached, once for each reason.
///
/// # Errors
/// When the database fails.
pub(crate) async fn keep_failure(mcp: &Mcp, ctx: &Ctx, known: &Known, fault: &Fault) -> Result<()> {
    let text: String = fault.text.chars().take(MAX_ERROR).collect();
    if known.failed_at.is_some() && known.last_error.as_deref() == Some(text.as_str()) {
        return Ok(());
    }
    let code = fault.error(&known.name, Duration::ZERO).code().to_owned();
    let (id, revision) = (known.id, known.revision);
    let own = ctx.system_in(known.tenant);
    let write = mcp.store().write(&own, |tx| {
        let (mcp, text, code) = (mcp.clone(), text.clone(), code.clone());
        async move {
            let before = find(&tx, id).await?;
            let since = before.failed_at.unwrap_or_else(|| tx.ctx().clock().now());
            let update = tx
                .update::<server::Entity>()
                .col_expr(server::Column::LastError, Expr::val(Some(text)))
                .col_expr(server::Column::FailedAt, Expr::val(Some(since)))
                .filter(server::Column::Id.eq(id))
                .filter(server::Column::Revision.eq(revision));
            if tx.run_update(update).await? > 0 && before.failed_at.is_none() {
                let told = ServerFailed {
                    name: before.name,
                    code,
                };
                tx.emit(NewEvent::new("mcp_server", id, &told));
            }
            mcp.forget_after(&tx, None);
            Ok(())
        }
    });
    write.await
}

/// Keeps that a server answers again, over a connection that it had.
///
/// # Errors
/// When the database fails.
pub(crate) async fn keep_recovery(mcp: &Mcp, ctx: &Ctx, known: &Known) -> Result<()> {
    let (id, revision, name) = (known.id, known.revision, known.name.clone());
    let own = ctx.system_in(known.tenant);
    let write = mcp.store().write(&own, |tx| {
        let (mcp, name) = (mcp.clone(), name.clone());
        async move {
            let update = tx
                .update::<server::Entity>()
                .col_expr(server::Column::LastError, Expr::val(None::<String>))
                .col_expr(server::Column::FailedAt, Expr::val(None::<DateTime<Utc>>))
                .filter(server::Column::Id.eq(id))
                .filter(server::Column::Revision.eq(revision))
                .filter(server::Column::FailedAt.is_not_null());
            if tx.run_update(update).await? > 0 {
                tx.emit(NewEvent::new("mcp_server", id, &ServerRecovered { name }));
            }
            mcp.forget_after(&tx, None);
            Ok(())
        }
    });
    write.await
}
