//! Watching an order: each change once, in order, from any version on, until the last.

use std::time::Duration;

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{ShipmentStatus, WatchOrderResponse},
    problem::ProblemCode,
};
use order::{
    error::OrderError,
    saga::Fact,
    store::Viewer,
    watch::{self, WATCHES_MAX},
};
use service_runtime::clock::Clock;
use testkit::{SOON, eventually_some};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use crate::{
    desk::{Desk, customer, operator, refusal},
    letters::priced,
};

/// The next change: its letter's type and the version that it made. `None` when there are no more.
async fn next(changes: &mut Streaming<WatchOrderResponse>) -> Option<(String, i64)> {
    let change = timeout(SOON, changes.message()).await.expect("the next change or the end comes soon").unwrap()?;
    Some((change.event_type, change.order.expect("a change has its order").version))
}

/// All changes, to the end.
async fn all(mut changes: Streaming<WatchOrderResponse>) -> Vec<(String, i64)> {
    let mut all = Vec::new();
    while let Some(change) = next(&mut changes).await {
        all.push(change);
    }
    all
}

/// A completed order with `moves` moves of its parcel; the last is the delivery.
async fn delivered_after(desk: &Desk, moves: i64) -> OrderId {
    let order = desk.completed().await;
    for version in 1..moves {
        desk.move_parcel(order, ShipmentStatus::Preparing, version).await;
    }
    desk.move_parcel(order, ShipmentStatus::Delivered, moves).await;
    order
}

#[tokio::test]
async fn a_watch_tells_every_change_from_the_first_and_those_to_come() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let mut changes = desk.watch(order, desk.own(), 0).await.unwrap();
    assert_eq!(next(&mut changes).await, Some(("order.created".to_owned(), 1)));
    desk.tell(order, priced(Fact::StockHeld)).await;
    assert_eq!(next(&mut changes).await, Some(("order.payment_updated".to_owned(), 2)));
    desk.tell(order, priced(Fact::Captured)).await;
    desk.move_parcel(order, ShipmentStatus::Delivered, 1).await;
    assert_eq!(next(&mut changes).await, Some(("order.completed".to_owned(), 3)));
    assert_eq!(next(&mut changes).await, Some(("order.shipment_updated".to_owned(), 4)));
    assert_eq!(next(&mut changes).await, None);
}

#[tokio::test]
async fn a_watch_goes_on_after_the_version_that_it_names() {
    let desk = Desk::open().await;
    let order = delivered_after(&desk, 3).await;
    let story = desk.story(order).await;
    for after_version in 0..=5_u8 {
        let changes = desk.watch(order, desk.own(), after_version.into()).await.unwrap();
        assert_eq!(all(changes).await, story[after_version.into()..]);
    }
}

#[tokio::test]
async fn a_watch_ends_after_the_last_change_that_an_order_can_have() {
    let desk = Desk::open().await;
    let (completed, stopping, voiding, pending) =
        (desk.completed().await, desk.stopping().await, desk.by_letter().await, desk.by_letter().await);
    desk.tell(voiding, Fact::CancelAsked).await;
    let mut watches = Vec::new();
    for order in [completed, stopping, voiding, pending] {
        watches.push((order, desk.watch(order, desk.own(), 0).await.unwrap()));
    }
    desk.move_parcel(completed, ShipmentStatus::Dispatched, 1).await;
    desk.move_parcel(completed, ShipmentStatus::Delivered, 2).await;
    for fact in [Fact::Stopped, Fact::MoneyReturned] {
        desk.tell(stopping, fact).await;
    }
    for fact in [Fact::Voided, Fact::Released] {
        desk.tell(voiding, fact).await;
    }
    desk.tell(pending, Fact::StockRefused(order::saga::Refusal::UnknownSku)).await;
    for (order, changes) in watches {
        assert_eq!(all(changes).await, desk.story(order).await);
    }
}

#[tokio::test]
async fn a_watch_after_a_version_that_is_yet_to_come_tells_the_next_change() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let changes = desk.watch(order, desk.own(), 1_000).await.unwrap();
    desk.tell(order, Fact::StockRefused(order::saga::Refusal::OutOfStock)).await;
    assert_eq!(all(changes).await, [("order.rejected".to_owned(), 2)]);
}

#[tokio::test]
async fn a_watch_of_a_final_order_with_nothing_left_to_tell_ends_at_once() {
    let desk = Desk::open().await;
    let order = desk.rejected().await;
    assert_eq!(all(desk.watch(order, desk.own(), 2).await.unwrap()).await, []);
}

/// The readers have threads of their own, so that they make room while their changes are being handed out.
#[tokio::test]
async fn readers_of_one_order_at_different_versions_each_get_what_they_miss() {
    let desk = Desk::open().await;
    // many times what is read at a time
    let order = delivered_after(&desk, 300).await;
    let mut readers = Vec::new();
    for after_version in [0, 7, 40, 41, 200, 0] {
        let mut changes = watch::watch(&desk.deps, order, Viewer::Operator, after_version).await.unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let mut versions = Vec::new();
            while let Some(change) = changes.blocking_recv() {
                versions.push(change.unwrap().order.unwrap().version);
            }
            versions
        });
        readers.push((after_version, reading));
    }
    for (after_version, reading) in readers {
        let versions = timeout(SOON, reading).await.expect("the end comes soon").unwrap();
        assert_eq!(versions, (after_version + 1..=302).collect::<Vec<_>>(), "after version {after_version}");
    }
}

#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let desk = Desk::open().await;
    let order = delivered_after(&desk, 100).await;
    let mut slow = watch::watch(&desk.deps, order, Viewer::Operator, 0).await.unwrap();
    // one who reads at once is done after several rounds; in each of them the slow reader's place was full
    let quick = desk.watch(order, operator(), 0).await.unwrap();
    assert_eq!(all(quick).await.len(), 102);
    assert!(slow.len() < 102);
    let mut versions = Vec::new();
    while let Some(change) = timeout(SOON, slow.recv()).await.expect("the next change or the end comes soon") {
        versions.push(change.unwrap().order.unwrap().version);
    }
    assert_eq!(versions, (1..=102).collect::<Vec<i64>>());
}

#[tokio::test]
async fn the_order_of_somebody_else_cannot_be_watched() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let watched = |answer: Result<Streaming<WatchOrderResponse>, Status>| answer.map(drop);
    let stranger = customer(AccountId::new());
    assert_eq!(refusal(watched(desk.watch(order, stranger, 0).await)), ProblemCode::NotFound);
    assert_eq!(refusal(watched(desk.watch(OrderId::new(), operator(), 0).await)), ProblemCode::NotFound);
    assert_eq!(refusal(watched(desk.watch(order, operator(), -1).await)), ProblemCode::Invalid);
    assert!(desk.watch(order, operator(), 0).await.is_ok());
}

#[tokio::test]
async fn a_fast_clock_hides_no_change() {
    let database = Desk::database().await;
    let pool = database.app.clone();
    let fast = Clock::Fixed(Clock::System.now() + Duration::from_mins(10));
    let desk = Desk::open_on(database, pool, fast).await;
    let order = desk.rejected().await;
    assert_eq!(all(desk.watch(order, desk.own(), 0).await.unwrap()).await, desk.story(order).await);
}

#[tokio::test]
async fn a_process_serves_so_many_watches_and_no_more() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let watch = async || watch::watch(&desk.deps, order, Viewer::Operator, 0).await;
    let mut watches = Vec::new();
    for _ in 0..WATCHES_MAX {
        watches.push(watch().await.expect("there is room"));
    }
    assert!(matches!(watch().await, Err(OrderError::TooManyWatches)));
    // each of them is served
    for changes in &mut watches {
        timeout(SOON, changes.recv()).await.expect("the first change comes soon").unwrap().unwrap();
    }
    // whoever leaves makes room
    watches.pop();
    let mut latest = eventually_some(SOON, "there is room again", async || watch().await.ok()).await;
    timeout(SOON, latest.recv()).await.expect("the first change comes soon").unwrap().unwrap();
}

#[tokio::test]
async fn watches_that_arrive_while_the_database_is_slow_are_served_when_it_answers() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let mut lock = desk.database.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..100 {
        watches.push(watch::watch(&desk.deps, order, Viewer::Operator, 0).await.unwrap());
    }
    lock.rollback().await.unwrap();
    for changes in &mut watches {
        timeout(SOON, changes.recv()).await.expect("the first change comes soon").unwrap().unwrap();
    }
}

#[tokio::test]
async fn watches_end_when_the_process_does() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let mut changes = desk.watch(order, desk.own(), 0).await.unwrap();
    assert_eq!(next(&mut changes).await, Some(("order.created".to_owned(), 1)));
    desk.deps.shutdown.request();
    assert_eq!(next(&mut changes).await, None);
}
