//! The caller's workspace.

use crate::entity::workspace;
use crate::events::{WorkspaceCreated, WorkspaceUpdated};
use crate::model::{UpdateWorkspace, WorkspaceView};
use crate::rules;
use crate::standing::ACTIVE;
use crate::users::overtaken;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, QueryFilter};
use serde_json::json;
use synapscale_core::{Error, NewEvent, Result};
use synapscale_store::{Scoped, Tx};

/// Makes the workspace that the transaction's tenant names, with the seed's defaults.
///
/// # Errors
/// `already_exists` when it stands, or its slug.
pub async fn create(tx: &Tx, name: &str, slug: &str) -> Result<()> {
    let now = tx.ctx().clock().now();
    let id = tx.ctx().tenant().0;
    let row = workspace::Model {
        tenant_id: id,
        id,
        name: name.to_owned(),
        slug: slug.to_owned(),
        settings: json!({}),
        metadata: json!({}),
        status: ACTIVE.to_owned(),
        billing_plan: "free".to_owned(),
        usage_limits: json!({}),
        features_enabled: json!({}),
        created_at: now,
        updated_at: now,
        revision: 1,
    };
    tx.insert::<workspace::Entity>(row).await?;
    let event = WorkspaceCreated {
        name: name.to_owned(),
        slug: slug.to_owned(),
    };
    tx.emit(NewEvent::new("workspace", id, &event));
    Ok(())
}

/// The workspace.
///
/// # Errors
/// `not_found` for the system tenant, which is none.
pub async fn get(tx: &Tx) -> Result<WorkspaceView> {
    let row = tx.find::<workspace::Entity>().row(tx).await?;
    row.map(WorkspaceView::from)
        .ok_or_else(|| Error::not_found("workspace"))
}

/// Changes the workspace.
///
/// # Errors
/// `stale_revision`, or what is wrong with a field.
pub async fn update(tx: &Tx, input: &UpdateWorkspace, expected: Option<i64>) -> Result<WorkspaceView> {
    let before = get(tx).await?;
    rules::expect_revision("workspace", expected, before.revision)?;
    let mut after = before.clone();
    if let Some(name) = rules::required(&input.name, "/name")? {
        after.name = rules::name(name, 200, "/name")?;
    }
    rules::put_object(&input.settings, &mut after.settings, "/settings")?;
    rules::put_object(&input.metadata, &mut after.metadata, "/metadata")?;
    rules::put_object(
        &input.features_enabled,
        &mut after.features_enabled,
        "/features_enabled",
    )?;
    let changes = rules::changes(&before, &after)?;
    if changes.is_empty() {
        return Ok(before);
    }
    after.updated_at = tx.ctx().clock().now();
    after.revision += 1;
    let row = workspace::ActiveModel {
        name: Set(after.name.clone()),
        settings: Set(after.settings.clone()),
        metadata: Set(after.metadata.clone()),
        features_enabled: Set(after.features_enabled.clone()),
        updated_at: Set(after.updated_at),
        revision: Set(after.revision),
        ..Default::default()
    };
    let update = tx
        .update::<workspace::Entity>()
        .set(row)
        .filter(workspace::Column::Revision.eq(before.revision));
    if tx.run_update(update).await? == 0 {
        return Err(overtaken());
    }
    let event = WorkspaceUpdated {
        revision: after.revision,
    };
    tx.emit(NewEvent::new("workspace", after.id, &event).with_changes(changes));
    Ok(after)
}
