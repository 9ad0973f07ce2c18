//! What happens at the same time, or in any order, ends right: a parcel is cancelled or it leaves, never both.

use contracts::{
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::{ShipmentStatus, stop_response::Outcome},
};
use futures::future::join_all;

use crate::depot::{Depot, NEVER, story};

/// What can happen to an order, other than time.
#[derive(Debug, Clone, Copy)]
enum Arrival {
    Completed,
    AddressChanged,
    Stop,
}

use Arrival::{AddressChanged, Completed, Stop};

const ORDERS_OF_ARRIVAL: [[Arrival; 3]; 6] = [
    [Completed, AddressChanged, Stop],
    [Completed, Stop, AddressChanged],
    [AddressChanged, Completed, Stop],
    [AddressChanged, Stop, Completed],
    [Stop, Completed, AddressChanged],
    [Stop, AddressChanged, Completed],
];

async fn arrive(depot: &Depot, arrival: Arrival, order: OrderId, customer: AccountId) {
    match arrival {
        Completed => depot.complete(order, customer).await,
        AddressChanged => depot.accounts.move_house(customer).await,
        Stop => assert!(matches!(depot.stop(order).await, Outcome::Stopped(_))),
    }
}

#[tokio::test]
async fn in_every_order_of_arrival_the_stopped_parcel_is_cancelled() {
    let depot = Depot::open(NEVER).await;
    let expected: [&[(&str, i64)]; 6] = [
        &[("shipment.created", 1), ("shipment.prepared", 2), ("shipment.cancelled", 3)],
        &[("shipment.created", 1), ("shipment.cancelled", 2)],
        &[("shipment.created", 1), ("shipment.cancelled", 2)],
        &[("shipment.cancelled", 1)],
        &[("shipment.cancelled", 1)],
        &[("shipment.cancelled", 1)],
    ];
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
}

#[tokio::test]
async fn arriving_at_once_they_leave_one_story_without_gaps() {
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
        let sequences: Vec<_> = story.iter().map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, (1..=i64::try_from(story.len()).unwrap()).collect::<Vec<_>>(), "{story:?}");
        assert_eq!(story.iter().filter(|(letter, _)| *letter == "shipment.cancelled").count(), 1, "{story:?}");
        assert_eq!(story.last().unwrap().0, "shipment.cancelled", "{story:?}");
    }
    assert_eq!(depot.count("SELECT count(*) FROM address_question").await, 0);
}

#[tokio::test]
async fn of_stop_and_dispatch_from_sixteen_tasks_exactly_one_wins() {
    let depot = Depot::open(NEVER).await;
    let mut won = [0, 0];
    for _ in 0..10 {
        let order = depot.preparing().await;
        let stops = join_all((0..8).map(|_| depot.stop(order)));
        let dispatches = join_all((0..8).map(|_| depot.dispatch(order)));
        let (stops, dispatches) = futures::join!(stops, dispatches);
        let end = depot.shipment(order).await.unwrap();
        assert_eq!(end.version, 2);
        if end.status() == ShipmentStatus::Cancelled {
            won[0] += 1;
            assert!(stops.into_iter().all(|outcome| outcome == Outcome::Stopped(end.clone())));
            let refused = |answer: Result<_, _>| {
                answer.is_err_and(|status| rpc::problem_of(&status) == ProblemCode::NotDispatchable)
            };
            assert!(dispatches.into_iter().all(refused));
        } else {
            won[1] += 1;
            assert_eq!(end.status(), ShipmentStatus::Dispatched);
            assert!(stops.into_iter().all(|outcome| outcome == Outcome::Dispatched(end.clone())));
            assert!(dispatches.into_iter().all(|answer| answer.unwrap() == end));
        }
    }
    println!("stopped {}, dispatched {}", won[0], won[1]);
    let twice = "SELECT count(*) FROM (SELECT key FROM outbox GROUP BY key HAVING count(*) <> 2) AS wrong";
    assert_eq!(depot.count(twice).await, 0, "created and one more");
}

#[tokio::test]
async fn of_stop_and_time_exactly_one_wins() {
    let depot = Depot::open(1).await;
    let orders: Vec<_> = (0..40).map(|_| OrderId::new()).collect();
    for &order in &orders {
        depot.complete(order, depot.customer).await;
    }
    // one after the other, so that some are in time and some are not
    let mut outcomes = Vec::new();
    for &order in &orders {
        depot.shipped(order).await;
        outcomes.push(depot.stop(order).await);
    }
    for (order, outcome) in orders.iter().zip(&outcomes) {
        if matches!(outcome, Outcome::Dispatched(_)) {
            depot.reaches(*order, ShipmentStatus::Delivered).await;
        }
    }
    let letters = depot.letters_until_now().await;
    for (order, outcome) in orders.into_iter().zip(outcomes) {
        match outcome {
            Outcome::Stopped(_) => {
                assert_eq!(story(&letters, order), [("shipment.created", 1), ("shipment.cancelled", 2)]);
            }
            _ => assert_eq!(
                story(&letters, order),
                [("shipment.created", 1), ("shipment.dispatched", 2), ("shipment.delivered", 3)]
            ),
        }
    }
}
