//! What is sold, told while it is sold.

use std::collections::BTreeMap;

use journeys::{
    customer::{Customer, LiveSales, new_key},
    platform::Platform,
};
use serde_json::Value;
use testkit::SOON;
use tokio::time::timeout;

/// Windows by their start and currency.
type Windows = BTreeMap<(String, String), Value>;

fn key_of(window: &Value) -> (String, String) {
    let text = |pointer: &str| window.pointer(pointer).and_then(Value::as_str).expect("text").to_owned();
    (text("/from"), text("/revenue/currency"))
}

fn orders(windows: &Windows) -> i64 {
    windows.values().map(|window| window["orders"].as_i64().expect("a number")).sum()
}

fn cancelled(windows: &Windows) -> i64 {
    windows.values().map(|window| window["cancelled_orders"].as_i64().expect("a number")).sum()
}

/// What `GET /v1/analytics/sales` tells.
async fn sales(operator: &Customer) -> Windows {
    let page = operator.get("/v1/analytics/sales").await.expect(200).json();
    let items = page["items"].as_array().expect("a list").clone();
    items.into_iter().map(|window| (key_of(&window), window)).collect()
}

/// Takes events until what was told comes to so many orders and cancelled ones. Gives the id of the last.
async fn follow(live: &mut LiveSales, windows: &mut Windows, sold: i64, given_back: i64) -> String {
    let following = async {
        loop {
            let event = live.next().await;
            windows.insert(key_of(&event.window), event.window);
            if (orders(windows), cancelled(windows)) == (sold, given_back) {
                return event.id;
            }
        }
    };
    timeout(SOON * 2, following).await.expect("every order is told")
}

#[tokio::test]
async fn the_operators_live_stream_tells_exactly_the_sums_that_the_sales_tell_over_breaks_and_restarts() {
    let mut platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    customer.get("/v1/analytics/live").await.expect(403);
    let mut windows = Windows::new();
    let mut live = operator.live_sales(None).await;
    // what is not sold is not told
    customer.order(&new_key(), "mug", 1, "tok_declined").await.expect(402);
    let first = customer.order(&new_key(), "mug", 2, "tok_visa").await.expect(201).order_id();
    follow(&mut live, &mut windows, 1, 0).await;
    for _ in 0..4 {
        customer.order_a_mug().await.expect(201);
    }
    customer.cancel(&new_key(), &first).await.expect(200);
    let seen = follow(&mut live, &mut windows, 5, 1).await;
    assert_eq!(windows, sales(&operator).await);

    // analytics is killed: the same stream goes on
    platform.kill("analytics").await;
    customer.order_a_mug().await.expect(201);
    platform.start_again("analytics").await;
    follow(&mut live, &mut windows, 6, 1).await;
    assert_eq!(windows, sales(&operator).await);

    // the operator was away: he is told what changed since, once, and then what changes
    drop(live);
    let mut resumed = operator.live_sales(Some(&seen)).await;
    let missed = resumed.next().await.window;
    assert_eq!(windows.get(&key_of(&missed)), Some(&missed));
    customer.order_a_mug().await.expect(201);
    let new = resumed.next().await.window;
    windows.insert(key_of(&new), new);
    assert_eq!((orders(&windows), cancelled(&windows)), (7, 1));
    assert_eq!(windows, sales(&operator).await);
}
