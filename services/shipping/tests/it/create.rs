//! A completed order gets one shipment.

use consumer::{Delivered, EventHandler};
use contracts::{
    event::Event,
    events::v1::{
        OrderCompleted, OrderCreated, OrderPaymentUpdated, OrderRejected, OrderShipmentUpdated, ShipmentCreated,
    },
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::ShipmentStatus,
    topics::ORDERS,
};
use shipping::consumers::NoteCompleted;
use testkit::SOON;
use uuid::Uuid;

use crate::depot::{Depot, NEVER, about, completed, message, story};

#[tokio::test]
async fn a_completed_order_gets_a_shipment_and_a_letter_that_tells_it() {
    let depot = Depot::open(NEVER).await;
    let order = OrderId::new();
    let mut letter = completed(order, depot.customer);
    letter.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    depot.post(ORDERS, &letter).await;
    let shipment = depot.shipped(order).await;
    assert_eq!(shipment.status(), ShipmentStatus::Preparing);
    assert_eq!(shipment.version, 1);
    assert_eq!(shipment.customer_id, depot.customer.to_string());
    assert!(shipment.tracking_number.starts_with("PB"));
    let letters = depot.letters_until(|letter| letter.subject == order.to_string()).await;
    assert_eq!(story(&letters, order), [("shipment.created", 1)]);
    assert_eq!(letters[0].decode::<ShipmentCreated>().unwrap().shipment, Some(shipment));
    assert_eq!(letters[0].traceparent, letter.traceparent);
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

#[tokio::test]
async fn a_letter_that_comes_three_times_makes_one_shipment_and_one_letter() {
    let depot = Depot::open(NEVER).await;
    let letter = completed(OrderId::new(), depot.customer);
    let order = letter.subject.parse().unwrap();
    depot.post(ORDERS, &letter).await;
    depot.post(ORDERS, &letter).await;
    // also when the first is long done
    let first = depot.shipped(order).await;
    let other = depot.preparing().await;
    depot.post(ORDERS, &letter).await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.created", 1)]);
    assert_eq!(story(&letters, other), [("shipment.created", 1)]);
    assert_eq!(depot.shipment(order).await.unwrap(), first);
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

#[tokio::test]
async fn letters_of_other_kinds_are_passed_over() {
    let depot = Depot::open(NEVER).await;
    let order = OrderId::new();
    let told = Some(message(order, depot.customer));
    depot.post(ORDERS, &about(order, 1, &OrderCreated { order: told.clone() })).await;
    depot.post(ORDERS, &about(order, 2, &OrderRejected { order: told.clone() })).await;
    depot.post(ORDERS, &about(order, 3, &OrderPaymentUpdated { order: told.clone() })).await;
    depot.post(ORDERS, &about(order, 4, &OrderShipmentUpdated { order: told })).await;
    let mut unheard_of = completed(order, depot.customer);
    unheard_of.event_type = "order.gift_wrapped".to_owned();
    depot.post(ORDERS, &unheard_of).await;
    assert!(depot.letters_until_now().await.is_empty());
    let status = depot.shipment(order).await.unwrap_err();
    assert_eq!(rpc::problem_of(&status), ProblemCode::NotFound);
    assert_eq!(depot.count("SELECT count(*) FROM consumer_parked").await, 0);
}

#[tokio::test]
async fn a_letter_that_makes_no_sense_is_set_aside_and_other_orders_go_on() {
    let depot = Depot::open(NEVER).await;
    let [garbled, foreign, empty, nobodys] = [(); 4].map(|()| OrderId::new());
    let mut garbage = completed(garbled, depot.customer);
    garbage.payload = vec![0xff; 3];
    depot.post(ORDERS, &garbage).await;
    // right in form, but about another order than its envelope says
    let mut mistaken = completed(OrderId::new(), depot.customer);
    mistaken.subject = foreign.to_string();
    depot.post(ORDERS, &mistaken).await;
    let mut nothing = completed(empty, depot.customer);
    nothing.payload = Vec::new();
    depot.post(ORDERS, &nothing).await;
    let mut message = message(nobodys, depot.customer);
    message.customer_id = String::new();
    depot.post(ORDERS, &about(nobodys, 2, &OrderCompleted { order: Some(message) })).await;
    let order = depot.preparing().await;
    testkit::eventually(SOON, "the four letters are parked", async || {
        depot.count("SELECT count(*) FROM consumer_parked").await == 4
    })
    .await;
    for parked in [garbled, foreign, empty, nobodys] {
        assert!(depot.shipment(parked).await.is_err());
    }
    assert_eq!(story(&depot.letters_until_now().await, order), [("shipment.created", 1)]);
}

#[tokio::test]
async fn letters_that_come_together_are_noted_each_once_and_a_bad_one_is_set_aside_alone() {
    let mut depot = Depot::open(NEVER).await;
    depot.kill();
    let [first, bad, last] = [(); 3].map(|()| OrderId::new());
    let repeated = completed(first, depot.customer);
    let garbage = Event { payload: vec![0xff; 3], ..completed(bad, depot.customer) };
    for letter in [&repeated, &garbage, &repeated, &completed(last, depot.customer)] {
        depot.post(ORDERS, letter).await;
    }
    depot.start_again().await;
    let letters = depot.letters_until_now().await;
    for order in [first, last] {
        assert_eq!(story(&letters, order), [("shipment.created", 1)]);
    }
    assert_eq!(depot.count("SELECT count(*) FROM consumer_parked").await, 1);
    assert!(depot.shipment(bad).await.is_err());
}

#[tokio::test]
async fn a_list_of_letters_notes_one_question_for_each_order_without_a_shipment() {
    let database = testkit::database("shipping", &shipping::MIGRATORS).await;
    let [shipped, twice, once] = [(); 3].map(|()| OrderId::new());
    sqlx::query("INSERT INTO shipment (order_id, shipment_id, status) VALUES ($1, $1, 'CANCELLED')")
        .bind(shipped.as_uuid())
        .execute(&database.owner)
        .await
        .unwrap();
    let customer = AccountId::new();
    let letter = |order, trace: &str| {
        let event = Event { traceparent: Some(trace.to_owned()), ..completed(order, customer) };
        Delivered::new(NoteCompleted::GROUP, ORDERS.name(), event)
    };
    let letters = [letter(twice, "first"), letter(shipped, "none"), letter(once, "its own"), letter(twice, "second")];
    let mut tx = database.app.begin().await.unwrap();
    NoteCompleted.handle_all(&mut tx, &letters).await.unwrap();
    tx.commit().await.unwrap();
    let noted: Vec<(Uuid, Uuid, String)> =
        sqlx::query_as("SELECT order_id, customer_id, traceparent FROM address_question ORDER BY traceparent")
            .fetch_all(&database.owner)
            .await
            .unwrap();
    let expected = [(twice, "first"), (once, "its own")];
    assert_eq!(noted, expected.map(|(order, trace)| (order.as_uuid(), customer.as_uuid(), trace.to_owned())));
}
