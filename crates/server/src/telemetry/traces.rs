//! Export of traces, set up only where an endpoint is set.

use super::{outbox, shape};
use crate::VERSION;
use crate::config::OtlpConfig;
use http::HeaderMap;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use std::fmt;
use std::time::Duration;
use synapscale_core::{Result, new_id};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Event, Level, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// How long the last spans may take on their way at the end.
const FAREWELL: Duration = Duration::from_secs(3);

/// Traces being exported.
#[must_use = "the last spans are sent by `stop`"]
pub struct Traces {
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Kept: spans are exported as long as it lives.
    _provider: SdkTracerProvider,
}

impl Traces {
    /// Sends what is left, within a bounded time.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(FAREWELL, self.tasks.wait()).await.is_err() {
            tracing::warn!("the last spans did not reach the collector of traces in time");
        }
    }
}

/// Starts the sender, within the runtime, and answers the layer that feeds it.
pub(super) fn start(config: &OtlpConfig) -> Result<(Traces, impl Layer<Registry> + Send + Sync + use<>)> {
    // Not from the environment: the configuration has read what counts.
    let resource = Resource::builder_empty()
        .with_service_name(config.service.clone())
        .with_attributes([
            KeyValue::new("service.version", VERSION),
            KeyValue::new("service.instance.id", new_id().to_string()),
        ])
        .build();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let (outbox, sender) = outbox::outbox(config, &resource, stop.clone())?;
    tasks.spawn(sender.run());
    tasks.close();
    // A caller that asks for its trace to be kept is heard; the ratio is for those begun here.
    let ratio = Sampler::TraceIdRatioBased(config.sample_ratio);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_span_processor(outbox)
        .build();
    let scope = InstrumentationScope::builder("synapscale")
        .with_version(VERSION)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer_with_scope(scope))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(shape::is_exported).with_max_level_hint(Level::DEBUG));
    let traces = Traces {
        stop,
        tasks,
        _provider: provider,
    };
    Ok((traces, layer))
}

/// Makes the trace that a request names the parent of `span`. Its `tracestate` is not taken: it is any text.
pub(crate) fn adopt(headers: &HeaderMap, span: &Span) {
    let sent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    if let Some(parent) = sent.and_then(traceparent) {
        // Fails only where nothing is exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Reads a W3C `traceparent`. A later version may say more behind what is known here.
fn traceparent(text: &str) -> Option<SpanContext> {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let [version, trace, span, flags, ..] = parts[..] else {
        return None;
    };
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let whole = hex(version, 2) && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    if !whole || version == "ff" || (version == "00" && parts.len() != 4) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

/// A log line as JSON, with the ids of the trace and the span that it was written in.
pub(super) struct WithIds<F>(pub F);

impl<S, N, F> FormatEvent<S, N> for WithIds<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let context = Context::current();
        let span = context.span();
        let ids = span.span_context();
        if !ids.is_valid() {
            return self.0.format_event(ctx, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        match line.trim_end().strip_suffix('}') {
            Some(open) => writeln!(
                writer,
                "{open},\"trace_id\":\"{}\",\"span_id\":\"{}\"}}",
                ids.trace_id(),
                ids.span_id()
            ),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn parents_are_read() {
        for (flags, sampled) in [("00", false), ("01", true), ("ff", true)] {
            let read = traceparent(&format!("00-{TRACE}-{SPAN}-{flags}")).expect("a parent");
            assert_eq!(
                (read.trace_id().to_string(), read.span_id().to_string()),
                (TRACE.into(), SPAN.into())
            );
            assert_eq!((read.is_sampled(), read.is_remote()), (sampled, true));
        }
        assert!(traceparent(&format!("01-{TRACE}-{SPAN}-01-more")).is_some());
    }

    #[test]
    fn what_is_no_parent_is_none() {
        let nought = "0".repeat(32);
        for text in [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{nought}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &nought[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-+1"),
        ] {
            assert!(traceparent(&text).is_none(), "{text}");
        }
    }
}
