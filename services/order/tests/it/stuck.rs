//! What operators see of orders that wait, and do about one.

use std::time::Duration;

use axum::Router;
use contracts::{
    ids::OrderId,
    order::v1::{OrderReason, OrderStatus},
};
use order::{
    recovery,
    saga::{Fact, Reason, State},
    store::{self, Lane},
    stuck,
};
use serde_json::Value;
use service_runtime::LookBack;
use testkit::ask;

use crate::{desk::Desk, letters};

const LONG_AGO: &str = "updated_at = clock_timestamp() - interval '1 minute'";

/// The orders that wait for longer than 30 s.
async fn listed(routes: &Router) -> Vec<Value> {
    let (status, list) = ask(routes, "GET", "/sagas/stuck").await;
    assert_eq!(status, 200, "{list}");
    list["items"].as_array().unwrap().clone()
}

async fn post(routes: &Router, id: impl std::fmt::Display, action: &str) -> (u16, Value) {
    ask(routes, "POST", &format!("/sagas/{id}/{action}")).await
}

#[tokio::test]
async fn orders_that_have_waited_too_long_are_listed_with_whom_they_wait_for() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let held = desk.by_letter().await;
    desk.tell(held, letters::priced(Fact::StockHeld)).await;
    let voiding = desk.by_telephone().await;
    desk.tell(voiding, Fact::DeadlinePassed).await;
    let refunding = desk.stopping().await;
    desk.tell(refunding, Fact::Stopped).await;
    let expected = [
        (desk.by_letter().await, "AWAITING_STOCK", "letter", "a letter of inventory: whether stock is held"),
        (held, "AWAITING_PAYMENT", "letter", "a letter of payment: whether it captured the charge"),
        (desk.by_telephone().await, "AWAITING_STOCK", "telephone", "inventory: to reserve the stock"),
        (voiding, "VOIDING", "telephone", "payment: to void the charge"),
        (desk.stopping().await, "STOPPING", "letter", "shipping: to stop the parcel"),
        (refunding, "REFUNDING", "letter", "payment: to give the money back"),
    ];
    assert_eq!(listed(&routes).await, [Value::Null; 0], "all of them are young");
    for order in [desk.completed().await, desk.rejected().await] {
        desk.set(order, LONG_AGO).await;
    }
    for (order, ..) in expected {
        desk.set(order, LONG_AGO).await;
        // as a cancel leaves it, or a letter of shipping
        desk.set(order, "attempt_at = coalesce(attempt_at, clock_timestamp())").await;
    }

    let listed = listed(&routes).await;
    assert_eq!(listed.len(), expected.len(), "those with nothing left to do wait for nothing: {listed:?}");
    for (order, state, placed_by, waits_for) in expected {
        let told = listed.iter().find(|told| told["order_id"] == order.to_string()).unwrap();
        assert_eq!(told["state"], state, "{told}");
        assert_eq!(told["placed_by"], placed_by, "{told}");
        assert_eq!(told["waits_for"], waits_for, "{told}");
        assert!((60..90).contains(&told["waiting_seconds"].as_i64().unwrap()), "{told}");
    }
}

#[tokio::test]
async fn the_list_is_read_page_by_page_oldest_first() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(desk.by_letter().await);
    }
    let path = "/sagas/stuck?longer_than_seconds=0&limit=2";
    let (_, first) = ask(&routes, "GET", path).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = ask(&routes, "GET", &format!("{path}&cursor={cursor}")).await;
    let ids: Vec<OrderId> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|told| told["order_id"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids, orders);
    assert_eq!(second["next_cursor"], Value::Null);
}

#[tokio::test]
async fn what_stood_in_the_way_of_the_last_attempt_is_told_until_the_order_changes() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let order = desk.by_telephone().await;
    desk.handed_over(order).await;
    let due =
        store::claim_due(&desk.deps.pool, Lane::Fresh, 1, LookBack::WHOLE, Duration::from_secs(10)).await.unwrap()[0];
    recovery::attempt(desk.deps.clone(), due).await;
    desk.set(order, LONG_AGO).await;
    let told = listed(&routes).await.remove(0);
    assert_eq!(told["attempts"], 1);
    assert!(told["last_error"].as_str().unwrap().starts_with("Reserve: Unavailable: "), "{told}");

    desk.tell(order, Fact::DeadlinePassed).await;
    desk.set(order, LONG_AGO).await;
    assert_eq!(listed(&routes).await.remove(0)["last_error"], Value::Null);
}

#[tokio::test]
async fn an_order_is_taken_up_when_an_operator_says_so() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    for order in [desk.by_telephone().await, desk.stopping().await] {
        desk.set(order, "attempts = 9, attempt_at = clock_timestamp() + interval '1 hour'").await;
        let (status, told) = post(&routes, order, "retry").await;
        assert_eq!((status, &told["order_id"]), (200, &order.to_string().into()), "{told}");
        assert!(desk.attempt_at(order).await.unwrap() <= desk.now().await);
    }
    assert_eq!(desk.deps.recovery.notified().await, (), "recovery need not be waited for");
}

#[tokio::test]
async fn only_an_order_that_can_be_asked_about_is_taken_up() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let waits_for_letters = desk.by_letter().await;
    for (order, why) in [
        (waits_for_letters.to_string(), "only letters carry it on"),
        (desk.completed().await.to_string(), "nothing is left to do"),
        (desk.rejected().await.to_string(), "nothing is left to do"),
    ] {
        let (status, said) = post(&routes, &order, "retry").await;
        assert_eq!(status, 409, "{said}");
        assert!(said.as_str().unwrap().contains(why), "{said}");
    }
    for unknown in [OrderId::new().to_string(), "nonsense".to_owned()] {
        for action in ["retry", "void"] {
            let (status, said) = post(&routes, &unknown, action).await;
            assert_eq!((status, said.as_str()), (404, Some(format!("there is no order {unknown}\n").as_str())));
        }
    }
    assert!(desk.attempt_at(waits_for_letters).await.unwrap() > desk.now().await);
}

#[tokio::test]
async fn an_order_that_is_given_up_is_undone_as_if_its_time_were_over() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let order = desk.by_letter().await;
    desk.tell(order, letters::priced(Fact::StockHeld)).await;
    let (status, told) = post(&routes, order, "void").await;
    assert_eq!((status, &told["state"]), (200, &"VOIDING".into()), "{told}");
    assert_eq!(told["waits_for"], "payment: to void the charge");
    assert_eq!(desk.state(order).await, State::Voiding(Reason::Expired));
    assert!(desk.decide_by(order).await <= desk.now().await);
    assert!(desk.attempt_at(order).await.unwrap() <= desk.now().await);

    desk.tell(order, Fact::Voided).await;
    desk.tell(order, Fact::Released).await;
    let message = desk.order(order).await;
    assert_eq!((message.status(), message.reason()), (OrderStatus::Rejected, OrderReason::Expired));
    let version = i64::try_from(desk.story(order).await.len()).unwrap();
    assert_eq!(version, message.version, "each change is one letter");
}

#[tokio::test]
async fn an_order_that_is_decided_or_being_undone_is_not_given_up() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    let voiding = desk.by_telephone().await;
    desk.tell(voiding, Fact::DeadlinePassed).await;
    for order in [desk.completed().await, desk.stopping().await, desk.rejected().await, voiding] {
        let before = desk.order(order).await;
        let (status, said) = post(&routes, order, "void").await;
        assert_eq!(status, 409, "{said}");
        assert_eq!(said.as_str().unwrap().lines().count(), 1, "{said}");
        assert_eq!(desk.order(order).await, before);
    }
}

#[tokio::test]
async fn two_operators_give_an_order_up_once() {
    let desk = Desk::open().await;
    let routes = stuck::routes(desk.deps.clone());
    for _ in 0..10 {
        let order = desk.by_telephone().await;
        let (one, other) = tokio::join!(post(&routes, order, "void"), post(&routes, order, "void"));
        let mut statuses = [one.0, other.0];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        assert_eq!(desk.order(order).await.version, 2);
    }
}
