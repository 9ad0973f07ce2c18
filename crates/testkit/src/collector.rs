//! A collector of traces: takes spans by OTLP over gRPC, and keeps them to be looked at.

use std::time::Duration;

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, codec::CompressionEncoding, transport::Server};

/// A collector on loopback, for as long as the test's runtime lives.
#[derive(Debug)]
pub struct Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to say.
    pub endpoint: String,
    spans: watch::Receiver<Vec<CollectedSpan>>,
}

/// A span as the collector was told of it. Ids are hexadecimal.
#[derive(Debug, Clone)]
pub struct CollectedSpan {
    /// `service.name` of the process that made it.
    pub service: String,
    /// `service.version`.
    pub version: String,
    /// What it is called.
    pub name: String,
    /// The trace that it belongs to.
    pub trace_id: String,
    /// Its own id.
    pub id: String,
    /// The id of its parent; empty when it has none.
    pub parent_id: String,
    /// `Internal`, `Server`, `Client`, `Producer` or `Consumer`.
    pub kind: SpanKind,
    /// Whether what it is about has failed.
    pub is_failed: bool,
    /// Traces and spans that it is linked to.
    pub links: Vec<(String, String)>,
    attributes: Vec<KeyValue>,
}

impl Collector {
    /// A collector that has taken nothing yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("some port is free");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (intake, spans) = watch::channel(Vec::new());
        let service = TraceServiceServer::new(Intake(intake)).accept_compressed(CompressionEncoding::Gzip);
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Self { endpoint, spans }
    }

    /// The spans that have come so far.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.borrow().clone()
    }

    /// Waits until the spans that have come say what is looked for. Panics with what is missing when they never do.
    pub async fn when<T>(&self, within: Duration, look: impl Fn(&[CollectedSpan]) -> Result<T, String>) -> T {
        let mut spans = self.spans.clone();
        let mut missing = String::new();
        let looking = async {
            loop {
                match look(&spans.borrow_and_update()) {
                    Ok(found) => return found,
                    Err(not_yet) => missing = not_yet,
                }
                spans.changed().await.expect("the collector runs for as long as the test");
            }
        };
        let found = timeout(within, looking).await;
        found.unwrap_or_else(|_| panic!("{missing}"))
    }
}

impl CollectedSpan {
    /// The text of an attribute, a number's as well.
    pub fn attribute(&self, key: &str) -> Option<String> {
        text(&self.attributes, key)
    }
}

struct Intake(watch::Sender<Vec<CollectedSpan>>);

#[tonic::async_trait]
impl TraceService for Intake {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send_modify(|spans| {
            for of_process in request.into_inner().resource_spans {
                let resource = of_process.resource.unwrap_or_default().attributes;
                let of_process = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(of_process.map(|span| collected(span, &resource)));
            }
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn collected(span: Span, resource: &[KeyValue]) -> CollectedSpan {
    CollectedSpan {
        service: text(resource, "service.name").unwrap_or_default(),
        version: text(resource, "service.version").unwrap_or_default(),
        trace_id: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent_id: hexadecimal(&span.parent_span_id),
        kind: span.kind(),
        is_failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        links: span.links.iter().map(|link| (hexadecimal(&link.trace_id), hexadecimal(&link.span_id))).collect(),
        name: span.name,
        attributes: span.attributes,
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}

fn hexadecimal(id: &[u8]) -> String {
    id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
