//! Every card of the stand-in card network ends as the contract says, through both doors, with at most one capture.

use std::time::Duration;

use journeys::{
    customer::{Customer, new_key},
    network::account,
    platform::Platform,
};
use serde_json::json;
use testkit::{SOON, eventually};

/// An order that is not decided after 30 s is unwound; what is asked of the services then takes a moment.
const UNWOUND: Duration = Duration::from_secs(45);

#[tokio::test]
async fn a_slow_and_a_flaky_network_still_complete_the_order_with_one_capture() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    for card in ["tok_visa", "tok_slow_2s", "tok_flaky", "tok_charged_no_reply"] {
        let letter = customer.order_by_letter(&new_key(), "mug", 1, card).await.expect(202).order_id();
        let answer = customer.order(&new_key(), "mug", 1, card).await;
        match card {
            // the answer of the first try is lost, and the second may come too late for the customer
            "tok_charged_no_reply" => assert!([201, 202].contains(&answer.status.as_u16()), "{answer:?}"),
            _ => assert_eq!(answer.status, 201, "{card}: {answer:?}"),
        }
        for id in [answer.order_id(), letter] {
            let order = customer.order_with_status(&id, "COMPLETED").await;
            let account = account(&platform, &id).await;
            assert_eq!((account.captures, account.refunded_minor), (1, 0), "{card}");
            assert_eq!(order["total"]["amount_minor"], account.kept_minor, "{card}");
        }
    }
}

#[tokio::test]
async fn a_card_that_is_refused_is_never_captured() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    for (card, status) in [("tok_declined", 402), ("tok_insufficient_funds", 402), ("tok_nobody_has", 422)] {
        let telephone = customer.order(&new_key(), "mug", 1, card).await.expect(status).order_id();
        let letter = customer.order_by_letter(&new_key(), "mug", 1, card).await.expect(202).order_id();
        for id in [telephone, letter] {
            customer.order_with_status(&id, "REJECTED").await;
            assert_eq!(account(&platform, &id).await.captures, 0, "{card}");
        }
    }
}

#[tokio::test]
async fn an_order_that_the_network_never_answers_is_unwound_in_time() {
    let platform = Platform::start_with(testkit::kafka(), &[("order", "DECIDE_LETTERS_WITHIN", "20")]).await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;
    let key = new_key();

    let letter = customer.order_by_letter(&new_key(), "mug", 1, "tok_no_reply").await.expect(202).order_id();
    let accepted = customer.order(&key, "mug", 1, "tok_no_reply").await.expect(202);
    let id = accepted.order_id();
    assert_eq!(accepted.json()["status"], "PENDING");
    assert_eq!(accepted.location, Some(format!("/v1/orders/{id}")));
    assert_eq!(accepted.preference_applied, None);
    customer.order(&key, "mug", 1, "tok_no_reply").await.expect(202);

    for id in [&id, &letter] {
        eventually(UNWOUND, "the order is given up", async || customer.read_order(id).await["status"] == "REJECTED")
            .await;
        let order = customer.read_order(id).await;
        assert_eq!((&order["reason"], &order["payment"]["status"]), (&json!("EXPIRED"), &json!("NONE")));
        assert_eq!(account(&platform, id).await.captures, 0);
    }
    eventually(SOON, "the stock is free", async || customer.available("mug").await == before).await;
    let late = customer.order(&key, "mug", 1, "tok_no_reply").await.expect(409);
    assert_eq!(late.json()["code"], "order-expired");
}
