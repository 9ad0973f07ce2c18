//! What is seen of each call that is answered: how many there were, how they ended, and how long they took. Its span, where spans are
//! exported, lasts as long.

use std::task::{Context, Poll};

use http_body_util::BodyExt;
use metrics::{counter, describe_counter, describe_histogram, histogram};
use service_runtime::telemetry;
use tokio::time::Instant;
use tonic::{
    Code, Status,
    body::Body,
    codegen::{
        BoxFuture,
        http::{HeaderMap, Request, Response},
    },
};
use tower::{Layer, Service};
use tracing::Span;

use crate::machinery;

/// Wraps a server's routes.
#[derive(Debug, Clone)]
pub(crate) struct Observe;

impl Observe {
    /// Tells what the metrics mean.
    pub fn new() -> Self {
        describe_counter!("rpc_requests_total", "Calls that were answered, by method and code");
        describe_histogram!(
            "rpc_request_seconds",
            "From a call to the end of its answer, a stream's last outcome included"
        );
        Self
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner }
    }
}

/// Routes whose calls are seen.
#[derive(Debug, Clone)]
pub(crate) struct Observed<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<Response<Body>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut call = Call::begin(request.uri().path());
        // here, and not in a layer of its own: each has a box for every call
        let answering = machinery::time_for(request.headers()).map(|time| (time, self.inner.call(request)));
        Box::pin(async move {
            let response = machinery::in_time(answering).await?;
            // a call that fails at once has its code here, every other one behind its last message
            call.hear(response.headers());
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    if let Some(trailers) = frame.trailers_ref() {
                        call.hear(trailers);
                    }
                    frame
                }))
            }))
        })
    }
}

/// A call under way. It counts when it is dropped: with its answer, or because the caller has hung up.
struct Call {
    rpc: String,
    began: Instant,
    code: Option<Code>,
    /// None where nobody hears of it.
    span: Span,
}

impl Call {
    fn begin(path: &str) -> Self {
        let span = if telemetry::is_exported() { Span::current() } else { Span::none() };
        Self { rpc: path.trim_start_matches('/').to_owned(), began: Instant::now(), code: None, span }
    }

    fn hear(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(code.as_bytes()));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        ended(&self.span, code, is_fault(code));
        // what callers make up is all one, so that they cannot make up time series
        let rpc = if code == Code::Unimplemented { "unknown".to_owned() } else { std::mem::take(&mut self.rpc) };
        counter!("rpc_requests_total", "rpc" => rpc.clone(), "code" => word(code)).increment(1);
        histogram!("rpc_request_seconds", "rpc" => rpc).record(self.began.elapsed());
    }
}

/// Writes down how a call ended, in its span.
pub(crate) fn ended(span: &Span, code: Code, is_failed: bool) {
    // a span ends where it was left last: not with the head of the answer, but with all of it
    span.in_scope(|| telemetry::note(span, "rpc.response.status_code", word(code)));
    if is_failed {
        telemetry::failed(span, word(code));
    }
}

/// Whether the service is to blame, as the semantic conventions of OpenTelemetry have it.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The code as the specification of gRPC spells it.
const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_where_it_is_and_a_call_without_one_was_cut_off() {
        let mut call = Call::begin("/order.v1.OrderService/GetOrder");
        assert_eq!((call.rpc.as_str(), call.code), ("order.v1.OrderService/GetOrder", None));
        call.hear(&HeaderMap::new());
        assert_eq!(call.code, None);
        let mut headers = HeaderMap::new();
        headers.insert(Status::GRPC_STATUS, "5".parse().expect("a header value"));
        call.hear(&headers);
        assert_eq!(call.code, Some(Code::NotFound));
    }
}
