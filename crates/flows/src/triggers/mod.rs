//! What starts runs by itself: schedules, and events of the log. The rows follow the triggers of the current version; the
//! firing is a look at what is due, by as many processes as like, of which one wins.

mod events;
mod manage;
pub(crate) mod ops;
mod schedules;
mod view;

pub(crate) use manage::{close_all, sync};
pub(crate) use view::{EventTriggerView, ScheduleView};

use crate::Flows;
use crate::entity::workflow;
use crate::service;
use crate::view::WorkflowStatus;
use serde_json::Value;
use synapscale_core::{Actor, Error, ErrorKind, Result};
use synapscale_engine::{Engine, NewRun, WorkflowRef};
use synapscale_store::orm::{ColumnTrait, QueryFilter};
use synapscale_store::{Scoped, Tx};
use uuid::Uuid;

impl Flows {
    /// Starts the runs of schedules whose turn has come and of events that triggers wait for; how many. To be called every
    /// second or so, by each process or by one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fire(&self) -> Result<usize> {
        let engine = self.engine()?;
        // Boxed: they hold a run's first burst, and the future around them is a caller's.
        let timed = Box::pin(schedules::fire(self, engine)).await?;
        let told = Box::pin(events::fire(self, engine)).await?;
        Ok(timed + told)
    }
}

/// A workflow that takes runs, and as whom; none when it is paused, deleted or was never published.
async fn ready(tx: &Tx, workflow_id: Uuid) -> Result<Option<(workflow::Model, Uuid, Actor)>> {
    let row = tx
        .find_live::<workflow::Entity>()
        .filter(workflow::Column::Id.eq(workflow_id))
        .filter(workflow::Column::Status.eq(WorkflowStatus::Active.as_str()))
        .row(tx)
        .await?;
    Ok(row.and_then(|row| {
        let (graph_id, publisher) = row.graph_id.zip(service::publisher(&row))?;
        Some((row, graph_id, publisher))
    }))
}

/// What a trigger starts.
struct Firing<'a> {
    run_id: Uuid,
    node: &'a str,
    input: Value,
    correlation: Option<Uuid>,
    cause: Option<Uuid>,
}

/// Starts a run so that its failure undoes only itself. None when it was started before.
///
/// # Errors
/// Why it could not be started; transient ones are the caller's to pass on.
async fn start(
    engine: &Engine,
    tx: &Tx,
    workflow: &(workflow::Model, Uuid, Actor),
    firing: Firing<'_>,
) -> Result<Option<Uuid>> {
    let (row, graph_id, publisher) = workflow;
    let new = NewRun {
        id: Some(firing.run_id),
        graph_id: *graph_id,
        trigger: firing.node.to_owned(),
        input: firing.input,
        workflow: Some(WorkflowRef {
            id: row.id,
            version: row.version,
            name: row.name.clone(),
        }),
        principal: *publisher,
        on_behalf_of: None,
        priority: 0,
        correlation: firing.correlation,
        private_to: None,
        parent: None,
        cause: firing.cause,
    };
    let begin = |tx: Tx| Box::pin(async move { engine.start_later(&tx, new).await });
    let started = tx.savepoint(begin).await;
    match started {
        Ok(started) => Ok(Some(started.run_id)),
        Err(error) if error.code() == "already_exists" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the same may work at the next look, so that the trigger stays where it is: a database that is away, or a workspace
/// with as many runs queued as it may have.
fn comes_again(error: &Error) -> bool {
    error.is_transient() || error.kind() == ErrorKind::RateLimited
}

/// Somebody else moved the row on in this moment: nothing of this firing is to stay.
fn overtaken() -> Error {
    Error::conflict("trigger_overtaken", "Another process fired this trigger.")
}
