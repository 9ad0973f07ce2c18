//! What follows a completed order happens by letter, and a follower that is away delays nobody.

use journeys::{customer::Customer, platform::Platform};
use reqwest::Method;
use testkit::{SOON, eventually};

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
        eventually(SOON, "the order has a shipment", async || {
            customer.read_order(id).await["shipment"]["status"] == "PREPARING"
        })
        .await;
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
