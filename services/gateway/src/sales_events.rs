//! `GET /v1/analytics/live`: the sales of the last minutes as they change, as a stream of server-sent events. Each event is a
//! window of a minute as `GET /v1/analytics/sales` tells it.

use std::{fmt, str::FromStr, sync::Arc};

use aide::transform::TransformOperation;
use axum::{
    Json,
    extract::State,
    response::{Response, sse::Event},
};
use contracts::analytics::v1::{SalesPosition, WatchSalesRequest, WatchSalesResponse};
use serde_json::json;
use tonic::{Status, Streaming};

use crate::{
    Gateway,
    body::Query,
    caller::Operator,
    event_stream::{self, LastEventId, Watcher},
    fields::Nothing,
    follow::Change,
    openapi,
    problem::Problem,
    sales_json::SalesJson,
    spelling::Spelled,
};

/// What an event tells.
const UPDATED: &str = "sales.updated";

/// How far changes of sales were seen, as analytics says it. As text, the `id` of an event, its two numbers: `16423-1087`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(SalesPosition);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.generation, self.0.change)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (generation, change) = text.split_once('-').ok_or(())?;
        match (event_stream::number(generation), event_stream::number(change)) {
            (Some(generation), Some(change)) => Ok(Self(SalesPosition { generation, change })),
            _ => Err(()),
        }
    }
}

impl Spelled for Position {
    fn schema() -> serde_json::Value {
        json!({"type": "string", "pattern": "^[0-9]{1,19}-[0-9]{1,19}$"})
    }
}

impl Change for WatchSalesResponse {
    /// `None`: nothing was seen yet.
    type Position = Option<Position>;

    const SERVICE: &'static str = "analytics";
    const HAS_LAST: bool = false;

    fn position(&self) -> Option<Self::Position> {
        self.position.map(|position| Some(Position(position)))
    }

    fn is_last(&self) -> bool {
        false
    }
}

/// What is said of [`live`].
pub fn live_docs(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    let about = "Each `sales.updated` has a window of a minute in one currency as its `data`: at first those of the last five minutes, then \
                 each that changed, as it is by then. A comment keeps it alive.";
    openapi::named(operation, "watchSales", "followers", "Watch sales change, as server-sent events")
        .response_with::<200, Json<SalesJson>, _>(|response| response.description(about))
        .with(openapi::told_as_events)
}

/// `GET /v1/analytics/live`
pub async fn live(
    State(gateway): State<Arc<Gateway>>,
    _: Operator,
    watcher: Watcher,
    LastEventId(seen): LastEventId<Position>,
    _: Query<Nothing>,
) -> Result<Response, Problem> {
    let asking = gateway.clone();
    let watch_after = move |seen| watch(asking.clone(), seen);
    event_stream::answer(&gateway, watcher, seen, watch_after, event).await
}

/// Opens the stream of the windows that changed after a position.
async fn watch(gateway: Arc<Gateway>, seen: Option<Position>) -> Result<Streaming<WatchSalesResponse>, Status> {
    let request = WatchSalesRequest { after: seen.map(|Position(position)| position) };
    let opening = event_stream::open(request, |request| {
        let mut analytics = gateway.watched_sales.clone();
        async move { analytics.watch_sales(request).await }
    });
    opening.await
}

/// Without a window it is an `id` alone: a browser takes note of it, and tells its page nothing.
fn event(change: WatchSalesResponse) -> Event {
    let mut event = Event::default();
    if let Some(position) = change.position {
        event = event.id(Position(position).to_string());
    }
    let Some(sales) = change.sales else { return event };
    let event = event.event(UPDATED);
    event.json_data(SalesJson::from(sales)).expect("sales have text keys, and nothing else can fail")
}

#[cfg(test)]
mod tests {
    use contracts::analytics::v1::Sales;

    use super::*;

    #[tokio::test]
    async fn an_event_is_a_position_and_a_window_in_one_line_or_a_position_alone() {
        let position = Some(SalesPosition { generation: 16_423, change: 1_087 });
        let sales = Sales { orders: 3, ..Sales::default() };
        let json = serde_json::to_string(&SalesJson::from(sales.clone())).unwrap();
        let window = event_stream::lines(event(WatchSalesResponse { sales: Some(sales), position })).await;
        assert_eq!(window, [format!("data: {json}").as_str(), "event: sales.updated", "id: 16423-1087"]);
        let alone = event_stream::lines(event(WatchSalesResponse { sales: None, position })).await;
        assert_eq!(alone, ["id: 16423-1087"]);
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for right in ["0-0", "16423-1087", "9223372036854775807-9223372036854775807"] {
            assert_eq!(right.parse::<Position>().unwrap().to_string(), right);
        }
        for wrong in ["", "-", "1", "1-", "-1", "1--1", "1-2-3", "+1-1", "1-+1", " 1-1", "a-b", "1-9223372036854775808"]
        {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
        }
    }
}
