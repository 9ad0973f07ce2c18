//! What order hears of the parcel.

use std::time::Duration;

use contracts::{
    order::v1::{OrderReason, OrderStatus, ShipmentStatus as Told},
    shipping::v1::ShipmentStatus,
};
use order::saga::{Fact, State};

use crate::{
    desk::{KEY, outcome},
    letters::shipment,
    post::Post,
};

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn where_the_parcel_is_becomes_part_of_the_order() {
    let post = Post::open().await;
    let order = post.desk.completed().await;
    post.tell(&shipment(order, ShipmentStatus::Dispatched, 3)).await;
    let told = post.desk.order(order).await.shipment.unwrap();
    assert_eq!((told.status(), told.tracking_number.as_str()), (Told::Dispatched, "PB-3"));
    post.desk.assert_story(order, &["order.created", "order.completed", "order.shipment_updated"]).await;
}

#[tokio::test]
async fn an_older_letter_of_the_parcel_changes_nothing() {
    let post = Post::open().await;
    let order = post.desk.completed().await;
    post.tell(&shipment(order, ShipmentStatus::Dispatched, 3)).await;
    let known = post.desk.order(order).await;
    for (status, version) in
        [(ShipmentStatus::AwaitingAddress, 1), (ShipmentStatus::Preparing, 2), (ShipmentStatus::Dispatched, 3)]
    {
        post.tell(&shipment(order, status, version)).await;
    }
    assert_eq!(post.desk.order(order).await, known);
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn a_parcel_that_left_ends_the_cancel_and_tells_all_who_wait() {
    let post = Post::open().await;
    let desk = &post.desk;
    let order = desk.completed().await;
    for key in ["the-first-key", "the-second-key"] {
        let waiting = desk.cancel(order, key, MOMENT).await;
        assert_eq!(outcome(&waiting), Ok(OrderStatus::Cancelling));
    }
    post.tell(&shipment(order, ShipmentStatus::Dispatched, 2)).await;
    assert_eq!((desk.state(order).await, desk.attempt_at(order).await), (State::Completed, None));
    assert!(desk.order(order).await.shipment.is_some());
    for key in ["the-first-key", "the-second-key"] {
        let answer = desk.cancel(order, key, MOMENT).await;
        assert_eq!((outcome(&answer), answer.replayed), (Err("already-dispatched"), true));
    }
    let story = ["order.created", "order.completed", "order.cancelling", "order.shipment_updated"];
    desk.assert_story(order, &story).await;
}

#[tokio::test]
async fn a_stopped_parcel_sends_the_money_back_at_once() {
    let post = Post::open().await;
    let desk = &post.desk;
    let order = desk.completed().await;
    desk.cancel(order, KEY, MOMENT).await;
    desk.landed(order).await;
    desk.handed_over(order).await;
    desk.set(order, "attempt_at = clock_timestamp() + interval '1 hour'").await;
    post.tell(&shipment(order, ShipmentStatus::Cancelled, 2)).await;
    assert_eq!(desk.state(order).await, State::Refunding);
    assert!(desk.attempt_at(order).await.unwrap() <= desk.now().await);
    let told = desk.order(order).await;
    assert_eq!((told.status(), told.shipment.unwrap().status()), (OrderStatus::Cancelling, Told::Cancelled));
    // whoever waits is answered when the money is back, not before
    assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelling));
    let story = ["order.created", "order.completed", "order.cancelling", "order.shipment_updated"];
    desk.assert_story(order, &story).await;
}

#[tokio::test]
async fn a_parcel_that_is_given_up_cancels_its_order_without_anybody_asking() {
    let post = Post::open().await;
    let desk = &post.desk;
    let [waited, never_there] = [desk.completed().await, desk.completed().await];
    post.tell(&shipment(waited, ShipmentStatus::AwaitingAddress, 1)).await;
    for (order, version) in [(waited, 2), (never_there, 1)] {
        post.tell(&shipment(order, ShipmentStatus::Cancelled, version)).await;
        assert_eq!(desk.state(order).await, State::Refunding);
        // recovery takes it up at once
        assert!(desk.attempt_at(order).await.unwrap() <= desk.now().await);
        let told = desk.order(order).await;
        assert_eq!((told.status(), told.reason()), (OrderStatus::Cancelling, OrderReason::CustomerRequest));
        assert_eq!(told.shipment.unwrap().status(), Told::Cancelled);
        // the letter comes again, and somebody cancels what is being cancelled
        post.tell(&shipment(order, ShipmentStatus::Cancelled, version)).await;
        assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelling));
        desk.tell(order, Fact::MoneyReturned).await;
        post.tell(&shipment(order, ShipmentStatus::Cancelled, version)).await;
        assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelled));
    }
    let whole = ["order.created", "order.completed", "order.cancelling", "order.cancelled"];
    desk.assert_story(never_there, &whole).await;
    let with_news =
        ["order.created", "order.completed", "order.shipment_updated", "order.cancelling", "order.cancelled"];
    desk.assert_story(waited, &with_news).await;
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn a_parcel_that_is_prepared_while_it_is_being_stopped_is_only_noted() {
    let post = Post::open().await;
    let order = post.desk.stopping().await;
    post.tell(&shipment(order, ShipmentStatus::Preparing, 1)).await;
    assert_eq!(post.desk.state(order).await, State::Stopping);
    assert_eq!(post.desk.order(order).await.shipment.unwrap().status(), Told::Preparing);
}
