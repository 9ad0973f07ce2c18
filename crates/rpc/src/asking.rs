//! Where spans are exported, each call that goes out is one, and the other side's span is its child.

use http_body_util::BodyExt;
use service_runtime::telemetry;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        BoxFuture, StdError,
        http::{HeaderMap, Request, Response},
    },
};
use tracing::{Instrument, Span, info_span};

use crate::observe;

/// Sends a call in a span of its own.
pub(crate) fn in_a_span(
    mut request: Request<Body>,
    send: impl FnOnce(Request<Body>) -> BoxFuture<Response<Body>, StdError>,
) -> BoxFuture<Response<Body>, StdError> {
    let mut asking = Asking::begin(&request);
    let traceparent = asking.span.in_scope(telemetry::traceparent);
    if let Some(traceparent) = traceparent.and_then(|text| text.parse().ok()) {
        request.headers_mut().insert("traceparent", traceparent);
    }
    let answering = send(request);
    let span = asking.span.clone();
    let answered = async move {
        let response = answering.await.inspect_err(|_| asking.end = End::Code(Code::Unavailable))?;
        asking.end = End::Answering;
        // a call that fails at once has its code here, every other one behind its last message
        asking.hear(response.headers());
        Ok(response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    asking.hear(trailers);
                }
                frame
            }))
        }))
    };
    Box::pin(answered.instrument(span))
}

/// The span of a question, of a call's or of one item of its list. To be made only where spans are exported.
pub(crate) fn span_of(rpc: &str) -> Span {
    info_span!(
        target: telemetry::EXPORTED_ONLY,
        "ask",
        otel.name = rpc,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = rpc
    )
}

/// A call under way. Its span ends when it is dropped: with its answer, or when nobody waits for that any more.
struct Asking {
    span: Span,
    end: End,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The other side has said nothing.
    Waiting,
    /// It has begun to answer. Whoever has heard enough does not wait for the code.
    Answering,
    Code(Code),
}

impl Asking {
    fn begin(request: &Request<Body>) -> Self {
        let span = span_of(request.uri().path().trim_start_matches('/'));
        Self { span, end: End::Waiting }
    }

    fn hear(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.end = End::Code(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        match self.end {
            End::Waiting => observe::ended(&self.span, Code::Cancelled, true),
            End::Answering => {}
            End::Code(code) => observe::ended(&self.span, code, code != Code::Ok),
        }
    }
}
