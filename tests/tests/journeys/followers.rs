//! What follows a completed order happens by letter, and a follower that is away delays nobody.

use contracts::{events::v1::HighValueOrderCompleted, topics::HIGH_VALUE_ORDERS};
use journeys::{
    customer::{Customer, address, new_key},
    letters,
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually, eventually_some};

#[tokio::test]
async fn a_follower_that_is_away_delays_no_order_and_catches_up() {
    let mut platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    platform.kill("shipping").await;

    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(customer.order_a_mug().await.expect(201).order_id());
    }
    platform.start_again("shipping").await;

    for id in &ids {
        customer.shipment_is(id, "PREPARING").await;
    }
    let shipments: i64 = sqlx::query_scalar("SELECT count(*) FROM shipment")
        .fetch_one(platform.database("shipping"))
        .await
        .expect("shipping has its table");
    assert_eq!(shipments, 5, "one shipment per order");
}

#[tokio::test]
async fn dispatching_moves_the_shipment_and_the_order() {
    let platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let id = customer.order_a_mug().await.expect(201).order_id();
    let dispatch = format!("/v1/orders/{id}/dispatch");
    customer.send(Method::POST, &dispatch, None, None).await.expect(403);

    eventually(SOON, "the order can be dispatched", async || {
        operator.send(Method::POST, &dispatch, None, None).await.status.is_success()
    })
    .await;

    eventually(SOON, "the order says so", async || {
        let shipment = customer.read_order(&id).await["shipment"].clone();
        shipment["status"] == "DISPATCHED" && shipment["tracking_number"].is_string()
    })
    .await;
}

#[tokio::test]
async fn an_order_of_high_value_is_told_by_either_door_and_a_small_one_is_not() {
    let platform = Platform::start_with(testkit::kafka(), &[("analytics", "HIGH_VALUE_FROM_MINOR", "2500")]).await;
    let customer = Customer::register(&platform).await;
    customer.order_a_mug().await.expect(201);
    let by_telephone = customer.order(&new_key(), "mug", 2, "tok_visa").await.expect(201).order_id();
    let by_letter = customer.order_by_letter(&new_key(), "mug", 3, "tok_visa").await.expect(202).order_id();
    customer.order_with_status(&by_letter, "COMPLETED").await;

    for (id, amount_minor) in [(by_telephone, 2_500), (by_letter, 3_750)] {
        let told = eventually_some(SOON, "it is told", async || {
            letters::of(&platform.kafka, HIGH_VALUE_ORDERS, &id).await.into_iter().next()
        });
        let told: HighValueOrderCompleted = told.await.decode().expect("it is of this type");
        assert_eq!(told.total.expect("a total").amount_minor, amount_minor);
        assert_eq!((told.order_id, told.customer_id), (id, customer.account_id()));
    }
    assert_eq!(letters::on(&platform.kafka, HIGH_VALUE_ORDERS).await.len(), 2, "the mug alone is not told");
}

#[tokio::test]
async fn an_order_without_an_address_waits_for_one_and_goes_on_by_itself() {
    let platform = Platform::start().await;
    let customer = Customer::register_without_address(&platform).await;
    let id = customer.order_a_mug().await.expect(201).order_id();
    let shipment = async |status: &str| {
        eventually(SOON, status, async || customer.read_order(&id).await["shipment"]["status"] == status).await;
    };
    shipment("AWAITING_ADDRESS").await;
    let told = async |event_type: &str| {
        let page = customer.get("/v1/messages").await.expect(200).json();
        let messages = page["items"].as_array().expect("a list");
        messages.iter().any(|message| message["event_type"] == event_type && message["order_id"] == id.as_str())
    };
    eventually(SOON, "the customer is asked for an address", async || told("shipment.created").await).await;
    customer.send(Method::PUT, "/v1/accounts/me/address", None, Some(address())).await.expect(200);
    shipment("PREPARING").await;
    customer.cancel(&new_key(), &id).await.expect(200);
    eventually(SOON, "the customer is told of the cancel", async || told("order.cancelled").await).await;
}

#[tokio::test]
async fn the_followers_tell_what_became_of_orders_through_both_doors() {
    let platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let telephone = customer.order(&new_key(), "mug", 2, "tok_visa").await.expect(201);
    let letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    customer.order_with_status(&letter, "COMPLETED").await;
    customer.order(&new_key(), "mug", 1, "tok_declined").await.expect(402);
    customer.cancel(&new_key(), &letter).await.expect(200);

    let timeline = eventually_some(SOON, "every letter is in the timeline", async || {
        let page = customer.get(&format!("/v1/orders/{letter}/timeline")).await.expect(200).json();
        let entries = page["items"].as_array().expect("a list").clone();
        entries.iter().any(|entry| entry["type"] == "order.cancelled").then_some(entries)
    })
    .await;
    for (source, event_type) in [
        ("/order", "order.created"),
        ("/inventory", "reservation.held"),
        ("/payment", "payment.captured"),
        ("/order", "order.completed"),
        ("/order", "order.cancelling"),
    ] {
        let is_it = |entry: &Value| entry["source"] == source && entry["type"] == event_type;
        assert!(timeline.iter().any(is_it), "{event_type} of {source} is missing: {timeline:?}");
    }

    let unit = telephone.json()["total"]["amount_minor"].as_i64().expect("an amount") / 2;
    eventually(SOON, "the sales add up", async || {
        let sales = operator.get("/v1/analytics/sales?window=1h").await.expect(200).json();
        let windows = sales["items"].as_array().expect("a list").clone();
        let sum = |pointer: &str| windows.iter().filter_map(|window| window.pointer(pointer)?.as_i64()).sum::<i64>();
        (sum("/orders"), sum("/revenue/amount_minor")) == (2, 3 * unit)
            && (sum("/cancelled_orders"), sum("/refunded/amount_minor")) == (1, unit)
    })
    .await;
    let top = operator.get("/v1/analytics/top-products").await.expect(200).json();
    assert_eq!((&top["items"][0]["sku"], &top["items"][0]["quantity"]), (&json!("mug"), &json!(3)));
    customer.get("/v1/analytics/sales").await.expect(403);
}
