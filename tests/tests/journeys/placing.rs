//! An order by telephone: completed, or refused and kept.

use contracts::{event::Payload, events::v1 as payloads, topics};
use journeys::{
    customer::{Customer, new_key, order_body},
    letters,
    platform::Platform,
};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{SOON, eventually};

#[tokio::test]
async fn an_order_travels_from_http_to_a_follower_and_back() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;

    let answer = customer.order(&new_key(), "mug", 2, "tok_visa").await.expect(201);

    let id = answer.order_id();
    let order = answer.json();
    assert_eq!(answer.location, Some(format!("/v1/orders/{id}")));
    assert_eq!(order["status"], "COMPLETED");
    assert_eq!(order["placed_by"], "telephone");
    assert_eq!(order["payment"]["status"], "CAPTURED");
    assert_eq!(order["shipment"], Value::Null);
    let price = customer.get("/v1/products/mug").await.expect(200).json()["price"].clone();
    let twice = json!({"amount_minor": price["amount_minor"].as_i64().unwrap() * 2, "currency": price["currency"]});
    assert_eq!(order["lines"], json!([{"sku": "mug", "quantity": 2, "unit_price": price, "line_total": twice}]));
    assert_eq!(order["total"], twice);
    assert_eq!(customer.available("mug").await, before - 2);

    // the follower hears of it, and its own letter moves the order's version
    customer.shipment_is(&id, "PREPARING").await;
    assert!(customer.read_order(&id).await["version"].as_i64() > order["version"].as_i64());

    let told = async || {
        let letters = letters::of(&platform.kafka, topics::ORDERS, &id).await;
        letters.into_iter().map(|letter| (letter.sequence, letter.event_type)).collect::<Vec<_>>()
    };
    let expected = [
        (1, payloads::OrderCreated::TYPE.to_owned()),
        (2, payloads::OrderCompleted::TYPE.to_owned()),
        (3, payloads::OrderShipmentUpdated::TYPE.to_owned()),
    ];
    eventually(SOON, "every change was told by letter", async || told().await == expected).await;
}

#[tokio::test]
async fn an_order_without_stock_is_refused_kept_and_holds_nothing() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;

    let sold_out = customer.order(&new_key(), "sold-out", 1, "tok_visa").await.expect(409);
    assert_eq!(sold_out.json()["code"], "out-of-stock");
    let kept = customer.read_order(&sold_out.order_id()).await;
    assert_eq!((&kept["status"], &kept["reason"]), (&json!("REJECTED"), &json!("OUT_OF_STOCK")));
    assert_eq!(kept["payment"]["status"], "NONE");

    // all lines or none
    let before = customer.available("mug").await;
    let lines = json!([{"sku": "mug", "quantity": 1}, {"sku": "sold-out", "quantity": 1}]);
    let body = json!({"lines": lines, "payment": {"card_token": "tok_visa"}});
    customer.send(Method::POST, "/v1/orders", Some(&new_key()), Some(body)).await.expect(409);
    assert_eq!(customer.available("mug").await, before);

    // the last one is sold once
    let (one, other) = (new_key(), new_key());
    let (one, other) = tokio::join!(
        customer.order(&one, "last-one", 1, "tok_visa"),
        customer.order(&other, "last-one", 1, "tok_visa")
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn a_declined_order_gives_its_stock_back() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("tee").await;
    for card in ["tok_declined", "tok_insufficient_funds"] {
        let declined = customer.order(&new_key(), "tee", 3, card).await.expect(402);
        assert_eq!(declined.json()["code"], "payment-declined");
        let detail = declined.json()["detail"].as_str().map(str::to_owned).unwrap_or_default();
        assert!(detail.starts_with("the card was declined: "), "the bank's words reach the customer: {detail}");
        let kept = customer.read_order(&declined.order_id()).await;
        assert_eq!((&kept["status"], &kept["reason"]), (&json!("REJECTED"), &json!("PAYMENT_DECLINED")));
        assert_eq!(kept["payment"]["status"], "DECLINED");
        assert_eq!(customer.available("tee").await, before);
    }
}

#[tokio::test]
async fn an_unknown_sku_and_an_unknown_card_are_refused_and_kept() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;

    let no_sku = customer.order(&new_key(), "no-such-thing", 1, "tok_visa").await.expect(422);
    assert_eq!(no_sku.json()["code"], "unknown-sku");
    assert_eq!(customer.read_order(&no_sku.order_id()).await["reason"], "UNKNOWN_SKU");

    let no_card = customer.order(&new_key(), "mug", 1, "tok_nobody_has").await.expect(422);
    assert_eq!(no_card.json()["code"], "unknown-card");
    assert_eq!(customer.read_order(&no_card.order_id()).await["reason"], "UNKNOWN_CARD");
    assert_eq!(customer.available("mug").await, before);
}

#[tokio::test]
async fn lines_in_two_currencies_are_refused() {
    let platform = Platform::start().await;
    let (customer, operator) = (Customer::register(&platform).await, Customer::operator(&platform).await);
    let product = json!({"name": "A mug from afar", "price": {"amount_minor": 900, "currency": "USD"}});
    operator.send(Method::PUT, "/v1/products/far-mug", None, Some(product)).await.expect(200);
    let quantity = json!({"quantity": 5});
    operator.send(Method::POST, "/v1/products/far-mug/restock", Some(&new_key()), Some(quantity)).await.expect(200);

    let lines = json!([{"sku": "mug", "quantity": 1}, {"sku": "far-mug", "quantity": 1}]);
    let body = json!({"lines": lines, "payment": {"card_token": "tok_visa"}});
    let refused = customer.send(Method::POST, "/v1/orders", Some(&new_key()), Some(body)).await.expect(422);
    assert_eq!(refused.json()["code"], "mixed-currencies");
    assert_eq!(customer.available("far-mug").await, 5);
}

#[tokio::test]
async fn orders_are_listed_newest_first_page_by_page() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(customer.order_a_mug().await.expect(201).order_id());
    }
    placed.reverse();
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = customer.get(&format!("/v1/orders?limit=2{cursor}")).await.expect(200).json();
        listed.extend(
            page["items"].as_array().unwrap().iter().map(|order| order["order_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(listed, placed);
    customer
        .send(Method::POST, "/v1/orders", Some(&new_key()), Some(order_body("sold-out", 1, "tok_visa")))
        .await
        .expect(409);
    let rejected = customer.get("/v1/orders?status=REJECTED").await.expect(200).json();
    assert_eq!(rejected["items"].as_array().map(Vec::len), Some(1));
}
