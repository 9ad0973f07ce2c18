//! `GET /v1/orders/{id}/events`: every change of an order as a stream of server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, sync::Arc, time::Duration};

use aide::{OperationInput, generate::GenContext, openapi::Operation, transform::TransformOperation};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderName, header::CACHE_CONTROL, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use contracts::{
    ids::OrderId,
    order::v1::{WatchOrderRequest, WatchOrderResponse},
    problem::ProblemCode,
};
use metrics::gauge;
use serde_json::json;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{Status, Streaming};
use tracing::{Instrument, Span};

use crate::{
    ASK_DEADLINE, Gateway, body::Query, caller::Viewer, fields::Nothing, follow::follow, openapi,
    order_json::OrderJson, path::Named, problem::Problem,
};

/// How often a comment is sent when there is nothing else, so that nobody on the way takes the stream for dead.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How long a stream lives: as long as a token, so that nobody who has lost his rights goes on watching.
const STREAM_TIME_MAX: Duration = Duration::from_mins(15);

/// Changes that wait until the client takes them; order is not listened to while there are more.
const WAITING_MAX: usize = 16;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Proxies of nginx's kind keep an answer back until it is whole, unless they are told not to.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The version of the order that the client has seen: the `id` of the last event that it got; 0 for none.
#[derive(Debug, Clone, Copy)]
pub struct LastEventId(i64);

impl FromRequestParts<Arc<Gateway>> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Gateway>) -> Result<Self, Problem> {
        let version = last_event_id(&parts.headers);
        version.map(Self).ok_or_else(|| {
            let detail = "Last-Event-ID must be the id of the last event that you got, or not be there";
            Problem::new(ProblemCode::Malformed, detail)
        })
    }
}

impl OperationInput for LastEventId {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let about = "The `id` of the last event that you got: the stream goes on after it. Without it, it begins at the first.";
        let schema = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
        openapi::takes_header(operation, &LAST_EVENT_ID, false, about, &schema);
    }
}

fn last_event_id(headers: &HeaderMap) -> Option<i64> {
    let mut values = headers.get_all(LAST_EVENT_ID).iter();
    let Some(value) = values.next() else { return Some(0) };
    // `parse` alone would take a sign
    let digits = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|_| values.next().is_none())
}

/// What is said of [`events`].
pub fn events_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let about = "Each event has the order's version as its `id`, what happened as its `event` (`order.created`, `order.completed` …) and \
                 the order as its `data`. The stream ends after the last change that an order can have; a comment keeps it alive.";
    openapi::named(operation, "watchOrder", "orders", "Watch an order change, as server-sent events")
        .response_with::<200, Json<OrderJson>, _>(|response| response.description(about))
        .with(|operation| openapi::told_as(operation, 200, "text/event-stream"))
}

/// `GET /v1/orders/{id}/events`
pub async fn events(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Named(id): Named<OrderId>,
    LastEventId(seen): LastEventId,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    let place = gateway.event_streams.clone().try_acquire_owned().map_err(|_| {
        Problem::new(ProblemCode::Unavailable, "too many orders are being watched; trying again is safe")
    })?;
    let watched = gateway.clone();
    let watch_after = move |version| watch(watched.clone(), id, viewer, version);
    let changes = watch_after(seen).await?;
    let (client, handed_on) = mpsc::channel(WAITING_MAX);
    let end_requested = gateway.shutdown.clone();
    let following = async move {
        let _place = place;
        gauge!("event_streams").increment(1.0);
        tokio::select! {
            () = follow(changes, seen, watch_after, &client) => {}
            () = client.closed() => {}
            () = sleep(STREAM_TIME_MAX) => {}
            // the client goes on at another gateway, from the last event that it got
            () = end_requested.requested() => {}
        }
        gauge!("event_streams").decrement(1.0);
    };
    // a task of its own: a client that takes nothing does not stop the clock that it is given up by
    gateway.shutdown.spawn_work(following.instrument(Span::current()));
    let events = ReceiverStream::new(handed_on).map(|change| Ok::<_, Infallible>(event(change)));
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_EVERY));
    Ok(([(CACHE_CONTROL, "no-store"), UNBUFFERED], stream).into_response())
}

/// Opens the stream of the changes after `version`.
async fn watch(
    gateway: Arc<Gateway>,
    id: OrderId,
    viewer: Viewer,
    version: i64,
) -> Result<Streaming<WatchOrderResponse>, Status> {
    let request = WatchOrderRequest { order_id: id.to_string(), viewer: Some(viewer.into()), after_version: version };
    let opening = rpc::ask(ASK_DEADLINE, request, |mut request| {
        // to open it has a deadline, the stream has none: a proxy on the way would end it by this header
        request.metadata_mut().remove("grpc-timeout");
        let mut orders = gateway.watched_orders.clone();
        async move { orders.watch_order(request).await }
    });
    opening.await
}

fn event(change: WatchOrderResponse) -> Event {
    let order = change.order.unwrap_or_default();
    let event = Event::default().id(order.version.to_string()).event(change.event_type);
    event.json_data(OrderJson::from(order)).expect("an order has text keys, and nothing else can fail")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};
    use contracts::order::v1::Order;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn an_event_is_the_version_the_type_of_the_letter_and_the_order_in_one_line() {
        let order = Order { order_id: "an id".to_owned(), status: 2, version: 7, ..Order::default() };
        let json = serde_json::to_string(&OrderJson::from(order.clone())).unwrap();
        let change = WatchOrderResponse { event_type: "order.completed".to_owned(), order: Some(order) };
        let stream = tokio_stream::once(Ok::<_, Infallible>(event(change)));
        let body = Sse::new(stream).into_response().into_body().collect().await.unwrap().to_bytes();
        let mut lines: Vec<&str> = std::str::from_utf8(&body).unwrap().lines().collect();
        // their order means nothing; the empty line ends the event
        assert_eq!(lines.pop(), Some(""));
        lines.sort_unstable();
        assert_eq!(lines, [format!("data: {json}").as_str(), "event: order.completed", "id: 7"]);
    }

    #[test]
    fn a_last_event_id_is_a_version() {
        let read = |values: &[&str]| {
            let mut request = Request::get("/");
            for value in values {
                request = request.header(LAST_EVENT_ID, value.as_bytes());
            }
            last_event_id(request.body(()).unwrap().headers())
        };
        assert_eq!(read(&[]), Some(0));
        for (right, version) in [("0", 0), ("7", 7), ("007", 7), ("9223372036854775807", i64::MAX)] {
            assert_eq!(read(&[right]), Some(version), "{right}");
        }
        for wrong in ["", "-1", "+1", "1.0", "1e3", "0x1", "one", "1 2", "1,2", "9223372036854775808", "١"] {
            assert_eq!(read(&[wrong]), None, "{wrong}");
        }
        assert_eq!(read(&["1", "1"]), None);
    }

    mod fuzz {
        use super::*;

        #[test]
        fn a_last_event_id_is_digits_that_fit_and_nothing_else() {
            fuzzing::target!("last_event_ids", &["7", "0", "9223372036854775807", "9223372036854775808", "+1", "1\n1"], |bytes| {
                let mut headers = HeaderMap::new();
                for line in bytes.split(|&byte| byte == b'\n') {
                    let Ok(value) = HeaderValue::from_bytes(line) else { return };
                    headers.append(LAST_EVENT_ID, value);
                }
                let text = str::from_utf8(bytes).unwrap_or_default();
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.trim_start_matches('0');
                let most = i64::MAX.to_string();
                let fits = number.len() < most.len() || (number.len() == most.len() && number <= most.as_str());
                match last_event_id(&headers) {
                    Some(version) => {
                        assert!(is_number && fits && version >= 0);
                        assert_eq!(version.to_string(), if number.is_empty() { "0" } else { number });
                    }
                    None => assert!(!is_number || !fits),
                }
            });
        }
    }
}
