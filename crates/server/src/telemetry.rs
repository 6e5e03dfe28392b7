//! The log, the traces, and the figures for Prometheus.

mod outbox;
mod shape;
mod traces;

pub use traces::Traces;
pub(crate) use traces::adopt;

use crate::config::{LogConfig, LogFormat, OtlpConfig, no_colour};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::io::IsTerminal;
use synapscale_core::{Error, ErrorKind, Result};
use tracing::Subscriber;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Bounds of the buckets of all durations, in seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Starts the log, on the error output: the output proper belongs to the commands. A second start changes nothing.
///
/// # Errors
/// `config` for a filter that cannot be read.
pub fn start_log(config: &LogConfig) -> Result<()> {
    // Fails only when there is a log already, as in tests.
    let _ = tracing_subscriber::registry()
        .with(filter(config)?)
        .with(layer(config))
        .try_init();
    Ok(())
}

/// As [`start_log`], and with settings for it starts the export of traces, within the runtime. What the log shows is no
/// matter to traces.
///
/// # Errors
/// As [`start_log`], and `otlp` when TLS cannot be set up.
pub fn start(config: &LogConfig, otlp: Option<&OtlpConfig>) -> Result<Option<Traces>> {
    let Some(otlp) = otlp else {
        return start_log(config).map(|()| None);
    };
    let filter = filter(config)?;
    let (traces, exported) = traces::start(otlp)?;
    let _ = tracing_subscriber::registry()
        .with(exported)
        .with(layer(config).with_filter(filter))
        .try_init();
    Ok(Some(traces))
}

fn filter(config: &LogConfig) -> Result<EnvFilter> {
    EnvFilter::try_new(&config.filter).map_err(|error| {
        let message = format!("The log's filter `{}` cannot be read: {error}", config.filter);
        Error::new(ErrorKind::Invalid, "config", message)
    })
}

fn layer<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match config.format {
        LogFormat::Json => {
            let lines = fmt::format()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false);
            let layer = fmt::layer()
                .event_format(traces::WithIds(lines))
                .fmt_fields(JsonFields::new());
            layer.with_writer(std::io::stderr).boxed()
        }
        LogFormat::Human => {
            let colour = std::io::stderr().is_terminal() && !no_colour();
            let layer = fmt::layer().with_ansi(colour).with_writer(std::io::stderr);
            layer.boxed()
        }
    }
}

/// Starts counting. Of several starts in one process the first one's handle has the figures.
///
/// # Errors
/// Never: the buckets are written above.
pub fn start_metrics() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .map_err(Error::internal)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("figures are counted by another part of this process");
    }
    Ok(handle)
}
