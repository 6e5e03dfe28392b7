//! The two halves of a call: an input that is checked and bound to its handler, and the handler's run.

use crate::idempotency::Keyed;
use crate::operation::Operation;
use crate::outcome::{Envelope, Outcome, Sink};
use crate::output::Output;
use crate::registry::Registry;
use futures::future::BoxFuture;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use synapscale_core::{Ctx, Result};
use synapscale_store::{Store, Tx};

/// What slow work before the transaction may use. It may read; it must not write.
#[derive(Clone)]
pub struct Prepare {
    /// For whom.
    pub ctx: Ctx,
    /// The database.
    pub store: Store,
    pub(crate) registry: Arc<Registry>,
}

/// What an external handler gets beside its input.
#[derive(Clone)]
pub struct ExternalCx {
    /// For whom.
    pub ctx: Ctx,
    /// The database, for what has to be read first and for its own result.
    pub store: Store,
    /// The same for every try of the same call: to be sent along, so that the other side does it once.
    pub idempotency_key: String,
    /// Where streamed chunks go.
    pub sink: Sink,
}

/// A handler with its input, waiting for a transaction. May be run more than once.
pub(crate) type TxRun = Arc<dyn Fn(Tx) -> BoxFuture<'static, Result<Outcome<Output>>> + Send + Sync>;
/// A handler with its input, waiting to reach out.
pub(crate) type ExternalRun = Arc<dyn Fn(ExternalCx) -> BoxFuture<'static, Result<Output>> + Send + Sync>;
/// Reads the input, does the slow work and gives the handler what it needs.
pub(crate) type Bind =
    Arc<dyn Fn(Prepare, Arc<Value>, Envelope) -> BoxFuture<'static, Result<Bound>> + Send + Sync>;

/// A handler bound to its input.
#[derive(Clone)]
pub(crate) enum Bound {
    Tx(TxRun),
    External(ExternalRun),
}

/// A call that was admitted and checked: what remains is its effect. Cheap to clone.
#[derive(Clone)]
pub struct Prepared {
    pub(crate) operation: Operation,
    pub(crate) ctx: Ctx,
    pub(crate) input: Arc<Value>,
    pub(crate) envelope: Envelope,
    pub(crate) sink: Sink,
    pub(crate) bound: Bound,
    pub(crate) keyed: Option<Keyed>,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The input may be secret.
        f.debug_tuple("Prepared").field(&self.operation.name()).finish()
    }
}

impl Prepared {
    /// What is called.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// For whom; elevated if the operation is.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The input as it came, checked.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// What goes along with the input.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Where streamed chunks go.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }
}
