//! The single door: permission, limit, validation, idempotency, the handler's transaction, metrics and the count of
//! denied tries, each written here once.

use crate::denied::Denied;
use crate::idempotency;
use crate::json_guard::check_value;
use crate::limits::{Limits, Rates};
use crate::operation::Operation;
use crate::outcome::{Answer, Applied, Envelope, Sink};
use crate::prepared::{Bound, ExternalCx, Prepare, Prepared};
use crate::registry::Registry;
use crate::tools::Tools;
use async_trait::async_trait;
use futures::future::BoxFuture;
use metrics::{counter, histogram};
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use synapscale_core::{Ctx, Effect, Error, ErrorKind, Result};
use synapscale_store::{Store, Tx};
use tracing::{Instrument, Span};

/// Most events of denied tries in one commit.
const FLUSH_EVENTS: usize = 500;
/// Longest part of an unknown name that is repeated, in characters.
const MAX_ECHO: usize = 64;

/// What can be set of the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateConfig {
    /// How often one caller may call.
    pub rates: Rates,
}

/// Runs external operations: the engine makes each a run of one node, whose start is committed first. Registered with
/// [`Gate::set_external`]; it calls [`Gate::perform`] in turn.
#[async_trait]
pub trait ExternalRunner: Send + Sync {
    /// Runs `prepared` to its end.
    ///
    /// # Errors
    /// The operation's, or the runner's own.
    async fn run_external(&self, ctx: &Ctx, prepared: Prepared) -> Result<Answer>;
}

/// The door to all operations. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    registry: Arc<Registry>,
    store: Store,
    limits: Limits,
    denied: Denied,
    external: RwLock<Option<Arc<dyn ExternalRunner>>>,
}

impl Gate {
    /// A gate to the operations of `registry` over `store`.
    pub fn new(registry: Arc<Registry>, store: Store, config: GateConfig) -> Self {
        Gate(Arc::new(Inner {
            registry,
            store,
            limits: Limits::new(&config.rates),
            denied: Denied::default(),
            external: RwLock::new(None),
        }))
    }

    /// The operations.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// The operations and the tools of the sources beside them, by name.
    pub fn tools(&self) -> Tools {
        Tools::new(self.0.registry.clone(), self.0.store.clone())
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Sets who runs external operations; the last one set counts.
    pub fn set_external(&self, runner: Arc<dyn ExternalRunner>) {
        *self.0.external.write().unwrap_or_else(PoisonError::into_inner) = Some(runner);
    }

    /// Calls an operation and waits for its answer.
    ///
    /// # Errors
    /// Why it was not done. What a handler wrote before it refused stays; what it wrote before it failed does not.
    pub async fn call(
        &self,
        ctx: &Ctx,
        name: &str,
        input: Value,
        envelope: Envelope,
        sink: Sink,
    ) -> Result<Answer> {
        let operation = self.find(name)?;
        let span = span(ctx, &operation, "call");
        let work = async {
            let started = Instant::now();
            let answer = within(ctx, self.run(ctx, &operation, input, envelope, sink)).await;
            // An external one is measured where it is performed.
            if operation.effect() != Effect::External {
                measure(&operation, started, answer.as_ref().err());
            }
            log_fault(answer.as_ref().err());
            answer
        };
        work.instrument(span).await
    }

    /// The first half of a call: permission, limit, validation and slow work. May read, writes nothing.
    ///
    /// # Errors
    /// Why the call is not admitted.
    pub async fn prepare(&self, ctx: &Ctx, name: &str, input: Value, envelope: Envelope) -> Result<Prepared> {
        self.prepare_streaming(ctx, name, input, envelope, Sink::none())
            .await
    }

    /// As [`Gate::prepare`], with somebody who listens to the chunks of a streaming operation.
    ///
    /// # Errors
    /// Why the call is not admitted.
    pub async fn prepare_streaming(
        &self,
        ctx: &Ctx,
        name: &str,
        input: Value,
        envelope: Envelope,
        sink: Sink,
    ) -> Result<Prepared> {
        let operation = self.find(name)?;
        let span = span(ctx, &operation, "prepare");
        let work = async {
            let prepared = within(ctx, self.ready(ctx, &operation, input, envelope, sink)).await;
            log_fault(prepared.as_ref().err());
            prepared
        };
        work.instrument(span).await
    }

    /// The second half of a call, inside of the caller's transaction: idempotency row, handler and events become part of
    /// it. A refusal is in [`Applied::outcome`], and what it wrote is to be committed. For read and write operations.
    ///
    /// # Errors
    /// The handler's failure: the caller undoes the transaction, or the savepoint that it set before. Also for a
    /// transaction of another tenant or another privilege than the call was prepared for.
    pub async fn apply(&self, tx: &Tx, prepared: &Prepared) -> Result<Applied> {
        let work = async {
            let started = Instant::now();
            let applied = self.effect(tx, prepared).await;
            let error = match &applied {
                Ok(applied) => applied.outcome.as_ref().err(),
                Err(error) => Some(error),
            };
            measure(&prepared.operation, started, error);
            log_fault(error);
            applied
        };
        work.instrument(span(&prepared.ctx, &prepared.operation, "apply"))
            .await
    }

    /// The second half of an external call. The runner commits its start first and passes the same `idempotency_key`
    /// with every try.
    ///
    /// # Errors
    /// The handler's.
    pub async fn perform(&self, prepared: &Prepared, idempotency_key: String) -> Result<Answer> {
        let Bound::External(run) = &prepared.bound else {
            return Err(Error::internal(format!(
                "`{}` is not external",
                prepared.operation.name()
            )));
        };
        let cx = ExternalCx {
            ctx: prepared.ctx.clone(),
            store: self.0.store.clone(),
            idempotency_key,
            sink: prepared.sink.clone(),
        };
        let work = async {
            let started = Instant::now();
            let output = within(&prepared.ctx, run(cx)).await;
            measure(&prepared.operation, started, output.as_ref().err());
            log_fault(output.as_ref().err());
            output.map(Answer::new)
        };
        work.instrument(span(&prepared.ctx, &prepared.operation, "perform"))
            .await
    }

    /// Tells of the denied tries counted since the last time, as events of each tenant; says how many events. Called by
    /// a periodic task and before the end.
    ///
    /// # Errors
    /// When the database fails; what could not be told is counted again.
    pub async fn flush_denied(&self) -> Result<usize> {
        let store = &self.0.store;
        let system = Ctx::system(store.clock().clone());
        let (mut told, mut failure) = (0, None);
        for (tenant, counted) in self.0.denied.take(store.clock().now()) {
            let ctx = system.system_in(tenant);
            for part in counted.chunks(FLUSH_EVENTS) {
                let events: Arc<Vec<_>> =
                    Arc::new(part.iter().map(|(key, count)| key.event(*count)).collect());
                let written = store.write(&ctx, |tx| {
                    let events = events.clone();
                    async move {
                        events.iter().for_each(|event| tx.emit(event.clone()));
                        Ok(())
                    }
                });
                match written.await {
                    Ok(()) => told += part.len(),
                    Err(error) => {
                        self.0.denied.put_back(tenant, part);
                        failure = Some(error);
                    }
                }
            }
        }
        failure.map_or(Ok(told), Err)
    }

    fn find(&self, name: &str) -> Result<Operation> {
        self.0.registry.get(name).cloned().ok_or_else(|| {
            let hint = self
                .0
                .registry
                .nearest(name)
                .map(|near| format!(" Did you mean `{near}`?"));
            let name: String = name.chars().take(MAX_ECHO).collect();
            let message = format!("There is no operation `{name}`.{}", hint.unwrap_or_default());
            Error::new(ErrorKind::NotFound, "not_found", message)
        })
    }

    async fn run(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        input: Value,
        envelope: Envelope,
        sink: Sink,
    ) -> Result<Answer> {
        let prepared = self.ready(ctx, operation, input, envelope, sink).await?;
        let ctx = prepared.ctx.clone();
        match operation.effect() {
            Effect::Read if operation.reads_once() => self
                .0
                .store
                .read_one(&ctx, self.joined(prepared))
                .await?
                .into_answer(),
            Effect::Read => self
                .0
                .store
                .read(&ctx, self.joined(prepared))
                .await?
                .into_answer(),
            Effect::Write => self
                .0
                .store
                .write(&ctx, self.joined(prepared))
                .await?
                .into_answer(),
            Effect::External => self.runner()?.run_external(&ctx, prepared).await,
        }
    }

    /// The effect of `prepared` as work for a transaction of its own.
    fn joined(&self, prepared: Prepared) -> impl Fn(Tx) -> BoxFuture<'static, Result<Applied>> + Send + Sync {
        let gate = self.clone();
        move |tx: Tx| -> BoxFuture<'static, Result<Applied>> {
            let (gate, prepared) = (gate.clone(), prepared.clone());
            Box::pin(async move { gate.effect(&tx, &prepared).await })
        }
    }

    async fn effect(&self, tx: &Tx, prepared: &Prepared) -> Result<Applied> {
        let Bound::Tx(run) = &prepared.bound else {
            let text = format!(
                "`{}` is external and joins no transaction",
                prepared.operation.name()
            );
            return Err(Error::internal(text));
        };
        // The events are told of whoever the call was prepared for, whoever opened the transaction.
        let tx = tx.acting_as(&prepared.ctx)?;
        match &prepared.keyed {
            None => run(tx).await.map(Applied::fresh),
            Some(keyed) => {
                let secrets = self.0.store.secrets();
                idempotency::once(&tx, secrets, prepared.operation.name(), keyed, run).await
            }
        }
    }

    async fn ready(
        &self,
        ctx: &Ctx,
        operation: &Operation,
        input: Value,
        envelope: Envelope,
        sink: Sink,
    ) -> Result<Prepared> {
        self.admit(ctx, operation)?;
        check_value(&input)?;
        if envelope.expected_revision.is_some() && !operation.takes_expected_revision() {
            // Ignoring it would overwrite what the caller wanted to protect.
            let message = "This operation does not compare revisions. Leave the expected revision out.";
            return Err(Error::new(
                ErrorKind::Invalid,
                "expected_revision_unsupported",
                message,
            ));
        }
        operation.validate(&input)?;
        let ctx = match operation.is_elevated() {
            true => ctx.elevated(),
            false => ctx.clone(),
        };
        let keyed = idempotency::keyed(&ctx, operation, &envelope, &input)?;
        let input = Arc::new(input);
        let cx = Prepare {
            ctx: ctx.clone(),
            store: self.0.store.clone(),
            registry: self.0.registry.clone(),
        };
        let bound = (operation.0.bind)(cx, input.clone(), envelope.clone()).await?;
        Ok(Prepared {
            operation: operation.clone(),
            ctx,
            input,
            envelope,
            sink,
            bound,
            keyed,
        })
    }

    /// Permission, then limit; a denied try is counted.
    fn admit(&self, ctx: &Ctx, operation: &Operation) -> Result<()> {
        let permitted = match operation.permission() {
            _ if operation.is_public() => Ok(()),
            Some(permission) => ctx.require(permission),
            None => Err(Error::internal("an operation without a permission is not public")),
        };
        permitted
            .and_then(|()| self.0.limits.check(ctx, operation.rate_class()))
            .inspect_err(|error| {
                let code = match error.kind() {
                    ErrorKind::RateLimited => "rate_limited",
                    ErrorKind::Unauthenticated => "unauthenticated",
                    _ => "forbidden",
                };
                counter!("synapscale_operation_denied_total", "operation" => operation.name(), "code" => code)
                .increment(1);
                self.0.denied.count(ctx, operation.name(), code);
            })
    }

    fn runner(&self) -> Result<Arc<dyn ExternalRunner>> {
        let runner = self
            .0
            .external
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        runner.ok_or_else(|| {
            Error::unavailable(
                "no_engine",
                "Nothing here runs operations that reach outside. Try again later.",
            )
        })
    }
}

/// Holds `work` to the time that the call has.
async fn within<T>(ctx: &Ctx, work: impl Future<Output = Result<T>>) -> Result<T> {
    match ctx.time_left()? {
        None => work.await,
        Some(left) => tokio::time::timeout(left, work)
            .await
            .unwrap_or_else(|_| Err(Error::deadline_exceeded())),
    }
}

/// The log's span and, where traces are exported, theirs: `part` says which of the gate's doors it is.
fn span(ctx: &Ctx, operation: &Operation, part: &'static str) -> Span {
    tracing::info_span!(
        "operation",
        operation = operation.name(),
        part,
        request_id = %ctx.request_id(),
        tenant = %ctx.tenant(),
        actor_kind = ctx.actor().kind.as_str(),
        actor = %ctx.actor().id,
        on_behalf_of = ctx.principal().map(|principal| tracing::field::display(principal.id)),
        "error.type" = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
    )
}

/// How a call ended, in figures and traces.
fn outcome(error: Option<&Error>) -> &'static str {
    match error.map(Error::kind) {
        None => "done",
        Some(
            ErrorKind::Internal
            | ErrorKind::Upstream
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Cancelled,
        ) => "failed",
        Some(_) => "refused",
    }
}

fn measure(operation: &Operation, started: Instant, error: Option<&Error>) {
    let outcome = outcome(error);
    histogram!("synapscale_operation_seconds", "operation" => operation.name(), "outcome" => outcome)
        .record(started.elapsed().as_secs_f64());
}

/// Faults of ours go to the log with what lies underneath; the caller does not see that. The call's span is told the code
/// of every error, and that it failed unless the caller was merely refused.
fn log_fault(error: Option<&Error>) {
    if let Some(error) = error {
        let span = Span::current();
        span.record("error.type", error.code());
        if outcome(Some(error)) == "failed" {
            span.record("otel.status_code", "ERROR");
        }
    }
    if let Some(error) = error.filter(|error| error.kind() == ErrorKind::Internal) {
        tracing::error!(
            code = error.code(),
            source = error.source_text().unwrap_or_default(),
            "operation failed"
        );
    }
}
