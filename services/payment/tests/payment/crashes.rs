//! kill -9 of payment at the moments that matter: asking again ends right, with one capture.

use contracts::{
    ids::OrderId,
    payment::v1::{
        PaymentState, charge_response::Outcome as Charged, refund_response::Outcome as Refunded, void_response::Outcome,
    },
};

use crate::platform::Platform;

#[tokio::test]
async fn killed_after_the_attempt_and_before_the_network_was_called() {
    let mut platform = Platform::start_without_psp().await;
    let order_id = OrderId::new();
    platform.begin_charge(order_id, "tok_visa");
    platform.until_state(order_id, PaymentState::Attempting).await;
    platform.kill_payment();
    platform.start_psp().await;
    platform.restart_payment().await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting);
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Captured(_)), "{outcome:?}");
    assert_eq!(platform.captures(order_id), 1);
    assert_eq!(platform.owed_by_the_network().await, 1250);
}

#[tokio::test]
async fn killed_after_the_network_captured_and_before_that_was_committed() {
    for card_token in ["tok_visa", "tok_flaky", "tok_charged_no_reply"] {
        let mut platform = Platform::start().await;
        let order_id = OrderId::new();
        platform.pause_psp();
        platform.begin_charge(order_id, card_token);
        platform.until_state(order_id, PaymentState::Attempting).await;
        let lock = platform.lock("payments", order_id).await;
        platform.resume_psp();
        platform.die_at(lock).await;
        assert_eq!(platform.captures(order_id), 1, "{card_token}");
        platform.restart_payment().await;
        assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Attempting, "{card_token}");
        let outcome = platform.charge(order_id, card_token).await;
        assert!(matches!(outcome, Charged::Captured(_)), "{card_token}: {outcome:?}");
        assert_eq!(platform.captures(order_id), 1, "{card_token}");
        assert_eq!(platform.owed_by_the_network().await, 1250, "{card_token}");
    }
}

#[tokio::test]
async fn killed_after_the_tombstone_and_before_the_network_was_called() {
    let mut platform = Platform::start_without_psp().await;
    let order_id = OrderId::new();
    platform.begin_void(order_id);
    platform.until_state(order_id, PaymentState::Voiding).await;
    platform.kill_payment();
    platform.start_psp().await;
    platform.restart_payment().await;
    let outcome = platform.charge(order_id, "tok_visa").await;
    assert!(matches!(outcome, Charged::Unknown(_)), "{outcome:?}");
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    assert_eq!((platform.captures(order_id), platform.voids(order_id)), (0, 1));
}

#[tokio::test]
async fn killed_after_the_network_voided_and_before_that_was_committed() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.pause_psp();
    platform.begin_void(order_id);
    platform.until_state(order_id, PaymentState::Voiding).await;
    let lock = platform.lock("payments", order_id).await;
    platform.resume_psp();
    platform.die_at(lock).await;
    assert_eq!(platform.voids(order_id), 1);
    platform.restart_payment().await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Voiding);
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "VOID"]);
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn killed_after_the_refund_was_noted_and_before_the_network_was_called() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.pause_psp();
    platform.begin_refund(order_id);
    platform.until_state(order_id, PaymentState::Refunding).await;
    platform.kill_payment();
    // what the dead process may have sent dies with the network that it was sent to
    platform.kill_psp();
    assert_eq!(platform.refunds(order_id), 0);
    platform.start_psp().await;
    platform.restart_payment().await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunding);
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Refunded::Refunded(_)), "{outcome:?}");
    assert_eq!(platform.refunds(order_id), 1);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "REFUND"]);
    assert_eq!(platform.owed_by_the_network().await, 0);
}

#[tokio::test]
async fn killed_after_the_network_refunded_and_before_that_was_committed() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.charge(order_id, "tok_visa").await;
    platform.pause_psp();
    platform.begin_refund(order_id);
    platform.until_state(order_id, PaymentState::Refunding).await;
    let lock = platform.lock("payments", order_id).await;
    platform.resume_psp();
    platform.die_at(lock).await;
    assert_eq!(platform.refunds(order_id), 1);
    platform.restart_payment().await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Refunding);
    assert_eq!(platform.owed_by_the_network().await, 1250, "payment does not know of the refund");
    let outcome = platform.refund(order_id).await;
    assert!(matches!(outcome, Refunded::Refunded(_)), "{outcome:?}");
    assert_eq!(platform.refunds(order_id), 1);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "REFUND"]);
    assert_eq!(platform.owed_by_the_network().await, 0);
}
