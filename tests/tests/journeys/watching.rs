//! Watching an order: every change, once, in order, over broken connections and restarts.

use journeys::{
    command_line::CommandLine,
    customer::{Customer, OrderEvent, new_key},
    platform::Platform,
};
use reqwest::Method;
use testkit::{SOON, eventually};

#[tokio::test]
async fn a_customer_watches_an_order_from_its_first_event_to_its_last() {
    let platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "1")]).await;
    let customer = Customer::register(&platform).await;
    let id = customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();

    let events = customer.events(&id, None).await.rest().await;

    let seen: Vec<(i64, &str)> = events.iter().map(|event| (event.id, event.event.as_str())).collect();
    let expected = [
        (1, "order.created"),
        (2, "order.payment_updated"),
        (3, "order.completed"),
        (4, "order.shipment_updated"),
        (5, "order.shipment_updated"),
        (6, "order.shipment_updated"),
    ];
    assert_eq!(seen, expected);
    assert!(events.iter().all(|event| event.order["order_id"] == id && event.order["version"] == event.id));
    assert_eq!(events[5].order["shipment"]["status"], "DELIVERED");
    // whoever comes back later is told what he missed, and no more
    let after = customer.events(&id, Some(4)).await.rest().await;
    assert_eq!(after, events[4..]);
    assert_eq!(customer.events(&id, Some(6)).await.rest().await, []);
}

#[tokio::test]
async fn a_watch_goes_on_where_it_was_although_order_and_the_gateway_are_killed() {
    let mut platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "8")]).await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let id = customer.order_a_mug().await.expect(201).order_id();
    let mut watch = customer.events(&id, None).await;
    let mut seen: Vec<OrderEvent> = Vec::new();
    for _ in 0..3 {
        seen.push(watch.next().await.expect("created, completed, and the parcel"));
    }
    // order is killed: the same connection goes on
    platform.kill("order").await;
    platform.start_again("order").await;
    eventually(SOON, "it can be dispatched", async || {
        operator.send(Method::POST, &format!("/v1/orders/{id}/dispatch"), None, None).await.status.is_success()
    })
    .await;
    seen.push(watch.next().await.expect("the parcel left"));
    // the gateway is killed: the client resumes
    platform.kill("gateway").await;
    drop(watch);
    platform.start_again("gateway").await;
    let resumed = customer.events(&id, seen.last().map(|event| event.id)).await;
    seen.extend(resumed.rest().await);
    assert_eq!(seen.iter().map(|event| event.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(seen[4].order["shipment"]["status"], "DELIVERED");
    let stranger = Customer::register(&platform).await;
    stranger.get(&format!("/v1/orders/{id}/events")).await.expect(404);
}

#[tokio::test]
async fn the_command_line_watches_an_order_to_its_end_although_the_gateway_is_stopped() {
    let mut platform = Platform::start_with(testkit::kafka(), &[("shipping", "DISPATCH_AFTER", "5")]).await;
    let cli = CommandLine::of(&platform);
    let watching = cli.start(&["order", "--by", "letter", "--watch", "--json"]);
    eventually(SOON, "the watch has begun", async || watching.said().contains("order.completed")).await;
    platform.stop("gateway").await;
    platform.start_again("gateway").await;
    let said = watching.succeeds().await;
    let events: Vec<serde_json::Value> =
        said.lines().skip(1).map(|line| serde_json::from_str(line).expect("one event per line")).collect();
    let versions: Vec<i64> =
        events.iter().map(|event| event["order"]["version"].as_i64().expect("a version")).collect();
    assert_eq!(
        versions,
        (1..=i64::try_from(events.len()).expect("few")).collect::<Vec<_>>(),
        "none twice, none missing"
    );
    let last = events.last().expect("events");
    assert_eq!(last["order"]["shipment"]["status"], "DELIVERED");

    let rejected = cli.start(&["order", "--by", "letter", "--watch", "--sku", "sold-out"]);
    let said = rejected.fails_with(1).await;
    assert!(said.contains("the order is rejected: OUT_OF_STOCK"), "{said}");
}
