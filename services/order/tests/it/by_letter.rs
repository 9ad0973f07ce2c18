//! The second door: an order that was placed by letter is answered at once and decided by letters.

use contracts::{
    event::Event,
    ids::OrderId,
    order::v1::{
        Order, OrderReason, OrderStatus, PaymentStatus, PlaceOrder, PlaceOrdersResponse, PlacedBy, ShipmentStatus,
        place_orders_response::Outcome,
    },
    shipping::v1::ShipmentStatus as Parcel,
};
use order::saga::{Reason, State};
use prost::Message;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    desk::{Desk, KEY, LETTERS_DECIDE_WITHIN},
    letters::{TOTAL, captured, cents, declined, held, refused, shipment},
    post::Post,
};

fn accepted(answer: &PlaceOrdersResponse) -> &Order {
    match answer.outcome.as_ref().expect("an answer has one") {
        Outcome::Accepted(order) => order,
        other => panic!("the order is not accepted: {other:?}"),
    }
}

fn id(answer: &PlaceOrdersResponse) -> OrderId {
    accepted(answer).order_id.parse().unwrap()
}

#[tokio::test]
async fn an_order_by_letter_is_accepted_at_once_and_waits_for_letters_alone() {
    let desk = Desk::open().await;
    let before = desk.now().await;
    // with so little time, nobody is waited for
    let answer = desk.place(PlaceOrder { budget_ms: 0, ..desk.request(PlacedBy::Letter, KEY) }).await;
    let order = accepted(&answer);
    assert_eq!((order.status(), order.placed_by(), order.version), (OrderStatus::Pending, PlacedBy::Letter, 1));
    assert!(!answer.replayed);
    desk.assert_story(id(&answer), &["order.created"]).await;
    // nobody takes it up before its time is over
    let decide_by = desk.decide_by(id(&answer)).await;
    let within = before + LETTERS_DECIDE_WITHIN..=desk.now().await + LETTERS_DECIDE_WITHIN;
    assert!(within.contains(&decide_by));
    assert_eq!(desk.attempt_at(id(&answer)).await, Some(decide_by));
}

#[tokio::test]
async fn an_order_by_letter_keeps_its_answer_whatever_becomes_of_it() {
    let post = Post::open().await;
    let desk = &post.desk;
    for (key, decide) in [("the-completed-one", captured as fn(OrderId) -> Event), ("the-rejected-one", refused)] {
        let first = desk.place(desk.request(PlacedBy::Letter, key)).await;
        post.tell(&decide(id(&first))).await;
        assert_ne!(desk.order(id(&first)).await.status(), OrderStatus::Pending);
        // the way in is no part of what is asked for
        for placed_by in [PlacedBy::Letter, PlacedBy::Telephone, PlacedBy::Unspecified] {
            let again = desk.place(desk.request(placed_by, key)).await;
            assert!(again.replayed);
            assert_eq!(accepted(&again).encode_to_vec(), accepted(&first).encode_to_vec());
        }
    }
}

#[tokio::test]
async fn a_key_that_came_in_by_telephone_is_not_answered_as_a_letter() {
    let desk = Desk::open().await;
    let first = desk.place(desk.request(PlacedBy::Telephone, KEY)).await;
    desk.handed_over(id(&first)).await;
    let again = desk.place(desk.request(PlacedBy::Letter, KEY)).await;
    assert!(again.replayed);
    assert_eq!(accepted(&again), accepted(&first));
    assert_eq!(accepted(&again).placed_by(), PlacedBy::Telephone);
}

#[tokio::test]
async fn a_hold_brings_the_prices_and_a_capture_completes() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    post.tell(&held(order)).await;
    assert_eq!(post.desk.state(order).await, State::AwaitingPayment);
    let told = post.desk.order(order).await;
    assert_eq!((told.status(), told.payment_status()), (OrderStatus::Pending, PaymentStatus::Pending));
    assert_eq!(told.total, Some(cents(TOTAL)));
    // letters carry it on; recovery has nothing to ask
    assert_eq!(post.desk.attempt_at(order).await, Some(post.desk.decide_by(order).await));
    post.tell(&captured(order)).await;
    let told = post.desk.order(order).await;
    assert_eq!((told.status(), told.payment_status()), (OrderStatus::Completed, PaymentStatus::Captured));
    assert_eq!(post.desk.attempt_at(order).await, None);
    post.desk.assert_story(order, &["order.created", "order.payment_updated", "order.completed"]).await;
}

#[tokio::test]
async fn a_capture_that_overtakes_the_hold_completes_with_its_own_prices() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    post.tell(&captured(order)).await;
    post.tell(&held(order)).await;
    let told = post.desk.order(order).await;
    assert_eq!((told.status(), told.total), (OrderStatus::Completed, Some(cents(TOTAL))));
    let prices: Vec<_> = told.lines.iter().map(|line| line.line_total.clone().unwrap().amount_minor).collect();
    assert_eq!(prices, [2_500, 1_990]);
    post.desk.assert_story(order, &["order.created", "order.completed"]).await;
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn a_refused_reservation_rejects_the_order_and_says_why() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    post.tell(&refused(order)).await;
    let told = post.desk.order(order).await;
    assert_eq!((told.status(), told.reason()), (OrderStatus::Rejected, OrderReason::OutOfStock));
    assert_eq!(post.desk.attempt_at(order).await, None);
    post.desk.assert_story(order, &["order.created", "order.rejected"]).await;
}

#[tokio::test]
async fn a_declined_card_leaves_the_stock_to_be_released_at_once() {
    let post = Post::open().await;
    // with the hold heard before, and not
    for letters in [vec![held as fn(OrderId) -> Event, declined], vec![declined as fn(OrderId) -> Event]] {
        let order = post.desk.by_letter().await;
        for letter in letters {
            post.tell(&letter(order)).await;
        }
        assert_eq!(post.desk.state(order).await, State::Releasing(Reason::PaymentDeclined));
        let told = post.desk.order(order).await;
        assert_eq!((told.status(), told.payment_status()), (OrderStatus::Pending, PaymentStatus::Declined));
        assert!(post.desk.attempt_at(order).await.unwrap() <= post.desk.now().await);
    }
    // nobody needs to look for it: recovery is told
    let told = tokio::time::timeout(testkit::SOON, post.desk.deps.recovery.notified());
    told.await.expect("recovery is told of what is due");
}

#[tokio::test]
async fn letters_that_come_three_times_make_the_same_versions_as_once() {
    let post = Post::open().await;
    let order = post.desk.by_letter().await;
    let letters = [
        held(order),
        captured(order),
        shipment(order, Parcel::AwaitingAddress, 1),
        shipment(order, Parcel::Preparing, 2),
        shipment(order, Parcel::Dispatched, 3),
        shipment(order, Parcel::Delivered, 4),
    ];
    for known in 1..=letters.len() {
        // all that were written so far come again, the newest once more at the end
        for letter in letters[..known].iter().chain(&letters[known - 1..known]) {
            post.post(letter).await;
        }
        post.all_read().await;
    }
    let moved = "order.shipment_updated";
    let story = ["order.created", "order.payment_updated", "order.completed", moved, moved, moved, moved];
    post.desk.assert_story(order, &story).await;
    assert!(post.parked(0).await.is_empty());
}

#[tokio::test]
async fn letters_in_any_order_leave_the_same_order_and_no_gap() {
    let post = Post::open().await;
    let mut orders = Vec::new();
    for seed in 0..12 {
        let order = post.desk.by_letter().await;
        let mut letters = vec![
            held(order),
            captured(order),
            shipment(order, Parcel::AwaitingAddress, 1),
            shipment(order, Parcel::Dispatched, 2),
            shipment(order, Parcel::Delivered, 3),
        ];
        letters = [letters.clone(), letters.clone(), letters].concat();
        letters.shuffle(&mut StdRng::seed_from_u64(seed));
        for letter in &letters {
            post.post(letter).await;
        }
        orders.push(order);
    }
    post.all_read().await;
    assert!(post.parked(0).await.is_empty());
    for (seed, order) in orders.into_iter().enumerate() {
        let told = post.desk.order(order).await;
        let parcel = told.shipment.as_ref().unwrap().status();
        assert_eq!((told.status(), parcel), (OrderStatus::Completed, ShipmentStatus::Delivered), "seed {seed}");
        assert_eq!(told.total, Some(cents(TOTAL)));
        let story = post.desk.story(order).await;
        let versions: Vec<i64> = story.iter().map(|(_, version)| *version).collect();
        assert_eq!(versions, (1..=told.version).collect::<Vec<_>>(), "seed {seed}");
        let completed = story.iter().filter(|(event_type, _)| event_type == "order.completed").count();
        assert_eq!(completed, 1, "seed {seed}");
    }
}
