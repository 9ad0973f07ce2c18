//! kill -9 of payment at each step of charging by letter: the next process finds where it was, and charges once.

use contracts::{ids::OrderId, payment::v1::PaymentState};

use crate::{platform::Platform, post::held};

#[tokio::test]
async fn killed_before_the_letter_is_written_down() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    let lock = platform.lock_before_insert(order_id).await;
    platform.post.send(&held(order_id)).await;
    platform.die_at(lock).await;
    assert_eq!(platform.attempts(order_id).await, None);
    charged_once_by_the_next(platform, order_id).await;
}

#[tokio::test]
async fn killed_before_order_was_asked() {
    let mut platform = Platform::start_without_psp().await;
    platform.start_psp().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    platform.until_attempts(order_id, 1).await;
    platform.kill_payment();
    assert_eq!(platform.count("SELECT count(*) FROM payments").await, 0);
    platform.order.open();
    charged_once_by_the_next(platform, order_id).await;
}

#[tokio::test]
async fn killed_after_the_attempt_and_before_the_network_was_called() {
    let mut platform = Platform::start_without_psp().await;
    platform.order.open();
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    platform.until_state(order_id, PaymentState::Attempting).await;
    platform.kill_payment();
    platform.start_psp().await;
    charged_once_by_the_next(platform, order_id).await;
}

#[tokio::test]
async fn killed_after_the_network_captured_and_before_that_was_committed() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.pause_psp();
    platform.post.send(&held(order_id)).await;
    platform.until_state(order_id, PaymentState::Attempting).await;
    let lock = platform.lock("payments", order_id).await;
    platform.resume_psp();
    platform.die_at(lock).await;
    assert_eq!(platform.captures(order_id), 1);
    assert!(platform.transfers(order_id).await.is_empty());
    charged_once_by_the_next(platform, order_id).await;
}

#[tokio::test]
async fn killed_after_the_capture_was_committed_and_before_the_letter_was() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.pause_psp();
    platform.post.send(&held(order_id)).await;
    platform.until_state(order_id, PaymentState::Attempting).await;
    // the transaction of the letter removes the work last
    let lock = platform.lock("charge_work", order_id).await;
    platform.resume_psp();
    platform.until_state(order_id, PaymentState::Captured).await;
    platform.die_at(lock).await;
    assert!(platform.letters(order_id).await.is_empty());
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
    // settled: the next process needs neither order nor the card network
    platform.kill_psp();
    let asked = platform.order.times_asked(order_id);
    let platform = charged_once_by_the_next(platform, order_id).await;
    assert_eq!(platform.order.times_asked(order_id), asked);
}

#[tokio::test]
async fn killed_while_the_letter_is_being_written() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    // settled already, so that the letter is the first thing that the work leads to
    platform.charge(order_id, "tok_visa").await;
    let lock = platform.lock("payments", order_id).await;
    platform.post.send(&held(order_id)).await;
    platform.die_at(lock).await;
    assert!(platform.letters(order_id).await.is_empty());
    charged_once_by_the_next(platform, order_id).await;
}

#[tokio::test]
async fn killed_after_the_letter_was_committed() {
    let mut platform = Platform::start().await;
    let order_id = OrderId::new();
    platform.order.wants(order_id, "tok_visa");
    platform.post.send(&held(order_id)).await;
    platform.answered(order_id).await;
    platform.kill_payment();
    // the letter that asked for it comes again as well
    platform.post.send(&held(order_id)).await;
    let platform = charged_once_by_the_next(platform, order_id).await;
    let next = OrderId::new();
    platform.order.wants(next, "tok_visa");
    platform.post.send(&held(next)).await;
    let letters = platform.post.read_until(next).await;
    let mut ids: Vec<_> = letters.iter().filter(|letter| letter.subject == order_id.to_string()).collect();
    ids.dedup_by_key(|letter| letter.id);
    assert_eq!(ids.len(), 1, "whatever the relay repeats is one letter: {letters:?}");
}

async fn charged_once_by_the_next(mut platform: Platform, order_id: OrderId) -> Platform {
    platform.restart_payment().await;
    assert_eq!(platform.answered(order_id).await, "payment.captured");
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Captured);
    assert_eq!(platform.captures(order_id), 1);
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE"]);
    assert_eq!(platform.owed_by_the_network().await, 1250);
    platform
}
