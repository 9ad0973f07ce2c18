//! The stream of sales, as far as it is not that of an order.

use contracts::{
    analytics::v1::{Sales, SalesPosition, WatchSalesRequest, WatchSalesResponse},
    money::v1::Money,
    order::v1::{WatchOrderRequest, WatchOrderResponse},
    timestamp_to_proto,
};
use reqwest::Response;
use testkit::SOON;
use tokio::time::timeout;

use crate::{
    client::{EVENTS, LIVE, Running, Who, problem_in, refused, start, with},
    stand_in::Streams,
};

fn position(change: i64) -> SalesPosition {
    SalesPosition { generation: 16_423, change }
}

/// A window of which so many orders are told.
fn window(orders: i64) -> WatchSalesResponse {
    let at = |time: &str| Some(timestamp_to_proto(time.parse().unwrap()));
    let money = |amount_minor| Some(Money { amount_minor, currency: "EUR".to_owned() });
    let sales = Sales {
        from: at("2026-11-21T09:00:00Z"),
        to: at("2026-11-21T09:01:00Z"),
        orders,
        revenue: money(10 * orders),
        cancelled_orders: 0,
        refunded: money(0),
    };
    WatchSalesResponse { sales: Some(sales), position: Some(position(orders)) }
}

fn nothing_but_a_position(change: i64) -> WatchSalesResponse {
    WatchSalesResponse { sales: None, position: Some(position(change)) }
}

async fn gateway_of(analytics: &Streams<WatchSalesRequest>, settings: &[&str]) -> Running {
    let analytics = format!("--analytics-url={}", analytics.url);
    start(&[&[analytics.as_str()], settings].concat()).await
}

async fn watch(gateway: &Running, last_event_id: Option<&str>) -> Response {
    let mut request = gateway.right_from("GET", LIVE, Who::Operator, None);
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// The next events, as they are sent.
async fn read(response: &mut Response, events: usize) -> String {
    let mut text = String::new();
    while text.matches("\n\n").count() < events {
        let chunk = timeout(SOON, response.chunk()).await.expect("the next event comes soon").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("the stream goes on")).unwrap());
    }
    text
}

#[tokio::test]
async fn each_window_is_an_event_and_where_there_is_nothing_to_tell_there_is_an_id_alone() {
    let analytics = Streams::start(&[window(1), nothing_but_a_position(2), window(3)]).await;
    let gateway = gateway_of(&analytics, &[]).await;
    let mut response = watch(&gateway, None).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let data = |orders: i64| {
        let revenue = 10 * orders;
        format!(
            "data: {{\"from\":\"2026-11-21T09:00:00Z\",\"to\":\"2026-11-21T09:01:00Z\",\"orders\":{orders},\
             \"revenue\":{{\"amount_minor\":{revenue},\"currency\":\"EUR\"}},\"cancelled_orders\":0,\
             \"refunded\":{{\"amount_minor\":0,\"currency\":\"EUR\"}}}}"
        )
    };
    let expected = [
        format!("id: 16423-1\nevent: sales.updated\n{}\n\n", data(1)),
        "id: 16423-2\n\n".to_owned(),
        format!("id: 16423-3\nevent: sales.updated\n{}\n\n", data(3)),
    ];
    assert_eq!(read(&mut response, 3).await, expected.concat());
}

#[tokio::test]
async fn it_goes_on_after_the_last_event_that_came_also_when_analytics_breaks_off() {
    let analytics = Streams::start(&[window(7), nothing_but_a_position(8)]).await;
    let gateway = gateway_of(&analytics, &[]).await;
    let mut first = watch(&gateway, None).await;
    let mut resumed = watch(&gateway, Some("16423-5")).await;
    read(&mut first, 2).await;
    read(&mut resumed, 2).await;
    let asked_after = || -> Vec<Option<i64>> {
        let asked = analytics.asked.lock().unwrap();
        asked.iter().map(|request| request.after.map(|position| position.change)).collect()
    };
    assert_eq!(asked_after(), [None, Some(5)]);
    assert_eq!(analytics.asked.lock().unwrap()[1].after, Some(position(5)));
    analytics.break_off.send(()).unwrap();
    testkit::eventually(SOON, "the gateway asks again", async || asked_after().len() == 4).await;
    assert_eq!(asked_after()[2..], [Some(8), Some(8)]);
    // the clients notice nothing of it
    read(&mut first, 2).await;
    read(&mut resumed, 2).await;
}

#[tokio::test]
async fn a_last_event_id_that_is_no_position_is_400_after_who_and_before_the_query() {
    let gateway = start(&[]).await;
    let from = |who, id: &str, path: &str| gateway.right_from("GET", path, who, None).header("last-event-id", id);
    assert_eq!(refused(from(Who::Anyone, "one", LIVE)).await, with(401, "unauthenticated"));
    assert_eq!(refused(from(Who::Customer, "one", LIVE)).await, with(403, "forbidden"));
    for wrong in ["", "7", "-1", "1-", "1-2-3", "+1-1", "1--1", "1 - 1", "one-two", "1-9223372036854775808"] {
        for path in [LIVE, &format!("{LIVE}?debug=1")] {
            assert_eq!(refused(from(Who::Operator, wrong, path)).await, with(400, "malformed"), "{path} {wrong:?}");
        }
    }
    let twice = from(Who::Operator, "1-1", LIVE).header("last-event-id", "1-1");
    assert_eq!(refused(twice).await, with(400, "malformed"));
    let parameter = from(Who::Operator, "1-1", &format!("{LIVE}?window=1h"));
    assert_eq!(refused(parameter).await, with(422, "invalid"));
    for right in ["0-0", "16423-1087", "9223372036854775807-9223372036854775807"] {
        assert_eq!(refused(from(Who::Operator, right, LIVE)).await, with(503, "unavailable"), "{right}");
    }
}

#[tokio::test]
async fn all_streams_share_their_places_and_leave_those_of_requests() {
    let order = Streams::<WatchOrderRequest>::start(&[] as &[WatchOrderResponse]).await;
    let analytics = Streams::start(&[window(1)]).await;
    let order_url = format!("--order-url={}", order.url);
    let gateway = gateway_of(&analytics, &["--sse-streams-max=2", "--requests-max=1", &order_url]).await;
    let sales = watch(&gateway, None).await;
    let of_an_order = || gateway.right_from("GET", EVENTS, Who::Customer, None);
    let watched = of_an_order().send().await.unwrap();
    assert_eq!(watched.status(), 200);
    for third in [of_an_order(), gateway.right_from("GET", LIVE, Who::Operator, None)] {
        let (status, code, document) = problem_in(third.send().await.unwrap()).await;
        assert_eq!((status, code), with(503, "unavailable"));
        assert!(document["detail"].as_str().unwrap().contains("watched"), "{document}");
    }
    assert_eq!(gateway.request("GET", "/.well-known/jwks.json").send().await.unwrap().status(), 200);

    drop(sales);
    testkit::eventually(SOON, "analytics is rid of the stream", async || analytics.open() == 0).await;
    let again = async || of_an_order().send().await.unwrap().status() == 200;
    testkit::eventually(SOON, "there is a place again", again).await;
}
