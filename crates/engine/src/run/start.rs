//! Accepting a run: inserted, leased and run as far as one transaction goes, all in the caller's own.

use crate::engine::{Engine, RUNS};
use crate::run::events::RunStarted;
use crate::run::model::{NewRun, RunStatus, Started};
use crate::run::state::{Row, RunHead, RunState};
use crate::run::{burst, drive, journal, nested, persist, spans};
use serde_json::Value;
use std::sync::Arc;
use synapscale_core::{Channel, Error, NewEvent, Result, new_id};
use synapscale_store::Tx;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

/// The largest input of a run, in bytes of JSON.
const MAX_INPUT: usize = 1024 * 1024;

impl Engine {
    /// Starts a run in the caller's transaction; it goes on after the commit, here or on another worker.
    ///
    /// # Errors
    /// `not_found` for the graph or the trigger, `invalid` for an input that breaks the graph's schema, `too_large`.
    pub async fn start(&self, tx: &Tx, new: NewRun) -> Result<Started> {
        self.start_with(tx, new, Vec::new(), false).await
    }

    /// As [`Engine::start`], but nothing of the run happens in this transaction: whoever starts runs without waiting for them,
    /// perhaps many at once, does not hold up others; and what the run starts in its turn finds its row.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub async fn start_later(&self, tx: &Tx, new: NewRun) -> Result<Started> {
        self.start_with(tx, new, Vec::new(), true).await
    }

    /// As [`Engine::start`], with steps that are over already. One that is to begin later does nothing in this transaction,
    /// which starts many.
    pub(crate) async fn start_with(
        &self,
        tx: &Tx,
        new: NewRun,
        done: Vec<Row>,
        later: bool,
    ) -> Result<Started> {
        // A run that another waits for is counted with that one.
        if new.parent.is_none() {
            self.quota().enter(self, tx).await?;
        }
        let depth = nested::depth(tx, new.parent.as_ref(), new.cause).await?;
        if journal::is_larger(&new.input, MAX_INPUT) {
            return Err(Error::too_large("run's input", "1 MiB"));
        }
        let graph = self.graph(tx, new.graph_id).await?;
        graph.check_input(&new.input)?;
        let entry = graph
            .index(&new.trigger)
            .filter(|node| graph.is_trigger(*node))
            .ok_or_else(|| Error::not_found("trigger"))?;
        let id = new.id.unwrap_or_else(new_id);
        let head = RunHead {
            id,
            tenant: tx.ctx().tenant(),
            graph_id: new.graph_id,
            graph,
            entry,
            input: Arc::new(new.input),
            workflow: new.workflow,
            principal: new.principal,
            on_behalf_of: new.on_behalf_of,
            priority: new.priority,
            correlation: new.correlation.unwrap_or(id),
            // What a private run starts, by whatever operation, is as private as it is itself.
            private_to: new.private_to.or(tx.ctx().origin().private_to),
            parent: new.parent,
            depth,
            created_at: tx.ctx().clock().now(),
        };
        let ctx = self.run_ctx(&head).await?;
        let mut state = RunState::new(head);
        let now = tx.ctx().clock().now();
        for row in done {
            state.record(row.key, row.attempt, row.what, now);
        }
        tell_start(tx, &state);
        // A worker without room leaves the run to the queue, and with it every call to the outside. So does one that may have
        // only so many of a workspace at work, which are counted when they are claimed.
        let slot = self.slot().filter(|_| self.config().tenant_running == 0);
        // A step that starts a run does not run it inside of itself: a workflow that starts itself would never come back.
        // One that is limited is admitted first, in a transaction that nothing else holds up.
        let is_limited = state.head.graph.limits.is_some();
        if !later && !is_limited && tx.ctx().origin().channel != Channel::Run {
            let span = spans::burst(&state.head);
            let burst = burst::run(self, tx, &ctx, &mut state, slot.is_some()).instrument(span.clone());
            spans::seen(&span, burst.await)?;
        }
        let input = journal::stow(tx, &state.head.input).await?;
        self.keep_new(tx, &mut state, input, slot).await?;
        Ok(Started {
            run_id: id,
            status: state.status,
            response: state.response.clone(),
        })
    }

    async fn keep_new(
        &self,
        tx: &Tx,
        state: &mut RunState,
        input: Value,
        slot: Option<OwnedSemaphorePermit>,
    ) -> Result<()> {
        state.status = burst::status(state);
        let slot = slot.filter(|_| state.status == RunStatus::Running);
        let is_limited = state.head.graph.limits.is_some();
        if state.status == RunStatus::Running && (slot.is_none() || is_limited) {
            state.status = RunStatus::Queued;
        }
        persist::insert(self, tx, state, input, slot.is_some()).await?;
        if let Some(slot) = slot {
            let held = drive::Held {
                state: state.clone(),
                epoch: 1,
                crashes: 0,
                slot,
                awaits: is_limited,
                alive: None,
                cause: spans::cause(),
            };
            let engine = self.clone();
            tx.after_commit(move || engine.adopt(held));
        } else if !state.status.is_final() {
            tx.wake(RUNS);
        }
        if state.response.is_some() || state.status.is_final() {
            tx.wake(RUNS);
        }
        Ok(())
    }
}

fn tell_start(tx: &Tx, state: &RunState) {
    let head = &state.head;
    let started = RunStarted {
        workflow: head.workflow.as_ref().map(|w| w.name.clone()),
        version: head.workflow.as_ref().map(|w| w.version),
        trigger: head.graph.node(head.entry).id.clone(),
    };
    tx.emit(NewEvent::new("run", head.id, &started));
}
