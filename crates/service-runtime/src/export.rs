//! Spans on their way to a collector, by OTLP over gRPC: a queue with a bound, and a thread that sends what is in it. Nobody
//! waits for either: what does not fit is lost, and so is what the collector does not take.

use std::{
    env, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::http::{Uri, uri::Scheme};
use metrics::{counter, describe_counter};
use opentelemetry::Context;
use opentelemetry_otlp::{OTEL_EXPORTER_OTLP_ENDPOINT, SpanExporter as Otlp};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchSpanProcessor, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT, SdkTracerProvider, Span,
        SpanData, SpanExporter, SpanProcessor,
    },
};
use tracing::{info, warn};

use crate::Error;

/// Another name for the service, which the resource reads itself.
const OTEL_SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// How long the end of the process may wait for what is in the queue.
const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// How often it is told at most that spans are lost.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Where the collector is; `None` when spans are for their context alone. As everywhere with these variables, an empty one is
/// none.
pub(crate) fn endpoint() -> Option<String> {
    env::var(OTEL_EXPORTER_OTLP_ENDPOINT).ok().filter(|endpoint| !endpoint.is_empty())
}

/// Spans that leave the process.
#[derive(Debug)]
pub(crate) struct Export {
    /// What makes them.
    pub provider: SdkTracerProvider,
    queue: Arc<Queue>,
}

impl Export {
    /// To be called inside of the runtime: the connection lives there, and is opened with the first spans.
    ///
    /// The exporter reads the other variables itself, and the provider those of sampling and batches.
    pub fn to(endpoint: &str, service: &'static str) -> Result<Self, Error> {
        check(endpoint)?;
        let exporter = Otlp::builder().with_tonic().build();
        let exporter = exporter.map_err(|error| Error::Config(format!("{OTEL_EXPORTER_OTLP_ENDPOINT}: {error}")))?;
        let queue = Arc::new(Queue::of_environment());
        let exporter = Exporter { otlp: exporter, queue: queue.clone() };
        let processor = Bounded { batches: BatchSpanProcessor::builder(exporter).build(), queue: queue.clone() };
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut resource = Resource::builder().with_attribute(version);
        if env::var_os(OTEL_SERVICE_NAME).is_none() {
            resource = resource.with_service_name(service);
        }
        let resource = resource.build();
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(processor).build();
        Ok(Self { provider, queue })
    }

    /// Sends what is left, for a moment.
    pub fn end(self) {
        // what did not go out in time is still in the queue
        let _ = self.provider.shutdown_with_timeout(FLUSH_DEADLINE);
        let lost = self.queue.end();
        if lost > 0 {
            warn!(spans = lost, "the collector did not take the last spans");
        }
    }
}

/// Tells what the metric means.
pub(crate) fn describe() {
    describe_counter!("spans_total", "Spans of which the collector has heard (exported), or never will (lost)");
}

fn check(endpoint: &str) -> Result<(), Error> {
    let refused = |why: &str| Error::Config(format!("{OTEL_EXPORTER_OTLP_ENDPOINT} {endpoint} {why}"));
    let url: Uri = endpoint.parse().map_err(|_| refused("is no URL like http://127.0.0.1:4317"))?;
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Ok(()),
        Some(scheme) if *scheme == Scheme::HTTPS => Err(refused(
            "cannot be: spans go out without TLS; name a collector that is near, like http://127.0.0.1:4317",
        )),
        _ => Err(refused("is no URL like http://127.0.0.1:4317")),
    }
}

/// What is known of the spans that wait to be sent. The processor has a queue of the same length behind this, and would lose
/// what does not fit without a word.
#[derive(Debug)]
struct Queue {
    spans_max: usize,
    waiting: AtomicUsize,
    lost_untold: AtomicU64,
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
struct Trouble {
    told_at: Option<Instant>,
    /// Told, and not yet that it is over.
    is_there: bool,
    /// So has the process, and with it whatever may still be heard of a batch.
    has_ended: bool,
}

impl Queue {
    fn of_environment() -> Self {
        let spans_max = env::var(OTEL_BSP_MAX_QUEUE_SIZE).ok().and_then(|spans| spans.parse().ok());
        Self::of(spans_max.unwrap_or(OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT))
    }

    fn of(spans_max: usize) -> Self {
        Self { spans_max, waiting: AtomicUsize::new(0), lost_untold: AtomicU64::new(0), trouble: Mutex::default() }
    }

    /// Takes a place for one span. Without one, it is lost.
    fn enter(&self) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.spans_max {
            return true;
        }
        self.leave(1);
        self.lose(1);
        false
    }

    fn leave(&self, spans: usize) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
    }

    fn lose(&self, spans: u64) {
        self.lost_untold.fetch_add(spans, Ordering::Relaxed);
        counter!("spans_total", "outcome" => "lost").increment(spans);
    }

    /// A batch of so many spans has come to its end. Told only to the one that sends.
    fn sent(&self, spans: usize, outcome: &OTelSdkResult) {
        let Ok(mut trouble) = self.trouble.lock() else { return };
        if trouble.has_ended {
            return;
        }
        self.leave(spans);
        match outcome {
            Ok(()) => counter!("spans_total", "outcome" => "exported").increment(spans as u64),
            Err(_) => self.lose(spans as u64),
        }
        if self.lost_untold.load(Ordering::Relaxed) == 0 {
            if mem::take(&mut trouble.is_there) {
                info!("the collector takes spans again");
            }
        } else if trouble.told_at.is_none_or(|told_at| told_at.elapsed() >= TELL_EVERY) {
            *trouble = Trouble { told_at: Some(Instant::now()), is_there: true, has_ended: false };
            let spans = self.lost_untold.swap(0, Ordering::Relaxed);
            match outcome {
                Ok(()) => warn!(spans, "there are more spans than the collector takes, some are lost"),
                Err(error) => warn!(spans, %error, "the collector takes no spans, they are lost"),
            }
        }
    }

    /// Gives what was lost and is not told yet; what is still under way is lost as well.
    fn end(&self) -> u64 {
        if let Ok(mut trouble) = self.trouble.lock() {
            trouble.has_ended = true;
        }
        self.lost_untold.load(Ordering::Relaxed) + self.waiting.load(Ordering::Relaxed) as u64
    }
}

/// Lets no more spans in than there is room for.
#[derive(Debug)]
struct Bounded {
    batches: BatchSpanProcessor,
    queue: Arc<Queue>,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.enter() {
            self.batches.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends a batch, and says what became of it.
#[derive(Debug)]
struct Exporter {
    otlp: Otlp,
    queue: Arc<Queue>,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let outcome = self.otlp.export(batch).await;
        self.queue.sent(spans, &outcome);
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}
