//! Every card of the stand-in card network ends as the contract says, with at most one capture.

use std::time::Duration;

use journeys::{
    customer::{Customer, new_key},
    platform::Platform,
};
use serde_json::Value;
use testkit::{SOON, eventually};

/// An order that is not decided after 30 s is unwound; what is asked of the services then takes a moment.
const UNWOUND: Duration = Duration::from_secs(45);

/// What the card network's own books say was captured for an order.
async fn captures(platform: &Platform, order_id: &str) -> Vec<Value> {
    let url = format!("{}/captures?since=2020-01-01T00:00:00Z", platform.url("psp"));
    let page: Value = serde_json::from_slice(&reqwest::get(url).await.unwrap().bytes().await.unwrap()).unwrap();
    assert!(page["next_cursor"].is_null(), "these tests make few captures");
    let of_order = |capture: &&Value| capture["merchant_reference"] == order_id;
    page["items"].as_array().unwrap().iter().filter(of_order).cloned().collect()
}

#[tokio::test]
async fn a_slow_and_a_flaky_network_still_complete_the_order_with_one_capture() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    for card in ["tok_visa", "tok_slow_2s", "tok_flaky"] {
        let order = customer.order(&new_key(), "mug", 1, card).await.expect(201);
        let captured = captures(&platform, &order.order_id()).await;
        assert_eq!(captured.len(), 1, "{card}");
        assert_eq!(captured[0]["amount"], order.json()["total"], "{card}");
    }
    for card in ["tok_declined", "tok_insufficient_funds", "tok_nobody_has"] {
        let order = customer.order(&new_key(), "mug", 1, card).await;
        assert_eq!(captures(&platform, &order.order_id()).await.len(), 0, "{card}");
    }
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_asked_for_again_and_captured_once() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let answer = customer.order(&new_key(), "mug", 1, "tok_charged_no_reply").await;
    assert!([201, 202].contains(&answer.status.as_u16()), "{answer:?}");
    let id = answer.order_id();
    eventually(SOON, "the order is completed", async || customer.read_order(&id).await["status"] == "COMPLETED").await;
    assert_eq!(captures(&platform, &id).await.len(), 1);
}

#[tokio::test]
async fn an_order_that_the_network_never_answers_is_unwound_in_time() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;
    let key = new_key();

    let accepted = customer.order(&key, "mug", 1, "tok_no_reply").await.expect(202);
    let id = accepted.order_id();
    assert_eq!(accepted.json()["status"], "PENDING");
    assert_eq!(accepted.location, Some(format!("/v1/orders/{id}")));
    customer.order(&key, "mug", 1, "tok_no_reply").await.expect(202);

    eventually(UNWOUND, "the order is given up", async || customer.read_order(&id).await["status"] == "REJECTED").await;
    let order = customer.read_order(&id).await;
    assert_eq!(order["reason"], "EXPIRED");
    assert_eq!(order["payment"]["status"], "NONE");
    assert_eq!(captures(&platform, &id).await.len(), 0);
    assert_eq!(customer.available("mug").await, before);
    let late = customer.order(&key, "mug", 1, "tok_no_reply").await.expect(409);
    assert_eq!(late.json()["code"], "order-expired");
}
