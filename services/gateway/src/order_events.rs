//! `GET /v1/orders/{id}/events`: every change of an order as a stream of server-sent events. The `id` of an event is the version
//! of the order that it made.

use std::{str::FromStr, sync::Arc};

use aide::transform::TransformOperation;
use axum::{
    Json,
    extract::State,
    response::{Response, sse::Event},
};
use contracts::{
    ids::OrderId,
    order::v1::{Order, OrderStatus, ShipmentStatus, WatchOrderRequest, WatchOrderResponse},
};
use serde_json::json;
use tonic::{Status, Streaming};

use crate::{
    Gateway,
    body::Query,
    caller::Viewer,
    event_stream::{self, LastEventId, Watcher},
    fields::Nothing,
    follow::Change,
    openapi,
    order_json::OrderJson,
    path::Named,
    problem::Problem,
    spelling::Spelled,
};

/// The version of an order, from 1; 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(pub i64);

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        event_stream::number(text).map(Self).ok_or(())
    }
}

impl Spelled for Version {
    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": 0, "maximum": i64::MAX})
    }
}

impl Change for WatchOrderResponse {
    type Position = Version;

    const SERVICE: &'static str = "order";
    const HAS_LAST: bool = true;

    fn position(&self) -> Option<Version> {
        self.order.as_ref().map(|order| Version(order.version))
    }

    fn is_last(&self) -> bool {
        self.order.as_ref().is_some_and(is_final)
    }
}

/// Whether nothing can change any more.
fn is_final(order: &Order) -> bool {
    match order.status() {
        OrderStatus::Rejected | OrderStatus::Cancelled => true,
        OrderStatus::Completed => {
            order.shipment.as_ref().is_some_and(|parcel| parcel.status() == ShipmentStatus::Delivered)
        }
        // a cancel that comes too late leads back to COMPLETED, wherever the parcel is
        OrderStatus::Unspecified | OrderStatus::Pending | OrderStatus::Cancelling => false,
    }
}

/// What is said of [`events`].
pub fn events_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let about = "Each event has the order's version as its `id`, what happened as its `event` (`order.created`, `order.completed` …) and \
                 the order as its `data`. The stream ends after the last change that an order can have; a comment keeps it alive.";
    openapi::named(operation, "watchOrder", "orders", "Watch an order change, as server-sent events")
        .response_with::<200, Json<OrderJson>, _>(|response| response.description(about))
        .with(openapi::told_as_events)
}

/// `GET /v1/orders/{id}/events`
pub async fn events(
    State(gateway): State<Arc<Gateway>>,
    viewer: Viewer,
    Named(id): Named<OrderId>,
    watcher: Watcher,
    LastEventId(seen): LastEventId<Version>,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    let asking = gateway.clone();
    let watch_after = move |version| watch(asking.clone(), id, viewer, version);
    event_stream::answer(&gateway, watcher, seen.unwrap_or(Version(0)), watch_after, event).await
}

/// Opens the stream of the changes after a version.
async fn watch(
    gateway: Arc<Gateway>,
    id: OrderId,
    viewer: Viewer,
    Version(after_version): Version,
) -> Result<Streaming<WatchOrderResponse>, Status> {
    let request = WatchOrderRequest { order_id: id.to_string(), viewer: Some(viewer.into()), after_version };
    let opening = event_stream::open(request, |request| {
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
    use super::*;

    #[tokio::test]
    async fn an_event_is_the_version_the_type_of_the_letter_and_the_order_in_one_line() {
        let order = Order { order_id: "an id".to_owned(), status: 2, version: 7, ..Order::default() };
        let json = serde_json::to_string(&OrderJson::from(order.clone())).unwrap();
        let change = WatchOrderResponse { event_type: "order.completed".to_owned(), order: Some(order) };
        let lines = event_stream::lines(event(change)).await;
        assert_eq!(lines, [format!("data: {json}").as_str(), "event: order.completed", "id: 7"]);
    }
}
