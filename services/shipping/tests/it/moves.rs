//! Parcels move on, asked for or in time, and each move is one letter.

use contracts::{ids::OrderId, problem::ProblemCode, shipping::v1::ShipmentStatus};

use crate::depot::{Depot, NEVER, story};

#[tokio::test]
async fn a_parcel_that_is_dispatched_again_and_again_leaves_once() {
    let depot = Depot::open(NEVER).await;
    let order = depot.preparing().await;
    let at_once = tokio::join!(depot.dispatch(order), depot.dispatch(order), depot.dispatch(order));
    let dispatched = at_once.0.unwrap();
    assert_eq!((dispatched.status(), dispatched.version), (ShipmentStatus::Dispatched, 2));
    assert_eq!(at_once.1.unwrap(), dispatched);
    assert_eq!(at_once.2.unwrap(), dispatched);
    assert_eq!(depot.dispatch(order).await.unwrap(), dispatched);
    assert_eq!(depot.shipment(order).await.unwrap(), dispatched);
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.dispatched", 2)]);
}

#[tokio::test]
async fn what_has_no_shipment_or_no_address_yet_cannot_be_dispatched() {
    let depot = Depot::open(NEVER).await;
    depot.preparing().await;
    let status = depot.dispatch(OrderId::new()).await.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::NotFound);
    let customer = depot.accounts.register(None).await;
    let order = depot.awaiting(customer).await;
    let status = depot.dispatch(order).await.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::NotDispatchable);
    depot.accounts.move_house(customer).await;
    depot.reaches(order, ShipmentStatus::Preparing).await;
    assert_eq!(depot.dispatch(order).await.unwrap().version, 3);
}

#[tokio::test]
async fn parcels_are_dispatched_and_delivered_in_time() {
    let depot = Depot::open(1).await;
    let (first, second) = (OrderId::new(), OrderId::new());
    depot.complete(first, depot.customer).await;
    depot.complete(second, depot.customer).await;
    for order in [first, second] {
        let delivered = depot.reaches(order, ShipmentStatus::Delivered).await;
        assert_eq!(delivered.version, 3);
        assert_eq!(depot.dispatch(order).await.unwrap(), delivered);
    }
    let letters = depot.letters_until_now().await;
    let whole = [("shipment.created", 1), ("shipment.dispatched", 2), ("shipment.delivered", 3)];
    assert_eq!(story(&letters, first), whole);
    assert_eq!(story(&letters, second), whole);
    // each stayed for its time, by the database's clock
    let early = depot.count(
        "SELECT count(*) FROM (
             SELECT event_type, occurred_at - lag(occurred_at) OVER (PARTITION BY key ORDER BY sequence) AS stayed
             FROM outbox
         ) AS moves
         WHERE event_type IN ('shipment.dispatched', 'shipment.delivered') AND stayed < interval '1 second'",
    );
    assert_eq!(early.await, 0);
}

#[tokio::test]
async fn more_parcels_than_one_batch_all_arrive() {
    let depot = Depot::open(1).await;
    // 250 orders that wait for their dispatch since long
    sqlx::query(
        "INSERT INTO shipment (order_id, shipment_id, status, due_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'PREPARING', now() - interval '1 hour'
         FROM generate_series(1, 250)",
    )
    .execute(&depot.database.owner)
    .await
    .unwrap();
    testkit::eventually(testkit::SOON, "all are delivered", async || {
        depot.count("SELECT count(*) FROM shipment WHERE status = 'DELIVERED'").await == 250
    })
    .await;
    assert_eq!(depot.count("SELECT count(*) FROM outbox").await, 500);
    assert_eq!(depot.count("SELECT count(DISTINCT (key, sequence)) FROM outbox").await, 500);
}
