//! Hooks follow the webhook triggers of the current version: made, changed and closed when it is applied, their secrets
//! replaced on request.

use super::scheme_of;
use super::secret;
use super::verify::Scheme;
use crate::entity::hook;
use crate::events::{HookClosed, HookCreated, HookSecretRotated};
use crate::file::HookNode;
use crate::view::AppliedHook;
use chrono::{DateTime, Duration, Utc};
use synapscale_core::{Error, NewEvent, Result, new_id};
use synapscale_store::orm::sea_query::Expr;
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, SecretBox, Tx};
use uuid::Uuid;

/// How long a secret still opens its hook after it was replaced, in hours.
pub(crate) const PREVIOUS_HOURS: i64 = 24;

/// Makes the workflow's hooks those of its triggers. The URL of a trigger stays the same from version to version; a
/// trigger with another scheme gets another secret.
///
/// # Errors
/// `secret_unreadable` when a stored token was sealed under another master key; database failures.
pub(crate) async fn sync(
    tx: &Tx,
    secrets: &SecretBox,
    workflow_id: Uuid,
    wanted: &[HookNode],
    responds: bool,
) -> Result<Vec<AppliedHook>> {
    let rows = active(tx, workflow_id).await?;
    for row in rows
        .iter()
        .filter(|row| !wanted.iter().any(|node| node.node == row.node))
    {
        close(tx, row).await?;
    }
    let mut hooks = Vec::with_capacity(wanted.len());
    for node in wanted {
        hooks.push(match rows.iter().find(|row| row.node == node.node) {
            Some(row) => keep(tx, secrets, row, node, responds).await?,
            None => make(tx, secrets, workflow_id, node, responds).await?,
        });
    }
    Ok(hooks)
}

async fn active(tx: &Tx, workflow_id: Uuid) -> Result<Vec<hook::Model>> {
    let query = tx
        .find::<hook::Entity>()
        .filter(hook::Column::WorkflowId.eq(workflow_id));
    query.filter(hook::Column::Active.eq(true)).rows(tx).await
}

async fn make(
    tx: &Tx,
    secrets: &SecretBox,
    workflow_id: Uuid,
    node: &HookNode,
    responds: bool,
) -> Result<AppliedHook> {
    let tenant = tx.ctx().tenant();
    let token = secret::new_token()?;
    let shown = secret::new_secret(node.scheme)?;
    let sealed = shown
        .as_ref()
        .map(|text| secret::seal_secret(secrets, tenant, text))
        .transpose()?;
    let id = new_id();
    tx.insert::<hook::Entity>(hook::Model {
        tenant_id: tenant.0,
        id,
        workflow_id,
        node: node.node.clone(),
        token_hash: secret::hash(&token).to_vec(),
        token_sealed: secret::seal_token(secrets, tenant, &token)?,
        scheme: node.scheme.as_str().to_owned(),
        secret_sealed: sealed,
        previous_sealed: None,
        previous_until: None,
        dedupe_hours: node.dedupe_hours,
        responds,
        active: true,
        created_at: tx.ctx().clock().now(),
    })
    .await?;
    let told = HookCreated {
        workflow_id,
        node: node.node.clone(),
        scheme: node.scheme.as_str().to_owned(),
    };
    tx.emit(NewEvent::new("hook", id, &told));
    Ok(AppliedHook {
        id,
        node: node.node.clone(),
        url_path: secret::url_path(&token),
        scheme: node.scheme,
        secret: told_once(tx, shown.as_deref().map(String::as_str)),
    })
}

/// A hook whose trigger is still there, with what the trigger says now.
async fn keep(
    tx: &Tx,
    secrets: &SecretBox,
    row: &hook::Model,
    node: &HookNode,
    responds: bool,
) -> Result<AppliedHook> {
    use hook::Column;
    let token = secret::open_token(secrets, tx.ctx().tenant(), &row.token_sealed)?;
    let mut shown = None;
    if scheme_of(&row.scheme) != node.scheme {
        // A secret of another form proves nothing here, so there is no time of two secrets.
        shown = secret::new_secret(node.scheme)?;
        let sealed = shown
            .as_ref()
            .map(|text| secret::seal_secret(secrets, tx.ctx().tenant(), text))
            .transpose()?;
        replace_secret(tx, row.id, node.scheme, sealed, None).await?;
        tell_rotated(tx, row);
    }
    if row.dedupe_hours != node.dedupe_hours || row.responds != responds {
        let update = tx
            .update::<hook::Entity>()
            .col_expr(Column::DedupeHours, Expr::val(node.dedupe_hours))
            .col_expr(Column::Responds, Expr::val(responds))
            .filter(Column::Id.eq(row.id));
        tx.run_update(update).await?;
    }
    Ok(AppliedHook {
        id: row.id,
        node: row.node.clone(),
        url_path: secret::url_path(&token),
        scheme: node.scheme,
        secret: told_once(tx, shown.as_deref().map(String::as_str)),
    })
}

/// The secret as the answer tells it. Not to a step of a run, for runs keep what their steps answer: who applies a workflow
/// by an agent or by another workflow asks for a new secret afterwards.
fn told_once(tx: &Tx, shown: Option<&str>) -> Option<String> {
    let in_run = tx.ctx().origin().run.is_some();
    shown.filter(|_| !in_run).map(str::to_owned)
}

async fn replace_secret(
    tx: &Tx,
    id: Uuid,
    scheme: Scheme,
    sealed: Option<String>,
    previous: Option<(String, DateTime<Utc>)>,
) -> Result<()> {
    use hook::Column;
    let (previous, until) = previous.unzip();
    let update = tx
        .update::<hook::Entity>()
        .col_expr(Column::Scheme, Expr::val(scheme.as_str()))
        .col_expr(Column::SecretSealed, Expr::val(sealed))
        .col_expr(Column::PreviousSealed, Expr::val(previous))
        .col_expr(Column::PreviousUntil, Expr::val(until))
        .filter(Column::Id.eq(id));
    tx.run_update(update).await.map(|_| ())
}

fn tell_rotated(tx: &Tx, row: &hook::Model) {
    let told = HookSecretRotated {
        workflow_id: row.workflow_id,
        node: row.node.clone(),
    };
    tx.emit(NewEvent::new("hook", row.id, &told));
}

async fn close(tx: &Tx, row: &hook::Model) -> Result<()> {
    let update = tx
        .update::<hook::Entity>()
        .col_expr(hook::Column::Active, Expr::val(false));
    tx.run_update(update.filter(hook::Column::Id.eq(row.id))).await?;
    let told = HookClosed {
        workflow_id: row.workflow_id,
        node: row.node.clone(),
    };
    tx.emit(NewEvent::new("hook", row.id, &told));
    Ok(())
}

/// Closes every hook of a workflow.
///
/// # Errors
/// When the database fails.
pub(crate) async fn close_all(tx: &Tx, workflow_id: Uuid) -> Result<()> {
    for row in active(tx, workflow_id).await? {
        close(tx, &row).await?;
    }
    Ok(())
}

/// A secret that was just replaced.
pub(crate) struct Rotated {
    pub secret: String,
    pub previous_until: DateTime<Utc>,
}

/// Gives a hook another secret; the one before opens it for [`PREVIOUS_HOURS`] more, so that the provider can be told in
/// peace. An even older one stops at once.
///
/// # Errors
/// `not_found`; `hook_without_secret` for a hook whose scheme has none.
pub(crate) async fn rotate(tx: &Tx, secrets: &SecretBox, id: Uuid) -> Result<Rotated> {
    let query = tx
        .find::<hook::Entity>()
        .filter(hook::Column::Id.eq(id))
        .filter(hook::Column::Active.eq(true));
    let row = query.row(tx).await?.ok_or_else(|| Error::not_found("hook"))?;
    let scheme = scheme_of(&row.scheme);
    let (Some(old), Some(new)) = (row.secret_sealed.clone(), secret::new_secret(scheme)?) else {
        let message = "This hook's scheme has no secret; its URL is all there is.";
        return Err(Error::conflict("hook_without_secret", message));
    };
    let sealed = secret::seal_secret(secrets, tx.ctx().tenant(), &new)?;
    let until = tx.ctx().clock().now() + Duration::hours(PREVIOUS_HOURS);
    replace_secret(tx, id, scheme, Some(sealed), Some((old, until))).await?;
    tell_rotated(tx, &row);
    Ok(Rotated {
        secret: new.to_string(),
        previous_until: until,
    })
}
