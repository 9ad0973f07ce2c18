//! An order by letter: accepted at once, carried on by letters alone, and nothing is lost while a service is away.

use contracts::{event::Payload, events::v1 as payloads, topics};
use journeys::{
    customer::{Customer, new_key},
    letters, network,
    platform::Platform,
};
use serde_json::{Value, json};
use testkit::{SOON, eventually};

#[tokio::test]
async fn an_order_by_letter_is_accepted_at_once_and_completed_by_letters_alone() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;
    let key = new_key();

    let accepted = customer.order_by_letter(&key, "mug", 2, "tok_visa").await.expect(202);

    let id = accepted.order_id();
    assert_eq!(accepted.location, Some(format!("/v1/orders/{id}")));
    assert_eq!(accepted.preference_applied.as_deref(), Some("respond-async"));
    let order = accepted.json();
    assert_eq!((&order["status"], &order["placed_by"]), (&json!("PENDING"), &json!("letter")));
    assert_eq!((&order["total"], &order["version"]), (&Value::Null, &json!(1)));

    let completed = customer.order_with_status(&id, "COMPLETED").await;
    assert_eq!(completed["payment"]["status"], "CAPTURED");
    assert_eq!(completed["total"]["amount_minor"], network::account(&platform, &id).await.kept_minor);
    assert_eq!(customer.available("mug").await, before - 2);
    customer.shipment_is(&id, "PREPARING").await;

    // the 202 is the answer to this key, for ever and through both doors
    for again in
        [customer.order_by_letter(&key, "mug", 2, "tok_visa").await, customer.order(&key, "mug", 2, "tok_visa").await]
    {
        assert_eq!((again.status.as_u16(), &again.bytes, again.is_replayed), (202, &accepted.bytes, true));
    }

    let told = async |topic| {
        let letters = letters::of(&platform.kafka, topic, &id).await;
        letters.into_iter().map(|letter| (letter.sequence, letter.event_type)).collect::<Vec<_>>()
    };
    let expected = [
        payloads::OrderCreated::TYPE,
        payloads::OrderPaymentUpdated::TYPE,
        payloads::OrderCompleted::TYPE,
        payloads::OrderShipmentUpdated::TYPE,
    ];
    let expected: Vec<_> = (1_i64..).zip(expected.map(str::to_owned)).collect();
    eventually(SOON, "every change was told by letter", async || told(topics::ORDERS).await == expected).await;
    assert_eq!(told(topics::RESERVATIONS).await, [(1, payloads::ReservationHeld::TYPE.to_owned())]);
    assert_eq!(told(topics::PAYMENTS).await, [(1, payloads::PaymentCaptured::TYPE.to_owned())]);
}

#[tokio::test]
async fn while_payment_is_stopped_orders_by_letter_are_taken_and_complete_after_those_by_telephone_are_given_up() {
    let mut platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    platform.stop("payment").await;

    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(customer.order_by_letter(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id());
    }
    let telephone = customer.order(&new_key(), "mug", 1, "tok_visa").await.expect(202).order_id();
    for id in &ids {
        eventually(SOON, "its stock is held", async || customer.read_order(id).await["payment"]["status"] == "PENDING")
            .await;
    }
    // longer than an order by telephone may take to be decided
    eventually(SOON * 3, "the order by telephone is being undone", async || {
        customer.read_order(&telephone).await["payment"]["status"] == "UNKNOWN"
    })
    .await;
    platform.start_again("payment").await;

    let given_up = customer.order_with_status(&telephone, "REJECTED").await;
    assert_eq!((&given_up["reason"], &given_up["payment"]["status"]), (&json!("EXPIRED"), &json!("NONE")));
    assert_eq!(network::account(&platform, &telephone).await.captures, 0);

    for id in &ids {
        customer.order_with_status(id, "COMPLETED").await;
        assert_eq!(network::account(&platform, id).await.captures, 1);
    }
}

#[tokio::test]
async fn each_service_of_the_way_may_be_killed_while_orders_by_letter_are_under_way() {
    let mut platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let mut ids = Vec::new();
    for service in ["inventory", "payment", "order", "psp"] {
        for _ in 0..5 {
            ids.push(customer.order_by_letter(&new_key(), "sticker", 1, "tok_visa").await.expect(202).order_id());
        }
        platform.kill(service).await;
        platform.start_again(service).await;
    }
    for id in &ids {
        let order = customer.order_with_status(id, "COMPLETED").await;
        let account = network::account(&platform, id).await;
        assert_eq!((account.captures, json!(account.kept_minor)), (1, order["total"]["amount_minor"].clone()));
    }
    assert_eq!(network::captures(&platform).await.len(), ids.len(), "nothing else was captured");
}

#[tokio::test]
async fn an_order_by_letter_that_cannot_be_had_is_rejected_and_holds_nothing() {
    let platform = Platform::start().await;
    let customer = Customer::register(&platform).await;
    let before = customer.available("mug").await;
    for (sku, card, reason, payment) in [
        ("sold-out", "tok_visa", "OUT_OF_STOCK", "NONE"),
        ("no-such-thing", "tok_visa", "UNKNOWN_SKU", "NONE"),
        ("mug", "tok_declined", "PAYMENT_DECLINED", "DECLINED"),
        ("mug", "tok_insufficient_funds", "PAYMENT_DECLINED", "DECLINED"),
        ("mug", "tok_nobody_has", "UNKNOWN_CARD", "NONE"),
    ] {
        let id = customer.order_by_letter(&new_key(), sku, 1, card).await.expect(202).order_id();
        let order = customer.order_with_status(&id, "REJECTED").await;
        assert_eq!((&order["reason"], &order["payment"]["status"]), (&json!(reason), &json!(payment)));
        assert_eq!(network::account(&platform, &id).await.captures, 0);
    }
    assert_eq!(customer.available("mug").await, before);
}
