//! `operation@1`: any operation of the registry as a step. A change of the database joins the burst's transaction, so it
//! happens exactly once; an operation with slow or outside work is called under the step's idempotency key.

use super::{StepOutcome, done};
use crate::engine::Engine;
use futures::FutureExt;
use serde_json::Value;
use synapscale_core::{Ctx, Effect, Error, Result, SYSTEM_TENANT};
use synapscale_ops::{Envelope, Operation, Sink};
use synapscale_store::Tx;

struct Call {
    operation: String,
    input: Value,
    envelope: Envelope,
}

fn read(config: &Value) -> Result<Call> {
    let operation = config
        .get("operation")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let input = config
        .get("input")
        .cloned()
        .unwrap_or_else(|| Value::Object(Default::default()));
    let expected_revision = config.get("expected_revision").and_then(Value::as_i64);
    Ok(Call {
        operation,
        input,
        envelope: Envelope {
            idempotency_key: None,
            expected_revision,
        },
    })
}

/// Runs the operation inside of the burst if it can, asks for an outside call if not.
pub(super) async fn execute(engine: &Engine, tx: &Tx, ctx: &Ctx, config: &Value) -> Result<StepOutcome> {
    let call = read(config)?;
    refuse(engine, ctx, &call.operation)?;
    inside(engine, tx, ctx, call).await
}

/// Refuses what no file may name.
///
/// # Errors
/// `not_found` for an internal operation, `operation_secret`.
pub(crate) fn refuse(engine: &Engine, ctx: &Ctx, operation: &str) -> Result<()> {
    let operation = engine.gate().registry().get(operation);
    // Internal ones are for the product's own jobs.
    if operation.is_some_and(Operation::is_internal) && ctx.tenant() != SYSTEM_TENANT {
        return Err(Error::not_found("operation"));
    }
    if operation.is_some_and(Operation::is_secret) {
        let words = "What it takes or gives is a secret, and a run would keep it. Call it yourself.";
        return Err(
            Error::invalid("/with/operation", "operation_secret", words).with_code("operation_secret")
        );
    }
    Ok(())
}

/// As a node's operation, called by the product's own code: internal ones too.
pub(crate) async fn call_inside(
    engine: &Engine,
    tx: &Tx,
    ctx: &Ctx,
    operation: &str,
    input: &Value,
) -> Result<StepOutcome> {
    let call = Call {
        operation: operation.to_owned(),
        input: input.clone(),
        envelope: Envelope::default(),
    };
    inside(engine, tx, ctx, call).await
}

async fn inside(engine: &Engine, tx: &Tx, ctx: &Ctx, call: Call) -> Result<StepOutcome> {
    let gate = engine.gate();
    let operation = gate
        .registry()
        .get(&call.operation)
        .ok_or_else(|| Error::not_found("operation"))?;
    if operation.effect() == Effect::External || operation.has_prepare() || operation.is_elevated() {
        return Ok(StepOutcome::Launch);
    }
    let prepared = gate
        .prepare(ctx, &call.operation, call.input, call.envelope)
        .await?;
    let acting = tx.acting_as(ctx)?;
    let answer = acting
        .savepoint(|tx| async move { gate.apply(&tx, &prepared).await })
        .await?;
    done("out", answer.outcome?.to_value()?)
}

/// Calls an operation outside of a transaction; the key makes a second call answer as the first did.
pub(crate) async fn call(
    engine: &Engine,
    ctx: &Ctx,
    key: String,
    config: &Value,
    sink: Sink,
) -> Result<Value> {
    outside(engine, ctx, key, read(config)?, sink).await
}

/// As [`call`], by the product's own code.
pub(crate) async fn call_as(
    engine: &Engine,
    ctx: &Ctx,
    key: String,
    operation: &str,
    input: &Value,
    sink: Sink,
) -> Result<Value> {
    let call = Call {
        operation: operation.to_owned(),
        input: input.clone(),
        envelope: Envelope::default(),
    };
    outside(engine, ctx, key, call, sink).await
}

async fn outside(engine: &Engine, ctx: &Ctx, key: String, mut call: Call, sink: Sink) -> Result<Value> {
    let gate = engine.gate();
    let external = gate
        .registry()
        .get(&call.operation)
        .is_some_and(|operation| operation.effect() == Effect::External);
    if external {
        // This run is what carries the call: it is performed here, not made into another run.
        let prepared = gate
            .prepare_streaming(ctx, &call.operation, call.input, call.envelope, sink)
            .await?;
        return gate.perform(&prepared, key).await?.output.to_value();
    }
    call.envelope.idempotency_key = Some(key);
    // Boxed: an outside call, which lasts, need not keep room for it.
    let called = gate.call(ctx, &call.operation, call.input, call.envelope, sink);
    called.boxed().await?.output.to_value()
}
