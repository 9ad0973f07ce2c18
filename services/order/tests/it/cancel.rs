//! Cancelling an order: committed first, answered in time, and the same key has the same answer.

use std::time::Duration;

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{
        CancelOrderResponse, OrderStatus, PlaceOrder, PlacedBy, ShipmentStatus, place_orders_response::Outcome,
    },
    problem::ProblemCode,
};
use order::{
    cancel_order::forget_old_keys,
    place_order::FIRST_DEADLINE,
    saga::{Fact, Reason, State},
};
use prost::Message;
use testkit::{SOON, eventually};
use tokio::time::Instant;

use crate::desk::{Desk, KEY, customer, operator, outcome, refusal};

const MOMENT: Duration = Duration::from_millis(100);

/// Time enough to look at what goes on meanwhile, and less than the first deadline.
const A_WHILE: Duration = Duration::from_millis(4_500);

#[tokio::test]
async fn a_cancel_is_kept_before_anybody_is_asked_and_belongs_to_its_caller_at_first() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let before = desk.now().await;
    let looking = async {
        desk.reaches(order, State::Voiding(Reason::CustomerRequest)).await;
        // recovery leaves the order alone as long as its caller may be waiting
        let attempt_at = desk.attempt_at(order).await.unwrap();
        assert!((before + FIRST_DEADLINE..=desk.now().await + FIRST_DEADLINE).contains(&attempt_at));
        assert_eq!(desk.order(order).await.status(), OrderStatus::Cancelling);
        assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Err("idempotency-key-in-flight"));
        // somebody else's key is another request, about the same cancel
        let joined = desk.cancel_for(order, operator(), KEY, MOMENT).await.unwrap();
        assert_eq!(outcome(&joined), Ok(OrderStatus::Cancelling));
    };
    let (answer, ()) = tokio::join!(desk.cancel(order, KEY, A_WHILE), looking);
    assert_eq!(outcome(&answer), Ok(OrderStatus::Cancelling));
    desk.handed_over(order).await;
    desk.assert_story(order, &["order.created", "order.cancelling"]).await;
}

#[tokio::test]
async fn a_cancel_that_nobody_can_help_with_is_answered_in_time() {
    let desk = Desk::open().await;
    for order in [desk.by_letter().await, desk.by_telephone().await, desk.completed().await] {
        let started = Instant::now();
        let answer = desk.cancel(order, KEY, Duration::from_secs(1)).await;
        assert!(started.elapsed() < FIRST_DEADLINE / 2, "{:?}", started.elapsed());
        assert_eq!((outcome(&answer), answer.replayed), (Ok(OrderStatus::Cancelling), false));
    }
}

#[tokio::test]
async fn a_cancel_of_an_order_by_telephone_that_is_being_placed_is_heard_by_its_request() {
    let desk = Desk::open().await;
    let request = desk.request(PlacedBy::Telephone, KEY);
    let order: OrderId = request.order_id.parse().unwrap();
    let placing = desk.place(PlaceOrder { budget_ms: 4_500, ..request });
    let cancelling = async {
        eventually(SOON, "the order is kept", async || desk.find(order, operator()).await.is_ok()).await;
        assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelling));
        for fact in [Fact::Voided, Fact::Released] {
            desk.tell(order, fact).await;
        }
    };
    let (_, ()) = tokio::join!(placing, cancelling);
    assert_eq!(desk.order(order).await.status(), OrderStatus::Cancelled);
    // the answer that the order was decided with
    let again = desk.place(desk.request(PlacedBy::Telephone, KEY)).await;
    match again.outcome.unwrap() {
        Outcome::Refused(problem) => {
            assert_eq!(problem.code, "order-cancelled");
        }
        other => panic!("a cancelled order was answered with {other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_has_landed_is_told_how_the_order_stands_and_at_last_its_answer_for_ever() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    for key in [KEY, KEY, "another-key"] {
        let answer = desk.cancel(order, key, MOMENT).await;
        assert_eq!((outcome(&answer), answer.replayed), (Ok(OrderStatus::Cancelling), false));
        desk.landed(order).await;
    }
    for fact in [Fact::Voided, Fact::Released] {
        desk.tell(order, fact).await;
    }
    let first = desk.cancel(order, KEY, MOMENT).await;
    assert_eq!((outcome(&first), first.replayed), (Ok(OrderStatus::Cancelled), true));
    for key in [KEY, "another-key"] {
        let again = desk.cancel(order, key, MOMENT).await;
        assert_eq!(again.encode_to_vec(), first.encode_to_vec());
    }
    // a new key asks about an order that is cancelled already
    let late = desk.cancel(order, "a-later-key", MOMENT).await;
    assert_eq!((outcome(&late), late.replayed), (Ok(OrderStatus::Cancelled), false));
    let story = ["order.created", "order.cancelling", "order.payment_updated", "order.cancelled"];
    desk.assert_story(order, &story).await;
}

#[tokio::test]
async fn a_completed_order_is_cancelled_when_the_money_is_back() {
    let desk = Desk::open().await;
    let order = desk.completed().await;
    desk.cancel(order, KEY, MOMENT).await;
    desk.landed(order).await;
    desk.tell(order, Fact::Stopped).await;
    assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelling));
    desk.tell(order, Fact::MoneyReturned).await;
    let answer = desk.cancel(order, KEY, MOMENT).await;
    assert_eq!((outcome(&answer), answer.replayed), (Ok(OrderStatus::Cancelled), true));
    let cancelled = ["order.cancelling", "order.shipment_updated", "order.cancelled"];
    desk.assert_story(order, &[&["order.created", "order.completed"], &cancelled[..]].concat()).await;
}

/// The refusal of a cancel, which changes nothing and is given again byte for byte.
async fn refused_for_ever(desk: &Desk, order: OrderId, code: &str) {
    let before = desk.order(order).await;
    let first = desk.cancel(order, KEY, MOMENT).await;
    assert_eq!((outcome(&first), first.replayed), (Err(code), false));
    let again = desk.cancel(order, KEY, MOMENT).await;
    assert!(again.replayed);
    let as_first = CancelOrderResponse { replayed: false, ..again };
    assert_eq!(as_first.encode_to_vec(), first.encode_to_vec());
    assert_eq!(desk.order(order).await, before);
}

#[tokio::test]
async fn a_rejected_order_is_not_cancellable() {
    let desk = Desk::open().await;
    refused_for_ever(&desk, desk.rejected().await, "not-cancellable").await;
}

#[tokio::test]
async fn an_order_that_is_given_up_for_another_reason_is_not_cancellable() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    desk.tell(order, Fact::DeadlinePassed).await;
    refused_for_ever(&desk, order, "not-cancellable").await;
    desk.tell(order, Fact::Voided).await;
    desk.tell(order, Fact::Released).await;
    let again = desk.cancel(order, KEY, MOMENT).await;
    assert_eq!((outcome(&again), again.replayed), (Err("not-cancellable"), true));
}

#[tokio::test]
async fn an_order_whose_parcel_left_is_already_dispatched() {
    let desk = Desk::open().await;
    for status in [ShipmentStatus::Dispatched, ShipmentStatus::Delivered] {
        let order = desk.completed().await;
        desk.move_parcel(order, status, 1).await;
        refused_for_ever(&desk, order, "already-dispatched").await;
    }
}

#[tokio::test]
async fn the_order_of_somebody_else_is_not_found_and_not_touched() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let stranger = customer(AccountId::new());
    let asked = desk.cancel_for(order, stranger.clone(), KEY, MOMENT).await.unwrap();
    assert_eq!(outcome(&asked), Err("not-found"));
    desk.cancel(order, KEY, MOMENT).await;
    // nor is he told what another's key was answered with
    assert_eq!(outcome(&desk.cancel_for(order, stranger, KEY, MOMENT).await.unwrap()), Err("not-found"));
    assert_eq!(outcome(&desk.cancel(OrderId::new(), KEY, MOMENT).await), Err("not-found"));
    desk.assert_story(order, &["order.created", "order.cancelling"]).await;
}

#[tokio::test]
async fn a_cancel_without_a_right_key_is_refused() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    for key in ["", "short"] {
        assert_eq!(refusal(desk.cancel_for(order, desk.own(), key, MOMENT).await), ProblemCode::Invalid);
    }
    desk.assert_story(order, &["order.created"]).await;
}

#[tokio::test]
async fn keys_are_known_for_a_day() {
    let desk = Desk::open().await;
    let order = desk.rejected().await;
    let keys = ["young-key", "nearly-a-day", "more-than-a-day"];
    for (key, age) in keys.into_iter().zip(["0 hours", "23 hours 50 minutes", "24 hours 1 minute"]) {
        desk.cancel(order, key, MOMENT).await;
        let aged = "UPDATE cancel_request SET created_at = now() - $2::text::interval WHERE idempotency_key = $1";
        sqlx::query(aged).bind(key).bind(age).execute(&desk.database.owner).await.unwrap();
    }
    desk.deps.shutdown.spawn_part("old keys", forget_old_keys(desk.deps.clone()));
    let known = async || -> Vec<String> {
        let keys = sqlx::query_scalar("SELECT idempotency_key FROM cancel_request ORDER BY created_at DESC");
        keys.fetch_all(&desk.database.owner).await.unwrap()
    };
    eventually(SOON, "an old key is forgotten", async || known().await.len() < keys.len()).await;
    assert_eq!(known().await, keys[..2]);
}
