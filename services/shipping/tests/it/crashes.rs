//! kill -9 of shipping at the moments that matter: the parcel is prepared once.

use contracts::{ids::OrderId, shipping::v1::ShipmentStatus};

use crate::depot::{Depot, NEVER, story};

#[tokio::test]
async fn killed_while_the_question_is_out() {
    let mut depot = Depot::open(NEVER).await;
    depot.accounts.pause();
    let order = OrderId::new();
    depot.complete(order, depot.customer).await;
    depot.asked(order).await;
    depot.kill();
    depot.accounts.resume();
    asked_again(&mut depot, order).await;
}

#[tokio::test]
async fn killed_before_the_answer_was_committed() {
    let mut depot = Depot::open(NEVER).await;
    depot.accounts.pause();
    let order = OrderId::new();
    depot.complete(order, depot.customer).await;
    depot.asked(order).await;
    let lock = depot.lock_question(order).await;
    depot.accounts.resume();
    depot.waits_for_lock().await;
    depot.kill();
    // the session of the dead process gets the lock, writes, and is never told to commit
    lock.rollback().await.unwrap();
    asked_again(&mut depot, order).await;
}

/// The next process asks again when the lease of the dead one has ended.
async fn asked_again(depot: &mut Depot, order: OrderId) {
    assert_eq!(depot.count("SELECT count(*) FROM shipment").await, 0);
    assert_eq!(depot.count("SELECT count(*) FROM address_question WHERE attempt_at > now()").await, 1, "the lease");
    // its time passes
    sqlx::query("UPDATE address_question SET attempt_at = now()").execute(&depot.database.owner).await.unwrap();
    depot.start_again().await;
    depot.reaches(order, ShipmentStatus::Preparing).await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.created", 1)]);
}
