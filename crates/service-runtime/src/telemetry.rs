//! Logs and trace context. Metrics are recorded with the `metrics` crate and served by [`crate::ops`].

use opentelemetry::{
    global,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logs on standard error (`RUST_LOG` chooses, `LOG_FORMAT=json` for machines) and W3C trace context.
pub(crate) fn init(service: &'static str) {
    global::set_text_map_propagator(TraceContextPropagator::new());
    // spans are made for their context alone, which travels in calls and letters; nothing is exported yet
    let provider = SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).build();
    let context =
        tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).with_filter(EnvFilter::new("info"));
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rdkafka=warn,librdkafka=warn"));
    let json = std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json { lines.json().boxed() } else { lines.with_target(false).compact().boxed() };
    tracing_subscriber::registry().with(context).with(lines.with_filter(filter)).init();
}

/// The trace id of the current span, 32 hex digits; all zeros outside of any trace.
pub fn trace_id() -> String {
    Span::current().context().span().span_context().trace_id().to_string()
}

/// The current span as a W3C `traceparent`, when there is one.
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

/// Makes `span`, which nobody has entered yet, a part of the trace that `traceparent` names, or the beginning of a trace, and
/// writes the trace's id into its field `trace_id`: so the lines of a log within it can be found by what a customer was told.
/// The span declares the field as [`tracing::field::Empty`].
pub fn join(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent {
        set_parent(span, traceparent);
    }
    span.record("trace_id", span.in_scope(trace_id));
}

/// As [`join`], for a trace of which the id alone was kept; 0 for none. Which span of it was the parent is not known any more, so one is
/// named that nobody has seen.
pub fn join_by_id(span: &Span, trace_id: u128) {
    let id = format!("{trace_id:032x}");
    join(span, Some(&format!("00-{id}-{}-01", &id[16..])));
}

/// Makes the span of a `traceparent` the parent of `span`. Text that is none is passed over: a trace is no reason to
/// refuse work.
fn set_parent(span: &Span, traceparent: &str) {
    let carrier = std::collections::HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
    if context.span().span_context().is_valid() {
        // refused only once the span was entered, which is its maker's mistake and costs the link alone
        let _ = span.set_parent(context);
    }
}
