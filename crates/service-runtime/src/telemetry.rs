//! Logs and traces. Metrics are recorded with the `metrics` crate and served by [`crate::ops`].
//!
//! A span of level info is a part of a trace. Its context travels in calls and letters; where `OTEL_EXPORTER_OTLP_ENDPOINT` names a
//! collector, it is sent there. What only that needs is told by `otel.name` and `otel.kind` among the fields of the span,
//! which no log has, and by [`note`], [`failed`] and [`link`], which do nothing otherwise.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use opentelemetry::{
    Context, Value,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, Status, TraceContextExt, TracerProvider},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::{Level, Metadata, Span, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    layer::{self, SubscriberExt},
    util::SubscriberInitExt,
};

use crate::{
    Error,
    export::{self, Export},
    log_fields::LogFields,
};

/// The target of spans that are made for export alone: the log's lines within them do not tell of them. To be made only where
/// [`is_exported`].
pub const EXPORTED_ONLY: &str = "exported_only";

/// Set once, before anything begins.
static IS_EXPORTED: AtomicBool = AtomicBool::new(false);

/// What has to be ended with the process.
#[derive(Debug)]
pub(crate) struct Telemetry(Option<Export>);

/// Starts logs on standard error (`RUST_LOG` chooses, `LOG_FORMAT=json` for machines) and traces. To be called inside of the
/// runtime.
pub(crate) fn init(service: &'static str) -> Result<Telemetry, Error> {
    let export = export::endpoint().map(|endpoint| Export::to(&endpoint, service)).transpose()?;
    let provider = match &export {
        Some(export) => export.provider.clone(),
        // every trace has its id, whatever is said of sampling
        None => SdkTracerProvider::builder().with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))).build(),
    };
    IS_EXPORTED.store(export.is_some(), Ordering::Relaxed);
    let context = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(service))
        // where in the code and on which thread, and how long it was entered: nobody has asked, and each is paid for by every span
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // whoever wants the context asks the span for it
        .with_context_activation(false);
    let of_events =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rdkafka=warn,librdkafka=warn"));
    // what passes `SpansAnd` and is no such span passes this as well, so it leaves no notes
    let of_log = filter_fn(|metadata| metadata.target() != EXPORTED_ONLY);
    let json = std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json");
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.json().fmt_fields(LogFields::Json).boxed()
    } else {
        lines.with_target(false).compact().fmt_fields(LogFields::Text).boxed()
    };
    tracing_subscriber::registry().with(context).with(lines.with_filter(of_log)).with(SpansAnd(of_events)).init();
    Ok(Telemetry(export))
}

/// What is told at all: every span of level info, which makes traces whole whatever the log is to have, and of the events those
/// that are lines of the log.
///
/// One filter for all layers. With one for each, whoever only asks whether an event would be told, as rdkafka does for every new
/// client and sqlx for every query, leaves tracing-subscriber (0.3.23) with a note that the layers which would not have it
/// are to leave out what comes next on the thread.
struct SpansAnd(EnvFilter);

impl<S: Subscriber> Layer<S> for SpansAnd {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match (metadata.is_span(), *metadata.level() <= Level::INFO) {
            (false, _) => Layer::<S>::register_callsite(&self.0, metadata),
            (true, true) => Interest::always(),
            (true, false) => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: layer::Context<'_, S>) -> bool {
        if metadata.is_span() { *metadata.level() <= Level::INFO } else { Layer::enabled(&self.0, metadata, context) }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&self.0).map(|hint| hint.max(LevelFilter::INFO))
    }
}

impl Telemetry {
    /// Tells what the metrics mean.
    pub fn describe(&self) {
        if self.0.is_some() {
            export::describe();
        }
    }

    /// Sends the spans that are left, for a moment.
    pub fn end(self) {
        if let Some(export) = self.0 {
            export.end();
        }
    }
}

/// Whether spans leave the process.
pub fn is_exported() -> bool {
    IS_EXPORTED.load(Ordering::Relaxed)
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

/// Makes `span`, which is about many things at once, a part of the first of their traces, as [`join`] does, and links it to the others.
pub fn join_first<'a>(span: &Span, traceparents: impl IntoIterator<Item = &'a str>) {
    let mut traceparents = traceparents.into_iter();
    join(span, traceparents.next());
    link(span, traceparents);
}

/// As [`join`], for a trace of which the id alone was kept; 0 for none. Which span of it was the parent is not known any more, so one is
/// named that nobody has seen.
pub fn join_by_id(span: &Span, trace_id: u128) {
    let id = format!("{trace_id:032x}");
    join(span, Some(&format!("00-{id}-{}-01", &id[16..])));
}

/// Notes about `span` what only its export needs: a log has it in other words, or has no use for it.
pub fn note(span: &Span, attribute: &'static str, value: impl Into<Value>) {
    if is_exported() {
        span.set_attribute(attribute, value);
    }
}

/// Says that what `span` is about has failed.
pub fn failed(span: &Span, why: impl Into<Cow<'static, str>>) {
    if is_exported() {
        span.set_status(Status::error(why));
    }
}

/// Links `span`, which is about many things at once, to the traces of these `traceparent`s: to each trace once. Of more than
/// a span may have, which are 128 if nothing else is said, the first stay.
pub fn link<'a>(span: &Span, traceparents: impl IntoIterator<Item = &'a str>) {
    if !is_exported() {
        return;
    }
    let mut linked = HashSet::new();
    for traceparent in traceparents {
        let context = read(traceparent);
        let linked_to = context.span().span_context().clone();
        if linked_to.is_valid() && linked.insert(linked_to.trace_id()) {
            span.add_link(linked_to);
        }
    }
}

/// Links `span` to `other`, in whatever trace that is.
pub fn link_to(span: &Span, other: &Span) {
    if is_exported() {
        let linked_to: SpanContext = other.context().span().span_context().clone();
        if linked_to.is_valid() {
            span.add_link(linked_to);
        }
    }
}

/// Makes the span of a `traceparent` the parent of `span`. Text that is none is passed over: a trace is no reason to
/// refuse work.
fn set_parent(span: &Span, traceparent: &str) {
    let context = read(traceparent);
    if context.span().span_context().is_valid() {
        // refused only once the span was entered, which is its maker's mistake and costs the link alone
        let _ = span.set_parent(context);
    }
}

/// The context of the span that a `traceparent` names; an empty one for text that is none.
fn read(traceparent: &str) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(traceparent))
}

/// A `traceparent` that came without headers around it.
struct Traceparent<'a>(&'a str);

impl Extractor for Traceparent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}
