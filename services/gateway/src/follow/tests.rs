//! Streams as order gives them, written down, and the clock stopped.

use std::cell::RefCell;

use contracts::{
    analytics::v1::{SalesPosition, WatchSalesResponse},
    order::v1::{Order, OrderStatus, Shipment, ShipmentStatus, WatchOrderResponse},
};
use tokio::time::Instant;
use tokio_stream::iter;

use super::*;
use crate::{order_events::Version, sales_events::Position};

type Told = Result<WatchOrderResponse, Status>;

#[expect(clippy::unnecessary_wraps, reason = "as it comes in a stream")]
fn told(order: Order) -> Told {
    Ok(WatchOrderResponse { event_type: "order.changed".to_owned(), order: Some(order) })
}

fn change(version: i64, status: OrderStatus) -> Told {
    told(Order { version, status: status.into(), ..Order::default() })
}

fn pending(version: i64) -> Told {
    change(version, OrderStatus::Pending)
}

fn breaks_off() -> Told {
    Err(Status::unknown("transport error"))
}

/// What a client has got in the end that takes everything, and after which versions order was asked again. Each time it
/// is, it gives the next of `streams`, and when there is none left it is away.
async fn followed(seen: i64, streams: Vec<Vec<Told>>) -> (Vec<i64>, Vec<i64>) {
    let streams = RefCell::new(streams.into_iter());
    let next = || streams.borrow_mut().next().map(iter).ok_or_else(|| Status::unavailable("away"));
    let asked = RefCell::default();
    let watch_after = |Version(version)| {
        RefCell::<Vec<i64>>::borrow_mut(&asked).push(version);
        std::future::ready(next())
    };
    let (client, mut got) = mpsc::channel(100);
    follow(next().unwrap(), Version(seen), watch_after, &client).await;
    drop(client);
    let mut versions = Vec::new();
    while let Some(change) = got.recv().await {
        versions.push(change.order.unwrap().version);
    }
    (versions, asked.into_inner())
}

#[tokio::test(start_paused = true)]
async fn changes_are_handed_on_until_the_last_that_an_order_can_have() {
    let parcel = |order: OrderStatus, parcel: ShipmentStatus| {
        let shipment = Some(Shipment { status: parcel.into(), ..Shipment::default() });
        told(Order { version: 2, status: order.into(), shipment, ..Order::default() })
    };
    let last = [
        change(2, OrderStatus::Rejected),
        change(2, OrderStatus::Cancelled),
        parcel(OrderStatus::Completed, ShipmentStatus::Delivered),
    ];
    for last in last {
        assert_eq!(followed(0, vec![vec![pending(1), last, pending(3)]]).await, (vec![1, 2], vec![]));
    }
    let not_last = [
        change(2, OrderStatus::Completed),
        change(2, OrderStatus::Cancelling),
        parcel(OrderStatus::Completed, ShipmentStatus::Dispatched),
        parcel(OrderStatus::Cancelling, ShipmentStatus::Delivered),
    ];
    for not_last in not_last {
        let last = change(3, OrderStatus::Cancelled);
        assert_eq!(followed(0, vec![vec![pending(1), not_last, last]]).await, (vec![1, 2, 3], vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn where_order_breaks_off_it_is_asked_again_and_nothing_is_told_twice_or_left_out() {
    let streams = vec![
        vec![breaks_off()],
        vec![pending(5), breaks_off()],
        // ends as if nothing was to come any more
        vec![pending(6), pending(7)],
        vec![breaks_off()],
        vec![change(8, OrderStatus::Rejected)],
    ];
    assert_eq!(followed(4, streams).await, (vec![5, 6, 7, 8], vec![4, 5, 7, 7]));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_breaks_off_often_but_goes_on_telling_is_not_given_up() {
    let mut streams: Vec<Vec<Told>> = (1..20).map(|version| vec![pending(version), breaks_off()]).collect();
    streams.push(vec![change(20, OrderStatus::Rejected)]);
    assert_eq!(followed(0, streams).await.0, (1..=20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_seen_the_last_change_is_told_the_end() {
    assert_eq!(followed(9, vec![vec![]]).await, (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn sales_have_no_last_change_so_a_stream_that_ends_is_opened_again_at_the_last_position() {
    let position = |change| SalesPosition { generation: 1, change };
    let told = |change| Ok(WatchSalesResponse { sales: None, position: Some(position(change)) });
    let streams = RefCell::new(vec![vec![], vec![told(7)], vec![], vec![told(8), told(9)]].into_iter());
    let asked = RefCell::<Vec<Option<Position>>>::default();
    let watch_after = |seen| {
        asked.borrow_mut().push(seen);
        std::future::ready(streams.borrow_mut().next().map(iter).ok_or_else(|| Status::unavailable("away")))
    };
    let (client, mut got) = mpsc::channel(100);
    let first = iter(Vec::<Result<WatchSalesResponse, Status>>::new());
    follow(first, None, watch_after, &client).await;
    drop(client);
    let mut changes = Vec::new();
    while let Some(change) = got.recv().await {
        changes.push(change.position.unwrap().change);
    }
    assert_eq!(changes, [7, 8, 9]);
    let after = |change: i64| Some(format!("1-{change}").parse().unwrap());
    let expected = [vec![None, None], vec![after(7); 2], vec![after(9); 5]].concat();
    assert_eq!(*asked.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_stays_away_is_given_up_after_some_seconds() {
    let begun = Instant::now();
    assert_eq!(followed(0, vec![vec![pending(1), breaks_off()]]).await, (vec![1], vec![1; 5]));
    let took = begun.elapsed();
    assert!((Duration::from_secs(6)..Duration::from_secs(13)).contains(&took), "{took:?}");
    // nor does it help to open streams that tell nothing
    let silent: Vec<Vec<Told>> = (0..100).map(|_| vec![breaks_off()]).collect();
    assert_eq!(followed(3, silent).await, (vec![], vec![3; 5]));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_for_ten_seconds_is_left() {
    let (client, got) = mpsc::channel(1);
    let begun = Instant::now();
    let away = |_| std::future::ready(Err(Status::unavailable("away")));
    follow(iter([pending(1), pending(2), pending(3)]), Version(0), away, &client).await;
    assert_eq!(begun.elapsed(), TAKE_TIME_MAX);
    drop(got);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_left_at_once() {
    let (client, got) = mpsc::channel(1);
    drop(got);
    let begun = Instant::now();
    let away = |_| std::future::ready(Err(Status::unavailable("away")));
    follow(iter([pending(1), pending(2)]), Version(0), away, &client).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
