//! A parcel that is stopped never leaves.

use contracts::{
    ids::OrderId,
    problem::ProblemCode,
    shipping::v1::{ShipmentStatus, StopShipment, stop_response::Outcome},
};

use crate::depot::{Depot, NEVER, story};

#[tokio::test]
async fn a_stopped_parcel_stays_whatever_comes_afterwards() {
    let depot = Depot::open(1).await;
    let customer = depot.accounts.register(None).await;
    let order = depot.awaiting(customer).await;
    let Outcome::Stopped(stopped) = depot.stop(order).await else { panic!("it was not stopped") };
    assert_eq!((stopped.status(), stopped.version), (ShipmentStatus::Cancelled, 2));
    assert_eq!(stopped.customer_id, customer.to_string());
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0, "nobody wants to know any more");
    assert_eq!(depot.stop(order).await, Outcome::Stopped(stopped.clone()), "the same answer again");
    let refused = depot.dispatch(order).await.unwrap_err();
    assert_eq!(rpc::problem_of(&refused), ProblemCode::NotDispatchable);
    // the address comes, the letter comes again, and time passes
    depot.accounts.move_house(customer).await;
    depot.complete(order, customer).await;
    let other = depot.preparing().await;
    depot.reaches(other, ShipmentStatus::Delivered).await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.cancelled", 2)]);
    assert_eq!(depot.shipment(order).await.unwrap(), stopped);
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

#[tokio::test]
async fn a_parcel_that_is_being_prepared_can_be_stopped() {
    let depot = Depot::open(NEVER).await;
    let order = depot.preparing().await;
    let Outcome::Stopped(stopped) = depot.stop(order).await else { panic!("it was not stopped") };
    assert_eq!((stopped.status(), stopped.version), (ShipmentStatus::Cancelled, 2));
    assert_eq!(depot.count("SELECT count(*) FROM shipment WHERE due_at IS NOT NULL").await, 0);
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.cancelled", 2)]);
}

#[tokio::test]
async fn an_order_that_is_stopped_before_it_is_completed_never_has_a_parcel() {
    let depot = Depot::open(NEVER).await;
    let order = OrderId::new();
    let Outcome::Stopped(tombstone) = depot.stop(order).await else { panic!("it was not stopped") };
    assert_eq!((tombstone.status(), tombstone.version), (ShipmentStatus::Cancelled, 1));
    assert_eq!(tombstone.customer_id, depot.customer.to_string());
    depot.complete(order, depot.customer).await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.cancelled", 1)]);
    assert_eq!(depot.stop(order).await, Outcome::Stopped(tombstone));
}

#[tokio::test]
async fn an_order_that_is_stopped_while_its_question_is_out_never_has_a_parcel() {
    let depot = Depot::open(NEVER).await;
    depot.accounts.pause();
    let order = OrderId::new();
    depot.complete(order, depot.customer).await;
    depot.asked(order).await;
    let Outcome::Stopped(tombstone) = depot.stop(order).await else { panic!("it was not stopped") };
    assert_eq!(tombstone.version, 1);
    depot.accounts.resume();
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.cancelled", 1)]);
}

#[tokio::test]
async fn it_is_too_late_to_stop_what_has_left() {
    let depot = Depot::open(2).await;
    let order = depot.preparing().await;
    let dispatched = depot.dispatch(order).await.unwrap();
    assert_eq!(depot.stop(order).await, Outcome::Dispatched(dispatched));
    let delivered = depot.reaches(order, ShipmentStatus::Delivered).await;
    assert_eq!(depot.stop(order).await, Outcome::Dispatched(delivered));
    let whole = [("shipment.created", 1), ("shipment.dispatched", 2), ("shipment.delivered", 3)];
    assert_eq!(story(&depot.letters_until_now().await, order), whole);
}

#[tokio::test]
async fn a_list_of_stops_has_an_outcome_for_each_and_a_malformed_one_changes_nothing() {
    let depot = Depot::open(NEVER).await;
    let item =
        |order: &str, customer: &str| StopShipment { order_id: order.to_owned(), customer_id: customer.to_owned() };
    let customer = depot.customer.to_string();
    let right = item(&OrderId::new().to_string(), &customer);
    for wrong in [item("x", &customer), item(&OrderId::new().to_string(), "")] {
        let refused = depot.stop_all(vec![right.clone(), wrong]).await.unwrap_err();
        assert_eq!(rpc::problem_of(&refused), ProblemCode::Invalid);
    }
    assert_eq!(rpc::problem_of(&depot.stop_all(Vec::new()).await.unwrap_err()), ProblemCode::Invalid);
    assert_eq!(depot.count("SELECT count(*) FROM shipment").await, 0);
    let all = (0..100).map(|_| item(&OrderId::new().to_string(), &customer)).collect();
    let outcomes = depot.stop_all(all).await.unwrap();
    assert_eq!(outcomes.len(), 100);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Stopped(_))));
}

#[tokio::test]
async fn a_shipment_from_before_customers_were_kept_is_told_without_one() {
    let depot = Depot::open(NEVER).await;
    let order = OrderId::new();
    sqlx::query(
        "INSERT INTO shipment (order_id, shipment_id, status, due_at)
         VALUES ($1, gen_random_uuid(), 'PREPARING', now() + interval '1 hour')",
    )
    .bind(order.as_uuid())
    .execute(&depot.database.owner)
    .await
    .unwrap();
    assert_eq!(depot.shipment(order).await.unwrap().customer_id, "");
    assert!(matches!(depot.stop(order).await, Outcome::Stopped(stopped) if stopped.customer_id.is_empty()));
}
