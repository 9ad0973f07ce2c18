//! What is seen of each request: a span that goes on with the caller's trace, an id in the answer, and the metrics.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use service_runtime::telemetry;
use tokio::time::Instant;
use tracing::{Instrument, field::Empty, info_span};
use uuid::Uuid;

use crate::rate_limits;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The route of a request for which there is none.
const UNKNOWN: &str = "unknown";

/// The longest id that is taken over from a client.
const REQUEST_ID_LENGTH_MAX: usize = 128;

/// Tells what the metrics mean.
pub fn describe() {
    describe_counter!("http_requests_total", "Requests that were answered, by route, method and status");
    describe_histogram!("http_request_seconds", "From a request to the head of its answer");
    describe_gauge!("event_streams", "Streams of events that are open");
    gauge!("event_streams").set(0.0);
    describe_counter!("rate_limit_refusals_total", "Requests that were refused with 429, by limit");
    for limit in rate_limits::NAMES {
        counter!("rate_limit_refusals_total", "limit" => limit).increment(0);
    }
}

/// Wraps every request.
pub async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or(UNKNOWN, MatchedPath::as_str).to_owned();
    let request_id = request_id(request.headers());
    let id = request_id.to_str().unwrap_or_default();
    // what clients make up has no place in a name
    let name = if route == UNKNOWN { method.to_owned() } else { format!("{method} {route}") };
    let span =
        info_span!("request", method, route, request.id = id, otel.name = name, otel.kind = "server", trace_id = Empty);
    if telemetry::is_exported() {
        telemetry::note(&span, "http.request.method", method);
        telemetry::note(&span, "http.route", route.clone());
    }
    // what a problem tells its reader is what the log is searched for
    telemetry::join(&span, request.headers().get("traceparent").and_then(|value| value.to_str().ok()));
    let mut response = next.run(request).instrument(span.clone()).await;
    telemetry::note(&span, "http.response.status_code", i64::from(response.status().as_u16()));
    if response.status().is_server_error() {
        telemetry::failed(&span, "");
    }
    response.headers_mut().insert(REQUEST_ID, request_id);
    let labels = [("route", route), ("method", method.to_owned()), ("status", response.status().as_str().to_owned())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_seconds", &labels).record(started.elapsed());
    response
}

/// The client's own id when it brings one of a sane form, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_sane = |id: &&HeaderValue| {
        (1..=REQUEST_ID_LENGTH_MAX).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let brought = headers.get(&REQUEST_ID).filter(is_sane).cloned();
    brought.unwrap_or_else(|| Uuid::now_v7().to_string().parse().expect("a UUID is a header value"))
}

/// The method as a label; what clients make up is all one, so that they cannot make up time series.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
