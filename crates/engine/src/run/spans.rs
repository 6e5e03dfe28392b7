//! Spans that tell exported traces what a run does. They are of the level `debug`, so that the usual log, and a server
//! that exports nothing, does not pay for them. What of them may leave the process stands in the server's list.

use crate::graph::StepKey;
use crate::run::model::RunStatus;
use crate::run::state::{RunHead, RunState};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use synapscale_core::{Error, Result};
use tracing::field::{Empty, display};
use tracing::{Span, debug_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span that the caller is in, to be the parent of what happens later; an empty one when nothing is exported.
pub(crate) fn cause() -> SpanContext {
    Context::current().span().span_context().clone()
}

/// The time that a worker has a run in hand. What started the run has mostly ended by then: its span is named as the
/// parent and not kept open, which a parent within this process would be.
pub(crate) fn held(head: &RunHead, cause: SpanContext) -> Span {
    let workflow = head.workflow.as_ref();
    let span = debug_span!(
        parent: None,
        "run",
        otel.name = Empty,
        run_id = %head.id,
        correlation = %head.correlation,
        tenant = %head.tenant,
        workflow = workflow.map(|workflow| workflow.name.as_str()),
        version = workflow.map(|workflow| workflow.version),
        run_status = Empty,
        otel.status_code = Empty,
        "error.type" = Empty,
    );
    if let Some(workflow) = workflow {
        span.record("otel.name", display(format_args!("run {}", workflow.name)));
    }
    if cause.is_valid() {
        // Fails only where nothing is exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(cause));
    }
    span
}

/// One burst in one transaction.
pub(crate) fn burst(head: &RunHead) -> Span {
    debug_span!(
        "burst",
        run_id = %head.id,
        correlation = %head.correlation,
        otel.status_code = Empty,
        "error.type" = Empty,
    )
}

/// One try of a step's outside call.
pub(crate) fn call(state: &RunState, key: &StepKey, attempt: i64) -> Span {
    let node = state.head.graph.node(key.node);
    debug_span!(
        "step",
        otel.name = %format_args!("step {}", node.id),
        run_id = %state.head.id,
        correlation = %state.head.correlation,
        node = node.id.as_str(),
        node_kind = node.kind.name.as_str(),
        path = %key.path,
        attempt,
        otel.status_code = Empty,
        "error.type" = Empty,
    )
}

/// How the worker left the run.
pub(crate) fn left(span: &Span, state: &RunState) {
    span.record("run_status", state.status.as_str());
    if matches!(state.status, RunStatus::Failed | RunStatus::Paused)
        && let Some(error) = &state.error
    {
        failed(span, error);
    }
}

/// Marks the span's failure, by its code: what the error says may hold anything.
pub(crate) fn failed(span: &Span, error: &Error) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error.code());
}

/// Marks the span if `outcome` is a failure.
pub(crate) fn seen<T>(span: &Span, outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|error| failed(span, error))
}
