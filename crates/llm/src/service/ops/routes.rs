//! `routes.*`: aliases of ordered deployments.

use crate::route::Strategy;
use crate::service::view::{Deleted, RouteDeployment, RouteView};
use crate::service::{Models, routes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_ops::Outcome::Done;
use synapscale_ops::{Envelope, Method, NoInput, Operation, Page, Patch};
use synapscale_store::Tx;
use uuid::Uuid;

pub(super) fn all(models: &Models) -> Vec<Operation> {
    vec![
        create(models.clone()),
        list(),
        get(),
        update(models.clone()),
        delete(models.clone()),
    ]
}

/// A new route.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRoute {
    /// The name that callers use; `default` is used by calls that name no model.
    #[schemars(length(min = 1, max = 64))]
    pub alias: String,
    /// Which deployment is tried first; `ordered` unless given.
    #[serde(default)]
    pub strategy: Strategy,
    /// Where calls go, in order.
    #[schemars(length(min = 1, max = 20))]
    pub deployments: Vec<RouteDeployment>,
    /// The time for a whole call, all attempts and pauses, in milliseconds; 15 minutes unless given.
    #[serde(default)]
    #[schemars(range(min = 1000, max = 3_600_000))]
    pub total_timeout_ms: Option<i64>,
}

fn create(models: Models) -> Operation {
    Operation::write("routes.create", "Add a route to models")
        .about("Gives ordered deployments (provider and model) an alias. When one fails before its first token, the next is tried.")
        .permission("models:write")
        .rest(Method::POST, "/models/routes")
        .revisioned()
        .handle(move |tx: Tx, input: Arc<CreateRoute>| {
            let models = models.clone();
            async move { routes::create(&models, &tx, &input).await.map(Done) }
        })
}

fn list() -> Operation {
    Operation::read("routes.list", "List routes to models")
        .about("Lists the workspace's routes to language models by alias.")
        .permission("models:read")
        .rest(Method::GET, "/models/routes")
        .one_statement()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let rows = routes::all(&tx).await?;
            let items = rows.iter().map(RouteView::try_from).collect::<Result<_>>()?;
            Ok(Page {
                items,
                next_cursor: None,
            })
        })
}

/// Which route.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OneRoute {
    /// The route's id.
    pub route_id: Uuid,
}

fn get() -> Operation {
    Operation::read("routes.get", "Show a route to models")
        .about("Shows one route: its alias, strategy and deployments.")
        .permission("models:read")
        .rest(Method::GET, "/models/routes/{route_id}")
        .one_statement()
        .revisioned()
        .handle(|tx: Tx, input: Arc<OneRoute>| async move {
            RouteView::try_from(&routes::find(&tx, input.route_id).await?)
        })
}

/// What to change; what is absent stays.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateRoute {
    /// The route's id.
    pub route_id: Uuid,
    /// The new alias.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(length(min = 1, max = 64))]
    pub alias: Patch<String>,
    /// Which deployment is tried first.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// The new deployments, all of them.
    #[serde(default)]
    #[schemars(length(min = 1, max = 20))]
    pub deployments: Option<Vec<RouteDeployment>>,
    /// The time for a whole call, in milliseconds; null for 15 minutes.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(range(min = 1000, max = 3_600_000))]
    pub total_timeout_ms: Patch<i64>,
}

fn update(models: Models) -> Operation {
    Operation::write("routes.update", "Change a route to models")
        .about("Changes alias, strategy, deployments or time of a route. Calls under way end as they began.")
        .permission("models:write")
        .rest(Method::PATCH, "/models/routes/{route_id}")
        .revisioned()
        .handle_with(move |tx: Tx, input: Arc<UpdateRoute>, envelope: Envelope| {
            let models = models.clone();
            async move {
                let expected = envelope.expected_revision;
                routes::update(&models, &tx, &input, expected).await.map(Done)
            }
        })
}

fn delete(models: Models) -> Operation {
    Operation::write("routes.delete", "Remove a route to models")
        .about("Removes a route for good. Callers of its alias are refused from then on; its usage stays on record.")
        .permission("models:write")
        .rest(Method::DELETE, "/models/routes/{route_id}")
        .destructive()
        .handle(move |tx: Tx, input: Arc<OneRoute>| {
            let models = models.clone();
            async move {
                routes::delete(&models, &tx, input.route_id).await?;
                Ok::<_, Error>(Done(Deleted { id: input.route_id }))
            }
        })
}
