//! `hooks.*`: the URLs of webhook triggers and their secrets.

use crate::entity::{delivery, hook};
use crate::file::MAX_DEDUPE_HOURS;
use crate::hooks::{deliver, manage, secret};
use crate::view::HookView;
use crate::{Flows, service};
use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Method, NoInput, Operation, Page, page};
use synapscale_store::orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use synapscale_store::{Scoped, SecretBox, Tx};
use uuid::Uuid;

pub(super) fn all(flows: &Flows) -> Vec<Operation> {
    vec![
        list(flows.clone()),
        rotate_secret(flows.clone()),
        prune(),
        deliver::operation(flows.clone()),
    ]
}

/// Which hooks to list.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListHooks {
    /// Only hooks of the workflow of this name.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub workflow: Option<String>,
    /// Also those that take no deliveries any more.
    #[serde(default)]
    pub closed: bool,
    /// Most items to return; 50 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    #[schemars(length(max = 1024))]
    pub cursor: Option<String>,
}

fn list(flows: Flows) -> Operation {
    Operation::read("hooks.list", "List hooks")
        .about("Lists the URLs of webhook triggers, oldest first. The path is shown to who may manage hooks; secrets never.")
        .permission("hooks:read")
        .rest(Method::GET, "/hooks")
        .handle(move |tx: Tx, input: Arc<ListHooks>| {
            let flows = flows.clone();
            async move { listed(&flows, &tx, &input).await }
        })
}

async fn listed(flows: &Flows, tx: &Tx, input: &ListHooks) -> Result<Page<HookView>> {
    let limit = page::limit(input.limit);
    let mut query = tx.find::<hook::Entity>();
    if let Some(name) = &input.workflow {
        let workflow = service::by_name(tx, name).await?;
        query = query.filter(hook::Column::WorkflowId.eq(workflow.id));
    }
    if !input.closed {
        query = query.filter(hook::Column::Active.eq(true));
    }
    if let Some(after) = page::decode_opt::<Uuid>(input.cursor.as_deref())? {
        query = query.filter(hook::Column::Id.gt(after));
    }
    let rows = query
        .order_by_asc(hook::Column::Id)
        .limit(limit + 1)
        .rows(tx)
        .await?;
    let page = Page::cut(rows, limit, |row| row.id)?;
    let secrets = flows.secrets()?;
    let shown = tx.ctx().grants().allows("hooks:manage");
    let view = |row: hook::Model| -> Result<HookView> {
        let path = if shown && row.active {
            Some(path_of(secrets, tx, &row)?)
        } else {
            None
        };
        Ok(HookView::of(row, path))
    };
    let items = page.items.into_iter().map(view).collect::<Result<_>>()?;
    Ok(Page {
        items,
        next_cursor: page.next_cursor,
    })
}

fn path_of(secrets: &SecretBox, tx: &Tx, row: &hook::Model) -> Result<String> {
    let token = secret::open_token(secrets, tx.ctx().tenant(), &row.token_sealed)?;
    Ok(secret::url_path(&token))
}

/// Whose secret to replace.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// The hook's id.
    pub hook_id: Uuid,
}

/// The new secret.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RotatedSecret {
    /// The hook's id.
    pub hook_id: Uuid,
    /// The secret to enter at the provider. Told once.
    pub secret: String,
    /// Until when the secret before this one still opens the hook.
    pub previous_until: DateTime<Utc>,
}

fn rotate_secret(flows: Flows) -> Operation {
    Operation::write("hooks.rotate_secret", "Replace a hook's secret")
        .about("Gives a hook another secret and tells it once. The secret before it opens the hook for 24 hours more.")
        .permission("hooks:manage")
        .secret()
        .rest(Method::POST, "/hooks/{hook_id}/rotate-secret")
        .handle(move |tx: Tx, input: Arc<RotateSecret>| {
            let flows = flows.clone();
            async move {
                let rotated = manage::rotate(&tx, flows.secrets()?, input.hook_id).await?;
                service::forget_hooks(&tx, flows.hook_cache());
                let (secret, previous_until) = (rotated.secret, rotated.previous_until);
                Ok::<_, Error>(Done(RotatedSecret { hook_id: input.hook_id, secret, previous_until }))
            }
        })
}

/// How much was removed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PrunedDeliveries {
    /// Keys that no hook needs any more.
    pub removed: u64,
}

fn prune() -> Operation {
    Operation::write("hooks.prune", "Forget old deliveries")
        .about("Removes the keys of deliveries that are older than any hook recognises repetitions for: 30 days.")
        .permission("hooks:manage")
        .internal()
        .elevated()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let before = tx.ctx().clock().now() - Duration::hours(MAX_DEDUPE_HOURS);
            let old = tx
                .delete_as_system::<delivery::Entity>()?
                .filter(delivery::Column::At.lt(before));
            let removed = tx.run_delete(old).await?;
            Ok::<_, Error>(Done(PrunedDeliveries { removed }))
        })
}
