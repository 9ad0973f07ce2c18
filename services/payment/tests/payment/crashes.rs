//! kill -9 of payment at the moments that matter: asking again ends right, with one capture.

use contracts::{
    ids::OrderId,
    payment::v1::{PaymentState, charge_response::Outcome as Charged, void_response::Outcome},
};
use sqlx::{Postgres, Transaction};
use testkit::{SOON, eventually};

use crate::platform::Platform;

#[tokio::test]
async fn killed_after_the_attempt_and_before_the_network_was_called() {
    let mut platform = Platform::start_without_psp().await;
    let order_id = OrderId::new();
    platform.begin_charge(order_id, "tok_visa");
    platform.until_state(order_id, PaymentState::Attempting).await;
    platform.kill_payment();
    platform.start_psp();
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
        let lock = lock(&platform, order_id).await;
        platform.resume_psp();
        die_at_the_lock(&mut platform, lock).await;
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
    platform.start_psp();
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
    let lock = lock(&platform, order_id).await;
    platform.resume_psp();
    die_at_the_lock(&mut platform, lock).await;
    assert_eq!(platform.voids(order_id), 1);
    platform.restart_payment().await;
    assert_eq!(platform.state(order_id).await.unwrap(), PaymentState::Voiding);
    let outcome = platform.void(order_id).await;
    assert!(matches!(outcome, Outcome::Voided(_)), "{outcome:?}");
    assert_eq!(platform.transfers(order_id).await, ["CAPTURE", "VOID"]);
    assert_eq!(platform.owed_by_the_network().await, 0);
}

/// Locks the payment's row, so that whoever wants to commit a change of it has to wait.
async fn lock(platform: &Platform, order_id: OrderId) -> Transaction<'static, Postgres> {
    let mut lock = platform.database.owner.begin().await.unwrap();
    sqlx::query("SELECT FROM payments WHERE order_id = $1 FOR UPDATE")
        .bind(order_id.as_uuid())
        .execute(&mut *lock)
        .await
        .unwrap();
    lock
}

/// Waits until payment wants to commit what the network answered, and kills it there.
async fn die_at_the_lock(platform: &mut Platform, lock: Transaction<'static, Postgres>) {
    eventually(SOON, "payment waits to commit the network's answer", async || !waiting(platform).await.is_empty())
        .await;
    platform.kill_payment();
    // the database does not notice that its client is dead, and would commit for it once the lock is gone
    for pid in waiting(platform).await {
        let gone = sqlx::query_scalar("SELECT pg_terminate_backend($1, 10000)").bind(pid);
        let gone: bool = gone.fetch_one(&platform.database.app).await.unwrap();
        assert!(gone);
    }
    lock.rollback().await.unwrap();
}

/// The database's processes that work for payment and wait for a lock. Asked as payment's role, which sees its own.
async fn waiting(platform: &Platform) -> Vec<i32> {
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_all(&platform.database.app).await.unwrap()
}
