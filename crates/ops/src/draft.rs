//! The typed builder of operations, and the erasure of their types.

use crate::operation::{Inner, Meta, Operation, RateClass};
use crate::outcome::{Envelope, Outcome};
use crate::output::{Output, RevisionOf, Revisioned};
use crate::prepared::{Bind, Bound, ExternalCx, Prepare, TxRun};
use crate::registry::{Registry, wire_name};
use crate::schema::{self, InputCheck};
use futures::future::BoxFuture;
use http::Method;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;
use std::sync::Arc;
use synapscale_core::{Error, Result};
use synapscale_store::Tx;

/// What an input is: a plain struct with `#[serde(deny_unknown_fields)]`.
pub trait Input: DeserializeOwned + JsonSchema + Send + Sync + 'static {}
impl<T: DeserializeOwned + JsonSchema + Send + Sync + 'static> Input for T {}

/// What an output is: a plain struct.
pub trait Reply: Serialize + JsonSchema + Send + Sync + 'static {}
impl<T: Serialize + JsonSchema + Send + Sync + 'static> Reply for T {}

/// Marks a draft of a read operation.
#[derive(Debug)]
pub struct ReadKind;
/// Marks a draft of a write operation.
#[derive(Debug)]
pub struct WriteKind;
/// Marks a draft of an external operation.
#[derive(Debug)]
pub struct ExternalKind;
/// Marks a draft whose output has no revision.
#[derive(Debug)]
pub struct Plain;
/// Marks a draft whose output has a revision.
#[derive(Debug)]
pub struct WithRevision;

impl<O> RevisionOf<O> for Plain {
    fn revision(_: &O) -> Option<i64> {
        None
    }
}

impl<O: Revisioned> RevisionOf<O> for WithRevision {
    fn revision(output: &O) -> Option<i64> {
        Some(output.revision())
    }
}

/// An operation without its handler. `K` is its effect, `R` whether its output has a revision.
#[must_use]
#[derive(Debug)]
pub struct Draft<K, R> {
    meta: Meta,
    marker: PhantomData<fn() -> (K, R)>,
}

impl<K, R> Draft<K, R> {
    pub(crate) fn new(meta: Meta) -> Self {
        Draft {
            meta,
            marker: PhantomData,
        }
    }

    /// What it does, in sentences that a model reads too.
    pub fn about(mut self, text: &'static str) -> Self {
        self.meta.about = text;
        self
    }

    /// The permission it asks for, `area:verb`.
    pub fn permission(mut self, permission: &'static str) -> Self {
        self.meta.permission = Some(permission);
        self
    }

    /// Serves it by REST at `path` below `/api/v1`; `{names}` in the path are fields of the input.
    pub fn rest(mut self, method: Method, path: &'static str) -> Self {
        self.meta.rest = Some((method, path));
        self
    }

    /// It takes away something that does not come back by itself.
    pub fn destructive(mut self) -> Self {
        self.meta.destructive = true;
        self
    }

    /// What goes in or comes out is a secret. Runs keep what their steps are given and answer, so no step of a workflow and
    /// no agent calls it.
    pub fn secret(mut self) -> Self {
        self.meta.secret = true;
        self
    }

    /// The read operation that, with the same input, shows what this one would do.
    pub fn previewed_by(mut self, name: &'static str) -> Self {
        self.meta.preview = Some(name);
        self
    }

    /// How often one caller may call it.
    pub fn rate(mut self, class: RateClass) -> Self {
        self.meta.rate = class;
        self
    }

    /// Anybody may call it, signed in or not.
    pub fn public(mut self) -> Self {
        self.meta.public = true;
        self
    }

    /// Only the product's own code calls it: no face lists or serves it. The permission is asked for all the same.
    pub fn internal(mut self) -> Self {
        self.meta.internal = true;
        self
    }

    /// Its transaction sees the rows of all tenants where a table allows that: sign-in and its like.
    pub fn elevated(mut self) -> Self {
        self.meta.elevated = true;
        self
    }

    /// Its output carries a revision, which REST serves as an ETag.
    pub fn revisioned(mut self) -> Draft<K, WithRevision> {
        self.meta.revisioned = true;
        Draft::new(self.meta)
    }
}

impl<R> Draft<ReadKind, R> {
    /// The handler reads by one statement at most, and is spared a transaction around it where that costs something. A
    /// second statement is an error.
    pub fn one_statement(mut self) -> Self {
        self.meta.one_statement = true;
        self
    }

    /// With the handler, which runs in a read transaction.
    pub fn handle<I, O, F, Fut>(self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Tx, Arc<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        let bind = bind_tx::<I, O, R, _, _>(move |tx, input, _| {
            let answer = handler(tx, input);
            async move { answer.await.map(Outcome::Done) }
        });
        finish::<I, O>(self.meta, bind)
    }

    /// With a handler that reads by itself, outside of the operation's own transaction: what asks others, each of which reads
    /// by itself, must not hold a transaction meanwhile.
    pub fn handle_outside<I, O, F, Fut>(mut self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Prepare, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        self.meta.slow = true;
        let handler = Arc::new(handler);
        let bind: Bind = Arc::new(
            move |cx: Prepare, input: Arc<Value>, _: Envelope| -> BoxFuture<'static, Result<Bound>> {
                let handler = handler.clone();
                Box::pin(async move {
                    let output = handler(cx, decode::<I>(&input)?).await?;
                    Ok(answered(Output::typed::<O, R>(output)))
                })
            },
        );
        finish::<I, O>(self.meta, bind)
    }

    /// With a handler that reads the registry and no database.
    pub(crate) fn handle_registry<I, O, F>(self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(&Registry, &I) -> O + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        let bind: Bind = Arc::new(
            move |cx: Prepare, input: Arc<Value>, _: Envelope| -> BoxFuture<'static, Result<Bound>> {
                let handler = handler.clone();
                Box::pin(async move {
                    let input = decode::<I>(&input)?;
                    Ok(answered(Output::typed::<O, R>(handler(&cx.registry, &input))))
                })
            },
        );
        finish::<I, O>(self.meta, bind)
    }
}

/// A call whose answer is there already.
fn answered(output: Output) -> Bound {
    let run: TxRun = Arc::new(move |_: Tx| -> BoxFuture<'static, Result<Outcome<Output>>> {
        let output = output.clone();
        Box::pin(async move { Ok(Outcome::Done(output)) })
    });
    Bound::Tx(run)
}

impl<R> Draft<WriteKind, R> {
    /// With the handler, which runs in a write transaction and may run more than once; one run is kept.
    pub fn handle<I, O, F, Fut>(self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Tx, Arc<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
    {
        let bind = bind_tx::<I, O, R, _, _>(move |tx, input, _| handler(tx, input));
        finish::<I, O>(self.meta, bind)
    }

    /// As [`Draft::handle`], with the envelope: the handler holds to `expected_revision`.
    pub fn handle_with<I, O, F, Fut>(mut self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Tx, Arc<I>, Envelope) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
    {
        self.meta.takes_envelope = true;
        finish::<I, O>(self.meta, bind_tx::<I, O, R, _, _>(handler))
    }

    /// With slow work that comes before the transaction: hashing, reading. Its result is the handler's input.
    pub fn prepare_with<I, P, F, Fut>(self, prepare: F) -> SlowDraft<R, I, P>
    where
        I: Input,
        P: Send + Sync + 'static,
        F: Fn(Prepare, I) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P>> + Send + 'static,
    {
        SlowDraft {
            meta: self.meta,
            prepare: Arc::new(move |cx: Prepare, input: I| -> BoxFuture<'static, Result<P>> {
                Box::pin(prepare(cx, input))
            }),
            marker: PhantomData,
        }
    }
}

impl<R> Draft<ExternalKind, R> {
    /// It hands chunks to [`ExternalCx::sink`] before it answers, and so is worth listening to: REST serves it as
    /// server-sent events too.
    pub fn streams(mut self) -> Self {
        self.meta.streams = true;
        self
    }

    /// With the handler, which has no transaction and may be run again after a crash.
    pub fn handle_external<I, O, F, Fut>(self, handler: F) -> Operation
    where
        I: Input,
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(ExternalCx, Arc<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<O>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let bind: Bind = Arc::new(
            move |_: Prepare, input: Arc<Value>, _: Envelope| -> BoxFuture<'static, Result<Bound>> {
                let handler = handler.clone();
                Box::pin(async move {
                    let input = Arc::new(decode::<I>(&input)?);
                    Ok(Bound::External(Arc::new(
                        move |cx: ExternalCx| -> BoxFuture<'static, Result<Output>> {
                            let answer = handler(cx, input.clone());
                            Box::pin(async move { answer.await.map(Output::typed::<O, R>) })
                        },
                    )))
                })
            },
        );
        finish::<I, O>(self.meta, bind)
    }
}

type SlowWork<I, P> = Arc<dyn Fn(Prepare, I) -> BoxFuture<'static, Result<P>> + Send + Sync>;

/// A write operation with its slow work, without its handler.
#[must_use]
pub struct SlowDraft<R, I, P> {
    meta: Meta,
    prepare: SlowWork<I, P>,
    marker: PhantomData<fn() -> R>,
}

impl<R, I: Input, P: Send + Sync + 'static> SlowDraft<R, I, P> {
    /// With the handler, which gets what the slow work made.
    pub fn handle<O, F, Fut>(mut self, handler: F) -> Operation
    where
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Tx, Arc<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
    {
        self.meta.slow = true;
        let bind = bind_slow::<I, P, O, R, _, _>(self.prepare, move |tx, made, _| handler(tx, made));
        finish::<I, O>(self.meta, bind)
    }

    /// As [`SlowDraft::handle`], with the envelope: the handler holds to `expected_revision`.
    pub fn handle_with<O, F, Fut>(mut self, handler: F) -> Operation
    where
        O: Reply,
        R: RevisionOf<O>,
        F: Fn(Tx, Arc<P>, Envelope) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
    {
        self.meta.takes_envelope = true;
        self.meta.slow = true;
        let bind = bind_slow::<I, P, O, R, _, _>(self.prepare, handler);
        finish::<I, O>(self.meta, bind)
    }
}

/// Reads an input that has passed its schema.
fn decode<I: Input>(input: &Value) -> Result<I> {
    // What the schema cannot say, such as the range of an integer type, is found here.
    <I as serde::Deserialize<'_>>::deserialize(input)
        .map_err(|error| Error::invalid("", "invalid", error.to_string()))
}

fn bind_tx<I, O, R, F, Fut>(handler: F) -> Bind
where
    I: Input,
    O: Reply,
    R: RevisionOf<O>,
    F: Fn(Tx, Arc<I>, Envelope) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(
        move |_: Prepare, input: Arc<Value>, envelope: Envelope| -> BoxFuture<'static, Result<Bound>> {
            let handler = handler.clone();
            Box::pin(async move {
                let input = Arc::new(decode::<I>(&input)?);
                Ok(Bound::Tx(on_tx::<I, O, R, F, Fut>(handler, input, envelope)))
            })
        },
    )
}

fn bind_slow<I, P, O, R, F, Fut>(prepare: SlowWork<I, P>, handler: F) -> Bind
where
    I: Input,
    P: Send + Sync + 'static,
    O: Reply,
    R: RevisionOf<O>,
    F: Fn(Tx, Arc<P>, Envelope) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(
        move |cx: Prepare, input: Arc<Value>, envelope: Envelope| -> BoxFuture<'static, Result<Bound>> {
            let (prepare, handler) = (prepare.clone(), handler.clone());
            Box::pin(async move {
                let made = Arc::new(prepare(cx, decode::<I>(&input)?).await?);
                Ok(Bound::Tx(on_tx::<P, O, R, F, Fut>(handler, made, envelope)))
            })
        },
    )
}

/// The handler with what it gets, for any transaction.
fn on_tx<P, O, R, F, Fut>(handler: Arc<F>, input: Arc<P>, envelope: Envelope) -> TxRun
where
    P: Send + Sync + 'static,
    O: Reply,
    R: RevisionOf<O>,
    F: Fn(Tx, Arc<P>, Envelope) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome<O>>> + Send + 'static,
{
    Arc::new(move |tx: Tx| -> BoxFuture<'static, Result<Outcome<Output>>> {
        let outcome = handler(tx, input.clone(), envelope.clone());
        Box::pin(async move { outcome.await.map(|outcome| outcome.map(Output::typed::<O, R>)) })
    })
}

fn finish<I: Input, O: Reply>(meta: Meta, bind: Bind) -> Operation {
    let input_schema = schema::input::<I>();
    let (check, broken) = InputCheck::compile(&input_schema);
    let problem = schema::problem(&input_schema, &schema::output::<O>()).or(broken);
    Operation(Arc::new(Inner {
        wire_name: wire_name(meta.name),
        meta,
        input_schema: Arc::new(input_schema),
        output_schema: schema::output::<O>,
        check,
        problem,
        bind,
    }))
}
