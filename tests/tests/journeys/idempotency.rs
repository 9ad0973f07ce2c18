//! One Idempotency-Key, one order.

use std::collections::HashSet;

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_repeated_request_gets_the_same_bytes_and_places_nothing() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    for (sku, card, status) in [("mug", "tok_visa", 201), ("sold-out", "tok_visa", 409), ("mug", "tok_declined", 402)] {
        let key = new_key();
        let first = customer.order(&key, sku, 1, card).await.expect(status);
        assert!(!first.is_replayed);
        let again = customer.order(&key, sku, 1, card).await.expect(status);
        assert!(again.is_replayed);
        assert_eq!((again.bytes, again.location), (first.bytes, first.location));
    }
    let placed = customer.get("/v1/orders?limit=100").await.expect(200).json();
    assert_eq!(placed["items"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_key_is_good_for_one_body_compared_by_value() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let key = new_key();
    let first = customer.order(&key, "mug", 1, "tok_visa").await.expect(201);

    let other = customer.order(&key, "mug", 2, "tok_visa").await.expect(422);
    assert_eq!(other.json()["code"], "idempotency-key-reused");

    // the same values in another order of fields
    let same = json!({"payment": {"card_token": "tok_visa"}, "lines": [{"quantity": 1, "sku": "mug"}]});
    let again = customer.send(Method::POST, "/v1/orders", Some(&key), Some(same)).await.expect(201);
    assert_eq!(again.bytes, first.bytes);

    // another customer's key of the same spelling is another key
    let neighbour = Customer::register(&platform).await;
    let theirs = neighbour.order(&key, "mug", 1, "tok_visa").await.expect(201);
    assert_ne!(theirs.order_id(), first.order_id());
}

#[tokio::test]
async fn the_same_request_32_times_at_once_is_one_order() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    for _ in 0..5 {
        let key = new_key();
        let requests: Vec<_> = (0..32)
            .map(|_| {
                let (customer, key) = (customer.clone(), key.clone());
                tokio::spawn(async move { customer.order(&key, "mug", 1, "tok_visa").await })
            })
            .collect();
        let mut bodies = HashSet::new();
        for request in requests {
            let answer = request.await.expect("it is answered");
            match answer.status.as_u16() {
                201 => {
                    bodies.insert(answer.bytes);
                }
                409 => assert_eq!(answer.json()["code"], "idempotency-key-in-flight"),
                _ => panic!("{answer:?}"),
            }
        }
        assert_eq!(bodies.len(), 1, "every 201 has the same bytes");
    }
    let placed = customer.get("/v1/orders?limit=100").await.expect(200).json();
    assert_eq!(placed["items"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_delivery_of_stock_counts_once_and_its_key_is_good_for_one_product() {
    let platform = Platform::start().await;
    let operator = Customer::operator(&platform).await;
    let (key, quantity) = (new_key(), json!({"quantity": 7}));
    let restock = async |sku: &str| {
        let path = format!("/v1/products/{sku}/restock");
        operator.send(Method::POST, &path, Some(&key), Some(quantity.clone())).await.expect(200)
    };
    let before = operator.available("sold-out").await;
    assert!(!restock("sold-out").await.is_replayed);
    assert!(restock("sold-out").await.is_replayed);
    assert_eq!(operator.available("sold-out").await, before + 7);
    // scope: the caller, the method, the path and the key
    assert!(!restock("last-one").await.is_replayed);
    assert_eq!(operator.available("last-one").await, 8);
}
