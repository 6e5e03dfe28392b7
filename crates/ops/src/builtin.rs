//! The module `ops`: the registry as an operation, and the tables of the gate.

use crate::denied::AccessDenied;
use crate::idempotency;
use crate::module::Module;
use crate::operation::{Operation, RateClass};
use crate::outcome::Outcome;
use crate::output::NoInput;
use crate::prepared::ExternalCx;
use crate::registry::Registry;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use synapscale_core::{Effect, Error};
use synapscale_store::Tx;
use synapscale_store::events::{DeadLetterAdded, DeadLetterDropped, DeadLetterReplayed, EventsArchived};

/// Most time of one turn of the database's upkeep.
const UPKEEP: Duration = Duration::from_secs(15);

/// The module `ops`.
pub fn module() -> Module {
    Module::new("ops")
        .operation(list())
        .operations(crate::log::operations())
        .operations(crate::consumers::operations())
        .operation(purge())
        .operation(upkeep())
        .event::<AccessDenied>()
        .event::<crate::log::DatabaseChanged>()
        .event::<DeadLetterAdded>()
        .event::<DeadLetterReplayed>()
        .event::<DeadLetterDropped>()
        .event::<EventsArchived>()
        .migrations(idempotency::migrations())
        .entities(idempotency::entities())
        .faces(crate::own_faces::faces())
}

/// How many stored answers were removed.
#[derive(Debug, Serialize, JsonSchema)]
struct PurgedAnswers {
    removed: u64,
}

/// The product's own job: stored answers of all tenants leave when their time is over.
fn purge() -> Operation {
    Operation::write("ops.purge_answers", "Forget old answers")
        .about("Removes the stored answers of idempotent calls that are past their time: a day.")
        .permission("ops:purge")
        .internal()
        .elevated()
        .handle(|tx: Tx, _: Arc<NoInput>| async move {
            let removed = idempotency::purge(&tx, tx.ctx().clock().now()).await?;
            Ok(Outcome::Done(PurgedAnswers { removed }))
        })
}

/// What the database gave back.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct GivenBack {
    /// Pages of SQLite's file; none on PostgreSQL.
    pages: u64,
}

/// The product's own job: SQLite's file becomes smaller when much has left it.
fn upkeep() -> Operation {
    Operation::external("database.upkeep", "Keep the database small")
        .about("Gives empty pages of SQLite's file back, a few at a time. PostgreSQL does so by itself.")
        .permission("ops:purge")
        .internal()
        .handle_external(|cx: ExternalCx, _: Arc<NoInput>| async move {
            let pages = cx.store.give_pages_back(UPKEEP).await?;
            Ok::<_, Error>(GivenBack { pages })
        })
}

/// The input of `ops.list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListOperations {
    /// Whether to add the schema of each input.
    #[serde(default)]
    pub schemas: bool,
}

/// The output of `ops.list`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperationList {
    /// The operations, module by module.
    pub operations: Vec<OperationInfo>,
}

/// One operation as others see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OperationInfo {
    /// Its name.
    pub name: &'static str,
    /// Its name where dots are refused.
    pub wire_name: String,
    /// A few words for people.
    pub title: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// Whether it takes away something that does not come back by itself.
    pub destructive: bool,
    /// The permission it asks for; null when anybody may call it.
    pub permission: Option<&'static str>,
    /// How often one caller may call it.
    pub rate: RateClass,
    /// Whether it holds to an expected revision.
    pub takes_expected_revision: bool,
    /// Method and path below `/api/v1`; null when REST does not serve it.
    pub rest: Option<RestInfo>,
    /// JSON Schema 2020-12 of the input, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
}

/// Where REST serves an operation.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RestInfo {
    /// The HTTP method.
    pub method: String,
    /// The path below `/api/v1`.
    pub path: String,
}

impl OperationInfo {
    /// What is told of `operation`, with the schema of its input if `schemas`.
    pub fn of(operation: &Operation, schemas: bool) -> Self {
        OperationInfo {
            name: operation.name(),
            wire_name: operation.wire_name().to_owned(),
            title: operation.title(),
            about: operation.about(),
            effect: operation.effect(),
            destructive: operation.is_destructive(),
            permission: operation.permission(),
            rate: operation.rate_class(),
            takes_expected_revision: operation.takes_expected_revision(),
            rest: operation.rest().map(|(method, path)| RestInfo {
                method: method.to_string(),
                path: path.to_owned(),
            }),
            input_schema: schemas.then(|| Value::clone(operation.input_schema())),
        }
    }
}

fn list() -> Operation {
    Operation::read("ops.list", "List operations")
        .about("Lists what can be done here: every operation with its permission, its effect and, if asked for, the \
             schema of its input.")
        .permission("ops:read")
        .rest(Method::GET, "/ops")
        .rate(RateClass::Light)
        .handle_registry(|registry: &Registry, input: &ListOperations| OperationList {
            operations: registry.listed().map(|operation| OperationInfo::of(operation, input.schemas)).collect(),
        })
}
