//! What operators do to orders has its entry in the log, and what customers do has none.

use std::time::Duration;

use contracts::{
    ids::{AccountId, OrderId},
    order::v1::{OrderStatus, ShipmentStatus},
};
use order::{
    saga::{Fact, Reason, State},
    stuck,
};
use serde_json::json;
use testkit::ask;

use crate::{
    desk::{Desk, KEY, operator_with, outcome},
    letters,
};

const MOMENT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn an_operators_cancel_is_noted_once_with_the_status_before_and_after() {
    let desk = Desk::open().await;
    let (ann, bob) = (AccountId::new(), AccountId::new());
    let pending = desk.by_letter().await;
    for (order, before) in [(pending, "PENDING"), (desk.completed().await, "COMPLETED")] {
        let answer = desk.cancel_for(order, operator_with(ann), KEY, MOMENT).await.unwrap();
        assert_eq!(outcome(&answer), Ok(OrderStatus::Cancelling));
        // repeated, asked for by another operator and by the customer while it goes on: nothing of that changes anything
        desk.landed(order).await;
        desk.cancel_for(order, operator_with(ann), KEY, MOMENT).await.unwrap();
        desk.cancel_for(order, operator_with(bob), KEY, MOMENT).await.unwrap();
        desk.cancel(order, KEY, MOMENT).await;
        let detail = json!({"status": {"before": before, "after": "CANCELLING"}});
        assert_eq!(desk.noted(order).await, [(ann.to_string(), "cancel".to_owned(), detail)]);
    }
    // when it is cancelled, and answered again
    desk.tell(pending, Fact::Voided).await;
    desk.tell(pending, Fact::Released).await;
    let again = desk.cancel_for(pending, operator_with(bob), "another-key", MOMENT).await.unwrap();
    assert_eq!(outcome(&again), Ok(OrderStatus::Cancelled));
    assert_eq!(desk.noted(pending).await.len(), 1);
}

#[tokio::test]
async fn a_customers_cancel_is_not_noted() {
    let desk = Desk::open().await;
    let order = desk.completed().await;
    assert_eq!(outcome(&desk.cancel(order, KEY, MOMENT).await), Ok(OrderStatus::Cancelling));
    assert_eq!(desk.noted(order).await, []);
}

#[tokio::test]
async fn a_cancel_that_is_refused_is_not_noted() {
    let desk = Desk::open().await;
    let dispatched = desk.completed().await;
    desk.move_parcel(dispatched, ShipmentStatus::Dispatched, 2).await;
    for order in [dispatched, desk.rejected().await] {
        let answer = desk.cancel_for(order, operator_with(AccountId::new()), KEY, MOMENT).await.unwrap();
        assert!(outcome(&answer).is_err(), "{answer:?}");
        assert_eq!(desk.noted(order).await, []);
    }
    let nothing = OrderId::new();
    let answer = desk.cancel_for(nothing, operator_with(AccountId::new()), KEY, MOMENT).await.unwrap();
    assert_eq!(outcome(&answer), Err("not-found"));
    assert_eq!(desk.noted(nothing).await, []);
}

#[tokio::test]
async fn operators_who_cancel_at_once_are_noted_as_one_who_did_it() {
    let desk = Desk::open().await;
    for _ in 0..5 {
        let order = desk.completed().await;
        let (ann, bob) = (AccountId::new(), AccountId::new());
        let (one, other) = tokio::join!(
            desk.cancel_for(order, operator_with(ann), KEY, MOMENT),
            desk.cancel_for(order, operator_with(bob), KEY, MOMENT)
        );
        assert_eq!(outcome(&one.unwrap()), Ok(OrderStatus::Cancelling));
        assert_eq!(outcome(&other.unwrap()), Ok(OrderStatus::Cancelling));
        let noted = desk.noted(order).await;
        assert_eq!(noted.len(), 1, "{noted:?}");
        assert!(noted[0].0 == ann.to_string() || noted[0].0 == bob.to_string(), "{noted:?}");
    }
}

#[tokio::test]
async fn what_is_done_about_an_order_that_waits_is_noted_as_done_by_ops() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let post = async |order: OrderId, action: &str| ask(&routes, "POST", &format!("/sagas/{order}/{action}")).await.0;
    let stopping = desk.stopping().await;
    desk.set(stopping, "attempt_at = clock_timestamp() + interval '1 hour'").await;
    assert_eq!(post(stopping, "retry").await, 200);
    assert_eq!(post(stopping, "void").await, 409);
    assert_eq!(desk.noted(stopping).await, [("ops".to_owned(), "retry".to_owned(), json!({"state": "STOPPING"}))]);

    let held = desk.by_letter().await;
    desk.tell(held, letters::priced(Fact::StockHeld)).await;
    assert_eq!(post(held, "retry").await, 409);
    assert_eq!((post(held, "void").await, post(held, "void").await), (200, 409));
    assert_eq!(desk.state(held).await, State::Voiding(Reason::Expired));
    let detail = json!({"state": {"before": "AWAITING_PAYMENT", "after": "VOIDING"}});
    assert_eq!(desk.noted(held).await, [("ops".to_owned(), "void".to_owned(), detail)]);
}
