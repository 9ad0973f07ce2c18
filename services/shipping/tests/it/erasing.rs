//! A customer's account is erased: what waits for his address is given up, and what is on its way goes on.

use contracts::{
    event::Event,
    events::v1::{AccountErased, ShipmentCancelled},
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::{ShipmentStatus, stop_response::Outcome},
    topics::{ACCOUNTS, ORDERS},
};
use futures::future::join_all;
use service_runtime::clock::Clock;

use crate::{
    accounts::home,
    depot::{Depot, NEVER, completed, story},
};

/// The letter that an account is erased, as accounts would write it again.
fn erased(customer: AccountId) -> Event {
    let payload = AccountErased { account_id: customer.to_string() };
    Event::new(ACCOUNTS, customer.to_string(), 2, Clock::System.now(), &payload)
}

#[tokio::test]
async fn a_parcel_that_waits_for_an_address_is_given_up_and_nobody_is_asked_any_more() {
    let depot = Depot::open(NEVER).await;
    let (leaving, staying) = (depot.accounts.register(None).await, depot.accounts.register(None).await);
    let order = OrderId::new();
    let mut letter = completed(order, leaving);
    letter.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    depot.post(ORDERS, &letter).await;
    depot.reaches(order, ShipmentStatus::AwaitingAddress).await;
    let (second, other) = (depot.awaiting(leaving).await, depot.awaiting(staying).await);

    depot.accounts.erase(leaving).await;
    let given_up = depot.reaches(order, ShipmentStatus::Cancelled).await;
    assert_eq!((given_up.version, given_up.customer_id.as_str()), (2, leaving.to_string().as_str()));
    depot.reaches(second, ShipmentStatus::Cancelled).await;
    let refused = depot.dispatch(order).await.unwrap_err();
    assert_eq!(rpc::problem_of(&refused), ProblemCode::NotDispatchable);
    assert_eq!(depot.stop(order).await, Outcome::Stopped(given_up.clone()), "it never leaves");

    let letters = depot.letters_until_now().await;
    for order in [order, second] {
        assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.cancelled", 2)]);
    }
    assert_eq!(story(&letters, other), [("shipment.created", 1)], "somebody else's parcel waits as before");
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 1);
    let told = letters.iter().find(|letter| letter.event_type == "shipment.cancelled").unwrap();
    assert_eq!(told.decode::<ShipmentCancelled>().unwrap().shipment, Some(given_up));
    assert_eq!(told.traceparent, letter.traceparent);
}

#[tokio::test]
async fn an_order_that_is_completed_after_that_never_has_a_parcel() {
    let depot = Depot::open(NEVER).await;
    // it has an address up to then
    let customer = depot.accounts.register(Some(home())).await;
    depot.accounts.erase(customer).await;
    let order = OrderId::new();
    depot.complete(order, customer).await;
    let tombstone = depot.shipped(order).await;
    assert_eq!((tombstone.status(), tombstone.version), (ShipmentStatus::Cancelled, 1));
    depot.complete(order, customer).await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, order), [("shipment.cancelled", 1)]);
    assert_eq!(depot.shipment(order).await.unwrap(), tombstone);
}

#[tokio::test]
async fn what_is_prepared_or_further_goes_on() {
    let depot = Depot::open(NEVER).await;
    let customer = depot.accounts.register(Some(home())).await;
    let [prepared, dispatched, stopped] = [(); 3].map(|()| OrderId::new());
    for order in [prepared, dispatched, stopped] {
        depot.complete(order, customer).await;
        depot.reaches(order, ShipmentStatus::Preparing).await;
    }
    depot.dispatch(dispatched).await.unwrap();
    depot.stop(stopped).await;
    depot.accounts.erase(customer).await;
    depot.letters_until_now().await;
    for (order, status, version) in [
        (prepared, ShipmentStatus::Preparing, 1),
        (dispatched, ShipmentStatus::Dispatched, 2),
        (stopped, ShipmentStatus::Cancelled, 2),
    ] {
        let parcel = depot.shipment(order).await.unwrap();
        assert_eq!((parcel.status(), parcel.version), (status, version));
    }
    assert_eq!(depot.dispatch(prepared).await.unwrap().status(), ShipmentStatus::Dispatched);
}

#[tokio::test]
async fn the_letter_may_come_three_times_and_early_and_late() {
    let depot = Depot::open(NEVER).await;
    let customer = depot.accounts.register(None).await;
    let before = depot.awaiting(customer).await;
    // early: the account is as it was, and so is what follows
    depot.post(ACCOUNTS, &erased(customer)).await;
    depot.letters_until_now().await;
    assert_eq!(depot.shipment(before).await.unwrap().status(), ShipmentStatus::AwaitingAddress);

    depot.accounts.erase(customer).await;
    depot.post(ACCOUNTS, &erased(customer)).await;
    let after = OrderId::new();
    depot.complete(after, customer).await;
    depot.post(ACCOUNTS, &erased(customer)).await;
    for order in [before, after] {
        depot.reaches(order, ShipmentStatus::Cancelled).await;
    }
    depot.post(ACCOUNTS, &erased(customer)).await;
    depot.replay().await;
    let letters = depot.letters_until_now().await;
    assert_eq!(story(&letters, before), [("shipment.created", 1), ("shipment.cancelled", 2)]);
    assert_eq!(story(&letters, after), [("shipment.cancelled", 1)]);
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

/// What can happen to an order whose customer has no address and goes.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Completed,
    Erased,
    Stop,
}

use Arrival::{Completed, Erased, Stop};

const ORDERS_OF_ARRIVAL: [[Arrival; 3]; 6] = [
    [Completed, Erased, Stop],
    [Completed, Stop, Erased],
    [Erased, Completed, Stop],
    [Erased, Stop, Completed],
    [Stop, Completed, Erased],
    [Stop, Erased, Completed],
];

async fn arrive(depot: &Depot, arrival: Arrival, order: OrderId, customer: AccountId) {
    match arrival {
        Completed => depot.complete(order, customer).await,
        Erased => depot.accounts.erase(customer).await,
        Stop => assert!(matches!(depot.stop(order).await, Outcome::Stopped(_))),
    }
}

#[tokio::test]
async fn in_every_order_of_arrival_the_parcel_is_cancelled_once() {
    let depot = Depot::open(NEVER).await;
    let waited: &[(&str, i64)] = &[("shipment.created", 1), ("shipment.cancelled", 2)];
    let never_there: &[(&str, i64)] = &[("shipment.cancelled", 1)];
    let expected = [waited, waited, never_there, never_there, never_there, never_there];
    let mut orders = Vec::new();
    for _ in ORDERS_OF_ARRIVAL {
        orders.push((OrderId::new(), depot.accounts.register(None).await));
    }
    for step in 0..3 {
        for (arrivals, &(order, customer)) in ORDERS_OF_ARRIVAL.iter().zip(&orders) {
            arrive(&depot, arrivals[step], order, customer).await;
        }
        depot.letters_until_now().await;
    }
    let letters = depot.letters_until_now().await;
    for ((&(order, _), expected), arrivals) in orders.iter().zip(expected).zip(ORDERS_OF_ARRIVAL) {
        assert_eq!(story(&letters, order), expected, "{arrivals:?}");
    }
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

#[tokio::test]
async fn arriving_at_once_they_leave_one_cancelled_parcel() {
    let depot = Depot::open(NEVER).await;
    let mut orders = Vec::new();
    for _ in 0..12 {
        orders.push((OrderId::new(), depot.accounts.register(None).await));
    }
    let arrivals = orders.iter().zip(ORDERS_OF_ARRIVAL.iter().cycle()).map(|(&(order, customer), arrivals)| {
        let depot = &depot;
        join_all(arrivals.map(move |arrival| arrive(depot, arrival, order, customer)))
    });
    join_all(arrivals).await;
    let letters = depot.letters_until_now().await;
    for (order, _) in orders {
        assert_eq!(depot.shipment(order).await.unwrap().status(), ShipmentStatus::Cancelled);
        let story = story(&letters, order);
        let whole = [("shipment.created", 1), ("shipment.cancelled", 2)];
        assert!(story == whole || story == [("shipment.cancelled", 1)], "{story:?}");
    }
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}
