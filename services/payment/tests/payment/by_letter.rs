//! Orders that are placed by letter: charged once, answered once by letter, and never forgotten.

use std::time::Duration;

use contracts::{
    event::Event,
    events::v1::{PaymentCaptured, PaymentDeclined, payment_declined::Refusal},
    ids::OrderId,
    payment::v1::{PaymentState, charge_response::Outcome as Charged, void_response::Outcome as Voided},
};
use prost::Message;
use testkit::{SOON, eventually};

use crate::{
    platform::Platform,
    post::{held, reserved},
};

const CAPTURED: &str = "payment.captured";
const DECLINED: &str = "payment.declined";

#[tokio::test]
async fn each_card_leads_to_its_letter() {
    let platform = Platform::start().await;
    let hold = async |card_token: &str| {
        let order_id = OrderId::new();
        platform.order.wants(order_id, card_token);
        platform.post.send(&held(order_id)).await;
        order_id
    };
    let silent = hold("tok_no_reply").await;
    for card_token in ["tok_visa", "tok_slow_2s", "tok_flaky", "tok_charged_no_reply"] {
        let order_id = hold(card_token).await;
        assert_eq!(platform.answered(order_id).await, CAPTURED, "{card_token}");
        assert_eq!(platform.captures(order_id), 1, "{card_token}");
        assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
        let letter = published(&platform, order_id).await;
        assert_eq!((letter.source.as_str(), letter.sequence), ("/payment", 1));
        let told: PaymentCaptured = letter.decode().unwrap();
        assert_eq!((told.order_id, told.reserved), (order_id.to_string(), Some(reserved())));
        assert!(told.captured.unwrap().captured_at.is_some());
    }
    for (card_token, reason) in [
        ("tok_declined", Some("declined")),
        ("tok_insufficient_funds", Some("insufficient_funds")),
        ("tok_bogus", None),
    ] {
        let order_id = hold(card_token).await;
        assert_eq!(platform.answered(order_id).await, DECLINED, "{card_token}");
        assert_eq!(platform.captures(order_id), 0, "{card_token}");
        let told: PaymentDeclined = published(&platform, order_id).await.decode().unwrap();
        assert_eq!((told.order_id, told.reserved), (order_id.to_string(), Some(reserved())));
        let refused_for = match told.refusal.unwrap() {
            Refusal::Declined(declined) => Some(declined.reason),
            Refusal::UnknownCard(_) => None,
        };
        assert_eq!(refused_for.as_deref(), reason, "{card_token}");
    }
    // a card that never replies is neither captured nor declined, and goes on being asked
    platform.until_attempts(silent, 2).await;
    assert_eq!(platform.state(silent).await.unwrap(), PaymentState::Attempting);
    assert!(platform.letters(silent).await.is_empty());
}

#[tokio::test]
async fn a_letter_that_comes_again_charges_once_and_is_answered_once() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    let letter = held(order_id);
    platform.post.send(&letter).await;
    platform.post.send(&letter).await;
    platform.answered(order_id).await;
    let asked = platform.order.times_asked(order_id);
    // also when all is long done
    platform.post.send(&letter).await;
    until_read(&platform).await;
    assert_eq!(platform.attempts(order_id).await, None);
    assert_eq!(platform.answered(order_id).await, CAPTURED);
    assert_eq!(platform.captures(order_id), 1);
    assert_eq!(platform.order.times_asked(order_id), asked);
    assert_eq!(platform.owed_by_the_network().await, 2 * 1250);
}

#[tokio::test]
async fn work_that_is_written_down_again_after_the_answer_is_not_answered_again() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    platform.answered(order_id).await;
    // what a letter that is read while the answer is being committed leaves behind
    sqlx::query("INSERT INTO charge_work (order_id, reserved) VALUES ($1, $2)")
        .bind(order_id.as_uuid())
        .bind(reserved().encode_to_vec())
        .execute(&platform.database.owner)
        .await
        .unwrap();
    assert_eq!(platform.answered(order_id).await, CAPTURED);
    assert_eq!(platform.captures(order_id), 1);
}

#[tokio::test]
async fn an_order_that_was_given_up_is_not_charged() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.gives_up(order_id);
    platform.post.send(&held(order_id)).await;
    until_read(&platform).await;
    platform.until_done(order_id).await;
    assert!(platform.letters(order_id).await.is_empty());
    assert!(platform.state(order_id).await.is_err(), "there is no payment");
    assert_eq!(platform.captures(order_id), 0);
}

#[tokio::test]
async fn an_order_that_was_voided_first_is_not_charged_and_order_is_not_asked() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Voided::Voided(_)), "{outcome:?}");
    platform.post.send(&held(order_id)).await;
    until_read(&platform).await;
    platform.until_done(order_id).await;
    assert!(platform.letters(order_id).await.is_empty());
    assert_eq!((platform.captures(order_id), platform.order.times_asked(order_id)), (0, 0));
}

#[tokio::test]
async fn a_void_ends_the_work_on_a_card_that_never_replies() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_no_reply");
    platform.post.send(&held(order_id)).await;
    platform.until_state(order_id, PaymentState::Attempting).await;
    platform.void(order_id).await;
    platform.until_done(order_id).await;
    assert!(platform.letters(order_id).await.is_empty());
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Voided);
    assert_eq!(platform.captures(order_id), 0);
}

#[tokio::test]
async fn what_was_charged_by_telephone_is_answered_without_asking_anybody() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Captured(_)), "{outcome:?}");
    platform.pause_psp();
    platform.post.send(&held(order_id)).await;
    assert_eq!(platform.answered(order_id).await, CAPTURED);
    assert_eq!(platform.order.times_asked(order_id), 0);
}

#[tokio::test]
async fn while_order_is_away_charges_wait_and_then_all_are_made() {
    let mut platform = Platform::start_without_psp().await;
    platform.start_psp().await;
    let orders = hold_20(&platform).await;
    platform.until_attempts(orders[19], 2).await;
    assert_eq!(platform.count("SELECT count(*) FROM payments").await, 0);
    platform.order.open();
    all_are_captured_once(&platform, &orders).await;
}

#[tokio::test]
async fn while_the_card_network_is_away_charges_wait_and_then_all_are_made() {
    let mut platform = Platform::start_without_psp().await;
    platform.order.open();
    let orders = hold_20(&platform).await;
    for &order_id in &orders {
        platform.until_state(order_id, PaymentState::Attempting).await;
    }
    assert_eq!(platform.count("SELECT count(*) FROM outbox").await, 0, "nobody is answered");
    platform.start_psp().await;
    all_are_captured_once(&platform, &orders).await;
}

#[tokio::test]
async fn orders_that_come_back_again_and_again_keep_no_new_one_waiting() {
    let platform = Platform::start().await;
    // 400 cards that never reply, 4 s each: one after the other, they would take far longer than this test waits
    let silent: Vec<OrderId> = (0..400).map(|_| OrderId::new()).collect();
    for &order_id in &silent {
        platform.order.wants(order_id, "tok_no_reply");
    }
    sqlx::query(
        "INSERT INTO charge_work (order_id, reserved, attempts, attempt_at)
         SELECT order_id, $2, 1, now() - interval '1 hour' FROM unnest($1::uuid[]) AS silent (order_id)",
    )
    .bind(silent.iter().map(|order_id| order_id.as_uuid()).collect::<Vec<_>>())
    .bind(reserved().encode_to_vec())
    .execute(&platform.database.owner)
    .await
    .unwrap();
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    assert_eq!(platform.answered(order_id).await, CAPTURED);
}

#[tokio::test]
async fn an_order_asked_for_by_both_doors_at_once_is_captured_once() {
    let platform = Platform::start().await;
    for card_token in ["tok_visa", "tok_slow_2s", "tok_flaky", "tok_charged_no_reply"] {
        let order_id = OrderId::new();
        platform.order.wants(order_id, card_token);
        platform.post.send(&held(order_id)).await;
        let outcome = platform.charge_within(Duration::from_secs(10), order_id, card_token).await;
        assert!(matches!(outcome, Charged::Captured(_)), "{card_token}: {outcome:?}");
        assert_eq!(platform.answered(order_id).await, CAPTURED);
        assert_eq!(platform.captures(order_id), 1, "{card_token}");
    }
}

#[tokio::test]
async fn an_answer_belongs_to_the_trace_of_the_letter_that_asked_for_it() {
    let platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    platform.post.send(&Event { traceparent, ..held(order_id) }).await;
    platform.answered(order_id).await;
    let letter = published(&platform, order_id).await;
    assert!(letter.traceparent.unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
}

#[tokio::test]
async fn how_much_waits_to_be_charged_is_a_metric() {
    let platform = Platform::start_without_psp().await;
    hold_20(&platform).await;
    eventually(SOON, "20 orders wait", async || platform.metric("charge_work_depth").await == Some(20.0)).await;
    assert!(platform.metric("charge_work_oldest_age_seconds").await > Some(0.0));
}

#[tokio::test]
async fn the_card_token_is_in_no_table_and_no_letter() {
    let platform = Platform::start().await;
    let (captured, silent) = (OrderId::new(), OrderId::new());
    platform.order.wants(captured, "tok_visa");
    platform.order.wants(silent, "tok_no_reply");
    platform.post.send(&held(captured)).await;
    platform.post.send(&held(silent)).await;
    platform.answered(captured).await;
    platform.until_state(silent, PaymentState::Attempting).await;
    let rows: String = sqlx::query_scalar(
        "SELECT string_agg(row, ' ') FROM (
             SELECT payments::text FROM payments UNION ALL SELECT charge_work::text FROM charge_work
             UNION ALL SELECT encode(payload, 'escape') FROM outbox) AS rows (row)",
    )
    .fetch_one(&platform.database.owner)
    .await
    .unwrap();
    assert!(rows.contains(&silent.to_string()) && !rows.contains("tok_"), "{rows}");
}

async fn hold_20(platform: &Platform) -> Vec<OrderId> {
    let orders: Vec<OrderId> = (0..20).map(|_| OrderId::new()).collect();
    for &order_id in &orders {
        platform.order.wants(order_id, "tok_visa");
        platform.post.send(&held(order_id)).await;
    }
    orders
}

async fn all_are_captured_once(platform: &Platform, orders: &[OrderId]) {
    for &order_id in orders {
        assert_eq!(platform.answered(order_id).await, CAPTURED);
        assert_eq!(platform.captures(order_id), 1);
    }
    assert_eq!(platform.owed_by_the_network().await, 1250 * i64::try_from(orders.len()).unwrap());
}

/// Sends another order after what was sent before, and waits until that one is answered: there is one partition.
async fn until_read(platform: &Platform) {
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    platform.answered(order_id).await;
}

/// The order's letter as it is on Kafka.
async fn published(platform: &Platform, order_id: OrderId) -> Event {
    platform.post.read_until(order_id).await.pop().expect("it ends with the order's letter")
}
